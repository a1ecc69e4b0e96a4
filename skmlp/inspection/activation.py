"""Activations with their slopes, as backpropagation takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np

from ..engine import BATCH, Expression, evaluate, gradient, variable
from ..engine.words import shown
from ..estimators.prediction import Fitted
from ..network.activations import ACTIVATIONS, learned_arguments
from ..network.layers import Layer
from .drawing import COLORS, MARKERS, artists, pyplot, single_axes, styled
from .reached import reached_network

_POINTS = 401  # an odd number, so that 0 is one of them where limits are symmetric


class ActivationDisplay:
    """An activation f(z), and the slope f'(z) that backpropagation takes for it.

    Use `from_activation` or `from_estimator` to make one. Values are solid lines, slopes dashed
    ones. Drawn into axes in which there are others, a picture takes the next color.

    Parameters
    ----------
    z : ndarray of shape (points,)
        Pre-activations.
    values, slopes : ndarray of shape (points, curves)
        f(z) and f'(z), a column for each curve: one, or one for each unit where units differ.
    name : str
        What the activation is called.

    Attributes
    ----------
    ax_ : Axes
        Its axes.
    figure_ : Figure
        Their figure.
    value_lines_, slope_lines_ : list of Line2D
        A line for each curve.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.inspection import ActivationDisplay
    >>> display = ActivationDisplay.from_activation("tanh", limits=(-2, 2))
    >>> bool(np.allclose(display.slopes[:, 0], 1 - np.tanh(display.z) ** 2))
    True
    """

    def __init__(self, *, z: np.ndarray, values: np.ndarray, slopes: np.ndarray, name: str) -> None:
        self.z, self.values, self.slopes, self.name = z, values, slopes, name

    @classmethod
    def from_activation(
        cls,
        activation: str | Callable[..., Any],
        *,
        limits: tuple[float, float] = (-4.0, 4.0),
        ax: Any = None,
        line_kw: Mapping[str, Any] | None = None,
        slope_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw an activation.

        Parameters
        ----------
        activation : str or callable
            A name in `skmlp.activations.ACTIVATIONS`, or a function of the same kind; arguments
            that are `Learned` are where learning starts.
        limits : (float, float), default=(-4.0, 4.0)
            The least and the largest pre-activation.
        ax : Axes, default=None
            Where to draw; by default in a new figure.
        line_kw : dict, default=None
            Keyword arguments for the lines of values, and, where `slope_kw` does not say
            otherwise, of slopes.
        slope_kw : dict, default=None
            Keyword arguments for the lines of slopes.

        Returns
        -------
        ActivationDisplay
            The picture. Where training takes another slope than the derivative, as that of
            "hard_threshold", it is that one which is drawn.

        Raises
        ------
        ValueError
            If there is no such activation, or the limits are no interval.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        function = ACTIVATIONS.get(activation) if isinstance(activation, str) else activation
        if not callable(function):
            raise ValueError(
                f"activation={shown(activation)} is none: give a function of z, or one of "
                f"{', '.join(map(repr, ACTIVATIONS))}."
            )
        z = _points(limits)
        name = activation if isinstance(activation, str) else name_of(function)
        values, slopes = _curves(function, z, 1, {})
        drawn = cls(z=z, values=values, slopes=slopes, name=name)
        return drawn.plot(ax, line_kw=line_kw, slope_kw=slope_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: int = -1,
        limits: tuple[float, float] = (-4.0, 4.0),
        ax: Any = None,
        line_kw: Mapping[str, Any] | None = None,
        slope_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the activation of a hidden layer, with what each unit has learned of it.

        Parameters
        ----------
        estimator : estimator
            A fitted MLPClassifier or MLPRegressor, or a pipeline or search that ends in one.
        layer : int, default=-1
            Which hidden layer, 0 being the first; negative numbers count from the last.
        limits : (float, float), default=(-4.0, 4.0)
            The least and the largest pre-activation.
        ax : Axes, default=None
            Where to draw; by default in a new figure.
        line_kw, slope_kw : dict, default=None
            Keyword arguments for the lines; `from_activation` says more.

        Returns
        -------
        ActivationDisplay
            The picture. Where an activation has `Learned` arguments there is a line for each unit.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If there is no such layer, or it is a `Layer`, which has no pre-activation.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        fitted = Fitted(reached_network(estimator, cls.__name__)[1])
        number = hidden_layer(fitted, layer)
        function, units = fitted.network.activations[number], fitted.network.layer_units[number + 1]
        if isinstance(function, Layer):
            raise ValueError(
                f"layer={layer} is {function!r}, which has no activation of its own to draw: "
                "choose a layer whose activation is a function."
            )
        z = _points(limits)
        rows = fitted.parts[number].get("activation")
        learned = {} if rows is None else dict(zip(learned_arguments(function), rows, strict=True))
        values, slopes = _curves(function, z, units if learned else 1, learned)
        name = f"{name_of(function)}, hidden layer {number + 1}"
        drawn = cls(z=z, values=values, slopes=slopes, name=name)
        return drawn.plot(ax, line_kw=line_kw, slope_kw=slope_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        line_kw: Mapping[str, Any] | None = None,
        slope_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the picture; `from_activation` describes the parameters.

        Returns
        -------
        ActivationDisplay
            Itself.
        """
        self.ax_ = single_axes(ax, type(self).__name__)
        self.figure_ = self.ax_.figure
        n_before = sum(not line.get_label().startswith("_") for line in self.ax_.lines)
        if n_before == 0:
            self.ax_.axhline(0, color="0.8", linewidth=0.8, zorder=0)
            self.ax_.axvline(0, color="0.8", linewidth=0.8, zorder=0)
        n, number = self.values.shape[1], n_before // 2
        value_style, slope_style = _styles(n, number)
        line = artists().Line2D
        self.value_lines_ = self.ax_.plot(self.z, self.values, **styled(line, value_style, line_kw))
        given = {**(line_kw or {}), **(slope_kw or {})}
        self.slope_lines_ = self.ax_.plot(self.z, self.slopes, **styled(line, slope_style, given))
        of_units = "" if n == 1 else f", {n} units"
        for lines, words in ((self.value_lines_, "f(z)"), (self.slope_lines_, "slope f'(z)")):
            for k, drawn in enumerate(lines):
                drawn.set_label(f"_{k}" if k else f"{self.name}: {words}{of_units}")
        self.ax_.set(
            xlabel="Pre-activation z", ylabel="f(z) and its slope", xlim=(self.z[0], self.z[-1])
        )
        legend = self.ax_.legend(fontsize="small")
        for handle in legend.get_lines():
            handle.set_alpha(1.0)
        return self


