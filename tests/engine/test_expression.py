"""Tracing: operators, shapes, and errors that say what to write instead."""

import math
import operator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, special

from skmlp.engine import (
    BATCH,
    FUNCTIONS,
    Expression,
    constant,
    evaluate,
    softmax,
    straight_through,
    variable,
)
from skmlp.engine.shapes import broadcast, shape_text

ROWS = 7  # no other length that is drawn below
RANDOM = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def concrete(shape):
    return tuple(ROWS if d == BATCH else d for d in shape)


# -- what is refused -------------------------------------------------------------------------------


def _if(z):
    return z if z > 0 else -z


def _chained(z):
    return np.where(-1 < z < 1, z, 0)


def _loop(z):
    return [row * 2 for row in z]


def _unpack(z):
    first, *_ = z
    return first


def _assign(z):
    z[:, 0] = 0
    return z


def _assign_masked(z):
    z[z < 0] = 0
    return z


def _times(z):
    z *= 2
    return z


def _add_to(z):
    z += 1
    return z


# What a user may write of z, of shape (n, 3); the error; and what it says to write instead.
REFUSED = {
    "if": (_if, TypeError, "np.where"),
    "while": (lambda z: [z for _ in iter(lambda: bool(z > 0), False)], TypeError, "np.where"),
    "and": (lambda z: (z > 0) and (z < 1), TypeError, "&"),
    "or": (lambda z: (z > 0) or (z < 1), TypeError, r"\|"),
    "not": (lambda z: not z, TypeError, "np.where"),
    "chained comparison": (_chained, TypeError, r"chained comparisons.*np\.clip"),
    "max": (lambda z: max(z, 0 * z), TypeError, "np.where"),
    "in": (lambda z: z in [1.0, 2.0], TypeError, "np.where"),
    "math.exp": (math.exp, TypeError, r"np\.exp"),
    "math.tanh": (math.tanh, TypeError, "instead of those of math"),
    "float": (float, TypeError, r"no float\(\)"),
    "int": (int, TypeError, r"int\(\)"),
    "complex": (complex, TypeError, "NumPy functions"),
    "as an index": (lambda z: [1, 2, 3][z], TypeError, "NumPy functions"),
    "range": (range, TypeError, "NumPy functions"),
    "len": (len, TypeError, r"np\.mean"),
    "number of rows": (lambda z: np.sum(z) / z.shape[0], ValueError, r"np\.mean"),
    "loop": (_loop, TypeError, r"z\[:, 0\]"),
    "list": (list, TypeError, r"z\[:, 0\]"),
    "unpack": (_unpack, TypeError, r"z\[:, 0\]"),
    "assign": (_assign, TypeError, r"np\.where.*np\.concatenate"),
    "assign masked": (_assign_masked, TypeError, r"np\.where"),
    "add to": (_add_to, TypeError, r"z = z \+ 1"),
    "out": (lambda z: np.exp(z, out=np.empty((7, 3))), TypeError, r"\['out'\].*leave it out"),
    "write into an array": (
        lambda z: np.add(np.ones((7, 3)), z, out=np.ones((7, 3))),
        TypeError,
        "leave it out",
    ),
    "where=": (lambda z: np.exp(z, where=z > 0), TypeError, r"\['where'\]"),
    "dtype=": (lambda z: np.exp(z, dtype=np.float32), TypeError, r"\['dtype'\]"),
    "sum with dtype": (lambda z: np.sum(z, dtype=np.float32), TypeError, r"\['dtype'\]"),
    "sum with initial": (lambda z: np.sum(z, initial=1.0), TypeError, r"\['initial'\]"),
    "mean with where": (lambda z: np.mean(z, where=[True] * 3), TypeError, r"\['where'\]"),
    "var with mean": (lambda z: np.var(z, dtype=float), TypeError, r"\['dtype'\]"),
    "clip with out": (lambda z: np.clip(z, 0, 1, out=np.ones((7, 3))), TypeError, r"\['out'\]"),
    "zeros_like with a shape": (lambda z: np.zeros_like(z, shape=(3, 3)), TypeError, "shape"),
    "concatenate with dtype": (
        lambda z: np.concatenate([z, z], axis=1, dtype=int),
        TypeError,
        "dtype",
    ),
    "reshape by columns": (lambda z: np.reshape(z, (-1, 3), order="F"), TypeError, "order"),
    "partition": (
        lambda z: np.partition(z, 1, axis=1),
        TypeError,
        r"partition cannot.*skmlp\.engine\.FUNCTIONS",
    ),
    "sort of rows": (lambda z: np.sort(z, axis=0), ValueError, r"np\.sort along axis 0.*axis=1"),
    "norm of matrices": (lambda z: np.linalg.norm(z, 1), TypeError, r"write axis=1"),
    "diagonal of einsum": (lambda z: np.einsum("ii", z), ValueError, "a letter for each axis"),
    "einsum by numbers": (
        lambda z: np.einsum(z, [0, 1], [0]),
        TypeError,
        r"np\.einsum\('ij,jk->ik'",
    ),
    "diff with others": (
        lambda z: np.diff(z, prepend=0, axis=1),
        TypeError,
        r"np\.concatenate joins",
    ),
    "pieces too many": (lambda z: np.piecewise(z, [z > 0], [0, 1, 2]), ValueError, "got 3"),
    "nan_to_num in place": (lambda z: np.nan_to_num(z, copy=False), TypeError, "copy=False"),
    "times in place": (_times, TypeError, r"z = z \* 1"),
    "half precision": (lambda z: z.astype(np.float16), TypeError, "float16.*dtype="),
    "a method in place": (lambda z: z.sort(), AttributeError, r"no attribute sort: write np\.sort"),
    "another method": (lambda z: z.tolist(), AttributeError, "tolist: write it with NumPy"),
    "median": (np.median, TypeError, r"np\.median.*axis=1"),
    "argmax": (np.argmax, TypeError, "argmax cannot"),
    "truth values subtracted": (lambda z: (z > 0) - (z < 0), TypeError, r"1\.0 \* \(z > 0\)"),
    "shift": (lambda z: z << 1, TypeError, "left_shift cannot"),
    "two results": (np.frexp, TypeError, "frexp cannot"),
    "special function": (special.j0, TypeError, "j0 cannot"),
    "outer": (lambda z: np.add.outer(z, z), TypeError, r"add\.outer.*skmlp\.engine\.FUNCTIONS"),
    "accumulate": (np.multiply.accumulate, TypeError, r"multiply\.accumulate"),
    "at": (lambda z: np.add.at(np.ones(3), 0, z), TypeError, r"add\.at"),
    "softmax of scipy": (lambda z: special.softmax(z, axis=1), TypeError, r"skmlp\.engine"),
    "log_softmax of scipy": (lambda z: special.log_softmax(z, axis=1), TypeError, r"skmlp\.engine"),
    "logsumexp of scipy": (lambda z: special.logsumexp(z, axis=1), TypeError, r"skmlp\.engine"),
    "asarray": (np.asarray, TypeError, "NumPy functions"),
    "array of expressions": (lambda z: np.array([z, z]), TypeError, "NumPy functions"),
    "sum of a list": (lambda z: np.sum([z, z]), TypeError, "NumPy functions"),
    "sparse times": (lambda z: sparse.csr_array(np.eye(3)) @ z, TypeError, "NumPy functions"),
    "None": (lambda z: z + None, TypeError, "None: write numbers or arrays of numbers"),
    "text": (lambda z: z * "2", TypeError, "'2': write numbers"),
    "texts": (lambda z: z == ["a", "b"], TypeError, "an array of <U1: write numbers"),
    "complex number": (lambda z: z * 1j, TypeError, "1j: write numbers"),
    "where of one": (lambda z: np.where(z > 0), TypeError, r"three arguments"),
    "cumsum of rows": (lambda z: np.cumsum(z, axis=0), TypeError, r"np\.cumsum\(z, axis=1\)"),
    "cumsum of all": (np.cumsum, TypeError, r"np\.cumsum\(z, axis=1\)"),
    "one row": (lambda z: z[0], IndexError, r"index columns as z\[:, 0\]"),
    "some rows": (lambda z: z[1:], IndexError, r"picks rows of a batch"),
    "rows backwards": (lambda z: z[::-1], IndexError, r"picks rows of a batch"),
    "masked rows": (lambda z: z[z > 0], IndexError, r"np\.where chooses"),
    "listed rows": (lambda z: z[[0, 2]], IndexError, "picks rows of a batch"),
    "listed rows and columns": (lambda z: z[[0, 2], [0, 1]], IndexError, r"np\.concatenate joins"),
    "no such listed column": (lambda z: z[:, [0, 3]], IndexError, "out of bounds"),
    "a fraction": (lambda z: z[:, 0.5], IndexError, "numbers, slices and None"),
    "too many indices": (lambda z: z[:, 0, 0], IndexError, r"does not fit .* \(n, 3\)"),
    "two ellipses": (lambda z: z[..., ...], IndexError, "numbers, slices and None"),
    "no such column": (lambda z: z[:, 3], IndexError, r"index 3 is out of bounds .*\(n, 3\)"),
    "no such column from the end": (lambda z: z[:, -4], IndexError, r"index -4 is out of bounds"),
    "columns that do not fit": (lambda z: z + np.ones(4), ValueError, r"\(n, 3\) and \(4,\)"),
    "rows that do not fit": (lambda z: z * np.ones((5, 3)), ValueError, r"\(n, 3\) and \(5, 3\)"),
    "one value a row": (lambda z: z - np.mean(z, axis=1), ValueError, r"z\[:, None\]"),
    "pairs of rows": (lambda z: z[:, :1] - z[:, 0], ValueError, r"z\[:, None\]"),
    "products of rows": (lambda z: z @ z.T, ValueError, r"np\.sum\(a \* b, axis=1\)"),
    "a product that does not fit": (
        lambda z: z @ np.ones((2, 3)),
        ValueError,
        r"\(n, 3\) and \(2, 3\) does not fit: columns of the first must be rows",
    ),
    "a product of stacks that does not fit": (
        lambda z: np.ones((2, 2, 4)) @ z.T,
        ValueError,
        r"\(2, 2, 4\)",
    ),
    "np.dot of stacks": (lambda z: np.dot(np.ones((2, 2, 3)), z.T), TypeError, "write a @ b"),
    "no such axis": (lambda z: np.sum(z, axis=2), ValueError, "axis 2 is out of bounds"),
    "reshape by rows": (lambda z: z.reshape(3, z.shape[0], -1), ValueError, "keeps its rows"),
    "reshape over rows": (lambda z: np.reshape(z, (3, -1)), ValueError, r"reshape\(-1, \.\.\.\)"),
    "flatten": (lambda z: np.reshape(z, -1), ValueError, r"reshape\(-1, \.\.\.\)"),
    "reshape to another size": (lambda z: z.reshape(-1, 2), ValueError, r"\(n, 3\) cannot be"),
    "reshape a transpose": (lambda z: z.T.reshape(-1, 3), ValueError, "transpose it first"),
    "broadcast to fewer": (lambda z: np.broadcast_to(z, (3,)), ValueError, r"\(n, 3\) cannot"),
    "transpose by an axis twice": (lambda z: np.transpose(z, (0, 0)), ValueError, "duplicate"),
    "transpose by one axis": (lambda z: np.transpose(z, (0,)), ValueError, "do not name each axis"),
    "squeeze columns": (lambda z: np.squeeze(z, axis=1), ValueError, "its length is not 1"),
    "join rows": (lambda z: np.concatenate([z, z]), ValueError, "cannot be joined along axis 0"),
    "join rows with others": (lambda z: np.concatenate([np.ones((1, 3)), z]), ValueError, "axis 0"),
    "join a column": (
        lambda z: np.concatenate([z, z[:, 0]], axis=1),
        ValueError,
        r"\(n, 3\), \(n,\) cannot be joined along axis 1",
    ),
    "join flat": (lambda z: np.concatenate([z, z], axis=None), TypeError, "axis=1"),
    "three inputs": (lambda z: FUNCTIONS[np.add](z, z, z), TypeError, "takes 2 inputs, got 3"),
}


