"""Laws over the registry of activations: gradients, extremes, precision, ranges, values, learning.

Every law is a function that takes an activation, so that `test_the_laws_can_fail` can show it a
wrong one.
"""

import functools
import pickle
import re
import warnings

import numpy as np
import pytest
from scipy import special, stats
from sklearn.exceptions import ConvergenceWarning

import skmlp.activations
from skmlp import Learned, MLPClassifier, MLPRegressor, check_gradient
from skmlp.engine import Program, gradient, stop_gradient, straight_through, variable
from skmlp.network import INITIALIZERS, LAYERS
from skmlp.network.activations import (
    ACTIVATIONS,
    RECOMMENDED_INITIALIZERS,
    hard_threshold,
    leaky_relu,
    prelu,
    relu,
)
from skmlp.network.activations import learned_arguments as learned_arguments_of

SCIKIT_LEARN = ("identity", "logistic", "tanh", "relu")
LARGEST = {"float64": 1e4, "float32": 1e3}
KINKS = (-1.0, 0.0, 1.0)

# What keeps mean 0 and variance 1 from layer to layer, solved for in Klambauer et al. 2017, (14).
_E1, _E2 = special.erfc(np.sqrt(0.5)), special.erfc(np.sqrt(2.0))
SELU_ALPHA = -np.sqrt(2 / np.pi) / (_E1 * np.exp(0.5) - 1)
SELU_SCALE = (1 - _E1 * np.exp(0.5)) * np.sqrt(2 * np.pi)
SELU_SCALE /= np.sqrt(
    2 * _E2 * np.exp(2)
    + np.pi * _E1**2 * np.exp(1)
    - 2 * (2 + np.pi) * _E1 * np.exp(0.5)
    + np.pi
    + 2
)

FORMULAS = {  # the same functions by other means, for those that have any
    "identity": lambda z: 1 * z,
    "linear": lambda z: 1 * z,
    "relu": lambda z: (z + abs(z)) / 2,
    "softplus": lambda z: -special.log_expit(-z),
    "hard_threshold": lambda z: np.heaviside(z, 0),
    "logistic": stats.logistic.cdf,
    "tanh": lambda z: 2 * special.expit(2 * z) - 1,
    "leaky_relu": lambda z: np.where(z > 0, z, z / 100),
    "prelu": lambda z: np.where(z > 0, z, z / 4),
    "elu": lambda z: np.where(z > 0, z, np.exp(np.minimum(z, 0)) - 1),
    "selu": lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * (np.exp(np.minimum(z, 0)) - 1)),
    "gelu": lambda z: z / 2 * (1 + special.erf(z / np.sqrt(2))),
    "silu": lambda z: z / 2 * (1 + np.tanh(z / 2)),
    "mish": lambda z: z * (1 - 2 / (1 + (1 + np.exp(z)) ** 2)),
    "softsign": lambda z: np.sign(z) * (1 - 1 / (1 + abs(z))),
    "hard_tanh": lambda z: (abs(z + 1) - abs(z - 1)) / 2,
    "sine": lambda z: np.imag(np.exp(1j * z)),
    "gaussian": lambda z: stats.norm.pdf(z, scale=np.sqrt(0.5)) * np.sqrt(np.pi),
}

every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
every_precision = pytest.mark.parametrize("precision", LARGEST)


def slopes(activation, z, precision="float64"):
    """Compute values and derived slopes at some z, as training does."""
    z = np.asarray(z, precision)
    variables = {"z": variable("z", ("n",))}
    arrays = {"z": z}
    for name, start in learned_arguments_of(activation).items():
        variables[name] = variable(name, ("n",))
        arrays[name] = np.full(z.shape, start, precision)
    values = {variables[name]: array for name, array in arrays.items()}
    arguments = {name: variables[name] for name in variables if name != "z"}
    a = activation(variables["z"], **arguments)
    program = Program([a, *gradient(np.sum(a), list(variables.values()))], dtype=precision)
    return [np.array(result) for result in program.run(values)]


# ---------------------------------------------------------------------------------- the laws


def law_of_the_gradient(activation):
    """The derived gradient is that of the values, in z and in whatever is learned."""
    rng = np.random.default_rng(0)
    starts = learned_arguments_of(activation).values()
    check_gradient(
        activation,
        3 * rng.standard_normal((8, 4)),
        *(start + 0.1 * rng.standard_normal(4) for start in starts),
    )


