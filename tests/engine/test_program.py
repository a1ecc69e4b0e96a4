"""Programs: the same numbers as NumPy, in few buffers, in blocks, without allocating."""

import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from random_expressions import arrays, functions, variables
from scipy import sparse, special

from skmlp.engine import (
    BATCH,
    PRIMITIVES,
    Program,
    constant,
    evaluate,
    gradient,
    log_softmax,
    softmax,
    variable,
)
from skmlp.engine.expression import topological
from skmlp.engine.kernels import bind
from skmlp.engine.plan import LINE_BYTES, _row_kinds
from skmlp.engine.program import KEPT_STEPS, running
from skmlp.engine.rules import LOWERED
from skmlp.engine.shapes import concrete

PRECISIONS = [np.float32, np.float64]
TOLERANCE = {np.float32: 2e-4, np.float64: 1e-11}
RANDOM = settings(max_examples=120, deadline=None, derandomize=True, database=None)


def assert_close(got, want, dtype=np.float64, scale=1.0):
    assert got.shape == want.shape
    tolerance = TOLERANCE[dtype] * max(1.0, scale)
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def largest(values):
    """The largest number; what stands in for a division by zero is no number."""
    return max(float(np.max(np.abs(v[np.isfinite(v)]), initial=0)) for v in map(np.asarray, values))


def every_node(program, values, rows):
    """Compute a program's outputs with memory of its own for every node."""
    found = {}
    for node in program.order:
        if node in program.parameters:
            found[node] = program.parameters[node]
        elif node.value is not None:
            found[node] = node.value.astype(bool if node.is_boolean else program.dtype)
        elif node.primitive is None:
            found[node] = values[node]
        elif node.primitive.name == "rows":
            found[node] = np.array(rows, program.dtype)
        elif node.primitive.view is not None:
            found[node] = node.primitive.view(found[node.inputs[0]], **node.attributes)
        else:
            dtype = bool if node.is_boolean else program.dtype
            found[node] = np.full(concrete(node.shape, rows), 7, dtype)
            inputs = [found[x] for x in node.inputs]
            with np.errstate(all="ignore"):
                bind(node.primitive, found[node], *inputs, **node.attributes)()
    return found


def perceptron(widths=(6, 8, 5, 3), activation=np.tanh):
    """Return a network's data, parameters, row losses, and objective."""
    x, y, w = variable("x", (BATCH, widths[0])), variable("y", (BATCH, widths[-1])), None
    w = variable("w", (BATCH,))
    h, parameters = x, []
    for i in range(len(widths) - 1):
        W, b = variable(f"W{i}", widths[i : i + 2]), variable(f"b{i}", (widths[i + 1],))
        z = h @ W + b
        h = activation(z) if i < len(widths) - 2 else z
        parameters += [W, b]
    loss = -np.sum(y * log_softmax(h), axis=1)
    return (x, y, w), parameters, h, loss, np.sum(w * loss)


