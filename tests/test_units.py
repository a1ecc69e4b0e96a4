"""A target of any unit: the same fit, in either precision, or a sentence that says why not."""

import pickle
import warnings
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pytest

from skmlp import MLPClassifier, MLPRegressor
from skmlp.callbacks import GradientNorms
from skmlp.heads import (
    HEADS,
    POSITIVE,
    ZERO_OR_POSITIVE,
    Gamma,
    Head,
    Huber,
    LogNormal,
    Quantile,
    Tweedie,
)

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
R = X[:, 0] + 0.3 * RNG.normal(size=200)
UNITS = [1e-12, 1e-6, 1e6, 1e12]
COUNTS = ("poisson", "negative_binomial")  # whole numbers have no unit


@dataclass(frozen=True)
class Expectile(Head):
    """A head of a user's, that says nothing of units."""

    q: float = 0.8

    def loss(self, raw, y):
        error = y - raw
        return np.sum(np.where(error > 0, self.q, 1 - self.q) * np.square(error), axis=1)


class Scaling(Expectile):
    """The same, which says how its loss scales."""

    loss_degree = 2.0


OF_ANY_UNIT = [kind() for name, kind in HEADS.items() if name not in COUNTS]
OF_ANY_UNIT = [head for head in OF_ANY_UNIT if "numbers" in head.targets]
OF_ANY_UNIT += [
    Quantile([0.1, 0.5, 0.9]),
    Tweedie(0),
    Tweedie(0, None),
    Tweedie(1.2, "varying"),
    Tweedie(2),
    Tweedie(3),
    Gamma("varying"),
    Gamma(2.0),
    Expectile(),
    Scaling(),
]


def target_for(head, seed=1):
    """Targets in a head's domain."""
    if head.domain is POSITIVE or head.domain is ZERO_OR_POSITIVE:
        some = np.random.default_rng(seed).uniform(size=200) < 0.7
        return np.exp(0.5 * R) * (1.0 if head.domain is POSITIVE else some)
    return R


def fitted(head, y, inputs=X, **options):
    settings = {"hidden_layer_sizes": (8,), "max_iter": 10, "learning_rate_init": 0.01}
    settings |= {"initial_output": "data", "random_state": 0}
    return MLPRegressor(head=head, **(settings | options)).fit(inputs, y)


def answers(model):
    """All that a model says of numbers in units of the target."""
    head, said = model.head_, [model.predict(X)]
    if head.has_quantiles and head != Quantile(0.5):
        said.append(model.predict_interval(X, 0.8))
    if head.has_distribution:
        frozen = model.predict_distribution(X)
        said += [frozen.std(), frozen.median()]
    return said


