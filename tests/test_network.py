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
from skmlp.heads import HEADS
from skmlp.network import INITIALIZERS, LAYERS, NORMALIZATIONS, RadialBasis, VarianceScaling
from skmlp.network.activations import ACTIVATIONS, RECOMMENDED_INITIALIZERS
from skmlp.network.network import Network, values_of
from skmlp.training.objective import LossGraph, Objective

SCIKIT_LEARN = ("identity", "logistic", "tanh", "relu")
KINDS = {**ACTIVATIONS, **LAYERS}

# Users' own, as in a script.


def named(value):
    """A name for a test, the same in every process."""
    return getattr(value, "__name__", str(value).split(" at 0x")[0])


def two_slopes(z, left=Learned(0.1), right=Learned(0.9)):  # noqa: B008
    return np.where(z > 0, right * z, left * z)


def snake(z, *, frequency=Learned(1.0)):  # noqa: B008
    return z + np.square(np.sin(frequency * z)) / frequency


@dataclass(frozen=True)
class Multiquadric(Layer):
    """sqrt(1 + |x - c|^2), with a spread of centers that needs no data."""

    spread: float = 1.0

    def parts(self, inputs, units):
        return {"W": (inputs, units), "b": (units,)}

    def outputs(self, x, W, b):
        squares = [np.sum(np.square(x - W[:, j]), axis=1) for j in range(b.shape[0])]
        return np.sqrt(np.exp(b) + np.stack(squares, axis=1))

    def initial(self, rng, x, units):
        return {"W": self.spread * rng.normal(size=(x.shape[1], units)), "b": np.zeros(units)}


@dataclass(frozen=True)
class Bumps(Layer):
    """Gains times bumps: three parts of its own names, one of them penalized."""

    width: float = 1.0
    penalized = ("gains",)

    def parts(self, inputs, units):
        return {"centers": (inputs, units), "log_widths": (units,), "gains": (units,)}

    def initial(self, rng, x, units):
        centers = x[rng.randint(len(x), size=units)].T
        log_widths = np.full(units, np.log(self.width))
        return {"gains": rng.normal(size=units), "log_widths": log_widths, "centers": centers}

    def outputs(self, x, centers, log_widths, gains):
        squares = np.sum(np.square(x[:, :, None] - centers), axis=1)
        return gains * np.exp(-squares * np.exp(-2 * log_widths))


class Fourier(Layer):
    """Waves that learn nothing: a layer without parts, whose waves come in pairs."""

    def parts(self, *_):
        return {}

    def initial(self, *_):
        return {}

    def outputs(self, x):
        return np.concatenate([np.sin(x), np.cos(x)], axis=1)


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


def network_of(*kinds, inputs=3, units=4, normalization=None):
    kinds = tuple(KINDS.get(kind, kind) if isinstance(kind, str) else kind for kind in kinds)
    units = (inputs, *(units + i for i in range(len(kinds))), 2)
    return Network(units, kinds, normalization=normalization)


PARTS = {"prelu": 1, two_slopes: 2, snake: 1}  # how many numbers each unit learns
KINDS_OF_NETWORKS = [
    (),
    ("relu",),
    ("prelu",),
    ("tanh", two_slopes),
    (two_slopes, "rbf", snake),
    (Bumps(), "relu", Bumps()),
]