def data_for(nodes, rows, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return {x: rng.standard_normal(concrete(x.shape, rows)).astype(dtype) for x in nodes}


# -- the same numbers ------------------------------------------------------------------------------


@RANDOM
@given(functions())
def test_random_functions_are_those_of_numpy(function):
    inputs, points = variables(), arrays()
    traced, want = function(*inputs), function(*points)
    got = evaluate(traced, dict(zip(inputs, points, strict=True)))
    for node, a, b in zip(traced, got, want, strict=True):
        assert concrete(node.shape, len(points[0])) == a.shape
        assert_close(a, np.asarray(b), scale=largest(want))


@pytest.mark.parametrize("dtype", PRECISIONS)
@RANDOM
@given(functions())
def test_reused_memory_changes_nothing(dtype, function):
    inputs, points = variables(), arrays(dtype=dtype)
    values = dict(zip(inputs, points, strict=True))
    *_, last = function(*inputs)
    gradients = gradient(np.sum(last), inputs)
    program = Program([*gradients, last], dtype=dtype)
    found = every_node(program, values, len(points[0]))
    for _ in range(2):
        got = [np.array(y) for y in program.run({x: values[x] for x in inputs})]
        for output, array in zip(program.outputs, got, strict=True):
            assert array.dtype == (bool if output.is_boolean else dtype)
            assert_close(array, found[output], dtype, largest(found.values()))


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_memory_is_reused(dtype):
    x = variable("x", (BATCH, 100))
    h = x
    for k in range(50):
        h = np.tanh(h * 0.9) + np.sin(h) / (k + 1)
    loss = np.sum(h)
    forward = Program([loss], dtype=dtype).step(64)
    both = Program([loss, *gradient(loss, [x])], dtype=dtype)
    step = both.step(64)
    one = 64 * 100 * np.dtype(dtype).itemsize
    nodes = [node for node in both.order if node.shape == x.shape]
    assert forward.number_of_bytes < 5 * one  # the input, and two or three beside it
    assert step.number_of_bytes < 0.6 * len(nodes) * one  # what the gradient needs stays
    owners = [a if a.base is None else a.base for a in step.arrays.values()]
    owned = {id(owner): owner.nbytes for owner in owners}
    assert step.number_of_bytes <= sum(owned.values()) < 1.1 * step.number_of_bytes


def test_a_chain_works_in_one_buffer():
    x = variable("x", (BATCH, 10))
    program = Program([np.sum(np.sqrt(np.exp(np.sin(np.cos(x)))), axis=1)])
    needed = 20 * 10 * 8 * 2 + 20 * 8
    assert needed <= program.step(20).number_of_bytes < needed + 3 * LINE_BYTES
    points = np.random.default_rng(0).standard_normal((20, 10))
    want = np.sqrt(np.exp(np.sin(np.cos(points)))).sum(axis=1)
    np.testing.assert_allclose(program.run({x: points})[0], want)
    assert np.array_equal(program.step(20).arrays[x], points)  # an input is never overwritten


def test_an_operand_read_in_two_orders_keeps_its_memory():
    x = variable("x", (BATCH, 10))
    e = np.exp(x)
    assert Program([e + e]).step(20).number_of_bytes == 20 * 10 * 8 * 2
    assert Program([e + e[:, ::-1]]).step(20).number_of_bytes == 20 * 10 * 8 * 3


ALIASES = {  # where memory that is still needed could be taken
    "an operand twice": lambda a, W: np.exp(a) * np.exp(a),
    "an operand twice, broadcast": lambda a, W: np.exp(a) + np.exp(a)[:, :1],
    "an operand and its view": lambda a, W: np.exp(W) - np.exp(W).T,
    "an operand and its reversed view": lambda a, W: np.exp(a) / np.exp(a)[:, ::-1],
    "a view read after its source": lambda a, W: np.exp(a)[:, 0] * np.sum(np.exp(a) * 2, axis=1),
    "a view of a view": lambda a, W: (np.exp(W).T)[1:, 0] * np.sum(np.sin(np.exp(W)), axis=0)[1:],
    "a view as output": lambda a, W: np.exp(a)[:, 1:],
    "a transpose as output": lambda a, W: np.exp(W).T,
    "a number of a matrix": lambda a, W: np.exp(W)[1, 2] * np.exp(W),
    "a number of an input": lambda a, W: W[0, 0] + W[1][2] * a,
    "a number as output": lambda a, W: np.exp(W)[2, 1],
    "one axis in place of another": lambda a, W: np.exp(W)[:, 0] * np.exp(W)[0],
    "a product with itself": lambda a, W: np.exp(W) @ np.exp(W),
    "a product with its transpose": lambda a, W: np.exp(a).T @ np.exp(a),
    "a mask of itself": lambda a, W: np.where(np.sin(a) > 0, np.sin(a), -np.sin(a)),
    "masks of masks": lambda a, W: ~((a > 0) ^ (a > 1)) & ((a < 2) | ~(a < -1)),
    "a sum of truth values": lambda a, W: (a > 0) + (a > 1) + (a > 2),
    "a product of truth values": lambda a, W: (a > 0) * (a < 1) * 2 + (a > 0),
    "the larger truth value": lambda a, W: ~np.maximum(a > 0, a < -1),
    "whether any is true": lambda a, W: ~np.max(a > 0, axis=1),
    "joined truth values": lambda a, W: ~np.concatenate([a > 0, a > 1], axis=1),
    "reshaped truth values": lambda a, W: ~np.reshape(a > 0, (-1, 3, 1)),
    "a choice of truth values": lambda a, W: ~np.where(a > 0, a > 1, a < -1),
    "a truth value as number": lambda a, W: np.exp(a) * (a > 0) - (a < 1) * 1.0,
    "one number": lambda a, W: np.sin(np.sum(a)) * np.sum(a) + np.sum(a),
    "one number for each row": lambda a, W: np.exp(a) * np.sum(np.exp(a), axis=1)[:, None],
    "a reshaped view": lambda a, W: np.reshape(np.exp(a)[:, ::-1], (-1, 1, 3)) * 2,
    "joined with itself": lambda a, W: np.concatenate([np.exp(a), np.exp(a)[:, :1]], axis=1),
    "softmax": lambda a, W: softmax(np.exp(a) @ np.exp(W)),
}


@pytest.mark.parametrize("name", ALIASES)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_needed_memory_is_not_taken(name, dtype):
    a, W = variable("a", (BATCH, 3)), variable("W", (3, 3))
    values = data_for([a, W], 4, dtype)
    traced, want = ALIASES[name](a, W), ALIASES[name](values[a], values[W])
    program = Program([traced, np.exp(a)], dtype=dtype)
    for _ in range(2):
        got = program.run(values)[0]
        assert_close(got, want, dtype, largest([want]))
        assert got.dtype == (bool if want.dtype == bool else dtype)
    np.testing.assert_array_equal(values[a], data_for([a, W], 4, dtype)[a])
    if want.dtype != bool:
        slopes = gradient(np.sum(traced), [a, W])
        program = Program(slopes, dtype=dtype)
        nodes = every_node(program, values, 4)
        got = program.run(values)
        for array, node in zip(got, program.outputs, strict=True):
            assert_close(array, nodes[node], dtype, largest(nodes.values()))


# -- what comes in and goes out --------------------------------------------------------------------


def test_parameters_are_read_where_they_stand():
    theta = np.arange(4.0)
    x, W, s = variable("x", (BATCH, 3)), variable("W", (3,)), variable("s", ())
    program = Program([x @ W + s], {W: theta[:3], s: theta[3:].reshape(())})
    assert program.inputs == [x]
    for _ in range(3):
        theta += 1
        np.testing.assert_array_equal(program.run({x: np.eye(3)})[0], theta[:3] + theta[3])


def test_read_only_parameters_are_read_where_they_stand():
    theta = np.array([1.0, -1.0])
    views = [theta[i : i + 1].reshape(()) for i in range(2)]
    for view in views:
        view.flags.writeable = False
    x, low, high = variable("x", (BATCH,)), variable("low", ()), variable("high", ())
    program = Program([np.minimum(np.maximum(x, low), high)], {low: views[1], high: views[0]})
    points = np.linspace(-3, 3, 7)
    for bounds in ([1, -1], [2, -0.5]):
        theta[:] = bounds
        want = np.clip(points, bounds[1], bounds[0])
        np.testing.assert_array_equal(program.run({x: points})[0], want)


def test_outputs_are_written_into_targets():
    x, W = variable("x", (BATCH, 3)), variable("W", (3, 2))
    flat = np.zeros(6)
    loss = np.sum(np.tanh(x @ W))
    program = Program(
        [loss, *gradient(loss, [W])], {W: np.ones((3, 2))}, into=[None, flat.reshape(3, 2)]
    )
    points = np.random.default_rng(0).standard_normal((4, 3))
    _, got = program.run({x: points})
    assert got.base is flat
    np.testing.assert_allclose(flat.reshape(3, 2), points.T @ (1 / np.cosh(points @ W_ONES) ** 2))


W_ONES = np.ones((3, 2))
TARGETS = {  # outputs of shape (3, 3) of different kinds
    "computed": lambda W, P: np.exp(W),
    "variable": lambda W, P: W,
    "parameter": lambda W, P: P,
    "constant": lambda W, P: constant(np.arange(9.0).reshape(3, 3)),
    "view": lambda W, P: np.exp(W).T,
    "view of a variable": lambda W, P: W[::-1],
    "product": lambda W, P: W @ P,
    "reshaped": lambda W, P: np.reshape(np.exp(W), 9).reshape(3, 3),
    "joined": lambda W, P: np.concatenate([W[:1], np.exp(P[:2])]),
    "broadcast": lambda W, P: np.broadcast_to(np.sum(W, axis=0), (3, 3)),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "strided", "none"])
