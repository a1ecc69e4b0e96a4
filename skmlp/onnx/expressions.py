"""Expressions, written as operators of a graph.

The law: each node of the lowered graph is one row of `engine.operators`, and what does not depend
on an input is computed beforehand, in double precision, and written as a constant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..engine import Expression, evaluate
from ..engine.expression import Primitive, topological
from ..engine.operators import operator_of
from ..engine.primitives import ROWS
from ..engine.rules import rewritten
from ..engine.shapes import BATCH
from .writer import Value, Writer

_OF_TRUTH = ("logical_and", "logical_or", "logical_xor", "logical_not")  # whatever they are given
_OF_BITS = ("bitwise_and", "bitwise_or", "bitwise_xor", "invert")  # of truth values alone


class NoOperatorError(NotImplementedError):
    """A primitive that is not written in ONNX.

    Attributes
    ----------
    primitive : Primitive
        It.
    """

    def __init__(self, primitive: Primitive) -> None:
        super().__init__(
            f"{primitive.name} has no operator in ONNX: register the function with operator=, see "
            "skmlp.engine.register, or take another one."
        )
        self.primitive = primitive


def write(
    writer: Writer,
    outputs: Sequence[Expression],
    values: Mapping[Expression, Value],
    parameters: Mapping[Expression, Any],
) -> list[Value]:
    """Write expressions into a graph.

    Parameters
    ----------
    writer : Writer
        What writes the graph.
    outputs : sequence of Expression
        What is to be computed.
    values : mapping of Expression to Value
        What stands in the graph for variables.
    parameters : mapping of Expression to array
        The numbers of all other variables.

    Returns
    -------
    list of Value
        What stands in the graph for each output.

    Raises
    ------
    NoOperatorError
        If a primitive is not written in ONNX.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.engine import variable
    >>> from skmlp.onnx import Writer, write
    >>> x, W = variable("x", ("n", 2)), variable("W", (2, 1))
    >>> w = Writer(np.float64)
    >>> _ = write(w, [np.tanh(x @ (W * 2))], {x: w.input("X", float, ("n", 2))}, {W: np.eye(2, 1)})
    >>> [node.operator for node in w.nodes], w.initializers
    (['MatMul', 'Tanh'], {'constant': array([[2.],
           [0.]])})
    """
    lowered = rewritten(outputs)
    order = topological(lowered)
    computed = _computed(order, lowered, values, parameters)
    order = topological(lowered, is_leaf=lambda node: node in values or node in computed)
    todo = [node for node in order if node not in values and node not in computed]
    for node in todo:  # refused before any work
        if _row(node) is None:
            raise NoOperatorError(node.primitive)  # type: ignore[arg-type]
    written: dict[Expression, Value] = dict(values)
    for node, array in computed.items():
        label = "constant" if node.primitive is not None else node.label.replace(", ", "_")
        written[node] = writer.constant(array, label).of_shape(node.shape)
    for node in todo:
        written[node] = _written(writer, node, [written[x] for x in node.inputs])
    return [written[output] for output in lowered]


def _computed(
    order: Sequence[Expression],
    outputs: Sequence[Expression],
    values: Mapping[Expression, Value],
    parameters: Mapping[Expression, Any],
) -> dict[Expression, np.ndarray]:
    """Compute what no input changes, as far as others, or nobody else, are made of it."""
    fixed: set[Expression] = set()
    for node in order:
        is_free = node in values or BATCH in node.shape or node.primitive is ROWS
        if not is_free and all(x in fixed for x in node.inputs):
            fixed.add(node)
    used = {x for node in order if node not in fixed for x in node.inputs} | set(outputs)
    asked = [node for node in order if node in fixed and node in used]
    known = {node: node.value for node in asked if node.value is not None}
    asked = [node for node in asked if node not in known]
    given = {x: parameters[x] for x in topological(asked) if x in parameters}
    found = evaluate(asked, given) if asked else []
    return known | dict(zip(asked, found, strict=True))


def _row(node: Expression) -> Any:
    assert node.primitive is not None
    return operator_of(node.primitive, are_truth_values=node.is_boolean)


def _written(writer: Writer, node: Expression, inputs: list[Value]) -> Value:
    """Write one node, its inputs as numbers or truth values, whichever the operator takes."""
    row, primitive = _row(node), node.primitive
    assert primitive is not None
    if primitive.name in _OF_TRUTH:
        inputs = [x if x.dtype == bool else ~writer.add("Equal", x, 0.0) for x in inputs]
    elif not (node.is_boolean and primitive.keeps_boolean) and primitive.name not in _OF_BITS:
        kept = 1 if primitive.name == "where" else 0
        numbers = (writer.cast(x, writer.dtype) if x.dtype == bool else x for x in inputs[kept:])
        inputs = [*inputs[:kept], *numbers]
    if isinstance(row, str):
        value = writer.add(row, *inputs, **node.attributes)
    else:
        value = row(writer, *inputs, **node.attributes)
    return value.of_shape(node.shape)
