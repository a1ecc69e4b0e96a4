"""Validation, scores and stopping: what every epoch is worth, and which parameters are kept."""

import warnings
from fractions import Fraction
from inspect import signature

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    get_scorer,
    log_loss,
    r2_score,
    top_k_accuracy_score,
)
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skmlp import MLPClassifier, MLPRegressor
from skmlp.callbacks import EarlyStopping

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = [MLPClassifier, MLPRegressor]
SOLVERS = ["adam", "sgd", "lbfgs"]


def data(kind, n=90, seed=0):
    """Three classes or a number, and as many rows to validate on."""
    if kind is MLPClassifier:
        X, y = make_classification(2 * n, 6, n_informative=4, n_classes=3, random_state=seed)
        y = np.array(["a", "b", "c"])[y]
    else:
        X, y = make_regression(2 * n, 6, noise=20.0, random_state=seed)
        y = y / 50
    return X[:n], y[:n], X[n:], y[n:]


def quick(kind, **parameters):
    settings = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0}
    settings |= {"learning_rate_init": 0.02, "batch_size": 30}
    return kind(**(settings | parameters))


def weights(n, seed=1):
    return np.random.RandomState(seed).randint(0, 4, n).astype(float)


def at_every_epoch(estimator, X, y, **options):
    """The same fit, ended after 1, 2, ... epochs."""
    for n in range(1, estimator.max_iter + 1):
        yield type(estimator)(**(estimator.get_params() | {"max_iter": n})).fit(X, y, **options)


def mean_loss(estimator, X, y, sample_weight=None):
    """The mean loss of the head, from the predictions alone."""
    if isinstance(estimator, MLPClassifier):
        log_p = estimator.predict_log_proba(X)[
            np.arange(len(y)), np.searchsorted(["a", "b", "c"], y)
        ]
        return np.average(-log_p, weights=sample_weight)
    return 0.5 * np.average((y - estimator.predict(X)) ** 2, weights=sample_weight)


# -------------------- the rows set aside


def set_aside(y, **parameters):
    """The targets that an epoch is validated on, and the number of rows it trains on."""
    seen = []

    def scoring(*arguments):
        seen.append(arguments[-1])
        return 0.0

    kind = MLPClassifier if np.asarray(y).dtype.kind in "iU" else MLPRegressor
    estimator = quick(kind, max_iter=1, batch_size="auto", early_stopping=True, scoring=scoring)
    estimator.set_params(**parameters).fit(data(kind)[0][: len(y)], y)
    return list(seen[-1]), estimator.t_


@pytest.mark.parametrize("n", [4, 5, 19, 20, 21, 30, 31])
def test_a_tenth_is_set_aside_but_two_of_few_rows(n):
    validation, n_training = set_aside(np.arange(float(n)))
    assert len(set(validation)) == len(validation) == max(2, int(np.ceil(0.1 * n)))
    assert n_training == n - len(validation)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([0, 0, 0, 1, 1, 1], [0, 1]),  # a share of each class
        ([0, 0, 0, 0, 1], [0, 0]),  # a class's only row stays
        ([0] * 4, [0, 0]),
    ],
)
def test_few_rows_are_set_aside_by_class(y, expected):
    validation, n_training = set_aside(y)
    assert sorted(validation) == expected
    assert n_training == len(y) - 2


@pytest.mark.parametrize("y", [[0, 0, 1, 2], [0, 1, 2, 3, 4], [0, 0, 1, 1, 2, 2]])
def test_two_rows_are_set_aside_where_no_share_of_each_class_can_be(y):
    validation, n_training = set_aside(y)
    assert len(validation) == 2
    assert n_training == len(y) - 2