def test_every_kind_of_output_and_of_target(name, layout):
    W, P = variable("W", (3, 3)), variable("P", (3, 3))
    values = data_for([W, P], 3)
    memory = {
        "contiguous": np.zeros((3, 3)),
        "transposed": np.zeros((3, 3)).T,
        "strided": np.zeros((6, 9))[::2, ::3],
        "none": None,
    }[layout]
    output = TARGETS[name](W, P)
    program = Program(
        [output, np.sin(output), output], {P: values[P]}, into=[memory, None, np.zeros((3, 3))]
    )
    want = evaluate(output, values)
    for _ in range(2):
        first, second, third = program.run({W: values[W]})
        for got in (first, third, first if memory is None else memory):
            np.testing.assert_array_equal(got, want)
        np.testing.assert_allclose(second, np.sin(want))
        assert memory is None or first is memory


def test_the_same_output_several_times():
    x = variable("x", (BATCH, 2))
    y = np.exp(x)
    points = np.ones((3, 2))
    for outputs in ([y, y], [y, np.exp(x), y.T.T], [x, x]):
        got = Program(outputs).run({x: points})
        want = points if outputs[0] is x else np.exp(points)
        for array in got:
            np.testing.assert_array_equal(array, want)
    got[0][...] = 0
    np.testing.assert_array_equal(got[1], points)  # outputs with rows are arrays of their own


def test_outputs_with_rows_are_new_arrays():
    x = variable("x", (BATCH, 2))
    program = Program([np.exp(x), x, x[:, 0]])
    first = program.run({x: np.zeros((3, 2))})
    program.run({x: np.ones((3, 2))})
    for array, want in zip(first, [np.ones((3, 2)), np.zeros((3, 2)), np.zeros(3)], strict=True):
        np.testing.assert_array_equal(array, want)


