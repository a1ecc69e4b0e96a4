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
    (np.power, (0.0, 0.25), 0, 0.0),
    (np.power, (0.0, 0.25), 1, 0.0),
    (special.entr, (0.0,), 0, 0.0),
    (special.rel_entr, (0.0, 0.0), 0, 0.0),
    (special.rel_entr, (0.0, 0.0), 1, 0.0),
    (special.rel_entr, (0.0, 2.0), 0, 0.0),
    (np.remainder, (5.5, 2.0), 0, 1.0),
    (np.remainder, (-5.5, 2.0), 1, 3.0),
    (np.fmod, (-5.5, 2.0), 1, 2.0),
    (np.sinc, (0.0,), 0, 0.0),
    (np.sinc, (5e-324,), 0, -1.5e-323),
    (np.sinc, (1e-9,), 0, -(np.pi**2) / 3 * 1e-9),
    (np.sinc, (0.5,), 0, -4 / np.pi),
    (np.sinc, (-1.0,), 0, 1.0),
    (np.nan_to_num, (np.nan,), 0, 0.0),
    (np.nan_to_num, (-INF,), 0, 0.0),
    (np.nan_to_num, (1e308,), 0, 1.0),
]


@pytest.mark.parametrize(
    ("function", "at", "wrt", "expected"), SLOPES, ids=lambda x: getattr(x, "__name__", str(x))
)
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
    "the cubic norm of zeros": (
        lambda z: np.sum(np.linalg.norm(z, 3, axis=1)),
        np.zeros((2, 3)),
    ),
    "the same by hand": (
        lambda z: np.sum(np.sum(np.abs(z) ** 3, axis=1) ** (1 / 3)),
        np.zeros((2, 3)),
    ),
    "roots of several orders": (
        lambda z: np.sum(z ** np.array([0.5, 0.0, 0.2])),
        np.zeros((2, 3)),
    ),
    "the product with two zeros": (lambda z: np.sum(np.prod(z, axis=1)), np.eye(3)),
    "the entropy of no probability": (lambda z: np.sum(special.entr(z)), np.zeros((2, 3))),
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


def test_the_slope_of_a_product_with_a_zero_is_the_product_of_the_others():
    at = np.array([[0.0, 2.0, 3.0], [2.0, 4.0, 3.0], [5.0, -3.0, 0.0], [0.0, 0.0, 1.0]])
    z = variable("z", at.shape)
    (g,) = gradient(np.sum(np.prod(z, axis=1)), [z])
    expected = [[np.prod(np.delete(row, i)) for i in range(3)] for row in at]
    np.testing.assert_allclose(evaluate(g, {z: at}), expected)


# Written by hand, each a way to overflow where the function itself does not; and written well.
SIGMOID, TANH = special.expit, np.tanh


def softplus(z):
    return np.logaddexp(0, z)


def elu(z):
    return np.maximum(z, 0) + np.expm1(np.minimum(z, 0))


def silu(z):
    return z * special.expit(z)


def log_cosh(z):
    return np.abs(z) + np.log1p(np.exp(-2 * np.abs(z))) - np.log(2)


def density(z):
    return special.expit(z) * special.expit(-z)


def hyperbolic_secant(z):
    return 2 * np.exp(-np.abs(z)) / (1 + np.exp(-2 * np.abs(z)))


