"""What `predict_distribution` returns: every method of a frozen distribution of scipy.stats."""

import itertools
import math
import pickle

import numpy as np
import pytest
from scipy import integrate, stats

from skmlp.heads import (
    HEADS,
    Gamma,
    GaussianMixture,
    Mixture,
    NegativeBinomial,
    Poisson,
    PoissonGamma,
    StudentT,
    Tweedie,
    for_one_target,
)

WITH_DISTRIBUTION = [kind() for kind in HEADS.values() if kind().has_distribution]
WITH_DISTRIBUTION += [
    Tweedie(1.1),
    Tweedie(1.9),
    Tweedie(0),
    Tweedie(1),
    Tweedie(2),
    Tweedie(3),
    Gamma(0.3),
    NegativeBinomial(0.5),
    NegativeBinomial(1e-17),
    StudentT(5),
    GaussianMixture(1),
]
over_distributions = pytest.mark.parametrize("head", WITH_DISTRIBUTION, ids=str)
OURS = [
    Mixture([0.2, 0.5, 0.3], [-3.0, 0.0, 40.0], [0.5, 1.0, 2.0]),
    Mixture([0.5, 0.5], [0.0, 0.1], [1e-3, 3.0]),
    *(
        PoissonGamma(m, d, p)
        for p in (1.1, 1.5, 1.9)
        for m, d in ((2.0, 1.0), (0.1, 3.0), (90, 0.3))
    ),
]
over_ours = pytest.mark.parametrize(
    "frozen", OURS, ids=[f"{type(f).__name__}{i}" for i, f in enumerate(OURS)]
)


def frozen_of(head, n=3, seed=0):
    return head.distribution(0.4 * np.random.default_rng(seed).normal(size=(n, head.n_raw(1))))


@over_distributions
def test_every_method_of_a_frozen_distribution_is_there(head):
    frozen = for_one_target(frozen_of(head))
    is_discrete = hasattr(frozen, "pmf")
    x = frozen.ppf(0.6)
    names = [
        "logcdf",
        "cdf",
        "sf",
        "logsf",
        *(["pmf", "logpmf"] if is_discrete else ["pdf", "logpdf"]),
    ]
    for name in names:
        assert getattr(frozen, name)(x).shape == (3,)
    for name in ("ppf", "isf"):
        assert getattr(frozen, name)(0.3).shape == (3,)
    for name in ("mean", "median", "var", "std", "entropy"):
        assert np.shape(getattr(frozen, name)()) == (3,)
    assert all(np.shape(part) in ((), (3,)) for part in frozen.support())
    assert all(np.shape(part) == (3,) for part in frozen.stats(moments="mv"))
    assert len(frozen.stats(moments="mvsk")) == 4
    assert np.shape(frozen.moment(2)) == (3,)
    assert frozen.rvs(size=(5, 3), random_state=0).shape == (5, 3)
    assert np.shape(frozen.interval(0.9)) == (2, 3)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(frozen)).ppf(0.3), frozen.ppf(0.3))


@over_distributions
def test_both_tails_and_their_logarithms_agree(head):
    frozen = frozen_of(head)
    x = np.stack([frozen.ppf(q) for q in (0.01, 0.3, 0.9, 0.999)])
    np.testing.assert_allclose(frozen.cdf(x) + frozen.sf(x), 1)
    np.testing.assert_allclose(np.exp(frozen.logcdf(x)), frozen.cdf(x), rtol=1e-9)
    np.testing.assert_allclose(np.exp(frozen.logsf(x)), frozen.sf(x), rtol=1e-9)
    if not hasattr(frozen, "pmf"):
        above = np.minimum(frozen.sf(0.0), 0.2) if isinstance(frozen, PoissonGamma) else 0.2
        np.testing.assert_allclose(frozen.sf(frozen.isf(above)), above, rtol=1e-8)


LEVELS = np.array([1e-12, 1e-6, 0.05, 0.5, 0.95, 1 - 1e-6])


@over_distributions
def test_quantiles_increase_and_means_are_predictions_at_extreme_parameters(head):
    logs = [-20.0, -9.2, -3.0, 0.0, 3.0, 9.2, 20.0]
    raw = np.array(np.meshgrid(logs, logs)).reshape(2, -1).T
    raw = np.tile(raw, (1, head.n_raw(1)))[:, : head.n_raw(1)]
    if head == HEADS["lognormal"]():  # whose mean is capped where scales are large
        raw[:, 1] = np.minimum(raw[:, 1], 1.0)
    with np.errstate(all="ignore"):  # as estimators have it
        frozen, quantiles = head.distribution(raw), head.quantile(raw, LEVELS.tolist())[:, 0]
    assert np.all(np.diff(quantiles, axis=1) >= -1e-15 * np.abs(quantiles[:, 1:]))
    for level, quantile in zip(LEVELS, quantiles.T, strict=True):
        step = 1e-9 * np.abs(quantile) + 1e-300  # a quantile is rounded itself
        assert np.all(frozen.cdf((quantile + step)[:, None])[:, 0] >= level - 1e-6)
    np.testing.assert_allclose(frozen.mean(), head.predict(raw), rtol=1e-9, atol=1e-300)


