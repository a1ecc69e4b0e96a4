"""Distributions of one target: SciPy's, mended, and those that it lacks, with the same methods."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral
from typing import Any, Self

import numpy as np
from scipy import special, stats

from .domains import is_count
from .mixed import Distribution, MixedDistribution
from .series import HALF_LOG_2PI, half_deviance, log_density_at_mean, nodes, stirling


class Frozen(Distribution):
    """What a distribution has that is made as a frozen one of `scipy.stats` is."""

    _is_positive = False

    def __init__(self, *args: Any) -> None:
        self.args = tuple(np.asarray(part, np.float64) for part in args)
        self.kwds: dict[str, Any] = {}

    @property
    def dist(self) -> type[Self]:
        """What makes another one of other `args` and `kwds`, as frozen distributions have it."""
        return type(self)

    @abstractmethod
    def logpdf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the density at x."""

    @abstractmethod
    def cdf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value up to x."""

    @abstractmethod
    def mean(self) -> np.ndarray:
        """Compute the mean."""

    @abstractmethod
    def rvs(self, size: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw values; `size` ends in the shape of the parameters."""

    @abstractmethod
    def sf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value above x."""

    @abstractmethod
    def isf(self, q: Any) -> np.ndarray:
        """Compute what a value is above with probability q."""

    @abstractmethod
    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends between which the density is positive."""

    @abstractmethod
    def _moments(self, order: int, *, are_central: bool) -> list[np.ndarray]:
        """Return the moments from 0 to an order, about 0 or about the mean."""

    @abstractmethod
    def _breaks(self) -> np.ndarray:
        """Return places, along a first axis, between which the density is smooth."""

    def _atom(self) -> tuple[float, Any]:
        """Return a value of its own probability, and that."""
        return 0.0, 0.0

    def logcdf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the probability of a value up to x."""
        with np.errstate(divide="ignore"):
            return np.log(self.cdf(x))

    def logsf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the probability of a value above x."""
        with np.errstate(divide="ignore"):
            return np.log(self.sf(x))

    def moment(self, order: Any) -> np.ndarray:
        """Compute the mean of the value to a power, a whole number >= 1."""
        if not is_count(order):
            raise ValueError(f"moment needs an order that is a whole number >= 1, got {order!r}")
        return self._moments(int(order), are_central=False)[int(order)]

    def stats(self, moments: str = "mv") -> Any:
        """Compute mean, variance, skewness and excess kurtosis, those of the letters in "mvsk"."""
        if not moments or set(moments) - set("mvsk"):
            raise ValueError(f"stats needs letters of 'mvsk', got moments={moments!r}")
        *_, third, fourth = self._moments(4, are_central=True)
        variance = self.var()
        found = {
            "m": self.mean(),
            "v": variance,
            "s": third / variance**1.5,
            "k": fourth / np.square(variance) - 3,
        }
        picked = tuple(found[letter] for letter in "mvsk" if letter in moments)
        return picked if len(picked) > 1 else picked[0]

    def expect(
        self, func: Any = None, lb: Any = None, ub: Any = None, conditional: bool = False
    ) -> np.ndarray:
        """Compute the mean of a function of the value, of the value itself by default.

        Parameters
        ----------
        func : callable, optional
            A function of numbers, or of arrays.
        lb, ub : float, optional
            The ends between which it counts; elsewhere it is 0.
        conditional : bool, default=False
            Whether the result is the mean given that the value is between the ends.
        """
        low, high = -np.inf if lb is None else lb, np.inf if ub is None else ub
        breaks = np.clip(self._breaks(), low, high)
        if self._is_positive:  # smooth on a logarithmic scale, also near 0
            breaks = np.log(np.maximum(breaks, 1e-300))
        at, weights = np.polynomial.legendre.leggauss(20)
        along = (-1, *[1] * breaks.ndim)
        half = 0.5 * np.diff(breaks, axis=0)
        x = breaks[:-1] + half + half * at.reshape(along)
        x, slope = (np.exp(x),) * 2 if self._is_positive else (x, 1.0)
        masses = np.where(half > 0, self.pdf(x) * slope * half * weights.reshape(along), 0.0)
        values = np.where(masses > 0, _applied(func, x), 0.0)
        atom, probability = self._atom()
        probability = probability * ((low <= atom) & (atom <= high))
        total = np.sum(values * masses, axis=(0, 1))
        if np.any(probability):
            total = total + _applied(func, np.array(atom)) * probability
        return total / (np.sum(masses, axis=(0, 1)) + probability) if conditional else total

    def entropy(self) -> np.ndarray:
        """Compute the entropy, minus the mean of `logpdf`."""
        return self.expect(lambda x: -self.logpdf(x))

    def pdf(self, x: Any) -> np.ndarray:
        """Compute the density at x."""
        return np.exp(self.logpdf(x))


