"""Heads for positive numbers whose variance grows as a power of the mean.

Tweedie of power 1 or without a dispersion has scikit-learn's numbers, which leave out a function of
y; other losses are minus the logarithm of the density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import special, stats

from ..engine.words import shown
from .dispersion import Dispersed
from .domains import NUMBERS, POSITIVE, ZERO_OR_POSITIVE, Domain, is_number
from .frozen import PoissonGamma, inverse_gaussian, poisson
from .head import LIMIT, Head, Unit, best_constant, log_above, mean, spread, wide
from .location_scale import Gaussian
from .numbers import Linear
from .series import HALF_LOG_2PI, exp, half_deviance, log_density_at_mean, stirling


@dataclass(frozen=True)
class Gamma(Dispersed):
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
        super().__post_init__()
        self._check_second("shape")

    @property
    def _second(self) -> Any:
        return self.shape

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        log_mean, log_shape = self._logarithms(raw)
        log_y = np.log(y)
        distance = log_y - log_mean
        shape = np.exp(log_shape) if isinstance(self.shape, str) else float(self.shape)
        rest = stirling(shape) - 0.5 * log_shape
        deviance = shape * (np.expm1(distance) - distance)
        return np.sum(deviance + (log_y + (rest + HALF_LOG_2PI)), axis=1)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return gamma distributions."""
        log_mean, log_shape = self._logarithms(wide(raw))
        return stats.gamma(np.exp(log_shape), scale=np.exp(log_mean - log_shape))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw outputs of the mean and of the shape of the greatest likelihood.

        The shape k solves log(k) - digamma(k) = log(mean) - mean of log(y), by Newton's method on
        1 / k: Minka, "Estimating a Gamma distribution" (2002).
        """
        average = mean(y, weights)
        if not isinstance(self.shape, str):
            return log_above(average)
        gap = np.maximum(np.log(average) - mean(np.log(wide(y)), weights), np.exp(-LIMIT))
        shape = (3 - gap + np.sqrt(np.square(gap - 3) + 24 * gap)) / (12 * gap)
        for _ in range(20):
            slope = 1 / shape - special.polygamma(1, shape)
            excess = np.log(shape) - special.digamma(shape) - gap
            shape = 1 / (1 / shape + excess / (np.square(shape) * slope))
        return np.concatenate([log_above(average), log_above(shape)])

    def target_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> Unit:
        """Return the mean of each target."""
        return self._unit_of_means(y, weights, 1.0)


@dataclass(frozen=True)
class Tweedie(Dispersed):
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
        super().__post_init__()
        power, dispersion = self.power, self.dispersion
        if not (is_number(power) and (power == 0 or power >= 1)):
            raise ValueError(
                f"Tweedie needs a power that is 0 or a number >= 1, got {shown(power)}"
            )
        if dispersion is None or (isinstance(dispersion, str) and dispersion == "auto"):
            return
        self._check_second("dispersion", "'auto', None, ")
        if not (self._has_density or (power == 1 and dispersion == 1)):
            why = "is Poisson's, whose dispersion is 1" if power == 1 else "has no known density"
            raise ValueError(
                f"Tweedie of power {power:g} {why}: leave dispersion 'auto' or None, or take a "
                f"power that is 0, in (1, 2), 2 or 3; got dispersion={shown(dispersion)}"
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
        middle, p = self.predict(wide(raw)), float(self.power)
        dispersion = np.exp(self._location_dispersion(wide(raw))[1])
        if p == 0:
            return stats.norm(middle, np.sqrt(dispersion))
        if p == 1:
            return poisson(middle)
        if p == 2:
            return stats.gamma(1 / dispersion, scale=middle * dispersion)
        if p == 3:
            return inverse_gaussian(middle * dispersion, scale=1 / dispersion)
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
            dispersion = mean(1 / wide(y) - 1 / average, weights)
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

    @property
    def _second_degree(self) -> float:
        return 2 - float(self.power)

    def target_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> Unit | None:
        """Return the mean of each target; None where a known dispersion has a unit of its own."""
        p, second = float(self.power), self._second
        if p == 1 or not (isinstance(second, str) or second is None or p == 2):
            return None
        if p == 0:
            return self._unit_of_numbers(y, weights)
        unit = self._unit_of_means(y, weights, mean(y > 0, weights))
        if second is not None:
            return unit
        scale = np.full_like(unit.scale, np.mean(unit.scale))  # deviances are added up
        loss_scale = float(scale[0]) ** (2 - p)
        return unit._replace(
            scale=scale, raw_shift=np.log(scale), loss_shift=0.0, loss_scale=loss_scale
        )

    def _unit_of_numbers(self, y: np.ndarray, weights: np.ndarray | None) -> Unit:
        """Return that of the normal distribution, its variance beside the mean if learned."""
        unit = Gaussian().target_unit(y, weights)
        if self._second is not None:
            return unit._replace(raw_shift=np.concatenate([unit.shift, 2 * np.log(unit.scale)]))
        return Linear().target_unit(y, weights)  # type: ignore[return-value]


ROWS: dict[str, type[Head]] = {
    "gamma": Gamma,
    "tweedie": Tweedie,
}
globals()["__all__"] = [kind.__name__ for kind in ROWS.values()]  # type checkers see all names
