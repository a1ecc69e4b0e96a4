r"""Heads for regression whose answer is a distribution of the target.

The law: the loss is minus the logarithm of the density, `distribution` is that very distribution,
and `predict` is its mean. Poisson, and Tweedie of power 1 or without a dispersion, have
scikit-learn's numbers, which leave out a function of y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import special, stats

from ..engine import log_softmax, logsumexp, softmax
from .frozen import Mixture, PoissonGamma
from .head import (
    LIMIT,
    NUMBERS,
    POSITIVE,
    ZERO_OR_POSITIVE,
    Domain,
    Head,
    best_constant,
    blocks,
    bounded,
    is_count,
    is_number,
    log_above,
    mean,
    spread,
    weighted_quantile,
)
from .series import HALF_LOG_2PI, exp, half_deviance, log_density_at_mean, stirling

_LARGEST_LOG = 80.0  # exp(80) is finite in float32 too
_LARGEST_SKEW = 20.0  # no mean is more than exp(20) medians
_UNIT_OF_LOG_SCALES = 0.5  # noise varies with the inputs less than the target does


def _wide(raw: Any) -> np.ndarray:
    return np.asarray(raw, np.float64)


# == a location and a scale ========================================================================


@dataclass(frozen=True)
class _LocationScale(Head):
    """Two raw outputs for each target: a location, and the logarithm of a scale."""

    def n_raw(self, n_targets: int) -> int:
        """Return two for each target."""
        return 2 * n_targets

    def predict(self, raw: Any) -> Any:
        """Return the mean, which is the location."""
        return blocks(raw, 2)[0]

    def _standardized(self, raw: Any, y: Any) -> tuple[Any, Any]:
        """Return (y - location) / scale, and the logarithm of the scale."""
        location, log_scale = blocks(raw, 2)
        log_scale = bounded(log_scale)
        return (y - location) * np.exp(-log_scale), log_scale

    def _location_scale(self, raw: Any) -> tuple[Any, Any]:
        location, log_scale = blocks(raw, 2)
        return location, np.exp(bounded(log_scale))

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the standard deviation of the target for locations, 1/2 for logarithms."""
        return np.concatenate([spread(y, weights), np.full(y.shape[1], _UNIT_OF_LOG_SCALES)])


@dataclass(frozen=True)
class Gaussian(_LocationScale):
    """Regression with normal noise whose scale depends on the inputs.

    Loss: sum over outputs of z^2 / 2 + log(scale) + log(2 pi) / 2, with z = (y - mean) / scale.
    Domain: all numbers. Link: identity for the mean, log for the scale, which grows slowly
    outside exp(+-20). Two raw outputs for each target, all means first; `predict` is the mean.
    Nix and Weigend, "Estimating the mean and variance of the target probability distribution",
    ICNN 1994.

    Examples
    --------
    >>> raw = np.array([[3.0, 0.0]])
    >>> Gaussian().loss(raw, np.array([[3.0]])).round(4)
    array([0.9189])
    >>> Gaussian().distribution(raw).interval(0.9)[1].round(3)
    array([[4.645]])
    """

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        z, log_scale = self._standardized(raw, y)
        return np.sum(0.5 * np.square(z) + log_scale + HALF_LOG_2PI, axis=1)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return normal distributions."""
        location, scale = self._location_scale(_wide(raw))
        return stats.norm(location, scale)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the mean, and the logarithm of the standard deviation."""
        average = mean(y, weights)
        deviation = np.sqrt(mean(np.square(y - average), weights))
        return np.concatenate([average, log_above(deviation)])


@dataclass(frozen=True)
class Laplace(_LocationScale):
    """Regression to the median with double exponential noise, whose scale depends on the inputs.

    Loss: sum over outputs of abs(y - location) / scale + log(2 scale). Domain: all numbers. Link:
    identity for the location, log for the scale, which grows slowly outside exp(+-20). Two raw
    outputs for each target, all locations first; `predict` is the location, the mean and median.
    Kotz, Kozubowski and Podgorski, The Laplace Distribution and Generalizations (2001).

    Examples
    --------
    >>> Laplace().loss(np.array([[3.0, 0.0]]), np.array([[5.0]])).round(4)
    array([2.6931])
    """

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        z, log_scale = self._standardized(raw, y)
        return np.sum(np.abs(z) + log_scale + math.log(2), axis=1)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return Laplace distributions."""
        location, scale = self._location_scale(_wide(raw))
        return stats.laplace(location, scale)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the median, and the logarithm of the mean distance from it."""
        median = weighted_quantile(y, weights, 0.5)
        return np.concatenate([median, log_above(mean(np.abs(y - median), weights))])


