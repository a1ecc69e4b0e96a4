"""The estimators are at home in scikit-learn: its own checks, and its tools used for real."""

import inspect
import re

import numpy as np
import pytest
from scipy import special
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_classification
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import ConvergenceWarning, NotFittedError, UnsetMetadataPassedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmlp import MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.heads import HEADS, Poisson, Softmax
from skmlp.network import LAYERS
from skmlp.tabular import TabularMLPClassifier, TabularMLPRegressor

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def mish(z):
    return z * np.tanh(np.logaddexp(0, z))


# -------------------- scikit-learn's checks

CHECKED = [  # of each kind of estimator one; all of them with -m long
    MLPClassifier(),
    MLPClassifier(solver="lbfgs"),
    MLPClassifier(early_stopping=True),
    MLPClassifier(head="hinge", solver="sgd"),
    MLPClassifier(normalization="batch", dropout=0.1, hidden_layer_sizes="2x50", residual=True),
    MLPRegressor(),
    MLPRegressor(solver="lbfgs", alpha=1.0, max_iter=100, dtype="float32"),
    MLPRegressor(early_stopping=True),
    MLPRegressor(activation=mish),
    MLPRegressor(activation="rbf"),
    MLPRegressor(normalization="layer", dropout=0.1, input_noise=0.01),
    MLPRegressor(head="poisson", learning_rate_init=0.01),
]
SETTINGS = [
    {"solver": "lbfgs", "alpha": 1.0, "max_iter": 100},
    {"solver": "lbfgs", "alpha": 1.0, "max_iter": 30, "normalization": "batch"},
    {"solver": "lbfgs", "alpha": 1.0, "max_iter": 100, "dtype": "float32"},
    {"solver": "sgd", "learning_rate_init": 0.002},
    {"dtype": "float32"},
    {"hidden_layer_sizes": (), "learning_rate_init": 0.02},
    {"activation": mish},
    {"activation": ["softplus", np.tanh], "hidden_layer_sizes": [20, 10]},
    {"early_stopping": True, "validation_fraction": 0.4, "learning_rate_init": 0.02},
    {"normalization": "batch", "dropout": 0.1, "hidden_layer_sizes": "2x50", "residual": True},
    {"normalization": "layer", "dropout": 0.1, "input_noise": 0.01},
]
EVERY_SETTING = [
    *(kind(**setting) for kind in (MLPClassifier, MLPRegressor) for setting in SETTINGS),
    *(MLPClassifier(solver="lbfgs", max_iter=n) for n in (1, 2, 5, 20, 1000)),
    MLPClassifier(class_weight="balanced"),
    MLPClassifier(label_smoothing=0.1, solver="lbfgs", alpha=1.0, max_iter=100),
]
EVERY_HEAD = [
    (MLPRegressor if "numbers" in kind.targets else MLPClassifier)(
        head=name, initial_output="data", learning_rate_init=0.01
    )
    for name, kind in HEADS.items()
]
EVERY_ACTIVATION = [
    kind(activation=name)
    for name in [*ACTIVATIONS, *LAYERS]
    for kind in (MLPClassifier, MLPRegressor)
]


# In old versions of scikit-learn; newer ones make two classes of three in another way.
CLASSES_GO_BY_THE_FIRST_TARGET = "y.flat[0]" in inspect.getsource(estimator_checks)


