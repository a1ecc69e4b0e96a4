"""Laws over the table of primitives and over the functions that expressions understand."""

import operator

import numpy as np
import pytest
from scipy import special

from skmlp.engine import (
    BATCH,
    FUNCTIONS,
    PRIMITIVES,
    Expression,
    Program,
    evaluate,
    gradient,
    log_softmax,
    logsumexp,
    row_numbers,
    softmax,
    stop_gradient,
    straight_through,
    take,
    variable,
)
from skmlp.engine.expression import apply, topological
from skmlp.engine.kernels import bind
from skmlp.engine.primitives import REGISTERED
from skmlp.engine.rules import LOWERED

ROWS, COLUMNS = 4, 3

# Where a function of the real line is not one: the interval of each input.
DOMAINS = {
    "power": [(0.2, 3.0), (-2.0, 3.0)],
    **{key: [(0.2, 3.0)] for key in ["log", "log2", "log10", "sqrt"]},
    **{key: [(0.3, 4.0)] for key in ["reciprocal", "gamma", "gammaln", "psi", "entr"]},
    **{key: [(-0.9, 0.9)] for key in ["arcsin", "arccos", "arctanh", "erfinv"]},
    **{key: [(0.1, 0.9)] for key in ["logit", "ndtri"]},
    "log1p": [(-0.8, 3.0)],
    "cbrt": [(0.2, 3.0)],
    "arccosh": [(1.2, 4.0)],
    "tan": [(-1.2, 1.2)],
    "divide": [(-2.0, 2.0), (0.4, 3.0)],
    **{key: [(0.1, 0.9), (1.1, 1.9)] for key in ["remainder", "fmod"]},
    "hypot": [(0.2, 2.0), (-2.0, 2.0)],
    "arctan2": [(-2.0, 2.0), (0.3, 2.0)],
    "xlogy": [(-2.0, 2.0), (0.2, 3.0)],
    "xlog1py": [(-2.0, 2.0), (-0.7, 3.0)],
    "betaln": [(0.3, 4.0), (0.3, 4.0)],
    "rel_entr": [(0.2, 3.0), (0.2, 3.0)],
}
OF_TRUTH_VALUES = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert"}
REAL_LINE = (-2.0, 2.0)

