"""Identity: what a fit is, in words, so that a checkpoint is resumed by that fit alone.

The law: the same words in every process, and other words for whatever could give other numbers. A
function is its code and what it closes over, a class of the user's its methods and attributes; what
they read of their module is not looked at.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cached_property, partial
from numbers import Number, Real
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
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


def are_same(a: Any, b: Any) -> bool:
    """Tell whether two parameters are the same, whatever `==` says of objects of users' classes.

    Examples
    --------
    >>> are_same([1, "relu"], [1.0, "relu"]), are_same(np.zeros(2), np.zeros(3))
    (True, False)
    """
    if a is b:
        return True
    if isinstance(a, (Number, str)):
        return isinstance(b, (Number, str)) and bool(a == b)
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(are_same, a, b))
    if is_dataclass(a) and not isinstance(a, type):
        if not any(map(_slots, type(a).__mro__)) and are_same(vars(a), vars(b)):
            return True  # the usual case, in a twentieth of the time
        a, b = _kept_by(a), _kept_by(b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(are_same(x, b[name]) for name, x in a.items())
    return in_words(a) == in_words(b)


def in_words(value: Any, within: tuple[int, ...] = ()) -> str:
    """Say what a parameter is; numbers of one value are one, whatever their type."""
    if isinstance(value, np.ndarray) or issparse(value):
        return digest(value)
    if isinstance(value, np.random.RandomState):
        return "a RandomState"
    if isinstance(value, Number):
        return f"{float(value)!r}" if isinstance(value, Real) else repr(value)
    if isinstance(value, (str, bytes, type(None), ModuleType)):
        return repr(value)
    if id(value) in within:
        return "itself"
    say = partial(in_words, within=(*within, id(value)))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(say, value)) + "]"
    if isinstance(value, (set, frozenset)):
        return "{" + ", ".join(sorted(map(say, value))) + "}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{say(k)}: {say(v)}" for k, v in value.items())) + "}"
    if isinstance(value, type):
        return _class_in_words(value, say)
    return _function_in_words(value, say) or _object_in_words(value, say)


_Say = Callable[[Any], str]


def _name_of(thing: Any) -> str:
    return f"{getattr(thing, '__module__', None)}.{getattr(thing, '__qualname__', repr(thing))}"


def _function_in_words(value: Any, say: _Say) -> str | None:
    if isinstance(value, partial):
        return f"partial({say([value.func, value.args, value.keywords])})"
    if isinstance(value, MethodType):
        return f"{say(value.__func__)} of {say(value.__self__)}"
    if isinstance(value, FunctionType):
        closed = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        cells = [_contents(cell) for name, cell in closed if name != "__class__"]
        further = [value.__defaults__, value.__kwdefaults__, cells]
        code = _shortened(_code_in_words(value.__code__))
        return f"{_name_of(value)} ({code}, {say(further)})"
    if isinstance(value, (np.ufunc, BuiltinFunctionType)):
        return f"{type(value).__name__} {value.__name__}"
    return None


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # of what is not defined yet
        return None


def _object_in_words(value: Any, say: _Say) -> str:
    entries = (f"{name}={say(x)}" for name, x in _kept_by(value).items())
    return f"{say(type(value))}({', '.join(entries)})"


def _kept_by(value: Any) -> dict[str, Any]:
    """Return what an object is: fields that count, and what else it keeps, but caches."""
    known = fields(value) if is_dataclass(value) else ()
    kept = {x.name: getattr(value, x.name, None) for x in known if x.compare}
    kinds, others = type(value).__mro__, dict(getattr(value, "__dict__", {}))
    others |= {n: getattr(value, n, None) for kind in kinds for n in _slots(kind)}
    for name in others.keys() - {x.name for x in known}:
        declared = next((vars(kind)[name] for kind in kinds if name in vars(kind)), None)
        if not isinstance(declared, cached_property):
            kept[name] = others[name]
    return dict(sorted(kept.items()))


def _slots(kind: type) -> list[str]:
    found = vars(kind).get("__slots__", ())
    names = [found] if isinstance(found, str) else list(found)
    return [name for name in names if not name.startswith("__")]


_KNOWN_BY_NAME = {"skmlp", "sklearn", "numpy", "scipy", *sys.stdlib_module_names} - {"__main__"}


def _class_in_words(kind: type, say: _Say) -> str:
    """Say its name and, of a class of the user's, a digest of its methods and attributes."""
    own = [
        (name, _unwrapped(x))
        for base in kind.__mro__
        if base.__module__.partition(".")[0] not in _KNOWN_BY_NAME
        for name, x in vars(base).items()
        if not name.startswith("__") or name in ("__init__", "__post_init__", "__call__")
    ]
    return _name_of(kind) + (f" ({_shortened(say(own))})" if own else "")


def _unwrapped(attribute: Any) -> Any:
    """Return the function of a method or property; what NumPy and Python make of slots is none."""
    if isinstance(attribute, property):
        return attribute.fget
    if isinstance(attribute, cached_property):
        return attribute.func
    if isinstance(attribute, MemberDescriptorType):
        return None
    return getattr(attribute, "__func__", attribute)


def _shortened(words: str) -> str:
    return hashlib.blake2b(words.encode(), digest_size=8).hexdigest()


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
