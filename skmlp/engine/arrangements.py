"""Arrangements: NumPy functions that move numbers, or sum products of them, made of primitives.

The law: numbers move within rows. What would move some from one row of a batch to another is
refused by the function itself, or has no shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .expression import FUNCTIONS, Expression, apply, constant
from .primitives import IN_ORDER, normalized_axes, refuse_options, taken
from .shapes import BATCH, shape_text


def _axis_within_rows(name: str, a: Expression, axis: Any) -> int:
    """Return the one axis that a function goes along, which is not that of a batch's rows."""
    if axis is None and a.ndim != 1:
        raise TypeError(f"np.{name} of an expression goes along one axis: write axis=1 for columns")
    (at,) = normalized_axes(0 if axis is None else axis, a.ndim)
    if a.shape[at] == BATCH:
        raise ValueError(
            f"np.{name} along axis {at} of an expression of shape {shape_text(a.shape)} moves "
            "numbers between the rows of a batch, but rows are independent samples: write axis=1"
        )
    return at


def _rearranged(function: Callable[..., Any], a: Any, how: Any, axis: Any) -> Any:
    """Do what a function does along an axis: it is asked where the numbers 0, 1, ... go."""
    at = _axis_within_rows(function.__name__, a, axis)
    return taken(a, function(np.arange(a.shape[at]), how), at)


def _flip(m: Any, axis: Any = None) -> Any:
    for at in normalized_axes(axis, m.ndim):
        _axis_within_rows("flip", m, at)
        m = m[(slice(None),) * at + (slice(None, None, -1),)]
    return m


def _tile(a: Any, reps: Any) -> Any:
    counts = [reps] if np.ndim(reps) == 0 else list(reps)
    a = a[(None,) * max(0, len(counts) - a.ndim)]
    for at, count in enumerate(counts, a.ndim - len(counts)):
        if count != 1:
            a = _rearranged(np.tile, a, count, at)
    return a


def _split(
    function: Callable[..., Any], ary: Any, indices_or_sections: Any, axis: int = 0
) -> list[Any]:
    at = _axis_within_rows(function.__name__, ary, axis)
    parts = function(np.arange(ary.shape[at]), indices_or_sections)
    ends = [(int(p[0]), int(p[-1]) + 1) if len(p) else (0, 0) for p in parts]
    return [ary[(slice(None),) * at + (slice(*end),)] for end in ends]


def _diff(a: Any, n: int = 1, axis: int = -1, **options: Any) -> Any:
    if options:
        raise TypeError("np.diff of an expression takes no prepend or append: np.concatenate joins")
    at = _axis_within_rows("diff", a, axis)
    before = (slice(None),) * at
    for _ in range(n):
        a = a[(*before, slice(1, None))] - a[(*before, slice(None, -1))]
    return a


def _sort(a: Any, axis: Any = -1, kind: Any = None, **options: Any) -> Any:  # noqa: ARG001
    refuse_options("sort", options)
    return apply(IN_ORDER, a, a, axis=_axis_within_rows("sort", a, axis))


