"""Heads for classification: classes that exclude each other, labels that exclude nothing.

Classes come as one column of 0 and 1 for two of them or for each label, or, where the head is
`is_one_hot`, as a column for each class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy import special

from ..engine import log_softmax, logsumexp, softmax
from ..engine.words import shown
from .domains import ZERO_OR_ONE, Domain, is_number
from .head import Head, best_constant, mean, number_of_largest

_LEAST_PROBABILITY = 1e-6  # that a class or label which the data lack is given to start with


@dataclass(frozen=True)
class Logistic(Head):
    """Two classes, or several labels that exclude nothing; the output activation is logistic.

    Loss, the log loss: sum over outputs of log(1 + exp(raw)) - y raw. Domain: y in {0, 1}. Link:
    logit. One raw output for two classes, one for each label; `predict` is the probability of 1.

    Examples
    --------
    >>> Logistic().loss(np.array([[0.0], [1000.0]]), np.array([[1.0], [1.0]])).round(3)
    array([0.693, 0.   ])
    """

    targets: ClassVar[frozenset[str]] = frozenset({"binary", "multilabel"})
    domain: ClassVar[Domain] = ZERO_OR_ONE
    out_activation: ClassVar[str] = "logistic"
    takes_shares: ClassVar[bool] = True

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the log loss."""
        return np.sum(np.logaddexp(raw, 0) - y * raw, axis=1)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the logit of the share of 1."""
        share = mean(y, weights)
        return special.logit(np.clip(share, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))

    def predict(self, raw: Any) -> Any:
        """Return the probability of 1 for each label."""
        return special.expit(raw)

    def log_probability(self, raw: Any) -> Any:
        """Return the logarithm of the probability of 1 for each label."""
        return special.log_expit(raw)

    def log_complement(self, raw: Any) -> Any:
        """Return the logarithm of the probability of 0 for each label."""
        return special.log_expit(-raw)


@dataclass(frozen=True)
class Brier(Logistic):
    """Two classes or labels by least squares on probabilities; the output activation is logistic.

    Loss: sum over outputs of (probability - y)^2 / 2, probability = 1 / (1 + exp(-raw)). Domain:
    y in {0, 1}. Link: logit. One raw output for two classes, one for each label; `predict` is the
    probability of 1. The loss of a sample is at most 1/2, so that a wrong label does little harm,
    but it is not convex, and flat where the network is surely wrong. Brier, "Verification of
    forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).

    Examples
    --------
    >>> Brier().loss(np.array([[0.0], [-1000.0]]), np.array([[1.0], [1.0]]))
    array([0.125, 0.5  ])
    """

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute half the squared error of the probability."""
        return 0.5 * np.sum(np.square(special.expit(raw) - y), axis=1)


@dataclass(frozen=True)
class Softmax(Head):
    """Classes that exclude each other; the output activation is the softmax.

    Loss, the log loss: log(sum(exp(raw))) - raw of the true class. Domain: one-hot y. Link:
    multinomial logit, symmetric. One raw output for each class; `predict` is the probabilities.

    Examples
    --------
    >>> Softmax().predict(np.array([[0.0, 0.0, 1000.0]]))
    array([[0., 0., 1.]])
    """

    targets: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass"})
    domain: ClassVar[Domain] = ZERO_OR_ONE
    is_one_hot: ClassVar[bool] = True
    out_activation: ClassVar[str] = "softmax"
    takes_shares: ClassVar[bool] = True

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the log loss."""
        return logsumexp(raw, axis=1) - np.sum(y * raw, axis=1)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the logarithm of the share of each class, less the mean of them."""
        logarithms = np.log(np.maximum(mean(y, weights), _LEAST_PROBABILITY))
        return logarithms - np.mean(logarithms)

    def predict(self, raw: Any) -> Any:
        """Return the probability of each class."""
        return softmax(raw, axis=1)

    def log_probability(self, raw: Any) -> Any:
        """Return the logarithm of the probability of each class."""
        return log_softmax(raw, axis=1)


