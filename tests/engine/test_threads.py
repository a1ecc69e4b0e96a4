"""BLAS is held to one thread around small products, and only there."""

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController, threadpool_limits

from skmlp import MLPClassifier, MLPRegressor
from skmlp.callbacks import Callback
from skmlp.engine import Program, threads, variable

CONTROLLER = ThreadpoolController().select(user_api="blas")
SEVERAL = 3


def numbers():
    """How many threads each BLAS has."""
    return {library.get_num_threads() for library in CONTROLLER.lib_controllers}


@pytest.fixture(autouse=True)
def several_threads():
    before = {library: library.get_num_threads() for library in CONTROLLER.lib_controllers}
    threads._set(dict.fromkeys(before, SEVERAL))
    if numbers() != {SEVERAL}:
        pytest.skip("this BLAS cannot be set to several threads")
    yield
    after = numbers()
    threads._set(before)
    assert after == {SEVERAL}, "what there was is not put back"


def seen_in_a_product(rows, inputs, units, error=None):
    """How many threads there are while a program runs that multiplies so many numbers."""
    seen = []
    x, w, sizes = (
        variable("x", ("n", inputs)),
        variable("w", (inputs, units)),
        variable("s", ("n",)),
    )

    def look(buffer):
        seen.append(numbers())
        buffer[...] = 0
        if error is not None:
            raise error

    program = Program([(x @ w) * sizes[:, None]], {w: np.zeros((inputs, units))})
    program.run({x: look, sizes: np.ones(rows)})
    return seen[0]


@pytest.mark.parametrize(
    ("rows", "inputs", "units", "expected"),
    [
        (1, 64, 100, SEVERAL),  # too small for threads anyway, and too quick to ask
        (200, 64, 100, 1),
        (256, 256, 256, 1),
        (200, 512, 512, SEVERAL),
        (1024, 1024, 1024, SEVERAL),
    ],
)
def test_the_size_of_products_decides(rows, inputs, units, expected):
    assert seen_in_a_product(rows, inputs, units) == {expected}


def test_the_size_is_that_of_the_largest_product_of_a_block():
    x, w = variable("x", ("n", 64)), variable("w", (64, 100))
    program = Program([np.tanh(x @ w) @ w.T], {w: np.zeros((64, 100))})
    assert program.largest_product(10) == 10 * 64 * 100
    assert program.largest_product(10**9) == program.block_rows * 64 * 100
    sparse = variable("x", ("n", 64), is_sparse=True)
    assert Program([sparse @ w], {w: np.zeros((64, 100))}).largest_product(10) == 0
    assert Program([w @ w.T], {w: np.zeros((64, 100))}).largest_product(10) == 64 * 64 * 100


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt()])
def test_errors_and_interruptions_let_go(error):
    with pytest.raises(type(error)):
        seen_in_a_product(200, 64, 100, error)


def test_a_hold_within_a_hold_ends_with_the_outer_one():
    with threads.one_thread():
        with threads.one_thread():
            assert numbers() == {1}
        assert numbers() == {1}
        with threads.let_go():
            assert numbers() == {SEVERAL}
            with threads.one_thread():
                assert numbers() == {1}
            assert numbers() == {SEVERAL}
        assert numbers() == {1}


def test_the_last_of_several_python_threads_lets_go():
    with ThreadPoolExecutor(2) as pool:
        steps, first_left = threading.Barrier(2), threading.Barrier(2)

        def hold(is_first):
            with threads.one_thread():
                steps.wait()
                if not is_first:
                    first_left.wait()
                    seen = numbers()
            if is_first:
                seen = numbers()
                first_left.wait()
            return seen

        for order in ((True, False), (False, True)):
            assert list(pool.map(hold, order)) == [{1}, {1}]
            assert numbers() == {SEVERAL}


