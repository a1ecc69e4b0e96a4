"""Distributions of one target: SciPy's, and two that SciPy lacks, with the same methods."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, Self

import numpy as np
from scipy import special

from .series import HALF_LOG_2PI, half_deviance, log_density_at_mean, nodes, stirling


class Frozen(ABC):
    """What a distribution has that is made as a frozen one of `scipy.stats` is."""

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
    def ppf(self, q: Any) -> np.ndarray:
        """Compute the quantile of level q."""

    @abstractmethod
    def mean(self) -> np.ndarray:
        """Compute the mean."""

    @abstractmethod
    def var(self) -> np.ndarray:
        """Compute the variance."""

    @abstractmethod
    def rvs(self, size: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw values; `size` ends in the shape of the parameters."""

    def pdf(self, x: Any) -> np.ndarray:
        """Compute the density at x."""
        return np.exp(self.logpdf(x))

    def std(self) -> np.ndarray:
        """Compute the standard deviation."""
        return np.sqrt(self.var())

    def median(self) -> np.ndarray:
        """Compute the quantile of level 1/2."""
        return self.ppf(0.5)

    def interval(self, confidence: Any) -> tuple[np.ndarray, np.ndarray]:
        """Compute the two ends between which a value is with this probability."""
        q = 0.5 * (1 - np.asarray(confidence, np.float64))
        return self.ppf(q), self.ppf(1 - q)


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

    def ppf(self, q: Any) -> np.ndarray:
        """Compute the quantile of level q, by bisection between those of the components."""
        q = np.asarray(q, np.float64)
        each = self.means + self.scales * special.ndtri(q)[..., None]
        low, high = np.min(each, axis=-1), np.max(each, axis=-1)
        for _ in range(100):
            with np.errstate(invalid="ignore"):
                middle = np.where(np.isfinite(low), low + 0.5 * (high - low), low)
            if np.all((middle == low) | (middle == high) | np.isnan(middle)):
                break
            is_low = self.cdf(middle) < q
            low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
        return high

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
            slope = np.sum(mass * np.exp(some * np.log(x) - x - special.gammaln(some)), axis=-1)
            left, left_wanted = total[todo] - reached, total[todo] - wanted[todo]
            excess = np.log(reached / wanted[todo]) - np.log(left / left_wanted)
            newton = t[todo] - excess / (slope / reached + slope / left)
        is_low = reached < wanted[todo]
        low[todo] = np.where(is_low, t[todo], low[todo])
        high[todo] = np.where(is_low, high[todo], t[todo])
        is_between = (newton > low[todo]) & (newton < high[todo])
        step = np.where(is_between, newton, 0.5 * (low[todo] + high[todo])) - t[todo]
        t[todo] += step
        is_done = np.abs(step) <= np.where(
            is_between, 1e-9 * spread[todo], 1e-15 * np.abs(high[todo])
        )
        todo = todo[~is_done]
        if not len(todo):
            break
    return np.exp(t)


def for_one_target(frozen: Any) -> Any:
    """Drop the axis of targets, of length 1, from the parameters of a frozen distribution.

    Parameters
    ----------
    frozen : frozen distribution
        Its parameters have shape (n, 1), or are numbers.

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

    def flat(parameter: Any) -> Any:
        return parameter[:, 0] if np.ndim(parameter) > 1 else parameter

    keywords = {name: flat(parameter) for name, parameter in frozen.kwds.items()}
    return frozen.dist(*map(flat, frozen.args), **keywords)
