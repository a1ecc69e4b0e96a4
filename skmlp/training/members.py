"""Members: networks of one shape that are trained side by side, as one theta.

The law: the parameters of all members are one flat vector, one member after another, and an epoch
is an epoch of each. So what holds for one network (when training ends, which parameters are kept,
what an interruption leaves) holds for all of them together, by the same loop. Each member has its
own rows, generator and solver and shares nothing that changes, so no bit depends on the process
that holds it; and one that diverges takes no other one with it.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from .loops import Descent
from .processes import Holder
from .solvers import Average
from .warn import warn

HALVINGS = 5


class Taken(NamedTuple):
    """What is known of a member's epoch.

    Attributes
    ----------
    loss : float
        Its mean objective, NaN where the member is lost.
    rate_init : float
        The rate that its schedule starts from now.
    rate : float
        That of its last step.
    n_rows : int
        How many rows it went through.
    """

    loss: float
    rate_init: float
    rate: float
    n_rows: int


class Members:
    """Descents that take their epochs together; to the loop over epochs, one descent.

    A member whose loss or parameters are not finite takes that epoch again at half its rate, as
    often as `HALVINGS` says; after that it is lost, and the others go on.

    Parameters
    ----------
    descents : Holder
        What holds a `Descent` for each member; their objectives' thetas are the rows of one array.
    n_members : int
        How many those are.
    first_rate : float
        The rate that their schedules begin with.
    ends_at_zero : bool
        Whether these end by themselves.

    Attributes
    ----------
    is_lost : list of bool
        Whether a member has diverged for good.
    n_rows : int
        How many rows all members went through in the last epoch.
    rate, last_rate : float
        The rate to begin with, halved where all began anew; that of the last step of the first
        member that is left, since all are at the same one if none was halved.
    """

    def __init__(
        self, descents: Holder, n_members: int, first_rate: float, *, ends_at_zero: bool
    ) -> None:
        self.descents, self.n_members = descents, n_members
        self.first_rate, self.ends_at_zero = first_rate, ends_at_zero
        self.average: Average | None = None
        self.is_lost = [False] * n_members
        self.n_rows, self.rate, self.last_rate = 0, first_rate, first_rate
        self._rates = [first_rate] * n_members

    def epoch(self, epochs_before: int) -> float:
        """Take an epoch of each; return their mean objective, NaN where all are lost."""
        took: list[Taken] = self.descents.each(
            partial(_epoch, epochs_before=epochs_before), self.is_lost
        )
        left = [taken for taken in took if math.isfinite(taken.loss)]
        if not left:  # who was not lost before is what training goes back to
            return math.nan
        halved = [
            f"{j + 1} (now at {taken.rate_init:.3g})"
            for j, taken in enumerate(took)
            if taken.rate_init < self._rates[j] and math.isfinite(taken.loss)
        ]
        lost = [
            str(j + 1)
            for j, taken in enumerate(took)
            if not (self.is_lost[j] or math.isfinite(taken.loss))
        ]
        self.is_lost = [not math.isfinite(taken.loss) for taken in took]
        self._rates = [taken.rate_init for taken in took]
        self._warn(epochs_before, halved, lost)
        self.n_rows, self.last_rate = sum(taken.n_rows for taken in left), left[0].rate
        return float(np.mean([taken.loss for taken in left]))

    def _warn(self, epochs_before: int, halved: list[str], lost: list[str]) -> None:
        where = f"of {self.n_members} diverged in epoch {epochs_before + 1}"
        if halved:
            warn(
                f"Member {', '.join(halved)} {where}, and took that epoch again with a new solver "
                "and half the rate.",
                RuntimeWarning,
            )
        if lost:
            warn(
                f"Member {', '.join(lost)} {where}, and at half the rate, {HALVINGS} times: it is "
                "left out, and the others go on.",
                RuntimeWarning,
            )

    def over_all_rows(self) -> float:
        """Return the mean of the objectives of theta, as it stands, over their training rows."""
        return float(np.mean(self.descents.each(Descent.over_all_rows)))

    def after_epoch(self, samples_seen: int) -> None:
        """Set the rate of the next epoch."""
        self.descents.each(Descent.after_epoch, [samples_seen] * self.n_members)

    def slow_down(self) -> float | None:
        """Set the rate where nothing improves any more; return it, or None to stop."""
        return self.descents.each(Descent.slow_down)[0]

    def culprit(self, theta: np.ndarray) -> str | None:
        """Say which activation is not finite at finite pre-activations, if one is."""
        found = self.descents.each(Descent.culprit, theta.reshape(self.n_members, -1))
        return next(filter(None, found), None)

    def restart(self) -> None:
        """Begin anew, at half the rate."""
        self.rate *= 0.5
        self.descents.each(Descent.restart)


def _epoch(descent: Descent, is_lost: bool, epochs_before: int) -> Taken:
    """Take an epoch, again at half the rate where it diverges; NaN where it always does."""
    theta = descent.objective.theta
    before, loss = theta.copy(), math.nan
    for attempt in range(0 if is_lost else 1 + HALVINGS):
        if attempt > 0:
            descent.restart()
        loss = descent.epoch(epochs_before)
        if math.isfinite(loss):
            break
        theta[...] = before
    return Taken(loss, descent.schedule.rate_init, descent.last_rate, descent.n_rows)
