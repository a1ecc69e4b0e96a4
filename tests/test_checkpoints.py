"""Checkpoints: no kill, full disk or damaged file costs a whole epoch."""

import copy
import json
import operator
import os
import pickle
import subprocess
import sys
import warnings
from functools import partial, reduce
from importlib.util import find_spec

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csr_matrix
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning

from skmlp import MLPClassifier, MLPRegressor
from skmlp.callbacks import Callback, Checkpoint, TimeLimit
from skmlp.estimators.identity import in_words
from skmlp.training import checkpoints
from skmlp.training.checkpoints import read_checkpoint

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(
        find_spec("sklearn.callback") is None, reason="scikit-learn has callbacks since 1.9"
    ),
]

KINDS = [MLPClassifier, MLPRegressor]


def data(kind, n=70):
    if kind is MLPClassifier:
        X, y = make_classification(n, 5, n_informative=3, n_classes=3, random_state=0)
        return X, np.array(["a", "b", "c"])[y]
    X, y = make_regression(n, 5, noise=20.0, random_state=0)
    return X, y / 50


def quick(kind, *callbacks, **parameters):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 7, "random_state": 0, "batch_size": 16}
    model = kind(**(settings | {"learning_rate_init": 0.02, "n_iter_no_change": 1000} | parameters))
    return model.set_callbacks(*callbacks) if callbacks else model


