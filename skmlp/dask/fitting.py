"""A fit over shares: posed, begun, summed and averaged on the client, which never sees a row.

The law: what a local fit finds in all rows is found by its own code, on a worker that is given the
targets (never the inputs) of all partitions in their order; sums over shares are taken in the order
of the shares. So what is exact for one share is exact for any number, but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from math import ceil, isfinite, nan
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_random_state

from ..engine.memory import aligned
from ..engine.words import shown
from ..estimators.data import Data, are_given
from ..estimators.perceptron import Given
from ..estimators.prediction import Fitted
from ..estimators.settings import Settings
from ..estimators.starts import Problem, Start
from ..training.loops import Descent, Stepping, copied
from ..training.objective import LossGraph, Objective
from ..training.solvers import Adam
from ..training.state import State
from ..training.warn import warn
from .partitions import aligned_partitions
from .rows import (
    Begun,
    Brief,
    Judge,
    Part,
    Stretch,
    Summary,
    asked,
    batch_of,
    begun,
    compared,
    dealt,
    encoded,
    held_of,
    judged,
    picked,
    problem_of,
    read_part,
    report,
    share_of,
    told_of,
    without_inputs,
)
from .session import Placed, Session, packages

# == posed =========================================================================================


@dataclass(frozen=True, eq=False)
class Spread(Data):
    """Rows that are spread over workers; X and Y are as wide as theirs, and have none.

    Attributes
    ----------
    shares : list of Placed
        The shares that have training rows.
    counts : list of int
        How many those are.
    holders : list of Placed
        The shares that have rows set aside.
    judge : Judge or None
        Who scores, on the cluster, and the rows that are scored on.
    largest_input : float
        The largest absolute input.
    """

    session: Session
    brief: Brief
    begun: Begun
    shares: list[Placed]
    counts: list[int]
    holders: list[Placed]
    largest_input: float
    judge: tuple[Any, list[Placed]] | None = None

    @property
    def largest(self) -> float:
        """The largest absolute input."""
        return self.largest_input

    @property
    def n_rows(self) -> int:
        """The number of training rows."""
        return sum(self.counts)

    @property
    def fractions(self) -> np.ndarray:
        """The share of all training rows that each share has."""
        return np.array(self.counts) / self.n_rows

    def check_rows(self) -> None:
        """Nothing: it was checked where the fit began."""

    def ask(self, method: str, *common: Any, each: Any = None) -> list[Any]:
        """Ask all shares, in their order."""
        return self.session.ask(self.shares, method, *common, each=each)

    def scores(self, theta: np.ndarray) -> dict[str, float]:
        """Score the network: raw outputs where the rows are, the score where the targets are."""
        assert self.judge is not None
        session, (judge, held) = self.session, self.judge
        is_by_rows = callable(self.brief.settings.scoring)  # the judge has them then
        raws = [] if is_by_rows else held
        futures = [
            session.submit(asked, one.future, "raw", (theta,), worker=one.worker) for one in raws
        ]
        try:
            futures.append(session.submit(judged, judge.future, theta, *futures))
            return session.results(futures[-1:])[0]
        finally:
            session.drop(futures)

    def why_worse(self, theta: np.ndarray, state: State) -> str | None:
        """Say that a fit is worse than a constant, and why."""
        session = self.session
        some = [session.submit(picked, x.future, "compared", worker=x.worker) for x in self.shares]
        parts = [session.submit(asked, one, "targets", (), (True,)) for one in some]
        why = session.submit(compared, self.brief, theta, state, *parts)
        try:
            return session.results([why])[0]
        finally:
            session.drop([*some, *parts, why])


def pose(
    session: Session,
    names: BaseEstimator,
    settings: Settings,
    given: Given,
    target_of: Callable[[Any], Any],
    earlier: Fitted | None,
) -> Problem:
    """Check all there is to check, and begin: rows are read, and dealt to their workers."""
    columns = {"X": given.X, "y": given.y, "sample_weight": given.sample_weight}
    parts, summaries = _read(session, names, columns, "Partition", is_first=True)
    whole = _merged(summaries, names)
    vars(names).update(whole.inputs)
    target = target_of(whole.read)
    if whole.is_column:
        warn(
            "A column-vector y was passed when a 1d array was expected: give y of one dimension.",
            DataConversionWarning,
        )
    precision = settings.dtype or (whole.dtype if earlier is None else earlier.precision)
    is_data = settings.initial_output == "data"
    brief = Brief(
        names,
        settings,
        target,
        np.dtype(precision),
        is_weighted=whole.is_weighted or settings.class_weight is not None,
        is_sparse=whole.is_sparse,
        has_scale=is_data if earlier is None else earlier.state.scale is not None,
    )
    problem = brief.problem(brief.no_rows)
    validation = _validation(session, brief, given)
    datas = _encoded(session, brief, parts, "Partition")
    session.drop(part.future for part in parts)
    shares = _shares(datas)
    _check_shares(settings, len(shares))
    lengths = [summary.n_rows for summary in summaries]
    spread = _dealt(session, brief, datas, shares, lengths, earlier, bool(validation))
    judge = _judge(spread, validation)
    return problem._replace(data=replace(spread, judge=judge))


def _read(
    session: Session, names: BaseEstimator, columns: dict[str, Any], where: str, *, is_first: bool
) -> tuple[list[Placed], list[Summary]]:
    """Read partitions where they are or, where they are nowhere yet, in blocks of neighbors."""
    rows, is_persisted = aligned_partitions(columns)
    workers, client = session.workers(), session.client
    read = packages().dask.delayed(read_part, pure=False)
    lazy = [read(names, f"{where} {i}", is_first, *row) for i, row in enumerate(rows)]
    futures: list[Any] = []
    if is_persisted:
        futures = client.compute(lazy)
    else:
        n = min(len(workers), len(lazy))
        edges = [len(lazy) * i // n for i in range(n + 1)]
        for i, worker in enumerate(workers[:n]):
            block = lazy[edges[i] : edges[i + 1]]
            futures += client.compute(block, workers=[worker], allow_other_workers=True)
    for future in futures:
        session.keep(future)
    session.settle(futures, where)
    told: list[Part] = session.results([session.submit(told_of, future) for future in futures])
    for part in told:
        if part.problem is not None:
            raise part.problem
    holders = client.who_has(futures)
    placed = [Placed(future, min(holders.get(future.key) or workers)) for future in futures]
    found = [(place, part.summary) for place, part in zip(placed, told, strict=True)]
    kept = [(place, summary) for place, summary in found if summary is not None]
    if not kept:
        raise ValueError(f"Found array with 0 sample(s) in all {len(rows)} partitions of X.")
    return [place for place, _ in kept], [summary for _, summary in kept]


def _merged(summaries: Sequence[Summary], names: BaseEstimator) -> Summary:
    """Merge what is known of each partition; classes are those of all."""
    first = summaries[0]
    for summary in summaries:
        for what, mine in summary.inputs.items():
            expected: Any = first.inputs.get(what)
            if not np.array_equal(mine, expected) or summary.inputs.keys() != first.inputs.keys():
                raise ValueError(
                    f"Partitions differ in their inputs: {what} is {shown(mine)} in one, and "
                    f"{shown(expected)} in another."
                )
        if summary.is_sparse != first.is_sparse:
            raise ValueError("Some partitions of X are sparse and some are not: make them alike.")
    return first._replace(
        n_rows=sum(summary.n_rows for summary in summaries),
        dtype=np.result_type(*(summary.dtype for summary in summaries)),
        is_weighted=any(summary.is_weighted for summary in summaries),
        read=names._kind.merged([summary.read for summary in summaries]),
    )


def _encoded(session: Session, brief: Brief, parts: Sequence[Placed], where: str) -> list[Placed]:
    """Encode partitions for the target, where they are."""
    encodings = [
        session.place(encoded, brief, f"{where} {i}", part.future, worker=part.worker)
        for i, part in enumerate(parts)
    ]
    checks = [session.submit(problem_of, part.future, worker=part.worker) for part in encodings]
    try:
        session.results(checks)
    finally:
        session.drop(checks)
    return encodings


def _shares(datas: Sequence[Placed]) -> list[list[int]]:
    """Return the numbers of the partitions of each worker."""
    found: dict[str, list[int]] = {}
    for i, data in enumerate(datas):
        found.setdefault(data.worker, []).append(i)
    return list(found.values())


def _check_shares(settings: Settings, n_shares: int) -> None:
    """Refuse what takes all rows at once where they are on several workers."""
    if settings.takes_all_rows and n_shares > 1:
        raise ValueError(
            f"normalization={settings.normalization!r} with solver='lbfgs' takes the mean over all "
            f"rows at once, and they are on {n_shares} workers: take 'layer', a stochastic solver "
            "or one worker."
        )


def _dealt(
    session: Session,
    brief: Brief,
    datas: Sequence[Placed],
    shares: list[list[int]],
    lengths: list[int],
    earlier: Fitted | None,
    is_validated: bool,
) -> Spread:
    """Begin the fit where the targets of all rows are brought together, and deal the rows out."""
    settings = brief.settings
    random = check_random_state(settings.random_state)
    futures = [data.future for data in datas]
    if not brief.starts_on_data:
        futures = [session.submit(without_inputs, x.future, worker=x.worker) for x in datas]
    sent = futures if _needs_targets(brief, is_validated) else []
    beginning = session.submit(
        begun, brief, deepcopy(random), earlier, is_validated, shares, lengths, *sent
    )
    found: Begun = session.results([session.submit(report, beginning)])[0]
    if not isinstance(settings.random_state, (int, np.integer)):
        random.set_state(found.start.random.get_state())
    for message, category in found.warnings:
        warn(message, category)
    placed = []
    for i, numbers in enumerate(shares):
        worker = datas[numbers[0]].worker
        deal = session.submit(dealt, beginning, i)  # kept: so nobody else's rows are read again
        own = [datas[number].future for number in numbers]
        placed.append(session.place(share_of, brief, deal, *own, worker=worker))
    largest_input = max(session.ask(placed, "largest"))
    dropped = {future.key: future for future in (beginning, *futures, *(x.future for x in datas))}
    session.drop(dropped.values())
    busy = [i for i, (n_train, _) in enumerate(found.counts) if n_train]
    session.rounds = session.sent = session.received = 0
    return Spread(
        **vars(brief.no_rows),
        session=session,
        brief=brief,
        begun=found,
        shares=[placed[i] for i in busy],
        counts=[found.counts[i][0] for i in busy],
        holders=[one for one, (_, n) in zip(placed, found.counts, strict=True) if n],
        largest_input=largest_input,
    )


def _needs_targets(brief: Brief, is_validated: bool) -> bool:
    """Tell whether a fit begins with something that is found in the targets of all rows."""
    settings = brief.settings
    is_numbers = brief.target.usual == "numbers"
    return (
        brief.has_scale
        or brief.is_weighted
        or brief.starts_on_data
        or (settings.early_stopping and not is_validated and not is_numbers)
        or (is_numbers and brief.precision == np.float32)
    )


def _validation(session: Session, brief: Brief, given: Given) -> list[Placed]:
    """Read the rows that were given to validate on, if any."""
    columns = {name: getattr(given, name) for name in ("X_val", "y_val", "sample_weight_val")}
    if not are_given(*columns.values()):
        return []
    where = "The validation data, X_val and y_val: partition"
    parts, _ = _read(session, brief.names, columns, where, is_first=False)
    datas = _encoded(session, brief, parts, where)
    session.drop(part.future for part in parts)
    return datas


def _judge(spread: Spread, validation: Sequence[Placed]) -> tuple[Any, list[Placed]] | None:
    """Bring together, on one worker, what scores are computed of."""
    session, brief, state = spread.session, spread.brief, spread.begun.start.state
    held, place = list[Placed](), session.place
    if brief.settings.scoring is not None:
        held += [place(picked, x.future, "scored", worker=x.worker) for x in spread.shares]
    n_training = len(held)
    held += [place(held_of, brief, state, x.future, worker=x.worker) for x in validation]
    if not validation and brief.settings.early_stopping:
        held += [place(picked, x.future, "held_out", worker=x.worker) for x in spread.holders]
    if not held:
        return None
    is_by_rows = callable(brief.settings.scoring)
    targets = [session.submit(asked, x.future, "targets", (), (is_by_rows,)) for x in held]
    judge = session.submit(Judge, brief, state, n_training, *targets)
    session.results([session.submit(asked, judge, "check", (spread.begun.start.theta,))])
    session.drop(targets)
    return Placed(judge, ""), held


# == summed ========================================================================================


class Summed(Objective):
    """The objective over all shares: what each says of its rows, added up in their order."""

    def __init__(self, spread: Spread, graph: LossGraph, start: Start) -> None:
        self._spread = spread
        alpha, scale = spread.begun.alpha, start.state.scale
        super().__init__(graph, start.theta, spread.X, spread.Y, None, alpha, scale)

    def attach(self, X: Any, Y: np.ndarray, weights: Any, alpha: float) -> None:  # noqa: ARG002
        """Set the strength of the penalty; rows are elsewhere."""
        self._alpha, self._n_rows = float(alpha), 0
        self.penalties = self._penalties

    def data_term(self, rows: Any) -> float:
        """Compute the objective without its penalty, and its gradient."""
        self._count(len(rows))
        answers = self._spread.ask("evaluated", self.theta)
        values, gradients = zip(*answers, strict=True)
        self.gradient[...] = _mean(gradients, self._spread.fractions)
        return _sum(values, self._spread.fractions)

    def prediction_term(self, rows: Any) -> float:
        """Compute the objective without its penalty, with the network as it predicts."""
        self._count(len(rows))
        return _sum(self._spread.ask("predicted", self.theta), self._spread.fractions)

    def observe(self, rows: Any) -> None:
        """Make the running statistics those of all rows, or the mean of those of first batches."""
        if self.has_statistics:
            is_whole = len(rows) == self._spread.n_rows
            found = self._spread.ask("observed", self.theta, is_whole)
            self.theta[...] = _mean(found, self._spread.fractions)

    def culprit(self, theta: np.ndarray, rows: Any) -> str | None:  # noqa: ARG002
        """Say which activation is not finite at finite pre-activations, if one is."""
        return next(filter(None, self._spread.ask("culprit", theta)), None)


def _sum(values: Sequence[float], fractions: np.ndarray) -> float:
    return float(sum(fraction * value for fraction, value in zip(fractions, values, strict=True)))


def _mean(arrays: Sequence[np.ndarray], fractions: np.ndarray) -> np.ndarray:
    """Return the weighted mean of arrays, added up in float64 and in their order."""
    total = fractions[0] * arrays[0].astype(np.float64)
    for fraction, array in zip(fractions[1:], arrays[1:], strict=True):
        total += fraction * array
    return total


# == averaged ======================================================================================


class SharedDescent(Descent):
    """Local steps on every share and, after so many of them, the mean of all.

    Stich, "Local SGD converges fast and communicates little", ICLR 2019, arXiv:1805.09767. Solver
    states, and averages of parameters, are averaged as parameters are; each share counts as
    many times as it has gone through rows since the last mean. The largest share takes `sync_every`
    steps between two means; the others take theirs in as many parts.
    """

    def __init__(
        self,
        spread: Spread,
        sync_every: int | str,
        objective: Objective,
        rows: Any,
        state: State,
        how: Stepping,
    ) -> None:
        super().__init__(objective, rows, state, how)
        self._spread, self._tour = spread, 0
        self._noise: list[Any] = [None] * len(spread.shares)
        settings = spread.brief.settings
        steps = max(ceil(n / batch_of(settings, n, spread.n_rows)) for n in spread.counts)
        # On a W-th of a batch adam's quotient of moments, where noise is most of them, is a root of
        # W smaller; the mean over shares does not make up for it.
        is_adam = settings.solver is not None and issubclass(settings.solver, Adam)
        self._faster = float(np.sum(spread.fractions**2) ** -0.5) if is_adam else 1.0
        self._n_parts = 1 if sync_every == "epoch" else ceil(steps / int(sync_every))

    def epoch(self, epochs_before: int) -> float:
        """Go through all rows once; return the mean objective, NaN as soon as one is not finite."""
        self._tour += 1
        totals, theta = [0.0] * len(self._spread.shares), self.objective.theta
        for i in range(self._n_parts):
            found: list[Stretch] = self._spread.ask(
                "descended",
                theta,
                self.solver,
                self.average,
                self.rate * self._faster,
                self._tour,
                epochs_before,
                (i, self._n_parts),
                each=list(zip(totals, self._noise, strict=True)),
            )
            totals = [stretch.total for stretch in found]
            if not isfinite(sum(totals)):
                return nan
            self._noise = [stretch.noise for stretch in found]
            self._average(found)
        return sum(totals) / self._spread.n_rows if np.isfinite(theta).all() else nan

    def _average(self, found: Sequence[Stretch]) -> None:
        """Put the mean of all shares in place."""
        found = [stretch for stretch in found if stretch.n_rows]
        rows = np.array([stretch.n_rows for stretch in found])
        fractions = rows / np.sum(rows)
        self.objective.theta[...] = _mean([stretch.theta for stretch in found], fractions)
        self.solver = _averaged([stretch.solver for stretch in found], fractions)
        self.solver.rate /= self._faster
        if self.average is not None:
            self.average = _averaged([stretch.average for stretch in found], fractions)


def _averaged(many: Sequence[Any], fractions: np.ndarray) -> Any:
    """Return the mean of solvers, or averages; the steps are those of the one with the most."""
    mean = copied(max(many, key=lambda one: one.steps))
    for name, array in vars(mean).items():
        if isinstance(array, np.ndarray):
            array[...] = _mean([vars(one)[name] for one in many], fractions)
    return mean


def started(spread: Spread) -> Start:
    """Return where training starts, with parameters of the client's own."""
    start = spread.begun.start
    theta = aligned(start.theta.shape, start.theta.dtype)
    theta[...] = start.theta
    rows: Any = range(spread.n_rows)  # as many as there are; which ones, the shares know
    return start._replace(theta=theta, state=replace(start.state, train=rows))
