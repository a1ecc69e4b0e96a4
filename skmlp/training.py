"""Training: the one loop over epochs and minibatches, and the one around the full-batch solver.

The law: an epoch counts when it is complete. `Progress` is replaced, never changed, at the end of
each, together with a copy of theta; whatever interrupts training in between goes back to them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .objective import Objective
from .solvers import Solver, minimize_lbfgs

Judge = Callable[[], dict[str, float]]  # "validation_score" where there is validation, and others
Report = Callable[[str], None]


@dataclass(frozen=True)
class Progress:
    """How far training has come.

    Attributes
    ----------
    n_iter : int
        Complete epochs (iterations of lbfgs) of this fit.
    samples_seen : int
        Training samples seen since the parameters were drawn.
    loss : float
        The objective of the last epoch, its mean over the batches.
    score : float or None
        The validation score of the last epoch, where there is validation.
    best_loss : float
        The smallest loss of this fit.
    best_score : float
        The largest score of this fit.
    best_iter : int
        The epoch whose parameters are the best, from 1; 0 before there is any.
    no_improvement : int
        Epochs in a row without an improvement by more than tol.
    """

    n_iter: int = 0
    samples_seen: int = 0
    loss: float = math.nan
    score: float | None = None
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_iter: int = 0
    no_improvement: int = 0

    def restarted(self) -> Progress:
        """Return the progress that a new fit with the same parameters starts from."""
        return Progress(samples_seen=self.samples_seen)

    def after_epoch(
        self, loss: float, score: float | None, samples: int, stopping: Stopping
    ) -> Progress:
        """Return the progress after one more epoch; a NaN never improves on anything."""
        if stopping.by_score and score is not None:
            is_better = score >= self.best_score + stopping.tol
        else:
            is_better = loss <= self.best_loss - stopping.tol
        return replace(
            self,
            n_iter=self.n_iter + 1,
            samples_seen=self.samples_seen + samples,
            loss=loss,
            score=score,
            best_loss=loss if loss < self.best_loss else self.best_loss,
            best_score=score if score is not None and score > self.best_score else self.best_score,
            no_improvement=0 if is_better else self.no_improvement + 1,
        )


@dataclass(frozen=True)
class Stopping:
    """When training ends, and with which parameters.

    Attributes
    ----------
    max_iter : int
        The most epochs.
    tol : float
        The smallest improvement that counts.
    n_iter_no_change : float
        How many epochs without one are borne.
    by_score : bool
        Whether the validation score has to improve, not the objective.
    restore_best : bool
        Whether the best parameters at the end of an epoch are kept instead of the last ones: by
        validation score, where there is one, else by the objective over all training rows.
    max_fun : int
        The most evaluations of lbfgs.
    """

    max_iter: int
    tol: float
    n_iter_no_change: float
    by_score: bool
    restore_best: bool
    max_fun: int = 15000


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes
    ----------
    progress : Progress
        At the last complete epoch.
    history : dict of str to list of float
        For each complete epoch its objective ("loss") and what else is known of it.
    problem : str or None
        Why it ended before it converged, in a sentence.
    was_interrupted : bool
        Whether the problem was a KeyboardInterrupt.
    """

    progress: Progress
    history: dict[str, list[float]] = field(default_factory=dict)
    problem: str | None = None
    was_interrupted: bool = False


class _Keeper:
    """Holds the last complete epoch and the parameters to keep, in one tuple replaced at once."""

    def __init__(self, theta: np.ndarray, progress: Progress, restore_best: bool) -> None:
        self._theta = theta
        self._restore_best = restore_best
        self._kept = (progress, theta.copy(), -math.inf)
        self._epochs: list[dict[str, float]] = []

    @property
    def progress(self) -> Progress:
        return self._kept[0]

    def keep(self, progress: Progress, merit: float, seen: dict[str, float]) -> None:
        """Take over a complete epoch; `merit` tells how good its parameters are."""
        _, kept, best = self._kept
        is_best = merit > best
        if is_best or not self._restore_best:
            kept = self._theta.copy()
        if is_best:
            progress, best = replace(progress, best_iter=progress.n_iter), merit
        self._epochs.append(seen)
        self._kept = (progress, kept, best)

    def outcome(self, problem: str | None = None, was_interrupted: bool = False) -> Outcome:
        """Give theta the parameters to keep, and tell what has been done."""
        progress, kept, _ = self._kept
        self._theta[...] = kept
        epochs = self._epochs[: max(1, progress.n_iter)]
        history = {name: [epoch[name] for epoch in epochs] for name in epochs[0]} if epochs else {}
        return Outcome(progress, history, problem, was_interrupted)


