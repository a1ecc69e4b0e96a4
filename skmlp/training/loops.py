"""Training: the one loop over epochs and minibatches, and the one around the full-batch solver.

The law: an epoch counts when it is complete. `Course.complete` is the one place where that happens:
the parameters are scored, counted, kept and shown to whoever watches. What is kept is replaced at
once, never changed; whatever interrupts training in between goes back to it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..engine import running
from ..engine.threads import let_go
from .objective import Objective
from .schedules import Constant
from .solvers import Average, Solver, clip_norm, is_finite, minimize_lbfgs
from .state import History, Marks, Progress, State, Stopping
from .warn import warn

Scores = Callable[[], dict[str, float]]  # "validation_score" where there is validation, and others
Report = Callable[[str], None]


class Watch(Protocol):
    """Whoever watches a fit."""

    def begin(self) -> None:
        """Called when an epoch begins."""

    def end(self) -> bool:
        """Called when an epoch ends; returns whether training is to stop."""


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes
    ----------
    problem : str or None
        Why it ended before it converged, in a sentence.
    kind : {"", "unconverged", "interrupted", "diverged", "broken"}
        What kind of problem that is.
    """

    problem: str | None = None
    kind: str = ""


class Broken(RuntimeError):  # noqa: N818, a state of training, which is the error
    """Training that cannot go on, since what computes the objective is gone; says so."""


class Diverged(ValueError):  # noqa: N818, a state of training, which is the error
    """Training that was no longer finite before it had learned anything."""