def expected_failures(estimator):
    """The checks that cannot hold for a setting, each with the reason."""
    expected = {}
    if estimator.early_stopping:
        drawn = "validation rows are drawn from the rows given, and repeated rows are more rows"
        expected["check_sample_weight_equivalence_on_dense_data"] = drawn
        expected["check_sample_weight_equivalence_on_sparse_data"] = drawn
        if not is_regressor(estimator) and estimator.validation_fraction < 0.2:
            expected["check_class_weight_classifiers"] = (
                "all weight is on one validation row or two, so that the score is soon 1"
            )
    if estimator.early_stopping and hasattr(estimator, "partial_fit"):
        single = "partial_fit refuses early_stopping=True, as scikit-learn's does"
        expected["check_fit_score_takes_y"] = single
        expected["check_n_features_in_after_fitting"] = single
        expected["check_estimators_partial_fit_n_features"] = single
    if estimator.dtype == "float32":
        rounding = "the check asks for 7 digits, more than float32 sums of other rows agree in"
        expected["check_sample_weight_equivalence_on_dense_data"] = rounding
        expected["check_sample_weight_equivalence_on_sparse_data"] = rounding
        if is_regressor(estimator):
            expected["check_regressor_multioutput"] = "the check asks for float64 predictions"
    if not get_tags(estimator).input_tags.sparse:  # which scikit-learn 1.6 does not ask
        expected["check_sample_weight_equivalence_on_sparse_data"] = (
            "the first layer works on the inputs themselves and takes no sparse ones"
        )
    if estimator.input_noise or np.any(estimator.dropout):
        noise = "a number is drawn for each row given, and repeated rows are more rows"
        expected["check_sample_weight_equivalence_on_dense_data"] = noise
        expected["check_sample_weight_equivalence_on_sparse_data"] = noise
    if (
        is_regressor(estimator)
        and estimator.head != "auto"
        and HEADS[estimator.head]().positive_only
    ):
        expected["check_regressor_multioutput"] = "the check's targets are negative"
    if estimator.head in ("logistic", "brier") and CLASSES_GO_BY_THE_FIRST_TARGET:
        first = "the check makes two classes by the first target, which repetition changes"
        expected["check_sample_weight_equivalence_on_dense_data"] = first
        expected["check_sample_weight_equivalence_on_sparse_data"] = first
    if not is_regressor(estimator) and estimator.activation in ("tanh", "hard_tanh", "sine"):
        expected["check_class_weight_classifiers"] = (
            "far from the one class of any weight a bounded unit extrapolates to another; "
            "scikit-learn's MLP answers the same with sample_weight"
        )
    if estimator.head == "ordinal":
        expected["check_classifiers_train"] = (
            "the class that minimizes the expected absolute error need not be the most probable"
        )
        expected["check_classifiers_classes"] = "the check's classes are words without an order"
    return expected


def checks_of(estimators):
    """parametrize_with_checks, with test names free of the addresses of functions."""
    mark = parametrize_with_checks(estimators, expected_failed_checks=expected_failures)
    arguments, cases = mark.args
    name = mark.kwargs["ids"]
    return pytest.mark.parametrize(
        arguments, list(cases), ids=lambda value: re.sub(r"at0x\w+", "", name(value) or "")
    )


as_in_scikit_learn = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.DataConversionWarning",
    "ignore::sklearn.exceptions.SkipTestWarning",
    "ignore:initial_output='data' takes the start",  # of a stream, from the 15 rows of a check
)


@as_in_scikit_learn
@checks_of(CHECKED)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.long
@as_in_scikit_learn
@checks_of([*EVERY_SETTING, *EVERY_HEAD, *EVERY_ACTIVATION])
def test_scikit_learn_checks_of_everything(estimator, check):
    check(estimator)


TABLES = [TabularMLPClassifier(random_state=0), TabularMLPRegressor(random_state=0)]
DEALT = "rows are dealt out to folds, and repeated rows are more rows"


