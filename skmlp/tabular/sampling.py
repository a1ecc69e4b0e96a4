"""An order of rows that depends on nothing but what the rows hold, and samples by it.

The law: neither the order of the rows, nor that of the columns, nor a constant column changes which
rows are drawn or in what order they come; rows that hold the same are interchangeable.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import check_random_state


class Draw(NamedTuple):
    """Rows that were drawn.

    Attributes
    ----------
    rows : ndarray of shape (n_drawn,)
        Row numbers.
    twins : ndarray of shape (n_drawn,)
        For each the place, in `rows`, of the first row that holds the same.
    """

    rows: np.ndarray
    twins: np.ndarray


def drawn(arrays: Iterable[np.ndarray], rows: np.ndarray, size: int, random_state: Any) -> Draw:
    """Draw at most `size` of `rows`, at random, in an order of their own.

    Each array has a row (or a number) for every row of the table; `rows` are row numbers in it.
    """
    marks = np.zeros(len(rows), dtype=np.uint64)
    for array in arrays:
        for column in array.reshape(len(array), -1).T:
            bits = _mixed(_bits(column, rows))
            if len(bits) == 0 or np.all(bits == bits[0]):
                continue
            # Sums know no order: of the rows in a column's salt, of the columns in a row's mark.
            bits ^= np.sum(bits, dtype=np.uint64)
            marks += _mixed(bits)
    seed = np.uint64(check_random_state(random_state).randint(1 << 31))
    marks = _mixed(marks ^ seed)
    # Copies of a row are told apart by number, or a sample would have all of them or none.
    by_content = np.argsort(marks, kind="stable")
    _, starts, counts = np.unique(marks[by_content], return_index=True, return_counts=True)
    number = np.empty(len(rows), dtype=np.uint64)
    number[by_content] = np.arange(len(rows)) - np.repeat(starts, counts)
    order = np.argsort(_mixed(marks + number), kind="stable")[:size]
    _, first, which = np.unique(marks[order], return_index=True, return_inverse=True)
    return Draw(rows[order], first[which.reshape(-1)])


def _bits(column: np.ndarray, rows: np.ndarray) -> np.ndarray:
    numbers = (column if len(rows) == len(column) else column[rows]).astype(np.float64)
    numbers += 0.0  # -0 is 0
    numbers[np.isnan(numbers)] = np.nan
    return numbers.view(np.uint64)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Return bits as if drawn at random for each (the finalizer of SplitMix64)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return bits
