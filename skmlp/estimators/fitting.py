"""Fitting: what an estimator and a checked plan say, handed to training.

The law: an estimator is read, never written; all that training makes comes back as a `State`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from ..network.network import Network
from ..training.loops import Course, Descent, Outcome, Stepping, train_full_batch, train_minibatches
from ..training.objective import LossGraph, Objective
from ..training.schedules import comes_to_rest, schedule_of
from ..training.solvers import SOLVERS
from ..training.state import State, Stopping
from .callbacks import Watcher
from .data import Data, identity_of
from .prediction import layer_program, published_parameters
from .scoring import (
    JUDGED_ROWS,
    Judge,
    Score,
    ValidationSplit,
    mean_loss,
    sample_of,
    scored_by,
)

RETREATS = 5  # the most that a fit which is no longer finite goes back to better parameters

_ORDINARY = 1e6  # where parameters and inputs are no larger, what is computed of them is finite


class Plan(NamedTuple):
    """What a fit is to do, checked.

    Attributes
    ----------
    data : Data
        The rows.
    graph : LossGraph
        The data term of the objective.
    split : ValidationSplit or None
        What sets rows aside to validate on.
    validation : Data or None
        The rows that were given to validate on.
    scoring : None, "loss" or a scorer
        What a score is.
    """

    data: Data
    graph: LossGraph
    split: ValidationSplit | None
    validation: Data | None
    scoring: Any


def train(
    estimator: Any,
    plan: Plan,
    theta: np.ndarray,
    rng: np.random.RandomState,
    state: State,
    watcher: Watcher | None,
    *,
    is_first: bool,
    is_partial: bool,
) -> tuple[Outcome, State]:
    """Train from a state on.

    Parameters
    ----------
    estimator : estimator
        Its parameters, head and units are read.
    plan : Plan
        What is to be done.
    theta : ndarray of shape (n_parameters,)
        The parameters; they end as those to be kept.
    rng : RandomState
        What shuffles.
    state : State
        Where training stands.
    watcher : Watcher or None
        Who is told of it.
    is_first : bool
        Whether the parameters are newly drawn.
    is_partial : bool
        Whether this is a part of a stream: one epoch, which is taken or not.

    Returns
    -------
    Outcome, State
        How it ended, and where training stands then.

    Raises
    ------
    ValueError
        If training diverges and has nothing to keep.
    KeyboardInterrupt
        If it comes before one epoch is complete.
    """
    rows = state.train
    assert rows is not None
    batch_size = _batch_size(estimator, len(rows))
    noise = _noise_source(plan.graph, rng, state)
    objective = _objective(estimator, plan, theta, rows, noise)
    if is_first:
        objective.observe(rows[:batch_size])
    if watcher is not None and watcher.wants_identity:
        state = replace(state, identity=identity_of(estimator, plan.data, plan.validation))
    course = Course(
        theta,
        state,
        _stopping(estimator, is_partial),
        len(rows),
        judge=_judge(estimator, plan, theta, state),
        watch=watcher,
        report=print if estimator.verbose else None,
    )
    descent = None
    if estimator.solver in SOLVERS:
        stepping = _stepping(estimator, theta, plan.graph.network, rng, batch_size)
        descent = Descent(objective, rows, state, stepping)

    def now() -> State:
        reached = course.state() if descent is None else descent.state(course.state())
        generators: dict[str, Any] = {"order": rng.get_state(legacy=False)}
        if noise is not None:
            generators["noise"] = dict(noise.bit_generator.state)
        return replace(reached, generators=generators)

    if watcher is not None:
        watcher.fitted = lambda: estimator._fitted(plan.graph.network, course.shown, now())
    if descent is None:
        outcome = train_full_batch(course, objective, rows)
    else:
        outcome = train_minibatches(course, descent)
    if outcome.kind != "diverged" and not _answers(objective, rows, plan.data.X):
        outcome = course.diverged("the last epoch", "lower learning_rate_init or alpha")
    return outcome, now() if is_partial else course.state()


def _batch_size(estimator: Any, n_rows: int) -> int:
    """Return the rows of a step; lbfgs takes all of them."""
    asked = estimator.batch_size
    if estimator.solver not in SOLVERS:
        return n_rows
    if asked == "auto":
        return min(200, n_rows)
    if asked > n_rows:
        warnings.warn(
            f"Got batch_size={asked} for {n_rows} training samples: it is going to be clipped to "
            "them.",
            UserWarning,
            stacklevel=7,
        )
    return min(int(asked), n_rows)


def _noise_source(
    graph: LossGraph, rng: np.random.RandomState, state: State
) -> np.random.Generator | None:
    """Return where noise is drawn from: a state goes on, anything else starts anew."""
    if graph.training is None or not graph.training.fills:
        return None
    if "noise" not in state.generators:
        return np.random.default_rng(rng.randint(1 << 32, size=4, dtype=np.uint32))
    noise = np.random.default_rng(0)
    noise.bit_generator.state = state.generators["noise"]
    return noise


def _objective(
    estimator: Any,
    plan: Plan,
    theta: np.ndarray,
    rows: np.ndarray,
    noise: np.random.Generator | None,
) -> Objective:
    data = plan.data
    weights, mean_weight = data.normalized_weights(rows)
    return Objective(
        plan.graph,
        theta,
        data.X,
        data.Y,
        None if weights is None else weights.astype(theta.dtype),
        alpha=estimator.alpha / mean_weight,
        scale=estimator._units,
        random=noise,
    )


def _stopping(estimator: Any, is_partial: bool) -> Stopping:
    by_loss = estimator.solver in SOLVERS  # lbfgs has a rule of its own for the objective
    has_limit = by_loss or estimator.early_stopping
    keeps_best = estimator.restore_best or estimator.early_stopping
    return Stopping(
        max_iter=1 if is_partial else estimator.max_iter,
        tol=estimator.tol,
        n_iter_no_change=estimator.n_iter_no_change if has_limit else np.inf,
        by_score=bool(estimator.early_stopping),
        restore_best=bool(keeps_best) and not is_partial,
        retreats=0 if is_partial else RETREATS,
        max_fun=estimator.max_fun,
    )


def _stepping(
    estimator: Any,
    theta: np.ndarray,
    network: Network,
    rng: np.random.RandomState,
    batch_size: int,
) -> Stepping:
    make, weights = SOLVERS[estimator.solver], network.penalized
    return Stepping(
        new_solver=lambda: make(theta, weights, estimator),
        schedule=schedule_of(estimator, by_epochs=make(theta[:0], [], estimator).by_epochs),
        batch_size=batch_size,
        shuffle=rng.shuffle if estimator.shuffle else None,
        planned_epochs=estimator.max_iter,
        comes_to_rest=comes_to_rest(estimator.learning_rate),
        max_grad_norm=estimator.max_grad_norm,
        averaging=estimator.averaging,
    )


def _answers(objective: Objective, rows: np.ndarray, X: Any) -> bool:
    """Tell whether the objective is finite where the last step left theta."""
    is_ordinary = max(_largest(objective.theta), _largest(X)) <= _ORDINARY
    return is_ordinary or math.isfinite(objective.predicted(rows))


def _largest(numbers: Any) -> float:
    """Return the largest absolute value in an array or sparse matrix."""
    return max(float(numbers.max()), -float(numbers.min()))


# -- judging ---------------------------------------------------------------------------------------


def _judge(
    estimator: Any, plan: Plan, theta: np.ndarray, state: State
) -> Callable[[], dict[str, float]] | None:
    """Make what scores the current theta, where there is validation or it is asked for."""
    data, network, units = plan.data, plan.graph.network, estimator._units
    validation = None
    if state.held_out is not None:
        validation = sample_of(data, state.held_out)
    elif plan.validation is not None:
        validation = sample_of(plan.validation, plan.validation.rows)
    elif plan.scoring is None:
        return None
    shown = theta if units is None else theta.copy()
    parts = network.split(shown)
    kinds = {data.is_sparse, plan.validation is not None and plan.validation.is_sparse}
    programs = {kind: layer_program(network, parts, -1, kind) for kind in kinds}

    def outputs(X: Any) -> np.ndarray:
        x, program = programs[not isinstance(X, np.ndarray)]
        return program.run({x: X})[0]

    def refresh() -> None:
        if units is not None:
            shown[...] = theta
            units.fold(*network.last_layer(shown))

    assert state.train is not None
    training = sample_of(data, state.train, JUDGED_ROWS)
    score = _score_of(estimator, plan, parts)
    return Judge(estimator.head_, refresh, outputs, score, training, validation)


def _score_of(estimator: Any, plan: Plan, parts: list[dict[str, np.ndarray]]) -> Score:
    """Return how raw outputs are scored; `parts` are those of the theta in training."""
    if plan.scoring is None:
        return lambda raw, sample: estimator._score_raw(raw, sample.Y, sample.weights)
    if plan.scoring == "loss":
        return lambda raw, sample: -mean_loss(estimator.head_, raw, sample)
    in_training = copy(estimator)  # a scorer is given arrays, so there are no names to compare
    in_training.__dict__.pop("feature_names_in_", None)
    in_training.__dict__.update(published_parameters(plan.graph.network, parts))
    return scored_by(plan.scoring, in_training)
