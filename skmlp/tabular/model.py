"""The model of a table: kinds of members, each with what it is shown, and their blend.

    table -> columns -> encoding (-> neighbors) -> members -> transform -> blend -> raw outputs

Raw outputs are those of the head, so that all a head can answer is answered from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..network.activations import ACTIVATIONS
from .calibration import Blend
from .columns import Columns, Table
from .encoding import Encoded, Encoding
from .members import Hyperparameters, Lesson, Trained, trained
from .neighbors import Neighbors
from .transform import Transform

_ROWS_AT_ONCE = 1 << 14


class Kind(NamedTuple):
    """A kind of members.

    Attributes
    ----------
    activation : str
        The activation of the hidden layers.
    edges : str
        Where the edges of piecewise-linear columns come from.
    epochs : int
        The epochs that are planned.
    has_neighbors : bool
        Whether it is shown the targets of the nearest training rows.
    may_log : bool
        Whether it learns logarithms of targets with a long tail.
    """

    activation: str
    edges: str
    epochs: int
    has_neighbors: bool = False
    may_log: bool = False


# By the targets, in the words of `Head.targets`: which kinds there are.
KINDS: Mapping[str, tuple[Kind, ...]] = {
    "classes": (Kind("relu", "both", 24), Kind("mish", "both", 24, has_neighbors=True)),
    "numbers": (
        Kind("relu", "quantile", 28),
        Kind("mish", "both", 16, has_neighbors=True, may_log=True),
    ),
}


@dataclass(frozen=True, eq=False)
class Part:
    """The members of one kind, with what they are shown of a row.

    Attributes
    ----------
    encoding : Encoding
        The numbers that stand for a row.
    neighbors : Neighbors or None
        Where the targets of the nearest rows come from.
    trained : Trained
        The members.
    transform : Transform or None
        How their answers are turned back.
    """

    encoding: Encoding
    neighbors: Neighbors | None
    trained: Trained
    transform: Transform | None

    def answers(self, encoded: Encoded) -> np.ndarray:
        """Compute raw outputs on the scale of the target, (members, n, n_raw)."""
        plain = encoded.dense[:, : self.encoding.n_plain]
        further = None if self.neighbors is None else self.neighbors.columns(plain)
        raw = self.trained.answers(_shown(encoded, further))
        return raw if self.transform is None else self.transform.answers(raw)


def _shown(encoded: Encoded, further: np.ndarray | None) -> np.ndarray:
    """Put the columns that members are shown side by side, codes last."""
    further = encoded.dense[:, :0] if further is None else further
    return np.concatenate([encoded.dense, further, encoded.codes], axis=1, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Model:
    """All that predictions are made of.

    Attributes
    ----------
    columns : Columns
        The schema of tables.
    head : Head
        What raw outputs mean.
    parts : tuple of Part
        The kinds of members.
    blend : Blend
        How their answers make one.
    """

    columns: Columns
    head: Any
    parts: tuple[Part, ...]
    blend: Blend

    def raw(self, X: Any) -> np.ndarray:
        """Compute raw outputs, (n, n_raw), for a frame."""
        table = self.columns.read(X)
        n = len(table.numbers)
        found = [
            self._of_rows(Table(*(x[i : i + _ROWS_AT_ONCE] for x in table)))
            for i in range(0, n, _ROWS_AT_ONCE)
        ]
        return np.concatenate(found)

    def _of_rows(self, table: Table) -> np.ndarray:
        encoded: dict[int, Encoded] = {}
        for part in self.parts:
            if id(part.encoding) not in encoded:
                encoded[id(part.encoding)] = part.encoding.transform(table)
        kinds = [part.answers(encoded[id(part.encoding)]) for part in self.parts]
        return self.blend.answers(self.head, kinds)


class Encodings(NamedTuple):
    """Parameters of encodings, checked, of the same names as the estimators'."""

    n_bins: int
    max_encoded: int
    max_onehot: int


def fitted_model(
    columns: Columns,
    table: Table,
    lesson: Lesson,
    kinds: Sequence[Kind],
    how: Hyperparameters,
    encodings: Encodings,
    n_neighbors: Sequence[int],
    groups: np.ndarray | None,
    rng: np.random.RandomState,
) -> tuple[Model, np.ndarray, float]:
    """Fit the model; return it, the raw outputs out of fold and their loss."""
    counted = lesson.fold >= 0
    weights = None if lesson.weights is None else lesson.weights[counted]
    Y = lesson.Y.astype(np.float64)
    seen = _standardized(lesson)
    by_edges: dict[str, tuple[Encoding, Encoded]] = {}
    parts, out_of_fold = [], []
    for kind in kinds:
        if kind.edges not in by_edges:
            encoding = Encoding.of(
                columns,
                table,
                seen,
                edges=kind.edges,
                weights=lesson.weights,
                random_state=rng.randint(1 << 31),
                **encodings._asdict(),
            )
            by_edges[kind.edges] = encoding, encoding.transform(table)
        encoding, encoded = by_edges[kind.edges]
        neighbors, further = None, None
        if kind.has_neighbors:
            neighbors = Neighbors.of(
                encoded.dense[:, : encoding.n_plain],
                seen,
                counts=tuple(n_neighbors),
                weights=lesson.weights,
                groups=groups,
                random_state=rng.randint(1 << 31),
            )
            further = neighbors.training_columns()
        transform, learned = _learned(lesson, kind)
        members = trained(
            learned,
            _shown(encoded, further),
            encoding.embedded,
            ACTIVATIONS[kind.activation],
            kind.epochs,
            how,
            rng.randint(1 << 31),
        )
        raw = members.held_out[counted]
        if transform is not None:
            transform = transform.scaled(raw, Y[counted], weights)
            raw = transform.answers(raw)
        out_of_fold.append(raw)
        parts.append(Part(encoding, neighbors, members, transform))
    calibrations = [part.trained.calibration for part in parts]
    blend, blended, loss = Blend.of(lesson.head, out_of_fold, calibrations, Y[counted], weights)
    raw = np.full((len(Y), blended.shape[1]), np.nan)
    raw[counted] = blended
    return Model(columns, lesson.head, tuple(parts), blend), raw, loss


def _standardized(lesson: Lesson) -> np.ndarray:
    """Return the targets as encodings and neighbors see them: of mean 0 and variance 1, or 0/1."""
    Y = lesson.Y.astype(np.float64)
    if "numbers" not in lesson.head.targets:
        return Y
    counted = lesson.fold >= 0
    weights = None if lesson.weights is None else lesson.weights[counted]
    center = np.average(Y[counted], axis=0, weights=weights)
    deviation = np.sqrt(np.average((Y[counted] - center) ** 2, axis=0, weights=weights))
    return (Y - center) / np.where(deviation > 0, deviation, 1.0)


def _learned(lesson: Lesson, kind: Kind) -> tuple[Transform | None, Lesson]:
    """Say how a kind learns the target: only a squared error leaves the choice of a scale."""
    if type(lesson.head).__name__ != "Linear":
        return None, lesson
    counted = lesson.fold >= 0
    transform = Transform.of(lesson.Y[counted], may_log=kind.may_log)
    Y = transform.learned(lesson.Y.astype(np.float64)).astype(lesson.Y.dtype)
    return transform, Lesson(lesson.head, Y, lesson.weights, lesson.fold)
