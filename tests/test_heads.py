"""Heads: their laws over the registry, and their numbers against SciPy, scikit-learn, statsmodels.

`check_head` holds the laws that need nothing but the head; that it sees a broken one is tested on
heads that are broken in each way. What follows compares with independent references: densities,
losses, fits of other libraries, numeric integration and sampling.
"""

import copy
import importlib
import math
import pickle
import re
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest
import sklearn.mixture
from scipy import integrate, optimize, special, stats
from sklearn import linear_model, metrics
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

import skmlp
from skmlp import MLPClassifier, MLPRegressor, check_gradient, check_head
from skmlp.engine import BATCH, evaluate, gradient, straight_through, variable
from skmlp.heads import (
    HEADS,
    NUMBERS,
    POSITIVE,
    ZERO_OR_POSITIVE,
    AbsoluteError,
    Brier,
    Domain,
    Focal,
    Gamma,
    Gaussian,
    GaussianMixture,
    Head,
    Hinge,
    Huber,
    Laplace,
    Linear,
    Logistic,
    LogNormal,
    Mixture,
    NegativeBinomial,
    Ordinal,
    Poisson,
    PoissonGamma,
    Quantile,
    Softmax,
    StudentT,
    Tweedie,
)
from skmlp.heads.check import LAWS
from skmlp.heads.head import best_constant, bounded, unbounded, weighted_quantile
from skmlp.heads.series import (
    _log_series,
    half_deviance,
    log_density_at_mean,
    log_rising,
    log_series,
    stirling,
)
from skmlp.training.objective import OutputScale

unconverged = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

REGISTRY = {name: kind() for name, kind in HEADS.items()}
OTHERS = [
    Huber(0.1),
    Quantile(0.9),
    Quantile([0.05, 0.25, 0.5, 0.75, 0.95]),
    Quantile((0.8, 0.9)),
    Tweedie(0),
    Tweedie(0, 2.0),
    Tweedie(1),
    Tweedie(1.01),
    Tweedie(1.2, "varying"),
    Tweedie(1.5, None),
    Tweedie(1.8, 0.7),
    Tweedie(2),
    Tweedie(3),
    Tweedie(3, "varying"),
    Tweedie(4.5),
    Gamma("varying"),
    Gamma(0.3),
    NegativeBinomial("varying"),
    NegativeBinomial(0.5),
    StudentT(0.7),
    StudentT(30),
    GaussianMixture(1),
    GaussianMixture(5),
    Ordinal("mode"),
    Focal(0),
    Focal(0.5),
]
ALL = [*REGISTRY.values(), *OTHERS]
FOR_NUMBERS = [head for head in ALL if "numbers" in head.targets]
FOR_CLASSES = [head for head in ALL if "numbers" not in head.targets]
WITH_DISTRIBUTION = [head for head in FOR_NUMBERS if head.has_distribution]
LIKE_POISSON = [h for h in WITH_DISTRIBUTION if h == Poisson() or h == Tweedie(1)]
COUNTING = [*LIKE_POISSON, *(h for h in WITH_DISTRIBUTION if isinstance(h, NegativeBinomial))]
CONTINUOUS = [h for h in WITH_DISTRIBUTION if h not in COUNTING]  # but for an atom at 0
over_all = pytest.mark.parametrize("head", ALL, ids=str)
over_numbers = pytest.mark.parametrize("head", FOR_NUMBERS, ids=str)
over_classes = pytest.mark.parametrize("head", FOR_CLASSES, ids=str)
over_distributions = pytest.mark.parametrize("head", WITH_DISTRIBUTION, ids=str)


@pytest.fixture(scope="module", autouse=True)
def one_blas_thread():
    """Small products gain nothing from more threads, and parallel test runs lose by them."""
    with threadpool_limits(1):
        yield


def numbers_for(head, shape, seed=0):
    """Targets in a head's domain: counts, positive numbers, or any."""
    rng = np.random.default_rng(seed)
    if head.domain is ZERO_OR_POSITIVE:
        return 1.0 * rng.negative_binomial(1.5, 0.3, size=shape)
    if head.domain is POSITIVE:
        return np.exp(0.7 * rng.normal(size=shape) + 0.5)
    return 1.5 * rng.normal(size=shape) + 1.0


def raw_for(head, n, k, scale=1.0, seed=1):
    return scale * np.random.default_rng(seed).normal(size=(n, head.n_raw(k)))


