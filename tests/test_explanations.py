"""Explanations, against differences, coefficients and integrals that are computed otherwise."""

import warnings
from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.integrate import quad_vec
from scipy.sparse import csr_matrix
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_selection import (
    RFE,
    RFECV,
    SelectFromModel,
    SelectKBest,
    VarianceThreshold,
    f_regression,
)
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

from skmlp import Head, MLPClassifier, MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.heads import HEADS, Gaussian, GaussianMixture, Ordinal, Quantile, StudentT
from skmlp.inspection import (
    WithImportances,
    feature_importances,
    importances_on,
    input_gradients,
    integrated_gradients,
)
from skmlp.inspection.asked import derivative
from skmlp.inspection.paths import RULE_OF_7, RULE_OF_13, Lines, mean_slopes
from skmlp.tabular import TabularMLPClassifier, TabularMLPRegressor
from skmlp.tabular.calibration import Blend
from skmlp.tabular.transform import Transform

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 5))
SIGNAL = np.abs(X[:, 1]) + X[:, 3] * X[:, 4]
CLASSES = np.digitize(SIGNAL, [0.3, 1.0])
WORDS = np.array(["low", "middle", "high"])[CLASSES]
POSITIVE = np.exp(SIGNAL / 3)
COUNTS = np.round(np.exp(SIGNAL / 2))
SMOOTH = [name for name in ACTIVATIONS if name != "hard_threshold"]


def fitted(y=SIGNAL, kind=MLPRegressor, X=X, **settings):
    settings = {"hidden_layer_sizes": (8,), "activation": "tanh", "max_iter": 15} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(random_state=0, learning_rate_init=0.02, **settings).fit(X, y)


def by_differences(f, X, step=1e-5):
    """The slopes of a function of rows, by central differences: (n, features, ...)."""
    moves = step * np.eye(X.shape[1])
    points = np.concatenate([X[:, None] + moves, X[:, None] - moves], axis=1)
    answers = f(points.reshape(-1, X.shape[1]))
    ahead, behind = np.split(answers.reshape(*points.shape[:2], *answers.shape[1:]), 2, axis=1)
    return (ahead - behind) / (2 * step)


def assert_slopes(found, f, X, step=1e-5):
    expected = by_differences(f, X, step)
    assert found.shape == expected.shape
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-7 * np.abs(expected).max())


# == what the slopes are of ========================================================================


def targets_of(name):
    """Every target of a head, with what it means in words of the estimator."""
    head = HEADS[name]()
    if "numbers" in head.targets:
        yield None, lambda model, X: model.predict(X)
        if head.has_distribution:
            yield "mean", lambda model, X: model.predict_distribution(X).mean()
            yield "std", lambda model, X: model.predict_distribution(X).std()
        if head.has_quantiles and "poisson" not in name and "binomial" not in name:
            yield 0.5, lambda model, X: model.predict_quantiles(X, 0.5)
    else:
        yield 1, lambda model, X: _proba(model, X)[:, 1]
        yield 0, lambda model, X: _proba(model, X)[:, 0]
        if head.has_probabilities:
            yield ("probability", 1), lambda model, X: model.predict_proba(X)[:, 1]
            yield ("log_probability", 0), lambda model, X: model.predict_log_proba(X)[:, 0]
            yield ("log_probability", 1), lambda model, X: model.predict_log_proba(X)[:, 1]
    yield ("raw", None), lambda model, X: model._raw(X)[1]


def _proba(model, X):
    has_probabilities = model.head_.has_probabilities
    return model.predict_proba(X) if has_probabilities else model.decision_function(X)


def of_head(name, n_targets=1):
    kind = HEADS[name]
    if "numbers" in kind.targets:
        y = COUNTS if name in ("poisson", "negative_binomial") else POSITIVE
        y = np.stack([y, np.roll(y, 1)], axis=1) if n_targets == 2 else y
        return fitted(y, head=name)
    y = CLASSES if "multiclass" in kind.targets else CLASSES > 1
    return fitted(y, MLPClassifier, head=name)


CASES = [(name, target, f) for name in HEADS for target, f in targets_of(name)]


@pytest.mark.parametrize(("name", "target", "f"), CASES, ids=lambda x: str(x)[:30])
def test_slopes_are_those_of_the_answer(name, target, f):
    model = of_head(name)
    assert_slopes(input_gradients(model, X[:20], target), lambda X: f(model, X), X[:20])


@pytest.mark.parametrize("name", [n for n in HEADS if "numbers" in HEADS[n].targets])
def test_several_outputs_have_an_axis(name):
    model = of_head(name, n_targets=2)
    found = input_gradients(model, X[:5])
    assert found.shape == (5, 5, 2)
    assert_slopes(found, model.predict, X[:5])
    if HEADS[name]().has_distribution:
        std = input_gradients(model, X[:5], "std")
        assert_slopes(std, lambda X: model.predict_distribution(X).std(), X[:5])


@pytest.mark.parametrize("y", [SIGNAL, np.stack([SIGNAL, X[:, 0]], axis=1)])
def test_several_quantiles_have_a_further_axis(y):
    model = fitted(y, head=Quantile([0.1, 0.5, 0.9]))
    assert_slopes(input_gradients(model, X[:9]), model.predict, X[:9])
    assert_slopes(
        input_gradients(model, X[:9], 0.9), lambda X: model.predict_quantiles(X, 0.9), X[:9]
    )


@pytest.mark.parametrize("head", [Gaussian(), StudentT(4), GaussianMixture(2)])
@pytest.mark.parametrize("level", [0.05, 0.6])
@pytest.mark.parametrize("unit", [(0.0, 1.0), (1e4, 3.0), (0.0, 1e-5)])
def test_quantiles_have_slopes_in_any_unit(head, level, unit):
    model = fitted(unit[0] + unit[1] * SIGNAL, head=head, initial_output="data")
    found = input_gradients(model, X[:6], level)
    assert_slopes(found, lambda X: model.predict_quantiles(X, level), X[:6], step=1e-4)