@over_ours
def test_moments_are_expectations(frozen):
    mean, variance, skewness, kurtosis = frozen.stats(moments="mvsk")
    assert frozen.expect(lambda x: 1.0 + 0 * x) == pytest.approx(1, abs=1e-9)
    assert frozen.expect() == pytest.approx(frozen.mean(), rel=1e-9)
    assert mean == pytest.approx(frozen.mean())
    central = [frozen.expect(lambda x, n=n: (x - mean) ** n) for n in (2, 3, 4)]
    assert central[0] == pytest.approx(variance, rel=1e-8)
    assert central[1] / variance**1.5 == pytest.approx(skewness, rel=1e-7)
    assert central[2] / variance**2 - 3 == pytest.approx(kurtosis, rel=1e-7, abs=1e-7)
    for n in (1, 2, 3):
        assert frozen.moment(n) == pytest.approx(frozen.expect(lambda x, n=n: x**n), rel=1e-8)
    assert frozen.stats(moments="k") == kurtosis


@over_ours
def test_expectations_between_ends_are_those_of_quadrature(frozen):
    low, high = float(frozen.ppf(0.4)), float(frozen.isf(0.2))
    places = sorted(float(frozen.ppf(q)) for q in np.linspace(0.4, 0.8, 9))
    parts = [
        integrate.quad(lambda x: math.cos(x) * float(frozen.pdf(x)), a, b, limit=200)[0]
        for a, b in itertools.pairwise(places)
        if b > a
    ]
    atom = float(frozen.pdf(0.0)) if isinstance(frozen, PoissonGamma) and low == 0 else 0.0
    found = frozen.expect(np.cos, lb=low, ub=high)
    assert found == pytest.approx(math.fsum(parts) + atom, rel=1e-6)
    assert frozen.expect(math.cos, lb=low, ub=high) == pytest.approx(found)  # one by one
    inside = frozen.cdf(high) - frozen.cdf(low) + atom
    assert frozen.expect(np.cos, lb=low, ub=high, conditional=True) == pytest.approx(found / inside)


@over_ours
@pytest.mark.parametrize("q", [1e-3, 1e-20, 1e-100, 1e-250])
def test_the_far_tail_is_the_integral_of_the_density(frozen, q):
    x = float(frozen.isf(q))
    assert frozen.sf(x) == pytest.approx(q, rel=1e-8)
    assert frozen.logsf(x) == pytest.approx(math.log(q), rel=1e-9)
    if q < 1e-3 and isinstance(frozen, PoissonGamma):
        ratio, _ = integrate.quad(
            lambda t: math.exp(frozen.logpdf(x + t) - frozen.logpdf(x)), 0, np.inf, limit=500
        )
        assert frozen.sf(x) == pytest.approx(ratio * float(frozen.pdf(x)), rel=1e-6)


def test_entropy_of_one_component_is_that_of_the_normal_distribution():
    one = Mixture([1.0], [2.0], [3.0])
    assert one.entropy() == pytest.approx(stats.norm(2, 3).entropy())
    assert one.logsf(200.0) == pytest.approx(stats.norm(2, 3).logsf(200.0))
    assert one.stats(moments="mvsk") == pytest.approx((2, 9, 0, 0))
    assert one.support() == (-np.inf, np.inf)
    assert PoissonGamma(1.0, 1.0, 1.5).support() == (0, np.inf)


@pytest.mark.parametrize("frozen", [OURS[0], OURS[-1]], ids=["mixture", "sums"])
def test_wrong_arguments_are_refused_in_a_sentence(frozen):
    with pytest.raises(ValueError, match="order that is a whole number >= 1, got 0"):
        frozen.moment(0)
    with pytest.raises(ValueError, match="letters of 'mvsk', got moments='x'"):
        frozen.stats(moments="x")


@pytest.mark.parametrize("mu", [0.1, 1.0, 30.0])
def test_inverse_gaussian_is_that_of_scipy_where_that_is_right(mu):
    ours, scipys = Tweedie(3).distribution(np.log([[mu, 1.0]])), stats.invgauss(mu)
    x = mu * np.array([[0.1], [0.9], [1.1], [5.0]])
    for name in ("pdf", "cdf", "sf", "logsf"):
        np.testing.assert_allclose(getattr(ours, name)(x), getattr(scipys, name)(x), rtol=1e-9)
    np.testing.assert_allclose(ours.ppf([[0.01], [0.9]]), scipys.ppf([[0.01], [0.9]]), rtol=1e-9)


def test_inverse_gaussian_of_little_dispersion_is_normal():
    frozen = Tweedie(3).distribution(np.log([[1e-4, 1e-12]]))
    for q in (1e-9, 0.05, 0.5, 0.95):
        normal = stats.norm(frozen.mean(), frozen.std()).ppf(q)
        np.testing.assert_allclose(frozen.ppf(q), normal, rtol=1e-9)
    assert np.all(frozen.ppf(0.05) < frozen.ppf(0.5))
    assert frozen.sf(frozen.isf(1e-100)) == pytest.approx(1e-100, rel=1e-5)


def test_counts_of_almost_no_dispersion_are_those_of_poisson():
    for mean in (1e-4, 1.0, 300.0):
        ours, poisson = (
            head.distribution(np.full((1, 1), math.log(mean)))
            for head in (NegativeBinomial(1e-17), Poisson())
        )
        assert ours.mean() == pytest.approx(mean, rel=1e-12)
        assert ours.var() == pytest.approx(mean, rel=1e-7)
        for k in range(3):
            assert ours.pmf(k) == pytest.approx(poisson.pmf(k), rel=1e-5)


def test_large_counts_have_quantiles():
    frozen = Poisson().distribution(np.array([[28.8], [33.0]]))
    for q in (0.05, 0.5, 0.95):
        np.testing.assert_allclose(frozen.cdf(frozen.ppf(q)), q, atol=1e-6)