@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
@pytest.mark.parametrize("kinds", KINDS_OF_NETWORKS, ids=lambda kinds: "-".join(map(named, kinds)))
def test_theta_is_what_is_penalized_from_the_last_layer_on_then_the_rest_from_the_first(
    kinds, normalization
):
    if normalization and any(isinstance(KINDS.get(kind, kind), Layer) for kind in kinds):
        return
    network = network_of(*kinds, normalization=normalization)
    theta = np.arange(float(network.n_parameters))
    parts, units = network.split(theta), network.layer_units
    assert len(parts) == len(kinds) + 1 == network.depth
    for part, kind, (inputs, outputs) in zip(
        parts, [*kinds, None], itertools.pairwise(units), strict=True
    ):
        expected = {"W": (inputs, outputs), "b": (outputs,)}
        if isinstance(kind, Bumps):
            expected = kind.parts(inputs, outputs)
        if kind in PARTS:
            expected["activation"] = (PARTS[kind], outputs)
        if kind is not None and normalization is not None:
            expected["normalization"] = (2, outputs)
        running = NORMALIZATIONS[normalization].running if normalization else {}
        if kind is not None and running:
            expected["statistics"] = (len(running), outputs)
        assert {name: array.shape for name, array in part.items()} == expected
    assert [list(part) for part in parts] == [list(shapes) for shapes in network.shapes]
    penalized, rest = [], []
    for layer, part in zip(network.sequence, parts, strict=True):
        of_layer = [part[name].ravel() for name in part if name in layer.penalized]
        penalized = [*of_layer, *penalized]
        rest += [part[name].ravel() for name in part if name not in layer.penalized]
    np.testing.assert_array_equal(np.concatenate([*penalized, *rest]), theta)
    np.testing.assert_array_equal(np.concatenate(penalized), theta[network.penalized])
    assert all(np.shares_memory(array, theta) for part in parts for array in part.values())
    np.testing.assert_array_equal(network.packed(parts), theta)
    W, b = network.last_layer(theta)
    assert W is not parts[-1]["W"]
    np.testing.assert_array_equal(W, parts[-1]["W"])
    np.testing.assert_array_equal(b, parts[-1]["b"])


def objective_of(network, theta, alpha=0.0):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(12, network.layer_units[0]))
    Y = rng.normal(size=(12, network.layer_units[-1]))
    graph = LossGraph(network, HEADS["linear"](), Y.shape[1])
    return Objective(graph, theta, X, Y, None, alpha)


@dataclass(frozen=True)
class Made(Layer):
    """A layer made of a function of x, W and b."""

    function: object

    def parts(self, inputs, units):
        return {"W": (inputs, units), "b": (units,)}

    def outputs(self, x, W, b):
        return self.function(x, W, b)

    def initial(self, rng, x, units):
        return {"W": rng.normal(size=(x.shape[1], units)), "b": np.full(units, 0.5)}


# Layers that read W or b beside x W + b, so that no rule may take it for all there is of them.
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
def test_what_is_planned_is_the_gradient_of_the_objective(kinds, units):
    network = network_of(*kinds, units=units)
    theta = started(network)
    objective, rows = objective_of(network, theta), np.arange(12)
    graph = objective.graph
    value = objective(rows)
    variables = [x for part in graph.parameters for x in part.values()]
    derived = gradient(graph.objective, variables)
    bound = values_of(graph.parameters, network.split(theta)) | {graph.per_row: np.array(1 / 12)}
    want = Program([graph.objective, *derived], bound).run(objective._data, rows)
    np.testing.assert_allclose(value, want[0], rtol=1e-13)
    found = values_of(graph.parameters, network.split(objective.gradient))
    for x, w in zip(variables, want[1:], strict=True):
        np.testing.assert_allclose(found[x], w, rtol=1e-12, atol=1e-15)


def started(network, seed=0, **options):
    X = np.random.default_rng(2).normal(size=(30, network.layer_units[0]))
    return network.initial_theta(np.random.RandomState(seed), np.float64, X=X, **options)