@pytest.mark.parametrize("head", ["logistic", "softmax", "ordinal", "hinge"])
@pytest.mark.parametrize("y", [WORDS, CLASSES > 0, CLASSES + 5])
def test_without_a_target_it_is_the_predicted_class(head, y):
    if head == "ordinal" and y is WORDS:
        head = Ordinal(classes=["low", "middle", "high"])
    y = np.where(y == "low", "low", "high") if head == "logistic" and y is WORDS else y
    y = y > 6 if head == "logistic" and y.dtype.kind == "i" else y
    model = fitted(y, MLPClassifier, head=head)
    rows = X[:30]
    found = input_gradients(model, rows)
    for row, label in enumerate(model.predict(rows)):
        expected = input_gradients(model, rows[[row]], label)
        np.testing.assert_allclose(found[[row]], expected, rtol=1e-9, atol=1e-12)
    if head != "hinge":
        places = [list(model.classes_).index(label) for label in model.predict(rows)]
        one = integrated_gradients(model, rows).answer
        proba = model.predict_proba(rows)[np.arange(len(rows)), places]
        np.testing.assert_allclose(one, proba, rtol=1e-9)


def test_of_two_classes_raw_is_the_log_odds_of_each():
    model = fitted(CLASSES > 1, MLPClassifier)
    of_true, of_false = (input_gradients(model, X[:9], ("raw", c)) for c in (True, False))
    np.testing.assert_array_equal(of_true, -of_false)

    def log_odds(X):
        return model.predict_log_proba(X)[:, 1] - model.predict_log_proba(X)[:, 0]

    assert_slopes(of_true, log_odds, X[:9])


@pytest.mark.parametrize("head", ["logistic", "softmax", "ordinal"])
def test_of_one_class_nothing_changes(head):
    model = fitted(np.ones(len(X)), MLPClassifier, head=head)
    for target in (None, 1.0, ("log_probability", 1.0)):
        np.testing.assert_array_equal(input_gradients(model, X[:4], target), 0)
    assert np.all(integrated_gradients(model, X[:4]).answer == 1)


def test_labels_have_an_axis():
    Y = np.stack([SIGNAL > 1, X[:, 0] > 0, X[:, 1] > 0], axis=1).astype(int)
    model = fitted(Y, MLPClassifier)
    found = input_gradients(model, X[:9])
    assert found.shape == (9, 5, 3)
    assert_slopes(found, model.predict_proba, X[:9])
    np.testing.assert_array_equal(input_gradients(model, X[:9], 1), found[..., 1])
    logs = input_gradients(model, X[:9], ("log_probability", 2))
    assert_slopes(logs, lambda X: model.predict_log_proba(X)[:, 2], X[:9])


class Scored(Head):
    """A head of one's own whose prediction the engine cannot trace."""

    def loss(self, raw, y):
        return 0.5 * np.sum(np.square(raw - y), axis=1)

    def predict(self, raw):
        return np.array([[float(np.sinh(x)) for x in row] for row in raw])


def test_what_is_not_traced_is_differentiated_numerically():
    model = fitted(head=Scored())
    assert_slopes(input_gradients(model, X[:5]), model.predict, X[:5])


@pytest.mark.parametrize(
    ("f", "slope"),
    [(np.exp, np.exp), (np.sin, np.cos), (np.arctan, lambda x: 1 / (1 + x**2)), (abs, np.sign)],
)
def test_differences_have_nine_digits(f, slope):
    at = np.linspace(-3, 3, 40)
    found = derivative(lambda h: f(at + h), np.maximum(1, np.abs(at)))
    np.testing.assert_allclose(found, slope(at), rtol=1e-8, atol=1e-9)


# == slopes through anything =======================================================================


@pytest.mark.parametrize("name", SMOOTH)
def test_slopes_of_every_activation(name):
    model = fitted(activation=name, hidden_layer_sizes=(6, 4))
    assert_slopes(input_gradients(model, X[:20]), model.predict, X[:20], 1e-6)


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (6, 6, 6), "residual": True},
        {"hidden_layer_sizes": (6, 6), "normalization": "layer"},
        {"hidden_layer_sizes": (6, 6), "normalization": "batch"},
        {"initial_output": "data"},
        {"activation": "rbf"},
    ],
    ids=str,
)
def test_slopes_of_every_network(settings):
    model = fitted(100 + 50 * SIGNAL, **settings)
    assert_slopes(input_gradients(model, X[:20]), model.predict, X[:20])


def test_a_network_of_float32_is_differentiated_in_float64():
    single, double = fitted(dtype="float32"), fitted()
    for name in ("coefs_", "intercepts_"):
        setattr(double, name, [np.asarray(x, np.float64) for x in getattr(single, name)])
    found = input_gradients(single, X)
    np.testing.assert_allclose(found, input_gradients(double, X), rtol=1e-12)


@pytest.mark.parametrize("y", [SIGNAL, np.stack([SIGNAL, X[:, 0]], axis=1)])
def test_of_a_linear_network_slopes_are_coefficients(y):
    model = fitted(y, hidden_layer_sizes=())
    expected = model.coefs_[0] if y.ndim == 2 else model.coefs_[0][:, 0]
    found = input_gradients(model, X)
    np.testing.assert_array_equal(found, np.broadcast_to(expected, found.shape))


def test_parameters_that_are_edited_are_those_that_count():
    model = fitted()
    model.coefs_[0][2] = 0
    found = input_gradients(model, X)
    assert np.all(found[:, 2] == 0)
    assert np.all(found[:, 1] != 0)


def test_sparse_rows_and_data_frames_are_the_same():
    pd = pytest.importorskip("pandas")
    model = fitted()
    expected = input_gradients(model, X)
    np.testing.assert_array_equal(input_gradients(model, csr_matrix(X)), expected)
    names = [f"column {i}" for i in range(5)]
    table = pd.DataFrame(X, columns=names)
    model = fitted(X=table)
    np.testing.assert_allclose(input_gradients(model, table), expected, rtol=1e-12)
    assert integrated_gradients(model, table).feature_names.tolist() == names


