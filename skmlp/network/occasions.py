"""Occasions: what a network is composed for, and what then stands for noise and for a batch.

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
from typing import Any

import numpy as np

from ..engine import Expression, variable
from .normalization import OfBatch

STATISTICS_RATE = 0.1  # the share of a batch in the running statistics

Fill = Callable[[np.ndarray], Any]  # writes random numbers into an array


@dataclass(frozen=True)
class Noise:
    """How inputs and hidden layers are disturbed in training.

    Attributes
    ----------
    dropout : sequence of float
        The share of numbers that is set to zero, in [0, 1): of the inputs, then of the outputs of
        each hidden layer; a layer that is not listed keeps all.
    input_noise : float
        The standard deviation of what is added to each input.
    """

    dropout: Sequence[float] = ()
    input_noise: float = 0.0

    @property
    def of_inputs(self) -> bool:
        """Whether the inputs themselves are disturbed."""
        return self.input_noise > 0 or any(rate > 0 for rate in self.dropout[:1])


def dropped(h: Any, u: Any, rate: float) -> Any:
    """Set h to zero where u, uniform in [0, 1), is below the rate, and scale the rest up.

    The expectation is h itself, so that prediction needs no factor. Srivastava et al., JMLR 15
    (2014).

    >>> dropped(np.array([[1.0, 2.0]]), np.array([[0.1, 0.7]]), rate=0.5)
    array([[0., 4.]])
    """
    return h * ((u >= rate) / (1.0 - rate))


def _uniform(random: np.random.Generator, out: np.ndarray) -> None:
    random.random(out=out, dtype=out.dtype)


def _normal(random: np.random.Generator, out: np.ndarray) -> None:
    random.standard_normal(out=out, dtype=out.dtype)


class Prediction:
    """A network that predicts: undisturbed, each row for itself."""

    def disturbed(self, i: int, h: Any) -> Any:  # noqa: ARG002
        """Return the inputs (i = 0), or what hidden layer i has computed, as they are."""
        return h

    def over_batch(self, running: Any, of_batch: OfBatch) -> Sequence[Any]:  # noqa: ARG002
        """Return the running statistics, for those that a function computes of a batch."""
        return [running[k] for k in range(running.shape[0])]


class Training:
    """A network in training: disturbed by noise, and normalized by the batch.

    Attributes
    ----------
    noise : Noise
        How it is disturbed.
    w : Expression of shape (n,) or None
        Weights of the rows, for the statistics of a batch.
    fills : list of (Expression, function)
        The variables that are random, each with a function (generator, array) that fills it.
    statistics : list of Expression of shape (statistics, units)
        Those over the batch, for every layer that is normalized by them.
    """

    def __init__(self, noise: Noise, w: Expression | None = None) -> None:
        self.noise, self.w = noise, w
        self.fills: list[tuple[Expression, Callable[[np.random.Generator, np.ndarray], None]]] = []
        self.statistics: list[Any] = []

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

    def over_batch(self, running: Any, of_batch: OfBatch) -> Sequence[Any]:  # noqa: ARG002
        """Compute the statistics over the batch, a row of weight 2 counting as two; note them."""
        values = of_batch(self.w)
        self.statistics.append(np.concatenate(values, axis=0))
        return values

    def drawn_from(self, random: np.random.Generator) -> dict[Expression, Fill]:
        """Return for every random variable what fills its array from a generator."""
        return {x: partial(fill, random) for x, fill in self.fills}


Occasion = Prediction | Training  # what a network is composed for
