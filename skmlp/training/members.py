"""Members: networks of one shape that are trained side by side, as one theta.

The law: the parameters of all members are one flat vector, one member after another, and an epoch
is an epoch of each. So what holds for one network (when training ends, which parameters are kept,
what an interruption leaves) holds for all of them together, by the same loop. Each member has its
own rows, generator and solver and shares nothing that changes, so threads change no bit; and one
that diverges takes no other one with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..engine import aligned
from .loops import Descent
from .solvers import Average, Solver
from .warn import warn

HALVINGS = 5


class Members:
    """Descents that take their epochs together; to the loop over epochs, one descent.

    A member whose loss or parameters are not finite takes that epoch again at half its rate, as
    often as `HALVINGS` says; after that it is lost, and the others go on.

    Parameters
    ----------
    descents : sequence of Descent
        One for each member; their objectives' thetas are the parts of one vector, see `thetas`.
    n_jobs : int, default=1
        How many of them take their epochs at the same time, in threads.

    Attributes
    ----------
    is_lost : list of bool
        Whether a member has diverged for good.
    """

    def __init__(self, descents: Sequence[Descent], n_jobs: int = 1) -> None:
        self.descents = list(descents)
        self.how = self.descents[0].how
        self.average: Average | None = None
        self.is_lost = [False] * len(self.descents)
        self._map: Callable[..., Iterable[Any]] = map
        self._n_jobs = min(n_jobs, len(self.descents))

    @contextmanager
    def side_by_side(self) -> Iterator[None]:
        """Have threads for the epochs that are taken within."""
        if self._n_jobs == 1:
            yield
            return
        with ThreadPoolExecutor(self._n_jobs) as threads:
            self._map = threads.map
            try:
                yield
            finally:
                self._map = map

    @property
    def left(self) -> list[Descent]:
        """The members that are not lost; all where all are."""
        left = [one for one, lost in zip(self.descents, self.is_lost, strict=True) if not lost]
        return left or self.descents

    @property
    def order(self) -> np.ndarray:
        """The rows of all members, one after another, in the order of the last epoch."""
        return np.concatenate([descent.order for descent in self.left])

    @property
    def rate(self) -> float:
        """The rate of the next epoch."""
        return self.left[0].rate

    @property
    def solver(self) -> Solver:
        """The solver of the first member: all are at the same rate, if none was halved."""
        return self.left[0].solver

    def each(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> list[Any]:
        """Call a function with each descent, and one of each of further arguments."""
        return list(self._map(function, self.descents, *arguments))

    def epoch(self, epochs_before: int) -> float:
        """Take an epoch of each; return their mean objective, NaN where all are lost."""
        rates = [descent.schedule.rate_init for descent in self.descents]
        found = self.each(partial(_epoch, epochs_before=epochs_before), self.is_lost)
        halved = [
            f"{j + 1} (now at {descent.schedule.rate_init:.3g})"
            for j, descent in enumerate(self.descents)
            if descent.schedule.rate_init < rates[j] and math.isfinite(found[j])
        ]
        lost = [
            str(j + 1)
            for j, was_lost in enumerate(self.is_lost)
            if not was_lost and not math.isfinite(found[j])
        ]
        self.is_lost = [not math.isfinite(loss) for loss in found]
        if all(self.is_lost):
            return math.nan
        where = f"of {len(self.descents)} diverged in epoch {epochs_before + 1}"
        if halved:
            warn(
                f"Member {', '.join(halved)} {where}: it takes that epoch again with a new solver "
                "and half the rate.",
                RuntimeWarning,
            )
        if lost:
            warn(
                f"Member {', '.join(lost)} {where}, and at half the rate, {HALVINGS} times: it is "
                "left out, and the others go on.",
                RuntimeWarning,
            )
        return float(np.mean([loss for loss in found if math.isfinite(loss)]))

    def over_all_rows(self) -> float:
        """Return the mean of the objectives of theta, as it stands, over their training rows."""
        return float(np.mean(self.each(Descent.over_all_rows)))

    def after_epoch(self, samples_seen: int) -> None:
        """Set the rate of the next epoch."""
        for descent in self.descents:
            descent.after_epoch(samples_seen)

    def slow_down(self) -> float | None:
        """Set the rate where nothing improves any more; return it, or None to stop."""
        return self.each(Descent.slow_down)[0]

    def culprit(self, theta: np.ndarray) -> str | None:
        """Say which activation is not finite at finite pre-activations, if one is."""
        found = self.each(Descent.culprit, theta.reshape(len(self.descents), -1))
        return next(filter(None, found), None)

    def restart(self) -> None:
        """Begin anew, at half the rate."""
        for descent in self.descents:
            descent.restart()


def _epoch(descent: Descent, is_lost: bool, epochs_before: int) -> float:
    """Take an epoch, again at half the rate where it diverges; NaN where it always does."""
    theta = descent.objective.theta
    before, halvings = theta.copy(), 0
    while not is_lost:
        loss = descent.epoch(epochs_before)
        if math.isfinite(loss):
            return loss
        theta[...] = before
        is_lost = halvings == HALVINGS
        if not is_lost:
            halvings += 1
            descent.restart()
    return math.nan


def thetas(n_members: int, n_parameters: int, dtype: Any) -> tuple[np.ndarray, list[np.ndarray]]:
    """Make one vector for the parameters of all members, and view each member's part.

    >>> theta, parts = thetas(2, 3, np.float32)
    >>> parts[1][...] = 1.0
    >>> theta
    array([0., 0., 0., 1., 1., 1.], dtype=float32)
    """
    theta = aligned(n_members * n_parameters, dtype)
    theta[...] = 0
    return theta, list(theta.reshape(n_members, n_parameters))