def test_many_rows_go_in_blocks(monkeypatch):
    model = fitted()
    expected, attributed = input_gradients(model, X), integrated_gradients(model, X)
    monkeypatch.setattr("skmlp.inspection.explained._NUMBERS_AT_ONCE", 350)
    monkeypatch.setattr("skmlp.inspection.paths._NUMBERS_AT_ONCE", 350)
    np.testing.assert_allclose(input_gradients(model, X), expected, rtol=1e-12)
    np.testing.assert_allclose(integrated_gradients(model, X).values, attributed.values, atol=1e-12)
    np.testing.assert_allclose(
        integrated_gradients(model, X.tolist()).values, attributed.values, atol=1e-12
    )


# == attributions ==================================================================================


def plainly(model, row, start, kinks=None):
    """Attributions by an adaptive integral of slopes by differences, all of it of `predict`."""

    def slopes(t):
        return by_differences(model.predict, (start + t * (row - start))[None])[0]

    return (row - start) * quad_vec(slopes, 0, 1, epsabs=1e-8, points=kinks)[0]


@pytest.mark.parametrize("name", ["tanh", "gelu", "gaussian", "logistic", "identity"])
@pytest.mark.parametrize("hidden", [(8,), (6, 4)])
def test_attributions_are_integrals_of_slopes(name, hidden):
    model = fitted(activation=name, hidden_layer_sizes=hidden)
    found = integrated_gradients(model, X[:3], baseline=X[7])
    for row, values in zip(X[:3], found.values, strict=True):
        np.testing.assert_allclose(values, plainly(model, row, X[7]), atol=1e-7)


@pytest.mark.parametrize(("name", "places"), [("relu", [0]), ("elu", [0]), ("hard_tanh", [-1, 1])])
@pytest.mark.parametrize("units", [8, 40])
def test_attributions_are_integrals_of_slopes_with_kinks(name, places, units):
    model = fitted(activation=name, hidden_layer_sizes=(units,))
    found = integrated_gradients(model, X[:4], baseline=X[7])
    for row, values in zip(X[:4], found.values, strict=True):
        before, after = (x @ model.coefs_[0] + model.intercepts_[0] for x in (X[7], row))
        kinks = np.concatenate([(place - before) / (after - before) for place in places])
        kinks = np.sort(kinks[(kinks > 0) & (kinks < 1)])
        np.testing.assert_allclose(values, plainly(model, row, X[7], kinks), atol=1e-6)


@pytest.mark.parametrize("apart", [0.0, 1e-9, 1e-6, 1e-4, 3e-3, 0.02])
@pytest.mark.parametrize("place", [1e-5, 0.1234, 0.387, 0.9999])
@pytest.mark.parametrize("jumps", [(-0.13, 1.8), (1.0, -1.0), (1.0, 1e-3)])
def test_kinks_that_are_close_are_found(apart, place, jumps):
    """Two units turn on one after the other; what each column has of it is known."""
    kinks = np.array([place, place + apart])
    weights = np.array([[1.0, -2.0], [3.0, 0.5]])  # of the columns, for both units

    def slopes(z):
        t = z @ [0.5, 0.5]
        is_on = t[:, None] > kinks
        return (is_on * jumps / weights.sum(axis=0)) @ weights.T

    def values(z, _):
        t = z @ [0.5, 0.5]
        return np.maximum(t[:, None] - kinks, 0) @ jumps

    def function(z, column):
        return values(z, column), slopes(z)

    lines = Lines(np.zeros((1, 2)), np.ones((1, 2)), np.zeros(1, int))
    found = mean_slopes(function, values, lines, None, 1e-6)
    expected = ((1 - np.minimum(kinks, 1)) * jumps / weights.sum(axis=0)) @ weights.T
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_attributions_of_two_layers_with_kinks_are_fine_sums():
    model = fitted(activation="relu", hidden_layer_sizes=(6, 4))
    found = integrated_gradients(model, X[:3], baseline=X[7])
    t = (np.arange(100_000) + 0.5) / 100_000
    (W1, W2, W3), (b1, b2, _) = model.coefs_, model.intercepts_
    for row, values in zip(X[:3], found.values, strict=True):
        z1 = (X[7] + t[:, None] * (row - X[7])) @ W1 + b1
        z2 = np.maximum(z1, 0) @ W2 + b2
        slopes = (((z2 > 0) * W3[:, 0]) @ W2.T * (z1 > 0)) @ W1.T
        np.testing.assert_allclose(values, (row - X[7]) * slopes.mean(axis=0), atol=2e-5)


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("hidden", [(30,), (20, 20)])
def test_attributions_add_up(name, hidden):
    model = fitted(activation=name, hidden_layer_sizes=hidden)
    found = integrated_gradients(model, X[:30])
    change = model.predict(X[:30]) - model.predict(X[:30].mean(axis=0, keepdims=True))
    scale = np.maximum(np.abs(change), 1e-3 * np.abs(found.values).sum(axis=1))
    assert np.all(np.abs(found.values.sum(axis=1) - change) <= 1e-6 * scale)
    np.testing.assert_allclose(found.answer, model.predict(X[:30]), rtol=1e-12)


@pytest.mark.parametrize(("name", "target", "f"), CASES, ids=lambda x: str(x)[:30])
def test_attributions_add_up_for_every_head(name, target, f):
    model = of_head(name)
    found = integrated_gradients(model, X[:4], baseline="zero", target=target)
    change = f(model, X[:4]) - f(model, np.zeros((1, 5)))
    np.testing.assert_allclose(
        found.values.sum(axis=1), change, rtol=1e-6, atol=1e-9 * np.abs(found.values).sum()
    )
    np.testing.assert_allclose(found.answer, f(model, X[:4]), rtol=1e-9)
    np.testing.assert_allclose(found.residual, found.values.sum(axis=1) - change, atol=1e-9)


def test_of_a_linear_network_they_are_coefficient_times_distance():
    model = fitted(hidden_layer_sizes=())
    for baseline, start in [("mean", X.mean(axis=0)), ("zero", np.zeros(5)), (X[3], X[3])]:
        found = integrated_gradients(model, X, baseline)
        np.testing.assert_allclose(found.values, (X - start) * model.coefs_[0][:, 0], atol=1e-12)


