"""The model of a table: kinds of members, each with what it is shown, and their blend.

    table -> encoding (-> neighbors, forest) -> members -> transform -> blend -> raw outputs

Raw outputs are those of the head, so that all a head can answer is answered from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..heads import HEADS, Head
from ..heads.head import mean, spread
from ..network.activations import ACTIVATIONS
from ..training.loops import Broken, Diverged
from ..training.processes import Here, Holder, Processes, can_start
from ..training.warn import warn
from . import boosting
from .calibration import Blend
from .clock import Clock
from .columns import Columns, Table
from .encoding import Edges, Encoding
from .forest import MOST_ROWS, Forest
from .members import Hyperparameters, Lesson, Trained, trained
from .neighbors import Neighbors
from .order import Order
from .shown import Shown, Sight
from .transform import Transform

_ROWS_AT_ONCE = 1 << 14
_ROWS_FOR_PROCESSES = 500_000  # of all steps: less takes about as long as to start processes


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
    has_neighbors, has_forest, has_boosted : bool
        Whether it is shown the targets of the nearest training rows, what a forest says, and what
        boosted trees say, where these are cheap.
    may_log : bool
        Whether it learns logarithms of targets with a long tail.
    steps : (float, float)
        The fewest and the most steps of a member, beyond which there are more epochs or fewer.
    """

    activation: str
    edges: Edges
    epochs: int
    has_neighbors: bool = False
    has_forest: bool = False
    has_boosted: bool = False
    may_log: bool = False
    steps: tuple[float, float] = (400, 20_000)


_PLAIN_FOR_CLASSES = Kind("relu", "both", 24)
_PLAIN_FOR_NUMBERS = Kind("relu", "quantile", 28)

# The kinds for classes and for numbers; and those of the compact mode, which holds no row.
KINDS: Mapping[str, tuple[Kind, ...]] = MappingProxyType(
    {
        "classes": (
            _PLAIN_FOR_CLASSES,
            Kind("mish", "both", 24, has_neighbors=True, has_forest=True, has_boosted=True),
        ),
        "numbers": (
            _PLAIN_FOR_NUMBERS,
            Kind("mish", "both", 16, has_neighbors=True, has_forest=True, may_log=True),
        ),
        "compact classes": (_PLAIN_FOR_CLASSES._replace(has_forest=True),),
        "compact numbers": (_PLAIN_FOR_NUMBERS,),
    }
)


# == a fitted model ================================================================================


@dataclass(frozen=True, eq=False)
class Part:
    """The members of one kind.

    Attributes
    ----------
    sight : Sight
        What they are shown of a row.
    trained : Trained
        The members.
    transform : Transform or None
        How their answers are turned back.
    """

    sight: Sight
    trained: Trained
    transform: Transform | None

    def answers(self, table: Table) -> np.ndarray:
        """Compute raw outputs on the scale of the target, (members, n, n_raw)."""
        raw = self.trained.answers(self.sight.columns(table))
        return raw if self.transform is None else self.transform.answers(raw)


@dataclass(frozen=True, eq=False)
class Model:
    """All that predictions are made of.

    Attributes
    ----------
    columns : Columns
        The schema of tables.
    order : Order
        The order in which their columns are seen.
    head : Head
        What the raw outputs mean that its members have.
    parts : tuple of Part
        The kinds of members.
    blend : Blend
        How their answers make one.
    unit : float
        What raw outputs are multiplied by: 1, but for targets whose squares leave float64.
    """

    columns: Columns
    order: Order
    head: Head
    parts: tuple[Part, ...]
    blend: Blend
    unit: float

    @property
    def answering(self) -> Head:
        """What the raw outputs mean that the model has."""
        members = [part.trained.thetas for part in self.parts]
        return self.blend.head(self.head, members)

    def raw(self, table: Table) -> np.ndarray:
        """Compute raw outputs, (n, n_raw), so many rows at a time that memory is for them alone."""
        starts = range(0, len(table.numbers), _ROWS_AT_ONCE)
        found = [self._of(table.rows(slice(i, i + _ROWS_AT_ONCE))) for i in starts]
        return np.concatenate(found) * self.unit

    def ambiguity(self, table: Table) -> np.ndarray:
        """Compute the mean variance among the answers of the members, (n_targets,).

        The table is in order. A member is the members of all kinds that leave out one fold.
        """
        kinds = [part.answers(table) for part in self.parts]
        common = set.intersection(*(set(part.trained.members) for part in self.parts))
        centers = []
        for j in common:
            of_member = [
                raw[part.trained.members == j] for raw, part in zip(kinds, self.parts, strict=True)
            ]
            head = self.blend.head(self.head, of_member)
            centers.append(head.center(self.blend.answers(self.head, of_member)))
        return np.mean(np.var(centers, axis=0), axis=0)

    def _of(self, table: Table) -> np.ndarray:
        table = self.order.of_columns(table)
        shares = zip(self.blend.weights, self.parts, strict=True)
        kinds = [part.answers(table) if share > 0 else None for share, part in shares]
        return self.blend.answers(self.head, kinds)


