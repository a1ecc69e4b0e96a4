"""Initializers: how weights are drawn.

The law: (rng, inputs, outputs) -> a weight matrix; biases start at 0. `INITIALIZERS` stands right
under the definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from ..engine.values import name_of, told
from .activations import ACTIVATIONS, RECOMMENDED_INITIALIZERS


@dataclass(frozen=True)
class VarianceScaling:
    """Independent weights of mean 0 and variance scale / fan.

    Parameters
    ----------
    scale : float
        The factor that makes up for the activation.
    fan : {"inputs", "average"}
        What the variance is divided by: the number of inputs of a unit keeps the variance of
        activations from layer to layer, the average of inputs and outputs that of gradients too.
    distribution : {"uniform", "normal"}
        Uniform weights are bounded by sqrt(3 scale / fan).

    Examples
    --------
    >>> rng = np.random.RandomState(0)
    >>> W = VarianceScaling(2.0, "inputs", "normal")(rng, 200, 100)
    >>> W.shape, f"{W.var():.3f}"
    ((200, 100), '0.010')
    """

    scale: float
    fan: str
    distribution: str

    def __call__(self, rng: np.random.RandomState, inputs: int, outputs: int) -> np.ndarray:
        """Draw a matrix of shape (inputs, outputs)."""
        fan = inputs if self.fan == "inputs" else (inputs + outputs) / 2
        variance = self.scale / fan
        if self.distribution == "normal":
            return rng.normal(0.0, np.sqrt(variance), (inputs, outputs))
        bound = np.sqrt(3 * variance)
        return rng.uniform(-bound, bound, (inputs, outputs))


def orthogonal(rng: np.random.RandomState, inputs: int, outputs: int) -> np.ndarray:
    """Draw a matrix with orthonormal columns, or rows if they are fewer, uniformly among all.

    It keeps lengths and angles, so deep linear networks start well whatever their depth. Saxe,
    McClelland and Ganguli, ICLR 2014, arXiv:1312.6120.

    >>> W = orthogonal(np.random.RandomState(0), 3, 2)
    >>> np.allclose(W.T @ W, np.eye(2))
    True
    """
    q, r = np.linalg.qr(rng.normal(size=(max(inputs, outputs), min(inputs, outputs))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # without this, some matrices are likelier
    return q if inputs >= outputs else q.T


Initializer = Callable[[np.random.RandomState, int, int], np.ndarray]

INITIALIZERS: Mapping[str, Initializer] = MappingProxyType(
    {
        "glorot_uniform": VarianceScaling(1.0, "average", "uniform"),  # Glorot and Bengio 2010
        "glorot_normal": VarianceScaling(1.0, "average", "normal"),
        "he_uniform": VarianceScaling(2.0, "inputs", "uniform"),  # He et al. 2015
        "he_normal": VarianceScaling(2.0, "inputs", "normal"),
        "lecun_uniform": VarianceScaling(1.0, "inputs", "uniform"),  # LeCun et al. 1998
        "lecun_normal": VarianceScaling(1.0, "inputs", "normal"),
        "orthogonal": orthogonal,
    }
)


def drawn(
    rng: np.random.RandomState, inputs: int, outputs: int, weight_init: Any, activation: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the weights and the bias of a layer, as `weight_init` says.

    With "auto" they start as `RECOMMENDED_INITIALIZERS` says for the activation, and else as in
    scikit-learn: both uniform in +-sqrt(6 / (inputs + outputs)), or +-sqrt(2 / (inputs + outputs))
    where the activation is logistic (Glorot and Bengio 2010). With a name in `INITIALIZERS`, or a
    function of (rng, inputs, outputs), the weights are as it says, the bias 0.
    """
    if not isinstance(weight_init, str):
        return _checked(weight_init, rng, inputs, outputs), np.zeros(outputs)
    if weight_init == "auto":
        names = (name for name in RECOMMENDED_INITIALIZERS if activation is ACTIVATIONS[name])
        weight_init = RECOMMENDED_INITIALIZERS.get(next(names, ""), "auto")
    if weight_init == "auto":
        factor = 2.0 if activation is ACTIVATIONS["logistic"] else 6.0
        bound = np.sqrt(factor / (inputs + outputs))
        return rng.uniform(-bound, bound, (inputs, outputs)), rng.uniform(-bound, bound, outputs)
    return INITIALIZERS[weight_init](rng, inputs, outputs), np.zeros(outputs)


def _checked(
    draw: Callable[..., Any], rng: np.random.RandomState, inputs: int, outputs: int
) -> np.ndarray:
    """Return the weights that a function of the user's draws, or say what is wrong with them."""
    start = (
        f"weight_init={name_of(draw)}, a function of (rng, inputs, outputs), must start with "
        f"finite numbers of shape {(inputs, outputs)}, "
    )
    try:
        found = draw(rng, inputs, outputs)
        W = np.array(found)
    except Exception as error:
        raise ValueError(f"{start}but it {told(error)}.") from error
    if W.dtype.kind not in "biuf":
        raise ValueError(f"{start}got {W.dtype.name if W.shape else repr(found)}.")
    if W.shape != (inputs, outputs):
        raise ValueError(f"{start}got shape {W.shape}.")
    if not np.all(np.isfinite(W)):
        raise ValueError(f"{start}got {W[~np.isfinite(W)][0]}.")
    return W
