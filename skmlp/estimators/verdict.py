r"""A verdict on a finished fit: whether the network is better than a constant.

The law: a model whose mean loss on the training rows is above that of the best constant is told of,
with the cause. No number of the fit depends on it: some evenly spaced rows are looked at, once.

.. math:: \bar d > \min(2 \, s_d / \sqrt{n}, |\bar\ell_c| + s_c),
          \quad d_i = w_i (\ell(raw_i, y_i) - \ell(c, y_i))

with c the head's `initial_raw`: a difference that noise may make is no verdict, a few rows that are
far off are one. The s are standard deviations over the rows.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..engine import running
from ..heads import Head
from ..training.loops import Outcome
from ..training.objective import Objective
from .scoring import evenly_spaced
from .settings import Settings
from .starts import Problem

_ROWS = 2000
_SURE = 2.0  # standard errors
_LARGE, _SMALL = 10.0, 0.1  # sizes of a column or a target that are far from 1
_FEW_EPOCHS = 10  # of a fit that did not end by itself, say nothing yet


class Losses(NamedTuple):
    """The mean loss of the network, and that of the best constant."""

    network: float
    constant: float


def verdict(
    problem: Problem, objective: Objective, rows: np.ndarray, outcome: Outcome, n_iter: int
) -> str | None:
    """Say in a sentence that the network is worse than a constant, and why; None if it is not."""
    settings, data = problem.settings, problem.data
    if outcome.kind and settings.solver is not None and n_iter < _FEW_EPOCHS:
        return None
    rows = evenly_spaced(rows, _ROWS)
    with running():
        raw = objective.answers(rows)
    weights = None if data.weights is None else data.weights[rows]
    losses = worse_than_constant(problem.target.head, raw, data.Y[rows], weights)
    if losses is None:
        return None
    causes = [*_of_inputs(problem, data.X[rows]), *_of_target(problem, data.Y[rows], weights)]
    cures = "; and ".join(causes) + "." if causes else _of_training(settings, n_iter)
    return (
        f"The network is worse than a constant: its mean loss on the training data is "
        f"{losses.network:.4g}, and that of the best constant {losses.constant:.4g}. {cures}"
    )


def worse_than_constant(
    head: Head, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None
) -> Losses | None:
    """Compare the losses of raw outputs with those of the best constant; None where it is no worse.

    A head whose best constant cannot be found is not judged.

    Examples
    --------
    >>> from skmlp.heads import HEADS
    >>> y = np.array([[1.0], [2.0], [3.0]])
    >>> worse_than_constant(HEADS["linear"](), y, y, None) is None
    True
    >>> worse_than_constant(HEADS["linear"](), y + [[9.0], [7.0], [8.0]], y, None)
    Losses(network=32.333333333333336, constant=0.3333333333333333)
    """
    Y, raw = Y.astype(np.float64), raw.astype(np.float64)
    with np.errstate(all="ignore"):
        try:
            constant = np.asarray(head.initial_raw(Y, weights), np.float64)
            of_constant = head.loss(np.tile(constant, (len(Y), 1)), Y)
        except (ArithmeticError, TypeError, ValueError):  # a head of the user's has none
            return None
        of_network = head.loss(raw, Y)
        shares = np.ones(len(Y)) if weights is None else weights / np.mean(weights)
        difference = shares * (of_network - of_constant)
        found = Losses(float(np.mean(shares * of_network)), float(np.mean(shares * of_constant)))
        noise = _SURE * float(np.std(difference)) / math.sqrt(len(Y))
        size = abs(found.constant) + float(np.std(shares * of_constant))
    if not math.isfinite(found.constant):
        return None
    mean = float(np.mean(difference))
    is_worse = not math.isfinite(mean) or mean > np.fmin(noise, size) + 1e-6 * size
    return found if is_worse else None


# -- causes ----------------------------------------------------------------------------------------


def _of_inputs(problem: Problem, X: Any) -> list[str]:
    """Name the column of X that is farthest from the scale on which networks learn."""
    squares = X.multiply(X) if not isinstance(X, np.ndarray) else np.square(X.astype(np.float64))
    sizes = np.sqrt(np.ravel(squares.mean(axis=0)))
    column = int(np.argmax(sizes))
    if not sizes[column] > _LARGE:
        return []
    names = problem.inputs.get("feature_names_in_")
    name = column if names is None else repr(str(names[column]))
    scaler = "StandardScaler" if isinstance(X, np.ndarray) else "MaxAbsScaler"
    return [
        f"X is not scaled (column {name} has a root mean square of {sizes[column]:.3g}): put "
        f"sklearn.preprocessing.{scaler} before the network"
    ]


def _of_target(problem: Problem, Y: np.ndarray, weights: np.ndarray | None) -> list[str]:
    """Say that a target is far from the scale on which networks learn."""
    head = problem.target.head
    if "numbers" not in head.targets or problem.settings.initial_output == "data":
        return []
    Y = Y.astype(np.float64)
    start, unit = head.initial_raw(Y, weights), head.raw_unit(Y, weights)
    if max(np.max(np.abs(start)), np.max(unit)) <= _LARGE and np.min(unit) >= _SMALL:
        return []
    size = float(np.sqrt(np.average(np.mean(Y**2, axis=1), weights=weights)))
    return [f'y has a root mean square of {size:.3g}: set initial_output="data"']


def _of_training(settings: Settings, n_iter: int) -> str:
    """Say what to change where data are on a good scale."""
    if settings.early_stopping:
        return (
            f"early_stopping ended it after {n_iter} epochs: raise n_iter_no_change or "
            "validation_fraction, or lower learning_rate_init."
        )
    if settings.solver is None:
        return "Lower alpha, or raise max_iter."
    rate = settings.schedule.rate_init
    return f"Lower learning_rate_init (now {rate:g}) or alpha, or set early_stopping=True."
