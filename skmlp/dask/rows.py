"""Rows on their workers: what a partition is read into, and what its worker computes of it.

The law: everything here runs on a worker, as a task whose arguments say all: run again, on another
worker, it answers the same. What is kept between two calls is made anew where it is missing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import ceil
from threading import RLock
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from ..engine import filled, running
from ..estimators.baseline import compared_rows, why_worse_than_constant
from ..estimators.data import (
    Data,
    Samples,
    evenly_spaced,
    inputs_of,
    read_samples,
    stand_in,
)
from ..estimators.perceptron import check_batches, published, score_of, traced
from ..estimators.prediction import Fitted
from ..estimators.scoring import (
    SCORED_ROWS,
    Score,
    ValidationSplit,
    check_enough,
    check_scores,
    sample_of,
    scores_of,
)
from ..estimators.settings import Settings
from ..estimators.starts import Problem, Start, continued, fresh
from ..training.loops import Descent, copied
from ..training.objective import LossGraph, Objective
from ..training.orders import shuffled
from ..training.solvers import Average, Solver
from ..training.state import State

# == partitions, read ==============================================================================


class Summary(NamedTuple):
    """What the client learns of a partition.

    Attributes
    ----------
    n_rows : int
        How many rows there are.
    inputs : dict of str to object
        The number, and the names, of the inputs.
    dtype : dtype
        That of the inputs.
    is_sparse, is_weighted, is_column : bool
        Whether inputs are sparse, rows are weighted, targets are one column of a matrix.
    read : ndarray or Labels
        What was read in y, without its rows.
    """

    n_rows: int
    inputs: dict[str, Any]
    dtype: np.dtype[Any]
    is_sparse: bool
    is_weighted: bool
    is_column: bool
    read: Any


class Part(NamedTuple):
    """A partition that was read; `problem` says what is wrong with it."""

    samples: Samples | None = None
    summary: Summary | None = None
    problem: Exception | None = None


def n_rows_of(partition: Any) -> int:
    """Return the number of rows of a partition; a sparse matrix has no length."""
    return int(partition.shape[0]) if hasattr(partition, "shape") else len(partition)


def read_part(names: BaseEstimator, where: str, is_first: bool, X: Any, y: Any, w: Any) -> Part:
    """Read a partition as `fit` reads its samples; one without rows is none."""
    n_rows = n_rows_of(X)
    if not n_rows:
        return Part()
    names = stand_in(names)
    try:
        samples = read_samples(names, X, y, w, names._kind, reset=is_first)
    except (ValueError, TypeError) as error:
        return Part(problem=type(error)(f"{where}: {error}"))
    read = samples.read
    is_column = getattr(y, "ndim", np.ndim(y)) == 2 and samples.y.ndim == 1
    read = read[:0] if isinstance(read, np.ndarray) else read._replace(y=read.y[:0])
    summary = Summary(
        n_rows,
        inputs_of(names),
        samples.X.dtype,
        not isinstance(samples.X, np.ndarray),
        samples.weights is not None,
        is_column,
        read,
    )
    return Part(samples, summary)


def told_of(part: Part) -> Part:
    """Return what the client is told of a partition."""
    return part._replace(samples=None)


# == what workers have to know =====================================================================


@dataclass(frozen=True, eq=False)
class Brief:
    """What a fit is to do, for whoever has rows.

    Attributes
    ----------
    names : estimator
        The local estimator, not fitted, with its parameters and the names of its inputs.
    settings : Settings
        What the parameters say.
    target : Classes or Numbers
        What y means.
    precision : dtype
        That of training.
    is_weighted, is_sparse, has_scale : bool
        Whether rows are weighted, inputs sparse, outputs in the scale of the data.
    """

    names: BaseEstimator
    settings: Settings
    target: Any
    precision: np.dtype[Any]
    is_weighted: bool
    is_sparse: bool
    has_scale: bool

    @property
    def n_inputs(self) -> int:
        """The number of the inputs."""
        return vars(self.names)["n_features_in_"]

    @property
    def graph(self) -> LossGraph:
        """The data term of the objective."""
        return traced(
            self.settings,
            self.target,
            self.n_inputs,
            is_weighted=self.is_weighted,
            is_sparse=self.is_sparse,
            has_scale=self.has_scale,
        )

    def problem(self, data: Data, split: ValidationSplit | None = None) -> Problem:
        """Say what the fit is to do with some rows."""
        return Problem(self.settings, data, self.target, self.graph, split, None, self.names)

    @property
    def starts_on_data(self) -> bool:
        """Whether some layer starts on inputs."""
        return any(layer.starts_on_data for layer in self.graph.network.sequence)

    @property
    def no_rows(self) -> Data:
        """Rows as wide as those of the fit, of which there are none."""
        X = np.empty((0, self.n_inputs), self.precision)
        Y = np.empty((0, self.target.n_targets), self.precision)
        return Data(X, Y, None, Y, self.precision)

    def fitted(self, theta: np.ndarray, state: State) -> BaseEstimator:
        """Return the local estimator with these parameters."""
        estimator = stand_in(self.names)
        vars(estimator).update(published(self.problem(self.no_rows), theta, state, state))
        vars(estimator).pop("feature_names_in_", None)  # rows are arrays by now
        return estimator


def encoded(brief: Brief, where: str, part: Part) -> Data | Exception:
    """Encode a partition for the target, or return what is wrong with it."""
    assert part.samples is not None
    try:
        return part.samples.encoded(brief.target, brief.precision, is_scaled=brief.has_scale)
    except (ValueError, TypeError) as error:
        return type(error)(f"{where}: {error}")


def problem_of(data: Data | Exception) -> Exception | None:
    """Return what is wrong with a partition, if something is."""
    return data if isinstance(data, Exception) else None


def joined(parts: Sequence[Data]) -> Data:
    """Join the rows of several parts."""
    if len(parts) == 1:
        return parts[0]
    weights = [part.weights for part in parts]
    are_weighted = any(w is not None for w in weights)
    known = [np.ones(len(p.Y)) if p.weights is None else p.weights for p in parts]
    return Data(
        stacked([part.X for part in parts]),
        np.concatenate([part.Y for part in parts]),
        np.concatenate(known) if are_weighted else None,
        stacked([part.y for part in parts]),
        parts[0].precision,
    )


def stacked(arrays: Sequence[Any]) -> Any:
    """Put arrays, or sparse matrices, one below the other."""
    if isinstance(arrays[0], np.ndarray):
        return np.concatenate(arrays)
    return sparse.vstack(arrays, format="csr")


def without_inputs(data: Data) -> Data:
    """Return rows without their inputs, to be sent to another worker."""
    return replace(data, X=np.empty((len(data.Y), 0), data.precision))


# == how a fit begins ==============================================================================


class Deal(NamedTuple):
    """What a share is dealt when the fit begins; rows are numbers within the share.

    Attributes
    ----------
    weights : ndarray of shape (n,) or None
        Weights of its rows, of mean 1 over all training rows.
    train, held_out, scored, compared : ndarray of int
        The rows that are trained on, set aside, scored on, and compared with a constant's.
    alpha : float
        Its part of the strength of the L2 term, over the mean of all weights.
    batch_size : int
        Its part of a batch.
    state : State
        Where training stands, without rows.
    random : RandomState
        What shuffles.
    """

    weights: np.ndarray | None
    train: np.ndarray
    held_out: np.ndarray
    scored: np.ndarray
    compared: np.ndarray
    alpha: float
    batch_size: int
    state: State
    random: np.random.RandomState


class Begun(NamedTuple):
    """A fit that has begun.

    Attributes
    ----------
    start : Start
        Parameters, state and generator, without rows.
    counts : list of (int, int)
        How many rows each share trains on, and how many it has set aside.
    alpha : float
        The strength of the L2 term, over the mean of all weights.
    """

    start: Start
    deals: list[Deal]
    counts: list[tuple[int, int]]
    alpha: float
    warnings: list[tuple[str, type[Warning]]]


def begun(
    brief: Brief,
    random: np.random.RandomState,
    earlier: Fitted | None,
    is_validated: bool,
    shares: Sequence[Sequence[int]],
    lengths: Sequence[int],
    *parts: Data,
) -> Begun | Exception:
    """Begin a fit on what has to be known of all rows, by the very steps of a local fit.

    `parts` are all partitions, without inputs, in their order, or none where nothing has to be
    known of their rows; `shares` are the partitions of each share.
    """
    brief = replace(brief, settings=replace(brief.settings, random_state=deepcopy(random)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = _begun(brief, earlier, is_validated, shares, lengths, parts)
        except (ValueError, TypeError) as error:
            return error
    told = [(str(w.message), w.category) for w in caught]
    return found._replace(warnings=told)


def _begun(
    brief: Brief,
    earlier: Fitted | None,
    is_validated: bool,
    shares: Sequence[Sequence[int]],
    lengths: Sequence[int],
    parts: Sequence[Data],
) -> Begun:
    settings, target, n = brief.settings, brief.target, sum(lengths)
    if parts:
        data = joined(parts)
        target.check_precision(data, is_scaled=brief.has_scale)
        if settings.class_weight is not None:
            data = data.weighed(target, settings.class_weight)
    else:
        Y = np.broadcast_to(np.zeros(1), (n, target.n_targets))
        data = Data(np.empty((n, 0), brief.precision), Y, None, Y, brief.precision)
    data.check_rows()
    split = None
    if settings.early_stopping and not is_validated:
        split = ValidationSplit(data, target.strata(data.Y), settings.validation_fraction)
    problem = brief.problem(data, split)
    start = fresh(problem) if earlier is None else continued(problem, earlier)
    weights, mean = data.normalized_weights(start.state.training_rows)
    alpha = settings.alpha / mean
    deals = _dealt(problem, start, weights, alpha, shares, np.cumsum([0, *lengths]))
    for deal in deals:
        if len(deal.train):
            check_batches(replace(settings, batch_size=deal.batch_size), len(deal.train))
    state = replace(start.state, train=None, held_out=None)
    counts = [(len(deal.train), len(deal.held_out)) for deal in deals]
    return Begun(start._replace(state=state), deals, counts, alpha, [])


def _dealt(
    problem: Problem,
    start: Start,
    weights: np.ndarray | None,
    alpha: float,
    shares: Sequence[Sequence[int]],
    starts: np.ndarray,
) -> list[Deal]:
    """Deal rows out: numbers among all rows become numbers within a share."""
    state, settings = start.state, problem.settings
    train, n = state.training_rows, len(state.training_rows)
    nothing = train[:0]
    asked = (
        train,
        nothing if state.held_out is None else state.held_out,
        nothing if settings.scoring is None else evenly_spaced(train, SCORED_ROWS),
        compared_rows(train, settings.max_iter),
    )
    state = replace(state, train=None, held_out=None)
    seeds = deepcopy(start.random).randint(1 << 32, size=(len(shares), 4), dtype=np.uint32)
    everywhere = [
        np.concatenate([np.arange(starts[p], starts[p + 1]) for p in own]) for own in shares
    ]
    owner, place = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int64)
    for i, rows in enumerate(everywhere):
        owner[rows], place[rows] = i, np.arange(len(rows))
    deals = []
    for i, rows in enumerate(everywhere):
        # the only share of a fit is shuffled as a local fit's rows are
        random = deepcopy(start.random) if i == 0 else np.random.RandomState(seeds[i])
        given = None if weights is None else weights[rows]
        own = [place[numbers[owner[numbers] == i]] for numbers in asked]
        part = len(own[0]) / n
        size = batch_of(settings, len(own[0]), n)
        deals.append(Deal(given, own[0], own[1], own[2], own[3], alpha * part, size, state, random))
    return deals


def batch_of(settings: Settings, n_rows: int, n_all: int) -> int:
    """Return a share's part of a batch: then an epoch has as many steps as a local fit's."""
    return max(1, round(settings.batch_rows(n_all) * n_rows / n_all))


def report(begun: Begun | Exception) -> Begun | Exception:
    """Return what the client is told of the beginning."""
    return begun if isinstance(begun, Exception) else begun._replace(deals=[])


def dealt(begun: Begun, i: int) -> Deal:
    """Return what a share is dealt."""
    return begun.deals[i]


# == shares ========================================================================================


class Stretch(NamedTuple):
    """How a share comes back from some steps: its parameters, their average, its solver.

    Attributes
    ----------
    total : float
        The total of the objectives of its batches times their rows, in this epoch so far.
    n_rows : int
        The rows of these steps.
    noise : dict or None
        The state of the generator of its noise.
    """

    theta: np.ndarray
    solver: Solver
    average: Average | None
    total: float
    n_rows: int
    noise: dict[str, Any] | None


class Share:
    """The rows of one worker, what they were dealt, and the objective over them."""

    def __init__(self, brief: Brief, deal: Deal, data: Data) -> None:
        self.brief, self.deal, self.data = brief, deal, data
        self._lock = RLock()  # a worker may have several threads
        self._tour: tuple[int, np.ndarray, np.random.RandomState] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Share, (self.brief, self.deal, self.data)

    def __sizeof__(self) -> int:
        X = self.data.X
        numbers = X.nbytes if isinstance(X, np.ndarray) else X.data.nbytes + X.indices.nbytes
        return int(numbers + self.data.Y.nbytes)

    @cached_property
    def _objective(self) -> Objective:
        """The objective over its rows."""
        graph, dtype = self.brief.graph, self.brief.precision
        data, weights, scale = self.data, self.deal.weights, self.deal.state.scale
        Y = data.Y.astype(dtype, copy=False) if scale is None else scale.targets(data.Y)
        weights = None if weights is None else weights.astype(dtype)
        theta = filled(graph.network.n_parameters, 0, dtype)
        noise = np.random.default_rng(0) if graph.draws else None
        return Objective(graph, theta, data.X, Y, weights, self.deal.alpha, scale, noise)

    def _at(self, theta: np.ndarray) -> Objective:
        self._objective.theta[...] = theta
        return self._objective

    @property
    def _rows(self) -> np.ndarray:
        """The training rows, in the order of the last epoch."""
        return self.deal.train if self._tour is None else self._tour[1]

    def evaluated(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute the mean loss over its training rows, and the gradient."""
        rows = self.deal.train
        with self._lock, running(), self._objective.threads(len(rows)):
            value = self._at(theta).data_term(rows)
            return value, self._objective.gradient.copy()

    def predicted(self, theta: np.ndarray) -> float:
        """Compute the mean loss over its training rows with the network as it predicts."""
        with self._lock, running(), self._objective.threads(len(self._rows)):
            return self._at(theta).prediction_term(self._rows)

    def observed(self, theta: np.ndarray, is_whole: bool) -> np.ndarray:
        """Return theta with the running statistics of its first batch, or of all its rows."""
        rows = self.deal.train
        if not is_whole:
            rows = rows[: self.deal.batch_size]
        with self._lock, running():
            self._at(theta).observe(rows)
            return self._objective.theta.copy()

    def culprit(self, theta: np.ndarray) -> str | None:
        """Say which activation is not finite at finite pre-activations, if one is."""
        with self._lock:
            return self._objective.culprit(theta, self._rows)

    def largest(self) -> float:
        """Return the largest absolute input."""
        return self.data.largest

    # -- steps -------------------------------------------------------------------------------------

    def descended(
        self,
        theta: np.ndarray,
        solver: Solver | None,
        average: Average | None,
        rate: float,
        tour: int,
        epochs_before: int,
        part: tuple[int, int],
        total: float,
        noise: dict[str, Any] | None,
    ) -> Stretch:
        """Take a part of an epoch's steps, as a local fit on these rows would.

        `tour` counts the times that rows were gone through, from 1; `part` is which part of how
        many the steps are.
        """
        settings = self.brief.settings
        with self._lock:
            first_noise, order = self._ordered(tour)
            objective, n = self._at(theta), len(order)
            stepping = settings.stepping(objective.theta, objective.graph.network, None, n)
            stepping = replace(stepping, batch_size=self.deal.batch_size)
            if objective.random is not None:
                objective.random.bit_generator.state = first_noise if noise is None else noise
            state = State(rate=rate, solver=solver, average=average, order=order)
            descent = Descent(objective, order, state, stepping)
            n_steps = ceil(n / stepping.batch_size)
            ends = (n_steps * i // part[1] * stepping.batch_size for i in (part[0], part[0] + 1))
            first, end = (min(n, rows) for rows in ends)
            with running(), objective.threads(stepping.batch_size):
                total = descent.stretch(epochs_before, first, end, total)
            return Stretch(
                objective.theta.copy(),
                copied(descent.solver),
                None if descent.average is None else copied(descent.average),
                total,
                end - first,
                None if objective.random is None else dict(objective.random.bit_generator.state),
            )

    def _ordered(self, tour: int) -> tuple[Any, np.ndarray]:
        """Return the first state of the noise, and the order of its rows in a tour.

        An order is a shuffle of the one before: on a worker that has not seen those they are gone
        through again, which takes no time beside the steps.
        """
        seed: Any = 0
        random = deepcopy(self.deal.random)
        if self._objective.random is not None:  # drawn first, as a local fit does
            seed = random.randint(1 << 32, size=4, dtype=np.uint32)
        noise = np.random.default_rng(seed).bit_generator.state
        done, order = 0, self.deal.train
        if self._tour is not None and self._tour[0] <= tour:
            done, order, random = self._tour
        for _ in range(tour - done):
            if self.brief.settings.shuffle:
                order = shuffled(order, random)
        self._tour = tour, order, random
        return noise, order


def share_of(brief: Brief, deal: Deal, *parts: Data) -> Share:
    """Make the share of a worker of its partitions."""
    return Share(brief, deal, joined(parts))


def asked(rows: Any, method: str, common: tuple[Any, ...], own: tuple[Any, ...] = ()) -> Any:
    """Ask a share, or whatever else is on a worker; an error of its own is an answer.

    `common` is what all are asked with, `own` what this one alone.
    """
    try:
        return getattr(rows, method)(*common, *own)
    except (ValueError, TypeError) as error:
        return error


# == scores ========================================================================================


class Held:
    """Rows that a network in training is scored on, and the state in which its fit began."""

    def __init__(self, brief: Brief, state: State, data: Data) -> None:
        self.brief, self.state, self.data = brief, state, data

    def raw(self, theta: np.ndarray) -> np.ndarray:
        """Compute the raw outputs of the network as it predicts."""
        estimator = self.brief.fitted(theta, self.state)
        return Fitted(estimator).layer(self.data.X, -1)

    def targets(self, with_inputs: bool) -> Data:
        """Return the rows, with or without their inputs, for the one who judges."""
        return self.data if with_inputs else without_inputs(self.data)


def held_of(brief: Brief, state: State, data: Data) -> Held:
    """Hold rows that were given to validate on."""
    return Held(brief, state, _rows_of(data, data.rows, data.weights))


def _rows_of(data: Data, rows: np.ndarray, weights: np.ndarray | None) -> Data:
    """Pick rows of some data that are weighted so."""
    weights = None if weights is None else weights[rows]
    return Data(data.X[rows], data.Y[rows], weights, data.y[rows], data.precision)


def picked(share: Share, rows: str) -> Held:
    """Pick rows of a share: those set aside, scored on, or compared."""
    deal = share.deal
    data = _rows_of(share.data, getattr(deal, rows), deal.weights)
    return Held(share.brief, deal.state, data)


class Judge:
    """Scores raw outputs of rows that are elsewhere, or rows themselves where a scorer wants them.

    The first `n_training` of the parts are training rows, the others validation rows; they have
    inputs for scorers of the user's alone.
    """

    def __init__(self, brief: Brief, state: State, n_training: int, *parts: Data) -> None:
        self.brief, self.state, self.n_training = brief, state, n_training
        self.training = self._sample(parts[:n_training])
        self.validation = self._sample(parts[n_training:])

    @staticmethod
    def _sample(parts: Sequence[Data]) -> Any:
        if not parts:
            return None
        data = joined(parts)
        return sample_of(data, data.rows)

    def scores(self, theta: np.ndarray, *raws: np.ndarray) -> dict[str, float]:
        """Score the network as it stands, by its raw outputs where nothing else is asked for."""
        training, validation = self.training, self.validation
        fitted, score = self._scoring(theta)
        outputs: Callable[[Any], np.ndarray] = partial(fitted.layer, layer=-1)
        if raws:
            n, outputs = self.n_training, np.asarray
            training = training and training._replace(X=np.concatenate(raws[:n]))
            validation = validation and validation._replace(X=np.concatenate(raws[n:]))
        return scores_of(fitted.answering.head, outputs, score, training, validation)

    def check(self, theta: np.ndarray) -> None:
        """Refuse rows that cannot be scored on, by the network with these parameters."""
        settings, target, some = self.brief.settings, self.brief.target, self.validation
        if some is not None:
            check_enough(len(some.Y), settings.scoring, target)
        if callable(settings.scoring):
            score, scoring = self._scoring(theta)[1], vars(self.brief.names)["scoring"]
            check_scores(score, self.training, some, target, scoring)

    def _scoring(self, theta: np.ndarray) -> tuple[Fitted, Score]:
        """Return the network in training, and how it is scored."""
        brief = replace(self.brief, target=self.brief.target.sorted)  # as metrics take columns
        estimator = brief.fitted(theta, self.state)
        fitted = Fitted(estimator)
        return fitted, score_of(brief.settings.scoring, estimator, fitted.answering)


def judged(judge: Judge, theta: np.ndarray, *raws: Any) -> Any:
    """Score raw outputs, or return the first that is an error instead."""
    wrong = next((raw for raw in raws if isinstance(raw, Exception)), None)
    return asked(judge, "scores", (theta, *raws)) if wrong is None else wrong


def compared(brief: Brief, theta: np.ndarray, state: State, *parts: Data) -> Any:
    """Say that a fit is worse than a constant, and why; None where it is not."""
    data = joined(parts)
    problem = brief.problem(data)
    state = replace(state, train=np.arange(len(data.Y)))
    return why_worse_than_constant(problem, Fitted(brief.fitted(theta, state)), state)
