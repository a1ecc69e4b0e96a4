r"""Members: networks that each leave out one fold, trained together and judged out of fold.

The law: the answer for a row that the judgment sees is of members that have not learned from it.
Which epoch is kept, the temperature, how kinds of members are blended: all of it is chosen by such
answers, over all rows at once.

    lesson      what is learned, and by which member from which rows
    shown       what the members see of these rows, in one block or more
    design      what a member is, and how it is made in the process that holds it
    once        members of one kind, by the loop of `training.loops`, as one theta
    trained     the same again with the schedule annealed where the first one was best, where that
                was early; the better of the two is kept

The recipe is that of Holzmueller, Grinsztajn and Steinwart, "Better by default", NeurIPS 2024, in
its parametrization and rates; folds, judgment and the second schedule are our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import Any, NamedTuple, Self

import numpy as np

from ..engine import BATCH, Expression, Plan, Program, running, variable
from ..heads import Head
from ..network.network import Network, values_of
from ..network.occasions import Noise
from ..training.loops import (
    Broken,
    Course,
    Descent,
    Diverged,
    Outcome,
    Stepping,
    train_minibatches,
)
from ..training.members import Members
from ..training.objective import LossGraph, Objective, OutputScale
from ..training.orders import shuffled
from ..training.processes import Holder, Shared
from ..training.schedules import schedule_of
from ..training.solvers import AdamW
from ..training.state import State, Stopping
from .calibration import tempered
from .clock import Clock
from .shown import Shown
from .stage import Front, Tangent, TangentOutput

BETAS = {"beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-8}
WARMUP = 0.05  # the share of the steps in which the rate rises
PATIENCE = 0.3  # the share of the epochs without a better one after which training ends
ANNEALED = 0.6  # where the best epoch is in this first share, the schedule was too long
LENGTHENED = 1.25  # of the best epoch, the length of the second schedule
MOST_JUDGED = 20_000  # rows, the first ones, where there are several blocks


@dataclass(frozen=True)
class Hyperparameters:
    """How members are made and trained, in the words of the estimators' parameters."""

    hidden_layer_sizes: tuple[int, ...]
    learning_rate_init: float
    batch_size: int
    weight_decay: float
    dropout: float
    embedding_size: int
    n_jobs: int
    verbose: bool


