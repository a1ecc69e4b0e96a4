"""What explanations ask of an estimator, whatever stands between a user's columns and its network.

The law: rows become points, of as many numbers as it takes, between which one can go straight;
what is asked for is a function of a point, with slopes; and what is found of the numbers of points
goes back to the columns that they are made of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.sparse import issparse

from ..estimators.containers import columns_of, is_table
from .asked import Asked

_NUMBERS_AT_ONCE = 1 << 22  # of rows, as points


class Inputs(NamedTuple):
    """Rows, as points and as the user sees them.

    Attributes
    ----------
    z : ndarray of shape (n, numbers of a point)
        The points.
    u : ndarray of shape (n, atoms)
        The numbers of columns that they are made of.
    missing : ndarray of bool, of shape (n, n_columns), or None
        Which numbers of the user's are missing; None where none can be.
    """

    z: np.ndarray
    u: np.ndarray
    missing: np.ndarray | None = None


class Explained(ABC):
    """An estimator, looked through, and what is asked of it.

    Attributes
    ----------
    asked : Asked
        What is asked of raw outputs.
    n_columns : int
        How many columns the user's table has.
    tolerance : float
        How far attributions may be from adding up, if nobody says how far.
    """

    tolerance: ClassVar[float] = 1e-6
    asked: Asked
    n_columns: int
    _names: Any
    _widest: int  # numbers of a row, at most

    # -- rows --------------------------------------------------------------------------------------

    @abstractmethod
    def read(self, X: Any) -> Inputs:
        """Read rows."""

    @abstractmethod
    def zero(self, X: Any) -> Inputs:
        """Return the row of zeros; X is a table like it."""

    @abstractmethod
    def is_number(self) -> np.ndarray:
        """Tell which columns are numbers, (n_columns,)."""

    def without_zero(self, X: Any) -> Any:
        """Return the name of a column that has no zero, None if each has."""
        are_numbers = self.is_number()
        return None if are_numbers.all() else self.names(X)[int(np.argmin(are_numbers))]

    def names(self, X: Any) -> np.ndarray:
        """Return the names of the columns: those of X, or those seen in fit, or x0, x1, ..."""
        if is_table(X):
            return np.array([name for name, _ in columns_of(X)], object)
        named = [f"x{i}" for i in range(self.n_columns)] if self._names is None else self._names
        return np.asarray(named, object)

    def blocks(self, X: Any) -> Iterator[tuple[int, Inputs]]:
        """Read so many rows at a time that memory is bounded: where they start, and they."""
        n, at_once = number_of_rows(X), max(1, _NUMBERS_AT_ONCE // self._widest)
        for start in range(0, max(n, 1), at_once):
            some = np.arange(start, min(n, start + at_once))
            yield start, self.read(X if n <= at_once else rows(X, some))

    def mean(self, X: Any) -> Inputs:
        """Return the mean of the points of all rows."""
        n, sums = 0, [np.zeros((1, 1)), np.zeros((1, 1))]
        for _, inputs in self.blocks(X):
            n += len(inputs.z)
            pairs = zip(sums, inputs[:2], strict=True)
            sums = [total + np.sum(part, axis=0, keepdims=True) for total, part in pairs]
        return Inputs(*(total / n for total in sums))

    def as_rows(self, baseline: Any, X: Any) -> Any:
        """Return the rows of a baseline, in a table if X is one."""
        if is_table(baseline):
            return baseline
        given = np.asarray(baseline)
        given = given[None] if given.ndim == 1 else given
        if given.ndim != 2 or given.shape[1] != self.n_columns or not len(given):
            raise ValueError(
                f"baseline must be 'mean', 'zero', a row or rows of {self.n_columns} numbers, as X "
                f"has columns, got an array of shape {np.shape(baseline)}."
            )
        if not is_table(X):
            return given
        if not hasattr(X, "iloc"):
            raise ValueError(
                "baseline must be a table, as X is: give X[:1], say, with other values."
            )
        return type(X)(given, columns=X.columns).astype(X.dtypes)

    # -- what is asked -----------------------------------------------------------------------------

    @abstractmethod
    def columns(self, z: np.ndarray) -> np.ndarray:
        """Return which numbers are asked for at each point, (n, how many)."""

    @abstractmethod
    def values(self, z: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return one of the numbers at each point, (n,)."""

    @abstractmethod
    def function(self, z: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return one of the numbers at each point, (n,), and its slopes, like z."""

    # -- back --------------------------------------------------------------------------------------

    @abstractmethod
    def slopes_of_columns(self, slopes: np.ndarray, inputs: Inputs) -> np.ndarray:
        """Return slopes by columns (n, n_columns) for those by points; NaN where there is none."""

    @abstractmethod
    def added(self, slopes: np.ndarray, inputs: Inputs, start: Inputs) -> np.ndarray:
        """Return what columns add, (n, n_columns), on straight ways of these mean slopes."""


# == tables and matrices of any make ===============================================================


def number_of_rows(X: Any) -> int:
    """Return the number of rows of a table, a matrix or a list."""
    return len(X) if isinstance(X, (list, tuple)) else int(_with_shape(X).shape[0])


def number_of_columns(X: Any) -> int:
    """Return the number of columns of a table, a matrix or a list of rows."""
    return len(X[0]) if isinstance(X, (list, tuple)) else int(_with_shape(X).shape[1])


def _with_shape(X: Any) -> Any:
    return X if hasattr(X, "shape") else np.asarray(X)


def rows(X: Any, which: np.ndarray) -> Any:
    """Return rows of a table, a matrix or a list by their numbers, as what it is."""
    if hasattr(X, "iloc"):
        return X.iloc[which]
    if is_table(X):
        return X[which.tolist()] if hasattr(X, "iter_columns") else X.take(which.tolist())
    if isinstance(X, (list, tuple)):
        return [X[i] for i in which]
    return (X.tocsr() if issparse(X) else np.asarray(X))[which]


def columns(X: Any, which: np.ndarray) -> Any:
    """Return columns of a table or a matrix by their numbers, as what it is."""
    if hasattr(X, "iloc"):
        return X.iloc[:, which]
    if is_table(X):
        return X[:, which.tolist()] if hasattr(X, "iter_columns") else X.select(which.tolist())
    if isinstance(X, (list, tuple)):
        return np.asarray(X, object)[:, which]
    return (X.tocsc() if issparse(X) else np.asarray(X))[:, which]
