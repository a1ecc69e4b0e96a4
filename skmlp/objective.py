r"""The objective: what training makes small, as a function of theta and of rows of the data.

.. math:: F(\theta; B) = \frac{1}{|B|} \sum_{i \in B} w_i \, \ell(raw_i, y_i)
          + \frac{\lambda}{2} \lVert W \rVert^2

over a batch B of rows, with the head's loss, weights w of mean 1 over the training set, and all
weight matrices W (`Network.penalised`) but no bias. The data term and its gradient are one
program; the penalty is a few lines on the flat vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .engine import BATCH, Program, gradient, variable
from .heads import Head
from .network import Network

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

    Attributes
    ----------
    network : Network
        The network.
    x, y, w, scale : Expression
        The variables: inputs, targets, weights, and 1 / |B|.
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
    ) -> None:
        self.network = network
        self.x = variable("x", (BATCH, network.layer_units[0]), is_sparse=is_sparse)
        self.y = variable("y", (BATCH, n_targets))
        self.w = variable("w", (BATCH,))
        self.scale = variable("1/n", ())
        self.parameters = network.parameters()
        self.raw = network.layers(self.x, self.parameters)[-1].named("raw")
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
    ) -> None:
        network = graph.network
        self.theta = theta
        self.gradient = np.empty_like(theta)
        self._scale = np.ones((), theta.dtype)
        self._program = Program(
            [graph.objective, *gradient(graph.objective, graph.parameters)],
            {
                graph.scale: self._scale,
                **dict(zip(graph.parameters, network.split(theta), strict=True)),
            },
            into=[None, *network.split(self.gradient)],
            dtype=theta.dtype,
        )
        self._data = {graph.x: X, graph.y: Y}
        if weights is not None:
            self._data[graph.w] = weights
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
        value = float(self._program.run(self._data, rows)[0])
        if self._penalty == 0.0:
            return value
        for w, g in self._chunks:
            g += np.multiply(w, self._penalty, out=self._scratch[: len(w)])
        return value + 0.5 * self._penalty * sum(float(np.dot(w, w)) for w in self._weights)


def chunks(*vectors: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Cut equally long vectors into chunks that fit the cache."""
    for start in range(0, len(vectors[0]), CHUNK):
        yield tuple(vector[start : start + CHUNK] for vector in vectors)
