r"""The objective: what training makes small, as a function of theta and of rows of the data.

.. math:: F(\theta; B) = \frac{1}{|B|} \sum_{i \in B} w_i \, \ell(raw_i, y_i)
          + \frac{\lambda}{2} \lVert W \rVert^2

over a batch B of rows, with the head's loss, weights w of mean 1 over the training set, and all
weight matrices W (`Network.penalised`) but no bias. The data term and its gradient are one
program; the penalty is a few lines on the flat vectors. Where training draws noise or normalises by
the batch, F is that of training; `Objective.predicted` is F of the network as it predicts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .engine import BATCH, Expression, Program, gradient, variable
from .heads import Head
from .network import Network
from .regularisers import STATISTICS_RATE, Noise, Training

CHUNK = 1 << 15  # numbers of a flat vector that are updated together, to stay in the cache


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
        The variables: inputs, targets, weights, and 1 / |B|.
    parameters : list of Expression
        Weight matrices, then biases.
    raw : Expression
        The raw outputs.
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
        label_smoothing: float = 0.0,
        noise: Noise | None = None,
    ) -> None:
        self.network = network
        self.x = variable("x", (BATCH, network.layer_units[0]), is_sparse=is_sparse)
        self.y = variable("y", (BATCH, n_targets))
        self.w = variable("w", (BATCH,))
        self.scale = variable("1/n", ())
        self.parameters = network.parameters()
        target = head.smoothed(self.y, label_smoothing)
        self.training = None
        if noise is not None:
            self.training = Training(noise, self.w if is_weighted else None)
        self.raw = network.layers(self.x, self.parameters, self.training)[-1].named("raw")
        self.objective = self._mean_loss(head, self.raw, target, is_weighted)
        self.predicted = self.objective
        if self.training is not None and self.training.differs:
            raw = network.layers(self.x, self.parameters)[-1]
            self.predicted = self._mean_loss(head, raw, target, is_weighted)

    def _mean_loss(
        self, head: Head, raw: Expression, target: Expression, is_weighted: bool
    ) -> Expression:
        loss = head.loss(raw, target)
        if getattr(loss, "shape", None) != (BATCH,):
            raise ValueError(
                f"{type(head).__name__}.loss must return one number for each sample, of shape "
                f"(n,), got {loss!r}"
            )
        loss.named("loss")
        total = np.sum(self.w * loss if is_weighted else loss)
        return (self.scale * total).named("objective")


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
    random : Generator, optional
        Where noise is drawn from, where the graph has any.

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
        random: np.random.Generator | None = None,
    ) -> None:
        network, training = graph.network, graph.training
        self.theta = theta
        self.gradient = np.empty_like(theta)
        self._scale = np.ones((), theta.dtype)
        self._parameters = {
            graph.scale: self._scale,
            **dict(zip(graph.parameters, network.split(theta), strict=True)),
        }
        statistics = [] if training is None else training.statistics
        gradients = gradient(graph.objective, graph.parameters)
        self._program = Program(
            [graph.objective, *gradients, *statistics],
            self._parameters,
            into=[None, *network.split(self.gradient), *([None] * len(statistics))],
            dtype=theta.dtype,
        )
        self._graph = graph
        self._data: dict[Expression, Any] = {graph.x: X, graph.y: Y}
        if weights is not None:
            self._data[graph.w] = weights
        if training is not None and random is not None:
            self._data |= training.drawn_from(random)
        running = network.by_layer(network.split(theta)).statistics
        self._running = [part for part in running if part is not None] if statistics else []
        self._observed: list[np.ndarray] = []
        self._programs: dict[tuple[Expression, ...], Program] = {}
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
            F(theta; rows).
        """
        self._scale[...] = 1.0 / len(rows)
        results = self._program.run(self._data, rows)
        self._observed = results[len(results) - len(self._running) :] if len(rows) > 1 else []
        value = float(results[0])
        if self._penalty == 0.0:
            return value
        for w, g in self._chunks:
            g += np.multiply(w, self._penalty, out=self._scratch[: len(w)])
        return value + self._penalised()

    def _penalised(self) -> float:
        return 0.5 * self._penalty * sum((float(np.dot(w, w)) for w in self._weights), 0.0)

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
        self._scale[...] = 1.0 / len(rows)
        value = float(self._forward([self._graph.predicted]).run(self._data, rows)[0])
        return value + self._penalised()

    def _forward(self, outputs: list[Expression]) -> Program:
        """Make a program without gradients, once."""
        key = tuple(outputs)
        if key not in self._programs:
            self._programs[key] = Program(outputs, self._parameters, dtype=self.theta.dtype)
        return self._programs[key]


def chunks(*vectors: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Cut equally long vectors into chunks that fit the cache."""
    for start in range(0, len(vectors[0]), CHUNK):
        yield tuple(vector[start : start + CHUNK] for vector in vectors)