# Rows that are not ufuncs: functions that use them, and the shapes of their inputs.
CASES = {
    "where": [
        (lambda a, b: np.where(a > b, a * b, b), [(BATCH, 3), (3,)]),
        (lambda a: np.where(np.array([True, False, True]), a, 2 * a), [(BATCH, 3)]),
    ],
    "clip": [
        (lambda a: np.clip(a, -0.5, 0.7), [(BATCH, 3)]),
        (lambda a: np.clip(a, None, 0.7), [(BATCH, 3)]),
        (lambda a, low, high: np.clip(a, low - 1.5, 1.5 + high), [(BATCH, 3), (3,), ()]),
    ],
    "zeta": [(lambda a: special.digamma(3.0 + a), [(BATCH, 3)])],
    "nan_to_num": [(lambda a: np.nan_to_num(a * 1.0, nan=3.0, posinf=1.0), [(BATCH, 3)])],
    "sinc": [
        (np.sinc, [(BATCH, 3)]),
        (lambda a: np.sinc(0.01 * a), [(BATCH, 3)]),
    ],
    "prod": [
        (lambda a: np.prod(a, axis=1), [(BATCH, 3)]),
        (lambda a: np.prod(a, axis=(0, 2), keepdims=True), [(2, 3, 4)]),
        (np.prod, [(BATCH, 3)]),
    ],
    "in_order": [
        (lambda a: np.sort(a, axis=1) * np.arange(3.0), [(BATCH, 3)]),
        (lambda a: np.sort(a, axis=0) ** 2, [(4, 3)]),
    ],
    "out_of_order": [(lambda a: np.sort(a) ** 2 * np.arange(3.0), [(BATCH, 3)])],
    "straight_through": [(lambda a: straight_through(a, a), [(BATCH, 3)])],
    "stop_gradient": [(lambda a: a + 0 * stop_gradient(a), [(BATCH, 3)])],
    "sum": [
        (lambda a, axis=axis, keepdims=keepdims: np.sum(a, axis=axis, keepdims=keepdims), [shape])
        for axis, shape in [
            *((axis, (BATCH, 3)) for axis in (None, 0, 1, -1, (0, 1))),
            *((axis, (2, 3, 4)) for axis in (1, (0, 2), (-1, -2))),
        ]
        for keepdims in (False, True)
    ],
    "max": [
        (lambda a: np.max(a, axis=1), [(BATCH, 3)]),
        (lambda a: np.max(a, axis=0, keepdims=True), [(BATCH, 3)]),
        (np.max, [(BATCH, 3)]),
    ],
    "min": [
        (lambda a: np.min(a, axis=1), [(BATCH, 3)]),
        (lambda a: np.min(a, axis=(0, 2)), [(2, 3, 4)]),
    ],
    "rows": [(lambda a: np.mean(a, axis=0), [(BATCH, 3)]), (np.var, [(BATCH,)])],
    "matmul": [
        (operator.matmul, [(BATCH, 3), (3, 2)]),
        (lambda a, b: a.T @ b, [(BATCH, 3), (BATCH, 2)]),
        (lambda a, b: a[:, ::2] @ b, [(BATCH, 3), (2, 2)]),
        (operator.matmul, [(BATCH, 3), (3,)]),
        (operator.matmul, [(3,), (3, 2)]),
        (lambda a: a.T @ a, [(BATCH, 3)]),
        (lambda a, b: np.sum(a @ b, axis=0), [(BATCH, 3), (4, 3, 2)]),
        (operator.matmul, [(4, 2, 3), (4, 3, 2)]),
        (operator.matmul, [(4, 2, 3), (3, 2)]),
        (operator.matmul, [(1, 2, 3), (4, 3, 2)]),
        (operator.matmul, [(BATCH, 2, 3), (3, 2)]),
        (operator.matmul, [(3,), (4, 3, 2)]),
        (operator.matmul, [(4, 2, 3), (3,)]),
    ],
    "transpose": [(lambda a: np.sin(a.T).T, [(BATCH, 3)]), (lambda a: a.T * a, [(3, 3)])],
    "permute": [
        (lambda a: np.transpose(a, (2, 0, 1)), [(2, 3, 4)]),
        (lambda a: np.swapaxes(np.sin(a), 0, 1) * 2, [(2, 3, 4)]),
        (lambda a, b: np.swapaxes(a @ b, 0, 1), [(BATCH, 3), (2, 3, 4)]),
    ],
    "take": [
        (lambda a: take(a, np.array([2, 0, 2])), [(3, 2)]),
        (lambda a: take(a, np.array([[2, 0], [1, 1]])), [(3, 2)]),
        (lambda a: take(np.sin(a), np.array([3, 3, 0])) * 2, [(4,)]),
        (lambda a: np.take(a, [0, 1], axis=0), [(3, 2, 2)]),
    ],
    "row_numbers": [
        (lambda a, b: take(a, row_numbers(np.floor(np.clip(b, 0.1, 0.9)))) * 2, [(3, 2), (4,)]),
        (lambda a, b: take(a, row_numbers(np.floor(np.exp(-b * b)))) + 1, [(3, 2), (BATCH, 2)]),
    ],
    "add_rows": [(lambda a: take(a, np.array([2, 0, 2])) ** 2, [(3, 2)])],
    "index": [
        (lambda a: a[:, 1], [(BATCH, 3)]),
        (lambda a: a[0] * a[-1], [(3,)]),
        (lambda a: a[:, None, ::-1], [(BATCH, 3)]),
        (lambda a: a[1, :, 2:], [(2, 3, 4)]),
        (lambda a: np.sin(a[..., 0]), [(1, 1)]),
        (lambda a: np.sum(np.square(a[:, 1:]), axis=1) + np.sin(a[:, 0]), [(BATCH, 1)]),
    ],
    "embed": [(lambda a: np.square(a[:, 1:]) * a[:, :2], [(BATCH, 3)])],
    "broadcast_to": [(lambda a: np.sin(np.broadcast_to(a, (2, 3, 4))), [(3, 1)])],
    "reshape": [
        (lambda a: np.reshape(a, (-1, 2, 3)), [(BATCH, 6)]),
        (lambda a: np.reshape(a, (6, -1)) @ np.arange(2.0), [(3, 4)]),
    ],
    "concatenate": [
        (lambda a, b: np.concatenate([a, b, a * a], axis=1), [(BATCH, 3), (BATCH, 1)]),
        (lambda a, b: np.concatenate([a, 2 * b], axis=0), [(3,), (2,)]),
    ],
}
UFUNCS = {
    name: p
    for name, p in PRIMITIVES.items()
    if isinstance(p.function, np.ufunc) and p.function.signature is None
}
SMOOTH_UFUNCS = [name for name, p in UFUNCS.items() if any(p.pullbacks)]
BINARY_UFUNCS = [name for name in SMOOTH_UFUNCS if UFUNCS[name].function.nin == 2]
TRUTH_TAKERS = {name for name in UFUNCS if name in OF_TRUTH_VALUES or name.startswith("logical")}
IN_PLACE = [  # where inputs are floats and the result is not, its memory is never theirs
    name for name, p in PRIMITIVES.items() if p.in_place and p.is_boolean == (name in TRUTH_TAKERS)
]
CASE_LIST = [
    pytest.param(name, function, shapes, id=f"{name}-{i}")
    for name, cases in CASES.items()
    for i, (function, shapes) in enumerate(cases)
]
# Finite for all finite inputs, and so are their gradients.
STABLE = {
    "expit": special.expit,
    "log_expit": special.log_expit,
    "logaddexp": lambda z: np.logaddexp(z, z[..., ::-1]),
    "softplus": lambda z: np.logaddexp(z, 0),
    "tanh": np.tanh,
    "logsumexp": logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
}
PRECISIONS = [np.float32, np.float64]


# -- the two sides of every comparison -------------------------------------------------------------


def concrete(shape, rows=ROWS):
    return tuple(rows if d == BATCH else d for d in shape)


def domain(name):
    primitive = PRIMITIVES[name]
    return DOMAINS.get(name, [REAL_LINE] * primitive.function.nin)


