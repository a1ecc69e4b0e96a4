"""The gradient checker: reverse mode against finite differences, for users' functions and ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
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
    but most of each input must remain.

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
        If a gradient entry or a value is off, or an input's could not be compared.
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

    def along(i: int, entry: int, h: float) -> list[float]:
        moved, found = list(points), []
        for steps in (-2, -1, 0, 1, 2):
            moved[i] = points[i].copy()
            moved[i].flat[entry] += steps * h
            found.append(np.asarray(function(*moved), dtype=np.float64))
        return [float(np.sum((value - found[2]) * direction)) for value in found]

    return max(_compared(i, g, points[i], along, tolerance, rng) for i, g in enumerate(gradients))


def _compared(
    i: int,
    g: np.ndarray,
    point: np.ndarray,
    along: Callable[[int, int, float], list[float]],
    tolerance: float,
    rng: np.random.Generator,
) -> float:
    """Compare the gradient with respect to one input; return the largest relative difference."""
    entries = rng.permutation(g.size)[:_CHECKED_ENTRIES]
    floor = 1e-4 * np.max(np.abs(g), initial=0.0) + 1e-9
    worst, compared = 0.0, 0
    for entry in map(int, entries):
        h = 1e-3 * max(1.0, abs(point.flat[entry]))
        slope, is_reliable = _slope(partial(along, i, entry), h, tolerance, floor)
        if not is_reliable:
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
    if compared < len(entries) / 2 or compared == 0:
        raise AssertionError(
            f"only {compared} of {len(entries)} gradient entries of input {i} could be compared "
            "with finite differences: check the function away from its kinks, where it is finite "
            "and no term is large beside the others"
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
    along: Callable[[float], list[float]], h: float, tolerance: float, floor: float
) -> tuple[float, bool]:
    """Estimate one derivative with two step sizes; reliable where they agree on a smooth slope."""

    def central(v: list[float], h: float) -> float:
        return (8 * (v[3] - v[1]) - (v[4] - v[0])) / (12 * h)

    with np.errstate(all="ignore"):
        near, far = along(h / 4), along(h)
        fine, coarse = central(near, h / 4), central(far, h)
        jump = (4 * (near[3] + near[1]) - (near[4] + near[0]) - 6 * near[2]) / (h / 2)
    scale = max(abs(fine), floor)  # the slopes on the two sides differ by the jump
    return fine, bool(abs(fine - coarse) <= tolerance * scale and abs(jump) <= 1e-3 * scale)
