"""Plans of objectives: made once for fits of one shape, never kept where they could go stale."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.datasets import make_regression

from skmlp import MLPRegressor
from skmlp.activations import ACTIVATIONS
from skmlp.heads import HEADS, Head, Huber
from skmlp.network import LAYERS
from skmlp.network.network import Network
from skmlp.training.objective import loss_graph

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