def draw(name, shapes, seed=0):
    """Draw inputs of a ufunc in its domain; no two are closer than finite differences need."""
    rng = np.random.default_rng(seed)
    drawn = []
    for shape, (low, high) in zip(shapes, domain(name), strict=True):
        total = int(np.prod(concrete(shape)))
        steps = (np.arange(total) + rng.uniform(0.2, 0.8, total)) / total
        drawn.append(rng.permutation(low + (high - low) * steps).reshape(concrete(shape)))
    return [a > 0 for a in drawn] if name in OF_TRUTH_VALUES else drawn


def trace(function, shapes):
    variables = [variable(f"x{i}", shape) for i, shape in enumerate(shapes)]
    return function(*variables), variables


def compiled(outputs, variables, fixed):
    """Return a function of arrays; the program is planned once."""
    program = Program(outputs)

    def compute(*arrays):
        values = fixed | dict(zip(variables, arrays, strict=True))
        return [np.array(y) for y in program.run(values)]

    return compute


def numeric_gradients(function, inputs, direction):
    """Differentiate sum(direction * function(*inputs)) by fourth-order central differences."""
    gradients = []
    for i, x in enumerate(inputs):
        g = np.empty(x.shape)
        for place in np.ndindex(x.shape):
            h = 4e-4 * max(1.0, abs(x[place]))
            values = []
            for step in (-2, -1, 1, 2):
                moved = [np.array(a) for a in inputs]
                moved[i][place] += step * h
                values.append(np.sum(direction * function(*moved)))
            g[place] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
        gradients.append(g)
    return gradients


def assert_gradients(traced, variables, function, inputs, *, twice=True, tolerance=1e-8):
    """Compare first, and second, derivatives with differences of the plain function."""
    rng = np.random.default_rng(1)
    direction = variable("direction", traced.shape)
    directions = [variable(f"d{i}", x.shape) for i, x in enumerate(variables)]
    fixed = {direction: rng.standard_normal(np.shape(function(*inputs)))}
    fixed |= {d: rng.standard_normal(x.shape) for d, x in zip(directions, inputs, strict=True)}
    derived = gradient(np.sum(traced * direction), variables)
    slopes = compiled(derived, variables, fixed)
    wanted = numeric_gradients(function, inputs, fixed[direction])
    for got, want in zip(slopes(*inputs), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
    if not twice:
        return
    projected = sum(np.sum(g * d) for g, d in zip(derived, directions, strict=True))
    curvatures = compiled(gradient(projected, variables), variables, fixed)

    def slope_along(*arrays):
        steps = (fixed[d] for d in directions)
        return sum(np.sum(g * d) for g, d in zip(slopes(*arrays), steps, strict=True))

    wanted = numeric_gradients(slope_along, inputs, 1.0)
    for got, want in zip(curvatures(*inputs), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=10 * tolerance, atol=10 * tolerance)


# -- the table of primitives -----------------------------------------------------------------------


def test_every_primitive_has_a_case():
    assert set(PRIMITIVES) - set(UFUNCS) - set(REGISTERED) == set(CASES)
    assert set(DOMAINS) <= set(UFUNCS)


def test_rows_are_filed_under_their_names():
    assert {p.name: p for p in PRIMITIVES.values()} == PRIMITIVES
    for name, primitive in PRIMITIVES.items():
        assert primitive.name == name


@pytest.mark.parametrize(("name", "function", "shapes"), CASE_LIST)
def test_a_case_uses_its_primitive(name, function, shapes):
    traced, variables = trace(function, shapes)
    nodes = topological([traced, *gradient(np.sum(traced), variables)])
    assert name in {node.primitive.name for node in nodes if node.primitive is not None}


@pytest.mark.parametrize("name", SMOOTH_UFUNCS)
def test_pullbacks_of_ufuncs(name):
    ufunc = PRIMITIVES[name].function
    shapes = [(BATCH, COLUMNS)] * ufunc.nin
    inputs = draw(name, shapes)
    assert_gradients(*trace(FUNCTIONS[ufunc], shapes), ufunc, inputs)


@pytest.mark.parametrize(("name", "function", "shapes"), CASE_LIST)
def test_pullbacks_of_other_primitives(name, function, shapes):  # noqa: ARG001
    rng = np.random.default_rng(2)
    inputs = [rng.uniform(-1, 1, concrete(shape)) for shape in shapes]
    assert_gradients(*trace(function, shapes), function, inputs)


@pytest.mark.parametrize("order", [2.0, 3.0])
def test_zeta_is_differentiated_at_every_order(order):
    z = variable("z", (5,))
    points = np.array([0.3, 0.8, 1.5, 4.0, 20.0])
    traced = apply(PRIMITIVES["zeta"], z, order=order)
    assert_gradients(traced, [z], lambda a: special.zeta(order, a), [points], tolerance=1e-7)


BROADCASTS = [
    [(BATCH, 3), (3,)],
    [(3,), (BATCH, 3)],
    [(BATCH, 3), (BATCH, 1)],
    [(BATCH, 1), (1, 3)],
    [(BATCH, 1), (3,)],
    [(BATCH, 3), ()],
    [(), (BATCH,)],
    [(2, 1, 3), (4, 1)],
]


@pytest.mark.parametrize("shapes", BROADCASTS, ids=str)
@pytest.mark.parametrize("name", BINARY_UFUNCS)
def test_pullbacks_of_broadcast_inputs(name, shapes):
    ufunc = PRIMITIVES[name].function
    assert_gradients(*trace(ufunc, shapes), ufunc, draw(name, shapes, seed=3), twice=False)


@pytest.mark.parametrize("shapes", BROADCASTS, ids=str)
@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: np.where(a > 0, a, b),
        lambda a, b: np.where(a > b, 1.0, b),
        lambda a, b: np.clip(a, b - 0.6, b + 0.4),
    ],
    ids=["where", "where one", "clip"],
)
def test_pullbacks_of_broadcast_choices(function, shapes):
    inputs = draw("add", shapes, seed=4)
    assert_gradients(*trace(function, shapes), function, inputs, twice=False)


