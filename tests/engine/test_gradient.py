"""Reverse mode: right for composed functions, and only what is needed, once."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from random_expressions import SHAPES, SMOOTH, arrays, functions, variables
from scipy import special

from skmlp.engine import (
    BATCH,
    ComputationGraph,
    Expression,
    Program,
    check_gradient,
    constant,
    evaluate,
    gradient,
    log_softmax,
    logsumexp,
    softmax,
    stop_gradient,
    variable,
)
from skmlp.engine.expression import topological
from skmlp.engine.rules import share

# What users write: activations, and losses of raw outputs.
USERS_FUNCTIONS = {
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "silu": lambda z: z * special.expit(z),
    "gelu": lambda z: z * (1 + special.erf(z / np.sqrt(2))) / 2,
    "gelu by tanh": lambda z: 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "gelu by ndtr": lambda z: z * special.ndtr(z),
    "selu": lambda z: 1.0507 * np.where(z > 0, z, 1.67326 * np.expm1(np.minimum(z, 0))),
    "elu": lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
    "leaky relu": lambda z: np.maximum(z, 0.01 * z),
    "snake": lambda z: z + np.square(np.sin(z)),
    "softsign": lambda z: z / (1 + np.abs(z)),
    "hard swish": lambda z: z * np.clip(z + 3, 0, 6) / 6,
    "sinc": lambda z: np.where(np.abs(z) < 1e-3, 1 - z * z / 6, np.sin(z) / np.where(z, z, 1)),
    "gaussian": lambda z: np.exp(-(z**2) / 2),
    "rational": lambda z: (1 + z + z**2) / (2 + z**4),
    "bent": lambda z: (np.sqrt(z**2 + 1) - 1) / 2 + z,
    "row norm": lambda z: z / np.sqrt(np.sum(z**2, axis=1, keepdims=True)),
    "layer norm": lambda z: (
        (z - np.mean(z, axis=1, keepdims=True)) / np.std(z, axis=1, keepdims=True)
    ),
    "batch norm": lambda z: (z - np.mean(z, axis=0)) / np.sqrt(np.var(z, axis=0) + 1e-5),
    "softmax": softmax,
    "maxout": lambda z: np.maximum(z[:, ::2], z[:, 1::2]),
    "gated": lambda z: np.concatenate([z[:, :2] * special.expit(z[:, 2:]), z], axis=1),
    "log loss": lambda z: np.sum(np.logaddexp(z, 0) - z, axis=1),
    "cross entropy": lambda z: -np.sum(log_softmax(z) * [0.1, 0.2, 0.3, 0.4], axis=-1),
    "logsumexp": logsumexp,
    "gaussian likelihood": lambda z: (
        0.5 * np.sum(np.square(1 - z[:, :2]) * np.exp(-z[:, 2:]) + z[:, 2:], axis=1)
    ),
    "negative binomial": lambda z: (
        special.gammaln(np.exp(z[:, 1])) - special.gammaln(2 + np.exp(z[:, 1])) + z[:, 0]
    ),
    "beta": lambda z: special.betaln(np.exp(z[:, 0]), np.exp(z[:, 1])),
    "censored": lambda z: -special.log_ndtr(z) - special.log_ndtr(-z[:, :1]),
}


def same(a, b):
    """Say whether two expressions are one node once they are shared."""
    first, second = share([a, b])
    return first is second


def names(outputs):
    """List the primitives of a graph, in the order of computation."""
    return [x.primitive.name for x in topological(outputs) if x.primitive is not None]


@pytest.mark.parametrize("name", USERS_FUNCTIONS)
def test_gradients_of_users_functions(name):
    assert check_gradient(USERS_FUNCTIONS[name], tolerance=1e-6) < 1e-6


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(functions(operations=tuple(SMOOTH)))
def test_gradients_of_random_functions(function):
    inputs, points = variables(), arrays()
    rng = np.random.default_rng(1)
    direction = [rng.standard_normal(x.shape) for x in points]
    weights = rng.standard_normal(len(function.steps) + len(points))

    def objective(*values):
        return sum(w * np.mean(np.sin(y)) for w, y in zip(weights, function(*values), strict=True))

    derived = evaluate(gradient(objective(*inputs), inputs), dict(zip(inputs, points, strict=True)))
    assert [g.shape for g in derived] == [x.shape for x in points]
    slope = sum(np.sum(g * d) for g, d in zip(derived, direction, strict=True))
    estimates = []
    for h in (1e-3, 5e-4):
        values = [
            objective(*(x + k * h * d for x, d in zip(points, direction, strict=True)))
            for k in (-2, -1, 1, 2)
        ]
        estimates.append((values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h))
    assume(abs(estimates[0] - estimates[1]) < 1e-7)
    assert slope == pytest.approx(estimates[1], rel=1e-6, abs=1e-6)


# -- no more than is needed ------------------------------------------------------------------------


def network(widths, activation):
    """Return the mean loss, the input and the parameters of a multilayer perceptron."""
    x, y = variable("x", (BATCH, widths[0])), variable("y", (BATCH, widths[-1]))
    h, parameters = x, []
    for i, (inputs, outputs) in enumerate(pairwise(widths), 1):
        W, b = variable(f"W{i}", (inputs, outputs)), variable(f"b{i}", (outputs,))
        z = h @ W + b
        h = activation(z) if i < len(widths) - 1 else z
        parameters += [W, b]
    return 0.5 * np.mean(np.sum(np.square(h - y), axis=1)), x, parameters


@pytest.mark.parametrize("activation", [np.tanh, special.expit, lambda z: np.maximum(z, 0)])
def test_the_gradient_of_the_input_is_never_formed(activation):
    loss, x, parameters = network((7, 5, 4, 2), activation)
    program = Program([loss, *gradient(loss, parameters)])
    assert [node for node in program.order if node.shape == (BATCH, 7)] == [x]
    # Forward three products, backward two for each layer but the first, which has one.
    assert names(program.outputs).count("matmul") == 3 + 5


def test_only_the_path_to_what_is_asked_for_is_differentiated():
    loss, _, parameters = network((7, 5, 4, 2), np.tanh)
    everything = names(gradient(loss, parameters))
    last = names(gradient(loss, parameters[-1:]))
    assert last.count("matmul") == 3  # those of the forward pass
    assert len(last) < 0.7 * len(everything)


def test_nothing_flows_into_truth_values_and_stopped_gradients():
    z = variable("z", (BATCH, 3))
    for loss in (np.sum(1.0 * (np.exp(z) > 1)), np.sum(stop_gradient(np.exp(z)))):
        (slope,) = gradient(loss, [z])
        assert "exp" not in names([slope])
        np.testing.assert_array_equal(evaluate(slope, {z: np.ones((4, 3))}), np.zeros((4, 3)))


# -- shared and folded -----------------------------------------------------------------------------


def test_equal_subexpressions_are_one_node():
    z = variable("z", (BATCH, 3))
    assert names(share([np.tanh(z) + np.exp(z), 2 * np.tanh(z) + np.exp(z)])).count("tanh") == 1
    assert same(np.sum(z, axis=0), np.sum(z, axis=(0,)))
    assert same(z + 1, z + 1.0)
    assert same(np.clip(z, -1, 1), np.clip(z, a_min=-1.0, a_max=1))


DIFFERENT = {
    "axis": lambda z: (np.sum(z, axis=0), np.sum(z, axis=1)),
    "dropped axes": lambda z: (z.sum(axis=1), z.sum(axis=1, keepdims=True)),
    "columns": lambda z: (z[:, 0], z[:, 1]),
    "slices": lambda z: (z[:, 0:2], z[:, 0:2:2]),
    "order of operands": lambda z: (z - 1, 1 - z),
    "number": lambda z: (z * 2, z * (2 + 1e-15)),
    "sign of zero": lambda z: (np.copysign(z, 0.0), np.copysign(z, -0.0)),
    "shape of a constant": lambda z: (z * np.ones(3) * 2, z * (2 * np.ones((1, 3)))),
    "truth value": lambda z: (np.where(z > 0, z, 1.0), np.where(z > 0, z, True)),
    "variable of the same name": lambda z: (z, variable("z", z.shape)),
    "function": lambda z: (np.floor(z), np.ceil(z)),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_expressions_stay_apart(name):
    assert not same(*DIFFERENT[name](variable("z", (BATCH, 3))))


def test_constants_are_folded():
    z = variable("z", (BATCH, 3))
    folded = np.exp(constant(1.0)) * np.sqrt(constant([1.0, 4.0, 9.0]))
    np.testing.assert_allclose(folded.value, np.e * np.array([1, 2, 3]))
    assert names([z * folded]) == ["multiply"]
    truth = (constant(2.0) > 1) & (constant(3.0) != 3)
    assert truth.is_boolean
    assert not truth.value


@pytest.mark.parametrize(
    ("simplified", "count"),
    [
        (lambda z: z + 0, 0),
        (lambda z: 0 + z, 0),
        (lambda z: z - 0, 0),
        (lambda z: 1 * z * 1.0 / 1, 0),
        (lambda z: z**1, 0),
        (lambda z: np.negative(-z), 0),
        (lambda z: z.T.T, 0),
        (lambda z: +z[:], 0),
        (lambda z: 0 - z, 1),
        (lambda z: -1 * z, 1),
        (lambda z: z**2, 1),
        (lambda z: z**0.5, 1),
        (lambda z: z**-1, 1),
        (lambda z: z**0, 1),
        (lambda z: z + np.zeros_like(z), 0),
        (lambda z: z * np.ones_like(z), 0),
        (lambda z: z + np.zeros((1, 3)), 1),
    ],
)
def test_what_changes_nothing_is_left_out(simplified, count):
    z = variable("z", (BATCH, 3))
    points = np.array([[0.5, 2.0, 3.0]])
    expression = simplified(z)
    assert len(names([expression])) == count
    assert expression.shape == (BATCH, 3)
    np.testing.assert_allclose(evaluate(expression, {z: points}), simplified(points))


@pytest.mark.parametrize("form", [lambda z: z + np.zeros((2, 1, 3)), lambda z: z * np.ones((2, 3))])
def test_what_changes_the_shape_stays(form):
    z = variable("z", (3,))
    np.testing.assert_array_equal(evaluate(form(z), {z: np.ones(3)}), form(np.ones(3)))


def test_numbers_are_combined_before_they_are_repeated():
    z = variable("z", ("n", 3))
    half = 0.5 * np.ones_like(z)
    assert half.primitive.name == "broadcast_to"
    assert half.inputs[0].value == 0.5
    assert names([half * (2 * z)]) == names([z])
    assert names([np.ones_like(z) + np.ones_like(z)]) == names([half])
    at = {z: np.array([[1.0, 2.0, 3.0]])}
    np.testing.assert_array_equal(evaluate(half * (2 * z), at), at[z])
    np.testing.assert_array_equal(evaluate(np.ones_like(z) / 4, at), np.full((1, 3), 0.25))


@pytest.mark.parametrize(("a", "b", "calls"), [(0.5, 2.0, 0), (4.0, -0.25, 1), (0.1, 3.0, 2)])
def test_factors_are_joined_where_rounding_is_the_same(a, b, calls):
    z = variable("z", (5,))
    value = np.array([0.1, -3.3, 1e300, 1e-300, np.inf])
    joined = a * (b * z)
    assert len(Program([joined]).step(1).calls) == calls
    np.testing.assert_array_equal(evaluate(joined, {z: value}), a * (b * value))


def test_nodes_are_replaced_wherever_they_are_used():
    z, w = variable("z", (3,)), variable("w", (3,))
    inner = np.exp(z)
    (changed,) = share([inner * np.tanh(inner) + z], {inner: np.sqrt(w) + 1.0})
    at = {z: np.array([1.0, 2.0, 3.0]), w: np.array([4.0, 9.0, 16.0])}
    np.testing.assert_allclose(
        evaluate(changed, at), (np.sqrt(at[w]) + 1) * np.tanh(np.sqrt(at[w]) + 1) + at[z]
    )
    assert "exp" not in names([changed])


def test_the_gradient_shares_the_forward_pass():
    z = variable("z", (BATCH, 3))
    loss = np.sum(z * np.tanh(np.logaddexp(0, z)))
    program = Program([loss, *gradient(loss, [z])])
    used = names(program.outputs)
    assert used.count("tanh") == 1
    assert used.count("exp") <= 2  # one of log1p(exp(-|z|)), one of the logistic function
    assert len(used) < 25


def test_names_stay_with_their_nodes():
    z = variable("z", (BATCH, 3))
    plain, named = np.tanh(z), np.tanh(z).named("h")
    share([plain, named, np.exp(plain), np.exp(named)])
    assert plain.name is None
    assert named.name == "h"


# -- every shape and depth -------------------------------------------------------------------------


def test_a_network_2000_layers_deep():
    depth = 2000
    x, w, b = variable("x", (BATCH, 2)), variable("w", (2, 2)), variable("b", (2,))
    h = x
    for _ in range(depth):
        h = np.tanh(h @ w + b)
    loss = np.sum(h)
    program = Program([loss, *gradient(loss, [w, b])])
    assert names(program.outputs).count("tanh") == depth
    weight, bias = np.array([[0.9, 0.3], [-0.3, 0.9]]), np.array([0.01, -0.02])
    values = {x: np.ones((3, 2)), w: weight, b: bias}
    loss_value, _, slope = (np.array(y) for y in program.run(values))
    want = np.ones((3, 2))
    for _ in range(depth):
        want = np.tanh(want @ weight + bias)
    np.testing.assert_allclose(loss_value, np.sum(want))
    h = 1e-6
    moved = [program.run(values | {b: bias + np.array([s, 0])})[0].item() for s in (h, -h)]
    np.testing.assert_allclose(slope[0], (moved[0] - moved[1]) / (2 * h), rtol=1e-6)
    assert "tanh" in str(ComputationGraph(loss))


def test_one_node_used_2000_times():
    w = variable("w", (3,))
    total = sum((w * k for k in range(2000)), start=constant(0.0))
    (slope,) = gradient(np.sum(total), [w])
    np.testing.assert_allclose(evaluate(slope, {w: np.ones(3)}), [2000 * 1999 / 2] * 3)


@pytest.mark.parametrize("shape", [(BATCH,), (BATCH, 3), (1,), (2, 2)])
def test_only_a_scalar_has_a_gradient(shape):
    z = variable("z", shape)
    with pytest.raises(ValueError, match=r"gradient is that of a scalar.*np\.sum or np\.mean"):
        gradient(z, [z])


@pytest.mark.parametrize("shape", list(SHAPES.values()), ids=str)
def test_the_gradient_of_something_else_is_zero(shape):
    w, unrelated = variable("w", (3,)), variable("u", shape)
    (slope,) = gradient(np.sum(w * w), [unrelated])
    assert isinstance(slope, Expression)
    assert slope.shape == shape
    values = np.ones(tuple(5 if d == BATCH else d for d in shape))
    for others in ([], [np.exp(w)]):
        zero = evaluate([slope, *others], {unrelated: values, w: np.ones(3)})[0]
        np.testing.assert_array_equal(zero, np.zeros_like(values))


def test_gradients_of_the_loss_itself_and_of_inner_nodes():
    w = variable("w", (3,))
    inner = np.exp(w)
    loss = np.sum(inner * inner)
    of_loss, of_inner, of_w = evaluate(gradient(loss, [loss, inner, w]), {w: np.zeros(3)})
    np.testing.assert_allclose(of_loss, 1)
    np.testing.assert_allclose(of_inner, [2, 2, 2])
    np.testing.assert_allclose(of_w, [2, 2, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_of_a_power_with_exponent_zero_is_zero(dtype):
    w = variable("w", (3,))
    (slope,) = gradient(np.sum(w**0), [w])
    np.testing.assert_array_equal(evaluate(slope, {w: np.array([0, -1, 2])}, dtype), np.zeros(3))
