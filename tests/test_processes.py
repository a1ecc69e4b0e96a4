"""Processes: what things answer is the same wherever they are, and nothing is left of a fit."""

import gc
import multiprocessing
import operator
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skmlp import Head
from skmlp.callbacks import Callback
from skmlp.tabular import TabularMLPClassifier, TabularMLPRegressor
from skmlp.tabular.boosting import boosted
from skmlp.tabular.members import _once
from skmlp.training.loops import Broken
from skmlp.training.processes import Here, Processes, Shared, _end_all, _Process

RNG = np.random.default_rng(0)
N = 240
X = RNG.normal(size=(N, 4))
NUMBERS = X[:, 0] + np.abs(X[:, 1]) + 0.1 * RNG.normal(size=N)
CLASSES = np.digitize(NUMBERS, [0.3, 1.3])
QUICK = {"max_epochs": 4, "n_folds": 3, "hidden_layer_sizes": (16,), "n_trees": 50}
BOTH = pytest.mark.parametrize(
    ("kind", "y"), [(TabularMLPClassifier, CLASSES), (TabularMLPRegressor, NUMBERS)]
)


@pytest.fixture(scope="module")
def two():
    processes = Processes(2)
    yield processes
    processes.close()
    _end_all()


@pytest.fixture
def many(monkeypatch, two):
    """Have every fit with n_jobs use processes, the two that are there."""
    monkeypatch.setattr("skmlp.tabular.model._ROWS_FOR_PROCESSES", 0)
    used = []

    class Ready:
        folder = two.folder
        each, let_go = staticmethod(two.each), staticmethod(two.let_go)

        def __init__(self, n):
            used.append(n)

        def hold(self, *given):
            two.hold(*given)

        def close(self):
            two.let_go()

    monkeypatch.setattr("skmlp.tabular.model.Processes", Ready)
    return used


# -------------------- the law


class Counter:
    """A thing that changes, and is in some process."""

    def __init__(self, number):
        self.count = number

    def add(self, more=1):
        self.count += more
        return self.count


def counters(numbers):
    return [Counter(10 * number) for number in numbers]


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_things_answer_the_same_wherever_they_are(two, n):
    found = []
    for holder in (Here(), two):
        holder.hold(counters, range(n))
        asked = [
            holder.each(Counter.add),
            holder.each(Counter.add, range(n)),
            holder.each(partial(Counter.add, more=100)),
        ]
        holder.let_go()
        found.append(asked)
    assert found[0] == found[1]
    assert found[0][0] == [10 * i + 1 for i in range(n)]


own_numbers = lambda numbers: [os.getpid for _ in numbers]  # noqa: E731, it travels by value


def test_things_of_two_processes_are_in_two(two):
    two.hold(own_numbers, range(4))
    first, second, *others = two.each(operator.call)
    assert others == [first, second]
    assert len({first, second, os.getpid()}) == 3


@pytest.mark.parametrize("shape", [(3, 4), (5,), (0, 3), ()])
def test_shared_numbers_are_seen_on_both_sides(two, shape):
    for holder in (Here(), two):
        shared = Shared(shape, np.float32, holder.folder)
        shared.array[...] = 1

        def make(numbers, shared=shared):
            return [shared for _ in numbers]

        holder.hold(make, range(2))
        assert holder.each(_sum) == [shared.array.size] * 2
        holder.each(_set, [7, 8])
        assert set(shared.array.ravel()) <= {7, 8}
        assert len(set(shared.array.ravel())) == min(1, shared.array.size)
        assert shared.array.flags.aligned
        holder.let_go()


def _sum(shared):
    return float(np.sum(shared.array))


def _set(shared, value):
    shared.array[...] = value


def test_the_first_rows_of_shared_numbers_are_a_view(two):
    for folder in (None, two.folder):
        shared = Shared((4, 2), np.float64, folder)
        shared.first(3).array[...] = 5
        assert np.all(shared.array[:3] == 5)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="files grow as they are written")
def test_a_full_disk_is_told_before_work_begins(two, monkeypatch):
    def full(*given):  # noqa: ARG001
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        OSError, match=r"no room in .* for the 4 MB .*: name another folder in TMPDIR"
    ):
        Shared((1 << 20,), np.float32, two.folder)


def test_blas_has_as_many_threads_there_as_here(two):
    for n in (2, 1):
        with threadpool_limits(n, user_api="blas"):
            two.hold(counters, range(2))
        assert two.each(_blas_threads) == [{n}] * 2


