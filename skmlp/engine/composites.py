"""Functions composed of the primitives: nothing here has a derivative or a kernel of its own.

The first part says what more NumPy functions do with expressions; the second are functions that
NumPy lacks, which work on arrays and expressions alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import special

from .expression import FUNCTIONS, INSTEAD, Expression, constant
from .primitives import ROWS, broadcast_to, normalized_axes, refuse_options, stop_gradient
from .shapes import BATCH, shape_text


def _length(a: Expression, axis: Any) -> Any:
    dimensions = [a.shape[i] for i in normalized_axes(axis, a.ndim)]
    fixed = math.prod(d for d in dimensions if d != BATCH)
    return fixed * Expression(ROWS, (), {}, ()) if BATCH in dimensions else float(fixed)


def _size(a: Expression) -> Any:
    return _length(a, None) if BATCH in a.shape else math.prod(a.shape)


def _mean(a: Any, axis: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
    refuse_options("mean", options)
    return np.sum(a, axis=axis, keepdims=keepdims) / _length(a, axis)


def _var(
    a: Any, axis: Any = None, *, keepdims: bool = False, ddof: float = 0, **options: Any
) -> Any:
    refuse_options("var", options)
    squares = np.square(a - np.mean(a, axis=axis, keepdims=True))
    return np.sum(squares, axis=axis, keepdims=keepdims) / (_length(a, axis) - ddof)


def _cumsum(a: Any, axis: Any = None, **options: Any) -> Any:
    if options or a.ndim != 2 or axis not in (1, -1):
        raise TypeError("np.cumsum of an expression runs over the columns: np.cumsum(z, axis=1)")
    return a @ np.triu(np.ones((a.shape[1], a.shape[1])))


def _squeeze(a: Any, axis: Any = None) -> Any:
    axes = (
        [i for i, d in enumerate(a.shape) if d == 1]
        if axis is None
        else normalized_axes(axis, a.ndim)
    )
    for i in axes:
        if a.shape[i] != 1:
            raise ValueError(
                f"axis {i} of shape {shape_text(a.shape)} cannot be squeezed: its length is not 1"
            )
    return a[tuple(0 if i in axes else slice(None) for i in range(a.ndim))]


def _expand_dims(a: Any, axis: Any) -> Any:
    axes = normalized_axes(axis, a.ndim + np.size(axis))
    return a[tuple(None if i in axes else slice(None) for i in range(a.ndim + len(axes)))]


def _stack(parts: Any, axis: int = 0) -> Any:
    return np.concatenate([_expand_dims(constant(part), axis) for part in parts], axis=axis)


def _column_stack(parts: Any) -> Any:
    columns = (constant(part) for part in parts)
    return np.concatenate([c[:, None] if c.ndim == 1 else c for c in columns], axis=1)


def _hstack(parts: Any) -> Any:
    nodes = [constant(part) for part in parts]
    return np.concatenate(nodes, axis=0 if nodes[0].ndim == 1 else 1)


def _result_type(*operands: Any) -> Any:
    return np.result_type(*(np.float64 if isinstance(x, Expression) else x for x in operands))


def _full_like(a: Any, fill_value: Any, dtype: Any = None, **options: Any) -> Any:
    if any(options.values()) and options != {"order": "K", "subok": True}:
        raise TypeError(f"np.full_like of an expression does not take {sorted(options)}")
    full = broadcast_to(fill_value, a.shape)
    return full if dtype is None else full.astype(dtype)


def _average(a: Any, axis: Any = None, weights: Any = None, **options: Any) -> Any:
    keepdims = options.pop("keepdims", False) is True
    if options.pop("returned", False) or options:
        raise TypeError("np.average of an expression takes an axis and weights")
    if weights is None:
        return np.mean(a, axis=axis, keepdims=keepdims)
    weights = constant(weights)
    if weights.ndim == 1 < a.ndim:
        (at,) = normalized_axes(axis, a.ndim)
        weights = weights[(slice(None), *(None,) * (a.ndim - 1 - at))]
    weights = broadcast_to(weights, a.shape)
    total = np.sum(weights, axis=axis, keepdims=keepdims)
    return np.sum(a * weights, axis=axis, keepdims=keepdims) / total


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    axes = normalized_axes(axis, x.ndim)
    is_vector = len(axes) == 1
    if ord is None or (ord == 2 and is_vector) or (ord == "fro" and len(axes) == 2):
        return np.sqrt(np.sum(np.square(x), axis=axes, keepdims=keepdims))
    if not is_vector:
        raise TypeError("np.linalg.norm of an expression is of vectors: write axis=1")
    size = np.abs(x)
    if ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(size, axis=axes, keepdims=keepdims)
    if ord == 0:
        return np.sum(x != 0, axis=axes, keepdims=keepdims)
    total = np.sum(size if ord == 1 else size**ord, axis=axes, keepdims=keepdims)
    return total if ord == 1 else total ** (1 / ord)


def _is_true(a: Any) -> Any:
    return a if a.is_boolean else a != 0


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    chosen: Any = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        chosen = np.where(condition, choice, chosen)
    return chosen


def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """Choose as NumPy does; a function sees all of x, and counts where its condition holds."""
    conditions = list(condlist) if isinstance(condlist, (list, tuple)) else [condlist]
    pieces = [piece(x, *args, **kw) if callable(piece) else piece for piece in funclist]
    if len(pieces) - len(conditions) not in (0, 1):
        raise ValueError(
            f"np.piecewise of {len(conditions)} conditions needs as many functions, or one more, "
            f"got {len(pieces)}"
        )
    chosen = pieces.pop() if len(pieces) > len(conditions) else 0.0
    for at, (condition, piece) in enumerate(zip(conditions, pieces, strict=True)):
        chosen = np.where(constant(condition), piece, chosen)
        if at == 0:
            chosen = broadcast_to(chosen, x.shape)
    return chosen


def _polyval(p: Any, x: Any) -> Any:
    value = 0 * x
    for coefficient in p:
        value = value * x + coefficient
    return value


def _huber(delta: Any, r: Any) -> Any:
    size = np.abs(r)
    near = np.where(size <= delta, 0.5 * np.square(r), delta * (size - 0.5 * delta))
    return np.where(np.less(delta, 0), np.inf, near)


def _pseudo_huber(delta: Any, r: Any) -> Any:
    u, v = constant(delta), r / delta
    return u * u * (np.square(v) / (1 + np.sqrt(1 + np.square(v))))


FUNCTIONS |= {
    np.fabs: lambda a: np.absolute(1.0 * constant(a)),
    np.fix: np.trunc,
    **dict.fromkeys((np.deg2rad, np.radians), lambda a: a * (math.pi / 180)),
    **dict.fromkeys((np.rad2deg, np.degrees), lambda a: a * (180 / math.pi)),
    np.copy: lambda a, **_: a,
    np.size: _size,
    np.any: lambda a, *args, **options: np.max(_is_true(a), *args, **options),
    np.all: lambda a, *args, **options: np.min(_is_true(a), *args, **options),
    np.count_nonzero: lambda a, *args, **options: np.sum(_is_true(a), *args, **options),
    np.ptp: lambda a, *args, **options: np.max(a, *args, **options) - np.min(a, *args, **options),
    np.average: _average,
    np.linalg.norm: _norm,
    np.select: _select,
    np.piecewise: _piecewise,
    np.polyval: _polyval,
    special.log1p: np.log1p,
    special.expm1: np.expm1,
    special.exp2: np.exp2,
    special.cbrt: np.cbrt,
    np.logaddexp2: lambda a, b: np.logaddexp(a * math.log(2), b * math.log(2)) / math.log(2),
    np.divmod: lambda a, b: (np.floor_divide(a, b), np.remainder(a, b)),
    np.modf: lambda a: (np.where(np.isinf(a), 0.0, a - np.trunc(a)), np.trunc(a)),
    special.huber: _huber,
    special.pseudo_huber: _pseudo_huber,
    special.kl_div: lambda x, y: special.rel_entr(x, y) - x + y,
    np.mean: _mean,
    np.var: _var,
    np.std: lambda a, *args, **options: np.sqrt(_var(a, *args, **options)),
    np.cumsum: _cumsum,
    np.squeeze: _squeeze,
    np.expand_dims: _expand_dims,
    np.stack: _stack,
    np.column_stack: _column_stack,
    np.hstack: _hstack,
    np.full_like: _full_like,
    np.zeros_like: lambda a, **options: _full_like(a, 0.0, **options),
    np.ones_like: lambda a, **options: _full_like(a, 1.0, **options),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.result_type: _result_type,
    np.round: lambda a, decimals=0, out=None: np.rint(a * 10.0**decimals) / 10.0**decimals,
    np.around: lambda a, decimals=0, out=None: np.rint(a * 10.0**decimals) / 10.0**decimals,
}


INSTEAD |= {
    np.argmax: "z == np.max(z, axis=1, keepdims=True) tells where the largest is",
    np.argmin: "z == np.min(z, axis=1, keepdims=True) tells where the smallest is",
    np.argsort: "write np.sort(z, axis=1), and compare z with its entries",
    np.quantile: "write np.sort(z, axis=1)[:, k], the number of rank k",
    np.percentile: "write np.sort(z, axis=1)[:, k], the number of rank k",
    np.interp: "write a line through points as a sum of pieces, slope * np.clip(z, start, stop)",
    np.digitize: "write a sum of steps such as (z > 0) + (z > 1)",
    np.tensordot: "write a @ b or np.einsum('ij,jk->ik', a, b)",
    np.pad: "write np.concatenate([np.zeros_like(z[:, :1]), z], axis=1)",
    np.empty_like: "write np.zeros_like(z), and np.where instead of assigning",
    np.apply_along_axis: "write one NumPy expression for the whole array, with axis=1",
}


def logsumexp(z: Any, axis: Any = -1, keepdims: bool = False) -> Any:
    """Compute log(sum(exp(z))) over an axis without overflow.

    Parameters
    ----------
    z : array or Expression
        Numbers; a row of -inf has the value -inf.
    axis : int, default=-1
        The axis to sum over.
    keepdims : bool, default=False
        Whether the axis stays, with length 1.

    Returns
    -------
    array or Expression
        As `scipy.special.logsumexp`, and differentiable.

    Examples
    --------
    >>> import numpy as np
    >>> logsumexp(np.array([[1000.0, 1000.0]]))
    array([1000.69314718])
    """
    top = stop_gradient(np.max(z, axis=axis, keepdims=True))
    top = np.where(np.isfinite(top), top, 0.0)  # of infinities nothing is taken off
    total = np.log(np.sum(np.exp(z - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis)


def log_softmax(z: Any, axis: Any = -1) -> Any:
    """Compute z - logsumexp(z), the logarithm of `softmax`, finite for finite z.

    Parameters
    ----------
    z : array or Expression
        Logits.
    axis : int, default=-1
        The axis of the classes.

    Returns
    -------
    array or Expression
        Of the shape of `z`.

    Examples
    --------
    >>> import numpy as np
    >>> log_softmax(np.array([[0.0, 1000.0]]))
    array([[-1000.,     0.]])
    """
    shifted = z - stop_gradient(np.max(z, axis=axis, keepdims=True))
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def softmax(z: Any, axis: Any = -1) -> Any:
    """Compute exp(z) / sum(exp(z)) over an axis without overflow.

    Parameters
    ----------
    z : array or Expression
        Logits.
    axis : int, default=-1
        The axis of the classes.

    Returns
    -------
    array or Expression
        Of the shape of `z`, positive, summing to 1 over the axis.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    exponentials = np.exp(z - stop_gradient(np.max(z, axis=axis, keepdims=True)))
    return exponentials / np.sum(exponentials, axis=axis, keepdims=True)
