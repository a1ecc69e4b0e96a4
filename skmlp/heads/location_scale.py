r"""Heads whose target has a location and a scale, both of which depend on the inputs.

The law of a distribution: the loss is minus the logarithm of the density, `distribution` is that
very distribution, and `predict` is its mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from scipy import stats

from ..engine.words import shown
from .domains import POSITIVE, Domain, is_number
from .head import (
    Head,
    Unit,
    best_constant,
    blocks,
    bounded,
    log_above,
    mean,
    spread,
    weighted_quantile,
    wide,
)
from .series import HALF_LOG_2PI

_LARGEST_LOG = 80.0  # exp(80) is finite in float32 too
_LARGEST_SKEW = 20.0  # no mean is more than exp(20) medians
UNIT_OF_LOG_SCALES = 0.5  # noise varies with the inputs less than the target does


@dataclass(frozen=True)
class LocationScale(Head):
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
        log_scale = bounded(log_scale, center=self._log_unit)
        return (y - location) * np.exp(-log_scale), log_scale

    def _location_scale(self, raw: Any) -> tuple[Any, Any]:
        location, log_scale = blocks(raw, 2)
        return location, np.exp(bounded(log_scale, center=self._log_unit))

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the standard deviation of the target for locations, 1/2 for logarithms."""
        return np.concatenate([spread(y, weights), np.full(y.shape[1], UNIT_OF_LOG_SCALES)])

    def target_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> Unit:
        """Return the mean and the standard deviation of each target."""
        shift, scale = mean(y, weights), spread(y, weights)
        log_scale = np.log(scale)
        return Unit(
            shift,
            scale,
            np.concatenate([shift, log_scale]),
            np.concatenate([scale, np.ones_like(scale)]),
            float(np.sum(log_scale)),
        )


@dataclass(frozen=True)
class Gaussian(LocationScale):
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
        return stats.norm(*self._location_scale(wide(raw)))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the mean, and the logarithm of the standard deviation."""
        average = mean(y, weights)
        deviation = np.sqrt(mean(np.square(y - average), weights))
        return np.concatenate([average, log_above(deviation)])


@dataclass(frozen=True)
class Laplace(LocationScale):
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
        return stats.laplace(*self._location_scale(wide(raw)))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the median, and the logarithm of the mean distance from it."""
        median = weighted_quantile(y, weights, 0.5)
        return np.concatenate([median, log_above(mean(np.abs(y - median), weights))])


@dataclass(frozen=True)
class StudentT(LocationScale):
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
        super().__post_init__()
        if not (is_number(self.df) and self.df > 0):
            raise ValueError(f"StudentT needs a df that is a number > 0, got {shown(self.df)}")

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
        return stats.t(float(self.df), *self._location_scale(wide(raw)))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the best location and scale, found from those of `Laplace`."""
        return best_constant(self, y, weights, Laplace().initial_raw(y, weights))


@dataclass(frozen=True)
class LogNormal(LocationScale):
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
        location, scale = self._location_scale(wide(raw))
        return stats.lognorm(scale, scale=np.exp(np.minimum(location, _LARGEST_LOG)))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the mean and the logarithm of the standard deviation of log(y)."""
        return Gaussian().initial_raw(np.log(wide(y)), weights)

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the standard deviation of log(y) for locations, 1/2 for logarithms."""
        return super().raw_unit(np.log(wide(y)), weights)

    def target_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> Unit:
        """Return the geometric mean of each target."""
        log_scale = mean(np.log(wide(y)), weights)
        nothing, one = np.zeros_like(log_scale), np.ones_like(log_scale)
        return Unit(
            nothing,
            np.exp(log_scale),
            np.concatenate([log_scale, nothing]),
            np.concatenate([one, one]),
            float(np.sum(log_scale)),
        )

    def in_target_unit(self, scale: np.ndarray) -> Self:
        """Return the head itself: its scales are those of log(y), which have no unit."""
        del scale
        return self


ROWS: dict[str, type[Head]] = {
    "gaussian": Gaussian,
    "laplace": Laplace,
    "student_t": StudentT,
    "lognormal": LogNormal,
}
globals()["__all__"] = [kind.__name__ for kind in ROWS.values()]  # type checkers see all names
