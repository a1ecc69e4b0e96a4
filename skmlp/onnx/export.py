"""Fitted networks as ONNX models."""

from __future__ import annotations

from typing import Any

from ..engine import BATCH
from ..engine.words import shown
from ..estimators.prediction import FittedNetwork
from ..estimators.targets import Classes
from .answers import Traced, write_classes, write_numbers
from .writer import Writer, onnx_module


def to_onnx(
    estimator: Any,
    *,
    opset: int | None = None,
    dtype: Any = None,
) -> Any:
    """Export."""
    onnx_module()
    if not isinstance(estimator, FittedNetwork):
        raise TypeError(
            f"to_onnx takes a fitted MLPClassifier or MLPRegressor of skmlp, got {shown(estimator)}"
        )
    traced = Traced(estimator)
    writer = Writer(traced.fitted.dtype if dtype is None else dtype, opset)
    x = writer.input("X", writer.dtype, (BATCH, traced.n_inputs))
    if isinstance(traced.target, Classes):
        label, numbers = write_classes(writer, traced, x)
        writer.output("label", label)
        has_probabilities = traced.target.head.has_probabilities
        writer.output("probabilities" if has_probabilities else "scores", numbers)
    else:
        writer.output("variable", write_numbers(writer, traced, x))
    return writer.model()