BY_HAND = [
    (lambda z: 1 / (1 + np.exp(-z)), SIGMOID),
    (lambda z: 1.0 / (np.exp(-z) + 1.0), SIGMOID),
    (lambda z: np.reciprocal(1 + np.exp(-z)), SIGMOID),
    (lambda z: (1 + np.exp(-z)) ** -1, SIGMOID),
    (lambda z: np.divide(1, np.add(1, np.exp(np.negative(z)))), SIGMOID),
    (lambda z: 1 / (1 + np.e**-z), SIGMOID),
    (lambda z: 1 / (1 + np.exp(-1 * z)), SIGMOID),
    (lambda z: 1 / (1 + 1 / np.exp(z)), SIGMOID),
    (lambda z: np.exp(z) / (1 + np.exp(z)), SIGMOID),
    (lambda z: np.exp(z) / (np.exp(z) + 1), SIGMOID),
    (lambda z: np.exp(z / 2) / (np.exp(z / 2) + np.exp(-z / 2)), SIGMOID),
    (lambda z: 1 - 1 / (1 + np.exp(z)), SIGMOID),
    (lambda z: np.where(z < 0, np.exp(z) / (1 + np.exp(z)), 1 / (1 + np.exp(-z))), SIGMOID),
    (lambda z: z / (1 + np.exp(-z)), silu),
    (lambda z: z * (1 / (1 + np.exp(-z))), silu),
    (lambda z: z * np.exp(z) / (1 + np.exp(z)), silu),
    (lambda z: np.exp(z) / (np.exp(z) + 1) * z, silu),
    (lambda z: z / (1 + np.exp(-1.7 * z)), lambda z: z * special.expit(1.7 * z)),
    (lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2, density),
    (lambda z: np.log(1 + np.exp(z)), softplus),
    (lambda z: np.log(np.exp(z) + 1), softplus),
    (lambda z: np.log1p(np.exp(z)), softplus),
    (lambda z: z + np.log(1 + np.exp(-z)), softplus),
    (lambda z: -np.log(1 / (1 + np.exp(z))), softplus),
    (lambda z: -np.log(1 - 1 / (1 + np.exp(-z))), softplus),
    (lambda z: -np.log1p(-1 / (1 + np.exp(-z))), softplus),
    (lambda z: z * np.tanh(np.log(1 + np.exp(z))), lambda z: z * np.tanh(softplus(z))),
    (lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)), TANH),
    (lambda z: (np.exp(2 * z) - 1) / (np.exp(2 * z) + 1), TANH),
    (lambda z: (1 - np.exp(-2 * z)) / (1 + np.exp(-2 * z)), TANH),
    (lambda z: 2 / (1 + np.exp(-2 * z)) - 1, TANH),
    (lambda z: np.sinh(z) / np.cosh(z), TANH),
    (lambda z: np.log(np.cosh(z)), log_cosh),
    (lambda z: 1 / np.cosh(z), hyperbolic_secant),
    (lambda z: 2 / (np.exp(z) + np.exp(-z)), hyperbolic_secant),
    (lambda z: np.where(z > 0, z, np.exp(z) - 1), elu),
    (lambda z: np.where(z <= 0, np.expm1(z), z), elu),
    (lambda z: np.select([z > 0, z <= 0], [z, np.exp(z) - 1]), elu),
    (lambda z: np.piecewise(z, [z > 0], [lambda z: z, np.expm1]), elu),
    (lambda z: np.where(z > 1, np.log(z), z - 1), lambda z: np.minimum(z, 1) - 1 + _log_above(z)),
    (lambda z: np.where(z > 1, np.sqrt(z), 1.0), lambda z: np.sqrt(np.maximum(z, 1))),
    (lambda z: np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True), softmax),
    (lambda z: np.exp(z) / np.exp(z).sum(axis=1)[:, None], softmax),
    (lambda z: np.log(np.sum(np.exp(z), axis=1)), logsumexp),
    (lambda z: np.log(np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)), log_softmax),
    (lambda z: np.log(softmax(z)), log_softmax),
]


def _log_above(z):
    return np.log(np.maximum(z, 1))


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("position", range(len(BY_HAND)))
def test_what_is_written_by_hand_is_finite_where_the_function_is(position, dtype):
    by_hand, well = BY_HAND[position]
    sizes = [1e-3, 0.3, 1.5, 17.0, 40.0, 89.0, 104.0, 750.0, 1e4]
    one = np.array([-x for x in sizes] + sizes, dtype)
    at = np.stack([one, one[::-1], np.roll(one, 5)], axis=1)
    z = variable("z", ("n", 3))
    found, expected = (
        evaluate([y, *gradient(np.sum(y * np.array(1.0)), [z])], {z: at}, dtype)
        for y in (by_hand(z), well(z))
    )
    tolerance = 1e-12 if dtype == "float64" else 3e-5
    for got, want in zip(found, expected, strict=True):
        assert np.isfinite(got).all()
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_by_hand_without_a_rule_is_not_finite():
    z = variable("z", ("n", 1))
    y = np.exp(z) / (1.5 + np.exp(z))
    assert np.isnan(evaluate(y, {z: np.array([[1e4]])})).all()
