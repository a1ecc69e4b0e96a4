"""Parts of log-likelihoods that cancel, or that are a series, where they are written plainly.

The law: exact to rounding at any size of the arguments, on arrays and expressions alike.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from ..engine import Expression, logsumexp, stop_gradient
from ..engine.expression import Primitive, apply, compute_or_trace
from ..engine.shapes import broadcast

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_NEGLIGIBLE = 38.0  # exp(-38) is below the rounding of 1


def exp(x: Any) -> Any:
    """Compute exp(x); of a Python number it is one too, beside which float32 stays float32."""
    return math.exp(x) if isinstance(x, float) else np.exp(x)


def stirling(x: Any) -> Any:
    """Compute gammaln(x) - (x - 1/2) log(x) + x - log(2 pi) / 2, without cancellation for large x.

    By Stirling's series from 8 on: what is left after its first neglected term is below 1e-12.
    Of a Python number it is one too, as `exp`.
    """
    if isinstance(x, Expression):
        return apply(_STIRLING, x, order=0)
    found = _stirling(x, order=0)
    return float(found[0]) if isinstance(x, float) else found.reshape(np.shape(x))[()]


_STIRLING_SERIES = np.array([1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188])
_OF_DERIVATIVES = (1, 1 - 2 * np.arange(1, 6), 2 * np.arange(1, 6) * (2 * np.arange(1, 6) - 1))


def _stirling(x: Any, *, order: int) -> Any:
    """Compute a derivative of what `stirling` is; gammaln and its own where x is small alone."""
    x = np.array(x, None if np.asarray(x).dtype.kind == "f" else np.float64, ndmin=1)
    inverse = 1 / np.maximum(x, 8)
    v = np.square(inverse)
    coefficients = (_STIRLING_SERIES * _OF_DERIVATIVES[order]).tolist()
    total = coefficients[-1] * v
    for coefficient in coefficients[-2:0:-1]:
        total += coefficient
        total *= v
    total += coefficients[0]
    total *= inverse ** (1 + order)
    is_small = x < 8
    if is_small.any():
        z = x[is_small]
        total[is_small] = (
            lambda: special.gammaln(z) - (z - 0.5) * np.log(z) + z - HALF_LOG_2PI,
            lambda: special.psi(z) - np.log(z) + 0.5 / z,
            lambda: special.zeta(2, z) - 1 / z - 0.5 / np.square(z),
        )[order]()
    return total


_STIRLING: Primitive = Primitive(
    "stirling",
    _stirling,
    lambda shape, **_: shape,
    (lambda g, y, x, order: g * apply(_STIRLING, x, order=order + 1),),
)


def log_rising(y: Any, r: Any) -> Any:
    """Compute gammaln(y + r) - gammaln(r) - y log(r), also for large r, where that cancels.

    Examples
    --------
    >>> log_rising(3.0, np.array([2.0, 1e12])).round(9) + 0.0  # log(2 * 3 * 4 / 2**3) is 1.0986
    array([1.09861229, 0.        ])
    """
    return compute_or_trace(_RISING, y, r, order=0)


def _rising(y: Any, r: Any, *, order: int) -> Any:
    """Compute a derivative by r of `log_rising`; from 100 on by Stirling's series."""
    r = np.asarray(r, y.dtype if isinstance(y, np.ndarray) else None)
    if np.max(r) < 100:
        if order == 0:
            return special.gammaln(y + r) - special.gammaln(r) - y * np.log(r)
        return special.psi(y + r) - special.psi(r) - y / r
    rest = _stirling(y + r, order=order) - _stirling(r, order=order)
    if order == 0:
        return (y + r - 0.5) * np.log1p(y / r) - y + rest
    return np.log1p(y / r) - y / r + 0.5 * y / (r * (y + r)) + rest