class StopAt(Callback):
    """Stops after some epochs of this call."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_fit_task_end(self, estimator, context):  # noqa: ARG002
        return context.task_id + 1 == self.epochs


PUBLISHED = ["loss_curve_", "history_", "n_iter_", "t_", "loss_", "best_loss_", "best_iter_"]
PUBLISHED += ["validation_scores_", "best_validation_score_"]


def difference(a, b):
    """The first attribute in which two fits differ by a single bit."""
    for name in ("coefs_", "intercepts_"):
        if not all(map(np.array_equal, getattr(a, name), getattr(b, name))):
            return name
    return next(
        (name for name in PUBLISHED if repr(getattr(a, name)) != repr(getattr(b, name))), None
    )


def parts_left(folder):
    return [file.name for file in folder.iterdir() if file.name.endswith(".part")]


# -------------------- resuming

RESUMED = [
    {"solver": "adam"},
    {"solver": "sgd"},
    {"solver": "adamw", "weight_decay": 0.1},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.05},
    {"solver": "adam", "learning_rate": "one_cycle", "warmup": 0.2},
    {"solver": "sgd", "learning_rate": "coslog4", "max_grad_norm": 0.3},
    {"solver": "adam", "averaging": 0.9},
    {"solver": "adam", "shuffle": False},
    {"solver": "adam", "early_stopping": True, "validation_fraction": 0.2},
    {"solver": "sgd", "early_stopping": True, "scoring": "loss", "n_iter_no_change": 1, "tol": 0.1},
    {"solver": "adam", "restore_best": True, "learning_rate_init": 0.5},
    {"solver": "adam", "initial_output": "data", "averaging": 0.5},
    {"solver": "adam", "dtype": "float32"},
    {"solver": "adam", "activation": "prelu"},
    {"solver": "adam", "random_state": "generator"},
    {"solver": "adam", "dropout": 0.3, "input_noise": 0.1},
    {"solver": "sgd", "normalization": "batch", "averaging": 0.9, "dropout": (0.1, 0.2)},
    {"solver": "adamw", "normalization": "layer", "learning_rate": "cosine"},
]


def seeded(parameters):
    if parameters.get("random_state") == "generator":
        return parameters | {"random_state": np.random.RandomState(5)}
    return parameters


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", RESUMED, ids=str)
def test_a_resumed_fit_is_bit_for_bit_the_one_that_was_not_interrupted(parameters, kind, tmp_path):
    X, y = data(kind)
    path = tmp_path / "fit.npz"
    whole = quick(kind, **seeded(parameters)).fit(X, y)
    for epochs in (1, 3):
        quick(kind, StopAt(epochs), Checkpoint(path), **seeded(parameters)).fit(X, y)
        resumed = quick(kind, **seeded(parameters)).resume(path, X, y)
        assert difference(resumed, whole) is None
    # Once more, one epoch at a time.
    quick(kind, StopAt(1), Checkpoint(path), **seeded(parameters)).fit(X, y)
    for _ in range(6):
        model = quick(kind, StopAt(1), Checkpoint(path), **seeded(parameters)).resume(path, X, y)
    assert difference(model, whole) is None
    assert parts_left(tmp_path) == []


def test_the_difference_of_two_fits_is_seen():
    X, y = data(MLPRegressor)
    a, b = quick(MLPRegressor).fit(X, y), quick(MLPRegressor).fit(X, y)
    assert difference(a, b) is None
    b.intercepts_[0][0] = np.nextafter(b.intercepts_[0][0], 9)
    assert difference(a, b) == "intercepts_"


@pytest.mark.parametrize("kind", KINDS)
def test_weights_sparse_rows_and_a_validation_set_are_resumed_too(kind, tmp_path):
    X, y = data(kind)
    given = {"sample_weight": np.arange(60) % 3, "X_val": sparse.csr_array(X[60:]), "y_val": y[60:]}
    given["sample_weight_val"] = np.arange(10)
    X, y, path = sparse.csr_array(X[:60]), y[:60], tmp_path / "fit.npz"
    whole = quick(kind, early_stopping=True).fit(X, y, **given)
    quick(kind, StopAt(2), Checkpoint(path), early_stopping=True).fit(X, y, **given)
    assert difference(quick(kind, early_stopping=True).resume(path, X, y, **given), whole) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_warm_started_fit_is_resumed_with_its_curve(kind, tmp_path):
    X, y = data(kind)
    path = tmp_path / "fit.npz"
    whole = quick(kind, warm_start=True).fit(X, y)
    begun = pickle.loads(pickle.dumps(whole))
    whole.fit(X, y)
    begun.set_callbacks(StopAt(2), Checkpoint(path)).fit(X, y)
    resumed = quick(kind).resume(path, X, y)
    assert len(resumed.loss_curve_) == 14
    assert difference(resumed, whole) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_is_over_stays_so_and_a_longer_one_goes_on(kind, tmp_path):
    X, y = data(kind)
    path = tmp_path / "fit.npz"
    over = quick(kind, Checkpoint(path), max_iter=200, tol=0.05, n_iter_no_change=2).fit(X, y)
    assert over.n_iter_ < 200
    again = quick(kind, max_iter=200, tol=0.05, n_iter_no_change=2).resume(path, X, y)
    assert difference(again, over) is None
    short = quick(kind, Checkpoint(path), max_iter=3).fit(X, y)
    assert difference(quick(kind, max_iter=3).resume(path, X, y), short) is None
    assert (
        difference(quick(kind, max_iter=9).resume(path, X, y), quick(kind, max_iter=9).fit(X, y))
        is None
    )


@pytest.mark.parametrize("kind", KINDS)
def test_lbfgs_goes_on_from_its_parameters(kind, tmp_path):
    X, y = data(kind)
    path = tmp_path / "fit.npz"
    begun = quick(kind, StopAt(4), Checkpoint(path), solver="lbfgs", max_iter=30).fit(X, y)
    resumed = quick(kind, solver="lbfgs", max_iter=30).resume(path, X, y)
    assert resumed.loss_curve_[:4] == begun.loss_curve_
    assert resumed.n_iter_ <= 30
    assert resumed.loss_ < begun.loss_


def test_checkpoints_come_every_some_epochs_or_seconds_and_at_the_end(tmp_path):
    X, y = data(MLPRegressor)
    seen = []

    class Look(Callback):
        def on_fit_task_end(self, estimator, context):  # noqa: ARG002
            there = path.exists()
            seen.append(read_checkpoint(path).about["progress"]["n_iter"] if there else 0)

    path = tmp_path / "fit.npz"
    quick(MLPRegressor, Checkpoint(path, epochs=3), Look()).fit(X, y)
    assert seen == [0, 0, 3, 3, 3, 6, 6, 7]  # the last after the fit
    seen.clear()
    path.unlink()
    quick(MLPRegressor, Checkpoint(path, seconds=1e6), Look()).fit(X, y)
    assert seen == [0] * 7 + [7]
    seen.clear()
    quick(MLPRegressor, Checkpoint(path, seconds=1e-9), Look()).fit(X, y)
    assert seen == [1, 2, 3, 4, 5, 6, 7, 7]
    with pytest.raises(ValueError, match="epochs or seconds, not both"):
        Checkpoint(path, epochs=1, seconds=1)
    with pytest.raises(ValueError, match="epochs to be a whole number >= 1, got 0"):
        Checkpoint(path, epochs=0)
    with pytest.raises(ValueError, match="seconds to be a number > 0, got -1"):
        Checkpoint(path, seconds=-1)


# -------------------- another fit

OTHERS = {
    "X": (lambda kind, X, y: (X + 1e-9, y), {}),
    "y": (lambda kind, X, y: (X, y[::-1]), {}),
    "X ": (lambda kind, X, y: (X.astype(np.float32), y), {}),
    "alpha": (lambda kind, X, y: (X, y), {"alpha": 0.5}),
    "solver": (lambda kind, X, y: (X, y), {"solver": "sgd"}),
    "solver ": (lambda kind, X, y: (X, y), {"solver": "lbfgs"}),
    "hidden_layer_sizes": (lambda kind, X, y: (X, y), {"hidden_layer_sizes": (7,)}),
    "activation": (lambda kind, X, y: (X, y), {"activation": np.tanh}),
    "sample_weight": (lambda kind, X, y: (X, y, np.ones(len(y))), {}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_another_fit_says_what_has_changed(other, kind, tmp_path):
    X, y = data(kind)
    path = tmp_path / "fit.npz"
    quick(kind, StopAt(2), Checkpoint(path)).fit(X, y)
    change, parameters = OTHERS[other]
    model = quick(kind, **parameters)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=f"is of another fit: {other.strip()} was ") as caught:
        model.resume(path, *change(kind, X, y))
    assert "\n" not in str(caught.value)
    assert vars(model) == before


def test_a_checkpoint_of_other_classes_or_another_estimator_says_so(tmp_path):
    X, y = data(MLPClassifier)
    path = tmp_path / "fit.npz"
    quick(MLPClassifier, StopAt(2), Checkpoint(path)).fit(X, y)
    with pytest.raises(ValueError, match=r"the classes was \['a', 'b', 'c'\], and is \['a', 'b'"):
        quick(MLPClassifier).resume(path, X, np.where(y == "c", "d", y))
    with pytest.raises(ValueError, match="the estimator was MLPClassifier, and is MLPRegressor"):
        quick(MLPRegressor).resume(path, X, np.arange(70.0))


KINDS_OF_VALUE = [0.5, "adam", (3, 4), [np.tanh, "relu"], partial(np.clip, a_min=-1, a_max=1)]
KINDS_OF_VALUE += [np.float64(0.5), lambda t: 1 - t, np.random.RandomState(0), None, True]


@pytest.mark.parametrize("value", KINDS_OF_VALUE, ids=range(len(KINDS_OF_VALUE)))
def test_a_parameter_has_the_same_words_in_another_process(value):
    """Words hold no address, and a copy has the same."""
    words = in_words(value)
    assert "0x" not in words
    copied = value if callable(value) else pickle.loads(pickle.dumps(value))
    assert in_words(copied) == words
    assert in_words("tanh") != words


# -------------------- damaged and foreign files


class Bomb:
    """What a pickle could do where it is loaded."""

    def __reduce__(self):
        return (os.abort, ())


def damaged(content, how, folder):
    """A file that is no whole checkpoint."""
    path = folder / "damaged.npz"
    if isinstance(how, float):
        path.write_bytes(content[: int(how * len(content))])
    elif isinstance(how, int):
        changed = bytearray(content)
        changed[how % len(content)] ^= 0xFF
        path.write_bytes(bytes(changed))
    elif how == "pickle":
        path.write_bytes(pickle.dumps(Bomb()))
    elif how == "pickle in an archive":
        with path.open("wb") as file:
            np.savez(file, about=np.array([Bomb()], dtype=object))
    elif how == "array":
        with path.open("wb") as file:
            np.save(file, np.arange(3))
    elif how == "another archive":
        np.savez(path, a=np.arange(3))
    elif how == "another format":
        text = np.frombuffer(b'{"format": "skmlp checkpoint 99"}', np.uint8)
        np.savez(path, about=text)
    else:
        path.write_text(how)
    return path


DAMAGE = [0.0, 0.1, 0.5, 0.9, 0.999, "", "words", "pickle", "pickle in an archive", "array"]
DAMAGE += ["another archive", "another format"]


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_or_foreign_file_is_refused_and_runs_nothing(how, tmp_path):
    X, y = data(MLPRegressor)
    path = tmp_path / "fit.npz"
    quick(MLPRegressor, StopAt(2), Checkpoint(path)).fit(X, y)
    model = quick(MLPRegressor).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(
        ValueError, match=r"no checkpoint of skmlp, or is damaged|has format"
    ) as caught:
        model.resume(damaged(path.read_bytes(), how, tmp_path), X, y)
    assert "\n" not in str(caught.value)
    assert vars(model) == before
    model.resume(path, X, y)


def test_a_changed_byte_is_seen_or_does_not_matter(tmp_path):
    X, y = data(MLPRegressor)
    path = tmp_path / "fit.npz"
    quick(MLPRegressor, StopAt(2), Checkpoint(path)).fit(X, y)
    whole, content, refused = quick(MLPRegressor).fit(X, y), path.read_bytes(), 0
    for place in np.linspace(0, len(content) - 1, 150).astype(int):
        try:
            resumed = quick(MLPRegressor).resume(damaged(content, int(place), tmp_path), X, y)
        except ValueError:
            refused += 1
        else:
            assert difference(resumed, whole) is None
    assert refused > 100


def test_a_file_or_folder_that_is_not_there_is_named(tmp_path):
    X, y = data(MLPRegressor)
    with pytest.raises(
        FileNotFoundError, match=r"There is no checkpoint '.*none\.npz': begin with fit"
    ):
        quick(MLPRegressor).resume(tmp_path / "none.npz", X, y)
    model = quick(MLPRegressor, Checkpoint(tmp_path / "no" / "fit.npz"))
    with pytest.raises(FileNotFoundError, match="Checkpoint needs the folder"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


# -------------------- kills, interrupts and a full disk

KILLED = """
import os, signal, sys, warnings
import numpy as np
from skmlp import MLPRegressor
from skmlp.training import checkpoints
from skmlp.callbacks import Checkpoint
warnings.simplefilter("ignore")

