"""The head whose answers are quantiles, which never cross."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..engine.words import shown
from .domains import as_levels
from .head import LIMIT, Head, Unit, blocks, mean, spread, weighted_quantile

_SAME_LEVEL = float(np.finfo(np.float32).eps)  # levels may have been computed in float32


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

    loss_degree: ClassVar[float | None] = 1.0
    q: float | Sequence[float] = 0.5

    def __post_init__(self) -> None:
        """Check the levels, and keep several as a tuple."""
        try:
            levels = as_levels(self.q)
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
        unit = math.exp(self._log_unit)  # all targets have the same
        quantiles = parts[center : center + 1]
        for part in parts[center + 1 :]:
            quantiles.append(quantiles[-1] + unit * np.logaddexp(part / unit, 0))
        for part in reversed(parts[:center]):
            quantiles.insert(0, quantiles[0] - unit * np.logaddexp(part / unit, 0))
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
            away = np.abs(np.subtract(self.levels, level))
            if not np.min(away) <= _SAME_LEVEL:
                raise ValueError(
                    f"{self} knows its own levels alone, got {level:g}: fit a Quantile that has "
                    "it, or a head with a distribution"
                )
            places.append(int(np.argmin(away)))
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

    def target_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> Unit | None:
        """Return the unit of numbers; distances between levels have no shift."""
        unit, n_levels = super().target_unit(y, weights), len(self.levels)
        assert unit is not None
        raw_shift = np.zeros((n_levels, len(unit.shift)))
        raw_shift[self._central] = unit.shift
        return unit._replace(raw_shift=raw_shift.ravel(), raw_scale=np.tile(unit.scale, n_levels))


ROWS: dict[str, type[Head]] = {
    "quantile": Quantile,
}
globals()["__all__"] = [kind.__name__ for kind in ROWS.values()]  # type checkers see all names
