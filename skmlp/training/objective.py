r"""The objective: what training makes small, as a function of theta and of rows of the data.

.. math:: F(\theta; B) = \frac{1}{|B|} \sum_{i \in B} w_i \, \ell(raw_i, y_i)
          + \frac{\alpha}{2 |B|} \lVert W \rVert^2

over a batch B of rows, with the head's loss, weights w of mean 1 over the training set, and W all
of theta that is penalized (`Network.penalized`). The L2 term of a batch is scikit-learn's own. The
data term and its gradient are one program; the penalty is a few lines on the flat vectors. Where
training draws noise or normalizes by the batch, F is that of training; `Objective.predicted` is F
of the network as it predicts.

With an `OutputScale` the network's outputs o, and the targets, are those of a problem of scale 1.
The parameters of the last layer are then those of o.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np

from ..engine import BATCH, Expression, Plan, Program, evaluate, filled, gradient, variable
from ..engine.threads import LEAST, threads_for
from ..engine.values import told
from ..heads import HEADS, Head, Unit
from ..network.network import Network, values_of
from ..network.occasions import STATISTICS_RATE, Noise, Training
from .vectors import CHUNK, blas, chunks_of, common


@dataclass(frozen=True, eq=False)
class OutputScale:
    """The scale of outputs and targets that training works on, where it is that of the data.

    Attributes
    ----------
    start, raw : ndarray of shape (n_raw,)
        The raw outputs of the best constant model of the targets that are trained on, and how far
        they vary: raw outputs are start + raw * the last layer's outputs.
    loss : float
        What losses are divided by: the root mean square of the loss's gradient with respect to
        those outputs, at the start. A step then moves as far whatever the target is measured in.
    shift, scale, raw_shift, raw_scale, loss_shift, loss_scale
        The `Unit` of the targets that are trained on, those of `Head.of_target_unit`.
    is_single : bool
        Whether training has the precision of float32.
    """

    start: np.ndarray
    raw: np.ndarray
    loss: float
    shift: Any = 0.0
    scale: Any = 1.0
    raw_shift: Any = 0.0
    raw_scale: Any = 1.0
    loss_shift: float = 0.0
    loss_scale: float = 1.0
    is_single: bool = False

    @classmethod
    def of(
        cls, head: Head, y: np.ndarray, weights: np.ndarray | None, *, is_single: bool = False
    ) -> Self:
        """Measure it on encoded targets."""
        y = np.asarray(y, np.float64)
        unit, inner = head.target_unit(y, weights), head.of_target_unit()
        if unit is None:
            nothing, rest = np.zeros(y.shape[1]), np.zeros(head.n_raw(y.shape[1]))
            unit = Unit(nothing, nothing + 1, rest, rest + 1)
            inner = head
        u = (y - unit.shift) / unit.scale
        n_raw = head.n_raw(y.shape[1])
        start = _numbers_of(head, "initial_raw", inner.initial_raw(u, weights), n_raw)
        raw = _numbers_of(head, "raw_unit", inner.raw_unit(u, weights), n_raw)
        if np.all(raw == 1) and np.all(np.asarray(inner.raw_unit(2 * u, weights)) == 1):
            loss = 1.0 / unit.loss_scale  # raw outputs have no unit: losses keep theirs
        else:
            squares = np.mean(np.square(slopes_of(inner, start, u) * raw), axis=1)
            loss = float(np.sqrt(np.average(squares, weights=weights)))
            loss = loss if 0 < loss < np.inf else 1.0
        if is_single and not 1e-30 < loss < 1e30:
            raise ValueError(
                f"float32 cannot hold the loss of {head!r}, about {loss:g} in its own units: set "
                "dtype='float64', or give its parameters in units of y."
            )
        return cls(start, raw, loss, **unit._asdict(), is_single=is_single)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision of training."""
        return np.dtype(np.float32 if self.is_single else np.float64)

    @property
    def published_dtype(self) -> np.dtype[Any]:
        """The precision that can hold raw outputs: float64 where those are far from 0."""
        limits, unit = np.finfo(np.float32), self.raw * self.raw_scale
        is_near = np.abs(self.start * self.raw_scale + self.raw_shift) * limits.eps < 1e-4 * unit
        is_held = (unit > limits.tiny / limits.eps) & (unit < 1e-4 * limits.max)
        return self.dtype if np.all(is_near & is_held) else np.dtype(np.float64)

    def targets(self, y: np.ndarray) -> np.ndarray:
        """Return the targets that are trained on, in the precision of training."""
        return ((np.asarray(y, np.float64) - self.shift) / self.scale).astype(self.dtype)

    def raw_outputs(self, outputs: Any) -> Any:
        """Return the raw outputs, in the unit of the target, of the last layer's outputs."""
        return (self.start + self.raw * outputs) * self.raw_scale + self.raw_shift

    def losses(self, trained: float) -> float:
        """Return what is made small as a loss of the target as it was given."""
        return trained * self.loss * self.loss_scale + self.loss_shift

    def fold(self, W: np.ndarray, b: np.ndarray) -> None:
        """Turn the last layer's parameters, in place, into those of the raw outputs."""
        W *= self.raw * self.raw_scale
        b *= self.raw
        b += self.start
        b *= self.raw_scale
        b += self.raw_shift

    def unfold(self, W: np.ndarray, b: np.ndarray) -> None:
        """Undo `fold`, in place."""
        W /= self.raw * self.raw_scale
        b -= self.raw_shift
        b /= self.raw_scale
        b -= self.start
        b /= self.raw