def data_for(head, n=60, k=1, seed=0):
    """Inputs, and targets of an estimator with that head."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    if "numbers" in head.targets:
        Y = numbers_for(head, (n, k), seed)
        return X, Y[:, 0] if k == 1 else Y
    score = X[:, 0] + 0.5 * rng.normal(size=n)
    cuts = [-0.7, 0.7] if "multiclass" in head.targets else [0.0]
    return X, np.digitize(score, cuts)


def estimator_for(head, **parameters):
    kind = MLPRegressor if "numbers" in head.targets else MLPClassifier
    defaults = {"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0}
    return kind(head=head, **(defaults | parameters))


def minimized(head, X, y, weight=None, **parameters):
    """A linear model fitted to the minimum: lbfgs stops on a small fall, so it starts again."""
    defaults = {"hidden_layer_sizes": (), "solver": "lbfgs", "alpha": 0, "tol": 1e-9}
    model = estimator_for(head, **(defaults | {"max_iter": 2000} | parameters))
    model.set_params(warm_start=True, initial_output="data")
    for _ in range(6):
        model.fit(X, y, sample_weight=weight)
    return model


# -------------------- the laws of check_head


@over_all
def test_head_keeps_the_laws(head):
    checked = check_head(head)
    expected = {
        f"{kind}: {law}"
        for kind in head.targets
        for law in LAWS
        if (law != "quantiles" or (kind == "numbers" and head.has_quantiles))
        and (law != "classes" or kind != "numbers")
    }
    assert set(checked) == expected


def test_registry_is_complete_and_public():
    assert len(set(HEADS.values())) == len(HEADS)
    for kind in HEADS.values():
        assert getattr(skmlp.heads, kind.__name__) is kind
        assert kind.__name__ in skmlp.heads.__all__
        assert ">>>" in kind.__doc__
        text = " ".join(kind.__doc__.split())
        assert "Domain: " in text
        assert "Link: " in text
        assert re.search("Loss[:,]", text)


class Plain(Head):
    """Half the squared error: right. Each of those that follow breaks one thing of it."""

    def loss(self, raw, y):
        return 0.5 * np.sum(np.square(raw - y), axis=1)


class MeanOverAll(Plain):
    def loss(self, raw, y):
        return np.mean(np.square(raw - y))


class LossForEachOutput(Plain):
    def loss(self, raw, y):
        return np.square(raw - y)


class Centerd(Plain):
    def loss(self, raw, y):
        return np.sum(np.square(raw - y - np.mean(raw - y, axis=0)), axis=1)


class CenterdPrediction(Plain):
    def predict(self, raw):
        return raw - np.mean(raw, axis=0)


class WideningPrediction(Plain):
    def predict(self, raw):
        return raw * np.ones(raw.shape[1])


class Untraceable(Plain):
    def loss(self, raw, y):
        return np.sum(np.square(np.asarray(raw) - y), axis=1)


class IgnoresRaw(Plain):
    def loss(self, raw, y):  # noqa: ARG002
        return np.zeros(40)


class AnotherWhenTraced(Plain):
    def loss(self, raw, y):
        return super().loss(raw, y) * (1.0 if isinstance(raw, np.ndarray) else 1.1)


class WrongGradient(Plain):
    def loss(self, raw, y):
        return np.sum(straight_through(np.square(raw - y), raw), axis=1)


class Overflowing(Plain):
    domain = ZERO_OR_POSITIVE

    def loss(self, raw, y):
        return np.sum(np.exp(raw) - y * raw, axis=1)


class GradientOverflowing(Plain):
    def loss(self, raw, y):
        return np.sum(np.cbrt(np.abs(raw - y)), axis=1)  # at 0 its slope is infinite

    def initial_raw(self, y, weights=None):
        return best_constant(self, y, weights, weighted_quantile(y, weights, 0.5))


class TakesZero(Plain):
    domain = ZERO_OR_POSITIVE

    def loss(self, raw, y):
        return np.sum(np.square(raw - np.log(y)), axis=1)


class NotFinite(Plain):
    def loss(self, raw, y):
        return np.sum(np.log(raw - y), axis=1)


class WrongStart(Plain):
    def initial_raw(self, y, weights=None):  # noqa: ARG002
        return np.median(y, axis=0)


class StartWithoutWeights(Plain):
    def initial_raw(self, y, weights=None):  # noqa: ARG002
        return np.mean(y, axis=0)


class StartOfOneNumber(Plain):
    def initial_raw(self, y, weights=None):  # noqa: ARG002
        return np.mean(y)


class NoRaw(Plain):
    def n_raw(self, n_targets):  # noqa: ARG002
        return 0


class HalfARaw(Plain):
    def n_raw(self, n_targets):
        return n_targets / 2


class TooConstant(Plain):
    def n_constant(self, n_targets):
        return n_targets + 1


class PredictsOne(Plain):
    def predict(self, raw):
        return raw[:, 0]


class PredictsWithoutCenter(Plain):
    def predict(self, raw):
        return np.stack([raw - 1, raw + 1], axis=-1)


class RefusesAll(Plain):
    def check_target(self, y):  # noqa: ARG002
        raise ValueError("no")


class RefusesWrongly(Plain):
    def check_target(self, y):  # noqa: ARG002
        raise KeyError("no")


class UnlikeItsCopies(Plain):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


@dataclass(frozen=True)
class Unhashable(Plain):
    levels: list = field(default_factory=list)


class CrossingQuantiles(Plain):
    def quantile(self, raw, q):
        return np.stack([raw - level for level in q], axis=-1)


class FlatQuantiles(Plain):
    def quantile(self, raw, q):
        return np.stack([raw[:, 0] + level for level in q], axis=-1)


class FlatDistribution(Plain):
    def distribution(self, raw):
        return stats.norm(raw[:, 0], 1.0)


class WrongDistribution(Plain):
    def distribution(self, raw):
        frozen = stats.norm(raw, 1.0)
        frozen.ppf = lambda q: raw + q
        return frozen


class ClassesInOneColumn(Logistic):
    targets = frozenset({"multiclass"})


class LabelsOneHot(Softmax):
    targets = frozenset({"multilabel"})


class UnknownKind(Logistic):
    targets = frozenset({"ternary"})


class NoProbabilities(Softmax):
    def predict(self, raw):
        return raw


class ProbabilitiesOfThree(Softmax):
    def predict(self, raw):
        return super().predict(raw) * 0.5


class AnotherLogarithm(Softmax):
    def log_probability(self, raw):
        return raw


class AnotherComplement(Logistic):
    def log_complement(self, raw):
        return special.log_expit(raw)


class UnstableLogarithm(Softmax):
    def log_probability(self, raw):
        return np.log(np.exp(raw) / np.sum(np.exp(raw), axis=1, keepdims=True))


class FloatClasses(Softmax):
    def classify(self, raw):
        return 1.0 * super().classify(raw)


class ColumnsOfClasses(Softmax):
    def classify(self, raw):
        return super().predict(raw) > 0.5


class ClassesFromOne(Softmax):
    def classify(self, raw):
        return 1 + super().classify(raw)


BROKEN = {
    MeanOverAll: "loss must return one number for each row, of shape",
    LossForEachOutput: "loss must return one number for each row, of shape",
    Centerd: "loss of a row must not depend on the other rows",
    CenterdPrediction: "predict of a row must not depend on the other rows",
    WideningPrediction: "predict must keep float32, got float64",
    IgnoresRaw: "loss must .*(keep float32|be made of its arguments)",
    AnotherWhenTraced: "loss computes one thing of arrays and another when it is traced",
    WrongGradient: "of loss, the gradient with respect to input 0 .* finite differences give",
    Overflowing: "the loss in float64 is not finite for raw = .*10000.0.* bound what overflows",
    GradientOverflowing: "the gradient in float64 is not finite for raw",
    TakesZero: "the loss in float64 is not finite for raw .* and y = .*0.0.* refuse the target",
    NotFinite: "loss must be finite, got nan",
    WrongStart: "initial_raw gives a mean loss of .*, but raw = ",
    StartWithoutWeights: "initial_raw gives a mean loss of .*, with weights",
    StartOfOneNumber: "initial_raw must return 2 finite numbers",
    NoRaw: r"n_raw\(2\) must be a whole number >= 1, got 0",
    HalfARaw: r"n_raw\(2\) must be a whole number >= 1, got 1.0",
    TooConstant: r"n_constant\(2\) must be a whole number from 0 to n_raw = 2, got 3",
    PredictsOne: r"predict must return shape \(n, n_targets\)",
    PredictsWithoutCenter: r"center must return numbers of shape \(40, 2\), got shape \(40, 2, 2\)",
    RefusesAll: "check_target lets neither normal numbers nor positive ones",
    RefusesWrongly: "check_target must raise a ValueError .*, got KeyError",
    UnlikeItsCopies: "it must equal its copies",
    Unhashable: "its fields must be hashable, tuples instead of lists",
    CrossingQuantiles: "quantiles must increase with levels",
    FlatQuantiles: "quantile must return shape",
    FlatDistribution: "distribution must have parameters of shape",
    WrongDistribution: r"cdf\(ppf\(q\)\) must reach q",
    ClassesInOneColumn: "multiclass targets come as one column each, which needs is_one_hot = True",
    LabelsOneHot: "multilabel targets come as columns of 0 and 1, which needs is_one_hot = False",
    UnknownKind: "targets may hold .* got 'ternary'",
    NoProbabilities: "predict must return probabilities, from 0 to 1",
    ProbabilitiesOfThree: "probabilities must sum to 1, they are off by 0.5",
    AnotherLogarithm: "log_probability must be the logarithm of what predict says",
    AnotherComplement: "log_complement must be the logarithm of what predict says",
    UnstableLogarithm: "log_probability must be a number for raw outputs",
    FloatClasses: "classify must return whole numbers from 0 to 1, of shape",
    ColumnsOfClasses: "classify must return whole numbers from 0 to 1, of shape",
    ClassesFromOne: "classify must return whole numbers from 0 to 1, of shape",
}


def test_right_head_of_ones_own_passes():
    assert len(check_head(Plain())) == 7


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_check_head_tells_what_is_wrong(kind):
    with pytest.raises(AssertionError, match=f"(?s)^{kind.__name__}.*{BROKEN[kind]}"):
        check_head(kind())


def test_weights_that_are_not_repetition_are_told():
    class Weighs(Plain):
        def initial_raw(self, y, weights=None):  # a good start for rows that are many
            start = np.average(y, axis=0, weights=weights)
            return start + (0.0 if len(y) < 60 else 0.1)

    with pytest.raises(AssertionError, match="must treat a weight of 2 as two rows"):
        check_head(Weighs())


def test_head_that_cannot_be_traced_is_told_what_to_write():
    with pytest.raises(TypeError, match="asked an expression for its values"):
        check_head(Untraceable())


@pytest.mark.parametrize("wrong", [Linear, "linear", None])
def test_check_head_takes_instances(wrong):
    with pytest.raises(TypeError, match="needs an instance of a Head"):
        check_head(wrong)


def test_check_head_takes_targets():
    class Angles(Plain):
        domain = Domain("angles from 2 to 3", lambda y: (y >= 2) & (y <= 3))

    with pytest.raises(AssertionError, match="give targets"):
        check_head(Angles())
    assert check_head(Angles(), np.linspace(2, 3, 9))
    with pytest.raises(AssertionError, match="check_target refuses numbers targets"):
        check_head(Angles(), np.linspace(1, 3, 9))


# -------------------- parameters, domains


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Huber(0), "Huber needs a delta that is a number > 0, got 0"),
        (lambda: Huber("1"), "Huber needs a delta that is a number > 0, got '1'"),
        (lambda: Huber(math.inf), "Huber needs a delta that is a number > 0, got inf"),
        (lambda: Quantile(1.0), r"Quantile needs a q that is a number in \(0, 1\) .* got 1.0"),
        (lambda: Quantile([0.5, 0.1]), r"an increasing list of them, got \[0.5, 0.1\]"),
        (lambda: Quantile([0.5, 0.5]), r"an increasing list of them, got \[0.5, 0.5\]"),
        (lambda: Quantile([]), r"an increasing list of them, got \[\]"),
        (lambda: Quantile("median"), "an increasing list of them, got 'median'"),
        (lambda: Quantile([[0.5]]), r"an increasing list of them, got \[\[0.5\]\]"),
        (lambda: Tweedie(0.5), "Tweedie needs a power that is 0 or a number >= 1, got 0.5"),
        (lambda: Tweedie(True), "Tweedie needs a power that is 0 or a number >= 1, got True"),
        (lambda: Tweedie(1.5, "learned"), "'auto', None, 'constant', 'varying' or a number > 0"),
        (lambda: Tweedie(1.5, 0), "Tweedie needs a dispersion .* got 0"),
        (lambda: Tweedie(1, "constant"), "of power 1 is Poisson's, whose dispersion is 1: leave"),
        (lambda: Tweedie(2.5, 1.0), "of power 2.5 has no known density: .* got dispersion=1.0"),
        (lambda: Gamma("learned"), "Gamma needs a shape that is 'constant', 'varying' or a number"),
        (lambda: Gamma(0), "or a number > 0, got 0"),
        (lambda: NegativeBinomial(-1), "NegativeBinomial needs a dispersion .* > 0, got -1"),
        (lambda: StudentT(0), "StudentT needs a df that is a number > 0, got 0"),
        (lambda: GaussianMixture(0), "n_components that is a whole number >= 1, got 0"),
        (lambda: GaussianMixture(2.0), "n_components that is a whole number >= 1, got 2.0"),
        (lambda: Ordinal("mean"), "Ordinal needs a prediction that is 'median' or 'mode'"),
        (lambda: Focal(-1), "Focal needs a gamma that is a number >= 0, got -1"),
    ],
)
def test_wrong_parameters_are_refused_in_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@over_all
def test_heads_are_values(head):
    copies = [clone(head, safe=False), copy.deepcopy(head), pickle.loads(pickle.dumps(head))]
    assert copies == [head] * 3
    assert clone(estimator_for(head)).head == head
    assert len({head, copy.deepcopy(head)}) == 1
    assert repr(head).startswith(type(head).__name__)


def test_levels_may_come_in_any_sequence():
    for q in ([0.1, 0.9], (0.1, 0.9), np.array([0.1, 0.9])):
        assert Quantile(q) == Quantile((0.1, 0.9))
    assert Quantile(np.float64(0.5)) == Quantile(0.5) != Quantile([0.5])


DOMAINS = {
    **dict.fromkeys(
        [
            "linear",
            "absolute_error",
            "huber",
            "quantile",
            "gaussian",
            "laplace",
            "student_t",
            "gaussian_mixture",
        ],
        ("finite", [0.0, -1.0, 1e300], [np.nan, np.inf]),
    ),
    **dict.fromkeys(
        ["poisson", "tweedie", "negative_binomial"],
        ("0 or positive", [0.0, 0.5, 1e9], [-1e-9, np.nan, np.inf]),
    ),
    **dict.fromkeys(["gamma", "lognormal"], ("positive", [1e-300, 0.5, 1e9], [0.0, -1.0, np.inf])),
    **dict.fromkeys(
        ["logistic", "softmax", "ordinal", "brier", "focal", "hinge"],
        ("0 or 1", [0.0, 1.0], [0.5, -1.0, np.nan]),
    ),
}


@pytest.mark.parametrize("name", HEADS)
def test_domain_is_told_with_the_first_bad_value(name):
    words, good, bad = DOMAINS[name]
    head = REGISTRY[name]
    head.check_target(np.array([good]).T)
    for value in bad:
        sentence = f"{type(head).__name__} needs targets that are {words}, got {value:g}$"
        with pytest.raises(ValueError, match=sentence):
            head.check_target(np.array([good[:1], [value], [-7.5]]))
    assert head.positive_only == (words != "finite")


@pytest.mark.parametrize(("power", "good", "bad"), [(0, -1.0, np.nan), (1, 0.0, -1), (2, 0.1, 0.0)])
def test_domain_of_tweedie_goes_by_its_power(power, good, bad):
    Tweedie(power).check_target(np.array([[good]]))
    with pytest.raises(ValueError, match="Tweedie needs targets"):
        Tweedie(power).check_target(np.array([[bad]]))


def test_fit_refuses_targets_outside_the_domain_and_stays_as_it_was():
    model = MLPRegressor(head="gamma", max_iter=2)
    with pytest.raises(ValueError, match="Gamma needs targets that are positive, got 0"):
        model.fit([[0.0], [1.0]], [1.0, 0.0])
    assert not hasattr(model, "head_")
    with pytest.raises(ValueError, match=r"must be 'auto', 'linear', .* or such a Head"):
        MLPRegressor(head="softmax").fit([[0.0], [1.0]], [1.0, 0.0])
    with pytest.raises(ValueError, match="Only binary classification is supported"):
        MLPClassifier(head="brier").fit([[0.0], [1.0], [2.0]], [0, 1, 2])


# -------------------- links and constants


def test_bounded_link_is_the_identity_inside_and_finite_outside():
    raw = np.array([-1e4, -21.0, -20.0, 0.3, 20.0, 21.0, 1e4])
    value = bounded(raw)
    np.testing.assert_array_equal(value[2:5], raw[2:5])
    np.testing.assert_allclose(unbounded(value), raw, rtol=1e-12)
    assert np.all(np.diff(value) > 0)
    assert np.abs(value).max() < 30


def test_rest_of_stirlings_formula_is_exact_on_both_sides_of_its_seam():
    x = np.r_[np.geomspace(1e-8, 8, 40), np.linspace(7.9, 8.1, 41), np.geomspace(8, 1e3, 40)]
    exact = special.gammaln(x) - (x - 0.5) * np.log(x) + x - 0.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(stirling(x), exact, rtol=1e-9, atol=3e-12)
    np.testing.assert_allclose(stirling(np.array([1e6, 1e12])), [1 / 12e6, 1 / 12e12])
    assert check_gradient(stirling, x[::7]) < 1e-6


@pytest.mark.parametrize("power", [1.04, 1.2, 1.5, 1.9, 1.9999])
def test_table_of_tweedie_is_its_series(power):
    """Values and slopes, below the table, in it and above; in float32 to its precision."""
    t, at = np.linspace(-45, 40, 3001), variable("t", (BATCH,))
    tabulated, series = log_series(at, power), _log_series(at, power)
    slopes = [gradient(np.sum(x), [at])[0] for x in (tabulated, series)]
    found, expected, slope, exact = evaluate([tabulated, series, *slopes], {at: t})
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(slope, exact, rtol=1e-4, atol=1e-5)  # of the series where it is long
    single = log_series(t.astype(np.float32), power)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("r", [1e-6, 0.5, 7.0, 99.0, 101.0, 1e6, 1e12])
def test_log_rising_factorials_are_products(r):
    expected = [math.fsum(math.log1p(k / r) for k in range(y)) for y in range(8)]
    y = np.arange(8.0)
    np.testing.assert_allclose(log_rising(y, np.full(8, r)), expected, rtol=1e-9, atol=1e-12)
    if r > 1e-3:
        assert (
            check_gradient(lambda log_r: log_rising(y, np.exp(log_r)), np.full(8, np.log(r))) < 1e-5
        )


@pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.77])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_weighted_quantile_minimizes_the_pinball_loss(n, q):
    rng = np.random.default_rng(n)
    y, weights = rng.integers(0, 9, (n, 2)) * 1.0, rng.integers(1, 4, n)
    found = weighted_quantile(y, weights, q)
    grid = np.arange(0, 9)
    for column, at in zip(y.T, found, strict=True):
        losses = [
            metrics.mean_pinball_loss(column, np.full(n, c), sample_weight=weights, alpha=q)
            for c in (at, *grid)
        ]
        assert losses[0] <= min(losses) + 1e-12
    np.testing.assert_array_equal(found, weighted_quantile(np.repeat(y, weights, axis=0), None, q))


def test_weighted_quantile_without_weights_is_the_median_of_numpy():
    y = np.random.default_rng(0).normal(size=(10, 3))
    np.testing.assert_allclose(weighted_quantile(y, None, 0.5), np.median(y, axis=0))
    weights = np.r_[np.zeros(4), np.ones(6)]
    np.testing.assert_allclose(weighted_quantile(y, weights, 0.5), np.median(y[4:], axis=0))


def pieces(y, weights):
    """The columns of targets, each repeated as its weights say."""
    return np.repeat(y, weights, axis=0).T


CLOSED = {
    "linear": lambda c: [c.mean()],
    "absolute_error": lambda c: [np.median(c)],
    "quantile": lambda c: [np.median(c)],
    "poisson": lambda c: [np.log(c.mean())],
    "gaussian": lambda c: [c.mean(), np.log(c.std())],
    "laplace": lambda c: [stats.laplace.fit(c)[0], np.log(stats.laplace.fit(c)[1])],
    "lognormal": lambda c: [np.log(c).mean(), np.log(np.log(c).std())],
    "gamma": lambda c: [np.log(c.mean()), np.log(stats.gamma.fit(c, floc=0)[0])],
}


@pytest.mark.parametrize("name", CLOSED)
def test_initial_raw_in_closed_form(name):
    head = REGISTRY[name]
    y, weights = numbers_for(head, (40, 2)), 1 + np.arange(40) % 3
    expected = np.array([CLOSED[name](c) for c in pieces(y, weights)]).T.ravel()
    np.testing.assert_allclose(head.initial_raw(y, weights), expected, rtol=1e-5)


def test_initial_raw_of_classes_are_their_shares():
    y, weights = np.eye(3)[[0, 0, 1, 2, 2, 2]], np.array([1.0, 1, 2, 1, 3, 2])
    shares = [0.2, 0.2, 0.6]
    for head in (Softmax(), Ordinal(), Focal(0)):
        raw = head.initial_raw(y, weights)
        np.testing.assert_allclose(head.predict(raw[None])[0], shares, atol=1e-6)
    for head in (Logistic(), Brier()):
        raw = head.initial_raw(y, weights)
        np.testing.assert_allclose(head.predict(raw[None])[0], shares, atol=1e-12)


@pytest.mark.parametrize("shares", [(5, 1, 1), (2, 2, 3), (1, 9), (4, 4)])
def test_initial_raw_of_hinge_is_the_best_constant(shares):
    y = np.repeat(np.eye(len(shares)), shares, axis=0)
    at_start = np.mean(Hinge().loss(np.tile(Hinge().initial_raw(y), (len(y), 1)), y))
    tried = np.random.default_rng(0).uniform(-2, 2, (2000, len(shares)))
    assert at_start <= min(np.mean(Hinge().loss(np.tile(raw, (len(y), 1)), y)) for raw in tried)


def test_initial_raw_of_a_mixture_is_as_good_as_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    y = np.r_[rng.normal(-3, 0.5, 60), rng.normal(1, 1.0, 90), rng.normal(6, 0.3, 50)][:, None]
    head = GaussianMixture(3)
    loss = np.mean(head.loss(np.tile(head.initial_raw(y), (len(y), 1)), y))
    peer = sklearn.mixture.GaussianMixture(3, n_init=5, tol=1e-8, max_iter=2000, random_state=0)
    assert loss <= -peer.fit(y).score(y) + 1e-4


@pytest.mark.parametrize(
    ("head", "value"),
    [(h, v) for h in FOR_NUMBERS for v in (0.0, 3.0, 1e6, -1e-7) if h.domain.allows(v)],
    ids=str,
)
def test_initial_raw_of_targets_that_are_all_the_same_is_finite(head, value):
    y = np.full((9, 1), value)
    raw = head.initial_raw(y)
    assert np.isfinite(raw).all()
    predicted = head.center(np.tile(raw, (9, 1)))
    np.testing.assert_allclose(predicted, y, rtol=1e-3, atol=1e-6)


def test_best_constant_finds_kinks_and_far_minima():
    y = np.random.default_rng(0).normal(size=(31, 2)) + np.array([1e5, -3])
    np.testing.assert_allclose(Plain().initial_raw(y), y.mean(axis=0), rtol=1e-9)
    found = best_constant(AbsoluteError(), y, None, np.zeros(2))
    np.testing.assert_allclose(found, np.median(y, axis=0), rtol=1e-6)


# -------------------- losses against other libraries


def log_density(frozen, y):
    return (frozen.logpmf if hasattr(frozen, "pmf") else frozen.logpdf)(y)


@over_distributions
@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_loss_is_minus_the_log_density(head, scale):
    y, raw = numbers_for(head, (50, 2)), raw_for(head, 50, 2, scale)
    expected = -np.sum(log_density(head.distribution(raw), y), axis=1)
    if head in LIKE_POISSON:  # scikit-learn's loss is half the deviance: 0 at its best
        expected += np.sum(special.xlogy(y, y) - y - special.gammaln(y + 1), axis=1)
    far = np.isinf(expected)  # SciPy's density of Laplace underflows
    assert far.mean() < 0.2
    np.testing.assert_allclose(head.loss(raw, y)[~far], expected[~far], rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("power", [0, 1, 1.2, 1.5, 1.9, 2, 2.5, 3])
def test_tweedie_loss_is_half_the_deviance(power):
    head = Tweedie(power, None)
    y, raw = numbers_for(head, (30, 1)), raw_for(head, 30, 1)
    mean = head.predict(raw)[:, 0]
    for i in range(30):
        deviance = metrics.mean_tweedie_deviance(y[i], mean[i : i + 1], power=power)
        np.testing.assert_allclose(head.loss(raw, y)[i], deviance / 2, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_quantile_loss_is_the_pinball_loss(q):
    y, raw = numbers_for(Linear(), (50, 1)), raw_for(Linear(), 50, 1)
    expected = metrics.mean_pinball_loss(y, raw, alpha=q)
    assert np.mean(Quantile(q).loss(raw, y)) == pytest.approx(expected, rel=1e-12)


def test_several_quantiles_are_scored_one_by_one():
    head = Quantile([0.1, 0.4, 0.8])
    y, raw = numbers_for(head, (50, 2)), raw_for(head, 50, 2)
    quantiles = head.predict(raw)
    expected = sum(Quantile(q).loss(quantiles[..., i], y) for i, q in enumerate(head.q))
    np.testing.assert_allclose(head.loss(raw, y), expected, rtol=1e-12)
    np.testing.assert_array_equal(head.center(raw), quantiles[..., 1])


def test_huber_loss_is_that_of_scipy():
    y, raw = numbers_for(Linear(), (50, 2)), raw_for(Linear(), 50, 2, 3.0)
    expected = special.huber(0.7, raw - y).sum(axis=1)
    np.testing.assert_allclose(Huber(0.7).loss(raw, y), expected, rtol=1e-12)


def test_losses_of_classes_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    raw, codes = rng.normal(size=(60, 3)), rng.integers(0, 3, 60)
    y, binary = np.eye(3)[codes], (codes == 1)[:, None] * 1.0
    p = special.softmax(raw, axis=1)
    assert np.mean(Softmax().loss(raw, y)) == pytest.approx(metrics.log_loss(codes, p))
    assert np.mean(Hinge().loss(raw, y)) == pytest.approx(metrics.hinge_loss(codes, raw))
    two = special.expit(raw[:, :1])
    half_brier = metrics.brier_score_loss(binary[:, 0], two[:, 0]) / 2
    assert np.mean(Brier().loss(raw[:, :1], binary)) == pytest.approx(half_brier)
    assert np.mean(Logistic().loss(raw[:, :1], binary)) == pytest.approx(
        metrics.log_loss(binary[:, 0], two[:, 0])
    )


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss_is_its_formula(gamma):
    rng = np.random.default_rng(0)
    raw, codes = rng.normal(size=(60, 4)), rng.integers(0, 4, 60)
    p = special.softmax(raw, axis=1)[np.arange(60), codes]
    loss = Focal(gamma).loss(raw, np.eye(4)[codes])
    np.testing.assert_allclose(loss, -((1 - p) ** gamma) * np.log(p), rtol=1e-10)


def test_ordinal_probabilities_are_differences_of_logistic_functions():
    raw = raw_for(Ordinal(), 50, 5)
    thresholds = np.cumsum(np.c_[raw[:, 1], np.logaddexp(raw[:, 2:], 0)], axis=1)
    reached = special.expit(thresholds - raw[:, :1])
    expected = np.diff(np.c_[np.zeros(50), reached, np.ones(50)], axis=1)
    np.testing.assert_allclose(Ordinal().predict(raw), expected, atol=1e-12)


def test_ordinal_classes_are_the_median_and_the_mode():
    raw = raw_for(Ordinal(), 400, 6, 2.0)
    p, classes = Ordinal().predict(raw), np.arange(6)
    expected_error = p @ np.abs(classes[:, None] - classes)
    np.testing.assert_array_equal(Ordinal().classify(raw), np.argmin(expected_error, axis=1))
    np.testing.assert_array_equal(Ordinal("mode").classify(raw), np.argmax(p, axis=1))
    assert np.any(Ordinal().classify(raw) != Ordinal("mode").classify(raw))


POWERS = [1.001, 1.02, 1.1, 1.3, 1.5, 1.7, 1.9, 1.99, 1.9999]


def tweedie_log_density(y, mean, dispersion, power):
    """Dunn and Smyth's series term by term, from the Poisson number of gamma summands."""
    rate = mean ** (2 - power) / (dispersion * (2 - power))
    if y == 0:
        return -rate
    shape = (2 - power) / (power - 1)
    scale = dispersion * (power - 1) * mean ** (power - 1)
    middle = y ** (2 - power) / (dispersion * (2 - power))
    terms = []
    for n in range(max(1, int(middle - 60 - 15 * middle**0.5)), int(middle * 1.1 + 400)):
        poisson = n * math.log(rate) - rate - math.lgamma(n + 1)
        gamma = (n * shape - 1) * math.log(y / scale) - y / scale - math.lgamma(n * shape)
        terms.append(poisson + gamma - math.log(scale))
    largest = max(terms)
    return largest + math.log(math.fsum(math.exp(term - largest) for term in terms))


