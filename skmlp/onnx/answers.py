"""What estimators answer, written as outputs of a graph.

The law: an answer is the estimator's own: the published network, composed for prediction, and what
its head says of raw outputs. It is traced, lowered and written; no forward pass is written again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine import BATCH, Expression, variable
from ..engine.expression import topological
from ..engine.rules import lowered
from ..engine.words import shown
from ..estimators.prediction import Fitted, FittedNetwork
from ..network.network import values_of
from .expressions import NoOperatorError, write
from .writer import STRINGS, Value, Writer


class Traced:
    """A fitted network, traced from its inputs to its raw outputs.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted.

    Attributes
    ----------
    fitted : Fitted
        The estimator as it is now.
    target : Classes or Numbers
        What raw outputs mean.
    raw : Expression of shape (n, outputs)
        The raw outputs.
    """

    def __init__(self, estimator: FittedNetwork) -> None:
        self.fitted = Fitted(estimator)
        self.target = self.fitted.answering
        network = self.fitted.network
        self._x = variable("x", (BATCH, network.layer_units[0]))
        variables = network.variables()
        self._parameters = values_of(variables, self.fitted.parts)
        self._layers = network.layers(self._x, variables)
        self._activations = network.activations
        self.raw = self._layers[-1]

    @property
    def n_inputs(self) -> int:
        """The number of columns of the inputs."""
        return int(self._x.shape[1])

    def write(self, writer: Writer, x: Value, outputs: Sequence[Expression]) -> list[Value]:
        """Write outputs of the inputs x; a primitive without an operator is refused with its layer.

        Raises
        ------
        NotImplementedError
            If there is one.
        """
        try:
            return write(writer, outputs, {self._x: x}, self._parameters)
        except NoOperatorError as error:
            raise NotImplementedError(f"{self._place(error)}: {error}") from error

    def _place(self, error: NoOperatorError) -> str:
        for i, h in enumerate(self._layers[:-1]):
            if any(node.primitive is error.primitive for node in topological(lowered([h]))):
                name = getattr(self._activations[i], "__name__", repr(self._activations[i]))
                return f"hidden layer {i + 1}, {name}"
        return f"the head {shown(self.target.head)}"


def write_classes(writer: Writer, traced: Traced, x: Value) -> tuple[Value, Value]:
    """Write the label of each row, and its probabilities; scores where the head has none."""
    target = traced.target
    said = target.unguarded_probabilities if target.head.has_probabilities else target.scores
    numbers = said(traced.raw)
    if target.columns is not None and target.head.has_probabilities:
        numbers = numbers[:, target.columns]
    codes, numbers = traced.write(writer, x, [target.classify(traced.raw), numbers])
    return _labels(writer, target, codes), numbers


def _labels(writer: Writer, target: Any, codes: Value) -> Value:
    """Write the class of each number; labels are answered as they are, 0 or 1 for each."""
    shape = codes.shape
    codes = writer.cast(codes, np.int64)
    if target.kind == "multilabel":
        return codes.of_shape(shape)
    classes = labels_of(target.classes)
    if len(classes) == 1:
        codes = writer.add("Mul", codes, np.int64(0))
    if classes.dtype == np.int64 and np.array_equal(classes, np.arange(len(classes))):
        return codes.of_shape(shape)
    constant = writer.constant(classes, "classes", classes.dtype)
    return writer.add("Gather", constant, codes, axis=0).of_shape(shape)


def labels_of(classes: np.ndarray) -> np.ndarray:
    """Return classes as ONNX holds them: strings, truth values or whole numbers of 64 bits.

    Raises
    ------
    ValueError
        If they are none of these.
    """
    if all(isinstance(label, str) for label in classes.tolist()):
        return np.array([str(label) for label in classes.tolist()], STRINGS)
    if classes.dtype == bool:
        return classes
    if classes.dtype.kind in "iuf" and np.array_equal(classes, classes.astype(np.int64)):
        return classes.astype(np.int64)
    odd = classes.tolist()[-1]
    raise ValueError(
        f"the class {shown(odd)} is no label that ONNX has: train on strings, or on whole numbers "
        "of 64 bits."
    )


def write_numbers(writer: Writer, traced: Traced, x: Value) -> Value:
    """Write the predictions of a regressor, of shape (n, targets)."""
    predicted = traced.target.head.predict(traced.raw)
    if predicted.ndim == 3 and predicted.shape[1] == 1:
        predicted = predicted[:, 0]
    return traced.write(writer, x, [predicted])[0]