def _numbers_of(head: Head, method: str, found: Any, n_raw: int) -> np.ndarray:
    """Return what a head says of each raw output, or say in a sentence what is wrong with it."""
    numbers = np.asarray(found)
    is_right = numbers.shape == (n_raw,) and numbers.dtype.kind in "biuf"
    if not (is_right and np.all(np.isfinite(numbers))):
        raise ValueError(
            f"head={head!r}: {method}(y, weights) must return {n_raw} finite numbers, one for each "
            f"raw output, got {found!r}; skmlp.check_head tells more."
        )
    return numbers.astype(np.float64)


def checked_loss(head: Head, raw: Expression, y: Expression) -> Expression:
    """Trace a head's loss, or say in a sentence what is wrong with it."""
    must = f"head={head!r}: loss(raw, y) must return one number for each sample, of shape (n,)"
    try:
        loss = head.loss(raw, y)
    except NotImplementedError:
        raise
    except Exception as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{must}, but it {told(error)}.") from error
    if isinstance(loss, Expression) and loss.shape == (BATCH,):
        return loss
    found = "an array, which raw has no part in" if isinstance(loss, np.ndarray) else repr(loss)
    cure = ": sum over the outputs, np.sum(..., axis=1)" if np.ndim(loss) == 2 else ""
    raise ValueError(f"{must}, got {found}{cure}; skmlp.check_head tells more.")


