r"""The objective: what training makes small, as a function of theta and of rows of the data.

.. math:: F(\theta; B) = \frac{1}{|B|} \sum_{i \in B} w_i \, \ell(raw_i, y_i)
          + \frac{\lambda}{2} \lVert W \rVert^2

over a batch B of rows, with the head's loss, weights w of mean 1 over the training set, and all
weight matrices W (`Network.penalized`) but no bias. The data term and its gradient are one
program; the penalty is a few lines on the flat vectors. Where training draws noise or normalizes by
the batch, F is that of training; `Objective.predicted` is F of the network as it predicts.

With `Units` the network's outputs o are those of a problem of unit scale: raw = start + unit * o,
and losses are divided by a number. The parameters of the last layer are then those of o.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np

from ..engine import (
    BATCH,
    PRIMITIVES,
    Expression,
    Plan,
    Program,
    aligned,
    evaluate,
    gradient,
    variable,
)
from ..engine.expression import share, topological
from ..heads import HEADS, Head
from ..network.activations import ACTIVATIONS
from ..network.layers import LAYERS
from ..network.network import Network
from ..network.regularizers import STATISTICS_RATE, Noise, Training
from .vectors import blas, chunks_of, stretches_in


@dataclass(frozen=True, eq=False)
class Units:
    """The units that training works in, where they are those of the data.

    Attributes
    ----------
    start : ndarray of shape (n_raw,)
        The raw outputs of the best constant model.
    raw : ndarray of shape (n_raw,)
        How far raw outputs vary: raw = start + unit * the last layer's outputs.
    loss : float
        What losses are divided by: the root mean square of the loss's gradient with respect to
        those outputs, at the start. A step then moves as far whatever the target is measured in.
    """

    start: np.ndarray
    raw: np.ndarray
    loss: float

    @classmethod
    def of(cls, head: Head, y: np.ndarray, weights: np.ndarray | None) -> Self:
        """Measure them on encoded targets; where raw outputs have no unit, losses keep theirs."""
        start = np.asarray(head.initial_raw(y, weights), np.float64)
        unit = np.asarray(head.raw_unit(y, weights), np.float64)
        if np.all(unit == 1):
            return cls(start, unit, 1.0)
        raw, target = variable("raw", (BATCH, len(start))), variable("y", (BATCH, y.shape[1]))
        (slope,) = gradient(np.sum(head.loss(raw, target)), [raw])
        with np.errstate(all="ignore"):
            slopes = evaluate(slope, {raw: np.tile(start, (len(y), 1)), target: y}) * unit
            loss = float(np.sqrt(np.average(np.mean(np.square(slopes), axis=1), weights=weights)))
        return cls(start, unit, loss if 0 < loss < np.inf else 1.0)

    def fold(self, W: np.ndarray, b: np.ndarray) -> None:
        """Turn the last layer's parameters, in place, into those of the raw outputs."""
        W *= self.raw
        b *= self.raw
        b += self.start

    def unfold(self, W: np.ndarray, b: np.ndarray) -> None:
        """Undo `fold`, in place."""
        W /= self.raw
        b -= self.start
        b /= self.raw


