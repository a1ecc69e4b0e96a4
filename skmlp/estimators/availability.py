"""Which methods an estimator has: those that its head and its solver have an answer for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..engine.words import shown
from ..heads import HEADS, Head
from ..training.solvers import SOLVERS


def has_stochastic_solver(estimator: Any) -> bool:
    """Tell whether an estimator can take a stream, or raise an AttributeError that says why not."""
    if isinstance(estimator.solver, str) and estimator.solver in SOLVERS:
        return True
    raise AttributeError(
        f"partial_fit is only available for the solvers {', '.join(SOLVERS)}, "
        f"got solver={shown(estimator.solver)}."
    )


def known_head(estimator: Any) -> Head | None:
    """Return the head that was fitted, or that the `head` parameter says; None if it is wrong."""
    if hasattr(estimator, "head_"):
        return estimator.head_
    return estimator._kind.known_head(estimator.head)


def has(what: str) -> Callable[[Any], bool]:
    """Make a test whether an estimator's head has probabilities, a distribution or quantiles."""

    def test(estimator: Any) -> bool:
        head = known_head(estimator)
        if head is not None and getattr(head, f"has_{what}"):
            return True
        raise AttributeError(only_with(what, estimator.head if head is None else head))

    return test


def has_scores_alone(estimator: Any) -> bool:
    """Tell whether an estimator's head has scores of classes, but no probabilities."""
    head = known_head(estimator)
    return head is not None and not head.has_probabilities


def only_with(what: str, head: Any) -> str:
    """Say which heads have what this one lacks."""
    names = [name for name, kind in HEADS.items() if getattr(kind(), f"has_{what}")]
    if what == "probabilities":
        names = [name for name in names if "numbers" not in HEADS[name].targets]
    words = "a distribution" if what == "distribution" else what
    but = ", whose parameters leave it none" if type(head) in map(HEADS.get, names) else ""
    return f"Only the heads {', '.join(names)} have {words}, got head={head!r}{but}."
