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


def common(chunk: slice, stretch: slice) -> slice:
    """Return what two stretches of a flat vector have in common, an empty one where nothing is.

    >>> common(slice(10, 20), slice(0, 12)), common(slice(10, 20), slice(25, 30))
    (slice(10, 12, None), slice(25, 25, None))
    """
    start = max(chunk.start, stretch.start)
    return slice(start, max(start, min(chunk.stop, stretch.stop)))


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


def descending(
    g: np.ndarray, vector: np.ndarray, factors: Iterable[tuple[slice, float]] = ()
) -> list[Callable[[float], None]]:
    """Make for each chunk what takes rate * factor * g off a vector there, in place.

    Factors are for stretches of the vector; elsewhere they are 1.

    >>> g, vector = np.ones(3), np.zeros(3)
    >>> (descend,) = descending(g, vector, [(slice(1, 2), 0.5)])
    >>> descend(0.1)
    >>> vector
    array([-0.1 , -0.05, -0.1 ])
    """
    axpy = blas(vector.dtype).axpy
    by_place = sorted(factors, key=lambda item: item[0].start)

    def of_chunk(chunk: slice) -> Callable[[float], None]:
        parts, at = [], chunk.start
        for stretch, factor in by_place:
            cut = common(chunk, stretch)
            if cut.start < cut.stop:
                parts += [(at, cut.start, 1.0), (cut.start, cut.stop, factor)]
                at = cut.stop
        parts.append((at, chunk.stop, 1.0))
        views = [(g[i:j], vector[i:j], factor) for i, j, factor in parts if i < j]

        def descend(rate: float) -> None:
            for part, moved, factor in views:
                axpy(part, moved, a=-rate * factor)

        part, moved, factor = views[0]
        return descend if views[1:] else lambda rate: axpy(part, moved, a=-rate * factor)

    return [of_chunk(chunk) for chunk in chunks_of(vector)]
