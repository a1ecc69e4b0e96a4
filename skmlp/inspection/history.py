"""How a fit went: losses, scores and rates of every epoch, and the norms of gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ..engine.words import shown
from ..estimators.callbacks import GradientNorms
from ..tabular.estimators import TabularMLP
from .activation import name_of
from .drawing import (
    COLORS,
    MARKERS,
    NEUTRAL,
    STROKES,
    artists,
    divided_axes,
    in_order,
    pyplot,
    single_axes,
    styled,
)
from .reached import reached

# The axes that a column is drawn in, and whether it is of held-out samples.
_COLUMNS = {
    "loss": ("loss", False),
    "validation_loss": ("loss", True),
    "score": ("score", False),
    "validation_score": ("score", True),
    "learning_rate": ("rate", False),
}
_INSIDE = 7  # entries of a legend that find room between lines; more stand beside them
_HEIGHTS = {"loss": 3.0, "score": 2.0, "rate": 1.0}


class TrainingHistoryDisplay:
    """Losses and scores of every epoch, the best one marked, the learning rate below.

    Use `from_estimator` to make one. Lines are solid for training samples and dashed for held-out
    ones; each fit has a color of its own, and a marker for its best epoch.

    Parameters
    ----------
    histories : dict of str to dict of str to list of float
        For each fit, by its name, columns such as those of `history_`: "loss", "validation_loss",
        "score", "validation_score" and "learning_rate", of which any may be missing. Epochs that a
        column does not know are NaN.
    best_epochs : dict of str to int, default=None
        The best epoch of each fit, counted from 1; not marked where it is missing.
    score_name : str, default="Score"
        What scores are called.
    epoch_name : str, default="Epoch"
        What a step of the history is called.

    Attributes
    ----------
    axes_ : ndarray of Axes
        Those of the losses, of the scores and of the learning rates, where there are any.
    figure_ : Figure
        Their figure.
    lines_ : dict of (str, str) to Line2D
        The line of each column, by the names of the fit and of the column.
    best_lines_ : dict of (str, str) to Line2D
        The marker of the best epoch, by the names of the fit and of the column that it stands on.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmlp import MLPClassifier
    >>> from skmlp.inspection import TrainingHistoryDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(early_stopping=True, learning_rate_init=0.01, random_state=0)
    >>> display = TrainingHistoryDisplay.from_estimator(model.fit(X, y))
    >>> [axes.get_ylabel() for axes in display.axes_]
    ['Mean loss per sample', 'Score', 'Learning rate']
    """

    def __init__(
        self,
        *,
        histories: Mapping[str, Mapping[str, Sequence[float]]],
        best_epochs: Mapping[str, int] | None = None,
        score_name: str = "Score",
        epoch_name: str = "Epoch",
    ) -> None:
        self.histories, self.best_epochs = histories, best_epochs
        self.score_name, self.epoch_name = score_name, epoch_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        line_kw: Mapping[str, Any] | None = None,
        best_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw what fitted estimators know of their epochs.

        Parameters
        ----------
        estimator : estimator, dict of str to estimator, or list of estimator
            A fitted network of skmlp or scikit-learn, an estimator for tables (each of its kinds of
            members is a fit of its own), or a pipeline or search that ends in one; or several of
            these, by name. Epochs of earlier fits that a warm start goes on from are known by
            their loss alone.
        ax : Axes or array-like of Axes, default=None
            Axes whose place is divided, or one for each of the losses, scores and rates that there
            are; by default those of a new figure.
        line_kw : dict, default=None
            Keyword arguments for all lines of matplotlib.
        best_kw : dict, default=None
            Keyword arguments for the markers of the best epochs.

        Returns
        -------
        TrainingHistoryDisplay
            The picture.

        Raises
        ------
        NotFittedError
            If one is not fitted.
        ValueError
            If one has no history, or there is none at all.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        histories: dict[str, dict[str, list[float]]] = {}
        best_epochs: dict[str, int] = {}
        names, epochs = set(), set()
        for name, one in _named(estimator).items():
            last = reached(one, cls.__name__)[1]
            for part, (history, best) in _histories(last, cls.__name__).items():
                label = f"{name}, {part}" if name and part else name or part
                histories[label] = history
                if best:
                    best_epochs[label] = best
            scoring = getattr(last, "scoring", None)
            names.add(scoring if isinstance(scoring, str) else None)
            epochs.add("Iteration" if getattr(last, "solver", None) == "lbfgs" else "Epoch")
        known = names.pop() if len(names) == 1 else None
        return cls(
            histories=histories,
            best_epochs=best_epochs,
            score_name=f"Score ({known})" if known else "Score",
            epoch_name=epochs.pop() if len(epochs) == 1 else "Epoch or iteration",
        ).plot(ax, line_kw=line_kw, best_kw=best_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        line_kw: Mapping[str, Any] | None = None,
        best_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the picture; `from_estimator` describes the parameters.

        Returns
        -------
        TrainingHistoryDisplay
            Itself.
        """
        columns = [name for name in _COLUMNS if any(name in h for h in self.histories.values())]
        places = [
            place for place in _HEIGHTS if any(_COLUMNS[name][0] == place for name in columns)
        ]
        heights = [_HEIGHTS[place] for place in places]
        self.axes_ = divided_axes(
            ax,
            type(self).__name__,
            rows=heights,
            size=(6.4 + 2.2 * _columns_beside(2 + len(self.histories)), 1.4 + 1.1 * sum(heights)),
            share_x=True,
        )
        self.figure_ = self.axes_[0].figure
        axes = dict(zip(places, self.axes_, strict=True))
        self.lines_: dict[tuple[str, str], Any] = {}
        self.best_lines_: dict[tuple[str, str], Any] = {}
        for number, (name, history) in enumerate(self.histories.items()):
            for column in (column for column in columns if column in history):
                place, is_held_out = _COLUMNS[column]
                values = np.asarray(history[column], float)
                how = {
                    "color": COLORS[number % len(COLORS)],
                    "linestyle": "--" if is_held_out else "-",
                    **self._marks(number, len(values)),
                }
                (line,) = axes[place].plot(
                    np.arange(1, len(values) + 1), values, **styled(artists().Line2D, how, line_kw)
                )
                self.lines_[name, column] = line
            self._mark_best(name, number, axes, best_kw)
        self._label(axes)
        return self

    def _marks(self, number: int, n_epochs: int) -> dict[str, Any]:
        """Return small marks that tell the lines of several fits apart without their colors."""
        if len(self.histories) == 1:
            return {"marker": "." if n_epochs == 1 else ""}
        marker = MARKERS[number % len(MARKERS)]
        return {"marker": marker, "markersize": 4, "markevery": max(1, n_epochs // 6)}

    def _mark_best(
        self, name: str, number: int, axes: Mapping[str, Any], best_kw: Mapping[str, Any] | None
    ) -> None:
        """Mark the best epoch on the lines that could have said which it is."""
        best = (self.best_epochs or {}).get(name)
        history = self.histories[name]
        if best is None:
            return
        for place in ("loss", "score"):
            held_out = f"validation_{place}"
            column = held_out if held_out in history else place
            if column not in history:
                continue
            how = {
                "color": COLORS[number % len(COLORS)],
                "marker": MARKERS[number % len(MARKERS)],
                "markersize": 9,
                "markeredgecolor": "black",
                "linestyle": "",
                "zorder": 3,
            }
            (marker,) = axes[place].plot(
                [best], [history[column][best - 1]], **styled(artists().Line2D, how, best_kw)
            )
            self.best_lines_[name, column] = marker

    def _label(self, axes: Mapping[str, Any]) -> None:
        """Name the axes and what is drawn in them."""
        words = {
            "loss": "Mean loss per sample",
            "score": self.score_name,
            "rate": "Learning rate",
        }
        for place, one in axes.items():
            one.set_ylabel(words[place])
        self.figure_.align_ylabels(self.axes_)
        last = self.axes_[-1]
        last.set_xlabel(self.epoch_name)
        last.xaxis.get_major_locator().set_params(integer=True)
        handles, labels = self._legend()
        if len(handles) > _INSIDE:
            beside = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
            columns = _columns_beside(len(handles))
            self.axes_[0].legend(handles, labels, fontsize="small", ncols=columns, **beside)
        elif len(handles) > 1:
            self.axes_[0].legend(handles, labels, fontsize="small")

    def _legend(self) -> tuple[list[Any], list[str]]:
        """Return what stands for each fit, for training and for validation, and what it is."""
        kinds = {_COLUMNS[of][1] for _, of in self.lines_ if of != "learning_rate"}
        line = artists().Line2D
        color = COLORS[0] if len(self.histories) == 1 else NEUTRAL
        strokes = {
            "validation" if is_held_out else "training": line(
                [], [], color=color, linestyle="--" if is_held_out else "-"
            )
            for is_held_out in sorted(kinds)
        }
        found = self._legend_of_fits()
        found = {**strokes, **found} if len(self.histories) == 1 else {**found, **strokes}
        return list(found.values()), list(found)

    def _legend_of_fits(self) -> dict[str, Any]:
        """Return what stands for each fit, by its name and best epoch."""
        best_epochs = self.best_epochs or {}
        step = f"{self.epoch_name.lower()} " if " " not in self.epoch_name else ""
        if len(self.histories) == 1:
            return {
                f"best: {step}{best_epochs[name]}": marker
                for (name, _), marker in self.best_lines_.items()
            }
        line, found = artists().Line2D, {}
        for number, name in enumerate(self.histories):
            best = best_epochs.get(name)
            how = {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}
            handle = line([], [], markeredgecolor="black" if best else how["color"], **how)
            found[f"{name} (best: {step}{best})" if best else name] = handle
        return found


def _columns_beside(n: int) -> int:
    """Return how many columns a legend of n entries has beside the axes; 0 where it is inside."""
    return 0 if n <= _INSIDE else 1 + (n - 1) // 12


def _named(estimator: Any) -> dict[str, Any]:
    """Return several estimators by name; a single one has none."""
    if isinstance(estimator, Mapping):
        several = {str(name): one for name, one in estimator.items()}
    elif isinstance(estimator, (list, tuple)):
        several = {f"fit {i}": one for i, one in enumerate(estimator, 1)}
    else:
        return {"": estimator}
    if not several:
        raise ValueError("TrainingHistoryDisplay draws one fit or more, got none: give some.")
    return several


def _histories(estimator: Any, asking: str) -> dict[str, tuple[dict[str, list[float]], int | None]]:
    """Return the history, and the best epoch, of each fit that an estimator is made of."""
    if isinstance(estimator, TabularMLP):
        kinds = zip(_kinds(estimator), estimator.history_, estimator.best_epochs_, strict=True)
        return {kind: (_without_copies(history), best) for kind, history, best in kinds}
    losses = getattr(estimator, "loss_curve_", None)
    if losses is None:
        raise ValueError(
            f"{asking} takes estimators that have a loss_curve_, got one of type "
            f"{type(estimator).__name__}: fit an MLPClassifier or MLPRegressor."
        )
    known = getattr(estimator, "history_", None)
    if known is None:  # scikit-learn's own
        scores = getattr(estimator, "validation_scores_", None)
        history = {"loss": list(losses)} | ({"validation_score": list(scores)} if scores else {})
        best = int(np.argmax(scores)) if scores else int(np.argmin(losses))
        return {"": (history, 1 + best)}
    earlier = len(losses) - len(known["loss"])
    history = {name: [np.nan] * earlier + values for name, values in known.items()}
    history["loss"] = list(losses)
    best = estimator.best_iter_
    return {"": (history, earlier + best if best else None)}


def _kinds(estimator: Any) -> list[str]:
    """Name the kinds of members: by their activation, and by what they are shown beside columns."""
    names: list[str] = []
    for part in estimator._model.parts:
        first = part.trained.network.activations[0]  # a layer of its own, with an activation
        name = f"{name_of(getattr(first, 'activation', first))} members"
        name += "" if part.sight.neighbors is None else " with neighbors"
        names.append(f"{name} ({len(names) + 1})" if name in names else name)
    return names


def _without_copies(history: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Leave out a score that is the loss once more, below zero."""
    scores, losses = history.get("validation_score"), history.get("validation_loss")
    is_copy = (
        scores is not None and losses is not None and np.array_equal(scores, -np.array(losses))
    )
    return {name: x for name, x in history.items() if not (is_copy and name == "validation_score")}


class GradientFlowDisplay:
    """The norm of every layer's gradient after every epoch, on a logarithmic axis.

    Use `from_callback` to make one. Where gradients are far smaller in one layer than in others
    that layer does not learn; where they are huge, steps go astray. Both bands are those that the
    callback warns of. Glorot and Bengio, "Understanding the difficulty of training deep feedforward
    neural networks", AISTATS 2010.

    Parameters
    ----------
    norms : dict of str to list of float
        For each layer, by its name, the Euclidean norm of its gradient after every epoch.
    vanishing : float, default=1e-6
        A gradient vanishes that is less than this share of the largest layer's.
    exploding : float, default=1e4
        A gradient explodes that is longer than this, or not finite.

    Attributes
    ----------
    ax_ : Axes
        Its axes.
    figure_ : Figure
        Their figure.
    lines_ : dict of str to Line2D
        The line of each layer. What is outside of the axis, 0 or not finite, is at its end.
    bands_ : dict of str to artist
        The bands, "vanishing" and "exploding".

    Examples
    --------
    >>> from skmlp.inspection import GradientFlowDisplay
    >>> norms = {"hidden layer 1": [1e-3, 1e-4], "output layer": [1.0, 0.5]}
    >>> display = GradientFlowDisplay(norms=norms).plot()
    >>> display.ax_.get_ylabel(), list(display.lines_)
    ('Norm of the gradient', ['hidden layer 1', 'output layer'])
    """

    def __init__(
        self,
        *,
        norms: Mapping[str, Sequence[float]],
        vanishing: float = 1e-6,
        exploding: float = 1e4,
    ) -> None:
        self.norms, self.vanishing, self.exploding = norms, vanishing, exploding

    @classmethod
    def from_callback(
        cls,
        callback: GradientNorms,
        *,
        ax: Any = None,
        line_kw: Mapping[str, Any] | None = None,
        band_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw what a callback saw of the last fit that it watched.

        Parameters
        ----------
        callback : skmlp.callbacks.GradientNorms
            The callback, after a fit.
        ax : Axes, default=None
            Where to draw; by default in a new figure.
        line_kw : dict, default=None
            Keyword arguments for all lines.
        band_kw : dict, default=None
            Keyword arguments for both bands, those of matplotlib's `fill_between`.

        Returns
        -------
        GradientFlowDisplay
            The picture.

        Raises
        ------
        ValueError
            If it is no such callback, or has watched no fit.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        if not isinstance(callback, GradientNorms):
            raise ValueError(
                f"{cls.__name__} takes a skmlp.callbacks.GradientNorms, got {shown(callback)}: "
                "give set_callbacks one before the fit, and then this."
            )
        if not callback.norms_:
            raise ValueError(
                f"{cls.__name__} takes a callback that has watched a fit, got one without norms_: "
                "fit with estimator.set_callbacks(callback) first."
            )
        flow = cls(
            norms=callback.norms_, vanishing=callback.vanishing, exploding=callback.exploding
        )
        return flow.plot(ax, line_kw=line_kw, band_kw=band_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        line_kw: Mapping[str, Any] | None = None,
        band_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the picture; `from_callback` describes the parameters.

        Returns
        -------
        GradientFlowDisplay
            Itself.
        """
        columns = 1 + (len(self.norms) - 1) // 16  # of the legend
        self.ax_ = single_axes(ax, type(self).__name__, (5.1 + 1.7 * columns, 4.4))
        self.figure_ = self.ax_.figure
        norms = {layer: np.asarray(values, float) for layer, values in self.norms.items()}
        epochs = np.arange(1, 1 + max(map(len, norms.values())))
        largest = _largest(norms)
        low, high = self._limits(norms, largest)
        self._draw_bands(epochs, largest, (low, high), band_kw)
        self.lines_ = {}
        colors = in_order(len(norms))
        for number, (layer, values) in enumerate(norms.items()):
            at_ends = np.clip(np.nan_to_num(values, nan=high, posinf=high), low, high)
            how = {
                "color": colors[number],
                "linestyle": STROKES[number % len(STROKES)],
                "marker": MARKERS[number % len(MARKERS)],
                "markersize": 4,
                "markevery": (number % len(MARKERS), max(1, len(epochs) // 6)),
                "label": layer,
            }
            (self.lines_[layer],) = self.ax_.plot(
                epochs[: len(values)], at_ends, **styled(artists().Line2D, how, line_kw)
            )
        self.ax_.set(
            xlabel="Epoch",
            ylabel="Norm of the gradient",
            yscale="log",
            ylim=(low, high),
            xlim=(epochs[0] - 0.5, epochs[-1] + 0.5) if len(epochs) == 1 else (1, epochs[-1]),
        )
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5)}
        self.ax_.legend(fontsize="small", ncols=columns, **beside)
        return self

    def _limits(self, norms: Mapping[str, np.ndarray], largest: np.ndarray) -> tuple[float, float]:
        """Return the ends of the axis: all numbers, and some of both bands."""
        values = np.concatenate([*norms.values(), [self.exploding], self.vanishing * largest])
        seen = values[np.isfinite(values) & (values > 0)]
        return float(np.min(seen)) / 30, float(np.max(seen)) * 30

    def _draw_bands(
        self,
        epochs: np.ndarray,
        largest: np.ndarray,
        limits: tuple[float, float],
        band_kw: Mapping[str, Any] | None,
    ) -> None:
        low, high = limits
        x = epochs if len(epochs) > 1 else np.array([0.5, 1.5])
        under = np.broadcast_to(self.vanishing * largest, (len(x),))
        self.bands_ = {}
        for name, bottom, top, hatch in (
            ("vanishing", np.full(len(x), low), np.maximum(under, low), "...."),
            ("exploding", np.full(len(x), self.exploding), np.full(len(x), high), "////"),
        ):
            how = {"facecolor": "0.93", "edgecolor": "0.8", "hatch": hatch, "linewidth": 0.5}
            self.bands_[name] = self.ax_.fill_between(
                x, bottom, top, **styled(artists().PolyCollection, {**how, "zorder": 0}, band_kw)
            )
            at = "bottom" if name == "vanishing" else "top"
            self.ax_.annotate(
                name,
                (0.02, 0.02 if at == "bottom" else 0.98),
                xycoords="axes fraction",
                va=at,
                fontsize="small",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )


def _largest(norms: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the largest finite norm after every epoch; 1 where none is."""
    table = np.array(list(norms.values()))
    table = np.where(np.isfinite(table), table, 0)
    largest = np.max(table, axis=0)
    return np.where(largest > 0, largest, 1.0)