def law_of_kinks(activation):
    """The derived slope at a kink is the one on its left or the one on its right."""
    h = 1e-7
    for z in KINKS:
        before, at, after = (float(activation(np.array([v]))[0]) for v in (z - h, z, z + h))
        derived = float(slopes(activation, [z])[1][0])
        one_sided = (at - before) / h, (after - at) / h
        assert min(abs(derived - slope) for slope in one_sided) < 1e-6, (z, derived, one_sided)


def law_of_extremes(activation, precision):
    """Values and gradients are finite up to large z, and the values those of the function."""
    magnitudes = np.geomspace(1e-6, LARGEST[precision], 60)
    z = np.concatenate([-magnitudes, [0.0], magnitudes]).astype(precision)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        plain = activation(z)
    results = slopes(activation, z, precision)
    assert all(np.all(np.isfinite(result)) for result in results)
    np.testing.assert_allclose(results[0], plain, rtol=20 * np.finfo(precision).eps, atol=1e-6)


def law_of_precision(activation, precision):
    """Precision and shape stay, in plain calls and in programs."""
    for shape in ((3,), (4, 2), (2, 1, 3), (0, 2)):
        a = activation(np.full(shape, 0.3, precision))
        assert a.shape == shape
        assert a.dtype == precision
    assert all(result.dtype == precision for result in slopes(activation, [0.3, -2.0], precision))


def law_of_the_range(activation, documentation):
    """All values are in the range that the documentation states, and come near both its ends."""
    magnitudes = np.geomspace(1e-6, 1e4, 4000)
    a = activation(np.concatenate([-magnitudes, [0.0], magnitudes]))
    stated = re.search(r"Range: (all numbers|\{0, 1\}|[\[(]\S+, \S+?[\])])[.,]", documentation)
    assert stated, documentation
    if stated[1] == "all numbers":
        low, high = -np.inf, np.inf
    elif stated[1] == "{0, 1}":
        assert set(a) == {0.0, 1.0}
        return
    else:
        low, high = (float(end) for end in stated[1][1:-1].split(", "))
    rounding = 6e-4 if round(low, 1) != low else 1e-12  # ends are stated to a few digits
    assert low - rounding <= a.min()
    assert a.max() <= high
    assert np.isinf(low) or a.min() < low + 1e-3
    assert np.isinf(high) or a.max() > high - 1e-3


def law_of_values(activation, formula):
    """The values are those of an independent formula."""
    z = np.linspace(-12, 12, 2001)
    np.testing.assert_allclose(activation(z), formula(z), rtol=1e-12, atol=1e-13)


