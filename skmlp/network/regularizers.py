r"""Regularizers of a network's layers: noise in training, dropout, normalization.

The law: an expression draws nothing and remembers nothing. What is random in training is a variable
of the graph, which the program fills anew for every batch; what training remembers, the running
statistics, is a part of theta that no gradient moves. So a network is composed for an occasion:

    Training     h is disturbed by `Noise`; a batch is normalized by its own mean and variance
    Prediction   h is left alone; the running statistics stand for those of a batch

Both are expressions of the same network: derived, planned and run like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..engine import Expression, stop_gradient, variable
from .activations import Learned

EPSILON = 1e-5  # added to a variance, as in both papers' implementations
STATISTICS_RATE = 0.1  # the share of a batch in the running statistics

Fill = Callable[[np.ndarray], Any]  # writes random numbers into an array

# == noise =========================================================================================


@dataclass(frozen=True)
class Noise:
    """How inputs and hidden layers are disturbed in training.

    Parameters
    ----------
    dropout : sequence of float
        The share of numbers that is set to zero, in [0, 1): of the inputs, then of the outputs of
        each hidden layer; a layer that is not listed keeps all.
    input_noise : float, default=0.0
        The standard deviation of what is added to each input.
    """

    dropout: Sequence[float] = ()
    input_noise: float = 0.0

    @property
    def of_inputs(self) -> bool:
        """Whether the inputs themselves are disturbed."""
        return self.input_noise > 0 or any(rate > 0 for rate in self.dropout[:1])


def dropped(h: Any, u: Any, rate: float) -> Any:
    r"""Set a share of numbers to zero and scale the others up: inverted dropout.

    .. math:: \tilde h = h \, \frac{[u \ge p]}{1 - p}

    With u uniform in [0, 1) the expectation is h itself, so that prediction needs no factor.
    Srivastava et al., JMLR 15 (2014).

    Parameters
    ----------
    h : array or Expression of shape (n, units)
        A layer's outputs.
    u : array or Expression of shape (n, units)
        Uniform numbers in [0, 1).
    rate : float
        The share p, in [0, 1).

    Returns
    -------
    array or Expression of shape (n, units)
        What is left of them.

    Examples
    --------
    >>> dropped(np.array([[1.0, 2.0]]), np.array([[0.1, 0.7]]), rate=0.5)
    array([[0., 4.]])
    """
    return h * ((u >= rate) / (1.0 - rate))


def _uniform(random: np.random.Generator, out: np.ndarray) -> None:
    random.random(out=out, dtype=out.dtype)


def _normal(random: np.random.Generator, out: np.ndarray) -> None:
    random.standard_normal(out=out, dtype=out.dtype)


# == occasions =====================================================================================


class Occasion(Protocol):
    """What a network is composed for."""

    def disturbed(self, i: int, h: Any) -> Any:
        """Return the inputs (i = 0) or what hidden layer i has computed, disturbed or not."""

    def batch_moments(self, z: Any, running: Any) -> tuple[Any, Any]:
        """Return what stands for mean and variance of each column of z over a batch."""


class Prediction:
    """A network that predicts: undisturbed, each row for itself."""

    def disturbed(self, i: int, h: Any) -> Any:  # noqa: ARG002
        """Return h."""
        return h

    def batch_moments(self, z: Any, running: Any) -> tuple[Any, Any]:  # noqa: ARG002
        """Return the running mean and variance."""
        return running[0], running[1]


class Training:
    """A network in training: disturbed, and normalized by the batch.

    Parameters
    ----------
    noise : Noise
        How it is disturbed.
    w : Expression of shape (n,), optional
        Weights of the rows, for the statistics of a batch.

    Attributes
    ----------
    fills : list of (Expression, function)
        The variables that are random, each with a function (generator, array) that fills it.
    statistics : list of Expression of shape (2, units)
        Mean and variance over the batch, for every layer that is normalized by them.
    """

    def __init__(self, noise: Noise, w: Expression | None = None) -> None:
        self.noise = noise
        self.fills: list[tuple[Expression, Callable[[np.random.Generator, np.ndarray], None]]] = []
        self.statistics: list[Expression] = []
        self._w = w

    @property
    def differs(self) -> bool:
        """Whether the network composed so is another one than for prediction."""
        return bool(self.fills or self.statistics)

    def disturbed(self, i: int, h: Any) -> Any:
        """Return h with noise added, where it is the inputs, and numbers dropped."""
        if i == 0 and self.noise.of_inputs and h.is_sparse:
            raise ValueError(
                "input_noise and dropout of the inputs disturb every number, so they cannot take "
                "sparse inputs: give X.toarray(), or a single number for dropout."
            )
        if i == 0 and self.noise.input_noise > 0:
            h = h + float(self.noise.input_noise) * self._drawn("noise", h, _normal)
        rate = float(self.noise.dropout[i]) if i < len(self.noise.dropout) else 0.0
        return dropped(h, self._drawn(f"u{i}", h, _uniform), rate) if rate > 0 else h

    def _drawn(self, name: str, h: Expression, fill: Any) -> Expression:
        numbers = variable(name, h.shape)
        self.fills.append((numbers, fill))
        return numbers

    def batch_moments(self, z: Any, running: Any) -> tuple[Any, Any]:  # noqa: ARG002
        """Return mean and variance over the batch, a row of weight 2 counting as two."""
        mean, variance = moments(z, axis=0, w=self._w)
        observed: Any = np.concatenate([mean, variance], axis=0)
        self.statistics.append(observed)
        return mean, variance

    def drawn_from(self, random: np.random.Generator) -> dict[Expression, Fill]:
        """Return for every random variable what fills its array from a generator."""
        return {x: partial(fill, random) for x, fill in self.fills}


# == normalization =================================================================================


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
    """A way to normalize the pre-activations z of a hidden layer.

    Attributes
    ----------
    moments : callable
        `moments(z, running, occasion)`: the mean and the variance that `normalized` takes.
    running : dict of str to float
        What training keeps a running average of, and where it starts; in that order
        `Training.statistics` has it.
    """

    moments: Callable[[Any, Any, Occasion], tuple[Any, Any]]
    running: dict[str, float]


NORMALIZATIONS: dict[str, Normalization] = {
    "layer": Normalization(lambda z, running, occasion: moments(z, axis=1), {}),
    "batch": Normalization(
        lambda z, running, occasion: occasion.batch_moments(z, running),
        {"mean": 0.0, "variance": 1.0},
    ),
}
