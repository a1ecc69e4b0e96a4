"""How much each feature counts: attributions as bars and as swarms of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, Self

import numpy as np

from ..engine.words import shown
from ..tabular.frames import frame_of
from .drawing import COLORS, SEQUENTIAL, artists, cut, divided_axes, pyplot, styled
from .explanations import Attributions, integrated_gradients

_KINDS = ("bar", "beeswarm", "both")
_LABEL = 36  # letters of a line below an axis
_MISSING = "0.7"  # the gray of points whose feature is missing, or no number


class ImportanceDisplay:
    r"""Attributions to features: bars of their mean absolute value, and a swarm of all rows.

    Use `from_estimator` or `from_attributions` to make one. The bar of feature j is

    .. math:: \frac{1}{n} \sum_{i=1}^{n} \lvert \phi_{ij} \rvert

    and its swarm has a point at each phi_ij, colored by the value of the feature. Features are in
    the order of their bars, the longest on top. Lundberg et al., "From local explanations to global
    understanding with explainable AI for trees", Nature Machine Intelligence 2 (2020).

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_features) or (n_features,)
        Attributions phi, in units of what is explained; of one axis, they are the bars themselves.
    feature_names : list of str
        The names of the features.
    colors : ndarray of shape (n_samples, n_features), default=None
        The ranks of the features' values, from 0 for the least to 1, NaN where there is none.
    value_name : str, default="Attribution"
        What attributions are called on the axes, with their unit.

    Attributes
    ----------
    axes_ : ndarray of Axes
        Those of the bars and of the swarm, as far as they are drawn.
    figure_ : Figure
        Their figure.
    importances_ : ndarray of shape (n_features,)
        The length of every feature's bar.
    order_ : ndarray of shape (drawn,)
        The features that are drawn, from the top.
    bars_ : BarContainer or None
        The bars.
    points_ : list of PathCollection
        The swarm of each feature, from the top.
    colorbar_ : Colorbar or None
        What the colors mean.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.inspection import ImportanceDisplay
    >>> values = np.array([[1.0, -3.0], [2.0, 0.0]])
    >>> display = ImportanceDisplay.from_attributions(values, ["width", "height"])
    >>> display.importances_, display.order_
    (array([1.5, 1.5]), array([0, 1]))
    """

    def __init__(
        self,
        *,
        values: np.ndarray,
        feature_names: Sequence[str],
        colors: np.ndarray | None = None,
        value_name: str = "Attribution",
    ) -> None:
        self.values, self.feature_names = values, feature_names
        self.colors, self.value_name = colors, value_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        baseline: Any = "mean",
        target: Any = None,
        value_name: str = "Attribution",
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Explain the answers of an estimator by `integrated_gradients`, and draw that.

        Parameters
        ----------
        estimator : estimator
            As `skmlp.inspection.integrated_gradients` takes it: a fitted one, or a `Pipeline` or
            search that ends in one.
        X : frame or array-like of shape (n_samples, n_features)
            The rows to explain; points are colored by their values.
        baseline, target : object
            What rows are compared with, and which answer is meant; as there.
        value_name, ax, **options : object
            As for `from_attributions`.

        Returns
        -------
        ImportanceDisplay
            The picture.

        Raises
        ------
        ValueError
            If the estimator cannot be explained, or `target` means several answers: then draw
            those one by one, `from_attributions(found.values[..., k])`.
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skmlp import MLPRegressor
        >>> from skmlp.inspection import ImportanceDisplay
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> network = MLPRegressor((5,), "tanh", solver="lbfgs", max_iter=5000, random_state=0)
        >>> model = make_pipeline(StandardScaler(), network).fit(X, y)
        >>> display = ImportanceDisplay.from_estimator(model, X[:50], max_features=3)
        >>> display.order_.shape
        (3,)
        """
        pyplot(cls.__name__)
        found = integrated_gradients(estimator, X, baseline, target)
        if found.values.ndim > 2:
            raise ValueError(
                f"target={shown(target)} means {found.values.shape[2]} answers, and a picture "
                "shows one: give one target, or draw from_attributions(found.values[..., k])."
            )
        return cls.from_attributions(found, X=X, value_name=value_name, ax=ax, **options)

    @classmethod
    def from_attributions(
        cls,
        values: Any,
        feature_names: Sequence[str] | None = None,
        X: Any = None,
        *,
        kind: str = "both",
        max_features: int = 15,
        value_name: str = "Attribution",
        ax: Any = None,
        bar_kw: Mapping[str, Any] | None = None,
        point_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw attributions.

        Parameters
        ----------
        values : Attributions, or array-like of shape (n_samples, n_features) or (n_features,)
            Attributions, of rows or of the whole.
        feature_names : list of str, default=None
            The names of the features; by default those that attributions have, or the columns of
            X, or x0, x1, ...
        X : frame or array-like of shape (n_samples, n_features), default=None
            The rows that were explained: points are colored by their values.
        kind : {"both", "bar", "beeswarm"}, default="both"
            What to draw. Of attributions of the whole there are bars alone.
        max_features : int, default=15
            How many features to draw at most, those with the longest bars.
        value_name : str, default="Attribution"
            What attributions are called on the axes, with their unit.
        ax : Axes or array-like of Axes, default=None
            Axes whose place is divided, or one for the bars and one for the swarm; by default
            those of a new figure.
        bar_kw : dict, default=None
            Keyword arguments for the bars.
        point_kw : dict, default=None
            Keyword arguments for the points, those of matplotlib's `scatter`.

        Returns
        -------
        ImportanceDisplay
            The picture.

        Raises
        ------
        ValueError
            If shapes do not fit, a number is not finite, or `kind` or `max_features` cannot be
            used.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        if isinstance(values, Attributions):
            feature_names = list(values.feature_names) if feature_names is None else feature_names
            values = values.values
        array = np.asarray(values, float)
        if array.ndim not in (1, 2) or 0 in array.shape or not np.isfinite(array).all():
            raise ValueError(
                "values must be finite numbers of shape (n_samples, n_features) or (n_features,), "
                f"got {shown(values)}."
            )
        names, colors = _described(array, feature_names, X)
        drawn = cls(values=array, feature_names=names, colors=colors, value_name=value_name)
        return drawn.plot(
            ax, kind=kind, max_features=max_features, bar_kw=bar_kw, point_kw=point_kw
        )

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "both",
        max_features: int = 15,
        bar_kw: Mapping[str, Any] | None = None,
        point_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the picture; `from_attributions` describes the parameters.

        Returns
        -------
        ImportanceDisplay
            Itself.
        """
        kinds = self._kinds(kind)
        if not (isinstance(max_features, (int, np.integer)) and max_features >= 1):
            raise ValueError(f"max_features must be a whole number >= 1, got {shown(max_features)}")
        rows = np.atleast_2d(self.values)
        self.importances_ = np.mean(np.abs(rows), axis=0) if self.values.ndim == 2 else self.values
        order = np.argsort(-np.abs(self.importances_), kind="stable")
        self.order_ = order[:max_features]
        n = len(self.order_)
        self.axes_ = divided_axes(
            ax,
            type(self).__name__,
            columns=[1.0 if kind == "bar" else 1.6 for kind in kinds],
            size=(1.2 + 3.9 * len(kinds), 1.3 + 0.32 * n),
        )
        self.figure_ = self.axes_[0].figure
        self.bars_: Any = None
        self.points_: list[Any] = []
        self.colorbar_: Any = None
        for axes, one in zip(self.axes_, kinds, strict=True):
            if one == "bar":
                self._draw_bars(axes, bar_kw)
            else:
                self._draw_swarm(axes, point_kw)
            axes.set(ylim=(n - 0.4, -0.6), yticks=range(n))
        self.axes_[0].set_yticklabels([cut(self.feature_names[j], _LABEL) for j in self.order_])
        self.axes_[0].set_ylabel("Feature")
        for axes in self.axes_[1:]:
            axes.tick_params(labelleft=False)
        return self

    def _kinds(self, kind: str) -> list[str]:
        """Return what is drawn, from the left."""
        if kind not in _KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, _KINDS))}, got {kind!r}.")
        if self.values.ndim == 1 and kind == "beeswarm":
            raise ValueError(
                "kind='beeswarm' needs attributions of rows, of shape (n_samples, n_features), got "
                f"values of shape {self.values.shape}: set kind='bar'."
            )
        if self.values.ndim == 1:
            return ["bar"]
        return ["bar", "beeswarm"] if kind == "both" else [kind]

    def _draw_bars(self, axes: Any, bar_kw: Mapping[str, Any] | None) -> None:
        style = styled(artists().Rectangle, {"color": COLORS[0]}, bar_kw)
        lengths = self.importances_[self.order_]
        self.bars_ = axes.barh(np.arange(len(lengths)), lengths, **style)
        words = ", mean of absolute values" if self.values.ndim == 2 else ""
        axes.set_xlabel(fill(self.value_name + words, _LABEL))
        if np.min(lengths) < 0:
            axes.axvline(0, color="0.5", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)

    def _draw_swarm(self, axes: Any, point_kw: Mapping[str, Any] | None) -> None:
        plt = pyplot(type(self).__name__)
        axes.axvline(0, color="0.5", linewidth=0.8, zorder=0)
        drawn = self.values[:, self.order_]
        width = np.ptp(drawn) or 1.0
        colormap = plt.get_cmap(SEQUENTIAL).with_extremes(bad=_MISSING)
        for place, j in enumerate(self.order_):
            x = self.values[:, j]
            how: dict[str, Any] = {"s": 12, "linewidths": 0, "rasterized": len(x) > 2000}
            ranks = self.colors[:, j] if self.colors is not None else None
            if ranks is None:
                how["color"] = COLORS[0]
            elif np.isfinite(ranks).any():
                how |= {"c": ranks, "cmap": colormap, "vmin": 0, "vmax": 1, "plotnonfinite": True}
            else:
                how["color"] = _MISSING
            style = styled(artists().PathCollection, how, point_kw)
            self.points_.append(axes.scatter(x, place + swarm(x, width), **style))
        axes.set_xlabel(fill(self.value_name, _LABEL))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False)
        colored = [points for points in self.points_ if points.get_array() is not None]
        if colored:
            self.colorbar_ = self.figure_.colorbar(
                colored[0], ax=axes, ticks=[0, 1], aspect=30, pad=0.02
            )
            self.colorbar_.set_ticklabels(["low", "high"])
            self.colorbar_.set_label("Value of the feature (rank)", labelpad=-12)
            self.colorbar_.outline.set_visible(False)


def swarm(x: np.ndarray, width: float, *, bins: int = 90, height: float = 0.38) -> np.ndarray:
    """Return offsets that put points at the same place beside each other.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Places along the axis.
    width : float
        The length of the axis, which is cut into bins.
    bins : int
        How many bins there are.
    height : float
        The largest offset, to either side, of the fullest bin.

    Returns
    -------
    ndarray of shape (n,)
        In each bin symmetric about 0, and no two alike.

    Examples
    --------
    >>> swarm(np.array([0.0, 0.0, 0.0, 1.0]), 1.0).round(2)
    array([ 0.  ,  0.04, -0.04,  0.  ])
    """
    cells = np.floor((x - np.min(x)) / width * bins).astype(int)
    order = np.argsort(cells, kind="stable")
    starts = np.searchsorted(cells[order], cells[order], side="left")
    rank = np.empty(len(x), int)
    rank[order] = np.arange(len(x)) - starts
    count = np.bincount(cells)[cells]
    # The ranks 0, 1, 2, 3, ... become 0, 1, -1, 2, ... , and an even number of them is centered.
    steps = (rank + 1) // 2 * np.where(rank % 2, 1, -1) - np.where(count % 2, 0.0, 0.5)
    step = min(0.04, 2 * height / max(1, int(np.max(count)) - 1))
    return steps * step


def _described(
    values: np.ndarray, feature_names: Sequence[str] | None, X: Any
) -> tuple[list[str], np.ndarray | None]:
    """Return the names of the features, and the ranks of their values where X is given."""
    n_features = values.shape[-1]
    frame = None if X is None else frame_of(X)
    if frame is not None and frame.shape != np.atleast_2d(values).shape and values.ndim == 2:
        raise ValueError(
            f"X has shape {frame.shape}, but values have shape {values.shape}: give the rows that "
            "were explained."
        )
    if feature_names is None:
        is_named = frame is not None and hasattr(X, "columns") and frame.shape[1] == n_features
        labels = [str(name) for name in X.columns] if is_named else None
        names = labels or [f"x{j}" for j in range(n_features)]
    else:
        names = [str(name) for name in feature_names]
    if len(names) != n_features:
        raise ValueError(
            f"feature_names has {len(names)} names, but values have {n_features} features: give a "
            "name for each."
        )
    if frame is None or values.ndim == 1:
        return names, None
    return names, np.column_stack([_ranks(frame, j) for j in range(n_features)])


def _ranks(frame: Any, column: int) -> np.ndarray:
    """Return the ranks of a column's numbers, from 0 for the least to 1; NaN where is none."""
    numbers = np.full(frame.shape[0], np.nan)
    if frame.kind(column, slice(None)) == "number":
        numbers = frame.numbers([column])[:, 0]
    known = np.isfinite(numbers)
    distinct, places = np.unique(numbers[known], return_inverse=True)
    below = np.searchsorted(np.sort(numbers[known]), distinct, side="left")
    upto = np.searchsorted(np.sort(numbers[known]), distinct, side="right") - 1
    middle = (below + upto) / 2
    middle = (middle - np.min(middle, initial=np.inf)) / (np.ptp(middle) if len(middle) > 1 else 1)
    ranks = np.full(len(numbers), np.nan)
    ranks[known] = middle[places]
    return ranks
