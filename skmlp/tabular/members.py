r"""Members: networks that each leave out one fold, trained together and judged out of fold.

The law: the answer for a row that the judgment sees is of members that have not learned from it.
Which epoch is kept, the temperature, how kinds of members are blended: all of it is chosen by such
answers, over all rows at once.

    lesson      what is learned, and by which member from which rows
    once        members of one kind, by the loop of `training.loops`, as one theta
    trained     the same again with the schedule annealed where the first one was best, where that
                was early; the better of the two is kept

The recipe is that of Holzmueller, Grinsztajn and Steinwart, "Better by default", NeurIPS 2024, in
its parametrization and rates; folds, judgment and the second schedule are our own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from ..engine import BATCH, Plan, Program, running, variable
from ..heads import Head
from ..network.network import Network, values_of
from ..network.occasions import Noise
from ..training.loops import Course, Descent, Outcome, Stepping, Watch, train_minibatches
from ..training.members import Members, thetas
from ..training.objective import LossGraph, Objective, OutputScale
from ..training.schedules import schedule_of
from ..training.solvers import AdamW
from ..training.state import State, Stopping
from .calibration import tempered
from .stage import Front, Tangent, TangentOutput

BETAS = {"beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-8}
WARMUP = 0.05  # the share of the steps in which the rate rises
PATIENCE = 0.3  # the share of the epochs without a better one after which training ends
ANNEALED = 0.6  # where the best epoch is in this first share, the schedule was too long
LENGTHENED = 1.25  # of the best epoch, the length of the second schedule
RETREATS = 5


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

    @property
    def judges(self) -> list[int]:
        """For each member where its answers stand: beside those of others that judge its rows."""
        are_apart = sum(map(len, self.held_out)) == len(self.judged)
        return [0 if are_apart else j for j in range(len(self.held_out))]

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
        Their parameters.
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
    temperature: float
    loss: float
    best_epoch: int
    epochs: int
    history: dict[str, list[float]]
    outcome: Outcome

    def answers(self, X: np.ndarray) -> np.ndarray:
        """Compute the raw outputs of each member, of shape (members, n, n_raw)."""
        x = variable("x", (BATCH, self.network.layer_units[0]))
        variables = self.network.variables()
        plan = Plan([self.network.layers(x, variables)[-1]])

        def of_member(theta: np.ndarray) -> np.ndarray:
            parts = values_of(variables, self.network.split(theta))
            return Program(plan, parts, dtype=theta.dtype).run({x: X})[0]

        return np.stack([of_member(theta) for theta in self.thetas])


# == training ======================================================================================


def trained(
    lesson: Lesson,
    X: np.ndarray,
    levels: tuple[int, ...],
    activation: Callable[..., Any],
    epochs: int,
    steps: tuple[float, float],
    how: Hyperparameters,
    seed: int,
    watch: Watch | None = None,
) -> tuple[Trained, np.ndarray]:
    """Train one kind of members, and once more on a shorter schedule where that may pay.

    There are as many epochs as asked for, within limits on the steps of a member, but at least one.
    Returns them, and the raw outputs for every row of the members that did not learn from it, of
    shape (members, n, n_raw), or (1, n, n_raw) where that is a single one for each row.
    """
    graph = _graph(lesson, X.shape[1], levels, activation, how)
    once = partial(_once, lesson, graph, X, how, seed, watch)
    in_epoch = max(1, round(min(map(len, lesson.learned)) / how.batch_size))
    first = once(math.ceil(np.clip(epochs * in_epoch, *steps) / in_epoch))
    model, outcome = first[0], first[0].outcome
    if outcome.kind or model.best_epoch >= ANNEALED * model.epochs:
        return first
    again = once(max(3, math.ceil(LENGTHENED * model.best_epoch)))
    return again if again[0].loss < model.loss else first


def _graph(
    lesson: Lesson, columns: int, levels: tuple[int, ...], activation: Any, how: Hyperparameters
) -> LossGraph:
    head, n_targets = lesson.head.of_target_unit(), lesson.Y.shape[1]
    widths = how.hidden_layer_sizes
    front = Front(activation, levels=levels, size=how.embedding_size)
    network = Network(
        (columns, *widths, head.n_raw(n_targets)),
        (front, *[Tangent(activation)] * (len(widths) - 1)),
        head.n_constant(n_targets),
        output=TangentOutput(),
    )
    noise = Noise((0.0, *[how.dropout] * len(widths))) if how.dropout else None
    return LossGraph(
        network,
        head,
        n_targets,
        is_weighted=lesson.weights is not None,
        has_scale=True,
        noise=noise,
    )


def _once(
    lesson: Lesson,
    graph: LossGraph,
    X: np.ndarray,
    how: Hyperparameters,
    seed: int,
    watch: Watch | None,
    epochs: int,
) -> tuple[Trained, np.ndarray]:
    network = graph.network
    scale = OutputScale.of(lesson.head, *lesson.of_rows(lesson.training), is_single=True)
    targets = scale.targets(lesson.Y)
    theta, parts = thetas(len(lesson.learned), network.n_parameters, X.dtype)
    objectives = [
        _objective(lesson, graph, X, targets, scale, part, np.random.SeedSequence([seed, j]))
        for j, part in enumerate(parts)
    ]
    descents = [
        _descent(objective, rows, how, epochs, np.random.SeedSequence([seed, j, 1]))
        for j, (objective, rows) in enumerate(zip(objectives, lesson.learned, strict=True))
    ]
    members = Members(descents, how.n_jobs)
    judge = _Judge(lesson, members, scale)
    course = Course(
        theta,
        State(),
        _stopping(epochs),
        len(members.order),
        scores=judge,
        watch=watch,
        report=print if how.verbose else None,
    )
    with members.side_by_side():
        outcome = train_minibatches(course, members)
        judge()
    for part in parts:
        scale.fold(*network.last_layer(part))
    losses = [scale.losses(loss) for loss in course.history.column("loss")]
    return Trained(
        network,
        theta.reshape(len(parts), -1),
        judge.temperature,
        judge.loss,
        course.progress.best_iter,
        epochs,
        course.history.columns() | {"loss": losses},
        outcome,
    ), judge.raw


def _stopping(epochs: int) -> Stopping:
    return Stopping(
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=math.ceil(PATIENCE * epochs),
        by_score=True,
        restore_best=True,
        retreats=RETREATS,
    )


def _objective(
    lesson: Lesson,
    graph: LossGraph,
    X: np.ndarray,
    Y: np.ndarray,
    scale: OutputScale,
    theta: np.ndarray,
    seed: np.random.SeedSequence,
) -> Objective:
    """Draw a member's parameters, into theta, and make its objective."""
    bits = np.random.MT19937(seed)
    theta[...] = graph.network.initial_theta(np.random.RandomState(bits), theta.dtype)
    noise = np.random.default_rng(seed.spawn(1)[0])
    return Objective(graph, theta, X, Y, lesson.weights, 0.0, scale, noise)


