"""Fits that end worse than a constant are told, with the cause; fits that do not are not."""

import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from skmlp import Learned, MLPClassifier, MLPRegressor
from skmlp.callbacks import TimeLimit
from skmlp.heads import HEADS, Head

SOLVERS = ["adam", "adamw", "sgd", "lbfgs"]


def told(model, X, y, **given):
    """What a fit warns of, without other warnings than those of convergence."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **given)
    assert {w.category for w in caught} <= {ConvergenceWarning, RuntimeWarning}
    found = [str(w.message) for w in caught if w.category is ConvergenceWarning]
    assert len(found) <= 1
    assert {w.filename for w in caught} <= {__file__}
    return found[0] if found else ""


def ordinary(n=300, seed=0):
    X = np.random.RandomState(seed).normal(size=(n, 4))
    return X, X[:, 0] + 0.3 * np.sin(3 * X[:, 1])


def quick(kind=MLPRegressor, sizes=(20,), **parameters):
    return kind(**({"hidden_layer_sizes": sizes, "random_state": 0, "max_iter": 60} | parameters))


X, y = ordinary()
scales = np.array([1.0, 1.0, 3e4, 1.0])
frame = pd.DataFrame(X * scales, columns=["rooms", "age", "Lot Area", "lat"])
CAUSES = {  # a model, X, y, the cause and the cure
    "inputs": (
        quick(solver="sgd", max_grad_norm=1.0),
        frame,
        y,
        r"column 'Lot Area' of X has a standard deviation of [\d.]+e\+04: scale X, .*StandardSc",
    ),
    "inputs far from 0": (
        quick(max_iter=5),
        X + np.array([0, 1e5, 0, 0]),
        y,
        r"column 1 of X has a mean of 1e\+05 .*: scale X",
    ),
    "sparse": (quick(max_iter=5), sparse.csr_array(X * scales), y, "scale X, .* MaxAbsScaler"),
    "target": (
        quick(),
        X,
        180_000 + 8e4 * y,
        r'y has a mean of 1.8e\+05: set initial_output="data"',
    ),
    "small target": (quick(), X, 1e-6 * y, "y has a standard deviation of .*initial_output"),
    "both": (
        quick(),
        15 * X,
        1e7 + 1e7 * y,
        "of X has .* and y has .*Scaler and set initial",
    ),
    "rate": (quick(learning_rate_init=50.0), X, y, r"learning_rate_init \(now 50\): lower it"),
    "too short": (quick(max_iter=2), X, y + 2, "ended with max_iter=2: raise max_iter"),
    "at rest": (quick(max_iter=2, learning_rate="cosine"), X, y + 2, "max_iter=2: raise max_iter"),
    "tol": (quick(tol=1.0, n_iter_no_change=1), X, y + 2, "improvement by more than tol=1: lower"),
    "few iterations": (quick(solver="lbfgs", max_iter=1), 1e3 * X, y, "and training ended with"),
    "early stopping": (
        quick(early_stopping=True, scoring=lambda e, X, y: -float(np.abs(e.coefs_[0]).sum())),
        X,
        y + 2,
        "early_stopping kept epoch 1 of 12, .*: raise validation_fraction",
    ),
    "classes": (
        quick(MLPClassifier, solver="sgd"),
        *load_wine(return_X_y=True, as_frame=True),
        "column 'proline' of X has .*: scale X",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_fit_that_is_worse_than_a_constant_is_told_with_its_cause(name):
    model, A, b, words = CAUSES[name]
    model = clone(model)
    with pytest.warns(ConvergenceWarning, match=words) as caught:
        model.fit(A, b)
    (message,) = (str(w.message) for w in caught if w.category is ConvergenceWarning)
    assert message.startswith("The fit is worse than a constant: its mean training loss is ")
    assert "\n" not in message
    assert "hasn't converged" not in message
    if name not in ("early stopping", "classes"):
        assert model.score(A, b) < 0
        found = 0.5 * np.mean((model.predict(A) - b) ** 2)
        assert f"loss is {found:.4g}, that of the best constant {0.5 * np.var(b):.4g}," in message


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("extra", [{}, {"dropout": 0.5}, {"early_stopping": True}, {"alpha": 10.0}])
def test_a_fit_that_is_fine_is_not(extra, solver):
    if solver == "lbfgs" and "dropout" in extra:
        pytest.skip("lbfgs takes no dropout")
    for load in (load_iris, load_breast_cancer):
        A, b = load(return_X_y=True)
        model = quick(MLPClassifier, solver=solver, learning_rate_init=0.02, **extra)
        assert "constant" not in told(model, StandardScaler().fit_transform(A), b)
    A, b = load_diabetes(return_X_y=True)
    model = quick(initial_output="data", solver=solver, learning_rate_init=0.02, **extra)
    assert "constant" not in told(model, StandardScaler().fit_transform(A), b)


def target_of(name, z):
    """A target that a head learns, with z its signal."""
    targets = HEADS[name].targets
    if "numbers" not in targets:
        return np.digitize(z, [-0.5, 0.5]) if "multiclass" in targets else (z > 0).astype(int)
    return np.round(np.exp(z)) if name in ("poisson", "negative_binomial") else np.exp(z)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", HEADS)
def test_every_head_tells_the_one_and_not_the_other(name):
    kind = MLPRegressor if "numbers" in HEADS[name].targets else MLPClassifier
    b = target_of(name, y)
    settings = {"head": name, "hidden_layer_sizes": (20,), "learning_rate_init": 0.02}
    assert "constant" not in told(quick(kind, **settings), X, b)
    model = quick(kind, **settings, weight_init=lambda rng, n, m: 30 * rng.normal(size=(n, m)))
    words = told(model.set_params(max_iter=1, learning_rate_init=1e-9), X, b)
    assert words.startswith("The fit is worse than a constant")


def test_no_number_is_drawn_or_changed(monkeypatch):
    A, b = X, y + 2
    fits = []
    for asked in (True, False):
        if not asked:
            monkeypatch.setattr(
                "skmlp.estimators.perceptron.why_worse_than_constant", lambda *arguments: None
            )
        random = np.random.RandomState(0)
        model = quick(max_iter=3, random_state=random, dropout=0.1)
        assert ("constant" in told(model, A, b)) == asked
        fits.append([*model.coefs_, random.normal(size=3)])
    assert all(map(np.array_equal, *fits))


@pytest.mark.parametrize(("epochs", "n"), [(1, 300), (9, 300), (20, 500), (60, 1000)])
def test_few_rows_are_compared_whatever_there_are(epochs, n):
    # one in 200 of the rows of all epochs, between 300 and 1,000
    seen = []

    @dataclass(frozen=True)
    class Counted(HEADS["linear"]):
        def initial_raw(self, y, weights=None):
            seen.append(len(y))
            return super().initial_raw(y, weights)

    A, b = ordinary(5000)
    model = quick(head=Counted(), max_iter=epochs, learning_rate_init=1e-9, n_iter_no_change=99)
    told(model, A, b + 2)
    assert seen == [n]


def test_a_sample_of_the_rows_tells_what_chance_does_not():
    A, b = ordinary(5000)
    rng = np.random.default_rng(0)
    nothing = rng.normal(size=5000)  # nothing to learn, so that a small network is about a constant
    for seed in range(5):
        small = quick(alpha=1e3, max_iter=3, random_state=seed, learning_rate_init=0.05)
        assert "constant" not in told(small, A, nothing)
    assert "worse than a constant" in told(quick(max_iter=1), A, b + 2)


def test_weights_count_in_the_comparison():
    weights = np.where(y > 0, 1.0, 1e-9)
    model = quick(max_iter=1, learning_rate_init=1e-9)
    constant = np.average(y, weights=weights)
    with pytest.warns(ConvergenceWarning, match="worse than a constant") as caught:
        model.fit(X, y, weights)
    least = 0.5 * np.average((y - constant) ** 2, weights=weights)
    assert f"best constant {least:.4g}" in str(caught[0].message)


def test_one_class_for_all_is_not_worse_than_a_constant():
    b = np.arange(300) % 20 == 0
    model = quick(MLPClassifier, (), alpha=1e3, max_iter=500, learning_rate_init=0.02)
    words = told(model, X, b)
    assert not model.predict(X).any()
    constant = DummyClassifier(strategy="prior").fit(X, b)
    loss = [log_loss(b, m.predict_proba(X)) for m in (model, constant)]
    assert loss[0] < 1.01 * loss[1]
    assert "constant" not in words


def test_there_is_nothing_to_learn_of_a_target_that_is_constant():
    for b in (np.full(300, 5.0), np.zeros((300, 2))):
        assert "constant" not in told(quick(max_iter=2), X, b)


class Broken(HEADS["linear"]):
    def initial_raw(self, y, weights=None):
        raise NotImplementedError


class Endless(HEADS["linear"]):
    def initial_raw(self, y, weights=None):  # noqa: ARG002
        return np.full(y.shape[1], np.nan)


class Own(Head):
    def loss(self, raw, y):
        return np.sum(np.abs(raw - y) ** 1.5, axis=1)


class Traced(HEADS["linear"]):
    def loss(self, raw, y):
        if isinstance(raw, np.ndarray):
            raise TypeError("of expressions alone")
        return super().loss(raw, y)


@pytest.mark.parametrize("head", [Broken(), Endless(), Traced()])
def test_a_head_without_a_constant_is_not_compared(head):
    assert "hasn't converged" in told(quick(max_iter=2, head=head), X, y + 2)


def test_a_head_of_ones_own_is_compared():
    assert "worse than a constant" in told(quick(max_iter=2, head=Own()), X, y + 2)
    assert "constant" not in told(quick(head=Own(), learning_rate_init=0.02), X, y)


def zeroing(z, s=Learned(1.0)):  # noqa: B008
    if isinstance(z, np.ndarray):
        s *= 0
    return np.tanh(z * s)


def test_a_comparison_gives_published_arrays_to_no_function_of_the_users():
    model = quick(activation=zeroing, max_iter=2)
    told(model, X, y)
    assert np.all(model.activation_parameters_[0] != 0)


def test_a_stream_is_not_compared_call_by_call():
    stream = quick()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            stream.partial_fit(frame, 1e6 + y)


def test_inputs_whose_squares_overflow_are_named_with_their_size():
    A = X * [1, 1, 1e200, 1]
    model = quick(max_iter=1, activation="tanh")
    size = f"{np.std(A[:, 2] / 1e200) * 1e200:.2g}"
    assert f"column 2 of X has a standard deviation of {size}" in told(model, A, 3 + y)


@pytest.mark.skipif(find_spec("sklearn.callback") is None, reason="callbacks are new in 1.9")
def test_a_fit_that_a_callback_stopped_is_told_of_scales_alone():
    model = quick().set_callbacks(TimeLimit(1e-9))
    assert told(model, X, y + 2) == ""
    assert "column 'Lot Area'" in told(model, frame, y)
