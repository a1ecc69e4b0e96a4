r"""Normalization of a layer's pre-activations.

The law: a row of `NORMALIZATIONS` says which mean and variance scale z, and of what training keeps
running statistics. What stands for those of a batch is the occasion's: training computes and
observes them, prediction reads the running ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..engine import stop_gradient
from .activations import Learned

EPSILON = 1e-5  # added to a variance, as in both papers' implementations

# What computes statistics of a batch, each of shape (1, units), from the weights of its rows; and
# what is given such a function and says what they are.
OfBatch = Callable[[Any], Sequence[Any]]
OverBatch = Callable[[OfBatch], Sequence[Any]]


def moments(z: Any, axis: int, w: Any = None) -> tuple[Any, Any]:
    """Compute mean and variance over an axis, which stays with length 1.

    The variance is the mean squared deviation, without the factor n / (n - 1), so that a row of
    weight 2 is two rows.

    Parameters
    ----------
    z : array or Expression of shape (n, units)
        Numbers.
    axis : int
        The axis.
    w : array or Expression of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    array or Expression, array or Expression
        Mean and variance.

    Examples
    --------
    >>> moments(np.array([[1.0], [4.0]]), axis=0, w=np.array([2.0, 1.0]))
    (array([[2.]]), array([[2.]]))
    """
    if w is None:
        mean = np.mean(z, axis=axis, keepdims=True)
        return mean, np.mean(_squares(z, mean), axis=axis, keepdims=True)
    shares = (w / np.sum(w))[:, None]
    mean = np.sum(shares * z, axis=axis, keepdims=True)
    return mean, np.sum(shares * _squares(z, mean), axis=axis, keepdims=True)


def _squares(z: Any, mean: Any) -> Any:
    # Deviations sum to 0, so what the gradient of the variance has through the mean is 0.
    return np.square(z - stop_gradient(mean))


def normalized(
    z: Any,
    mean: Any,
    variance: Any,
    gain: Any = Learned(1.0),  # noqa: B008
    shift: Any = Learned(0.0),  # noqa: B008
) -> Any:
    r"""Scale pre-activations to mean 0 and variance 1, then by what each unit has learned.

    .. math:: z' = \gamma \frac{z - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    with gain gamma and shift beta for each unit, and epsilon = 1e-5. Ioffe and Szegedy,
    "Batch normalization", ICML 2015, arXiv:1502.03167; Ba, Kiros and Hinton, "Layer
    normalization" (2016), arXiv:1607.06450.

    Parameters
    ----------
    z : array or Expression of shape (n, units)
        Pre-activations.
    mean, variance : array or Expression
        What they are scaled by, of shape (n, 1), (1, units) or (units,).
    gain, shift : array or Expression of shape (units,)
        Learned for each unit.

    Returns
    -------
    array or Expression of shape (n, units)
        What the activation is applied to.

    Examples
    --------
    >>> z = np.array([[1.0], [3.0]])
    >>> normalized(z, *moments(z, axis=0), gain=10.0, shift=5.0).round(2)
    array([[-5.],
           [15.]])
    """
    return (z - mean) * (gain / np.sqrt(variance + EPSILON)) + shift


class Normalization(NamedTuple):
    """A way to normalize the pre-activations z of a layer.

    Attributes
    ----------
    moments : callable
        `moments(z, over_batch)`: the mean and the variance that `normalized` takes. Where they are
        statistics of a batch, it asks for them by `over_batch(of_batch)`, with a function of the
        weights of the rows, or None, that computes them; each has the shape (1, units).
    running : dict of str to float
        The names of these statistics, in their order, and where their running averages start.
    """

    moments: Callable[[Any, OverBatch], Sequence[Any]]
    running: Mapping[str, float] = MappingProxyType({})


NORMALIZATIONS: Mapping[str, Normalization] = MappingProxyType(
    {
        "layer": Normalization(lambda z, over_batch: moments(z, axis=1)),
        "batch": Normalization(
            lambda z, over_batch: over_batch(lambda w: moments(z, 0, w)),
            {"mean": 0.0, "variance": 1.0},
        ),
    }
)