path, rng = sys.argv[1], np.random.RandomState(0)
X, y = rng.normal(size=(60, 5)), rng.normal(size=60)
settings = {"hidden_layer_sizes": (300, 300), "max_iter": 6, "random_state": 0}
write, written = checkpoints.write_checkpoint, 0

def fit(moment):
    # Count what happens while the fourth checkpoint is written, and die at one such moment.
    import skmlp.estimators.callbacks
    events = [0]
    def watch(*_):
        events[0] += 1
        if events[0] == moment:
            os.kill(os.getpid(), signal.SIGKILL)
    def watched(path, state):
        fourth = state.progress.n_iter == 4
        sys.setprofile(watch if fourth else None)
        write(path, state)
        sys.setprofile(None)
    skmlp.estimators.callbacks.write_checkpoint = watched
    MLPRegressor(**settings).set_callbacks(Checkpoint(path)).fit(X, y)
    return events[0]

total = fit(None)
whole = MLPRegressor(**settings).fit(X, y)
for moment in np.linspace(1, total - 1, 12).astype(int):
    os.unlink(path)
    pid = os.fork()
    if pid == 0:
        fit(moment)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    at = checkpoints.read_checkpoint(path).about["progress"]["n_iter"]
    resumed = MLPRegressor(**settings).resume(path, X, y)
    same = all(map(np.array_equal, resumed.coefs_, whole.coefs_))
    print(at, same and resumed.history_ == whole.history_)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="takes a process apart by fork")
