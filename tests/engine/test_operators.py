"""Laws over the table of operators: each computes in ONNX Runtime what NumPy does."""

import numpy as np
import pytest
from scipy import special
from test_primitives import (
    CASE_LIST,
    OF_TRUTH_VALUES,
    POINTS,
    PRECISIONS,
    UFUNCS,
    concrete,
    draw,
    trace,
)

from skmlp.engine import PRIMITIVES, primitives, register, row_numbers, take, variable
from skmlp.engine.operators import OF_TRUTH_VALUES as OPERATORS_OF_TRUTH
from skmlp.engine.operators import OPERATORS, WITHOUT_OPERATOR, operator_of
from skmlp.engine.primitives import REGISTERED

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from skmlp.onnx import NoOperatorError, Writer, write  # noqa: E402

TOLERANCES = {np.float32: 1e-5, np.float64: 1e-9}
WITH_OPERATOR = [name for name in UFUNCS if name in OPERATORS]


def run(outputs, given, dtype, opset=None):
    """Write expressions into a model of their own, and have ONNX Runtime compute them."""
    writer = Writer(dtype, opset)
    values = {x: writer.input(x.name, np.int64 if x.is_integer else dtype, x.shape) for x in given}
    for i, value in enumerate(write(writer, outputs, values, {})):
        writer.output(f"y{i}", value)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    model = writer.model().SerializeToString()
    session = onnxruntime.InferenceSession(model, options)
    used = {x.name for x in session.get_inputs()}
    return session.run(None, {x.name: a for x, a in given.items() if x.name in used})


def assert_same(got, want, dtype, scale=1.0):
    assert got.dtype == (bool if want.dtype == bool else dtype)
    assert got.shape == want.shape
    tolerance = TOLERANCES[dtype]
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale)


def test_every_primitive_has_an_operator_or_is_refused_by_name():
    known = set(PRIMITIVES) - set(REGISTERED)
    assert set(OPERATORS) | WITHOUT_OPERATOR == known
    assert not set(OPERATORS) & WITHOUT_OPERATOR
    assert set(OPERATORS_OF_TRUTH) <= {name for name, p in PRIMITIVES.items() if p.keeps_boolean}


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", WITH_OPERATOR)
def test_operators_of_ufuncs(name, dtype):
    """At the points of the primitives' own test, +-1e3 among them, and in their domain."""
    ufunc = PRIMITIVES[name].function
    if name in OF_TRUTH_VALUES:
        samples = [[a.ravel() * 1.0 for a in np.meshgrid(*[[0, 1]] * ufunc.nin)]]
        function = lambda *z: ufunc(*(a > 0 for a in z))  # noqa: E731
    else:
        grid = [a.ravel() for a in np.meshgrid(*[POINTS] * ufunc.nin)]
        samples, function = [grid, draw(name, [(60,)] * ufunc.nin)], ufunc
    for sample in samples:
        inputs = [np.asarray(a, dtype) for a in sample]
        traced, variables = trace(function, [("n",)] * ufunc.nin)
        (got,) = run([traced], dict(zip(variables, inputs, strict=True)), dtype)
        with np.errstate(all="ignore"):
            want = np.asarray(function(*inputs))
        # A rounding of 1e3 in float32, 6e-5, moves a sine by as much.
        is_steep = name in ("sin", "cos", "tan", "remainder", "fmod", "sinc")
        scale = 1e3 if is_steep and dtype == np.float32 else 1.0
        assert_same(got, want, dtype, scale)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize(
    ("name", "function", "shapes"), [c for c in CASE_LIST if c.values[0] not in WITHOUT_OPERATOR]
)
def test_operators_of_other_primitives(name, function, shapes, opset, dtype):  # noqa: ARG001
    rng = np.random.default_rng(5)
    traced, variables = trace(function, shapes)
    for scale in (1, 1e3):
        inputs = [np.array(scale * rng.uniform(-1, 1, concrete(s)), dtype) for s in shapes]
        (got,) = run([traced], dict(zip(variables, inputs, strict=True)), dtype, opset)
        with np.errstate(all="ignore"):
            want = np.asarray(function(*inputs), dtype)
        assert_same(got, want, dtype, scale**2)


