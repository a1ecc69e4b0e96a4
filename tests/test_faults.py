"""Bad input, divergence, interrupts, threads, pickles: never a half-written estimator."""

import copy
import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import types
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from skmlp import Head, MLPClassifier, MLPRegressor
from skmlp.estimators.prediction import Fitted, Spares
from skmlp.training.state import History

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = [MLPClassifier, MLPRegressor]
SOLVERS = ["adam", "sgd", "lbfgs"]


def data(kind, n=40, seed=0):
    """Rows, and three classes or numbers."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 4))
    score = X[:, 0] - X[:, 1] + 0.1 * rng.normal(size=n)
    return X, np.digitize(score, [-0.7, 0.7]) if kind is MLPClassifier else score


def quick(kind, **parameters):
    """An estimator whose fit takes a few milliseconds."""
    defaults = {"hidden_layer_sizes": (5,), "max_iter": 3, "batch_size": 10, "random_state": 0}
    return kind(**(defaults | parameters))


def outputs(estimator, X):
    return getattr(estimator, "predict_proba", estimator.predict)(X)


# -------------------- the whole state


def same(a, b):  # noqa: C901, one line for each kind of thing
    """Whether two values hold the same, down to the bits of every array."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.random.RandomState):
        return same(a.get_state(legacy=False), b.get_state(legacy=False))
    if isinstance(a, np.random.Generator):
        return same(a.bit_generator.state, b.bit_generator.state)
    if isinstance(a, History):
        return same(a.columns(), b.columns())
    if isinstance(a, Spares):  # buffers, which no copy has
        return True
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    if hasattr(a, "__dict__") and not isinstance(a, (type, types.FunctionType)):
        return same(vars(a), vars(b))
    if hasattr(type(a), "__slots__"):
        return all(same(getattr(a, slot), getattr(b, slot)) for slot in type(a).__slots__)
    return bool(a == b)


def state(estimator):
    return copy.deepcopy(vars(estimator))


def test_states_that_differ_anywhere_are_told_apart():
    X, y = data(MLPClassifier)
    with pytest.warns(ConvergenceWarning):
        estimator = quick(MLPClassifier).fit(X, y)
    assert same(vars(estimator), state(estimator))
    for name in ("coefs_", "intercepts_"):
        changed = state(estimator)
        changed[name][0] = changed[name][0] + 1e-15
        assert not same(vars(estimator), changed)
    assert not same(vars(estimator), state(estimator) | {"more_": 1})


def sentence(error):
    """The message of an error, if it is one short sentence."""
    message = str(error.value)
    assert "\n" not in message
    assert 20 <= len(message) <= 300
    return message


@pytest.fixture(params=["unfitted", "fitted", "fitted by parts"])
def history(request):
    """What happened to an estimator before the fault: a function that lets it happen."""

    def live(estimator, X, y):
        if request.param == "unfitted":
            return estimator
        healthy = quick(type(estimator))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            if request.param == "fitted":
                healthy.fit(X, y)
            elif isinstance(estimator, MLPClassifier):
                healthy.partial_fit(X, y, classes=np.unique(y))
            else:
                healthy.partial_fit(X, y)
        return healthy.set_params(**estimator.get_params())

    return live


# -------------------- parameters out of range

NAN = float("nan")
TRUTH = ["yes", None, 2]
FRACTION = [-0.1, 1.0, 1.5, NAN, "0.1", None]
POSITIVE = [0, -0.1, NAN, float("inf"), "0.1", None]
NOT_NEGATIVE = [-1, -1e-9, NAN, float("inf"), "0.1", None]
COUNT = [0, -1, 2.5, NAN, "10", None]
BAD_PARAMETERS = {
    "hidden_layer_sizes": [0, -1, (10, 0), (10, -3), 2.5, (3.5,), "ten", ("ten",), None, (NAN,)],
    "activation": ["RELU", None, 3, [None]],
    "head": ["crammer", None, 3],
    "loss": ["mse", 1, "log_loss"],
    "solver": ["newton", None, 1],
    "alpha": NOT_NEGATIVE,
    "batch_size": [0, -5, 2.5, "all", None],
    "learning_rate": ["fast", None, 0.1],
    "learning_rate_init": POSITIVE,
    "power_t": NOT_NEGATIVE,
    "warmup": FRACTION,
    "max_iter": COUNT,
    "shuffle": TRUTH,
    "random_state": ["seed", -1, 1.5, np.random.default_rng(0)],
    "tol": NOT_NEGATIVE,
    "verbose": ["loud", -1, None],
    "warm_start": TRUTH,
    "momentum": [-0.1, 1.1, NAN, "0.9", None],
    "nesterovs_momentum": TRUTH,
    "early_stopping": TRUTH,
    "validation_fraction": FRACTION,
    "beta_1": FRACTION,
    "beta_2": FRACTION,
    "epsilon": POSITIVE,
    "weight_decay": NOT_NEGATIVE,
    "max_grad_norm": [value for value in POSITIVE if value is not None],
    "averaging": [0, *(value for value in FRACTION if value is not None)],
    "n_iter_no_change": COUNT,
    "max_fun": COUNT,
    "restore_best": TRUTH,
    "scoring": [3, True, ["accuracy"]],
    "weight_init": ["he", None, 1.0],
    "initial_output": ["mean", 0, True],
    "dropout": [*FRACTION, (0.1, 1.0), (0.1, NAN), [0.2, "0.1"], [0.2, [0.1]], True],
    "input_noise": NOT_NEGATIVE,
    "normalization": ["group", True, 1.0],
    "residual": TRUTH,
    "label_smoothing": FRACTION,
    "class_weight": ["even", 3, [1.0, 2.0], {0: -1.0}, {0: NAN}, {1: "2"}, {1: None}],
    "dtype": ["float16", "int64", 32, "double trouble"],
}
BAD_PAIRS = [(name, value) for name, values in BAD_PARAMETERS.items() for value in values]
OWN = {MLPClassifier: {"label_smoothing", "class_weight"}, MLPRegressor: {"loss"}}