_RISING: Primitive = Primitive(
    "log_rising",
    _rising,
    lambda *shapes, **_: broadcast(*shapes),
    (
        lambda g, f, y, r, order: g * (special.psi(y + r) - np.log(r)),
        lambda g, f, y, r, order: g * apply(_RISING, y, r, order=order + 1),
    ),
)


# == half the deviance of Tweedie's families =======================================================


def _power_transform(log_y: Any, power: float) -> Any:
    """Compute (y^power - 1) / power, and its limit log(y) for power 0, from log(y)."""
    return np.expm1(power * log_y) / power if power else log_y


def half_deviance(log_mean: Any, y: Any, power: float) -> Any:
    """Compute D(mean) - D(y), where D(m) = (m^(2-p) - 1) / (2-p) - y (m^(1-p) - 1) / (1-p).

    Near the mean from the ratio of both, where the difference would cancel.

    Examples
    --------
    >>> half_deviance(np.log([2.0, 2.0]), np.array([2.0, 0.0]), 1.5).round(3)
    array([0.   , 2.828])
    """
    return compute_or_trace(_HALF_DEVIANCE, log_mean, y, power=float(power))


def _half_deviance(log_mean: Any, y: Any, *, power: float) -> Any:
    p = power
    at_least = np.maximum(y, 1e-25 ** (1 / max(1.0, p - 2)) if p > 2 else 1e-30)
    log_y = np.log(at_least)
    at_mean = _power_transform(log_mean, 2 - p) - y * _power_transform(log_mean, 1 - p)
    if p == 1:
        at_y = y - 1 - special.xlogy(y, y)
    elif p == 2:
        at_y = log_y + 1 - y
    else:
        y_power = at_least ** (2 - p) if p > 2 else y ** (2 - p)
        at_y = y_power / ((p - 1) * (2 - p)) - 1 / (2 - p) - y / (p - 1)
    distance = log_mean - log_y
    ratio = np.minimum(np.maximum(distance, -1.0), 1.0)
    near = _power_transform(ratio, 2 - p) - _power_transform(ratio, 1 - p)
    near = near if p == 2 else near * at_least ** (2 - p)
    return np.where(np.abs(distance) < 1.0, near, at_mean - at_y)


_HALF_DEVIANCE: Primitive = Primitive(
    "half_deviance",
    _half_deviance,
    lambda *shapes, **_: broadcast(*shapes),
    (
        lambda g, d, m, y, power: g * ((np.exp(m) - y) * np.exp((1 - power) * m)),
        lambda g, d, m, y, power: (
            g * (_power_transform(np.log(y), 1 - power) - _power_transform(m, 1 - power))
        ),
    ),
)


# == a sum over all numbers of events ==============================================================


class Nodes(NamedTuple):
    """Numbers j = 1, 2, ..., or numbers between them, to sum over what is like Poisson's law.

    The distance is j log(j / center) - j + center, half the deviance of j from the center.
    """

    j: Any
    from_center: Any
    distance: Any
    log_width: Any


def nodes(log_center: Any, steepness: float, largest: float) -> Nodes:
    """Return where to evaluate terms that fall as exp(-steepness * distance) from a center.

    Where the center is below `largest` they are the whole numbers that matter, each of width 1.
    Above they are evenly spaced, and fewer: the sum over whole numbers and the sum at such nodes,
    times their width, are both the integral, by Poisson's summation formula, to rounding if the
    terms are as smooth as a normal density of standard deviation 1.4 widths, and negligible at 0.
    How far they reach is Bernstein's inequality. The last axis of all is that of the nodes.
    """
    tail = _NEGLIGIBLE / steepness
    right = tail / 3 + math.sqrt(tail * tail / 9 + 2 * tail * largest)
    left = min(largest, math.sqrt(2 * tail * largest))
    number = math.ceil(left + right) + 1
    count = np.arange(number, dtype=np.float32)  # keeps either precision
    log_center = log_center[..., None]
    is_low = log_center < math.log(largest)
    low = np.exp(np.minimum(log_center, math.log(largest)))
    center = np.exp(np.maximum(log_center, 0.0))
    whole = np.maximum(np.rint(low - left), 1.0) + count
    v = tail / np.maximum(center, largest)
    reach = np.minimum(np.sqrt(2 * v), 1.0)
    width = (reach + v / 3 + np.sqrt(v * v / 9 + 2 * v)) / number
    u = np.where(is_low, (whole - center) / center, (count + 0.5) * width - reach)
    u = np.maximum(u, -1 + 0.5 * width)
    far = np.minimum(log_center, 0.0)  # from centers below 1
    return Nodes(
        np.where(is_low, whole, center * (1 + u)),
        np.where(is_low, whole - low, center * u),
        np.where(
            log_center < 0,
            whole * (np.log(whole) - far - 1) + np.exp(far),
            center * ((1 + u) * np.log1p(u) - u),
        ),
        np.where(is_low, 0.0, np.log(np.maximum(center, largest) * width)),
    )


