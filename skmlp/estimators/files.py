"""Files: numbers that are mapped into memory (`numpy.memmap`), read part by part and never whole.

The law: whatever is made of a file takes the memory of a part of it, and a byte a row at most: what
a batch needs is read, converted and encoded when the batch comes. Where reading it once is enough,
it is read once, in the order of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np

SMALL_BYTES = 1 << 24  # as float64; what takes no more is read whole, as an array is
PART_BYTES = 1 << 22  # of what is looked through at once


def is_file(values: Any) -> bool:
    """Tell whether numbers are a mapped file, or a part of one, too large to be read whole.

    What joblib has mapped so that processes share an array is no file of the user's: the numbers of
    a fit are then those of a fit in one process.

    Examples
    --------
    >>> is_file(np.zeros((3_000_000, 1)))
    False
    """
    if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "biuf":
        return False
    if values.size * 8 <= SMALL_BYTES or isinstance(values, np.ma.MaskedArray):
        return False
    under: Any = values
    while under is not None and not isinstance(under, mmap):
        # joblib has no public word for its folders
        if isinstance(under, np.memmap) and under.filename is not None:
            folders = Path(under.filename).parts
            if any(name.startswith("joblib_memmapping_folder_") for name in folders):
                return False
        under = getattr(under, "base", getattr(under, "obj", None))
    return under is not None


def parts_of(n_rows: int, row_bytes: int) -> Iterator[slice]:
    """Cut rows into parts that are looked through one after another.

    >>> list(parts_of(5, PART_BYTES // 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = max(1, min(n_rows, PART_BYTES // max(1, row_bytes)))
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


class Computed:
    """Numbers for each row that are computed when rows are asked for.

    Parameters
    ----------
    of : callable
        Makes the numbers of some rows, given as an index.
    shape : tuple of int
        The shape of all.
    dtype : dtype
        The precision of what `of` returns.

    Examples
    --------
    >>> squares = Computed(lambda rows: np.square(np.arange(4)[rows]), (4,), np.dtype(int))
    >>> squares[1:3], len(squares)
    (array([1, 4]), 4)
    """

    def __init__(
        self, of: Callable[[Any], np.ndarray], shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self._of, self.shape, self.dtype, self.ndim = of, shape, dtype, len(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        if isinstance(rows, Sequence):  # a range, or the rows of a file
            rows = np.asarray(rows[:])
        return self._of(rows)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def astype(self, dtype: Any, copy: bool = True) -> Computed:  # noqa: ARG002, as an array's
        """Return the same in another precision."""
        dtype = np.dtype(dtype)
        if dtype == self.dtype:
            return self
        return Computed(lambda rows: self[rows].astype(dtype), self.shape, dtype)

    def through(self, function: Callable[[np.ndarray], np.ndarray]) -> Computed:
        """Return what a function makes of them, the same number for each row."""
        dtype = function(self[:1]).dtype
        return Computed(lambda rows: function(self[rows]), self.shape, dtype)
