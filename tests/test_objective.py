"""The objective: its penalty, other rows in place, and plans that are never stale."""

import functools
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.datasets import make_regression

from skmlp import MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.heads import HEADS, Head, Huber
from skmlp.network import INITIALIZERS, LAYERS, NORMALIZATIONS, Noise
from skmlp.network.network import Network
from skmlp.training.objective import LossGraph, Objective, OutputScale, loss_graph

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SHAPE = (3, 4, 2)


def graph_of(activation, head=None, **settings):
    head = HEADS["linear"]() if head is None else head
    return loss_graph(Network(SHAPE, (activation,)), head, 2, **settings)


@pytest.mark.parametrize("name", [*ACTIVATIONS, *LAYERS])
def test_fits_of_one_shape_share_a_plan(name):
    activation = {**ACTIVATIONS, **LAYERS}[name]
    first, again = graph_of(activation), graph_of(activation)
    assert first is again
    assert first.plan is again.plan
    assert graph_of(activation, is_weighted=True) is not first
    assert graph_of(activation, Huber()) is not first
    assert graph_of(activation, Huber(2.0)) is not graph_of(activation, Huber())


class OwnHead(Head):
    def loss(self, raw, y):
        return np.sum(np.square(raw - y), axis=1)


@functools.wraps(ACTIVATIONS["relu"])
def disguised(z):
    return np.maximum(z, 0)


@pytest.mark.parametrize(
    ("activation", "head"),
    [
        (lambda z: np.maximum(z, 0), None),
        (disguised, None),
        (functools.partial(ACTIVATIONS["leaky_relu"], slope=0.2), None),
        (np.tanh, None),
        (ACTIVATIONS["relu"], OwnHead()),
    ],
    ids=["lambda", "disguised", "partial", "ufunc", "head"],
)
def test_what_is_the_users_is_traced_anew(activation, head):
    assert graph_of(activation, head) is not graph_of(activation, head)


@unconverged
def test_a_function_that_reads_what_has_changed_is_not_stale():
    X, y = make_regression(60, 3, random_state=0)
    slope = [0.0]

    def leaky(z):
        return np.maximum(z, 0) + slope[0] * np.minimum(z, 0)

    model = MLPRegressor((4,), activation=leaky, max_iter=3, random_state=0)
    first = model.fit(X, y).loss_
    slope[0] = 0.5
    assert model.fit(X, y).loss_ != first


