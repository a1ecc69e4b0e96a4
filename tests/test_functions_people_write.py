"""Activations and losses as people write them in NumPy: they run, with the right gradients.

They are from papers, blogs, and code for autograd, JAX, Keras and PyTorch, in NumPy's words. What
cannot run says in one sentence what to write instead.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebval
from scipy import special

from skmlp import Head, MLPRegressor, check_gradient

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
UNITS = 6


def maxout(z):
    return np.repeat(z.reshape(z.shape[0], -1, 2).max(axis=-1), 2, axis=1)


def glu(z):
    value, gate = np.split(z, 2, axis=1)
    return np.tile(value / (1 + np.exp(-gate)), (1, 2))


def swiglu(z):
    half = z.shape[1] // 2
    a, b = z[:, :half], z[:, half:]
    return np.hstack([a * special.expit(a) * b, b])


def layer_norm(z, epsilon=1e-5):
    mean = z.mean(axis=-1, keepdims=True)
    return (z - mean) / np.sqrt(z.var(axis=-1, keepdims=True) + epsilon)


def stable_sigmoid(z):
    return np.piecewise(
        z, [z >= 0], [lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(z) / (1 + np.exp(z))]
    )


def squash(z):
    length = np.linalg.norm(z, axis=1, keepdims=True)
    return length**2 / (1 + length**2) * z / (length + 1e-9)


def with_bias(z):
    shape = np.ones_like(z[:, :1])
    return np.concatenate([z[:, 1:], shape], axis=1) * z


def snake_by_column(z):
    alpha = np.linspace(0.5, 1.5, z.shape[1])
    return z + np.sin(alpha * z) ** 2 / alpha


def cast_mask(z):
    mask = (z > 0).astype(z.dtype)
    return mask * z + (1 - mask) * 0.1 * z


def quadratic_form(z):
    A = np.eye(z.shape[-1]) + 0.1
    return z * np.einsum("ni,ij,nj->n", z, A, z)[:, None] * 0.1


def top_two(z):
    threshold = np.sort(z, axis=1)[:, -2]
    return np.where(z >= threshold[:, None], z, 0.0)


def group_sort(z):
    return np.sort(z.reshape(-1, z.shape[1] // 2, 2), axis=-1).reshape(z.shape)


# All of z, shape (n, 6).
ACTIVATIONS = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "sigmoid of e": lambda z: (1 + np.e**-z) ** -1,
    "sigmoid, stable": stable_sigmoid,
    "swish": lambda z: z * (1.0 / (1.0 + np.exp(-1.5 * z))),
    "silu": lambda z: z / (np.exp(-z) + 1),
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "softplus, sharp": lambda z: np.log1p(np.exp(3 * z)) / 3,
    "softplus, stable": lambda z: np.log1p(np.exp(-np.fabs(z))) + np.maximum(z, 0),
    "mish": lambda z: z * np.tanh(np.log1p(np.exp(z))),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "tanh of lecun": lambda z: 1.7159 * np.tanh(2 / 3 * z),
    "gelu": lambda z: 0.5 * z * (1 + special.erf(z / np.sqrt(2))),
    "gelu by tanh": lambda z: (
        0.5 * z * (1 + np.tanh(math.sqrt(2 / np.pi) * (z + 0.044715 * np.power(z, 3))))
    ),
    "gelu, quick": lambda z: z * special.expit(1.702 * z),
    "elu": lambda z: np.where(z > 0, z, np.exp(z) - 1),
    "selu": lambda z: 1.0507 * np.where(z > 0, z, 1.67326 * np.expm1(z)),
    "celu": lambda z: np.maximum(0, z) + np.minimum(0, 1.5 * np.expm1(z / 1.5)),
    "relu": lambda z: z * (z > 0),
    "relu by abs": lambda z: (z + np.abs(z)) / 2,
    "relu 6": lambda z: np.minimum(np.maximum(z, 0), 6),
    "leaky relu": lambda z: np.where(z > 0, z, z * 0.01),
    "cast mask": cast_mask,
    "crelu": lambda z: np.concatenate([np.maximum(z, 0), np.maximum(-z, 0)], axis=1)[:, ::2],
    "hard sigmoid": lambda z: np.clip(0.2 * z + 0.5, 0.0, 1.0),
    "hard swish": lambda z: z * np.clip(z + 3, 0, 6) / 6,
    "hard shrink": lambda z: np.select([z > 0.5, z < -0.5], [z, z], default=0.0),
    "soft shrink": lambda z: np.sign(z) * np.maximum(np.fabs(z) - 0.5, 0),
    "threshold, by pieces": lambda z: np.piecewise(
        z, [z < -1, (z >= -1) & (z < 1), z >= 1], [0, lambda z: 0.5 * (z + 1), 1]
    ),
    "sqrt by pieces": lambda z: np.piecewise(
        z, [z > 0.1, z < -0.1], [np.sqrt, lambda z: -np.sqrt(-z), lambda z: z]
    ),
    "log by choice": lambda z: np.where(z > 0, np.log(1 + z), -np.log(1 - z)),
    "symmetric log": lambda z: np.sign(z) * np.log1p(np.abs(z)),
    "square root": lambda z: np.sign(z) * (np.sqrt(np.abs(z) + 1) - 1),
    "bent identity": lambda z: (np.sqrt(z**2 + 1) - 1) / 2 + z,
    "squareplus": lambda z: (z + np.sqrt(z**2 + 4)) / 2,
    "isru": lambda z: z / np.sqrt(1 + 0.5 * np.square(z)),
    "softsign": lambda z: z / (1 + abs(z)),
    "arctan": lambda z: np.arctan(z) * 2 / np.pi,
    "gudermannian": lambda z: 2 * np.arctan(np.tanh(z / 2)),
    "complementary log-log": lambda z: 1 - np.exp(-np.exp(z)),
    "logit": lambda z: special.logit(0.25 + 0.5 * special.expit(z)),
    "phish": lambda z: z * np.tanh(0.5 * z * (1 + special.erf(z / np.sqrt(2)))),
    "smooth step": lambda z: np.clip(z, 0, 1) ** 2 * (3 - 2 * np.clip(z, 0, 1)),
    "snake": lambda z: z + np.sin(z) ** 2,
    "snake by column": snake_by_column,
    "sinc": np.sinc,
    "sinc by hand": lambda z: np.where(z == 0, 1.0, np.sin(z) / np.where(z == 0, 1.0, z)),
    "degrees": lambda z: np.sin(np.deg2rad(90 * z)),
    "radians": lambda z: np.rad2deg(np.tanh(z)) / 90,
    "saw": lambda z: z % 1,
    "triangle wave": lambda z: np.abs(np.mod(z, 2) - 1),
    "fraction": lambda z: z - np.floor(z),
    "staircase": lambda z: z // 1 + (z - z // 1) ** 3,
    "growing cosine": lambda z: z * np.cos(z),
    "gaussian": lambda z: np.exp(-(z**2)),
    "rbf to centers": lambda z: np.exp(
        -np.sum((z[:, :, None] - np.linspace(-1, 1, 4)) ** 2, axis=-1)
    ),
    "ricker": lambda z: (1 - z**2) * np.exp(-0.5 * z**2),
    "legendre": lambda z: np.polyval([2.5, 0.0, -1.5, 0.0], np.tanh(z)),
    "chebyshev": lambda z: chebval(np.tanh(z), [0.1, 1.0, 0.5]),
    "maxout": maxout,
    "glu": glu,
    "swiglu": swiglu,
    "softmax": lambda z: np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True),
    "softmax, shifted": lambda z: (
        np.exp(z - z.max(axis=1)[:, None]) / np.exp(z - z.max(axis=1)[:, None]).sum(1)[:, None]
    ),
    "layer norm": layer_norm,
    "rms norm": lambda z: z / np.sqrt(np.mean(z**2, axis=-1, keepdims=True) + 1e-6),
    "unit length": lambda z: z / np.linalg.norm(z, axis=1, keepdims=True),
    "squash": squash,
    "quadratic form": quadratic_form,
    "einsum of columns": lambda z: np.einsum("ij,jk->ik", z, np.full((6, 6), 0.2)),
    "inner": lambda z: np.inner(z, np.tri(6)),
    "outer of a column": lambda z: np.outer(z[:, 0], np.arange(6.0)) + z,
    "products": lambda z: z * np.prod(np.tanh(z[:, :3]), axis=1, keepdims=True),
    "differences": lambda z: np.concatenate([z[:, :1], np.diff(z, axis=1)], axis=1),
    "neighbors": lambda z: z + 0.5 * np.roll(z, 1, axis=1),
    "mirrored": lambda z: z * np.flip(z, axis=1),
    "shuffled columns": lambda z: np.tanh(z)[:, [1, 0, 3, 2, 5, 4]] * z,
    "stacked": lambda z: np.stack([z, -z, np.sin(z)], axis=-1).max(axis=-1),
    "stacked by rows": lambda z: np.vstack([z[:, 0], z[:, 1]]).T @ np.ones((2, 6)) + z,
    "nothing infinite": lambda z: np.nan_to_num(1 / np.where(np.abs(z) < 0.1, np.inf, z)),
    "zeros of its shape": lambda z: np.maximum(np.zeros_like(z), z) + np.full_like(z, 0.5),
    "zeros of its columns": lambda z: z * (np.zeros(z.shape[1]) + np.arange(z.shape[-1])),
    "flattened and back": lambda z: np.tanh(z.T).T.reshape(z.shape).copy(),
    "methods": lambda z: z.clip(-1, 1) - z.std(axis=1, keepdims=True) + z.squeeze().cumsum(axis=1),
    "top two": top_two,
    "group sort": group_sort,
    "average": lambda z: z - np.average(z, axis=1, weights=np.arange(1.0, 7.0))[:, None],
    "median": lambda z: z - np.median(z, axis=1, keepdims=True),
    "any": lambda z: np.where(np.any(z > 0, axis=1, keepdims=True), z, 0.1 * z),
    "huber": lambda z: special.huber(1.0, z),
    "with_bias": with_bias,
}


def _if(z):
    return z if z > 0 else 0.01 * z


def _masked(z):
    z[z < 0] = 0
    return z


def _doubled(z):
    z *= 2
    return z


def _columns(z):
    out = np.zeros(z.shape)
    out[:, 0] = z[:, 0]
    return out


def _loop(z):
    return np.array([[max(0, number) for number in row] for row in z])


# What cannot run: the error, and what it says to write instead.
TOLD = {
    "if": (_if, TypeError, "np.where"),
    "max of python": (lambda z: max(0, z), TypeError, "np.where"),
    "masked assignment": (_masked, TypeError, "np.where"),
    "assignment of a column": (_columns, ValueError, r"np.zeros_like\(z\)"),
    "in place": (_doubled, TypeError, r"z = z \* 1"),
    "math": (math.exp, TypeError, "np.exp"),
    "math.tanh": (lambda z: z * math.tanh(z), TypeError, "NumPy functions"),
    "float": (lambda z: 2 * np.float32(z), TypeError, "NumPy functions"),
    "vectorize": (np.vectorize(lambda x: max(x, 0.0)), TypeError, "np.vectorize"),
    "loop": (_loop, TypeError, r"z\[:, 0\]"),
    "along an axis": (lambda z: np.apply_along_axis(np.sum, 1, z), TypeError, "one NumPy expr"),
    "zeros": (lambda z: z + np.zeros(z.shape), ValueError, r"np.zeros_like\(z\)"),
    "ones": (lambda z: z + np.ones((z.shape[0], 6)), ValueError, r"np.ones_like\(z\[:, :1\]\)"),
    "full": (lambda z: np.full(z.shape, 0.1) * z, ValueError, r"np.zeros_like\(z\)"),
    "empty": (lambda z: np.empty(z.shape[0]) + z, ValueError, r"np.zeros_like\(z\)"),
    "identity": (lambda z: np.eye(z.shape[0]) @ z, ValueError, "number of rows"),
    "noise": (lambda z: z + np.random.normal(size=z.shape), ValueError, "input_noise="),  # noqa: NPY002
    "dropout": (lambda z: z * (np.random.rand(*z.shape) > 0.5), ValueError, "dropout="),  # noqa: NPY002
    "binomial": (lambda z: z * np.random.binomial(1, 0.5, z.shape), ValueError, "dropout="),  # noqa: NPY002
    "number of numbers": (lambda z: z / (z.shape[0] * z.shape[1]), ValueError, "number of rows"),
    "loop over rows": (lambda z: [z[i] for i in range(z.shape[0])], ValueError, "number of rows"),
    "one of two": (lambda z: z if z.shape[0] > 1 else 0 * z, ValueError, "number of rows"),
    "argmax": (lambda z: np.eye(6)[np.argmax(z, axis=1)], TypeError, r"z == np.max\(z, axis=1"),
    "quantile": (lambda z: z - np.quantile(z, 0.9, axis=1), TypeError, r"np.sort\(z, axis=1\)"),
    "interp": (lambda z: np.interp(z, [-1, 1], [0, 1]), TypeError, r"np.clip"),
    "scipy softmax": (lambda z: special.softmax(z, axis=1), TypeError, "skmlp.engine"),
    "bessel": (special.j1, TypeError, "skmlp.engine.register"),
    "convolution": (lambda z: np.convolve(z[:, 0], [1, 2]), TypeError, "convolve"),
}

# What mixes rows: a prediction would depend on the rows beside it.
MIXING = {
    "cumsum": lambda z: np.cumsum(z, axis=0),
    "sort": lambda z: np.sort(z, axis=0),
    "median": lambda z: z - np.median(z),
    "reversed": lambda z: z[::-1],
    "flipped": lambda z: np.flip(z, axis=0),
    "flipped all": np.flip,
    "rolled": lambda z: np.roll(z, 1, axis=0),
    "rolled all": lambda z: np.roll(z, 1),
    "less the first": lambda z: z - z[0],
    "some rows": lambda z: z[[0, 0]],
    "gram": lambda z: z @ (z.T @ z),
    "pairs": lambda z: z @ z.T @ z,
    "inner": lambda z: np.inner(z, z) @ z,
    "einsum": lambda z: np.einsum("ni,nj->ij", z, z) @ np.ones(6) * z,
    "norm": lambda z: z / np.linalg.norm(z),
    "norm of columns": lambda z: z / np.linalg.norm(z, axis=0),
    "sum": lambda z: z / np.sum(z),
    "mean": lambda z: z - z.mean(axis=0),
    "batch norm": lambda z: (z - z.mean(0)) / (z.std(0) + 1e-6),
    "min max": lambda z: (z - z.min()) / (z.max() - z.min()),
    "product": lambda z: z * np.prod(z, axis=0),
    "any": lambda z: z * np.any(z > 0, axis=0),
    "all": lambda z: z * np.all(z > 0),
    "average": lambda z: z - np.average(z, axis=0),
    "difference of rows": lambda z: np.diff(z, axis=0),
    "rows below each other": lambda z: np.vstack([z, z]),
    "tiled rows": lambda z: np.tile(z, (2, 1)),
    "repeated rows": lambda z: np.repeat(z, 2, axis=0),
    "repeated all": lambda z: np.repeat(z, 2),
    "split rows": lambda z: np.split(z, 2)[0],
    "number of numbers": lambda z: z - np.sum(z) / z.size,
    "outer": lambda z: np.outer(z, z),
    "flattened": lambda z: z.ravel(),
    "count": lambda z: z * np.count_nonzero(z > 0),
}


@dataclass(frozen=True)
class Loss(Head):
    """A regression head of a function of one column of outputs and one of targets."""

    function: Callable[..., Any]

    def loss(self, raw, y):
        return self.function(raw, y)


def rho(p, y):
    error = p - y
    return np.select(
        [np.abs(error) <= 1.0, np.abs(error) > 1.0], [0.5 * error**2, np.abs(error) - 0.5]
    ).sum(axis=1)


def tukey(p, y, c=4.685):
    inside = np.abs(p - y) <= c
    return np.where(inside, c**2 / 6 * (1 - (1 - ((p - y) / c) ** 2) ** 3), c**2 / 6)[:, 0]


# Of p, the outputs, and y, the targets (0 to 2), both of shape (n, 1); one number a row.
LOSSES = {
    "squared": lambda p, y: np.square(p - y).sum(axis=1),
    "squared, by einsum": lambda p, y: np.einsum("ij,ij->i", p - y, p - y),
    "squared, by norm": lambda p, y: np.linalg.norm(p - y, axis=1) ** 2,
    "absolute": lambda p, y: np.mean(np.fabs(p - y), axis=-1),
    "huber by select": rho,
    "huber by where": lambda p, y: np.where(
        np.abs(p - y) < 1, 0.5 * (p - y) ** 2, np.abs(p - y) - 0.5
    )[:, 0],
    "huber of scipy": lambda p, y: special.huber(1.35, p - y)[:, 0],
    "pseudo-huber": lambda p, y: special.pseudo_huber(0.5, p - y).squeeze(axis=1),
    "log-cosh": lambda p, y: np.log(np.cosh(p - y))[:, 0],
    "log-cosh, stable": lambda p, y: (
        np.abs(p - y) + np.log1p(np.exp(-2 * np.abs(p - y))) - np.log(2)
    )[:, 0],
    "quantile": lambda p, y: np.maximum(0.9 * (y - p), -0.1 * (y - p))[:, 0],
    "expectile": lambda p, y: (np.where(y > p, 0.9, 0.1) * (y - p) ** 2).ravel(),
    "epsilon-insensitive": lambda p, y: np.clip(np.abs(p - y) - 0.1, 0, None)[:, 0],
    "cauchy": lambda p, y: np.log1p(0.5 * (p - y) ** 2).sum(-1),
    "geman-mcclure": lambda p, y: ((p - y) ** 2 / ((p - y) ** 2 + 4))[:, 0],
    "tukey": tukey,
    "welsch": lambda p, y: (1 - np.exp(-0.5 * (p - y) ** 2))[:, 0],
    "linex": lambda p, y: (np.exp(0.5 * (p - y)) - 0.5 * (p - y) - 1)[:, 0],
    "poisson": lambda p, y: (np.exp(p) - y * p)[:, 0],
    "poisson through softplus": lambda p, y: (
        np.log(1 + np.exp(p)) - y * np.log(np.log(1 + np.exp(p)) + 1e-9)
    )[:, 0],
    "squared log": lambda p, y: (np.log1p(np.maximum(p, 0)) - np.log1p(y)).ravel() ** 2,
    "percentage": lambda p, y: np.mean(np.abs(p - y) / np.maximum(np.abs(y), 1e-3), axis=1),
    "log loss": lambda p, y: (
        -(
            (y > 1) * np.log(1 / (1 + np.exp(-p))) + (y <= 1) * np.log(1 - 1 / (1 + np.exp(-p)))
        ).astype(float)[:, 0]
    ),
    "log loss, clipped": lambda p, y: (
        -np.where(
            y > 1,
            np.log(np.clip(special.expit(p), 1e-7, 1 - 1e-7)),
            np.log1p(-np.clip(special.expit(p), 1e-7, 1 - 1e-7)),
        )[:, 0]
    ),
    "logits": lambda p, y: (np.maximum(p, 0) - p * (y / 2) + np.log1p(np.exp(-np.abs(p))))[:, 0],
    "hinge": lambda p, y: np.maximum(0, 1 - p * np.sign(y - 1))[:, 0],
    "squared hinge": lambda p, y: np.square(np.clip(1 - p * (2 * (y > 1) - 1), 0, None))[:, 0],
    "relative entropy": lambda p, y: special.kl_div(y / 2, special.expit(p))[:, 0],
    "gaussian kernel": lambda p, y: -np.exp(-np.sum((p - y) ** 2, axis=1) / np.prod([2.0, 0.5])),
    "wrapped angle": lambda p, y: np.square((p - y + np.pi) % (2 * np.pi) - np.pi)[:, 0],
}

RNG = np.random.RandomState(0)
X = RNG.normal(size=(60, 4))
Y = np.clip(1 + 0.5 * X[:, 0] + 0.1 * RNG.normal(size=60), 0.05, 2)
Z = RNG.normal(size=(7, UNITS)) * 1.3


def quick(**parameters):
    return MLPRegressor(**({"max_iter": 3, "random_state": 0} | parameters))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_is_fitted_with_the_right_slopes(name):
    function = ACTIVATIONS[name]
    assert check_gradient(function, Z) < 1e-5
    for dtype in ("float64", "float32"):
        model = quick(hidden_layer_sizes=(UNITS,), activation=function, dtype=dtype).fit(X, Y)
        assert np.isfinite(model.predict(X)).all()
    one_by_one = [model.predict(row[None])[0] for row in X[:5]]
    np.testing.assert_allclose(one_by_one, model.predict(X)[:5], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_fitted_with_the_right_slopes(name):
    function = LOSSES[name]
    assert check_gradient(function, Z[:, :1], Y[:7, None]) < 1e-5
    model = quick(hidden_layer_sizes=(5,), head=Loss(function)).fit(X, Y)
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("name", TOLD)
def test_what_cannot_run_says_what_to_write(name):
    function, error, instead = TOLD[name]
    model = quick(hidden_layer_sizes=(UNITS,), activation=function)
    with pytest.raises(error, match=instead) as caught:
        model.fit(X, Y)
    assert "\n" not in str(caught.value)
    assert 20 < len(str(caught.value)) < 300
    assert not hasattr(model, "coefs_")


def test_what_draws_random_numbers_is_refused():
    rng = np.random.default_rng(0)
    model = quick(hidden_layer_sizes=(UNITS,), activation=lambda z: z * rng.uniform(size=UNITS))
    with pytest.raises(ValueError, match=r"hidden layer 1.* the same each time.*dropout="):
        model.fit(X, Y)
    fixed = rng.uniform(size=UNITS)
    quick(hidden_layer_sizes=(UNITS,), activation=lambda z: z * fixed).fit(X, Y)


@pytest.mark.parametrize("name", MIXING)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_mixes_rows_is_refused(name, method):
    model = quick(hidden_layer_sizes=(UNITS,), activation=MIXING[name])
    words = r"rows|axis=1|reshape\(-1, \.\.\.\)"
    with pytest.raises((TypeError, ValueError, IndexError), match=words) as caught:
        getattr(model, method)(X, Y)
    assert "\n" not in str(caught.value)
    assert not hasattr(model, "coefs_")
