"""Predicted distributions: what they look like, and whether they can be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from scipy.stats import binom
from sklearn.utils import check_random_state

from ..engine.words import shown
from ..estimators.availability import known_head, only_with
from ..estimators.containers import read_numbers
from ..heads import Quantile
from ..heads.domains import is_count
from ..tabular.frames import Frame, frame_of
from .drawing import (
    COLORS,
    NEUTRAL,
    artists,
    divided_axes,
    ink,
    percent,
    pyplot,
    shade,
    single_axes,
    styled,
)
from .reached import inputs_reached, one_column, reached

_LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
_DRAWN_ROWS = 200  # in a row of samples; more would be thinner than a line
_GRID = 200
_NOMINAL = np.linspace(0.01, 0.99, 99)


class PredictiveDistributionDisplay:
    """Predicted quantiles as a fan, along one feature or along the samples, and the data over it.

    Use `from_estimator` or `from_predictions` to make one. The fan has a band between the lowest
    level and the highest, a darker one between the next two, and so on; a level in the middle, such
    as the median, is a line.

    Parameters
    ----------
    x : ndarray of shape (n,)
        The places of the quantiles, in increasing order.
    quantiles : ndarray of shape (n, levels)
        The quantiles, in the unit of the target.
    levels : sequence of float
        Their levels, in increasing order.
    points : (ndarray of shape (m,), ndarray of shape (m,)), default=None
        Places and targets of samples.
    x_name, target_name : str
        What the axes are called, with units.
    is_stepped : bool, default=False
        Whether each place has a step of its own, as samples have that are no curve.

    Attributes
    ----------
    ax_ : Axes
        Its axes.
    figure_ : Figure
        Their figure.
    bands_ : list of PolyCollection
        The bands, the widest first.
    line_ : Line2D or None
        The level in the middle.
    points_ : PathCollection or None
        The data.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp import MLPRegressor
    >>> from skmlp.inspection import PredictiveDistributionDisplay
    >>> X = np.random.default_rng(0).uniform(-1, 1, size=(200, 1))
    >>> y = X[:, 0] + np.random.default_rng(1).normal(scale=0.1 + 0.3 * X[:, 0] ** 2)
    >>> model = MLPRegressor((10,), "tanh", head="gaussian", learning_rate="linear", random_state=0)
    >>> model = model.set_params(learning_rate_init=0.02, max_iter=50).fit(X, y)
    >>> display = PredictiveDistributionDisplay.from_estimator(model, X, y, feature=0)
    >>> display.quantiles.shape, len(display.bands_)
    ((200, 7), 3)
    """

    def __init__(
        self,
        *,
        x: np.ndarray,
        quantiles: np.ndarray,
        levels: Sequence[float],
        points: tuple[np.ndarray, np.ndarray] | None = None,
        x_name: str = "x",
        target_name: str = "Target",
        is_stepped: bool = False,
    ) -> None:
        self.x, self.quantiles, self.levels = x, quantiles, levels
        self.points, self.x_name, self.target_name = points, x_name, target_name
        self.is_stepped = is_stepped

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        feature: int | str | None = None,
        levels: Sequence[float] | None = None,
        target: int | None = None,
        target_name: str = "Target",
        ax: Any = None,
        band_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
        point_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw what an estimator predicts.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor with `predict_quantiles`, or a pipeline or search that ends in one.
        X : frame or array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Their targets, drawn as points.
        feature : int or str, default=None
            The column of X along which to predict, by its number or name; it holds numbers. The
            others are held: numbers at their medians, all else at its most frequent value. Points
            are not: where other columns matter they are farther off than the fan says. By default
            the samples themselves are predicted, and stand in the order of the level in the
            middle; of more than 200, so many, evenly spaced.
        levels : sequence of float, default=None
            Levels in (0, 1); by default those that the head knows alone, or else 0.025, 0.1, 0.25,
            0.5, 0.75, 0.9 and 0.975.
        target : int, default=None
            Which target, where there are several.
        target_name : str, default="Target"
            What the target is called, with its unit.
        ax : Axes, default=None
            Where to draw; by default in a new figure.
        band_kw, line_kw, point_kw : dict, default=None
            Keyword arguments for the bands, the line and the points.

        Returns
        -------
        PredictiveDistributionDisplay
            The picture.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no quantiles, or the feature, the levels or the target cannot be used.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        steps, last = reached(estimator, cls.__name__)
        head = _with_quantiles(last, cls.__name__)
        asked = _sorted_levels(_own_levels(head) if levels is None else levels)
        frame = frame_of(X)
        column = None if feature is None else _column(frame, X, feature)
        grid = X if column is None else _along(frame, X, column)
        targets = None if y is None else _targets(y, target, cls.__name__)
        found = last.predict_quantiles(inputs_reached(steps, grid), asked)
        quantiles = found if found.ndim == 2 else one_column(found, target, 1, cls.__name__)
        if column is None:
            return cls.from_predictions(
                targets,
                quantiles,
                levels=asked,
                target_name=target_name,
                ax=ax,
                band_kw=band_kw,
                line_kw=line_kw,
                point_kw=point_kw,
            )
        return cls(
            x=_grid(frame, column),
            quantiles=quantiles,
            levels=asked,
            points=None if targets is None else (frame.numbers([column])[:, 0], targets),
            x_name=_name(X, column),
            target_name=target_name,
        ).plot(ax, band_kw=band_kw, line_kw=line_kw, point_kw=point_kw)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        predicted: Any,
        *,
        levels: Sequence[float] | None = None,
        x: Any = None,
        x_name: str = "x",
        target_name: str = "Target",
        ax: Any = None,
        band_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
        point_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw what has been predicted.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,) or None
            Targets, drawn as points.
        predicted : frozen distribution, or array-like of shape (n_samples, levels)
            A distribution whose `ppf` returns an array of shape (n_samples,), as frozen ones of
            `scipy.stats` do; or, with `levels`, quantiles.
        levels : sequence of float, default=None
            Levels in (0, 1), in increasing order; of a distribution by default 0.025, 0.1, 0.25,
            0.5, 0.75, 0.9 and 0.975.
        x : array-like of shape (n_samples,), default=None
            Where the samples stand; by default in the order of the level in the middle.
        x_name, target_name : str
            What the axes are called, with units; `x_name` is that of `x`.
        ax : Axes, default=None
            Where to draw; by default in a new figure.
        band_kw, line_kw, point_kw : dict, default=None
            Keyword arguments for the bands, the line and the points.

        Returns
        -------
        PredictiveDistributionDisplay
            The picture.

        Raises
        ------
        ValueError
            If shapes do not fit, or the levels are none.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        is_distribution = hasattr(predicted, "ppf")
        if levels is None and not is_distribution:
            raise ValueError(
                "predicted must be a distribution with a ppf, or quantiles with their levels, got "
                f"{shown(predicted)} without levels."
            )
        asked = _sorted_levels(_LEVELS if levels is None else levels)
        if is_distribution:
            predicted = np.stack([predicted.ppf(level) for level in asked], axis=-1)
        found = np.asarray(predicted, float)
        if found.ndim != 2 or found.shape[1] != len(asked):
            raise ValueError(
                f"predicted must have a column for each of the {len(asked)} levels, got an array "
                f"of shape {found.shape}."
            )
        targets = None if y_true is None else _targets(y_true, None, cls.__name__)
        for name, given in (("y_true", targets), ("x", x)):
            if given is not None and np.shape(given) != (len(found),):
                raise ValueError(
                    f"{name} must have a number for each of the {len(found)} rows of quantiles, "
                    f"got shape {np.shape(given)}."
                )
        places, rows, name = _places(found, x)
        points = None if targets is None else (places, targets[rows])
        return cls(
            x=places,
            quantiles=found[rows],
            levels=asked,
            points=points,
            x_name=x_name if x is not None else name,
            target_name=target_name,
            is_stepped=x is None,
        ).plot(ax, band_kw=band_kw, line_kw=line_kw, point_kw=point_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        band_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
        point_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the picture; `from_estimator` describes the parameters.

        Returns
        -------
        PredictiveDistributionDisplay
            Itself.
        """
        self.ax_ = single_axes(ax, type(self).__name__, (6.8, 4.4))
        self.figure_ = self.ax_.figure
        kinds, n = artists(), len(self.levels)
        self.bands_, self.line_, self.points_ = [], None, None
        for i in range(n // 2):
            last = n - 1 - i
            how = {"color": shade(COLORS[0], (i + 1) / (n // 2 + 1)), "linewidth": 0}
            how["label"] = f"{percent(self.levels[i])} to {percent(self.levels[last])}"
            how["step"] = "mid" if self.is_stepped else None
            style = styled(kinds.PolyCollection, how, band_kw)
            ends = self.quantiles[:, i], self.quantiles[:, last]
            self.bands_.append(self.ax_.fill_between(self.x, *ends, **style))
        if n % 2:
            level, middle = self.levels[n // 2], self.quantiles[:, n // 2]
            how = {"color": shade(COLORS[0], 1.25), "linewidth": 1.8}
            how["label"] = "median" if level == 0.5 else percent(level)
            how["drawstyle"] = "steps-mid" if self.is_stepped else "default"
            style = styled(kinds.Line2D, how, line_kw)
            (self.line_,) = self.ax_.plot(self.x, middle, **style)
        if self.points is not None:
            how = {"color": ink(), "s": 10, "alpha": 0.6, "linewidths": 0, "zorder": 3}
            how["label"] = "data"
            self.points_ = self.ax_.scatter(
                *self.points, **styled(kinds.PathCollection, how, point_kw)
            )
        self.ax_.set(xlabel=self.x_name, ylabel=self.target_name)
        self.ax_.margins(x=0.01)
        self.ax_.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize="small")
        return self


class UncertaintyCalibrationDisplay:
    r"""Whether targets fall where predicted distributions say: PIT histogram and coverage.

    Use `from_estimator` or `from_predictions` to make one. On the left, the probability integral
    transform of each sample,

    .. math:: u_i = F_i(y_i), \quad F_i \text{ the predicted distribution function,}

    is uniform in [0, 1] where the distributions are right: a U says that they are too narrow, an
    arch that they are too wide, a slope that they are off to one side. Where F jumps, as that of
    counts does, u_i is drawn between both sides of the jump. On the right, the share of targets in
    the central interval of each nominal level c, those with \|2 u_i - 1\| <= c. Of quantiles alone,
    bars go from one level to the next, and the share is that of targets up to each quantile. Both
    have the band in which, at each level by itself, a share of n independent targets is with the
    stated confidence where all is right, by the binomial distribution; samples that the model was
    fitted to are not independent of it.

    Czado, Gneiting and Held, "Predictive model assessment for count data", Biometrics 65 (2009);
    Kuleshov, Fenner and Ermon, ICML 2018, arXiv:1807.00263.

    Parameters
    ----------
    edges : ndarray of shape (bins + 1,)
        The edges of the histogram, from 0 to 1.
    counts : ndarray of shape (bins,)
        The number of samples in each bin.
    nominal, observed : ndarray of shape (levels,)
        Nominal levels, and the share of samples at each.
    are_intervals : bool, default=True
        Whether those are of central intervals, and not of quantiles.
    confidence : float, default=0.95
        The confidence of the bands.

    Attributes
    ----------
    axes_ : ndarray of two Axes
        Those of the histogram and of the coverage.
    figure_ : Figure
        Their figure.
    bars_ : BarContainer
        The histogram, as densities.
    line_ : Line2D
        The coverage.
    bands_ : list of two PolyCollection
        The bands of the histogram and of the coverage.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from skmlp.inspection import UncertaintyCalibrationDisplay
    >>> y = norm.ppf((np.arange(100) + 0.5) / 100)  # of deviation 1, and 1/2 is predicted
    >>> too_narrow = norm(np.zeros(100), 0.5)
    >>> display = UncertaintyCalibrationDisplay.from_predictions(y, too_narrow, n_bins=5)
    >>> display.counts
    array([34, 11, 10, 11, 34])
    """

    def __init__(
        self,
        *,
        edges: np.ndarray,
        counts: np.ndarray,
        nominal: np.ndarray,
        observed: np.ndarray,
        are_intervals: bool = True,
        confidence: float = 0.95,
    ) -> None:
        self.edges, self.counts = edges, counts
        self.nominal, self.observed = nominal, observed
        self.are_intervals, self.confidence = are_intervals, confidence

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 10,
        confidence: float = 0.95,
        target: int | None = None,
        random_state: Any = 0,
        ax: Any = None,
        bar_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
        band_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw how targets fall into what an estimator predicts.

        Parameters
        ----------
        estimator : estimator
            A fitted regressor whose head has a distribution, or quantiles, or a pipeline or search
            that ends in one.
        X : frame or array-like of shape (n_samples, n_features)
            Inputs, which the estimator was not fitted to.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        n_bins : int, default=10
            The number of bars; of a head that knows quantiles alone, its levels say it.
        confidence : float, default=0.95
            The confidence of the bands, in (0, 1).
        target : int, default=None
            Which target, where there are several.
        random_state : int, RandomState or None, default=0
            What draws where distribution functions jump.
        ax : Axes or array-like of two Axes, default=None
            Axes whose place is divided, or one for each; by default those of a new figure.
        bar_kw, line_kw, band_kw : dict, default=None
            Keyword arguments for the bars, the line and the bands.

        Returns
        -------
        UncertaintyCalibrationDisplay
            The picture.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has neither distribution nor quantiles, or an argument cannot be used.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        steps, last = reached(estimator, cls.__name__)
        head = _with_quantiles(last, cls.__name__)
        targets, levels = _targets(y, target, cls.__name__), None
        inputs = inputs_reached(steps, X)
        if head.has_distribution:
            predicted = last.predict_distribution(inputs)
            if np.ndim(predicted.mean()) == 2:
                predicted = _OneTarget(predicted, target)
        else:
            levels = _own_levels(head)
            predicted = last.predict_quantiles(inputs, levels)
            if predicted.ndim == 3:
                predicted = one_column(predicted, target, 1, cls.__name__)
        return cls.from_predictions(
            targets,
            predicted,
            levels=levels,
            n_bins=n_bins,
            confidence=confidence,
            random_state=random_state,
            ax=ax,
            bar_kw=bar_kw,
            line_kw=line_kw,
            band_kw=band_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        predicted: Any,
        *,
        levels: Sequence[float] | None = None,
        n_bins: int = 10,
        confidence: float = 0.95,
        random_state: Any = 0,
        ax: Any = None,
        bar_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
        band_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw how targets fall into what has been predicted.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            Targets.
        predicted : frozen distribution, or array-like of shape (n_samples, levels)
            A distribution whose `cdf` returns an array of shape (n_samples,), as frozen ones of
            `scipy.stats` do; or, with `levels`, quantiles.
        levels : sequence of float, default=None
            The levels of the quantiles, in (0, 1), in increasing order.
        n_bins, confidence, random_state, ax, bar_kw, line_kw, band_kw
            As in `from_estimator`.

        Returns
        -------
        UncertaintyCalibrationDisplay
            The picture.

        Raises
        ------
        ValueError
            If shapes do not fit, or an argument cannot be used.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        if not is_count(n_bins):
            raise ValueError(f"n_bins must be a whole number >= 1, got {shown(n_bins)}.")
        if not (isinstance(confidence, (int, float, np.floating)) and 0 < confidence < 1):
            raise ValueError(f"confidence must be a number in (0, 1), got {shown(confidence)}.")
        y = _targets(y_true, None, cls.__name__)
        if levels is None:
            if not hasattr(predicted, "cdf"):
                raise ValueError(
                    "predicted must be a distribution with a cdf, or quantiles with their levels, "
                    f"got {shown(predicted)} without levels."
                )
            u = probability_integral_transform(predicted, y, random_state)
            edges = np.linspace(0, 1, n_bins + 1)
            counts, nominal = np.histogram(u, edges)[0], _NOMINAL
            observed = np.mean(np.abs(2 * u[:, None] - 1) <= nominal, axis=0)
        else:
            nominal = np.asarray(_sorted_levels(levels))
            quantiles = np.asarray(predicted, float)
            if quantiles.shape != (len(y), len(nominal)):
                raise ValueError(
                    f"predicted must have the {len(nominal)} quantiles of each of the {len(y)} "
                    f"targets, got shape {quantiles.shape}."
                )
            is_below = y[:, None] <= quantiles
            observed = np.mean(is_below, axis=0)
            edges = np.array([0.0, *nominal, 1.0])
            cells = len(nominal) - np.sum(is_below, axis=1)
            counts = np.bincount(cells, minlength=len(edges) - 1)
        return cls(
            edges=edges,
            counts=counts,
            nominal=nominal,
            observed=observed,
            are_intervals=levels is None,
            confidence=float(confidence),
        ).plot(ax, bar_kw=bar_kw, line_kw=line_kw, band_kw=band_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        bar_kw: Mapping[str, Any] | None = None,
        line_kw: Mapping[str, Any] | None = None,
        band_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the picture; `from_estimator` describes the parameters.

        Returns
        -------
        UncertaintyCalibrationDisplay
            Itself.
        """
        name = type(self).__name__
        self.axes_ = divided_axes(ax, name, columns=(1, 1), size=(8.6, 4.0))
        self.figure_ = self.axes_[0].figure
        how = {"color": NEUTRAL, "alpha": 0.35, "linewidth": 0, "zorder": 0}
        style = styled(artists().PolyCollection, how, band_kw)
        self.bands_: list[Any] = []
        self._draw_histogram(self.axes_[0], bar_kw, style)
        self._draw_coverage(self.axes_[1], line_kw, style)
        return self

    def _draw_histogram(
        self, axes: Any, bar_kw: Mapping[str, Any] | None, band: dict[str, Any]
    ) -> None:
        n, widths = int(np.sum(self.counts)), np.diff(self.edges)
        how = {"color": COLORS[5], "edgecolor": "black", "linewidth": 0.8}
        self.bars_ = axes.bar(
            self.edges[:-1],
            self.counts / n / widths,
            widths,
            align="edge",
            **styled(artists().Rectangle, how, bar_kw),
        )
        low, high = binomial_band(n, widths, self.confidence)
        x = np.repeat(self.edges, 2)[1:-1]
        ends = (np.repeat(end / widths, 2) for end in (low, high))
        label = f"{percent(self.confidence)} band"
        self.bands_.append(axes.fill_between(x, *ends, **{**band, "zorder": 3, "label": label}))
        axes.axhline(1, color=ink(), linewidth=1, linestyle="--", label="calibrated")
        axes.set(xlabel="Probability integral transform F(y)", ylabel="Density", xlim=(0, 1))
        axes.set_ylim(0, 1.25 * max(axes.get_ylim()[1] / 1.05, 1))
        axes.legend(fontsize="small", loc="upper center", ncols=2)

    def _draw_coverage(
        self, axes: Any, line_kw: Mapping[str, Any] | None, band: dict[str, Any]
    ) -> None:
        n, grid = int(np.sum(self.counts)), np.linspace(0, 1, 201)
        low, high = binomial_band(n, grid, self.confidence)
        label = f"{percent(self.confidence)} band, n = {n}"
        self.bands_.append(axes.fill_between(grid, low, high, **{**band, "label": label}))
        axes.plot([0, 1], [0, 1], color=ink(), linewidth=1, linestyle="--", label="calibrated")
        how = {"color": COLORS[0], "linewidth": 1.8, "label": "observed"}
        how["marker"] = "" if self.are_intervals else "o"
        (self.line_,) = axes.plot(
            self.nominal, self.observed, **styled(artists().Line2D, how, line_kw)
        )
        what = "in the central interval" if self.are_intervals else "up to the quantile"
        axes.set(
            xlabel="Nominal level",
            ylabel=f"Share of targets {what}",
            xlim=(0, 1),
            ylim=(0, 1),
            aspect="equal",
        )
        axes.legend(fontsize="small", loc="upper left")


def probability_integral_transform(
    distribution: Any, y: np.ndarray, random_state: Any = 0
) -> np.ndarray:
    r"""Compute u = F(y-) + v (F(y) - F(y-)), v uniform in [0, 1): F(y) where F is continuous.

    Parameters
    ----------
    distribution : frozen distribution
        Its `cdf` returns an array of shape (n,).
    y : ndarray of shape (n,)
        Numbers.
    random_state : int, RandomState or None
        What draws v.

    Returns
    -------
    ndarray of shape (n,)
        Uniform in [0, 1] where y has the distribution.

    Raises
    ------
    ValueError
        If the distribution is not one for each number, or its cdf is not finite.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> probability_integral_transform(norm([0.0, 1.0], 1.0), np.array([0.0, 2.0])).round(3)
    array([0.5  , 0.841])
    """
    y = np.asarray(y, float)
    upper = np.asarray(distribution.cdf(y), float)
    lower = np.asarray(distribution.cdf(np.nextafter(y, -np.inf)), float)
    if upper.shape != y.shape or not np.isfinite(upper).all():
        raise ValueError(
            f"the distribution must have a finite cdf for each of the {len(y)} targets, got "
            f"{shown(upper)}."
        )
    v = check_random_state(random_state).uniform(size=len(y))
    return np.clip(lower + v * (upper - lower), 0, 1)


def binomial_band(n: int, share: Any, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares of n between which an expected share is observed with a confidence.

    Examples
    --------
    >>> low, high = binomial_band(100, 0.5, 0.95)
    >>> float(low), float(high)
    (0.4, 0.6)
    """
    tail = (1 - confidence) / 2
    low, high = (binom.ppf(level, n, np.asarray(share, float)) / n for level in (tail, 1 - tail))
    return np.maximum(low, 0), high  # a share of 0 has a quantile of -1


class _OneTarget:
    """One target of several, of a distribution."""

    def __init__(self, distribution: Any, target: Any) -> None:
        self._distribution, self._target = distribution, target

    def cdf(self, y: np.ndarray) -> np.ndarray:
        """Compute the probability of a target up to y."""
        whole = self._distribution.cdf(np.asarray(y)[:, None])
        return one_column(whole, self._target, 1, "UncertaintyCalibrationDisplay")


# == what is asked for, checked ====================================================================


def _with_quantiles(estimator: Any, asking: str) -> Any:
    """Return the head of an estimator, or say in a sentence why it has no quantiles."""
    if not hasattr(estimator, "predict_quantiles"):
        if hasattr(estimator, "head_"):
            raise ValueError(f"{asking}: {only_with('quantiles', known_head(estimator))}")
        raise ValueError(
            f"{asking} takes a regressor that predicts quantiles, such as a fitted "
            f"MLPRegressor(head='gaussian'), got one of type {type(estimator).__name__}."
        )
    return estimator.head_


def _own_levels(head: Any) -> Sequence[float]:
    return tuple(head.levels) if isinstance(head, Quantile) else _LEVELS


def _sorted_levels(levels: Any) -> list[float]:
    try:
        found = np.atleast_1d(np.asarray(levels, float))
    except (TypeError, ValueError):
        found = np.array([])
    is_right = found.ndim == 1 and found.size and np.all((found > 0) & (found < 1))
    if not (is_right and np.all(np.diff(found) > 0)):
        raise ValueError(
            f"levels must be numbers in (0, 1) in increasing order, got {shown(levels)}."
        )
    return found.tolist()


def _targets(y: Any, target: Any, asking: str) -> np.ndarray:
    """Return one column of targets, as numbers."""
    found = np.asarray(read_numbers(y, "y"), float)
    if found.ndim == 2:
        return found[:, 0] if found.shape[1] == 1 else one_column(found, target, 1, asking)
    return found


def _places(quantiles: np.ndarray, x: Any) -> tuple[np.ndarray, np.ndarray, str]:
    """Return where samples stand, which they are in that order, and what the axis is called."""
    n = len(quantiles)
    if x is not None:
        given = np.asarray(x, float)
        rows = np.argsort(given, kind="stable")
        return given[rows], rows, ""
    rows = np.argsort(quantiles[:, quantiles.shape[1] // 2], kind="stable")
    words = "Samples in the order of their predictions"
    if n > _DRAWN_ROWS:
        kept = np.linspace(0, n - 1, _DRAWN_ROWS).astype(int)
        return kept + 1, rows[kept], f"{words} ({_DRAWN_ROWS} of {n})"
    return np.arange(1, n + 1), rows, words


def _column(frame: Frame, X: Any, feature: Any) -> int:
    """Return the number of a column of numbers, or say in a sentence why it is none."""
    names = list(X.columns) if hasattr(X, "columns") else []
    if isinstance(feature, str):
        if feature not in names:
            raise ValueError(f"feature={feature!r} is no column of X: {shown(names)}.")
        column = names.index(feature)
    elif isinstance(feature, (int, np.integer)) and not isinstance(feature, bool):
        if not -frame.shape[1] <= feature < frame.shape[1]:
            raise ValueError(f"feature={feature} is no column of X, which has {frame.shape[1]}.")
        column = int(feature) % frame.shape[1]
    else:
        raise ValueError(f"feature must be the number or name of a column, got {shown(feature)}.")
    if frame.kind(column, slice(None)) != "number":
        raise ValueError(
            f"feature={shown(feature)} holds no numbers to go along: choose another column."
        )
    return column


def _name(X: Any, column: int) -> str:
    return str(list(X.columns)[column]) if hasattr(X, "columns") else f"x{column}"


def _grid(frame: Frame, column: int) -> np.ndarray:
    """Return numbers from the least to the largest of a column."""
    numbers = frame.numbers([column])[:, 0]
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        raise ValueError("feature holds no finite number to go along: choose another column.")
    return np.linspace(known.min(), known.max(), _GRID)


def _along(frame: Frame, X: Any, column: int) -> Any:
    """Return rows in which one column goes along its grid and the others are held."""
    grid = _grid(frame, column)
    held = [_typical(frame, j) for j in range(frame.shape[1])]
    if not hasattr(X, "columns"):
        whole = np.empty((len(grid), len(held)), object)
        whole[:] = held
        whole[:, column] = grid
        return whole.astype(float) if all(isinstance(x, float) for x in held) else whole
    columns = {
        name: grid if j == column else [value] * len(grid)
        for j, (name, value) in enumerate(zip(X.columns, held, strict=True))
    }
    rows = type(X)(columns)
    return (
        rows.astype(X.dtypes.drop(X.columns[column]))
        if hasattr(X, "dtypes") and hasattr(X.dtypes, "drop")
        else rows
    )


def _typical(frame: Frame, column: int) -> Any:
    """Return the median of a column of numbers, or else the most frequent value."""
    if frame.kind(column, slice(None)) == "number":
        return float(np.nanmedian(frame.numbers([column])[:, 0]))
    values = frame.values(column)
    known = values.positions[values.positions >= 0]
    return values.distinct[int(np.argmax(np.bincount(known)))] if known.size else None
