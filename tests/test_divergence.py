"""Fits that are no longer finite: they go back, go on, and keep the best if they give up."""

from functools import partial

import numpy as np
import pytest
from scipy import special
from sklearn.datasets import make_classification, make_regression

from skmlp import Head, Learned, MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
KINDS = [MLPClassifier, MLPRegressor]


def data(kind, n=70):
    if kind is MLPClassifier:
        return make_classification(n, 5, n_informative=3, n_classes=3, random_state=0)
    X, y = make_regression(n, 5, noise=20.0, random_state=0)
    return X, y / 50


def quick(kind, **parameters):
    settings = {"hidden_layer_sizes": (6,), "max_iter": 7, "random_state": 0, "batch_size": 16}
    return kind(**(settings | {"learning_rate_init": 0.02, "n_iter_no_change": 1000} | parameters))


class Spike:
    """A rate that is absurd at some steps, however small learning_rate_init becomes."""

    def __init__(self, times, after=0.4):
        self.left, self.after = times, after

    def __call__(self, progress):
        if progress > self.after and self.left:
            self.left -= 1
            return 1e300
        return 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
@pytest.mark.parametrize("times", [1, 3, 5])
def test_a_fit_that_blows_up_goes_back_and_goes_on(times, solver, kind):
    X, y = data(kind)
    settings = {"solver": solver, "max_iter": 30}
    model = quick(kind, learning_rate=Spike(times), **settings)
    with pytest.warns(RuntimeWarning, match="no longer finite in epoch 1[0-9]") as caught:
        model.fit(X, y)
    assert len([w for w in caught if w.category is RuntimeWarning]) == 1
    assert model.n_iter_ == 30
    assert np.isfinite(model.predict_proba(X) if kind is MLPClassifier else model.predict(X)).all()
    assert np.isfinite(model.loss_curve_).all()
    assert model.loss_ < model.loss_curve_[5]
    assert model.history_["learning_rate"][-1] == 0.02 * 0.5**times


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extra", [{}, {"averaging": 0.9}, {"early_stopping": True}])
def test_a_fit_that_blows_up_for_good_keeps_its_best_and_says_so(extra, kind):
    X, y = data(kind)
    model = quick(kind, learning_rate=Spike(10**6), max_iter=30, **extra)
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="non-finite") as caught:
        model.fit(X, y)
    message = str(caught.value)
    assert "\n" not in message
    assert "to halve it 5 times was not enough" in message
    assert "The best parameters so far are kept." in message
    assert model.n_iter_ == len(model.loss_curve_) == 12
    assert model.score(X, y) > quick(kind, max_iter=1).fit(X, y).score(X, y)
    model.set_params(learning_rate="constant", warm_start=True, max_iter=3).fit(X, y)


@pytest.mark.filterwarnings("ignore:The loss or the parameters were no longer finite")
@pytest.mark.parametrize("kind", KINDS)
def test_a_fit_that_never_was_any_good_leaves_the_estimator_as_it_was(kind):
    X, y = data(kind)
    model = quick(kind, warm_start=True).fit(X, y)
    before = dict(vars(model))
    model.set_params(learning_rate=Spike(10**6, after=-1))
    with pytest.raises(ValueError, match="epoch 1: ") as caught:
        model.fit(X, y)
    assert "kept" not in str(caught.value)
    assert {**vars(model), "learning_rate": "constant"} == before


