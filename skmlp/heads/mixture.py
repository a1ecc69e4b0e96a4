"""Distributions of one target: SciPy's, and the mixture that SciPy lacks."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy import special


class Mixture:
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
        self.args = tuple(np.asarray(part, np.float64) for part in (weights, means, scales))
        self.kwds: dict[str, Any] = {}
        self.weights, self.means, self.scales = self.args

    @property
    def dist(self) -> type[Mixture]:
        """What makes another one of other `args` and `kwds`, as frozen distributions have it."""
        return type(self)

    @property
    def _shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*(part.shape[:-1] for part in self.args))

    def _standardised(self, x: Any) -> np.ndarray:
        return (np.asarray(x, np.float64)[..., None] - self.means) / self.scales

    def logpdf(self, x: Any) -> np.ndarray:
        """Compute the logarithm of the density at x."""
        with np.errstate(divide="ignore"):
            each = np.log(self.weights) - np.log(self.scales) - 0.5 * np.log(2 * np.pi)
        return special.logsumexp(each - 0.5 * np.square(self._standardised(x)), axis=-1)

    def pdf(self, x: Any) -> np.ndarray:
        """Compute the density at x."""
        return np.exp(self.logpdf(x))

    def cdf(self, x: Any) -> np.ndarray:
        """Compute the probability of a value up to x."""
        return np.sum(self.weights * special.ndtr(self._standardised(x)), axis=-1)

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

    def rvs(self, size: Any = None, random_state: Any = None) -> np.ndarray:
        """Draw values; `size` ends in the shape of the parameters."""
        rng: Any = np.random if random_state is None else random_state
        if isinstance(random_state, Integral):
            rng = np.random.RandomState(int(random_state))
        shape = self._shape if size is None else tuple(np.atleast_1d(size))
        reached = np.cumsum(self.weights, axis=-1)[..., :-1]
        component = np.sum(rng.uniform(size=shape)[..., None] > reached, axis=-1)[..., None]
        means, scales = (
            np.take_along_axis(np.broadcast_to(part, (*shape, part.shape[-1])), component, -1)
            for part in (self.means, self.scales)
        )
        return means[..., 0] + scales[..., 0] * rng.standard_normal(size=shape)


def of_one_target(frozen: Any) -> Any:
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
    >>> of_one_target(stats.norm(np.zeros((3, 1)), 1.0)).mean().shape
    (3,)
    """

    def flat(parameter: Any) -> Any:
        return parameter[:, 0] if np.ndim(parameter) > 1 else parameter

    keywords = {name: flat(parameter) for name, parameter in frozen.kwds.items()}
    return frozen.dist(*map(flat, frozen.args), **keywords)