def _log_series(log_rate: Any, power: float) -> Any:
    """Compute log(y f(y)) of a sum of gamma variables with mean y, as many as Poisson's law says.

    With a = (2-p) / (p-1) the shape of each, r the rate of Poisson's law and s Stirling's rest, the
    series of Dunn and Smyth, "Series evaluation of Tweedie exponential dispersion model
    densities", Statistics and Computing 15 (2005), is at the mean

        y f(y) = sqrt(a) / (2 pi) * sum over j >= 1 of
                 exp(-(1+a) (j log(j/r) - j + r) - s(j) - s(j a)),

    a function of r alone: none of its terms is large. Since any nodes will do, they are constants
    of differentiation.

    Examples
    --------
    >>> r = np.array([1e-3, 1.0, 1e3])  # for p = 1.5 the series is that of a Bessel function
    >>> bool(np.allclose(_log_series(np.log(r), 1.5), np.log(r * special.ive(1, 2 * r))))
    True
    """
    a = (2 - power) / (power - 1)
    steepness = 1 + a
    limit = _largest_log_rate(power)
    log_r = np.minimum(log_rate, limit)
    fixed = stop_gradient(log_r)
    at = nodes(fixed, steepness, max(2 * steepness, _NEGLIGIBLE / steepness))
    terms = at.log_width - steepness * at.distance - stirling(at.j) - stirling(a * at.j)
    # At fixed j a term is a constant times r^((1+a) j) exp(-(1+a) r); `by` is 0 and has its slope.
    by = log_r - fixed
    terms = stop_gradient(terms) + steepness * stop_gradient(at.from_center) * by[..., None]
    slower = steepness * np.exp(fixed) * (np.expm1(by) - by)
    constant = 0.5 * math.log(a) - 2 * HALF_LOG_2PI
    log_sum = logsumexp(terms, axis=-1) - slower + constant
    return log_sum + 0.5 * np.maximum(log_rate - limit, 0.0)


# == the same sum, tabulated =======================================================================

_STEEPEST = 30.0  # above, at powers below 1.03, the sum has too many maxima for a table
_COEFFICIENTS = 12


class Table(NamedTuple):
    """The series of one power, and two derivatives, as polynomials on equal stretches of log(r).

    Its zeros are at a distance of pi / steepness from the real axis, which is 12 times half a
    stretch: Chebyshev's coefficients fall by 25 each, and twelve of them are exact to rounding.
    """

    low: float
    high: float
    steepness: float
    stretches: int
    coefficients: tuple[np.ndarray, ...]  # for each derivative (coefficients, stretches)