def test_programs_of_constants_alone():
    got = evaluate([constant(2.0), constant([True, False]), np.exp(constant([0.0, 1.0]))])
    np.testing.assert_array_equal(got[0], 2.0)
    np.testing.assert_array_equal(got[1], [True, False])
    np.testing.assert_allclose(got[2], [1, np.e])


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_precision_is_kept(dtype):
    nodes, parameters, raw, loss, objective = perceptron(
        activation=lambda z: np.where(z > 0, z * special.expit(1.702 * z), np.expm1(z) * 1e-3)
    )
    program = Program([raw, loss, objective, *gradient(objective, parameters)], dtype=dtype)
    values = data_for([*nodes, *parameters], 10, dtype)
    assert {array.dtype for array in program.run(values)} == {np.dtype(dtype)}
    kinds = {a.dtype for a in program.step(10).arrays.values()}
    assert kinds == {np.dtype(dtype), np.dtype(bool)}


@pytest.mark.parametrize("source", [np.int64, np.int8, np.uint8, np.float32, np.float64, bool])
@pytest.mark.parametrize("index", [None, slice(1, 3), np.array([2, 0, 2])])
def test_inputs_of_other_types_are_cast(source, index):
    x = variable("x", (BATCH, 2))
    points = np.array([[1, 0], [2, 1], [0, 3]]).astype(source)
    for dtype in PRECISIONS:
        (got,) = Program([x + 0.5], dtype=dtype).run({x: points}, index)
        np.testing.assert_array_equal(got, points[index if index is not None else ...] + 0.5)


def test_repeated_constants_beyond_the_range_of_float32_are_infinite():
    z = variable("z", (BATCH, 2))
    joined = np.concatenate([z, np.full_like(z, 1e300)], axis=1)
    (got,) = Program([joined], dtype=np.float32).run({z: np.zeros((3, 2), np.float32)})
    np.testing.assert_array_equal(got, [[0, 0, np.inf, np.inf]] * 3)


def test_constants_beyond_the_range_of_float32_are_infinite():
    x = variable("x", (BATCH,))
    (got,) = Program([np.minimum(x, 1e300)], dtype=np.float32).run({x: np.ones(2, np.float32)})
    np.testing.assert_array_equal(got, [1, 1])
    Program([np.minimum(x, 1e300)], dtype=np.float32).step(3)