@dataclass(frozen=True)
class StudentT(_LocationScale):
    """Regression with heavy-tailed noise, robust to outliers, whose scale depends on the inputs.

    Loss, with z = (y - location) / scale and the constant C of Student's density: sum over
    outputs of (df + 1) / 2 log(1 + z^2 / df) + log(scale) + C. Domain: all numbers. Link:
    identity for the location, log for the scale, which grows slowly outside exp(+-20). Two raw
    outputs for each target, all locations first; `predict` is the location, which is the median,
    and the mean where there is one. Lange, Little and Taylor, "Robust statistical modeling using
    the t distribution", JASA 84 (1989).

    Parameters
    ----------
    df : float, default=5.0
        The degrees of freedom; positive. The mean is finite above 1, the variance above 2; a
        large number is `Gaussian`.

    Raises
    ------
    ValueError
        If `df` is not a positive number.

    Examples
    --------
    >>> StudentT(df=1.0).loss(np.array([[3.0, 0.0]]), np.array([[3.0]])).round(4)
    array([1.1447])
    """

    df: float = 5.0

    def __post_init__(self) -> None:
        """Check the parameter."""
        if not (is_number(self.df) and self.df > 0):
            raise ValueError(f"StudentT needs a df that is a number > 0, got {self.df!r}")

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        df = float(self.df)
        z, log_scale = self._standardized(raw, y)
        constant = 0.5 * math.log(math.pi) + 0.5 * math.log(df)
        constant += math.lgamma(0.5 * df) - math.lgamma(0.5 * (df + 1))
        tails = 0.5 * (df + 1) * np.log1p(np.square(z) / df)
        return np.sum(tails + log_scale + constant, axis=1)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return Student's t distributions."""
        location, scale = self._location_scale(_wide(raw))
        return stats.t(float(self.df), location, scale)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the best location and scale, found from those of `Laplace`."""
        return best_constant(self, y, weights, Laplace().initial_raw(y, weights))


@dataclass(frozen=True)
class LogNormal(_LocationScale):
    """Regression of positive numbers whose logarithm has normal noise: incomes, sizes, times.

    Loss: that of `Gaussian` for log(y), plus log(y). Domain: y > 0. Link: identity for the mean
    of log(y), log for its scale, which grows slowly outside exp(+-20). Two raw outputs for each
    target, all locations first; `predict` is the mean of y, exp(location + scale^2 / 2), where
    scale^2 / 2 counts as 20 at most. Limpert, Stahel and Abbt, "Log-normal distributions across
    the sciences", BioScience 51 (2001).

    Examples
    --------
    >>> LogNormal().predict(np.array([[0.0, 0.0]])).round(4)
    array([[1.6487]])
    """

    domain: ClassVar[Domain] = POSITIVE

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        log_y = np.log(y)
        return Gaussian().loss(raw, log_y) + np.sum(log_y, axis=1)

    def predict(self, raw: Any) -> Any:
        """Return the mean."""
        location, scale = self._location_scale(raw)
        skew = np.minimum(0.5 * np.square(scale), _LARGEST_SKEW)
        return np.exp(np.minimum(location + skew, _LARGEST_LOG))

    def distribution(self, raw: np.ndarray) -> Any:
        """Return log-normal distributions."""
        location, scale = self._location_scale(_wide(raw))
        return stats.lognorm(scale, scale=np.exp(np.minimum(location, _LARGEST_LOG)))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the mean and the logarithm of the standard deviation of log(y)."""
        return Gaussian().initial_raw(np.log(_wide(y)), weights)

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the standard deviation of log(y) for locations, 1/2 for logarithms."""
        return super().raw_unit(np.log(_wide(y)), weights)


@dataclass(frozen=True)
class GaussianMixture(Head):
    """Regression with a mixture of normal distributions: several peaks, skew, any shape.

    Loss: minus the logarithm of the sum of the components' densities, each times its share;
    summed over outputs. Domain: all numbers. Link: softmax for the shares, identity for the means,
    log for the scales, which grow slowly outside exp(+-20). Three raw outputs for each target and
    component, all logits of shares first, then means, then logarithms of scales; `predict` is the
    mean of the mixture. Best on a target of unit scale, or with `initial_output="data"`, which
    spreads the components over the data. Bishop, "Mixture density networks" (1994).

    Parameters
    ----------
    n_components : int, default=3
        The number of components.

    Raises
    ------
    ValueError
        If `n_components` is not a whole number >= 1.

    Examples
    --------
    >>> two = GaussianMixture(n_components=2).distribution(np.array([[0, 0, -2.0, 2.0, 0, 0]]))
    >>> two.mean(), two.ppf(0.5).round(3) + 0.0
    (array([[0.]]), array([[0.]]))
    """

    n_components: int = 3

    def __post_init__(self) -> None:
        """Check the parameter."""
        if not is_count(self.n_components):
            raise ValueError(
                "GaussianMixture needs n_components that is a whole number >= 1, "
                f"got {self.n_components!r}"
            )

    def n_raw(self, n_targets: int) -> int:
        """Return three for each target and component."""
        return 3 * int(self.n_components) * n_targets

    def _parts(self, raw: Any) -> list[Any]:
        """Return logits, means and logarithms of scales, of shape (n, n_components, n_targets)."""
        n = int(self.n_components)
        k = raw.shape[1] // (3 * n)
        logits, means, log_scales = (part.reshape(-1, n, k) for part in blocks(raw, 3))
        return [logits, means, bounded(log_scales)]

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        logits, means, log_scales = self._parts(raw)
        z = (y[:, None, :] - means) * np.exp(-log_scales)
        each = log_softmax(logits, axis=1) - log_scales - 0.5 * np.square(z)
        return np.sum(HALF_LOG_2PI - logsumexp(each, axis=1), axis=1)

    def predict(self, raw: Any) -> Any:
        """Return the mean."""
        logits, means, _ = self._parts(raw)
        return np.sum(softmax(logits, axis=1) * means, axis=1)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return mixtures, with the methods of a frozen SciPy distribution."""
        logits, means, log_scales = (np.moveaxis(part, 1, 2) for part in self._parts(_wide(raw)))
        return Mixture(softmax(logits), means, np.exp(log_scales))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return mixtures fitted from components spread over the quantiles.

        No scale is less than a thousandth of the standard deviation, so that no component ends
        on a single value.
        """
        n = int(self.n_components)
        parts = []
        for column in _wide(y).T[:, :, None]:
            log_scale = Gaussian().initial_raw(column, weights)[1]
            least = log_scale - math.log(1e3)
            start = self._near(column, weights, least)
            bounds = [(-LIMIT, LIMIT)] * n + [(-np.inf, np.inf)] * n + [(least, np.inf)] * n
            parts.append(best_constant(self, column, weights, start, bounds))
        return np.stack(parts, axis=1).ravel()

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return 1 for logits, the target's standard deviation for means, 1/2 for logarithms."""
        n, k = int(self.n_components), y.shape[1]
        log_scales = np.full(n * k, _UNIT_OF_LOG_SCALES)
        return np.concatenate([np.ones(n * k), np.tile(spread(y, weights), n), log_scales])

    def _near(self, y: np.ndarray, weights: np.ndarray | None, least: float) -> np.ndarray:
        """Improve a mixture from components at the quantiles, by expectation and maximization.

        Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
        JRSS B 39 (1977).
        """
        n = int(self.n_components)
        total = np.ones((len(y), 1)) if weights is None else _wide(weights)[:, None]
        means = np.array([weighted_quantile(y, weights, (i + 0.5) / n)[0] for i in range(n)])
        scales = np.full(n, np.exp(Gaussian().initial_raw(y, weights)[1]) / n)
        logits = np.zeros(n)
        for _ in range(50):
            shares = total * softmax(logits - np.log(scales) - 0.5 * ((y - means) / scales) ** 2)
            sums = np.maximum(np.sum(shares, axis=0), np.exp(-LIMIT))
            means = np.sum(shares * y, axis=0) / sums
            variances = np.sum(shares * np.square(y - means), axis=0) / sums
            scales = np.maximum(np.sqrt(variances), np.exp(least))
            logits = np.log(sums / np.sum(sums))
        return np.concatenate([logits, means, log_above(scales)])


