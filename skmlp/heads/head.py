"""What every head has, and how a constant model of any head is found.

The law of a head: with `raw` the outputs of the last layer, before any output activation, and `y`
the encoded target,

    loss(raw, y)      one number for each sample, summed over its outputs, without weights
    predict(raw)      what the raw outputs say, on the scale of the target

Both are plain NumPy functions. Losses work on raw outputs, never on probabilities that have been
rounded to 0 or 1. A head is a frozen dataclass: its fields are its parameters. A head with r
parameters for each of k targets has raw outputs in blocks: raw[:, i*k:(i+1)*k] is its parameter i.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from scipy.optimize import minimize, root

from ..engine import BATCH, Program, gradient, variable
from ..engine.expression import Primitive, compute_or_trace
from ..engine.primitives import broadcast_to
from ..engine.stored import Stored
from ..engine.values import check_declared, check_made, plain
from ..engine.words import shown
from .domains import NUMBERS, Domain


class Unit(NamedTuple):
    """How the problem of targets y is that of u = (y - shift) / scale, numbers of size 1.

    Training sees u, so that neither bounds nor precision mind what y is measured in.

    Attributes
    ----------
    shift, scale : ndarray of shape (n_targets,)
        What makes u of y.
    raw_shift, raw_scale : ndarray of shape (n_raw,)
        Raw outputs for y are raw_shift + raw_scale * those for u.
    loss_shift, loss_scale : float
        The mean loss of y is loss_shift + loss_scale * that of u.
    """

    shift: np.ndarray
    scale: np.ndarray
    raw_shift: np.ndarray
    raw_scale: np.ndarray
    loss_shift: float = 0.0
    loss_scale: float = 1.0


@dataclass(frozen=True)
class Head(Stored):
    """What every head has; subclass it to make your own.

    A subclass defines `loss` with NumPy and scipy.special functions, and `predict` where the raw
    outputs are not the prediction themselves; `skmlp.check_head` tells what is wrong with it. With
    parameters of its own it is a `@dataclass(frozen=True)` whose fields they are: by them heads are
    compared and shown, and set from outside, `set_params(head__delta=0.5)`. Numbers of NumPy in
    them become Python's.

    Attributes
    ----------
    targets : frozenset of str
        The kinds of target it can learn: "numbers" makes it a head for regression; "binary",
        "multiclass" and "multilabel" make it one for classification.
    domain : Domain
        The targets that it can learn, one by one: `NUMBERS`, `ZERO_OR_POSITIVE`, `POSITIVE`,
        `ZERO_OR_ONE`, or a `Domain` of your own.
    is_one_hot : bool
        Whether classes are encoded as one column each; otherwise two classes are one column of
        0 and 1.
    is_ordered : bool
        Whether the columns of classes are in an order that counts. It is the one in `classes`, if
        the head has such a parameter and it is not None; else the one that y declares, or that of
        numbers.
    out_activation : str
        The name of the output activation, published as `out_activation_`.
    has_probabilities : bool
        Whether `predict` returns probabilities of classes; otherwise they are scores, the
        largest winning.
    takes_shares : bool
        Whether the loss means something for targets between 0 and 1, shares of classes, as
        `label_smoothing` makes them.
    loss_degree : float or None
        d, where raw outputs are numbers like the target, loss(a + c raw, a + c y) =
        c^d loss(raw, y), and the head has no parameter in units of the target. With
        `initial_output="data"` offsets and units are then taken off the target before it is cast
        to the precision of training.

    Examples
    --------
    >>> class LogCosh(Head):
    ...     def loss(self, raw, y):
    ...         error = np.abs(raw - y)
    ...         return np.sum(error + np.log1p(np.exp(-2 * error)), axis=1)
    >>> from skmlp import MLPRegressor, check_head
    >>> checked = check_head(LogCosh())
    >>> X, y = np.eye(3), np.array([1.0, 2.0, 6.0])
    >>> network = MLPRegressor((), head=LogCosh(), solver="lbfgs", alpha=0, random_state=0)
    >>> network.fit(X, y).predict(X).round(1)
    array([1., 2., 6.])
    """

    targets: ClassVar[frozenset[str]] = frozenset({"numbers"})
    domain: ClassVar[Domain] = NUMBERS
    is_one_hot: ClassVar[bool] = False
    is_ordered: ClassVar[bool] = False
    out_activation: ClassVar[str] = "identity"
    has_probabilities: ClassVar[bool] = True
    takes_shares: ClassVar[bool] = False
    loss_degree: ClassVar[float | None] = None
    _log_unit: ClassVar[Any] = 0.0  # of the targets that it answers in; see `in_target_unit`

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class with parameters that are no fields."""
        super().__init_subclass__(**options)
        check_declared(cls, "head")

    def __new__(cls, *given: Any, **named: Any) -> Self:
        """Make a head of a class that is a dataclass, if it has parameters."""
        check_made(cls, "head", is_given=bool(given or named))
        return object.__new__(cls)

    def __post_init__(self) -> None:
        """Turn numbers into Python's own."""
        for field in fields(self):
            if hasattr(self, field.name):
                object.__setattr__(self, field.name, plain(getattr(self, field.name)))

    @property
    def positive_only(self) -> bool:
        """Whether no target may be negative."""
        return not self.domain.allows(-1.0)

    @property
    def has_distribution(self) -> bool:
        """Whether there is a `distribution`."""
        return type(self).distribution is not Head.distribution

    @property
    def has_quantiles(self) -> bool:
        """Whether there is a `quantile`."""
        return self.has_distribution or type(self).quantile is not Head.quantile

    def n_raw(self, n_targets: int) -> int:
        """Return the number of raw outputs for a number of target columns; by default the same."""
        return n_targets

    def n_constant(self, n_targets: int) -> int:  # noqa: ARG002
        """Return how many raw outputs, the last ones, are one number for all inputs.

        Such an output is learned as a bias without weights: a dispersion or thresholds that the
        model has once. By default none.
        """
        return 0

    def smoothed(self, y: Any, smoothing: float) -> Any:
        r"""Spread a share s of each target over its classes: label smoothing.

        .. math:: y' = (1 - s) y + s / K

        with K the number of columns where the head is one-hot, and 2 where a column is a choice
        between 0 and 1. Szegedy et al., CVPR 2016, arXiv:1512.00567.

        Parameters
        ----------
        y : array or Expression of shape (n, n_targets)
            Encoded targets.
        smoothing : float
            The share s, in [0, 1).

        Returns
        -------
        array or Expression of shape (n, n_targets)
            Shares of the classes; `y` itself where `smoothing` is 0.

        Raises
        ------
        ValueError
            If the head does not take shares of classes.
        """
        if not smoothing:
            return y
        if not self.takes_shares:
            raise ValueError(
                f"label_smoothing={shown(smoothing)} makes shares of classes, which {shown(self)} "
                "does not take: set label_smoothing=0, or another head, such as 'softmax'."
            )
        classes = y.shape[1] if self.is_one_hot else 2
        return (1.0 - float(smoothing)) * y + float(smoothing) / classes

    def check_target(self, y: np.ndarray) -> None:
        """Raise a ValueError that names the domain and the first value outside it, if any."""
        allowed = self.domain.allows(y)
        if not np.all(allowed):
            raise ValueError(
                f"{type(self).__name__} needs targets that are {self.domain.words}, "
                f"got {y[~allowed].flat[0]:g}"
            )

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the loss of each sample, of shape (n,)."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(raw, y)")

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the raw outputs of the best constant model, of shape (n_raw,).

        By default they are found numerically. `initial_output="data"` starts the last bias there.

        Parameters
        ----------
        y : ndarray of shape (n, n_targets)
            Encoded targets.
        weights : ndarray of shape (n,), optional
            Weights of the samples, zero or positive.
        """
        return best_constant(self, y, weights, np.zeros(self.n_raw(y.shape[1])))

    def raw_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return how far each raw output is expected to vary with the inputs, of shape (n_raw,).

        By default the standard deviation of the target where it is a number and `predict` returns
        the raw outputs themselves; elsewhere 1, which suits logits and logarithms. With
        `initial_output="data"` the network is trained in these units.

        Parameters
        ----------
        y : ndarray of shape (n, n_targets)
            Encoded targets.
        weights : ndarray of shape (n,), optional
            Weights of the samples, zero or positive.
        """
        n_raw = self.n_raw(y.shape[1])
        is_number = "numbers" in self.targets and type(self).predict is Head.predict
        if is_number and n_raw == y.shape[1]:
            return spread(y, weights)
        return np.ones(n_raw)

    def target_unit(self, y: np.ndarray, weights: np.ndarray | None = None) -> Unit | None:
        """Return the unit of the target; None, the default, where it is trained on as it is.

        Parameters
        ----------
        y : ndarray of shape (n, n_targets)
            Encoded targets.
        weights : ndarray of shape (n,), optional
            Weights of the samples, zero or positive.
        """
        if self.loss_degree is None:
            return None
        shift = mean(y, weights)  # targets' losses are added up, so all have one unit
        largest = np.max(spreads := spread(y, weights))
        scale = np.full(len(shift), largest * np.sqrt(np.mean(np.square(spreads / largest))))
        with np.errstate(over="ignore"):
            loss_scale = float(np.power(scale[0], self.loss_degree))
        return Unit(shift, scale, shift, scale, loss_scale=loss_scale)

    def of_target_unit(self) -> Head:
        """Return the head whose targets are those of this one in its `target_unit`."""
        return self

    def in_target_unit(self, scale: np.ndarray) -> Self:
        """Return a copy that answers in targets of this unit, in which its links have bounds."""
        answering = copy.copy(self)
        log_unit = np.log(np.asarray(scale, np.float64))
        alike = np.all(log_unit == log_unit[0])  # a number of Python's keeps float32
        object.__setattr__(answering, "_log_unit", float(log_unit[0]) if alike else log_unit)
        return answering

    # -- numbers -----------------------------------------------------------------------------------

    def predict(self, raw: Any) -> Any:
        """Turn raw outputs into predictions on the scale of y, of shape (n, n_targets).

        For numbers, the mean or whatever the loss makes of it; for classes, probabilities.
        """
        return raw

    def center(self, raw: Any) -> Any:
        """Return the one number for each target, of shape (n, n_targets), that is scored."""
        return self.predict(raw)

    def distribution(self, raw: np.ndarray) -> Any:
        """Return the distributions of the targets, frozen, with parameters (n, n_targets)."""
        raise NotImplementedError(f"{type(self).__name__} has no distribution")

    def quantile(self, raw: np.ndarray, q: Sequence[float]) -> np.ndarray:
        """Return quantiles of the targets, of shape (n, n_targets, levels)."""
        frozen = self.distribution(raw)
        return np.stack([frozen.ppf(level) for level in q], axis=-1)

    # -- classes -----------------------------------------------------------------------------------

    def classify(self, raw: np.ndarray) -> np.ndarray:
        """Return the number of the class of each sample, or 0 or 1 for each column."""
        predicted = self.predict(raw)
        if self.is_one_hot:
            return number_of_largest(predicted)
        return (predicted > 0.5).astype(int)

    def log_probability(self, raw: Any) -> Any:
        """Return the logarithm of the probabilities that `predict` returns."""
        return np.log(self.predict(raw))

    def log_complement(self, raw: Any) -> Any:
        """Return the logarithm of 1 minus the probabilities that `predict` returns."""
        return np.log1p(-self.predict(raw))


