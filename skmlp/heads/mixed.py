r"""Distributions of several models, mixed: what they disagree about adds to the spread.

.. math:: p(y) = \sum_k w_k \, p_k(y)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import logsumexp


class Distribution(ABC):
    """What follows from the variance and the quantiles of a distribution."""

    @abstractmethod
    def var(self) -> np.ndarray:
        """Compute the variance."""

    @abstractmethod
    def ppf(self, q: Any) -> np.ndarray:
        """Compute the quantile of level q."""

    def std(self) -> np.ndarray:
        """Compute the standard deviation."""
        return np.sqrt(self.var())

    def median(self) -> np.ndarray:
        """Compute the quantile of level 1/2."""
        return self.ppf(0.5)

    def interval(self, confidence: Any) -> tuple[np.ndarray, np.ndarray]:
        """Compute the two ends between which a value is with this probability."""
        tail = 0.5 * (1 - np.asarray(confidence, np.float64))
        return self.ppf(tail), self.ppf(1 - tail)


class MixedDistribution(Distribution):
    """A mixture of frozen distributions of one family, with their methods.

    Parameters
    ----------
    shares : sequence of float
        The weights of the components; they sum to 1.
    components : sequence of frozen distributions
        As `scipy.stats` has them, of arrays of one shape.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> from skmlp.heads import MixedDistribution
    >>> mixture = MixedDistribution([0.5, 0.5], [norm([0.0], 1.0), norm([4.0], 1.0)])
    >>> mixture.mean(), mixture.std().round(2), mixture.cdf(2.0)
    (array([2.]), array([2.24]), array([0.5]))
    """

    def __init__(self, shares: Sequence[float], components: Sequence[Any]) -> None:
        self.shares, self.components = tuple(map(float, shares)), list(components)

    @property
    def is_discrete(self) -> bool:
        """Whether values are whole numbers, with probabilities: `pmf` instead of `pdf`."""
        return hasattr(self.components[0], "pmf")

    def map(self, change: Callable[[Any], Any]) -> MixedDistribution:
        """Return the mixture of changed components."""
        return MixedDistribution(self.shares, [change(one) for one in self.components])

    def _mean(self, method: str, *arguments: Any) -> np.ndarray:
        found = [getattr(one, method)(*arguments) for one in self.components]
        return np.asarray(sum(w * x for w, x in zip(self.shares, found, strict=True)))

    def _log_mean(self, method: str, x: Any) -> np.ndarray:
        found = np.stack([getattr(one, method)(x) for one in self.components])
        weights = np.reshape(self.shares, (-1, *[1] * (found.ndim - 1)))
        with np.errstate(divide="ignore"):
            return logsumexp(found, axis=0, b=weights)

    def __getattr__(self, name: str) -> Any:
        """Have densities, or probabilities, as the components have."""
        if name in ("pdf", "pmf") and self.is_discrete == (name == "pmf"):
            return lambda x: self._mean(name, x)
        if name in ("logpdf", "logpmf") and self.is_discrete == (name == "logpmf"):
            return lambda x: self._log_mean(name, x)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def cdf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value up to x."""
        return self._mean("cdf", x)

    def sf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value above x."""
        return self._mean("sf", x)

    def logcdf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the probability of a value up to x."""
        return self._log_mean("logcdf", x)

    def logsf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the probability of a value above x."""
        return self._log_mean("logsf", x)

    def mean(self) -> np.ndarray:
        """Compute the mean."""
        return self._mean("mean")

    def var(self) -> np.ndarray:
        """Compute the variance: the components' own, and that of their means."""
        mean = self.mean()
        away = [np.square(one.mean() - mean) for one in self.components]
        between = sum(w * x for w, x in zip(self.shares, away, strict=True))
        return self._mean("var") + between

    def ppf(self, q: Any) -> np.ndarray:
        """Compute the quantile of level q, by bisection between those of the components."""
        return self._bisected("ppf", q, lambda x: self.cdf(x) >= q)

    def isf(self, q: Any) -> np.ndarray:
        """Compute what a value is above with probability q, by bisection."""
        return self._bisected("isf", q, lambda x: self.sf(x) <= q)

    def _bisected(
        self, method: str, q: Any, is_reached: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return the smallest number at which a level is reached."""
        ends = np.stack([getattr(one, method)(q) for one in self.components])
        low, high = np.min(ends, axis=0), np.max(ends, axis=0)
        for _ in range(100):
            middle = low + 0.5 * (high - low)
            middle = np.floor(middle) if self.is_discrete else middle
            is_between = (middle > low) & (middle < high)
            if not np.any(is_between):
                break
            reached = is_reached(middle)
            high = np.where(is_between & reached, middle, high)
            low = np.where(is_between & ~reached, middle, low)
        return np.where(is_reached(low), low, high)

    def support(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends between which values are."""
        low, high = zip(*(one.support() for one in self.components), strict=True)
        return np.min(low, axis=0), np.max(high, axis=0)

    def rvs(self, size: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw values; `size` ends in the shape of the components."""
        rng = np.random.default_rng(random_state)
        drawn = np.stack([one.rvs(size=size, random_state=rng) for one in self.components])
        component = rng.choice(len(self.shares), size=drawn.shape[1:], p=self.shares)
        return np.take_along_axis(drawn, component[None], axis=0)[0]