def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "fit.npz")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert not done.returncode, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    assert {line.split()[1] for line in lines} == {"True"}
    assert {line.split()[0] for line in lines} <= {"3", "4"}
    assert lines[0].startswith("3")


def interrupted_at(event, call, *arguments):
    """Interrupt a call at the given one of its events; return how many there were."""
    events = 0

    def watch(_frame, _event, _argument):
        nonlocal events
        events += 1
        if events == event:
            raise KeyboardInterrupt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sys.setprofile(watch)
        try:
            call(*arguments)
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
    return events


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_interrupt_at_any_moment_leaves_a_whole_checkpoint(tmp_path):
    X, y = data(MLPRegressor)
    path = tmp_path / "fit.npz"
    settings = {"max_iter": 3, "batch_size": 70}
    whole = quick(MLPRegressor, **settings).fit(X, y)
    watched = quick(MLPRegressor, Checkpoint(path), **settings)
    total = interrupted_at(None, watched.fit, X, y)
    resumed = set()
    for moment in np.unique(np.linspace(2, total - 2, 80).astype(int)):
        path.unlink(missing_ok=True)
        model = quick(MLPRegressor, Checkpoint(path), **settings)
        interrupted_at(moment, model.fit, X, y)
        if hasattr(model, "coefs_"):
            assert np.isfinite(model.predict(X)).all()
            assert len(model.history_["loss"]) == model.n_iter_
        if path.exists():
            resumed.add(read_checkpoint(path).about["progress"]["n_iter"])
            assert difference(quick(MLPRegressor, **settings).resume(path, X, y), whole) is None
    assert {1, 2} <= resumed