POINTS = np.array([-1e3, -40, -3, -1, -0.6, -1e-3, 0, 1e-3, 0.4, 1, 2, 5, 40, 1e3])


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", UFUNCS)
def test_values_of_ufuncs(name, dtype):
    ufunc = PRIMITIVES[name].function
    if name in OF_TRUTH_VALUES:
        inputs = [a.ravel() for a in np.meshgrid(*[[False, True]] * ufunc.nin)]
        traced, variables = trace(lambda *z: ufunc(*(a > 0 for a in z)), [(BATCH,)] * ufunc.nin)
    else:
        grid = np.meshgrid(*[POINTS] * ufunc.nin)
        inputs = [np.array(a.ravel(), dtype) for a in grid]
        traced, variables = trace(ufunc, [(BATCH,)] * ufunc.nin)
    got = evaluate(traced, dict(zip(variables, inputs, strict=True)), dtype)
    with np.errstate(all="ignore"):
        want = ufunc(*inputs)
    assert got.dtype == (bool if PRIMITIVES[name].is_boolean else dtype)
    limits = np.finfo(dtype)
    np.testing.assert_allclose(got, want, rtol=8 * limits.eps, atol=limits.tiny)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize(("name", "function", "shapes"), CASE_LIST)
def test_values_of_other_primitives(name, function, shapes, dtype):  # noqa: ARG001
    traced, variables = trace(function, shapes)
    rng = np.random.default_rng(5)
    for scale in (1, 1e3):
        inputs = [np.array(scale * rng.uniform(-1, 1, concrete(s)), dtype) for s in shapes]
        got = evaluate(traced, dict(zip(variables, inputs, strict=True)), dtype)
        want = function(*inputs)
        assert got.dtype == dtype
        assert got.shape == want.shape == concrete(traced.shape)
        tolerance = 32 * np.finfo(dtype).eps
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * scale**2)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", STABLE)
def test_stable_functions_at_extremes(name, dtype):
    function = STABLE[name]
    extremes = np.array([-1e4, -1e3, -104, -89, -1e-8, 0, 1e-8, 17, 89, 1e3, 1e4], dtype)
    points = np.stack([a.ravel() for a in np.meshgrid(extremes, extremes, extremes)], axis=1)
    traced, (z,) = trace(function, [(BATCH, 3)])
    slope = gradient(np.sum(traced if traced.ndim == 1 else traced[:, -1]), [z])
    curvature = gradient(np.sum(slope[0][:, -1]), [z])
    value, *derived = evaluate([traced, *slope, *curvature], {z: points}, dtype)
    want = function(points.astype(np.float64))
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(value, want, rtol=tolerance, atol=tolerance)
    for g in derived:
        assert np.all(np.abs(g) <= 2)  # false where not finite, too
        assert g.dtype == dtype


@pytest.mark.parametrize("name", LOWERED)
def test_lowered_rows_are_at_the_bottom(name):
    arguments = 3 if name == "clip" else len(PRIMITIVES[name].pullbacks)
    lowered = LOWERED[name](*(variable(f"x{i}", (BATCH, 3)) for i in range(arguments)))
    assert lowered.shape == (BATCH, 3)
    for node in topological([lowered]):
        assert node.primitive is None or node.primitive.name not in LOWERED


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_kernels_may_write_into_their_inputs(name):
    primitive = PRIMITIVES[name]
    attributes = {"order": 2.0} if name == "zeta" else {}
    arguments = len(primitive.pullbacks)
    inputs = [np.array([1.5, 0.5, 0.7])] if name == "zeta" else draw(name, [(3,)] * arguments)
    if name in TRUTH_TAKERS:
        inputs = [a > np.median(a) for a in inputs]
    want = primitive.function(*inputs, **attributes)
    for position in range(len(inputs)):
        arrays = [np.array(a) for a in inputs]
        bind(primitive, arrays[position], *arrays, **attributes)()
        np.testing.assert_array_equal(arrays[position], want)
    twice = np.array(inputs[0])
    want = primitive.function(*[inputs[0]] * len(inputs), **attributes)
    bind(primitive, twice, *[twice] * len(inputs), **attributes)()
    np.testing.assert_array_equal(twice, want)


# -- the functions that expressions understand -----------------------------------------------------

