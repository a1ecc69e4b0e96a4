"""An estimator for tables, differentiated: its encoding, its members and their blend have slopes.

The law: a point is the numbers of a row as they are, and beside them what has no number: signs of
categories, one-hot columns, embeddings, missing indicators. Between two points numbers go straight
in their own units and the others straight between what they stand for. Members that are shown the
targets of neighbors have no slopes, since neighbors change by jumps, and are refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..network.network import Network
from ..tabular.columns import Table
from ..tabular.encoding import Encoding
from ..tabular.model import Model, Part
from ..tabular.tracing import blended
from .asked import Asked, asked
from .explained import Explained, Inputs
from .networks import Differentiated


class _Encoded:
    """The encoding of one kind of members, in float64 and as a function with slopes.

    A point of it is: numbers that are kept, in their own units, missing ones as the median; all
    other plain columns; how far piecewise-linear columns of missing numbers are from those of the
    median; and the embeddings of each member.
    """

    def __init__(self, encoding: Encoding, model: Model, tables: list[np.ndarray]) -> None:
        self._encoding, self._tables = encoding, tables
        self._scale, self._bins, self._levels = encoding._scale, encoding._bins, encoding._levels
        self._n_numbers = len(self._scale.kept)
        self._n_dense = encoding.n_plain + len(self._bins.source)
        numbers, categories = _owners(model)
        size = tables[0].shape[1] if encoding.embedded else 0
        embedded = np.repeat(categories[self._levels.embedded], size)
        self.numbers = numbers[self._scale.kept]
        self.owner = np.concatenate(
            [
                self.numbers,
                numbers[self._scale.indicated],
                categories[self._levels.signs],
                categories[self._levels.source],
                self.numbers[self._bins.source],
                *[embedded] * (len(tables) if size else 0),
            ]
        )
        self._n_embedded = len(embedded)

    def points(self, table: Table) -> np.ndarray:
        """Return the points of rows."""
        scale, bins, n = self._scale, self._bins, self._n_numbers
        numbers = table.numbers[:, scale.kept]
        numbers = np.where(np.isnan(numbers), scale.median / scale.unit, numbers)
        dense, codes = self._encoding.transform(table)
        off = np.zeros((len(numbers), len(bins.source)))
        are_missing = np.isnan(table.numbers[:, scale.kept])[:, bins.source]
        of_median = self._piecewise(numbers)
        off[are_missing] = (dense[:, self._encoding.n_plain :] - of_median)[are_missing]
        embedded = [part for one in self._tables for part in self._embedded(one, codes)]
        return np.concatenate(
            [numbers, dense[:, n : self._encoding.n_plain], off, *embedded], axis=1
        )

    def _embedded(self, table: np.ndarray, codes: np.ndarray) -> list[np.ndarray]:
        """Return what stands for the levels of each embedded category, for one member."""
        starts = np.cumsum([0, *(k + 1 for k in self._encoding.embedded[:-1])])
        return [table[codes[:, j] + starts[j]] for j in range(codes.shape[1])]

    def _steps(self, numbers: np.ndarray) -> np.ndarray:
        bins = self._bins
        return ((numbers * self._scale.unit)[:, bins.source] - bins.left) / bins.width

    def _piecewise(self, numbers: np.ndarray) -> np.ndarray:
        return np.clip(self._steps(numbers), 0, 1)

    def shown(self, z: np.ndarray, member: int) -> np.ndarray:
        """Return what a member is shown at points, embeddings last."""
        n, scale = self._n_numbers, self._scale
        robust = (z[:, :n] * scale.unit - scale.median) / scale.spread
        robust = robust / np.sqrt(1 + (robust / 3) ** 2)
        piecewise = self._piecewise(z[:, :n]) + z[:, self._encoding.n_plain : self._n_dense]
        beside = z[:, n : self._encoding.n_plain]
        return np.concatenate([robust, beside, piecewise, z[:, self._of_member(member)]], axis=1)

    def _of_member(self, member: int) -> slice:
        start = self._n_dense + member * self._n_embedded
        return slice(start, start + self._n_embedded)

    def add_slopes(self, total: np.ndarray, z: np.ndarray, slopes: np.ndarray, member: int) -> None:
        """Add slopes by what a member is shown to those by points."""
        n, scale, bins, n_plain = self._n_numbers, self._scale, self._bins, self._encoding.n_plain
        robust = (z[:, :n] * scale.unit - scale.median) / scale.spread
        total[:, :n] += slopes[:, :n] * (scale.unit / scale.spread) / (1 + (robust / 3) ** 2) ** 1.5
        total[:, n : self._n_dense] += slopes[:, n : self._n_dense]
        steps = self._steps(z[:, :n])
        of_steps = slopes[:, n_plain : self._n_dense] * ((steps > 0) & (steps < 1))
        of_steps = of_steps * (scale.unit[bins.source] / bins.width)
        for k in range(n):
            total[:, k] += np.sum(of_steps[:, bins.source == k], axis=1)
        total[:, self._of_member(member)] += slopes[:, self._n_dense :]


def _owners(model: Model) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns of the user's that numbers and categories are made of, in order."""
    numbers: list[int] = []
    for j, kind in enumerate(model.columns.kinds):
        numbers += [] if kind == "category" else [j] * (4 if kind == "date" else 1)
    categories = [j for j, kind in enumerate(model.columns.kinds) if kind == "category"]
    return np.array(numbers, int)[model.order.numbers], np.array(categories, int)[model.order.codes]