def test_a_full_disk_costs_a_warning_and_no_checkpoint(tmp_path):
    resource = pytest.importorskip("resource")
    X, y = data(MLPRegressor)
    path = tmp_path / "fit.npz"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    class Full(Callback):
        def on_fit_task_begin(self, estimator, context):  # noqa: ARG002
            if context.task_name == "epoch" and context.task_id == 3:
                resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))  # no file may be larger

    model = quick(MLPRegressor, Full(), Checkpoint(path))
    try:
        with pytest.warns(
            RuntimeWarning, match="could not be written .*: training goes on"
        ) as caught:
            model.fit(X, y)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len([w for w in caught if w.category is RuntimeWarning]) == 1
    assert parts_left(tmp_path) == []
    assert read_checkpoint(path).about["progress"]["n_iter"] == 3
    whole = quick(MLPRegressor).fit(X, y)
    assert difference(model, whole) is None
    assert difference(quick(MLPRegressor).resume(path, X, y), whole) is None


# -------------------- together


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling"])
def test_a_fit_that_went_back_is_resumed_at_its_rate(learning_rate, tmp_path):
    """Inputs that are not scaled: it goes back four times in the part that was saved."""
    X, y = data(MLPRegressor)
    path = tmp_path / "fit.npz"
    jump = {"learning_rate_init": 0.2, "solver": "sgd", "momentum": 0.0, "batch_size": 16}
    settings = jump | {"learning_rate": learning_rate, "power_t": 0.01, "max_iter": 12}
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        whole = quick(MLPRegressor, **settings).fit(10 * X, y)
        quick(MLPRegressor, StopAt(6), Checkpoint(path), **settings).fit(10 * X, y)
        resumed = quick(MLPRegressor, **settings).resume(path, 10 * X, y)
    assert read_checkpoint(path).about["progress"]["retreats"] >= 3
    assert difference(resumed, whole) is None


def test_time_limit_and_checkpoint_make_a_fit_of_several_sittings(tmp_path):
    X, y = data(MLPRegressor)
    path = tmp_path / "fit.npz"
    model = quick(MLPRegressor, TimeLimit(1e-9), Checkpoint(path)).fit(X, y)
    sittings = 1
    while model.n_iter_ < 7:
        model = quick(MLPRegressor, TimeLimit(1e-9), Checkpoint(path)).resume(path, X, y)
        sittings += 1
    assert sittings == 7
    assert difference(model, quick(MLPRegressor).fit(X, y)) is None


def test_being_stopped_is_no_lack_of_convergence():
    X, y = data(MLPRegressor)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        quick(MLPRegressor, StopAt(1)).fit(X, y)


# -------------------- altered files


SAVED_SETTINGS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate": "adaptive"},
    "averaged": {"solver": "adamw", "averaging": 0.9},
    "lbfgs": {"solver": "lbfgs"},
    "noisy": {"dropout": 0.2},
    "split": {"early_stopping": True},
    "scaled": {"initial_output": "data"},
}


def saved(name, tmp_path):
    """A checkpoint after two epochs, and what resumes it."""
    X, y = data(MLPRegressor)
    path = tmp_path / f"{name}.npz"
    quick(MLPRegressor, StopAt(2), Checkpoint(path), **SAVED_SETTINGS[name]).fit(X, y)
    whole = quick(MLPRegressor, StopAt(3), **SAVED_SETTINGS[name]).resume(path, X, y)

    def resume(path):
        return quick(MLPRegressor, StopAt(3), **SAVED_SETTINGS[name]).resume(path, X, y)

    return path, whole, resume