# On matrices of rows and columns (BATCH, 3), and of fixed shape.
FORMS = [
    (np.positive, np.positive),
    (np.float_power, lambda z: np.float_power(np.abs(z), 1.5)),
    (np.float_power, lambda z: np.float_power(z, 3)),
    (np.where, lambda z: np.where(z > 0, z, 0)),
    (np.where, lambda z: np.where(z, 1.0, -1.0)),
    (np.where, lambda z: np.where([True, False, True], z, z[:, :1])),
    (np.clip, lambda z: np.clip(z, -1, 1)),
    (np.clip, lambda z: np.clip(z, None, [0.1, 0.2, 0.3])),
    (np.clip, lambda z: np.clip(z, a_min=-0.5, a_max=None)),
    (np.clip, lambda z: np.clip(0.3, z, z + 1)),
    (np.sum, np.sum),
    (np.sum, lambda z: np.sum(z, 1)),
    (np.sum, lambda z: np.sum(z, axis=(0, 1), keepdims=True)),
    (np.sum, lambda z: np.sum(z > 0, axis=0)),
    (np.sum, lambda z: z.sum(axis=-2)),
    (np.sum, np.add.reduce),
    (np.max, lambda z: np.max(z, axis=1, keepdims=True)),
    (np.max, lambda z: z.max(0)),
    (np.max, lambda z: np.max(z > 0.5, axis=1)),
    (np.max, lambda z: np.maximum.reduce(z, axis=1)),
    (np.amax, np.amax),
    (np.min, lambda z: np.min(z, axis=-1)),
    (np.min, lambda z: z.min()),
    (np.min, lambda z: np.minimum.reduce(z, axis=0)),
    (np.amin, lambda z: np.amin(z, 0)),
    (np.matmul, lambda z: np.matmul(z, np.arange(6.0).reshape(3, 2))),
    (np.matmul, lambda z: z @ [1.0, 2.0, 3.0]),
    (np.matmul, lambda z: np.eye(3) @ z.T),
    (np.dot, lambda z: np.dot(z, np.ones(3))),
    (np.dot, lambda z: np.dot(np.ones((2, 3)), z.T)),
    (np.transpose, np.transpose),
    (np.transpose, lambda z: np.transpose(z, (1, 0)) * 2),
    (np.transpose, lambda z: z.T.T),
    (operator.getitem, lambda z: z[:, 0]),
    (operator.getitem, lambda z: z[:, -1:]),
    (operator.getitem, lambda z: z[..., None, ::2]),
    (operator.getitem, lambda z: z[:]),
    (operator.getitem, lambda z: z[:, 3:]),
    (operator.getitem, lambda z: z[None]),
    (np.broadcast_to, lambda z: np.broadcast_to(z[:, :1], z.shape)),
    (np.broadcast_to, lambda z: np.broadcast_to(np.sum(z), z.shape)),
    (np.reshape, lambda z: np.reshape(z, (-1, 1, 3))),
    (np.reshape, lambda z: z.reshape(z.shape)),
    (np.reshape, lambda z: z.reshape(-1, 3, 1)),
    (np.reshape, lambda z: np.reshape(z[:, 1], (-1, 1))),
    (np.concatenate, lambda z: np.concatenate([z, z * z], axis=1)),
    (np.concatenate, lambda z: np.concatenate((z[:, :1], z, z[:, 1:]), -1)),
    (np.concatenate, lambda z: np.concatenate([z > 0, z < 1], axis=1)),
    (np.mean, np.mean),
    (np.mean, lambda z: np.mean(z, axis=0)),
    (np.mean, lambda z: z.mean(axis=(0, 1), keepdims=True)),
    (np.mean, lambda z: np.mean(z > 0, axis=1)),
    (np.var, np.var),
    (np.var, lambda z: np.var(z, axis=0, ddof=1)),
    (np.var, lambda z: np.var(z, 1, keepdims=True)),
    (np.std, np.std),
    (np.std, lambda z: np.std(z, axis=1, ddof=1, keepdims=True)),
    (np.cumsum, lambda z: np.cumsum(z, axis=1)),
    (np.cumsum, lambda z: np.cumsum(z, -1)),
    (np.squeeze, lambda z: np.squeeze(z[:, None])),
    (np.squeeze, lambda z: np.squeeze(z[:, :1], axis=1)),
    (np.squeeze, lambda z: np.squeeze(z[:, None, :, None], axis=(1, -1))),
    (np.expand_dims, lambda z: np.expand_dims(z, 1)),
    (np.expand_dims, lambda z: np.expand_dims(z, (0, -1))),
    (np.stack, lambda z: np.stack([z, 2 * z])),
    (np.stack, lambda z: np.stack([z, z + 1], axis=1)),
    (np.stack, lambda z: np.stack((z[:, 0], z[:, 2]), axis=-1)),
    (np.column_stack, lambda z: np.column_stack([z[:, 0], z, z[:, 1]])),
    (np.hstack, lambda z: np.hstack([z, z[:, :1]])),
    (np.vstack, lambda z: np.vstack([z[:, 0], z[:, 1]]).T),
    (np.append, lambda z: np.append(z, z[:, :1], axis=1)),
    (np.atleast_2d, np.atleast_2d),
    (np.ravel, lambda z: z[:, :1].ravel()),
    (np.take, lambda z: np.take(z, [2, 0, 0], axis=1)),
    (np.take, lambda z: z.take(1, axis=1)),
    (operator.getitem, lambda z: z[:, [2, 0, -1]]),
    (operator.getitem, lambda z: z[..., np.array([False, True, True])]),
    (operator.getitem, lambda z: np.stack([z, -z], axis=1)[:, :, [1, 1]]),
    (np.repeat, lambda z: np.repeat(z, 2, axis=1)),
    (np.repeat, lambda z: z.repeat([1, 0, 3], axis=-1)),
    (np.roll, lambda z: np.roll(z, 1, axis=1)),
    (np.flip, lambda z: np.flip(z, axis=1)),
    (np.fliplr, np.fliplr),
    (np.tile, lambda z: np.tile(z, 2)),
    (np.tile, lambda z: np.tile(z, (2, 1, 3))),
    (np.split, lambda z: np.split(z, [1], axis=1)[1]),
    (np.split, lambda z: np.split(z, 3, axis=1)[2]),
    (np.array_split, lambda z: np.array_split(z, 2, axis=1)[0]),
    (np.hsplit, lambda z: np.hsplit(z, [2, 5])[0]),
    (np.diff, lambda z: np.diff(z, axis=1)),
    (np.diff, lambda z: np.diff(z, n=2)),
    (np.sort, np.sort),
    (np.sort, lambda z: np.sort(z, axis=1)[:, ::-1]),
    (np.median, lambda z: np.median(z, axis=1)),
    (np.median, lambda z: np.median(z[:, :2], axis=-1, keepdims=True)),
    (np.outer, lambda z: np.outer(z[:, 0], [1.0, 2.0])),
    (np.inner, lambda z: np.inner(z, np.arange(6.0).reshape(2, 3))),
    (np.inner, lambda z: np.inner(z, [1.0, 2.0, 3.0])),
    (np.inner, lambda z: np.inner(2.0, z)),
    (np.einsum, lambda z: np.einsum("ij,jk->ik", z, np.arange(6.0).reshape(3, 2))),
    (np.einsum, lambda z: np.einsum("ij, ij -> i", z, z)),
    (np.einsum, lambda z: np.einsum("ij->ji", z)),
    (np.einsum, lambda z: np.einsum("ij", z)),
    (np.einsum, lambda z: np.einsum("ij->", z)),
    (np.einsum, lambda z: np.einsum("...j,jk->...k", z, np.ones((3, 2)))),
    (np.einsum, lambda z: np.einsum("ni,ij,nj->n", z, np.ones((3, 3)), z)),
    (np.einsum, lambda z: np.einsum("ni,nj->nij", z, z)),
    (np.einsum, lambda z: np.einsum("ni,nj", z, z)),
    (np.einsum, lambda z: np.einsum("ij,kj->ik", z, np.ones((2, 3)), optimize=True)),
    (np.prod, lambda z: np.prod(z, axis=1)),
    (np.prod, lambda z: z.prod(axis=-1, keepdims=True)),
    (np.prod, lambda z: np.multiply.reduce(z, axis=1)),
    (np.any, lambda z: np.any(z > 1, axis=1)),
    (np.any, lambda z: np.logical_or.reduce(z > 1, axis=1)),
    (np.all, lambda z: np.all(z > 0, axis=1, keepdims=True)),
    (np.all, lambda z: (z < 2).all(1)),
    (np.count_nonzero, lambda z: np.count_nonzero(z > 0, axis=1)),
    (np.ptp, lambda z: np.ptp(z, axis=1)),
    (np.average, lambda z: np.average(z, axis=1)),
    (np.average, lambda z: np.average(z, axis=1, weights=[1.0, 2.0, 3.0])),
    (np.average, lambda z: np.average(z, weights=np.exp(z), axis=1, keepdims=True)),
    (np.linalg.norm, np.linalg.norm),
    (np.linalg.norm, lambda z: np.linalg.norm(z, axis=1)),
    (np.linalg.norm, lambda z: np.linalg.norm(z, axis=1, keepdims=True, ord=2)),
    (np.linalg.norm, lambda z: np.linalg.norm(z, 1, axis=1)),
    (np.linalg.norm, lambda z: np.linalg.norm(z, np.inf, axis=1)),
    (np.linalg.norm, lambda z: np.linalg.norm(z, -np.inf, axis=1)),
    (np.linalg.norm, lambda z: np.linalg.norm(z, 0, axis=1)),
    (np.linalg.norm, lambda z: np.linalg.norm(z, 3, axis=1)),
    (np.linalg.norm, lambda z: np.linalg.norm(z, "fro", axis=(0, 1))),
    (np.select, lambda z: np.select([z > 1, z > 0], [z, z**2], default=-1.0)),
    (np.select, lambda z: np.select([z > 1], [z])),
    (np.piecewise, lambda z: np.piecewise(z, [z > 1, z > 0], [1.0, np.square])),
    (np.piecewise, lambda z: np.piecewise(z, [z > 0], [np.sqrt, lambda z: -np.exp(z)])),
    (np.piecewise, lambda z: np.piecewise(z, [z > 0], [lambda z, k: k * z], 3.0)),
    (np.polyval, lambda z: np.polyval([1.0, -2.0, 0.5], z)),
    (np.nan_to_num, np.nan_to_num),
    (np.nan_to_num, lambda z: np.nan_to_num(np.where(z > 0, np.inf, z), posinf=1.0)),
    (np.sinc, np.sinc),
    (np.fabs, np.fabs),
    (np.fabs, lambda z: np.fabs(z > 0)),
    (np.fix, np.fix),
    (np.deg2rad, np.deg2rad),
    (np.radians, np.radians),
    (np.rad2deg, np.rad2deg),
    (np.degrees, np.degrees),
    (np.copy, lambda z: z.copy()),
    (np.size, lambda z: z / np.size(z)),
    (np.size, lambda z: np.sum(z) / z.size),
    (np.full_like, lambda z: np.full_like(z, 2.0, dtype=z.dtype)),
    (np.zeros_like, lambda z: np.where(np.zeros_like(z, dtype=bool), 1.0, z)),
    (np.round, lambda z: np.stack([z]).round(1)[0]),
    (special.log1p, lambda z: special.log1p(np.abs(z))),
    (special.expm1, special.expm1),
    (special.exp2, special.exp2),
    (special.cbrt, special.cbrt),
    (np.logaddexp2, lambda z: np.logaddexp2(z, 1.0)),
    (np.divmod, lambda z: divmod(z, 0.81)[0]),
    (np.divmod, lambda z: np.divmod(z, 0.81)[1]),
    (np.modf, lambda z: np.modf(z)[0]),
    (np.modf, lambda z: np.modf(z)[1]),
    (special.huber, lambda z: special.huber(0.7, z)),
    (special.pseudo_huber, lambda z: special.pseudo_huber(0.7, z)),
    (special.kl_div, lambda z: special.kl_div(np.abs(z), 2.0)),
    (np.full_like, lambda z: np.full_like(z, 2.5)),
    (np.zeros_like, np.zeros_like),
    (np.ones_like, lambda z: np.ones_like(z[:, 0])),
    (np.round, np.round),
    (np.round, lambda z: np.round(z, 2)),
    (np.around, lambda z: np.around(z, decimals=1)),
]
# On fixed shapes alone: what they return, or whether they fit, depends on it.
FIXED_FORMS = [
    (np.shape, np.shape),
    (np.size, np.size),
    (np.ravel, lambda z: z.flatten()),
    (np.tile, lambda z: np.tile(z, (2, 2))),
    (np.roll, lambda z: np.roll(z, -1, axis=0)),
    (np.flip, np.flip),
    (np.sort, lambda z: np.sort(z, axis=0)),
    (np.split, lambda z: np.split(z, 2)[1]),
    (np.vstack, lambda z: np.vstack([z, np.ones(3)])),
    (np.inner, lambda z: np.inner(z, z)),
    (np.outer, lambda z: np.outer(z, z[0])),
    (np.einsum, lambda z: np.einsum("ij,ik->jk", z, z)),
    (np.transpose, lambda z: z.transpose(1, 0)),
    (np.stack, lambda z: np.stack([*z])),
    (np.ndim, np.ndim),
    (np.result_type, lambda z: np.result_type(z, np.float32)),
    (np.reshape, lambda z: np.reshape(z, -1)),
    (np.reshape, lambda z: np.reshape(z, (3, -1), order="C")),
    (np.concatenate, lambda z: np.concatenate([z, np.ones((1, 3))])),
    (np.concatenate, lambda z: np.concatenate([z[0], z[1]])),
    (np.stack, lambda z: np.stack([z[:, 0], np.ones(4)])),
    (np.hstack, lambda z: np.hstack([z[0], z[1]])),
    (np.column_stack, lambda z: np.column_stack([z, np.arange(4.0)])),
    (operator.getitem, lambda z: z[1, 2]),
    (operator.getitem, lambda z: z[1:, 0][::-1]),
    (np.matmul, lambda z: z[0] @ z[1]),
    (np.matmul, lambda z: z @ z.T),
    (np.matmul, lambda z: z[:3] @ z[1:]),
    (np.full_like, lambda z: np.full_like(z, [1.0, 2.0, 3.0])),
    (np.squeeze, lambda z: np.squeeze(z[:1, :, None])),
    (np.transpose, lambda z: np.transpose(z, [1, 0])),
    (np.swapaxes, lambda z: np.swapaxes(z, 0, 1)),
    (np.take, lambda z: np.take(z, [1, 0, 1], axis=0)),
]


