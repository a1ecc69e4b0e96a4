"""The gradient checker: it passes what is right and catches what is a little wrong."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import special

from skmlp.engine import PRIMITIVES, Expression, check_gradient, straight_through
from skmlp.engine.expression import apply


def patched(name, factor, position=0):
    """Return a function whose gradient is that of the primitive times a factor."""
    primitive = PRIMITIVES[name]
    right = [primitive.pullback(i) for i in range(len(primitive.pullbacks))]
    wrong = [
        pullback
        if i != position
        else lambda g, *rest, pullback=pullback, **attributes: (
            pullback(g, *rest, **attributes) * factor
        )
        for i, pullback in enumerate(right)
    ]
    changed = replace(primitive, pullbacks=tuple(wrong))

    def function(*inputs, **attributes):
        if any(isinstance(x, Expression) for x in inputs):
            return apply(changed, *inputs, **attributes)
        return primitive.function(*inputs, **attributes)

    return function


rng = np.random.default_rng(0)
A, B = rng.uniform(0.5, 2, (4, 3)), rng.uniform(0.5, 2, (3, 5))


def mish(tanh):
    return lambda z: z * tanh(np.logaddexp(0, z))


def plus_sum(exp):
    return lambda w, z: np.sum(w * z) + exp(z)


# A function for each factor that its derivative is multiplied by, and where it is checked.
KINDS = {
    "elementwise": (lambda f: patched("tanh", f), ()),
    "inside a function": (lambda f: mish(patched("tanh", f)), ()),
    "the first factor": (lambda f: patched("multiply", f), (A, A + 1)),
    "the second factor": (lambda f: patched("multiply", f, 1), (A, A + 1)),
    "the first matrix": (lambda f: patched("matmul", f), (A, B)),
    "the second matrix": (lambda f: patched("matmul", f, 1), (A, B)),
    "a reduction": (lambda f: partial(patched("sum", f), axis=(1,), keepdims=False), (A,)),
    "a largest": (lambda f: partial(patched("max", f), axis=(0,), keepdims=True), (A,)),
    "one entry": (
        lambda f: lambda z: z**2 + (f - 1) * straight_through(0 * z, z) * (np.arange(12) == 7),
        (np.linspace(-2, 2, 12),),
    ),
    "a number": (lambda f: patched("exp", f), (0.3,)),
    "the last of many": (lambda f: plus_sum(patched("exp", f)), (np.ones(3), 0.1)),
}


@pytest.mark.parametrize("name", KINDS)
def test_gradients_a_thousandth_off_are_caught(name):
    build, inputs = KINDS[name]
    assert check_gradient(build(1.0), *inputs) < 1e-7
    for factor in (1.001, 0.999, -1.0):
        with pytest.raises(AssertionError, match=r"with respect to input \d at \[.*off by"):
            check_gradient(build(factor), *inputs)


def test_the_message_names_the_entry_and_both_slopes():
    def function(w, z):
        return w + z**2 + straight_through(0 * z, 0.5 * z) * (np.arange(4) == 2)

    direction = np.random.default_rng(0).standard_normal(4)[2]
    message = (
        rf"input 1 at \[2\] is {6.5 * direction:.4f}\d+, "
        rf"but finite differences give {6.0 * direction:.4f}\d+: off by 0\.077"
    )
    with pytest.raises(AssertionError, match=message):
        check_gradient(function, np.ones(4), np.array([1.0, 2.0, 3.0, 4.0]))


def test_a_missing_gradient_is_caught():
    none = replace(PRIMITIVES["sin"], pullbacks=(None,))

    def function(z):
        return apply(none, z) if isinstance(z, Expression) else np.sin(z)

    with pytest.raises(AssertionError, match="is 0, but finite differences give"):
        check_gradient(function)


WRONG_VALUES = {
    "a little": (lambda z: z * 1.0001, r"at \[0, 0\] the traced function is"),
    "not a number": (lambda z: z * np.nan, "the traced function is nan"),
    "infinite": (lambda z: z * np.inf, "the traced function is -?inf"),
    "another shape": (lambda z: z[:, :1], r"has shape \(5, 1\), the plain one \(5, 4\)"),
}


@pytest.mark.parametrize("name", WRONG_VALUES)
def test_wrong_values_are_caught(name):
    wrong, message = WRONG_VALUES[name]
    with pytest.raises(AssertionError, match=message):
        check_gradient(lambda z: wrong(z) if isinstance(z, Expression) else z)


def test_kinks_are_left_out():
    points = np.linspace(-1, 1, 21)  # with 0
    assert check_gradient(lambda z: np.maximum(z, 0), points) < 1e-9
    assert check_gradient(np.abs, points) < 1e-9
    assert check_gradient(lambda z: np.clip(z, -0.5, 0.5), points) < 1e-9


def test_most_entries_must_be_compared():
    with pytest.raises(AssertionError, match="only 1 of 6 gradient entries of input 0 could"):
        check_gradient(np.abs, np.array([0, 0, 0, 1e-5, -1e-5, 1.0]))
    with pytest.raises(AssertionError, match="only 0 of 4"):
        check_gradient(np.log, -np.ones(4))


def test_each_input_is_compared_by_itself():
    def small_beside_large(a, b):
        return 1e9 * a + straight_through(np.sin(b), 5 * np.sin(b))

    with pytest.raises(AssertionError, match="only 0 of 3 gradient entries of input 1 could"):
        check_gradient(small_beside_large, np.ones(3), np.ones(3))
    with pytest.raises(AssertionError, match=r"with respect to input 1 at .*off by"):
        check_gradient(small_beside_large, np.zeros(3), np.ones(3))

    def at_a_kink(a, b):
        return a + straight_through(np.abs(b), 3 * b)

    with pytest.raises(AssertionError, match="only 0 of 3 gradient entries of input 1 could"):
        check_gradient(at_a_kink, np.ones(3), np.zeros(3))
    assert check_gradient(lambda a, b: 1e9 * a + np.sin(b), np.zeros(3), np.ones(3)) < 1e-5


def test_functions_that_cannot_be_checked():
    with pytest.raises(TypeError, match="returned ndarray instead of an expression"):
        check_gradient(lambda z: np.ones(3))
    with pytest.raises(TypeError, match=r"neither true nor false.*np\.where"):
        check_gradient(lambda z: z if z > 0 else -z)


def test_a_looser_tolerance_passes_more():
    function = patched("tanh", 1.001)
    assert 5e-4 < check_gradient(function, tolerance=2e-3) < 2e-3


def test_it_is_reproducible():
    results = [check_gradient(special.expit, A, random_state=seed) for seed in (1, 1, 2)]
    assert results[0] == results[1] != results[2]
    assert type(results[0]) is float


def test_large_inputs_are_sampled():
    points = np.linspace(-2, 2, 5000)
    assert check_gradient(np.tanh, points) < 1e-6
    with pytest.raises(AssertionError):
        check_gradient(patched("tanh", 1.001), points)


def test_inputs_are_left_as_they_are():
    points = np.arange(6, dtype=np.float32).reshape(2, 3) + 1
    before = points.copy()
    assert check_gradient(np.log, points) < 1e-8
    np.testing.assert_array_equal(points, before)