@pytest.mark.parametrize("power", POWERS)
def test_tweedie_density_is_its_series(power):
    """From rates of almost 0 to many thousands, on both sides of where nodes part from numbers."""
    head = Tweedie(power, "varying")
    for log_dispersion in (-5.0, -3.0, -1.0, 0.0, 2.0, 6.0):
        raw = np.array([[0.3, log_dispersion]] * 6)
        y = np.array([[0.0], [1e-6], [0.5], [1.35], [2.0], [17.0]])
        if log_dispersion < -3:
            raw, y = raw[2:5], y[2:5]
        known = math.exp(log_dispersion)
        expected = [-tweedie_log_density(each, math.exp(0.3), known, power) for each in y[:, 0]]
        np.testing.assert_allclose(head.loss(raw, y), expected, rtol=1e-8, atol=1e-7)


@pytest.mark.parametrize("power", POWERS[2:-1])
def test_tweedie_series_is_the_bessel_function_of_wright(power):
    shape, dispersion = (2 - power) / (power - 1), np.geomspace(0.05, 20, 9)
    scaled = dispersion ** (-1 - shape) / ((2 - power) * (power - 1) ** shape)
    exact = special.wright_bessel(shape, 0.0, scaled)
    peak = np.log(exact) - 1 / (dispersion * (power - 1) * (2 - power))
    with np.errstate(invalid="ignore"):
        is_finite = np.isfinite(peak)
    assert is_finite.sum() >= 5
    found = log_density_at_mean(np.ones(9), np.log(dispersion), power)
    np.testing.assert_allclose(found[is_finite], peak[is_finite], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("power", [0, *POWERS[1:], 2, 3])
def test_tweedie_gradient_is_right_where_nodes_change(power):
    y = np.geomspace(1e-3, 1e3, 15)[:, None]
    for log_dispersion in (-6.0, -2.0, 0.0, 3.0):
        raw = np.c_[np.log(y) + np.linspace(-0.1, 0.1, 15)[:, None], np.full(15, log_dispersion)]
        raw[:, 0] = raw[:, 0] if power else y[:, 0] + 0.1
        known = check_gradient(lambda raw: Tweedie(power, "varying").loss(raw, y), raw)
        assert known < 1e-4


def test_tweedie_of_a_high_power_stays_finite():
    assert len(check_head(Tweedie(6))) == 7


def test_a_wrong_normalizer_of_tweedie_is_told():
    class Forgets(Tweedie):
        """Quasi-likelihood: without the series, the best dispersion is infinite."""

        def loss(self, raw, y):
            log_mean, log_dispersion = self._logarithms(raw)
            deviance = half_deviance(log_mean, y, 1.5) * np.exp(-log_dispersion)
            return np.sum(deviance + 0.5 * log_dispersion, axis=1)

    raw = raw_for(Forgets(), 1, 1, 0.4)
    with np.errstate(all="ignore"):
        total = expectation(Forgets(), raw, lambda y: 1.0, 200.0)
    assert abs(total - 1) > 0.05
    y = numbers_for(Forgets(), (50, 1))
    assert not np.allclose(
        Forgets().loss(np.tile(raw, (50, 1)), y),
        -Forgets().distribution(np.tile(raw, (50, 1))).logpdf(y)[:, 0],
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    ("power", "is_there"),
    [(0, True), (1, True), (1.5, True), (2, True), (2.5, False), (3, True), (4.5, False)],
)
def test_tweedie_has_a_distribution_where_its_density_is_known(power, is_there):
    head = Tweedie(power)
    assert head.has_distribution == head.has_quantiles == is_there
    assert head.n_raw(3) == (6 if is_there and power != 1 else 3)
    assert head.n_constant(3) == (3 if is_there and power != 1 else 0)
    mean_alone = Tweedie(power, None)
    assert mean_alone.n_raw(3) == 3
    for model in (estimator_for(mean_alone), estimator_for(Tweedie(2.5))):
        assert not hasattr(model, "predict_distribution")
        assert not hasattr(model, "predict_interval")
        with pytest.raises(AttributeError) as error:
            model.predict_quantiles([[0.0]])
        assert str(error.value.__cause__).endswith(", whose parameters leave it none.")
    with pytest.raises(NotImplementedError, match=r"dispersion=None\) has no distribution"):
        mean_alone.distribution(np.zeros((1, 1)))


# -------------------- identities between heads


def same_up_to_a_constant(head, other, raw_head, raw_other, y, **tolerance):
    """Whether losses differ by what depends on y alone: the same for any raw outputs."""
    difference = head.loss(raw_head, y) - other.loss(raw_other, y)
    again = head.loss(raw_head[::-1], y) - other.loss(raw_other[::-1], y)
    np.testing.assert_allclose(difference, again, **({"rtol": 1e-9, "atol": 1e-9} | tolerance))


def test_softmax_of_two_classes_is_logistic():
    raw, y = raw_for(Softmax(), 40, 2), np.eye(2)[np.arange(40) % 2]
    between = raw[:, 1:] - raw[:, :1]
    np.testing.assert_allclose(Softmax().loss(raw, y), Logistic().loss(between, y[:, 1:]))
    np.testing.assert_allclose(Softmax().predict(raw)[:, 1:], Logistic().predict(between))
    np.testing.assert_allclose(Focal(0).loss(raw, y), Softmax().loss(raw, y))


def test_ordinal_of_two_classes_is_logistic():
    raw, y = raw_for(Ordinal(), 40, 2), np.eye(2)[np.arange(40) % 2]
    between = raw[:, :1] - raw[:, 1:]
    np.testing.assert_allclose(Ordinal().loss(raw, y), Logistic().loss(between, y[:, 1:]))


def test_median_is_half_of_absolute_error():
    y, raw = numbers_for(Linear(), (40, 2)), raw_for(Linear(), 40, 2)
    np.testing.assert_allclose(Quantile(0.5).loss(raw, y), 0.5 * AbsoluteError().loss(raw, y))


@pytest.mark.parametrize(("power", "other"), [(0, Linear()), (1, Poisson()), (2, Gamma(1))])
def test_tweedie_at_its_special_powers(power, other):
    y, raw = numbers_for(Gamma(), (40, 2)), raw_for(other, 40, 2)
    head = Tweedie(power, None)
    same_up_to_a_constant(head, other, raw, raw, y)
    np.testing.assert_allclose(head.predict(raw), other.predict(raw))


@pytest.mark.parametrize(
    ("power", "frozen"),
    [
        (0, lambda mean, dispersion: stats.norm(mean, np.sqrt(dispersion))),
        (2, lambda mean, dispersion: stats.gamma(1 / dispersion, scale=mean * dispersion)),
        (3, lambda mean, dispersion: stats.invgauss(mean * dispersion, scale=1 / dispersion)),
    ],
)
def test_tweedie_with_a_dispersion_is_the_distribution_of_its_power(power, frozen):
    y, raw = numbers_for(Gamma(), (40, 2)), raw_for(Tweedie(power), 40, 2)
    mean = np.exp(raw[:, :2]) if power else raw[:, :2]
    peer = frozen(mean, np.exp(raw[:, 2:]))
    np.testing.assert_allclose(Tweedie(power).loss(raw, y), -peer.logpdf(y).sum(axis=1), rtol=1e-9)
    np.testing.assert_allclose(peer.mean(), mean, rtol=1e-9)
    np.testing.assert_allclose(peer.var(), np.exp(raw[:, 2:]) * mean**power, rtol=1e-6)


def test_tweedie_goes_to_poisson_and_to_gamma():
    near_poisson = Tweedie(1.0001, 1.0).distribution(np.zeros((1, 1)))
    for at in (0.5, 1.5, 2.5, 3.5):
        assert near_poisson.cdf(at)[0, 0] == pytest.approx(stats.poisson(1.0).cdf(at), abs=1e-3)
    y, raw = numbers_for(Gamma(), (40, 1)), raw_for(Tweedie(2), 40, 1)
    near_gamma, gamma = Tweedie(1.99999).loss(raw, y), Tweedie(2).loss(raw, y)
    np.testing.assert_allclose(near_gamma, gamma, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("power", [1, 2])
def test_tweedie_is_continuous_in_its_power(power):
    y, raw = numbers_for(Gamma(), (40, 2)), raw_for(Gamma(1), 40, 2)
    np.testing.assert_allclose(
        Tweedie(power + 1e-6, None).loss(raw, y),
        Tweedie(power, None).loss(raw, y),
        rtol=1e-4,
        atol=1e-6,
    )


def test_student_t_of_many_degrees_of_freedom_is_gaussian():
    y, raw = numbers_for(Gaussian(), (40, 2)), raw_for(Gaussian(), 40, 2)
    np.testing.assert_allclose(StudentT(1e8).loss(raw, y), Gaussian().loss(raw, y), rtol=1e-5)


def test_mixture_of_one_or_of_equal_components_is_gaussian():
    y, raw = numbers_for(Gaussian(), (40, 2)), raw_for(Gaussian(), 40, 2)
    one = np.c_[raw_for(Linear(), 40, 2), raw]
    np.testing.assert_allclose(GaussianMixture(1).loss(one, y), Gaussian().loss(raw, y))
    three = np.c_[np.ones((40, 6)), np.tile(raw[:, :2], 3), np.tile(raw[:, 2:], 3)]
    np.testing.assert_allclose(GaussianMixture(3).loss(three, y), Gaussian().loss(raw, y))


def test_log_normal_is_gaussian_of_the_logarithm():
    y, raw = numbers_for(LogNormal(), (40, 2)), raw_for(LogNormal(), 40, 2)
    expected = Gaussian().loss(raw, np.log(y)) + np.log(y).sum(axis=1)
    np.testing.assert_allclose(LogNormal().loss(raw, y), expected)


@pytest.mark.parametrize("log_dispersion", [-19.0, -1e4])
def test_negative_binomial_of_no_dispersion_is_poisson(log_dispersion):
    y, raw = numbers_for(Poisson(), (60, 1)), raw_for(Poisson(), 60, 1)
    both = np.c_[raw, np.full(60, log_dispersion)]
    same_up_to_a_constant(NegativeBinomial(), Poisson(), both, raw, y, rtol=1e-6, atol=1e-6)
    known = NegativeBinomial(math.exp(-19))
    same_up_to_a_constant(known, Poisson(), raw, raw, y, rtol=1e-6, atol=1e-6)


def tweedie_of(power):
    return lambda dispersion="auto": Tweedie(power, dispersion)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Gamma, 0.3),
        (Gamma, 70),
        (NegativeBinomial, 0.5),
        *((tweedie_of(power), 0.3) for power in (0, 1.5, 2, 3)),
    ],
)
def test_known_second_parameter_is_a_learned_one_of_that_value(kind, value):
    y, raw = numbers_for(kind(), (40, 2)), raw_for(kind(value), 40, 2)
    both = np.c_[raw, np.full((40, 2), math.log(value))]
    for learned in (kind("constant"), kind("varying")):
        np.testing.assert_allclose(kind(value).loss(raw, y), learned.loss(both, y), rtol=1e-9)
        np.testing.assert_allclose(
            kind(value).distribution(raw).std(), learned.distribution(both).std()
        )


