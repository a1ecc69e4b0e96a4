"""Numbers and codes become what a network sees: columns of float32 between -3 and 3, and codes.

The law: an encoded row depends on that row alone; what is constant in fit has no column; and
neither the order of rows nor that of columns changes a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from .columns import Table

Edges = Literal["quantile", "tree", "both"]

_MOST_SAMPLED = 20_000  # rows that medians, quantiles and trees are made of: the first
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
        int32: codes of the categories that are embedded.
    """

    dense: np.ndarray
    codes: np.ndarray


class _Scale(NamedTuple):
    """Robust scale and smooth clip: z / sqrt(1 + (z / 3)^2), z = (unit x - median) / spread."""

    kept: np.ndarray  # numbers that are not constant
    unit: np.ndarray  # a power of two that makes the largest about 1, so that nothing overflows
    median: np.ndarray
    spread: np.ndarray  # between the quartiles, or half the range if they are equal
    indicated: np.ndarray  # numbers, constant or not, that are missing somewhere


class _Bins(NamedTuple):
    """Piecewise-linear columns: clip((unit x - left) / width, 0, 1)."""

    source: np.ndarray  # which of the numbers kept
    left: np.ndarray
    width: np.ndarray
    is_blank: np.ndarray  # whether missing is 0, and not the median as where fit had none missing