# == links =========================================================================================

LIMIT = 20.0  # exp(20) is 5e8


def bounded(raw: Any, limit: float = LIMIT, center: Any = 0.0) -> Any:
    """Return raw itself within limit of a center, beyond it something that grows as a logarithm.

    For logarithms of scales and means: their exponentials stay finite, and smooth, for any raw
    output that a diverging step may leave.

    Examples
    --------
    >>> bounded(np.array([-1e4, -3.0, 20.0, 1e4])).round(2)
    array([-29.21,  -3.  ,  20.  ,  29.21])
    """
    if not (isinstance(center, float) and center == 0):
        if isinstance(raw, np.ndarray):
            center = np.asarray(center, raw.dtype)
        return center + bounded(raw - center, limit)
    return compute_or_trace(_BOUNDED, raw, limit=limit)


def _bounded(raw: Any, limit: float) -> Any:
    away = np.maximum(np.abs(raw) - limit, 0)
    if not away.any():
        return raw
    return np.clip(raw, -limit, limit) + np.sign(raw) * np.log1p(away)


_BOUNDED: Primitive = Primitive(
    "bounded",
    _bounded,
    lambda shape, **_: shape,
    (lambda g, y, raw, limit: g / (1 + np.maximum(np.abs(raw) - limit, 0)),),
    operator=lambda w, raw, limit: (
        w.add("Min", w.add("Max", raw, -limit), limit)
        + w.add("Sign", raw) * w.add("Log", 1.0 + w.add("Relu", w.add("Abs", raw) - limit))
    ),
)