@pytest.mark.parametrize("head", [head for head in ALL if not head.is_one_hot], ids=str)
def test_outputs_are_in_blocks_of_parameters(head):
    """Two targets beside each other are two models: losses add up, predictions stand apart."""
    is_label = "numbers" not in head.targets
    y = np.random.default_rng(0).integers(0, 2, (9, 2)) if is_label else numbers_for(head, (9, 2))
    raw = raw_for(head, 9, 2)
    both = [head.loss(raw[:, i::2], y[:, i : i + 1]) for i in (0, 1)]
    np.testing.assert_allclose(head.loss(raw, y), both[0] + both[1], rtol=1e-9, atol=1e-12)
    apart = np.concatenate([head.predict(raw[:, i::2]) for i in (0, 1)], axis=1)
    np.testing.assert_allclose(head.predict(raw), apart, rtol=1e-12)
    start = head.initial_raw(y * 1.0).reshape(-1, 2)
    for i in (0, 1):
        alone = head.initial_raw(y[:, i : i + 1] * 1.0)
        np.testing.assert_allclose(start[:, i], alone, rtol=1e-3, atol=1e-3)


# -------------------- distributions: integration, sampling, quantiles


def density(head, raw):
    """exp(-loss) of one target in one row, as a function of y."""

    def function(y):
        loss = head.loss(raw, np.array([[y]]))[0]
        if head in LIKE_POISSON:
            loss -= special.xlogy(y, y) - y - special.gammaln(y + 1)
        return math.exp(-loss)

    return function


def expectation(head, raw, function, up_to=np.inf):
    """Sum or integrate a function times exp(-loss)."""
    f = density(head, raw)
    if head in COUNTING:
        return sum(function(y) * f(float(y)) for y in range(int(min(400, up_to + 1))))
    low = -np.inf if head.domain is NUMBERS else 0.0
    value, _ = integrate.quad(lambda y: function(y) * f(y), low, up_to, limit=200, epsabs=1e-9)
    return value + (function(0.0) * f(0.0) if head.domain is ZERO_OR_POSITIVE else 0.0)


INTEGRABLE = [head for head in WITH_DISTRIBUTION if head not in (StudentT(0.7),)]