# == a mean on a logarithmic scale, and a dispersion ===============================================


@dataclass(frozen=True)
class Poisson(Head):
    """Regression of counts and rates; the output activation is the exponential.

    Loss, half the Poisson deviance: sum over outputs of y log(y / mean) - y + mean. Domain:
    y >= 0. Link: log, mean = exp(raw) for raw <= 30; above, the mean goes on linearly, as
    exp(30) (raw - 29), so that loss, gradient and prediction stay finite. One raw output for
    each target; `predict` is the mean. Exposure goes into `sample_weight`, y being a rate, as for
    `sklearn.linear_model.PoissonRegressor`; the distribution is that of counts at exposure 1.
    McCullagh and Nelder, Generalized Linear Models (1989).

    Examples
    --------
    >>> Poisson().predict(np.array([[0.0], [1.0]])).round(3)
    array([[1.   ],
           [2.718]])
    """

    domain: ClassVar[Domain] = ZERO_OR_POSITIVE
    out_activation: ClassVar[str] = "exp"

    def log_mean(self, raw: Any) -> Any:
        """Return the logarithm of the mean: raw itself up to 30."""
        return np.minimum(raw, 30) + np.log1p(np.maximum(raw - 30, 0))

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute half the Poisson deviance."""
        log_mean = self.log_mean(raw)
        return np.sum(np.exp(log_mean) - y * log_mean + special.xlogy(y, y) - y, axis=1)

    def predict(self, raw: Any) -> Any:
        """Return the mean."""
        return np.exp(self.log_mean(raw))

    def distribution(self, raw: np.ndarray) -> Any:
        """Return Poisson distributions."""
        return stats.poisson(self.predict(_wide(raw)))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw output of the mean."""
        return log_above(mean(y, weights), 30.0)


