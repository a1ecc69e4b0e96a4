r"""The objective: what training makes small, as a function of theta and of rows of the data.

.. math:: F(\theta; B) = \frac{1}{|B|} \sum_{i \in B} w_i \, \ell(raw_i, y_i)
          + \frac{\lambda}{2} \lVert W \rVert^2

over a batch B of rows, with the head's loss, weights w of mean 1 over the training set, and all
weight matrices W (`Network.penalised`) but no bias. The data term and its gradient are one
program; the penalty is a few lines on the flat vectors.

With `Units` the network's outputs o are those of a problem of unit scale: raw = start + unit * o,
and losses are divided by a number. The parameters of the last layer are then those of o.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .engine import BATCH, Program, evaluate, gradient, variable
from .heads import Head
from .network import Network

CHUNK = 1 << 15  # numbers of a flat vector that are updated together, to stay in the cache


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

    Attributes
    ----------
    network : Network
        The network.
    x, y, w, scale : Expression
        The variables: inputs, targets, weights, and 1 / |B|, or 1 / (|B| * unit of losses).
    start, unit : Expression
        The variables for `Units`; in the graph where it has them.
    parameters : list of Expression
        Weight matrices, then biases.
    raw : Expression
        The raw outputs.
    objective : Expression
        The scalar data term.
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
    ) -> None:
        self.network = network
        self.x = variable("x", (BATCH, network.layer_units[0]), is_sparse=is_sparse)
        self.y = variable("y", (BATCH, n_targets))
        self.w = variable("w", (BATCH,))
        self.scale = variable("1/n", ())
        self.parameters = network.parameters()
        output = network.layers(self.x, self.parameters)[-1]
        self.start, self.unit = (variable(name, output.shape[1:]) for name in ("start", "unit"))
        self.raw = (self.start + self.unit * output if has_units else output).named("raw")
        loss = head.loss(self.raw, self.y)
        if getattr(loss, "shape", None) != (BATCH,):
            raise ValueError(
                f"{type(head).__name__}.loss must return one number for each sample, of shape "
                f"(n,), got {loss!r}"
            )
        loss.named("loss")
        total = np.sum(self.w * loss if is_weighted else loss)
        self.objective = (self.scale * total).named("objective")


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

    Attributes
    ----------
    gradient : ndarray of shape (n_parameters,)
        The gradient at the last call; solvers may use it up.
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
    ) -> None:
        network = graph.network
        self.theta = theta
        self.gradient = np.empty_like(theta)
        self._scale = np.ones((), theta.dtype)
        self._loss_unit = 1.0 if units is None else units.loss
        bound = dict(zip(graph.parameters, network.split(theta), strict=True))
        bound[graph.scale] = self._scale
        if units is not None:
            bound[graph.start] = units.start.astype(theta.dtype)
            bound[graph.unit] = units.raw.astype(theta.dtype)
        self._program = Program(
            [graph.objective, *gradient(graph.objective, graph.parameters)],
            bound,
            into=[None, *network.split(self.gradient)],
            dtype=theta.dtype,
        )
        data = {graph.x: X, graph.y: Y}
        if weights is not None:
            data[graph.w] = weights
        self._compute = self._program.on(data)
        self._penalty = float(penalty)
        self._weights = [theta[part] for part in network.penalised]
        self._scratch = np.empty(CHUNK, theta.dtype)
        self._chunks = [
            chunk
            for part in network.penalised
            for chunk in chunks(theta[part], self.gradient[part])
        ]

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
        self._scale[...] = 1.0 / (len(rows) * self._loss_unit)
        value = float(self._compute(rows)[0])
        if self._penalty == 0.0:
            return value
        for w, g in self._chunks:
            g += np.multiply(w, self._penalty, out=self._scratch[: len(w)])
        return value + 0.5 * self._penalty * sum(float(np.dot(w, w)) for w in self._weights)


def chunks(*vectors: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Cut equally long vectors into chunks that fit the cache."""
    for start in range(0, len(vectors[0]), CHUNK):
        yield tuple(vector[start : start + CHUNK] for vector in vectors)
