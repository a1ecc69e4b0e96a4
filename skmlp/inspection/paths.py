"""Integrals of slopes along straight lines, refined until they add up.

The law: along z(t) = start + t move, from t = 0 to 1,

    f(z(1)) - f(z(0)) = sum over k of move_k * integral of (df / dz_k)(z(t)) dt

so how far the two sides are apart, on any part of a line, says how good the integral is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Of points (n, inputs) and which number is meant of each, (n,): values (n,), slopes (n, inputs).
Function = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
Values = Callable[[np.ndarray, np.ndarray], np.ndarray]

# The rule of Gauss and Kronrod with 15 nodes on [-1, 1], and that of Gauss with 7 of them: Piessens
# et al., QUADPACK (1983).
_HALF_NODES = (
    *(0.9914553711208126, 0.9491079123427585, 0.8648644233597691, 0.7415311855993945),
    *(0.5860872354676911, 0.4058451513773972, 0.20778495500789847),
)
_HALF_KRONROD = (
    *(0.02293532201052922, 0.06309209262997856, 0.10479001032225019, 0.14065325971552592),
    *(0.1690047266392679, 0.19035057806478542, 0.20443294007529889),
)
_HALF_GAUSS = (0.0, 0.1294849661688697, 0.0, 0.27970539148927664, 0.0, 0.3818300505051189, 0.0)
NODES = 0.5 + 0.5 * np.array([*(-x for x in _HALF_NODES), 0.0, *_HALF_NODES[::-1]])
KRONROD = 0.5 * np.array([*_HALF_KRONROD, 0.20948214108472782, *_HALF_KRONROD[::-1]])
GAUSS = 0.5 * np.array([*_HALF_GAUSS, 0.4179591836734694, *_HALF_GAUSS[::-1]])

_NUMBERS_AT_ONCE = 1 << 21  # of points, which are as many again in slopes
_MOST_ROUNDS = 60
_MOST_PARTS = 2000  # of a line
_LEAST_WIDTH = 1e-13


class Lines(NamedTuple):
    """Straight lines.

    Attributes
    ----------
    starts, moves : ndarray of shape (n, inputs)
        Where they start, and how far they go.
    columns : ndarray of int, of shape (n,)
        Which number is integrated along each.
    """

    starts: np.ndarray
    moves: np.ndarray
    columns: np.ndarray


class _Parts(NamedTuple):
    """Parts of lines: which line, from where to where, and the values at both ends."""

    line: np.ndarray
    left: np.ndarray
    right: np.ndarray
    f_left: np.ndarray
    f_right: np.ndarray

    def at(self, which: Any) -> _Parts:
        return _Parts(*(array[which] for array in self))


def mean_slopes(
    function: Function, values: Values, lines: Lines, steps: int | None, tolerance: float
) -> np.ndarray:
    """Integrate slopes along lines.

    Parameters
    ----------
    function, values : callable
        Values and slopes at points; and values alone.
    lines : Lines
        The lines.
    steps : int or None
        The number of nodes of one rule of Gauss and Legendre for each line. With None lines are cut
        until the parts of each add up, and the two rules agree on every part, to `tolerance`.
    tolerance : float
        Relative to the difference between the ends, and to the sum of absolute contributions.

    Returns
    -------
    ndarray of shape (n, inputs)
        The mean slope on each line.
    """
    if steps is not None:
        return _by_one_rule(function, lines, steps)
    n = len(lines.starts)
    total, counts = np.zeros(lines.starts.shape), np.ones(n, int)
    first, last = (values(lines.starts + t * lines.moves, lines.columns) for t in (0.0, 1.0))
    parts = _Parts(np.arange(n), np.zeros(n), np.ones(n), first, last)
    rounding = 1e-14 * np.maximum(np.abs(first), np.abs(last))
    allowed: np.ndarray | None = None
    for _ in range(_MOST_ROUNDS):
        found, sizes, residuals, spreads, cuts = _looked_at(function, lines, parts)
        if allowed is None:  # every line is one part yet
            change = np.maximum(np.abs(last - first), 1e-3 * sizes)
            allowed = np.stack([change, sizes], axis=1) * tolerance / 8
        share = np.sqrt(parts.right - parts.left)[:, None] * allowed[parts.line]
        share = np.maximum(share, rounding[parts.line, None])
        is_done = (np.abs(residuals) <= share[:, 0]) & (spreads <= share[:, 1])
        is_done |= ~np.isfinite(residuals) | (parts.right - parts.left < _LEAST_WIDTH)
        is_done |= counts[parts.line] >= _MOST_PARTS
        np.add.at(total, parts.line[is_done], found[is_done])
        if is_done.all():
            return total
        parts = _cut(values, lines, parts.at(~is_done), cuts[~is_done])
        np.add.at(counts, parts.line[: len(parts.line) // 2], 1)
    found = _looked_at(function, lines, parts)[0]
    np.add.at(total, parts.line, found)
    return total


def _by_one_rule(function: Function, lines: Lines, steps: int) -> np.ndarray:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros(lines.starts.shape)
    for node, weight in zip(0.5 + 0.5 * nodes, 0.5 * weights, strict=True):
        total += weight * function(lines.starts + node * lines.moves, lines.columns)[1]
    return total


def _cut(values: Values, lines: Lines, parts: _Parts, cuts: np.ndarray) -> _Parts:
    """Cut every part in two."""
    starts, moves, columns = (array[parts.line] for array in lines)
    middle = values(starts + cuts[:, None] * moves, columns)
    before = parts._replace(right=cuts, f_right=middle)
    after = parts._replace(left=cuts, f_left=middle)
    return _Parts(*(np.concatenate(two) for two in zip(before, after, strict=True)))


def _looked_at(function: Function, lines: Lines, parts: _Parts) -> list[np.ndarray]:
    """Integrate over parts, so many at a time that memory is bounded.

    Returns the integrals (n, inputs), and for each part the sum of absolute contributions, how far
    it is from adding up, how far the two rules are apart, and where to cut it.
    """
    inputs = lines.starts.shape[1]
    at_once = max(1, _NUMBERS_AT_ONCE // (len(NODES) * max(1, inputs)))
    starts = range(0, len(parts.line), at_once)
    found = [_of_some(function, lines, parts.at(slice(i, i + at_once))) for i in starts]
    return [np.concatenate(some) for some in zip(*found, strict=True)]


def _of_some(function: Function, lines: Lines, parts: _Parts) -> tuple[np.ndarray, ...]:
    width, n = parts.right - parts.left, len(NODES)
    t = parts.left[:, None] + width[:, None] * NODES
    starts, moves, columns = (array[parts.line] for array in lines)
    points = starts[:, None] + t[..., None] * moves[:, None]
    values, slopes = function(points.reshape(-1, points.shape[-1]), np.repeat(columns, n))
    values, slopes = values.reshape(-1, n), slopes.reshape(points.shape)
    found = width[:, None] * np.tensordot(slopes, KRONROD, axes=(1, 0))
    other = width[:, None] * np.tensordot(slopes, GAUSS, axes=(1, 0))
    sizes = np.sum(np.abs(found * moves), axis=1)
    residuals = np.sum(found * moves, axis=1) - (parts.f_right - parts.f_left)
    apart = np.sum(np.abs((found - other) * moves), axis=1)
    # The finer rule is much closer than the two are apart, where all is smooth: as in QUADPACK.
    relative = apart / np.where(sizes > 0, sizes, 1.0)
    spreads = sizes * np.minimum(relative, (200 * relative) ** 1.5)
    along = np.einsum("qnk,qk->qn", slopes, moves)
    return found, sizes, residuals, spreads, _bends(parts, t, values, along)


def _bends(parts: _Parts, t: np.ndarray, values: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Say where each part bends most, which is at a kink if there is one.

    Between two nodes it is where the tangents at both meet, which is a kink's very place if the
    function is straight beside it; at an end, before the first node, it is that node, so that the
    next round has the kink between nodes.
    """
    gaps = np.diff(t, axis=1)
    bends = np.abs(np.diff(along, axis=1)) * gaps
    at_left = values[:, :1] + along[:, :1] * (parts.left[:, None] - t[:, :1])
    at_right = values[:, -1:] + along[:, -1:] * (parts.right[:, None] - t[:, -1:])
    first = np.abs(parts.f_left[:, None] - at_left)
    last = np.abs(parts.f_right[:, None] - at_right)
    place = np.argmax(np.concatenate([first, bends, last], axis=1), axis=1)
    i, q = np.clip(place - 1, 0, t.shape[1] - 2), np.arange(len(t))
    with np.errstate(all="ignore"):
        rise = values[q, i + 1] - values[q, i] + along[q, i] * t[q, i]
        meet = (rise - along[q, i + 1] * t[q, i + 1]) / (along[q, i] - along[q, i + 1])
    is_between = (meet > t[q, i]) & (meet < t[q, i + 1])
    meet = np.where(is_between, meet, 0.5 * (t[q, i] + t[q, i + 1]))
    cut = np.where(place == 0, t[:, 0], np.where(place == t.shape[1], t[:, -1], meet))
    is_inside = (cut > parts.left) & (cut < parts.right)
    return np.where(is_inside, cut, 0.5 * (parts.left + parts.right))
