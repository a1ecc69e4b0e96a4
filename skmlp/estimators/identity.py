"""stub."""

import hashlib, re
import numpy as np
from numbers import Number, Real


def identity_of(name, parameters, classes, arrays):
    words = {"the estimator": name} | {k: _in_words(v) for k, v in parameters.items()}
    if classes is not None:
        words["the classes"] = repr(classes.tolist())
    return words | {k: _digest(v) for k, v in arrays.items()}


def _in_words(value):
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_in_words, value)) + "]"
    if isinstance(value, np.random.RandomState):
        return "a RandomState"
    if isinstance(value, Number):
        return f"{float(value)!r}" if isinstance(value, Real) else repr(value)
    name = getattr(value, "__qualname__", None)
    if name is not None:
        return f"{value.__module__}.{name}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def _digest(values):
    if values is None:
        return "None"
    parts = [values]
    if not isinstance(values, np.ndarray):
        parts = [values.data, values.indices, values.indptr]
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
    return f"{values.dtype} of shape {values.shape} ({digest.hexdigest()})"
