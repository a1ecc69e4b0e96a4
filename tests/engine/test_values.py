"""Values and slopes at the edges: 0, infinities, NaN, denormals, the largest numbers, ties."""

import itertools

import numpy as np
import pytest
from scipy import special

from skmlp.engine import (
    PRIMITIVES,
    evaluate,
    gradient,
    log_softmax,
    logsumexp,
    softmax,
    variable,
)

PRECISIONS = ["float64", "float32"]
UFUNCS = {n: p.function for n, p in PRIMITIVES.items() if isinstance(p.function, np.ufunc)}


def edges(dtype):
    """Special numbers, and some ordinary ones."""
    limits = np.finfo(dtype)
    positive = [0.0, limits.smallest_subnormal, limits.tiny, limits.eps, 0.5, 1.0, 1.5, 2.0, 3.0]
    positive += [50.0, 1e4, limits.max / 4, limits.max, np.inf]
    return np.array([-x for x in positive] + positive + [np.nan], dtype)


def at_edges(function, dtype):
    """Every number, or every pair of numbers, and the plain values."""
    one = edges(dtype)
    if function.nin == 1:
        return (one,)
    pairs = np.array(list(itertools.product(one, one)), dtype)
    return pairs[:, 0].copy(), pairs[:, 1].copy()


def compare(found, expected, dtype):
    """Values agree to rounding, NaN with NaN, infinities with infinities."""
    found, expected = np.asarray(found), np.asarray(expected)
    if expected.dtype == bool:
        np.testing.assert_array_equal(found.astype(bool), expected)
        return
    rtol = 1e-12 if dtype == "float64" else 2e-5
    atol = 100 * np.finfo(dtype).tiny
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def traced(function, arrays, dtype):
    variables = [variable(f"x{i}", array.shape) for i, array in enumerate(arrays)]
    return evaluate(function(*variables), dict(zip(variables, arrays, strict=True)), dtype)


TAKES_NUMBERS = [
    name
    for name, function in UFUNCS.items()
    if name not in ("invert", "bitwise_and", "bitwise_or", "bitwise_xor")
]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", TAKES_NUMBERS)
def test_values_at_the_edges_are_those_of_numpy_and_scipy(name, dtype):
    function = UFUNCS[name]
    arrays = at_edges(function, dtype)
    with np.errstate(all="ignore"):
        expected = function(*arrays)
    compare(traced(function, arrays, dtype), expected, dtype)


def test_the_comparison_can_fail():
    for wrong in (np.array([0.0, np.nan]), np.array([1.0, np.inf]), np.array([1.0 + 1e-9, np.nan])):
        with pytest.raises(AssertionError):
            compare(wrong, np.array([1.0, np.nan]), "float64")


def slope(function, at, wrt=0, dtype="float64"):
    """The traced slope of a function of numbers by one of them."""
    variables = [variable(f"x{i}", ()) for i in range(len(at))]
    (g,) = gradient(function(*variables), [variables[wrt]])
    return float(evaluate(g, dict(zip(variables, map(np.asarray, at), strict=True)), dtype))


INF = np.inf
SLOPES = [
    (np.power, (0.0, 0.0), 0, 0.0),
    (np.power, (0.0, 1.0), 0, 1.0),
    (np.power, (0.0, 2.0), 0, 0.0),
    (np.power, (0.0, 3.0), 1, 0.0),
    (np.power, (INF, 0.0), 0, 0.0),
    (np.power, (2.0, 0.0), 1, np.log(2.0)),
    (np.logaddexp, (-INF, -INF), 0, 0.5),
    (np.logaddexp, (INF, INF), 1, 0.5),
    (np.logaddexp, (-INF, 1.0), 0, 0.0),
    (np.logaddexp, (-INF, 1.0), 1, 1.0),
    (np.logaddexp, (1e308, -1e308), 0, 1.0),
    (np.fmax, (np.nan, 1.0), 1, 1.0),
    (np.fmax, (1.0, np.nan), 0, 1.0),
    (np.fmax, (1.0, 2.0), 0, 0.0),
    (np.fmin, (np.nan, 1.0), 1, 1.0),
    (np.fmin, (1.0, 2.0), 0, 1.0),
    (special.xlogy, (0.0, 0.0), 0, 0.0),
    (special.xlogy, (0.0, 0.0), 1, 0.0),
    (special.xlogy, (0.0, 2.0), 0, np.log(2.0)),
    (special.xlog1py, (0.0, -1.0), 0, 0.0),
    (special.xlog1py, (0.0, -1.0), 1, 0.0),
    (special.xlog1py, (2.0, 1.0), 1, 1.0),
    (np.hypot, (0.0, 0.0), 0, 0.0),
    (np.hypot, (1e-200, 0.0), 0, 1.0),
    (np.hypot, (1e200, 1e200), 0, np.sqrt(0.5)),
    (np.arctan2, (0.0, 0.0), 0, 0.0),
    (np.arctan2, (1e-200, 0.0), 0, 0.0),
    (np.arctan2, (1e-200, 0.0), 1, -1e200),
    (np.arctan2, (0.0, 2.0), 0, 0.5),
    (np.maximum, (INF, 1.0), 0, 1.0),
    (np.minimum, (-INF, 1.0), 0, 1.0),
    (np.absolute, (0.0,), 0, 0.0),
    (np.square, (1e-320,), 0, 2e-320),
    (np.exp, (-INF,), 0, 0.0),
    (np.tanh, (1e308,), 0, 0.0),
    (special.expit, (-1e308,), 0, 0.0),
    (special.expit, (1e308,), 0, 0.0),
    (special.log_expit, (-1e300,), 0, 1.0),
    (special.log_ndtr, (-1e6,), 0, 1e6),
    (np.log1p, (0.0,), 0, 1.0),
    (np.expm1, (-INF,), 0, 0.0),
    (np.sqrt, (4.0,), 0, 0.25),
]


