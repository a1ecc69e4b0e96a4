"""An order of rows and columns that depends on nothing but what they hold.

The law: a table whose rows or columns come in another order is fitted bit for bit alike, since the
first thing that a fit does is to bring both in an order of their own. It is as if drawn at random,
so the first rows are a sample; rows that hold the same are interchangeable.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from .columns import Table


class Order(NamedTuple):
    """Where the rows and the columns of a table are to come from.

    Attributes
    ----------
    rows : ndarray of shape (n_rows,)
        Row numbers.
    numbers, codes : ndarray of shape (n_numbers,), (n_categories,)
        Numbers of columns.
    """

    rows: np.ndarray
    numbers: np.ndarray
    codes: np.ndarray

    def of(self, table: Table) -> Table:
        """Bring a table in this order."""
        rows = self.rows[:, None]
        return Table(table.numbers[rows, self.numbers], table.codes[rows, self.codes])

    def of_columns(self, table: Table) -> Table:
        """Bring the columns of other rows in this order."""
        return Table(table.numbers[:, self.numbers], table.codes[:, self.codes])


def order_of(table: Table, further: Iterable[np.ndarray], rows: np.ndarray, seed: int) -> Order:
    """Draw an order of some rows, and one of the columns.

    Parameters
    ----------
    table : Table
        What is brought in order.
    further : iterable of ndarray of shape (n,) or (n, k)
        What else is known of each row: targets, weights. Only their order counts, no unit.
    rows : ndarray of int
        The rows that count; others are left out.
    seed : int
        What the order of the rows is drawn by.
    """
    marks = np.zeros(len(rows), dtype=np.uint64)
    numbers, codes = (
        np.array([_mark(column[rows], marks) for column in array.T], np.uint64) for array in table
    )
    for array in further:
        for column in array.reshape(len(array), -1).T:
            ranks = np.unique(column[rows], return_inverse=True)[1].reshape(-1)
            _mark(ranks, marks)
    marks = _mixed(marks ^ np.uint64(seed))
    # Copies of a row are told apart by number, or they would all come one after another.
    by_content = np.argsort(marks, kind="stable")
    _, starts, counts = np.unique(marks[by_content], return_index=True, return_counts=True)
    number = np.empty(len(rows), dtype=np.uint64)
    number[by_content] = np.arange(len(rows)) - np.repeat(starts, counts)
    order = np.argsort(_mixed(marks + number), kind="stable")
    return Order(rows[order], *(np.argsort(salts, kind="stable") for salts in (numbers, codes)))


def _mark(column: np.ndarray, marks: np.ndarray) -> int:
    """Add what a column says to the marks of the rows, and return the column's own.

    Sums know no order: that of the rows in a column's mark, that of the columns in a row's. A
    constant column says nothing.
    """
    bits = _mixed(_bits(column))
    salt = np.sum(bits, dtype=np.uint64)
    if len(bits) and np.any(bits != bits[0]):
        bits ^= salt
        marks += _mixed(bits)
    return int(salt)


def _bits(column: np.ndarray) -> np.ndarray:
    numbers = column.astype(np.float64)
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