def assert_sentence(message):
    assert "\n" not in message
    assert 20 < len(message) < 260
    assert not message.endswith(".")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_what_to_write_instead(name):
    function, error, instead = REFUSED[name]
    with pytest.raises(error, match=instead) as caught:
        function(variable("z", (BATCH, 3)))
    assert_sentence(str(caught.value))


SPARSE_MISUSE = {
    "elementwise": lambda x: x + 1,
    "function": np.exp,
    "sum": lambda x: np.sum(x, axis=1),
    "mean": np.mean,
    "index": lambda x: x[:, 0],
    "where": lambda x: np.where(x > 0, 1.0, 0.0),
    "joined": lambda x: np.concatenate([x, x], axis=1),
    "reshaped": lambda x: np.reshape(x, (-1, 3, 1)),
    "transposed and added": lambda x: x.T * 2,
    "with another sparse input": lambda x: x.T @ x,
}


@pytest.mark.parametrize("name", SPARSE_MISUSE)
def test_sparse_inputs_are_only_multiplied(name):
    x = variable("features", (BATCH, 3), is_sparse=True)
    with pytest.raises(
        TypeError, match=r"sparse.*can only be multiplied by a.*matrix, as in x @ W"
    ):
        SPARSE_MISUSE[name](x)


def test_variables_have_rows_first():
    with pytest.raises(ValueError, match=r"w has shape \(3, n\): only the first axis may be n"):
        variable("w", (3, BATCH))


