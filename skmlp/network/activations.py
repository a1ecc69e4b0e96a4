"""Activations: z -> a, plain NumPy functions.

The law: an activation is one expression of its pre-activation z, elementwise, keeping shape and
precision. Nothing else is written down; its gradient is derived. `activation=` takes a name from
`ACTIVATIONS` or any function of the same kind.

A further argument whose default is `Learned(start)` is a parameter, one number for each unit of
the layer, and is learned with the weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from types import FunctionType, MappingProxyType
from typing import Any, Self

import numpy as np
from scipy import special

from ..engine import BATCH, evaluate, gradient, straight_through, variable
from ..engine.words import shown


class Learned(float):
    """Mark an argument of an activation as learned: its default, and where learning starts.

    Every unit of the layer has its own value, an entry of `activation_parameters_`; the L2
    penalty leaves it alone, as it does biases. Outside of a network it is a float like any other,
    so the function can be called, plotted and checked with `check_gradient`.
    `functools.partial(f, slope=0.1)` holds the argument fixed, `slope=Learned(0.1)` starts it
    elsewhere.

    Parameters
    ----------
    start : float
        Where every unit starts; finite.

    Raises
    ------
    ValueError
        If `start` is not finite.

    Examples
    --------
    A ReLU with a learned slope on each side:

    >>> from skmlp import MLPRegressor
    >>> def two_slopes(z, left=Learned(0.0), right=Learned(1.0)):
    ...     return np.where(z > 0, right * z, left * z)
    >>> two_slopes(np.array([-1.0, 2.0]))
    array([-0.,  2.])
    >>> X, y = np.eye(4), np.arange(4.0)
    >>> model = MLPRegressor((3,), two_slopes, solver="lbfgs", random_state=0).fit(X, y)
    >>> model.activation_parameters_[0].shape
    (2, 3)
    """

    __slots__ = ()

    def __new__(cls, start: float) -> Self:
        """Make the number."""
        if not np.isfinite(start):
            raise ValueError(
                f"a learned parameter must start at a finite number, got {shown(start)}"
            )
        return super().__new__(cls, start)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        # NumPy keeps float32 beside a plain float, but not beside a float of another class.
        numbers = (float(x) if isinstance(x, Learned) else x for x in inputs)
        return getattr(ufunc, method)(*numbers, **options)

    def __repr__(self) -> str:
        return f"Learned({float(self)!r})"


def learned_arguments(activation: Callable[..., Any]) -> dict[str, float]:
    """Return the arguments of an activation that are learned, and where each starts.

    Examples
    --------
    >>> learned_arguments(prelu), learned_arguments(np.tanh)
    ({'slope': 0.25}, {})
    """
    if isinstance(activation, FunctionType) and not (
        activation.__defaults__ or activation.__kwdefaults__ or vars(activation)
    ):
        return {}  # nothing has a default: to ask for the signature takes ten times as long
    try:
        arguments = inspect.signature(activation).parameters.values()
    except (TypeError, ValueError):  # a compiled function that tells nothing
        return {}
    return {a.name: float(a.default) for a in arguments if isinstance(a.default, Learned)}


_ORDINARY = 1e4  # a pre-activation at which an activation is to be finite


def watched_activation(
    activation: Callable[..., Any], number: int, found: list[str]
) -> Callable[..., Any]:
    """Return an activation of arrays that says in `found` where it, or its slope, is not finite.

    It is that of the hidden layer of a number; only ordinary pre-activations count.
    """
    name = getattr(activation, "__name__", repr(activation))
    label = f"np.{name}" if getattr(np, name, None) is activation else name

    @wraps(activation)
    def watched(z: np.ndarray, **learned: Any) -> np.ndarray:
        x = variable("z", (BATCH, *z.shape[1:]))
        outputs = activation(x, **learned)
        value, slope = evaluate([outputs, *gradient(np.sum(outputs), [x])], {x: z}, z.dtype)
        for of, numbers in (("", value), ("the slope of ", slope)):
            wrong = ~np.isfinite(numbers) & (np.abs(z) <= _ORDINARY)
            if wrong.any():
                at, number_there = z[wrong][0], numbers[wrong][0]
                found.append(
                    f"{of}activation={label} is {number_there} at the pre-activation {at:.3g} in "
                    f"hidden layer {number}; {_cure(bool(of), float(at), float(number_there))}"
                )
        return value

    return watched


def _cure(is_slope: bool, at: float, number: float) -> str:
    if abs(at) > 1 and np.isinf(number):
        return "scale the inputs (StandardScaler), lower learning_rate_init, or clip z"
    if is_slope:
        return "make it finite for every number, as that of np.sqrt(z * z + 1e-6) is"
    return "make it finite for every number, as np.log1p(np.abs(z)) or np.sqrt(z * z + 1) are"


def identity(z: Any) -> Any:
    """Return z itself, the linear activation: a = z.

    Range: all numbers. A network of linear layers is linear; useful as a bottleneck.

    >>> identity(np.array([-1.0, 2.0]))
    array([-1.,  2.])
    """
    return z


def relu(z: Any) -> Any:
    """Compute the rectified linear unit: a = max(0, z).

    Range: [0, inf). The default for hidden layers: it does not saturate for positive z. Its
    gradient at 0 is taken as 0. Nair and Hinton, ICML 2010.

    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return np.maximum(z, 0)