@pytest.mark.parametrize("head", INTEGRABLE, ids=str)
@pytest.mark.parametrize("seed", [0, 1])
def test_distribution_agrees_with_integration_of_the_loss(head, seed):
    raw = raw_for(head, 1, 1, 0.4, seed)
    frozen = head.distribution(raw)
    assert expectation(head, raw, lambda y: 1.0) == pytest.approx(1, abs=1e-6)
    mean = expectation(head, raw, lambda y: y)
    assert frozen.mean()[0, 0] == pytest.approx(mean, rel=1e-5, abs=1e-7)
    assert head.predict(raw)[0, 0] == pytest.approx(mean, rel=1e-5, abs=1e-7)
    variance = expectation(head, raw, lambda y: (y - mean) ** 2)
    assert frozen.std()[0, 0] == pytest.approx(math.sqrt(variance), rel=1e-4)
    for at in (1, 2):
        assert frozen.cdf(at)[0, 0] == pytest.approx(
            expectation(head, raw, lambda y: 1.0, at), abs=1e-6
        )


def test_cauchy_tails_have_a_median_but_no_mean():
    raw = np.array([[2.0, 0.0]])
    frozen = StudentT(0.7).distribution(raw)
    assert StudentT(0.7).predict(raw)[0, 0] == frozen.median()[0, 0] == 2.0
    assert not np.isfinite(frozen.std()).any()


@over_distributions
def test_distribution_agrees_with_sampling(head):
    raw = raw_for(head, 3, 1, 0.4)
    frozen = head.distribution(raw)
    drawn = frozen.rvs(size=(4000, 3, 1), random_state=np.random.RandomState(0))
    assert drawn.shape == (4000, 3, 1)
    for level in (0.1, 0.5, 0.9):
        share = np.mean(drawn <= frozen.ppf(level), axis=0)
        np.testing.assert_allclose(share, frozen.cdf(frozen.ppf(level)), atol=0.03)
    if np.isfinite(frozen.std()).all():
        error = 5 * frozen.std() / math.sqrt(4000)
        assert np.all(np.abs(drawn.mean(axis=0) - frozen.mean()) < error)
        np.testing.assert_allclose(drawn.std(axis=0), frozen.std(), rtol=0.25)


@pytest.mark.parametrize("head", CONTINUOUS, ids=str)
def test_quantiles_invert_the_distribution_function(head):
    raw, levels = raw_for(head, 20, 2), [0.001, 0.05, 0.5, 0.9, 0.999]
    frozen = head.distribution(raw)
    quantiles = head.quantile(raw, levels)
    for i, level in enumerate(levels):
        at_least = frozen.cdf(0.0) if head.domain is ZERO_OR_POSITIVE else level
        reached = np.maximum(level, at_least)
        np.testing.assert_allclose(frozen.cdf(quantiles[..., i]), reached, atol=1e-9)
    low, high = frozen.interval(0.9)
    np.testing.assert_allclose(np.stack([low, high], -1), head.quantile(raw, [0.05, 0.95]))


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("m", [1, 2, 9, 99])
def test_quantiles_never_cross(m, scale):
    head = Quantile(np.arange(1, m + 1) / (m + 1))
    for dtype in (np.float64, np.float32):
        predicted = head.predict(raw_for(head, 100, 2, scale).astype(dtype))
        assert predicted.shape == (100, 2, m)
        assert np.all(np.diff(predicted, axis=2) >= 0)


@over_numbers
def test_answers_are_finite_at_extreme_raw_outputs(head):
    rng = np.random.default_rng(0)
    for dtype, extreme in ((np.float64, 1e4), (np.float32, 1e3)):
        raw = rng.choice([-extreme, 0.0, extreme], (40, head.n_raw(2))).astype(dtype)
        assert np.isfinite(head.predict(raw)).all()
        assert head.predict(raw).dtype == dtype
        if head.has_distribution:
            frozen = head.distribution(raw)
            parameters = [*frozen.args, *frozen.kwds.values()]
            assert all(np.isfinite(p).all() for p in parameters)
            assert all(np.asarray(p).dtype == np.float64 for p in parameters)


class TestPoissonGamma:
    RNG = np.random.default_rng(0)
    MEAN, DISPERSION = np.exp(RNG.normal(size=(2, 6, 2)))

    @pytest.mark.parametrize("power", [1.1, 1.5, 1.9])
    def test_distribution_function_is_a_sum_over_numbers_of_summands(self, power):
        frozen = PoissonGamma(self.MEAN, self.DISPERSION, power)
        rate = self.MEAN ** (2 - power) / (self.DISPERSION * (2 - power))
        shape = (2 - power) / (power - 1)
        scale = self.DISPERSION * (power - 1) * self.MEAN ** (power - 1)
        n = np.arange(1, 400)
        for x in (0.0, 1e-9, 0.7, 3.0):
            reached = special.gammainc(n * shape, x / scale[..., None])
            expected = np.sum(stats.poisson.pmf(n, rate[..., None]) * reached, axis=-1)
            np.testing.assert_allclose(
                frozen.cdf(x), np.exp(-rate) + expected, rtol=1e-10, atol=1e-15
            )
        np.testing.assert_array_equal(frozen.cdf(-1.0), 0)
        np.testing.assert_array_equal(frozen.pdf(-1.0), 0)
        np.testing.assert_allclose(frozen.pdf(0.0), np.exp(-rate))
        np.testing.assert_allclose(frozen.cdf(np.inf), 1)

    @pytest.mark.parametrize("power", [1.02, 1.5, 1.95])
    def test_many_summands_are_almost_normal(self, power):
        dispersion = np.geomspace(1e-12, 1e-4, 9)
        frozen = PoissonGamma(3.0, dispersion, power)
        z = np.array([[-2.0], [0.0], [1.5]])
        at = frozen.mean() + z * frozen.std()
        np.testing.assert_allclose(frozen.cdf(at), special.ndtr(z) + 0 * at, atol=0.02)
        np.testing.assert_allclose(frozen.cdf(at)[:, :5], special.ndtr(z) + np.zeros(5), atol=1e-4)
        np.testing.assert_allclose(frozen.cdf(frozen.ppf(0.3)), 0.3, atol=1e-8)

    def test_is_continuous_where_nodes_part_from_numbers(self):
        for power in (1.02, 1.3, 1.7, 1.98):
            edge = max(40.0, 2 / (power - 1)) * (2 - power)
            frozen = PoissonGamma(1.0, 1 / (edge * np.array([1 - 1e-9, 1 + 1e-9])), power)
            for x in (0.8, 1.0, 1.3):
                low, high = frozen.cdf(x)
                assert low == pytest.approx(high, abs=1e-8)

    def test_quantiles_reach_both_ends(self):
        frozen = PoissonGamma(self.MEAN, self.DISPERSION, 1.4)
        none = frozen.cdf(0.0)
        for q in (1e-9, 0.2, 0.5, 1 - 1e-9):
            np.testing.assert_allclose(frozen.cdf(frozen.ppf(q)), np.maximum(q, none), rtol=1e-9)
        assert np.all((frozen.ppf(0.2) == 0) == (none >= 0.2))
        np.testing.assert_array_equal(frozen.ppf(0), 0)
        np.testing.assert_array_equal(frozen.ppf(1), np.inf)
        np.testing.assert_array_equal(frozen.ppf([[-0.1], [1.1]] * 3), np.nan)
        np.testing.assert_array_equal(frozen.median(), frozen.ppf(0.5))
        np.testing.assert_array_equal(frozen.interval(0.8)[1], frozen.ppf(0.9))
        np.testing.assert_array_equal(frozen.ppf(np.full((6, 2), 0.3)), frozen.ppf(0.3))

    def test_samples_have_its_moments_and_zeros(self):
        frozen = PoissonGamma(self.MEAN, self.DISPERSION, 1.6)
        drawn = frozen.rvs(size=(20000, 6, 2), random_state=0)
        error = frozen.std() / math.sqrt(20000)
        np.testing.assert_allclose(drawn.mean(axis=0), self.MEAN, atol=5 * error.max())
        variance = self.DISPERSION * self.MEAN**1.6
        np.testing.assert_allclose(frozen.var(), variance)
        np.testing.assert_allclose(drawn.std(axis=0), np.sqrt(variance), rtol=0.1)
        np.testing.assert_allclose((drawn == 0).mean(axis=0), frozen.cdf(0.0), atol=0.02)
        assert frozen.rvs().shape == (6, 2)
        same = [frozen.rvs(random_state=s) for s in (3, np.random.RandomState(3))]
        np.testing.assert_array_equal(*same)


class TestMixture:
    RNG = np.random.default_rng(0)
    WEIGHTS = RNG.dirichlet([1, 1, 1], size=(6, 2))
    MEANS = RNG.normal(size=(6, 2, 3)) * 3
    SCALES = np.exp(RNG.normal(size=(6, 2, 3)))
    MIXTURE = Mixture(WEIGHTS, MEANS, SCALES)

    def test_density_and_distribution_function_are_sums_over_components(self):
        x = self.RNG.normal(size=(6, 2))
        parts = stats.norm(self.MEANS, self.SCALES)
        pdf = np.sum(self.WEIGHTS * parts.pdf(x[..., None]), axis=-1)
        np.testing.assert_allclose(self.MIXTURE.pdf(x), pdf)
        np.testing.assert_allclose(self.MIXTURE.logpdf(x), np.log(pdf))
        cdf = np.sum(self.WEIGHTS * parts.cdf(x[..., None]), axis=-1)
        np.testing.assert_allclose(self.MIXTURE.cdf(x), cdf)

    def test_quantiles_are_exact_and_reach_both_ends(self):
        for q in (1e-9, 0.2, 0.5, 1 - 1e-9):
            np.testing.assert_allclose(self.MIXTURE.cdf(self.MIXTURE.ppf(q)), q, rtol=1e-9)
        np.testing.assert_array_equal(self.MIXTURE.ppf(0), -np.inf)
        np.testing.assert_array_equal(self.MIXTURE.ppf(1), np.inf)
        np.testing.assert_array_equal(self.MIXTURE.median(), self.MIXTURE.ppf(0.5))
        np.testing.assert_allclose(self.MIXTURE.interval(0.8)[0], self.MIXTURE.ppf(0.1))
        levels = np.full((6, 2), 0.3)
        np.testing.assert_array_equal(self.MIXTURE.ppf(levels), self.MIXTURE.ppf(0.3))

    def test_far_components_leave_a_plateau(self):
        far = Mixture([0.5, 0.5], [-1e6, 1e6], [1e-6, 1e-6])
        assert far.ppf(0.25) == pytest.approx(-1e6)
        assert far.ppf(0.75) == pytest.approx(1e6)
        assert float(far.cdf(0.0)) == 0.5

    def test_moments_are_those_of_a_sample(self):
        drawn = self.MIXTURE.rvs(size=(20000, 6, 2), random_state=0)
        np.testing.assert_allclose(drawn.mean(axis=0), self.MIXTURE.mean(), atol=0.15)
        np.testing.assert_allclose(drawn.std(axis=0), self.MIXTURE.std(), rtol=0.05)
        np.testing.assert_allclose(self.MIXTURE.var(), self.MIXTURE.std() ** 2)

    def test_samples_have_shapes_and_seeds_as_those_of_scipy(self):
        assert self.MIXTURE.rvs().shape == (6, 2)
        for seed in (3, np.random.RandomState(3), np.random.default_rng(3)):
            assert self.MIXTURE.rvs(size=(4, 6, 2), random_state=seed).shape == (4, 6, 2)
        same = [self.MIXTURE.rvs(random_state=s) for s in (3, np.random.RandomState(3))]
        np.testing.assert_array_equal(*same)
        with pytest.raises(ValueError, match=r"broadcast|remapped"):
            self.MIXTURE.rvs(size=(4, 5, 2))

    def test_components_without_a_share_are_never_drawn(self):
        one = Mixture([1.0, 0.0], [0.0, 100.0], [1.0, 1.0])
        assert one.rvs(size=1000, random_state=0).max() < 50
        assert np.isfinite(one.logpdf(0.0))