def train_minibatches(
    objective: Objective,
    solver: Solver,
    rows: np.ndarray,
    progress: Progress,
    stopping: Stopping,
    *,
    batch_size: int,
    shuffle: Callable[[np.ndarray], None] | None,
    judge: Judge | None = None,
    report: Report = lambda line: None,
) -> Outcome:
    """Run a stochastic solver over minibatches until training converges or has to end.

    Parameters
    ----------
    objective : Objective
        What is minimised; its theta is moved.
    solver : Solver
        What moves it.
    rows : ndarray of int
        The training rows.
    progress : Progress
        Where training stands.
    stopping : Stopping
        When it ends.
    batch_size : int
        The rows of a batch; the last one of an epoch may have fewer.
    shuffle : callable or None
        Shuffles an array in place before each epoch; None keeps the order.
    judge : callable, optional
        What is known of the current parameters by name; "validation_score" is what
        `stopping.by_score` goes by.
    report : callable, optional
        Takes a line of text about each epoch.

    Returns
    -------
    Outcome
        The progress made; theta holds the parameters to be kept.

    Raises
    ------
    ValueError
        If the objective or the parameters are no longer finite.
    KeyboardInterrupt
        If it comes before one epoch is complete.
    """
    theta, order = objective.theta, rows
    step = solver.on(theta, objective.gradient)
    keeper = _Keeper(theta, progress, stopping.restore_best)
    try:
        while keeper.progress.n_iter < stopping.max_iter:
            epoch = keeper.progress.n_iter + 1
            order = order if shuffle is None else _shuffled(order, shuffle)
            total = 0.0
            for start in range(0, len(order), batch_size):
                batch = order[start : start + batch_size]
                total += objective(batch) * len(batch)
                step()
                objective.track()
            loss = total / len(order)
            _check_finite(
                loss, theta, f"epoch {epoch}", f"lower learning_rate_init (now {solver.rate:g})"
            )
            now, seen = _judged(keeper.progress, loss, len(order), stopping, judge, report)
            seen["learning_rate"] = solver.rate
            solver.rate = solver.schedule.after_epoch(solver.rate, now.samples_seen)
            rate: float | None = solver.rate
            if now.no_improvement > stopping.n_iter_no_change:
                rate = solver.schedule.at_plateau(solver.rate)
                report(_plateau_line(stopping, rate))
                now = replace(now, no_improvement=now.no_improvement if rate is None else 0)
            # The loss of an epoch was seen on the way; the parameters are judged where they stand.
            merit = -loss if now.score is None else now.score
            if stopping.restore_best and now.score is None:
                merit = -objective.predicted(order)
            keeper.keep(now, merit, seen)
            if rate is None:
                return keeper.outcome()
            solver.rate = rate
    except KeyboardInterrupt:
        if keeper.progress.n_iter == 0:
            raise
        return _interrupted(keeper)
    return keeper.outcome(
        f"Stochastic Optimizer: Maximum iterations ({stopping.max_iter}) reached and the "
        "optimization hasn't converged yet: raise max_iter, or learning_rate_init if the loss "
        "still falls steadily.",
    )


