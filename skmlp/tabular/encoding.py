"""Numbers and codes become what a network sees: columns of float32 between -3 and 3, and codes.

The law: an encoded row depends on that row alone; what is constant in fit has no column; and
neither the order of rows nor that of columns changes a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from .columns import Columns, Table
from .sampling import drawn

Edges = Literal["quantile", "tree", "both"]

_MOST_SAMPLED = 20_000  # rows that medians, quantiles and trees are made of
_MOST_TARGETS = 32  # columns of targets that trees look at
_FEWEST_IN_LEAF = 20
_AT_ONCE = 1 << 17  # numbers encoded at once, so that intermediate ones stay in the cache


class Encoded(NamedTuple):
    """Rows as a network sees them.

    Attributes
    ----------
    dense : ndarray of shape (n, d)
        float32: robust numbers, missing indicators, binary and one-hot columns, then
        piecewise-linear columns.
    codes : ndarray of shape (n, n_embedded)
        int32; codes of the categories that are embedded.
    """

    dense: np.ndarray
    codes: np.ndarray


@dataclass(frozen=True, eq=False)
class _Scale:
    """Robust scale and smooth clip: z / sqrt(1 + (z / 3)^2), z = (x - median) / IQR."""

    kept: np.ndarray  # numbers that are not constant
    unit: np.ndarray  # powers of two that bring the largest to about 1, so that nothing overflows
    median: np.ndarray
    spread: np.ndarray
    indicated: np.ndarray  # numbers, constant or not, with both missing and present values


@dataclass(frozen=True, eq=False)
class _Bins:
    """Piecewise-linear columns: clip((x - left) / width, 0, 1), x the kept number `source`."""

    source: np.ndarray
    left: np.ndarray
    width: np.ndarray


@dataclass(frozen=True, eq=False)
class Encoding:
    """How a table is encoded.

    Attributes
    ----------
    embedded : tuple of int
        The number of levels of each embedded category.
    n_plain : int
        How many of the dense columns, the first ones, are no piecewise-linear columns.
    """

    embedded: tuple[int, ...]
    n_plain: int
    _scale: _Scale
    _bins: _Bins
    _plus_minus: np.ndarray  # categories of two levels
    _one_hot: tuple[tuple[int, int], ...]  # category and its number of levels
    _embedded: np.ndarray

    @classmethod
    def of(
        cls,
        columns: Columns,
        table: Table,
        target: np.ndarray,
        *,
        edges: Edges = "both",
        n_bins: int = 48,
        max_encoded: int = 512,
        max_onehot: int = 12,
        weights: np.ndarray | None = None,
        random_state: int = 0,
    ) -> Encoding:
        """Learn how to encode a table.

        Parameters
        ----------
        columns : Columns
            The schema of the table.
        table : Table
            Numbers and codes.
        target : ndarray of shape (n, t)
            One-hot classes or standardized numbers, for the trees' edges.
        edges : {"quantile", "tree", "both"}, default="both"
            Where the edges of piecewise-linear columns come from: quantiles, thresholds of a tree
            on the one number that fits the target, or half of them each.
        n_bins : int, default=48
            Most piecewise-linear columns of a number.
        max_encoded : int, default=512
            Most piecewise-linear columns, about; none if that leaves a number fewer than 2.
        max_onehot : int, default=12
            Most levels of a category that has a column for each; others are embedded.
        weights : ndarray of shape (n,), default=None
            Weights of rows; one of weight 0 is no row, others count alike.
        random_state : int, default=0
            What draws the rows that medians and edges are made of, where there are more than
            20,000; the draw depends on no order of rows or columns.
        """
        n = len(table.numbers)
        rows = np.arange(n) if weights is None else np.flatnonzero(weights)
        sample = drawn(
            [table.numbers, table.codes, np.float32(target)], rows, _MOST_SAMPLED, random_state
        )
        scale = _scale_of(table.numbers, rows, sample)
        target = np.asarray(target, dtype=np.float64).reshape(n, -1)[sample]
        n_bins = min(n_bins, max_encoded // max(1, len(scale.kept)))
        bins = _bins_of(table.numbers, sample, scale, target, edges, n_bins)
        levels = np.asarray(columns.levels, dtype=int)
        constant = _constant(table.codes, rows)
        plus_minus = np.flatnonzero((levels == 2) & ~constant)
        one_hot = [
            (j, int(levels[j]))
            for j in range(len(levels))
            if levels[j] <= max_onehot and levels[j] not in (0, 2) and not constant[j]
        ]
        embedded = np.flatnonzero(levels > np.maximum(max_onehot, 2))
        n_plain = (
            len(scale.kept)
            + len(scale.indicated)
            + len(plus_minus)
            + sum(count for _, count in one_hot)
        )
        return cls(
            tuple(int(count) for count in levels[embedded]),
            n_plain,
            scale,
            bins,
            plus_minus,
            tuple(one_hot),
            embedded,
        )

    def transform(self, table: Table) -> Encoded:
        """Encode a table."""
        n = len(table.numbers)
        d = self.n_plain + len(self._bins.source)
        dense = np.empty((n, d), dtype=np.float32)
        step = max(1, _AT_ONCE // max(1, d))
        with np.errstate(over="ignore"):
            for i in range(0, n, step):
                self._encode(
                    table.numbers[i : i + step], table.codes[i : i + step], dense[i : i + step]
                )
        return Encoded(dense, table.codes[:, self._embedded])

    def _encode(self, numbers: np.ndarray, codes: np.ndarray, out: np.ndarray) -> None:
        scale, bins, start = self._scale, self._bins, 0

        def put(columns: np.ndarray) -> None:
            nonlocal start
            out[:, start : start + columns.shape[1]] = columns
            start += columns.shape[1]

        values = numbers[:, scale.kept] * scale.unit
        missing = np.isnan(values)
        values = np.where(missing, scale.median, values)
        z = np.clip((values - scale.median) / scale.spread, -1e100, 1e100)
        put(z / np.sqrt(1 + (z / 3) ** 2))
        put(np.isnan(numbers[:, scale.indicated]))
        of_two = codes[:, self._plus_minus]
        put((of_two == 1).astype(np.float32) - (of_two == 2))
        for j, count in self._one_hot:
            put(codes[:, [j]] == np.arange(1, count + 1))
        if len(bins.source):
            steps = np.clip((values[:, bins.source] - bins.left) / bins.width, 0, 1)
            steps[(missing & np.isin(scale.kept, scale.indicated))[:, bins.source]] = 0
            put(steps)


def _constant(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if codes.shape[1] == 0:
        return np.zeros(0, dtype=bool)
    seen = codes if len(rows) == len(codes) else codes[rows]
    return np.asarray(seen.min(axis=0) == seen.max(axis=0))


def _scale_of(numbers: np.ndarray, rows: np.ndarray, sample: np.ndarray) -> _Scale:
    kept, unit, median, spread, indicated = [], [], [], [], []
    for j in range(numbers.shape[1]):
        column = numbers[rows, j]
        missing = np.isnan(column)
        present = column[~missing]
        if 0 < len(present) < len(column):
            indicated.append(j)
        if len(present) == 0 or np.min(present) == np.max(present):
            continue
        low, high = np.min(present), np.max(present)
        factor = np.ldexp(1.0, int(np.clip(-np.frexp(max(-low, high))[1], -1000, 1000)))
        drawn_values = numbers[sample, j]
        drawn_values = drawn_values[~np.isnan(drawn_values)]
        middle = np.median((drawn_values if len(drawn_values) else present) * factor)
        filled = np.full(len(sample), middle)
        filled[: len(drawn_values)] = drawn_values * factor
        below, above = np.quantile(filled, [0.25, 0.75])
        kept.append(j)
        unit.append(factor)
        median.append(middle)
        spread.append(above - below if above > below else (high * factor - low * factor) / 2)
    return _Scale(
        np.asarray(kept, dtype=int),
        np.asarray(unit),
        np.asarray(median),
        np.asarray(spread),
        np.asarray(indicated, dtype=int),
    )


def _bins_of(
    numbers: np.ndarray,
    sample: np.ndarray,
    scale: _Scale,
    target: np.ndarray,
    edges: Edges,
    n_bins: int,
) -> _Bins:
    source, left, width = [np.empty(0, dtype=int)], [np.empty(0)], [np.empty(0)]
    if target.shape[1] > _MOST_TARGETS:
        target = target[:, np.argsort(-np.var(target, axis=0), kind="stable")[:_MOST_TARGETS]]
    for k, j in enumerate(scale.kept if n_bins >= 2 else ()):
        values = numbers[sample, j] * scale.unit[k]
        present = ~np.isnan(values)
        at = _edges_of(values[present], target[present], edges, n_bins)
        if len(at) > 2:
            source.append(np.full(len(at) - 1, k))
            left.append(at[:-1])
            width.append(np.diff(at))
    return _Bins(np.concatenate(source), np.concatenate(left), np.concatenate(width))


def _edges_of(values: np.ndarray, target: np.ndarray, edges: Edges, n_bins: int) -> np.ndarray:
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) <= n_bins + 1:
        return distinct
    found = [distinct[[0, -1]]]
    if edges != "tree":
        share = n_bins if edges == "quantile" else n_bins // 2
        found.append(np.quantile(values, np.linspace(0, 1, share + 1)))
    if edges != "quantile":
        share = n_bins if edges == "tree" else n_bins // 2
        found.append(_thresholds(distinct, place, target, max(2, share)))
    return np.unique(np.concatenate(found))


def _thresholds(
    distinct: np.ndarray, place: np.ndarray, target: np.ndarray, n_leaves: int
) -> np.ndarray:
    """Return where a tree splits, halfway between two values; it sees their places, not sizes."""
    tree = (
        DecisionTreeRegressor(
            max_leaf_nodes=n_leaves, min_samples_leaf=_FEWEST_IN_LEAF, random_state=0
        )
        .fit(place.reshape(-1, 1), target)
        .tree_
    )
    after = np.floor(tree.threshold[tree.feature >= 0]).astype(int)
    return distinct[after] / 2 + distinct[after + 1] / 2
