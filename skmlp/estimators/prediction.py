"""Prediction: what a fitted network computes of inputs, read off the published parameters.

The law: predictions read `coefs_` and the other parameters where they stand, all of them as they
were at one moment, so that a fit in another thread changes no answer that has begun. Buffers
belong to one prediction at a time; between two an estimator keeps small ones at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from numbers import Integral
from operator import is_
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..engine import BATCH, ComputationGraph, Expression, Plan, Program, running, variable
from ..engine.threads import threads_for
from ..engine.words import shown
from ..heads import HEADS
from ..network.network import Network, values_of
from ..training.objective import LossGraph, Objective
from ..training.solvers import is_finite
from ..training.state import State
from .answers import Answers
from .data import Data, check_inputs, evenly_spaced, read_rows, within
from .scoring import SCORED_ROWS, NotFiniteError
from .settings import takes_sparse

# The parts of a layer that are published in lists of their own; the output layer has the first two.
PUBLISHED = {
    "W": "coefs_",
    "b": "intercepts_",
    "activation": "activation_parameters_",
    "normalization": "normalization_parameters_",
    "statistics": "normalization_statistics_",
}
FURTHER = "layer_parameters_"  # for each hidden layer, its parts of other names
PARAMETERS = (*PUBLISHED.values(), FURTHER)

ORDINARY = 1e6  # where parameters and inputs are no larger, what is computed of them is finite
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
KEPT_BYTES = 1 << 14  # of the buffers of a program that waits for the next prediction
_ANSWERED_ROWS = 1 << 14
_BLOCK_BYTES = 1 << 20  # of a block's widest array; threads get in each other's way less


def published_parameters(network: Network, parts: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return the attributes that predictions are made of."""
    found: dict[str, Any] = {
        attribute: [layer.get(name) for layer in parts] for name, attribute in PUBLISHED.items()
    }
    for attribute in list(PUBLISHED.values())[2:]:
        del found[attribute][-1]
    found[FURTHER] = [
        {name: array for name, array in layer.items() if name not in PUBLISHED} or None
        for layer in parts[:-1]
    ]
    shape = {"n_layers_": network.depth + 1, "n_outputs_": network.layer_units[-1]}
    return found | shape | {"_network": network}