@pytest.mark.long
@as_in_scikit_learn
@parametrize_with_checks(
    TABLES,
    expected_failed_checks=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": DEALT
    },
)
def test_scikit_learn_checks_of_tables(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", [MLPClassifier(), MLPRegressor()])
def test_tags_say_what_the_estimators_take(estimator):
    tags = get_tags(estimator)
    assert tags.input_tags.sparse
    assert not tags.input_tags.allow_nan
    assert is_classifier(estimator) == isinstance(estimator, MLPClassifier)
    assert is_regressor(estimator) == isinstance(estimator, MLPRegressor)
    if is_classifier(estimator):
        assert tags.classifier_tags.multi_class
        assert tags.classifier_tags.multi_label
    else:
        assert tags.target_tags.multi_output


@pytest.mark.parametrize("head", ["poisson", Poisson()])
def test_a_poisson_head_is_tagged_as_taking_positive_targets_only(head):
    assert get_tags(MLPRegressor(head=head)).target_tags.positive_only
    assert not get_tags(MLPRegressor()).target_tags.positive_only


# -------------------- data and models


@pytest.fixture(scope="module")
def classes():
    """Three classes, 150 rows, of which the first 4 columns out of 6 are informative."""
    return make_classification(
        n_samples=150,
        n_features=6,
        n_informative=4,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        class_sep=1.5,
        shuffle=False,
        random_state=0,
    )


@pytest.fixture(scope="module")
def numbers():
    """Diabetes, 200 rows, everything scaled."""
    X, y = load_diabetes(return_X_y=True)
    return StandardScaler().fit_transform(X[:200]), (y[:200] - y.mean()) / y.std()


def classifier(**parameters):
    """A small network that converges on the fixture's classes in well under a second."""
    defaults = {"hidden_layer_sizes": (8,), "alpha": 1.0, "random_state": 0}
    defaults |= {"solver": "lbfgs", "max_iter": 1000, "tol": 1e-3}
    return MLPClassifier(**(defaults | parameters))


def regressor(**parameters):
    defaults = {"hidden_layer_sizes": (8,), "alpha": 10.0, "random_state": 0}
    defaults |= {"solver": "lbfgs", "max_iter": 1000, "tol": 1e-3}
    return MLPRegressor(**(defaults | parameters))


def integer_weights(n, seed=0):
    return np.random.RandomState(seed).randint(1, 6, size=n).astype(float)


# -------------------- parameters

UNUSUAL = {
    "hidden_layer_sizes": [4, 3],
    "activation": [mish, np.tanh],
    "head": Softmax(),
    "solver": "sgd",
    "alpha": 0.01,
    "batch_size": 32,
    "max_iter": 3,
    "random_state": 5,
    "dtype": "float32",
}


def test_get_params_gives_every_argument_back():
    estimator = MLPClassifier(**UNUSUAL)
    parameters = estimator.get_params()
    assert set(parameters) == set(inspect.signature(MLPClassifier).parameters)
    assert all(parameters[name] is value for name, value in UNUSUAL.items())


def test_both_signatures_are_one_but_for_what_one_target_has():
    ours, theirs = (list(inspect.signature(k).parameters) for k in (MLPClassifier, MLPRegressor))
    assert set(ours) ^ set(theirs) == {"loss", "class_weight", "label_smoothing"}
    assert [n for n in ours if n in theirs] == [n for n in theirs if n in ours]


def test_set_params_is_the_same_as_the_constructor(classes):
    X, y = classes
    built = MLPClassifier(**UNUSUAL)
    changed = MLPClassifier(alpha=1.0, random_state=1).set_params(**UNUSUAL)
    with pytest.warns(ConvergenceWarning):
        built.fit(X, y)
    with pytest.warns(ConvergenceWarning):
        changed.fit(X, y)
    np.testing.assert_array_equal(built.coefs_[0], changed.coefs_[0])
    with pytest.raises(ValueError, match="hidden_layers"):
        changed.set_params(hidden_layers=3)


def test_a_clone_has_the_parameters_and_none_of_the_fit(classes):
    X, y = classes
    with pytest.warns(ConvergenceWarning):
        fitted = MLPClassifier(**UNUSUAL).fit(X, y)
    cloned = clone(fitted)
    assert not [name for name in vars(cloned) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        cloned.predict(X)
    assert cloned.get_params()["activation"] == [mish, np.tanh]
    assert cloned.get_params()["head"] == Softmax()
    with pytest.warns(ConvergenceWarning):
        cloned.fit(X, y)
    np.testing.assert_array_equal(cloned.predict_proba(X), fitted.predict_proba(X))


@pytest.mark.parametrize("activation", ["tanh", mish, ["relu"]])
def test_the_html_shown_in_notebooks(classes, activation):
    estimator = classifier(activation=activation)
    assert "MLPClassifier" in estimator._repr_html_()
    assert "Not fitted" in estimator._repr_html_()
    html = estimator.fit(*classes)._repr_html_()
    assert "hidden_layer_sizes" in html
    assert "Not fitted" not in html


# -------------------- model selection


@pytest.mark.filterwarnings("ignore:Creating an ndarray from ragged")  # by scikit-learn 1.6
def test_grid_search_over_sizes_and_functions_in_two_processes(classes):
    X, y = classes
    grid = {"hidden_layer_sizes": [(), 4, (6, 3)], "activation": ["relu", mish]}
    search = GridSearchCV(classifier(), grid, cv=3, n_jobs=2).fit(X, y)
    expected = [
        cross_val_score(classifier(**candidate), X, y, cv=3).mean()
        for candidate in search.cv_results_["params"]
    ]
    assert len(set(expected)) > 1
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected)
    best = classifier(**search.best_params_).fit(X, y)
    np.testing.assert_array_equal(search.predict(X), best.predict(X))


def test_grid_search_over_heads_finds_the_counts():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(200, 2))
    y = rng.poisson(np.exp(1.5 * X[:, 0]))
    linear = regressor(hidden_layer_sizes=(), alpha=1e-3, max_iter=500)
    search = GridSearchCV(linear, {"head": ["linear", Poisson()]}, cv=3, n_jobs=2).fit(X, y)
    assert search.best_params_ == {"head": Poisson()}
    assert isinstance(search.best_estimator_.head_, Poisson)
    assert np.all(search.predict(X) > 0)
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0.1


