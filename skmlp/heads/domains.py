"""Domains: the targets that a head can learn, and the numbers that its parameters can be."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np


class Domain(NamedTuple):
    """The targets that a head can learn: words for them, and an elementwise test."""

    words: str
    allows: Callable[[Any], Any]


NUMBERS = Domain("finite", np.isfinite)
ZERO_OR_POSITIVE = Domain("0 or positive", lambda y: np.isfinite(y) & (y >= 0))
POSITIVE = Domain("positive", lambda y: np.isfinite(y) & (y > 0))
ZERO_OR_ONE = Domain("0 or 1", lambda y: (y == 0) | (y == 1))


def is_number(value: Any) -> bool:
    """Whether a parameter is a finite real number that a float holds, and no truth value."""
    try:
        return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)
    except OverflowError:
        return False


def as_levels(values: Any) -> np.ndarray:
    """Return levels in float64, those of lower precision as the decimals that they stand for.

    Examples
    --------
    >>> as_levels(np.float32(0.9)), as_levels([0.5, np.float32(0.1)])
    (array(0.9), array([0.5, 0.1]))
    """
    given, narrow = np.asarray(values), (np.float32, np.float16)
    if given.dtype not in narrow:
        given = np.asarray(values, object)  # which a list may hold beside others
    each = [float(str(x)) if isinstance(x, narrow) else float(x) for x in np.ravel(given)]
    return np.reshape(np.array(each, np.float64), given.shape)


def is_count(value: Any) -> bool:
    """Whether a parameter is a whole number >= 1, and no truth value."""
    return is_number(value) and isinstance(value, Integral) and int(value) >= 1
