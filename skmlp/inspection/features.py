"""What hidden layers have learned: where they put samples, and what each unit answers to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA

from ..engine.words import shown
from ..estimators.prediction import Fitted
from ..heads.domains import is_count
from ..network.layers import Layer
from .activation import hidden_layer
from .drawing import (
    COLORS,
    MARKERS,
    SEQUENTIAL,
    artists,
    cut,
    divided_axes,
    percent,
    pyplot,
    styled,
)
from .reached import inputs_reached, names_reached, reached_network

_KINDS = ("embedding", "units", "both")
_PROFILES = ("auto", "weights", "inputs")
_MOST_CLASSES = 20  # of more numbers than that, targets are no classes
_LETTERS = 28  # of the name of a class
_BARS = 10  # of a profile that is no image


@dataclass(frozen=True)
class _Profiles:
    """What units answer to: one row of numbers for each unit that is drawn."""

    units: np.ndarray
    values: np.ndarray
    title: str
    value_name: str
    are_signed: bool  # so that 0 is in the middle
    names: Sequence[str]
    image_shape: tuple[int, ...] | None


class HiddenFeaturesDisplay:
    """The features of a hidden layer: samples as they see them, and what each unit answers to.

    Use `from_estimator` to make one. On the left, the outputs of the layer in two dimensions, by
    default its principal components; on the right, for the units whose outputs vary most, the
    weights of their inputs, or the sample that activates each most: images, where inputs are
    images, and otherwise bars of the inputs that count most. In images of weights 0 is the middle
    gray, positive numbers are light and negative ones dark.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, 2) or None
        The samples in two dimensions.
    y : ndarray of shape (n_samples,) or None
        What colors them.
    axis_names : (str, str)
        What the two dimensions are called.
    profiles : object or None
        The units: `units`, `values` of shape (units, inputs), and how they are drawn.
    layer : int
        Which hidden layer, 0 being the first.
    target_name : str, default="Target"
        What `y` is called.

    Attributes
    ----------
    axes_ : ndarray of Axes
        Those of the embedding, if there is one, and of each unit.
    figure_ : Figure
        Their figure.
    points_ : list of PathCollection
        The samples: of each class, or all.
    images_ : list of AxesImage
        The image of each unit.
    bars_ : list of BarContainer
        The bars of each unit, where there are no images.
    colorbar_ : Colorbar or None
        What the colors of samples mean, where targets are numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skmlp import MLPClassifier
    >>> from skmlp.inspection import HiddenFeaturesDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> model = MLPClassifier((16,), learning_rate="linear", max_iter=15, random_state=0)
    >>> display = HiddenFeaturesDisplay.from_estimator(
    ...     model.fit(X / 16, y), X / 16, y, image_shape=(8, 8), n_units=9
    ... )
    >>> display.embedding.shape, len(display.points_), len(display.images_)
    ((1797, 2), 10, 9)
    """

    def __init__(
        self,
        *,
        embedding: np.ndarray | None,
        y: np.ndarray | None,
        axis_names: tuple[str, str],
        profiles: Any,
        layer: int,
        target_name: str = "Target",
    ) -> None:
        self.embedding, self.y, self.axis_names = embedding, y, axis_names
        self.profiles, self.layer, self.target_name = profiles, layer, target_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        layer: int = -1,
        kind: str = "both",
        transformer: Any = None,
        profile: str = "auto",
        image_shape: tuple[int, ...] | None = None,
        n_units: int = 16,
        target_name: str | None = None,
        ax: Any = None,
        point_kw: Mapping[str, Any] | None = None,
        image_kw: Mapping[str, Any] | None = None,
        bar_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the features of a hidden layer.

        Parameters
        ----------
        estimator : estimator
            A fitted MLPClassifier or MLPRegressor, or a pipeline or search that ends in one.
        X : frame or array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,), default=None
            What colors the samples: classes, or numbers; by default all have one color. Up to 20
            distinct values of a classifier are classes.
        layer : int, default=-1
            Which hidden layer, 0 being the first; negative numbers count from the last.
        kind : {"both", "embedding", "units"}, default="both"
            What to draw.
        transformer : transformer, default=None
            What makes two dimensions, or more, of which two are drawn, of the outputs of the
            layer, by its `fit_transform`; it is cloned. By default `PCA(2)`.
        profile : {"auto", "weights", "inputs"}, default="auto"
            What is drawn of a unit: the weights of its inputs, or the sample of X that activates
            it most. "auto" takes weights for the first hidden layer and wherever there are no
            images.
        image_shape : (height, width) or (height, width, 3), default=None
            The shape of the images that rows of X are; by default they are none.
        n_units : int, default=16
            How many units to draw at most: those whose outputs vary most over X.
        target_name : str, default=None
            What `y` is called; by default its own name, or "Class" or "Target".
        ax : Axes or array-like of Axes, default=None
            Axes whose place is divided, or one for the embedding and each unit that are drawn; by
            default those of a new figure.
        point_kw, image_kw, bar_kw : dict, default=None
            Keyword arguments for the points, images and bars.

        Returns
        -------
        HiddenFeaturesDisplay
            The picture.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If there is no such layer, or an argument cannot be used.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        steps, network = reached_network(estimator, cls.__name__)
        number = hidden_layer(Fitted(network), layer)
        for name, value, known in (("kind", kind, _KINDS), ("profile", profile, _PROFILES)):
            if value not in known:
                words = ", ".join(map(repr, known))
                raise ValueError(f"{name} must be one of {words}, got {shown(value)}.")
        if not is_count(n_units):
            raise ValueError(f"n_units must be a whole number >= 1, got {shown(n_units)}.")
        inputs = inputs_reached(steps, X)
        outputs = np.asarray(network.hidden_layer_output(inputs, number), float)
        colors = None if y is None else _colors(y, len(outputs))
        embedding, axis_names, profiles = None, ("", ""), None
        if kind != "units":
            embedding, axis_names = _embedded(outputs, transformer)
        if kind != "embedding":
            asked = (
                ("inputs" if number and image_shape else "weights")
                if profile == "auto"
                else profile
            )
            units = np.argsort(-np.std(outputs, axis=0), kind="stable")[:n_units]
            if asked == "weights":
                profiles = _weights(network, number, units, image_shape, steps, X)
            else:
                profiles = _most_activating(outputs, units, image_shape, X, inputs, steps)
        if target_name is None:
            is_classifier = hasattr(network, "classes_")
            target_name = str(getattr(y, "name", None) or ("Class" if is_classifier else "Target"))
        return cls(
            embedding=embedding,
            y=colors,
            axis_names=axis_names,
            profiles=profiles,
            layer=number,
            target_name=target_name,
        ).plot(ax, point_kw=point_kw, image_kw=image_kw, bar_kw=bar_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        point_kw: Mapping[str, Any] | None = None,
        image_kw: Mapping[str, Any] | None = None,
        bar_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the picture; `from_estimator` describes the parameters.

        Returns
        -------
        HiddenFeaturesDisplay
            Itself.
        """
        self.points_: list[Any] = []
        self.images_: list[Any] = []
        self.bars_: list[Any] = []
        self.colorbar_: Any = None
        embedding, units = self._axes(ax)
        if embedding is not None:
            self._draw_embedding(embedding, point_kw)
        if self.profiles is not None and self.profiles.image_shape is not None:
            self._draw_images(units, image_kw)
        elif self.profiles is not None:
            self._draw_bars(units, bar_kw)
        return self

    def _axes(self, ax: Any) -> tuple[Any, list[Any]]:
        """Return the axes of the embedding, or None, and those of the units."""
        has_embedding, name = self.embedding is not None, type(self).__name__
        n_units = 0 if self.profiles is None else len(self.profiles.units)
        n = has_embedding + n_units
        if ax is not None and np.size(np.asarray(ax, dtype=object)) != 1:
            self.axes_ = divided_axes(ax, name, columns=[1.0] * n)
        else:
            n_columns = math.ceil(math.sqrt(n_units)) if n_units else 0
            is_image = n_units and self.profiles.image_shape is not None
            of_units = max(2.6, n_columns * (1.15 if is_image else 1.6) + (not is_image))
            halves = [5.2] * has_embedding + [of_units] * bool(n_units)
            size = max(sum(halves), 4.0), 4.8 + self._height_of_legend()
            parts = divided_axes(ax, name, columns=halves, size=size)
            made = list(parts[:has_embedding])
            if n_units:
                made += self._axes_of_units(parts[-1], n_units, n_columns)
            self.axes_ = np.array(made, dtype=object)
        self.figure_ = self.axes_[0].figure
        return (self.axes_[0] if has_embedding else None), list(self.axes_[has_embedding:])

    def _axes_of_units(self, place: Any, n_units: int, n_columns: int) -> list[Any]:
        """Divide a place into axes for the units, and call it by what they show."""
        figure, n_rows = place.figure, math.ceil(n_units / n_columns)
        place.set_axis_off()
        words = f"{self.profiles.title}, hidden layer {self.layer + 1}"
        lines = wrap(words, max(18, 11 * n_columns))
        inches = place.get_window_extent().height / figure.dpi
        share = min(0.5, 0.2 * len(lines) / inches)
        grid = place.get_subplotspec().subgridspec(
            n_rows + 1, n_columns, height_ratios=[share * n_rows / (1 - share), *[1.0] * n_rows]
        )
        heading = figure.add_subplot(grid[0, :])
        heading.set_axis_off()
        style = {"ha": "center", "va": "center", "fontsize": 10, "in_layout": False}
        heading.text(0.5, 0.5, "\n".join(lines), **style)
        places = [divmod(k, n_columns) for k in range(n_units)]
        return [figure.add_subplot(grid[row + 1, column]) for row, column in places]

    def _height_of_legend(self) -> float:
        """Return the inches that the legend of classes takes, below the embedding."""
        if self.embedding is None or self.y is None or self.y.dtype.kind == "f":
            return 0.0
        classes = [str(label) for label in np.unique(self.y)]
        return 0.2 * math.ceil(len(classes) / _columns_of_legend(classes))

    def _draw_embedding(self, axes: Any, point_kw: Mapping[str, Any] | None) -> None:
        """Draw the samples, class by class where they have classes."""
        assert self.embedding is not None
        n = len(self.embedding)
        how: dict[str, Any] = {"s": 14 if n > 500 else 24, "linewidths": 0, "alpha": 0.8}
        how["rasterized"] = n > 5000
        kind = artists().PathCollection
        axes.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1])
        axes.set_title(f"Outputs of hidden layer {self.layer + 1}", fontsize=10)
        if self.y is None or self.y.dtype.kind == "f":
            colors = {"color": COLORS[0]} if self.y is None else {"c": self.y, "cmap": SEQUENTIAL}
            style = styled(kind, {**how, **colors}, point_kw)
            self.points_.append(axes.scatter(*self.embedding.T, **style))
            if self.y is not None and self.points_[0].get_array() is not None:
                self.colorbar_ = self.figure_.colorbar(
                    self.points_[0], ax=axes, label=self.target_name, aspect=30, pad=0.02
                )
            return
        classes = [str(label) for label in np.unique(self.y)]
        are_signs = all(len(x) == 1 and x.isalnum() and x.isascii() for x in classes)
        for k, label in enumerate(classes):
            colors = {"color": COLORS[k % len(COLORS)], "label": cut(label, _LETTERS)}
            if are_signs:
                colors |= {"marker": f"${label}$", "s": 1.6 * how["s"]}
            else:
                colors["marker"] = MARKERS[k % len(MARKERS)]
            style = styled(kind, {**how, **colors}, point_kw)
            rows = self.y.astype(str) == label
            self.points_.append(axes.scatter(*self.embedding[rows].T, **style))
        if are_signs:  # they say themselves what they are
            words = f"Outputs of hidden layer {self.layer + 1}, by {self.target_name.lower()}"
            axes.set_title(words, fontsize=10)
        else:
            self._draw_legend(axes, classes)

    def _draw_legend(self, axes: Any, classes: Sequence[str]) -> None:
        """Put the legend of the classes below the axes."""
        legend = axes.legend(
            title=self.target_name,
            fontsize="small",
            ncols=_columns_of_legend(classes),
            loc="upper center",
            bbox_to_anchor=(0.5, -0.14),
            frameon=False,
            columnspacing=1.0,
            handletextpad=0.2,
        )
        for handle in legend.legend_handles:
            handle.set(sizes=[36], alpha=1.0)

    def _draw_images(self, units: Sequence[Any], image_kw: Mapping[str, Any] | None) -> None:
        """Draw what each unit answers to, as an image; of weights all have one scale."""
        profiles = self.profiles
        scale = float(np.max(np.abs(profiles.values))) or 1.0
        for axes, unit, numbers in zip(units, profiles.units, profiles.values, strict=True):
            how: dict[str, Any] = {"interpolation": "nearest"}
            if len(profiles.image_shape) == 2:
                how["cmap"] = "gray"
            if profiles.are_signed:
                how |= {"vmin": -scale, "vmax": scale}
            pixels = numbers.reshape(profiles.image_shape)
            if len(profiles.image_shape) == 3:  # colors are numbers from 0 to 1
                low = -scale if profiles.are_signed else np.min(pixels)
                high = scale if profiles.are_signed else np.max(pixels)
                pixels = (pixels - low) / ((high - low) or 1.0)
            self.images_.append(axes.imshow(pixels, **{**how, **(image_kw or {})}))
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"unit {unit}", fontsize=7, pad=2)
        if profiles.are_signed and len(profiles.image_shape) == 2:
            self.figure_.colorbar(
                self.images_[0], ax=list(units), label=profiles.value_name, aspect=30, pad=0.02
            )

    def _draw_bars(self, units: Sequence[Any], bar_kw: Mapping[str, Any] | None) -> None:
        """Draw what each unit answers to, as bars of the inputs that count most over all."""
        profiles = self.profiles
        size = np.sqrt(np.sum(np.square(profiles.values), axis=0))
        drawn = np.sort(np.argsort(-size, kind="stable")[:_BARS])
        style = styled(artists().Rectangle, {"color": COLORS[0]}, bar_kw)
        scale = 1.05 * float(np.max(np.abs(profiles.values[:, drawn]))) or 1.0
        names = [cut(profiles.names[j], 16) for j in drawn]
        end = float(f"{0.8 * scale:.0e}")  # of one digit
        n_columns = math.ceil(math.sqrt(len(units)))
        for k, (axes, unit) in enumerate(zip(units, profiles.units, strict=True)):
            bars = axes.barh(np.arange(len(drawn)), profiles.values[k, drawn], **style)
            self.bars_.append(bars)
            axes.axvline(0, color="0.5", linewidth=0.8)
            axes.set(xlim=(-scale, scale), ylim=(len(drawn) - 0.4, -0.6))
            axes.set_yticks(range(len(drawn)), names, fontsize=7)
            axes.tick_params(axis="x", labelsize=7)
            axes.set_xticks([-end, end])
            axes.tick_params(axis="y", labelleft=k % n_columns == 0)
            axes.set_title(f"unit {unit}", fontsize=7, pad=2)
            axes.spines[["top", "right"]].set_visible(False)
            if k + n_columns >= len(units):
                axes.set_xlabel(profiles.value_name, fontsize=7)
            else:
                axes.tick_params(axis="x", labelbottom=False)


