"""Row numbers, and rows taken by them."""

import numpy as np
import pytest

from skmlp.engine import BATCH, Program, evaluate, gradient, take, variable

TABLE = np.random.default_rng(0).normal(size=(5, 3))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(BATCH,), (BATCH, 2)], ids=str)
@pytest.mark.parametrize("block_rows", [None, 4])
def test_rows_and_slopes_are_those_of_numpy(block_rows, shape, dtype):
    rng = np.random.default_rng(1)
    table, index = variable("table", TABLE.shape), variable("index", shape, dtype=int)
    w = variable("w", (BATCH,))
    taken = take(table, index)
    loss = np.sum(w * np.sum(np.sin(taken), axis=tuple(range(1, taken.ndim))))
    values = TABLE.astype(dtype)
    program = Program(
        [taken, loss, *gradient(loss, [table])], {table: values}, dtype=dtype, block_rows=block_rows
    )
    n = 11
    numbers = rng.integers(0, 5, [n if d == BATCH else d for d in shape])
    weights = rng.uniform(1, 2, n).astype(dtype)
    rows, _, slopes = program.run({index: numbers, w: weights})
    np.testing.assert_array_equal(rows, values[numbers])
    expected = np.zeros_like(TABLE)
    per_row = weights.reshape(-1, *[1] * (taken.ndim - 1)) * np.cos(values[numbers])
    np.add.at(expected, numbers, per_row)
    np.testing.assert_allclose(slopes, expected, rtol=1e-12 if dtype == "float64" else 1e-5)
    assert slopes.dtype == dtype


def test_a_gradient_of_a_gradient_goes_through():
    table, index = variable("table", (3, 2)), variable("index", (BATCH,), dtype=int)
    (first,) = gradient(np.sum(take(table, index) ** 3), [table])
    (second,) = gradient(np.sum(first * first), [table])
    at, numbers = np.arange(6.0).reshape(3, 2), np.array([0, 2, 2])
    counts = np.array([1.0, 0.0, 2.0])[:, None]
    expected = 2 * (3 * counts * at**2) * (6 * counts * at)
    found = evaluate(second, {table: at, index: numbers})
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("kind", ["take", "np.take", "getitem"])
def test_there_are_three_ways_to_write_it(kind):
    table, index = variable("table", TABLE.shape), variable("index", (BATCH, 2), dtype=int)
    ways = {
        "take": take(table, index[:, 1]),
        "np.take": np.take(table, index[:, 1], axis=0),
        "getitem": table[index[:, 1]],
    }
    numbers = np.array([[0, 4], [1, 0]])
    found = evaluate(ways[kind], {table: TABLE, index: numbers})
    np.testing.assert_array_equal(found, TABLE[[4, 0]])


@pytest.mark.parametrize("wrong", [5, -1, 10**9])
def test_a_row_that_is_not_there_is_named(wrong):
    table, index = variable("table", TABLE.shape), variable("index", (BATCH,), dtype=int)
    outputs = [np.sum(take(table, index)), *gradient(np.sum(take(table, index)), [table])]
    numbers = np.array([0, wrong, 1])
    with pytest.raises(IndexError, match=f"row {wrong} of a table of 5 rows"):
        Program(outputs).run({table: TABLE, index: numbers})
    with pytest.raises(IndexError, match=f"row {wrong} of a table of 5 rows"):
        take(TABLE, numbers)
    with pytest.raises(IndexError, match=f"row {wrong} of a table of 5 rows"):
        take(table, numbers)


def test_what_are_no_row_numbers_is_refused():
    table, index = variable("table", TABLE.shape), variable("index", (BATCH,), dtype=int)
    with pytest.raises(TypeError, match=r"index takes row numbers, got an array of float64"):
        Program([take(table, index)]).run({table: TABLE, index: np.array([0.0, 1.0])})
    with pytest.raises(TypeError, match="make the variable with dtype=int"):
        take(table, variable("z", (BATCH,)))
    with pytest.raises(TypeError, match="rows are taken by whole numbers"):
        take(TABLE, [0.5])
    with pytest.raises(TypeError, match="add was applied to the row numbers index"):
        index + 1
    with pytest.raises(ValueError, match="dtype"):
        variable("z", (BATCH,), dtype=str)
    with pytest.raises(ValueError, match="of a table"):
        take(variable("x", (BATCH, 2)), index)
    with pytest.raises(TypeError, match="write axis=0"):
        np.take(table, index)