def test_straight_through_needs_one_shape():
    z = variable("z", (BATCH, 3))
    with pytest.raises(ValueError, match=r"\(n, 3\) and a surrogate of \(n, 1\)"):
        straight_through(np.sign(z), z[:, :1])


# -- operators -------------------------------------------------------------------------------------

A = np.array([[0.5, 1.5, -2.0], [2.0, 0.25, 3.0]])
B = np.array([[2.0, 1.5, 0.5], [-1.0, 4.0, 2.0]])
OPERATORS = {
    2: [
        *(operator.add, operator.sub, operator.mul, operator.truediv, operator.matmul),
        *(operator.mod, operator.floordiv),
        *(operator.lt, operator.le, operator.eq, operator.ne, operator.ge, operator.gt),
    ],
    1: [operator.neg, operator.pos, operator.abs],
}
TRUTH = {
    2: [operator.and_, operator.or_, operator.xor],
    1: [operator.invert],
}
REFUSED_OPERATORS = [operator.lshift, operator.rshift]


@pytest.mark.parametrize("function", [*OPERATORS[2], operator.pow], ids=lambda f: f.__name__)
def test_binary_operators(function):
    a, b = variable("a", (BATCH, 3)), variable("b", (BATCH, 3))
    points = {a: np.abs(A), b: B}
    others = [(B, b), (2, 2), (0.5, 0.5), (np.float64(1.5), 1.5), (np.array([1.0, 2.0, 3.0]),) * 2]
    if function is operator.matmul:
        others = [(np.ones((3, 2)),) * 2, ([1.0, 2.0, 3.0],) * 2]
    for plain, other in others:
        got = evaluate(function(a, other), points)
        want = function(points[a], plain)
        np.testing.assert_allclose(got, want)
        assert got.dtype == want.dtype
    if function is not operator.matmul:
        for plain in (2, np.float32(0.5), np.array(2.0), B, [1.0, 2.0, 3.0]):
            fits = plain if np.shape(plain) != B.shape else np.abs(B[0])
            want = function(fits, points[a])
            np.testing.assert_allclose(evaluate(function(fits, a), points), want)
    else:
        np.testing.assert_allclose(evaluate(np.eye(3) @ a.T, points), points[a].T)


