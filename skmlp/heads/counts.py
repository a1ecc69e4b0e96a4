"""Heads for counts: Poisson's, and those that vary more.

Poisson has scikit-learn's numbers, which leave out a function of y; the loss of the other is minus
the logarithm of its probability.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import special, stats

from .dispersion import Dispersed
from .domains import ZERO_OR_POSITIVE, Domain
from .frozen import poisson
from .head import LIMIT, Head, best_constant, log_above, mean, wide
from .series import log_rising


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
        return poisson(self.predict(wide(raw)))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw output of the mean."""
        return log_above(mean(y, weights), 30.0)


@dataclass(frozen=True)
class NegativeBinomial(Dispersed):
    """Regression of counts that vary more than Poisson's: variance = mean + dispersion mean^2.

    Loss, with r = 1 / dispersion: the sum over outputs of
    (r + y) log(1 + mean / r) - y log(mean / r) - gammaln(y + r) + gammaln(r) + gammaln(y + 1).
    Domain: y >= 0. Link: log; the mean grows slowly outside exp(+-40), the dispersion outside
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
        super().__post_init__()
        self._check_second("dispersion")

    @property
    def _second(self) -> Any:
        return self.dispersion

    @property
    def _limit_of_means(self) -> float:
        return 2 * LIMIT  # counts have no unit, and may be large

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the log-likelihood."""
        log_mean, log_dispersion = self._logarithms(raw)
        is_learned = isinstance(self.dispersion, str)
        r = np.exp(-log_dispersion) if is_learned else 1.0 / float(self.dispersion)
        rising = log_rising(y, r)
        normalizer = (r + y) * np.logaddexp(log_mean + log_dispersion, 0)
        return np.sum(normalizer - y * log_mean - rising + special.gammaln(y + 1), axis=1)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return negative binomial distributions."""
        log_mean, log_dispersion = self._logarithms(wide(raw))
        share = special.expit(-log_mean - log_dispersion)
        share = np.minimum(share, 1 - 1e-8)  # is almost Poisson's, with digits left of 1 - share
        return stats.nbinom(np.exp(log_mean) * (share / (1 - share)), share)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw outputs of the mean and of the dispersion of the greatest likelihood."""
        average = mean(y, weights)
        if not isinstance(self.dispersion, str):
            return self._raw_mean(average)
        variance = mean(np.square(y - average), weights)
        excess = (variance - average) / np.maximum(np.square(average), np.exp(-LIMIT))
        start = np.concatenate([self._raw_mean(average), np.log(np.clip(excess, 1e-2, 1e4))])
        bounds = [(-LIMIT, np.inf)] * len(average) + [(-LIMIT, LIMIT)] * len(average)
        return best_constant(self, y, weights, start, bounds)

    def _raw_mean(self, average: np.ndarray) -> np.ndarray:
        return log_above(np.where(average > 0, average, math.exp(-LIMIT)), self._limit_of_means)


ROWS: dict[str, type[Head]] = {
    "poisson": Poisson,
    "negative_binomial": NegativeBinomial,
}
globals()["__all__"] = [kind.__name__ for kind in ROWS.values()]  # type checkers see all names