def test_every_function_has_a_form():
    covered = {function for function, _ in FORMS + FIXED_FORMS}
    ufuncs = (p.function for p in PRIMITIVES.values() if isinstance(p.function, np.ufunc))
    rows = {function for function in ufuncs if function.signature is None}
    assert set(FUNCTIONS) - rows == covered


MATRIX = np.random.default_rng(6).uniform(-2, 2, (4, 3))


@pytest.mark.parametrize("shape", [(BATCH, 3), (4, 3)], ids=str)
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("position", range(len(FORMS)), ids=lambda i: f"{FORMS[i][0].__name__}-{i}")
def test_functions_compute_the_same_of_expressions_as_of_arrays(position, dtype, shape):
    form = FORMS[position][1]
    z = variable("z", shape)
    traced = form(z)
    assert isinstance(traced, Expression)
    got, want = evaluate(traced, {z: MATRIX}, dtype), form(MATRIX.astype(dtype))
    assert got.dtype == (bool if want.dtype == bool else dtype)
    assert got.shape == want.shape == concrete(traced.shape)
    tolerance = 32 * np.finfo(dtype).eps
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("position", range(len(FORMS)), ids=lambda i: f"{FORMS[i][0].__name__}-{i}")
def test_slopes_of_functions(position):
    form = FORMS[position][1]
    traced, variables = trace(form, [(4, 3)])
    if not traced.is_boolean and FORMS[position][0] not in (
        np.around,
        np.round,
    ):  # a step is too near
        assert_gradients(traced, variables, form, [MATRIX], twice=False)


