"""Heads for regression whose answer is one number: a mean, or a median."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..engine.words import shown
from .domains import is_number
from .head import Head, Unit, best_constant, mean, weighted_quantile


@dataclass(frozen=True)
class Linear(Head):
    """Regression by least squares; the output activation is the identity.

    Loss: sum over outputs of (raw - y)^2 / 2. Domain: all numbers. Link: identity. One raw output
    for each target; `predict` is the mean.

    Examples
    --------
    >>> Linear().loss(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
    array([2.5])
    """

    loss_degree: ClassVar[float | None] = 2.0

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute half the squared error."""
        return 0.5 * np.sum(np.square(raw - y), axis=1)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the mean."""
        return mean(y, weights)


@dataclass(frozen=True)
class AbsoluteError(Head):
    """Regression to the median, which outliers hardly move.

    Loss: sum over outputs of abs(raw - y). Domain: all numbers. Link: identity. One raw output
    for each target; `predict` is the median. Koenker and Bassett, "Regression quantiles",
    Econometrica 46 (1978).

    Examples
    --------
    >>> AbsoluteError().loss(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
    array([3.])
    >>> AbsoluteError().initial_raw(np.array([[1.0], [2.0], [100.0]]))
    array([2.])
    """

    loss_degree: ClassVar[float | None] = 1.0

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the absolute error."""
        return np.sum(np.abs(raw - y), axis=1)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the median."""
        return weighted_quantile(y, weights, 0.5)


@dataclass(frozen=True)
class Huber(Head):
    """Regression to a robust mean: squared error near the target, absolute error far from it.

    Loss: sum over outputs of e^2 / 2 where e = abs(raw - y) is up to `delta`, and
    delta (e - delta / 2) above. Domain: all numbers. Link: identity. One raw output for each
    target; `predict` is the robust mean. Huber, "Robust estimation of a location parameter",
    Annals of Mathematical Statistics 35 (1964).

    Parameters
    ----------
    delta : float, default=1.35
        Where the loss becomes linear, in units of the target; positive. 1.35 times the scale of
        the noise keeps 95 % of the efficiency of least squares for normal noise.

    Raises
    ------
    ValueError
        If `delta` is not a positive number.

    Examples
    --------
    >>> Huber(delta=1.0).loss(np.array([[0.0], [0.0]]), np.array([[0.5], [10.0]]))
    array([0.125, 9.5  ])
    """

    delta: float = 1.35

    def __post_init__(self) -> None:
        """Check the parameter."""
        super().__post_init__()
        if not (is_number(self.delta) and self.delta > 0):
            raise ValueError(f"Huber needs a delta that is a number > 0, got {shown(self.delta)}")

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the Huber loss."""
        error = np.abs(raw - y)
        square = np.minimum(error, float(self.delta))
        return np.sum(square * (error - 0.5 * square), axis=1)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the robust mean, found from the median."""
        return best_constant(self, y, weights, weighted_quantile(y, weights, 0.5))

    def target_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> Unit:
        """Return the unit in which `delta` is 1."""
        shift = mean(y, weights)
        scale = np.full(len(shift), float(self.delta))
        return Unit(shift, scale, shift, scale, loss_scale=float(self.delta) ** 2)

    def of_target_unit(self) -> Head:
        """Return the head whose delta is 1."""
        return Huber(1.0)


ROWS: dict[str, type[Head]] = {
    "linear": Linear,
    "absolute_error": AbsoluteError,
    "huber": Huber,
}
globals()["__all__"] = [kind.__name__ for kind in ROWS.values()]  # type checkers see all names