# == fitting =======================================================================================


class Problem(NamedTuple):
    """What a fit is to do, checked.

    Attributes
    ----------
    columns : Columns
        The schema.
    order : Order
        Where the rows for training stood, and the columns.
    table : Table
        The rows, in that order; those to validate on last, where they are given.
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
    n_trees : int or None
        How many trees a forest has, if there is one.
    origin : ndarray of shape (n,)
        Where each row stood among all that were given, those to validate on behind the others.
    n_given : int
        How many those are, with those of weight 0.
    unit : float
        What the targets of the lesson are to be multiplied by.
    """

    columns: Columns
    order: Order
    table: Table
    lesson: Lesson
    groups: np.ndarray | None
    how: Hyperparameters
    encodings: Mapping[str, int]
    n_neighbors: tuple[int, ...]
    n_trees: int | None
    origin: np.ndarray
    n_given: int
    unit: float

    def holder(self, kinds: Sequence[Kind]) -> Holder:
        """Return what is to hold members: processes, where to start them takes less time."""
        learned, how = self.lesson.learned, self.how
        n_jobs, in_epoch = min(how.n_jobs, len(learned)), max(map(len, learned)) / how.batch_size
        steps = sum(np.clip(kind.epochs * in_epoch, *kind.steps) for kind in kinds)
        pays = steps * how.batch_size * len(learned) >= _ROWS_FOR_PROCESSES
        return Processes(n_jobs) if n_jobs > 1 and pays and can_start() else Here()

    def as_given(self, answers: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Bring answers for some rows in the order in which all were given, NaN for others."""
        whole = np.full((self.n_given, *answers.shape[1:]), np.nan, answers.dtype)
        whole[self.origin[rows]] = answers
        return whole

    @property
    def training(self) -> slice:
        """The rows for training."""
        return slice(len(self.order.rows))

    @property
    def weights(self) -> np.ndarray | None:
        """Their weights."""
        weights = self.lesson.weights
        return None if weights is None else weights[self.training]

    @property
    def levels(self) -> tuple[int, ...]:
        """How many levels each category has, in order."""
        return tuple(self.columns.levels[j] for j in self.order.codes)

    @property
    def standardized(self) -> np.ndarray:
        """Their targets as trees and neighbors see them: of mean 0 and variance 1, or 0 and 1."""
        Y = self.lesson.Y[self.training].astype(np.float64)
        if "numbers" not in self.lesson.head.targets:
            return Y
        return (Y - mean(Y, self.weights)) / spread(Y, self.weights)


class Fitting:
    """A fit of one kind after another; what is there of it makes a model at any time."""

    def __init__(
        self,
        problem: Problem,
        seeds: np.random.RandomState,
        clock: Clock,
        holder: Holder,
        published: Callable[[Model, OutOfFold], dict[str, Any]],
    ) -> None:
        self._problem, self._seeds = problem, seeds
        self._clock, self._holder, self._published = clock, holder, published
        self._target = problem.standardized
        self._done: list[tuple[Part, np.ndarray]] = []

    @property
    def parts(self) -> list[Part]:
        """The kinds of members that have been trained."""
        return [part for part, _ in self._done]

    def add(self, kind: Kind) -> None:
        """Train the members of a kind."""
        problem = self._problem
        sight, shown = self._shown(kind)
        transform, learned = _learned(problem.lesson, may_log=kind.may_log)

        judged = partial(_judged, problem.lesson, sight, shown, transform)
        members = trained(
            learned,
            shown,
            sight.encoding.embedded,
            ACTIVATIONS[kind.activation],
            kind.epochs,
            kind.steps,
            problem.how,
            self._seed(),
            self._clock,
            self._holder,
            lambda members: self._published(*self.model(judged(members))),
        )
        self._done.append(judged(members))
        shown.let_go()

    def model(self, *latest: tuple[Part, np.ndarray]) -> tuple[Model, OutOfFold]:
        """Blend what there is, by the rows that members of all kinds are judged by."""
        problem, lesson = self._problem, self._problem.lesson
        parts, out_of_fold = zip(*self._done, *latest, strict=True)
        rows = reduce(np.intersect1d, [part.trained.judged(lesson) for part in parts])
        kinds = [raw[:, rows] for raw in out_of_fold]
        temperatures = [part.trained.temperature for part in parts]
        blend, raw, loss = Blend.of(lesson.answering, kinds, temperatures, *lesson.of_rows(rows))
        model = Model(problem.columns, problem.order, lesson.answering, parts, blend, problem.unit)
        return model, OutOfFold(rows, blend.head(lesson.answering, kinds), raw, loss)

    def _seed(self) -> int:
        return int(self._seeds.randint(1 << 31))

    def _shown(self, kind: Kind) -> tuple[Sight, Shown]:
        """Learn what members of a kind are shown, and show them all rows."""
        problem, training = self._problem, self._problem.training
        of_training, n = problem.table.rows(training), training.stop
        encoding = Encoding.of(
            of_training, problem.levels, self._target, edges=kind.edges, **problem.encodings
        )
        sight = Sight(encoding)
        further = [np.empty((n, 0), np.float32)]
        if kind.has_forest and problem.n_trees is not None and encoding.n_columns:
            forest, answers = self._grown(encoding, of_training, problem.n_trees)
            further.append(answers)  # before all rows are encoded, which takes as much memory
            sight = replace(sight, forest=forest)
        if kind.has_boosted and problem.n_trees is not None and self._may_boost(encoding):
            boosted, answers = self._boosted(encoding, of_training)
            further.append(answers)
            sight = replace(sight, boosted=boosted)
        if kind.has_neighbors:
            plain = sight.dense(encoding.plain(of_training))
            options: dict[str, Any] = {"counts": problem.n_neighbors, "weights": problem.weights}
            neighbors = Neighbors.of(plain, self._target, **options)
            further.insert(0, neighbors.training_columns(plain, problem.groups))
            sight = replace(sight, neighbors=neighbors)
        beside = np.concatenate(further, axis=1)
        to_validate = problem.table.rows(slice(n, None))
        if len(to_validate.numbers):
            beside = np.concatenate([beside, sight.further(to_validate)])
        return sight, Shown(problem.table, sight, beside, self._holder.folder)

    def _grown(self, encoding: Encoding, table: Table, n_trees: int) -> tuple[Forest, np.ndarray]:
        """Grow a forest, and answer the training rows, so many at a time."""
        problem, lesson = self._problem, self._problem.lesson
        first, folds = slice(MOST_ROWS), None
        if problem.groups is not None:
            first, folds = slice(None), list(zip(lesson.learned, lesson.held_out, strict=True))
        forest, answers = Forest.of(
            encoding.plain(table.rows(first)),
            self._target[first],
            None if problem.weights is None else problem.weights[first],
            folds,
            n_trees,
            self._seed(),
            problem.how.n_jobs,
        )
        return forest, _followed(answers, forest, encoding, table)

    def _may_boost(self, encoding: Encoding) -> bool:
        """Whether trees can be boosted, and soon enough: each row has one class of a few."""
        targets, n_columns = self._problem.lesson.head.targets, self._target.shape[1]
        if not encoding.n_columns or not targets & {"binary", "multiclass"}:
            return False
        if n_columns > 1 and "multiclass" not in targets:
            return False  # labels
        n_plain = encoding.n_plain + len(encoding.embedded)
        return boosting.pays(len(self._target), n_plain, max(2, n_columns))

    def _boosted(self, encoding: Encoding, table: Table) -> tuple[Forest, np.ndarray]:
        """Grow boosted trees, and answer the training rows."""
        problem, lesson, first = self._problem, self._problem.lesson, slice(boosting.MOST_ROWS)
        folds = None
        if problem.groups is not None:
            pairs = zip(lesson.learned, lesson.held_out, strict=True)
            folds = [(a[a < first.stop], b[b < first.stop]) for a, b in pairs]
        forest, answers = boosting.boosted(
            encoding.plain(table.rows(first)),
            boosting.classes_of(self._target[first]),
            None if problem.weights is None else problem.weights[first],
            folds,
            self._seed(),
            self._holder,
            problem.how.n_jobs,
        )
        return forest, _followed(answers, forest, encoding, table)


def _followed(answers: np.ndarray, forest: Forest, encoding: Encoding, table: Table) -> np.ndarray:
    """Put answers for the rows behind the first ones, so many at a time, behind theirs."""
    starts = range(len(answers), len(table.numbers), _ROWS_AT_ONCE)
    others = (encoding.plain(table.rows(slice(i, i + _ROWS_AT_ONCE))) for i in starts)
    return np.concatenate([answers, *map(forest.answers, others)])


class OutOfFold(NamedTuple):
    """What members say of rows that they have not learned from.

    Attributes
    ----------
    rows : ndarray of shape (n,)
        Which rows.
    head : Head
        What the raw outputs mean.
    raw : ndarray of shape (n, n_raw)
        The raw outputs.
    loss : float
        Their mean loss.
    """

    rows: np.ndarray
    head: Head
    raw: np.ndarray
    loss: float


def fitted(fitting: Fitting, kinds: Sequence[Kind], clock: Clock) -> tuple[Model, OutOfFold]:
    """Fit a model; what an interruption or an end of time leaves answers, with a warning."""
    failed = None
    for kind in kinds:
        if fitting.parts and clock.is_over:
            break
        try:
            fitting.add(kind)
        except KeyboardInterrupt:
            if not fitting.parts:
                raise
            warn("Training interrupted by user: the members finished so far answer.", UserWarning)
            break
        except Broken as error:
            if not fitting.parts:
                raise
            warn(f"{error} The members finished so far answer.", RuntimeWarning)
            break
        except Diverged as error:
            failed = error
            warn(f"A kind of members is left out, whose training diverged: {error}", RuntimeWarning)
            continue
        outcome = fitting.parts[-1].trained.outcome
        if outcome.kind == "interrupted":
            warn("Training interrupted by user: the members trained so far answer.", UserWarning)
            break
        if outcome.kind in ("broken", "diverged"):
            warn(str(outcome.problem), RuntimeWarning)
        if outcome.kind == "broken":
            break
    if not fitting.parts:
        raise ValueError(f"All members diverged: {failed}") from failed
    return fitting.model()


def _judged(
    lesson: Lesson, sight: Sight, shown: Shown, transform: Transform | None, members: Trained
) -> tuple[Part, np.ndarray]:
    """Compute what members say of rows that they have not learned from, as the head means it."""
    raw = members.out_of_fold(lesson, shown)
    if transform is not None:
        rows = members.judged(lesson)
        transform = transform.scaled(raw[:, rows], *lesson.of_rows(rows))
        raw = transform.answers(raw)
    return Part(sight, members, transform), raw


def _learned(lesson: Lesson, *, may_log: bool) -> tuple[Transform | None, Lesson]:
    """Say how a kind learns the target: a squared error alone leaves the choice of a scale."""
    if type(lesson.head) is not HEADS["linear"]:
        return None, lesson
    transform = Transform.of(lesson.of_rows(lesson.training)[0], may_log=may_log)
    return transform, replace(lesson, Y=transform.learned(lesson.Y))
