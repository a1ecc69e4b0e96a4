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
_LEAST_WIDTH = 1e-10  # what a kink leaves out of a part of this width is nothing
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
    return _Integration(function, values, lines, tolerance).run()


class _Integration:
    """Lines that are cut until all parts are good, so many parts at a time that memory is bounded.

    Attributes
    ----------
    total : ndarray of shape (n, inputs)
        The integrals over the parts that are good.
    """

    def __init__(self, function: Function, values: Values, lines: Lines, tolerance: float) -> None:
        self._function, self._values, self._lines = function, values, lines
        n = len(lines.starts)
        self.total, self._counts = np.zeros(lines.starts.shape), np.ones(n, int)
        ends = [values(lines.starts + t * lines.moves, lines.columns) for t in (0.0, 1.0)]
        self._parts = _Parts(np.arange(n), np.zeros(n), np.ones(n), *ends)
        self._tolerance, self._change = tolerance, np.abs(ends[1] - ends[0])
        self._allowed = np.zeros((n, 2))  # of a whole line, apart and between the rules
        self._rounding = 1e-14 * np.maximum(*np.abs(ends))

    def run(self) -> np.ndarray:
        """Cut, round after round, and return the integrals."""
        inputs = self._lines.starts.shape[1]
        for i in range(_MOST_ROUNDS):
            rule = RULE_OF_7 if i else RULE_OF_13
            at_once = max(1, _NUMBERS_AT_ONCE // (len(rule.nodes) * max(1, inputs)))
            left = [
                self._look(self._parts.at(slice(start, start + at_once)), i, rule)
                for start in range(0, len(self._parts.line), at_once)
            ]
            self._parts = _Parts(*(np.concatenate(some) for some in zip(*left, strict=True)))
            if not len(self._parts.line):
                break
            self._counts += np.bincount(self._parts.line, minlength=len(self._counts))
        return self.total

    def _look(self, parts: _Parts, i: int, rule: Rule) -> _Parts:
        """Integrate over parts: add what is good, and return what the others are cut into."""
        found, sizes, residuals, spreads, cuts = _integrated(
            self._function, self._lines, parts, rule
        )
        if i == 0:  # every line is one part yet
            change = np.maximum(self._change[parts.line], 1e-3 * sizes)
            self._allowed[parts.line] = np.stack([change, sizes], axis=1) * self._tolerance / 8
        width = parts.right - parts.left
        share = np.sqrt(width)[:, None] * self._allowed[parts.line]
        share = np.maximum(share, self._rounding[parts.line, None])
        is_done = (np.abs(residuals) <= share[:, 0]) & (spreads <= share[:, 1])
        is_done |= ~np.isfinite(residuals) | (width < _LEAST_WIDTH)
        is_done |= (self._counts[parts.line] >= _MOST_PARTS) | (i == _MOST_ROUNDS - 1)
        np.add.at(self.total, parts.line[is_done], found[is_done])
        return _cut(self._values, self._lines, parts.at(~is_done), cuts[~is_done])


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


def _integrated(
    function: Function, lines: Lines, parts: _Parts, rule: Rule
) -> tuple[np.ndarray, ...]:
    """Integrate over parts.

    Returns the integrals (n, inputs), and for each part the sum of absolute contributions, how far
    it is from adding up, how far the two rules are apart, and where to cut it.
    """
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
    function is straight beside it. Two kinks that undo each other, and jumps, show in the values.
    """
    turns, gaps, rises = (np.diff(array, axis=1) for array in (along, t, values))
    unexplained = rises - 0.5 * gaps * (along[:, 1:] + along[:, :-1])
    bends = np.maximum(np.abs(turns) * gaps, np.abs(unexplained))
    with np.errstate(all="ignore"):
        places = (np.diff(along * t, axis=1) - rises) / turns
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