class _Levels(NamedTuple):
    """Columns of categories."""

    signs: np.ndarray  # of two levels: +1, -1
    source: np.ndarray  # of more: a column a level
    level: np.ndarray
    embedded: np.ndarray


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
    _levels: _Levels
    _bins: _Bins

    parts: ClassVar[tuple[type, ...]] = (_Scale, _Levels, _Bins)  # what it is stored in

    @classmethod
    def of(
        cls,
        table: Table,
        levels: tuple[int, ...],
        target: np.ndarray,
        *,
        edges: Edges = "both",
        n_bins: int = 48,
        max_encoded: int = 512,
        max_onehot: int = 12,
    ) -> Encoding:
        """Learn how to encode a table.

        Parameters
        ----------
        table : Table
            Numbers and codes, in an order as if drawn at random: medians and edges are those of the
            first 20,000 rows.
        levels : tuple of int
            How many levels each category has.
        target : ndarray of shape (n, t)
            One-hot classes or standardized numbers, for the trees' edges.
        edges : {"quantile", "tree", "both"}, default="both"
            Where the edges of piecewise-linear columns come from: quantiles, thresholds of a tree
            that fits the target by the one number, or half of them each.
        n_bins : int, default=48
            Most piecewise-linear columns of a number.
        max_encoded : int, default=512
            Most piecewise-linear columns in all; none if that is fewer than 2 a number.
        max_onehot : int, default=12
            Most levels of a category that has a column for each; more are embedded.
        """
        target = np.asarray(target, dtype=np.float64).reshape(len(table.numbers), -1)
        scale = _scale_of(table.numbers)
        of_levels = _levels_of(levels, table.codes, max_onehot)
        n_bins = min(n_bins, max_encoded // max(1, len(scale.kept)))
        bins = _bins_of(table.numbers, target, scale, edges, n_bins)
        n_plain = sum(map(len, (scale.kept, scale.indicated, of_levels.signs, of_levels.source)))
        embedded = tuple(levels[j] for j in of_levels.embedded)
        return cls(embedded, n_plain, scale, of_levels, bins)

    @property
    def n_columns(self) -> int:
        """How many columns there are, codes included."""
        return self.n_plain + len(self._bins.source) + len(self.embedded)

    def transform(self, table: Table) -> Encoded:
        """Encode a table."""
        width = self.n_plain + len(self._bins.source)
        dense = np.empty((len(table.numbers), width), dtype=np.float32)
        self.write(table, dense)
        return Encoded(dense, self.codes(table))

    def codes(self, table: Table) -> np.ndarray:
        """Return the codes of the categories that are embedded."""
        return table.codes[:, self._levels.embedded]

    def write(self, table: Table, dense: np.ndarray) -> None:
        """Encode the dense columns of a table into an array."""
        _write(table, dense, lambda rows: [*self._plain(rows), *self._piecewise(rows)])

    def plain(self, table: Table) -> np.ndarray:
        """Encode the columns that are not piecewise-linear; embedded codes come last, float32."""
        n_columns = self.n_plain + len(self.embedded)
        plain = np.empty((len(table.numbers), n_columns), dtype=np.float32)
        _write(table, plain, lambda rows: [*self._plain(rows), self.codes(rows)])
        return plain

    def _plain(self, table: Table) -> Iterator[np.ndarray]:
        scale, levels = self._scale, self._levels
        values = table.numbers[:, scale.kept] * scale.unit
        values = np.where(np.isnan(values), scale.median, values)
        z = np.clip((values - scale.median) / scale.spread, -1e100, 1e100)
        yield z / np.sqrt(1 + (z / 3) ** 2)
        yield np.isnan(table.numbers[:, scale.indicated])
        codes = table.codes[:, levels.signs]
        yield (codes == 1).astype(np.float32) - (codes == 2)
        yield table.codes[:, levels.source] == levels.level

    def _piecewise(self, table: Table) -> Iterator[np.ndarray]:
        scale, bins = self._scale, self._bins
        if len(bins.source) == 0:
            return
        values = table.numbers[:, scale.kept] * scale.unit
        missing = np.isnan(values)
        if np.any(missing):
            values = np.where(missing, np.where(bins.is_blank, -np.inf, scale.median), values)
        steps = values[:, bins.source]
        steps -= bins.left
        steps /= bins.width
        yield np.clip(steps, 0, 1, out=steps)


def _write(
    table: Table, out: np.ndarray, parts_of: Callable[[Table], Sequence[np.ndarray]]
) -> None:
    """Put the parts of all rows side by side, so many rows at a time."""
    step = max(1, _AT_ONCE // max(1, out.shape[1]))
    for i in range(0, len(out), step):
        some = slice(i, i + step)
        with np.errstate(over="ignore"):
            np.concatenate(parts_of(table.rows(some)), axis=1, out=out[some], casting="same_kind")


def _scale_of(numbers: np.ndarray) -> _Scale:
    found: list[tuple[float, ...]] = []
    indicated = []
    for j, column in enumerate(numbers.T):
        missing = np.isnan(column)
        if missing.any() and not missing.all():
            indicated.append(j)
        low = np.min(column, initial=np.inf, where=~missing)
        high = np.max(column, initial=-np.inf, where=~missing)
        if low < high:
            unit = np.ldexp(1.0, int(np.clip(-np.frexp(max(-low, high))[1], -1000, 1000)))
            values, missing = column[:_MOST_SAMPLED], missing[:_MOST_SAMPLED]
            median = np.median(column[~np.isnan(column)] if missing.all() else values[~missing])
            values = np.where(missing, median, values) * unit
            below, above = np.quantile(values, [0.25, 0.75])
            spread = above - below if above > below else (high * unit - low * unit) / 2
            found.append((j, unit, median * unit, spread))
    kept, unit, median, spread = np.asarray(found, dtype=np.float64).reshape(-1, 4).T
    return _Scale(kept.astype(int), unit, median, spread, np.asarray(indicated, dtype=int))


def _levels_of(levels: tuple[int, ...], codes: np.ndarray, max_onehot: int) -> _Levels:
    signs, one_hot, embedded = [], [], []
    for j, count in enumerate(levels):
        if count == 2:
            signs.append(j)
        elif count > max(1, max_onehot):
            embedded.append(j)
        elif count > 1 or (count == 1 and np.any(codes[:, j] == 0)):
            one_hot += [(j, level) for level in range(1, count + 1)]
    source, level = np.asarray(one_hot, dtype=int).reshape(-1, 2).T
    return _Levels(np.asarray(signs, dtype=int), source, level, np.asarray(embedded, dtype=int))


def _bins_of(
    numbers: np.ndarray, target: np.ndarray, scale: _Scale, edges: Edges, n_bins: int
) -> _Bins:
    numbers, target = numbers[:_MOST_SAMPLED], of_most_variance(target[:_MOST_SAMPLED])
    source, left, width = [np.empty(0, dtype=int)], [np.empty(0)], [np.empty(0)]
    for k, j in enumerate(scale.kept if n_bins >= 2 else ()):
        values = numbers[:, j] * scale.unit[k]
        present = ~np.isnan(values)
        at = _edges_of(values[present], target[present], edges, n_bins)
        if len(at) > 2:
            source.append(np.full(len(at) - 1, k))
            left.append(at[:-1])
            width.append(np.diff(at))
    is_blank = np.isin(scale.kept, scale.indicated)
    return _Bins(np.concatenate(source), np.concatenate(left), np.concatenate(width), is_blank)


def of_most_variance(target: np.ndarray) -> np.ndarray:
    """Return the columns of targets that trees look at: the 32 of the most variance."""
    if target.shape[1] <= _MOST_TARGETS:
        return target
    return target[:, np.argsort(-np.var(target, axis=0), kind="stable")[:_MOST_TARGETS]]


def _edges_of(values: np.ndarray, target: np.ndarray, edges: Edges, n_bins: int) -> np.ndarray:
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) <= n_bins + 1:
        return distinct
    found, share = [distinct[[0, -1]]], n_bins // 2 if edges == "both" else n_bins
    if edges != "tree":
        found.append(np.quantile(values, np.linspace(0, 1, share + 1)))
    if edges != "quantile":
        found.append(_thresholds(distinct, place, target, max(2, share)))
    return np.unique(np.concatenate(found))


def _thresholds(
    distinct: np.ndarray, place: np.ndarray, target: np.ndarray, n_leaves: int
) -> np.ndarray:
    """Return where a tree splits, halfway between two values; it sees their places, not sizes."""
    tree = DecisionTreeRegressor(
        max_leaf_nodes=n_leaves, min_samples_leaf=_FEWEST_IN_LEAF, random_state=0
    )
    nodes = tree.fit(place.reshape(-1, 1), target).tree_
    # A threshold lies halfway between places, which need not be neighbors where leaves are small.
    at = np.sort(nodes.threshold[nodes.feature >= 0])
    return np.interp(at, np.arange(len(distinct)), distinct)