def test_a_column_that_is_not_used_has_none():
    model = fitted(activation="relu")
    model.coefs_[0][2] = 0
    assert np.all(integrated_gradients(model, X).values[:, 2] == 0)


def test_several_rows_of_a_baseline_are_averaged():
    model = fitted(activation="relu")
    found = integrated_gradients(model, X[:5], baseline=X[5:9])
    each = [integrated_gradients(model, X[:5], baseline=row) for row in X[5:9]]
    np.testing.assert_allclose(found.values, np.mean([one.values for one in each], axis=0))
    np.testing.assert_allclose(found.baseline_answer, model.predict(X[5:9]).mean())


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_differences_that_cancel_raise_no_alarm(offset):
    model = fitted(offset + SIGNAL, activation="relu", initial_output="data")
    found = integrated_gradients(
        model, X[:10], baseline=np.concatenate([X[:40], 2 * X[0] - X[1:40]])
    )
    assert np.all(np.isfinite(found.values))


def test_a_row_that_is_its_baseline_has_none():
    found = integrated_gradients(fitted(activation="relu"), X[:2], baseline=X[1])
    assert np.all(found.values[1] == 0)
    assert np.any(found.values[0] != 0)


def test_more_nodes_come_nearer_and_few_warn():
    model = fitted(activation="tanh", hidden_layer_sizes=(20, 20))
    exact = integrated_gradients(model, X[:9])
    message = "The attributions of row .* do not add up .* more than tolerance=1e-06"
    with pytest.warns(UserWarning, match=message):
        coarse = integrated_gradients(model, X[:9], steps=2)
    fine = integrated_gradients(model, X[:9], steps=40)
    np.testing.assert_allclose(fine.values, exact.values, atol=1e-6)
    worst = np.argmax(np.abs(coarse.residual))
    with pytest.warns(UserWarning, match=f"row {worst}, and those of"):
        integrated_gradients(model, X[:9], steps=2)


def test_an_answer_with_jumps_does_not_add_up_and_says_so():
    model = fitted(activation="hard_threshold")
    with pytest.warns(UserWarning, match="do not add up"):
        found = integrated_gradients(model, X[:3])
    assert np.abs(found.residual).max() > 1e-3


@pytest.mark.parametrize(("rule", "fine", "coarse"), [(RULE_OF_13, 17, 9), (RULE_OF_7, 9, 5)])
def test_the_rules_are_exact_for_polynomials(rule, fine, coarse):
    for weights, exact in [(rule.fine, fine), (rule.coarse, coarse)]:
        for degree in range(exact + 1):
            assert abs(weights @ rule.nodes**degree - 1 / (degree + 1)) < 1e-13
        assert abs(weights @ rule.nodes ** (exact + 7) - 1 / (exact + 8)) > 1e-10


# == through pipelines =============================================================================

LINEAR = {
    "standard": [StandardScaler()],
    "standard without deviations": [StandardScaler(with_std=False)],
    "max abs": [MaxAbsScaler()],
    "min max": [MinMaxScaler((-1, 2))],
    "robust": [RobustScaler(quantile_range=(10, 80), unit_variance=True)],
    "robust without scaling": [RobustScaler(with_scaling=False)],
    "pca": [StandardScaler(), PCA(3)],
    "whitened": [PCA(4, whiten=True)],
    "svd": [TruncatedSVD(3)],
    "passthrough": [StandardScaler(), "passthrough"],
    "identity": [FunctionTransformer(), StandardScaler()],
    "variance threshold": [VarianceThreshold(0.5), StandardScaler()],
    "k best": [SelectKBest(f_regression, k=3), StandardScaler()],
    "nested": [make_pipeline(StandardScaler(), PCA(4)), MaxAbsScaler()],
    "columns": [
        ColumnTransformer(
            [
                ("scaled", StandardScaler(), [3, 1]),
                ("mixed", make_pipeline(MinMaxScaler(), PCA(1)), slice(0, 3)),
                ("gone", "drop", [0]),
            ],
            remainder="passthrough",
        )
    ],
}


def piped(steps, y=SIGNAL, X=X, **settings):
    settings = {"activation": "tanh", "max_iter": 10} | settings
    network = MLPRegressor((6,), random_state=0, learning_rate_init=0.02, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(*steps, network).fit(X, y)


@pytest.mark.parametrize("name", LINEAR)
def test_slopes_go_back_through_linear_steps(name):
    units = X * [1, 10, 3, 0.5, 2] + [0, 1, -5, 2, 0]
    model = piped(LINEAR[name], X=units)
    assert_slopes(input_gradients(model, units[:9]), model.predict, units[:9])
    found = integrated_gradients(model, units[:9])
    start = units[:9].mean(axis=0, keepdims=True)
    change = model.predict(units[:9]) - model.predict(start)
    np.testing.assert_allclose(found.values.sum(axis=1), change, atol=1e-7)
    np.testing.assert_allclose(found.values[0], plainly(model, units[0], start[0]), atol=1e-6)
    zero = integrated_gradients(model, units[:3], "zero")
    np.testing.assert_allclose(zero.baseline_answer, model.predict(np.zeros((3, 5))), rtol=1e-9)


def test_a_wrong_step_would_be_noticed():
    model = piped([StandardScaler()], X=10 * X)
    found = input_gradients(model, 10 * X[:9])
    model[0].scale_ = model[0].scale_ * 2
    with pytest.raises(AssertionError):
        assert_slopes(found, model.predict, 10 * X[:9])


@pytest.fixture
def table():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": rng.uniform(20, 60, size=120),
            "color": rng.choice(["red", "green", "blue", "gray"], size=120),
            "size": rng.normal(size=120),
            "city": rng.choice(["Rome", "Oslo"], size=120),
            "unused": ["a", "b"] * 60,
        }
    )


