r"""A target on the scale that one kind of members learns it on.

.. math:: u = \log(y + c), \quad c = 0.05 \, \mathrm{mean}(y)

for columns that are not negative and have a long tail; others stay. An answer is turned back,
multiplied by the factor that fits the rows out of fold best (the mean of exp(u) is not exp of the
mean), and kept within the targets that were seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.stats import skew

_SKEWED = 0.8
_OFFSET = 0.05


@dataclass(frozen=True, eq=False)
class Transform:
    """How targets are learned, column by column.

    Attributes
    ----------
    is_log : ndarray of bool of shape (n_targets,)
        Whether a column is learned as a logarithm.
    offset, factor, least, most : ndarray of shape (n_targets,)
        The constant c, what answers are multiplied by, and the range of the target.
    """

    is_log: np.ndarray
    offset: np.ndarray
    factor: np.ndarray
    least: np.ndarray
    most: np.ndarray

    @classmethod
    def of(cls, Y: np.ndarray, *, may_log: bool) -> Self:
        """Look at targets of shape (n, n_targets)."""
        Y = np.asarray(Y, np.float64)
        least, most = Y.min(axis=0), Y.max(axis=0)
        is_log = (least >= 0) & (most > least) & may_log
        if is_log.any():
            with np.errstate(all="ignore"):
                is_log &= skew(Y, axis=0) > _SKEWED
        offset = np.where(is_log, _OFFSET * Y.mean(axis=0), 0.0)
        return cls(is_log, offset, np.ones(Y.shape[1]), least, most)

    def learned(self, Y: np.ndarray) -> np.ndarray:
        """Return what is learned instead of the targets."""
        with np.errstate(all="ignore"):
            return np.where(self.is_log, np.log(Y + self.offset), Y)

    def answers(self, raw: np.ndarray) -> np.ndarray:
        """Turn answers back, (..., n_targets), and keep them within what was seen."""
        raw = np.asarray(raw, np.float64)
        highest = np.log(np.where(self.is_log, self.most + self.offset, 1.0))
        with np.errstate(all="ignore"):
            back = np.exp(np.minimum(raw, highest)) - self.offset
        found = np.where(self.is_log, back * self.factor, raw)
        return np.clip(found, self.least, self.most)

    def scaled(self, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> Self:
        """Return the transform with the factors that suit (members, n, k) out of fold best."""
        largest = np.ldexp(1.0, np.frexp(np.max(np.abs(self.most), initial=1e-300))[1])
        q, Y = np.mean(self.answers(raw), axis=0) / largest, Y / largest  # no square overflows
        w = np.ones(len(q)) if weights is None else weights
        squares = w @ (q * q)
        fits = np.divide(w @ (q * Y), squares, out=np.ones(len(squares)), where=squares > 0)
        return replace(self, factor=np.where(self.is_log, fits, 1.0))
