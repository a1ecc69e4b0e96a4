"""Answers: what a fitted network computes of inputs, read off the published parameters.

The law: predictions read `coefs_` and the other parameters where they stand. Buffers belong to one
prediction at a time, never to the estimator.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from numbers import Integral
from operator import is_
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..engine import BATCH, ComputationGraph, Expression, Program, variable
from ..heads import Head
from ..network.network import Network, values_of
from ..training.objective import LossGraph, Objective
from .data import check_inputs, within
from .scoring import JUDGED_ROWS, evenly_spaced
from .settings import takes_sparse

PUBLISHED_AS = {
    "W": "coefs_",
    "b": "intercepts_",
    "activation": "activation_parameters_",
    "normalization": "normalization_parameters_",
    "statistics": "normalization_statistics_",
}


class _Answering(NamedTuple):
    """A program for a layer's outputs, its variable for inputs, and the parameters it reads."""

    parameters: list[np.ndarray]
    x: Expression
    program: Program

    def reads(self, parameters: list[np.ndarray]) -> bool:
        """Tell whether these are its parameters, the very arrays."""
        return len(parameters) == len(self.parameters) and all(
            map(is_, parameters, self.parameters)
        )


# The programs that nobody uses now, by estimator: two threads never share one, but its buffers may
# be in the cache of the thread that comes next.
_IDLE: WeakKeyDictionary[Any, dict[Any, list[_Answering]]] = WeakKeyDictionary()
_ANSWERED_ROWS = 1 << 14
_BLOCK_BYTES = 1 << 20  # of a block's widest array; threads get in each other's way less


class _Turns:
    """Lets as many threads answer for many rows at once as there are cores.

    More would only wait for Python's lock, between calls that are short: eight threads on two
    cores took longer than one after the other.
    """

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):  # a copy of a lock that is held is never released
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Begin with nobody's turn."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self._free = threading.BoundedSemaphore(cores or 1)

    def __enter__(self) -> None:
        self._free.acquire()

    def __exit__(self, *error: object) -> None:
        self._free.release()


_TURNS = _Turns()