ENCODERS = {
    "plain": OneHotEncoder(sparse_output=False),
    "sparse": OneHotEncoder(),
    "first dropped": OneHotEncoder(drop="first", sparse_output=False),
    "binary dropped": OneHotEncoder(drop="if_binary", sparse_output=False),
    "rare": OneHotEncoder(max_categories=2, sparse_output=False, handle_unknown="ignore"),
}


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("behind", [[], [StandardScaler(with_mean=False)]])
def test_categories_count_for_their_columns(table, name, behind):
    columns = ColumnTransformer(
        [("words", ENCODERS[name], ["city", "color"]), ("numbers", StandardScaler(), ["age"])]
    )
    y = table["age"] * (table["color"] == "red") + (table["city"] == "Rome")
    model = piped([columns, *behind], y / 10, X=table)
    found = integrated_gradients(model, table[:20], baseline=table[50:51])
    change = model.predict(table[:20]) - model.predict(table[50:51])
    np.testing.assert_allclose(found.values.sum(axis=1), change, atol=1e-7)
    assert found.feature_names.tolist() == list(table.columns)
    is_same = (table["color"][:20] == table["color"][50]).to_numpy()
    assert np.all(found.values[is_same, 1] == 0)
    assert np.all(found.values[:, [2, 4]] == 0)
    if name != "rare":
        assert np.all(found.values[~is_same, 1] != 0)
    slopes = input_gradients(model, table[:20])
    assert np.isnan(slopes[:, [1, 3]]).all()
    assert np.all(slopes[:, [2, 4]] == 0)
    ahead, behind = table[:20].copy(), table[:20].copy()
    ahead["age"] += 1e-4
    behind["age"] -= 1e-4
    expected = (model.predict(ahead) - model.predict(behind)) / 2e-4
    np.testing.assert_allclose(slopes[:, 0], expected, rtol=1e-5, atol=1e-8)


def test_the_mean_of_a_category_is_the_share_of_its_levels(table):
    columns = ColumnTransformer([("words", OneHotEncoder(), ["color"])], remainder="drop")
    model = piped([columns], table["size"], X=table, activation="identity")
    found = integrated_gradients(model, table)
    np.testing.assert_allclose(found.baseline_answer, model.predict(table).mean(), rtol=1e-9)
    expected = model.predict(table) - model.predict(table).mean()
    np.testing.assert_allclose(found.values[:, 1], expected, atol=1e-12)


def test_a_baseline_is_a_row_of_the_table(table):
    columns = ColumnTransformer(
        [("words", OneHotEncoder(), ["color", "city"])], remainder="drop", sparse_threshold=0
    )
    model = piped([columns], table["size"], X=table)
    expected = integrated_gradients(model, table[:5], baseline=table[7:8])
    given = integrated_gradients(model, table[:5], baseline=table.iloc[7])
    np.testing.assert_array_equal(given.values, expected.values)
    with pytest.raises(ValueError, match="'zero' is none for column 'color'"):
        integrated_gradients(model, table[:5], baseline="zero")


def test_imputed_numbers_count_for_their_columns(table):
    table = table[["age", "size", "color"]].copy()
    table.loc[::4, "age"] = np.nan
    table["color"] = table["color"].astype(object)
    table.loc[1::5, "color"] = np.nan
    numbers = make_pipeline(StandardScaler(), SimpleImputer(add_indicator=True), PCA(2))
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder())
    columns = ColumnTransformer([("n", numbers, ["age", "size"]), ("w", words, ["color"])])
    y = table["age"].fillna(60) / 10 + table["size"]
    model = piped([columns], y, X=table)
    slopes = input_gradients(model, table)
    assert np.isnan(slopes[:, 2]).all()
    np.testing.assert_array_equal(np.isnan(slopes[:, 0]), table["age"].isna())
    ahead, behind = table.assign(age=table["age"] + 1e-4), table.assign(age=table["age"] - 1e-4)
    expected = (model.predict(ahead) - model.predict(behind)) / 2e-4
    is_there = table["age"].notna()
    np.testing.assert_allclose(slopes[is_there, 0], expected[is_there], rtol=1e-5, atol=1e-8)
    found = integrated_gradients(model, table[:9], baseline=table[9:10])
    change = model.predict(table[:9]) - model.predict(table[9:10])
    np.testing.assert_allclose(found.values.sum(axis=1), change, atol=1e-7)
    only = integrated_gradients(model, table[9:10], table[9:10].assign(age=np.nan))
    assert only.values[0, 0] != 0
    assert np.all(only.values[0, 1:] == 0)


def test_the_zero_of_an_imputed_column_is_its_own():
    model = piped([StandardScaler(), SimpleImputer()], X=X + 3)
    found = integrated_gradients(model, X[:3] + 3, "zero")
    np.testing.assert_allclose(found.baseline_answer, model.predict(np.zeros((3, 5))), rtol=1e-9)


def test_ordinal_codes_are_categories(table):
    columns = ColumnTransformer([("w", OrdinalEncoder(), ["color"]), ("n", "passthrough", ["age"])])
    model = piped([columns, StandardScaler()], table["age"] / 10, X=table)
    assert np.isnan(input_gradients(model, table)[:, 1]).all()
    found = integrated_gradients(model, table[:9], baseline=table[9:10])
    change = model.predict(table[:9]) - model.predict(table[9:10])
    np.testing.assert_allclose(found.values.sum(axis=1), change, atol=1e-7)


