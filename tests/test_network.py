"""The network: what theta holds, what activations learn, layers of other kinds, initialization."""

import functools
import itertools
import pickle
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network
from scipy import stats
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

from skmlp import Layer, Learned, MLPClassifier, MLPRegressor, check_gradient
from skmlp.engine import BATCH, Program, gradient, stop_gradient, variable
from skmlp.estimators.settings import DESCRIPTIONS
from skmlp.heads import HEADS
from skmlp.network import INITIALIZERS, LAYERS, RadialBasis, VarianceScaling
from skmlp.network.activations import ACTIVATIONS, RECOMMENDED_INITIALIZERS, prelu
from skmlp.network.network import Network
from skmlp.training.objective import LossGraph, Objective

SCIKIT_LEARN = ("identity", "logistic", "tanh", "relu")
KINDS = {**ACTIVATIONS, **LAYERS}

# Users' own, as in a script.


def named(value):
    """A name for a test, the same in every process."""
    return getattr(value, "__name__", str(value))


def two_slopes(z, left=Learned(0.1), right=Learned(0.9)):  # noqa: B008
    return np.where(z > 0, right * z, left * z)


def snake(z, *, frequency=Learned(1.0)):  # noqa: B008
    return z + np.square(np.sin(frequency * z)) / frequency


@dataclass(frozen=True)
class Multiquadric(Layer):
    """sqrt(1 + |x - c|^2), with a spread of centers that needs no data."""

    spread: float = 1.0

    def outputs(self, x, W, b):
        squares = [np.sum(np.square(x - W[:, j]), axis=1) for j in range(b.shape[0])]
        return np.sqrt(np.exp(b) + np.stack(squares, axis=1))

    def initial(self, rng, x, units):
        return self.spread * rng.normal(size=(x.shape[1], units)), np.zeros(units)


def problem(rows=60, inputs=3, dtype="float64"):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, inputs)).astype(dtype)
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


def fit(X, y, *arguments, estimator=MLPRegressor, **parameters):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = estimator(*arguments, **{"random_state": 0, "max_iter": 20, **parameters})
        return model.fit(X, y)


def by_hand(model, X, activations):
    """Compute every layer with NumPy alone, from what the estimator publishes."""
    outputs = []
    for W, b, learned, f in zip(
        model.coefs_, model.intercepts_, model.activation_parameters_, activations, strict=False
    ):
        X = f(X @ W + b, *([] if learned is None else learned))
        outputs.append(X)
    return [*outputs, X @ model.coefs_[-1] + model.intercepts_[-1]]


# ------------------------------------------------------------------------------------- theta


def network_of(*kinds, inputs=3, units=4):
    kinds = tuple(KINDS.get(kind, kind) if isinstance(kind, str) else kind for kind in kinds)
    return Network((inputs, *(units + i for i in range(len(kinds))), 2), kinds)


@pytest.mark.parametrize(
    "kinds", [(), ("relu",), ("prelu",), ("tanh", two_slopes), (two_slopes, "rbf", snake)]
)
def test_theta_is_weights_from_the_last_layer_to_the_first_then_biases_then_the_rest(kinds):
    network = network_of(*kinds)
    theta = np.arange(float(network.n_parameters))
    weights, biases, learned, *_ = network.by_layer(network.split(theta))
    units = network.layer_units
    assert [W.shape for W in weights] == list(itertools.pairwise(units))
    assert [b.shape for b in biases] == [(n,) for n in units[1:]]
    assert len(learned) == len(kinds)
    arguments = {prelu: 1, two_slopes: 2, snake: 1}
    for part, f, n in zip(learned, network.activations, units[1:], strict=False):
        assert (part is None) == (f not in arguments)
        assert part is None or part.shape == (arguments[f], n)
    parts = [*reversed(weights), *biases, *(part for part in learned if part is not None)]
    np.testing.assert_array_equal(np.concatenate([part.ravel() for part in parts]), theta)
    np.testing.assert_array_equal(network.packed(network.split(theta)), theta)
    first = network.first_layer(theta)
    np.testing.assert_array_equal(first, np.vstack([weights[0], biases[0]]))
    assert np.shares_memory(first, theta)


