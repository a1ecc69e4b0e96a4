"""Products with leading axes: k members as one program agree with k programs."""

import numpy as np
import pytest

from skmlp.engine import BATCH, Program, evaluate, gradient, log_softmax, variable

K, INPUTS, UNITS, CLASSES = 4, 3, 6, 2
ACTIVATIONS = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0)}


def parts(rng, members=()):
    shapes = {"W": (INPUTS, UNITS), "b": (UNITS,), "V": (UNITS, CLASSES), "c": (CLASSES,)}
    return {name: rng.normal(size=(*members, *shape)) for name, shape in shapes.items()}


def loss_of(x, y, w, p, activation, rows):
    """The weighted log loss of a network of two layers; `rows` puts a bias beside rows."""
    h = activation(x @ p["W"] + rows(p["b"]))
    raw = h @ p["V"] + rows(p["c"])
    each = -np.sum(y * log_softmax(raw), axis=-1)
    return np.sum(w * each, axis=-1)


@pytest.mark.parametrize("block_rows", [None, 7])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_members_in_one_program_are_members_in_their_own(activation, dtype, block_rows):
    rng = np.random.default_rng(0)
    f = ACTIVATIONS[activation]
    X = rng.normal(size=(30, INPUTS)).astype(dtype)
    Y = np.eye(CLASSES, dtype=dtype)[rng.integers(0, CLASSES, 30)]
    weights = rng.uniform(0.5, 2, 30).astype(dtype)
    values = {name: v.astype(dtype) for name, v in parts(rng, (K,)).items()}

    x, y = variable("x", (BATCH, INPUTS)), variable("y", (BATCH, CLASSES))
    w = variable("w", (BATCH,))
    data = {x: X, y: Y, w: weights}

    def program_of(p, rows, arrays):
        losses = loss_of(x, y, w, p, f, rows)
        wrt = list(p.values())
        outputs = [losses, *gradient(np.sum(losses), wrt)]
        bound = {p[name]: array for name, array in arrays.items()}
        return Program(outputs, bound, dtype=dtype, block_rows=block_rows)

    together = {name: variable(name, v.shape) for name, v in values.items()}
    found = program_of(together, lambda b: b[:, None, :], values).run(data)
    assert all(array.dtype == dtype for array in found)
    found = [np.array(array) for array in found]
    rtol = 1e-12 if dtype == "float64" else 2e-4
    for member in range(K):
        own = {name: variable(name, v.shape[1:]) for name, v in values.items()}
        arrays = {name: np.ascontiguousarray(v[member]) for name, v in values.items()}
        alone = program_of(own, lambda b: b, arrays).run(data)
        for one, several in zip(alone, found, strict=True):
            np.testing.assert_allclose(several[member], one, rtol=rtol, atol=rtol)


def test_blocks_of_members_are_the_whole():
    rng = np.random.default_rng(1)
    x, W = variable("x", (BATCH, 3)), variable("W", (K, 3, 5))
    output = np.tanh(x @ W)
    assert output.shape == (K, BATCH, 5)
    values = {x: rng.normal(size=(23, 3)), W: rng.normal(size=(K, 3, 5))}
    program = Program([output, np.sum(output, axis=1)], {W: values[W]}, block_rows=4)
    assert program.block_rows == 4
    for one, whole in zip(
        program.run({x: values[x]}), evaluate([output], values) * 2, strict=False
    ):
        expected = whole if one.ndim == 3 else whole.sum(axis=1)
        np.testing.assert_allclose(one, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((BATCH, 3), (2, 3, 4)),
        ((2, 1, 5, 3), (4, 3, 2)),
        ((BATCH, 2, 3), (3, 4)),
        ((3,), (2, 3, 4)),
    ],
    ids=str,
)
def test_values_and_shapes_are_those_of_numpy(first, second):
    rng = np.random.default_rng(2)
    a, b = variable("a", first), variable("b", second)
    arrays = [rng.normal(size=[6 if d == BATCH else d for d in s]) for s in (first, second)]
    found = evaluate(a @ b, {a: arrays[0], b: arrays[1]})
    np.testing.assert_allclose(found, arrays[0] @ arrays[1], rtol=1e-12)


def test_rows_of_two_batches_are_not_paired():
    a, b = variable("a", (BATCH, 3)), variable("b", (BATCH, 3))
    with pytest.raises(ValueError, match="pairs the rows"):
        a @ b.T
    with pytest.raises(ValueError, match="pairs the rows"):
        (a @ np.ones((2, 3, 3))) @ np.swapaxes(b @ np.ones((2, 3, 3)), -1, -2)