class Course:
    """A fit on its way: what the end of an epoch means, for both trainers.

    `is_finite` tells whether the objective of theta, as it stands, is finite on all training rows.

    Attributes
    ----------
    shown : ndarray of shape (n_parameters,)
        The parameters at the end of the last epoch, averaged where they are.
    """

    def __init__(
        self,
        theta: np.ndarray,
        state: State,
        stopping: Stopping,
        n_rows: int,
        *,
        scores: Scores | None = None,
        watch: Watch | None = None,
        report: Report | None = None,
        is_finite: Callable[[], bool] = lambda: True,
    ) -> None:
        self.theta, self.stopping, self._n_rows = theta, stopping, n_rows
        self._is_finite = is_finite
        self._state, self._scores, self._watch, self._report = state, scores, watch, report
        self._told = float if state.scale is None else state.scale.losses
        marks = state.marks or Marks.at_start(theta, -state.progress.best_loss)
        self._done: tuple[Progress, History, Marks] = (state.progress, state.history, marks)
        self.shown = theta
        self._has_begun, self._clock = False, 0.0

    @property
    def progress(self) -> Progress:
        """How far training has come, at the end of the last complete epoch."""
        return self._done[0]

    @property
    def history(self) -> History:
        """What is known of each complete epoch of this fit or stream."""
        return self._done[1]

    @property
    def marks(self) -> Marks:
        """The parameters that training may come back to."""
        return self._done[2]

    @property
    def is_over(self) -> bool:
        """Whether there is no further epoch."""
        return bool(self.progress.ending) or self.progress.n_iter >= self.stopping.max_iter

    @property
    def is_where_it_began(self) -> bool:
        """Whether no step has been taken, so that no other rate would make a difference."""
        return self.progress.n_iter == 0 and np.array_equal(self.theta, self.marks.last)

    def begin(self) -> None:
        """Tell whoever watches that an epoch begins, once."""
        if self._report is not None and self._clock == 0.0:
            self._clock = time.perf_counter()
        if self._watch is not None and not self._has_begun:
            self._has_begun = True
            with let_go():
                self._watch.begin()

    def complete(
        self,
        loss: float,
        samples: int,
        *,
        objective: Callable[[], float],
        rate: float | None = None,
        average: Average | None = None,
        at_plateau: Callable[[], float | None] = lambda: None,
    ) -> None:
        """End an epoch: score the parameters, count, keep them, and show them."""
        raw = self.theta.copy()
        self.shown = raw
        if average is not None:
            self.shown = self.theta[...] = average.values.copy()
        seen = {"loss": self._told(loss)} | ({} if self._scores is None else self._scores())
        seen |= {} if rate is None else {"learning_rate": rate}
        score = seen.get("validation_score")
        now = self.progress.after_epoch(loss, score, samples, self.stopping)
        merit = -loss if score is None else score
        if self.stopping.restore_best and score is None:
            merit = -objective()
        plateau = ""
        if now.no_improvement > self.stopping.n_iter_no_change:
            slower = at_plateau()
            plateau = self._plateau(slower)
            now = (
                replace(now, ending="converged")
                if slower is None
                else replace(now, no_improvement=0)
            )
        self._keep(now, seen, raw, merit)
        if self._report is not None:
            self._report(self._line(seen))
            if plateau:
                self._report(plateau)
        if self._watch is not None:
            self._has_begun = False
            if self._watch.end() and not self.progress.ending:
                self._done = (replace(self.progress, ending="stopped"), *self._done[1:])
        if average is not None:
            self.theta[...] = raw

    def _keep(self, now: Progress, seen: dict[str, float], raw: np.ndarray, merit: float) -> None:
        _, history, was = self._done
        is_best, is_good = merit > was.merit, now.loss < was.good_loss
        restores = self.stopping.restore_best
        if restores and now.score is not None:
            is_best = is_best and self._is_finite()  # a score may be of other rows, or of classes
        if is_best:
            now = replace(now, best_iter=len(history) + 1)
        marks = Marks(
            last=raw,
            last_iter=now.n_iter,
            good=was.last if is_good else was.good,
            good_iter=was.last_iter if is_good else was.good_iter,
            good_loss=now.loss if is_good else was.good_loss,
            kept=was.kept if restores and now.best_iter and not is_best else self.shown,
            merit=merit if is_best else was.merit,
        )
        self._done = (now, history.after(seen), marks)

    def start_at(self, loss: float) -> None:
        """Keep the parameters as they are, where there was nothing to improve."""
        progress = replace(self.progress, loss=loss, best_loss=loss)
        history = self.history.after({"loss": self._told(loss)})
        self._done = (progress, history, Marks.at_start(self.theta))

    def retreat(self) -> bool:
        """Go back to parameters that are known to be good; return whether that may be done."""
        progress, history, marks = self._done
        if progress.retreats >= self.stopping.retreats:
            return False
        self.theta[...] = marks.good
        progress = replace(progress, retreats=progress.retreats + 1, no_improvement=0)
        marks = replace(marks, last=marks.good, last_iter=marks.good_iter)
        self._done = (progress, history, marks)
        return True

    def state(self) -> State:
        """Return where training stands, between two epochs, but for what its trainer knows."""
        return replace(self._state, progress=self.progress, history=self.history, marks=self.marks)

    @property
    def _has_best(self) -> bool:
        return self.stopping.restore_best and self.progress.best_iter > 0

    def ended(self, problem: str | None = None, kind: str = "") -> Outcome:
        """Give theta the parameters to keep, and tell how it ended."""
        marks = self.marks
        use_good = kind == "diverged" and not self._has_best
        self.theta[...] = marks.good if use_good else marks.kept
        return Outcome(problem, kind)

    def cut_short(self, why: KeyboardInterrupt | Broken) -> Outcome:
        """End with the last complete epoch, where the user said so or nothing computes any more."""
        epoch = self.progress.n_iter
        if epoch == 0:
            raise why
        kept = f"parameters of epoch {epoch} are kept."
        if isinstance(why, Broken):
            return self.ended(f"{why} The {kept}", "broken")
        return self.ended(f"Training interrupted by user: the {kept}", "interrupted")

    def diverged(self, where: str, cure: str, culprit: str | None) -> Outcome:
        """End where nothing is finite any more; with the best parameters, where there are some."""
        scale = f"scale the inputs (StandardScaler) and numeric targets, or {cure}"
        problem = (
            f"Solver produced non-finite parameter weights or loss in {where}: {culprit or scale}."
        )
        if self.marks.good_iter == 0 and not self._has_best:
            raise Diverged(problem)
        outcome = self.ended(f"{problem} The best parameters so far are kept.", "diverged")
        if not self._is_finite():
            raise ValueError(problem)
        return outcome

    def culprit(self, found_at: Callable[[np.ndarray], str | None]) -> str | None:
        """Say which activation is not finite where it should be, now or at the last epoch's end."""
        at = (theta for theta in (self.theta, self.marks.last) if np.isfinite(theta).all())
        return next(filter(None, map(found_at, at)), None)

    # -- lines for whoever reads -------------------------------------------------------------------

    def _line(self, seen: dict[str, float]) -> str:
        now, before = time.perf_counter(), self._clock
        self._clock = now
        progress = self.progress
        line = f"Iteration {progress.n_iter}, loss = {progress.loss:.8f}"
        best = f"{progress.best_loss:.8f}"
        if progress.score is not None:
            line += f", validation score = {progress.score:f}"
            best = f"{progress.best_score:f}"
        line += f", best = {best} (iteration {progress.best_iter})"
        if "learning_rate" in seen:
            line += f", rate = {seen['learning_rate']:.3g}"
        left = (self.stopping.max_iter - progress.n_iter) * (now - before)
        speed = self._n_rows / max(now - before, 1e-9)
        return line + f", {speed:.0f} rows/s, at most {left:.0f} s left"

    def _plateau(self, rate: float | None) -> str:
        what = "Validation score" if self.stopping.by_score else "Training loss"
        then = "Stopping." if rate is None else f"Setting learning rate to {rate:f}."
        return (
            f"{what} did not improve more than tol={self.stopping.tol:f} for "
            f"{self.stopping.n_iter_no_change} consecutive epochs. {then}"
        )


