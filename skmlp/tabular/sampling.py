"""An order of rows that depends on nothing but what the rows hold, and samples by it.

The law: neither the order of the rows, nor that of the columns, nor a constant column changes which
rows are drawn or in what order they come; rows that hold the same are interchangeable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np


def drawn(arrays: Iterable[np.ndarray], rows: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return at most `size` of `rows`, at random, in an order of their own.

    Each array has a row (or a number) for every row of the table, `rows` are row numbers in it.
    """
    marks = np.zeros(len(rows), dtype=np.uint64)
    for array in arrays:
        for column in _columns(array, rows):
            bits = _mixed(column)
            if np.all(bits == bits[0]):
                continue
            # Sums know no order: of the rows in a column's salt, of the columns in a row's mark.
            bits ^= np.sum(bits, dtype=np.uint64)
            marks += _mixed(bits)
    # Copies of one row get different marks, or a sample would have all of them or none.
    by_content = np.argsort(marks)
    of_sorted = marks[by_content]
    starts = np.flatnonzero(np.concatenate([[True], of_sorted[1:] != of_sorted[:-1]]))
    copy = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    salt = np.uint64(seed % (1 << 63))
    order = np.argsort(_mixed(_mixed(of_sorted ^ salt) + copy.astype(np.uint64)), kind="stable")
    return rows[by_content[order[:size]]]


def _columns(array: np.ndarray, rows: np.ndarray) -> Iterator[np.ndarray]:
    every = len(rows) == len(array)
    for column in array.reshape(len(array), -1).T:
        numbers = (column if every else column[rows]).astype(np.float64)
        numbers += 0.0  # -0 is 0
        numbers[np.isnan(numbers)] = np.nan
        yield numbers.view(np.uint64)


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Return bits as if drawn at random for each (the finalizer of SplitMix64)."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    bits ^= bits >> np.uint64(31)
    return bits