@unconverged
@pytest.mark.parametrize("head", OF_ANY_UNIT, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_fits_are_the_same_in_any_unit(head, dtype):
    y, rtol = target_for(head), 1e-7 if dtype == "float64" else 2e-3
    if dtype == "float32" and type(head) is Expectile:
        rtol = 1e-2  # its loss is that of y itself
    expected = answers(fitted(head, y, dtype=dtype))
    for unit in UNITS:
        scaled = Huber(head.delta * unit) if isinstance(head, Huber) else head
        for found, one in zip(
            answers(fitted(scaled, unit * y, dtype=dtype)), expected, strict=True
        ):
            np.testing.assert_allclose(found / unit, one, rtol=rtol, atol=rtol * np.std(y))


@unconverged
def test_a_bound_in_absolute_units_would_be_seen(monkeypatch):
    """The law above fails without the unit in which a fitted head answers."""
    monkeypatch.setattr(Head, "in_target_unit", lambda self, scale: self)
    model = fitted("gaussian", 1e12 * R)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(
            model.predict_distribution(X).std() / 1e12, fitted("gaussian", R)._raw(X)[1], rtol=0.5
        )
    assert model.predict_distribution(X).std().max() < 1e11


@unconverged
@pytest.mark.parametrize("head", ["linear", "laplace", "gaussian", "gamma", LogNormal(), Tweedie()])
def test_losses_are_those_of_the_target_as_it_is(head):
    head = HEADS[head]() if isinstance(head, str) else head
    y = 1e4 * target_for(head)
    model = fitted(head, y, alpha=0, solver="lbfgs", max_iter=30)
    told = np.mean(head.loss(model._raw(X)[1], y[:, None]))
    assert model.loss_ == pytest.approx(told, rel=1e-9)


@unconverged
@pytest.mark.parametrize("head", ["linear", "gaussian", Quantile([0.1, 0.5, 0.9]), "huber"])
@pytest.mark.parametrize("y", [1e8 + R, 1e30 * R, 2.4e6 + R], ids=["far", "large", "dollars"])
def test_float32_learns_what_float64_does(head, y):
    if head == "huber":
        head = Huber(1.35 * np.std(y))
    wide, single = (
        fitted(head, y, X.astype(dtype), max_iter=60, early_stopping=True)
        for dtype in ("float64", "float32")
    )
    assert single.coefs_[0].dtype == np.float32
    assert single.score(X, y) == pytest.approx(wide.score(X, y), abs=0.02)
    assert single.score(X, y) > 0.7
    stream = pickle.loads(pickle.dumps(single.set_params(early_stopping=False)))
    stream.partial_fit(X.astype("float32"), y)
    assert stream.coefs_[0].dtype == np.float32
    assert stream.score(X, y) > 0.7
    assert stream.set_params(warm_start=True).fit(X, y).score(X, y) > 0.7


@unconverged
def test_float32_stays_where_it_holds_the_answer():
    for head in ("linear", "gaussian"):
        assert fitted(head, 5 + R, X.astype("float32")).predict(X).dtype == np.float32


@unconverged
@pytest.mark.parametrize(
    ("y", "options", "sentence"),
    [
        (1e8 + R, {}, "float32 cannot tell .* set initial_output='data' or dtype='float64'"),
        (1e9 + R, {"head": Expectile(), "initial_output": "data"}, "set dtype='float64'"),
        (1e9 * np.exp(R), {"head": "negative_binomial"}, "set dtype='float64'"),
    ],
)
def test_what_float32_cannot_tell_apart_is_said(y, options, sentence):
    with pytest.warns(UserWarning, match=sentence):
        MLPRegressor(max_iter=2, **options).fit(X.astype("float32"), y)


@pytest.mark.parametrize(
    ("y", "options", "sentence"),
    [
        (1e30 * R, {}, "cannot hold the loss of y .* initial_output='data' or dtype='float64'"),
        (1e40 * R, {}, "too large for float32: set dtype='float64' or initial_output='data'"),
        (1e-30 * R, {"head": "huber", "initial_output": "data"}, "give its parameters in units"),
    ],
)
def test_what_float32_cannot_hold_is_refused_before_any_work(y, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        MLPRegressor(**options).fit(X.astype("float32"), y)


@unconverged
def test_ordinary_targets_in_float32_are_no_news():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*float32")
        for y in (R, 100 + R, 1e6 * R, 1e-6 * R):
            MLPRegressor(max_iter=1).fit(X.astype("float32"), y)


@unconverged
@pytest.mark.parametrize("head", ["poisson", Tweedie(1.5, None)])
def test_a_loss_in_units_of_the_target_that_is_too_small_is_told(head):
    y = np.random.default_rng(0).poisson(np.exp(0.5 * R))
    with pytest.warns(UserWarning, match="in units of y, .* give y in a unit"):
        fitted(head, 1e-9 * y)
    fitted(head, 1e-1 * y)


@unconverged
@pytest.mark.parametrize("head", ["poisson", "negative_binomial"])
def test_large_counts_are_learned(head):
    y = np.random.default_rng(0).poisson(3 * np.exp(0.5 * R))
    one, large = (fitted(head, unit * y, max_iter=100).score(X, unit * y) for unit in (1.0, 1e12))
    assert large > one - 0.1 > 0.2


# -------------------- streams


@pytest.mark.parametrize("n", [1, 5])
def test_a_first_part_of_few_rows_is_told(n):
    with pytest.warns(UserWarning, match=rf"of {n} row.* begin with 20 rows or more"):
        MLPRegressor(initial_output="data").partial_fit(X[:n], R[:n])


def test_a_first_part_of_one_value_is_told():
    with pytest.warns(UserWarning, match="of 200 rows, in which a column .* has one value"):
        MLPRegressor(initial_output="data").partial_fit(X, np.zeros(200))
    with pytest.warns(UserWarning, match="one value"):
        MLPClassifier(initial_output="data").partial_fit(X, np.zeros(200, int), classes=[0, 1])


def test_a_first_part_without_weight_leaves_the_start_to_the_next():
    stream = MLPRegressor(initial_output="data", random_state=0)
    stream.partial_fit(X, R, np.zeros(200)).partial_fit(X, 1e9 + R)
    plain = MLPRegressor(initial_output="data", random_state=0).partial_fit(X, 1e9 + R)
    np.testing.assert_array_equal(stream.predict(X), plain.predict(X))


# -------------------- gradients


@pytest.mark.skipif(
    find_spec("sklearn.callback") is None, reason="scikit-learn has callbacks since 1.9"
)
@unconverged
def test_gradient_norms_are_in_the_units_of_training():
    norms = []
    for unit in (1.0, 1e5, 1e-9):
        watch = GradientNorms()
        model = MLPRegressor((8,), max_iter=5, initial_output="data", random_state=0)
        model.set_callbacks(watch).fit(X, unit * R)
        norms.append(np.array(list(watch.norms_.values())))
    np.testing.assert_allclose(norms[1:], [norms[0]] * 2, rtol=1e-9)


# -------------------- levels


@unconverged
def test_levels_of_float32_are_the_decimals_that_they_stand_for():
    head = Quantile(np.array([0.05, 0.3, 0.95], np.float32))
    assert head == Quantile([0.05, 0.3, 0.95])
    model = MLPRegressor(head=head, max_iter=2).fit(X, R)
    np.testing.assert_array_equal(
        model.predict_interval(X, np.float32(0.9)), model.predict_interval(X, 0.9)
    )
    levels = [np.float32(0.05), 0.1 + 0.2, np.float32(1) - np.float32(0.05)]
    np.testing.assert_array_equal(
        model.predict_quantiles(X, levels), model.predict_quantiles(X, [0.05, 0.3, 0.95])
    )
    for level in (0.051, np.float32(0.051)):
        with pytest.raises(ValueError, match="knows its own levels alone"):
            model.predict_quantiles(X, level)
    with pytest.raises(ValueError, match="q must be a number in"):
        model.predict_quantiles(X, "a")