# == minibatches ===================================================================================


@dataclass(frozen=True)
class Stepping:
    """How a stochastic solver is led.

    Attributes
    ----------
    new_solver : callable
        Makes a solver without a past.
    schedule : Constant
        What sets its rate.
    batch_size : int
        The rows of a batch; the last one of an epoch may have fewer.
    reorder : callable or None
        Makes the order of an epoch of that of the last one; None keeps it.
    planned_epochs : int
        How many epochs make up the whole of training, for schedules that go by progress.
    ends_at_zero : bool
        Whether the schedule ends, by itself, after the planned epochs.
    max_grad_norm : float or None
        The largest norm of a gradient; a longer one is scaled down to it.
    averaging : float or None
        The decay of an average of parameters.
    """

    new_solver: Callable[[], Solver]
    schedule: Constant
    batch_size: int
    reorder: Callable[[Any], Any] | None
    planned_epochs: int
    ends_at_zero: bool = False
    max_grad_norm: float | None = None
    averaging: float | None = None


class Descent:
    """A stochastic solver on its way: epoch after epoch of steps."""

    def __init__(self, objective: Objective, rows: np.ndarray, state: State, how: Stepping) -> None:
        self.objective, self.how = objective, how
        self.first_rate, self.ends_at_zero = how.schedule.rate_init, how.ends_at_zero
        self.order = rows if state.order is None else state.order
        halved = how.schedule.rate_init * 0.5**state.progress.retreats
        self.schedule = replace(how.schedule, rate_init=halved)
        self.rate = halved if state.rate is None else state.rate
        self.solver = how.new_solver() if state.solver is None else copied(state.solver)
        self._move = self.solver.bind(objective.theta, objective.gradient)
        self.average: Average | None = None
        if how.averaging is not None:
            fresh = Average(objective.theta, how.averaging)
            self.average = fresh if state.average is None else copied(state.average)

    @property
    def last_rate(self) -> float:
        """The rate of the last step."""
        return self.solver.rate

    @property
    def n_rows(self) -> int:
        """How many rows an epoch goes through."""
        return len(self.order)

    def epoch(self, epochs_before: int) -> float:
        """Go through all rows once; return the mean objective, NaN as soon as one is not finite."""
        # A fit that diverges is told by its loss.
        with running(), self.objective.threads(self.how.batch_size):
            if self.how.reorder is not None:
                self.order = self.how.reorder(self.order)
            n = len(self.order)
            total = self.stretch(epochs_before, 0, n, 0.0)
            return total / n if np.isfinite(self.objective.theta).all() else math.nan

    def stretch(self, epochs_before: int, first: int, end: int, total: float) -> float:
        """Step through a part of an epoch, from one row of its order to before another.

        Returns the total, so far, of the objectives of the batches times their rows; NaN as soon
        as one is not finite.
        """
        objective, size = self.objective, self.how.batch_size
        order, has_statistics = self.order, objective.has_statistics
        step = self._step(epochs_before * len(order))
        for start in range(first, end, size):
            batch = order[start : start + size]
            loss = objective.data_term(batch)
            if math.isfinite(loss):
                loss += step(start)
            if not math.isfinite(loss):
                return math.nan
            if has_statistics:
                objective.track()
            total += loss * len(batch)
        return total

    def _step(self, seen: int) -> Callable[[int], float]:
        """Make what steps after `start` more samples, and returns the penalty; NaN if it cannot.

        A gradient that is not finite is seen at once in the first step, and where it is clipped;
        else in the parameters, by the end of the epoch.
        """
        solver, average, factor = self.solver, self.average, self.schedule.factor
        solver.rate = self.rate
        max_norm, planned = self.how.max_grad_norm, self.how.planned_epochs * len(self.order)
        theta, g = self.objective.theta, self.objective.gradient
        penalties, move = self.objective.penalties, self._move
        chunks = list(zip(penalties, move.chunks, strict=True))

        def penalized_step() -> float:
            move.begin()
            penalty = 0.0
            for penalize, move_chunk in chunks:  # both while a chunk is in the cache
                penalty += penalize()
                move_chunk()
            return penalty

        def clipped_step(max_norm: float) -> float:
            penalty = sum([penalize() for penalize in penalties])
            if not clip_norm(g, max_norm):
                return math.nan
            move()
            return penalty

        def step(start: int) -> float:
            if solver.steps == 0 and not is_finite(g):
                return math.nan
            if factor is not None:
                progress = min(1.0, (seen + start) / planned)
                solver.rate = self.rate * factor(progress)
            penalty = penalized_step() if max_norm is None else clipped_step(max_norm)
            if average is not None and math.isfinite(penalty):
                average.update(theta)
            return penalty

        return step

    def over_all_rows(self) -> float:
        """Return the objective of theta, as it stands, over all training rows."""
        n_batches = math.ceil(len(self.order) / self.how.batch_size)
        with running(), self.objective.threads(len(self.order)):
            return self.objective.predicted(self.order, n_batches)

    def after_epoch(self, samples_seen: int) -> None:
        """Set the rate of the next epoch."""
        self.rate = self.schedule.after_epoch(self.rate, samples_seen)

    def slow_down(self) -> float | None:
        """Set the rate where nothing improves any more; return it, or None to stop."""
        rate = self.schedule.at_plateau(self.rate)
        self.rate = self.rate if rate is None else rate
        return rate

    def culprit(self, theta: np.ndarray) -> str | None:
        """Say which activation is not finite at finite pre-activations, if one is."""
        return self.objective.culprit(theta, self.order)

    def restart(self) -> None:
        """Begin anew, at half the rate."""
        self.schedule = replace(self.schedule, rate_init=0.5 * self.schedule.rate_init)
        self.rate *= 0.5
        self.solver = self.how.new_solver()
        self._move = self.solver.bind(self.objective.theta, self.objective.gradient)
        if self.average is not None:
            self.average = Average(self.objective.theta, self.average.decay)

    def state(self, state: State) -> State:
        """Return a state with all that is known here, as copies."""
        return replace(
            state,
            rate=self.rate,
            solver=copied(self.solver),
            average=None if self.average is None else copied(self.average),
            order=self.order,
        )