@pytest.mark.parametrize("function", OPERATORS[1], ids=lambda f: f.__name__)
def test_unary_operators(function):
    a = variable("a", (BATCH, 3))
    np.testing.assert_array_equal(evaluate(function(a), {a: A}), function(A))


@pytest.mark.parametrize("function", TRUTH[2], ids=lambda f: f.__name__)
def test_operators_of_truth_values(function):
    a = variable("a", (BATCH, 3))
    got = evaluate(function(a > 0, a < 2), {a: A})
    np.testing.assert_array_equal(got, function(A > 0, A < 2))
    assert got.dtype == bool
    mask = np.array([True, False, True])
    np.testing.assert_array_equal(evaluate(function(mask, a > 1), {a: A}), function(mask, A > 1))


def test_invert():
    a = variable("a", (BATCH, 3))
    np.testing.assert_array_equal(evaluate(~(a > 0), {a: A}), A <= 0)


@pytest.mark.parametrize("function", REFUSED_OPERATORS, ids=lambda f: f.__name__)
def test_other_operators_are_refused(function):
    a = variable("a", (BATCH, 3))
    for call in (lambda: function(a, 2), lambda: function(2, a)):
        with pytest.raises(TypeError, match="cannot be differentiated"):
            call()


def test_every_arithmetic_operator_is_covered():
    arithmetic = {
        name
        for name in operator.__all__
        if f"__{name.strip('_')}__" in dir(Expression) and not name.startswith("i")
    }
    covered = OPERATORS[1] + OPERATORS[2] + TRUTH[1] + TRUTH[2] + REFUSED_OPERATORS
    elsewhere = {"getitem", "setitem", "index", "contains", "truth", "not_", "pow", "inv"}
    assert arithmetic <= {f.__name__ for f in covered} | elsewhere


