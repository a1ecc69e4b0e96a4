"""Primitives of users' own."""

import numpy as np
import pytest
from scipy import special

from skmlp import MLPRegressor, check_gradient
from skmlp.engine import (
    BATCH,
    FUNCTIONS,
    PRIMITIVES,
    Program,
    evaluate,
    gradient,
    primitives,
    register,
    variable,
)
from skmlp.engine.plan import Plan


@pytest.fixture(autouse=True)
def as_before():
    """What a test registers is gone after it."""
    rows, functions = dict(primitives.PRIMITIVES), dict(primitives.FUNCTIONS)
    yield
    for table, before in ((primitives.PRIMITIVES, rows), (primitives.FUNCTIONS, functions)):
        table.clear()
        table.update(before)


def test_a_ufunc_then_works_when_it_is_called_itself():
    z = variable("z", (BATCH, 2))
    with pytest.raises(TypeError, match="k0 cannot be differentiated"):
        special.k0(z)
    returned = register(special.k0, lambda g, y, z: -g * evaluated_k1(z))
    assert returned is special.k0
    assert evaluate(special.k0(z), {z: np.ones((1, 2))})[0, 0] == special.k0(1.0)


def evaluated_k1(z):
    if special.k1 not in FUNCTIONS:
        register(special.k1, lambda g, y, z: -g * (special.k0(z) + y / z))
    return special.k1(z)


def test_what_is_registered_has_the_laws_of_a_primitive():
    register(special.k0, lambda g, y, z: -g * evaluated_k1(z))
    at = np.array([[0.5, 1.0], [2.0, 3.0]])
    assert check_gradient(special.k0, at) < 1e-6
    assert check_gradient(lambda z: special.k0(z) ** 2 * np.sin(z), at) < 1e-6
    x = variable("x", (BATCH, 2))
    loss = np.sum(special.k0(x))
    for dtype in ("float64", "float32"):
        rows = np.random.default_rng(0).uniform(0.5, 2, (30, 2)).astype(dtype)
        whole = Program([loss, *gradient(loss, [x])], dtype=dtype).run({x: rows})
        assert all(array.dtype == dtype for array in whole)
        blocks = Program([loss, *gradient(loss, [x])], dtype=dtype, block_rows=4)
        assert blocks.block_rows == 4
        for a, b in zip(whole, blocks.run({x: rows}), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5)


def test_a_function_of_a_script_is_called_with_arrays():
    seen = []

    def bent(z, k):
        seen.append((type(z), z.dtype))
        return np.where(z > 0, z, k * z**3)

    bent = register(
        bent,
        lambda g, y, z, k: g * np.where(z > 0, 1.0, 3 * k * np.square(z)),
        lambda g, y, z, k: g * np.where(z > 0, 0.0, z**3),
    )
    assert bent(np.array([-1.0]), 2.0) == -2.0
    assert check_gradient(bent, np.array([-1.0, 0.5, -2.0]), np.array([0.5, 1.0, 2.0])) < 1e-6
    z = variable("z", (BATCH,))
    evaluate(bent(z, 0.5), {z: np.ones(3)}, "float32")
    assert seen[-1] == (np.ndarray, np.float32)


def test_a_shape_of_its_own_is_kept_to():
    norm = register(
        lambda z: np.sqrt(np.sum(z * z, axis=1)),
        lambda g, y, z: g[:, None] * z / y[:, None],
        shape=lambda z: z[:1],
        name="row_norm",
    )
    x = variable("x", (BATCH, 3))
    rows = np.random.default_rng(0).normal(size=(20, 3))
    np.testing.assert_allclose(evaluate(norm(x), {x: rows}), np.linalg.norm(rows, axis=1))
    (g,) = gradient(np.sum(norm(x)), [x])
    expected = rows / np.linalg.norm(rows, axis=1)[:, None]
    np.testing.assert_allclose(evaluate(g, {x: rows}), expected)
    wrong = register(lambda z: np.ones((2, 2)), None, name="two_by_two")
    with pytest.raises(ValueError, match="where its shape rule says"):
        evaluate(wrong(x), {x: rows})


def test_a_wrong_pullback_is_found():
    wrong = register(lambda z: z**3, lambda g, y, z: g * z, name="wrong_cube")
    with pytest.raises(AssertionError, match="finite differences give"):
        check_gradient(wrong, np.array([1.0, 2.0]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_activation_may_be_made_of_it():
    cube = register(lambda z: z**3, lambda g, y, z: g * 3 * np.square(z), name="cube_of")
    X = np.random.default_rng(0).normal(size=(40, 2))
    own, plain = (
        MLPRegressor((4,), f, max_iter=3, tol=1e9, random_state=0).fit(X, X[:, 0])
        for f in (cube, lambda z: z**3)
    )
    np.testing.assert_allclose(own.coefs_[0], plain.coefs_[0], rtol=1e-9)


def test_plans_made_before_stay():
    x = variable("x", (BATCH,))
    plan = Plan([np.sin(x)])
    register(lambda z: z + 1, lambda g, y, z: g, name="one_more")
    np.testing.assert_allclose(Program(plan).run({x: np.ones(2)})[0], np.sin(1.0))


def test_a_function_that_does_not_tell_its_signature_is_taken():
    class Compiled:
        __signature__ = "not one"

        def __call__(self, z):
            return 2 * z

    twice = register(Compiled(), lambda g, y, z: 2 * g, name="compiled")
    assert check_gradient(twice, np.array([-1.0, 0.5])) < 1e-6


REFUSED = {
    "no function": (lambda: register(3.0, None), TypeError, "takes functions, got 3.0"),
    "no pullback": (lambda: register(special.k0), ValueError, "needs a pullback, or None"),
    "two for one": (
        lambda: register(lambda a: a, None, None, name="of_one"),
        ValueError,
        "of_one needs a pullback, or None, for each of its arguments, got 2",
    ),
    "one of two": (
        lambda: register(lambda a, b: a * b, lambda g, y, a: g, name="of_two"),
        ValueError,
        "of_two needs a pullback, or None, for each of its arguments, got 1",
    ),
    "a pullback too many": (lambda: register(special.k0, None, None), ValueError, "got 2"),
    "known already": (lambda: register(np.tanh, None), ValueError, "tanh is a primitive already"),
    "a name taken": (
        lambda: register(lambda z: z, None, name="tanh"),
        ValueError,
        "tanh is a primitive already",
    ),
    "no name": (lambda: register(lambda z: z, None), ValueError, "give name="),
    "two results": (lambda: register(np.frexp, None), ValueError, "frexp needs"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_registered_is_refused_in_a_sentence(fault):
    call, error, words = REFUSED[fault]
    before = set(PRIMITIVES)
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert set(PRIMITIVES) == before


def test_the_tables_are_to_look_at():
    with pytest.raises(TypeError):
        PRIMITIVES["mine"] = PRIMITIVES["add"]
    with pytest.raises(TypeError):
        FUNCTIONS[np.add] = np.subtract
