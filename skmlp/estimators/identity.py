"""Identity: what a fit is, in words, so that a checkpoint is resumed by that fit alone.

The law: the same words in every process, and other words for whatever could give other numbers. A
function is its code and what it closes over; what it reads of its module is not looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from numbers import Number, Real
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from scipy.sparse import issparse


def identity_of(
    name: str, parameters: Mapping[str, Any], classes: Any, arrays: Mapping[str, Any]
) -> dict[str, str]:
    """Say in words what an estimator of that name and its parameters fit to arrays."""
    words = {"the estimator": name} | {key: in_words(x) for key, x in parameters.items()}
    if classes is not None:
        words["the classes"] = repr(classes.tolist())
    return words | {key: digest(array) for key, array in arrays.items()}


def in_words(value: Any) -> str:
    """Say what a parameter is; numbers of one value are one, whatever their type."""
    if isinstance(value, np.ndarray) or issparse(value):
        return digest(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(in_words, value)) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(in_words, value))) + "}"
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(sorted(f"{in_words(k)}: {in_words(v)}" for k, v in value.items())) + "}"
        )
    if isinstance(value, np.random.RandomState):
        return "a RandomState"
    if isinstance(value, Number):
        return f"{float(value)!r}" if isinstance(value, Real) else repr(value)
    if callable(value) and not isinstance(value, type):
        return _function_in_words(value)
    if is_dataclass(value) and not isinstance(value, type):
        entries = (f"{x.name}={in_words(getattr(value, x.name))}" for x in fields(value))
        return f"{_name_of(type(value))}({', '.join(entries)})"
    if isinstance(value, (str, bytes, type(None))):
        return repr(value)
    if isinstance(value, type):
        return _name_of(value)
    return f"{_name_of(type(value))}({in_words(vars(value)) if hasattr(value, '__dict__') else ''})"


def _name_of(thing: Any) -> str:
    return f"{getattr(thing, '__module__', None)}.{getattr(thing, '__qualname__', repr(thing))}"


def _function_in_words(value: Any) -> str:
    if isinstance(value, partial):
        return f"partial({in_words([value.func, value.args, value.keywords])})"
    if isinstance(value, MethodType):
        return f"{in_words(value.__func__)} of {in_words(value.__self__)}"
    if isinstance(value, FunctionType):
        closed = [cell.cell_contents for cell in value.__closure__ or ()]
        further = [value.__defaults__, value.__kwdefaults__, closed]
        code = hashlib.blake2b(_code_in_words(value.__code__).encode(), digest_size=8).hexdigest()
        return f"{_name_of(value)} ({code}, {in_words(further)})"
    if isinstance(value, np.ufunc) or not hasattr(value, "__dict__"):
        return f"{type(value).__name__} {getattr(value, '__name__', '')}"
    return f"{_name_of(type(value))}({in_words(vars(value))})"


def _code_in_words(code: CodeType) -> str:
    constants = [
        _code_in_words(x) if isinstance(x, CodeType) else in_words(x) for x in code.co_consts
    ]
    return repr((code.co_code.hex(), constants, code.co_names, code.co_varnames, code.co_freevars))


def digest(values: Any) -> str:
    """Say an array's type and shape, and a digest of all its numbers."""
    if values is None:
        return "None"
    parts = (
        [values] if isinstance(values, np.ndarray) else [values.data, values.indices, values.indptr]
    )
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        plain = part if part.dtype != object else np.array([in_words(x) for x in part.ravel()])
        found.update(np.ascontiguousarray(plain).reshape(-1).view(np.uint8).data)
    return f"{values.dtype} of shape {values.shape} ({found.hexdigest()})"