class LossGraph:
    """The data term of the objective as an expression, with its variables.

    Parameters
    ----------
    network : Network
        What computes the raw outputs.
    head : Head
        What computes each sample's loss from them.
    n_targets : int
        The number of target columns.
    is_weighted : bool, default=False
        Whether each sample has a weight.
    is_sparse : bool, default=False
        Whether the rows of x are sparse.
    has_units : bool, default=False
        Whether the last layer's outputs are in `Units`.
    label_smoothing : float, default=0.0
        The share of each target that is spread over the classes.
    noise : Noise, optional
        With it the network is composed for training, disturbed so; without, for prediction.

    Attributes
    ----------
    network : Network
        The network.
    training : Training or None
        What training draws and observes; None where it is composed for prediction.
    x, y, w, scale : Expression
        The variables: inputs, targets, weights, and 1 / |B|, or 1 / (|B| * unit of losses).
    start, unit : Expression
        The variables for `Units`; in the graph where it has them.
    parameters : list of Expression
        Weight matrices, then biases.
    stacked : Expression
        The variable for the first layer's W with its b as one more row.
    trained : list of Expression
        What `plan` computes gradients for: `parameters`, or with `stacked` in place of the first
        layer's two, where [x, 1] [W; b] is cheaper than x W + b.
    raw : Expression
        The raw outputs.
    total : Expression
        The sum of the samples' losses, times their weights.
    objective : Expression
        The scalar data term.
    predicted : Expression
        The data term of the network as it predicts; the same node where that is no other.
    """

    def __init__(
        self,
        network: Network,
        head: Head,
        n_targets: int,
        *,
        is_weighted: bool = False,
        is_sparse: bool = False,
        has_units: bool = False,
        label_smoothing: float = 0.0,
        noise: Noise | None = None,
    ) -> None:
        self.network = network
        self.x = variable("x", (BATCH, network.layer_units[0]), is_sparse=is_sparse)
        self.y = variable("y", (BATCH, n_targets))
        self.w = variable("w", (BATCH,))
        self.scale = variable("1/n", ())
        self.parameters = network.parameters()
        self.start, self.unit = (
            variable(name, network.layer_units[-1:]) for name in ("start", "unit")
        )
        target = head.smoothed(self.y, label_smoothing)
        self.training = None
        if noise is not None:
            self.training = Training(noise, self.w if is_weighted else None)

        def composed(occasion: Training | None) -> tuple[Expression, Expression]:
            output = network.layers(self.x, self.parameters, occasion)[-1]
            raw = (self.start + self.unit * output if has_units else output).named("raw")
            return raw, self._total_loss(head, raw, target, is_weighted)

        self.raw, self.total = composed(self.training)
        inputs, units = network.layer_units[:2]
        self.stacked = variable("W1 over b1", (inputs + 1, units))
        self._affine = self._first_affine() if inputs <= units and not is_sparse else None
        self.trained = self.parameters
        if self._affine is not None:
            rest = (x for k, x in enumerate(self.parameters) if k not in (0, network.depth))
            self.trained = [self.stacked, *rest]
        self.objective = (self.scale * self.total).named("objective")
        self.predicted = self.objective
        if self.training is not None and self.training.differs:
            self.predicted = self.scale * composed(None)[1]
        self._plan: Plan | None = None

    @property
    def statistics(self) -> list[Expression]:
        """What training observes of a batch."""
        return [] if self.training is None else self.training.statistics

    @property
    def plan(self) -> Plan:
        """The total, the data term's gradients, and the statistics of a batch, to be computed.

        The gradients are with respect to `trained`, in their order.
        """
        if self._plan is None:
            nodes = [self.total, self.raw, *self.statistics]
            if self._affine is not None:  # the bias is added, and its gradient summed, within
                x = self._affine.inputs[0].inputs[0]
                product: Any = np.concatenate([x, np.ones((1, 1))], axis=1) @ self.stacked
                nodes = share(nodes, {self._affine: product})
            total, raw, *statistics = nodes
            # The scale comes in at the raw outputs: a call on a few columns, not on each loss.
            (slope,) = gradient(total, [raw])
            gradients = gradient(raw, self.trained, self.scale * slope)
            self._plan = Plan([total, *gradients, *statistics])
        return self._plan

    def _first_affine(self) -> Expression | None:
        """Find x W + b of the first layer, if that is the one thing made of its W and b."""
        W, b = self.parameters[0], self.parameters[self.network.depth]
        nodes = topological([self.total, self.raw, *self.statistics])
        users = Counter(x for node in nodes for x in node.inputs)
        for node in nodes:
            if node.primitive is PRIMITIVES["add"] and node.inputs[1] is b:
                product = node.inputs[0]
                if product.primitive is PRIMITIVES["matmul"] and product.inputs[1] is W:
                    return node if users[W] == users[b] == users[product] == 1 else None
        return None

    def views(self, theta: np.ndarray) -> dict[Expression, np.ndarray]:
        """View theta, or a gradient, as the values of `parameters` and `stacked`."""
        views = dict(zip(self.parameters, self.network.split(theta), strict=True))
        views[self.stacked] = self.network.first_layer(theta)
        return views

    def _total_loss(
        self, head: Head, raw: Expression, target: Expression, is_weighted: bool
    ) -> Expression:
        loss = head.loss(raw, target)
        if getattr(loss, "shape", None) != (BATCH,):
            raise ValueError(
                f"{type(head).__name__}.loss must return one number for each sample, of shape "
                f"(n,), got {loss!r}"
            )
        loss.named("loss")
        return np.sum(self.w * loss if is_weighted else loss)


