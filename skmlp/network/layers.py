"""Layers: what a network is a sequence of.

The law: a layer names its own parts, their shapes, where they start, which of them the L2 penalty
is for, and what it computes of them. The network lays the parts out in theta and knows nothing
else. `Dense`, an activation of x W + b, is a layer like any other; `LAYERS` stands right under the
definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from ..engine import stop_gradient
from ..engine.shapes import shape_text
from .activations import identity, learned_arguments
from .initializers import drawn
from .normalization import NORMALIZATIONS, OfBatch, normalized

Shape = tuple[int, ...]


class Layer:
    r"""A hidden layer with parts of its own; subclass it to make yours.

    Like an activation, it is given as `activation=`, by its name in `LAYERS` or as an instance.
    Make the subclass a frozen dataclass: its fields are its parameters, and `GridSearchCV` can
    compare and print it. Parts called "W" and "b" are published in `coefs_` and `intercepts_`,
    others in `layer_parameters_`.

    Attributes
    ----------
    penalized : sequence of str, default=()
        The parts that the L2 penalty is for.
    takes_sparse : bool, default=False
        Whether `outputs` can take sparse rows x, as in x @ W.
    observed : sequence of str, default=()
        The parts that no gradient moves: running statistics, which training observes. `outputs`
        is given them as functions, see `Normalization`.

    Examples
    --------
    Bumps, each with a gain of its own, which is penalized:

    >>> from dataclasses import dataclass
    >>> from skmlp import Layer, MLPRegressor
    >>> @dataclass(frozen=True)
    ... class Bumps(Layer):
    ...     width: float = 1.0
    ...     penalized = ("gains",)
    ...
    ...     def parts(self, inputs, units):
    ...         return {"centers": (inputs, units), "log_widths": (units,), "gains": (units,)}
    ...
    ...     def initial(self, rng, x, units):
    ...         centers = x[rng.randint(len(x), size=units)].T
    ...         log_widths = np.full(units, np.log(self.width))
    ...         return {"centers": centers, "log_widths": log_widths, "gains": np.ones(units)}
    ...
    ...     def outputs(self, x, centers, log_widths, gains):
    ...         squares = np.sum(np.square(x[:, :, None] - centers), axis=1)
    ...         return gains * np.exp(-squares * np.exp(-2 * log_widths))
    >>> X = np.linspace(-2, 2, 50)[:, None]
    >>> model = MLPRegressor((8,), Bumps(), solver="lbfgs", random_state=0).fit(
    ...     X, np.sin(2 * X[:, 0])
    ... )
    >>> {name: part.shape for name, part in model.layer_parameters_[0].items()}
    {'centers': (1, 8), 'log_widths': (8,), 'gains': (8,)}
    """

    penalized: Sequence[str] = ()
    takes_sparse: bool = False
    observed: Sequence[str] = ()

    def parts(self, inputs: int, units: int) -> Mapping[str, Shape]:
        """Return the shape of each part, by its name: an argument of `outputs`."""
        raise NotImplementedError(f"{type(self).__name__} must define parts(inputs, units)")

    def initial(
        self, rng: np.random.RandomState, x: np.ndarray, units: int
    ) -> Mapping[str, np.ndarray]:
        """Return the parts that training starts from.

        Parameters
        ----------
        rng : RandomState
            Where random numbers come from.
        x : ndarray of shape (rows, inputs)
            What the layer sees of some distinct rows of the training data, in random order.
        units : int
            The number of units.

        Returns
        -------
        dict of str to ndarray
            An array for each of `parts`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define initial(rng, x, units)")

    def outputs(self, x: Any, **parts: Any) -> Any:  # noqa: ARG002
        """Compute the outputs of shape (n, units), with NumPy functions alone.

        Parameters
        ----------
        x : array or Expression of shape (n, inputs)
            The layer's input.
        **parts : array or Expression
            Its parts; name them as arguments.

        Returns
        -------
        array or Expression of shape (n, units)
            The outputs; row i depends on row i of x alone.
        """
        names = ", ".join(["x", *parts])
        raise NotImplementedError(f"{type(self).__name__} must define outputs({names})")

    def rows_of(self, part: str) -> Sequence[str]:
        """Return the names that the rows of a part have in graphs; by default one for it all."""
        return (part,)


def _no_statistics(of_batch: OfBatch) -> list[Any]:  # noqa: ARG001
    raise TypeError("a normalization without running statistics asked for those of a batch")