def objective_of(network, theta, penalty=0.0):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(12, network.layer_units[0]))
    Y = rng.normal(size=(12, network.layer_units[-1]))
    graph = LossGraph(network, HEADS["linear"](), Y.shape[1])
    return Objective(graph, theta, X, Y, None, penalty)


@dataclass(frozen=True)
class Made(Layer):
    """A layer made of a function of x, W and b."""

    function: object

    def outputs(self, x, W, b):
        return self.function(x, W, b)

    def initial(self, rng, x, units):
        return rng.normal(size=(x.shape[1], units)), np.full(units, 0.5)


# Layers that read W or b beside x W + b, so that it may not stand for them.
MIXED = [
    Made(lambda x, W, b: np.tanh(x @ W + b) * b),
    Made(lambda x, W, b: np.tanh(x @ W + b) * np.sum(W * W, axis=0)),
    Made(lambda x, W, b: (x @ W + b) * np.tanh(x @ W)),
    Made(lambda x, W, b: np.tanh(x @ W + b) + np.tanh((x * x) @ W + b)),
    Made(lambda x, W, b: np.tanh((x * np.sum(b)) @ W + b)),
]


@pytest.mark.parametrize("units", [2, 3, 7])
@pytest.mark.parametrize(
    "kinds", [(), ("relu",), ("tanh", "prelu"), ("rbf",), *((layer,) for layer in MIXED)]
)
def test_a_first_layer_with_its_bias_in_the_product_has_the_same_gradient(kinds, units):
    network = network_of(*kinds, units=units)
    theta = started(network)
    objective, rows = objective_of(network, theta), np.arange(12)
    graph = objective._graph
    value = objective(rows)
    derived = gradient(graph.objective, graph.parameters)
    want = Program([graph.objective, *derived], objective._bound).run(objective._data, rows)
    np.testing.assert_allclose(value, want[0], rtol=1e-13)
    for g, w in zip(network.split(objective.gradient), want[1:], strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-15)
    is_stacked = any(x is graph.stacked for x in graph.trained)
    is_affine = not isinstance(network.activations[0], Layer) if kinds else True
    assert is_stacked == (is_affine and network.layer_units[1] >= 3)


def started(network, seed=0, **options):
    X = np.random.default_rng(2).normal(size=(30, network.layer_units[0]))
    return network.initial_theta(np.random.RandomState(seed), np.float64, X=X, **options)


@pytest.mark.parametrize(
    "first",  # the gradient of a step is meant to be another function's
    [*(name for name in KINDS if name != "hard_threshold"), two_slopes, snake, Multiquadric()],
)
@pytest.mark.parametrize("second", ["tanh", "prelu", "rbf"])
def test_gradient_of_the_objective_is_that_of_its_values(first, second):
    network = network_of(first, second)
    theta = started(network) + 0.1 * np.random.default_rng(3).normal(size=network.n_parameters)
    objective = objective_of(network, theta, penalty=0.3)
    rows = np.arange(12)
    objective(rows)
    derived, differences = objective.gradient.copy(), np.empty_like(theta)
    for i, at in enumerate(theta.copy()):
        values = []
        for h in (-1e-5, 1e-5):
            theta[i] = at + h
            values.append(objective(rows))
        theta[i] = at
        differences[i] = (values[1] - values[0]) / 2e-5
    close = np.abs(derived - differences) <= 1e-6 * np.max(np.abs(derived))
    assert np.mean(close) > (0.9 if first in ("relu", "leaky_relu", "hard_tanh") else 0.98)


