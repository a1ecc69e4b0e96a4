"""The network: layers composed into one expression, over one flat vector of parameters.

h_1 = f_1(x W_1 + b_1), ..., raw = h_D W_(D+1) + b_(D+1)

theta = every weight matrix, row by row, then every bias
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .activations import ACTIVATIONS
from .engine import Expression, variable
from .engine.expression import shape_text


@dataclass(frozen=True)
class Network:
    """A multilayer perceptron's shape.

    Parameters
    ----------
    layer_units : tuple of int
        The width of every layer, from the inputs to the raw outputs.
    activations : tuple of callables
        One for each hidden layer.
    """

    layer_units: tuple[int, ...]
    activations: tuple[Callable[[Any], Any], ...]

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the parts of theta: weight matrices (inputs, outputs), then biases."""
        return [*pairwise(self.layer_units), *((units,) for units in self.layer_units[1:])]

    @property
    def n_weights(self) -> int:
        """How many numbers of theta are weights; they come first."""
        return sum(a * b for a, b in pairwise(self.layer_units))

    @property
    def n_parameters(self) -> int:
        """The length of theta."""
        return self.n_weights + sum(self.layer_units[1:])

    def split(self, theta: np.ndarray) -> list[np.ndarray]:
        """View theta (or a gradient) as weight matrices followed by biases."""
        views, start = [], 0
        for shape in self.shapes:
            stop = start + int(np.prod(shape))
            views.append(theta[start:stop].reshape(shape))
            start = stop
        return views

    def parameters(self) -> list[Expression]:
        """Make a variable for every weight matrix W1, W2, ... and every bias b1, b2, ...."""
        depth = len(self.layer_units) - 1
        names = [f"{letter}{i + 1}" for letter in "Wb" for i in range(depth)]
        return [variable(name, shape) for name, shape in zip(names, self.shapes, strict=True)]

    def layers(self, x: Any, parameters: Sequence[Any]) -> list[Any]:
        """Compose the layers: the outputs of each hidden one, and last the raw outputs.

        Parameters
        ----------
        x : array or Expression of shape (n, inputs)
            The network's input.
        parameters : sequence of arrays or Expressions
            Weight matrices, then biases.

        Returns
        -------
        list
            One array or Expression of shape (n, units) for every layer.
        """
        depth = len(self.layer_units) - 1
        outputs = []
        for i in range(depth):
            z = x @ parameters[i] + parameters[depth + i]
            x = self.activations[i](z) if i < depth - 1 else z
            if i < depth - 1 and getattr(x, "shape", None) != z.shape:
                raise ValueError(
                    f"the activation of hidden layer {i + 1} must return an expression of the "
                    f"shape of its argument, {shape_text(z.shape)}, got {x!r}"
                )
            outputs.append(x)
        return outputs

    def initial_theta(
        self, rng: np.random.RandomState, dtype: Any, activation: Any = None
    ) -> np.ndarray:
        """Draw parameters as scikit-learn does: uniform, bounded by Glorot and Bengio (2010).

        Parameters
        ----------
        rng : RandomState
            Where the numbers come from; weights and bias of the first layer first.
        dtype : dtype
            The precision of the result.
        activation : callable, optional
            What a network without hidden layers would have there; it decides the bound.

        Returns
        -------
        ndarray of shape (n_parameters,)
            Weights and biases in +-sqrt(6 / (inputs + outputs)) of their layer, or
            +-sqrt(2 / (inputs + outputs)) where the activation is logistic.
        """
        theta = np.empty(self.n_parameters, dtype)
        parts = self.split(theta)
        depth = len(self.layer_units) - 1
        activations = self.activations or (activation,)
        for i in range(depth):
            inputs, outputs = self.layer_units[i : i + 2]
            is_logistic = activations[min(i, len(activations) - 1)] is ACTIVATIONS["logistic"]
            bound = np.sqrt((2.0 if is_logistic else 6.0) / (inputs + outputs))
            parts[i][...] = rng.uniform(-bound, bound, (inputs, outputs))
            parts[depth + i][...] = rng.uniform(-bound, bound, outputs)
        return theta