def _blas_threads(thing):  # noqa: ARG001
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


# -------------------- errors, and ends


class Strange(Exception):  # noqa: N818
    """It cannot travel."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def test_what_is_raised_there_is_raised_here_with_where(two):
    two.hold(counters, range(3))
    with pytest.raises(TypeError, match="unsupported operand") as caught:
        two.each(Counter.add, ["a", "b", "c"])
    assert "in add" in caught.value.__notes__[0]
    with pytest.raises(RuntimeError, match="Strange: one and two"):
        two.each(_raise)
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        two.each(_lock)
    with pytest.raises((AttributeError, TypeError), match="pickle"):
        two.each(lambda thing: thing)  # a message that cannot be sent
    two.hold(counters, range(2))  # and all goes on
    assert two.each(Counter.add) == [1, 11]


def _raise(thing):  # noqa: ARG001
    raise Strange("one", "two")


def _lock(thing):  # noqa: ARG001
    return threading.Lock()


def test_what_is_printed_there_is_no_answer(capfd):
    processes = Processes(1)
    processes.hold(counters, range(2))
    assert processes.each(_print) == [0, 10]
    processes.close()
    assert capfd.readouterr().err.count("a line\n") == 2


def _print(thing):
    print("a line", flush=True)
    return thing.count


def test_what_other_processes_cannot_make_is_made_here():
    lock = threading.Lock()
    for make, error in (
        (lambda some: [lock for _ in some], "TypeError: cannot pickle"),
        (partial(_only_in, os.getpid()), "ValueError: not here"),
    ):
        processes = Processes(2)
        with pytest.warns(RuntimeWarning, match=f"All is done in this process.*{error}"):
            processes.hold(make, range(3))
        assert processes.each(id) == [id(lock) if "pickle" in error else id(None)] * 3
        processes.hold(counters, range(3))  # and stays here
        assert processes.each(Counter.add) == [1, 11, 21]
        processes.close()


def _only_in(number, some):
    if os.getpid() != number:
        raise ValueError("not here")
    return [None for _ in some]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no Ctrl-C can be sent here")
@pytest.mark.parametrize("times", [(0.3,), (0.3, 0.301, 0.302, 0.35)])
def test_an_interruption_ends_at_once_what_is_being_done(times):
    processes = Processes(2)
    processes.hold(counters, range(2))
    shared = Shared((2,), np.float64, processes.folder)
    shared.array[...] = 0
    here = threading.get_ident()  # which Ctrl-C reaches
    timers = [threading.Timer(t, signal.pthread_kill, [here, signal.SIGINT]) for t in times]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    begun = time.monotonic()
    heard = 0
    try:
        for timer in timers:
            timer.start()
        try:
            processes.each(partial(_endless, shared=shared), [0, 1])
        except KeyboardInterrupt:
            heard += 1
        is_idle = [process._popen.poll() is not None for process in processes._processes]
        try:
            time.sleep(max(0.0, begun + 1 - time.monotonic()))
        except KeyboardInterrupt:
            heard += 1
    finally:
        for timer in timers:
            timer.join()
        signal.signal(signal.SIGINT, before)
    assert heard >= 1
    assert all(is_idle)  # nobody is writing any more
    assert time.monotonic() - begun < 30
    with pytest.raises(Broken):
        processes.each(Counter.add)
    processes.close()
    assert not Path(processes.folder).exists()


def _endless(thing, place, shared):  # noqa: ARG001
    while True:
        shared.array[place] += 1


def test_processes_wait_for_another_fit_and_end_with_this_one(tmp_path):
    processes = Processes(1)
    processes.hold(own_numbers, range(1))
    (number,) = processes.each(operator.call)
    folder = Path(processes.folder)
    assert folder.is_dir()
    processes.close()
    assert not folder.exists()
    again = Processes(1)
    again.hold(own_numbers, range(1))
    assert again.each(operator.call) == [number]
    # what had to import a package of the user's is not kept: that may change
    (tmp_path / "package_of_mine.py").write_text("value = 3\n")
    assert again.each(_imported, [str(tmp_path)]) == [3]
    again.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def _imported(thing, folder):  # noqa: ARG001
    sys.path.insert(0, folder)
    import package_of_mine  # noqa: PLC0415

    return package_of_mine.value


def test_processes_know_where_the_caller_is_at_each_time(tmp_path, monkeypatch):
    (tmp_path / "pickle.py").write_text("raise SystemExit('a wrong pickle')\n")
    (tmp_path / "late_module.py").write_text("value = 4\n")
    processes = Processes(1)
    processes.hold(counters, range(1))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    processes.hold(lambda some: [__import__("late_module").value for _ in some], range(2))
    assert processes.each(int) == [4, 4]
    processes.hold(lambda some: [os.getcwd for _ in some], range(1))
    assert processes.each(operator.call) == [str(tmp_path)]
    processes.close()
    # nothing is imported from the working folder when one starts
    sys.path.remove(str(tmp_path))
    _end_all()
    processes = Processes(1)
    processes.hold(own_numbers, range(1))
    assert processes.each(operator.call) != [os.getpid()]
    processes.close()


def test_what_is_printed_when_python_starts_is_no_answer(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("print('welcome' * 100, flush=True)\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    _end_all()
    processes = Processes(1)
    processes.hold(own_numbers, range(1))
    assert processes.each(operator.call) != [os.getpid()]
    processes.close()


def test_what_is_read_there_is_empty():
    processes = Processes(1)
    processes.hold(lambda some: [sys.stdin.read for _ in some], range(1))
    assert processes.each(operator.call) == [""]
    processes.close()


def test_threads_of_other_people_keep_no_process():
    processes = Processes(1)
    processes.hold(own_numbers, range(1))
    (number,) = processes.each(operator.call)
    processes.each(_thread_that_stays)
    processes.close()  # it has imported this file, so it is not kept
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def _thread_that_stays(thing):  # noqa: ARG001
    threading.Thread(target=time.sleep, args=(1000,)).start()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="locks are of Unix")
def test_leftovers_of_killed_fits_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import os, sys; sys.path[:] = eval(sys.argv[1])\n"
        "from skmlp.training.processes import Processes, Shared\n"
        "import numpy as np\n"
        "p = Processes(1); Shared((1000,), np.float64, p.folder); print(p.folder, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    env = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", code, repr(sys.path)]
    left = subprocess.run(command, env=env, capture_output=True, text=True, check=False).stdout
    assert Path(left.strip()).is_dir()
    first, second = Processes(1), Processes(1)
    assert not Path(left.strip()).exists()
    assert Path(first.folder).is_dir()  # which is locked
    first.close()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_shared_files_end_with_their_numbers(two):
    shared = Shared((10,), np.float64, two.folder)
    file = Path(shared._file)
    assert file.exists()
    del shared
    gc.collect()
    assert not file.exists()


def test_a_process_that_ends_says_so_and_is_not_kept():
    processes = Processes(1)
    processes.hold(own_numbers, range(2))
    (number, _) = processes.each(operator.call)
    os.kill(number, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    with pytest.raises(Broken, match="A process that n_jobs is for has ended"):
        processes.each(operator.call)
    processes.close()
    assert all(process._popen.pid != number for process in _Process.waiting)


def test_what_cannot_be_started_is_done_here(monkeypatch):
    monkeypatch.setattr("skmlp.tabular.model._ROWS_FOR_PROCESSES", 0)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    _end_all()
    with pytest.warns(RuntimeWarning, match="no other one can be started: .*/nowhere/python"):
        model = TabularMLPRegressor(n_jobs=2, random_state=0, **QUICK).fit(X, NUMBERS)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_this_process_does_not_speak_with_those_of_its_parent():
    processes = Processes(1)
    processes.hold(own_numbers, range(1))
    processes.close()
    assert _Process.waiting
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(len(_Process.waiting)))
    child.start()
    assert queue.get() == 0
    child.join()
    again = Processes(1)
    again.hold(own_numbers, range(1))
    assert again.each(operator.call) != [os.getpid()]
    again.close()


# -------------------- fits


class Own(Head):
    """A head that only this file knows."""

    def loss(self, raw, y):
        return np.sum(np.abs(raw - y) ** 1.5, axis=1)


@pytest.mark.parametrize(
    "given",
    [{}, {"n_neighbors": None}, {"head": Own(), "random_state": 1}, {"dropout": 0.3}],
    ids=["default", "compact", "own head", "dropout"],
)
@BOTH
def test_jobs_change_no_bit(many, kind, y, given):
    if "head" in given and kind is TabularMLPClassifier:
        given = {"head": "hinge"}
    fits = [kind(**(QUICK | {"random_state": 0, "n_jobs": n} | given)).fit(X, y) for n in (None, 2)]
    assert many == [2]
    one, two = (vars(model) for model in fits)
    np.testing.assert_array_equal(one["oof_prediction_"], two["oof_prediction_"])
    np.testing.assert_array_equal(one["temperatures_"], two["temperatures_"])
    np.testing.assert_array_equal(fits[0].predict(X), fits[1].predict(X))
    assert one["history_"] == two["history_"]


@BOTH
def test_jobs_change_no_bit_in_blocks_nor_with_rows_to_validate_on(many, kind, y, monkeypatch):
    weights = RNG.uniform(0.5, 2, N)
    further = {"X_val": X[:50], "y_val": y[:50]}
    for block, others in ((1 << 28, further), (1 << 13, {}), (1 << 13, further)):
        monkeypatch.setattr("skmlp.tabular.shown.BLOCK_BYTES", block)
        fits = [
            kind(random_state=0, n_jobs=n, **QUICK).fit(X, y, weights, **others) for n in (1, 3)
        ]
        np.testing.assert_array_equal(fits[0].predict(X), fits[1].predict(X))
    assert many == [3] * 3


def test_boosted_trees_are_the_same_in_processes(two):
    rows, weights = X.astype(np.float32), RNG.uniform(0.5, 2, N)
    (forest, answers), (again, others) = (
        boosted(rows, CLASSES, weights, None, 0, holder) for holder in (None, two)
    )
    np.testing.assert_array_equal(others, answers)
    np.testing.assert_array_equal(again.answers(rows), forest.answers(rows))


class Walled(Head):
    """A head whose loss is no number beyond a wall, which the best answers are close to."""

    def loss(self, raw, y):
        return np.sum(np.square(raw - y) - 0.01 * np.log(1.0 - raw), axis=1)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_members_that_diverge_do_so_in_any_process(many):
    fits = []
    for n in (1, 2):
        model = TabularMLPRegressor(head=Walled(), random_state=0, n_jobs=n, **QUICK)
        with pytest.warns(RuntimeWarning, match="diverged in epoch") as caught:
            model.fit(X, NUMBERS)
        told = [str(w.message) for w in caught if "diverged in epoch" in str(w.message)]
        fits.append((model.predict(X), told))
    assert many == [2]
    np.testing.assert_array_equal(fits[0][0], fits[1][0])
    assert fits[0][1] == fits[1][1]


def test_a_process_that_is_killed_leaves_the_best_so_far(monkeypatch):
    pytest.importorskip("sklearn.callback")
    monkeypatch.setattr("skmlp.tabular.model._ROWS_FOR_PROCESSES", 0)
    started = []
    monkeypatch.setattr(
        "skmlp.tabular.model.Processes", lambda n: started.append(Processes(n)) or started[0]
    )

    class Killer(Callback):
        epochs = 0

        def on_fit_task_end(self, estimator, context):  # noqa: ARG002
            self.epochs += context.task_name == "epoch"
            if self.epochs == 3:
                started[0]._processes[1]._popen.kill()

    model = TabularMLPRegressor(n_jobs=2, random_state=0, **QUICK)
    model.set_callbacks(Killer())
    with pytest.warns(RuntimeWarning, match="A process that n_jobs is for has ended") as caught:
        model.fit(X, NUMBERS)
    assert "of epoch 3 are kept" in str(caught[0].message)
    assert len(model.history_[0]["loss"]) == 3
    assert np.isfinite(model.predict(X)).all()
    assert not Path(started[0].folder).exists()
    # before an epoch is over there is nothing to keep
    before = vars(model).copy()
    started.clear()
    monkeypatch.setattr("skmlp.tabular.members._once", _killing(started))
    with pytest.raises(Broken, match="n_jobs=1 does the same"):
        model.fit(X, NUMBERS)
    assert vars(model) == before


def _killing(started):
    def once(*given):
        started[0]._processes[0]._popen.kill()
        return _once(*given)

    return once


def test_small_fits_and_single_jobs_start_nothing(monkeypatch):
    def refused(n):  # noqa: ARG001
        raise AssertionError("started")

    monkeypatch.setattr("skmlp.tabular.model.Processes", refused)
    TabularMLPRegressor(n_jobs=2, **QUICK).fit(X, NUMBERS)
    monkeypatch.setattr("skmlp.tabular.model._ROWS_FOR_PROCESSES", 0)
    TabularMLPRegressor(n_jobs=1, **QUICK).fit(X, NUMBERS)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    TabularMLPRegressor(n_jobs=2, **QUICK).fit(X, NUMBERS)
    gc.collect()