@dataclass(frozen=True)
class Focal(Softmax):
    """Classes that exclude each other, the well classified samples counting less.

    Loss: -(1 - p)^gamma log(p), with p the probability of the true class, a softmax of the raw
    outputs. Domain: one-hot y. Link: multinomial logit. One raw output for each class; `predict`
    is the probabilities, which the loss draws towards the middle. For classes of very different
    size. Lin et al., "Focal loss for dense object detection", ICCV 2017, arXiv:1708.02002.

    Parameters
    ----------
    gamma : float, default=2.0
        How much less; zero (`Softmax`) or positive.

    Raises
    ------
    ValueError
        If `gamma` is not a number >= 0.

    Examples
    --------
    >>> Focal(gamma=2.0).loss(np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[1, 0], [1, 0]])).round(
    ...     4
    ... )
    array([1.733e-01, 1.000e-04])
    """

    takes_shares: ClassVar[bool] = False
    gamma: float = 2.0

    def __post_init__(self) -> None:
        """Check the parameter."""
        super().__post_init__()
        if not (is_number(self.gamma) and self.gamma >= 0):
            raise ValueError(f"Focal needs a gamma that is a number >= 0, got {shown(self.gamma)}")

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the focal loss."""
        total = logsumexp(raw, axis=1)
        log_p = np.sum(y * raw, axis=1) - total
        log_rest = logsumexp(raw - 1e6 * y, axis=1) - total  # of all classes but the true one
        return -np.exp(float(self.gamma) * log_rest) * log_p

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the best raw outputs, found from those of `Softmax`."""
        found = best_constant(self, y, weights, super().initial_raw(y, weights))
        return found - np.mean(found)


@dataclass(frozen=True)
class Hinge(Head):
    """Classes that exclude each other, told apart by a margin, as by a support vector machine.

    Loss: how far the largest other score, plus 1, is above the score of the true class:
    max(0, 1 + max over others of raw - raw of the true class). Domain: one-hot y. Link: none;
    there are no probabilities. One raw output for each class, its score; the largest wins.
    Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", JMLR 2 (2001).

    Examples
    --------
    >>> Hinge().loss(np.array([[3.0, 1.0, 0.0], [0.0, 0.0, 0.5]]), np.array([[1, 0, 0], [1, 0, 0]]))
    array([0. , 1.5])
    """

    targets: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass"})
    domain: ClassVar[Domain] = ZERO_OR_ONE
    is_one_hot: ClassVar[bool] = True
    has_probabilities: ClassVar[bool] = False

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the hinge loss."""
        return np.max(raw + (1 - y), axis=1) - np.sum(y * raw, axis=1)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return 1 for a class that has more than half of the samples, 0 for any other."""
        return (mean(y, weights) > 0.5).astype(np.float64)