def test_every_parameter_has_bad_values():
    parameters = {kind: set(inspect.signature(kind).parameters) for kind in KINDS}
    assert set(BAD_PARAMETERS) == set.union(*parameters.values())
    for kind, names in parameters.items():
        others = [own for other, own in OWN.items() if other is not kind]
        assert names == set(BAD_PARAMETERS) - set.union(*others)


def short(value):
    """The name of a case, without the addresses of objects."""
    return str(value).split(" at 0x")[0]


def offending(value):
    """What a message must show: a bad value, or the bad entry of a list of good ones."""
    if isinstance(value, (tuple, list)):
        return repr(value[-1])
    if isinstance(value, np.random.Generator):
        return "Generator"
    return repr(value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "value"), BAD_PAIRS, ids=short)
def test_a_bad_parameter_is_named_with_its_value(name, value, kind, history):
    if name not in inspect.signature(kind).parameters:
        pytest.skip(f"{kind.__name__} has no {name}")
    X, y = data(kind)
    estimator = history(quick(kind, **{name: value}), X, y)
    before = state(estimator)
    with pytest.raises(ValueError) as caught:
        estimator.fit(X, y)
    message = sentence(caught)
    assert name in message
    assert kind.__name__ in message
    assert offending(value) in message
    assert same(vars(estimator), before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "value"), [("alpha", -1), ("tol", "x"), ("beta_1", 1.0)])
def test_partial_fit_checks_the_parameters_too(name, value, kind, history):
    X, y = data(kind)
    estimator = history(quick(kind, **{name: value}), X, y)
    before = state(estimator)
    with pytest.raises(ValueError, match=name):
        estimator.partial_fit(X, y, **({"classes": np.unique(y)} if kind is MLPClassifier else {}))
    assert same(vars(estimator), before)


EDGES = [
    {"alpha": 0},
    {"alpha": np.float32(0.5)},
    {"batch_size": np.int64(7)},
    {"batch_size": 1},
    {"power_t": 0, "solver": "sgd", "learning_rate": "invscaling"},
    {"max_iter": 1},
    {"max_iter": np.int32(2)},
    {"shuffle": np.bool_(False)},
    {"shuffle": np.False_, "warm_start": np.True_},
    {"random_state": np.int64(3)},
    {"random_state": None},
    {"tol": 0},
    {"tol": 0.0, "solver": "lbfgs"},
    {"momentum": 0, "solver": "sgd"},
    {"momentum": 1, "solver": "sgd"},
    {"momentum": 0.0, "nesterovs_momentum": False, "solver": "sgd"},
    {"validation_fraction": np.float64(0.5), "early_stopping": True},
    {"beta_1": 0, "beta_2": 0},
    {"epsilon": 1e-300},
    {"epsilon": 1},
    {"n_iter_no_change": 1},
    {"n_iter_no_change": np.inf},
    {"max_fun": 1, "solver": "lbfgs"},
    {"hidden_layer_sizes": 1},
    {"hidden_layer_sizes": "1"},
    {"dropout": 0},
    {"dropout": np.float32(0.5)},
    {"dropout": (0, 0.999)},
    {"dropout": np.array([0.1, 0.2])},
    {"input_noise": 0},
    {"input_noise": np.int64(2)},
    {"normalization": "layer"},
    {"normalization": "batch", "batch_size": 2},
    {"normalization": "batch", "solver": "lbfgs", "batch_size": 1},
    {"residual": np.True_},
    {"label_smoothing": 0},
    {"class_weight": None},
    {"loss": "squared_error"},
    {"loss": None, "head": "poisson"},
]


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", EDGES, ids=str)
def test_the_edges_of_the_legal_range_are_legal(parameters, kind):
    if not parameters.keys() <= inspect.signature(kind).parameters.keys():
        pytest.skip(f"{kind.__name__} has no such parameter")
    X, y = data(kind)
    y = np.abs(y)
    assert np.isfinite(outputs(quick(kind, **parameters).fit(X, y), X)).all()


# -------------------- bad data


def spoiled(array, value, place=-1):
    """The array with one bad entry."""
    array = np.array(array, dtype=float)
    array.flat[place] = value
    return array


WRONG_X = {
    "NaN": (lambda X: spoiled(X, NAN), ["nan"]),
    "infinity": (lambda X: spoiled(X, np.inf), ["inf"]),
    "minus infinity": (lambda X: spoiled(X, -np.inf), ["inf"]),
    "NaN first": (lambda X: spoiled(X, NAN, 0), ["nan"]),
    "NaN in CSR": (lambda X: sparse.csr_array(spoiled(X, NAN)), ["nan"]),
    "infinity in CSC": (lambda X: sparse.csc_array(spoiled(X, np.inf)), ["inf"]),
    "NaN in float32": (lambda X: spoiled(X, NAN).astype(np.float32), ["nan"]),
    "too few rows": (lambda X: X[:-1], ["39", "40"]),
    "too many rows": (lambda X: np.vstack([X, X]), ["80", "40"]),
    "one dimension": (lambda X: X[:, 0], ["1"]),
    "three dimensions": (lambda X: X[:, :, np.newaxis], ["3"]),
    "no columns": (lambda X: X[:, :0], ["0"]),
    "words": (lambda X: np.full(X.shape, "tall"), ["tall"]),
    "complex": (lambda X: X * 1j, ["omplex"]),
}


def fails(estimator, fit, expected):
    """A fit that must raise one sentence with the expected parts and change nothing."""
    before = state(estimator)
    with pytest.raises((ValueError, TypeError)) as caught:
        fit(estimator)
    assert same(vars(estimator), before)
    message = sentence(caught)
    for part in expected:
        assert part.lower() in message.lower()
    return message