_GRAPHS_KEPT = 16


def loss_graph(network: Network, head: Head, n_targets: int, **settings: Any) -> LossGraph:
    """Trace the data term of an objective, or return what was traced for the same before.

    Fits of one shape, in a grid search say, so plan once. Kept is only what is made of skmlp's own
    functions: one of the user's may read something that has changed since.

    Parameters
    ----------
    network, head, n_targets
        As for `LossGraph`.
    **settings : object
        Its other arguments.

    Returns
    -------
    LossGraph
        The graph; other fits may use it too.
    """
    ours = [*ACTIVATIONS.values(), *(type(layer) for layer in LAYERS.values())]
    are_ours = all(any(f is g or type(f) is g for g in ours) for f in network.activations)
    if are_ours and type(head) in HEADS.values():
        return _kept_graph(network, head, n_targets, tuple(settings.items()))
    return LossGraph(network, head, n_targets, **settings)


@lru_cache(_GRAPHS_KEPT)
def _kept_graph(
    network: Network, head: Head, n_targets: int, settings: tuple[tuple[str, Any], ...]
) -> LossGraph:
    return LossGraph(network, head, n_targets, **dict(settings))


class Objective:
    """The objective and its gradient on data.

    Parameters
    ----------
    graph : LossGraph
        The data term.
    theta : ndarray of shape (n_parameters,)
        The parameters; read where they stand.
    X : array or CSR matrix of shape (n, inputs)
        Inputs.
    Y : ndarray of shape (n, n_targets)
        Encoded targets.
    weights : ndarray of shape (n,) or None
        Weights, of mean 1 over the training rows.
    penalty : float
        The strength of the L2 term, the lambda of the formula.
    units : Units, optional
        The units of raw outputs and losses, for a graph that has them.
    random : Generator, optional
        Where noise is drawn from, where the graph has any.

    Attributes
    ----------
    gradient : ndarray of shape (n_parameters,)
        The gradient at the last call; solvers may use it up.
    penalties : list of callables
        For each of the `chunks_of` theta what adds the gradient of its penalty to the data term's
        there, and returns its value.
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
        penalty: float,
        units: Units | None = None,
        random: np.random.Generator | None = None,
    ) -> None:
        network, training = graph.network, graph.training
        self.theta = theta
        self.gradient = aligned(theta.shape, theta.dtype)
        self._scale = np.ones((), theta.dtype)
        self._loss_unit = 1.0 if units is None else units.loss
        bound = graph.views(theta)
        bound[graph.scale] = self._scale
        if units is not None:
            bound[graph.start] = units.start.astype(theta.dtype)
            bound[graph.unit] = units.raw.astype(theta.dtype)
        statistics = graph.statistics
        gradients = graph.views(self.gradient)
        self.program = Program(
            graph.plan,
            bound,
            into=[None, *(gradients[x] for x in graph.trained), *([None] * len(statistics))],
            dtype=theta.dtype,
        )
        data: dict[Expression, Any] = {graph.x: X, graph.y: Y}
        if weights is not None:
            data[graph.w] = weights
        if training is not None and random is not None:
            data |= training.drawn_from(random)
        self._compute = self.program.on(data)
        self._graph, self._bound, self._data = graph, bound, data
        running = network.by_layer(network.split(theta)).statistics
        self._running = [part for part in running if part is not None] if statistics else []
        self._observed: list[np.ndarray] = []
        self.programs: dict[tuple[Expression, ...], Program] = {}
        self._penalty = float(penalty)
        penalized = network.penalized
        self.penalties = [
            self._penalty_on(stretches_in(chunk, penalized)) for chunk in chunks_of(theta)
        ]

    def _penalty_on(self, stretches: list[slice]) -> Callable[[], float]:
        """Make what adds the penalty's gradient on some stretches and returns its value there."""
        parts = [(self.theta[stretch], self.gradient[stretch]) for stretch in stretches]
        axpy, _, dot = blas(self.theta.dtype)

        def penalize() -> float:
            squares = 0.0
            for w, g in parts:
                axpy(w, g, a=self._penalty)
                squares += dot(w, w)
            return 0.5 * self._penalty * squares

        return penalize if self._penalty and parts else float

    def __call__(self, rows: np.ndarray) -> float:
        """Compute the objective over a batch, and its gradient into `gradient`.

        Parameters
        ----------
        rows : ndarray of int
            The rows of the batch.

        Returns
        -------
        float
            F(theta; rows), losses in their unit.
        """
        value = self.data_term(rows)
        return value + sum([penalize() for penalize in self.penalties])

    def data_term(self, rows: np.ndarray) -> float:
        """Compute the objective without its penalty, and its gradient; `penalties` add the rest."""
        scale = 1.0 / (len(rows) * self._loss_unit)
        self._scale[...] = scale
        results = self._compute(rows)
        if self._running:
            self._observed = results[-len(self._running) :] if len(rows) > 1 else []
        return scale * float(results[0])

    @property
    def has_statistics(self) -> bool:
        """Whether there are running statistics to `track`."""
        return bool(self._running)

    def track(self) -> None:
        """Move the running statistics towards those of the last batch, if it had two rows.

        running <- (1 - rate) running + rate batch, with a rate of `STATISTICS_RATE`.
        """
        for running, observed in zip(self._running, self._observed, strict=False):
            observed -= running
            observed *= STATISTICS_RATE
            running += observed

    def observe(self, rows: np.ndarray) -> None:
        """Make the running statistics those of some rows, in a single batch.

        Parameters
        ----------
        rows : ndarray of int
            The rows.
        """
        if self._running:
            assert self._graph.training is not None
            program = self._forward(self._graph.training.statistics)
            for running, observed in zip(self._running, program.run(self._data, rows), strict=True):
                running[...] = observed

    def predicted(self, rows: np.ndarray) -> float:
        """Compute the objective over some rows with the network as it predicts.

        Parameters
        ----------
        rows : ndarray of int
            The rows.

        Returns
        -------
        float
            F(theta; rows) without noise, with the running statistics.
        """
        if self._graph.predicted is self._graph.objective:
            return self(rows)
        self._scale[...] = 1.0 / (len(rows) * self._loss_unit)
        value = float(self._forward([self._graph.predicted]).run(self._data, rows)[0])
        weights = (self.theta[stretch] for stretch in self._graph.network.penalized)
        squares = sum(float(np.dot(w, w)) for w in weights)
        return value + 0.5 * self._penalty * squares

    def _forward(self, outputs: list[Expression]) -> Program:
        """Make a program without gradients, once."""
        key = tuple(outputs)
        if key not in self.programs:
            self.programs[key] = Program(outputs, self._bound, dtype=self.theta.dtype)
        return self.programs[key]