@dataclass(frozen=True)
class Ordinal(Head):
    """Classes in an order: grades, stages, stars; a score between thresholds that it learns.

    P(class <= j) = 1 / (1 + exp(score - t_j)), with thresholds t_1 <= t_2 <= ... that are the same
    for all inputs. The order is that of `classes`, or the one that the target declares (an ordered
    Categorical of pandas, an Enum of polars), or that of numbers; strings have none. Levels that
    never occur in a fit are left out, since no threshold could be learned for them: `classes_` are
    those that do, in their order; of a stream all that were announced. scikit-learn's metrics of
    probabilities take columns for sorted by label, so give them numbers. Loss: the log loss,
    -log P(true class). Domain: one-hot y. Link: cumulative logit. Raw outputs: the score, t_1, and
    for each further threshold how far it is above the one before, as log(1 + exp(raw)); `predict`
    is the probability of each class. The class of a sample is the median, which minimizes the
    expected absolute error between the classes' numbers, or the mode, the most probable one.
    McCullagh, "Regression models for ordinal data", JRSS B 42 (1980).

    Parameters
    ----------
    prediction : {"median", "mode"}, default="median"
        Which class is predicted.
    classes : sequence of labels or None, default=None
        The classes from the lowest to the highest, for targets that declare no order, or another;
        a target may lack some, but has no others. By default the order is the target's own.

    Raises
    ------
    ValueError
        If `prediction` or `classes` is anything else.

    Examples
    --------
    >>> raw = np.array([[0.5, -1.0, 2.0], [-3.0, -1.0, 2.0]])  # thresholds -1 and 1.127
    >>> Ordinal().predict(raw).round(3)
    array([[0.182, 0.469, 0.348],
           [0.881, 0.103, 0.016]])
    >>> Ordinal().classify(raw)
    array([1, 0])
    """

    targets: ClassVar[frozenset[str]] = frozenset({"binary", "multiclass"})
    domain: ClassVar[Domain] = ZERO_OR_ONE
    is_one_hot: ClassVar[bool] = True
    is_ordered: ClassVar[bool] = True
    out_activation: ClassVar[str] = "logistic"
    takes_shares: ClassVar[bool] = True
    prediction: str = "median"
    classes: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        """Check the parameters, and keep classes as a tuple."""
        super().__post_init__()
        if not (isinstance(self.prediction, str) and self.prediction in ("median", "mode")):
            raise ValueError(
                "Ordinal needs a prediction that is 'median' or 'mode', got "
                f"{shown(self.prediction)}"
            )
        if self.classes is not None:
            object.__setattr__(self, "classes", _distinct_labels(self.classes))

    def n_constant(self, n_targets: int) -> int:
        """Return the number of thresholds."""
        return n_targets - 1

    def _margins(self, raw: Any) -> Any:
        """Return how far each threshold is above the score, of shape (n, classes - 1)."""
        steps = np.concatenate([raw[:, 1:2], np.logaddexp(raw[:, 2:], 0)], axis=1)
        return np.cumsum(steps, axis=1) - raw[:, :1]

    def log_probability(self, raw: Any) -> Any:
        """Return the logarithm of the probability of each class.

        With a <= b the margins of the two thresholds around a class and s the logistic function,
        s(b) - s(a) = s(b) s(-a) (1 - exp(a - b)), and the last factor is s(raw) of the step.
        """
        if raw.shape[1] == 1:
            return np.zeros_like(raw)
        margins, nothing = self._margins(raw), np.zeros_like(raw[:, :1])
        below = np.concatenate([special.log_expit(margins), nothing], axis=1)
        above = np.concatenate([nothing, special.log_expit(-margins)], axis=1)
        between = [nothing, special.log_expit(raw[:, 2:]), nothing]
        if raw.shape[1] == 2:
            return below + above
        return below + above + np.concatenate(between, axis=1)

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the log loss."""
        return -np.sum(y * self.log_probability(raw), axis=1)

    def predict(self, raw: Any) -> Any:
        """Return the probability of each class."""
        return np.exp(self.log_probability(raw))

    def classify(self, raw: np.ndarray) -> np.ndarray:
        """Return the number of the median class, or of the most probable one."""
        if self.prediction == "mode" or raw.shape[1] == 1:
            return number_of_largest(self.log_probability(raw))
        return np.sum(self._margins(raw) < 0, axis=1)

    def initial_raw(self, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return a score of 0 and the thresholds that give each class its share."""
        share = np.maximum(mean(y, weights), _LEAST_PROBABILITY)
        reached = np.cumsum(share / np.sum(share))[:-1]
        thresholds = special.logit(np.clip(reached, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))
        gaps = np.maximum(np.diff(thresholds), _LEAST_PROBABILITY)
        return np.concatenate([[0.0], thresholds[:1], gaps + np.log(-np.expm1(-gaps))])


def _distinct_labels(given: Any) -> tuple[Any, ...]:
    """Return labels in their order, as Python has them."""
    has_order = not isinstance(given, (str, bytes, Set, Mapping)) and np.ndim(given) == 1
    labels = [x.item() if isinstance(x, np.generic) else x for x in given] if has_order else []
    are_labels = all(isinstance(x, (str, Real)) and x == x for x in labels)
    if not labels or not are_labels or len(set(labels)) < len(labels):
        raise ValueError(
            "Ordinal needs classes that are a list of different labels from the lowest to the "
            f"highest, got {shown(given)}"
        )
    return tuple(labels)


ROWS: dict[str, type[Head]] = {
    "logistic": Logistic,
    "softmax": Softmax,
    "ordinal": Ordinal,
    "brier": Brier,
    "focal": Focal,
    "hinge": Hinge,
}
globals()["__all__"] = [kind.__name__ for kind in ROWS.values()]  # type checkers see all names
