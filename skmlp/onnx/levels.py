"""Levels of categories: which type of input they have, and how they become codes.

The law: a value that is no level has code 0, as what is missing has.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from .writer import STRINGS, Value, Writer, onnx_module

_DOMAIN = "ai.onnx.ml"


def input_type(vocabulary: Mapping[Any, int], dtype: Any) -> Any:
    """Return the type of a column of categories; that of numbers that are not whole is `dtype`."""
    levels = list(vocabulary)
    if all(isinstance(level, str) for level in levels):
        return STRINGS
    if all(isinstance(level, bool) for level in levels):
        return np.dtype(np.bool_)
    if all(isinstance(level, Integral) for level in levels):
        return np.dtype(np.int64)
    return np.dtype(dtype)


def check_written(name: str, vocabulary: Mapping[Any, int], dtype: Any) -> None:
    """Refuse levels that no input of one type can hold, or tell apart.

    Raises
    ------
    ValueError
        If there are any.
    """
    kind = input_type(vocabulary, dtype)
    if kind in (STRINGS, np.bool_):
        return
    odd = [level for level in vocabulary if not isinstance(level, Real)]
    if odd:
        raise ValueError(
            f"column {name!r} has the level {odd[0]!r} of type {type(odd[0]).__name__}, but an "
            "ONNX model has columns of strings alone, or of numbers alone: convert it, in fit too."
        )
    limits = np.iinfo(np.int64)
    for level in vocabulary:
        if kind == np.int64 and not limits.min <= level <= limits.max:
            raise ValueError(
                f"column {name!r} has the level {level}, but whole numbers of ONNX have 64 bits: "
                "convert the column to strings, in fit too."
            )
    if kind.kind == "f" and len(np.unique(_rounded(vocabulary, kind))) < len(vocabulary):
        cure = "to_onnx(..., dtype='float64')" if kind == np.float32 else "convert it to strings"
        raise ValueError(f"column {name!r} has levels that {kind} cannot tell apart: {cure}.")


def write_codes(writer: Writer, given: Value, vocabulary: Mapping[Any, int]) -> Value:
    """Write the code of each value of a column, a whole number."""
    if not vocabulary:
        zeros = writer.add("ConstantOfShape", writer.lengths((1, 1)), dtype=np.float32)
        return writer.cast(zeros, np.int64)
    if given.dtype == np.bool_:
        given = writer.cast(given, np.int64)
    how = {
        STRINGS: _of_strings,
        np.dtype(np.int64): _of_whole_numbers,
        np.dtype(np.float32): _of_single,
        np.dtype(np.float64): _of_double,
    }
    version, attributes = how[given.dtype](vocabulary)
    code = writer.add(
        "LabelEncoder", given, dtype=np.int64, domain=_DOMAIN, version=version, **attributes
    )
    return code.of_shape(given.shape)


def _coded(kind: str, keys: list[Any], codes: list[int]) -> tuple[int, dict[str, Any]]:
    return 2, {f"keys_{kind}": keys, "values_int64s": codes, "default_int64": 0}


def _of_strings(vocabulary: Mapping[Any, int]) -> tuple[int, dict[str, Any]]:
    return _coded("strings", [str(level) for level in vocabulary], list(vocabulary.values()))


def _of_whole_numbers(vocabulary: Mapping[Any, int]) -> tuple[int, dict[str, Any]]:
    return _coded("int64s", [int(level) for level in vocabulary], list(vocabulary.values()))


def _of_single(vocabulary: Mapping[Any, int]) -> tuple[int, dict[str, Any]]:
    return _coded("floats", _rounded(vocabulary, np.float32).tolist(), list(vocabulary.values()))


def _of_double(vocabulary: Mapping[Any, int]) -> tuple[int, dict[str, Any]]:
    """Return the tables as tensors, which double numbers have since version 4."""
    tensor = onnx_module().numpy_helper.from_array
    return 4, {
        "keys_tensor": tensor(_rounded(vocabulary, np.float64)),
        "values_tensor": tensor(np.array(list(vocabulary.values()), np.int64)),
        "default_tensor": tensor(np.array([0], np.int64)),
    }


def _rounded(vocabulary: Mapping[Any, int], dtype: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.array([float(level) for level in vocabulary]).astype(dtype)
