"""Fitted estimators as ONNX models, which run without Python and NumPy, by ONNX Runtime."""

from .converters import register_converters
from .export import to_onnx
from .expressions import NoOperatorError, write
from .writer import Value, Writer

__all__ = ["NoOperatorError", "Value", "Writer", "to_onnx", "write"]

register_converters()
