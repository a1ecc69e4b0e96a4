"""Where training stands, and when it ends.

The law: `State` is everything that a fit goes on from. A warm start, a stream of `partial_fit` and
a resumed fit differ in what they take over of it, and in nothing else. A state is never changed,
only replaced; going on for one more epoch takes the same time after ten epochs and after a million.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np

from .objective import OutputScale
from .solvers import Average, Solver


class History:
    """What is known of every epoch, by name; never changed, only followed by a longer one.

    A longer one shares the numbers of the one before, so growing costs the same at any length,
    and whoever holds the shorter one goes on seeing that.

    Examples
    --------
    >>> begun = History({"loss": [3.0]})
    >>> begun.after({"loss": 2.0, "score": 0.5}).columns()
    {'loss': [3.0, 2.0], 'score': [nan, 0.5]}
    >>> begun.columns()
    {'loss': [3.0]}
    """

    __slots__ = ("_columns", "_length", "_lock")

    def __init__(self, columns: Mapping[str, Sequence[float]] | None = None) -> None:
        self._columns = {name: array("d", values) for name, values in (columns or {}).items()}
        self._length = max(map(len, self._columns.values()), default=0)
        self._lock = Lock()

    def after(self, epoch: Mapping[str, float]) -> History:
        """Return the history with one more epoch."""
        longer = History.__new__(History)
        with self._lock:
            is_longest = all(len(column) == self._length for column in self._columns.values())
            if is_longest and epoch.keys() == self._columns.keys():
                longer._columns, longer._lock = self._columns, self._lock
            else:  # numbers are shared by one history of each length
                gaps = array("d", [math.nan]) * self._length
                names = dict.fromkeys([*self._columns, *epoch])
                longer._columns = {
                    name: self._columns.get(name, gaps)[: self._length] for name in names
                }
                longer._lock = Lock()
            longer._length = self._length + 1
            for name, column in longer._columns.items():
                column.append(epoch.get(name, math.nan))
        return longer

    def __len__(self) -> int:
        return self._length

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def __reduce__(self) -> tuple[Any, ...]:
        return History, (self.columns(),)

    def column(self, name: str) -> list[float]:
        """Return what is known by that name, an empty list where nothing is."""
        return list(self._columns[name][: self._length]) if name in self._columns else []

    def columns(self) -> dict[str, list[float]]:
        """Return all that is known."""
        return {name: self.column(name) for name in self._columns}


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
        The epoch of this fit, or stream, that was the best, from 1; 0 before there is any.
    no_improvement : int
        Epochs in a row without an improvement by more than tol.
    retreats : int
        How often the fit went back to better parameters, at half the rate.
    ending : {"", "converged", "stopped"}
        Why there is no further epoch: nothing improves, or a callback said so.
    """

    n_iter: int = 0
    samples_seen: int = 0
    loss: float = math.nan
    score: float | None = None
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_iter: int = 0
    no_improvement: int = 0
    retreats: int = 0
    ending: str = ""

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
        The number of epochs without one before training ends.
    by_score : bool
        Whether the validation score has to improve, not the objective.
    restore_best : bool
        Whether the best parameters at the end of an epoch are kept instead of the last ones: by
        validation score, where there is one, else by the objective over all training rows.
    retreats : int
        How often a fit that is no longer finite may go back to better parameters.
    max_fun : int
        The most evaluations of lbfgs.
    """

    max_iter: int
    tol: float
    n_iter_no_change: float
    by_score: bool
    restore_best: bool
    retreats: int
    max_fun: int = 15000


@dataclass(frozen=True, eq=False)
class Marks:
    """Parameters that training may come back to.

    Attributes
    ----------
    last : ndarray of shape (n_parameters,)
        Those that the next epoch starts from.
    last_iter : int
        The epoch that ended with them; 0 for those that this fit began with.
    good : ndarray of shape (n_parameters,)
        Those from which the epoch of the smallest loss started: they are known to be good.
    good_iter : int
        The epoch that ended with them.
    good_loss : float
        That loss.
    kept : ndarray of shape (n_parameters,)
        Those to be published.
    merit : float
        How good the best ones so far are; more is better.
    """

    last: np.ndarray
    last_iter: int
    good: np.ndarray
    good_iter: int
    good_loss: float
    kept: np.ndarray
    merit: float

    @classmethod
    def at_start(cls, theta: np.ndarray, merit: float = -math.inf) -> Marks:
        """Return the marks of a fit that starts from theta."""
        start = theta.copy()
        return cls(start, 0, start, 0, math.inf, start, merit)


@dataclass(frozen=True, eq=False)
class State:
    """Everything that training goes on from.

    Attributes
    ----------
    progress : Progress
        How far it has come.
    history : History
        What is known of every epoch of this fit, or stream; losses are those of the raw outputs.
    earlier_losses, earlier_scores : sequence of float
        The objectives and validation scores of the fits before.
    settings : tuple
        The parameters that the solver was made with; with others a stream gets a new one.
    rate : float or None
        The rate of the next epoch.
    solver : Solver or None
        The solver, with its moments.
    average : Average or None
        The average of parameters.
    marks : Marks or None
        The parameters themselves, and others to come back to.
    raw : ndarray of shape (n_parameters,) or None
        The parameters behind an average, for a stream to go on from.
    order : ndarray of int or None
        The training rows in the order of the last epoch.
    train, held_out : ndarray of int or None
        The rows that are trained and validated on, where they were split.
    generators : dict of str to dict
        The state of every random generator, by its name.
    scale : OutputScale or None
        The scale that training works in.
    identity : dict of str to str
        What the fit is, in words, where it is to be resumed.
    """

    progress: Progress = field(default_factory=Progress)
    history: History = field(default_factory=History)
    earlier_losses: Sequence[float] = ()
    earlier_scores: Sequence[float] = ()
    settings: tuple[Any, ...] = ()
    rate: float | None = None
    solver: Solver | None = None
    average: Average | None = None
    marks: Marks | None = None
    raw: np.ndarray | None = None
    order: np.ndarray | None = None
    train: np.ndarray | None = None
    held_out: np.ndarray | None = None
    generators: dict[str, dict[str, Any]] = field(default_factory=dict)
    scale: OutputScale | None = None
    identity: dict[str, str] = field(default_factory=dict)

    @property
    def training_rows(self) -> np.ndarray:
        """The rows that are trained on, of a fit that has begun."""
        assert self.train is not None
        return self.train

    @property
    def losses(self) -> list[float]:
        """The objective of every epoch, those of earlier fits first."""
        return [*self.earlier_losses, *self.history.column("loss")]

    @property
    def scores(self) -> list[float] | None:
        """The validation scores, those of earlier fits first; None where this fit has none."""
        if "validation_score" not in self.history:
            return None
        return [*self.earlier_scores, *self.history.column("validation_score")]

    def finished(self) -> State:
        """Return what is kept of a fit that has ended."""
        return State(
            self.progress, self.history, self.earlier_losses, self.earlier_scores, scale=self.scale
        )

    def restarted(self) -> State:
        """Return the state of a new fit that starts from the same parameters."""
        return State(
            Progress(samples_seen=self.progress.samples_seen),
            earlier_losses=self.losses,
            earlier_scores=self.scores or (),
            scale=self.scale,
        )

    def as_stream(self) -> State:
        """Return what the next part of a stream goes on from, whatever its rows."""
        return replace(
            self,
            progress=replace(self.progress, n_iter=0, ending=""),
            marks=None,
            raw=None if self.average is None or self.marks is None else self.marks.last,
            order=None,
            train=None,
            held_out=None,
            generators={k: v for k, v in self.generators.items() if k != "order"},
        )