@dataclass(frozen=True)
class _Dispersed(Head):
    """A mean on a logarithmic scale, and a second parameter that may be known or learned."""

    out_activation: ClassVar[str] = "exp"

    @property
    def _second(self) -> Any:
        """The second parameter: "constant", "varying", a number, or None where there is none."""
        raise NotImplementedError

    def _check_second(self, name: str, others: str = "") -> None:
        value = self._second
        is_word = isinstance(value, str) and value in ("constant", "varying")
        if not (is_word or (is_number(value) and value > 0)):
            raise ValueError(
                f"{type(self).__name__} needs a {name} that is {others}'constant', 'varying' or a "
                f"number > 0, got {value!r}"
            )

    def n_raw(self, n_targets: int) -> int:
        """Return one for each target, two where the second parameter is learned."""
        return 2 * n_targets if isinstance(self._second, str) else n_targets

    def n_constant(self, n_targets: int) -> int:
        """Return one for each target where the second parameter is the same for all inputs."""
        is_constant = isinstance(self._second, str) and self._second == "constant"
        return n_targets if is_constant else 0

    @property
    def _limit(self) -> float:
        """Up to where the logarithms are raw outputs themselves."""
        return LIMIT

    def _parts(self, raw: Any) -> tuple[Any, Any]:
        """Return the raw output of the mean, and the logarithm of the second parameter."""
        if not isinstance(self._second, str):
            return raw, math.log(self._second or 1)
        location, log_second = blocks(raw, 2)
        return location, bounded(log_second, self._limit)

    def _logarithms(self, raw: Any) -> tuple[Any, Any]:
        """Return the logarithms of the mean and of the second parameter."""
        location, log_second = self._parts(raw)
        return bounded(location, self._limit), log_second

    def predict(self, raw: Any) -> Any:
        """Return the mean."""
        return np.exp(self._logarithms(raw)[0])