def _descent(
    objective: Objective,
    rows: np.ndarray,
    how: Hyperparameters,
    epochs: int,
    seed: np.random.SeedSequence,
) -> Descent:
    theta, network = objective.theta, objective.graph.network
    options: dict[str, Any] = {"weight_decay": how.weight_decay, **BETAS}
    stretches = network.penalized, network.rates
    n_batches = max(1, round(len(rows) / how.batch_size))  # as equal as can be: none is small
    stepping = Stepping(
        new_solver=lambda: AdamW(theta, how.learning_rate_init, *stretches, **options),
        schedule=schedule_of("cosine", how.learning_rate_init, 0.5, WARMUP, by_epochs=False),
        batch_size=math.ceil(len(rows) / n_batches),
        shuffle=np.random.RandomState(np.random.MT19937(seed)).shuffle,
        planned_epochs=epochs,
        ends_at_zero=True,
    )
    return Descent(objective, rows, State(), stepping)


class _Judge:
    """Scores members by their calibrated loss on the rows that they do not learn from.

    Attributes
    ----------
    raw : ndarray of shape (members that a row judges, n, n_raw)
        The raw outputs of the members that a row judges; NaN for rows that judge none.
    temperature : float
        What they are divided by.
    loss : float
        Theirs.
    """

    def __init__(self, lesson: Lesson, members: Members, scale: OutputScale) -> None:
        self._lesson, self._members, self._scale = lesson, members, scale
        self._rows = lesson.judged
        self._data = lesson.of_rows(self._rows)
        shape = (max(lesson.judges) + 1, len(lesson.Y), lesson.head.n_raw(lesson.Y.shape[1]))
        self.raw = np.full(shape, np.nan)
        self.temperature, self.loss = 1.0, math.inf

    def __call__(self) -> dict[str, float]:
        answers = self._members.each(self._answers, self._lesson.held_out)
        places = zip(self._lesson.judges, self._lesson.held_out, strict=True)
        for (judge, rows), raw in zip(places, answers, strict=True):
            self.raw[judge, rows] = raw * self._scale.raw_scale + self._scale.raw_shift
        self.temperature, self.loss = tempered(
            self._lesson.answering, self.raw[:, self._rows], *self._data
        )
        return {"validation_loss": self.loss, "validation_score": -self.loss}

    @staticmethod
    def _answers(descent: Descent, rows: np.ndarray) -> np.ndarray:
        with running():
            return descent.objective.answers(rows)


# == folds =========================================================================================


def folds(
    n_folds: int,
    rows: np.ndarray,
    n: int,
    strata: np.ndarray | None,
    groups: np.ndarray | None,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Deal rows out to folds, every class in equal parts as far as it goes, groups whole.

    Returns the fold of each of n rows, -1 where it is none of `rows`.
    """
    fold = np.full(n, -1)
    order = rng.permutation(rows)
    if groups is not None:
        fold[order] = _folds_of_groups(n_folds, groups[order])
        return fold
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    fold[order] = np.arange(len(order)) % n_folds
    return fold


def sides(fold: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return for each fold the rows of all others, and its own; rows of fold -1 are no rows."""
    members = range(int(fold.max()) + 1)
    learned = [np.flatnonzero((fold >= 0) & (fold != j)) for j in members]
    return learned, [np.flatnonzero(fold == j) for j in members]


def _folds_of_groups(n_folds: int, groups: np.ndarray) -> np.ndarray:
    """Give each group, the largest first, to the fold that has the fewest rows."""
    _, codes, counts = np.unique(groups, return_inverse=True, return_counts=True)
    sizes, of_group = np.zeros(n_folds), np.empty(len(counts), int)
    for group in np.argsort(-counts, kind="stable"):
        of_group[group] = np.argmin(sizes)
        sizes[of_group[group]] += counts[group]
    return of_group[codes]