class FittedNetwork(BaseEstimator):
    """What a fitted network answers, whatever its targets.

    A subclass checks data with targets (`_check_data`) and weighs their rows (`_weighted`).
    """

    head_: Head
    coefs_: list[np.ndarray]
    intercepts_: list[np.ndarray]
    activation_parameters_: list[np.ndarray | None]
    normalization_parameters_: list[np.ndarray | None]
    normalization_statistics_: list[np.ndarray | None]
    layer_parameters_: list[dict[str, np.ndarray] | None]
    label_smoothing: float
    _architecture: Network
    _n_targets: int
    _check_data: ClassVar[Any]
    _weighted: ClassVar[Any]

    @property
    def _network(self) -> Network:
        units = list(self._architecture.layer_units)
        for i, (W, b) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            units[i] = units[i] if W is None else W.shape[0]
            units[i + 1] = units[i + 1] if b is None else len(b)
        return replace(self._architecture, layer_units=tuple(units))

    @property
    def _parts(self) -> list[dict[str, np.ndarray]]:
        return [
            {
                name: getattr(self, PUBLISHED_AS[name])[i]
                if name in PUBLISHED_AS
                else (self.layer_parameters_[i] or {})[name]
                for name in shapes
            }
            for i, shapes in enumerate(self._architecture.shapes)
        ]

    @property
    def _arrays(self) -> list[np.ndarray]:
        return [array for part in self._parts for array in part.values()]

    def _layer(self, X: Any, layer: int) -> np.ndarray:
        """Compute a layer's outputs (-1: the raw outputs)."""
        X = self._checked(X)
        with self._answering(X, layer) as (_, x, program):
            return program.run({x: X})[0]

    def _answers(self, X: Any, answer: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Compute what raw outputs say, so many rows at a time that memory is for answers alone."""
        with _TURNS if _is_long(X) else nullcontext():
            X = self._checked(X)
            with self._answering(X, -1) as (_, x, program):
                n = X.shape[0]

                def part(start: int) -> np.ndarray:
                    return answer(program.run({x: X}, slice(start, start + _ANSWERED_ROWS))[0])

                answers = part(0)
                if n <= _ANSWERED_ROWS:
                    return answers
                whole = np.empty((n, *answers.shape[1:]), answers.dtype)
                whole[:_ANSWERED_ROWS] = answers
                for start in range(_ANSWERED_ROWS, n, _ANSWERED_ROWS):
                    whole[start : start + _ANSWERED_ROWS] = part(start)
                return whole

    def _checked(self, X: Any) -> Any:
        """Check inputs, and that there is a network to answer for them."""
        if not hasattr(self, "coefs_"):  # cheaper than check_is_fitted, which says it better
            check_is_fitted(self)
        X = check_inputs(self, X, reset=False)
        return within(X, self.coefs_[-1].dtype, "X")

    @contextmanager
    def _answering(self, X: Any, layer: int) -> Iterator[_Answering]:
        """Take a program for a layer that nobody uses, or make one, and give it back."""
        parameters, is_sparse = self._arrays, not isinstance(X, np.ndarray)
        idle = _IDLE.setdefault(self, {}).setdefault((layer, is_sparse), [])
        try:
            found = idle.pop()
        except IndexError:
            found = None
        if found is None or not found.reads(parameters):  # an array may have been replaced since
            idle.clear()
            made = layer_program(self._network, self._parts, layer, is_sparse)
            found = _Answering(parameters, *made)
        yield found
        if found.reads(self._arrays):
            idle.append(found)

    def hidden_layer_output(self, X: Any, layer: Any = -1) -> np.ndarray:
        """Compute the learned features: the activations of a hidden layer.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        layer : int, default=-1
            Which hidden layer, 0 being the first; negative numbers count from the last.

        Returns
        -------
        ndarray of shape (n_samples, units of the layer)
            Its outputs, after the activation.

        Raises
        ------
        ValueError
            If there is no such hidden layer.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skmlp import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = MLPClassifier((8, 3), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
        >>> model.hidden_layer_output(X, layer=0).shape
        (150, 8)
        """
        check_is_fitted(self)
        depth = len(self._architecture.activations)
        is_number = isinstance(layer, Integral) and not isinstance(layer, bool)
        if not (is_number and -depth <= int(layer) < depth):
            raise ValueError(
                f"layer={layer!r} is not one of the {depth} hidden layers: give a whole number "
                f"from {-depth} to {depth - 1}."
                if depth
                else f"layer={layer!r} does not exist: the network has no hidden layer."
            )
        return self._layer(X, int(layer) % depth)

    def _gradient_norms(self, X: Any, y: Any, sample_weight: Any) -> dict[str, float]:
        """Return the norm of each layer's gradient of the mean loss, on some of these samples."""
        data = self._check_data(X, y, sample_weight, is_first=False, is_partial=True)
        data.weights = self._weighted(data.Y, data.weights)
        network, rows = self._network, evenly_spaced(data.rows, JUDGED_ROWS)
        graph = LossGraph(
            network,
            self.head_,
            self._n_targets,
            is_weighted=data.weights is not None,
            is_sparse=data.is_sparse,
            label_smoothing=self.label_smoothing,
        )
        theta = network.packed(self._parts)
        weights = data.normalized_weights(rows)[0]
        weights = None if weights is None else weights.astype(theta.dtype)
        objective = Objective(graph, theta, data.X, data.Y, weights, alpha=0.0)
        objective(rows)
        layers = network.split(objective.gradient)
        names = [f"hidden layer {i}" for i in range(1, network.depth)] + ["output layer"]
        squares = (float(sum(np.sum(g**2) for g in part.values())) for part in layers)
        return {name: float(np.sqrt(square)) for name, square in zip(names, squares, strict=True)}

    def computation_graph(
        self, X: Any = None, y: Any = None, sample_weight: Any = None
    ) -> ComputationGraph:
        """Show what the network computes, node by node.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), optional
            Inputs; with them, every node shows its value.
        y : array-like, optional
            Targets; with them, the graph goes on to the mean loss over the samples, and every
            node shows the gradient of it.
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the samples in the mean.

        Returns
        -------
        ComputationGraph
            Its nodes and edges as text (`str`), `to_dot()` and `to_mermaid()`; Jupyter draws it.
            Without arguments, the graph of the loss, without values.

        Raises
        ------
        ValueError
            If targets are given without inputs, or weights without targets.
        """
        check_is_fitted(self)
        if (X is None and y is not None) or (y is None and sample_weight is not None):
            raise ValueError("computation_graph needs X for a y, and a y for a sample_weight.")
        data = None
        if y is not None:
            data = self._check_data(X, y, sample_weight, is_first=False, is_partial=True)
            data.weights = self._weighted(data.Y, data.weights)
            if not len(data.rows):
                raise ValueError("Sample weights must contain at least one non-zero number.")
            X = data.X
        elif X is not None:
            X = check_inputs(self, X, reset=False)
        graph = LossGraph(
            self._network,
            self.head_,
            self._n_targets,
            is_weighted=data is not None and data.weights is not None,
            is_sparse=not (X is None or isinstance(X, np.ndarray)),
            label_smoothing=self.label_smoothing,
        )
        if X is None:
            return graph.objective.computation_graph()
        values = {graph.x: X, **values_of(graph.parameters, self._parts)}
        if data is None:
            return ComputationGraph(self.head_.predict(graph.raw), values)
        values |= {graph.y: data.Y, graph.per_row: 1.0 / len(data.Y)}
        if data.weights is not None:
            values[graph.w] = data.normalized_weights(np.arange(len(data.Y)))[0]
        return graph.objective.computation_graph(values, gradients=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = takes_sparse(self)
        return tags


def _is_long(X: Any) -> bool:
    """Tell whether inputs, as they were given, have many rows."""
    shape = getattr(X, "shape", None)
    return isinstance(shape, tuple) and len(shape) > 1 and shape[0] > _ANSWERED_ROWS


def published_parameters(network: Network, parts: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return the attributes that predictions are made of."""
    further = [{k: v for k, v in part.items() if k not in PUBLISHED_AS} for part in parts]
    published = {
        attribute: [part.get(name) for part in parts[: network.depth if name in "Wb" else -1]]
        for name, attribute in PUBLISHED_AS.items()
    }
    return {
        **published,
        "layer_parameters_": [part or None for part in further[:-1]],
        "n_layers_": network.depth + 1,
        "n_outputs_": network.layer_units[-1],
        "_architecture": network,
    }


def layer_program(
    network: Network, parts: list[dict[str, np.ndarray]], layer: int, is_sparse: bool
) -> tuple[Expression, Program]:
    """Make a program for a layer's outputs over these very parameter arrays."""
    x = variable("x", (BATCH, network.layer_units[0]), is_sparse=is_sparse)
    variables = network.variables()
    output = network.layers(x, variables)[layer]
    bound = values_of(variables, parts)
    dtype = next(iter(bound.values())).dtype
    bound = {x: np.ascontiguousarray(array, dtype) for x, array in bound.items()}
    block_rows = max(256, _BLOCK_BYTES // (dtype.itemsize * max(network.layer_units)))
    return x, Program([output], bound, dtype=dtype, block_rows=block_rows)