def test_columns_are_found_however_they_are_asked_for(table):
    scaled = StandardScaler()
    ways = [
        [("n", scaled, ["age", "size"])],
        [("n", scaled, [0, 2])],
        [("n", scaled, [-5, -3])],
        [("n", scaled, [True, False, True, False, False])],
        [("n", scaled, make_column_selector(dtype_include=float))],
        [("n", scaled, slice(0, 3, 2))],
        [("a", scaled, slice("age", "age")), ("s", scaled, slice("size", "size"))],
    ]
    found = [
        input_gradients(piped([ColumnTransformer(way)], table["age"] / 10, X=table), table)
        for way in ways
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=1e-9)
    in_order = piped([ColumnTransformer(ways[0])], table["age"] / 10, X=table)
    with pytest.raises(ValueError, match="give those, in that order"):
        input_gradients(in_order, table[table.columns[::-1]])


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_steps_may_hand_on_tables(table, kind):
    pl = pytest.importorskip("polars")
    encoder = OneHotEncoder(sparse_output=False)
    columns = ColumnTransformer([("n", StandardScaler(), ["age"]), ("w", encoder, ["color"])])
    plain = piped([columns, StandardScaler()], table["age"] / 10, X=table)
    expected = integrated_gradients(plain, table[:5], baseline=table[7:8])
    rows = table if kind == "pandas" else pl.DataFrame({k: list(table[k]) for k in table})
    network = MLPRegressor((6,), "tanh", max_iter=10, random_state=0, learning_rate_init=0.02)
    model = make_pipeline(clone(columns), StandardScaler(), network).set_output(transform=kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, table["age"].to_numpy() / 10)
    found = integrated_gradients(model, rows[:5], baseline=rows[7:8])
    np.testing.assert_allclose(found.values, expected.values, atol=1e-7)
    assert found.feature_names.tolist() == list(table.columns)
    if kind == "polars":
        with pytest.raises(ValueError, match="baseline must be a table, as X is"):
            integrated_gradients(model, rows[:5], baseline=[0.0] * 5)


