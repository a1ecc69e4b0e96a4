"""Functions composed of the primitives: nothing here has a derivative or a kernel of its own.

The first part says what more NumPy functions do with expressions; the second are functions that
NumPy lacks, which work on arrays and expressions alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .expression import FUNCTIONS, Expression, constant
from .primitives import ROWS, broadcast_to, normalized_axes, stop_gradient
from .shapes import BATCH, shape_text


def _length(a: Expression, axis: Any) -> Any:
    dimensions = [a.shape[i] for i in normalized_axes(axis, a.ndim)]
    fixed = math.prod(d for d in dimensions if d != BATCH)
    return fixed * Expression(ROWS, (), {}, ()) if BATCH in dimensions else float(fixed)


def _mean(a: Any, axis: Any = None, *, keepdims: bool = False, **options: Any) -> Any:
    if any(option is not None for option in options.values()):
        raise TypeError(f"np.mean of an expression does not take {sorted(options)}")
    return np.sum(a, axis=axis, keepdims=keepdims) / _length(a, axis)


def _var(
    a: Any, axis: Any = None, *, keepdims: bool = False, ddof: float = 0, **options: Any
) -> Any:
    if any(option is not None for option in options.values()):
        raise TypeError(f"np.var of an expression does not take {sorted(options)}")
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


def _full_like(a: Any, fill_value: Any, **options: Any) -> Any:
    if any(options.values()) and options != {"order": "K", "subok": True}:
        raise TypeError(f"np.full_like of an expression does not take {sorted(options)}")
    return broadcast_to(fill_value, a.shape)


FUNCTIONS |= {
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