def train_full_batch(
    objective: Objective,
    rows: np.ndarray,
    progress: Progress,
    stopping: Stopping,
    *,
    judge: Judge | None = None,
    report: Report = lambda line: None,
) -> Outcome:
    """Run L-BFGS over all rows until it converges or has to end.

    Parameters
    ----------
    objective : Objective
        What is minimised; its theta is moved.
    rows : ndarray of int
        The training rows.
    progress : Progress
        Where training stands.
    stopping : Stopping
        When it ends.
    judge : callable, optional
        What is known of the current parameters by name. With `stopping.by_score`, training also
        ends where the "validation_score" has not improved by tol for `n_iter_no_change`
        iterations.
    report : callable, optional
        Takes a line of text about each iteration.

    Returns
    -------
    Outcome
        The progress made; theta holds the parameters to be kept.

    Raises
    ------
    ValueError
        If the objective or the parameters are no longer finite.
    KeyboardInterrupt
        If it comes before one iteration is complete.
    """
    theta = objective.theta
    keeper = _Keeper(theta, progress, stopping.restore_best)

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        theta[...] = x
        return objective(rows), objective.gradient

    def after_iteration(x: np.ndarray, loss: float) -> None:
        theta[...] = x
        objective.observe(rows)
        now, seen = _judged(keeper.progress, loss, 0, stopping, judge, report)
        keeper.keep(now, now.score if now.score is not None else -loss, seen)
        if stopping.by_score and now.no_improvement > stopping.n_iter_no_change:
            report(_plateau_line(stopping, None))
            raise _Plateau

    try:
        result = minimize_lbfgs(
            evaluate,
            theta,
            tol=stopping.tol,
            max_iter=stopping.max_iter,
            max_fun=stopping.max_fun,
            after_iteration=after_iteration,
        )
    except _Plateau:
        return keeper.outcome()
    except KeyboardInterrupt:
        if keeper.progress.n_iter == 0:
            raise
        return _interrupted(keeper)
    theta[...] = result.x
    objective.observe(rows)
    loss = float(result.fun)
    _check_finite(loss, theta, f"iteration {result.nit}", 'use dtype="float64"')
    if keeper.progress.n_iter == 0:  # it started where the gradient is below tol
        keeper.keep(replace(progress, loss=loss, best_loss=loss), -loss, {"loss": loss})
    return keeper.outcome(_lbfgs_problem(result, stopping))


class _Plateau(Exception):  # noqa: N818, it ends the full-batch solver from inside: no error
    pass


# -- the parts of an epoch -------------------------------------------------------------------------


def _shuffled(order: np.ndarray, shuffle: Callable[[np.ndarray], None]) -> np.ndarray:
    places = np.arange(len(order))
    shuffle(places)
    return order[places]


def _check_finite(loss: float, theta: np.ndarray, where: str, cure: str) -> None:
    if not (math.isfinite(loss) and np.isfinite(theta).all()):
        raise ValueError(
            f"Solver produced non-finite parameter weights or loss in {where}: scale the inputs "
            f"(StandardScaler) and numeric targets, or {cure}."
        )


def _judged(
    progress: Progress,
    loss: float,
    samples: int,
    stopping: Stopping,
    judge: Judge | None,
    report: Report,
) -> tuple[Progress, dict[str, float]]:
    report(f"Iteration {progress.n_iter + 1}, loss = {loss:.8f}")
    seen = {"loss": loss} | (judge() if judge is not None else {})
    score = seen.get("validation_score")
    if score is not None:
        report(f"Validation score: {score:f}")
    return progress.after_epoch(loss, score, samples, stopping), seen


def _plateau_line(stopping: Stopping, rate: float | None) -> str:
    what = "Validation score" if stopping.by_score else "Training loss"
    then = "Stopping." if rate is None else f"Setting learning rate to {rate:f}."
    return (
        f"{what} did not improve more than tol={stopping.tol:f} for "
        f"{stopping.n_iter_no_change} consecutive epochs. {then}"
    )


def _interrupted(keeper: _Keeper) -> Outcome:
    epoch = keeper.progress.n_iter
    return keeper.outcome(
        f"Training interrupted by user: the parameters of epoch {epoch} are kept.",
        was_interrupted=True,
    )


def _lbfgs_problem(result: Any, stopping: Stopping) -> str | None:
    if result.status == 0:
        return None
    what = (
        f"raise max_iter (now {stopping.max_iter}) or max_fun (now {stopping.max_fun})"
        if result.status == 1
        else "raise tol"
    )
    return (
        f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}, "
        f"{result.message}): {what}, or scale the data (StandardScaler)."
    )
