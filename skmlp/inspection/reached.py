"""What a picture is of: the estimator that is reached, and what X is when it gets there."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..engine.words import shown
from ..estimators.prediction import FittedNetwork
from .pipelines import unwrapped


def reached(estimator: Any, asking: str) -> tuple[list[tuple[str, Any]], Any]:
    """Look through pipelines and searches for a fitted estimator, whichever it is.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator, a `Pipeline` that ends in one, or a search whose best is one.
    asking : str
        The name of the picture.

    Returns
    -------
    steps : list of (str, transformer)
        What X goes through before it reaches the estimator.
    estimator : estimator
        The last of all.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ValueError
        If it is no estimator.
    """
    steps, last = unwrapped(estimator)
    if isinstance(last, type) or not hasattr(last, "fit"):
        raise ValueError(f"{asking} takes a fitted estimator, got {shown(last)}: fit one first.")
    check_is_fitted(last)
    return steps, last


def reached_network(estimator: Any, asking: str) -> tuple[list[tuple[str, Any]], Any]:
    """Look for a fitted network; `reached` says more.

    Raises
    ------
    NotFittedError
        If it is not fitted.
    ValueError
        If it is no `MLPClassifier` or `MLPRegressor`.
    """
    steps, last = reached(estimator, asking)
    if not isinstance(last, FittedNetwork):
        raise ValueError(
            f"{asking} takes a fitted MLPClassifier or MLPRegressor of skmlp, or a pipeline or "
            f"search that ends in one, got one of type {type(last).__name__}."
        )
    return steps, last


def inputs_reached(steps: list[tuple[str, Any]], X: Any) -> Any:
    """Return what the steps make of X."""
    for _, step in steps:
        X = step.transform(X)
    return X


def names_reached(steps: list[tuple[str, Any]], X: Any, n: int) -> list[str]:
    """Name the n columns that reach the estimator: as X does, as the steps do, or x0, x1, ..."""
    names = [str(name) for name in X.columns] if hasattr(X, "columns") else None
    for _, step in steps:
        if not hasattr(step, "get_feature_names_out"):
            return [f"x{i}" for i in range(n)]
        names = step.get_feature_names_out(names)
    return [f"x{i}" for i in range(n)] if names is None else [str(name) for name in names]


def one_column(values: np.ndarray, target: Any, axis: int, asking: str) -> np.ndarray:
    """Take one target of several, along an axis that is there for more than one alone.

    Raises
    ------
    ValueError
        If there are several and none is named, or there is none of that number.
    """
    n = values.shape[axis]
    is_number = isinstance(target, (int, np.integer)) and not isinstance(target, bool)
    if not (is_number and 0 <= target < n):
        raise ValueError(
            f"{asking} draws one target, and there are {n}: set target to a number from 0 to "
            f"{n - 1}, got target={shown(target)}."
        )
    return np.take(values, target, axis=axis)