@pytest.mark.parametrize(
    "first",  # the gradient of a step is meant to be another function's
    [
        *(name for name in KINDS if name != "hard_threshold"),
        two_slopes,
        snake,
        Multiquadric(),
        Bumps(),
    ],
)
@pytest.mark.parametrize("second", ["tanh", "prelu", "rbf"])
def test_gradient_of_the_objective_is_that_of_its_values(first, second):
    network = network_of(first, second)
    theta = started(network) + 0.1 * np.random.default_rng(3).normal(size=network.n_parameters)
    objective = objective_of(network, theta, alpha=3.6)
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
        ((), [(0, "W")]),
        (("relu", "tanh"), [(0, "W"), (1, "W"), (2, "W")]),
        (("prelu", two_slopes), [(0, "W"), (1, "W"), (2, "W")]),
        (("rbf",), [(1, "W")]),
        (("tanh", "rbf"), [(0, "W"), (2, "W")]),
        (("rbf", Multiquadric(), "tanh"), [(2, "W"), (3, "W")]),
        ((Bumps(), "tanh"), [(0, "gains"), (1, "W"), (2, "W")]),
        (("tanh", Bumps()), [(0, "W"), (1, "gains"), (2, "W")]),
    ],
)
@pytest.mark.parametrize("units", [4, 150])  # in one chunk of theta, and in several
def test_penalty_is_for_what_the_layers_say(kinds, penalized, units):
    network = network_of(*kinds, units=units)
    theta = started(network)
    rows, gradients, values = np.arange(12), [], []
    for alpha in (0.0, 84.0):
        objective = objective_of(network, theta, alpha)
        values.append(objective(rows))
        gradients.append(objective.gradient.copy())
    expected = np.zeros_like(theta)
    for i, name in penalized:
        network.split(expected)[i][name][...] = network.split(theta)[i][name]
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
    again = fit(X, y, **clone(model).get_params(deep=False))
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
    start = RadialBasis().initial(np.random.RandomState(0), x, 3)
    np.testing.assert_array_equal(start["W"], [[1.0, 3.0, 2.0]])


@pytest.mark.parametrize(("rows", "units"), [(5, 12), (1, 3), (4, 1)])
def test_few_rows_are_centers_again(rows, units):
    x = np.arange(2.0 * rows).reshape(rows, 2)
    W, b = RadialBasis(1.0).initial(np.random.RandomState(0), x, units).values()
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
    centers = network.split(theta)[0]["W"].ravel()
    assert len(np.unique(centers)) == 50
    assert stats.kstest(centers, stats.uniform(0, 1e5).cdf).pvalue > 1e-3


def test_layer_above_another_starts_on_what_it_sees():
    X, _ = problem(20)
    network = Network((3, 4, 20, 1), (np.tanh, RadialBasis()))
    theta = network.initial_theta(np.random.RandomState(0), np.float64, X=X)
    first, second, _ = network.split(theta)
    seen = np.tanh(X @ first["W"] + first["b"])
    assert np.max(np.min(cdist(second["W"].T, seen), axis=1)) < 1e-12


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


# ------------------------------------------------------------------- layers with parts of their own


def bumps_by_hand(x, centers, log_widths, gains):
    return gains * np.exp(-cdist(x, centers.T, "sqeuclidean") / np.exp(2 * log_widths))


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "adamw", "sgd"])
@pytest.mark.parametrize("place", [0, 1])
def test_layer_with_three_parts_is_learned_published_and_used(place, solver):
    X, y = problem()
    activation = ["tanh", Bumps(0.7)] if place else [Bumps(0.7), "tanh"]
    model = fit(X, y, (5, 4), activation, solver=solver, max_iter=30, learning_rate_init=0.01)
    published = model.layer_parameters_[place]
    assert model.layer_parameters_[1 - place] is None
    inputs = (3, 5)[place], (5, 4)[place]
    assert {name: part.shape for name, part in published.items()} == Bumps().parts(*inputs)
    still = initial(activation, X, y, hidden=(5, 4)).layer_parameters_[place]
    assert all(np.all(part != still[name]) for name, part in published.items())
    h = X
    for i in range(2):
        if i == place:
            h = bumps_by_hand(h, **published)
        else:
            h = np.tanh(h @ model.coefs_[i] + model.intercepts_[i])
        np.testing.assert_allclose(model.hidden_layer_output(X, i), h, atol=1e-12)
    raw = h @ model.coefs_[2] + model.intercepts_[2]
    np.testing.assert_allclose(model.predict(X), raw[:, 0], atol=1e-12)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    published["gains"] *= 2
    assert np.all(model.predict(X) != copy.predict(X))
    assert all(name in str(model.computation_graph()) for name in ("centers", "gains"))