def rewritten(path, arrays, about, is_signed):
    """Write the entries of a checkpoint, with a digest that fits them or the one that was there."""
    arrays = {**arrays, "about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
    digest = arrays.pop("digest")
    np.savez(path, **arrays, digest=checkpoints._digest(arrays) if is_signed else digest)


def altered_arrays(arrays):
    for name, array in arrays.items():
        if name in ("about", "digest"):
            continue
        others = [
            array.astype(np.float32 if array.dtype != np.float32 else np.float64),
            array.astype(np.int8),
            array[:-1],
            np.append(array, array[:1]),
            array[None],
            array.astype(str),
        ]
        if array.dtype.kind == "f":
            others += [np.where(np.arange(len(array)) == 0, bad, array) for bad in (np.nan, np.inf)]
        else:
            others += [array + 10**6, array - 10**6, -1 - array, np.full_like(array, array[0])]
        yield from ({**arrays, name: other} for other in others)
        yield {key: x for key, x in arrays.items() if key != name}
        yield {("other" if key == name else key): x for key, x in arrays.items()}
    yield {**arrays, "solver.bind": np.zeros(3)}
    yield {**arrays, "marks.more": np.zeros(3)}


STRANGE = [None, True, "x", [], {}, [1], -1, 1.5, float("nan"), 1e308, 1 << 70, {"a": 1}]


def altered_about(about, path=()):
    """The entries with one of them other, missing, or one more."""
    here = about
    for key in path:
        here = here[key]
    if isinstance(here, dict) and path != ("history",) and path != ("identity",):
        for key in here:
            yield from altered_about(about, (*path, key))
        for extra in ("bind", "__class__"):
            yield changed(about, (*path, extra), 1.0)
        if path:
            yield changed(about, path, dict(list(here.items())[1:]) if here else [])
        return
    for value in STRANGE:
        if repr(value) != repr(here):
            yield changed(about, path, value)


def changed(about, path, value):
    twin = copy.deepcopy(about)
    here = twin
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return twin


def is_refused(resume, path):
    """Whether a file is a ValueError; what is not has numbers that the fit could have had."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = resume(path)
        except ValueError as error:
            return "\n" not in str(error)
    return not np.isfinite(model.coefs_[0]).all()


@pytest.mark.parametrize("name", SAVED_SETTINGS)
def test_an_altered_file_is_a_value_error(name, tmp_path):
    path, whole, resume = saved(name, tmp_path)
    with np.load(path) as archive:
        arrays = dict(archive)
    about = json.loads(arrays["about"].tobytes())
    altered = [(a, about) for a in altered_arrays(arrays)]
    altered += [(arrays, a) for a in altered_about(about)]
    assert len(altered) > 150
    other = tmp_path / "altered.npz"
    n_refused = 0
    for entries, words in altered:
        rewritten(other, entries, words, is_signed=False)
        with pytest.raises(ValueError, match=r"damaged|format|another fit"):
            resume(other)
        rewritten(other, entries, words, is_signed=True)  # as by somebody who knows how
        n_refused += is_refused(resume, other)
    assert n_refused > 0.8 * len(altered)
    rewritten(other, arrays, about, is_signed=True)
    assert difference(resume(other), whole) is None


OUT_OF_RANGE = {  # a kind of fit, an entry, what it becomes, and the entry that is named
    "a negative square": ("adam", "solver.second_moment", lambda x: -1 - x, "solver.second_moment"),
    "a negative unit": ("scaled", "scale.scale", lambda x: -x, "scale.scale"),
    "no unit of outputs": ("scaled", "scale.raw", lambda x: 0 * x, "scale.raw"),
    "bytes the other way": ("adam", "order", lambda x: x.astype(">i8"), "order"),
    "more epochs": ("adam", ("progress", "n_iter"), lambda n: n + 1, "history"),
    "fewer epochs": ("lbfgs", ("progress", "n_iter"), lambda n: n - 1, "history"),
    "a best epoch to come": ("adam", ("progress", "best_iter"), lambda n: n + 7, "best_iter"),
    "a good epoch to come": ("sgd", ("marks", "good_iter"), lambda n: n + 7, "marks.good_iter"),
    "no rates": ("sgd", ("history",), lambda h: {"loss": h["loss"]}, "history"),
}


@pytest.mark.parametrize("fault", OUT_OF_RANGE)
def test_what_no_fit_can_have_is_refused(fault, tmp_path):
    name, entry, become, named = OUT_OF_RANGE[fault]
    path, _, resume = saved(name, tmp_path)
    with np.load(path) as archive:
        arrays = dict(archive)
    about = json.loads(arrays["about"].tobytes())
    if isinstance(entry, str):
        arrays |= {entry: become(arrays[entry])}
    else:
        here = reduce(operator.getitem, entry, about)
        about = changed(about, entry, become(here))
    rewritten(path, arrays, about, is_signed=True)
    with pytest.raises(ValueError, match=rf"is damaged: its entry '.*{named}' is"):
        resume(path)


def test_row_numbers_out_of_range_are_named(tmp_path):
    path, _, resume = saved("adam", tmp_path)
    with np.load(path) as archive:
        arrays = dict(archive)
    about = json.loads(arrays["about"].tobytes())
    rewritten(path, arrays | {"order": arrays["order"] + 10**6}, about, is_signed=True)
    with pytest.raises(ValueError, match=r"entry 'order' is an array .* rows of the data"):
        resume(path)


# -------------------- the folder


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links here")
def test_a_symbolic_link_stays_one(tmp_path):
    X, y = data(MLPRegressor)
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "fit.npz", tmp_path / "link.npz"
    link.symlink_to(target)
    for _ in range(2):
        quick(MLPRegressor, Checkpoint(link)).fit(X, y)
        assert link.is_symlink()
        assert target.is_file()
    assert os.listdir(tmp_path / "elsewhere") == ["fit.npz"]
    quick(MLPRegressor).resume(link, X, y)


def test_what_killed_writers_left_is_cleared_and_nothing_else(tmp_path):
    X, y = data(MLPRegressor)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f"fit.npz.{gone.pid}-1.part"
    others = [
        tmp_path / f"fit.npz.{os.getpid()}-1.part",  # of a live writer
        tmp_path / f"other.npz.{gone.pid}-1.part",
        tmp_path / "fit.npz.part",
    ]
    for path in (left, *others):
        path.write_bytes(b"left")
    quick(MLPRegressor, Checkpoint(tmp_path / "fit.npz")).fit(X, y)
    assert not left.exists()
    assert all(path.exists() for path in others)


# -------------------- functions


def test_two_functions_are_two_fits_and_one_source_is_one(tmp_path):
    X, y = data(MLPRegressor)
    path = tmp_path / "fit.npz"
    first, second = (lambda z: np.tanh(3 * z)), (lambda z: np.tanh(2 * z))
    again = lambda z: np.tanh(3 * z)  # noqa: E731
    quick(MLPRegressor, StopAt(2), Checkpoint(path), activation=first).fit(X, y)
    with pytest.raises(ValueError, match="is of another fit: activation was"):
        quick(MLPRegressor, activation=second).resume(path, X, y)
    quick(MLPRegressor, activation=again).resume(path, X, y)


def closed_over(scale, offset=0.0):
    def activation(z, shift=offset):
        return np.tanh(scale * z) + shift

    return activation


OTHER_FUNCTIONS = [
    (closed_over(1.0), closed_over(2.0)),
    (closed_over(1.0), closed_over(1.0, 0.5)),
    (partial(np.clip, a_min=-1, a_max=1), partial(np.clip, a_min=-2, a_max=1)),
    (closed_over(np.zeros(5000)), closed_over(np.eye(1, 5000, 2500)[0])),
    (lambda z: [t + 1 for t in z], lambda z: [t + 2 for t in z]),
    (np.tanh, np.sinh),
    ({"a": 1.0}, {"a": 2.0}),
    (np.arange(5000), np.r_[np.arange(2500), 0, np.arange(2501, 5000)]),
    (csr_matrix(np.eye(3)), csr_matrix(2 * np.eye(3))),
]


@pytest.mark.parametrize(("one", "other"), OTHER_FUNCTIONS, ids=range(len(OTHER_FUNCTIONS)))
def test_what_could_give_other_numbers_has_other_words(one, other):
    assert in_words(one) == in_words(one)
    assert in_words(one) != in_words(other)
    assert "0x" not in in_words(one)
