"""The network: layers composed into one expression, over one flat vector of parameters.

h_1 = f_1(x W_1 + b_1), ..., raw = h_D W_(D+1) + b_(D+1)

theta = W_(D+1), ..., W_1, row by row, b_1, ..., b_(D+1), then what activations learn, what
normalization learns, and its running statistics, which no gradient moves

So all weights are one stretch, for the penalty, and b_1 is one more row under W_1, for the
product [x, 1] [W_1; b_1].

A hidden layer that is no function of x W + b is a `Layer`, such as `RadialBasis`: it makes its own
sense of the same W and b.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import numpy as np

from ..engine import Expression, aligned, variable
from ..engine.expression import shape_text
from .activations import learned_arguments
from .initializers import as_scikit_learn, initializer_of
from .layers import Layer
from .regularizers import NORMALIZATIONS, Occasion, Prediction, normalized

_ROWS_SORTED = 10_000  # of more, so many are picked before the distinct ones are looked for
_ROWS_SEEN = 1000  # at most so many, or 4 for each unit, show a layer where to start


class Parts(NamedTuple):
    """The parts of theta, by layer; of hidden layers None where there is nothing."""

    weights: list[Any]
    biases: list[Any]
    activation: list[Any]
    normalization: list[Any]
    statistics: list[Any]


@dataclass(frozen=True)
class Network:
    """A multilayer perceptron's shape.

    Parameters
    ----------
    layer_units : tuple of int
        The width of every layer, from the inputs to the raw outputs.
    activations : tuple of callables and Layers
        One for each hidden layer.
    n_constant : int, default=0
        How many raw outputs, the last ones, are a bias alone: their weights are 0 and stay so.
    normalization : str, optional
        How the pre-activations of hidden layers are normalized: a name in `NORMALIZATIONS`.
    residual : bool, default=False
        Whether a hidden layer as wide as the one before it adds its outputs to that one's:
        h_(i+1) = h_i + f(h_i). He et al., CVPR 2016, arXiv:1512.03385.

    Attributes
    ----------
    further : tuple of lists of dict
        The parts of theta after the biases, in their order: for each hidden layer the names of the
        rows of its part, and where they start. First what its activation learns, then what its
        normalization learns, then the running statistics.

    Raises
    ------
    ValueError
        If a `Layer`, which has no pre-activations, is to be normalized.
    """

    layer_units: tuple[int, ...]
    activations: tuple[Callable[..., Any] | Layer, ...]
    n_constant: int = 0
    normalization: str | None = None
    residual: bool = False
    further: tuple[list[dict[str, float]], ...] = field(init=False, repr=False, compare=False)
    _stretches: list[slice] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look up what each hidden layer learns beside weights and bias, and where it starts."""
        found = [{} if isinstance(f, Layer) else learned_arguments(f) for f in self.activations]
        scales: dict[str, float] = {}
        running: dict[str, float] = {}
        if self.normalization is not None:
            for i, f in enumerate(self.activations):
                if isinstance(f, Layer):
                    raise ValueError(
                        f"normalization={self.normalization!r} is for pre-activations x W + b, "
                        f"and hidden layer {i + 1}, {f!r}, has none: set normalization=None."
                    )
            scales = learned_arguments(normalized)
            running = NORMALIZATIONS[self.normalization].running
        hidden = len(self.activations)
        object.__setattr__(self, "further", (found, [scales] * hidden, [running] * hidden))
        object.__setattr__(self, "_stretches", self._laid_out())

    @property
    def depth(self) -> int:
        """The number of layers with weights: the hidden ones and the output."""
        return len(self.layer_units) - 1

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of the parts of theta.

        Weight matrices (inputs, outputs); then biases; then, for each hidden layer whose
        activation learns anything, an array with a row for each of its arguments (arguments,
        units); then arrays alike for gain and shift, and for mean and variance, of normalization.
        """
        return [
            *pairwise(self.layer_units),
            *((units,) for units in self.layer_units[1:]),
            *((len(rows), self.layer_units[i + 1]) for i, rows in self._further_parts()),
        ]

    def _further_parts(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Go through the parts after the biases: the hidden layer, its rows and their starts."""
        for kind in self.further:
            yield from ((i, rows) for i, rows in enumerate(kind) if rows)

    @property
    def n_parameters(self) -> int:
        """The length of theta."""
        return self._stretches[-1].stop

    @property
    def penalized(self) -> list[slice]:
        """The stretches of theta that the L2 penalty is for: weight matrices, those of no Layer."""
        stretches: list[slice] = []
        for i, stretch in reversed(list(enumerate(self._stretches[: self.depth]))):
            if self._is_layer(i):
                continue
            if stretches and stretches[-1].stop == stretch.start:
                stretch = slice(stretches.pop().start, stretch.stop)
            stretches.append(stretch)
        return stretches

    def _laid_out(self) -> list[slice]:
        """Tell where in theta each part stands."""
        sizes = [math.prod(shape) for shape in self.shapes]
        order = [*reversed(range(self.depth)), *range(self.depth, len(sizes))]
        stops = accumulate(sizes[k] for k in order)
        stretches = {k: slice(stop - sizes[k], stop) for k, stop in zip(order, stops, strict=True)}
        return [stretches[k] for k in range(len(sizes))]

    def split(self, theta: np.ndarray) -> list[np.ndarray]:
        """View theta (or a gradient) as its parts, of `shapes`."""
        return [
            theta[stretch].reshape(shape)
            for stretch, shape in zip(self._stretches, self.shapes, strict=True)
        ]

    def packed(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Copy parts, of `shapes`, into a new theta; undoes `split`."""
        theta = aligned(self.n_parameters, np.result_type(*parts))
        for view, part in zip(self.split(theta), parts, strict=True):
            view[...] = part
        return theta

    def first_layer(self, theta: np.ndarray) -> np.ndarray:
        """View the weight matrix of the first layer, with its bias as one more row below."""
        inputs, units = self.layer_units[:2]
        W, b = self._stretches[0], self._stretches[self.depth]
        return theta[W.start : b.stop].reshape(inputs + 1, units)

    def last_layer(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """View the weight matrix and the bias of the raw outputs in theta."""
        parts = self.by_layer(self.split(theta))
        return parts.weights[-1], parts.biases[-1]

    def by_layer(self, parts: Sequence[Any]) -> Parts:
        """Sort the parts of theta by what they are, and by layer.

        Parameters
        ----------
        parts : sequence
            What `split` or `parameters` returns.

        Returns
        -------
        Parts
            Lists: weight matrices; biases; for each hidden layer what its activation learns, gain
            and shift, and running mean and variance, None where there is nothing.
        """
        rest = iter(parts[2 * self.depth :])
        further = ([next(rest) if rows else None for rows in kind] for kind in self.further)
        return Parts(list(parts[: self.depth]), list(parts[self.depth : 2 * self.depth]), *further)

    def parameters(self) -> list[Expression]:
        """Make a variable for every part: W1, W2, ..., b1, b2, ... and, say, slope1."""
        names = [f"{letter}{i + 1}" for letter in "Wb" for i in range(self.depth)]
        for i, rows in self._further_parts():
            names.append(", ".join(f"{name}{i + 1}" for name in rows))
        return [variable(name, shape) for name, shape in zip(names, self.shapes, strict=True)]

    def layers(
        self, x: Any, parameters: Sequence[Any], occasion: Occasion | None = None
    ) -> list[Any]:
        """Compose the layers: the outputs of each hidden one, and last the raw outputs.

        Parameters
        ----------
        x : array or Expression of shape (n, inputs)
            The network's input.
        parameters : sequence of arrays or Expressions
            The parts of theta.
        occasion : Occasion, optional
            What it is composed for; `Prediction` by default.

        Returns
        -------
        list
            One array or Expression of shape (n, units) for every layer.
        """
        return list(self._outputs(x, parameters, occasion or Prediction()))

    def _outputs(self, x: Any, parameters: Sequence[Any], occasion: Occasion) -> Iterator[Any]:
        parts = self.by_layer(parameters)
        x = occasion.disturbed(0, x)
        for i in range(self.depth - 1):
            f = self.activations[i]
            shape = (x.shape[0], self.layer_units[i + 1])
            if isinstance(f, Layer):
                self._check_dense(i, getattr(x, "is_sparse", False))
                h = f.outputs(x, parts.weights[i], parts.biases[i])
            else:
                h = f(
                    self._pre_activation(i, x, parts, occasion),
                    **_by_name(self.further[0][i], parts.activation[i]),
                )
            if getattr(h, "shape", None) != shape:
                raise ValueError(
                    f"the activation of hidden layer {i + 1} must return an expression of the "
                    f"shape of its argument, {shape_text(shape)}, got {h!r}"
                )
            h = occasion.disturbed(i + 1, h)
            x = x + h if self._adds(i) else h
            yield x
        W, b = parts.weights[-1], parts.biases[-1]
        if self.n_constant:
            free = self.layer_units[-1] - self.n_constant
            W = np.concatenate([W[:, :free], np.zeros_like(W[:, free:])], axis=1)
        yield x @ W + b

    def _pre_activation(self, i: int, x: Any, parts: Parts, occasion: Occasion) -> Any:
        W, b = parts.weights[i], parts.biases[i]
        z = x @ W + b
        if self.normalization is None:
            return z
        moments = NORMALIZATIONS[self.normalization].moments
        mean, variance = moments(z, parts.statistics[i], occasion)
        scales = _by_name(self.further[1][i], parts.normalization[i])
        return normalized(z, mean, variance, **scales)

    def _adds(self, i: int) -> bool:
        return self.residual and i > 0 and self.layer_units[i] == self.layer_units[i + 1]

    def _is_layer(self, i: int) -> bool:
        return i < len(self.activations) and isinstance(self.activations[i], Layer)

    def _check_dense(self, i: int, is_sparse: bool) -> None:
        if is_sparse:
            raise ValueError(
                f"hidden layer {i + 1}, {self.activations[i]!r}, works on the inputs themselves "
                "and cannot take sparse ones: give X.toarray(), or begin with a layer that "
                "multiplies them by weights."
            )

    def initial_theta(
        self,
        rng: np.random.RandomState,
        dtype: Any,
        *,
        weight_init: Any = "auto",
        activation: Any = None,
        X: Any = None,
        rows: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw the parameters that training starts from, layer after layer.

        With "auto" a layer starts as `RECOMMENDED_INITIALIZERS` says for its activation, and else
        as scikit-learn does: weights and bias uniform in +-sqrt(6 / (inputs + outputs)), or
        +-sqrt(2 / (inputs + outputs)) where the activation is logistic (Glorot and Bengio 2010).
        The output goes by the last hidden activation. With a named or given initializer all do
        as it says, with biases of 0. A `Layer` always starts in its own way.

        Parameters
        ----------
        rng : RandomState
            Where the numbers come from; weights and bias of the first layer first.
        dtype : dtype
            The precision of the result.
        weight_init : str or callable, default="auto"
            "auto", a name in `INITIALIZERS`, or a function of (rng, inputs, outputs).
        activation : callable, optional
            What a network without hidden layers would have there.
        X : array or sparse matrix of shape (n, inputs), optional
            Inputs, for a `Layer` to start on.
        rows : ndarray of int, optional
            The rows of X that count; without any, all do.

        Returns
        -------
        ndarray of shape (n_parameters,)
            The parameters.

        Raises
        ------
        ValueError
            If an initializer or a Layer starts with anything but finite numbers of the right
            shape, or a Layer is given sparse inputs.
        """
        theta = aligned(self.n_parameters, dtype)
        parts = self.split(theta)
        weights, biases, *_ = self.by_layer(parts)
        for part, (_, starts) in zip(parts[2 * self.depth :], self._further_parts(), strict=True):
            part[...] = np.array(list(starts.values()))[:, None]
        seen: Any = None  # what the next layer sees of some rows, if any layer wants to know
        if any(map(self._is_layer, range(self.depth))):
            self._check_dense(0, self._is_layer(0) and not isinstance(X, np.ndarray))
            seen = self._seen(rng, dtype, X, rows)
        outputs = self._outputs(seen, parts, Prediction()) if seen is not None else None
        for i in range(self.depth):
            inputs, units = self.layer_units[i : i + 2]
            f = self.activations[min(i, self.depth - 2)] if self.activations else activation
            if self._is_layer(i):
                assert isinstance(f, Layer)
                W, b = f.initial(rng, seen, units)
                weights[i][...] = _checked(W, (inputs, units), f)
                biases[i][...] = _checked(b, (units,), f)
            elif initializer := initializer_of(weight_init, f):
                weights[i][...] = _checked(
                    initializer(rng, inputs, units), (inputs, units), initializer
                )
                biases[i][...] = 0
            else:
                weights[i][...], biases[i][...] = as_scikit_learn(rng, inputs, units, f)
            if outputs is not None:
                with np.errstate(all="ignore"):
                    seen = next(outputs)
        weights[-1][:, self.layer_units[-1] - self.n_constant :] = 0
        return theta

    def _seen(
        self, rng: np.random.RandomState, dtype: Any, X: Any, rows: np.ndarray | None
    ) -> np.ndarray:
        """Pick some rows of the data at random, whatever their order and repetitions."""
        if rows is None or not len(rows):
            rows = np.arange(X.shape[0])
        if len(rows) > _ROWS_SORTED:
            rows = rng.permutation(rows)[:_ROWS_SORTED]
        picked = X[rows] if not isinstance(X, np.ndarray) else np.unique(X[rows], axis=0)
        most = max(_ROWS_SEEN, 4 * max(self.layer_units[1:-1]))
        return picked[rng.permutation(picked.shape[0])[:most]].astype(dtype)


def _by_name(names: dict[str, float], rows: Any) -> dict[str, Any]:
    return {name: rows[k] for k, name in enumerate(names)}


def _checked(start: Any, shape: tuple[int, ...], by: Any) -> Any:
    if np.shape(start) != shape or not np.all(np.isfinite(start)):
        raise ValueError(
            f"{by!r} must start with finite numbers of shape {shape_text(shape)}, got {start!r}"
        )
    return start