class Rooted(Head):
    """A loss that is finite where its gradient is not."""

    def loss(self, raw, y):
        return np.sum(np.cbrt(np.square(raw - y)), axis=1)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_gradient_that_is_not_finite_moves_nothing(clip):
    X, y = np.eye(3), np.zeros(3)
    model = MLPRegressor(
        (), head=Rooted(), weight_init=lambda rng, a, b: np.zeros((a, b)), max_grad_norm=clip
    )
    with pytest.raises(ValueError, match="non-finite"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("rate", [0.3, 0.5, 1.0])
def test_a_rate_that_is_too_large_is_halved_until_it_fits(rate):
    A = np.random.RandomState(0).normal(size=(200, 5))
    b = 10 * A[:, 0]
    model = MLPRegressor((20,), solver="sgd", learning_rate_init=rate, random_state=0)
    with pytest.warns(RuntimeWarning, match="goes back"):
        model.fit(A, b)
    assert model.score(A, b) > 0.9
    rates = model.history_["learning_rate"]
    assert rates[0] == rate
    assert set(rates) <= {rate * 0.5**k for k in range(6)}
    assert sorted(rates, reverse=True) == rates


def test_what_is_huge_at_the_end_of_the_last_epoch_is_not_handed_out():
    X, y = data(MLPRegressor)
    model = quick(MLPRegressor, max_iter=1, solver="sgd", batch_size=70, learning_rate_init=1e200)
    with pytest.raises(ValueError, match="in the last epoch"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")


def root(z):
    return z**0.5


NOT_FINITE = {  # an activation, what the message says of it, and other parameters
    "log": (
        np.log,
        r"activation=np\.log is nan at the pre-activation -[\d.]+ in hidden layer 1",
        {},
    ),
    "sqrt": (np.sqrt, r"activation=np\.sqrt is nan at the pre-activation -", {}),
    "root": (root, r"activation=root is nan at the pre-activation -", {}),
    "arccosh": (np.arccosh, r"activation=np\.arccosh is nan at the pre-activation ", {}),
    "logit": (special.logit, r"activation=logit is nan at the pre-activation ", {}),
    "pole": (np.reciprocal, r"activation=np\.reciprocal is inf at the pre-activation 0 in", {}),
    "cbrt": (np.cbrt, r"the slope of activation=np\.cbrt is inf at the pre-activation 0 in", {}),
    "full batch": (np.log, r"iteration \d+: activation=np\.log is nan", {"solver": "lbfgs"}),
    "second layer": (
        [np.tanh, np.log],
        r"np\.log is nan at the pre-activation -[\d.]+ in hidden layer 2",
        {"hidden_layer_sizes": (5, 5)},
    ),
    "learned": (lambda z, s=Learned(1.0): np.log(s * z), "<lambda> is nan", {}),  # noqa: B008
    "normalized": (np.log, "activation=np.log is nan", {"normalization": "batch", "dropout": 0.1}),
    "float32": (np.log, "activation=np.log is nan", {"dtype": "float32"}),
    "overflow": (partial(np.power, 1e90), r"is inf at the pre-activation .* clip z", {}),
}


@pytest.mark.filterwarnings("ignore:The loss or the parameters were no longer finite")
@pytest.mark.parametrize("name", NOT_FINITE)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_activation_that_is_not_finite_is_named_with_the_pre_activation(name, method):
    activation, words, parameters = NOT_FINITE[name]
    if method == "partial_fit" and parameters.get("solver") == "lbfgs":
        pytest.skip("lbfgs has no partial_fit")
    X, y = data(MLPRegressor)
    X[3] = 0  # with biases of 0 the pre-activation is 0 there
    settings = {"weight_init": "he_normal", "batch_size": 70} | parameters
    model = quick(MLPRegressor, activation=activation, **settings)
    with pytest.raises(ValueError, match=words) as caught:
        getattr(model, method)(5 * X, y)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) <= 300
    assert "to halve it" not in message
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("name", ["silu", "relu", lambda z: z**3, np.square])
def test_an_activation_that_is_finite_is_not_named(name):
    X, y = data(MLPRegressor)
    with pytest.raises(ValueError, match="scale the inputs") as caught:
        quick(MLPRegressor, activation=name).fit(X * 1e200, y)
    assert "activation" not in str(caught.value)
    assert "to halve it" not in str(caught.value)


def test_an_activation_that_is_not_finite_later_is_named_when_training_goes_back():
    X, y = data(MLPRegressor)
    model = quick(
        MLPRegressor, activation=lambda z: np.log(z + 3), learning_rate_init=0.3, max_iter=40
    )
    with (
        pytest.warns(RuntimeWarning, match=r"The cause: activation=<lambda> is nan at"),
        pytest.raises(ValueError, match="activation=<lambda> is nan"),
    ):
        model.fit(X, y)
