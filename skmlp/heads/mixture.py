r"""The head whose target is a mixture of normal distributions: any shape.

The law of a distribution: the loss is minus the logarithm of the density, `distribution` is that
very distribution, and `predict` is its mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import log_softmax, logsumexp, softmax
from ..engine.words import shown
from .domains import is_count
from .frozen import Mixture
from .head import (
    LIMIT,
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
from .location_scale import UNIT_OF_LOG_SCALES, Gaussian
from .series import HALF_LOG_2PI


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
        super().__post_init__()
        if not is_count(self.n_components):
            raise ValueError(
                "GaussianMixture needs n_components that is a whole number >= 1, "
                f"got {shown(self.n_components)}"
            )

    def n_raw(self, n_targets: int) -> int:
        """Return three for each target and component."""
        return 3 * int(self.n_components) * n_targets

    def _parts(self, raw: Any) -> list[Any]:
        """Return logits, means and logarithms of scales, of shape (n, n_components, n_targets)."""
        n = int(self.n_components)
        k = raw.shape[1] // (3 * n)
        logits, means, log_scales = (part.reshape(-1, n, k) for part in blocks(raw, 3))
        return [logits, means, bounded(log_scales, center=self._log_unit)]

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
        logits, means, log_scales = (np.moveaxis(part, 1, 2) for part in self._parts(wide(raw)))
        return Mixture(softmax(logits), means, np.exp(log_scales))

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return mixtures fitted from components spread over the quantiles.

        No scale is less than a thousandth of the standard deviation, so that no component ends
        on a single value.
        """
        n = int(self.n_components)
        parts = []
        for column in wide(y).T[:, :, None]:
            log_scale = Gaussian().initial_raw(column, weights)[1]
            least = log_scale - math.log(1e3)
            start = self._near(column, weights, least)
            bounds = [(-LIMIT, LIMIT)] * n + [(-np.inf, np.inf)] * n + [(least, np.inf)] * n
            parts.append(best_constant(self, column, weights, start, bounds))
        return np.stack(parts, axis=1).ravel()

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return 1 for logits, the target's standard deviation for means, 1/2 for logarithms."""
        n, k = int(self.n_components), y.shape[1]
        log_scales = np.full(n * k, UNIT_OF_LOG_SCALES)
        return np.concatenate([np.ones(n * k), np.tile(spread(y, weights), n), log_scales])

    def target_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> Unit:
        """Return the mean and the standard deviation of each target."""
        n, shift, scale = int(self.n_components), mean(y, weights), spread(y, weights)
        ones, log_scale = np.ones(n * len(scale)), np.log(scale)
        return Unit(
            shift,
            scale,
            np.concatenate([0 * ones, np.tile(shift, n), np.tile(log_scale, n)]),
            np.concatenate([ones, np.tile(scale, n), ones]),
            float(np.sum(log_scale)),
        )

    def _near(self, y: np.ndarray, weights: np.ndarray | None, least: float) -> np.ndarray:
        """Improve a mixture from components at the quantiles, by expectation and maximization.

        Dempster, Laird and Rubin, "Maximum likelihood from incomplete data via the EM algorithm",
        JRSS B 39 (1977).
        """
        n = int(self.n_components)
        total = np.ones((len(y), 1)) if weights is None else wide(weights)[:, None]
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


ROWS: dict[str, type[Head]] = {
    "gaussian_mixture": GaussianMixture,
}
globals()["__all__"] = [kind.__name__ for kind in ROWS.values()]  # type checkers see all names
