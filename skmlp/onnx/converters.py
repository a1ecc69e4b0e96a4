"""What skl2onnx does with the networks of skmlp inside of pipelines, ensembles and searches.

The law: a converter writes what `to_onnx` writes, under names and in the precision that skl2onnx
gives, so whatever holds a fitted network is converted whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..engine import BATCH
from ..estimators import MLPClassifier, MLPRegressor
from .answers import Traced, labels_of, write_answers, write_classes
from .writer import STRINGS, Value, Writer, onnx_module

CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
}


def register_converters() -> bool:
    """Tell skl2onnx how networks are converted; False where it is not installed."""
    try:
        from skl2onnx import update_registered_converter  # noqa: PLC0415
    except ImportError:
        return False
    update_registered_converter(
        MLPClassifier,
        "SkmlpMLPClassifier",
        _shape_classes,
        _convert_classes,
        options=CLASSIFIER_OPTIONS,
    )
    update_registered_converter(MLPRegressor, "SkmlpMLPRegressor", _shape_numbers, _convert_numbers)
    return True


# -- types and shapes ------------------------------------------------------------------------------


def _types() -> Any:
    from skl2onnx.common import data_types  # noqa: PLC0415

    return data_types


def _precision(operator: Any) -> Any:
    """Return the precision that the inputs ask for, as skl2onnx has it: float32 but for doubles."""
    are_double = any(isinstance(x.type, _types().DoubleTensorType) for x in operator.inputs)
    return np.float64 if are_double else np.float32


def _of_numbers(operator: Any, shape: list[Any]) -> Any:
    types = _types()
    is_double = _precision(operator) == np.float64
    return (types.DoubleTensorType if is_double else types.FloatTensorType)(shape)


def _shape_classes(operator: Any) -> None:
    target, rows = operator.raw_operator._target, operator.inputs[0].get_first_dimension()
    n = len(target.classes)
    are_many = target.kind == "multilabel"
    are_strings = not are_many and labels_of(target.classes).dtype == STRINGS
    kind = _types().StringTensorType if are_strings else _types().Int64TensorType
    operator.outputs[0].type = kind([rows, n] if are_many else [rows])
    operator.outputs[1].type = _of_numbers(operator, [rows, n])


def _shape_numbers(operator: Any) -> None:
    rows = operator.inputs[0].get_first_dimension()
    traced = Traced(operator.raw_operator)
    shape = traced.predictions().shape
    operator.outputs[0].type = _of_numbers(operator, [rows, *shape[1:]])


# -- converters ------------------------------------------------------------------------------------


def _convert_classes(scope: Any, operator: Any, container: Any) -> None:
    writer, x = _begun(scope, operator, container)
    traced = Traced(operator.raw_operator)
    label, numbers = write_classes(writer, traced, x)
    if label.dtype == bool:
        label = writer.cast(label, np.int64)
    if numbers.shape is not None and len(numbers.shape) == 1:  # of two classes, by one score
        column = writer.add("Unsqueeze", numbers, np.array([1]))
        numbers = writer.add("Concat", -column, column, axis=1)
    _ended(scope, operator, container, writer, [label, numbers])


def _convert_numbers(scope: Any, operator: Any, container: Any) -> None:
    writer, x = _begun(scope, operator, container)
    traced = Traced(operator.raw_operator)
    _ended(scope, operator, container, writer, write_answers(writer, traced, x, {}))


def _begun(scope: Any, operator: Any, container: Any) -> tuple[Writer, Value]:
    """Make a writer, and one value of all inputs, side by side."""
    writer = Writer(
        _precision(operator), container.target_opset, name_of=scope.get_unique_variable_name
    )
    columns = []
    for given in operator.inputs:
        held = _types().guess_numpy_type(given.type)
        shape = (BATCH, *given.type.shape[1:])
        columns.append(writer.cast(writer.known(given.full_name, held, shape), writer.dtype))
    return writer, columns[0] if len(columns) == 1 else writer.add("Concat", *columns, axis=1)


def _ended(scope: Any, operator: Any, container: Any, writer: Writer, outputs: list[Value]) -> None:
    """Hand what was written over to the container of skl2onnx."""
    for place, value in zip(operator.outputs, outputs, strict=True):
        writer.output(place.full_name, value)
    of = onnx_module().helper.np_dtype_to_tensor_dtype
    used = {name for node in writer.nodes for name in node.inputs}
    for name, array in writer.initializers.items():
        if name in used:
            container.add_initializer(name, of(array.dtype), list(array.shape), array.ravel())
    for node in writer.nodes:
        container.add_node(
            node.operator,
            list(node.inputs),
            list(node.outputs),
            op_domain=node.domain,
            name=scope.get_unique_operator_name(node.operator),
            **node.attributes,
        )