def unbounded(value: np.ndarray, limit: float = LIMIT) -> np.ndarray:
    """Return the raw output that `bounded` makes `value` of."""
    above, below = np.maximum(value - limit, 0), np.maximum(-limit - value, 0)
    return np.clip(value, -limit, limit) + np.expm1(above) - np.expm1(below)


def log_above(value: np.ndarray, limit: float = LIMIT) -> np.ndarray:
    """Return the raw output of a positive scale or mean; a number near 0 counts as exp(-limit)."""
    return unbounded(np.log(np.maximum(value, np.exp(-limit))), limit)


def blocks(raw: Any, n_parameters: int) -> list[Any]:
    """Cut raw outputs (n, n_parameters * k) into the (n, k) of each parameter."""
    k = raw.shape[1] // n_parameters
    return [raw[:, i * k : (i + 1) * k] for i in range(n_parameters)]


def wide(raw: Any) -> np.ndarray:
    """Return raw outputs in float64."""
    return np.asarray(raw, np.float64)


# == classes from scores ===========================================================================


def number_of_largest(scores: Any) -> Any:
    """Return the number of the largest score of each row, of equal ones the first.

    >>> number_of_largest(np.array([[1.0, 3.0, 3.0]]))
    array([1])
    """
    return compute_or_trace(_LARGEST, scores)