# -------------------- no hidden layer: the models of other libraries

RNG = np.random.default_rng(0)
ROWS = 200
X = RNG.normal(size=(ROWS, 3))
ETA = X @ [0.5, -0.3, 0.2] + 0.7
WEIGHTS = RNG.uniform(0.2, 3.0, ROWS)
TARGETS = {
    "counts": RNG.poisson(np.exp(ETA)),
    "dispersed": RNG.negative_binomial(2, 1 / (1 + np.exp(ETA) / 2)),
    "positive": RNG.gamma(2.0, np.exp(ETA) / 2),
    "zeros": RNG.gamma(2.0, np.exp(ETA) / 2) * (RNG.uniform(size=ROWS) < 0.7),
    "heavy": ETA + RNG.standard_t(3, size=ROWS),
    "grades": np.digitize(ETA + RNG.logistic(size=ROWS), [-1, 0.5, 2]),
}
EXACT = {"tol": 1e-10, "max_iter": 9999}
GLMS = [
    ("poisson", linear_model.PoissonRegressor, {}, "counts"),
    (Gamma(shape=1), linear_model.GammaRegressor, {}, "positive"),
    (Tweedie(1), linear_model.TweedieRegressor, {"power": 1, "link": "log"}, "zeros"),
    (Tweedie(1.5, None), linear_model.TweedieRegressor, {"power": 1.5}, "zeros"),
    (Tweedie(2, None), linear_model.TweedieRegressor, {"power": 2}, "positive"),
    (Tweedie(3, None), linear_model.TweedieRegressor, {"power": 3}, "positive"),
    (Tweedie(0, None), linear_model.TweedieRegressor, {"power": 0}, "heavy"),
]


@unconverged
@pytest.mark.parametrize("weight", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize(("head", "peer", "options", "target"), GLMS, ids=str)
def test_linear_model_is_a_glm(head, peer, options, target, weight):
    y, total = TARGETS[target], ROWS if weight is None else weight.sum()
    peer = peer(alpha=0.1, **options, **EXACT).fit(X, y, sample_weight=weight)
    head = HEADS[head]() if isinstance(head, str) else head
    ours = minimized(head, X, y, weight, alpha=0.1 * total)
    np.testing.assert_allclose(ours.coefs_[0][:, 0], peer.coef_, atol=1e-6)
    np.testing.assert_allclose(ours.intercepts_[0][0], peer.intercept_, atol=1e-6)
    np.testing.assert_allclose(ours.predict(X), peer.predict(X), rtol=1e-5)


@unconverged
@pytest.mark.parametrize("head", [Gamma(), Gamma(5.0)], ids=str)
def test_mean_of_a_gamma_model_is_that_of_the_glm_whatever_the_shape(head):
    y = TARGETS["positive"]
    peer = linear_model.GammaRegressor(alpha=0, **EXACT).fit(X, y)
    np.testing.assert_allclose(minimized(head, X, y).predict(X), peer.predict(X), rtol=1e-5)


@unconverged
@pytest.mark.parametrize("dispersion", ["constant", 2.5])
@pytest.mark.parametrize(
    ("power", "target"), [(0, "heavy"), (1.3, "zeros"), (1.7, "zeros"), (2, "positive")]
)
def test_mean_of_a_tweedie_model_is_that_of_the_glm_whatever_the_dispersion(
    power, target, dispersion
):
    y = TARGETS[target]
    peer = linear_model.TweedieRegressor(power=power, alpha=0, **EXACT).fit(X, y)
    ours = minimized(Tweedie(power, dispersion), X, y)
    np.testing.assert_allclose(ours.predict(X), peer.predict(X), rtol=1e-4, atol=1e-5)


@unconverged
@pytest.mark.parametrize("power", [1.3, 1.7])
def test_tweedie_dispersion_is_that_of_the_greatest_likelihood(power):
    y = TARGETS["zeros"]
    frozen = minimized(Tweedie(power), X, y).predict_distribution(X)
    mean, found = frozen.args[0], frozen.args[1]

    def loss(log_dispersion):
        dispersion = math.exp(log_dispersion)
        pairs = zip(y, mean, strict=True)
        return -math.fsum(tweedie_log_density(*pair, dispersion, power) for pair in pairs)

    best = optimize.minimize_scalar(loss, bounds=(-3, 3), method="bounded")
    np.testing.assert_allclose(np.log(found), best.x, atol=1e-3)
    alone = Tweedie(power).initial_raw(y[:, None])
    fitted = estimator_for(
        Tweedie(power), hidden_layer_sizes=(), solver="lbfgs", alpha=0, tol=1e-9, max_iter=2000
    ).fit(np.zeros((ROWS, 1)), y)
    np.testing.assert_allclose(fitted.intercepts_[0], alone, atol=1e-3)


@unconverged
@pytest.mark.parametrize("q", [0.2, 0.5, 0.9])
def test_linear_quantile_model_is_that_of_linear_programming(q):
    y = TARGETS["heavy"]
    peer = linear_model.QuantileRegressor(quantile=q, alpha=0, solver="highs").fit(X, y)
    ours = minimized(Quantile(q), X, y)
    best = metrics.mean_pinball_loss(y, peer.predict(X), alpha=q)
    assert best <= metrics.mean_pinball_loss(y, ours.predict(X), alpha=q) <= 1.001 * best


@unconverged
def test_linear_huber_model_is_that_of_scikit_learn_at_its_scale():
    y = TARGETS["heavy"]
    peer = linear_model.HuberRegressor(alpha=0, tol=1e-10, max_iter=9999).fit(X, y)
    ours = minimized(Huber(peer.epsilon * peer.scale_), X, y)
    np.testing.assert_allclose(ours.coefs_[0][:, 0], peer.coef_, atol=1e-4)
    np.testing.assert_allclose(ours.intercepts_[0][0], peer.intercept_, atol=1e-4)


@unconverged
@pytest.mark.parametrize("head", ["logistic", "softmax", "ordinal", Focal(0)], ids=str)
def test_linear_classifier_of_two_classes_is_logistic_regression(head):
    y = (TARGETS["grades"] > 1).astype(int)
    peer = linear_model.LogisticRegression(C=np.inf, **EXACT).fit(X, y)
    head = HEADS[head]() if isinstance(head, str) else head
    np.testing.assert_allclose(
        minimized(head, X, y).predict_proba(X), peer.predict_proba(X), atol=1e-4
    )


@unconverged
@pytest.mark.filterwarnings("ignore")  # those of statsmodels
def test_linear_negative_binomial_model_is_that_of_statsmodels():
    pytest.importorskip("statsmodels")
    from statsmodels.api import add_constant  # noqa: PLC0415
    from statsmodels.discrete.discrete_model import NegativeBinomial as Peer  # noqa: PLC0415

    y = TARGETS["dispersed"]
    peer = Peer(y, add_constant(X)).fit(disp=0, maxiter=1000, gtol=1e-6)
    ours = minimized(NegativeBinomial(), X, y)
    bias, log_dispersion = ours.intercepts_[0]
    found = [bias, *ours.coefs_[0][:, 0], math.exp(log_dispersion)]
    np.testing.assert_allclose(found, peer.params, atol=1e-4)
    assert ours.loss_ * ROWS == pytest.approx(-peer.llf, abs=1e-6)


@unconverged
@pytest.mark.filterwarnings("ignore")
def test_linear_ordinal_model_is_that_of_statsmodels():
    pytest.importorskip("statsmodels")
    from statsmodels.miscmodels.ordinal_model import OrderedModel  # noqa: PLC0415

    y = TARGETS["grades"]
    peer = OrderedModel(y, X, distr="logit").fit(method="bfgs", disp=0, gtol=1e-9)
    ours = minimized(Ordinal(), X, y)
    bias = ours.intercepts_[0]
    steps = np.log(np.logaddexp(bias[2:], 0))
    found = [*ours.coefs_[0][:, 0], bias[1] - bias[0], *steps]
    np.testing.assert_allclose(found, peer.params, atol=1e-4)
    np.testing.assert_allclose(ours.predict_proba(X), peer.predict(X), atol=1e-5)


def likelihood_fit(distribution, y):
    """Maximize a likelihood of SciPy's over one mean and one dispersion."""

    def loss(p):
        dispersion = math.exp(p[1])
        r = 1 / dispersion
        return -np.mean(stats.nbinom.logpmf(y, r, r / (r + math.exp(p[0]))))

    found = optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-8})
    r = math.exp(-found.x[1])
    return distribution(r, r / (r + math.exp(found.x[0])))


SCIPY_FITS = {
    "gaussian": lambda y: stats.norm(*stats.norm.fit(y)),
    "laplace": lambda y: stats.laplace(*stats.laplace.fit(y)),
    "student_t": lambda y: stats.t(*stats.t.fit(y, f0=5)),
    "lognormal": lambda y: stats.lognorm(*stats.lognorm.fit(y, floc=0)),
    "gamma": lambda y: stats.gamma(*stats.gamma.fit(y, floc=0)),
    "poisson": lambda y: stats.poisson(y.mean()),
    "negative_binomial": lambda y: likelihood_fit(stats.nbinom, y),
}


@unconverged
@pytest.mark.parametrize("name", SCIPY_FITS)
def test_model_of_constant_features_is_the_fit_of_scipy(name):
    y = numbers_for(REGISTRY[name], 80)
    peer = SCIPY_FITS[name](y)
    nothing = np.zeros((80, 1))
    model = estimator_for(
        REGISTRY[name], hidden_layer_sizes=(), solver="lbfgs", alpha=0, tol=1e-9, max_iter=2000
    )
    frozen = model.fit(nothing, y).predict_distribution(nothing[:1])
    ours, best = np.mean(log_density(frozen, y)), np.mean(log_density(peer, y))
    assert ours == pytest.approx(best, abs=1e-4)
    assert ours <= best + 1e-7
    tolerance = 0.02 if name == "laplace" else 1e-3  # its likelihood is flat between two targets
    assert frozen.mean()[0] == pytest.approx(peer.mean(), rel=tolerance)
    assert frozen.std()[0] == pytest.approx(peer.std(), rel=tolerance)


# -------------------- estimators: fits with every head


@unconverged
@over_all
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_weights_are_repetition(head, solver):
    X, y = data_for(head, 40)
    counts = np.random.default_rng(3).integers(0, 4, 40)
    settings = {"solver": solver, "shuffle": False, "batch_size": 200, "alpha": 0.1}
    weighted, repeated = (estimator_for(head, **settings) for _ in range(2))
    rows = np.repeat(np.arange(40), counts)
    with pytest.warns(UserWarning, match="clipped") if solver == "adam" else _nothing():
        weighted.fit(X, y, sample_weight=counts)
        repeated.fit(X[rows], y[rows])
    assert weighted.loss_ == pytest.approx(repeated.loss_, rel=1e-9, abs=1e-12)
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


class _nothing:  # noqa: N801, a context
    def __enter__(self):
        return self

    def __exit__(self, *problem):
        return False


@unconverged
@over_all
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=str)
def test_fits_streams_and_validates_in_its_precision(head, dtype):
    X, y = data_for(head)
    X = X.astype(dtype)
    model = estimator_for(head, early_stopping=True, validation_fraction=0.3).fit(X, y)
    assert all(part.dtype == dtype for part in [*model.coefs_, *model.intercepts_])
    assert np.isfinite(model.validation_scores_).all()
    assert np.isfinite(model.score(X, y))
    stream = estimator_for(head, initial_output="data")
    extra = {} if "numbers" in head.targets else {"classes": np.unique(y)}
    for _ in range(2):
        stream.partial_fit(X, y, **extra)
    assert np.isfinite(stream.loss_)
    assert stream.predict(X).shape[0] == 60
    assert str(model.computation_graph())
    assert model.computation_graph(X[:2], y[:2]).nodes


