"""The network: a sequence of layers, composed into one expression over one flat vector.

    for layer in the sequence: x = layer(x)        and noise, and what is residual, between them
    theta = [W_k ... W_2 W_1 b_1 b_2 ... b_k]

with all that is penalized as W, and all else as b. So a part is a stretch of theta, and a view of
it an array that the layer computes with; one call penalizes all weights, and one product takes the
first layer's weights with its biases beside them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from ..engine import BATCH, Expression, Plan, aligned, variable
from ..engine.rules import share
from ..engine.shapes import shape_text
from .activations import ACTIVATIONS, watched_activation
from .layers import LAYERS, Dense, Layer, Shape, checked_parts, checked_rates, checked_start
from .occasions import Occasion, Prediction

_ROWS_SORTED = 10_000  # of more, so many are picked before the distinct ones are looked for
_ROWS_SEEN = 1000  # at most so many, or 4 for each unit, show a layer where to start


@dataclass(frozen=True)
class Network:
    """A multilayer perceptron's shape.

    Parameters
    ----------
    layer_units : tuple of int
        The number of inputs, then of the units of every layer.
    activations : tuple of callables and Layers
        One for each hidden layer; a callable is the activation of a `Dense` one.
    n_constant : int, default=0
        How many raw outputs, the last ones, are a bias alone: their weights are 0 and stay so.
    normalization : str, optional
        How the pre-activations of hidden layers are normalized: a name in `NORMALIZATIONS`.
    residual : bool, default=False
        Whether a hidden layer as wide as the one before it adds its outputs to that one's:
        h_(i+1) = h_i + f(h_i). He et al., CVPR 2016, arXiv:1512.03385.
    output : Dense, optional
        What computes the raw outputs; by default x W + b.

    Attributes
    ----------
    sequence : tuple of Layer
        The hidden layers, and last the output.
    shapes : list of dict of str to tuple
        The shapes of each layer's parts.
    places : list of dict of str to slice
        Where in theta they stand.

    Raises
    ------
    ValueError
        If a `Layer`, which has no pre-activations, is to be normalized, or its parts are no parts.
    """

    layer_units: tuple[int, ...]
    activations: tuple[Callable[..., Any] | Layer, ...]
    n_constant: int = 0
    normalization: str | None = None
    residual: bool = False
    output: Dense | None = None
    sequence: tuple[Layer, ...] = field(init=False, repr=False, compare=False)
    shapes: list[dict[str, Shape]] = field(init=False, repr=False, compare=False)
    places: list[dict[str, slice]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the layers, and ask them for their parts."""
        hidden = [self._hidden(i, f) for i, f in enumerate(self.activations)]
        last = self.activations[-1] if self.activations else None
        output = Dense() if self.output is None else self.output
        sequence = (*hidden, replace(output, n_constant=self.n_constant, drawn_for=last))
        units = pairwise(self.layer_units)
        shapes = [checked_parts(layer, *n) for layer, n in zip(sequence, units, strict=True)]
        object.__setattr__(self, "sequence", sequence)
        object.__setattr__(self, "shapes", shapes)
        object.__setattr__(self, "places", _laid_out(sequence, shapes))

    def _hidden(self, i: int, f: Callable[..., Any] | Layer) -> Layer:
        if not isinstance(f, Layer):
            return Dense(f, self.normalization)
        if self.normalization is not None:
            raise ValueError(
                f"normalization={self.normalization!r} is for pre-activations x W + b, and hidden "
                f"layer {i + 1}, {f!r}, has none: set normalization=None."
            )
        return f

    @property
    def depth(self) -> int:
        """The number of layers: the hidden ones and the output."""
        return len(self.sequence)

    @property
    def is_ours(self) -> bool:
        """Whether all is skmlp's own: entries of its read-only registries, which never change."""
        ours = [*ACTIVATIONS.values(), *(type(layer) for layer in LAYERS.values())]
        are_ours = all(any(f is g or type(f) is g for g in ours) for f in self.activations)
        return are_ours and self.output is None

    # -- theta -------------------------------------------------------------------------------------

    @property
    def n_parameters(self) -> int:
        """The length of theta."""
        return sum(math.prod(shape) for shapes in self.shapes for shape in shapes.values())

    @property
    def penalized(self) -> slice:
        """The stretch of theta that the L2 penalty is for, as the layers say."""
        layers = zip(self.sequence, self.shapes, strict=True)
        penalized = (shapes[name] for layer, shapes in layers for name in set(layer.penalized))
        return slice(0, sum(map(math.prod, penalized)))

    @property
    def rates(self) -> list[tuple[slice, float]]:
        """The stretches of theta whose rate is multiplied by a factor, as the layers say."""
        stretches: dict[float, list[slice]] = {}
        for i, places in enumerate(self.places):
            said = checked_rates(self.sequence[i], *self.layer_units[i : i + 2])
            for name, factor in said.items():
                stretches.setdefault(float(factor), []).append(places[name])
        return [
            (where, factor)
            for factor, found in stretches.items()
            for where in _joined(found)
            if factor != 1
        ]

    def split(self, theta: np.ndarray) -> list[dict[str, np.ndarray]]:
        """View theta, or a gradient, as the parts of each layer by name."""
        return [
            {name: theta[places[name]].reshape(shape) for name, shape in shapes.items()}
            for shapes, places in zip(self.shapes, self.places, strict=True)
        ]

    def packed(self, parts: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
        """Copy the parts of each layer into a new theta; undoes `split`."""
        dtype = np.result_type(*(array for part in parts for array in part.values()))
        theta = aligned(self.n_parameters, dtype)
        for views, part in zip(self.split(theta), parts, strict=True):
            for name, view in views.items():
                view[...] = part[name]
        return theta

    def last_layer(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """View the weight matrix and the bias of the raw outputs in theta."""
        output = self.split(theta)[-1]
        return output["W"], output["b"]

    def observed(self, parts: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Pick the running statistics of all layers, in the order in which training has them."""
        layers = zip(self.sequence, parts, strict=True)
        return [part[name] for layer, part in layers for name in layer.observed if name in part]

    # -- the expression ----------------------------------------------------------------------------

    def variables(self) -> list[dict[str, Expression]]:
        """Make a variable for every part of each layer: W1, b1, and, say, slope1."""
        made = []
        for i, (layer, shapes) in enumerate(zip(self.sequence, self.shapes, strict=True)):
            names = {part: layer.rows.get(part, (part,)) for part in shapes}
            labels = {part: ", ".join(f"{row}{i + 1}" for row in names[part]) for part in shapes}
            made.append({part: variable(labels[part], shape) for part, shape in shapes.items()})
        return made

    def layers(
        self, x: Any, parts: Sequence[Mapping[str, Any]], occasion: Occasion | None = None
    ) -> list[Any]:
        """Compose the layers of x and their parts, arrays or Expressions, for an occasion.

        Returns the outputs of each hidden layer, and last the raw outputs, of shape (n, units).
        """
        return list(self._composed(x, parts, occasion or Prediction()))

    def _composed(
        self, x: Any, parts: Sequence[Mapping[str, Any]], occasion: Occasion
    ) -> Iterator[Any]:
        x = occasion.disturbed(0, x)
        for i, part in enumerate(parts):
            h = occasion.disturbed(i + 1, self._outputs(i, x, part, occasion))
            is_added = self.residual and 0 < i < self.depth - 1 and x.shape[1] == h.shape[1]
            x = x + h if is_added else h
            yield x

    def _outputs(self, i: int, x: Any, part: Mapping[str, Any], occasion: Occasion) -> Any:
        layer, shape = self.sequence[i], (x.shape[0], self.layer_units[i + 1])
        self._check_takes(i, getattr(x, "is_sparse", False))
        given = {
            name: partial(occasion.over_batch, value) if name in layer.observed else value
            for name, value in part.items()
        }
        h = layer.outputs(x, **given)
        if getattr(h, "shape", None) != shape:
            raise ValueError(
                f"hidden layer {i + 1}, {self.activations[i]!r}, must return outputs of shape "
                f"{shape_text(shape)}, got {h!r}"
            )
        return h

    def culprit(self, x: Any, parts: Sequence[Mapping[str, Any]]) -> str | None:
        """Say which activation is first not finite at a finite pre-activation of x, if one is."""
        found: list[str] = []
        watched = (
            f if isinstance(f, Layer) else watched_activation(f, i + 1, found)
            for i, f in enumerate(self.activations)
        )
        with np.errstate(all="ignore"):
            replace(self, activations=tuple(watched)).layers(x, parts)
        return found[0] if found else None

    def check_rows(self) -> None:
        """Refuse layers that mix rows, on which a prediction would depend, or draw numbers."""
        for i, (f, parts) in enumerate(zip(self.activations, self.variables(), strict=False)):
            x = variable("x", (BATCH, self.layer_units[i]))
            output, again = (self._outputs(i, x, parts, Prediction()) for _ in range(2))
            if operator.is_not(*share([output, again])):
                raise ValueError(
                    f"hidden layer {i + 1}, {f!r}, must compute the same each time it is called, "
                    "but it does not, as a function that draws random numbers: take dropout= or "
                    "input_noise= for noise."
                )
            plan = Plan([output])
            if plan.kinds[plan.outputs[0]] not in ("rows", "fixed"):
                raise ValueError(
                    f"hidden layer {i + 1}, {f!r}, must compute each row of its outputs from that "
                    "row alone, but it mixes rows, as np.mean(z, axis=0) does: reduce with axis=1, "
                    "or take normalization='batch'."
                )

    def _check_takes(self, i: int, is_sparse: bool) -> None:
        if is_sparse and not self.sequence[i].takes_sparse:
            raise ValueError(
                f"hidden layer {i + 1}, {self.sequence[i]!r}, works on the inputs themselves "
                "and cannot take sparse ones: give X.toarray(), or begin with a layer that "
                "multiplies them by weights."
            )

    # -- the start ---------------------------------------------------------------------------------

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
        """Draw the theta that training starts from, layer after layer.

        Dense layers start as `initializers.drawn` says for their activation, the output for the
        last hidden one; any other layer in its own way.

        Parameters
        ----------
        rng : RandomState
            Where the numbers come from.
        dtype : dtype
            The precision.
        weight_init : str or callable, default="auto"
            "auto", a name in `INITIALIZERS`, or a function of (rng, inputs, outputs).
        activation : callable, optional
            What a network without hidden layers would have there.
        X : array or sparse matrix of shape (n, inputs), optional
            Inputs, for a `Layer` to start on.
        rows : ndarray of int, optional
            The rows of X that count; without any, all do.
        """
        theta = aligned(self.n_parameters, dtype)
        parts = self.split(theta)
        sees_data = any(layer.starts_on_data for layer in self.sequence)
        seen, outputs = np.empty((0, self.layer_units[0])), iter(())
        if sees_data:
            self._check_takes(0, not isinstance(X, np.ndarray))
            seen = self._seen(rng, dtype, X, rows)
            outputs = self._composed(seen, parts, Prediction())
        for i, (layer, units) in enumerate(zip(self.sequence, self.layer_units[1:], strict=True)):
            if isinstance(layer, Dense):
                goes_by = layer.drawn_for if self.activations else activation
                layer = replace(layer, weight_init=weight_init, drawn_for=goes_by)
            start = checked_start(layer, layer.initial(rng, seen, units), self.shapes[i])
            for name, view in parts[i].items():
                view[...] = start[name]
            with np.errstate(all="ignore"):
                seen = next(outputs, np.empty((0, units)))
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


def _laid_out(
    sequence: Sequence[Layer], shapes: Sequence[Mapping[str, Shape]]
) -> list[dict[str, slice]]:
    """Give each part of each layer its place in theta."""
    parts = [(i, name) for i, named in enumerate(shapes) for name in named]

    def order(part: tuple[int, str]) -> tuple[bool, int]:
        i, name = part
        return (False, -i) if name in sequence[i].penalized else (True, i)

    places: list[dict[str, slice]] = [{} for _ in shapes]
    stop = 0
    for i, name in sorted(parts, key=order):
        start, stop = stop, stop + math.prod(shapes[i][name])
        places[i][name] = slice(start, stop)
    return places


def _joined(stretches: Iterable[slice]) -> list[slice]:
    """Put stretches in the order of theta, those that touch as one.

    >>> _joined([slice(7, 9), slice(0, 2), slice(2, 5)])
    [slice(0, 5, None), slice(7, 9, None)]
    """
    joined: list[slice] = []
    for where in sorted(stretches, key=lambda stretch: stretch.start):
        start = joined.pop().start if joined and joined[-1].stop == where.start else where.start
        joined.append(slice(start, where.stop))
    return joined


def values_of(
    variables: Sequence[Mapping[str, Expression]], parts: Sequence[Mapping[str, Any]]
) -> dict[Expression, Any]:
    """Pair the variables of each layer's parts with values of them.

    >>> network = Network((2, 1), ())
    >>> variables = network.variables()
    >>> values = values_of(variables, network.split(np.zeros(3)))
    >>> [x.name for x in values], [array.shape for array in values.values()]
    (['W1', 'b1'], [(2, 1), (1,)])
    """
    return {x: part[k] for xs, part in zip(variables, parts, strict=True) for k, x in xs.items()}
