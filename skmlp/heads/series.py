"""Parts of log-likelihoods that cancel, or that are a series, where they are written plainly.

The law: exact to rounding at any size of the arguments, on arrays and expressions alike.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from ..engine import logsumexp, stop_gradient

HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_NEGLIGIBLE = 38.0  # exp(-38) is below the rounding of 1


def exp(x: Any) -> Any:
    """Compute exp(x); of a Python number it is one too, beside which float32 stays float32."""
    return math.exp(x) if isinstance(x, float) else np.exp(x)


def stirling(x: Any) -> Any:
    """Compute gammaln(x) - (x - 1/2) log(x) + x - log(2 pi) / 2, without cancellation for large x.

    By Stirling's series from 8 on: what is left after its first neglected term is below 1e-12.
    """
    small, inverse = np.minimum(x, 8.0), 1.0 / np.maximum(x, 8.0)
    exact = special.gammaln(small) - (small - 0.5) * np.log(small) + small - HALF_LOG_2PI
    v = np.square(inverse)
    series = inverse * (1 / 12 - v * (1 / 360 - v * (1 / 1260 - v * (1 / 1680 - v * (1 / 1188)))))
    return np.where(x < 8.0, exact, series)


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
    ratio = np.clip(distance, -1.0, 1.0)
    near = _power_transform(ratio, 2 - p) - _power_transform(ratio, 1 - p)
    near = near if p == 2 else near * at_least ** (2 - p)
    return np.where(np.abs(distance) < 1.0, near, at_mean - at_y)


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
    limit = math.log(1e8 * steepness / (2 - power))  # from here on the series is its first term
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
        rest = stirling(exp(-log_dispersion))
        rest = float(rest) if isinstance(log_dispersion, float) else rest
        return -HALF_LOG_2PI - rest - 0.5 * log_dispersion - log_y
    if power == 3:
        return -HALF_LOG_2PI - 0.5 * log_dispersion - 1.5 * log_y
    log_rate = (2 - power) * log_y - log_dispersion - math.log(2 - power)
    return np.where(y > 0, _log_series(log_rate, power) - log_y, 0.0)