@over_all
def test_precision_is_kept(head):
    k = 2 if "numbers" in head.targets else 3
    y = numbers_for(head, (7, k)) if k == 2 else np.eye(3)[np.arange(7) % 3]
    for dtype in (np.float32, np.float64):
        raw = raw_for(head, 7, k).astype(dtype)
        narrow = [head.loss(raw, y.astype(dtype)), head.predict(raw), head.center(raw)]
        if "numbers" not in head.targets and head.has_probabilities:
            narrow.append(head.log_probability(raw))
        assert {answer.dtype for answer in narrow} == {np.dtype(dtype)}
        exact = head.loss(raw.astype(np.float64), y.astype(dtype).astype(np.float64))
        np.testing.assert_allclose(narrow[0], exact, rtol=1e-4, atol=1e-4)


@over_all
def test_prediction_is_traced_too(head):
    k = 2 if "numbers" in head.targets else 3
    raw = raw_for(head, 7, k)
    at = variable("raw", raw.shape)
    np.testing.assert_allclose(evaluate(head.predict(at), {at: raw}), head.predict(raw), rtol=1e-9)


@unconverged
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # of barely trained tails
@over_numbers
@pytest.mark.parametrize("k", [1, 2])
def test_answers_of_a_regressor_have_their_shapes(head, k):
    X, y = data_for(head, k=k)
    model = estimator_for(head, initial_output="data").fit(X, y)
    rows = (60,) if k == 1 else (60, k)
    several = np.ndim(getattr(head, "q", 0.5)) == 1
    assert model.predict(X).shape == rows + ((len(head.q),) if several else ())
    raw = head.center(model._raw(X)[1])
    assert model.score(X, y) == pytest.approx(metrics.r2_score(y, raw))
    if not head.has_distribution:
        with pytest.raises(ValueError, match=r"Only the heads poisson, .* have a distribution"):
            model.predict(X, return_std=True)
        return
    mean, std = model.predict(X, return_std=True)
    frozen = model.predict_distribution(X)
    assert std.shape == mean.shape == frozen.mean().shape == frozen.std().shape == rows
    assert log_density(frozen, y).shape == frozen.ppf(0.3).shape == rows
    np.testing.assert_array_equal(mean, model.predict(X))
    interval = model.predict_interval(X, coverage=0.8)
    assert interval.shape == (*rows, 2)
    np.testing.assert_allclose(interval, np.stack(frozen.interval(0.8), axis=-1))
    quantiles = model.predict_quantiles(X, [0.1, 0.5, 0.9])
    assert quantiles.shape == (*rows, 3)
    assert np.all(np.diff(quantiles, axis=-1) >= 0)
    np.testing.assert_array_equal(quantiles[..., 1], model.predict_quantiles(X, 0.5))


ANSWERS = {
    "predict_distribution": "has_distribution",
    "predict_quantiles": "has_quantiles",
    "predict_interval": "has_quantiles",
}


@over_numbers
def test_answers_are_there_where_the_head_has_them(head):
    unfitted, fitted = estimator_for(head), estimator_for(head, max_iter=1)
    with pytest.warns():
        fitted.fit(*data_for(head))
    for method, property_ in ANSWERS.items():
        for model in (unfitted, fitted):
            assert hasattr(model, method) == getattr(head, property_)


def test_what_a_head_lacks_is_told_with_those_that_have_it():
    with pytest.raises(AttributeError) as error:
        MLPRegressor().predict_distribution([[0.0]])
    assert "poisson, negative_binomial, gamma, tweedie, gaussian, " in str(error.value.__cause__)
    assert "have a distribution, got head=Linear()" in str(error.value.__cause__)
    with pytest.raises(AttributeError) as error:
        MLPRegressor(head="absolute_error").predict_interval([[0.0]])
    assert "quantile, poisson, " in str(error.value.__cause__)
    with pytest.raises(AttributeError) as error:
        MLPClassifier(head="hinge").predict_proba([[0.0]])
    assert "logistic, softmax, ordinal, brier, focal have probabilities" in str(
        error.value.__cause__
    )


def test_the_fitted_head_answers_not_the_parameter():
    X, y = data_for(Gaussian())
    with pytest.warns():
        model = MLPRegressor(head="gaussian", max_iter=1).fit(X, y).set_params(head="linear")
    assert model.predict_interval(X).shape == (60, 2)
    assert not hasattr(MLPRegressor(head="wrong"), "predict_interval")


@unconverged
def test_quantile_head_answers_its_own_levels():
    X, y = data_for(Quantile())
    model = estimator_for(Quantile([0.05, 0.5, 0.95])).fit(X, y)
    np.testing.assert_array_equal(model.predict_interval(X, 0.9), model.predict(X)[:, [0, 2]])
    np.testing.assert_array_equal(model.predict_quantiles(X, 0.5), model.predict(X)[:, 1])
    with pytest.raises(
        ValueError, match=r"^coverage=0.8 takes the quantile at 0.1, but Quantile.* alone"
    ):
        model.predict_interval(X, 0.8)


@unconverged
@pytest.mark.parametrize("q", [0.0, 1.0, [], [0.5, 2.0], [[0.5]]])
def test_levels_and_coverages_are_checked(q):
    X, y = data_for(Gaussian())
    model = estimator_for(Gaussian()).fit(X, y)
    with pytest.raises(ValueError, match=r"q must be a number in \(0, 1\) or a list of them"):
        model.predict_quantiles(X, q)
    with pytest.raises(ValueError, match=r"coverage must be a number in \(0, 1\), got"):
        model.predict_interval(X, q)


@unconverged
def test_intervals_cover_what_they_say():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(4000, 1))
    y = 2 * X[:, 0] + np.exp(X[:, 0]) * rng.normal(size=4000)
    for head in (Gaussian(), GaussianMixture(2), Quantile([0.05, 0.5, 0.95])):
        model = estimator_for(
            head, hidden_layer_sizes=(8,), max_iter=30, learning_rate_init=0.02
        ).fit(X[:2000], y[:2000])
        low, high = model.predict_interval(X[2000:], coverage=0.9).T
        inside = (low <= y[2000:]) & (y[2000:] <= high)
        for part in (X[2000:, 0] < 0, X[2000:, 0] > 0):  # the noise is five times the other
            assert abs(inside[part].mean() - 0.9) < 0.04


# -------------------- parameters that the model has once


@unconverged
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("head", [Gamma(), NegativeBinomial(), Tweedie(), Ordinal()], ids=str)
def test_constant_outputs_are_a_bias_alone(head, solver):
    X, y = data_for(head)
    n_constant = head.n_constant(1 if "numbers" in head.targets else 3)
    model = estimator_for(head, solver=solver, max_iter=20, alpha=0.5).fit(X, y)
    raw = model._raw(X)[1]
    assert n_constant >= 1
    np.testing.assert_array_equal(model.coefs_[-1][:, -n_constant:], 0)
    np.testing.assert_array_equal(np.ptp(raw[:, -n_constant:], axis=0), 0)
    assert np.all(np.ptp(raw[:, :-n_constant], axis=0) > 0)
    shown = {node.name: node.gradient for node in model.computation_graph(X, y).nodes}
    np.testing.assert_array_equal(shown["W2"][:, -n_constant:], 0)
    assert np.all(shown["b2"][-n_constant:] != 0)
    start = estimator_for(head, solver=solver, max_iter=1, learning_rate_init=1e-12, max_fun=1)
    start.fit(X, y)
    assert np.all(model.intercepts_[-1][-n_constant:] != start.intercepts_[-1][-n_constant:])


@unconverged
@pytest.mark.parametrize(
    "head", [Gamma("varying"), NegativeBinomial("varying"), Tweedie(1.5, "varying")], ids=str
)
def test_varying_outputs_vary(head):
    X, y = data_for(head)
    raw = estimator_for(head).fit(X, y)._raw(X)[1]
    assert np.all(np.ptp(raw, axis=0) > 0)


# -------------------- where the output starts


@unconverged
@over_all
def test_output_starts_at_the_best_constant(head):
    X, y = data_for(head)
    model = estimator_for(
        head,
        solver="sgd",
        learning_rate_init=1e-300,
        max_iter=1,
        weight_init=lambda rng, a, b: np.zeros((a, b)),
        initial_output="data",
    ).fit(X, y, sample_weight=1 + np.arange(60) % 2)
    Y = y[:, None] * 1.0
    if head.is_one_hot:
        Y = np.eye(3)[y]
    expected = head.initial_raw(Y, 1 + np.arange(60) % 2)
    if isinstance(head, Quantile):  # distances between levels are in units of the data
        np.testing.assert_allclose(model.predict(X), head.predict(np.tile(expected, (60, 1)))[:, 0])
    else:
        np.testing.assert_allclose(model.intercepts_[-1], expected, rtol=1e-6, atol=1e-8)
    assert model.loss_ == pytest.approx(
        np.average(head.loss(np.tile(expected, (60, 1)), Y), weights=1 + np.arange(60) % 2)
    )


@unconverged
def test_output_starts_from_the_rows_that_are_trained_on():
    X, y = data_for(Linear())
    settings = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}
    settings["early_stopping"] = True
    model = estimator_for(Linear(), initial_output="data", **settings).fit(X, y)
    assert model.intercepts_[-1][0] != pytest.approx(y.mean(), rel=1e-6)
    again = model.intercepts_[-1].copy()
    model.set_params(warm_start=True).fit(X, y + 100)
    np.testing.assert_allclose(model.intercepts_[-1], again)  # it starts where it was


@unconverged
@over_numbers
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_target_of_a_large_unit_trains_without_a_scaler(head, solver):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    signal = X[:, 0] - np.abs(X[:, 1]) + 0.1 * rng.normal(size=300)
    positive = not isinstance(head, Linear) and not head.domain.allows(-1.0)
    y = 1e5 * np.exp(0.3 * signal) if positive else 1e5 + 2e4 * signal
    settings = {"learning_rate_init": 0.01, "max_iter": 100, "solver": solver}
    if isinstance(head, Huber):
        head = Huber(delta=2e4)
    if isinstance(head, Tweedie) and head.power > 2:
        y = y / 1e5  # as a GLM's, its loss is in units of y^(2 - power): alpha would go with them
    model = estimator_for(head, hidden_layer_sizes=(20,), initial_output="data", **settings)
    assert model.fit(X, y).score(X, y) > 0.8


@unconverged
@pytest.mark.parametrize("head", ["linear", "absolute_error", "huber", "gaussian", "quantile"])
def test_target_far_from_zero_trains_without_a_scaler(head):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = 1e5 + X[:, 0] - np.abs(X[:, 1]) + 0.1 * rng.normal(size=300)
    settings = {"hidden_layer_sizes": (20,), "learning_rate_init": 0.01, "max_iter": 60}
    scores = [
        MLPRegressor(head=head, initial_output=start, random_state=0, **settings)
        .fit(X, y)
        .score(X, y)
        for start in (None, "data")
    ]
    assert scores[0] < 0 < 0.8 < scores[1]


def test_initial_output_is_checked():
    with pytest.raises(ValueError, match=r"'initial_output' parameter .* must be None or 'data'"):
        MLPRegressor(initial_output="none of them").fit([[0.0], [1.0]], [0.0, 1.0])


@unconverged
def test_default_start_draws_the_same_numbers():
    X, y = data_for(Linear())
    plain, data = (estimator_for(Linear(), initial_output=start) for start in (None, "data"))
    plain.set_params(learning_rate_init=1e-300).fit(X, y)
    data.set_params(learning_rate_init=1e-300).fit(X, y)
    np.testing.assert_array_equal(plain.coefs_[0], data.coefs_[0])
    np.testing.assert_allclose(plain.coefs_[1] * np.std(y), data.coefs_[1], rtol=1e-12)


@dataclass(frozen=True)
class SmoothError(Head):
    unit: float = 1.0

    def loss(self, raw, y):
        return np.sum(np.log(np.cosh((raw - y) / self.unit)), axis=1)


