"""The head whose answers are quantiles, which never cross."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.words import shown
from .head import (
    LIMIT,
    Head,
    blocks,
    mean,
    spread,
    weighted_quantile,
)


@dataclass(frozen=True)
class Quantile(Head):
    """Regression to one quantile or to several, which never cross.

    Loss, the pinball loss: sum over outputs and levels of q max(e, 0) + (1 - q) max(-e, 0), with
    e = y - prediction. Domain: all numbers. Link: identity for the level next to 1/2; from there
    outwards each level adds or subtracts log(1 + exp(raw)). One raw output for each target and
    level; `predict` is the quantile, or with a list of m levels the quantiles, of shape
    (n, n_targets, m). `score` judges the level next to 1/2. Koenker and Bassett, "Regression
    quantiles", Econometrica 46 (1978).

    Parameters
    ----------
    q : float or sequence of float, default=0.5
        The level in (0, 1), or levels that increase.

    Raises
    ------
    ValueError
        If `q` is anything else.

    Examples
    --------
    >>> Quantile(0.9).loss(np.array([[0.0], [0.0]]), np.array([[1.0], [-1.0]]))
    array([0.9, 0.1])
    >>> Quantile([0.1, 0.5, 0.9]).predict(np.array([[-3.0, 10.0, 0.0]])).round(2)
    array([[[ 9.95, 10.  , 10.69]]])
    """

    q: float | Sequence[float] = 0.5

    def __post_init__(self) -> None:
        """Check the levels, and keep several as a tuple."""
        try:
            levels = np.array(self.q, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            levels = np.array([])
        inside = (levels > 0) & (levels < 1)
        if (
            levels.ndim > 1
            or not levels.size
            or not np.all(inside)
            or np.any(np.diff(np.ravel(levels)) <= 0)
        ):
            raise ValueError(
                "Quantile needs a q that is a number in (0, 1) or an increasing list of them, "
                f"got {shown(self.q)}"
            )
        object.__setattr__(
            self, "q", levels.tolist() if levels.ndim == 0 else tuple(levels.tolist())
        )

    @property
    def levels(self) -> tuple[float, ...]:
        """The levels, in a tuple."""
        return tuple(np.ravel(self.q).tolist())

    @property
    def _central(self) -> int:
        return int(np.argmin(np.abs(np.subtract(self.levels, 0.5))))

    def n_raw(self, n_targets: int) -> int:
        """Return one for each target and level."""
        return len(self.levels) * n_targets

    def _quantiles(self, raw: Any) -> list[Any]:
        """Return the quantiles of each level, of shape (n, n_targets)."""
        parts, center = blocks(raw, len(self.levels)), self._central
        quantiles = parts[center : center + 1]
        for part in parts[center + 1 :]:
            quantiles.append(quantiles[-1] + np.logaddexp(part, 0))
        for part in reversed(parts[:center]):
            quantiles.insert(0, quantiles[0] - np.logaddexp(part, 0))
        return quantiles

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the pinball loss."""
        total: Any = 0.0
        for q, predicted in zip(self.levels, self._quantiles(raw), strict=True):
            error = y - predicted
            total = total + q * np.maximum(error, 0) + (1 - q) * np.maximum(-error, 0)
        return np.sum(total, axis=1)

    def predict(self, raw: Any) -> Any:
        """Return the quantile, or the quantiles along a third axis."""
        quantiles = self._quantiles(raw)
        return quantiles[0] if np.ndim(self.q) == 0 else np.stack(quantiles, axis=-1)

    def center(self, raw: Any) -> Any:
        """Return the quantile of the level next to 1/2."""
        return blocks(raw, len(self.levels))[self._central]

    def quantile(self, raw: np.ndarray, q: Sequence[float]) -> np.ndarray:
        """Return the quantiles of levels that the head has."""
        quantiles = self._quantiles(raw)
        places = []
        for level in q:
            near = np.flatnonzero(np.isclose(self.levels, level, rtol=0, atol=1e-9))
            if not len(near):
                raise ValueError(
                    f"{self} knows its own levels alone, got {level:g}: fit a Quantile that has "
                    "it, or a head with a distribution"
                )
            places.append(int(near[0]))
        return np.stack([quantiles[place] for place in places], axis=-1)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw outputs of the weighted quantiles.

        Equal quantiles are set apart by a thousandth of the standard deviation, so that they can
        part in training.
        """
        quantiles = np.array([weighted_quantile(y, weights, q) for q in self.levels])
        deviation = np.sqrt(mean(np.square(y - mean(y, weights)), weights))
        gaps = np.maximum(np.diff(quantiles, axis=0), 1e-3 * deviation + np.exp(-LIMIT))
        increments = gaps + np.log(-np.expm1(-gaps))  # the inverse of log(1 + exp(raw))
        center = self._central
        parts = [*increments[:center], quantiles[center], *increments[center:]]
        return np.concatenate(parts)

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the standard deviation of the target for each level."""
        return np.tile(spread(y, weights), len(self.levels))


ROWS: dict[str, type[Head]] = {
    "quantile": Quantile,
}
globals()["__all__"] = [kind.__name__ for kind in ROWS.values()]  # type checkers see all names