def test_cross_val_predict_is_each_fold_predicted_by_the_others(classes):
    X, y = classes
    folds = StratifiedKFold(3)
    proba = cross_val_predict(classifier(), X, y, cv=folds, method="predict_proba")
    for train, test in folds.split(X, y):
        expected = classifier().fit(X[train], y[train]).predict_proba(X[test])
        np.testing.assert_array_equal(proba[test], expected)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


@unconverged
def test_validation_curve_falls_as_the_penalty_grows(numbers):
    X, y = numbers
    alphas = [0.1, 10.0, 1e4]
    train, test = validation_curve(
        regressor(), X, y, param_name="alpha", param_range=alphas, cv=KFold(2)
    )
    assert np.all(np.diff(train, axis=0) < 0)
    np.testing.assert_allclose(train[-1], 0, atol=0.05)
    folds = list(KFold(2).split(X))
    first = regressor(alpha=10.0).fit(X[folds[0][0]], y[folds[0][0]])
    assert test[1, 0] == first.score(X[folds[0][1]], y[folds[0][1]])


def test_an_incremental_learning_curve_is_a_stream_of_partial_fits(classes):
    X, y = classes
    stream = classifier(solver="adam", learning_rate_init=0.05)
    folds = list(StratifiedKFold(3).split(X, y))
    sizes, train, test = learning_curve(
        stream, X, y, train_sizes=[20, 50, 100], cv=folds, exploit_incremental_learning=True
    )
    assert list(sizes) == [20, 50, 100]
    for column, (rows, held_out) in enumerate(folds):
        model = clone(stream)
        for start, stop, here, there in zip([0, 20, 50], sizes, train, test, strict=True):
            chunk = rows[start:stop]
            model.partial_fit(X[chunk], y[chunk], classes=np.unique(y))
            assert here[column] == model.score(X[rows[:stop]], y[rows[:stop]])
            assert there[column] == model.score(X[held_out], y[held_out])


# -------------------- ensembles


def test_calibration_fits_each_fold_and_keeps_probabilities_sane(classes):
    X, y = classes
    weights = integer_weights(len(y))
    folds = list(StratifiedKFold(3).split(X, y))
    model = CalibratedClassifierCV(classifier(), cv=folds, method="sigmoid")
    model.fit(X, y, sample_weight=weights)
    for (train, _), calibrated in zip(folds, model.calibrated_classifiers_, strict=True):
        alone = classifier().fit(X[train], y[train], sample_weight=weights[train])
        np.testing.assert_array_equal(calibrated.estimator.predict_proba(X), alone.predict_proba(X))
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert accuracy_score(y, model.predict(X)) > 0.85


def test_bagging_weights_are_repeated_rows(classes):
    X, y = classes
    linear = classifier(hidden_layer_sizes=(), alpha=1.0, tol=1e-8, max_iter=1000)
    model = BaggingClassifier(linear, n_estimators=3, random_state=0).fit(X, y)
    for member, rows in zip(model.estimators_, model.estimators_samples_, strict=True):
        assert len(np.unique(rows)) < len(rows)
        repeated = clone(member).fit(X[rows], y[rows])
        np.testing.assert_allclose(
            member.predict_proba(X), repeated.predict_proba(X), rtol=0, atol=1e-5
        )
    mean = np.mean([member.predict_proba(X) for member in model.estimators_], axis=0)
    np.testing.assert_allclose(model.predict_proba(X), mean, rtol=1e-12)