def _styles(n: int, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return how n values and slopes of a picture are drawn, the number-th one in its axes."""
    color, other = COLORS[number % len(COLORS)], COLORS[(number + 1) % len(COLORS)]
    if n > 1:  # lines lie upon each other, so that dashes alone would not tell them apart
        faint = {"alpha": max(0.25, 2 / n**0.7), "linewidth": 1.0}
        return {**faint, "color": color}, {**faint, "color": other, "linestyle": "--"}
    marks = {"marker": MARKERS[number % len(MARKERS)], "markersize": 4, "markevery": 50}
    one = {"color": color, **(marks if number else {})}
    return {**one, "linewidth": 2.0}, {**one, "linewidth": 1.5, "linestyle": "--"}


def hidden_layer(fitted: Fitted, layer: Any) -> int:
    """Return the number of a hidden layer, from 0, or say in a sentence which there are."""
    depth = fitted.network.depth - 1
    is_number = isinstance(layer, Integral) and not isinstance(layer, bool)
    if not (is_number and -depth <= int(layer) < depth):
        raise ValueError(
            f"layer={shown(layer)} is not one of the {depth} hidden layers: give a whole number "
            f"from {-depth} to {depth - 1}."
            if depth
            else f"layer={shown(layer)} does not exist: the network has no hidden layer."
        )
    return int(layer) % depth


def _points(limits: Any) -> np.ndarray:
    """Return pre-activations between limits, or refuse what is no interval."""
    numbers = np.asarray(limits, float) if np.shape(limits) == (2,) else np.array([np.nan] * 2)
    if not (np.isfinite(numbers).all() and numbers[0] < numbers[1]):
        raise ValueError(f"limits must be two numbers, the lower first, got {shown(limits)}.")
    return np.linspace(numbers[0], numbers[1], _POINTS)


def name_of(function: Callable[..., Any]) -> str:
    """Return what an activation is called: its name in `ACTIVATIONS`, or that of the function.

    Examples
    --------
    >>> name_of(ACTIVATIONS["mish"]), name_of(partial(ACTIVATIONS["elu"], scale=2.0))
    ('mish', 'elu(scale=2.0)')
    """
    for name, known in ACTIVATIONS.items():
        if known is function:
            return name
    if isinstance(function, partial):
        held = ", ".join(f"{name}={value!r}" for name, value in function.keywords.items())
        return f"{name_of(function.func)}({held})"
    return getattr(function, "__name__", None) or shown(function)


def _curves(
    function: Callable[..., Any], z: np.ndarray, curves: int, learned: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Compute f(z) and f'(z) for each unit, by the engine, of shape (points, units)."""
    x = variable("z", (BATCH, curves))
    outputs = function(x, **learned)
    if not isinstance(outputs, Expression) or outputs.shape != x.shape:
        raise ValueError(
            f"activation={shown(function)} must return an array of the shape of z, made of z by "
            f"NumPy functions, got {shown(outputs)}."
        )
    (slope,) = gradient(np.sum(outputs), [x])
    with np.errstate(all="ignore"):
        values, slopes = evaluate([outputs, slope], {x: np.tile(z[:, None], curves)}, np.float64)
    return values, slopes