class Pointless(Head):
    """A head for numbers that has no loss."""


class PointlessClasses(Head):
    """A head for classes that has no loss."""

    targets = frozenset({"binary", "multiclass"})
    is_one_hot = True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fault", WRONG_X)
def test_wrong_rows_are_refused(fault, solver, kind, history):
    X, y = data(kind)
    spoil, expected = WRONG_X[fault]
    wrong = spoil(X)
    estimator = history(quick(kind, solver=solver), X, y)
    fails(estimator, lambda estimator: estimator.fit(wrong, y), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_no_rows_are_refused(kind, history):
    X, y = data(kind)
    fails(history(quick(kind), X, y), lambda estimator: estimator.fit(X[:0], y[:0]), ["0"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", WRONG_X)
def test_wrong_rows_are_refused_by_partial_fit(fault, kind, history):
    X, y = data(kind)
    spoil, expected = WRONG_X[fault]
    wrong = spoil(X)
    classes = {"classes": np.unique(y)} if kind is MLPClassifier else {}
    estimator = history(quick(kind), X, y)
    fails(estimator, lambda estimator: estimator.partial_fit(wrong, y, **classes), expected)


REFUSED_WHEN_PREDICTING = ["NaN", "infinity", "NaN in CSR", "no columns", "three dimensions"]


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", REFUSED_WHEN_PREDICTING)
@pytest.mark.parametrize("method", ["predict", "hidden_layer_output"])
def test_wrong_rows_are_refused_when_predicting(method, fault, kind):
    X, y = data(kind)
    spoil, expected = WRONG_X[fault]
    estimator = quick(kind).fit(X, y)
    fails(estimator, lambda estimator: getattr(estimator, method)(spoil(X)), expected)


@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_columns_is_checked_when_predicting(kind):
    X, y = data(kind)
    estimator = quick(kind).fit(X, y)
    fails(estimator, lambda estimator: estimator.predict(X[:, :3]), ["3", "4", "features"])


WRONG_TARGETS = {
    "NaN": (MLPRegressor, {}, lambda y: spoiled(y, NAN), ["nan"]),
    "infinity": (MLPRegressor, {}, lambda y: spoiled(y, np.inf), ["inf"]),
    "NaN in two columns": (MLPRegressor, {}, lambda y: spoiled(np.c_[y, y], NAN), ["nan"]),
    "words as numbers": (MLPRegressor, {}, lambda y: np.full(y.shape, "tall"), ["tall"]),
    "three dimensions": (MLPRegressor, {}, lambda y: np.zeros((len(y), 1, 1)), ["3"]),
    "one number": (MLPRegressor, {}, lambda y: 3.0, ["3."]),
    "nothing": (MLPRegressor, {}, lambda y: None, ["y"]),
    "no columns": (MLPRegressor, {}, lambda y: np.zeros((len(y), 0)), ["0"]),
    "too few": (MLPRegressor, {}, lambda y: y[:-3], ["37", "40"]),
    "negative counts": (MLPRegressor, {"head": "poisson"}, lambda y: spoiled(y**2, -3.5), ["-3.5"]),
    "no class": (MLPClassifier, {}, lambda y: None, ["y"]),
    "numbers as classes": (MLPClassifier, {}, lambda y: y + 0.123, ["continuous"]),
    "NaN as a class": (MLPClassifier, {}, lambda y: spoiled(y, NAN), ["nan"]),
    "infinity as a class": (MLPClassifier, {}, lambda y: spoiled(y, np.inf), ["inf"]),
    "several columns of classes": (
        MLPClassifier,
        {},
        lambda y: np.c_[y, y],
        ["multioutput"],
    ),
    "too few classes": (MLPClassifier, {}, lambda y: y[:-3], ["37", "40"]),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fault", WRONG_TARGETS)
def test_wrong_targets_are_refused(fault, solver, history):
    kind, parameters, spoil, expected = WRONG_TARGETS[fault]
    X, y = data(kind)
    wrong = spoil(y)
    estimator = history(quick(kind, solver=solver, **parameters), X, y)
    fails(estimator, lambda estimator: estimator.fit(X, wrong), expected)


WRONG_WEIGHTS = {
    "NaN": (lambda w: spoiled(w, NAN), ["nan"]),
    "infinity": (lambda w: spoiled(w, np.inf), ["inf"]),
    "negative": (lambda w: spoiled(w, -0.25), ["-0.25"]),
    "too few": (lambda w: w[:-3], ["37", "40"]),
    "two columns": (lambda w: np.c_[w, w], ["2"]),
    "words": (lambda w: np.full(w.shape, "heavy"), ["heavy"]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fault", [*WRONG_WEIGHTS, "all zero"])
def test_wrong_weights_are_refused(fault, solver, kind, history):
    X, y = data(kind)
    spoil, expected = (WRONG_WEIGHTS | {"all zero": (np.zeros_like, ["weight", "zero"])})[fault]
    weights = spoil(np.ones(len(y)))
    estimator = history(quick(kind, solver=solver), X, y)
    fails(estimator, lambda estimator: estimator.fit(X, y, sample_weight=weights), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", WRONG_WEIGHTS)
def test_wrong_weights_are_refused_by_partial_fit(fault, kind, history):
    X, y = data(kind)
    spoil, expected = WRONG_WEIGHTS[fault]
    arguments = {"sample_weight": spoil(np.ones(len(y)))}
    if kind is MLPClassifier:
        arguments["classes"] = np.unique(y)
    estimator = history(quick(kind), X, y)
    fails(estimator, lambda estimator: estimator.partial_fit(X, y, **arguments), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_too_few_rows_to_validate_on(kind, solver, history):
    X, y = data(kind)
    estimator = quick(kind, solver=solver, early_stopping=True, validation_fraction=0.1)
    estimator = history(estimator.set_params(batch_size="auto"), X, y)
    told = ["validation_fraction=0.1 of 3 samples is 1"]
    fails(estimator, lambda estimator: estimator.fit(X[:3], y[:3]), told)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_left_to_train_on(kind, history):
    X, y = data(kind)
    estimator = quick(kind, early_stopping=True, validation_fraction=0.9, batch_size="auto")
    estimator = history(estimator, X, y)
    fails(estimator, lambda estimator: estimator.fit(X[:1], y[:1]), ["validation"])


class CountedState(np.random.RandomState):
    """A source of random numbers that counts what is drawn, and can interrupt a shuffle."""

    def __init__(self, seed=0, interrupt_at=None):
        super().__init__(seed)
        self.interrupt_at = interrupt_at
        self.draws = 0
        self.shuffles = 0
        self.is_permuting = False

    def uniform(self, *arguments, **options):
        self.draws += 1
        return super().uniform(*arguments, **options)

    def permutation(self, *arguments, **options):
        self.draws += 1
        self.is_permuting = True  # NumPy permutes by shuffling
        permuted = super().permutation(*arguments, **options)
        self.is_permuting = False
        return permuted

    def shuffle(self, x):
        self.shuffles += not self.is_permuting
        if self.shuffles == self.interrupt_at and not self.is_permuting:
            raise KeyboardInterrupt
        super().shuffle(x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("fault", ["parameter", "rows", "target", "weights", "validation", "head"])
def test_faults_are_found_before_any_work(fault, solver, kind):
    X, y = data(kind)
    weights = np.ones(len(y))
    random = CountedState()
    estimator = quick(kind, solver=solver, random_state=random, early_stopping=True)
    if fault == "parameter":
        estimator.set_params(restore_best="yes")
    if fault == "rows":
        X = spoiled(X, NAN)
    if fault == "target":
        y = spoiled(y, NAN)
    if fault == "weights":
        weights = spoiled(weights, -1)
    if fault == "validation":
        X, y, weights = X[:3], y[:3], weights[:3]
    if fault == "head":
        estimator.set_params(head="linear" if kind is MLPClassifier else "softmax")
    with pytest.raises(ValueError):
        estimator.fit(X, y, sample_weight=weights)
    assert (random.draws, random.shuffles) == (0, 0)


# -------------------- warm starts and partial fits


@pytest.fixture(params=KINDS)
def warm(request):
    """A fitted estimator that will start warm, and its data."""
    X, y = data(request.param)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return quick(request.param, warm_start=True).fit(X, y), X, y


def test_a_warm_start_needs_the_columns_it_knows(warm):
    estimator, X, y = warm
    fails(estimator, lambda estimator: estimator.fit(X[:, :3], y), ["3", "4", "features"])


@pytest.mark.parametrize("sizes", [(6,), (5, 5), ()])
def test_a_warm_start_needs_the_layers_it_knows(warm, sizes):
    estimator, X, y = warm
    estimator.set_params(hidden_layer_sizes=sizes)
    fails(estimator, lambda estimator: estimator.fit(X, y), ["warm_start", str(list(sizes))[1:-1]])


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("change", ["other", "fewer", "more", "words", "several labels"])
@unconverged
def test_a_warm_start_needs_the_classes_it_knows(change, solver):
    X, y = data(MLPClassifier)
    other = {
        "other": y + 1,
        "fewer": np.minimum(y, 1),
        "more": np.where(np.arange(len(y)) < 5, 7, y),
        "words": np.array(["a", "b", "c"])[y],
        "several labels": np.eye(3, dtype=int)[y],
    }[change]
    estimator = quick(MLPClassifier, warm_start=True, solver=solver).fit(X, y)
    expected = {"other": "3", "fewer": "2", "more": "7", "words": "a", "several labels": "label"}
    fails(estimator, lambda estimator: estimator.fit(X, other), [expected[change], "fit"])


def test_a_warm_start_needs_the_number_of_targets_it_knows():
    X, y = data(MLPRegressor)
    with pytest.warns(ConvergenceWarning):
        estimator = quick(MLPRegressor, warm_start=True).fit(X, y)
    fails(estimator, lambda estimator: estimator.fit(X, np.c_[y, y]), ["1", "2"])


def test_the_first_partial_fit_needs_the_classes():
    X, y = data(MLPClassifier)
    fails(quick(MLPClassifier), lambda estimator: estimator.partial_fit(X, y), ["classes"])


@pytest.mark.parametrize("first", [True, False])
def test_partial_fit_refuses_a_class_that_was_not_announced(first):
    X, y = data(MLPClassifier)
    estimator = quick(MLPClassifier)
    if not first:
        estimator.partial_fit(X, y, classes=[0, 1, 2])
    unseen = np.where(np.arange(len(y)) == 5, 77, y)
    fit = {True: {"classes": [0, 1, 2]}, False: {}}[first]
    fails(estimator, lambda estimator: estimator.partial_fit(X, unseen, **fit), ["77"])


def test_partial_fit_refuses_other_classes_than_before():
    X, y = data(MLPClassifier)
    estimator = quick(MLPClassifier).partial_fit(X, y, classes=[0, 1, 2])
    fails(estimator, lambda estimator: estimator.partial_fit(X, y, classes=[0, 1, 2, 9]), ["9"])


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_refuses_other_columns(kind):
    X, y = data(kind)
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    estimator = quick(kind).partial_fit(X, y, **classes)
    fails(estimator, lambda estimator: estimator.partial_fit(X[:, :3], y), ["3", "4"])


@pytest.mark.parametrize("kind", KINDS)
def test_partial_fit_does_not_stop_early(kind):
    X, y = data(kind)
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    estimator = quick(kind, early_stopping=True)
    before = state(estimator)
    with pytest.raises((ValueError, AttributeError), match="early_stopping"):
        estimator.partial_fit(X, y, **classes)
    assert same(vars(estimator), before)


@pytest.mark.parametrize("kind", KINDS)
def test_lbfgs_has_no_partial_fit(kind):
    assert hasattr(quick(kind, solver="adam"), "partial_fit")
    estimator = quick(kind, solver="lbfgs")
    assert not hasattr(estimator, "partial_fit")
    with pytest.raises(AttributeError, match="partial_fit"):
        _ = estimator.partial_fit


@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_no_weight_at_all_changes_no_parameter(kind):
    X, y = data(kind)
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    estimator = quick(kind).partial_fit(X, y, **classes)
    before = copy.deepcopy([*estimator.coefs_, *estimator.intercepts_])
    estimator.partial_fit(X, y, sample_weight=np.zeros(len(y)))
    assert same([*estimator.coefs_, *estimator.intercepts_], before)


# -------------------- diverging fits


DIVERGING = [
    {"solver": "sgd", "learning_rate_init": 1e6},
    {"solver": "sgd", "learning_rate_init": 1e6, "dtype": "float32"},
    {"solver": "sgd", "learning_rate_init": 1e6, "hidden_layer_sizes": ()},
    {"solver": "sgd", "learning_rate_init": 1e6, "momentum": 0.0, "learning_rate": "adaptive"},
    {"solver": "adam", "learning_rate_init": 1e300},
    {"solver": "sgd", "learning_rate_init": 1e6, "early_stopping": True},
]


def unscaled(kind):
    X, y = data(kind, n=100)
    return 1000 * X, y if kind is MLPClassifier else 1000 * y


def tries(message):
    """Whether a message names the epoch and what to change."""
    return "epoch" in message and "learning_rate_init" in message and "scal" in message


# Before it gives up, a fit goes back and warns of it; tests/test_divergence.py looks at that.
retreats = pytest.mark.filterwarnings("ignore:The loss or the parameters were no longer finite")


@retreats
@pytest.mark.parametrize("parameters", DIVERGING, ids=str)
def test_a_diverging_fit_says_what_to_try(parameters, history):
    X, y = unscaled(MLPRegressor)
    settings = {"max_iter": 500, "n_iter_no_change": np.inf}
    estimator = history(quick(MLPRegressor, **settings, **parameters), X, y)
    message = fails(estimator, lambda estimator: estimator.fit(X, y), [])
    assert tries(message)


@retreats
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_a_diverging_classifier_says_what_to_try(solver, history):
    X, y = unscaled(MLPClassifier)
    settings = {"max_iter": 500, "n_iter_no_change": np.inf, "alpha": 1.0, "solver": solver}
    rate = {"sgd": 1e6, "adam": 1e300}[solver]
    estimator = history(quick(MLPClassifier, learning_rate_init=rate, **settings), X, y)
    message = fails(estimator, lambda estimator: estimator.fit(X, y), [])
    assert tries(message)


def test_a_diverging_stream_stays_where_it_was():
    X, y = unscaled(MLPRegressor)
    stream = quick(MLPRegressor, solver="sgd", learning_rate_init=1e6)
    error, before = None, {}
    for _ in range(500):
        before = state(stream)
        try:
            stream.partial_fit(X, y)
        except ValueError as caught:
            error = str(caught)
            break
    assert error
    assert "learning_rate_init" in error
    assert "\n" not in error
    assert same(vars(stream), before)


def test_an_activation_that_overflows_is_a_diverging_fit(history):
    X, y = unscaled(MLPRegressor)
    for solver in SOLVERS:
        estimator = quick(MLPRegressor, activation=np.exp, solver=solver)
        message = fails(history(estimator, X, y), lambda estimator: estimator.fit(X, y), [])
        assert "scal" in message


def test_an_activation_that_raises_leaves_the_estimator_alone(history):
    def broken(z):
        raise ZeroDivisionError(f"broken on purpose, given {z}")

    X, y = data(MLPRegressor)
    estimator = history(quick(MLPRegressor, activation=broken), X, y)
    before = state(estimator)
    with pytest.raises(ZeroDivisionError, match="broken on purpose"):
        estimator.fit(X, y)
    assert same(vars(estimator), before)


# -------------------- interrupted fits


def without_parameters(estimator):
    """The state, less what the user set."""
    parameters = estimator.get_params()
    return {name: value for name, value in vars(estimator).items() if name not in parameters}


PUBLISHED = ["coefs_", "intercepts_", "loss_curve_", "n_iter_", "t_", "loss_", "best_loss_"]
PUBLISHED += ["validation_scores_", "best_validation_score_"]
PUBLISHED += ["normalization_parameters_", "normalization_statistics_"]


def published(estimator):
    return {name: getattr(estimator, name) for name in PUBLISHED if hasattr(estimator, name)}


def epochs(kind, n, **parameters):
    """What a fit of n epochs publishes."""
    X, y = data(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return published(quick(kind, **(parameters | {"max_iter": n})).fit(X, y))


INTERRUPTED = [
    {"solver": "adam"},
    {"solver": "adam", "dropout": 0.2, "normalization": "batch"},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"solver": "adam", "early_stopping": True},
    {"solver": "sgd", "restore_best": True, "learning_rate_init": 0.05},
    {"solver": "adam", "dtype": "float32"},
]


def is_interrupted(call, *arguments):
    """Whether a KeyboardInterrupt comes out of a call; it must not come out of a test."""
    try:
        call(*arguments)
    except KeyboardInterrupt:
        return True
    return False


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", INTERRUPTED, ids=str)
@pytest.mark.parametrize("complete", [1, 2, 7])
def test_an_interrupted_fit_keeps_its_complete_epochs(complete, parameters, kind):
    X, y = data(kind)
    random = CountedState(0, interrupt_at=complete + 1)
    settings = parameters | {"max_iter": 50}
    estimator = quick(kind, **(settings | {"random_state": random}))
    with pytest.warns(UserWarning, match="nterrupt") as caught:
        assert not is_interrupted(estimator.fit, X, y)
    assert not [w for w in caught if issubclass(w.category, ConvergenceWarning)]
    assert estimator.n_iter_ == complete
    assert same(published(estimator), epochs(kind, complete, **parameters))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_an_interrupt_before_the_first_epoch_ends_leaves_the_estimator_alone(kind, solver, history):
    X, y = data(kind)
    estimator = history(quick(kind, solver=solver), X, y)
    estimator.random_state = CountedState(0, interrupt_at=1)
    before = copy.deepcopy(without_parameters(estimator))
    assert is_interrupted(estimator.fit, X, y)
    assert estimator.random_state.shuffles == 1
    assert same(without_parameters(estimator), before)


# An interrupt that hits a generator while Python throws it away is lost, with a warning.
lost_interrupts = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def interrupted_at(event, call, *arguments):
    """Interrupt a call at the given one of its events, inner calls and returns.

    Returns whether the interrupt came out, and how many events there were.
    """
    events = 0

    def watch(_frame, event_name, argument):
        nonlocal events
        # Python looks for signals after C's calls, not before them. So `with lock` is never left
        # with the lock, which here would be that of a library, and stop a later test for good.
        if event_name == "c_call" and argument.__name__ == "__exit__":
            return
        events += 1
        if events == event:
            raise KeyboardInterrupt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        sys.setprofile(watch)
        try:
            came_out = is_interrupted(call, *arguments)
        finally:
            sys.setprofile(None)
    return came_out, events


def moments(call, *arguments, n=60):
    """Some events, evenly spread over a call, at which to interrupt it."""
    _, events = interrupted_at(None, call, *arguments)
    return np.unique(np.linspace(2, events - 2, n).astype(int))


@lost_interrupts
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", INTERRUPTED, ids=str)
def test_an_interrupt_anywhere_leaves_whole_epochs_or_nothing(parameters, kind):
    X, y = data(kind)
    settings = parameters | {"max_iter": 4}
    warm = quick(kind, **parameters)
    with pytest.warns(ConvergenceWarning):
        warm.fit(X[::-1], y[::-1]).set_params(**settings)
    legal = {n: epochs(kind, n, **settings) for n in range(1, 5)}
    kept = set()
    n = 120 if "normalization" in parameters else 60  # most of them then fall on the larger graph
    for moment in moments(copy.deepcopy(warm).fit, X, y, n=n):
        estimator = copy.deepcopy(warm)
        before = state(estimator)
        came_out, _ = interrupted_at(moment, estimator.fit, X, y)
        if came_out and same(vars(estimator), before):
            kept.add(0)
            continue
        kept.add(estimator.n_iter_)
        assert same(published(estimator), legal.get(estimator.n_iter_))
    assert {0, 1, 2, 3} <= kept


@lost_interrupts
@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupted_lbfgs_leaves_whole_iterations_or_nothing(kind, early_stopping):
    X, y = data(kind)
    settings = {"solver": "lbfgs", "max_iter": 4, "early_stopping": early_stopping}
    warm = quick(kind, **settings).fit(X[::-1], y[::-1])
    legal = {n: epochs(kind, n, **settings) for n in range(1, 5)}
    kept = set()
    for moment in moments(copy.deepcopy(warm).fit, X, y):
        estimator = copy.deepcopy(warm)
        before = state(estimator)
        came_out, _ = interrupted_at(moment, estimator.fit, X, y)
        if came_out and same(vars(estimator), before):
            kept.add(0)
            continue
        kept.add(estimator.n_iter_)
        assert same(published(estimator), legal.get(estimator.n_iter_))
    assert len(kept) > 2


@lost_interrupts
@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_partial_fit_took_the_step_or_did_not(kind):
    X, y = data(kind)
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    warm = quick(kind).partial_fit(X, y, **classes)
    after = copy.deepcopy(warm).partial_fit(X, y)
    for moment in moments(copy.deepcopy(warm).partial_fit, X, y):
        estimator = copy.deepcopy(warm)
        interrupted_at(moment, estimator.partial_fit, X, y)
        assert same(vars(estimator), vars(warm)) or same(vars(estimator), vars(after))


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="signals reach the main thread",
)
def test_a_real_interrupt_from_the_keyboard():
    """Wherever the signal lands, what is kept is a fit of that many epochs."""
    X, y = data(MLPRegressor, n=2000)
    settings = {"n_iter_no_change": np.inf, "random_state": 0, "batch_size": 20}
    delay = 0.05
    while True:
        estimator = MLPRegressor((20,), max_iter=10**6, **settings)
        timer = threading.Timer(delay, signal.raise_signal, [signal.SIGINT])
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            timer.start()
            with pytest.warns(UserWarning, match="nterrupt"):
                estimator.fit(X, y)
        except KeyboardInterrupt:
            assert same(vars(estimator), vars(MLPRegressor((20,), max_iter=10**6, **settings)))
            delay *= 2
        else:
            break
        finally:
            timer.join()
            signal.signal(signal.SIGINT, handler)
    assert 1 <= estimator.n_iter_ < 10**6
    with pytest.warns(ConvergenceWarning):
        again = MLPRegressor((20,), max_iter=estimator.n_iter_, **settings).fit(X, y)
    assert same(published(estimator), published(again))


# -------------------- a fitted estimator that goes on


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("head", ["nonsense", 3.5, MLPRegressor, "other"])
def test_a_head_cannot_change_under_the_parameters(head, method, kind):
    X, y = data(kind)
    y = np.abs(y)
    if head == "other":
        y, head = (y > 0).astype(int) if kind is MLPClassifier else y, "poisson"
        head = "softmax" if kind is MLPClassifier else head
    estimator = quick(kind, warm_start=True).fit(X, y).set_params(head=head)
    fails(estimator, lambda it: getattr(it, method)(X, y), ["head"])


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("first", "later"), [(np.float64, np.float32), (np.float32, np.float64)])
def test_a_fitted_network_keeps_its_precision(first, later, method, kind):
    X, y = data(kind)
    estimator = quick(kind, warm_start=True).fit(X.astype(first), y)
    getattr(estimator, method)(X.astype(later), y)
    assert {part.dtype for part in estimator.coefs_} == {np.dtype(first)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "parameters",
    [
        {"activation": lambda z: z if z > 0 else 0},
        {"activation": np.fft.fft},
        {"head": Pointless()},
    ],
    ids=["branching", "unknown function", "head without a loss"],
)
def test_what_cannot_be_traced_is_found_before_any_work(parameters, kind):
    X, y = data(kind)
    if kind is MLPClassifier and "head" in parameters:
        parameters = {"head": PointlessClasses()}
    random = CountedState()
    estimator = quick(kind, early_stopping=True, random_state=random, **parameters)
    with pytest.raises((TypeError, NotImplementedError)):
        estimator.fit(X, y)
    assert (random.draws, random.shuffles) == (0, 0)
    assert not [name for name in vars(estimator) if name.endswith("_")]


@unconverged
def test_a_look_at_the_graph_needs_no_class_twice():
    X, y = data(MLPClassifier)
    estimator = quick(MLPClassifier, warm_start=True).fit(X, y)
    assert "objective" in str(estimator.computation_graph(X[y == 0], y[y == 0]))
    with pytest.raises(ValueError, match="non-zero"):
        estimator.computation_graph(X, y, np.zeros(len(y)))
    with pytest.raises(ValueError, match="sample_weight"):
        estimator.computation_graph(X, sample_weight=np.ones(len(y)))


# -------------------- threads


@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_predicting_from_eight_threads_gives_the_same_bits(kind):
    X, y = data(kind, n=300)
    fitted = [
        quick(kind, hidden_layer_sizes=(), max_iter=1).fit(X, y),
        quick(kind, hidden_layer_sizes=(5,), activation=np.tanh, max_iter=1).fit(X, y),
        quick(kind, hidden_layer_sizes=(64, 32), max_iter=1, dtype="float32").fit(X, y),
        quick(kind, hidden_layer_sizes=(200,), activation="logistic", max_iter=1).fit(X, y),
    ]
    rows = [np.resize(X, (n, 4)) + 0.5 for n in (1, 7, 200, 3000)]
    methods = [
        "predict",
        *(["predict_proba", "predict_log_proba"] if kind is MLPClassifier else []),
    ]
    tasks = [
        (getattr(estimator, method), block)
        for estimator in fitted
        for method in [*methods, *(["hidden_layer_output"] if estimator.n_layers_ > 2 else [])]
        for block in rows
    ]
    expected = [apply(block) for apply, block in tasks]
    start = threading.Barrier(8)

    def predict_all(seed):
        order = np.random.RandomState(seed).permutation(3 * len(tasks)) % len(tasks)
        start.wait()
        return [(index, tasks[index][0](tasks[index][1])) for index in order]

    with ThreadPoolExecutor(8) as threads:
        for results in threads.map(predict_all, range(8)):
            for index, found in results:
                assert found.tobytes() == expected[index].tobytes()


@unconverged
def test_fits_in_eight_threads_do_not_disturb_each_other():
    X, y = data(MLPRegressor, n=200)
    expected = [quick(MLPRegressor, random_state=seed).fit(X, y).coefs_ for seed in range(8)]
    start = threading.Barrier(8)

    def fit(seed):
        start.wait()
        return quick(MLPRegressor, random_state=seed).fit(X, y).coefs_

    with ThreadPoolExecutor(8) as threads:
        assert same(list(threads.map(fit, range(8))), expected)


@unconverged
def test_a_result_belongs_to_the_caller():
    X, y = data(MLPRegressor)
    estimator = quick(MLPRegressor).fit(X, y)
    for method in ("predict", "hidden_layer_output"):
        first = getattr(estimator, method)(X)
        kept = first.copy()
        getattr(estimator, method)(X + 1)
        np.testing.assert_array_equal(first, kept)
        first[:] = 0
        np.testing.assert_array_equal(getattr(estimator, method)(X), kept)


# -------------------- reproducibility

SETTINGS = [
    {"solver": "adam"},
    {"solver": "adam", "dropout": 0.2, "input_noise": 0.1, "normalization": "batch"},
    {"solver": "sgd", "learning_rate": "adaptive"},
    {"solver": "lbfgs"},
    {"solver": "adam", "early_stopping": True},
    {
        "solver": "adam",
        "dtype": "float32",
        "activation": "logistic",
        "hidden_layer_sizes": (30, 20),
    },
]


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", SETTINGS, ids=str)
def test_a_fit_can_be_repeated_bit_for_bit(parameters, kind):
    X, y = data(kind)
    first = quick(kind, **parameters).fit(X, y)
    assert same(published(first), published(quick(kind, **parameters).fit(X, y)))
    assert same(published(first), published(copy.deepcopy(first).fit(X, y)))
    other = quick(kind, **(parameters | {"random_state": 1})).fit(X, y)
    assert not same(published(first), published(other))


def python(script, *arguments):
    """Run a script in a fresh interpreter that finds the modules of this one."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


REFIT = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    unfitted, X, y = pickle.load(file)
with open(sys.argv[2], "wb") as file:
    pickle.dump([estimator.fit(X, y).coefs_ for estimator in unfitted], file)
"""

PREDICT = """
import pickle, sys
with open(sys.argv[1], "rb") as file:
    fitted, X = pickle.load(file)
with open(sys.argv[2], "wb") as file:
    pickle.dump([estimator.predict(X) for estimator in fitted], file)
    pickle.dump([estimator.hidden_layer_output(X) for estimator in fitted], file)
"""


@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_can_be_repeated_in_a_fresh_process(kind, tmp_path):
    X, y = data(kind)
    unfitted = [quick(kind, **parameters) for parameters in SETTINGS]
    with open(tmp_path / "unfitted", "wb") as file:
        pickle.dump((unfitted, X, y), file)
    python(REFIT, tmp_path / "unfitted", tmp_path / "fitted")
    with open(tmp_path / "fitted", "rb") as file:
        found = pickle.load(file)
    assert same(found, [estimator.fit(X, y).coefs_ for estimator in unfitted])


@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_a_pickle_predicts_the_same_bits_in_a_fresh_process(kind, tmp_path):
    X, y = data(kind)
    fitted = [quick(kind, **parameters).fit(X, y) for parameters in SETTINGS]
    with open(tmp_path / "fitted", "wb") as file:
        pickle.dump((fitted, X), file)
    python(PREDICT, tmp_path / "fitted", tmp_path / "predicted")
    with open(tmp_path / "predicted", "rb") as file:
        predicted, hidden = pickle.load(file), pickle.load(file)
    assert same(predicted, [estimator.predict(X) for estimator in fitted])
    assert same(hidden, [estimator.hidden_layer_output(X) for estimator in fitted])


# -------------------- pickles and copies


def parameter_bytes(estimator):
    return sum(array.nbytes for array in Fitted(estimator).arrays if array is not None)


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", [*SETTINGS, {"restore_best": True}], ids=str)
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_pickle_holds_little_more_than_the_parameters(parameters, kind, warm_start):
    X, y = data(kind)
    parameters = parameters | {"hidden_layer_sizes": (100, 100), "warm_start": warm_start}
    estimator = quick(kind, **parameters).fit(X, y)
    pickled = pickle.dumps(estimator)
    assert len(pickled) < parameter_bytes(estimator) + 8_000
    outputs(estimator, X)
    estimator.hidden_layer_output(X)
    assert pickle.dumps(estimator) == pickled
    loaded = pickle.loads(pickled)
    assert same(outputs(loaded, X), outputs(estimator, X))
    assert same(published(loaded), published(estimator))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("seed", ["integer", "generator"])
@pytest.mark.parametrize("duplicate", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy])
def test_a_pickled_stream_goes_on_where_it_was(duplicate, seed, solver, kind):
    X, y = data(kind)
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    stream = quick(kind, solver=solver, hidden_layer_sizes=(50, 50))
    if seed == "generator":
        stream.set_params(random_state=np.random.RandomState(0))
    for _ in range(3):
        stream.partial_fit(X, y, **classes)
    loaded = duplicate(stream)
    for _ in range(3):
        stream.partial_fit(X, y)
        loaded.partial_fit(X, y)
    assert same(published(loaded), published(stream))
    fresh = quick(kind, solver=solver, hidden_layer_sizes=(50, 50))
    for _ in range(3):
        fresh.partial_fit(X, y, **classes)
    assert not same(published(fresh)["coefs_"], published(stream)["coefs_"])


SCHEDULED = [{"solver": "adam"}, {"solver": "sgd"}]
SCHEDULED += [{"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.2}]


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", SCHEDULED, ids=str)
def test_steps_of_a_stream_are_the_epochs_of_a_fit(parameters, kind):
    X, y = data(kind)
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    fitted = quick(kind, shuffle=False, max_iter=4, **parameters).fit(X, y)
    stream = quick(kind, shuffle=False, **parameters)
    for _ in range(4):
        stream.partial_fit(X, y, **classes)
    for name in ("coefs_", "intercepts_", "loss_curve_", "t_"):
        assert same(getattr(stream, name), getattr(fitted, name))


@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_needs_its_solver_and_a_fit_does_not(kind):
    X, y = data(kind)
    classes = {"classes": [0, 1, 2]} if kind is MLPClassifier else {}
    stream = quick(kind, hidden_layer_sizes=(100, 100)).partial_fit(X, y, **classes)
    size = parameter_bytes(stream)
    assert 3 * size < len(pickle.dumps(stream)) < 3 * size + 8_000
    stream.fit(X, y)
    assert len(pickle.dumps(stream)) < size + 8_000


@unconverged
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_after_a_fit_is_the_same_in_the_copy(kind):
    X, y = data(kind)
    estimator = quick(kind).fit(X, y)
    loaded = pickle.loads(pickle.dumps(estimator))
    estimator.partial_fit(X, y)
    loaded.partial_fit(X, y)
    assert same(published(loaded), published(estimator))


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", SETTINGS, ids=str)
def test_a_deep_copy_is_another_estimator(parameters, kind):
    X, y = data(kind)
    estimator = quick(kind, **parameters).fit(X, y)
    copied = copy.deepcopy(estimator)
    before = outputs(copied, X)
    assert same(before, outputs(estimator, X))
    estimator.fit(X[::-1] + 1, y)
    assert not same(outputs(estimator, X), before)
    assert same(outputs(copied, X), before)


@unconverged
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameters", [*SETTINGS, {"restore_best": True}], ids=str)
@pytest.mark.parametrize("later", ["fit", "warm fit", "partial_fit"])
def test_published_parameters_are_nobodys_working_copy(later, parameters, kind):
    if later == "partial_fit" and (
        "early_stopping" in parameters or parameters.get("solver") == "lbfgs"
    ):
        pytest.skip("has no partial_fit")
    X, y = data(kind)
    estimator = quick(kind, **parameters).fit(X, y)
    arrays = [*estimator.coefs_, *estimator.intercepts_]
    lists = [estimator.coefs_, estimator.loss_curve_]
    before = copy.deepcopy((arrays, lists))
    estimator.set_params(warm_start=later == "warm fit")
    (estimator.partial_fit if later == "partial_fit" else estimator.fit)(X[::-1], y)
    assert not same([*estimator.coefs_, *estimator.intercepts_], before[0])
    assert same(arrays, before[0])
    assert same(lists[0], before[1][0])