def test_boosting_reweights_the_rows_that_were_missed(classes):
    X, y = classes
    weak = classifier(hidden_layer_sizes=3, max_iter=5)
    with pytest.warns(ConvergenceWarning):
        model = AdaBoostClassifier(weak, n_estimators=4, random_state=0).fit(X, y)
    first, second = model.estimators_[:2]
    missed = first.predict(X) != y
    assert 0 < missed.mean() < 0.5
    assert model.estimator_errors_[0] == pytest.approx(missed.mean())
    weights = np.where(missed, np.exp(model.estimator_weights_[0]), 1.0) / len(y)
    with pytest.warns(ConvergenceWarning):
        alone = clone(second).fit(X, y, sample_weight=weights / weights.sum())
    np.testing.assert_allclose(alone.predict_proba(X), second.predict_proba(X), rtol=1e-6)
    assert model.score(X, y) > first.score(X, y)


def test_stacking_feeds_out_of_fold_probabilities_to_the_final_model(classes):
    X, y = classes
    members = [("linear", classifier(hidden_layer_sizes=())), ("deep", classifier())]
    final = LogisticRegression()
    model = StackingClassifier(members, final_estimator=final, cv=3).fit(X, y)
    inside = [cross_val_predict(m, X, y, cv=3, method="predict_proba") for _, m in members]
    expected = clone(final).fit(np.hstack(inside), y)
    np.testing.assert_allclose(model.final_estimator_.coef_, expected.coef_)
    outside = [clone(m).fit(X, y).predict_proba(X) for _, m in members]
    np.testing.assert_allclose(model.transform(X), np.hstack(outside))


def test_soft_voting_is_the_mean_probability(classes):
    X, y = classes
    members = [("a", classifier()), ("b", classifier(hidden_layer_sizes=(), random_state=1))]
    model = VotingClassifier(members, voting="soft", weights=[1, 3], n_jobs=2).fit(X, y)
    first, second = (clone(member).fit(X, y).predict_proba(X) for _, member in members)
    np.testing.assert_allclose(model.predict_proba(X), (first + 3 * second) / 4)


def test_multi_output_regressor_fits_one_network_for_each_target(numbers):
    X, y = numbers
    Y = np.column_stack([y, -y, X[:, 0]])
    weights = integer_weights(len(y))
    model = MultiOutputRegressor(regressor(), n_jobs=2).fit(X, Y, sample_weight=weights)
    for column in range(3):
        alone = regressor().fit(X, Y[:, column], sample_weight=weights)
        np.testing.assert_array_equal(model.predict(X)[:, column], alone.predict(X))
    together = regressor().fit(X, Y, sample_weight=weights)
    assert together.predict(X).shape == Y.shape
    assert not np.allclose(together.predict(X), model.predict(X))


# -------------------- pipelines and routing


def test_a_pipeline_scales_then_fits_with_weights(numbers):
    X, y = numbers
    X = 3 + 10 * X
    weights = integer_weights(len(y))
    model = make_pipeline(StandardScaler(), regressor())
    model.fit(X, y, mlpregressor__sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    alone = regressor().fit(scaled, y, sample_weight=weights)
    np.testing.assert_array_equal(model.predict(X), alone.predict(scaled))
    assert not np.allclose(alone.predict(scaled), regressor().fit(scaled, y).predict(scaled))


def test_a_transformed_target_is_transformed_both_ways(numbers):
    X, y = numbers
    y = np.exp(y)
    model = TransformedTargetRegressor(regressor(), func=np.log1p, inverse_func=np.expm1).fit(X, y)
    alone = regressor().fit(X, np.log1p(y))
    np.testing.assert_array_equal(model.predict(X), np.expm1(alone.predict(X)))


def test_sample_weight_is_routed_where_it_was_asked_for(classes):
    X, y = classes
    weights = np.where(y == 0, 20.0, 1.0) * integer_weights(len(y))
    folds = list(StratifiedKFold(3).split(X, y))
    with config_context(enable_metadata_routing=True):
        asking = classifier().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        model = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), asking)
        routed = cross_validate(
            model,
            X,
            y,
            cv=folds,
            scoring=scorer,
            params={"sample_weight": weights},
            return_estimator=True,
        )
    for index, (train, test) in enumerate(folds):
        scaler = StandardScaler().fit(X[train])
        alone = classifier().fit(scaler.transform(X[train]), y[train], sample_weight=weights[train])
        found = routed["estimator"][index][-1]
        np.testing.assert_array_equal(found.coefs_[0], alone.coefs_[0])
        score = alone.score(scaler.transform(X[test]), y[test], sample_weight=weights[test])
        assert routed["test_score"][index] == score


