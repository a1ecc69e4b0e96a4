r"""Occasions: what a network is composed for, and what then stands for noise and for a batch.

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
from typing import Any, Protocol

import numpy as np

from ..engine import Expression, variable
from .normalization import OfBatch, OverBatch

STATISTICS_RATE = 0.1  # the share of a batch in the running statistics

Fill = Callable[[np.ndarray], Any]  # writes random numbers into an array


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


class Occasion(Protocol):
    """What a network is composed for."""

    def disturbed(self, i: int, h: Any) -> Any:
        """Return the inputs (i = 0) or what hidden layer i has computed, disturbed or not."""

    def over_batch(self, running: Any) -> OverBatch:
        """Return what says the statistics of a batch, given what would compute them."""


class Prediction:
    """A network that predicts: undisturbed, each row for itself."""

    def disturbed(self, i: int, h: Any) -> Any:  # noqa: ARG002
        """Return h."""
        return h

    def over_batch(self, running: Any) -> OverBatch:
        """Say the running statistics."""
        return lambda of_batch: [running[k] for k in range(running.shape[0])]


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
    statistics : list of Expression of shape (statistics, units)
        Those over the batch, for every layer that is normalized by them.
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

    def over_batch(self, running: Any) -> OverBatch:  # noqa: ARG002
        """Compute the statistics over the batch, a row of weight 2 counting as two; note them."""

        def observed(of_batch: OfBatch) -> Sequence[Any]:
            values = of_batch(self._w)
            self.statistics.append(np.concatenate(values, axis=0))  # type: ignore[arg-type]
            return values

        return observed

    def drawn_from(self, random: np.random.Generator) -> dict[Expression, Fill]:
        """Return for every random variable what fills its array from a generator."""
        return {x: partial(fill, random) for x, fill in self.fills}