@pytest.mark.parametrize("kind", [Bumps(), Fourier(), Multiquadric()], ids=named)
def test_own_layers_go_on_where_they_were(kind):
    X, y = problem()
    hidden = (6,)
    whole = fit(X, y, hidden, kind, max_iter=8, **STEPS)
    warm = fit(X, y, hidden, kind, max_iter=3, warm_start=True, **STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warm.set_params(max_iter=5).fit(X, y)
    stream = MLPRegressor(hidden, kind, random_state=0, **STEPS)
    for _ in range(8):
        stream = pickle.loads(pickle.dumps(stream.partial_fit(X, y)))
    for model in (warm, stream):
        np.testing.assert_allclose(model.predict(X), whole.predict(X), rtol=1e-10)


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
def test_a_stronger_penalty_shrinks_what_a_layer_says_alone(solver):
    X, y = problem()
    options = {"solver": solver, "max_iter": 300, "learning_rate_init": 0.02, "tol": 0}
    norms = []
    for alpha in (0.0, 50.0):
        (part,) = fit(X, 0 * y, (5,), Bumps(), alpha=alpha, **options).layer_parameters_
        norms.append({name: np.linalg.norm(array) for name, array in part.items()})
    assert norms[1]["gains"] < 0.1 * norms[0]["gains"]
    assert norms[1]["centers"] > 0.5 * norms[0]["centers"]


@pytest.mark.parametrize(
    ("start", "told"),
    [
        ({"W": np.zeros((3, 4)), "b": np.zeros(5)}, r"shape \(3, 5\) for 'W'"),
        ({"W": np.zeros((3, 5)), "b": np.zeros(4)}, r"shape \(5,\) for 'b'"),
        ({"W": np.full((3, 5), np.nan), "b": np.zeros(5)}, "finite numbers"),
        ({"W": np.full((3, 5), "a"), "b": np.zeros(5)}, "finite numbers"),
        ({"W": np.zeros((3, 5))}, r"dict of its parts, 'W', 'b', got 'W'"),
        ({"W": np.zeros((3, 5)), "b": np.zeros(5), "c": 0}, "got 'W', 'b', 'c'"),
        ((np.zeros((3, 5)), np.zeros(5)), r"dict of its parts, 'W', 'b', got \(array"),
        (None, "dict of its parts, 'W', 'b', got None"),
    ],
)
def test_layer_that_starts_wrong_is_told(start, told):
    class Wrong(Multiquadric):
        def initial(self, *_):
            return start

    X, y = problem()
    with pytest.raises(ValueError, match=f"(?s)Wrong.* must start with .*{told}"):
        fit(X, y, (5,), Wrong())


@pytest.mark.parametrize(
    "parts",
    [
        None,
        ["W"],
        ("W", (3, 5)),
        {"W": 5},
        {"W": (3.0, 5)},
        {"W": (3, -5)},
        {"W": (True, 5)},
        {"W": "35"},
        {1: (3, 5)},
        {"x": (3, 5)},
        {"two words": (3, 5)},
    ],
)
def test_parts_that_are_none_are_told(parts):
    class Wrong(Multiquadric):
        def parts(self, *_):
            return parts

    X, y = problem()
    with pytest.raises(ValueError, match=r"Wrong.* must name its parts.* got") as told:
        fit(X, y, (5,), Wrong())
    assert str(told.value).endswith(f"got {parts!r}.")


@pytest.mark.parametrize("names", [("V",), ("W", "V"), "W", ["Wb"], None, 3])
def test_penalized_parts_that_are_not_there_are_told(names):
    class Wrong(Multiquadric):
        penalized = names

    X, y = problem()
    with pytest.raises(ValueError, match=r"Wrong.* must name in penalized.*'W', 'b'") as told:
        fit(X, y, (5,), Wrong())
    assert str(told.value).endswith(f"got {names!r}.")


@pytest.mark.parametrize(
    "outputs", [lambda x, W, b: x, lambda x, W, b: np.sum(x @ W + b, axis=1), lambda x, W, b: 1.0]
)
def test_outputs_of_another_shape_are_told(outputs):
    X, y = problem()
    with pytest.raises(ValueError, match=r"^hidden layer 1, Made.* shape \(n, 5\), got"):
        fit(X, y, (5,), Made(outputs))
    with pytest.raises(ValueError, match=r"^hidden layer 1, .* shape \(n, 5\), got"):
        fit(X, y, (5,), lambda z: z[:, :2])


MIX_ROWS = [
    lambda z: z - np.mean(z, axis=0),
    lambda z: z / np.max(np.abs(z), axis=0),
    lambda z: z + np.sum(z),
    lambda z: np.tanh(z) * np.std(z, axis=0, keepdims=True),
    Made(lambda x, W, b: np.tanh(x @ W + b) - np.mean(x)),
]


@pytest.mark.parametrize("mixing", MIX_ROWS)
@pytest.mark.parametrize("place", [0, 1])
def test_functions_that_mix_rows_are_refused(mixing, place):
    X, y = problem()
    activation = ["relu", mixing] if place else [mixing, "relu"]
    told = rf"^hidden layer {place + 1}, .* from that row alone, but it mixes rows.*\.$"
    for call in (
        MLPRegressor((5, 4), activation).fit,
        MLPRegressor((5, 4), activation).partial_fit,
    ):
        with pytest.raises(ValueError, match=told):
            call(X, y)


@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
@pytest.mark.parametrize(
    "f",
    [
        lambda z: z - np.mean(z, axis=1, keepdims=True),
        lambda z: np.exp(z - np.max(z, axis=1, keepdims=True)),
        lambda z: np.ones_like(z) * z[:, :1],
        np.zeros_like,
        two_slopes,
    ],
)
def test_functions_of_each_row_are_taken(f, normalization):
    X, y = problem()
    fit(X, y, (5, 4), [f, "relu"], normalization=normalization, max_iter=2)


def test_a_layer_may_take_sparse_rows():
    class Linear(Made):
        takes_sparse = True

    X, y = problem()
    layer = Linear(lambda x, W, b: np.tanh(x @ W + b))
    dense, sparse = (fit(A, y, (5,), layer) for A in (X, scipy.sparse.csr_matrix(X)))
    assert get_tags(sparse).input_tags.sparse
    np.testing.assert_allclose(sparse.predict(X), dense.predict(X), atol=1e-10)


def test_layer_needs_its_three_methods():
    X, y = problem()
    with pytest.raises(NotImplementedError, match=r"Layer must define parts\(inputs, units\)"):
        fit(X, y, (5,), Layer())
    with pytest.raises(NotImplementedError, match=r"Layer must define outputs\(x, W, b\)"):
        Layer().outputs(X, W=None, b=None)
    with pytest.raises(NotImplementedError, match="Layer must define initial"):
        Layer().initial(None, X, 5)


# --------------------------------------------------------------------------- initialization


def uniform(bound):
    return stats.uniform(-bound, 2 * bound)


DISTRIBUTIONS = {  # of a weight, from the papers' formulas, for those that have any
    "glorot_uniform": lambda i, o: uniform(np.sqrt(6 / (i + o))),
    "glorot_normal": lambda i, o: stats.norm(scale=np.sqrt(2 / (i + o))),
    "he_uniform": lambda i, o: uniform(np.sqrt(6 / i)),
    "he_normal": lambda i, o: stats.norm(scale=np.sqrt(2 / i)),
    "lecun_uniform": lambda i, o: uniform(np.sqrt(3 / i)),
    "lecun_normal": lambda i, o: stats.norm(scale=np.sqrt(1 / i)),
}


def law_of_the_distribution(initializer, name, inputs, outputs):
    W = initializer(np.random.RandomState(0), inputs, outputs)
    expected = DISTRIBUTIONS[name](inputs, outputs)
    assert W.shape == (inputs, outputs)
    assert W.var() == pytest.approx(expected.var(), rel=0.02)
    assert stats.kstest(W.ravel(), expected.cdf).pvalue > 1e-3
    low, high = expected.support()
    assert low <= W.min()
    assert W.max() <= high
    assert np.isinf(high) or W.max() > 0.999 * high


@pytest.mark.parametrize(("inputs", "outputs"), [(200, 300), (600, 100)])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_initializer_has_its_distribution(name, inputs, outputs):
    law_of_the_distribution(INITIALIZERS[name], name, inputs, outputs)


@pytest.mark.parametrize("other", [name for name in INITIALIZERS if name != "he_normal"])
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
        np.testing.assert_allclose(W, INITIALIZERS[name](rng, *W.shape), rtol=0, atol=1e-290)
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
        ({"weight_init": "unknown"}, INITIALIZERS),
        ({"weight_init": 3}, INITIALIZERS),
        ({"activation": "unknown"}, KINDS),
        ({"activation": ["relu", "unknown"], "hidden_layer_sizes": (3, 3)}, KINDS),
        ({"activation": Multiquadric}, KINDS),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(estimator, parameters, known):
    X, y = problem()
    with pytest.raises(ValueError, match=f"parameter of {estimator.__name__} must be") as told:
        estimator(**parameters).fit(X, y > 0)
    assert all(f"'{name}'" in str(told.value) for name in known)


def test_initializers_are_described():
    assert all(f'"{name}"' in MLPClassifier.__doc__ for name in INITIALIZERS)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializer_draws_finite_weights_of_the_shape_and_the_same_from_the_same_seed(name):
    first, again = (INITIALIZERS[name](np.random.RandomState(1), 7, 4) for _ in range(2))
    assert first.shape == (7, 4)
    assert np.all(np.isfinite(first))
    np.testing.assert_array_equal(first, again)


NO_WEIGHTS = {
    "None": (lambda rng, n, m: None, "got None"),
    "text": (lambda rng, n, m: "zeros", "got 'zeros'"),
    "another shape": (lambda rng, n, m: np.zeros((m, n)), r"got shape \(5, 3\)"),
    "one number": (lambda rng, n, m: 0.1, r"got shape \(\)"),
    "ragged": (lambda rng, n, m: [[1.0], [2.0, 3.0]], "raised ValueError: .*"),
    "NaN": (lambda rng, n, m: np.full((n, m), np.nan), "got nan"),
    "complex": (lambda rng, n, m: np.ones((n, m)) * 1j, "got complex128"),
    "objects": (lambda rng, n, m: np.ones((n, m), object), "got object"),
    "an error": (lambda rng, n, m: {}["fan"], "raised KeyError: 'fan'"),
}


@pytest.mark.parametrize("draw", NO_WEIGHTS)
def test_what_no_weights_are_is_told(draw):
    X, y = problem()
    function, told = NO_WEIGHTS[draw]
    with pytest.raises(ValueError, match=rf"^weight_init=<lambda>.* \(3, 5\), .*{told}\.$"):
        fit(X, y, (5,), weight_init=function)


@pytest.mark.parametrize("dtype", [np.float32, int, bool])
def test_weights_of_any_real_numbers_are_taken(dtype):
    X, y = problem()
    model = fit(X, y, (5,), weight_init=lambda rng, n, m: np.eye(n, m, dtype=dtype), max_iter=1)
    assert model.coefs_[0].dtype == X.dtype


def test_a_function_that_does_not_take_what_draws_weights_is_refused_before_any_work():
    X, y = problem()
    told = r"'weight_init' .* function of \(rng, inputs, outputs\), got <lambda>\(shape\): too many"
    with pytest.raises(ValueError, match=told):
        fit(X, y, weight_init=lambda shape: np.zeros(shape) + 1)