@pytest.mark.parametrize(("function", "at", "wrt", "expected"), SLOPES, ids=str)
def test_slopes_at_the_edges_are_the_mathematical_ones(function, at, wrt, expected):
    assert slope(function, at, wrt) == pytest.approx(expected, rel=1e-9, abs=0.0)


@pytest.mark.parametrize("z", [[0.0, 1.0, 2.0], [2.0, 0.0, -1.0]], ids=str)
def test_an_array_of_exponents_may_hold_zero(z):
    x = variable("x", (3,))
    (g,) = gradient(np.sum(np.power(x, np.array(z))), [x])
    at = np.array([0.0, 0.0, 3.0])
    expected = [0.0 if k == 0 else k * a ** (k - 1.0) for k, a in zip(z, at, strict=True)]
    np.testing.assert_allclose(evaluate(g, {x: at}), expected)


OF_NOTHING = {
    "the norm of zeros": (lambda z: np.sqrt(np.sum(z * z)), np.zeros((2, 3))),
    "the deviation of equal numbers": (lambda z: np.sum(np.std(z, axis=1)), np.full((2, 3), 5.0)),
    "scaled by it": (
        lambda z: np.sum(
            (z - np.mean(z, axis=1, keepdims=True)) / (np.std(z, axis=1)[:, None] + 1)
        ),
        np.full((2, 3), 5.0),
    ),
    "the length of zeros": (lambda z: np.sum(np.hypot(z, z)), np.zeros((2, 3))),
    "the sum of no probability": (lambda z: np.sum(special.xlogy(z, z)), np.zeros((2, 3))),
}


@pytest.mark.parametrize("name", OF_NOTHING)
def test_slopes_of_nothing_are_zero(name):
    function, at = OF_NOTHING[name]
    z = variable("z", at.shape)
    np.testing.assert_array_equal(evaluate(gradient(function(z), [z])[0], {z: at}), 0.0)


INFINITE_ROWS = np.array(
    [[-INF, -INF], [INF, INF], [-INF, 0.0], [INF, 0.0], [-INF, INF], [1e308, 1e308], [1.0, 2.0]]
)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_logsumexp_of_infinities_is_scipys(dtype):
    rows = INFINITE_ROWS[[0, 1, 2, 3, 4, 6]].astype(dtype)
    with np.errstate(all="ignore"):
        expected = special.logsumexp(rows, axis=1)
        plain = logsumexp(rows)
    for found in (traced(logsumexp, (rows,), dtype), plain):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    z = variable("z", rows.shape)
    (g,) = gradient(np.sum(logsumexp(z)), [z])
    slopes = evaluate(g, {z: rows}, dtype)
    np.testing.assert_allclose(slopes[[2, 5]], special.softmax(rows[[2, 5]], axis=1), rtol=1e-6)


def test_softmax_of_impossible_classes_leaves_the_others():
    z = np.array([[-INF, 0.0, 0.0]])
    np.testing.assert_allclose(softmax(z), [[0, 0.5, 0.5]])
    np.testing.assert_allclose(log_softmax(z), [[-INF, -np.log(2), -np.log(2)]])