@dataclass(frozen=True)
class Dense(Layer):
    """An activation of x W + b, which may be normalized.

    Parameters
    ----------
    activation : callable, default=identity
        A function of z = x W + b and of what each unit learns, see `Learned`.
    normalization : str, optional
        How z is normalized: a name in `NORMALIZATIONS`.
    n_constant : int, default=0
        How many units, the last ones, are a bias alone: their weights are 0 and stay so.
    weight_init : str or callable, default="auto"
        How W and b are drawn, see `initializers.drawn`.
    drawn_for : callable or Layer, optional
        The activation that "auto" goes by; by default its own.
    """

    activation: Callable[..., Any] = identity
    normalization: str | None = None
    n_constant: int = 0
    weight_init: Any = "auto"
    drawn_for: Any = None

    penalized = ("W",)
    takes_sparse = True
    observed = ("statistics",)

    @cached_property
    def starts(self) -> dict[str, dict[str, float]]:
        """The rows of each part beside W and b, and where they start for every unit."""
        starts = {"activation": learned_arguments(self.activation)}
        if self.normalization is not None:
            starts["normalization"] = learned_arguments(normalized)
            starts["statistics"] = dict(NORMALIZATIONS[self.normalization].running)
        return {name: rows for name, rows in starts.items() if rows}

    def parts(self, inputs: int, units: int) -> dict[str, Shape]:
        """Return the shapes of W, b and of what stands beside them."""
        further = {name: (len(rows), units) for name, rows in self.starts.items()}
        return {"W": (inputs, units), "b": (units,), **further}

    def rows_of(self, part: str) -> Sequence[str]:
        """Return the names of the arguments that a part has rows for."""
        return tuple(self.starts.get(part, (part,)))

    def initial(
        self, rng: np.random.RandomState, x: np.ndarray, units: int
    ) -> dict[str, np.ndarray]:
        """Draw W and b as `weight_init` says; `Layer.initial` says more."""
        goes_by = self.activation if self.drawn_for is None else self.drawn_for
        W, b = drawn(rng, x.shape[1], units, self.weight_init, goes_by)
        W[:, units - self.n_constant :] = 0
        further = {
            name: np.tile(np.array([*rows.values()])[:, None], units)
            for name, rows in self.starts.items()
        }
        return {"W": W, "b": b, **further}

    def outputs(self, x: Any, **parts: Any) -> Any:
        """Compute f(normalized(x W + b)); `Layer.outputs` says more."""
        W, starts = parts["W"], self.starts
        if self.n_constant:
            free = W.shape[1] - self.n_constant
            W = np.concatenate([W[:, :free], np.zeros_like(W[:, free:])], axis=1)
        z = x @ W + parts["b"]
        by_name = {
            part: {name: parts[part][k] for k, name in enumerate(rows)}
            for part, rows in starts.items()
            if part not in self.observed
        }
        if self.normalization is not None:
            moments = NORMALIZATIONS[self.normalization].moments
            mean, variance = moments(z, parts.get("statistics", _no_statistics))
            z = normalized(z, mean, variance, **by_name["normalization"])
        return self.activation(z, **by_name.get("activation", {}))


_LARGEST_LOG_WIDTH = 40.0  # exp(-+2 * 40) is a normal number, in float32 too
_FARTHEST = 80.0  # in half squared widths; exp(-80) as well
_CENTERS_COMPARED = 1000


