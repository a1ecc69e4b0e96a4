"""Activations: z -> a, plain NumPy functions.

The law: an activation is one expression of its pre-activation z, elementwise, keeping shape and
precision. Nothing else is written down; its gradient is derived. `activation=` takes a name from
`ACTIVATIONS` or any function of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import special

from .engine import straight_through


def identity(z: Any) -> Any:
    """Return z itself, the linear activation: a = z.

    Range: all numbers. A network of linear layers is linear; useful as a bottleneck.

    Parameters
    ----------
    z : array or Expression
        Pre-activations.

    Returns
    -------
    array or Expression
        Activations, of the same shape.

    Examples
    --------
    >>> identity(np.array([-1.0, 2.0]))
    array([-1.,  2.])
    """
    return z


def relu(z: Any) -> Any:
    """Compute the rectified linear unit: a = max(0, z).

    Range: [0, inf). The default for hidden layers: it does not saturate for positive z. Its
    gradient at 0 is taken as 0. Nair and Hinton, ICML 2010.

    Parameters
    ----------
    z : array or Expression
        Pre-activations.

    Returns
    -------
    array or Expression
        Activations, of the same shape.

    Examples
    --------
    >>> relu(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    return np.maximum(z, 0)


def softplus(z: Any) -> Any:
    """Compute the soft ReLU: a = log(1 + exp(z)).

    Range: (0, inf). A smooth ReLU, whose derivative is the logistic function. Dugas et al.,
    NIPS 2000.

    Parameters
    ----------
    z : array or Expression
        Pre-activations.

    Returns
    -------
    array or Expression
        Activations, of the same shape.

    Examples
    --------
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

    Parameters
    ----------
    z : array or Expression
        Pre-activations.

    Returns
    -------
    array or Expression
        Activations, of the same shape.

    Examples
    --------
    >>> hard_threshold(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return straight_through(np.sign(np.maximum(z, 0)), np.clip(z, -1, 1))


def logistic(z: Any) -> Any:
    """Compute the logistic function: a = 1 / (1 + exp(-z)).

    Range: (0, 1). It saturates on both sides, so gradients vanish in deep networks.

    Parameters
    ----------
    z : array or Expression
        Pre-activations.

    Returns
    -------
    array or Expression
        Activations, of the same shape.

    Examples
    --------
    >>> logistic(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return special.expit(z)


def tanh(z: Any) -> Any:
    """Compute the hyperbolic tangent: a = tanh(z) = 2 logistic(2 z) - 1.

    Range: (-1, 1). Centred, so easier to train than the logistic function, but it saturates too
    (LeCun et al., Efficient BackProp, 1998).

    Parameters
    ----------
    z : array or Expression
        Pre-activations.

    Returns
    -------
    array or Expression
        Activations, of the same shape.

    Examples
    --------
    >>> tanh(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """
    return np.tanh(z)


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "identity": identity,
    "linear": identity,
    "relu": relu,
    "softplus": softplus,
    "hard_threshold": hard_threshold,
    "logistic": logistic,
    "tanh": tanh,
}