# -- shapes ----------------------------------------------------------------------------------------

SIZES = st.integers(1, 4)


@st.composite
def batch_shapes(draw):
    tail = draw(st.lists(SIZES, max_size=3))
    return ((BATCH, *tail) if draw(st.booleans()) else tuple(tail)) or (BATCH,)


@RANDOM
@given(st.lists(batch_shapes(), min_size=1, max_size=3))
def test_broadcast_shapes_are_those_of_numpy(shapes):
    try:
        want = np.broadcast_shapes(*map(concrete, shapes))
    except ValueError:
        want = None
    try:
        got = broadcast(*shapes)
    except ValueError as error:
        assert_sentence(str(error))
        got = None
    if want is not None and want.count(ROWS) > 1:
        assert got is None  # every pair of rows
    else:
        assert want == (None if got is None else concrete(got))


INDEX_ITEMS = st.one_of(
    st.integers(-4, 4),
    st.slices(4),
    st.just(slice(None)),
    st.none(),
    st.just(Ellipsis),
)


@RANDOM
@given(batch_shapes(), st.lists(INDEX_ITEMS, max_size=5))
def test_indexed_shapes_are_those_of_numpy(shape, key):
    key = tuple(key)
    array = np.arange(float(np.prod(concrete(shape)))).reshape(concrete(shape))
    z = variable("z", shape)
    try:
        traced = z[key]
    except IndexError as error:
        assert_sentence(str(error))
        # Refused rightly, as NumPy does, or because it picks rows.
        if shape[0] == BATCH and "picks rows" in str(error):
            return
        with pytest.raises(IndexError):
            array[key]
        return
    want = array[key]
    assert concrete(traced.shape) == want.shape
    np.testing.assert_array_equal(evaluate(traced, {z: array}), want)


@RANDOM
@given(batch_shapes(), st.lists(st.sampled_from([-1, 1, 2, 3, 4, 6, 8, 12]), max_size=4))
def test_reshaped_shapes_are_those_of_numpy(shape, tail):
    new = (-1, *tail) if shape[0] == BATCH else tuple(tail)
    array = np.arange(float(np.prod(concrete(shape)))).reshape(concrete(shape))
    z = variable("z", shape)
    try:
        want = array.reshape((ROWS, *tail) if shape[0] == BATCH else new)
    except ValueError:
        want = None
    if want is None:
        with pytest.raises(ValueError, match="cannot be reshaped") as caught:
            np.reshape(z, new)
        assert_sentence(str(caught.value))
        return
    traced = np.reshape(z, new)
    assert concrete(traced.shape) == want.shape
    np.testing.assert_array_equal(evaluate(traced, {z: array}), want)