@pytest.mark.parametrize(
    ("y", "fraction", "told"),
    [
        ([0, 1], 0.5, "0.5 of 2 samples is 1"),
        ([0, 0, 1], 0.1, "0.1 of 3 samples is 1"),
        ([0.0], 0.9, "0.9 of 1 samples is 1"),
        ([0, 0, 0, 1], 0.9, "0.9 of 4 samples is 4"),
    ],
)
def test_the_count_of_a_validation_set_too_small_is_true(y, fraction, told):
    with pytest.raises(ValueError, match=f"validation_fraction={told}, but it takes 2") as caught:
        set_aside(y, validation_fraction=fraction)
    small, large = "too small", "No sample is left to train on"
    assert (small in str(caught.value)) == (len(y) < 4)
    assert (large in str(caught.value)) == (len(y) == 4)
    assert ("raise validation_fraction" in str(caught.value)) == (len(y) == 3)
    assert ("lower validation_fraction" in str(caught.value)) == (len(y) == 4)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_zero_weight_are_not_counted_as_samples(kind):
    X, y, *_ = data(kind)
    model = quick(kind, early_stopping=True)
    with pytest.raises(ValueError, match=r"0\.1 of 2 samples of positive weight is 1, but"):
        model.fit(X, y, np.arange(len(y)) < 2)


def test_a_batch_is_counted_among_the_rows_that_stay_to_train_on():
    model = quick(MLPRegressor, early_stopping=True, normalization="batch", batch_size="auto")
    with pytest.raises(
        ValueError, match=r"needs 2 samples or more in a batch, got 1 sample \(of 1"
    ):
        model.set_params(validation_fraction=0.5).fit(np.eye(3), np.arange(3.0))


# -------------------- a warning of the data


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("way", ["set aside", "given", "given, scored"])
def test_a_column_of_targets_is_warned_of_once_a_fit(way, solver, kind):
    X, y, X_val, y_val = data(kind)
    columns = {"y": y[:, None]} | ({} if way == "set aside" else {"y_val": y_val[:, None]})
    given = {"y": y} | ({} if way == "set aside" else {"X_val": X_val, "y_val": y_val})
    scoring = {"scoring": "accuracy" if kind is MLPClassifier else "r2"} if "scored" in way else {}
    model = quick(kind, solver=solver, early_stopping=way == "set aside", **scoring)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, **(given | columns))
    (warning,) = caught
    assert warning.filename == __file__
    assert "column-vector" in str(warning.message)
    expected = clone(model).fit(X, **given)
    assert model.history_ == expected.history_


def test_few_rows_of_many_classes_are_warned_of_by_no_epoch():
    X = np.random.RandomState(0).normal(size=(60, 3))
    y = np.arange(60) % 20
    quick(MLPClassifier, early_stopping=True, validation_fraction=0.4).fit(X, y)