@pytest.mark.parametrize(
    "position", range(len(FIXED_FORMS)), ids=lambda i: f"{FIXED_FORMS[i][0].__name__}-{i}"
)
def test_functions_of_fixed_shapes(position):
    form = FIXED_FORMS[position][1]
    z = variable("z", (4, 3))
    traced, want = form(z), form(MATRIX)
    got = evaluate(traced, {z: MATRIX}) if isinstance(traced, Expression) else traced
    if isinstance(traced, Expression):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-14)
    else:
        assert got == want


@pytest.mark.parametrize("function", [logsumexp, softmax, log_softmax])
@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_softmax_and_its_kin_are_those_of_scipy(function, axis, dtype):
    reference = getattr(special, function.__name__)
    points = (10 * MATRIX).astype(dtype)
    z = variable("z", (4, 3))
    want = reference(points.astype(np.float64), axis=axis)
    for got in (function(points, axis=axis), evaluate(function(z, axis=axis), {z: points}, dtype)):
        assert got.dtype == dtype
        tolerance = 64 * np.finfo(dtype).eps
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_straight_through_computes_one_and_differentiates_the_other():
    z = variable("z", (BATCH, 3))
    step = straight_through(np.where(z > 0, 1.0, 0.0), np.clip(z, -1, 1))
    value, slope = evaluate([step, *gradient(np.sum(step), [z])], {z: MATRIX})
    np.testing.assert_array_equal(value, MATRIX > 0)
    np.testing.assert_array_equal(slope, np.abs(MATRIX) <= 1)
    np.testing.assert_array_equal(straight_through(MATRIX > 0, MATRIX), MATRIX > 0)