def _applied(func: Any, x: np.ndarray) -> np.ndarray:
    """Apply a function of arrays, or of numbers; None is the identity."""
    if func is None:
        return x
    try:
        return np.asarray(func(x), np.float64)
    except (TypeError, ValueError):
        return np.vectorize(func, otypes=[np.float64])(x)


def _generator(random_state: Any) -> Any:
    """Return what draws, of None, a seed or a generator, as SciPy's distributions take them."""
    if isinstance(random_state, Integral):
        return np.random.RandomState(int(random_state))
    return np.random if random_state is None else random_state


def _size(size: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if size is None else tuple(np.atleast_1d(size))


class Mixture(Frozen):
    """Mixtures of normal distributions, with the methods of a frozen `scipy.stats` distribution.

    Parameters
    ----------
    weights : array-like of shape (..., n_components)
        The share of each component; they sum to 1.
    means : array-like of shape (..., n_components)
        Their means.
    scales : array-like of shape (..., n_components)
        Their standard deviations.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.heads import Mixture
    >>> mixture = Mixture([0.5, 0.5], [-2.0, 2.0], [1.0, 1.0])
    >>> float(mixture.cdf(0.0)), round(float(mixture.std()), 3)
    (0.5, 2.236)
    """

    def __init__(self, weights: Any, means: Any, scales: Any) -> None:
        super().__init__(weights, means, scales)
        self.weights, self.means, self.scales = self.args

    @property
    def _shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*(part.shape[:-1] for part in self.args))

    def _standardized(self, x: Any) -> np.ndarray:
        return (np.asarray(x, np.float64)[..., None] - self.means) / self.scales

    def logpdf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the density at x."""
        with np.errstate(divide="ignore"):
            each = np.log(self.weights) - np.log(self.scales) - 0.5 * np.log(2 * np.pi)
        return special.logsumexp(each - 0.5 * np.square(self._standardized(x)), axis=-1)

    def cdf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value up to x."""
        return np.sum(self.weights * special.ndtr(self._standardized(x)), axis=-1)

    def logcdf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the probability of a value up to x."""
        each = special.log_ndtr(self._standardized(x))
        return special.logsumexp(each, b=self.weights, axis=-1)

    @property
    def _mirrored(self) -> Mixture:
        return Mixture(self.weights, -self.means, self.scales)

    def sf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value above x."""
        return self._mirrored.cdf(-np.asarray(x, np.float64))

    def logsf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the probability of a value above x."""
        return self._mirrored.logcdf(-np.asarray(x, np.float64))

    def isf(self, q: Any) -> np.ndarray:
        """Compute what a value is above with probability q."""
        return -self._mirrored.ppf(q)

    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends between which the density is positive."""
        return np.full(self._shape, -np.inf), np.full(self._shape, np.inf)

    def _moments(self, order: int, *, are_central: bool) -> list[np.ndarray]:
        away = self.means - (self.mean()[..., None] if are_central else 0.0)
        each = [np.ones_like(away * self.scales), away * np.ones_like(self.scales)]
        for n in range(2, order + 1):  # by Stein's identity
            each.append(away * each[-1] + (n - 1) * np.square(self.scales) * each[-2])
        return [np.sum(self.weights * moment, axis=-1) for moment in each]

    def _breaks(self) -> np.ndarray:
        away = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 30, 38])
        away = np.concatenate([-away[:0:-1], away]).reshape(-1, *[1] * np.ndim(self.means))
        places = np.moveaxis(self.means + away * self.scales, -1, 0)
        places = places.reshape(-1, *np.shape(places)[2:])
        return np.sort(places + np.zeros(self._shape), axis=0)

    def ppf(self, q: Any) -> np.ndarray:
        """Compute the quantile of level q, by bisection between those of the components."""
        q = np.asarray(q, np.float64)
        each = self.means + self.scales * special.ndtri(q)[..., None]
        return _bisected(lambda x: self.cdf(x) < q, np.min(each, axis=-1), np.max(each, axis=-1))

    def mean(self) -> np.ndarray:
        """Compute the mean."""
        return np.sum(self.weights * self.means, axis=-1)

    def var(self) -> np.ndarray:
        """Compute the variance."""
        away = self.means - self.mean()[..., None]
        return np.sum(self.weights * (np.square(self.scales) + np.square(away)), axis=-1)

    def rvs(self, size: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw values; `size` ends in the shape of the parameters."""
        rng, shape = _generator(random_state), _size(size, self._shape)
        reached = np.cumsum(self.weights, axis=-1)[..., :-1]
        component = np.sum(rng.uniform(size=shape)[..., None] > reached, axis=-1)[..., None]
        means, scales = (
            np.take_along_axis(np.broadcast_to(part, (*shape, part.shape[-1])), component, -1)
            for part in (self.means, self.scales)
        )
        return means[..., 0] + scales[..., 0] * rng.standard_normal(size=shape)


class PoissonGamma(Frozen):
    """Sums of gamma variables, as many as Poisson's law says: amounts of rain, claims, sales.

    This is Tweedie's distribution for powers between 1 and 2, of variance dispersion mean^power.
    The number of summands has the rate mean^(2-power) / (dispersion (2-power)); each has the shape
    (2-power) / (power-1) and the scale dispersion (power-1) mean^(power-1). The sum of none is 0:
    there the distribution has an atom, and `pdf` is its probability; above 0 it is a density.

    Parameters
    ----------
    mean : array-like of shape (...)
        The mean; positive.
    dispersion : array-like of shape (...)
        The variance divided by mean^power; positive.
    power : float
        The power, in (1, 2).

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.heads import PoissonGamma
    >>> rain = PoissonGamma(2.0, 1.0, 1.5)
    >>> round(float(rain.cdf(0.0)), 4), rain.ppf([0.05, 0.95]).round(3)
    (0.0591, array([0.   , 5.258]))
    """

    _is_positive = True

    def __init__(self, mean: Any, dispersion: Any, power: Any) -> None:
        super().__init__(mean, dispersion, power)
        self._power = float(power)
        self._mean, self._dispersion = np.broadcast_arrays(*self.args[:2])

    @property
    def _rate(self) -> np.ndarray:
        p = self._power
        return self._mean ** (2 - p) / (self._dispersion * (2 - p))

    @property
    def _gamma_shape(self) -> float:
        return (2 - self._power) / (self._power - 1)

    @property
    def _gamma_scale(self) -> np.ndarray:
        return self._dispersion * (self._power - 1) * self._mean ** (self._power - 1)

    def logpdf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the density at x, at 0 of the probability of 0."""
        x = np.asarray(x, np.float64)
        y = np.where((x >= 0) & np.isfinite(x), x, 0.0)
        log_dispersion = np.log(self._dispersion)
        distance = half_deviance(np.log(self._mean), y, self._power) / self._dispersion
        log_density = log_density_at_mean(y, log_dispersion, self._power) - distance
        return np.where(np.isnan(x), np.nan, np.where(y == x, log_density, -np.inf))

    def cdf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value up to x."""
        x = np.asarray(x, np.float64)
        shapes, masses = _summands(self._rate, self._gamma_shape)
        reached = special.gammainc(shapes, (np.maximum(x, 0.0) / self._gamma_scale)[..., None])
        total = np.exp(-self._rate) + np.sum(masses * reached, axis=-1)
        return np.where(x < 0, 0.0, np.minimum(total, 1.0))

    def sf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value above x, above the mean from the sum for x itself."""
        x, mean, dispersion = np.broadcast_arrays(
            np.asarray(x, np.float64), self._mean, self._dispersion
        )
        found = np.asarray(1 - self.cdf(x))
        is_far = (x > mean) & np.isfinite(x)
        if np.any(is_far):
            part = PoissonGamma(mean[is_far], dispersion[is_far], self._power)
            found[is_far] = part._tail(x[is_far])
        return np.where(np.isinf(x), np.where(x > 0, 0.0, 1.0), found)[()]

    def _tail(self, x: np.ndarray) -> np.ndarray:
        """Sum the probability above x over numbers of summands near the likeliest given x."""
        p, rate = self._power, self._rate
        log_center = (2 - p) * np.log(x) - np.log(self._dispersion * (2 - p))
        enough = max(40.0, 2 * (1 + self._gamma_shape))
        at = nodes(log_center, 1.0, enough)
        center = np.exp(log_center)
        gap = (at.j * (log_center - np.log(rate))[..., None]) - (center - rate)[..., None]
        log_masses = at.log_width - at.distance - gap
        log_masses -= HALF_LOG_2PI + 0.5 * np.log(at.j) + stirling(at.j)
        beyond = special.gammaincc(self._gamma_shape * at.j, (x / self._gamma_scale)[..., None])
        return np.sum(np.exp(log_masses) * beyond, axis=-1)

    def isf(self, q: Any) -> np.ndarray:
        """Compute what a value is above with probability q."""
        q = np.asarray(q, np.float64)
        found = np.asarray(self.ppf(1 - q))
        q, mean, dispersion = np.broadcast_arrays(q, self._mean, self._dispersion)
        is_small = (q > 0) & (q < 1e-6)
        if np.any(is_small):
            part = PoissonGamma(mean[is_small], dispersion[is_small], self._power)
            high = 2000 * (1 + part._rate) * part._gamma_scale * (1 + self._gamma_shape)
            low = np.log(part._mean)
            level = q[is_small]
            t = _bisected(lambda t: part.sf(np.exp(t)) > level, low, np.log(high))
            found[is_small] = np.exp(t)
        return found[()]

    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends between which there is any probability."""
        return np.zeros(self._mean.shape), np.full(self._mean.shape, np.inf)

    def _moments(self, order: int, *, are_central: bool) -> list[np.ndarray]:
        cumulants = [
            self._rate * self._gamma_scale**n * special.poch(self._gamma_shape, n)
            for n in range(order + 1)
        ]
        cumulants[1] = cumulants[1] * (0 if are_central else 1)
        moments = [np.ones_like(self._mean)]
        for n in range(1, order + 1):
            parts = (math.comb(n - 1, i) * cumulants[n - i] * moments[i] for i in range(n))
            moments.append(sum(parts))
        return moments

    def _breaks(self) -> np.ndarray:
        levels = [1e-15, 1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, *np.arange(0.1, 0.51, 0.1)]
        inner = np.array(levels).reshape(-1, *[1] * self._mean.ndim) * -np.expm1(-self._rate)
        low, high = self.ppf(np.exp(-self._rate) + inner), self.ppf(1 - inner[:2:-1])
        beyond = np.array([0.2, 0.5, 0.9, 1.5, 2.2, 3, 4, 6, 8, 11])
        far = high[-1] + beyond.reshape(-1, *[1] * self._mean.ndim) * (high[-1] - low[-1])
        return np.maximum(np.concatenate([low, high, far]), 1e-300)

    def _atom(self) -> tuple[float, Any]:
        return 0.0, np.exp(-self._rate)

    def ppf(self, q: Any) -> np.ndarray:
        """Compute the quantile of level q: 0 up to the probability of 0."""
        parts = np.broadcast_arrays(np.asarray(q, np.float64), self._rate, self._gamma_scale)
        q, rate, scale = parts
        wanted = q - np.exp(-rate)
        quantiles = np.where((q >= 0) & (q <= 1), np.where(q == 1, np.inf, 0.0), np.nan)
        is_inside = (wanted > 0) & (q < 1)
        if np.any(is_inside):
            found = _quantiles(wanted[is_inside], rate[is_inside], self._gamma_shape)
            quantiles[is_inside] = scale[is_inside] * found
        return quantiles[()]

    def mean(self) -> np.ndarray:
        """Compute the mean."""
        return np.array(self._mean)

    def var(self) -> np.ndarray:
        """Compute the variance."""
        return self._dispersion * self._mean**self._power

    def rvs(self, size: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw values; `size` ends in the shape of the parameters."""
        rng, shape = _generator(random_state), _size(size, self._mean.shape)
        number = rng.poisson(self._rate, size=shape)
        return self._gamma_scale * rng.standard_gamma(self._gamma_shape * number)


def _bisected(is_low: Callable[[np.ndarray], Any], low: Any, high: Any) -> np.ndarray:
    """Return where a condition that holds below some number, and not above, ends."""
    for _ in range(100):
        with np.errstate(invalid="ignore"):  # infinite ends are the same
            middle = np.where(np.isfinite(low), low + 0.5 * (high - low), low)
        if np.all((middle == low) | (middle == high) | np.isnan(middle)):
            break
        below = is_low(middle)
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


# == SciPy's, where they lose their digits =========================================================


class _InverseGaussian(type(stats.invgauss)):  # type: ignore[misc]
    """`scipy.stats.invgauss`, exact for small means too, where its parts would cancel.

    With r, s = (x / mu -+ 1) / sqrt(x), exp(2 / mu) ndtr(-s) is erfcx(s / sqrt(2)) / 2 times
    exp(-r^2 / 2), in which nothing cancels.
    Giner and Smyth, "statmod: probability calculations for the inverse Gaussian distribution",
    The R Journal 8 (2016), say where the plain formula fails.
    """

    def _scaled(self, x: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        root = np.sqrt(x)
        r = (x / mu - 1) / root
        return r, special.erfcx((x / mu + 1) / root / math.sqrt(2))

    def _cdf(self, x: np.ndarray, mu: np.ndarray) -> np.ndarray:
        r, rest = self._scaled(x, mu)
        return special.ndtr(r) + 0.5 * rest * np.exp(-0.5 * np.square(r))

    def _log_ends(self, x: np.ndarray, mu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the logarithms of the probabilities up to x and above, the smaller one exact."""
        r, rest = self._scaled(x, mu)
        sign = np.where(r > 0, 1.0, -1.0)
        least = 0.5 * (special.erfcx(np.abs(r) / math.sqrt(2)) - sign * rest)
        smaller = np.log(least) - 0.5 * np.square(r)
        larger = np.log1p(-np.exp(np.minimum(smaller, 0.0)))
        return np.where(r > 0, larger, smaller), np.where(r > 0, smaller, larger)

    def _logcdf(self, x: np.ndarray, mu: np.ndarray) -> np.ndarray:
        return self._log_ends(x, mu)[0]

    def _logsf(self, x: np.ndarray, mu: np.ndarray) -> np.ndarray:
        return self._log_ends(x, mu)[1]

    def _sf(self, x: np.ndarray, mu: np.ndarray) -> np.ndarray:
        return np.exp(self._logsf(x, mu))

    def _ppf(self, q: np.ndarray, mu: np.ndarray) -> np.ndarray:
        return self._solved(lambda x: self._cdf(x, mu) < q, mu)

    def _isf(self, q: np.ndarray, mu: np.ndarray) -> np.ndarray:
        return self._solved(lambda x: self._logsf(x, mu) > np.log(q), mu)

    def _solved(self, is_low: Callable[[np.ndarray], Any], mu: np.ndarray) -> np.ndarray:
        """Bisect the logarithm of x / mu: beyond these ends is no level of float64."""
        far = np.log1p(1600 * mu + 60 * np.sqrt(mu)) + 1e-9
        return mu * np.exp(_bisected(lambda t: is_low(mu * np.exp(t)), -far, far))


class _Poisson(type(stats.poisson)):  # type: ignore[misc]
    """`scipy.stats.poisson`, with quantiles of means beyond 1e10, by Cornish and Fisher."""

    def _ppf(self, q: np.ndarray, mu: np.ndarray) -> np.ndarray:
        z = special.ndtri(q)
        far = np.ceil(mu + np.sqrt(mu) * z + (np.square(z) - 1) / 6)
        near = super()._ppf(q, np.minimum(mu, 1e10))
        return np.where(mu > 1e10, np.maximum(far, 0.0), near)


inverse_gaussian = _InverseGaussian(a=0.0, name="invgauss")
poisson = _Poisson(name="poisson")


def _summands(rate: np.ndarray, shape: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the shapes of sums of j gamma variables, and Poisson's probabilities of each j.

    Where rates are large, for some j between which all is smooth. The last axis is that of j.
    There are as many as the largest rate needs: fewer where all rates are small.
    """
    enough = max(40.0, 2 * (1 + shape))
    at = nodes(np.log(rate), 1.0, min(enough, max(1.0, 1.01 * float(np.max(rate)))))
    log_masses = at.log_width - at.distance - HALF_LOG_2PI - 0.5 * np.log(at.j) - stirling(at.j)
    return shape * at.j, np.exp(log_masses)


def _quantiles(wanted: np.ndarray, rate: np.ndarray, shape: float) -> np.ndarray:
    """Return up to where a sum of gamma variables of scale 1 is positive with some probability.

    By Newton's method for the logarithm of the sum on the log-odds of the probability, where
    both tails are nearly straight, inside an interval that is halved where it would leave it.
    """
    shapes, masses = _summands(rate, shape)
    total = np.sum(masses, axis=-1)
    # By Chernoff's inequality the sum is less than the upper end, but for a chance of exp(-40).
    low = np.full(len(rate), np.log(np.finfo(float).tiny))
    high = np.log((1 + shape) * ((math.e - 1) * rate + 40))
    spread = np.minimum(np.sqrt((1 + shape) / (shape * rate)), 1.0)
    t, todo = np.maximum(np.log(shape * rate), low), np.arange(len(rate))
    for _ in range(200):
        x, some, mass = np.exp(t[todo])[:, None], shapes[todo], masses[todo]
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            reached = np.sum(mass * special.gammainc(some, x), axis=-1)
            u = x / some - 1
            log_slope = 0.5 * np.log(some) - HALF_LOG_2PI - stirling(some)
            slope = np.sum(mass * np.exp(log_slope - some * (u - np.log1p(u))), axis=-1)
            left, left_wanted = total[todo] - reached, total[todo] - wanted[todo]
            excess = np.log(reached / wanted[todo]) - np.log(left / left_wanted)
            newton = t[todo] - excess / (slope / reached + slope / left)
        is_low = reached < wanted[todo]
        low[todo] = np.where(is_low, t[todo], low[todo])
        high[todo] = np.where(is_low, high[todo], t[todo])
        is_between = (newton >= low[todo]) & (newton <= high[todo])
        step = np.where(is_between, newton, 0.5 * (low[todo] + high[todo])) - t[todo]
        t[todo] += step
        rounding = 1e-15 * np.abs(high[todo])
        enough = np.where(is_between, np.maximum(1e-9 * spread[todo], rounding), rounding)
        is_done = np.abs(step) <= enough
        todo = todo[~is_done]
        if not len(todo):
            break
    return np.exp(t)


def for_one_target(frozen: Any) -> Any:
    """Drop the axis of targets, of length 1, from the parameters of a frozen distribution.

    Parameters
    ----------
    frozen : frozen distribution
        Its parameters have shape (n, 1), or are numbers; or a mixture of such.

    Returns
    -------
    frozen distribution
        The same, with parameters of shape (n,).

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> for_one_target(stats.norm(np.zeros((3, 1)), 1.0)).mean().shape
    (3,)
    """
    if isinstance(frozen, MixedDistribution):
        return frozen.map(for_one_target)

    def flat(parameter: Any) -> Any:
        return parameter[:, 0] if np.ndim(parameter) > 1 else parameter

    keywords = {name: flat(parameter) for name, parameter in frozen.kwds.items()}
    return frozen.dist(*map(flat, frozen.args), **keywords)