class Spares:
    """What served the last call and may serve the next: never two at a time, never in a pickle."""

    def __init__(self) -> None:
        self._kept: dict[Any, list[Any]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return Spares, ()

    def take(self, key: Any) -> Any:
        """Take what is kept by that key, so that nobody else has it; None if there is nothing."""
        kept = self._kept.get(key)
        try:
            return kept.pop() if kept else None
        except IndexError:  # another thread was quicker
            return None

    def give(self, key: Any, spare: Any) -> None:
        """Keep one thing for the next call, instead of what is kept now."""
        self._kept[key] = [spare]


class Fitted:
    """A fitted estimator as it was at one moment.

    Attributes
    ----------
    target : Classes or Numbers
        What the outputs mean.
    state : State
        Where its training stands.
    spares : Spares
        Programs that nobody uses.
    arrays : list
        Every published array, None where a layer has none.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self._seen = seen = vars(estimator).copy()
        if "_target" not in seen:
            check_is_fitted(estimator)
        self._names = object.__new__(type(estimator))  # the names of inputs of that moment
        self._names.__dict__ = seen
        self.target: Any = seen["_target"]
        self.state: State = seen["_state"]
        self.spares: Spares = seen["_spares"]
        self.arrays = [array for name in PUBLISHED.values() for array in seen[name]]
        for layer in seen[FURTHER]:
            self.arrays += () if layer is None else layer.values()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The precision of its answers: float32 where that of all parameters is."""
        are_single = all(x.dtype == SINGLE for x in self.arrays if x is not None)
        return SINGLE if are_single else DOUBLE

    @property
    def precision(self) -> np.dtype[Any]:
        """That of training: answers may be in a wider one that can hold them."""
        return self.dtype if self.state.scale is None else self.state.scale.dtype

    @property
    def answering(self) -> Any:
        """The target, with a head that answers in its unit."""
        scale = self.state.scale
        if scale is None or self.target.usual != "numbers":
            return self.target
        return replace(self.target, head=self.target.head.in_target_unit(scale.scale))

    @property
    def network(self) -> Network:
        """Its shape; that of the arrays, where others were put in their place."""
        network, seen = self._seen["_network"], self._seen
        widths = [None if b is None else len(b) for b in seen["intercepts_"]]
        first = seen["coefs_"][0]
        asked = [None if first is None else len(first), *widths]
        units = tuple(
            known if found is None else found
            for known, found in zip(network.layer_units, asked, strict=True)
        )
        return network if units == network.layer_units else replace(network, layer_units=units)

    @property
    def parts(self) -> list[dict[str, np.ndarray]]:
        """Its parameters, by layer."""
        seen = self._seen
        return [
            {
                name: np.asarray(
                    seen[PUBLISHED[name]][i] if name in PUBLISHED else seen[FURTHER][i][name]
                )
                for name in shapes
            }
            for i, shapes in enumerate(self.network.shapes)
        ]

    def checked(self, X: Any) -> Any:
        """Check inputs for predictions."""
        return within(check_inputs(self._names, X, reset=False), self.dtype, "X")

    def samples(self, X: Any, y: Any, sample_weight: Any) -> Data:
        """Check samples, weighed as in training."""
        given, is_scaled = (X, y, sample_weight), self.state.scale is not None
        data = read_rows(self._names, *given, self.target, self.dtype, is_scaled=is_scaled)
        class_weight = self._seen.get("class_weight")
        return data if class_weight is None else data.weighed(self.target, class_weight)

    def loss_graph(
        self, data: Data | None, X: Any = None, *, is_training: bool = False
    ) -> LossGraph:
        """Trace the loss, for some samples or some inputs, in the units of training or its own."""
        X = X if data is None else data.X
        has_scale = is_training and self.state.scale is not None
        return LossGraph(
            self.network,
            self.target.head.of_target_unit() if has_scale else self.answering.head,
            self.target.n_targets,
            is_weighted=data is not None and data.weights is not None,
            is_sparse=not (X is None or isinstance(X, np.ndarray)),
            has_scale=has_scale,
            label_smoothing=self._seen.get("label_smoothing", 0.0),
        )

    @contextmanager
    def computing(self, X: Any, layer: int) -> Iterator[Callable[..., np.ndarray]]:
        """Take a program for a layer's outputs (-1: raw outputs) that nobody uses, or make one.

        Yields `rows -> outputs`, for a slice of X, to be called inside `running`. A program is kept
        for the next prediction where it reads the published arrays themselves; one of copies would
        miss what is written to them.
        """
        key = (layer, not isinstance(X, np.ndarray))
        found: _Answering | None = self.spares.take(key)
        if found is None or not found.reads(self.arrays):  # one may have been replaced since
            found = _Answering.of(self, *key)
        compute = found.program.bind({found.x: X})
        largest = found.program.largest_product(X.shape[0])

        def computed(rows: slice | None = None) -> np.ndarray:
            with threads_for(largest):
                return compute(rows)[0]

        yield computed

        if found.is_of_published:
            found.program.release(KEPT_BYTES)
            self.spares.give(key, found)
        objective = self.spares.take("objective")  # of a stream, which has come to rest
        if objective is not None:
            objective.program.release(KEPT_BYTES)
            self.spares.give("objective", objective)

    def layer(self, X: Any, layer: int) -> np.ndarray:
        """Compute a layer's outputs (-1: raw outputs) for checked inputs."""
        with self.computing(X, layer) as compute, running():
            return compute()

    def answers(self, X: Any, answer: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Compute what raw outputs say, so many rows at a time that memory is for answers alone.

        Raises a NotFiniteError where they, or what they say, are not finite.
        """
        n = X.shape[0]
        with self.computing(X, -1) as compute:

            def part(start: int) -> np.ndarray:
                with running():
                    raw = compute(slice(start, start + _ANSWERED_ROWS))
                    said = answer(raw)
                    self._check_finite(X, start, raw, said)
                return said

            answers = part(0)
            if n <= _ANSWERED_ROWS:
                return answers
            whole = np.empty((n, *answers.shape[1:]), answers.dtype)
            whole[:_ANSWERED_ROWS] = answers
            for start in range(_ANSWERED_ROWS, n, _ANSWERED_ROWS):
                whole[start : start + _ANSWERED_ROWS] = part(start)
            return whole

    def _check_finite(self, X: Any, start: int, raw: np.ndarray, said: np.ndarray) -> None:
        """Refuse raw outputs and answers of rows of X, from `start` on, that are not finite.

        Of a class it is the prediction behind it that has to be; our own heads see to that.
        """
        head = self.target.head
        if said.dtype.kind != "f":
            said = raw if type(head) in HEADS.values() else head.predict(raw)
        for numbers in (raw,) if said is raw else (raw, said):
            if not is_finite(numbers.ravel()):
                is_wrong = ~np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
                raise self._not_finite(X, start, is_wrong)

    def _not_finite(self, X: Any, start: int, is_wrong: np.ndarray) -> NotFiniteError:
        """Say in which rows of X the network has no finite answer, and why."""
        row = start + int(np.argmax(is_wrong))
        inputs = np.abs(np.ravel(X[[row]] if isinstance(X, np.ndarray) else X[[row]].toarray()))
        column = int(np.argmax(inputs))
        name = self._seen.get("feature_names_in_", range(len(inputs)))[column]
        largest = max(float(np.max(np.abs(x), initial=0)) for x in self.arrays if x is not None)
        if inputs[column] > ORDINARY:
            cause = "check its unit, or clip it to the range of the training data"
        elif largest > ORDINARY:
            cause = f"parameters are as large as {largest:.2g}, so scale X and y and fit again"
        else:
            cause = f"an activation, or the head {self.target.head!r}, is not finite there"
        others = f", and in {np.sum(is_wrong) - 1} more" if np.sum(is_wrong) > 1 else ""
        return NotFiniteError(
            f"The network has no finite answer in row {row} of X{others}, whose largest number is "
            f"{inputs[column]:.3g} in column {name!r}: {cause}."
        )


class _Answering(NamedTuple):
    """A program for a layer's outputs, its variable for inputs, and the arrays that it stands for.

    `is_of_published` tells whether the program reads those very arrays, no copies.
    """

    arrays: list[Any]
    x: Expression
    program: Program
    is_of_published: bool

    @classmethod
    def of(cls, fitted: Fitted, layer: int, is_sparse: bool) -> _Answering:
        """Make one."""
        network, dtype = fitted.network, fitted.dtype
        traced = _kept_layer if network.is_ours else _traced_layer
        x, variables, plan = traced(network, layer, is_sparse)
        given = [array for part in fitted.parts for array in part.values()]
        read = [np.ascontiguousarray(array, dtype) for array in given]
        widest = dtype.itemsize * max(network.layer_units)
        program = Program(
            plan,
            dict(zip(variables, read, strict=True)),
            dtype=dtype,
            block_rows=max(256, _BLOCK_BYTES // widest),
        )
        are_arrays = all(x is None or isinstance(x, np.ndarray) for x in fitted.arrays)
        return cls(fitted.arrays, x, program, are_arrays and all(map(is_, given, read)))

    def reads(self, arrays: list[Any]) -> bool:
        """Tell whether these are its arrays, the very ones."""
        return len(arrays) == len(self.arrays) and all(map(is_, arrays, self.arrays))


def _traced_layer(
    network: Network, layer: int, is_sparse: bool
) -> tuple[Expression, list[Expression], Plan]:
    """Trace a layer's outputs: the inputs, the parameters in their order, and the plan."""
    x = variable("x", (BATCH, network.layer_units[0]), is_sparse=is_sparse)
    variables = network.variables()
    plan = Plan([network.layers(x, variables)[layer]])
    return x, [part for parts in variables for part in parts.values()], plan


_kept_layer = lru_cache(16)(_traced_layer)


class FittedNetwork(Answers, BaseEstimator):
    """What a fitted network computes, whatever its targets."""

    @property
    def loss_curve_(self) -> list[float]:
        """The objective of every epoch, those of earlier calls and warm-started fits first."""
        return self._state.losses

    @property
    def history_(self) -> dict[str, list[float]]:
        """What is known of every epoch of the last fit; of a stream, of every call."""
        return self._state.history.columns()

    @property
    def validation_scores_(self) -> list[float] | None:
        """The validation score of every epoch, where there is validation."""
        return self._state.scores

    def _answered(
        self, X: Any, answer: Callable[[Any, np.ndarray], np.ndarray]
    ) -> tuple[Any, np.ndarray]:
        """Return the target, and what `answer(target, raw)` says of some rows at a time."""
        fitted = Fitted(self)
        target = fitted.answering
        return target, fitted.answers(fitted.checked(X), lambda raw: answer(target, raw))

    def _raw(self, X: Any) -> tuple[Any, np.ndarray]:
        """Return the target and the raw outputs."""
        fitted = Fitted(self)
        target = fitted.answering

        def with_prediction(raw: np.ndarray) -> np.ndarray:  # so that both are checked
            return np.hstack([raw, target.head.predict(raw).reshape(len(raw), -1)])

        found = fitted.answers(fitted.checked(X), with_prediction)
        return target, np.ascontiguousarray(found[:, : target.head.n_raw(target.n_targets)])

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
        fitted = Fitted(self)
        depth = fitted.network.depth - 1
        is_number = isinstance(layer, Integral) and not isinstance(layer, bool)
        if not (is_number and -depth <= int(layer) < depth):
            raise ValueError(
                f"layer={shown(layer)} is not one of the {depth} hidden layers: give a whole "
                f"number from {-depth} to {depth - 1}."
                if depth
                else f"layer={shown(layer)} does not exist: the network has no hidden layer."
            )
        return fitted.layer(fitted.checked(X), int(layer) % depth)

    def _gradient_norms(self, X: Any, y: Any, sample_weight: Any) -> dict[str, float]:
        """Return the norm of each layer's gradient of the mean loss, on some of these samples.

        They are norms of what is made small, in the units in which training works.
        """
        fitted = Fitted(self)
        data = fitted.samples(X, y, sample_weight)
        scale, network = fitted.state.scale, fitted.network
        rows = evenly_spaced(data.rows, SCORED_ROWS)
        theta, targets = network.packed(fitted.parts), data.Y
        graph = fitted.loss_graph(data, is_training=True)
        if scale is not None:
            scale.unfold(*network.last_layer(theta))
            theta, targets = theta.astype(fitted.precision), data.targets(scale.targets)
        weights = data.normalized_weights(rows)[0]
        weights = None if weights is None else weights.astype(theta.dtype)
        objective = Objective(graph, theta, data.X, targets, weights, 0.0, scale)
        with objective.threads(len(rows)):
            objective(rows)
        names = [f"hidden layer {i}" for i in range(1, network.depth)] + ["output layer"]
        squares = (
            float(sum(np.sum(array**2) for array in parts.values()))
            for parts in network.split(objective.gradient)
        )
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
        fitted = Fitted(self)
        if (X is None and y is not None) or (y is None and sample_weight is not None):
            raise ValueError("computation_graph needs X for a y, and a y for a sample_weight.")
        data = None
        if y is not None:
            data = fitted.samples(X, y, sample_weight)
            data.check_rows()
            X = data.X
        elif X is not None:
            X = fitted.checked(X)
        graph = fitted.loss_graph(data, X)
        if X is None:
            return ComputationGraph(graph.objective)
        values: dict[Expression, Any] = {graph.x: X}
        values |= values_of(graph.parameters, fitted.parts)
        if data is None:
            return ComputationGraph(fitted.answering.head.predict(graph.raw), values)
        values |= {graph.y: data.Y, graph.per_row: 1.0 / len(data.Y)}
        if data.weights is not None:
            values[graph.w] = data.normalized_weights(np.arange(len(data.Y)))[0]
        return ComputationGraph(graph.objective, values, gradients=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = takes_sparse(self)
        return tags