def _members(part: Part) -> tuple[list[Differentiated], list[np.ndarray]]:
    """Return the members of a kind, shown embeddings instead of codes; and their embeddings."""
    network = part.trained.network
    front, *others = network.activations
    levels, size = front.levels, front.size  # type: ignore[union-attr]
    inputs = network.layer_units[0] + len(levels) * (size - 1)
    shown = Network(
        (inputs, *network.layer_units[1:]),
        (replace(front, levels=()), *others),  # type: ignore[type-var]
        network.n_constant,
        output=network.output,
    )
    members, tables = [], []
    for theta in part.trained.thetas.astype(np.float64):
        part.trained.scale.fold(*network.last_layer(theta))
        first, *rest = network.split(theta)
        kept = {name: array for name, array in first.items() if name != "tables"}
        members.append(Differentiated(shown, [kept, *rest]))
        tables.append(np.asarray(first.get("tables", np.empty((0, size))), np.float64))
    return members, tables


class ExplainedTable(Explained):
    """A TabularMLPClassifier or TabularMLPRegressor without neighbors."""

    tolerance: ClassVar[float] = 1e-3  # each bin has a kink, and each unit of each member

    def __init__(self, steps: list[tuple[str, Any]], last: Any, target: Any, name: str) -> None:
        check_is_fitted(last)
        seen = vars(last).copy()
        model: Model = seen["_model"]
        if steps:
            raise ValueError(
                f"{name} takes a {type(last).__name__} as it stands, but step {steps[0][0]!r} is "
                "before it in a pipeline: explain the last step, on what the others make of X."
            )
        sights = [part.sight for part in model.parts]
        if any(sight.is_more_than_encoding for sight in sights):
            raise ValueError(
                f"{name} needs slopes, and members of this {type(last).__name__} are shown what "
                "the nearest rows and trees say, which changes by jumps: fit with "
                "n_neighbors=None and n_trees=None."
            )
        self._model, self._name = model, type(last).__name__
        self.n_columns, self._names = model.columns.n_features_in_, model.columns.names
        made = [_members(part) for part in model.parts]
        self._members = [members for members, _ in made]
        self._encodings = [
            _Encoded(part.sight.encoding, model, tables)
            for part, (_, tables) in zip(model.parts, made, strict=True)
        ]
        self.asked = asked(target, seen["_target"])
        blend, count, one = blended(model), sum(map(len, self._members)), self.asked
        self._blend, self._n_raw = blend, model.head.n_raw(seen["_target"].n_targets)
        of_members = Asked(count * self._n_raw, lambda raw: one.numbers(blend(raw)))
        self._by_raw = of_members.slopes()
        self._ends = np.cumsum([len(encoding.owner) for encoding in self._encodings])[:-1]
        self._owner = np.concatenate([encoding.owner for encoding in self._encodings])
        self._widest = max(1, len(self._owner))

    # -- rows --------------------------------------------------------------------------------------

    def read(self, X: Any) -> Inputs:
        """Read rows."""
        table = self._model.columns.read(X, name=self._name)
        return self._of_table(self._model.order.of_columns(table))

    def _of_table(self, table: Table) -> Inputs:
        z = np.concatenate([encoding.points(table) for encoding in self._encodings], axis=1)
        return Inputs(z, table.numbers)

    def zero(self, X: Any) -> Inputs:
        """Return the row of zeros."""
        del X
        n_numbers = len(_owners(self._model)[0])
        return self._of_table(Table(np.zeros((1, n_numbers)), np.zeros((1, 0), np.int32)))

    def is_number(self) -> np.ndarray:
        """Tell which columns are numbers: a date is several."""
        return np.isin(self._model.columns.kinds, ("number", "duration"))

    # -- what is asked -----------------------------------------------------------------------------

    def _raw(self, z: np.ndarray) -> np.ndarray:
        """Compute the raw outputs of all members, side by side."""
        parts = zip(self._encodings, self._members, np.split(z, self._ends, axis=1), strict=True)
        return np.concatenate(
            [
                member.raw(encoding.shown(own, i))
                for encoding, members, own in parts
                for i, member in enumerate(members)
            ],
            axis=1,
        )

    def columns(self, z: np.ndarray) -> np.ndarray:
        """Return which numbers are asked for at each point, (n, how many)."""
        return self.asked.columns(self._blend(self._raw(z)))

    def values(self, z: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Return one of the numbers at each point, (n,)."""
        return self.asked.values(self._blend(self._raw(z)), column)

    def function(self, z: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return one of the numbers at each point, (n,), and its slopes, like z."""
        raw, slopes, start = self._raw(z), np.zeros(z.shape), 0
        received = self._by_raw(raw, column)
        of_kinds = np.split(slopes, self._ends, axis=1)  # views, which are added to
        points = np.split(z, self._ends, axis=1)
        for encoding, members, own, total in zip(
            self._encodings, self._members, points, of_kinds, strict=True
        ):
            for i, member in enumerate(members):
                of_member = np.ascontiguousarray(received[:, start : start + self._n_raw])
                found = member.slopes(encoding.shown(own, i), of_member)
                encoding.add_slopes(total, own, found, i)
                start += self._n_raw
        return self.asked.values(self._blend(raw), column), slopes

    # -- back --------------------------------------------------------------------------------------

    def _gathered(self, of_points: np.ndarray) -> np.ndarray:
        found = np.zeros((len(of_points), self.n_columns))
        np.add.at(found.T, self._owner, of_points.T)
        return found

    def slopes_of_columns(self, slopes: np.ndarray, inputs: Inputs) -> np.ndarray:
        """Return slopes by columns; NaN for categories, dates and missing numbers."""
        found, start = np.zeros((len(slopes), self.n_columns)), 0
        for encoding in self._encodings:
            n = len(encoding.numbers)
            np.add.at(found.T, encoding.numbers, slopes[:, start : start + n].T)
            start += len(encoding.owner)
        found[:, ~self.is_number()] = np.nan
        numbers, _ = _owners(self._model)
        for k, j in enumerate(numbers):
            found[np.isnan(inputs.u[:, k]), j] = np.nan
        return found

    def added(self, slopes: np.ndarray, inputs: Inputs, start: Inputs) -> np.ndarray:
        """Return what columns add."""
        return self._gathered((inputs.z - start.z) * slopes)
