"""Layers: what a network is a sequence of.

The law: a layer names its own parts, their shapes, where they start and which of them the L2
penalty is for, and says what it computes of them. The network lays the parts out in theta and knows
nothing else. `Dense`, an activation of x W + b, is a layer like any other; `LAYERS` stands right
under the definitions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from scipy.spatial.distance import pdist

from ..engine import stop_gradient
from ..engine.shapes import shape_text
from ..engine.stored import Kind, Stored, Table
from ..engine.values import check_declared, check_made, plain
from ..engine.words import shown
from .activations import ACTIVATIONS, Learned, identity, learned_arguments
from .initializers import drawn
from .normalization import NORMALIZATIONS, normalized

Shape = tuple[int, ...]

# What a layer may be made with, and is stored by its word.
_WORDS = Table(
    {Learned: Kind(frozenset({"start"}), lambda x: {"start": float(x)}, Learned)},
    {f"activation {name}": function for name, function in ACTIVATIONS.items()},
)


class Layer(Stored):
    """A hidden layer with parts of its own; subclass it to make yours.

    Like an activation, it is given as `activation=`, by its name in `LAYERS` or as an instance.
    Make the subclass a frozen dataclass: its fields are its parameters, and `GridSearchCV` can
    compare and print it. Parts called "W" and "b" are published in `coefs_` and `intercepts_`,
    others in `layer_parameters_`.

    Attributes
    ----------
    penalized : tuple of str, default=()
        The parts that the L2 penalty is for.
    takes_sparse : bool, default=False
        Whether `outputs` can take sparse rows x, as in x @ W.
    starts_on_data : bool, default=True
        Whether `initial` looks at its x; where it needs no more than the width, it is empty.

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
    >>> model = MLPRegressor((8,), Bumps(), solver="lbfgs", random_state=0).fit(X, X[:, 0] ** 2)
    >>> {name: part.shape for name, part in model.layer_parameters_[0].items()}
    {'centers': (1, 8), 'log_widths': (8,), 'gains': (8,)}
    """

    penalized: Sequence[str] = ()
    takes_sparse: bool = False
    starts_on_data: bool = True
    # Of `Dense`: parts that no gradient moves, which training observes, and what rows are called.
    observed: Sequence[str] = ()
    rows: Mapping[str, Mapping[str, float]] = MappingProxyType({})
    _table = _WORDS

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class with parameters that are no fields."""
        super().__init_subclass__(**options)
        check_declared(cls, "layer")

    def __new__(cls, *given: Any, **named: Any) -> Self:
        """Make a layer of a class that is a dataclass, if it has parameters."""
        check_made(cls, "layer", is_given=bool(given or named))
        return object.__new__(cls)

    def parts(self, inputs: int, units: int) -> Mapping[str, Shape]:
        """Return the shape of each part by its name, which is an argument of `outputs`."""
        raise NotImplementedError(f"{type(self).__name__} must define parts(inputs, units)")

    def rates(self, inputs: int, units: int) -> Mapping[str, float]:  # noqa: ARG002
        """Return what the rate of a stochastic solver is multiplied by for some parts; else 1."""
        return {}

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
        """Compute the outputs, with NumPy functions alone.

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


@dataclass(frozen=True)
class Dense(Layer):
    """An activation of x W + b, which may be normalized.

    Attributes
    ----------
    activation : callable
        A function of z = x W + b and of what each unit learns, see `Learned`.
    normalization : str or None
        How z is normalized: a name in `NORMALIZATIONS`.
    n_constant : int
        How many units, the last ones, are a bias alone: their weights are 0 and stay so.
    weight_init : str or callable
        How W and b are drawn, see `initializers.drawn`.
    drawn_for : callable, Layer or None
        The activation that "auto" goes by; None is its own.
    """

    activation: Callable[..., Any] = identity
    normalization: str | None = None
    n_constant: int = 0
    weight_init: Any = "auto"
    drawn_for: Any = None

    penalized = ("W",)
    takes_sparse = True
    starts_on_data = False
    observed = ("statistics",)

    def __post_init__(self) -> None:
        """Look up the rows of each part beside W and b, and where they start for every unit."""
        rows: dict[str, Mapping[str, float]] = {"activation": learned_arguments(self.activation)}
        if self.normalization is not None:
            rows["normalization"] = learned_arguments(normalized)
            rows["statistics"] = NORMALIZATIONS[self.normalization].running
        found = {part: starts for part, starts in rows.items() if starts}
        object.__setattr__(self, "rows", found)

    def parts(self, inputs: int, units: int) -> dict[str, Shape]:
        """Return the shapes of W, b and of what stands beside them."""
        further = {part: (len(starts), units) for part, starts in self.rows.items()}
        return {"W": (inputs, units), "b": (units,), **further}

    def initial(
        self, rng: np.random.RandomState, x: np.ndarray, units: int
    ) -> dict[str, np.ndarray]:
        """Draw W and b as `weight_init` says."""
        goes_by = self.activation if self.drawn_for is None else self.drawn_for
        W, b = drawn(rng, x.shape[1], units, self.weight_init, goes_by)
        W[:, units - self.n_constant :] = 0
        further = {
            part: np.tile(np.array([*starts.values()])[:, None], units)
            for part, starts in self.rows.items()
        }
        return {"W": W, "b": b, **further}

    def outputs(  # type: ignore[override]
        self,
        x: Any,
        W: Any,
        b: Any,
        activation: Any = None,
        normalization: Any = None,
        statistics: Any = None,
    ) -> Any:
        """Compute f(normalized(x W + b)); `statistics` is asked for those of a batch."""
        if self.n_constant:
            free = W.shape[1] - self.n_constant
            W = np.concatenate([W[:, :free], np.zeros_like(W[:, free:])], axis=1)
        z = x @ W + b
        if self.normalization is not None:
            mean, variance = NORMALIZATIONS[self.normalization].moments(z, statistics)
            z = normalized(z, mean, variance, normalization[0], normalization[1])
        learned = self.rows.get("activation", ())
        return self.activation(z, **{name: activation[k] for k, name in enumerate(learned)})


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
        object.__setattr__(self, "width", plain(self.width))
        is_number = isinstance(self.width, (int, float)) and not isinstance(self.width, bool)
        if not (is_number and 0 < self.width < np.inf):
            raise ValueError(f"RadialBasis needs a width that is positive, got {shown(self.width)}")

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
    said, names = layer.parts(inputs, units), layer.penalized
    if not (isinstance(said, Mapping) and all(_is_part(*item) for item in said.items())):
        raise ValueError(
            f"{layer!r} must name its parts in a dict of arguments of outputs, beside x, to tuples "
            f"of whole numbers, such as {{'W': ({inputs}, {units})}}, got {shown(said)}."
        )
    if not isinstance(names, (tuple, list)) or not set(names) <= set(said):
        raise ValueError(
            f"{layer!r} must name in penalized, a tuple, some of its parts "
            f"({', '.join(map(repr, said))}), got {shown(names)}."
        )
    return {name: tuple(map(int, shape)) for name, shape in said.items()}


def checked_rates(layer: Layer, inputs: int, units: int) -> Mapping[str, float]:
    """Return the factors of a layer's rates, or say in a sentence what is wrong with them."""
    names = layer.parts(inputs, units)
    said: Any = layer.rates(inputs, units)
    if not isinstance(said, Mapping) or not set(said) <= set(names):
        raise ValueError(
            f"{layer!r} must give in rates(inputs, units) a dict of some of its parts "
            f"({', '.join(map(repr, names))}) to factors, got {said!r}."
        )
    for name, factor in said.items():
        is_number = isinstance(factor, Real) and not isinstance(factor, bool)
        if not is_number or not 0 <= factor < np.inf:
            raise ValueError(
                f"{layer!r} must give {name!r} a finite factor >= 0 of the rate, got {factor!r}."
            )
    return said


def _is_part(name: Any, shape: Any) -> bool:
    is_argument = isinstance(name, str) and name.isidentifier() and name not in ("self", "x")
    are_counts = isinstance(shape, (tuple, list)) and all(
        isinstance(n, (int, np.integer)) and not isinstance(n, bool) and n >= 0 for n in shape
    )
    return is_argument and are_counts


def checked_start(layer: Layer, start: Any, shapes: Mapping[str, Shape]) -> Any:
    """Return the parts that a layer starts from, or say in a sentence what is wrong with them."""
    if not (isinstance(start, Mapping) and start.keys() == shapes.keys()):
        raise ValueError(
            f"{layer!r} must start with a dict of its parts, {', '.join(map(repr, shapes))}, "
            f"got {', '.join(map(repr, start)) if isinstance(start, Mapping) else repr(start)}."
        )
    for name, shape in shapes.items():
        array = np.asarray(start[name])
        if array.shape != shape or array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise ValueError(
                f"{layer!r} must start with finite numbers of shape {shape_text(shape)} for "
                f"{name!r}, got {shown(start[name])}."
            )
    return start
