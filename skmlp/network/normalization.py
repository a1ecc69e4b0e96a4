r"""Normalization of a layer's pre-activations.

.. math:: z' = \gamma \frac{z - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

The law: a row of `NORMALIZATIONS` says which mean and variance scale z, and of what training keeps
running statistics. What stands for the statistics of a batch is the occasion's: training computes
them, prediction reads the running ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from ..engine import stop_gradient
from .activations import Learned

EPSILON = 1e-5  # added to a variance, as in both papers' implementations


def moments(z: Any, axis: int, w: Any = None) -> tuple[Any, Any]:
    """Compute mean and variance over an axis, which stays with length 1; w are weights of the rows.

    The variance is the mean squared deviation, without the factor n / (n - 1), so that a row of
    weight 2 is two rows.

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
    """Scale z to mean 0 and variance 1, then by the gain and the shift that each unit has learned.

    Ioffe and Szegedy, "Batch normalization", ICML 2015, arXiv:1502.03167; Ba, Kiros and Hinton,
    "Layer normalization" (2016), arXiv:1607.06450.

    >>> z = np.array([[1.0], [3.0]])
    >>> normalized(z, *moments(z, axis=0), gain=10.0, shift=5.0).round(2)
    array([[-5.],
           [15.]])
    """
    return (z - mean) * (gain / np.sqrt(variance + EPSILON)) + shift


# Computes statistics of a batch, each of shape (1, units), from the weights of its rows, or None.
OfBatch = Callable[[Any], Sequence[Any]]


class Normalization(NamedTuple):
    """A way to normalize the pre-activations z of a layer.

    Attributes
    ----------
    moments : callable
        `moments(z, over_batch)`: the mean and the variance that `normalized` takes. Where they are
        statistics of a batch, it asks for them by `over_batch(of_batch)`, with what computes them.
    running : dict of str to float
        The names of these statistics, in their order, and where their running averages start.
    """

    moments: Callable[[Any, Callable[[OfBatch], Sequence[Any]]], Sequence[Any]]
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