@dataclass(frozen=True)
class Gamma(_Dispersed):
    """Regression of positive numbers whose standard deviation is proportional to the mean.

    Loss, with k the shape: the sum over outputs of
    k (y / mean - 1 - log(y / mean)) + log(y) + gammaln(k) + k - k log(k). Domain: y > 0. Link: log,
    for the mean and for the shape; both grow slowly outside exp(+-20). One raw output for each
    target, and after them one for each shape that is learned; `predict` is the mean. The standard
    deviation is mean / sqrt(shape). A constant or known shape leaves the mean what
    `sklearn.linear_model.GammaRegressor` finds. McCullagh and Nelder, Generalized Linear Models
    (1989).

    Parameters
    ----------
    shape : {"constant", "varying"} or float, default="constant"
        Learned, once for all inputs; learned, as a function of the inputs; or known.

    Raises
    ------
    ValueError
        If `shape` is anything else.

    Examples
    --------
    >>> Gamma().distribution(np.array([[np.log(3.0), np.log(4.0)]])).std().round(4)
    array([[1.5]])
    >>> Gamma(shape=1).loss(np.array([[0.0]]), np.array([[2.0]]))
    array([2.])
    """

    domain: ClassVar[Domain] = POSITIVE
    shape: float | str = "constant"

    def __post_init__(self) -> None:
        """Check the parameter."""
        self._check_second("shape")

    @property
    def _second(self) -> Any:
        return self.shape

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        log_mean, log_shape = self._logarithms(raw)
        log_y = np.log(y)
        distance = log_y - log_mean
        if isinstance(self.shape, str):
            shape = np.exp(log_shape)
            rest = stirling(shape) - 0.5 * log_shape
        else:
            shape = float(self.shape)
            rest = float(stirling(shape)) - 0.5 * log_shape
        deviance = shape * (np.expm1(distance) - distance)
        return np.sum(deviance + (log_y + (rest + HALF_LOG_2PI)), axis=1)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return gamma distributions."""
        log_mean, log_shape = self._logarithms(_wide(raw))
        return stats.gamma(np.exp(log_shape), scale=np.exp(log_mean - log_shape))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw outputs of the mean and of the shape of the greatest likelihood.

        The shape k solves log(k) - digamma(k) = log(mean) - mean of log(y), by Newton's method on
        1 / k: Minka, "Estimating a Gamma distribution" (2002).
        """
        average = mean(y, weights)
        if not isinstance(self.shape, str):
            return log_above(average)
        gap = np.maximum(np.log(average) - mean(np.log(_wide(y)), weights), np.exp(-LIMIT))
        shape = (3 - gap + np.sqrt(np.square(gap - 3) + 24 * gap)) / (12 * gap)
        for _ in range(20):
            slope = 1 / shape - special.polygamma(1, shape)
            excess = np.log(shape) - special.digamma(shape) - gap
            shape = 1 / (1 / shape + excess / (np.square(shape) * slope))
        return np.concatenate([log_above(average), log_above(shape)])


@dataclass(frozen=True)
class NegativeBinomial(_Dispersed):
    """Regression of counts that vary more than Poisson's: variance = mean + dispersion mean^2.

    Loss, with r = 1 / dispersion: the sum over outputs of
    (r + y) log(1 + mean / r) - y log(mean / r) - gammaln(y + r) + gammaln(r) + gammaln(y + 1).
    Domain: y >= 0. Link: log, for the mean and for the dispersion; both grow slowly outside
    exp(+-20). One raw output for each target, and after them one for each dispersion that is
    learned; `predict` is the mean. As the dispersion goes to 0 it becomes `Poisson`. This is
    "NB2": Cameron and Trivedi, Regression Analysis of Count Data (2013).

    Parameters
    ----------
    dispersion : {"constant", "varying"} or float, default="constant"
        Learned, once for all inputs; learned, as a function of the inputs; or known.

    Raises
    ------
    ValueError
        If `dispersion` is anything else.

    Examples
    --------
    >>> NegativeBinomial().distribution(np.array([[np.log(3.0), np.log(0.5)]])).var().round(4)
    array([[7.5]])
    """

    domain: ClassVar[Domain] = ZERO_OR_POSITIVE
    dispersion: float | str = "constant"

    def __post_init__(self) -> None:
        """Check the parameter."""
        self._check_second("dispersion")

    @property
    def _second(self) -> Any:
        return self.dispersion

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        log_mean, log_dispersion = self._logarithms(raw)
        if isinstance(self.dispersion, str):
            dispersion, r = np.exp(log_dispersion), np.exp(-log_dispersion)
            rest = stirling(r)
        else:
            dispersion, r = float(self.dispersion), 1.0 / float(self.dispersion)
            rest = float(stirling(r))
        # gammaln(y + r) - gammaln(r) - y log(r), which cancels for large r:
        rising = (y + r - 0.5) * np.log1p(y * dispersion) - y + stirling(y + r) - rest
        normalizer = (r + y) * np.logaddexp(log_mean + log_dispersion, 0)
        return np.sum(normalizer - y * log_mean - rising + special.gammaln(y + 1), axis=1)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return negative binomial distributions."""
        log_mean, log_dispersion = self._logarithms(_wide(raw))
        return stats.nbinom(np.exp(-log_dispersion), special.expit(-log_mean - log_dispersion))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw outputs of the mean and of the dispersion of the greatest likelihood."""
        average = mean(y, weights)
        if not isinstance(self.dispersion, str):
            return log_above(average)
        variance = mean(np.square(y - average), weights)
        excess = (variance - average) / np.maximum(np.square(average), np.exp(-LIMIT))
        start = np.concatenate([log_above(average), np.log(np.clip(excess, 1e-2, 1e4))])
        bounds = [(-LIMIT, np.inf)] * len(average) + [(-LIMIT, LIMIT)] * len(average)
        return best_constant(self, y, weights, start, bounds)


