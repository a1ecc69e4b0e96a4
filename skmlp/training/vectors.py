"""Flat vectors: the chunks that they are gone through in, and BLAS calls in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs

# Numbers that are updated together, to stay in the cache. From 10,000 on, SciPy's BLAS works in
# threads, which would compete with those of NumPy's BLAS, a library of its own.
CHUNK = 9984


def chunks_of(vector: np.ndarray) -> list[slice]:
    """Cut a flat vector into chunks that fit the cache.

    >>> chunks_of(np.zeros(15_000))
    [slice(0, 9984, None), slice(9984, 15000, None)]
    """
    length = len(vector)
    return [slice(start, min(start + CHUNK, length)) for start in range(0, length, CHUNK)]


def stretches_in(chunk: slice, stretches: Iterable[slice]) -> list[slice]:
    """Cut from stretches of a flat vector what is within a chunk.

    >>> stretches_in(slice(10, 20), [slice(0, 12), slice(15, 17), slice(20, 30)])
    [slice(10, 12, None), slice(15, 17, None)]
    """
    cut = (slice(max(s.start, chunk.start), min(s.stop, chunk.stop)) for s in stretches)
    return [s for s in cut if s.start < s.stop]


class BLAS(NamedTuple):
    """Calls on contiguous vectors no longer than a chunk, as BLAS names them.

    Attributes
    ----------
    axpy : callable
        `axpy(x, y, a=1.0)` adds a x to y, in place and in one pass, where NumPy makes two.
    scal : callable
        `scal(a, x)` multiplies x by a, in place.
    dot : callable
        `dot(x, y)`, the inner product.
    """

    axpy: Callable[..., Any]
    scal: Callable[..., Any]
    dot: Callable[..., float]


@lru_cache
def blas(dtype: np.dtype[Any]) -> BLAS:
    """Find BLAS' calls for a precision, float32 or float64.

    >>> x, y = np.ones(2), np.array([1.0, 2.0])
    >>> axpy, scal, dot = blas(y.dtype)
    >>> _ = axpy(x, y, a=10.0)
    >>> _ = scal(0.5, y)
    >>> y, dot(x, y)
    (array([5.5, 6. ]), 11.5)
    """
    return BLAS(*get_blas_funcs(BLAS._fields, dtype=dtype))
