"""Warnings that point at the line of whoever called skmlp, however deep it was called."""

from __future__ import annotations

import sys
import warnings

# What may stand between the user's line and ours: pipelines, searches, wrappers of methods.
_IN_BETWEEN = ("skmlp", "sklearn", "joblib", "contextlib", "functools")


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the first frame outside skmlp and what calls it on somebody's behalf."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_in_between(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _is_in_between(module: str) -> bool:
    return module.partition(".")[0] in _IN_BETWEEN