class _Descends(Protocol):
    """What the loop asks of a `Descent`, or of several that are one to it (`members.Members`)."""

    average: Average | None
    rate: float  # of the next epoch
    first_rate: float  # that the schedule began with
    ends_at_zero: bool

    @property
    def last_rate(self) -> float: ...
    @property
    def n_rows(self) -> int: ...
    def epoch(self, epochs_before: int) -> float: ...
    def over_all_rows(self) -> float: ...
    def after_epoch(self, samples_seen: int) -> None: ...
    def slow_down(self) -> float | None: ...
    def restart(self) -> None: ...
    def culprit(self, theta: np.ndarray) -> str | None: ...


def train_minibatches(course: Course, descent: _Descends) -> Outcome:
    """Run a stochastic solver over minibatches until training converges or has to end.

    Where the loss or the parameters are no longer finite, it goes back to parameters that are known
    to be good, with a new solver and half the rate, as often as `stopping.retreats` allows.
    """
    try:
        while not course.is_over:
            course.begin()
            loss = descent.epoch(len(course.history))
            if not math.isfinite(loss):
                epoch = f"epoch {course.progress.n_iter + 1}"
                culprit = course.culprit(descent.culprit)
                if course.is_where_it_began or not course.retreat():
                    cure = _lower(descent.first_rate, course.progress.retreats)
                    return course.diverged(epoch, cure, culprit)
                descent.restart()
                if course.progress.retreats == 1:
                    _warn_of_retreat(epoch, descent.rate, course.stopping.retreats, culprit)
                continue
            descent.after_epoch(course.progress.samples_seen + descent.n_rows)
            course.complete(
                loss,
                descent.n_rows,
                objective=descent.over_all_rows,
                rate=descent.last_rate,
                average=descent.average,
                at_plateau=descent.slow_down,
            )
    except (KeyboardInterrupt, Broken) as why:
        return course.cut_short(why)
    if course.progress.ending or descent.ends_at_zero:
        return course.ended()
    return course.ended(_too_few_epochs(course), "unconverged")


