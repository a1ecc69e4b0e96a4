"""Faults on a cluster of processes: a fit goes on with the same result, or says why not."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from skmlp.training.loops import Broken

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from skmlp.dask import DaskMLPRegressor  # noqa: E402
from skmlp.dask.session import Session  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # distributed's own, of connections to a worker that was killed
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


with_cluster = pytest.mark.usefixtures("client")


@pytest.fixture(scope="module")
def cluster():
    """Two workers in processes, which a nanny starts again."""
    settings = {"distributed.comm.retry.count": 0, "distributed.scheduler.allowed-failures": 1}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        client.wait_for_workers(2)
        yield client
        for _ in range(200):  # workers hear a little later than the scheduler
            tasks = client.run_on_scheduler(
                lambda dask_scheduler: [str(key) for key in dask_scheduler.tasks]
            )
            held = client.run(lambda dask_worker: [str(key) for key in dask_worker.data])
            left = [key for key in tasks if "skmlp" in key or "read_part" in key]
            left += [key for of_worker in held.values() for key in of_worker if "skmlp" in key]
            if not left:
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"left on the cluster: {left}")


def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    return X, X[:, 0] + X[:, 1] ** 2


def lazily(chunk=30):
    X, y = rows()
    return da.from_array(X, chunks=(chunk, 3)), da.from_array(y, chunks=chunk)


def model(**parameters):
    given = {"solver": "lbfgs", "max_iter": 12, "random_state": 0, "activation": "tanh"}
    return DaskMLPRegressor((4,), **(given | parameters))


def during_round(monkeypatch, number, act):
    """Have something done on the client while the workers answer in a round."""
    ask = Session.results
    seen = {"asked": 0}

    def watched(self, futures):
        if len(futures) == 2 and all("asked" in future.key for future in futures):
            seen["asked"] += 1
            if seen["asked"] == number:
                act()
        return ask(self, futures)

    monkeypatch.setattr(Session, "results", watched)
    return seen


def kill(client, which=0):
    pids = list(client.run(os.getpid).values())
    os.kill(pids[which], signal.SIGKILL)


def parameters_of(fitted):
    return [*fitted.coefs_, *fitted.intercepts_]


def assert_same(one, other, atol=0.0):
    for a, b in zip(parameters_of(one), parameters_of(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=atol)


STOCHASTIC = {"solver": "adam", "max_iter": 8, "batch_size": 10, "dropout": 0.1}


@pytest.mark.parametrize(
    "parameters",
    [{}, STOCHASTIC, pytest.param({"early_stopping": True}, marks=pytest.mark.long)],
    ids=str,
)
def test_a_killed_worker_changes_nothing(client, monkeypatch, parameters):
    expected = model(**parameters).fit(*lazily())
    seen = during_round(monkeypatch, 5, lambda: kill(client))
    found = model(**parameters).fit(*lazily())
    assert seen["asked"] > 5
    assert_same(expected, found)
    assert found.history_ == expected.history_


@pytest.mark.long
def test_a_worker_that_joins_changes_nothing(client, cluster, monkeypatch):
    expected = model().fit(*lazily())
    during_round(monkeypatch, 4, lambda: (cluster.scale(3), client.wait_for_workers(3)))
    found = model().fit(*lazily())
    assert_same(expected, found)
    cluster.scale(2)
    while len(client.nthreads()) > 2:
        time.sleep(0.05)


@pytest.mark.long
def test_a_slow_worker_changes_nothing(client, monkeypatch):
    expected = model().fit(*lazily())

    def slow():
        distributed.fire_and_forget(
            client.submit(time.sleep, 0.5, workers=[min(client.nthreads())], pure=False)
        )

    during_round(monkeypatch, 3, slow)
    assert_same(expected, model().fit(*lazily()))


@with_cluster
def test_a_partition_that_raises_ends_in_a_sentence():
    X, y = rows()

    def failing():
        raise OSError("disk gone")

    parts = [dask.delayed(np.copy)(X[:60]), dask.delayed(failing)()]
    targets = [dask.delayed(np.copy)(y[:60]), dask.delayed(np.copy)(y[60:])]
    fit = model()
    with pytest.raises(RuntimeError, match="Partition 1 could not be computed: OSError: disk"):
        fit.fit(parts, targets)
    assert not hasattr(fit, "coefs_")


def test_rows_that_are_lost_for_good_end_in_a_sentence_with_the_last_round(
    client, monkeypatch, tmp_path
):
    """A partition that can be read once only: when its worker dies, so do its rows."""
    X, y = rows()
    mark = tmp_path / "read"

    def read_once(path, part):
        path = Path(path)
        if path.exists():
            raise OSError("read before")
        path.touch()
        return part

    parts = [dask.delayed(read_once)(f"{mark}{i}", X[60 * i : 60 * i + 60]) for i in (0, 1)]
    targets = [dask.delayed(np.copy)(y[60 * i : 60 * i + 60]) for i in (0, 1)]
    during_round(monkeypatch, 6, lambda: kill(client))
    fit = model()
    with pytest.raises(RuntimeError, match=r"OSError: read before.*epoch \d+ are kept"):
        fit.fit(parts, targets)
    assert 0 < fit.n_iter_ < 6
    short = model(max_iter=fit.n_iter_).fit(*lazily())
    assert_same(short, fit, atol=1e-8)


@with_cluster
@pytest.mark.parametrize("parameters", [{}, STOCHASTIC], ids=str)
def test_an_interrupted_client_keeps_the_last_complete_round(monkeypatch, parameters):
    def interrupt():
        raise KeyboardInterrupt

    during_round(monkeypatch, 6, interrupt)
    fit = model(**parameters)
    with pytest.warns(UserWarning, match="interrupted by user: the parameters of epoch"):
        fit.fit(*lazily())
    monkeypatch.undo()
    assert 0 < fit.n_iter_ < 8
    if not parameters:
        assert_same(model(max_iter=fit.n_iter_).fit(*lazily()), fit)


def test_a_signal_interrupts_a_client_that_waits(client, monkeypatch):
    """The real one, while a round is on its way and takes long."""

    def interrupt_soon():
        for worker in client.nthreads():
            distributed.fire_and_forget(client.submit(time.sleep, 1, workers=[worker], pure=False))
        time.sleep(0.2)
        waiting = threading.main_thread().ident
        threading.Timer(0.2, signal.pthread_kill, (waiting, signal.SIGINT)).start()

    during_round(monkeypatch, 5, interrupt_soon)
    fit = model(max_iter=200, tol=0)
    # What a shell runs in the background ignores the signal, and so do its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.warns(UserWarning, match="interrupted by user"):
            fit.fit(*lazily())
    finally:
        signal.signal(signal.SIGINT, before)
    assert fit.n_iter_ > 0


@with_cluster
def test_an_interrupt_before_the_first_round_leaves_the_estimator(monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    during_round(monkeypatch, 1, interrupt)
    fit = model()
    with pytest.raises(KeyboardInterrupt):
        fit.fit(*lazily())
    assert not hasattr(fit, "coefs_")


@pytest.mark.long
def test_a_cluster_that_is_gone_ends_in_a_sentence():
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
        Session(client) as session,
    ):
        future = session.submit(time.sleep, 5)
        client.cancel([future])
        with pytest.raises(Broken, match="The cluster could not go on"):
            session.results([future])