def test_searches_are_looked_through():
    pipeline = Pipeline(
        [("scale", StandardScaler()), ("model", MLPRegressor(max_iter=5, random_state=0))]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search = GridSearchCV(pipeline, {"model__alpha": [1e-4, 1.0]}, cv=2).fit(X, SIGNAL)
    np.testing.assert_array_equal(
        input_gradients(search, X), input_gradients(search.best_estimator_, X)
    )


# == tables ========================================================================================


COLUMNS = ["number", "size", "two", "three", "many", "missing", "span", "date"]


def mixed(n=120):
    """Rows of every kind of column: numbers, missing ones, categories of few and many levels."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(2)
    X = pd.DataFrame(
        {
            "number": rng.normal(size=n),
            "size": np.exp(rng.normal(size=n)),
            "two": rng.choice(["x", "y"], n),
            "three": rng.choice(list("klm"), n),
            "many": rng.choice([f"level {i}" for i in range(9)], n),
            "missing": np.where(rng.uniform(size=n) < 0.2, np.nan, rng.normal(size=n)),
            "span": pd.to_timedelta(rng.uniform(0, 5, n), unit="D"),
            "date": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.uniform(0, 500, n), unit="D"),
        }
    )
    y = X["number"] + np.log(X["size"]) * (X["two"] == "x") + X["missing"].fillna(0.5)
    return X, (y + (X["three"] == "k") + (X["many"] < "level 2")).to_numpy()


OF_TABLES = {
    "numbers": (TabularMLPRegressor, {}, lambda y: y),
    "positive": (TabularMLPRegressor, {}, np.exp),
    "two outputs": (TabularMLPRegressor, {}, lambda y: np.stack([y, -(y**2)], axis=1)),
    "distribution": (TabularMLPRegressor, {"head": "gaussian"}, lambda y: y),
    "two classes": (TabularMLPClassifier, {}, lambda y: y > 0),
    "classes": (TabularMLPClassifier, {}, lambda y: np.digitize(y, [0, 1])),
    "ordered": (TabularMLPClassifier, {"head": "ordinal"}, lambda y: np.digitize(y, [0, 1])),
    "scores": (TabularMLPClassifier, {"head": "hinge"}, lambda y: np.digitize(y, [0, 1])),
    "labels": (TabularMLPClassifier, {}, lambda y: np.stack([y > 0, y > 1], axis=1).astype(int)),
}


@cache
def of_table(name):
    kind, settings, target = OF_TABLES[name]
    X, y = mixed()
    small = {"hidden_layer_sizes": (12, 8), "max_onehot": 4, "n_bins": 6, "n_folds": 2}
    settings = {"max_epochs": 12, "batch_size": 10, "random_state": 0} | small | settings
    model = kind(n_neighbors=None, n_trees=None, dates="parts", **settings).fit(X, target(y))
    assert np.ptp(model._raw(X)[1][:, 0]) > 0.4  # it has learned something
    return model, X


def answer_of(name, model, X, classes=None):
    if OF_TABLES[name][0] is TabularMLPRegressor:
        return model.predict(X)
    found = _proba(model, X)
    if name == "labels":
        return found
    places = [list(model.classes_).index(label) for label in classes]
    return found[np.arange(len(X)), places]


@pytest.mark.parametrize("name", OF_TABLES)
def test_tables_are_explained(name):
    model, X = of_table(name)
    rows, start = X[:4], X[7:8]
    classes = model.predict(rows)
    found = integrated_gradients(model, rows, baseline=start, tolerance=1e-5)
    answer = answer_of(name, model, rows, classes)
    before = answer_of(name, model, start.iloc[[0] * 4], classes)
    np.testing.assert_allclose(found.answer, answer, rtol=1e-4, atol=1e-5)
    scale = np.abs(found.values).sum(axis=1)
    assert np.all(np.abs(found.values.sum(axis=1) - (answer - before)) < 1e-4 * scale + 1e-5)
    assert found.feature_names.tolist() == list(X.columns)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", ["numbers", "classes"])
def test_what_one_column_changes_is_its_own(name, column):
    model, X = of_table(name)
    rows, start = X[2:8], X[2:8].copy()
    start[column] = X[column].to_numpy()[8:14]
    if column == "missing":
        assert start[column].isna().any() != rows[column].isna().all()
    classes = model.predict(rows)
    for i in range(len(rows)):
        one = slice(i, i + 1)
        found = integrated_gradients(model, rows[one], baseline=start[one], tolerance=1e-5)
        others = list(X.columns).index(column)
        change = answer_of(name, model, rows[one], classes[one])
        change = change - answer_of(name, model, start[one], classes[one])
        assert np.all(np.delete(found.values, others, axis=1) == 0)
        np.testing.assert_allclose(found.values[:, others], change, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["numbers", "positive", "distribution", "two classes"])
def test_slopes_of_tables_are_those_of_answers(name):
    model, X = of_table(name)
    classes = model.predict(X)
    found = input_gradients(model, X)
    assert np.isnan(found[:, [2, 3, 4, 7]]).all()
    np.testing.assert_array_equal(np.isnan(found[:, 5]), X["missing"].isna())
    for j, column in [(0, "number"), (1, "size"), (5, "missing"), (6, "span")]:
        step = 2e-3
        ahead, behind = X.copy(), X.copy()
        by = np.timedelta64(round(step * 86400e6), "us") if column == "span" else step
        ahead[column], behind[column] = X[column] + by, X[column] - by
        expected = answer_of(name, model, ahead, classes) - answer_of(name, model, behind, classes)
        expected = expected / (2 * step)
        is_near = np.isclose(found[:, j], expected, rtol=0.01, atol=1e-3 * np.ptp(expected))
        assert np.mean(is_near[X[column].notna()]) > 0.9  # some steps lead over a kink


@pytest.mark.parametrize("name", ["numbers", "classes", "two classes"])
def test_any_blend_of_any_kinds_is_explained(name):
    """Of two kinds, the one of them with logarithms of targets where these are numbers."""
    model, X = of_table(name)
    (part,) = model._model.parts
    other = part
    if part.transform is not None:
        ends = np.array([0.0]), np.array([9.0])
        is_log, offset, factor = np.array([True]), np.array([0.3]), np.array([1.4])
        other = replace(part, transform=Transform(is_log, offset, factor, *ends))
    blend = Blend((0.3, 0.7), (0.8, 1.3, 1.1))
    both = copy(model)
    both._model = replace(model._model, parts=(part, other), blend=blend)
    classes, rows, start = both.predict(X[:5]), X[:5], X[7:8]
    found = integrated_gradients(both, rows, baseline=start)
    answer = answer_of(name, both, rows, classes)
    before = answer_of(name, both, start.iloc[[0] * 5], classes)
    np.testing.assert_allclose(found.answer, answer, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.baseline_answer, before, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.values.sum(axis=1), answer - before, rtol=1e-3, atol=1e-3)
    assert not np.allclose(answer, answer_of(name, model, rows, classes), rtol=1e-2)


def test_slopes_of_tables_have_an_axis_for_outputs():
    model, X = of_table("two outputs")
    assert input_gradients(model, X[:3]).shape == (3, 8, 2)
    model, X = of_table("labels")
    found = input_gradients(model, X[:3])
    np.testing.assert_allclose(found[..., 1], input_gradients(model, X[:3], 1), rtol=1e-9)


def test_a_table_of_numbers_has_a_zero_and_a_mean():
    model = TabularMLPRegressor(
        n_neighbors=None,
        n_trees=None,
        hidden_layer_sizes=(8,),
        max_epochs=9,
        batch_size=10,
        random_state=0,
    ).fit(X, SIGNAL)
    assert np.ptp(model.predict(X)) > 1
    found = integrated_gradients(model, X[:3], "zero")
    np.testing.assert_allclose(found.baseline_answer, model.predict(np.zeros((3, 5))), rtol=1e-4)
    found = integrated_gradients(model, X[:3])
    expected = model.predict(X[:3].mean(axis=0, keepdims=True).repeat(3, axis=0))
    np.testing.assert_allclose(found.baseline_answer, expected, rtol=1e-4)
    assert feature_importances(model, X[:3]).shape == (5,)
    assert found.feature_names.tolist() == ["x0", "x1", "x2", "x3", "x4"]
    model, table = of_table("numbers")
    with pytest.raises(ValueError, match="'zero' is none for column 'two', which is no number"):
        integrated_gradients(model, table[:3], "zero")


def test_the_mean_row_of_a_table_is_between_its_levels():
    model, X = of_table("numbers")
    found = integrated_gradients(model, X[:5], tolerance=1e-4)
    scale = np.abs(found.values).sum(axis=1)
    change = found.answer - found.baseline_answer
    assert np.all(np.abs(found.values.sum(axis=1) - change) < 2e-4 * scale)


def test_members_with_neighbors_are_refused():
    model = TabularMLPRegressor(max_epochs=1, hidden_layer_sizes=(4,), random_state=0)
    model.fit(X, SIGNAL)
    with pytest.raises(ValueError, match="changes by jumps: fit with n_neighbors=None and n_"):
        input_gradients(model, X)
    piped = make_pipeline(StandardScaler(), model)
    with pytest.raises(ValueError, match="but step 'standardscaler' is before it"):
        integrated_gradients(piped, X)


# == importances ===================================================================================


def test_importances_are_mean_absolute_attributions():
    model = fitted(np.stack([SIGNAL, X[:, 0]], axis=1))
    values = integrated_gradients(model, X[:20], "zero").values
    found = feature_importances(model, X[:20], "zero")
    np.testing.assert_allclose(found, np.abs(values).mean(axis=(0, 2)))
    np.testing.assert_allclose(importances_on(X[:20], "zero")(model), found)


def test_they_select_columns_of_a_pipeline():
    network = MLPRegressor((20,), "tanh", solver="lbfgs", alpha=0.3, max_iter=2000, random_state=0)
    model = make_pipeline(StandardScaler(), network)
    units = X * [1, 100, 1, 1, 1]
    chosen = SelectFromModel(model, max_features=1, importance_getter=importances_on(units))
    chosen.fit(units, X[:, 1] ** 2 + 0.1 * X[:, 2])
    assert chosen.get_support().tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("scaler", [[], [StandardScaler()]])
def test_they_eliminate_columns(scaler):
    network = MLPRegressor((20,), "tanh", solver="lbfgs", alpha=0.3, max_iter=2000, random_state=0)
    model = WithImportances(make_pipeline(*scaler, network), max_samples=50)
    chosen = RFE(model, n_features_to_select=2).fit(X, X[:, 1] ** 2 + X[:, 3])
    assert chosen.get_support().tolist() == [False, True, False, True, False]
    kept = chosen.estimator_
    some = X[np.linspace(0, 149, 50).astype(int)][:, [1, 3]]
    expected = feature_importances(kept.estimator_, some)
    np.testing.assert_allclose(kept.feature_importances_, expected, rtol=1e-12)
    assert chosen.score(X, X[:, 1] ** 2 + X[:, 3]) > 0.9


def test_columns_that_are_gone_are_not_guessed():
    model = SelectFromModel(MLPRegressor(max_iter=2), importance_getter=importances_on(X[:, :4]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, SIGNAL)
    with pytest.raises(ValueError, match="4 columns, and the estimator was fitted to 5 of them"):
        model.get_support()


def test_with_importances_is_the_estimator_otherwise():
    inside = MLPClassifier((5,), max_iter=5, random_state=0)
    model = WithImportances(inside)
    assert is_classifier(model)
    assert not is_regressor(model)
    assert is_regressor(WithImportances(MLPRegressor()))
    assert not hasattr(WithImportances(MLPRegressor()), "predict_proba")
    with pytest.raises(NotFittedError):
        model.predict(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, WORDS, sample_weight=np.ones(len(X)))
        inside.fit(X, WORDS)
    assert model.n_features_in_ == 5
    assert model.classes_.tolist() == ["high", "low", "middle"]
    np.testing.assert_array_equal(model.predict(X), inside.predict(X))
    np.testing.assert_array_equal(model.predict_proba(X), inside.predict_proba(X))
    assert model.score(X, WORDS) == inside.score(X, WORDS)
    with pytest.raises(ValueError, match="max_samples must be a whole number >= 1, got 0"):
        WithImportances(inside, max_samples=0).fit(X, WORDS)


SMALL = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.02, "max_iter": 300}


@pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.DataConversionWarning",
    "ignore::sklearn.exceptions.SkipTestWarning",
    "ignore:X does not have valid feature names",
)
@parametrize_with_checks(
    [WithImportances(kind(**SMALL, random_state=0)) for kind in (MLPClassifier, MLPRegressor)]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_columns_are_eliminated_in_folds_of_classes():
    network = MLPClassifier((10,), "tanh", solver="lbfgs", alpha=1, max_iter=500, random_state=0)
    chosen = RFECV(WithImportances(network, max_samples=20), cv=2, step=2).fit(X, X[:, 2] > 0)
    assert chosen.get_support()[2]
    assert chosen.ranking_[2] == 1


# == what is refused ===============================================================================


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("median", "target='median' is nothing that a regressor says: give None"),
        (1.5, "target=1.5 is nothing that a regressor says"),
        (True, "target=True is nothing"),
        ("std", "target='std': Only the heads .* have a distribution"),
        (0.9, "target=0.9: Only the heads .* have quantiles"),
    ],
)
def test_what_a_regressor_does_not_say_is_refused(target, message):
    with pytest.raises(ValueError, match=message):
        input_gradients(fitted(), X, target)


@pytest.mark.parametrize(
    ("settings", "target", "message"),
    [
        ({}, 7, r"target=7 is none of the classes \[0, 1, 2\]"),
        ({}, "mean", r"target='mean' is none of the classes"),
        ({}, ("odds", 1), r"target=\('odds', 1\) is nothing that a classifier says"),
        ({"head": "ordinal"}, ("raw", 1), "are those of no class: give target"),
        ({"head": "hinge"}, ("log_probability", 1), "have probabilities, got head=Hinge"),
    ],
)
def test_what_a_classifier_does_not_say_is_refused(settings, target, message):
    with pytest.raises(ValueError, match=message):
        input_gradients(fitted(CLASSES, MLPClassifier, **settings), X, target)


def test_quantiles_of_counts_and_levels_of_others_are_refused():
    with pytest.raises(ValueError, match="is a whole number and has no slope"):
        input_gradients(of_head("poisson"), X, 0.5)
    with pytest.raises(ValueError, match=r"knows its own levels alone, got 0.2"):
        input_gradients(fitted(head=Quantile([0.1, 0.9])), X, 0.2)


@pytest.mark.parametrize("explain", [input_gradients, integrated_gradients])
def test_what_is_no_network_is_refused(explain):
    with pytest.raises(NotFittedError):
        explain(MLPRegressor(), X)
    with pytest.raises(ValueError, match=f"{explain.__name__} takes .* of type StandardScaler"):
        explain(StandardScaler(), X)


def test_a_step_that_is_not_linear_is_named():
    with pytest.raises(ValueError, match=r"step 'polynomialfeatures', PolynomialFeatures.* model"):
        input_gradients(piped([PolynomialFeatures(), StandardScaler()]), X)
    with pytest.raises(ValueError, match=r"'minmaxscaler', .* clips: fit it with clip=False"):
        input_gradients(piped([MinMaxScaler(clip=True)]), X)
    with pytest.raises(ValueError, match=r"'functiontransformer', .*is not known to be linear"):
        input_gradients(piped([FunctionTransformer(np.tanh)]), X)
    codes = np.round(X)
    encoder = OneHotEncoder(handle_unknown="ignore")
    with pytest.raises(ValueError, match=r"'onehotencoder', .* a mixture of 5 columns"):
        input_gradients(piped([PCA(2), encoder], X=codes), codes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be 'auto' or a whole number >= 1, got 0"),
        ({"steps": "many"}, "got 'many'"),
        ({"tolerance": 0}, "tolerance must be None or a number > 0, got 0"),
        ({"baseline": "median"}, "baseline must be 'mean', 'zero'.*got 'median'"),
        ({"baseline": np.zeros(3)}, r"rows of 5 numbers.*shape \(3,\)"),
    ],
)
def test_parameters_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        integrated_gradients(fitted(), X, **options)


def test_what_is_not_finite_is_named():
    with pytest.raises(ValueError, match=r"target='std': the distributions of StudentT\(df=1.5\)"):
        input_gradients(fitted(head=StudentT(df=1.5)), X, "std")
    with pytest.raises(ValueError, match=r"target='mean': .* have none that is finite"):
        input_gradients(fitted(head=StudentT(df=1)), X, "mean")
    model = fitted(head="poisson", y=COUNTS)
    model.intercepts_[-1][:] = 1e300
    model.coefs_[-1][:] = -1e308
    with pytest.raises(ValueError, match=r"no finite (answer|slopes) in row \d+ of X"):
        input_gradients(model, 1e3 * X)
    rows = X.copy()
    rows[3, 2] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        input_gradients(fitted(), rows)
