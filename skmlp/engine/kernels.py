"""Kernels: a primitive, bound to arrays, as a NumPy call without arguments.

The law: `bind(primitive, out, *arrays, **attributes)` returns a call that computes into `out`.
A ufunc is called with `out`, the result of anything else is copied there; `KERNELS` has what is
quicker. What another backend would replace is this module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from .expression import Primitive
from .memory import aligned, filled


def _bind_ufunc(ufunc: np.ufunc, out: np.ndarray, *arrays: np.ndarray) -> Callable[[], Any]:
    # One number is sooner taken as such than repeated along axes.
    inputs = (a.reshape(()) if a.size == 1 < out.size else a for a in arrays)
    return partial(ufunc, *inputs, out)  # a third faster than out=out for a few numbers


def _bind_multiply(out: np.ndarray, a: np.ndarray, b: np.ndarray) -> Callable[[], Any]:
    # Truth values are sooner written as numbers first, but where they are multiplied in place.
    if a.dtype != b.dtype:
        mask, other = (a, b) if a.dtype == bool else (b, a)
        if _is_constant(other) and other == 1:
            return partial(np.copyto, out, mask)
        if not np.may_share_memory(out, other):
            return partial(_multiply_masked, out, mask, other)
    return _bind_ufunc(np.multiply, out, a, b)


def _multiply_masked(out: np.ndarray, mask: np.ndarray, other: np.ndarray) -> None:
    np.copyto(out, mask)
    np.multiply(out, other, out)


REPEATED_BYTES = 1 << 18


def _bind_extremum(ufunc: np.ufunc, out: np.ndarray, *arrays: np.ndarray) -> Callable[[], Any]:
    # NumPy compares with an array in half the time, but where that drives others from the cache.
    is_small = out.nbytes <= REPEATED_BYTES
    wide = (filled(out.shape, a, a.dtype) if is_small and _is_constant(a) else a for a in arrays)
    return partial(ufunc, *wide, out=out)


def _is_constant(a: np.ndarray) -> bool:
    """Tell whether an array is a constant number: those are read-only and nobody's view."""
    return a.ndim == 0 and not a.flags.writeable and a.base is None


SHORT = 1024  # numbers; NumPy adds up more of them with less rounding than BLAS does


def _bind_sum(
    out: np.ndarray, a: np.ndarray, axis: tuple[int, ...], keepdims: bool
) -> Callable[[], Any]:
    if a.dtype == bool:
        return partial(np.add.reduce, a, axis=axis, dtype=out.dtype, out=out, keepdims=keepdims)
    # Summing as a product with ones is several times faster where NumPy's inner loop is short.
    if a.ndim == 2 and axis == (0,) and a.flags.c_contiguous:
        return partial(np.dot, np.ones(a.shape[0], a.dtype), a, out.reshape(a.shape[1]))
    if a.ndim == 2 and axis == (1,) and a.shape[1] <= 32 and a.flags.c_contiguous:
        return partial(np.dot, a, np.ones(a.shape[1], a.dtype), out.reshape(a.shape[0]))
    if a.ndim == 1 and a.size <= SHORT and a.flags.c_contiguous:
        return partial(np.dot, a, np.ones_like(a), out.reshape(()))
    return partial(np.add.reduce, a, axis=axis, out=out, keepdims=keepdims)


def _bind_reduce(
    ufunc: Any, out: np.ndarray, a: np.ndarray, axis: tuple[int, ...], keepdims: bool
) -> Callable[[], Any]:
    if a.ndim == 2 and axis == (1,) and a.shape[1] <= 32:
        return partial(_reduce_transposed, ufunc, a.T, aligned(a.shape[::-1], a.dtype), out.ravel())
    return partial(ufunc.reduce, a, axis, None, out, keepdims)


def _reduce_transposed(ufunc: Any, columns: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    # Over a few columns NumPy goes number by number; over rows it takes many at a time.
    np.copyto(rows, columns)
    ufunc.reduce(rows, axis=0, out=out)


def _bind_matmul(out: np.ndarray, a: Any, b: Any) -> Callable[[], Any]:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        is_part = not all(x.flags.c_contiguous or x.flags.f_contiguous for x in (a, b))
        if out.ndim > 2 or (is_part and all(x.itemsize in x.strides for x in (a, b))):
            return partial(np.matmul, a, b, out)  # np.dot would copy part of a matrix
        # np.dot costs less to call and is quick with a column by a row, but writes zeros first.
        is_large = a.shape[1] >= 16 and out.size >= 1 << 14
        return partial(np.matmul if is_large else np.dot, a, b, out)
    return partial(_sparse_product, out, a, b)


def _sparse_product(out: np.ndarray, a: Any, b: Any) -> None:
    # One of them is the slot of a sparse input, whose rows change from batch to batch.
    np.copyto(out, getattr(a, "matrix", a) @ getattr(b, "matrix", b))


def _write(out: np.ndarray, part: np.ndarray, g: np.ndarray) -> None:
    out.fill(0)
    np.copyto(part, g)


def _choose(out: np.ndarray, condition: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    np.copyto(out, b)
    np.copyto(out, a, where=condition)


def _bind_any(
    function: Callable[..., Any], out: np.ndarray, *arrays: np.ndarray, **attributes: Any
) -> Callable[[], Any]:
    def compute() -> None:
        result = function(*arrays, **attributes)
        if np.shape(result) != out.shape:
            raise ValueError(
                f"{function!r} returned an array of shape {np.shape(result)} where its shape rule "
                f"says {out.shape}"
            )
        out[...] = result

    return compute


def bind(
    primitive: Primitive, out: np.ndarray, *arrays: Any, **attributes: Any
) -> Callable[[], Any]:
    """Return a call without arguments that computes a primitive of arrays into `out`."""
    kernel = KERNELS.get(primitive.name)
    if kernel is not None:
        return kernel(out, *arrays, **attributes)
    if isinstance(primitive.function, np.ufunc):
        return _bind_ufunc(primitive.function, out, *arrays)
    return _bind_any(primitive.function, out, *arrays, **attributes)


KERNELS: dict[str, Callable[..., Callable[[], Any]]] = {
    "multiply": _bind_multiply,
    "maximum": partial(_bind_extremum, np.maximum),
    "minimum": partial(_bind_extremum, np.minimum),
    "where": lambda out, c, a, b: partial(_choose, out, c, a, b),
    "zeta": lambda out, a, order: partial(special.zeta, order, a, out),
    "sum": _bind_sum,
    "max": partial(_bind_reduce, np.maximum),
    "min": partial(_bind_reduce, np.minimum),
    "matmul": _bind_matmul,
    "embed": lambda out, g, shape, key: partial(_write, out, out[(*key, ...)], g),
    "broadcast_to": lambda out, a, shape: partial(np.copyto, out, a),
    "reshape": lambda out, a, shape: partial(np.copyto, out.reshape(a.shape), a),
    "concatenate": lambda out, *parts, axis: partial(np.concatenate, parts, axis=axis, out=out),
}
