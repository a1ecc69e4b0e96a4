"""The model of a table: kinds of members, each with what it is shown, and their blend.

    table -> encoding (-> neighbors) -> members -> transform -> blend -> raw outputs

Raw outputs are those of the head, so that all a head can answer is answered from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..heads import HEADS, Head
from ..network.activations import ACTIVATIONS
from ..training.loops import Diverged, Watch
from ..training.warn import warn
from .calibration import Blend
from .columns import Columns, Table
from .encoding import Edges, Encoded, Encoding
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
    steps : (float, float)
        The fewest and the most steps of a member, beyond which there are more epochs or fewer.
    has_neighbors : bool
        Whether it is shown the targets of the nearest training rows.
    may_log : bool
        Whether it learns logarithms of targets with a long tail.
    """

    activation: str
    edges: Edges
    epochs: int
    steps: tuple[float, float] = (400, 20_000)
    has_neighbors: bool = False
    may_log: bool = False


# The kinds for classes, and for numbers.
KINDS: Mapping[str, tuple[Kind, ...]] = MappingProxyType(
    {
        "classes": (Kind("relu", "both", 24), Kind("mish", "both", 24, has_neighbors=True)),
        "numbers": (
            Kind("relu", "quantile", 28),
            Kind("mish", "both", 16, has_neighbors=True, may_log=True),
        ),
    }
)


# == a fitted model ================================================================================


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
        further = None
        if self.neighbors is not None:
            further = self.neighbors.columns(encoded.dense[:, : self.encoding.n_plain])
        raw = self.trained.answers(_shown(encoded, further))
        return raw if self.transform is None else self.transform.answers(raw)


def _shown(encoded: Encoded, further: np.ndarray | None) -> np.ndarray:
    """Put the columns that members are shown of rows side by side, codes last."""
    beside = () if further is None else (further,)
    return np.concatenate([encoded.dense, *beside, encoded.codes], axis=1, dtype=np.float32)


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
    head: Head
    parts: tuple[Part, ...]
    blend: Blend

    def raw(self, table: Table) -> np.ndarray:
        """Compute raw outputs, (n, n_raw), so many rows at a time that memory is for them alone."""
        starts = range(0, len(table.numbers), _ROWS_AT_ONCE)
        return np.concatenate([self._of(_rows(table, slice(i, i + _ROWS_AT_ONCE))) for i in starts])

    def _of(self, table: Table) -> np.ndarray:
        distinct = {id(part.encoding): part.encoding for part in self.parts}
        encoded = {key: encoding.transform(table) for key, encoding in distinct.items()}
        kinds = [part.answers(encoded[id(part.encoding)]) for part in self.parts]
        return self.blend.answers(self.head, kinds)


def _rows(table: Table, rows: Any) -> Table:
    return Table(*(array[rows] for array in table))


# == fitting =======================================================================================


class Problem(NamedTuple):
    """What a fit is to do, checked.

    Attributes
    ----------
    columns : Columns
        The schema.
    table : Table
        The rows; those to validate on last, where they are given.
    n_training : int
        How many of the rows are for training.
    lesson : Lesson
        What is learned of them.
    groups : ndarray of shape (n_training,) or None
        Which rows belong together.
    how : Hyperparameters
        How members are made and trained.
    encodings : dict of str to int
        `n_bins`, `max_encoded` and `max_onehot` of encodings.
    n_neighbors : tuple of int
        How many nearest rows are averaged.
    """

    columns: Columns
    table: Table
    n_training: int
    lesson: Lesson
    groups: np.ndarray | None
    how: Hyperparameters
    encodings: Mapping[str, int]
    n_neighbors: tuple[int, ...]

    @property
    def training(self) -> Table:
        """The rows for training."""
        return _rows(self.table, slice(self.n_training))

    @property
    def training_weights(self) -> np.ndarray | None:
        """Their weights."""
        weights = self.lesson.weights
        return None if weights is None else weights[: self.n_training]

    @property
    def standardized(self) -> np.ndarray:
        """Their targets as encodings and neighbors see them: of mean 0 and variance 1, or 0/1."""
        Y = self.lesson.Y[: self.n_training].astype(np.float64)
        if "numbers" not in self.lesson.head.targets:
            return Y
        seen, weights = self.lesson.of_rows(self.lesson.training)
        center = np.average(seen, axis=0, weights=weights)
        deviation = np.sqrt(np.average((seen - center) ** 2, axis=0, weights=weights))
        return (Y - center) / np.where(deviation > 0, deviation, 1.0)