@RANDOM
@given(batch_shapes(), st.data())
def test_concatenated_shapes_are_those_of_numpy(shape, data):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    shapes = [shape]
    for _ in range(data.draw(st.integers(0, 2))):
        other = list(shape)
        at = data.draw(st.sampled_from([axis, *range(len(shape))]))
        if other[at] != BATCH:
            other[at] = data.draw(SIZES)
        shapes.append(tuple(other))
    variables = [variable(f"x{i}", s) for i, s in enumerate(shapes)]
    arrays = [np.full(concrete(s), float(i)) for i, s in enumerate(shapes)]
    joins_rows = shape[0] == BATCH and axis % len(shape) == 0 and len(shapes) > 1
    try:
        want = None if joins_rows else np.concatenate(arrays, axis=axis)
    except ValueError:
        want = None
    if want is None:
        with pytest.raises(ValueError, match="cannot be joined"):
            np.concatenate(variables, axis=axis)
        return
    traced = np.concatenate(variables, axis=axis)
    assert concrete(traced.shape) == want.shape
    values = dict(zip(variables, arrays, strict=True))
    np.testing.assert_array_equal(evaluate(traced, values), want)


@RANDOM
@given(batch_shapes(), batch_shapes(), st.booleans())
def test_shapes_of_products_are_those_of_numpy(first, second, transposed):
    a, b = variable("a", first), variable("b", second)
    arrays = {x: np.random.default_rng(0).standard_normal(concrete(x.shape)) for x in (a, b)}
    transposed = transposed and len(first) == 2
    try:
        want = (arrays[a].T if transposed else arrays[a]) @ arrays[b]
    except ValueError:
        want = None
    try:
        traced = (a.T if transposed else a) @ b
    except ValueError as error:
        assert_sentence(str(error))
        assert (
            want is None or [*first, *second].count(BATCH) > 1 or max(len(first), len(second)) > 2
        )
        return
    assert want is not None
    assert concrete(traced.shape) == want.shape
    np.testing.assert_allclose(evaluate(traced, arrays), want, rtol=1e-12, atol=1e-12)


@RANDOM
@given(batch_shapes(), st.data(), st.booleans())
def test_reduced_shapes_are_those_of_numpy(shape, data, keepdims):
    axes = st.integers(-len(shape), len(shape) - 1)
    axis = data.draw(st.one_of(st.none(), axes, st.lists(axes, max_size=3).map(tuple)))
    array = np.arange(float(np.prod(concrete(shape)))).reshape(concrete(shape))
    z = variable("z", shape)
    try:
        want = np.sum(array, axis=axis, keepdims=keepdims)
    except ValueError:  # an axis twice
        with pytest.raises(ValueError, match="duplicate"):
            np.sum(z, axis=axis, keepdims=keepdims)
        return
    traced = np.sum(z, axis=axis, keepdims=keepdims)
    assert concrete(traced.shape) == np.shape(want)
    np.testing.assert_allclose(evaluate(traced, {z: array}), want)


# -- what an expression is -------------------------------------------------------------------------


def test_representations():
    z = variable("z", (BATCH, 3))
    assert repr(z) == "<expression z of shape (n, 3)>"
    assert repr(np.exp(z)) == "<expression exp of shape (n, 3)>"
    assert repr(np.sum(z, axis=1).named("loss")) == "<expression loss of shape (n,)>"
    assert repr(constant(2.5)) == "<expression 2.5 of shape ()>"
    assert repr(constant(True)) == "<expression 1 of shape ()>"
    assert repr(constant([1.0, 2.0])) == "<expression constant of shape (2,)>"
    assert shape_text(()) == "()"


def test_constants_are_float64_or_truth_values():
    for value in (1, True, 2.5, np.float32(1.5), np.arange(3), [[1, 2]], np.uint64(7)):
        node = constant(value)
        assert node.value.dtype == (bool if np.asarray(value).dtype == bool else np.float64)
        assert node.is_boolean == (np.asarray(value).dtype == bool)
    assert constant(node) is node


def test_a_constant_is_a_copy():
    array = np.ones(3)
    node = variable("z", (3,)) * array
    array[:] = 5
    np.testing.assert_array_equal(node.inputs[1].value, [1, 1, 1])


def test_expressions_are_keys():
    a, b = variable("a", (BATCH,)), variable("a", (BATCH,))
    assert {a: 1, b: 2}[a] == 1
    assert a in {a}
    assert a not in {b}


@pytest.mark.parametrize("function", [np.exp, np.sin, softmax, lambda z: np.var(z, axis=1)])
def test_tracing_leaves_arrays_alone(function):
    assert not isinstance(function(A), Expression)
    assert isinstance(function(variable("z", A.shape)), Expression)
