"""Baseline: whether a fit ended better than the best constant and, where it did not, why.

The law: a fit that has ended is looked at once, on some of its training rows; nothing is drawn, no
number changes. What is compared is the mean loss of the head, without penalty, of the network as
it predicts and of the best raw outputs that are the same for all rows (`Head.initial_raw`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from ..engine.threads import threads_for
from ..network.layers import Dense
from ..training.state import State
from .data import evenly_spaced
from .prediction import Fitted
from .scoring import Sample, sample_of
from .starts import Problem

_COMPARED_ROWS = 300, 1000  # the fewest and the most
_COMPARED_SHARE = 0.005  # of the rows of all steps, so that to compare takes little beside a fit
_LARGE = 10.0  # for inputs, and for raw outputs in the units that a network starts with
_HIGH_RATE = 0.1
_FEW_EPOCHS = 10
_SPREAD, _LEVEL = 0.01, 1e-4  # of the constant's losses: what a fit may be worse by


def compared_rows(rows: Any, n_epochs: int) -> Any:
    """Return the training rows that are compared with a constant."""
    fewest, most = _COMPARED_ROWS
    asked = int(_COMPARED_SHARE * n_epochs * len(rows))
    return evenly_spaced(rows, min(max(asked, fewest), most))


def why_worse_than_constant(problem: Problem, fitted: Fitted, state: State) -> str | None:
    """Say that a fit is worse than a constant, why, and what to do; None where it is not.

    A head of the user's that fails on arrays, or has a loss of its constant that is not finite, has
    nothing to compare; a target that is the same in all rows leaves nothing to learn.
    """
    head, smoothing = fitted.answering.head, problem.settings.label_smoothing
    rows = compared_rows(state.training_rows, state.progress.n_iter)
    sample = sample_of(problem.data, rows)
    Y = np.asarray(head.smoothed(sample.Y, smoothing), np.float64)
    if not np.any(Y[0] != Y):
        return None
    with np.errstate(all="ignore"):
        try:  # a comparison never costs a fit
            constant = np.asarray(head.initial_raw(Y, sample.weights), np.float64)
            losses = np.asarray(head.loss(np.tile(constant, (len(Y), 1)), Y))
            raw = np.asarray(_raw_outputs(fitted, sample.X), np.float64)
            found = np.average(head.loss(raw, Y), weights=sample.weights)
        except Exception:
            return None
        least = np.average(losses, weights=sample.weights)
        spread = np.sqrt(np.average(np.square(losses - least), weights=sample.weights))
    is_sample = len(rows) < len(state.training_rows)
    chance = spread / np.sqrt(len(rows)) if is_sample else 0.0
    if not np.isfinite(least) or found <= least + _SPREAD * spread + _LEVEL * abs(least) + chance:
        return None
    causes = [*_scales(problem, state, sample, constant)]
    epochs, most = state.progress.n_iter, problem.settings.max_iter
    if not causes and state.progress.ending == "stopped":  # by a callback of the user's, who knows
        return None
    if not causes or epochs == most < _FEW_EPOCHS:
        causes.append(_course(problem, state))
    why, cure = (" and ".join(words) for words in zip(*causes, strict=True))
    return (
        f"The fit is worse than a constant: its mean training loss is {found:.4g}, that of the "
        f"best constant {least:.4g}, and {why}: {cure}."
    )


def _raw_outputs(fitted: Fitted, X: Any) -> np.ndarray:
    """Compute raw outputs, by NumPy where all is skmlp's own: to make a program takes longer.

    What the user wrote may write to the arrays that it is given, and a layer that is not dense may
    take much memory for many rows.
    """
    network = fitted.network
    if not (network.is_ours and all(type(layer) is Dense for layer in network.sequence)):
        return fitted.layer(X, -1)
    largest = X.shape[0] * max(n * units for n, units in pairwise(network.layer_units))
    with threads_for(largest):
        return network.layers(X, fitted.parts)[-1]


def _scales(
    problem: Problem, state: State, sample: Sample, constant: np.ndarray
) -> Iterator[tuple[str, str]]:
    """Name the column of X that is too large, and a target far from where raw outputs start."""
    head = problem.target.head
    mean, deviation = _moments(sample.X)
    worst = int(np.argmax(np.hypot(mean, deviation)))
    if np.hypot(mean[worst], deviation[worst]) > _LARGE:
        name = problem.inputs.get("feature_names_in_", range(len(mean)))[worst]
        scaler = "MaxAbsScaler" if problem.data.is_sparse else "StandardScaler"
        yield (
            f"column {name!r} of X has {_larger(mean[worst], deviation[worst])}",
            f"scale X, for example with {scaler}",
        )
    if "numbers" not in head.targets or state.scale is not None:
        return
    unit = head.raw_unit(np.asarray(sample.Y, np.float64), sample.weights)
    if max(np.max(np.abs(constant)), np.max(unit), np.max(1 / unit)) > _LARGE:
        mean, deviation = _moments(sample.Y)
        worst = int(np.argmax(np.abs(np.log(np.hypot(mean, deviation)))))
        yield f"y has {_larger(mean[worst], deviation[worst])}", 'set initial_output="data"'


def _moments(X: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each column."""
    largest = max(float(abs(X).max()), np.finfo(np.float64).tiny)  # so that no square overflows
    relative = X.astype(np.float64) / largest
    mean = np.asarray(relative.mean(axis=0)).ravel()
    squares = relative * relative if isinstance(X, np.ndarray) else relative.multiply(relative)
    variance = np.maximum(np.asarray(squares.mean(axis=0)).ravel() - mean * mean, 0)
    return mean * largest, np.sqrt(variance) * largest


def _larger(mean: float, deviation: float) -> str:
    if abs(mean) > deviation:
        return f"a mean of {mean:.2g}"
    return f"a standard deviation of {deviation:.2g}"


def _course(problem: Problem, state: State) -> tuple[str, str]:
    """Say what in the course of training made it so, where the scales of the data are right."""
    settings, progress = problem.settings, state.progress
    losses, epochs = state.history.column("loss"), progress.n_iter
    rate = f"learning_rate_init (now {settings.schedule.rate_init:g})"
    is_early = settings.early_stopping and progress.best_iter < epochs
    if is_early and losses[-1] < losses[progress.best_iter - 1]:
        return (
            f"early_stopping kept epoch {progress.best_iter} of {epochs}, whose validation score "
            "was the best",
            'raise validation_fraction or n_iter_no_change, or set scoring="loss"',
        )
    if epochs >= settings.max_iter and settings.solver is None:
        return f"training ended with max_iter={epochs}", "raise max_iter"
    if settings.solver is None:
        return f"lbfgs ended after {epochs} iterations", "lower tol, or raise max_fun"
    first = settings.schedule.rate_init
    if progress.retreats or first > _HIGH_RATE or losses[-1] > losses[0]:
        return f"the loss went up and down with {rate}", "lower it"
    if epochs >= settings.max_iter:
        return f"training ended with max_iter={epochs}", f"raise max_iter, or {rate}"
    return (
        f"training ended in epoch {epochs}, without an improvement by more than "
        f"tol={settings.tol:g}",
        f"lower tol, or change {rate}",
    )
