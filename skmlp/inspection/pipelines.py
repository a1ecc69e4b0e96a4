"""What stands before an estimator: pipelines and searches are looked through."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline


def unwrapped(estimator: Any) -> tuple[list[tuple[str, Any]], Any]:
    """Look through pipelines and searches, however they are nested.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator, a `Pipeline` that ends in one, or a search whose best is one.

    Returns
    -------
    steps : list of (str, transformer)
        The named steps that X goes through before it reaches the estimator, in order; those that
        pass it through unchanged are left out.
    estimator : estimator
        What the last step is.
    """
    steps: list[tuple[str, Any]] = []
    while True:
        if isinstance(estimator, Pipeline):
            *before, (_, estimator) = estimator.steps
            steps += [(name, step) for name, step in before if step not in (None, "passthrough")]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return steps, estimator