class Fitting:
    """A fit of one kind after another; what is there of it makes a model at any time."""

    def __init__(self, problem: Problem, seeds: np.random.RandomState) -> None:
        self._problem, self._seeds = problem, seeds
        self._target = problem.standardized
        self._encodings: dict[str, tuple[Encoding, Encoded]] = {}
        self.parts: list[Part] = []
        self._out_of_fold: list[np.ndarray] = []

    def add(self, kind: Kind, watch: Watch | None) -> None:
        """Train the members of a kind."""
        problem, lesson = self._problem, self._problem.lesson
        encoding, encoded = self._encoded(kind.edges)
        neighbors = self._neighbors(encoding, encoded) if kind.has_neighbors else None
        transform, learned = _learned(lesson, may_log=kind.may_log)
        members, raw = trained(
            learned,
            self._columns(encoding, encoded, neighbors),
            encoding.embedded,
            ACTIVATIONS[kind.activation],
            kind.epochs,
            kind.steps,
            problem.how,
            self._seed(),
            watch,
        )
        raw = raw[:, lesson.judged]
        if transform is not None:
            transform = transform.scaled(raw, *lesson.of_rows(lesson.judged))
            raw = transform.answers(raw)
        self._out_of_fold.append(raw)
        self.parts.append(Part(encoding, neighbors, members, transform))

    def model(self) -> tuple[Model, np.ndarray, float]:
        """Blend what there is; return it, the raw outputs of every row out of fold, their loss."""
        lesson = self._problem.lesson
        temperatures = [part.trained.temperature for part in self.parts]
        blend, blended, loss = Blend.of(
            lesson.answering, self._out_of_fold, temperatures, *lesson.of_rows(lesson.judged)
        )
        raw = np.full((len(lesson.Y), blended.shape[1]), np.nan)
        raw[lesson.judged] = blended
        return Model(self._problem.columns, lesson.answering, tuple(self.parts), blend), raw, loss

    def _seed(self) -> int:
        return int(self._seeds.randint(1 << 31))

    def _encoded(self, edges: Edges) -> tuple[Encoding, Encoded]:
        problem = self._problem
        if edges not in self._encodings:
            encoding = Encoding.of(
                problem.columns,
                problem.training,
                self._target,
                edges=edges,
                weights=problem.training_weights,
                random_state=self._seed(),
                **problem.encodings,
            )
            self._encodings[edges] = encoding, encoding.transform(problem.table)
        return self._encodings[edges]

    def _neighbors(self, encoding: Encoding, encoded: Encoded) -> Neighbors:
        problem = self._problem
        return Neighbors.of(
            encoded.dense[: problem.n_training, : encoding.n_plain],
            self._target,
            counts=problem.n_neighbors,
            weights=problem.training_weights,
            groups=problem.groups,
            random_state=self._seed(),
        )

    def _columns(
        self, encoding: Encoding, encoded: Encoded, neighbors: Neighbors | None
    ) -> np.ndarray:
        """Return what members are shown of all rows: those for training leave themselves out."""
        if neighbors is None:
            return _shown(encoded, None)
        further = neighbors.training_columns()
        to_validate = encoded.dense[self._problem.n_training :, : encoding.n_plain]
        if len(to_validate):
            further = np.concatenate([further, neighbors.columns(to_validate)])
        return _shown(encoded, further)


def fitted(
    problem: Problem, kinds: Sequence[Kind], seeds: np.random.RandomState, watch: Any = None
) -> tuple[Model, np.ndarray, float]:
    """Fit a model; what an interruption or an end of time leaves answers, with a warning."""
    fitting = Fitting(problem, seeds)
    failed = None
    for kind in kinds:
        if fitting.parts and watch is not None and watch.is_over:
            break
        try:
            fitting.add(kind, watch)
        except KeyboardInterrupt:
            if not fitting.parts:
                raise
            warn("Training interrupted by user: the members finished so far answer.", UserWarning)
            break
        except Diverged as error:
            failed = error
            warn(f"A kind of members is left out, whose training diverged: {error}", RuntimeWarning)
            continue
        if fitting.parts[-1].trained.outcome.kind == "interrupted":
            warn("Training interrupted by user: the members trained so far answer.", UserWarning)
            break
    if not fitting.parts:
        raise ValueError(f"All members diverged: {failed}") from failed
    return fitting.model()


def _learned(lesson: Lesson, *, may_log: bool) -> tuple[Transform | None, Lesson]:
    """Say how a kind learns the target: a squared error alone leaves the choice of a scale."""
    if type(lesson.head) is not HEADS["linear"]:
        return None, lesson
    transform = Transform.of(lesson.of_rows(lesson.training)[0], may_log=may_log)
    return transform, replace(lesson, Y=transform.learned(lesson.Y))
