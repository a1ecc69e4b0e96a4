r"""Members: networks that each leave out one fold, trained together and judged out of fold.

The law: the answer for a row that the judgment sees is of the member that has not learned from it.
Which epoch is kept, the temperature, how kinds of members are blended: all of it is chosen by such
answers, over all rows at once.

    folds       row -> the member that leaves it out
    trained     one kind of members: all folds by the loop of `training.loops`, as one theta
    again       the same with its schedule annealed where the first one was best; the better is kept
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..engine import BATCH, Plan, Program, running, variable
from ..heads import Head
from ..network.network import Network, values_of
from ..network.occasions import Noise
from ..training.loops import Course, Descent, Stepping, train_minibatches
from ..training.members import Members, thetas
from ..training.objective import LossGraph, Objective, OutputScale
from ..training.schedules import schedule_of
from ..training.solvers import AdamW
from ..training.state import State, Stopping
from .calibration import Calibration
from .stage import Front, Tangent, TangentOutput

BETAS = {"beta_1": 0.9, "beta_2": 0.95, "epsilon": 1e-8}
WARMUP = 0.05  # the share of the steps in which the rate rises
PATIENCE = 0.3  # the share of the epochs without a better one after which training ends
LEAST_STEPS = 400
ANNEALED = 0.6  # where the best epoch is in this first share, the schedule was too long
LENGTHENED = 1.25  # of the best epoch, the length of the second schedule


@dataclass(frozen=True)
class Hyperparameters:
    """How members are made and trained: parameters of the estimators, checked.

    Attributes are the parameters of the same names.
    """

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
    """What all members learn, whatever their kind.

    Attributes
    ----------
    head : Head
        What the raw outputs mean.
    Y : ndarray of shape (n, n_targets)
        Encoded targets.
    weights : ndarray of shape (n,) or None
        Weights of the rows, of mean 1.
    fold : ndarray of shape (n,)
        The number of the member that does not learn from a row; -1 for a row of weight zero.
    """

    head: Head
    Y: np.ndarray
    weights: np.ndarray | None
    fold: np.ndarray

    @property
    def n_members(self) -> int:
        """The number of members: of folds, or 1 where all rows but some are learned from."""
        return int(self.fold.max()) + 1

    def rows(self, member: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that a member learns from, and those that it is judged by."""
        counted = self.fold >= 0
        return np.flatnonzero(counted & (self.fold != member)), np.flatnonzero(self.fold == member)


@dataclass(frozen=True, eq=False)
class Trained:
    """The members of one kind.

    Attributes
    ----------
    network : Network
        Their shape.
    thetas : ndarray of shape (members, n_parameters)
        Their parameters.
    held_out : ndarray of shape (n, n_raw)
        The raw outputs for every row, of the member that did not learn from it.
    calibration : Calibration
        What their raw outputs are divided by.
    loss : float
        The calibrated loss of `held_out`.
    best_epoch, epochs : int
        The epoch that is kept, from 1, and how many were planned.
    history : dict of str to list of float
        What is known of every epoch.
    """

    network: Network
    thetas: np.ndarray
    held_out: np.ndarray
    calibration: Calibration
    loss: float
    best_epoch: int
    epochs: int
    history: dict[str, list[float]]

    def answers(self, X: np.ndarray) -> np.ndarray:
        """Compute the raw outputs of each member, of shape (members, n, n_raw)."""
        x = variable("x", (BATCH, self.network.layer_units[0]))
        variables = self.network.variables()
        plan = Plan([self.network.layers(x, variables)[-1]])
        found = []
        for theta in self.thetas:
            program = Program(
                plan, values_of(variables, self.network.split(theta)), dtype=theta.dtype
            )
            with running():
                found.append(program.run({x: X})[0])
        return np.stack(found)


def folds(
    n_folds: int, strata: np.ndarray | None, rows: np.ndarray, n: int, rng: np.random.RandomState
) -> np.ndarray:
    """Deal rows out to folds, every class in equal parts as far as it goes.

    Returns the fold of each of n rows, -1 where it is none of `rows`.
    """
    fold = np.full(n, -1)
    order = rng.permutation(rows)
    if strata is not None:
        order = order[np.argsort(strata[order], kind="stable")]
    fold[order] = np.arange(len(order)) % n_folds
    return fold


def trained(
    lesson: Lesson,
    X: np.ndarray,
    levels: tuple[int, ...],
    activation: Callable[..., Any],
    epochs: int,
    how: Hyperparameters,
    seed: int,
) -> Trained:
    """Train one kind of members, and once more on a shorter schedule where that may pay."""
    graph = _graph(lesson, X.shape[1], levels, activation, how)
    once = partial(_once, lesson, graph, X, how, seed)
    n_rows = int(np.sum(lesson.fold >= 0)) * (1 - 1 / lesson.n_members)
    epochs = max(epochs, math.ceil(LEAST_STEPS / max(1, round(n_rows / how.batch_size))))
    first = once(epochs)
    if first.best_epoch >= ANNEALED * first.epochs:
        return first
    again = once(max(3, math.ceil(LENGTHENED * first.best_epoch)))
    return again if again.loss < first.loss else first