@dataclass(frozen=True)
class Tweedie(_Dispersed):
    """Regression of a mean where the variance grows as a power of it: claims, rain, with zeros.

    Loss, minus the log-likelihood of the exponential dispersion model whose variance is
    dispersion mean^power: sum over outputs of d / dispersion - log f(y), where d is half the unit
    deviance and f(y) the density at y of mean y. With p the power and B(m; a) = (m^a - 1) / a,
    log(m) for a = 0, d = D(mean) - D(y), D(m) = B(m; 2 - p) - y B(m; 1 - p). Power 0 is the
    normal distribution, 1 Poisson's, 2 the gamma, 3 the inverse Gaussian; between 1 and 2 it is
    that of sums of gamma variables, `PoissonGamma`, 0 with some probability. There f is the series
    of Dunn and Smyth, Statistics and Computing 15 (2005), summed to rounding. For power 1, whose
    dispersion is 1, and without a dispersion the loss is d.

    Domain: all numbers for power 0, y >= 0 for powers in [1, 2), y > 0 from 2 on. Link: log for
    the mean, identity for power 0; log for the dispersion. Both logarithms grow slowly outside
    +-min(20, 51 / p, 40 / (p - 1)); for power 0 that of the dispersion outside +-40. One raw
    output for each target, and after them one for each dispersion that is learned; `predict` is
    the mean. A constant, a known or no dispersion leaves the mean what
    `sklearn.linear_model.TweedieRegressor` finds. Exposure goes into `sample_weight`, y being a
    rate, as there; the distribution is that at exposure 1. Jorgensen, "Exponential dispersion
    models", JRSS B 49 (1987).

    Parameters
    ----------
    power : float, default=1.5
        The power; 0, or 1 and above.
    dispersion : {"auto", "constant", "varying"}, float or None, default="auto"
        Learned, once for all inputs; learned, as a function of the inputs; or known. None is no
        dispersion, and no distribution: the mean alone is learned. "auto" is "constant" for the
        powers whose density is known, which are 0, those in (1, 2), 2 and 3; it is 1 for power 1,
        and None for the others, where nothing else can be.

    Raises
    ------
    ValueError
        If a parameter is anything else.

    Examples
    --------
    >>> head = Tweedie(power=1.5)
    >>> claims = head.distribution(np.array([[np.log(4.0), np.log(3.0)]]))
    >>> claims.mean(), claims.var(), claims.cdf(0.0).round(4)
    (array([[4.]]), array([[24.]]), array([[0.2636]]))
    >>> Tweedie(power=1.5, dispersion=None).loss(np.array([[0.0]]), np.array([[0.0]]))
    array([2.])
    """

    power: float = 1.5
    dispersion: float | str | None = "auto"

    def __post_init__(self) -> None:
        """Check the parameters."""
        power, dispersion = self.power, self.dispersion
        if not (is_number(power) and (power == 0 or power >= 1)):
            raise ValueError(f"Tweedie needs a power that is 0 or a number >= 1, got {power!r}")
        if dispersion is None or (isinstance(dispersion, str) and dispersion == "auto"):
            return
        self._check_second("dispersion", "'auto', None, ")
        if not (self._has_density or (power == 1 and dispersion == 1)):
            why = "is Poisson's, whose dispersion is 1" if power == 1 else "has no known density"
            raise ValueError(
                f"Tweedie of power {power:g} {why}: leave dispersion 'auto' or None, or take a "
                f"power that is 0, in (1, 2), 2 or 3; got dispersion={dispersion!r}"
            )

    @property
    def _has_density(self) -> bool:
        return self.power in (0, 2, 3) or 1 < self.power < 2

    @property
    def _second(self) -> Any:
        if not (isinstance(self.dispersion, str) and self.dispersion == "auto"):
            return self.dispersion
        return "constant" if self._has_density else 1.0 if self.power == 1 else None

    @property
    def has_distribution(self) -> bool:
        """Whether there is a dispersion, and with it a distribution."""
        return self._second is not None

    @property
    def domain(self) -> Domain:  # type: ignore[override]
        """The targets of this power."""
        return NUMBERS if self.power == 0 else ZERO_OR_POSITIVE if self.power < 2 else POSITIVE

    @property
    def out_activation(self) -> str:  # type: ignore[override]
        """The name of the output activation."""
        return "exp" if self.power else "identity"

    @property
    def _limit(self) -> float:
        """Up to where a logarithm is raw itself, so that float32 holds any loss."""
        p = float(self.power)
        return min(LIMIT, 51 / p, 40 / max(1.0, p - 1)) if p else 2 * LIMIT

    def _location_dispersion(self, raw: Any) -> tuple[Any, Any]:
        """Return the logarithm of the mean, for power 0 the mean, and that of the dispersion."""
        return self._logarithms(raw) if self.power else self._parts(raw)

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood, or half the deviance where there is no dispersion."""
        p = float(self.power)
        location, log_dispersion = self._location_dispersion(raw)
        deviance = half_deviance(location, y, p) if p else 0.5 * np.square(y - location)
        if self._second is None or p == 1:
            return np.sum(deviance, axis=1)
        log_peak = log_density_at_mean(y, log_dispersion, p)
        return np.sum(deviance * exp(-log_dispersion) - log_peak, axis=1)

    def predict(self, raw: Any) -> Any:
        """Return the mean."""
        location, _ = self._location_dispersion(raw)
        return np.exp(location) if self.power else location

    def distribution(self, raw: np.ndarray) -> Any:
        """Return normal, Poisson, gamma or inverse Gaussian distributions, or `PoissonGamma`."""
        if not self.has_distribution:
            raise NotImplementedError(f"{self} has no distribution: it has no dispersion")
        middle, p = self.predict(_wide(raw)), float(self.power)
        dispersion = np.exp(self._location_dispersion(_wide(raw))[1])
        if p == 0:
            return stats.norm(middle, np.sqrt(dispersion))
        if p == 1:
            return stats.poisson(middle)
        if p == 2:
            return stats.gamma(1 / dispersion, scale=middle * dispersion)
        if p == 3:
            return stats.invgauss(middle * dispersion, scale=1 / dispersion)
        return PoissonGamma(middle, dispersion, p)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw outputs of the mean and of the dispersion of the greatest likelihood.

        For power 0 that is the variance, for power 3 the mean of 1 / y - 1 / mean. For powers
        below 1.01 the likelihood has many maxima, as amounts are almost multiples of the
        dispersion, and a near one is found.
        """
        average, p = mean(y, weights), float(self.power)
        location = log_above(average, self._limit) if p else average
        if not isinstance(self._second, str):
            return location
        if p == 2:
            return np.concatenate([location, -Gamma().initial_raw(y, weights)[len(average) :]])
        if p == 3:
            dispersion = mean(1 / _wide(y) - 1 / average, weights)
        else:
            variance = mean(np.square(y - average), weights)
            dispersion = variance / np.maximum(average, np.exp(-LIMIT)) ** p
        start = np.stack([location, log_above(dispersion, self._limit)])
        if p not in (0, 3):
            start[1] = np.clip(start[1], -LIMIT, LIMIT)
            bounds = [(-np.inf, np.inf), (-LIMIT, LIMIT)]
            for i in range(len(average)):
                column = y[:, i : i + 1]
                start[:, i] = best_constant(self, column, weights, start[:, i], bounds)
        return start.ravel()

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return 1 for logarithms, and for the mean of power 0 the target's standard deviation."""
        units = np.ones(self.n_raw(y.shape[1]))
        if self.power == 0:
            units[: y.shape[1]] = spread(y, weights)
        return units
