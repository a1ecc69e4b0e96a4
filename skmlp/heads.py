"""Heads: what a network's last layer means.

The law of a head: with `raw` the outputs of the last layer, before any output activation, and `y`
the encoded target,

    loss(raw, y)      one number for each sample, summed over its outputs, without weights
    predict(raw)      what the raw outputs say, on the scale of the target

Both are plain NumPy functions. Losses work on raw outputs, never on probabilities that have been
rounded to 0 or 1. A head is a frozen dataclass: its fields are its parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import special

from .engine import log_softmax, logsumexp, softmax


@dataclass(frozen=True)
class Head:
    """What every head has; subclass it to make your own.

    Attributes
    ----------
    targets : frozenset of str
        The kinds of target it can learn: "numbers" makes it a head for regression; "binary",
        "multiclass" and "multilabel" make it one for classification.
    is_one_hot : bool
        Whether classes are encoded as one column each; otherwise two classes are one column of
        0 and 1.
    out_activation : str
        The name of the output activation, published as `out_activation_`.
    positive_only : bool
        Whether targets must be positive or zero.
    """

    targets: ClassVar[frozenset[str]] = frozenset({"numbers"})
    is_one_hot: ClassVar[bool] = False
    out_activation: ClassVar[str] = "identity"
    positive_only: ClassVar[bool] = False

    def n_raw(self, n_targets: int) -> int:
        """Return the number of raw outputs for a number of target columns; by default the same."""
        return n_targets

    def check_target(self, y: np.ndarray) -> None:
        """Raise a ValueError that names the domain and the first value outside it, if any."""
        if self.positive_only and np.min(y) < 0:
            first = y[y < 0].flat[0]
            raise ValueError(
                f"{type(self).__name__} needs targets that are 0 or positive, got {first:g}"
            )

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the loss of each sample, of shape (n,)."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(raw, y)")

    def predict(self, raw: Any) -> Any:
        """Turn raw outputs into predictions on the scale of y, of shape (n, n_targets).

        For numbers, the mean or whatever the loss makes of it; for classes, probabilities.
        """
        return raw

    def log_probability(self, raw: Any) -> Any:
        """Return the logarithm of the probabilities that `predict` returns."""
        return np.log(self.predict(raw))

    def log_complement(self, raw: Any) -> Any:
        """Return the logarithm of 1 minus the probabilities that `predict` returns."""
        return np.log1p(-self.predict(raw))


@dataclass(frozen=True)
class Linear(Head):
    """Regression by least squares; the output activation is the identity.

    Loss: sum over outputs of (raw - y)^2 / 2. Domain: all numbers. Link: identity. One raw output
    for each target; `predict` is the mean.

    Examples
    --------
    >>> Linear().loss(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
    array([2.5])
    """

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute half the squared error."""
        return 0.5 * np.sum(np.square(raw - y), axis=1)


@dataclass(frozen=True)
class Poisson(Head):
    """Regression of counts and rates; the output activation is the exponential.

    Loss, half the Poisson deviance: sum over outputs of y log(y / mean) - y + mean. Domain:
    y >= 0. Link: log, mean = exp(raw) for raw <= 30; above, the mean goes on linearly, as
    exp(30) (raw - 29), so that loss, gradient and prediction stay finite. One raw output for
    each target; `predict` is the mean. McCullagh and Nelder, Generalized Linear Models (1989).

    Examples
    --------
    >>> Poisson().predict(np.array([[0.0], [1.0]])).round(3)
    array([[1.   ],
           [2.718]])
    """

    out_activation: ClassVar[str] = "exp"
    positive_only: ClassVar[bool] = True

    def log_mean(self, raw: Any) -> Any:
        """Return the logarithm of the mean: raw itself up to 30."""
        return np.minimum(raw, 30) + np.log1p(np.maximum(raw - 30, 0))

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute half the Poisson deviance."""
        log_mean = self.log_mean(raw)
        return np.sum(np.exp(log_mean) - y * log_mean + special.xlogy(y, y) - y, axis=1)

    def predict(self, raw: Any) -> Any:
        """Return the mean."""
        return np.exp(self.log_mean(raw))


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
    out_activation: ClassVar[str] = "logistic"

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the log loss."""
        return np.sum(np.logaddexp(raw, 0) - y * raw, axis=1)

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
    is_one_hot: ClassVar[bool] = True
    out_activation: ClassVar[str] = "softmax"

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute the log loss."""
        return logsumexp(raw, axis=1) - np.sum(y * raw, axis=1)

    def predict(self, raw: Any) -> Any:
        """Return the probability of each class."""
        return softmax(raw, axis=1)

    def log_probability(self, raw: Any) -> Any:
        """Return the logarithm of the probability of each class."""
        return log_softmax(raw, axis=1)


HEADS: dict[str, type[Head]] = {
    "linear": Linear,
    "poisson": Poisson,
    "logistic": Logistic,
    "softmax": Softmax,
}
# What head="auto" means for each kind of target.
AUTOMATIC: dict[str, type[Head]] = {
    "numbers": Linear,
    "binary": Logistic,
    "multilabel": Logistic,
    "multiclass": Softmax,
}