def _graph(
    lesson: Lesson, columns: int, levels: tuple[int, ...], activation: Any, how: Hyperparameters
) -> LossGraph:
    head, n_targets = lesson.head, lesson.Y.shape[1]
    widths = how.hidden_layer_sizes
    hidden = [Front(activation, levels=levels, size=how.embedding_size)]
    hidden += [Tangent(activation) for _ in widths[1:]]
    network = Network(
        (columns, *widths, head.n_raw(n_targets)),
        tuple(hidden),
        head.n_constant(n_targets),
        output=TangentOutput(),
    )
    noise = Noise((0.0, *[how.dropout] * len(widths))) if how.dropout else None
    is_weighted = lesson.weights is not None
    return LossGraph(
        network, head, n_targets, is_weighted=is_weighted, has_scale=True, noise=noise
    )


def _once(
    lesson: Lesson, graph: LossGraph, X: np.ndarray, how: Hyperparameters, seed: int, epochs: int
) -> Trained:
    network, n_members = graph.network, lesson.n_members
    scale = _scale(lesson)
    theta, parts = thetas(n_members, network.n_parameters, X.dtype)
    members = Members(
        [
            _descent(lesson, graph, X, how, scale, theta_j, np.random.SeedSequence([seed, j]), j, epochs)
            for j, theta_j in enumerate(parts)
        ],
        how.n_jobs,
    )
    judge = _Judge(lesson, members)
    course = Course(
        theta,
        State(),
        Stopping(
            max_iter=epochs,
            tol=0.0,
            n_iter_no_change=math.ceil(PATIENCE * epochs),
            by_score=True,
            restore_best=True,
            retreats=5,
        ),
        len(members.order),
        loss_unit=scale.loss,
        scores=judge,
        report=print if how.verbose else None,
    )
    with members.side_by_side():
        train_minibatches(course, members)
        judge()
    for theta_j in parts:
        scale.fold(*network.last_layer(theta_j))
    return Trained(
        network,
        theta.reshape(n_members, -1),
        judge.held_out,
        judge.calibration,
        judge.loss,
        course.progress.best_iter,
        epochs,
        course.history.columns(),
    )


def _scale(lesson: Lesson) -> OutputScale:
    counted = lesson.fold >= 0
    weights = None if lesson.weights is None else lesson.weights[counted]
    return OutputScale.of(lesson.head, lesson.Y[counted].astype(np.float64), weights)


def _descent(
    lesson: Lesson,
    graph: LossGraph,
    X: np.ndarray,
    how: Hyperparameters,
    scale: OutputScale,
    theta: np.ndarray,
    seeds: np.random.SeedSequence,
    member: int,
    epochs: int,
) -> Descent:
    network = graph.network
    rng = np.random.RandomState(np.random.MT19937(seeds))
    theta[...] = network.initial_theta(rng, theta.dtype)
    noise = np.random.default_rng(seeds)
    objective = Objective(graph, theta, X, lesson.Y, lesson.weights, 0.0, scale, noise)
    rows = lesson.rows(member)[0]
    n_batches = max(1, round(len(rows) / how.batch_size))
    stretches = network.penalized, network.rates
    stepping = Stepping(
        new_solver=lambda: AdamW(
            theta, how.learning_rate_init, *stretches, weight_decay=how.weight_decay, **BETAS
        ),
        schedule=schedule_of("cosine", how.learning_rate_init, 0.5, WARMUP, by_epochs=False),
        batch_size=math.ceil(len(rows) / n_batches),
        shuffle=rng.shuffle,
        planned_epochs=epochs,
        ends_at_zero=True,
    )
    return Descent(objective, rows, State(), stepping)


class _Judge:
    """Scores members by their calibrated loss on the rows that they do not learn from."""

    def __init__(self, lesson: Lesson, members: Members) -> None:
        self._lesson, self._members = lesson, members
        self._rows = [lesson.rows(j)[1] for j in range(lesson.n_members)]
        counted = lesson.fold >= 0
        self._counted = counted
        self._Y = lesson.Y[counted]
        self._weights = None if lesson.weights is None else lesson.weights[counted]
        n_raw = lesson.head.n_raw(lesson.Y.shape[1])
        self.held_out = np.full((len(lesson.Y), n_raw), np.nan, lesson.Y.dtype)
        self.calibration = Calibration()
        self.loss = math.inf

    def __call__(self) -> dict[str, float]:
        found = [*self._members._map(self._answers, self._members.descents, self._rows)]
        for rows, raw in zip(self._rows, found, strict=True):
            self.held_out[rows] = raw
        self.calibration, self.loss = self.calibration.fitted(
            self._lesson.head, self.held_out[self._counted], self._Y, self._weights
        )
        return {"validation_loss": self.loss, "validation_score": -self.loss}

    @staticmethod
    def _answers(descent: Descent, rows: np.ndarray) -> np.ndarray:
        with running():
            return descent.objective.answers(rows)
