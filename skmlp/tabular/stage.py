r"""Layers in the neural tangent parametrization; the first one scales and embeds columns.

.. math:: a = f((s \odot x) W + b)

Their weights have rates of 1 / sqrt(inputs), so that a layer's pre-activations move as far in a
step at any width (Jacot et al. 2018, arXiv:1806.07572), biases a tenth, and what scales the
columns a higher one: columns that matter grow within a few steps. Holzmueller, Grinsztajn and
Steinwart, "Better by default", NeurIPS 2024, arXiv:2407.04491.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine import row_numbers, take
from ..network.layers import Dense, Shape

BIAS_RATE = 0.1
SCALE_RATE = 5.0


@dataclass(frozen=True)
class Tangent(Dense):
    """An activation of x W + b, with rates of the neural tangent parametrization.

    Weights start normally distributed, with a variance of 2 / inputs, and biases uniformly in
    (-1, 1).
    """

    def rates(self, inputs: int, units: int) -> dict[str, float]:  # noqa: ARG002
        """Return the factors of the rates of W and b."""
        return {"W": 1 / math.sqrt(max(1, inputs)), "b": BIAS_RATE}

    def initial(
        self, rng: np.random.RandomState, x: np.ndarray, units: int
    ) -> dict[str, np.ndarray]:
        """Draw W and b."""
        inputs = x.shape[1]
        W = rng.standard_normal((inputs, units)) * math.sqrt(2 / max(1, inputs))
        return {"W": W, "b": rng.uniform(-1, 1, units)}


@dataclass(frozen=True)
class TangentOutput(Tangent):
    """The raw outputs: they start at 0, which is the best constant model."""

    def initial(
        self,
        rng: np.random.RandomState,  # noqa: ARG002, nothing is drawn
        x: np.ndarray,
        units: int,
    ) -> dict[str, np.ndarray]:
        """Return zeros."""
        return {"W": np.zeros((x.shape[1], units)), "b": np.zeros(units)}


@dataclass(frozen=True)
class Front(Tangent):
    """The first layer: a learned factor for every column, and embeddings of the last ones, codes.

    Attributes
    ----------
    activation : callable
        A function of (s x) W + b.
    levels : tuple of int
        How many levels each of the last columns, whole numbers, has beside 0, which is none.
    size : int
        How many numbers stand for a level. They start normally distributed.
    """

    activation: Callable[..., Any] = np.tanh
    levels: tuple[int, ...] = ()
    size: int = 8

    takes_sparse = False

    def _columns(self, inputs: int) -> int:
        return inputs + len(self.levels) * (self.size - 1)

    def parts(self, inputs: int, units: int) -> dict[str, Shape]:
        """Return the shapes of the factors, of the tables (one below the other), and of W and b."""
        columns = self._columns(inputs)
        tables = {"tables": (sum(self.levels) + len(self.levels), self.size)} if self.levels else {}
        return {"scale": (columns,), **tables, "W": (columns, units), "b": (units,)}

    def rates(self, inputs: int, units: int) -> dict[str, float]:
        """Return the factors of the rates of all but the tables."""
        return {"scale": SCALE_RATE, **super().rates(self._columns(inputs), units)}

    def initial(
        self, rng: np.random.RandomState, x: np.ndarray, units: int
    ) -> dict[str, np.ndarray]:
        """Draw the tables, W and b; factors start at 1."""
        shapes = self.parts(x.shape[1], units)
        columns = shapes["scale"][0]
        tables = {"tables": rng.standard_normal(shapes["tables"])} if self.levels else {}
        drawn = super().initial(rng, np.empty((0, columns)), units)
        return {"scale": np.ones(columns), **tables, **drawn}

    def outputs(  # type: ignore[override]
        self, x: Any, scale: Any, W: Any, b: Any, tables: Any = None
    ) -> Any:
        """Compute f((s x) W + b); the factors are multiplied into W, which has fewer numbers."""
        if self.levels:
            n = x.shape[1] - len(self.levels)
            starts = np.cumsum([0, *(k + 1 for k in self.levels[:-1])])
            codes = row_numbers(x[:, n:] + starts)
            embedded = take(tables, codes).reshape(-1, len(self.levels) * self.size)
            x = np.concatenate([x[:, :n], embedded], axis=1)
        return self.activation(x @ (scale[:, None] * W) + b)
