"""Values: what is told apart by its fields, as users' own heads and layers are.

The law: whatever a class takes when an object of it is made is a field. What is hidden elsewhere is
neither compared nor shown, so two objects that differ would be taken for one.
"""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any
from weakref import WeakSet

import numpy as np

_RIGHT: WeakSet[type] = WeakSet()  # classes of which an object was made, so they are looked at once


def plain(value: Any) -> Any:
    """Return a number or a name as Python's own: NumPy's small integers overflow in sums.

    Examples
    --------
    >>> plain(np.int8(100)) * 100, plain(np.float32(0.5)), plain("relu"), plain(None)
    (10000, 0.5, 'relu', None)
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.str_):
        return str(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value


def name_of(function: Any) -> str:
    """Return what a function is called, without its address."""
    return getattr(function, "__name__", None) or repr(function)


def told(error: Exception) -> str:
    """Return what an error says, in the middle of a sentence."""
    return f"raised {type(error).__name__}: {str(error).rstrip('.')}"


def check_declared(kind: type, noun: str) -> None:
    """Refuse a class, as it is defined, that takes what is no field; `dataclass` comes later."""
    own = inspect.get_annotations(kind) if "__init__" in vars(kind) else {}
    _refuse_hidden(kind, noun, _fields(kind) | set(own))


def check_made(kind: type, noun: str, *, is_given: bool) -> None:
    """Refuse to make an object of a class whose fields lack their `dataclass`."""
    if kind in _RIGHT:
        return
    _refuse_hidden(kind, noun, _fields(kind))
    if "__dataclass_params__" in vars(kind) or not inspect.get_annotations(kind):
        _RIGHT.add(kind)
    elif is_given and "__init__" not in vars(kind):
        raise TypeError(
            f"{kind.__name__} names its parameters, but is no dataclass: write "
            f'"@dataclass(frozen=True)" above "class {kind.__name__}".'
        )


def _fields(kind: type) -> set[str]:
    return {field.name for field in fields(kind)} if is_dataclass(kind) else set()


def _refuse_hidden(kind: type, noun: str, known: set[str]) -> None:
    if kind.__init__ is object.__init__:  # type: ignore[misc]
        return
    hidden = [
        p
        for p in list(inspect.signature(kind.__init__).parameters.values())[1:]  # type: ignore[misc]
        if (not known if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) else p.name not in known)
    ]
    if hidden:
        lines = " and ".join(f'"{_as_field(p)}"' for p in hidden)
        raise TypeError(
            f"{kind.__name__} hides what its __init__ takes, so that two such {noun}s would be "
            f'taken for one: write "@dataclass(frozen=True)" above "class {kind.__name__}" and '
            f"{lines} in it, instead of __init__ (what else that does goes to __post_init__)."
        )


def _as_field(parameter: inspect.Parameter) -> str:
    """Write an argument as the line of a field."""
    has_default = parameter.default is not parameter.empty and parameter.default is not None
    type_name = type(parameter.default).__name__ if has_default else "float"
    start = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {type_name}{start}"