def test_stop_gradient_is_a_constant_to_the_gradient():
    z = variable("z", (3,))
    (slope,) = gradient(np.sum(z * stop_gradient(np.exp(z))), [z])
    np.testing.assert_allclose(evaluate(slope, {z: MATRIX[0]}), np.exp(MATRIX[0]))
    np.testing.assert_array_equal(stop_gradient(MATRIX), MATRIX)


KINKS = {  # where the slope jumps, and the slope that is taken there
    "relu": (lambda z: np.maximum(z, 0), 0.0),
    "relu from the right": (lambda z: np.maximum(0, z), 0.0),
    "negative part": (lambda z: np.minimum(z, 0), 0.0),
    "absolute": (np.abs, 0.0),
    "sign": (np.sign, 0.0),
    "step": (lambda z: np.heaviside(z, 0.5), 0.0),
    "larger of two expressions": (lambda z: np.maximum(2 * z, z), 2.0),
    "smaller of two expressions": (lambda z: np.minimum(2 * z, z), 2.0),
    "largest shares": (lambda z: np.max(np.stack([z, 3 * z], axis=-1), axis=-1), 2.0),
}


@pytest.mark.parametrize("name", KINKS)
def test_slopes_at_kinks(name):
    function, want = KINKS[name]
    z = variable("z", (BATCH,))
    (slope,) = gradient(np.sum(function(z)), [z])
    np.testing.assert_array_equal(evaluate(slope, {z: np.zeros(2)}), [want, want])


AT_THE_EDGE = {  # a function of a vector, where, its value and its slope there
    "median of NaN": (np.median, [np.nan, 1.0, 2.0, 2.0], np.nan, None),
    "median": (np.median, [4.0, 1.0, 2.0, 2.5], 2.25, [0, 0, 0.5, 0.5]),
    "modf": (lambda z: np.sum(np.modf(z)[0]), [np.inf, -np.inf, 1.25], 0.25, [0, 0, 1]),
    "cbrt": (lambda z: np.sum(np.cbrt(z)), [0.0, 8.0], 2.0, [np.inf, 1 / 12]),
    "prod": (np.prod, [1e200, 0.0, 1e200, 0.0], 0.0, [0, 0, 0, 0]),
    "erfcx": (lambda z: np.sum(special.erfcx(z)), [np.inf, 0.0], 1.0, [0, -2 / np.sqrt(np.pi)]),
    "far erfcx": (special.erfcx, 1e9, special.erfcx(1e9), -1 / (np.sqrt(np.pi) * 1e18)),
}


@pytest.mark.parametrize("name", AT_THE_EDGE)
def test_values_and_slopes_at_the_edge(name):
    function, at, value, slope = AT_THE_EDGE[name]
    z = variable("z", np.shape(at))
    y = function(z)
    assert evaluate(y, {z: at}) == pytest.approx(value, rel=1e-12, nan_ok=True)
    if slope is not None:
        found = evaluate(gradient(y, [z])[0], {z: at})
        np.testing.assert_allclose(found, slope, rtol=1e-12)
