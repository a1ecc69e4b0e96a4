"""Integrals of slopes along straight lines, refined until they add up.

The law: along z(t) = start + t move, from t = 0 to 1,

    f(z(1)) - f(z(0)) = sum over k of move_k * integral of (df / dz_k)(z(t)) dt

so how far the two sides are apart, on any part of a line, says how good the integral is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Of points (n, inputs) and which number is meant of each, (n,): values (n,), slopes (n, inputs).
Function = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
Values = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Rule(NamedTuple):
    """Two rules on [0, 1], the coarse one on some of the nodes of the fine one, ends included."""

    nodes: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray


def _rule(right: list[tuple[float, float, float]]) -> Rule:
    """Make one of the nodes on [-1, 1], from the middle outwards, and the weights of both."""
    mirrored = [(-x, *weights) for x, *weights in right[:0:-1]]
    nodes, fine, coarse = np.array([*mirrored, *right]).T
    return Rule(0.5 + 0.5 * nodes, 0.5 * fine, 0.5 * coarse)


# Of Lobatto and Kronrod, the first for whole lines, the second for parts of them: Gander and
# Gautschi, "Adaptive quadrature - revisited", BIT 40 (2000).
RULE_OF_13 = _rule(
    [
        (0.0, 0.242611071901408, 16 / 35),
        (0.23638319966214988, 0.224926465333340, 0.0),
        (math.sqrt(1 / 5), 0.199773405226859, 125 / 294),
        (0.64185334234578131, 0.188821573960182, 0.0),
        (math.sqrt(2 / 3), 0.155071987336585, 72 / 245),
        (0.94288241569547972, 0.0942738402188500, 0.0),
        (1.0, 0.0158271919734802, 11 / 210),
    ]
)
RULE_OF_7 = _rule(
    [
        (0.0, 16 / 35, 0.0),
        (math.sqrt(1 / 5), 125 / 294, 5 / 6),
        (math.sqrt(2 / 3), 72 / 245, 0.0),
        (1.0, 11 / 210, 1 / 6),
    ]
)

# Slopes at the ends of a part are those just inside it, since it may end at a kink. Without them
# two kinks near an end could be missed: where parts are cut, values agree by construction.
_INSIDE = 1e-8
_NUMBERS_AT_ONCE = 1 << 21  # of points, which are as many again in slopes
_MOST_ROUNDS = 60
_MOST_PARTS = 20_000  # of a line
_LEAST_WIDTH = 1e-13
_CUTS = 3  # of a part, at most
_BENDS = 0.2  # of the largest bend of a part: what is less is not cut there


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
    for i in range(_MOST_ROUNDS):
        rule = RULE_OF_7 if i else RULE_OF_13
        found, sizes, residuals, spreads, cuts = _looked_at(function, lines, parts, rule)
        if allowed is None:  # every line is one part yet
            change = np.maximum(np.abs(last - first), 1e-3 * sizes)
            allowed = np.stack([change, sizes], axis=1) * tolerance / 8
        share = np.sqrt(parts.right - parts.left)[:, None] * allowed[parts.line]
        share = np.maximum(share, rounding[parts.line, None])
        is_done = (np.abs(residuals) <= share[:, 0]) & (spreads <= share[:, 1])
        is_done |= ~np.isfinite(residuals) | (parts.right - parts.left < _LEAST_WIDTH)
        is_done |= counts[parts.line] >= _MOST_PARTS
        is_done |= i == _MOST_ROUNDS - 1
        np.add.at(total, parts.line[is_done], found[is_done])
        if is_done.all():
            break
        parts = _cut(values, lines, parts.at(~is_done), cuts[~is_done])
        counts += np.bincount(parts.line, minlength=n)
    return total


def _by_one_rule(function: Function, lines: Lines, steps: int) -> np.ndarray:
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = np.zeros(lines.starts.shape)
    for node, weight in zip(0.5 + 0.5 * nodes, 0.5 * weights, strict=True):
        total += weight * function(lines.starts + node * lines.moves, lines.columns)[1]
    return total


def _cut(values: Values, lines: Lines, parts: _Parts, cuts: np.ndarray) -> _Parts:
    """Cut every part, at places in rising order; NaN is none."""
    line, which = parts.line, np.nonzero(~np.isnan(cuts))
    starts, moves, columns = (array[line[which[0]]] for array in lines)
    middle = np.broadcast_to(parts.f_right[:, None], cuts.shape).copy()
    middle[which] = values(starts + cuts[which][:, None] * moves, columns)
    cuts = np.where(np.isnan(cuts), parts.right[:, None], cuts)
    ends = np.concatenate([parts.left[:, None], cuts, parts.right[:, None]], axis=1)
    f_ends = np.concatenate([parts.f_left[:, None], middle, parts.f_right[:, None]], axis=1)
    line = np.broadcast_to(line[:, None], (len(cuts), cuts.shape[1] + 1))
    made = _Parts(line, ends[:, :-1], ends[:, 1:], f_ends[:, :-1], f_ends[:, 1:])
    return made.at(made.right > made.left)


def _looked_at(function: Function, lines: Lines, parts: _Parts, rule: Rule) -> list[np.ndarray]:
    """Integrate over parts, so many at a time that memory is bounded.

    Returns the integrals (n, inputs), and for each part the sum of absolute contributions, how far
    it is from adding up, how far the two rules are apart, and where to cut it.
    """
    inputs = lines.starts.shape[1]
    at_once = max(1, _NUMBERS_AT_ONCE // (len(rule.nodes) * max(1, inputs)))
    starts = range(0, len(parts.line), at_once)
    found = [_of_some(function, lines, parts.at(slice(i, i + at_once)), rule) for i in starts]
    return [np.concatenate(some) for some in zip(*found, strict=True)]


def _of_some(function: Function, lines: Lines, parts: _Parts, rule: Rule) -> tuple[np.ndarray, ...]:
    width, n = parts.right - parts.left, len(rule.nodes)
    t = parts.left[:, None] + width[:, None] * np.clip(rule.nodes, _INSIDE, 1 - _INSIDE)
    starts, moves, columns = (array[parts.line] for array in lines)
    points = starts[:, None] + t[..., None] * moves[:, None]
    values, slopes = function(points.reshape(-1, points.shape[-1]), np.repeat(columns, n))
    values, slopes = values.reshape(-1, n), slopes.reshape(points.shape)
    found = width[:, None] * np.tensordot(slopes, rule.fine, axes=(1, 0))
    other = width[:, None] * np.tensordot(slopes, rule.coarse, axes=(1, 0))
    sizes = np.sum(np.abs(found * moves), axis=1)
    residuals = np.sum(found * moves, axis=1) - (parts.f_right - parts.f_left)
    apart = np.sum(np.abs((found - other) * moves), axis=1)
    # The finer rule is much closer than the two are apart, where all is smooth: as in QUADPACK.
    relative = apart / np.where(sizes > 0, sizes, 1.0)
    spreads = sizes * np.minimum(relative, (200 * relative) ** 1.5)
    along = np.einsum("qnk,qk->qn", slopes, moves)
    return found, sizes, residuals, spreads, _bends(parts, t, values, along)


def _bends(parts: _Parts, t: np.ndarray, values: np.ndarray, along: np.ndarray) -> np.ndarray:
    """Say where parts bend most, which is at kinks if there are some: places (n, _CUTS), or NaN.

    Between two nodes it is where the tangents at both meet, which is a kink's very place if the
    function is straight beside it.
    """
    turns = np.diff(along, axis=1)
    bends = np.abs(turns) * np.diff(t, axis=1)
    with np.errstate(all="ignore"):
        places = (np.diff(along * t, axis=1) - np.diff(values, axis=1)) / turns
    is_between = (places > t[:, :-1]) & (places < t[:, 1:])
    places = np.where(is_between, places, 0.5 * (t[:, :-1] + t[:, 1:]))
    worst = np.argsort(-bends, axis=1)[:, :_CUTS]
    chosen = np.take_along_axis(bends, worst, axis=1) >= _BENDS * bends.max(axis=1, keepdims=True)
    chosen[:, 0] = True
    cuts = np.where(chosen, np.take_along_axis(places, worst, axis=1), np.nan)
    is_inside = (cuts > parts.left[:, None]) & (cuts < parts.right[:, None])
    cuts = np.sort(np.where(is_inside, cuts, np.nan), axis=1)  # NaN comes last
    is_none = np.isnan(cuts[:, 0])
    cuts[is_none, 0] = 0.5 * (parts.left + parts.right)[is_none]
    return cuts