@dataclass(frozen=True)
class RadialBasis(Layer):
    r"""A layer of bumps: each unit answers to inputs near its center, and learns where that is.

    .. math:: a_j = \exp\left(-\frac{\lVert x - c_j \rVert^2}{2 s_j^2}\right)

    The center c_j is column j of its part "W", in `coefs_`, the logarithm of the width s_j entry j
    of its part "b", in `intercepts_`; neither is penalized. Outputs are in (0, 1]. One such layer
    approximates any continuous function on a bounded set (Park and Sandberg, Neural Computation
    1991). It is good for smooth targets and few inputs, dense and on one scale; use "lbfgs", or
    "adam" with a learning rate of 0.01 or so. Far from all data it answers with the output's bias.
    Broomhead and Lowe, Complex Systems 1988.

    Centers start on distinct random rows of the training data, or, above another hidden layer, on
    what the layer sees of them; if there are fewer than units, rows are used again. All widths
    start at `width` times the mean distance between the centers (between rows, for one unit).

    Parameters
    ----------
    width : float, default=0.5
        The widths that training starts from, in mean distances between centers.

    Raises
    ------
    ValueError
        If `width` is not positive and finite.

    Examples
    --------
    >>> centers, log_widths = np.array([[0.0, 3.0]]), np.zeros(2)
    >>> RadialBasis().outputs(np.array([[0.0], [1.0], [2.0]]), centers, log_widths).round(3)
    array([[1.   , 0.011],
           [0.607, 0.135],
           [0.135, 0.607]])
    """

    width: float = 0.5

    def __post_init__(self) -> None:
        """Check the parameter."""
        if not 0 < self.width < np.inf:
            raise ValueError(f"RadialBasis needs a width that is positive, got {self.width!r}")

    def parts(self, inputs: int, units: int) -> dict[str, Shape]:
        """Return the shapes of the centers and the log-widths."""
        return {"W": (inputs, units), "b": (units,)}

    def outputs(self, x: Any, W: Any, b: Any) -> Any:  # type: ignore[override]
        """Compute the outputs; `Layer.outputs` says more."""
        # Squared distances as |x|^2 - 2 x c + |c|^2 lose digits far from 0, so 0 is moved.
        middle = stop_gradient(np.mean(W, axis=1))
        x, W = x - middle, W - middle[:, None]
        squares = np.sum(x * x, axis=1)[:, None] - 2 * (x @ W) + np.sum(W * W, axis=0)
        log_widths = np.clip(b, -_LARGEST_LOG_WIDTH, _LARGEST_LOG_WIDTH)
        return np.exp(-np.clip(squares * (0.5 * np.exp(-2 * log_widths)), 0, _FARTHEST))

    def initial(
        self,
        rng: np.random.RandomState,  # noqa: ARG002, the rows come in random order
        x: np.ndarray,
        units: int,
    ) -> dict[str, np.ndarray]:
        """Return centers and log-widths to start from; `Layer.initial` says more."""
        _, first = np.unique(x, axis=0, return_index=True)
        distinct = x[np.sort(first)]
        centers = np.resize(distinct, (units, x.shape[1]))
        compared = (centers if units > 1 else distinct)[:_CENTERS_COMPARED]
        distances = pdist(compared.astype(np.float64))
        mean = float(np.mean(distances)) if np.any(distances) else 1.0
        return {"W": centers.T, "b": np.full(units, np.log(self.width * mean))}


LAYERS: Mapping[str, Layer] = MappingProxyType(
    {
        "rbf": RadialBasis(),
    }
)


# -- what a layer says of itself, checked ----------------------------------------------------------


def checked_parts(layer: Layer, inputs: int, units: int) -> dict[str, Shape]:
    """Return the shapes of a layer's parts, or say in a sentence what is wrong with them."""
    said = layer.parts(inputs, units)
    are_parts = isinstance(said, Mapping) and all(
        isinstance(name, str) and name.isidentifier() and name not in ("self", "x") and _is_shape(s)
        for name, s in said.items()
    )
    if not are_parts:
        raise ValueError(
            f"{layer!r} must name its parts in a dict of arguments of outputs, beside x, to tuples "
            f"of whole numbers, such as {{'W': ({inputs}, {units})}}, got {said!r}."
        )
    names = layer.penalized
    if not isinstance(names, (tuple, list)) or not set(names) <= set(said):
        raise ValueError(
            f"{layer!r} must name in penalized, a tuple, some of its parts "
            f"({', '.join(map(repr, said))}), got {names!r}."
        )
    return {name: tuple(map(int, shape)) for name, shape in said.items()}


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, (tuple, list)) and all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0 for n in shape
    )


def checked_start(
    layer: Layer, start: Any, shapes: Mapping[str, Shape]
) -> Mapping[str, np.ndarray]:
    """Return the parts that a layer starts from, or say in a sentence what is wrong with them."""
    if not (isinstance(start, Mapping) and start.keys() == shapes.keys()):
        got = f"{', '.join(map(repr, start))}" if isinstance(start, Mapping) else repr(start)
        raise ValueError(
            f"{layer!r} must start with a dict of its parts, {', '.join(map(repr, shapes))}, "
            f"got {got}."
        )
    for name, shape in shapes.items():
        array = np.asarray(start[name])
        if array.shape != shape or array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise ValueError(
                f"{layer!r} must start with finite numbers of shape {shape_text(shape)} for "
                f"{name!r}, got {start[name]!r}."
            )
    return start