def law_of_learning(activation, **parameters):
    """A small network learns what no linear model can."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(150, 2))
    y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2
    parameters = {"solver": "lbfgs", "max_iter": 300, "random_state": 0, **parameters}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        linear = MLPRegressor((), **parameters).fit(X, y).score(X, y)
        network = MLPRegressor((20,), activation, **parameters).fit(X, y)
    assert network.score(X, y) > linear + 0.5


# -------------------------------------------------------------------------- over the registry


@every_activation
def test_gradient(name):
    if ACTIVATIONS[name] is hard_threshold:  # its gradient is meant to be another function's
        z = np.linspace(-2, 2, 41)
        expected = slopes(lambda z: np.clip(z, -1, 1), z)[1]
        np.testing.assert_array_equal(slopes(hard_threshold, z)[1], expected)
    else:
        law_of_the_gradient(ACTIVATIONS[name])


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n != "hard_threshold"])
def test_slope_at_a_kink_is_one_sided(name):
    law_of_kinks(ACTIVATIONS[name])


@every_precision
@every_activation
def test_finite_at_extremes(name, precision):
    law_of_extremes(ACTIVATIONS[name], precision)


@every_precision
@every_activation
def test_precision_and_shape_stay(name, precision):
    law_of_precision(ACTIVATIONS[name], precision)


@every_activation
def test_range_is_the_stated_one(name):
    law_of_the_range(ACTIVATIONS[name], ACTIVATIONS[name].__doc__)


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_those_of_an_independent_formula(name):
    law_of_values(ACTIVATIONS[name], FORMULAS[name])


def test_all_of_them_are_at_the_public_door():
    for f in ACTIVATIONS.values():
        assert getattr(skmlp.activations, f.__name__) is f
        assert f.__name__ in skmlp.activations.__all__


@pytest.mark.parametrize(
    "name", [n for n in (*ACTIVATIONS, *LAYERS) if n not in ("identity", "linear")]
)
def test_network_learns_more_than_a_linear_model(name):
    parameters = {}
    if name == "hard_threshold":  # lbfgs needs the true gradient, which a step does not have
        parameters = {"solver": "adam", "learning_rate_init": 0.01, "restore_best": True}
        parameters |= {"max_iter": 600, "n_iter_no_change": 600}
    law_of_learning(name, **parameters)


@pytest.mark.parametrize("name", [*ACTIVATIONS, *LAYERS])
def test_every_name_is_described(name):
    assert f'"{name}"' in MLPClassifier.__doc__


def test_recommended_initializers_are_known_and_leave_scikit_learn_alone():
    assert set(RECOMMENDED_INITIALIZERS) <= set(ACTIVATIONS)
    assert set(RECOMMENDED_INITIALIZERS.values()) <= set(INITIALIZERS)
    theirs = [ACTIVATIONS[name] for name in SCIKIT_LEARN]
    assert not any(ACTIVATIONS[name] in theirs for name in RECOMMENDED_INITIALIZERS)


def slope_not_differentiated(z, slope=Learned(0.5)):  # noqa: B008
    return z * stop_gradient(slope) + slope


@pytest.mark.parametrize(
    ("law", "wrong"),
    [
        (law_of_the_gradient, lambda z: straight_through(np.tanh(z), z)),
        (law_of_the_gradient, slope_not_differentiated),
        (law_of_kinks, lambda z: np.maximum(z, 0) + np.expm1(np.minimum(z, 0))),
        (law_of_extremes, lambda z: np.log(1 + np.exp(z))),
        (law_of_extremes, lambda z: np.cbrt(np.square(z))),  # 0 / 0 in the gradient
        (law_of_precision, lambda z: np.float64(2) * np.ones(1) * z),
        (law_of_precision, lambda z: np.tanh(z)[None]),
        (law_of_the_range, lambda z: 1.1 * np.tanh(z)),
        (law_of_the_range, lambda z: 0.9 * np.tanh(z)),
        (law_of_values, lambda z: z / 2 * (1 + np.tanh(0.79788 * (z + 0.044715 * z**3)))),
        (law_of_learning, lambda z: 3 * z),
    ],
)
def test_the_laws_can_fail(law, wrong):
    further = {
        law_of_extremes: ["float64"],
        law_of_precision: ["float32"],
        law_of_the_range: ["Range: (-1, 1)."],
        law_of_values: [FORMULAS["gelu"]],
    }
    with pytest.raises((AssertionError, FloatingPointError)):
        law(wrong, *further.get(law, []))


# ------------------------------------------------------------------------- learned arguments


def test_learned_arguments_are_those_marked():
    def f(z, shift=0.5, *, slope=Learned(2), curve=Learned(-1.0)):  # noqa: B008
        return slope * z + shift + curve

    assert learned_arguments_of(f) == {"slope": 2.0, "curve": -1.0}
    assert learned_arguments_of(leaky_relu) == learned_arguments_of(special.expit) == {}
    assert learned_arguments_of(prelu) == {"slope": 0.25}


def test_partial_holds_a_learned_argument_or_starts_it_elsewhere():
    assert learned_arguments_of(functools.partial(prelu, slope=0.1)) == {}
    assert learned_arguments_of(functools.partial(prelu, slope=Learned(0.1))) == {"slope": 0.1}


@pytest.mark.parametrize("start", [np.nan, np.inf])
def test_learned_argument_starts_at_a_finite_number(start):
    with pytest.raises(ValueError, match=f"finite number, got {start}"):
        Learned(start)


def test_learned_is_a_number_that_pickles():
    start = pickle.loads(pickle.dumps(Learned(0.25)))
    assert isinstance(start, Learned)
    assert start == 0.25
    assert repr(start) == "Learned(0.25)"
    assert eval(repr(start)) == start
    z = np.array([-1.0, 1.0], np.float32)
    for a in (start * z, z * start, z + start, np.maximum(z, start), start - z):
        assert a.dtype == np.float32


def test_slope_of_zero_makes_prelu_a_relu():
    z = np.linspace(-3, 3, 61)
    for computed, expected in zip(
        slopes(functools.partial(prelu, slope=0.0), z), slopes(relu, z), strict=True
    ):
        np.testing.assert_array_equal(computed, expected)