@pytest.mark.parametrize(
    ("kinds", "penalized"),
    [
        ((), [0]),
        (("relu", "tanh"), [0, 1, 2]),
        (("prelu", two_slopes), [0, 1, 2]),
        (("rbf",), [1]),
        (("tanh", "rbf"), [0, 2]),
        (("rbf", Multiquadric(), "tanh"), [2, 3]),
    ],
)
def test_penalty_is_for_weights_alone(kinds, penalized):
    network = network_of(*kinds)
    theta = started(network)
    rows, gradients, values = np.arange(12), [], []
    for penalty in (0.0, 7.0):
        objective = objective_of(network, theta, penalty)
        values.append(objective(rows))
        gradients.append(objective.gradient.copy())
    expected = np.zeros_like(theta)
    for i in penalized:
        network.split(expected)[i][...] = network.split(theta)[i]
    np.testing.assert_allclose(gradients[1] - gradients[0], 7 * expected, atol=1e-12)
    assert values[1] - values[0] == pytest.approx(3.5 * np.dot(expected, expected))


# ---------------------------------------------------------------- what activations learn


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "sgd"])
@pytest.mark.parametrize("activation", ["prelu", two_slopes, snake], ids=named)
def test_learned_arguments_are_learned_published_and_used(activation, solver):
    X, y = problem()
    model = fit(X, y, (4, 5), [activation, "tanh"], solver=solver, max_iter=30)
    assert model.activation_parameters_[1] is None
    f = KINDS.get(activation, activation)
    starts = [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
    learned = model.activation_parameters_[0]
    assert learned.shape == (len(starts), 4)
    assert np.all(learned != np.array(starts)[:, None])
    plain = f if f is not snake else lambda z, frequency: snake(z, frequency=frequency)
    outputs = by_hand(model, X, [plain, np.tanh])
    for i in range(2):
        np.testing.assert_allclose(model.hidden_layer_output(X, i), outputs[i], atol=1e-12)
    np.testing.assert_allclose(model.predict(X), outputs[2][:, 0], atol=1e-12)


def test_whoever_edits_activation_parameters_edits_the_model():
    X, y = problem()
    model = fit(X, y, (5,), "prelu", solver="lbfgs")
    before = model.predict(X)
    model.activation_parameters_[0] = np.zeros((1, 5))
    assert np.mean(model.predict(X) != before) > 0.5
    expected = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0) @ model.coefs_[1]
    np.testing.assert_allclose(model.predict(X), (expected + model.intercepts_[1])[:, 0])


STEPS = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "learning_rate_init": 0.05}


@pytest.mark.parametrize("activation", ["prelu", "rbf"])
def test_warm_start_and_stream_go_on_where_they_were(activation):
    X, y = problem()
    whole = fit(X, y, (5,), activation, max_iter=8, **STEPS)
    warm = fit(X, y, (5,), activation, max_iter=3, warm_start=True, **STEPS)
    published = warm.activation_parameters_[0]
    kept = None if published is None else published.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warm.set_params(max_iter=5).fit(X, y)
    stream = MLPRegressor((5,), activation, random_state=0, **STEPS)
    for _ in range(8):
        stream = pickle.loads(pickle.dumps(stream.partial_fit(X, y)))
    for model in (warm, stream):
        np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-10)
        for a, b in zip(model.activation_parameters_, whole.activation_parameters_, strict=True):
            assert (a is None and b is None) or np.allclose(a, b, rtol=1e-10)
    if kept is not None:
        np.testing.assert_array_equal(published, kept)


def test_warm_start_with_an_activation_that_learns_something_else_is_refused():
    X, y = problem()
    model = fit(X, y, (5,), "relu", warm_start=True)
    before = model.predict(X)
    with pytest.raises(ValueError, match="activations that learn other arguments"):
        model.set_params(activation="prelu").fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)
    with pytest.raises(ValueError, match=r"layers of \(3, 5, 1\) units.*\(3, 6, 1\)"):
        model.set_params(activation="relu", hidden_layer_sizes=(6,)).fit(X, y)