def test_sample_weight_is_not_routed_unasked(classes):
    X, y = classes
    weights = integer_weights(len(y))
    with config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            cross_validate(
                classifier(), X, y, params={"sample_weight": weights}, error_score="raise"
            )
        refusing = classifier().set_fit_request(sample_weight=False)
        refusing.set_score_request(sample_weight=True)
        scores = cross_validate(refusing, X, y, cv=3, params={"sample_weight": weights})
    for index, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        alone = classifier().fit(X[train], y[train])
        assert scores["test_score"][index] == alone.score(X[test], y[test], weights[test])


def test_classes_are_routed_to_partial_fit():
    with config_context(enable_metadata_routing=True):
        model = MLPClassifier().set_partial_fit_request(classes=True, sample_weight=True)
        requests = model.get_metadata_routing().partial_fit.requests
    assert requests == {"classes": True, "sample_weight": True}


def test_permutation_importance_finds_the_informative_columns(classes):
    X, y = classes
    model = classifier(alpha=1.0).fit(X, y)
    found = permutation_importance(model, X, y, n_repeats=5, random_state=0, n_jobs=2)
    assert found.importances.shape == (6, 5)
    assert found.importances_mean[:4].min() > found.importances_mean[4:].max()


# -------------------- data frames


def data_frame(library, X, names):
    frame = pytest.importorskip(library).DataFrame(dict(zip(names, X.T, strict=True)))
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        pytest.skip(f"this scikit-learn does not read the names of this {library}")
    return frame


NAMES = ["age", "height", "weight", "pulse", "sleep", "steps"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_data_frames_give_the_same_fit_and_their_names(library, solver, classes):
    X, y = classes
    frame = data_frame(library, X, NAMES)
    labels = np.array(["red", "green", "blue"])[y]
    series = pytest.importorskip(library).Series(labels)
    settings = {"solver": solver, "max_iter": 1000, "tol": 1e-3, "learning_rate_init": 0.01}
    named = classifier(**settings).fit(frame, series)
    plain = classifier(**settings).fit(X, labels)
    assert list(named.feature_names_in_) == NAMES
    assert not hasattr(plain, "feature_names_in_")
    np.testing.assert_array_equal(named.predict_proba(frame), plain.predict_proba(X))
    np.testing.assert_array_equal(named.predict(frame), plain.predict(X))
    np.testing.assert_array_equal(named.hidden_layer_output(frame), plain.hidden_layer_output(X))


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize("method", ["predict", "predict_proba", "hidden_layer_output"])
def test_names_are_checked_when_predicting(library, method, classes):
    X, y = classes
    frame = data_frame(library, X, NAMES)
    model = classifier().fit(frame, y)
    apply = getattr(model, method)
    with pytest.raises(ValueError, match="feature names"):
        apply(data_frame(library, X, NAMES[::-1]))
    with pytest.raises(ValueError, match="blood"):
        apply(data_frame(library, X, [*NAMES[:-1], "blood"]))
    with pytest.raises(ValueError):
        apply(frame[NAMES[:-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        unnamed = apply(X)
    np.testing.assert_array_equal(unnamed, apply(frame))


def test_names_of_a_data_frame_are_kept_and_checked_by_partial_fit(classes):
    X, y = classes
    frame = data_frame("pandas", X, NAMES)
    model = classifier(solver="adam").partial_fit(frame, y, classes=np.unique(y))
    assert list(model.feature_names_in_) == NAMES
    with pytest.raises(ValueError, match="feature names"):
        model.partial_fit(data_frame("pandas", X, NAMES[::-1]), y)


def test_a_data_frame_of_targets_and_weights_in_a_series(numbers):
    pandas = pytest.importorskip("pandas")
    X, y = numbers
    Y = np.column_stack([y, y**2])
    weights = integer_weights(len(y))
    framed = regressor().fit(X, pandas.DataFrame(Y), sample_weight=pandas.Series(weights))
    plain = regressor().fit(X, Y, sample_weight=weights)
    np.testing.assert_array_equal(framed.predict(X), plain.predict(X))


def test_an_activation_of_scipy_goes_through_a_grid_search_of_a_pipeline(numbers):
    X, y = numbers
    model = make_pipeline(StandardScaler(), regressor(hidden_layer_sizes=(3,)))
    grid = {"mlpregressor__activation": [special.expit, "logistic", "identity"]}
    search = GridSearchCV(model, grid, cv=3, n_jobs=2).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert np.all(np.isfinite(scores))
    assert scores[1] != scores[2]