def softplus(z: Any) -> Any:
    """Compute the soft ReLU: a = log(1 + exp(z)).

    Range: (0, inf). A smooth ReLU, whose derivative is the logistic function. Dugas et al.,
    NIPS 2000.

    >>> softplus(np.array([-1000.0, 0.0, 1000.0])).round(3)
    array([0.00e+00, 6.93e-01, 1.00e+03])
    """
    return np.logaddexp(z, 0)


def hard_threshold(z: Any) -> Any:
    """Compute the step: a = 1 if z > 0 else 0.

    Range: {0, 1}, the perceptron's unit (Rosenblatt 1958). Its derivative is 0 wherever it
    exists, so nothing could be learned through it; the gradient used instead is the
    straight-through estimator, that of clip(z, -1, 1): 1 where abs(z) <= 1, else 0 (Bengio,
    Leonard and Courville 2013, arXiv:1308.3432).

    >>> hard_threshold(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return straight_through(np.sign(np.maximum(z, 0)), np.clip(z, -1, 1))


def logistic(z: Any) -> Any:
    """Compute the logistic function: a = 1 / (1 + exp(-z)).

    Range: (0, 1). It saturates on both sides, so gradients vanish in deep networks.

    >>> logistic(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return special.expit(z)


def tanh(z: Any) -> Any:
    """Compute the hyperbolic tangent: a = tanh(z) = 2 logistic(2 z) - 1.

    Range: (-1, 1). Centered, so easier to train than the logistic function, but it saturates too
    (LeCun et al., Efficient BackProp, 1998).

    >>> tanh(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    return np.tanh(z)


def leaky_relu(z: Any, slope: float = 0.01) -> Any:
    """Compute the leaky ReLU: a = z if z > 0 else slope * z.

    Range: all numbers. A ReLU whose units cannot die: the gradient is never 0. At 0 it is taken
    as `slope`. `functools.partial(leaky_relu, slope=0.2)` has another one. Maas, Hannun and Ng,
    ICML 2013.

    >>> leaky_relu(np.array([-100.0, 2.0]))
    array([-1.,  2.])
    """
    return np.maximum(z, 0) + slope * np.clip(z, None, 0)


def prelu(z: Any, slope: Any = Learned(0.25)) -> Any:  # noqa: B008
    """Compute the parametric ReLU: a = z if z > 0 else slope * z, with a learned slope.

    Range: all numbers. Each unit finds out how much of a negative z to let through, at the price
    of one number a unit. It starts at 0.25. He, Zhang, Ren and Sun, ICCV 2015, arXiv:1502.01852.

    >>> prelu(np.array([-100.0, 2.0]))
    array([-25.,   2.])
    """
    return np.maximum(z, 0) + slope * np.clip(z, None, 0)


def elu(z: Any, scale: float = 1.0) -> Any:
    """Compute the exponential linear unit: a = z if z > 0 else scale * (exp(z) - 1).

    Range: (-1, inf), from -`scale`. Its mean is nearer to 0 than a ReLU's, which speeds up
    learning, and large negative z are ignored smoothly. Clevert, Unterthiner and Hochreiter,
    ICLR 2016, arXiv:1511.07289.

    >>> elu(np.array([-1000.0, 0.0, 1000.0]))
    array([  -1.,    0., 1000.])
    """
    return np.maximum(z, 0) + scale * np.expm1(np.clip(z, None, 0))


def selu(z: Any) -> Any:
    """Compute the scaled ELU: a = 1.0507 elu(z, 1.6733).

    Range: (-1.7581, inf). The two constants make mean 0 and variance 1 a fixed point from layer
    to layer, for weights drawn with "lecun_normal" and standardized inputs, so deep networks train
    without normalization. Klambauer et al., NIPS 2017, arXiv:1706.02515.

    >>> selu(np.array([-1000.0, 0.0, 1.0])).round(4)
    array([-1.7581,  0.    ,  1.0507])
    """
    return 1.0507009873554805 * elu(z, 1.6732632423543772)


def gelu(z: Any) -> Any:
    """Compute the Gaussian error linear unit: a = z Phi(z), Phi the normal distribution function.

    Range: [-0.17, inf). A smooth ReLU that dips below 0 once; usual in transformers. This is the
    exact form, not the approximation through tanh. Hendrycks and Gimpel 2016, arXiv:1606.08415.

    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    return z * special.ndtr(z)


def silu(z: Any) -> Any:
    """Compute the sigmoid linear unit, or swish: a = z / (1 + exp(-z)).

    Range: [-0.2785, inf). A smooth ReLU like gelu, cheaper to compute. Elfwing, Uchibe and Doya,
    Neural Networks 2018, arXiv:1702.03118.

    >>> silu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    return z * special.expit(z)


def mish(z: Any) -> Any:
    """Compute mish: a = z tanh(log(1 + exp(z))).

    Range: [-0.3088, inf). A smooth ReLU like silu, with a deeper dip; Holzmueller et al. (2024,
    arXiv:2407.04491) chose it for tabular regression. Misra, BMVC 2020, arXiv:1908.08681.

    >>> mish(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.3034,  0.    ,  0.8651])
    """
    return z * np.tanh(np.logaddexp(z, 0))


def softsign(z: Any) -> Any:
    """Compute the soft sign: a = z / (1 + abs(z)).

    Range: (-1, 1). Like tanh, but it saturates slowly, so gradients vanish later. Glorot and
    Bengio, AISTATS 2010.

    >>> softsign(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    """
    return z / (1 + np.abs(z))


def hard_tanh(z: Any) -> Any:
    """Compute the hard tanh: a = min(max(z, -1), 1).

    Range: [-1, 1]. A piecewise linear tanh, cheap, whose units are exactly -1 or 1 where they
    saturate; there the gradient is 0. Collobert et al., JMLR 2011.

    >>> hard_tanh(np.array([-3.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    return np.clip(z, -1, 1)


def sine(z: Any) -> Any:
    """Compute the sine: a = sin(z).

    Range: [-1, 1]. For signals, waves and their derivatives. Weights must start small enough for
    the frequencies of the data: scale the inputs up where it learns too smooth a function.
    Sitzmann et al., NeurIPS 2020, arXiv:2006.09661.

    >>> sine(np.array([0.0, np.pi / 2]))
    array([0., 1.])
    """
    return np.sin(z)


def gaussian(z: Any) -> Any:
    """Compute the Gaussian: a = exp(-z^2).

    Range: (0, 1]. It answers to z near 0 alone, a ridge across the inputs, and learns fine detail
    of signals and images; a bump around a center is `RadialBasis`. Ramasinghe and Lucey,
    ECCV 2022, arXiv:2111.15135.

    >>> gaussian(np.array([-1000.0, 0.0, 1.0])).round(4)
    array([0.    , 1.    , 0.3679])
    """
    return np.exp(-np.square(z))


ACTIVATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "identity": identity,
        "linear": identity,
        "relu": relu,
        "softplus": softplus,
        "hard_threshold": hard_threshold,
        "logistic": logistic,
        "tanh": tanh,
        "leaky_relu": leaky_relu,
        "prelu": prelu,
        "elu": elu,
        "selu": selu,
        "gelu": gelu,
        "silu": silu,
        "mish": mish,
        "softsign": softsign,
        "hard_tanh": hard_tanh,
        "sine": sine,
        "gaussian": gaussian,
    }
)

# What weight_init="auto" takes for the weights of a layer with the activation: what its authors
# recommend, or what keeps the variance of z. Every activation not listed, and any function of the
# user's, starts as in scikit-learn.
RECOMMENDED_INITIALIZERS: Mapping[str, str] = MappingProxyType(
    {
        "leaky_relu": "he_normal",  # He et al. 2015: ReLUs halve the variance
        "prelu": "he_normal",
        "elu": "he_normal",  # Clevert et al. 2016
        "selu": "lecun_normal",  # Klambauer et al. 2017, whose fixed point asks for 1 / inputs
        "gelu": "he_normal",  # the smooth ReLUs are taken as ReLUs
        "silu": "he_normal",
        "mish": "he_normal",
        "softsign": "glorot_uniform",  # Glorot and Bengio 2010
        "hard_tanh": "glorot_uniform",
        "sine": "he_uniform",  # Sitzmann et al. 2020: +-sqrt(6 / inputs)
        "gaussian": "lecun_normal",  # z as wide as the bump
    }
)

# Made of the rows; in this way since type checkers, which see all names, go by a plain one alone.
globals()["__all__"] = ["ACTIVATIONS", "Learned", *{f.__name__ for f in ACTIVATIONS.values()}]