@pytest.mark.parametrize("activation", ["prelu", two_slopes, "rbf", Multiquadric(2.0)], ids=named)
def test_pickle_and_clone(activation):
    X, y = problem()
    model = fit(X, y, (5,), activation)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    again = fit(X, y, **clone(model).get_params())
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_learned_arguments_show_in_the_computation_graph():
    X, y = problem()
    model = fit(X, y, (5, 4), ["prelu", two_slopes])
    for text in (str(model.computation_graph()), str(model.computation_graph(X, y))):
        assert "slope1" in text
        assert "left2, right2" in text


def test_own_learned_activation_in_a_grid():
    X, y = problem(90)
    held = functools.partial(two_slopes, left=0.0, right=1.0)
    elsewhere = functools.partial(two_slopes, left=Learned(0.5))
    activations = ["relu", held, two_slopes, elsewhere, "rbf", RadialBasis(2.0), Multiquadric()]
    search = GridSearchCV(
        MLPRegressor((8,), solver="lbfgs", max_iter=40, random_state=0),
        {"activation": activations},
        error_score="raise",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == pytest.approx(scores[1], rel=1e-9)  # a ReLU by another name
    assert len(set(np.round(scores[1:], 9))) == len(activations) - 1
    assert search.best_params_["activation"] in activations
    copy = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(copy.predict(X), search.predict(X))


def test_own_learned_activation_can_be_checked():
    rng = np.random.default_rng(0)
    assert check_gradient(two_slopes, rng.normal(size=(5, 4)), np.full(4, 0.2), np.ones(4)) < 1e-6
    with pytest.raises(AssertionError, match="gradient with respect to input 1"):
        check_gradient(
            lambda z, slope: z * slope * stop_gradient(slope), np.ones((2, 2)), np.full(2, 0.3)
        )


# ---------------------------------------------------------------------------- radial basis


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_radial_basis_is_the_bump_around_a_center(precision, offset):
    rng = np.random.default_rng(0)
    x, c = (rng.normal(size=(n, 3)) + offset for n in (40, 6))
    x, c, b = (array.astype(precision) for array in (x, c, rng.normal(size=6)))
    squares = cdist(x.astype(float), c.astype(float), "sqeuclidean")
    expected = np.exp(-squares / (2 * np.exp(2.0 * b)))
    outputs = RadialBasis().outputs(x, c.T, b)
    assert outputs.dtype == precision
    tolerance = {"float64": 1e-12, "float32": 1e-5}[precision] * (1 if offset == 0 else 100)
    np.testing.assert_allclose(outputs, expected, atol=tolerance)


def test_radial_basis_has_the_gradient_of_its_values():
    rng = np.random.default_rng(0)
    x, c = rng.normal(size=(10, 3)), rng.normal(size=(3, 5))
    check_gradient(RadialBasis().outputs, x, c, 0.3 * rng.normal(size=5) + 0.5)


@pytest.mark.parametrize(("precision", "largest"), [("float64", 1e4), ("float32", 1e3)])
@pytest.mark.parametrize("log_width", [0.0, -1.0, 1.0])
def test_radial_basis_is_finite_at_extremes(precision, largest, log_width):
    ends = np.array([-largest, -1.0, 0.0, 1.0, largest])
    X = np.stack([a.ravel() for a in np.meshgrid(ends, ends)], axis=1).astype(precision)
    x, W, b = variable("x", (BATCH, 2)), variable("W", (2, 25)), variable("b", (25,))
    a = RadialBasis().outputs(x, W, b)
    program = Program([a, *gradient(np.sum(a), [x, W, b])], dtype=precision)
    results = program.run(
        {x: X, W: np.ascontiguousarray(X.T), b: np.full(25, log_width * largest, precision)}
    )
    assert all(np.all(np.isfinite(result)) for result in results)
    assert np.all((results[0] > 0) & (results[0] <= 1))
    np.testing.assert_array_equal(np.diag(results[0]) > 0.99, True)


def test_centers_start_on_distinct_rows_and_widths_by_their_distance():
    X, y = problem(80)
    X[40:] = X[:40]
    weights = np.where(np.arange(80) % 40 < 30, 1.0, 0.0)  # 30 distinct rows that count
    model = MLPRegressor((30,), "rbf", solver="sgd", learning_rate_init=1e-300, max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(random_state=0).fit(X, y, sample_weight=weights)
    centers = model.coefs_[0].T
    order = np.lexsort(centers.T), np.lexsort(X[:30].T)
    np.testing.assert_array_equal(centers[order[0]], X[:30][order[1]])
    assert not np.array_equal(centers, X[:30])
    distances = cdist(centers, centers)[np.triu_indices(30, 1)]
    np.testing.assert_allclose(np.exp(model.intercepts_[0]), 0.5 * distances.mean())
    model.set_params(activation=RadialBasis(3.0), random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(np.exp(model.intercepts_[0]), 3 * distances.mean())


def test_rows_that_look_the_same_to_a_layer_are_one_center():
    x = np.array([[1.0], [1.0], [3.0], [1.0], [2.0], [3.0]])
    W, _ = RadialBasis().initial(np.random.RandomState(0), x, 3)
    np.testing.assert_array_equal(W, [[1.0, 3.0, 2.0]])


@pytest.mark.parametrize(("rows", "units"), [(5, 12), (1, 3), (4, 1)])
def test_few_rows_are_centers_again(rows, units):
    x = np.arange(2.0 * rows).reshape(rows, 2)
    W, b = RadialBasis(1.0).initial(np.random.RandomState(0), x, units)
    assert W.shape == (2, units)
    np.testing.assert_array_equal(W.T, np.resize(x, (units, 2)))
    compared = W.T if units > 1 else x
    distances = cdist(compared, compared)[np.triu_indices(len(compared), 1)]
    np.testing.assert_allclose(np.exp(b), distances.mean() if rows > 1 else 1.0)


@pytest.mark.parametrize("activation", ["rbf", ["prelu", "rbf"]])
def test_weights_equal_repetition_where_a_layer_starts_on_the_data(activation):
    X, y = problem(30)
    weights = np.arange(30) % 4
    hidden = (6,) if activation == "rbf" else (5, 6)
    weighted, repeated = (
        MLPRegressor(hidden, activation, solver="lbfgs", max_iter=30, random_state=0)
        for _ in range(2)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        weighted.fit(X, y, sample_weight=weights)
        repeated.fit(np.repeat(X, weights, axis=0)[::-1], np.repeat(y, weights)[::-1])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5, atol=1e-5)


def test_stream_that_begins_with_rows_of_no_weight_starts_on_them():
    X, y = problem(10)
    model = MLPRegressor((4,), "rbf", random_state=0).partial_fit(X, y, np.zeros(10))
    assert np.max(np.min(cdist(model.coefs_[0].T, X), axis=1)) == 0


def test_rows_of_a_large_data_set_are_sampled_at_random():
    network = Network((1, 50, 1), (RadialBasis(),))
    X = np.arange(100_000.0)[:, None]
    theta = network.initial_theta(np.random.RandomState(0), np.float64, X=X)
    centers = network.split(theta)[0].ravel()
    assert len(np.unique(centers)) == 50
    assert stats.kstest(centers, stats.uniform(0, 1e5).cdf).pvalue > 1e-3


def test_layer_above_another_starts_on_what_it_sees():
    X, _ = problem(20)
    network = Network((3, 4, 20, 1), (np.tanh, RadialBasis()))
    theta = network.initial_theta(np.random.RandomState(0), np.float64, X=X)
    weights, biases, *_ = network.by_layer(network.split(theta))
    seen = np.tanh(X @ weights[0] + biases[0])
    assert np.max(np.min(cdist(weights[1].T, seen), axis=1)) < 1e-12


@pytest.mark.parametrize(("dtype", "score"), [("float64", 0.999), ("float32", 0.999)])
def test_one_radial_basis_layer_approximates_a_function(dtype, score):
    x = np.linspace(-3, 3, 301)
    model = fit(
        x[:, None], np.sin(3 * x) * x, (50,), "rbf", solver="lbfgs", max_iter=2000, dtype=dtype
    )
    between = x[:-1] + 0.01
    assert model.score(between[:, None], np.sin(3 * between) * between) > score
    assert model.coefs_[0].dtype == dtype


@pytest.mark.parametrize(
    "activation", [["rbf", "relu"], ["prelu", "rbf"], ["rbf", "rbf"], [Multiquadric(), "selu"]]
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_layers_of_mixed_kinds_classify(activation, dtype):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(200, 2)).astype(dtype)
    y = np.where(np.sum(X**2, axis=1) < 0.5, "in", "out")
    model = fit(X, y, (12, 8), activation, estimator=MLPClassifier, solver="lbfgs", max_iter=200)
    assert model.score(X, y) > 0.95
    assert model.predict_proba(X).dtype == dtype
    assert model.hidden_layer_output(X, 1).shape == (200, 8)


def test_radial_basis_refuses_sparse_inputs_in_one_sentence():
    X, y = problem()
    sparse = scipy.sparse.csr_matrix(X)
    told = r"^hidden layer 1, RadialBasis\(width=0.5\), .* sparse ones: give X.toarray\(\)[^.]*\.$"
    model = MLPRegressor((5,), "rbf", random_state=0)
    with pytest.raises(ValueError, match=told):
        model.fit(sparse, y)
    assert not hasattr(model, "coefs_")
    model = fit(X, y, (5,), "rbf", warm_start=True)
    for call in (
        lambda: model.predict(sparse),
        lambda: model.partial_fit(sparse, y),
        lambda: model.fit(sparse, y),
        lambda: model.computation_graph(sparse),
    ):
        with pytest.raises(ValueError, match=told):
            call()
    assert not get_tags(model).input_tags.sparse
    assert not get_tags(clone(model).set_params(activation=["rbf", "relu"])).input_tags.sparse
    above = fit(sparse, y, (5, 4), ["tanh", "rbf"], solver="lbfgs")
    np.testing.assert_allclose(above.predict(sparse), above.predict(X))
    assert get_tags(above).input_tags.sparse


@pytest.mark.parametrize("width", [0, -1.0, np.inf, np.nan])
def test_radial_basis_needs_a_positive_width(width):
    with pytest.raises(ValueError, match=f"width that is positive, got {width!r}"):
        RadialBasis(width)


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ((np.zeros((3, 4)), np.zeros(5)), r"shape \(3, 5\)"),
        ((np.zeros((3, 5)), np.zeros(4)), r"shape \(5,\)"),
        ((np.full((3, 5), np.nan), np.zeros(5)), "finite numbers"),
    ],
)
def test_layer_that_starts_wrong_is_told(start, told):
    class Wrong(Multiquadric):
        def initial(self, *_):
            return start

    X, y = problem()
    with pytest.raises(ValueError, match=f"Wrong.* must start with .*{told}"):
        fit(X, y, (5,), Wrong())


def test_layer_needs_its_two_methods():
    X, y = problem()
    with pytest.raises(NotImplementedError, match="Layer must define outputs"):
        fit(X, y, (5,), Layer())
    with pytest.raises(NotImplementedError, match="Layer must define outputs"):
        Layer().outputs(X, None, None)


# --------------------------------------------------------------------------- initialization


def expected_distribution(name, inputs, outputs):
    """The distribution of a weight, from the papers' formulas."""
    family, _, shape = name.partition("_")
    if shape == "uniform":
        bound = {
            "glorot": np.sqrt(6 / (inputs + outputs)),
            "he": np.sqrt(6 / inputs),
            "lecun": np.sqrt(3 / inputs),
        }[family]
        return stats.uniform(-bound, 2 * bound)
    return stats.norm(
        scale={
            "glorot": np.sqrt(2 / (inputs + outputs)),
            "he": np.sqrt(2 / inputs),
            "lecun": np.sqrt(1 / inputs),
        }[family]
    )


def law_of_the_distribution(initializer, name, inputs, outputs):
    W = initializer(np.random.RandomState(0), inputs, outputs)
    expected = expected_distribution(name, inputs, outputs)
    assert W.shape == (inputs, outputs)
    assert W.var() == pytest.approx(expected.var(), rel=0.02)
    assert stats.kstest(W.ravel(), expected.cdf).pvalue > 1e-3
    low, high = expected.support()
    assert low <= W.min()
    assert W.max() <= high
    assert np.isinf(high) or W.max() > 0.999 * high


@pytest.mark.parametrize(("inputs", "outputs"), [(200, 300), (600, 100)])
@pytest.mark.parametrize("name", [n for n in INITIALIZERS if n != "orthogonal"])
def test_initializer_has_its_distribution(name, inputs, outputs):
    law_of_the_distribution(INITIALIZERS[name], name, inputs, outputs)


@pytest.mark.parametrize("other", [n for n in INITIALIZERS if n != "he_normal"])
def test_the_law_of_the_distribution_can_fail(other):
    with pytest.raises(AssertionError):
        law_of_the_distribution(INITIALIZERS[other], "he_normal", 200, 300)


@pytest.mark.parametrize(("inputs", "outputs"), [(30, 20), (20, 30), (7, 7), (5, 1)])
def test_orthogonal_weights_are_orthonormal(inputs, outputs):
    W = INITIALIZERS["orthogonal"](np.random.RandomState(0), inputs, outputs)
    assert W.shape == (inputs, outputs)
    product = W.T @ W if inputs >= outputs else W @ W.T
    np.testing.assert_allclose(product, np.eye(min(inputs, outputs)), atol=1e-12)


def test_orthogonal_weights_are_uniform_among_all():
    rng = np.random.RandomState(0)
    first = [INITIALIZERS["orthogonal"](rng, 3, 3)[0, 0] for _ in range(2000)]
    assert stats.kstest(first, stats.uniform(-1, 2).cdf).pvalue > 1e-3  # Archimedes' hat box


def initial(activation, X, y, estimator=MLPRegressor, hidden=(6, 5), **parameters):
    """Fit by steps that are lost in rounding, but for zeros."""
    still = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}
    return fit(X, y, hidden, activation, estimator=estimator, **still, **parameters)