_LARGEST: Primitive = Primitive(  # np.argmax itself, which has no slope, is refused in losses
    "number_of_largest",
    partial(np.argmax, axis=1),
    lambda scores: scores[:1],
    (None,),
    is_integer=True,
    operator=lambda w, scores: w.add("ArgMax", scores, axis=1, keepdims=0),
)


# == constant models ===============================================================================


def mean(y: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return the weighted mean of each column."""
    return np.average(np.asarray(y, np.float64), axis=0, weights=weights)


def spread(y: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Return the weighted standard deviation of each column; 1 for a column of one value."""
    away = y - mean(y, weights)
    size = 2.0 ** np.frexp(np.max(np.abs(away), axis=0))[1]  # so that no square leaves its range
    deviation = size * np.sqrt(mean(np.square(away / size), weights))
    return np.where((deviation > 0) & np.isfinite(deviation), deviation, 1.0)


def weighted_quantile(y: np.ndarray, weights: np.ndarray | None, q: float) -> np.ndarray:
    """Return the minimizer of the weighted pinball loss in each column.

    Where a whole interval minimizes it, its middle, so that the median of two numbers is their
    mean.

    Examples
    --------
    >>> weighted_quantile(np.array([[1.0], [2.0], [4.0]]), np.array([1, 1, 2]), 0.5)
    array([3.])
    """
    shares = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    columns = []
    for column in np.asarray(y, np.float64)[shares > 0].T:
        order = np.argsort(column, kind="stable")
        reached = np.cumsum(shares[shares > 0][order])
        target, slack = q * reached[-1], 1e-12 * reached[-1]
        low, high = np.searchsorted(reached, [target - slack, target + slack], side="right")
        low, high = column[order[[low, min(high, len(column) - 1)]]]
        columns.append(low + 0.5 * (high - low))
    return np.array(columns)


def best_constant(
    head: Head,
    y: np.ndarray,
    weights: np.ndarray | None,
    start: np.ndarray,
    bounds: Sequence[tuple[float, float]] | None = None,
) -> np.ndarray:
    """Minimize the weighted mean loss over raw outputs that are the same for every sample.

    By L-BFGS on the derived gradient, and to rounding by Powell's hybrid method for its root; where
    that ends on a kink, or nowhere, it is finished by Powell's method, which needs no gradient.
    """
    if bounds is not None:
        start = np.clip(start, *np.transpose(bounds))
    at = np.array(start, np.float64)
    raw, target = variable("raw", at.shape), variable("y", (BATCH, y.shape[1]))
    w = variable("w", (BATCH,))
    objective = np.sum(w * head.loss(broadcast_to(raw, (BATCH, len(at))), target))
    program = Program([objective, *gradient(objective, [raw])], {raw: at})
    shares = np.ones(len(y)) if weights is None else np.asarray(weights, np.float64)
    values = {target: np.asarray(y, np.float64), w: shares / np.sum(shares)}

    def evaluate(point: np.ndarray) -> tuple[float, np.ndarray]:
        at[...] = point
        value, slope = program.run(values)
        return float(value), np.array(slope)

    best, (lowest, slope) = np.array(start, np.float64), evaluate(start)
    options = {"maxiter": 1000, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-10}
    found = minimize(evaluate, best, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    if found.fun < lowest:
        best, lowest, slope = found.x, float(found.fun), found.jac
    options = {"xtol": 1e-14, "maxfev": 20 + 2 * best.size}
    exact = root(lambda point: evaluate(point)[1], best, method="hybr", options=options).x
    if bounds is None or np.array_equal(exact, np.clip(exact, *np.transpose(bounds))):
        value, slope_there = evaluate(exact)
        if np.max(np.abs(slope_there)) < np.max(np.abs(slope)) and value <= lowest + 1e-12:
            best, lowest, slope = exact, value, slope_there
    if np.max(np.abs(slope), initial=0.0) > 1e-6 * max(1.0, abs(lowest)):
        found = minimize(
            lambda point: evaluate(point)[0],
            best,
            method="Powell",
            bounds=bounds,
            options={"xtol": 1e-10, "ftol": 1e-13},
        )
        if found.fun < lowest:
            best = np.reshape(found.x, best.shape)
    return best