# The head of a target, and that of the target in units of which 2e4 make one.
OF_ANY_UNIT = [
    (Linear(), Linear()),
    (AbsoluteError(), AbsoluteError()),
    (Huber(0.5), Huber(0.5 * 2e4)),
    (Quantile(0.8), Quantile(0.8)),
    (Gaussian(), Gaussian()),
    (Laplace(), Laplace()),
    (StudentT(3.0), StudentT(3.0)),
    (SmoothError(), SmoothError(2e4)),
]


@unconverged
@pytest.mark.parametrize(("head", "scaled"), OF_ANY_UNIT, ids=str)
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("k", [1, 2])
def test_units_of_the_target_do_not_matter(head, scaled, solver, k):
    X, y = data_for(head, k=k)
    settings = {"solver": solver, "initial_output": "data", "alpha": 0.1, "max_iter": 5}
    one, other = estimator_for(head, **settings), estimator_for(scaled, **settings)
    expected = 1e5 + 2e4 * one.fit(X, y).predict(X)
    found = other.fit(X, 1e5 + 2e4 * y).predict(X)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not np.allclose(found, np.mean(found, axis=0), rtol=1e-6)


@unconverged
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_units_stay_in_warm_starts_and_streams(solver):
    X, y = data_for(Linear())
    settings = {"solver": solver, "initial_output": "data", "max_iter": 3}

    def predicted(unit):
        model = estimator_for(Linear(), warm_start=True, **settings)
        model.fit(X, unit * y).fit(X, unit * y)
        stream = estimator_for(Linear(), **settings)
        for _ in range(3):
            stream = pickle.loads(pickle.dumps(stream)).partial_fit(X, unit * y)
        return np.stack([model.predict(X), stream.predict(X)]) / unit

    np.testing.assert_allclose(predicted(1e5), predicted(1.0), rtol=1e-8)


@unconverged
def test_loss_is_that_of_the_target_in_its_own_units():
    X, y = data_for(Linear())
    model = estimator_for(Linear(), initial_output="data", solver="lbfgs", alpha=0)
    model.fit(X, 1e3 * y)
    error = 1e3 * y - model.predict(X)
    assert model.loss_ == pytest.approx(0.5 * np.mean(np.square(error)))
    assert model.loss_curve_[-1] == pytest.approx(model.loss_)


@over_all
def test_units_are_finite_and_positive(head):
    k = 2 if "numbers" in head.targets else 3
    y = numbers_for(head, (40, k)) if k == 2 else np.eye(3)[np.arange(40) % 3]
    for target in (y, np.tile(y[:1], (40, 1))):
        units = OutputScale.of(head, target, None)
        assert units.raw.shape == units.start.shape == (head.n_raw(k),)
        assert np.all(units.raw > 0)
        assert 0 < units.loss < np.inf


# -------------------- classifiers


@unconverged
@over_classes
def test_classifier_tells_classes_and_probabilities(head):
    X, y = data_for(head, 120)
    names = y if head.is_ordered else np.array(["a", "b", "c"])[y]
    model = estimator_for(head, max_iter=100, learning_rate_init=0.02, initial_output="data").fit(
        X, names
    )
    assert model.score(X, names) == np.mean(model.predict(X) == names) > 0.6
    assert set(model.predict(X)) <= set(model.classes_)
    for method in ("predict_proba", "predict_log_proba"):
        assert hasattr(model, method) == hasattr(estimator_for(head), method)
        assert hasattr(model, method) == head.has_probabilities
    assert hasattr(model, "decision_function") != head.has_probabilities
    if head.has_probabilities:
        p = model.predict_proba(X)
        assert p.shape == (120, len(model.classes_))
        np.testing.assert_allclose(p.sum(axis=1), 1)
        np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), p)


@unconverged
@pytest.mark.parametrize("name", ["logistic", "brier"])
def test_labels_exclude_nothing(name):
    X, _ = data_for(Linear(), 80)
    Y = np.c_[X[:, 0] > 0, X[:, 1] > 0, X[:, 0] + X[:, 1] > 0].astype(int)
    model = MLPClassifier((), head=name, solver="lbfgs", max_iter=200, random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.8
    assert model.predict_proba(X).shape == (80, 3)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)


@unconverged
@pytest.mark.parametrize("name", ["softmax", "ordinal", "focal", "hinge", "logistic", "brier"])
def test_one_class_is_predicted_alone(name):
    X = np.random.default_rng(0).normal(size=(10, 2))
    model = MLPClassifier((3,), head=name, max_iter=3, initial_output="data").fit(X, ["a"] * 10)
    assert set(model.predict(X)) == {"a"}
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(model.predict_proba(X), 1)


@unconverged
def test_scores_of_a_hinge_classifier_rank_and_calibrate():
    X, y = data_for(Hinge(), 200)
    model = estimator_for(Hinge(), max_iter=60, learning_rate_init=0.02).fit(X, y)
    np.testing.assert_array_equal(np.argmax(model.decision_function(X), axis=1), model.predict(X))
    assert model.decision_function(X).shape == (200, 3)
    two = estimator_for(Hinge(), max_iter=60, learning_rate_init=0.02).fit(X, y > 1)
    np.testing.assert_array_equal(two.decision_function(X) > 0, two.predict(X))
    assert metrics.roc_auc_score(y > 1, two.decision_function(X)) > 0.8
    calibrated = CalibratedClassifierCV(estimator_for(Hinge()), cv=2).fit(X, y > 1)
    assert calibrated.predict_proba(X).shape == (200, 2)


def test_univariate_example_of_least_squares_after_a_logistic_output():
    """L = (s(w x + b) - t)^2 / 2 has dL/dw = (s - t) s (1 - s) x."""
    x, t, w, b = 1.3, 1.0, 0.7, -0.2
    model = MLPClassifier((), head="brier", solver="sgd", learning_rate_init=1e-6, alpha=0)
    model.set_params(momentum=0, max_iter=1, tol=0, random_state=0)
    X, y = [[x], [x]], [1, 0]
    with pytest.warns():
        model.fit(X, y)
    model.coefs_, model.intercepts_ = [np.array([[w]])], [np.array([b])]
    nodes = model.computation_graph([[x]], [t]).nodes
    gradients = {node.name: node.gradient for node in nodes}
    s = special.expit(w * x + b)
    np.testing.assert_allclose(gradients["W1"], [[(s - t) * s * (1 - s) * x]])
    np.testing.assert_allclose(gradients["b1"], [(s - t) * s * (1 - s)])


# -------------------- searching, pickling, heads of one's own


@unconverged
def test_heads_are_searched():
    X, y = data_for(Gaussian(), 60)
    grid = {"head": ["linear", Huber(0.5), Huber(2.0), Quantile([0.1, 0.5, 0.9]), "gaussian"]}
    search = GridSearchCV(estimator_for(Linear()), grid, cv=2).fit(X, y)
    assert search.best_params_["head"] in grid["head"]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


SCRIPT = """
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import GridSearchCV

from skmlp import Head, MLPRegressor, check_gradient, check_head


@dataclass(frozen=True)
class Expectile(Head):
    tau: float = 0.5

    def loss(self, raw, y):
        error = y - raw
        return np.sum(np.where(error > 0, self.tau, 1 - self.tau) * np.square(error), axis=1)


class LogCosh(Head):
    def loss(self, raw, y):
        error = np.abs(raw - y)
        return np.sum(error + np.log1p(np.exp(-2 * error)), axis=1)


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = X[:, 0] + rng.normal(size=80)
    for head in (Expectile(0.2), LogCosh()):
        check_head(head)
        check_gradient(lambda raw: head.loss(raw, y[:5, None]), rng.normal(size=(5, 1)))
    network = MLPRegressor((3,), solver="lbfgs", max_iter=500, random_state=0)
    grid = {"head": [Expectile(0.1), Expectile(0.5), Expectile(0.9), LogCosh()]}
    search = GridSearchCV(network, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    print(search.best_params_["head"], search.predict(X[:2]).shape)
"""


def test_head_of_a_script_is_searched_in_two_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "(2,)" in done.stdout
    assert "Expectile(tau=0.5)" in done.stdout or "LogCosh()" in done.stdout


@unconverged
def test_estimator_with_an_importable_head_is_pickled(tmp_path, monkeypatch):
    (tmp_path / "expectiles.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    kind = importlib.import_module("expectiles").Expectile
    X, y = data_for(Linear())
    model = estimator_for(kind(0.3)).fit(X, y)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.head_ == kind(0.3)
    np.testing.assert_array_equal(copied.predict(X), model.predict(X))


def test_head_of_ones_own_with_a_distribution_has_all_answers():
    class Logistics(Head):
        """Logistic noise of scale 1."""

        def loss(self, raw, y):
            z = y - raw
            return np.sum(z + 2 * np.logaddexp(0, -z), axis=1)

        def distribution(self, raw):
            return stats.logistic(loc=raw)

    assert len(check_head(Logistics())) == 8
    X, y = data_for(Linear())
    with pytest.warns():
        model = estimator_for(Logistics()).fit(X, y)
    assert model.predict_interval(X).shape == (60, 2)
    np.testing.assert_allclose(model.predict_distribution(X).mean(), model.predict(X))


def test_head_without_a_loss_is_told():
    with pytest.raises(NotImplementedError, match=r"Head must define loss\(raw, y\)"):
        Head().loss(np.zeros((1, 1)), np.zeros((1, 1)))
    with pytest.raises(NotImplementedError, match="Linear has no distribution"):
        Linear().distribution(np.zeros((1, 1)))


def with_methods(**methods):
    return type("Mine", (Plain,), methods)()


WRONG = {
    "a loss for each output": (
        {"loss": lambda self, raw, y: np.square(raw - y)},
        r"of shape \(n,\), got <expression square of shape \(n, 2\)>: sum over the outputs",
    ),
    "a mean loss": (
        {"loss": lambda self, raw, y: np.mean(np.square(raw - y))},
        r"one number for each sample, of shape \(n,\), got <expression divide of shape \(\)>",
    ),
    "no loss": ({"loss": lambda self, raw, y: None}, "one number for each sample.* got None"),
    "an array": ({"loss": lambda self, raw, y: np.ones(40)}, "an array, which raw has no part in"),
    "an error": ({"loss": lambda self, raw, y: {}["x"]}, r"loss\(raw, y\) .* raised KeyError: 'x'"),
    "no y": ({"loss": lambda self, raw: raw}, r"loss\(raw, y\) .* raised TypeError: "),
    "no raw outputs": ({"n_raw": lambda self, n: 0}, r"n_raw\(2\), .* >= 1, got 0"),
    "None raw outputs": ({"n_raw": lambda self, n: None}, r"n_raw\(2\), .* >= 1, got None"),
    "half a raw output": ({"n_raw": lambda self, n: 1.5}, r"n_raw\(2\), .* >= 1, got 1\.5"),
    "many constant": ({"n_constant": lambda self, n: n + 1}, r"n_constant\(2\), .*0 to 2, got 3"),
    "None constant": ({"n_constant": lambda self, n: None}, r"n_constant\(2\), .* got None"),
    "a start of one": (
        {"initial_raw": lambda self, y, weights=None: np.mean(y)},
        r"initial_raw\(y, weights\) must return 2 finite numbers",
    ),
    "a start of NaN": (
        {"initial_raw": lambda self, y, weights=None: np.array([0.0, np.nan])},
        r"initial_raw\(y, weights\) must return 2 finite numbers.*nan",
    ),
    "no unit": (
        {"raw_unit": lambda self, y, weights=None: None},
        r"raw_unit\(y, weights\) must return 2 finite numbers.*None",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_fit_tells_what_is_wrong_with_a_head(method, wrong):
    methods, told = WRONG[wrong]
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    model = MLPRegressor(head=with_methods(**methods), initial_output="data")
    with pytest.raises((ValueError, TypeError), match=rf"^head=Mine\(\): .*{told}") as error:
        getattr(model, method)(X, y)
    assert not hasattr(model, "coefs_")
    assert error.value.__cause__ is not None or "raised" not in told
