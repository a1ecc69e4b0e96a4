"""Orders: in which order the training rows are gone through.

The law: an order has each row once. Rows in memory are numbers in an array, and any may come next.
Rows of a file are read in long stretches, since each place where reading starts costs as much as
many rows: `Blocks` are shuffled, some distant ones at a time make a window, and rows are shuffled
within it. Only the window that is gone through is ever listed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

BLOCK_BYTES = 1 << 18  # of neighboring rows that are read in one go
BLOCK_ROWS = 1 << 14  # at most, so that the numbers of a window's rows take 8 MB
WINDOW_BLOCKS = 64  # from as many equal parts of the file, so that each window is like the whole


def shuffled(order: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Return rows in a new order, that of scikit-learn.

    >>> shuffled(np.array([3, 4, 5]), np.random.RandomState(0))
    array([5, 4, 3])
    """
    places = np.arange(len(order))
    random.shuffle(places)
    return order[places]


@dataclass(frozen=True, eq=False)
class Blocks(Sequence[Any]):
    """Rows of a file, all or some of them, in an order of blocks of neighboring rows.

    A slice, or an array of rising positions, gives the row numbers there; `len` is their number.

    Parameters
    ----------
    n_rows : int
        The rows of the file.
    row_bytes : int
        The bytes of a row, by which blocks are cut.
    marks : ndarray of uint8 of shape (n_rows,) or None
        A mark for each row; None where all rows are meant.
    mark : int
        The mark of the rows that are meant.
    read : callable or None
        `read(start, stop)` reads these rows of the file, one after another: it is called for each
        block of a window before the window is gone through in a random order.
    arrangement : ndarray of int of shape (n_windows, WINDOW_BLOCKS) or None
        The blocks of each window; None for the order of the file.
    seed : tuple of int
        What rows are shuffled by within windows, where blocks are arranged.

    Notes
    -----
    The file is cut into as many equal parts as a window has blocks, and each part into a block for
    every window. `shuffled` arranges the blocks of each part at random, so that a window has one
    block of each part. Of a file that is sorted by class a window has the shares of the whole, to
    two blocks of its 64, whatever the seed.

    Examples
    --------
    >>> rows = Blocks(1000, 8)
    >>> len(rows), rows[2:5]
    (1000, range(2, 5))
    >>> order = rows.shuffled(np.random.RandomState(0))
    >>> np.array_equal(np.sort(order[:]), np.arange(1000))
    True
    """

    n_rows: int
    row_bytes: int
    marks: np.ndarray | None = None
    mark: int = 1
    read: Callable[[int, int], None] | None = None
    arrangement: np.ndarray | None = None
    seed: tuple[int, ...] = ()
    _counts: np.ndarray = field(init=False)
    _starts: np.ndarray = field(init=False)
    _latest: list[Any] = field(init=False)  # a window that was listed, and its rows

    def __post_init__(self) -> None:
        edges = self._edges
        counts = np.diff(edges)
        if self.marks is not None:
            pairs = pairwise(edges.tolist())
            counts = np.array([np.count_nonzero(self._is_meant(*pair)) for pair in pairs])
        vars(self).update(_counts=counts)
        self._arrange()

    def _arrange(self) -> None:
        """Find where windows start."""
        counts = self._counts.reshape(self.n_windows, -1)
        if self.arrangement is not None:
            counts = self._counts[self.arrangement]
        starts = np.concatenate([[0], np.cumsum(counts.sum(axis=1))])
        vars(self).update(_starts=starts, _latest=[-1, None])

    @property
    def n_windows(self) -> int:
        """The number of windows."""
        rows = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(1, self.row_bytes)))
        return max(1, -(-self.n_rows // (rows * WINDOW_BLOCKS)))

    @property
    def _edges(self) -> np.ndarray:
        """Where blocks start and end."""
        n_blocks = self.n_windows * WINDOW_BLOCKS
        return np.arange(n_blocks + 1) * self.n_rows // n_blocks

    def _is_meant(self, start: int, stop: int) -> np.ndarray:
        assert self.marks is not None
        return self.marks[start:stop] == self.mark

    def marked(self, marks: np.ndarray, mark: int) -> Blocks:
        """Return the rows that have a mark, in the order of the file."""
        return replace(self, marks=marks, mark=mark, arrangement=None, seed=())

    def shuffled(self, random: np.random.RandomState) -> Blocks:
        """Return the same rows in a new order."""
        m = self.n_windows
        within = np.argsort(random.random_sample((m, WINDOW_BLOCKS)), axis=0)
        seed = random.randint(1 << 32, size=4, dtype=np.uint32)
        new = copy(self)  # the counts of blocks stay
        arrangement = within + m * np.arange(WINDOW_BLOCKS)
        vars(new).update(arrangement=arrangement, seed=tuple(seed.tolist()))
        new._arrange()
        return new

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, positions: Any) -> Any:
        if not isinstance(positions, slice):
            return self._at(np.asarray(positions))
        start, stop, step = positions.indices(len(self))
        if step != 1:
            return self._at(np.arange(start, stop, step))
        if self.arrangement is None and self.marks is None:
            return range(start, stop)
        parts, window = [np.empty(0, np.int64)], self._window_of(start)
        while start < stop:
            end = min(stop, int(self._starts[window + 1]))
            parts.append(self._rows(window)[start - self._starts[window] :][: end - start])
            start, window = end, window + 1
        return parts[-1] if len(parts) < 3 else np.concatenate(parts)

    def _at(self, positions: np.ndarray) -> np.ndarray:
        """Return the rows at rising positions."""
        if self.arrangement is None and self.marks is None:
            return positions
        parts = [np.empty(0, np.int64)]
        windows = self._window_of(positions)
        for window in np.unique(windows):
            places = positions[windows == window] - self._starts[window]
            parts.append(self._rows(window)[places])
        return np.concatenate(parts)

    def _window_of(self, positions: Any) -> Any:
        return np.searchsorted(self._starts, positions, side="right") - 1

    def _rows(self, window: int) -> np.ndarray:
        """Return the rows of a window."""
        if self._latest[0] != window:
            self._latest[:] = window, self._listed(window)
        return self._latest[1]

    def _listed(self, window: int) -> np.ndarray:
        blocks = np.arange(WINDOW_BLOCKS) + window * WINDOW_BLOCKS
        if self.arrangement is not None:
            blocks = self.arrangement[window]
        edges, parts = self._edges, [np.empty(0, np.int64)]
        for start, stop in zip(edges[blocks].tolist(), edges[blocks + 1].tolist(), strict=True):
            if self.read is not None and self.arrangement is not None:
                self.read(start, stop)
            if self.marks is None:
                parts.append(np.arange(start, stop))
            else:
                parts.append(start + np.flatnonzero(self._is_meant(start, stop)))
        rows = np.concatenate(parts)
        if self.arrangement is not None:
            np.random.default_rng([*self.seed, int(window)]).shuffle(rows)
        return rows
