"""What the nearest training rows were: means of their targets, as columns for a network.

The law: a row is never its own neighbor in training; and a row's columns depend on that row and on
the training rows alone, bit for bit, since distances are sums without rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

_MOST_COLUMNS_OF_A_TREE = 8  # with more, products of matrices are faster
_LARGEST = 3.0  # of an encoded number
_BYTES_AT_ONCE = 1 << 24  # of distances, coordinates and targets


@dataclass(eq=False)
class Neighbors:
    """Mean targets of the nearest training rows.

    Distances are Euclidean. Coordinates are whole multiples of a power of two, chosen so that
    squared distances are exact, in float32 where they are products of matrices: no order of sums,
    no size of blocks changes a bit.

    Attributes
    ----------
    counts : tuple of int
        How many of the nearest rows are averaged.
    unit : float
        Coordinates are multiples of this.
    candidates : ndarray of shape (n_candidates, n_plain)
        Coordinates, in units, of the rows that can be neighbors.
    target : ndarray of shape (n_candidates, t)
        Their targets.
    weights : ndarray of shape (n_candidates,)
        Their weights, the largest of which is 1.
    """

    counts: tuple[int, ...]
    unit: float
    candidates: np.ndarray
    target: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        points = self.candidates.astype(_precision(self.candidates.shape[1]))
        squares = np.einsum("ij,ij->i", points, points)
        self._furthest = np.ceil(np.max(np.abs(points), initial=_LARGEST / self.unit))
        self._factors = np.vstack([-2 * points.T, squares])  # [q, 1] times this: |r|^2 - 2 q r
        self._tree = None
        if 0 < points.shape[1] <= _MOST_COLUMNS_OF_A_TREE:
            self._tree = cKDTree(points, balanced_tree=False)

    def __getstate__(self) -> dict[str, Any]:
        derived = ("_furthest", "_factors", "_tree")
        return {key: value for key, value in vars(self).items() if key not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    @classmethod
    def of(
        cls,
        rows: np.ndarray,
        target: np.ndarray,
        *,
        counts: Sequence[int] = (1, 5, 20),
        weights: np.ndarray | None = None,
        max_candidates: int = 20_000,
    ) -> Neighbors:
        """Choose the rows that can be neighbors.

        Parameters
        ----------
        rows : ndarray of shape (n, n_plain)
            The plain columns of encoded rows, in an order as if drawn at random.
        target : ndarray of shape (n, t)
            One-hot classes or standardized numbers.
        counts : sequence of int, default=(1, 5, 20)
            How many of the nearest rows are averaged.
        weights : ndarray of shape (n,), default=None
            Weights in these means.
        max_candidates : int, default=20000
            Most rows that can be neighbors, the first ones; time is in proportion to it.
        """
        first = slice(max_candidates)
        n = len(rows[first])
        weights = np.ones(n) if weights is None else np.asarray(weights[first], dtype=np.float64)
        unit = _unit(rows[first])
        return cls(
            tuple(counts),
            unit,
            np.rint(rows[first] / unit).astype(np.int32),
            np.asarray(target[first], dtype=np.float32).reshape(n, -1),
            (weights / np.max(weights, initial=0.0)).astype(np.float32),
        )

    def training_columns(self, rows: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
        """Compute the columns of all training rows, each left out itself, or its whole group.

        Parameters
        ----------
        rows : ndarray of shape (n, n_plain)
            Those that `of` was given.
        groups : ndarray of shape (n,), default=None
            Which rows belong together.

        Returns
        -------
        columns : ndarray of shape (n, t * (len(counts) + 1) + 1)
            For each count the mean target of so many nearest rows; that of the most of them,
            weighted by softmax(-2 (d / mean d of a quarter of them)^2); log(d_1 + 1e-3) / 3.
        """
        n = len(self.candidates)

        def find(points: np.ndarray, block: slice) -> tuple[np.ndarray, np.ndarray]:
            if groups is not None:
                same = groups[block, None] == groups[:n]
                return self._find_by_products(points, max(self.counts), same)
            own = np.arange(block.start, block.start + len(points))
            return self._find_others(points, own)

        return self._columns(rows, find)

    def columns(self, rows: np.ndarray) -> np.ndarray:
        """Compute the columns of new rows, as `training_columns`."""
        return self._columns(rows, lambda points, _: self._find(points, max(self.counts)))

    def _columns(
        self,
        rows: np.ndarray,
        find: Callable[[np.ndarray, slice], tuple[np.ndarray, np.ndarray]],
    ) -> np.ndarray:
        n_columns = self.target.shape[1] * (len(self.counts) + 1) + 1
        columns = np.empty((len(rows), n_columns), dtype=np.float32)
        widest = len(self.candidates) + self.target.shape[1] + self.candidates.shape[1]
        step = max(1, _BYTES_AT_ONCE // (8 * widest))
        for i in range(0, len(rows), step):
            block = slice(i, i + step)
            nearest, far = find(self._points_of(rows[block]), block)
            self._averages(nearest, far * self.unit, columns[block])
        return columns

    def _points_of(self, rows: np.ndarray) -> np.ndarray:
        points = np.rint(rows.astype(self._factors.dtype) / self.unit)
        np.clip(points, -self._furthest, self._furthest, out=points)
        return points

    def _find(self, points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest candidates, nearest first, and how far they are, in units."""
        if self._tree is None:
            return self._find_by_products(points, count)
        first = np.arange(1, min(count, len(self.candidates)) + 1)
        far, nearest = self._tree.query(points, first)
        return nearest, far

    def _find_others(self, points: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the nearest candidates but for each row's own, which is infinitely far."""
        nearest, far = self._find(points, max(self.counts) + 1)
        far[nearest == own[:, None]] = np.inf
        order = np.argsort(far, axis=1, kind="stable")[:, : max(self.counts)]
        return np.take_along_axis(nearest, order, axis=1), np.take_along_axis(far, order, axis=1)

    def _find_by_products(
        self, points: np.ndarray, count: int, excluded: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        squares = np.column_stack([points, np.ones(len(points), points.dtype)]) @ self._factors
        if excluded is not None:
            squares[excluded] = np.inf
        nearest, smallest = _smallest(squares, min(count, squares.shape[1]))
        smallest += np.einsum("ij,ij->i", points, points)[:, None]
        return nearest, np.sqrt(smallest.astype(np.float64))

    def _averages(self, nearest: np.ndarray, far: np.ndarray, out: np.ndarray) -> None:
        present = np.isfinite(far)
        far = np.where(present, far, 0.0)
        weights = self.weights[nearest] * present
        near = slice(0, max(2, max(self.counts) // 4))
        usual = _total(far[:, near]) / np.maximum(_total(present[:, near] * 1.0), 1)
        kernel = weights * np.exp(-np.minimum(2 * (far / (usual[:, None] + 1e-9)) ** 2, 50))
        t = self.target.shape[1]
        for k, count in enumerate(self.counts):
            out[:, k * t : (k + 1) * t] = self._mean(nearest[:, :count], weights[:, :count])
        out[:, len(self.counts) * t : -1] = self._mean(nearest, kernel)
        first = np.where(present[:, 0], far[:, 0], 1.0)
        out[:, -1] = np.log(first + 1e-3) / 3

    def _mean(self, nearest: np.ndarray, weights: np.ndarray) -> np.ndarray:
        total = np.zeros((len(nearest), self.target.shape[1]))
        for k in range(nearest.shape[1]):
            total += weights[:, [k]] * self.target[nearest[:, k]]
        weight: np.ndarray = np.maximum(_total(weights), 1e-30)
        return total / weight[:, None]


def _total(numbers: np.ndarray) -> np.ndarray:
    """Add up each row from left to right, so that no other row changes a bit."""
    return np.cumsum(numbers, axis=1)[:, -1]


def _smallest(squares: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of the smallest numbers of each row, and these; of equals the first."""
    row, column = _small(squares, count)
    found = np.bincount(row, minlength=len(squares))
    k = np.arange(len(row)) - (np.cumsum(found) - found)[row]
    small = np.full((len(squares), np.max(found)), np.inf)
    small[row, k] = squares[row, column]
    places = np.zeros(small.shape, dtype=np.intp)
    places[row, k] = column
    order = np.argsort(small, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(small, order, axis=1)


def _small(squares: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the `count` smallest numbers of each row, of equals the first, and a few more.

    Columns come at random, so the first sixteenth says about where the limit is. Partitioning whole
    rows takes longer, and is for those where that was wrong.
    """
    share, expected = squares.shape[1] // 16, count / 16
    rank = int(expected + 3 * np.sqrt(expected) + 2)
    if rank >= share:
        return _places(_are_smallest(squares, count))
    limit = np.partition(squares[:, :share], rank, axis=1)[:, [rank]]
    are_small = squares <= limit
    row, column = _places(are_small)
    found = np.bincount(row, minlength=len(squares))
    wrong = (found < count) | (found > 16 * count)
    if not np.any(wrong):
        return row, column
    are_small[wrong] = _are_smallest(squares[wrong], count)
    return _places(are_small)


def _places(marked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where a matrix is true, row by row: `np.nonzero`, but faster where that is seldom."""
    return np.divmod(np.flatnonzero(marked), marked.shape[1])


def _are_smallest(squares: np.ndarray, count: int) -> np.ndarray:
    limit = np.partition(squares, count - 1, axis=1)[:, [count - 1]]
    equal = squares == limit
    of_equal: np.ndarray = np.cumsum(equal, axis=1, dtype=np.int32) <= count
    return (squares < limit) | (equal & of_equal)


def _precision(n_columns: int) -> type[np.floating]:
    return np.float32 if n_columns > _MOST_COLUMNS_OF_A_TREE else np.float64


def _unit(rows: np.ndarray) -> float:
    """Return the smallest unit in which all sums of squares are whole numbers without rounding.

    A difference is at most twice the largest coordinate, to which those of new rows are clipped.
    """
    largest = float(np.max(np.abs(rows), initial=_LARGEST))
    most = 2.0 ** (np.finfo(_precision(rows.shape[1])).nmant + 1)
    exponent = np.log2(most / (4 * (1.02 * largest) ** 2 * max(1, rows.shape[1]))) / 2
    return float(2.0 ** -np.floor(exponent))