ERRORS = {
    "a value is missing": (lambda x, y: ({x: np.ones((2, 3))}, None), r"needs values for y$"),
    "all are missing": (lambda x, y: ({}, None), r"needs values for x, y$"),
    "different rows": (
        lambda x, y: ({x: np.ones((2, 3)), y: np.ones(3)}, None),
        r"different numbers of rows: \[2, 3\]",
    ),
    "too few columns": (
        lambda x, y: ({x: np.ones((2, 1)), y: np.ones(2)}, None),
        r"x is \(n, 3\), got an array of \(2, 1\)",
    ),
    "no columns": (
        lambda x, y: ({x: np.ones(3), y: np.ones(3)}, None),
        r"x is \(n, 3\), got an array of \(3,\)",
    ),
    "a column for a row": (
        lambda x, y: ({x: np.ones((2, 3)), y: np.ones((2, 1))}, None),
        r"y is \(n,\), got an array of \(2, 1\)",
    ),
    "a number for rows": (
        lambda x, y: ({x: np.ones((2, 3)), y: 1.0}, None),
        r"y is \(n,\), got an array of \(\)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_values_that_do_not_fit(name):
    x, y = variable("x", (BATCH, 3)), variable("y", (BATCH,))
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        Program([np.sum(x, axis=1) * y]).run(*call(x, y))


@pytest.mark.parametrize(
    "array", [np.ones(3, np.float32), np.ones(4), np.ones((1, 3)), np.ones(3, int)]
)
def test_arrays_that_do_not_fit(array):
    x, w = variable("x", (BATCH, 3)), variable("w", (3,))
    message = r"\(3,\) of float64, got an array of "
    with pytest.raises(ValueError, match=r"w is " + message):
        Program([x * w], {w: array})
    with pytest.raises(ValueError, match=r"sum is " + message):
        Program([np.sum(x, axis=0)], into=[array])


def test_complex_values_are_refused():
    x = variable("x", (BATCH, 3))
    with pytest.raises(TypeError, match="Cannot cast"):
        Program([x + 1]).run({x: np.ones((2, 3), complex)})


# -- which rows ------------------------------------------------------------------------------------

INDICES = {
    "all": None,
    "front": slice(0, 13),
    "middle": slice(5, 22),
    "back": slice(-9, None),
    "every other": slice(None, None, 2),
    "backwards": slice(None, None, -1),
    "backwards in steps": slice(20, 2, -3),
    "beyond the end": slice(20, 100),
    "none": slice(3, 3),
    "numbers": np.random.default_rng(1).permutation(25)[:17],
    "numbers again and again": np.array([3] * 9),
    "numbers from the end": np.array([-1, 0, -25, 24]),
    "small integers": np.arange(20, dtype=np.int16),
    "truth values": np.arange(25) % 3 == 1,
    "a list": [4, 8, 15, 16, 23, 1, 2, 3],
}


@pytest.mark.parametrize("block_rows", [None, 1, 4, 25])
@pytest.mark.parametrize("name", INDICES)
def test_an_index_takes_the_rows_that_numpy_takes(name, block_rows):
    x, y = variable("x", (BATCH, 2)), variable("y", (BATCH,))
    values = data_for([x, y], 25)
    index = slice(None) if INDICES[name] is None else INDICES[name]
    program = Program([np.exp(x) * y[:, None], np.sum(x * 2, axis=0), y], block_rows=block_rows)
    got = program.run(values, INDICES[name])
    X, Y = values[x][index], values[y][index]
    for array, want in zip(got, [np.exp(X) * Y[:, None], 2 * X.sum(axis=0), Y], strict=True):
        assert_close(array, want)


# -- inputs that are joined to other columns -------------------------------------------------------

JOINED = {
    "a constant column": lambda x, y: [x, np.ones_like(y[:, :1])],
    "constants around": lambda x, y: [np.ones_like(x), x, np.full_like(x[:, :2], 3.0)],
    "two inputs": lambda x, y: [y, np.zeros_like(x[:, :1]), x],
    "an input twice": lambda x, y: [x, x],
    "an input and a computed value": lambda x, y: [x, np.tanh(y)],
}


@pytest.mark.parametrize("index", [None, slice(3, 17, 2), np.array([7, 0, 7, 19])])
@pytest.mark.parametrize("source", [np.float32, np.float64])
@pytest.mark.parametrize("name", JOINED)
def test_joined_inputs_are_those_of_numpy(name, source, index):
    rng = np.random.default_rng(0)
    x, y, W = variable("x", (BATCH, 3)), variable("y", (BATCH, 2)), variable("W", (3, 2))
    values = {x: rng.normal(size=(20, 3)).astype(source), y: rng.normal(size=(20, 2))}
    weights = rng.normal(size=(3, 2))

    def outputs(x, y, W):
        joined = np.concatenate(JOINED[name](x, y), axis=1)
        again = np.concatenate([np.ones_like(x), x], axis=1)
        return joined, np.tanh(joined), again, x @ W + y

    program = Program(outputs(x, y, W), {W: weights})
    rows = slice(None) if index is None else index
    taken = [values[v][rows].astype(np.float64) for v in (x, y)]
    for _ in range(2):
        for got, want in zip(program.run(values, index), outputs(*taken, weights), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-13)


def test_joined_inputs_are_filled_by_functions_too():
    x = variable("x", (BATCH, 3))
    program = Program([np.concatenate([x, np.ones((1, 1))], axis=1), np.tanh(x)])
    y = variable("y", (BATCH, 1))
    rng = np.random.default_rng(0)
    joined, _ = program.run({x: lambda out: rng.standard_normal(out=out), y: np.ones((5, 1))})
    want = np.random.default_rng(0).standard_normal((5, 3))
    np.testing.assert_array_equal(joined, np.concatenate([want, np.ones((5, 1))], axis=1))


def test_joined_parameters_are_read_where_they_stand():
    x, W, V = variable("x", (BATCH, 2)), variable("W", (2, 1)), variable("V", (2, 2))
    weights = np.ones((2, 1))
    program = Program([x @ np.concatenate([W, V], axis=1)], {W: weights})
    values = {x: np.eye(2), V: np.full((2, 2), 2.0)}
    for weight in (1.0, 5.0):
        weights[...] = weight
        np.testing.assert_array_equal(program.run(values)[0], [[weight, 2, 2]] * 2)


def test_joining_inputs_to_constants_takes_no_call():
    x, W = variable("x", (BATCH, 3)), variable("W", (4, 2))
    joined = np.concatenate([x, np.ones((1, 1))], axis=1)
    assert len(Program([joined @ W], {W: np.ones((4, 2))}).step(5).calls) == 1
    assert len(Program([np.concatenate([np.tanh(x), np.ones((1, 1))], 1)]).step(5).calls) == 2


def test_products_that_sum_over_columns_of_a_batch():
    rng = np.random.default_rng(0)
    x, W = variable("x", (BATCH, 3)), variable("W", (5, 3))
    c, r, u = variable("c", (5, 1)), variable("r", (1, 4)), variable("u", (BATCH, 1))
    m = variable("m", (5, 4))
    one = variable("one", (1, 5))
    values = {v: rng.normal(size=concrete(v.shape, 7)) for v in (x, W, c, r, u, m, one)}
    X, w, C, R, U, M, ones = (values[v] for v in (x, W, c, r, u, m, one))
    (slope,) = gradient(np.sum(one @ np.tanh(W @ x.T)), [x])
    cases = {
        slope: ((1 - np.tanh(w @ X.T) ** 2) * ones.T).T @ w,
        (W @ x.T).T @ ((c @ r) * m): (w @ X.T).T @ (C @ R * M),
        W.T @ ((c @ u.T) * (W @ x.T)): w.T @ ((C @ U.T) * (w @ X.T)),
    }
    for got, want in cases.items():
        np.testing.assert_allclose(evaluate(got, values), want, rtol=1e-12)


# -- the order of calls ---------------------------------------------------------------------------


def test_truth_values_may_be_compared_too():
    x = variable("x", (BATCH, 3))
    test = np.logical_or(np.equal(x > 0, True), x < -1)
    values = np.random.default_rng(0).normal(size=(9, 3))
    got = evaluate(np.where(test, x, 0.5) + (x > 0), {x: values})
    want = np.where((values > 0) | (values < -1), values, 0.5) + (values > 0)
    np.testing.assert_array_equal(got, want)


# -- products of what scales rows and columns ------------------------------------------------------


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("columns", [2, 5, 9])
@pytest.mark.parametrize("slope", ["greater", "tanh", "two"])
def test_scaled_products_are_those_of_numpy(slope, columns, dtype):
    rng = np.random.default_rng(columns)
    x, z = variable("x", (BATCH, columns)), variable("z", (BATCH, 5))
    c, r = variable("c", (BATCH, 1)), variable("r", (5, 1))
    slopes = {
        "greater": lambda z: z > 0,
        "tanh": lambda z: 1 - np.tanh(z) ** 2,
        "two": np.exp,
    }[slope]
    scaled = (c @ r.T) * slopes(z)
    scaled = scaled * (z > 0.1) if slope == "two" else scaled
    values = {v: rng.normal(size=concrete(v.shape, 40)).astype(dtype) for v in (x, z, c)}
    column = rng.normal(size=(5, 1)).astype(dtype)
    g = (values[c] @ column.T) * slopes(values[z])
    g = g * (values[z] > 0.1) if slope == "two" else g
    program = Program([x.T @ scaled], {r: column}, dtype=dtype)
    assert_close(program.run(values)[0], values[x].T @ g, dtype, 40)
    is_formed = any(n.primitive is PRIMITIVES["matmul"] and n.inputs[0] is c for n in program.order)
    assert is_formed == (columns > 5)
    program = Program([x.T @ scaled, scaled @ np.ones((5, 2))], {r: column}, dtype=dtype)
    for got, want in zip(program.run(values), (values[x].T @ g, g @ np.ones((5, 2))), strict=True):
        assert_close(got, want, dtype, 40)
    assert any(n.primitive is PRIMITIVES["matmul"] and n.inputs[0] is c for n in program.order)


def test_values_without_rows_are_not_indexed():
    x, w = variable("x", (BATCH, 2)), variable("w", (2,))
    values = data_for([x, w], 5)
    got = Program([x * w], block_rows=2).run(values, np.array([4, 1, 1]))[0]
    np.testing.assert_array_equal(got, values[x][[4, 1, 1]] * values[w])


# -- row blocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 7, 8, 24, 30])
@pytest.mark.parametrize("index", [None, slice(2, None), "numbers"])
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_blocks_are_exact_to_rounding(rows, index, dtype):
    nodes, parameters, raw, loss, objective = perceptron()
    values = data_for([*nodes, *parameters], 2 + rows, dtype)
    if index == "numbers":
        index = np.random.default_rng(3).integers(0, rows, rows)
    arrays_of = {p: values.pop(p) for p in parameters}
    outputs = [raw, loss, objective, parameters[0] * 2, *gradient(objective, parameters)]
    plain = Program(outputs, arrays_of, dtype=dtype, block_rows=1000)
    targets = [None] * 4 + [np.empty(p.shape, dtype) for p in parameters]
    blocks = Program(outputs, arrays_of, dtype=dtype, block_rows=8, into=targets)
    assert blocks.block_rows == 8
    want = [np.array(y) for y in plain.run(values, index)]
    for _ in range(2):
        for got, array, target in zip(blocks.run(values, index), want, targets, strict=True):
            assert_close(got, array, dtype, largest(want))
            assert target is None or got is target


@RANDOM
@given(functions())
def test_random_functions_in_blocks(function):
    inputs, points = variables(), arrays(rows=11)
    values = dict(zip(inputs, points, strict=True))
    *nodes, last = function(*inputs)
    outputs = [*nodes, last, *gradient(np.sum(last), inputs)]
    whole = Program(outputs, block_rows=100)
    kinds = _row_kinds(whole.order)
    parts = [i for i, y in enumerate(whole.outputs) if kinds[y] != "whole" and _rows_first(y)]
    blocks = Program([outputs[i] for i in parts], block_rows=4)
    assert blocks.block_rows == 4
    want = [np.array(y) for y in whole.run(values)]
    for got, i in zip(blocks.run(values), parts, strict=True):
        assert_close(got, want[i], scale=largest(want))


def _rows_first(node):
    return BATCH not in node.shape[1:]


PER_ROW_OR_SUMS = {  # computed in blocks
    "rows": lambda x, W: np.tanh(x @ W),
    "loss": lambda x, W: np.sum(np.logaddexp(x, 0), axis=1),
    "largest of a row": lambda x, W: np.max(x, axis=1),
    "sum": lambda x, W: np.sum(x),
    "sum of rows, times a matrix": lambda x, W: np.sum(x, axis=0) @ W * 3 - np.sum(x, axis=0),
    "products": lambda x, W: x.T @ (x @ W),
    "weighted": lambda x, W: W[0, 0] * np.sum(np.exp(x)) / W[0, 1],
    "fixed": lambda x, W: np.exp(W),
    "part of a sum": lambda x, W: np.concatenate([np.sum(x, axis=0)[1:], np.sum(x, axis=0)]),
    "joined": lambda x, W: np.concatenate([x, np.ones_like(x), x @ W], axis=1),
    "transpose": lambda x, W: 2 * x.T,
    "stacked over rows": lambda x, W: np.stack([x, x * x]),
}
WHOLE = {  # only the whole batch says what they are
    "mean": lambda x, W: np.mean(x),
    "variance": lambda x, W: np.var(x, axis=0),
    "rows less their mean": lambda x, W: x - np.mean(x, axis=0),
    "share of the sum": lambda x, W: x / np.sum(x, axis=0),
    "largest of a column": lambda x, W: np.max(x, axis=0),
    "root of a sum": lambda x, W: np.sqrt(np.sum(x * x)),
    "sum plus a number": lambda x, W: np.sum(x) + 1,
    "square of a sum": lambda x, W: np.sum(x) * np.sum(x),
    "number over a sum": lambda x, W: W / np.sum(x),
    "choice by a sum": lambda x, W: np.where(np.sum(x) > 0, W, 2 * W),
    "sum of rows in every row": lambda x, W: np.zeros_like(x) + np.sum(x, axis=0),
}


@pytest.mark.parametrize("name", [*PER_ROW_OR_SUMS, *WHOLE])
def test_what_is_computed_in_blocks(name):
    x, W = variable("x", (BATCH, 3)), variable("W", (3, 3))
    function = (PER_ROW_OR_SUMS | WHOLE)[name]
    program = Program([function(x, W)], block_rows=4)
    assert (program.block_rows == 4) == (name in PER_ROW_OR_SUMS)
    values = data_for([x, W], 10)
    assert_close(program.run(values)[0], function(values[x], values[W]))


@pytest.mark.parametrize(("columns", "rows"), [(20, 1638), (100, 327), (200, 256), (1000, 1000)])
def test_blocks_stay_in_the_cache_and_are_no_wider_than_long(columns, rows):
    x = variable("x", (BATCH, columns))
    assert Program([np.exp(x)]).block_rows == rows
    wide = variable("x", (BATCH, 1 << 20))
    assert Program([np.exp(wide)]).block_rows >= 100


# -- sparse inputs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array])
@pytest.mark.parametrize("index", [None, slice(3, 17), slice(None, None, -2), np.arange(15, 0, -1)])
@pytest.mark.parametrize("block_rows", [None, 6])
def test_sparse_rows_compute_the_same_as_dense_ones(dtype, kind, index, block_rows):
    def outputs_for(x):
        hidden = np.tanh(x @ W + b)
        loss = np.sum(np.square(hidden @ v))
        return [hidden, loss, *gradient(loss, [W, b, v]), W.T @ x.T @ hidden]

    rng = np.random.default_rng(5)
    points = np.where(rng.uniform(size=(20, 6)) < 0.4, rng.standard_normal((20, 6)), 0)
    W, b, v = variable("W", (6, 4)), variable("b", (4,)), variable("v", (4, 1))
    weights = data_for([W, b, v], 1, dtype)
    thin, dense = variable("x", (BATCH, 6), is_sparse=True), variable("x", (BATCH, 6))
    got = Program(outputs_for(thin), dtype=dtype, block_rows=block_rows).run(
        {thin: kind(points.astype(dtype)), **weights}, index
    )
    want = Program(outputs_for(dense), dtype=dtype).run({dense: points, **weights}, index)
    for a, array in zip(got, want, strict=True):
        assert a.dtype == dtype
        assert_close(a, array, dtype, 10)


def test_sparse_rows_in_double_precision_serve_a_single_precision_program():
    x, W = variable("x", (BATCH, 3), is_sparse=True), variable("W", (3, 2))
    program = Program([x @ W], {W: np.ones((3, 2), np.float32)}, dtype=np.float32)
    (got,) = program.run({x: sparse.csr_array(np.eye(3))})
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, np.ones((3, 2)))


# -- a step allocates nothing ----------------------------------------------------------------------

MIX = np.linspace(-1, 1, 400).reshape(20, 20)
NUMPY_BUFFERS = 14_000  # what NumPy's own casts take, however large the arrays are


def growth(call):
    """Return the bytes that calls leave behind, and the most that they hold at once.

    The least of three measurements: another thread of the test's process may allocate too.
    """
    return tuple(map(min, zip(*(grown_once(call) for _ in range(3)), strict=True)))


def grown_once(call):
    for _ in range(3):
        call()
    tracemalloc.start()
    try:
        call()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(20):
            call()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before, peak - before


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(
    "activation",
    [
        np.tanh,
        special.expit,
        lambda z: np.maximum(z, 0),
        lambda z: np.logaddexp(z, 0),
        lambda z: z * np.tanh(np.logaddexp(0, z)),
        lambda z: np.concatenate([z[:, ::2] * special.expit(z[:, 1::2]), z[:, ::2]], axis=1),
        lambda z: np.where(z > 0, z, np.expm1(z)),
        lambda z: np.tanh(z) + np.tanh(z)[:, ::-1],
        lambda z: np.concatenate([np.tanh(z[:, :20] @ MIX), z[:, 20:]], axis=1),
    ],
    ids=["tanh", "logistic", "relu", "softplus", "mish", "gated", "elu", "mirrored", "mixed"],
)
def test_a_training_step_allocates_no_array(activation, dtype):
    (x, y, w), parameters, _, _, objective = perceptron((32, 40, 40, 32), activation)
    rows = 1000 // np.dtype(dtype).itemsize
    values = data_for([x, y, w, *parameters], 2 * rows, dtype)
    arrays_of = {p: values.pop(p) for p in parameters}
    gradients = [np.empty_like(a) for a in arrays_of.values()]
    program = Program(
        [objective, *gradient(objective, parameters)],
        arrays_of,
        into=[None, *gradients],
        dtype=dtype,
    )
    index = np.random.default_rng(0).permutation(2 * rows)[:rows]
    smallest_matrix = rows * 32 * np.dtype(dtype).itemsize
    assert smallest_matrix > 2 * NUMPY_BUFFERS
    step = program.step(rows)
    with running():
        left, most = growth(step.run)
    assert left < 4096
    assert most < NUMPY_BUFFERS
    left, most = growth(lambda: program.run(values, index))
    assert left < 8192
    assert most < NUMPY_BUFFERS


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("step", [1, 2])
def test_a_batch_is_gathered_without_copying_the_data(order, step):
    x = variable("x", (BATCH, 8))
    points = np.asarray(np.arange(160_000.0).reshape(20_000, 8), order=order)[::step]
    index = np.array([5, 3, -1, 9_000])
    program = Program([np.sum(x)])
    _, most = growth(lambda: program.run({x: points}, index))
    assert most < points.nbytes / 10
    np.testing.assert_allclose(program.run({x: points}, index)[0], np.sum(points[index]))


def test_the_measure_of_growth_can_fail():
    kept = []
    left, most = growth(lambda: kept.append(np.empty(1 << 16)))
    assert left > 8192
    assert most > NUMPY_BUFFERS


def test_few_numbers_of_rows_are_kept():
    x = variable("x", (BATCH, 2))
    program = Program([np.exp(x)])
    first = program.step(1)
    for rows in range(2, KEPT_STEPS + 1):
        program.step(rows)
    assert program.step(1) is first
    for rows in range(10, 10 + KEPT_STEPS):
        program.step(rows)
    assert program.step(1) is not first


# -- threads ---------------------------------------------------------------------------------------


def test_programs_of_their_own_run_in_threads():
    nodes, parameters, raw, _, objective = perceptron()
    outputs = [raw, *gradient(objective, parameters)]
    work = [data_for([*nodes, *parameters], 500, seed=seed) for seed in range(4)]
    want = [[np.array(y) for y in Program(outputs).run(values)] for values in work]
    wrong = []

    def run(values, expected):
        program = Program(outputs, block_rows=200)
        for _ in range(20):
            for got, array in zip(program.run(values), expected, strict=True):
                if not np.allclose(got, array):
                    wrong.append(got)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(work, want, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# -- the plan --------------------------------------------------------------------------------------


def test_the_order_lists_inputs_first_and_nothing_lowered():
    z = variable("z", (BATCH, 3))
    program = Program([softmax(np.clip(special.expit(z), 0.1, None)), np.logaddexp(z, 0)])
    assert program.order == topological(program.outputs)
    seen = set()
    for node in program.order:
        assert seen.issuperset(node.inputs)
        assert node.primitive is None or node.primitive.name not in LOWERED
        assert node.primitive is None or node.primitive is PRIMITIVES[node.primitive.name]
        seen.add(node)


def test_release_keeps_what_is_small_and_was_used_last():
    x = variable("x", (BATCH, 10))
    program = Program([np.exp(x)])
    steps = {rows: program.step(rows) for rows in (1, 2, 3, 5000)}
    program.release(steps[1].number_of_bytes + steps[3].number_of_bytes)
    assert program.step(3) is steps[3]
    for rows in (1, 2, 5000):
        assert program.step(rows) is not steps[rows]
    program.release(0)
    assert program.step(3) is not steps[3]
    np.testing.assert_array_equal(program.run({x: np.zeros((4, 10))})[0], np.ones((4, 10)))


@pytest.mark.parametrize("index", [[], (), np.empty(0, int), slice(0, 0)])
def test_no_rows_may_be_taken(index):
    x = variable("x", (BATCH, 2))
    found = Program([np.tanh(x), np.sum(x)]).run({x: np.ones((3, 2))}, index)
    assert found[0].shape == (0, 2)
    assert found[1] == 0
