"""The gradient checker: reverse mode against finite differences, for users' functions and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .expression import Expression, variable
from .gradient import gradient
from .program import evaluate

_CHECKED_ENTRIES = 200  # of each input; larger inputs are sampled


def check_gradient(
    function: Callable[..., Any],
    *inputs: Any,
    tolerance: float = 1e-5,
    random_state: int = 0,
) -> float:
    r"""Check that a function's gradient, as skmlp derives it, is that of its values.

    The output is projected on a random direction r, and each entry of the gradient of
    sum(r * f(x)) is compared with the fourth-order central difference

    .. math:: \frac{8 (\phi(h) - \phi(-h)) - (\phi(2h) - \phi(-2h))}{12 h}, \quad
              \phi(h) = \sum r f(x + h e_i).

    The traced function must also compute what the plain one computes. Entries at or next to a
    kink, where the slopes on the two sides or those of two step sizes disagree, are left out,
    but most must remain.

    Parameters
    ----------
    function : callable
        A function of arrays made of NumPy and scipy.special calls: an activation, a loss.
    *inputs : array-like
        Where to check it, float64; by default 5 rows of 4 numbers around 0.
    tolerance : float, default=1e-5
        The largest difference that passes, relative to the entry.
    random_state : int, default=0
        Seed of the direction, of default inputs and of the entries sampled from large inputs.

    Returns
    -------
    float
        The largest relative difference found.

    Raises
    ------
    AssertionError
        If a gradient entry or a value is off; the message names it.
    TypeError
        If the function cannot be traced or does not depend on its input.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp import check_gradient
    >>> check_gradient(lambda z: z * np.tanh(np.logaddexp(0, z))) < 1e-8
    True
    """
    rng = np.random.default_rng(random_state)
    points = [np.array(x, dtype=np.float64) for x in inputs] or [2 * rng.standard_normal((5, 4))]
    variables = [variable(f"x{i}", x.shape) for i, x in enumerate(points)]
    traced = function(*variables)
    if not isinstance(traced, Expression):
        raise TypeError(
            f"the function returned {type(traced).__name__} instead of an expression of its "
            "input: it must be computed from its arguments with NumPy functions"
        )
    values = dict(zip(variables, points, strict=True))
    with np.errstate(all="ignore"):
        plain = np.asarray(function(*points), dtype=np.float64)
    _compare_values(evaluate(traced, values), plain)
    direction = rng.standard_normal(plain.shape)
    gradients = evaluate(gradient(np.sum(traced * direction), variables), values)

    def projected(*arrays: np.ndarray) -> float:
        return float(np.sum(np.asarray(function(*arrays)) * direction))

    worst, compared, total = 0.0, 0, 0
    for i, g in enumerate(gradients):
        entries = rng.permutation(g.size)[:_CHECKED_ENTRIES]
        floor = 1e-4 * np.max(np.abs(g), initial=0.0) + 1e-9
        for entry in entries:
            total += 1
            slope, reliable = _slope(projected, points, i, int(entry), tolerance, floor)
            if not reliable:
                continue
            compared += 1
            derived = g.flat[entry]
            difference = float(abs(derived - slope) / max(abs(slope), abs(derived), floor))
            if not difference <= tolerance:
                place = [int(p) for p in np.unravel_index(entry, g.shape)]
                raise AssertionError(
                    f"the gradient with respect to input {i} at {place} is {derived:.10g}, but "
                    f"finite differences give {slope:.10g}: off by {difference:.2g} of its size"
                )
            worst = max(worst, difference)
    if compared < total / 2 or total == 0:
        raise AssertionError(
            f"only {compared} of {total} gradient entries could be compared with finite "
            "differences: check the function away from its kinks and where it is finite"
        )
    return worst


def _compare_values(traced: np.ndarray, plain: np.ndarray) -> None:
    if traced.shape != plain.shape:
        raise AssertionError(
            f"the traced function has shape {traced.shape}, the plain one {plain.shape}"
        )
    off = ~np.isclose(traced, plain, rtol=1e-9, atol=1e-9, equal_nan=True)
    if np.any(off):
        place = tuple(int(p) for p in np.argwhere(off)[0])
        raise AssertionError(
            f"at {list(place)} the traced function is {traced[place]:.10g}, "
            f"the plain one {plain[place]:.10g}"
        )


def _slope(
    projected: Callable[..., float],
    points: list[np.ndarray],
    i: int,
    entry: int,
    tolerance: float,
    floor: float,
) -> tuple[float, bool]:
    """Estimate one derivative with two step sizes; reliable where they agree on a smooth slope."""

    def along(h: float) -> list[float]:
        moved = [x.copy() for x in points]
        values = []
        for steps in (-2, -1, 0, 1, 2):
            moved[i].flat[entry] = points[i].flat[entry] + steps * h
            values.append(projected(*moved))
        return values

    def central(v: list[float], h: float) -> float:
        return (8 * (v[3] - v[1]) - (v[4] - v[0])) / (12 * h)

    h = 1e-3 * max(1.0, abs(points[i].flat[entry]))
    with np.errstate(all="ignore"):
        near, far = along(h / 4), along(h)
        fine, coarse = central(near, h / 4), central(far, h)
        jump = (4 * (near[3] + near[1]) - (near[4] + near[0]) - 6 * near[2]) / (h / 2)
    scale = max(abs(fine), floor)  # the slopes on the two sides differ by the jump
    return fine, bool(abs(fine - coarse) <= tolerance * scale and abs(jump) <= 1e-3 * scale)