def slopes_of(head: Head, start: np.ndarray, y: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
    """Return the gradient of each row's loss where raw outputs start, of shape (n, n_raw)."""
    at, target = variable("raw", (BATCH, len(start))), variable("y", (BATCH, y.shape[1]))
    (slope,) = gradient(np.sum(head.loss(at, target)), [at])
    with np.errstate(all="ignore"):
        return evaluate(slope, {at: np.tile(start, (len(y), 1)), target: y}, dtype)


class LossGraph:
    """The data term of the objective as an expression: the head's loss of the network's outputs.

    With `noise` the network is composed for training, disturbed so, without for prediction.

    Attributes
    ----------
    training : Training or None
        What training draws and observes; None where it is composed for prediction.
    x, y, w, per_row : Expression
        The variables: inputs, targets, weights, and 1 / |B|, over the scale of losses if any.
    start, unit : Expression
        The variables for the `OutputScale`; in the graph where there is one.
    parameters : list of dict of str to Expression
        The variables for the parts of each layer.
    raw, total, objective : Expression
        The raw outputs, the sum of the losses times their weights, and the scalar data term.
    answers, predicted : Expression
        The raw outputs and the data term of the network as it predicts; the same nodes where that
        is no other.
    """

    def __init__(
        self,
        network: Network,
        head: Head,
        n_targets: int,
        *,
        is_weighted: bool = False,
        is_sparse: bool = False,
        has_scale: bool = False,
        label_smoothing: float = 0.0,
        noise: Noise | None = None,
    ) -> None:
        self.network, self._head = network, head
        self.is_weighted, self.has_scale = is_weighted, has_scale
        self.x = variable("x", (BATCH, network.layer_units[0]), is_sparse=is_sparse)
        self.y = variable("y", (BATCH, n_targets))
        self.w = variable("w", (BATCH,))
        self.per_row = variable("1/n", ())
        self.start = variable("start", network.layer_units[-1:])
        self.unit = variable("unit", network.layer_units[-1:])
        self.parameters = network.variables()
        self._plan: Plan | None = None
        self._target = head.smoothed(self.y, label_smoothing)
        w = self.w if is_weighted else None
        self.training = None if noise is None else Training(noise, w)
        self.raw, self.total = self._composed(self.training)
        self.objective = (self.per_row * self.total).named("objective")
        self.answers, self.predicted = self.raw, self.objective
        if self.training is not None and self.training.differs:
            self.answers, total = self._composed(None)
            self.predicted = self.per_row * total

    def _composed(self, occasion: Training | None) -> tuple[Expression, Expression]:
        """Return the raw outputs and the total loss for an occasion."""
        output = self.network.layers(self.x, self.parameters, occasion)[-1]
        raw = (self.start + self.unit * output if self.has_scale else output).named("raw")
        loss = checked_loss(self._head, raw, self._target)
        loss.named("loss")
        return raw, np.sum(self.w * loss if self.is_weighted else loss)

    @property
    def draws(self) -> bool:
        """Whether training draws random numbers."""
        return self.training is not None and bool(self.training.fills)

    @property
    def statistics(self) -> list[Expression]:
        """What training observes of a batch."""
        return [] if self.training is None else self.training.statistics

    @property
    def plan(self) -> Plan:
        """The total, the gradients of all parameters, and the statistics of a batch."""
        if self._plan is None:
            self._plan = self._planned()
        return self._plan

    def _planned(self) -> Plan:
        # 1 / |B| comes in at the raw outputs: a call on a few columns, not on each loss.
        (slope,) = gradient(self.total, [self.raw])
        parameters = [x for parts in self.parameters for x in parts.values()]
        gradients = gradient(self.raw, parameters, self.per_row * slope)
        return Plan([self.total, *gradients, *self.statistics])


_GRAPHS_KEPT = 16
_ROWS_LOOKED_AT = 10_000  # at once, for what is not finite


def loss_graph(network: Network, head: Head, n_targets: int, **settings: Any) -> LossGraph:
    """Trace the data term of an objective, or return what was traced for the same before.

    Fits of one shape, in a grid search say, so plan once. Kept is only what is made of skmlp's own
    functions: one of the user's may read something that has changed since. The arguments are those
    of `LossGraph`; a ValueError tells of functions of the user's that mix rows.
    """
    if network.is_ours and type(head) in HEADS.values():
        return _kept_graph(network, head, n_targets, tuple(settings.items()))
    if not network.is_ours:
        network.check_rows()
    return LossGraph(network, head, n_targets, **settings)


@lru_cache(_GRAPHS_KEPT)
def _kept_graph(
    network: Network, head: Head, n_targets: int, settings: tuple[tuple[str, Any], ...]
) -> LossGraph:
    return LossGraph(network, head, n_targets, **dict(settings))


def _nothing() -> float:
    return 0.0


def _penalty_on(
    weights: np.ndarray, gradient: np.ndarray, strength: list[float]
) -> Callable[[], float]:
    """Make what adds the penalty's gradient on a stretch, and returns its value there."""
    axpy, _, dot = blas(weights.dtype)

    def penalize() -> float:
        axpy(weights, gradient, a=strength[0])
        return 0.5 * strength[0] * dot(weights, weights)

    return penalize if weights.size else _nothing


class Objective:
    """The objective and its gradient on data.

    Parameters
    ----------
    weights : ndarray of shape (n,) or None
        Weights of the rows of X and Y, of mean 1 over the training rows.
    alpha : float
        The strength of the L2 term, over the mean of the weights as they were given.

    Attributes
    ----------
    graph, theta, random
        As given.
    gradient : ndarray of shape (n_parameters,)
        The gradient at the last call; solvers may use it up.
    penalties : list of callables
        For each of the `chunks_of` theta what adds the gradient of its penalty to the data term's
        there, for as many rows as that had, and returns its value.
    program : Program
        What computes the data term and its gradient.
    """

    def __init__(
        self,
        graph: LossGraph,
        theta: np.ndarray,
        X: Any,
        Y: np.ndarray,
        weights: np.ndarray | None,
        alpha: float,
        scale: OutputScale | None = None,
        random: np.random.Generator | None = None,
    ) -> None:
        network = graph.network
        self.theta, self.gradient = theta, filled(theta.shape, 0, theta.dtype)
        self.graph, self.random = graph, random
        self._per_row = np.ones((), theta.dtype)
        self._loss_scale = 1.0 if scale is None else scale.loss
        self._bound = values_of(graph.parameters, network.split(theta))
        self._bound[graph.per_row] = self._per_row
        if scale is not None:
            self._bound[graph.start] = scale.start.astype(theta.dtype)
            self._bound[graph.unit] = scale.raw.astype(theta.dtype)
        gradients = values_of(graph.parameters, network.split(self.gradient)).values()
        into = [None, *gradients, *([None] * len(graph.statistics))]
        self.program = Program(graph.plan, self._bound, into=into, dtype=theta.dtype)
        self._programs: dict[tuple[Expression, ...], Program] = {}
        self._running = network.observed(network.split(theta)) if graph.statistics else []
        self._observed: list[np.ndarray] = []
        self._strength = [0.0]  # in a list, for the penalties to read
        penalized = [common(chunk, network.penalized) for chunk in chunks_of(theta)]
        self._penalties = [
            _penalty_on(theta[where], self.gradient[where], self._strength) for where in penalized
        ]
        self.attach(X, Y, weights, alpha)

    def attach(self, X: Any, Y: np.ndarray, weights: np.ndarray | None, alpha: float) -> None:
        """Put other rows of data in place, as a stream does; the program stays."""
        self._alpha, self._n_rows = float(alpha), 0
        self._data: dict[Expression, Any] = {self.graph.x: X, self.graph.y: Y}
        if weights is not None:
            self._data[self.graph.w] = weights
        if self.graph.training is not None and self.random is not None:
            self._data |= self.graph.training.drawn_from(self.random)
        self._compute = self.program.bind(self._data)
        self.penalties = self._penalties if alpha else [_nothing] * len(self._penalties)

    def detach(self) -> None:
        """Let go of the rows, until others are put in place."""
        del self._data, self._compute

    def threads(self, n_rows: int) -> AbstractContextManager[None]:
        """Set BLAS' threads up for batches of so many rows, and for solvers on theta."""
        of_theta = LEAST if len(self.theta) > CHUNK else 0  # its inner products are in threads
        return threads_for(max(of_theta, self.program.largest_product(n_rows)))

    def __call__(self, rows: np.ndarray) -> float:
        """Compute the objective over a batch of rows, and its gradient into `gradient`."""
        value = self.data_term(rows)
        return value + sum([penalize() for penalize in self.penalties])

    def data_term(self, rows: np.ndarray) -> float:
        """Compute the objective without its penalty, and its gradient; `penalties` add the rest."""
        if len(rows) != self._n_rows:  # as it is in an epoch's first step, and its last
            self._count(len(rows))
        results = self._compute(rows)
        if self._running:
            self._observed = results[-len(self._running) :] if len(rows) > 1 else []
        return self._factor * float(results[0])

    def _count(self, n_rows: int) -> None:
        """Set what depends on the number of rows alone."""
        self._n_rows, self._factor = n_rows, 1.0 / (n_rows * self._loss_scale)
        self._per_row[...] = self._factor
        self._strength[0] = self._alpha / n_rows

    @property
    def has_statistics(self) -> bool:
        """Whether there are running statistics to `track`."""
        return bool(self._running)

    def track(self) -> None:
        """Move the running statistics towards those of the last batch, if it had two rows.

        running <- (1 - rate) running + rate batch, with a rate of `STATISTICS_RATE`.
        """
        for average, observed in zip(self._running, self._observed, strict=False):
            observed -= average
            observed *= STATISTICS_RATE
            average += observed

    def observe(self, rows: np.ndarray) -> None:
        """Make the running statistics those of some rows, in a single batch."""
        if self._running:
            program = self._forward(self.graph.statistics)
            for average, observed in zip(self._running, program.run(self._data, rows), strict=True):
                average[...] = observed

    @property
    def predicts_as_it_trains(self) -> bool:
        """Whether the network computes the same in training as it does in prediction."""
        return self.graph.predicted is self.graph.objective

    def predicted(self, rows: np.ndarray, n_batches: int = 1) -> float:
        """Compute the objective over all rows with the network as it predicts.

        Of an epoch of several batches the L2 term is the mean: alpha n_batches / (2 n) |W|^2.
        """
        value = self.prediction_term(rows)
        weights = self.theta[self.graph.network.penalized]
        squares = float(np.dot(weights, weights))
        return value + 0.5 * self._alpha * n_batches / len(rows) * squares

    def prediction_term(self, rows: np.ndarray) -> float:
        """Compute the objective without its penalty, with the network as it predicts."""
        if self.predicts_as_it_trains:
            return self.data_term(rows)
        self._count(len(rows))
        return float(self._forward([self.graph.predicted]).run(self._data, rows)[0])

    def answers(self, X: Any, rows: np.ndarray) -> np.ndarray:
        """Compute the raw outputs for some rows of X with the network as it predicts."""
        return self._forward([self.graph.answers]).run({self.graph.x: X}, rows)[0]

    def culprit(self, theta: np.ndarray, rows: np.ndarray) -> str | None:
        """Say which activation is not finite at finite pre-activations, if one is."""
        network, X = self.graph.network, self._data[self.graph.x]
        parts = network.split(theta)
        blocks = (
            rows[start : start + _ROWS_LOOKED_AT] for start in range(0, len(rows), _ROWS_LOOKED_AT)
        )
        return next(filter(None, (network.culprit(X[block], parts) for block in blocks)), None)

    def _forward(self, outputs: list[Expression]) -> Program:
        """Make a program without gradients, once."""
        key = tuple(outputs)
        if key not in self._programs:
            self._programs[key] = Program(outputs, self._bound, dtype=self.theta.dtype)
        return self._programs[key]