@pytest.mark.parametrize("estimator", [MLPRegressor, MLPClassifier])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_named_initializer_draws_every_layer_and_no_bias(name, estimator):
    X, y = problem()
    y = y > 0 if estimator is MLPClassifier else y
    model = initial("tanh", X, y, estimator, weight_init=name)
    rng = np.random.RandomState(0)
    for W, b in zip(model.coefs_, model.intercepts_, strict=True):
        np.testing.assert_array_equal(W, INITIALIZERS[name](rng, *W.shape))
        np.testing.assert_allclose(b, 0, atol=1e-290)


@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)])
@pytest.mark.parametrize("activation", SCIKIT_LEARN)
def test_auto_is_scikit_learns_stream_for_its_activations(activation, hidden):
    X, y = problem()
    ours = initial(activation, X, y, hidden=hidden)
    theirs = initial_of_scikit_learn(activation, X, y, hidden)
    for a, b in zip(
        [*ours.coefs_, *ours.intercepts_], [*theirs.coefs_, *theirs.intercepts_], strict=True
    ):
        np.testing.assert_array_equal(a, b)


def initial_of_scikit_learn(activation, X, y, hidden):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return sklearn.neural_network.MLPRegressor(
            hidden_layer_sizes=hidden,
            activation=activation,
            solver="sgd",
            learning_rate_init=1e-300,
            max_iter=1,
            random_state=0,
        ).fit(X, y)