@lru_cache(16)
def _table(power: float) -> Table:
    steepness = 1 + (2 - power) / (power - 1)
    low, high = -_NEGLIGIBLE / steepness, _largest_log_rate(power)
    stretches = math.ceil(2 * steepness * (high - low))
    width = (high - low) / stretches
    at = np.cos(math.pi * (np.arange(_COEFFICIENTS) + 0.5) / _COEFFICIENTS)
    log_rates = low + width * (np.arange(stretches)[:, None] + 0.5 * (1 + at))
    values = _log_series(log_rates, power).T
    solved = np.linalg.solve(np.polynomial.chebyshev.chebvander(at, _COEFFICIENTS - 1), values)
    powers = [np.polynomial.chebyshev.cheb2poly(row) for row in np.eye(_COEFFICIENTS)]
    to_powers = [np.pad(row, (0, _COEFFICIENTS - len(row))) for row in powers]
    coefficients = [np.transpose(to_powers) @ solved]
    for _ in range(2):
        derived = np.polynomial.polynomial.polyder(coefficients[-1], axis=0)
        coefficients.append(np.pad(derived * (2 / width), [(0, 1), (0, 0)]))
    return Table(low, high, steepness, stretches, tuple(coefficients))


def _largest_log_rate(power: float) -> float:
    """Return from where on the series is its first term."""
    return math.log(1e8 / (power - 1) / (2 - power))


def _tabulated(log_rate: np.ndarray, *, power: float, order: int) -> np.ndarray:
    """Evaluate a derivative of the series by its table."""
    low, high, steepness, stretches, coefficients = _table(power)
    t = np.asarray(log_rate, np.float64).reshape(-1)
    place = (np.minimum(np.maximum(t, low), high) - low) * (stretches / (high - low))
    stretch = np.minimum(place.astype(np.intp), stretches - 1)
    powers = np.empty((_COEFFICIENTS, t.size))
    powers[0], powers[1:] = 1, 2 * (place - stretch) - 1
    np.multiply.accumulate(powers, axis=0, out=powers)
    total = np.einsum("kn,kn->n", coefficients[order].take(stretch, axis=1), powers)
    if t.min(initial=low) < low:  # there it is its first summand
        below = np.minimum(t, low)
        total -= steepness * (np.exp(below) - math.exp(low) - (0.0 if order else below - low))
    if order == 0 and t.max(initial=high) > high:
        total += 0.5 * np.maximum(t - high, 0.0)
    single = getattr(log_rate, "dtype", None) == np.float32
    return total.astype(np.float32 if single else np.float64, copy=False).reshape(
        np.shape(log_rate)
    )


_SERIES: Primitive = Primitive(
    "tweedie_series",
    _tabulated,
    lambda shape, **_: shape,
    (lambda g, y, t, power, order: g * apply(_SERIES, t, power=power, order=order + 1),),
)


def log_series(log_rate: Any, power: float) -> Any:
    """Compute `_log_series`, by its table where that is small.

    Examples
    --------
    >>> t = np.linspace(-30.0, 25.0, 999)
    >>> bool(np.allclose(log_series(t, 1.5), _log_series(t, 1.5), rtol=1e-11, atol=1e-11))
    True
    """
    if (2 - power) / (power - 1) > _STEEPEST:
        return _log_series(log_rate, power)
    return compute_or_trace(_SERIES, log_rate, power=float(power), order=0)


def log_density_at_mean(y: Any, log_dispersion: Any, power: float) -> Any:
    """Compute the logarithm of Tweedie's density at y where the mean is y too.

    The density of any mean is this, less `half_deviance` / dispersion.

    Examples
    --------
    >>> log_density_at_mean(np.array([0.0, 4.0]), 0.0, 1.5).round(4)
    array([ 0.    , -2.0089])
    """
    if power == 0:
        return -HALF_LOG_2PI - 0.5 * log_dispersion
    log_y = np.log(np.where(y > 0, y, 1.0))
    if power == 2:
        return -HALF_LOG_2PI - stirling(exp(-log_dispersion)) - 0.5 * log_dispersion - log_y
    if power == 3:
        return -HALF_LOG_2PI - 0.5 * log_dispersion - 1.5 * log_y
    log_rate = (2 - power) * log_y - log_dispersion - math.log(2 - power)
    return np.where(y > 0, log_series(log_rate, power) - log_y, 0.0)