def _columns_of_legend(classes: Sequence[str]) -> int:
    """Return into how many columns the names of classes go, under axes of the usual width."""
    longest = min(_LETTERS, max(map(len, classes)))
    return max(1, min(5, len(classes), 60 // (longest + 6)))


# == what is drawn, computed =======================================================================


def _colors(y: Any, n: int) -> np.ndarray:
    """Return classes as text or whole numbers, and other numbers as float64."""
    found = np.asarray(y)
    if found.shape == (n, 1):
        found = found[:, 0]
    if found.shape != (n,):
        raise ValueError(f"y must have one entry for each of the {n} rows of X, got {shown(y)}.")
    if found.dtype.kind in "OUSb":
        return found.astype(str)
    is_whole = np.all(np.isfinite(found)) and np.all(found == np.round(found))
    if is_whole and len(np.unique(found)) <= _MOST_CLASSES:
        return found.astype(int)
    return found.astype(float)


def _embedded(outputs: np.ndarray, transformer: Any) -> tuple[np.ndarray, tuple[str, str]]:
    """Return two dimensions of a layer's outputs, and what they are called."""
    if outputs.shape[1] < 2 or len(outputs) < 2:
        raise ValueError(
            f"two dimensions are made of two units and two samples or more, got outputs of shape "
            f"{outputs.shape}: choose another layer, or kind='units'."
        )
    if transformer is None:
        pca = PCA(2, svd_solver="full")
        found = pca.fit_transform(outputs)
        shares = np.nan_to_num(pca.explained_variance_ratio_)
        first, second = (
            f"Component {i} ({percent(round(share, 3))} of variance)"
            for i, share in enumerate(shares, 1)
        )
        return found, (first, second)
    found = np.asarray(clone(transformer).fit_transform(outputs), float)
    if found.ndim != 2 or found.shape[1] < 2:
        raise ValueError(
            f"transformer={shown(transformer)} must make two dimensions, got shape {found.shape}."
        )
    name = type(transformer).__name__
    return found[:, :2], (f"{name}, dimension 1", f"{name}, dimension 2")


def _weights(
    network: Any,
    layer: int,
    units: np.ndarray,
    image_shape: tuple[int, ...] | None,
    steps: list[tuple[str, Any]],
    X: Any,
) -> _Profiles:
    """Return the weights of the inputs of some units."""
    weights = network.coefs_[layer]
    if weights is None:
        raise ValueError(
            f"hidden layer {layer + 1} has no weights to draw: set profile='inputs' or "
            "kind='embedding'."
        )
    n = len(weights)
    names = [f"unit {j}" for j in range(n)] if layer else names_reached(steps, X, n)
    _check_image(image_shape, n, "weights")
    values = np.asarray(weights, float)[:, units].T
    is_layer = isinstance(Fitted(network).network.activations[layer], Layer)
    title, value_name = ("Part W of units", "W") if is_layer else ("Weights of inputs", "Weight")
    return _Profiles(units, values, title, value_name, True, names, image_shape)


def _most_activating(
    outputs: np.ndarray,
    units: np.ndarray,
    image_shape: tuple[int, ...] | None,
    X: Any,
    inputs: Any,
    steps: list[tuple[str, Any]],
) -> _Profiles:
    """Return the sample that activates each unit most: as it is given, where it is an image."""
    rows = np.argmax(outputs[:, units], axis=0)
    shown_of = inputs if image_shape is None else X
    values = np.asarray(shown_of.toarray() if hasattr(shown_of, "toarray") else shown_of, float)
    n = values.shape[1]
    _check_image(image_shape, n, "columns")
    names = names_reached(steps, X, n) if image_shape is None else []
    title = "Most activating samples"
    return _Profiles(units, values[rows], title, "Input", False, names, image_shape)


def _check_image(image_shape: Any, n: int, what: str) -> None:
    if image_shape is None:
        return
    is_right = (
        np.ndim(image_shape) == 1
        and len(image_shape) in (2, 3)
        and all(is_count(size) for size in image_shape)
    )
    if not is_right or math.prod(image_shape) != n or (*image_shape, 3)[2] != 3:
        raise ValueError(
            f"image_shape must be (height, width) or (height, width, 3) of the {n} {what} of a "
            f"unit's picture, got {shown(image_shape)}."
        )