def copied(kept: Any) -> Any:
    """Return a solver or an average with arrays of its own."""
    twin = copy(kept)
    arrays = {name: x for name, x in vars(kept).items() if isinstance(x, np.ndarray)}
    vars(twin).update((name, array.copy()) for name, array in arrays.items())
    return twin


def _lower(rate: float, retreats: int) -> str:
    tried = f"; to halve it {retreats} times was not enough" if retreats else ""
    return f"lower learning_rate_init (now {rate:g}{tried})"


def _warn_of_retreat(epoch: str, rate: float, retreats: int, culprit: str | None) -> None:
    to_avoid = "scale the data (StandardScaler), lower learning_rate_init or set max_grad_norm"
    warn(
        f"The loss or the parameters were no longer finite in {epoch}: training goes back to the "
        f"best parameters so far with a new solver and half the rate, {rate:g}, and does so "
        f"{retreats} times at most. "
        + (f"The cause: {culprit}." if culprit else f"To avoid it, {to_avoid}."),
        RuntimeWarning,
    )


def _too_few_epochs(course: Course) -> str:
    """Say why the most epochs were not enough, by how the loss or the score went at last."""
    what = "validation score" if course.stopping.by_score else "loss"
    values = course.history.column(what.replace(" ", "_"))
    gain = _gain(values) if course.stopping.by_score else -_gain(values)
    if len(values) < 4:
        cause = f"{len(values)} epochs are too few to tell more: raise max_iter"
    elif gain > 0:
        cause = f"the {what} still improves" + _until_the_score_falls(
            course, "raise max_iter, or learning_rate_init"
        )
    else:
        cause = (
            f"the {what} goes up and down: lower learning_rate_init, raise batch_size, or let "
            'learning_rate="cosine" bring the rate down'
        )
    return (
        f"Stochastic Optimizer: Maximum iterations ({course.stopping.max_iter}) reached and the "
        f"optimization hasn't converged yet: {cause}."
    )