def _median(a: Any, axis: Any = None, keepdims: bool = False, **options: Any) -> Any:
    refuse_options("median", options, False)
    at = _axis_within_rows("median", a, axis)
    length = int(a.shape[at])
    ordered = _sort(a, at)

    def mean_of(start: int, stop: int) -> Any:
        some = ordered[(slice(None),) * at + (slice(start, stop),)]
        return np.mean(some, axis=at, keepdims=keepdims)

    middle, last = mean_of((length - 1) // 2, length // 2 + 1), mean_of(length - 1, length)
    return np.where(np.isnan(last), np.nan, middle)  # NaN, which is sorted last, counts


# -- one shape from others -------------------------------------------------------------------------


def _ravel(a: Any, order: str = "C") -> Any:
    length = BATCH if BATCH in a.shape else math.prod(a.shape)
    return np.reshape(a, (length,), order=order) if a.ndim != 1 else a  # type: ignore[call-overload]


def _atleast_2d(a: Any) -> Any:
    a = constant(a)
    return a if a.ndim >= 2 else a[(None,) * (2 - a.ndim)]


def _vstack(parts: Any, **options: Any) -> Any:
    return np.concatenate([_atleast_2d(part) for part in parts], axis=0, **options)


# -- sums of products ------------------------------------------------------------------------------


def _outer(a: Any, b: Any) -> Any:
    return _ravel(constant(a))[:, None] * _ravel(constant(b))[None, :]


def _inner(a: Any, b: Any) -> Any:
    a, b = constant(a), constant(b)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return a @ (b if b.ndim == 1 else np.swapaxes(b, -1, -2))


def _einsum(subscripts: Any, *operands: Any, **options: Any) -> Any:
    if not isinstance(subscripts, str) or options.keys() - {"optimize"}:
        raise TypeError("np.einsum of an expression is written np.einsum('ij,jk->ik', a, b)")
    nodes = [constant(x) for x in operands]
    terms, result = _labels(subscripts.replace(" ", ""), nodes)
    total, labels = nodes[0], terms[0]
    for i, (node, term) in enumerate(zip(nodes[1:], terms[1:], strict=True), 2):
        kept = set(result).union(*terms[i:])
        total, labels = _product(total, labels, node, term, kept)
    total, labels = _summed_out(total, labels, set(result))
    return _placed(total, labels, result)


def _labels(subscripts: str, nodes: Sequence[Expression]) -> tuple[list[str], str]:
    """Return the letters of each operand's axes, and of the result's; ... is letters too."""
    written, arrow, result = subscripts.partition("->")
    terms = written.split(",")
    spare = [x for x in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if x not in subscripts]
    missing = [x.ndim - len(t.replace("...", "")) for x, t in zip(nodes, terms, strict=False)]
    dots = max(missing, default=0)
    letters = "".join(spare[:dots])
    terms = [t.replace("...", letters[dots - n :]) for t, n in zip(terms, missing, strict=False)]
    if not arrow:
        once = (x for x in sorted(set(written) - set(".,")) if written.count(x) == 1)
        result = ("..." if "..." in written else "") + "".join(once)
    fit = [len(set(t)) == len(t) == x.ndim for t, x in zip(terms, nodes, strict=False)]
    if len(nodes) != written.count(",") + 1 or not all(fit):
        shapes = ", ".join(shape_text(x.shape) for x in nodes)
        raise ValueError(
            f"np.einsum({subscripts!r}) needs a letter for each axis of shapes {shapes}, no letter "
            "twice in one of them"
        )
    return terms, result.replace("...", letters)


def _product(
    a: Expression, a_labels: str, b: Expression, b_labels: str, kept: set[str]
) -> tuple[Expression, str]:
    """Multiply two operands and sum over what is not kept; by a matrix product where it is one."""
    a, a_labels = _summed_out(a, a_labels, kept | set(b_labels))
    b, b_labels = _summed_out(b, b_labels, kept | set(a_labels))
    both = "".join(x for x in a_labels if x in b_labels and x in kept)
    left = "".join(x for x in a_labels if x not in b_labels)
    right = "".join(x for x in b_labels if x not in a_labels)
    over = "".join(x for x in a_labels if x in b_labels and x not in kept)
    if len(left) == len(right) == len(over) == 1:
        product = _placed(a, a_labels, both + left + over) @ _placed(
            b, b_labels, both + over + right
        )
        return product, both + left + right
    labels = both + left + right + over
    return _placed(a, a_labels, labels) * _placed(b, b_labels, labels), labels


def _placed(a: Any, labels: str, order: str) -> Any:
    """Permute axes into an order of letters, with axes of length 1 for those that it lacks."""
    a = np.transpose(a, [labels.index(x) for x in order if x in labels])
    return a[tuple(slice(None) if x in labels else None for x in order)]


def _summed_out(a: Expression, labels: str, kept: set[str]) -> tuple[Expression, str]:
    """Sum over the axes whose letters are not kept."""
    axes = tuple(i for i, x in enumerate(labels) if x not in kept)
    return (np.sum(a, axis=axes) if axes else a), "".join(x for x in labels if x in kept)


FUNCTIONS |= {
    np.repeat: lambda a, repeats, axis=None: _rearranged(np.repeat, a, repeats, axis),
    np.roll: lambda a, shift, axis=None: _rearranged(np.roll, a, shift, axis),
    np.flip: _flip,
    np.fliplr: lambda m: _flip(m, 1),
    np.tile: _tile,
    np.split: partial(_split, np.split),
    np.array_split: partial(_split, np.array_split),
    np.hsplit: partial(_split, np.split, axis=1),
    np.diff: _diff,
    np.sort: _sort,
    np.median: _median,
    np.ravel: _ravel,
    np.atleast_2d: _atleast_2d,
    np.vstack: _vstack,
    np.append: lambda arr, values, axis=None: np.concatenate([arr, values], axis=axis),
    np.outer: _outer,
    np.inner: _inner,
    np.einsum: _einsum,
}