def test_many_fits_at_once_are_held_and_put_back():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 40)), rng.normal(size=300)

    def fit(seed):
        model = MLPRegressor((50,), max_iter=5, tol=0, random_state=seed, batch_size=300)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(X, y).predict(X)

    alone = [fit(seed) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # catching is for all threads at once
        for found, expected in zip(pool.map(fit, range(8)), alone, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_number_that_somebody_sets_meanwhile_stays():
    with threads.one_thread():
        threads._set(dict.fromkeys(CONTROLLER.lib_controllers, 2))
    assert numbers() == {2}
    threads._set(dict.fromkeys(CONTROLLER.lib_controllers, SEVERAL))


def test_one_thread_of_the_users_stays_one():
    with threadpool_limits(1, user_api="blas"):
        with threads.one_thread():
            assert numbers() == {1}
        assert numbers() == {1}


def test_limits_of_another_python_thread_only_delay_what_is_put_back():
    inside, left = threading.Event(), threading.Event()

    def hold():
        with threads.one_thread():
            inside.set()
            left.wait()

    with ThreadPoolExecutor(1) as pool, threadpool_limits(SEVERAL, user_api="blas"):
        with threads.one_thread():  # this thread has limits, and the other one lets go last
            held = pool.submit(hold)
            inside.wait()
        left.set()
        held.result()
        with threads.one_thread():
            assert numbers() == {1}
        assert numbers() == {SEVERAL}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.parametrize("in_the_thread_that_holds", [True, False])
def test_a_forked_child_holds_what_its_thread_does(in_the_thread_that_holds):
    def forked():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside other threads
            child = os.fork()
        if child == 0:
            with threads.one_thread():
                inside = numbers()
            os._exit(10 * max(inside) + max(numbers()))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    with threads.one_thread():
        if in_the_thread_that_holds:
            assert forked() == 11
        else:
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(forked).result() == 10 + SEVERAL
        assert numbers() == {1}


class OwnOfEachThread(threading.local):
    """A BLAS that has a number for each Python thread, as with OpenMP's threads."""

    threading_layer = "openmp"
    number = SEVERAL

    def get_num_threads(self):
        return self.number

    def set_num_threads(self, number):
        self.number = number


def test_where_each_python_thread_has_a_number_each_is_held_and_put_back(monkeypatch):
    library = OwnOfEachThread()
    monkeypatch.setattr(threads, "_libraries", lambda: [library])

    def inside_and_after():
        with threads.one_thread():
            inside = library.number
        return inside, library.number

    with threads.one_thread():
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(inside_and_after).result() == (1, SEVERAL)
        assert library.number == 1
    assert library.number == SEVERAL


# -- fits ------------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 64))
Y = (X[:, 0] > 0).astype(int)


def fitted(units, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPClassifier(units, max_iter=2, random_state=0, **settings)
        return model.fit(X, Y, X_val=X, y_val=Y)


def threads_in_training(units):
    """How many threads there are in the steps of a fit: a schedule is asked before each."""
    seen = []
    fitted(units, learning_rate=lambda progress: float(bool(seen.append(numbers()))) + 1.0)
    return set.union(*seen)


def test_small_networks_are_trained_with_one_thread_and_wide_ones_are_not(monkeypatch):
    assert threads_in_training((100,)) == {1}
    assert threads_in_training((512, 512)) == {SEVERAL}
    monkeypatch.setattr(threads, "MOST", 0)
    assert threads_in_training((100,)) == {SEVERAL}, "the test would not see that nothing is held"


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_scorers_have_their_own_threads(solver):
    seen = []

    def score(estimator, X, y):
        seen.append(numbers())
        return float(np.mean(estimator.predict(X) == y))

    fitted((100,), solver=solver, scoring=score)
    assert seen
    assert set.union(*seen) == {SEVERAL}


class Look(Callback):
    """Looks how many threads there are, in every hook."""

    def __init__(self):
        self.seen = []

    def look(self, *_, **__):
        self.seen.append(numbers())

    setup = on_fit_task_begin = on_fit_task_end = teardown = look


@pytest.mark.skipif(find_spec("sklearn.callback") is None, reason="callbacks came with 1.9")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_have_their_own_threads(solver):
    look = Look()
    model = MLPClassifier((100,), solver=solver, max_iter=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_callbacks(look).fit(X, Y)
    assert len(look.seen) > 4
    assert set.union(*look.seen) == {SEVERAL}