@dataclass(frozen=True, eq=False)
class Lesson:
    """What all members learn, and from which rows.

    Attributes
    ----------
    head, answering : Head
        What the raw outputs mean; and the same where it answers in the unit of the targets.
    Y : ndarray of shape (n, n_targets)
        Encoded targets.
    weights : ndarray of shape (n,) or None
        Weights of the rows, of mean 1.
    learned, held_out : list of ndarray of int
        For each member the rows that it learns from, and those that it is judged by.
    """

    head: Head
    answering: Head
    Y: np.ndarray
    weights: np.ndarray | None
    learned: list[np.ndarray]
    held_out: list[np.ndarray]

    @classmethod
    def of(
        cls,
        head: Head,
        Y: np.ndarray,
        weights: np.ndarray | None,
        learned: list[np.ndarray],
        held_out: list[np.ndarray],
    ) -> Self:
        """Make it, and the head that answers in the unit of the targets."""
        lesson = cls(head, head, Y, weights, learned, held_out)
        if "numbers" not in head.targets:
            return lesson
        unit = head.target_unit(*lesson.of_rows(lesson.training))
        return (
            lesson if unit is None else replace(lesson, answering=head.in_target_unit(unit.scale))
        )

    @property
    def judged(self) -> np.ndarray:
        """The rows that some member is judged by."""
        return np.unique(np.concatenate(self.held_out))

    def places(self, members: Iterable[int]) -> list[int]:
        """Say where members' answers stand: beside those of others that judge their rows."""
        return [0 if self.are_apart else j for j, _ in enumerate(members)]

    @property
    def are_apart(self) -> bool:
        """Whether each row is judged by one member, and not by all."""
        return sum(map(len, self.held_out)) == len(self.judged)

    @property
    def training(self) -> np.ndarray:
        """The rows that some member learns from."""
        return np.unique(np.concatenate(self.learned))

    def of_rows(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the targets of some rows in float64, and their weights."""
        weights = None if self.weights is None else self.weights[rows].astype(np.float64)
        return self.Y[rows].astype(np.float64), weights


@dataclass(frozen=True, eq=False)
class Trained:
    """The members of one kind.

    Attributes
    ----------
    network : Network
        Their shape.
    thetas : ndarray of shape (members, n_parameters)
        Their parameters; those that diverged are left out.
    members : ndarray of shape (members,)
        Which ones they are, from 0.
    scale : OutputScale
        The unit of their outputs.
    temperature : float
        What their raw outputs are divided by.
    loss : float
        Their calibrated loss out of fold.
    best_epoch, epochs : int
        The epoch that is kept, from 1, and how many were planned.
    history : dict of str to list of float
        What is known of every epoch.
    outcome : Outcome
        How training ended.
    """

    network: Network
    thetas: np.ndarray
    members: np.ndarray
    scale: OutputScale
    temperature: float
    loss: float
    best_epoch: int
    epochs: int
    history: dict[str, list[float]]
    outcome: Outcome

    def answers(self, X: np.ndarray) -> np.ndarray:
        """Compute the raw outputs of each member, of shape (members, n, n_raw)."""
        return np.stack(list(self._each(X, [slice(None)] * len(self.members))))

    def judged(self, lesson: Lesson) -> np.ndarray:
        """Return the rows that some of these members is judged by."""
        return np.unique(np.concatenate([lesson.held_out[j] for j in self.members]))

    def out_of_fold(self, lesson: Lesson, shown: Shown) -> np.ndarray:
        """Compute the raw outputs of the members that have not learned from a row, for all rows.

        The shape is (members that a row judges, n, n_raw); NaN is for rows that judge none.
        """
        held_out = [lesson.held_out[j] for j in self.members]
        places = lesson.places(self.members)
        found = np.full((max(places) + 1, len(lesson.Y), self.network.layer_units[-1]), np.nan)
        for i in range(shown.n_blocks):
            rows = [shown.within(i, rows) for rows in held_out]
            answers = self._each(shown.block(i).array, rows)
            for place, mine, raw in zip(places, rows, answers, strict=True):
                found[place, shown.numbers(i, mine)] = raw
        return found

    def _each(self, X: np.ndarray, rows: Sequence[Any]) -> Iterator[np.ndarray]:
        """Compute the raw outputs of each member for its rows."""
        outputs = _outputs(self.network, self.thetas, X, rows)
        return map(self.scale.raw_outputs, outputs)


def _outputs(
    network: Network, thetas: np.ndarray, X: np.ndarray, rows: Sequence[Any]
) -> Iterator[np.ndarray]:
    """Compute the last layer's outputs of each member for its rows, by one program."""
    x, variables, plan = _traced(network)
    theta = np.empty_like(thetas[0])
    program = Program(plan, values_of(variables, network.split(theta)), dtype=theta.dtype)
    for mine, of_rows in zip(thetas, rows, strict=True):
        theta[...] = mine
        yield program.run({x: X}, of_rows)[0].astype(np.float64)


@lru_cache(16)
def _traced(network: Network) -> tuple[Expression, list[dict[str, Expression]], Plan]:
    """Trace the raw outputs, once for all predictions: the inputs, the parameters, the plan."""
    x, variables = variable("x", (BATCH, network.layer_units[0])), network.variables()
    return x, variables, Plan([network.layers(x, variables)[-1]])


# == training ======================================================================================


def trained(
    lesson: Lesson,
    shown: Shown,
    levels: tuple[int, ...],
    activation: Callable[..., Any],
    epochs: int,
    steps: tuple[float, float],
    how: Hyperparameters,
    seed: int,
    clock: Clock,
    holder: Holder,
    published: Callable[[Trained], dict[str, Any]] = lambda members: {},
) -> Trained:
    """Train one kind of members, and once more on a shorter schedule where that may pay.

    There are as many epochs as asked for, within limits on the steps of a member, but at least one.
    Where rows are in several blocks, an epoch is one of them. `holder` is where members are;
    `published` says what an estimator would publish with them, for callbacks.
    """
    n_targets, is_weighted = lesson.Y.shape[1], lesson.weights is not None
    design = Design(
        lesson.head, n_targets, is_weighted, shown.n_columns, levels, activation, how, seed
    )
    once = partial(_once, design, lesson, shown, clock, holder, published)
    rows = min(map(len, lesson.learned))
    in_epoch = max(1, round(rows / how.batch_size))
    in_block = max(1, round(rows / shown.n_blocks / how.batch_size))
    first = once(math.ceil(np.clip(epochs * in_epoch, *steps) / in_block))
    if first.outcome.kind or first.best_epoch >= ANNEALED * first.epochs:
        return first
    try:
        again = once(max(3, math.ceil(LENGTHENED * first.best_epoch)))
    except Diverged:
        return first
    except Broken as error:
        return replace(first, outcome=Outcome(str(error), "broken"))
    except KeyboardInterrupt:
        return replace(first, outcome=Outcome("Training interrupted by user.", "interrupted"))
    return replace(again if again.loss < first.loss else first, outcome=again.outcome)


def _once(
    design: Design,
    lesson: Lesson,
    shown: Shown,
    clock: Clock,
    holder: Holder,
    published: Callable[[Trained], dict[str, Any]],
    epochs: int,
) -> Trained:
    network, how = design.graph.network, design.how
    scale = OutputScale.of(lesson.head, *lesson.of_rows(lesson.training), is_single=True)
    n = len(lesson.learned)
    theta = Shared((n, network.n_parameters), np.float32, holder.folder)
    members = _Learners(design, lesson, shown, scale, theta, holder, epochs)
    judge = _Judge(lesson, shown, members, scale)
    course = Course(
        theta.array.reshape(-1),
        State(),
        _stopping(epochs),
        sum(map(len, lesson.learned)) // shown.n_blocks,
        scores=judge,
        watch=clock,
        report=print if how.verbose else None,
    )

    def now(outcome: Outcome) -> Trained:
        left = np.flatnonzero(np.logical_not(members.is_lost))
        losses = [scale.losses(loss) for loss in course.history.column("loss")]
        return Trained(
            network,
            theta.array[left],
            left,
            scale,
            judge.temperature,
            judge.loss,
            course.progress.best_iter,
            epochs,
            course.history.columns() | {"loss": losses},
            outcome,
        )

    with clock.training(epochs, lambda: published(now(Outcome()))):
        outcome = train_minibatches(course, members)
    judge.judge(network, theta.array)
    with suppress(Broken):  # whose words are the outcome's
        holder.let_go()
    return now(outcome)


def _stopping(epochs: int) -> Stopping:
    return Stopping(
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=math.ceil(PATIENCE * epochs),
        by_score=True,
        restore_best=True,
        retreats=0,  # members go back by themselves
    )


class Rows(NamedTuple):
    """Rows to learn from.

    Attributes
    ----------
    X : Shared
        What is shown of them.
    Y : ndarray of shape (n, n_targets)
        Targets, in the unit of the outputs.
    weights : ndarray of shape (n,) or None
        Weights.
    """

    X: Shared
    Y: np.ndarray
    weights: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Design:
    """What the members of one kind are, and how they are made in whatever process.

    Attributes
    ----------
    head : Head
        What raw outputs mean.
    n_targets, n_columns : int
        How many targets and inputs there are.
    is_weighted : bool
        Whether rows have weights.
    levels : tuple of int
        How many levels each embedded category has.
    activation : callable
        That of the hidden layers.
    how : Hyperparameters
        All else.
    seed : int
        What draws parameters, noise and orders; each member has its own.
    """

    head: Head
    n_targets: int
    is_weighted: bool
    n_columns: int
    levels: tuple[int, ...]
    activation: Callable[..., Any]
    how: Hyperparameters
    seed: int

    @cached_property
    def graph(self) -> LossGraph:
        """The objective, traced."""
        how, head = self.how, self.head.of_target_unit()
        widths = how.hidden_layer_sizes
        front = Front(self.activation, levels=self.levels, size=how.embedding_size)
        network = Network(
            (self.n_columns, *widths, head.n_raw(self.n_targets)),
            (front, *[Tangent(self.activation)] * (len(widths) - 1)),
            head.n_constant(self.n_targets),
            output=TangentOutput(),
        )
        return LossGraph(
            network,
            head,
            self.n_targets,
            is_weighted=self.is_weighted,
            has_scale=True,
            noise=Noise((0.0, *[how.dropout] * len(widths))) if how.dropout else None,
        )

    def __getstate__(self) -> dict[str, Any]:
        return {name: x for name, x in vars(self).items() if name != "graph"}

    def descents(
        self,
        scale: OutputScale,
        epochs: int,
        thetas: Shared,
        data: Rows,
        given: Sequence[tuple[int, np.ndarray]],
    ) -> list[Descent]:
        """Make some of the members, of their numbers and of the rows that they learn from."""
        made = []
        for j, learned in given:
            theta = thetas.array[j]
            seeds = [np.random.SeedSequence([self.seed, j, k]) for k in range(3)]
            drawn, noise, order = (np.random.MT19937(one) for one in seeds)
            start = np.random.RandomState(drawn)
            theta[...] = self.graph.network.initial_theta(start, theta.dtype)
            random = np.random.Generator(noise)
            X = data.X.array
            objective = Objective(self.graph, theta, X, data.Y, data.weights, 0.0, scale, random)
            made.append(
                _descent(objective, learned, self.how, epochs, np.random.RandomState(order))
            )
        return made


class _Learners(Members):
    """Members with what they learn: its rows are put in place block by block, an epoch each."""

    def __init__(
        self,
        design: Design,
        lesson: Lesson,
        shown: Shown,
        scale: OutputScale,
        thetas: Shared,
        holder: Holder,
        epochs: int,
    ) -> None:
        self._lesson, self._shown, self._block = lesson, shown, 0
        self._targets = scale.targets(lesson.Y)
        made = partial(design.descents, scale, epochs, thetas, self._rows(0))
        holder.hold(made, enumerate(self._learned(0)))
        super().__init__(
            holder, len(lesson.learned), design.how.learning_rate_init, ends_at_zero=True
        )

    def _rows(self, i: int) -> Rows:
        every, weights = slice(i, None, self._shown.n_blocks), self._lesson.weights
        return Rows(
            self._shown.block(i),
            self._targets[every],
            None if weights is None else weights[every],
        )

    def _learned(self, i: int) -> list[np.ndarray]:
        return [self._shown.within(i, rows) for rows in self._lesson.learned]

    def epoch(self, epochs_before: int) -> float:
        """Take an epoch of each, of the next block."""
        block = epochs_before % self._shown.n_blocks
        if block != self._block:
            self._block = block
            to_rows = partial(_move, rows=self._rows(block))
            self.descents.each(to_rows, self._learned(block))
        return super().epoch(epochs_before)


def _move(descent: Descent, learned: np.ndarray, rows: Rows) -> None:
    """Give a member other rows to learn from."""
    descent.objective.attach(rows.X.array, rows.Y, rows.weights, 0.0)
    descent.order = learned


def _descent(
    objective: Objective,
    rows: np.ndarray,
    how: Hyperparameters,
    epochs: int,
    random: np.random.RandomState,
) -> Descent:
    theta, network = objective.theta, objective.graph.network
    options: dict[str, Any] = {"weight_decay": how.weight_decay, **BETAS}
    stretches = network.penalized, network.rates
    n_batches = max(1, round(len(rows) / how.batch_size))  # as equal as can be: none is small
    stepping = Stepping(
        new_solver=lambda: AdamW(theta, how.learning_rate_init, *stretches, **options),
        schedule=schedule_of("cosine", how.learning_rate_init, 0.5, WARMUP, by_epochs=False),
        batch_size=math.ceil(len(rows) / n_batches),
        reorder=partial(shuffled, random=random),
        planned_epochs=epochs,
        ends_at_zero=True,
    )
    return Descent(objective, rows, State(), stepping)


class _Judge:
    """Scores members by their calibrated loss on the rows that they do not learn from.

    Where there are several blocks, it looks at the first of those rows.

    Attributes
    ----------
    temperature : float
        What raw outputs are divided by.
    loss : float
        Theirs.
    """

    def __init__(self, lesson: Lesson, shown: Shown, members: Members, scale: OutputScale) -> None:
        self._lesson, self._members, self._scale = lesson, members, scale
        rows = lesson.judged if shown.n_blocks == 1 else lesson.judged[:MOST_JUDGED]
        is_block = shown.n_blocks == 1 and len(rows) == len(lesson.Y)
        self._X = shown.block(0) if is_block else shown.sample(rows)
        self._held_out = [np.flatnonzero(np.isin(rows, held)) for held in lesson.held_out]
        self._rows, self._places = rows, lesson.places(range(len(lesson.held_out)))
        self.temperature, self.loss = 1.0, math.inf

    def __call__(self) -> dict[str, float]:
        scale = self._scale
        answers = self._members.descents.each(partial(_answers, X=self._X), self._held_out)
        self._weigh([raw * scale.raw_scale + scale.raw_shift for raw in answers])
        return {"validation_loss": self.loss, "validation_score": -self.loss}

    def judge(self, network: Network, thetas: np.ndarray) -> None:
        """Score members as they ended, by their parameters alone."""
        outputs = _outputs(network, thetas, self._X.array, self._held_out)
        self._weigh([self._scale.raw_outputs(x) for x in outputs])

    def _weigh(self, answers: list[np.ndarray]) -> None:
        left = np.flatnonzero(np.logical_not(self._members.is_lost))
        judged = np.unique(np.concatenate([self._held_out[j] for j in left]))
        n_raw = answers[0].shape[1]
        found = np.empty((max(self._places) + 1, len(self._rows), n_raw))
        for j in left:
            found[self._places[j], self._held_out[j]] = answers[j]
        found = found[np.unique([self._places[j] for j in left])][:, judged]
        self.temperature, self.loss = tempered(
            self._lesson.answering, found, *self._lesson.of_rows(self._rows[judged])
        )


def _answers(descent: Descent, rows: np.ndarray, X: Shared) -> np.ndarray:
    """Compute a member's raw outputs for some rows, of targets as they are trained on."""
    with running():
        return descent.objective.answers(X.array, rows)


# == folds =========================================================================================


def folds(
    n_folds: int,
    n: int,
    strata: np.ndarray | None,
    groups: np.ndarray | None,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Deal n rows out to folds, every class in equal parts as far as it goes, groups whole."""
    fold, order = np.empty(n, int), rng.permutation(n)
    if groups is not None:
        fold[order] = _folds_of_groups(n_folds, groups[order])
        return fold
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    fold[order] = np.arange(n) % n_folds
    return fold


def sides(fold: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return for each fold the rows of all others, and its own."""
    members = range(int(fold.max()) + 1)
    learned = [np.flatnonzero(fold != j) for j in members]
    return learned, [np.flatnonzero(fold == j) for j in members]


def _folds_of_groups(n_folds: int, groups: np.ndarray) -> np.ndarray:
    """Give each group, the largest first, to the fold that has the fewest rows."""
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    sizes, of_group = np.zeros(n_folds), np.empty(len(counts), int)
    for group in np.argsort(-counts, kind="stable"):
        of_group[group] = np.argmin(sizes)
        sizes[of_group[group]] += counts[group]
    return of_group[codes]