def _gain(values: list[float]) -> float:
    """Return how much larger the last epochs' values are than those of as many before."""
    few = max(1, min(10, len(values) // 2))
    return float(np.mean(values[-few:]) - np.mean(values[-2 * few : -few] or values[:1]))


def _until_the_score_falls(course: Course, to_go_on: str) -> str:
    """Say how to go on, and when not to: a validation score tells, or would, where more is less."""
    if course.stopping.by_score:
        return f": {to_go_on}"
    scores = course.history.column("validation_score")
    if not scores:
        return (
            f": {to_go_on}, with early_stopping=True where a validation score is to tell when it "
            "is enough"
        )
    if _gain(scores) > 0:
        return f", and so does the validation score: {to_go_on}"
    return (
        f", but the validation score does not, and was best in epoch {course.progress.best_iter}: "
        "set early_stopping=True, which stops there and keeps that epoch"
    )


# == the whole batch ===============================================================================


class _Over(Exception):  # noqa: N818, it ends the full-batch solver from inside: no error
    pass


def train_full_batch(course: Course, objective: Objective, rows: np.ndarray) -> Outcome:
    """Run L-BFGS over all rows until it converges or has to end."""
    theta, stopping = course.theta, course.stopping

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        course.begin()
        theta[...] = x
        with running():
            return objective(rows), objective.gradient

    def observe(x: np.ndarray) -> None:
        theta[...] = x
        with running():
            objective.observe(rows)

    def after_iteration(x: np.ndarray, loss: float) -> None:
        observe(x)
        with let_go():
            course.complete(loss, 0, objective=lambda: loss)
        if course.progress.ending:
            raise _Over

    try:
        if course.is_over:
            return course.ended()
        with objective.threads(len(rows)):
            result = minimize_lbfgs(
                evaluate,
                theta,
                tol=stopping.tol,
                max_iter=stopping.max_iter - course.progress.n_iter,
                max_fun=stopping.max_fun,
                after_iteration=after_iteration,
            )
    except _Over:
        return course.ended()
    except (KeyboardInterrupt, Broken) as why:
        return course.cut_short(why)
    observe(result.x)
    loss = float(result.fun)
    if not (math.isfinite(loss) and np.isfinite(theta).all()):
        culprit = course.culprit(lambda theta: objective.culprit(theta, rows))
        return course.diverged(f"iteration {result.nit}", 'use dtype="float64"', culprit)
    if course.progress.n_iter == 0:  # it started where the gradient is below tol
        course.start_at(loss)
    problem = _lbfgs_problem(result, course)
    return course.ended(problem, "unconverged" if problem else "")


def _lbfgs_problem(result: Any, course: Course) -> str | None:
    stopping = course.stopping
    if result.status == 0:
        return None
    scaled = ", or scale the data (StandardScaler)"
    if result.status == 1 and result.nfev >= stopping.max_fun:
        what = f": raise max_fun (now {stopping.max_fun}){scaled}"
    elif result.status == 1:
        to_go_on = f"raise max_iter (now {stopping.max_iter}){scaled}"
        what = ": the loss still improves" + _until_the_score_falls(course, to_go_on)
    else:
        what = ': no step along the line of search was good enough: raise tol, use dtype="float64"'
        what += scaled
    return (
        f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}, "
        f"{result.message}){what}."
    )