TRUTHS = {
    "add": lambda z: (z > 0) + (z > 1),
    "multiply": lambda z: (z > 0) * (z < 1),
    "maximum": lambda z: np.maximum(z > 0, z < -1),
    "minimum": lambda z: np.minimum(z > 0, z < 1),
    "absolute": lambda z: np.absolute(z > 0),
    "where": lambda z: np.where(z > 0, z < 1, z > -1),
    "any": lambda z: np.any(z > 1, axis=1),
    "all": lambda z: np.all(z > -1, axis=1, keepdims=True),
    "logical_and": lambda z: np.logical_and(z, z > 0),
    "joined": lambda z: np.concatenate([z > 0, z], axis=1) * 1.0,
    "of equal": lambda z: (z > 0) == (z > 1),
    "counted": lambda z: np.sum(z > 0, axis=1),
    "picked": lambda z: (z > 0)[:, ::-1][:, 1:],
    "column": lambda z: np.where((z > 0)[:, :1], z, 1.0 * (z > 1)),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_truth_values(name):
    z = np.random.default_rng(0).uniform(-2, 2, (8, 3))
    traced, (x,) = trace(TRUTHS[name], [("n", 3)])
    (got,) = run([traced], {x: z}, np.float64)
    np.testing.assert_array_equal(got, TRUTHS[name](z))


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(
    "function",
    [
        lambda z: np.exp(np.logaddexp(z, 0) - z),
        lambda z: special.log_expit(z) + special.expit(z),
        lambda z: np.where(z > 0, np.log(z), np.expm1(z)),
        lambda z: np.sqrt(np.abs(z)) / (1 + np.abs(z)),
        lambda z: np.median(np.hypot(z, 3.0), axis=1),
        lambda z: np.var(z, axis=1) + np.mean(z),
    ],
)
def test_compositions_far_from_zero(function, dtype):
    z = np.array([[-1e3, -1e-3, 0.0], [1e3, 5.0, 1e-3], [-80.0, 80.0, 1.0]], dtype)
    traced, (x,) = trace(function, [("n", 3)])
    (got,) = run([traced], {x: z}, dtype)
    with np.errstate(all="ignore"):
        want = function(z.astype(float))
    np.testing.assert_allclose(got, want, rtol=3e-5 if dtype == np.float32 else 1e-9)


def test_what_has_no_operator_is_refused_in_a_sentence():
    z = variable("z", ("n", 2))
    with pytest.raises(NoOperatorError, match="gammaln has no operator in ONNX: register"):
        run([special.gammaln(z)], {z: np.ones((1, 2))}, np.float64)


def test_what_no_input_changes_needs_no_operator():
    z = variable("z", ("n", 2))
    k = variable("k", (2,))
    writer = Writer(np.float64)
    write(writer, [z * special.gammaln(k)], {z: writer.input("z", float, ("n", 2))}, {k: [3, 4]})
    assert [node.operator for node in writer.nodes] == ["Mul"]
    (constant,) = writer.initializers.values()
    np.testing.assert_allclose(constant, special.gammaln([3, 4]))


@pytest.mark.parametrize("wrong", [-1.0, 3.0, 0.5])
def test_rows_that_a_table_lacks_are_refused_by_the_runtime(wrong):
    z = variable("z", ("n",))
    traced = take(np.eye(3), row_numbers(z))
    np.testing.assert_array_equal(run([traced], {z: np.array([2.0])}, np.float64)[0], [[0, 0, 1]])
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        run([traced], {z: np.array([wrong])}, np.float64)


@pytest.fixture
def restored():
    """What a test registers is gone after it."""
    rows, functions, names = dict(PRIMITIVES), dict(primitives.FUNCTIONS), list(REGISTERED)
    yield
    for table, before in ((primitives.PRIMITIVES, rows), (primitives.FUNCTIONS, functions)):
        table.clear()
        table.update(before)
    REGISTERED[:] = names


@pytest.mark.usefixtures("restored")
def test_users_register_operators():
    def twice_tanh(z):
        return 2 * np.tanh(z)

    def softened(z):
        return np.log1p(np.exp(z))

    twice_tanh = register(
        twice_tanh, lambda g, y, z: g, operator=lambda w, z: 2.0 * w.add("Tanh", z)
    )
    softened = register(softened, lambda g, y, z: g, operator="Softplus")
    z, at = variable("z", ("n", 2)), np.array([[0.5, -1.0]])
    got = run([twice_tanh(z), softened(z)], {z: at}, np.float64)
    np.testing.assert_allclose(got, [2 * np.tanh(at), np.log1p(np.exp(at))])
    with pytest.raises(TypeError, match="an operator is the name of one, or a function, got 3"):
        register(lambda z: z, lambda g, y, z: g, operator=3, name="third")


@pytest.mark.usefixtures("restored")
def test_a_registered_primitive_does_not_take_the_operator_of_another():
    odd = register(lambda z: z * 0, lambda g, y, z: g, name="odd_one")
    node = odd(variable("z", ("n",)))
    assert operator_of(node.primitive) is None


def test_a_wrong_operator_is_found():
    z = np.array([[0.5, -1.0]])
    traced, (x,) = trace(np.tanh, [("n", 2)])
    (got,) = run([traced], {x: z}, np.float64)
    with pytest.raises(AssertionError):
        assert_same(got, np.sin(z), np.float64)