@pytest.mark.parametrize("own", [np.sin, two_slopes, lambda z: np.maximum(z, 0)], ids=named)
def test_auto_is_scikit_learns_stream_for_users_functions(own):
    X, y = problem()
    ours, relu = initial(own, X, y), initial("relu", X, y)
    for a, b in zip(ours.coefs_ + ours.intercepts_, relu.coefs_ + relu.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", RECOMMENDED_INITIALIZERS)
def test_auto_is_the_recommended_initializer_for_the_others(name):
    X, y = problem()
    by_name = initial(name, X, y)
    by_function = initial(ACTIVATIONS[name], X, y)
    asked = initial(name, X, y, weight_init=RECOMMENDED_INITIALIZERS[name])
    for model in (by_function, asked):
        for a, b in zip(
            model.coefs_ + model.intercepts_, by_name.coefs_ + by_name.intercepts_, strict=True
        ):
            np.testing.assert_array_equal(a, b)


def test_auto_goes_layer_by_layer():
    X, y = problem()
    model = initial(["relu", "selu"], X, y)
    assert np.all(model.intercepts_[0] != 0)
    assert all(np.all(np.abs(b) < 1e-290) for b in model.intercepts_[1:])
    assert np.max(np.abs(model.coefs_[0])) <= np.sqrt(6 / 9)


def test_selu_keeps_mean_and_variance_through_many_layers():
    X = np.random.default_rng(0).normal(size=(300, 100))
    network = Network((100, *([100] * 20), 1), (ACTIVATIONS["selu"],) * 20)
    theta = network.initial_theta(np.random.RandomState(0), np.float64)
    last = network.layers(X, network.split(theta))[-2]
    assert abs(last.mean()) < 0.1
    assert last.var() == pytest.approx(1, abs=0.25)


def test_initial_weights_in_float32_are_those_of_float64_rounded():
    for weight_init in ("auto", *INITIALIZERS):
        network = network_of("relu", "selu", "rbf", "prelu")
        X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
        wide, narrow = (
            network.initial_theta(np.random.RandomState(0), dtype, weight_init=weight_init, X=X)
            for dtype in (np.float64, np.float32)
        )
        np.testing.assert_allclose(narrow, wide, rtol=1e-4, atol=1e-6)


def test_own_initializer():
    X, y = problem()
    drawn = VarianceScaling(0.5, "inputs", "normal")
    model = initial("tanh", X, y, weight_init=drawn)
    np.testing.assert_array_equal(model.coefs_[0], drawn(np.random.RandomState(0), 3, 6))
    model = initial(
        "rbf", X, y, weight_init=lambda rng, inputs, outputs: np.ones((inputs, outputs))
    )
    assert np.all(model.coefs_[2] == 1)
    assert np.all(model.coefs_[0] != 1)  # centers are where the data are


@pytest.mark.parametrize(
    "wrong", [lambda rng, inputs, outputs: np.ones((outputs, inputs)), lambda *_: np.inf]
)
def test_own_initializer_that_draws_something_else_is_told(wrong):
    X, y = problem()
    model = fit(X, y, (5,), "tanh")
    before = model.predict(X)
    model.set_params(weight_init=wrong)
    with pytest.raises(ValueError, match=r"must start with finite numbers of shape \(3, 5\)"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize("estimator", [MLPRegressor, MLPClassifier])
@pytest.mark.parametrize(
    ("parameters", "known"),
    [
        ({"weight_init": "he"}, INITIALIZERS),
        ({"weight_init": None}, INITIALIZERS),
        ({"activation": "swish"}, KINDS),
        ({"activation": ["relu", "swish"], "hidden_layer_sizes": (3, 3)}, KINDS),
        ({"activation": RadialBasis}, KINDS),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(estimator, parameters, known):
    X, y = problem()
    with pytest.raises(ValueError, match=f"parameter of {estimator.__name__} must be") as told:
        estimator(**parameters).fit(X, y > 0)
    assert all(f"'{name}'" in str(told.value) for name in known)


def test_initializers_are_described():
    assert all(f'"{name}"' in DESCRIPTIONS for name in INITIALIZERS)