@unconverged
def test_threads_that_fit_with_one_plan_do_not_meet():
    X, y = make_regression(200, 3, random_state=0)

    def coefs(seed):
        model = MLPRegressor((7,), max_iter=20, batch_size=50, random_state=seed)
        return model.fit(X, y / 100).coefs_[0]

    alone = [coefs(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(coefs, range(8)))
    np.testing.assert_array_equal(together, alone)


# ------------------------------------------------------------------- the penalty, and other rows


def rows_of(n, weighted=False, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.5, 2, n) if weighted else None
    return rng.normal(size=(n, 3)), rng.normal(size=(n, 2)), weights


def objective_on(data, alpha, noise=None, **options):
    network = Network(SHAPE, (ACTIVATIONS["tanh"],), 0, options.pop("normalization", None))
    graph = LossGraph(
        network,
        HEADS["linear"](),
        2,
        noise=noise,
        is_weighted=data[2] is not None,
        has_scale="scale" in options,
    )
    theta = network.initial_theta(np.random.RandomState(0), np.float64)
    return Objective(graph, theta, *data, alpha, **options)


def squares_of(objective):
    return np.sum(objective.theta[objective.graph.network.penalized] ** 2)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_a_batch_is_penalized_by_its_own_rows(n):
    data = rows_of(40)
    free, penalized = objective_on(data, 0.0), objective_on(data, 6.0)
    difference = penalized(np.arange(n)) - free(np.arange(n))
    assert difference == pytest.approx(6.0 / (2 * n) * squares_of(free), rel=1e-12)
    g = penalized.gradient - free.gradient
    expected = np.zeros_like(g)
    weights = free.graph.network.penalized
    expected[weights] = 6.0 / n * free.theta[weights]
    np.testing.assert_allclose(g, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("noise", [None, Noise((0.2, 0.3))], ids=["quiet", "noisy"])
@pytest.mark.parametrize("batch_size", [40, 16, 7, 1])
def test_over_all_rows_the_penalty_is_the_mean_over_the_batches_of_an_epoch(batch_size, noise):
    data, options = rows_of(40), {"noise": noise, "random": np.random.default_rng(0)}
    free, penalized = (objective_on(data, alpha, **options) for alpha in (0.0, 6.0))
    rows = np.arange(40)
    batches = [rows[i : i + batch_size] for i in range(0, 40, batch_size)]
    mean = sum(len(b) / 40 * 6.0 / (2 * len(b)) * squares_of(free) for b in batches)
    found = penalized.predicted(rows, len(batches)) - free.predicted(rows, len(batches))
    assert found == pytest.approx(mean, rel=1e-12)
    assert free.predicted(rows) == pytest.approx(objective_on(data, 0.0)(rows), rel=1e-12)


SCALE = OutputScale(np.array([3.0, -1.0]), np.array([2.0, 5.0]), 7.0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"scale": SCALE}, {"normalization": "batch", "noise": Noise()}], ids=str
)
def test_an_objective_that_other_rows_are_put_in_is_that_of_these_rows(options, weighted):
    objective = objective_on(rows_of(40, weighted), 6.0, **options)
    objective(np.arange(16))
    program = objective.program
    for n, alpha in ((25, 6.0), (64, 0.0), (64, 2.0)):
        data = rows_of(n, weighted, seed=n)
        objective.attach(*data, alpha)
        assert objective.program is program
        other, rows = objective_on(data, alpha, **options), np.arange(3, n)
        other.theta[...] = objective.theta
        assert objective(rows) == other(rows)
        np.testing.assert_array_equal(objective.gradient, other.gradient)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 4, 4)])
def test_the_data_are_let_go_with_the_objective(hidden):
    network = Network((3, *hidden, 2), (ACTIVATIONS["tanh"],) * len(hidden))
    graph = LossGraph(network, HEADS["linear"](), 2)
    theta = network.initial_theta(np.random.RandomState(0), np.float64)
    X, Y, _ = rows_of(40)
    objective, seen = Objective(graph, theta, X, Y, None, 1.0), weakref.ref(X)
    objective(np.arange(7))
    gc.disable()
    try:
        del X, objective
        assert seen() is None
    finally:
        gc.enable()


def test_a_scale_is_folded_into_the_last_layer_and_taken_out_again():
    W, b = np.random.default_rng(0).normal(size=(4, 2)), np.array([0.5, -1.0])
    folded = W.copy(), b.copy()
    SCALE.fold(*folded)
    h = np.random.default_rng(1).normal(size=(5, 4))
    np.testing.assert_allclose(h @ folded[0] + folded[1], SCALE.start + SCALE.raw * (h @ W + b))
    SCALE.unfold(*folded)
    np.testing.assert_allclose(folded[0], W)
    np.testing.assert_allclose(folded[1], b)


# --------------------------------------------------------------------------------- what is ours


@pytest.mark.parametrize("registry", [ACTIVATIONS, LAYERS, INITIALIZERS, NORMALIZATIONS])
def test_registries_are_read_only_so_that_what_is_in_them_is_ours(registry):
    with pytest.raises(TypeError, match="does not support item assignment"):
        registry["mine"] = disguised
    with pytest.raises(AttributeError):
        registry.update(mine=disguised)


def test_a_subclass_of_a_layer_of_ours_is_the_users():
    class Mine(type(LAYERS["rbf"])):
        pass

    assert graph_of(Mine()) is not graph_of(Mine())