# -------------------- a validation set of one's own


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_scores_of_every_epoch_are_those_of_the_model_at_its_end(is_weighted, solver, kind):
    X, y, X_val, y_val = data(kind)
    w, w_val = (weights(len(y)), weights(len(y_val), 2)) if is_weighted else (None, None)
    given = {"sample_weight": w, "X_val": X_val, "y_val": y_val, "sample_weight_val": w_val}
    scoring = "accuracy" if kind is MLPClassifier else "r2"
    model = quick(kind, solver=solver, max_iter=6, scoring=scoring).fit(X, y, **given)
    history = pd.DataFrame(model.history_)
    assert len(history) == model.n_iter_ == 6
    assert list(history["loss"]) == model.loss_curve_
    assert list(history["validation_score"]) == model.validation_scores_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_iter_ == 1 + np.argmax(model.validation_scores_)
    for epoch, ended in enumerate(at_every_epoch(model, X, y, **given)):
        row = history.loc[epoch]
        assert row["score"] == pytest.approx(ended.score(X, y, w))
        assert row["validation_score"] == pytest.approx(ended.score(X_val, y_val, w_val))
        assert row["validation_loss"] == pytest.approx(mean_loss(ended, X_val, y_val, w_val))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_being_validated_changes_no_number(solver, kind):
    X, y, X_val, y_val = data(kind)
    alone = quick(kind, solver=solver).fit(X, y)
    watched = quick(kind, solver=solver, scoring="loss").fit(X, y, X_val=X_val, y_val=y_val)
    for a, b in zip(alone.coefs_, watched.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    assert alone.loss_curve_ == watched.loss_curve_
    assert alone.validation_scores_ is None
    assert alone.best_validation_score_ is None
    assert set(alone.history_) == {"loss"} | ({"learning_rate"} if solver != "lbfgs" else set())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_early_stopping_stops_on_the_set_that_was_given(solver, kind):
    X, y, X_val, y_val = data(kind, n=40)
    settings = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 400, "alpha": 0}
    model = quick(kind, solver=solver, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.fit(X, y, X_val=X_val, y_val=y_val)
    scores = model.validation_scores_
    assert model.n_iter_ == len(scores) < 400
    best, waited = -np.inf, 0
    for epoch, score in enumerate(scores, 1):  # the rule, written out
        waited = 0 if score >= best + model.tol else waited + 1
        best = max(best, score)
        assert (waited > 3) == (epoch == len(scores))
    assert model.score(X_val, y_val) == pytest.approx(max(scores))
    assert model.best_loss_ is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_restore_best_keeps_the_best_epoch_without_stopping(solver, kind):
    X, y, X_val, y_val = data(kind, n=40)
    settings = {"solver": solver, "alpha": 0, "max_iter": 60, "n_iter_no_change": np.inf}
    settings |= {"hidden_layer_sizes": (40,), "learning_rate_init": 0.1}
    model = quick(kind, restore_best=True, scoring="loss", tol=0, **settings)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert model.n_iter_ == 60 or solver == "lbfgs"
    assert model.best_iter_ < model.n_iter_
    assert -mean_loss(model, X_val, y_val) == pytest.approx(model.best_validation_score_)
    last = quick(kind, scoring="loss", tol=0, **settings).fit(X, y, X_val=X_val, y_val=y_val)
    assert last.history_ == model.history_
    assert -mean_loss(last, X_val, y_val) == pytest.approx(last.validation_scores_[-1])
    assert last.validation_scores_[-1] < model.best_validation_score_


@pytest.mark.parametrize("kind", KINDS)
def test_groups_stay_together_in_a_set_of_ones_own(kind):
    X, y, _, _ = data(kind)
    groups = np.repeat(np.arange(30), 3)
    train, test = next(GroupShuffleSplit(1, random_state=0).split(X, y, groups))
    model = quick(kind).fit(X[train], y[train], X_val=X[test], y_val=y[test])
    assert model.validation_scores_[-1] == pytest.approx(model.score(X[test], y[test]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csc_matrix, pd.DataFrame])
def test_a_validation_set_may_come_in_another_container(container, kind):
    X, y, X_val, y_val = data(kind)
    given = {"X_val": X_val, "y_val": y_val}
    plain = quick(kind).fit(X, y, **given)
    if container is pd.DataFrame:
        model = quick(kind).fit(container(X), y, X_val=container(X_val), y_val=pd.Series(y_val))
    else:
        model = quick(kind).fit(X, y, **(given | {"X_val": container(X_val)}))
    np.testing.assert_allclose(model.validation_scores_, plain.validation_scores_)


WRONG = {
    "no targets": ({"y_val": None}, "X_val is given without y_val"),
    "no inputs": ({"X_val": None}, "y_val is given without X_val"),
    "another width": ({"X_val": np.ones((90, 5))}, "5 features"),
    "another length": ({"X_val": np.ones((89, 6))}, "89"),
    "NaN": ({"X_val": np.full((90, 6), np.nan)}, "NaN"),
    "no weight": ({"sample_weight_val": np.zeros(90)}, "0 rows that count"),
    "negative weight": ({"sample_weight_val": -np.ones(90)}, "-1"),
    "short weights": ({"sample_weight_val": np.ones(89)}, "89"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", WRONG)
def test_wrong_validation_data_are_refused_in_one_sentence(fault, kind):
    X, y, X_val, y_val = data(kind)
    change, expected = WRONG[fault]
    model = quick(kind)
    with pytest.raises(ValueError, match=expected) as caught:
        model.fit(X, y, **({"X_val": X_val, "y_val": y_val} | change))
    assert "\n" not in str(caught.value)
    assert vars(model) == vars(quick(kind))


def test_weights_without_a_validation_set_and_unknown_classes_are_refused():
    X, y, X_val, _ = data(MLPClassifier)
    with pytest.raises(ValueError, match="sample_weight_val is given without"):
        quick(MLPClassifier).fit(X, y, sample_weight_val=np.ones(90))
    with pytest.raises(ValueError, match=r"X_val and y_val: .*classes not in"):
        quick(MLPClassifier).fit(X, y, X_val=X_val, y_val=np.full(90, "d"))
    with pytest.raises(ValueError, match="1 rows that count, but the score takes 2"):
        quick(MLPRegressor).fit(X, np.arange(90.0), X_val=X[:1], y_val=[1.0])


# -------------------- scores


def third_of_the_loss(estimator, X, y):
    return -mean_loss(estimator, X, y) / 3


SCORES = [
    (MLPClassifier, None, lambda m, X, y, w: accuracy_score(y, m.predict(X), sample_weight=w)),
    (MLPRegressor, None, lambda m, X, y, w: r2_score(y, m.predict(X), sample_weight=w)),
    (MLPClassifier, "loss", lambda m, X, y, w: -mean_loss(m, X, y, w)),
    (MLPRegressor, "loss", lambda m, X, y, w: -mean_loss(m, X, y, w)),
    (MLPClassifier, "roc_auc_ovr", get_scorer("roc_auc_ovr")),
    (MLPRegressor, "neg_mean_absolute_error", get_scorer("neg_mean_absolute_error")),
    (MLPClassifier, get_scorer("neg_log_loss"), get_scorer("neg_log_loss")),
    (MLPRegressor, third_of_the_loss, lambda m, X, y, w: third_of_the_loss(m, X, y)),
]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("is_weighted", [False, True])
@pytest.mark.parametrize(("kind", "scoring", "score"), SCORES)
def test_scoring_is_the_score_of_the_model_as_it_is(kind, scoring, score, is_weighted, solver):
    X, y, X_val, y_val = data(kind)
    w = weights(len(y)) if is_weighted else None
    model = quick(kind, solver=solver, scoring=scoring)
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
    if scoring is third_of_the_loss and is_weighted:  # it takes no weights, but nor 0 for a row
        X_val, y_val = X_val[w > 0], y_val[w > 0]
    is_scorer = hasattr(score, "_sign")
    found = score(model, X_val, y_val, **{"sample_weight" if is_scorer else "w": w})
    assert model.validation_scores_[-1] == pytest.approx(found)


@pytest.mark.parametrize("kind", KINDS)
def test_without_validation_a_score_is_that_of_the_training_rows(kind):
    X, y, _, _ = data(kind)
    model = quick(kind, scoring="loss").fit(X, y)
    assert set(model.history_) == {"loss", "score", "learning_rate"}
    assert model.history_["score"][-1] == pytest.approx(-mean_loss(model, X, y))
    assert model.validation_scores_ is None


def test_a_scorer_is_given_classes_and_arrays_without_names_to_compare():
    seen = []

    def scorer(estimator, X, y):
        seen.append((type(X), set(y)))
        estimator.predict_proba(X)
        return 0.0

    X, y, _, _ = data(MLPClassifier)
    frame = pd.DataFrame(X, columns=list("pqrstu"))
    model = quick(MLPClassifier, scoring=scorer, early_stopping=True, max_iter=2).fit(frame, y)
    assert seen == [(np.ndarray, {"a", "b", "c"})] * 4
    assert list(model.feature_names_in_) == list("pqrstu")


def test_a_score_that_is_no_number_and_a_name_that_is_none_are_refused():
    X, y, X_val, y_val = data(MLPRegressor)
    model = quick(MLPRegressor, scoring=lambda *arguments: "good")
    with pytest.raises(ValueError, match="scoring must return one number, got 'good'"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    with pytest.raises(ValueError, match="'accuracies' is no scorer"):
        quick(MLPRegressor, scoring="accuracies").fit(X, y, X_val=X_val, y_val=y_val)


@pytest.mark.parametrize("number", [np.asarray(0.5), np.float32(0.5), Fraction(1, 2), True, 1])
def test_a_score_of_any_kind_of_number_is_taken(number):
    X, y, X_val, y_val = data(MLPRegressor)
    model = quick(MLPRegressor, scoring=lambda estimator, X, y: number)
    assert set(model.fit(X, y, X_val=X_val, y_val=y_val).validation_scores_) == {float(number)}


@pytest.mark.parametrize(
    "found", [None, [0.5], np.ones(1), np.ones(2), {"a": 1.0}, "good", 1j, np.array(None)], ids=repr
)
@pytest.mark.parametrize("where", ["scoring", "callback"])
def test_what_is_no_score_is_told_with_the_function(where, found):
    X, y, _, _ = data(MLPRegressor)

    def odd(estimator, X, y):  # noqa: ARG001
        return found

    model = quick(MLPRegressor, **({"scoring": odd} if where == "scoring" else {}))
    if where == "callback":
        pytest.importorskip("sklearn.callback")
        model.set_callbacks(EarlyStopping(odd))
    name = {"scoring": "scoring", "callback": "metric"}[where]
    told = rf"^{name} must return one number, got .* of .*odd\(estimator, X, y\)\.$"
    with pytest.raises(ValueError, match=told):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


def test_what_a_scorer_raises_is_told_and_chained():
    X, y, _, _ = data(MLPClassifier)

    def odd(estimator, X, y):  # noqa: ARG001
        return X["age"]

    for scoring, kind in ((odd, IndexError), ("f1", ValueError)):
        with pytest.raises(ValueError, match=f"^scoring must .*raised {kind.__name__}: ") as told:
            quick(MLPClassifier, scoring=scoring).fit(X, y)
        assert isinstance(told.value.__cause__, kind)


@pytest.mark.parametrize("metric", [accuracy_score, lambda y, predicted: 0.0, lambda: 0.0])
def test_a_metric_is_no_scorer_and_refused_before_any_work(metric):
    X, y, _, _ = data(MLPRegressor)
    told = r"'scoring' .* function of \(estimator, X, y\), got .*make_scorer makes a scorer"
    with pytest.raises(ValueError, match=told):
        quick(MLPRegressor, scoring=metric).fit(X, y)


def lacking(kind):
    """Rows of three classes, or of two, and rows to validate on that lack one of them."""
    X, y, X_val, y_val = data(MLPClassifier)
    if kind == "three":
        return X, y, X_val[y_val != "b"], y_val[y_val != "b"]
    y, y_val = (np.where(each == "a", 0, 1) for each in (y, y_val))
    return X, y, X_val[y_val == int(kind)], y_val[y_val == int(kind)]


WITH_LABELS = {  # scikit-learn's own metrics, told all classes
    "neg_log_loss": lambda y, p, names: -log_loss(y, p, labels=names),
    "top_k_accuracy": lambda y, p, names: top_k_accuracy_score(y, p, labels=names),
}
if "labels" in signature(brier_score_loss).parameters:
    WITH_LABELS["neg_brier_score"] = lambda y, p, names: -brier_score_loss(y, p, labels=names)


@pytest.mark.parametrize("scoring", WITH_LABELS)
@pytest.mark.parametrize("is_weighted", [True, False])
def test_scores_of_rows_that_lack_a_class_are_computed_with_all(is_weighted, scoring):
    X, y, X_val, y_val = lacking("three")
    w = weights(len(y_val)) + 1 if is_weighted else None
    model = quick(MLPClassifier, scoring=scoring)
    # the rows that train on have all classes; of the last epoch, with the last parameters
    model.fit(X, y, X_val=X_val, y_val=y_val, sample_weight_val=w)
    p, names = model.predict_proba(X_val), model.classes_
    metric = WITH_LABELS[scoring]
    if is_weighted:
        repeated = np.repeat(np.arange(len(y_val)), w.astype(int))
        y_val, p = y_val[repeated], p[repeated]
    np.testing.assert_allclose(model.validation_scores_[-1], metric(y_val, p, names), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.*class.*:UserWarning")
@pytest.mark.parametrize(
    ("scoring", "kind", "missing"),
    [
        ("roc_auc", "0", "class 1"),
        ("roc_auc", "1", "class 0"),
        ("average_precision", "0", "class 1"),
        ("average_precision", "three", "class 'b'"),
        ("roc_auc_ovr", "three", "class 'b'"),
    ],
)
def test_a_score_that_cannot_be_computed_names_the_class_before_any_work(scoring, kind, missing):
    X, y, X_val, y_val = lacking(kind)
    random = np.random.RandomState(0)
    model = quick(MLPClassifier, scoring=scoring, random_state=random)
    told = rf"scoring='{scoring}' cannot be computed on the validation rows, where {missing} is mis"
    with pytest.raises(ValueError, match=told):
        model.fit(X, y, X_val=X_val, y_val=y_val)
    assert not hasattr(model, "coefs_")


def test_a_rare_class_that_stays_in_training_is_named():
    X, y, _, _ = data(MLPClassifier)
    y = np.r_[["rare"], y[1:]]
    model = quick(MLPClassifier, early_stopping=True, scoring="roc_auc_ovr")
    with pytest.raises(ValueError, match="where class 'rare' is missing"):
        model.fit(X, y)
    for scoring in ("neg_log_loss", "balanced_accuracy", "f1_macro", "loss", None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.isfinite(model.set_params(scoring=scoring).fit(X, y).validation_scores_).all()


def test_a_label_that_is_the_same_in_every_row_is_named():
    X, y, X_val, y_val = data(MLPClassifier)
    Y, Y_val = (np.c_[each == "a", each == "b"].astype(int) for each in (y, y_val))
    rows = y_val != "b"
    with pytest.raises(ValueError, match="where label 1 is the same in every row"):
        quick(MLPClassifier, scoring="roc_auc").fit(X, Y, X_val=X_val[rows], y_val=Y_val[rows])


def test_a_part_of_a_stream_may_lack_a_class():
    X, y, _, _ = data(MLPClassifier)
    model = quick(MLPClassifier, scoring="neg_log_loss")
    model.partial_fit(X[y == "a"], y[y == "a"], classes=["a", "b", "c"])
    assert np.isfinite(model.history_["score"]).all()


def test_a_scorer_is_asked_no_more_often_where_no_class_is_missing():
    X, y, X_val, y_val = data(MLPClassifier)
    asked = []

    def counted(estimator, X, y):  # noqa: ARG001
        asked.append(len(y))
        return 0.5

    quick(MLPClassifier, scoring=counted, max_iter=4).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(asked) == 8


def test_the_score_that_stops_is_the_one_asked_for():
    X, y, X_val, y_val = data(MLPClassifier, n=40)
    settings = {"early_stopping": True, "max_iter": 300, "n_iter_no_change": 3}
    by_loss = quick(MLPClassifier, scoring="loss", **settings)
    by_loss.fit(X, y, X_val=X_val, y_val=y_val)
    by_accuracy = quick(MLPClassifier, **settings).fit(X, y, X_val=X_val, y_val=y_val)
    assert by_loss.best_iter_ != by_accuracy.best_iter_
    losses = by_loss.history_["validation_loss"]
    assert by_loss.best_iter_ == 1 + np.argmin(losses)
    assert by_loss.validation_scores_ == [-loss for loss in losses]


def test_nan_scores_are_never_the_best():
    X, y, X_val, y_val = data(MLPRegressor)
    scores = iter([1.0, 5.0, np.nan, 3.0, *[np.nan] * 50])
    model = quick(
        MLPRegressor, scoring=lambda e, X, y: next(scores) if len(y) == 80 else 0, max_iter=20
    ).set_params(early_stopping=True, n_iter_no_change=4)
    model.fit(X, y, X_val=X_val[:80], y_val=y_val[:80])
    assert model.n_iter_ == 7
    assert model.best_iter_ == 2
    assert model.best_validation_score_ == 5.0


# -------------------- within scikit-learn


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_transforms_the_validation_inputs_too(kind):
    X, y, X_val, y_val = data(kind)
    scaler = StandardScaler().fit(100 * X + 7)
    plain = quick(kind).fit(
        scaler.transform(100 * X + 7), y, X_val=scaler.transform(100 * X_val + 7), y_val=y_val
    )
    with config_context(enable_metadata_routing=True):
        network = quick(kind).set_fit_request(X_val=True, y_val=True)
        steps = [("scale", StandardScaler()), ("network", network)]
        pipeline = Pipeline(steps, transform_input=["X_val"])
        pipeline.fit(100 * X + 7, y, X_val=100 * X_val + 7, y_val=y_val)
    assert pipeline[-1].validation_scores_ == plain.validation_scores_


@pytest.mark.parametrize("kind", KINDS)
def test_history_is_of_the_last_fit_and_the_curve_of_all(kind):
    X, y, X_val, y_val = data(kind)
    model = quick(kind, warm_start=True, max_iter=5).fit(X, y)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.loss_curve_) == 10
    assert {len(column) for column in model.history_.values()} == {5}
    assert model.loss_curve_[5:] == model.history_["loss"]
    assert len(model.validation_scores_) == 5
