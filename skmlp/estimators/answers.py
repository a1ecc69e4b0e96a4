"""Answers: what raw outputs say of numbers, and of classes.

The law: an answer is a function of the target and of the raw outputs. So whatever has raw outputs,
one network or many of them blended, answers by the same methods; it brings `_answered`, which
computes some rows at a time, and `_raw`, which computes all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from ..engine.words import shown
from ..heads import Quantile, for_one_target
from ..heads.domains import as_levels, is_number
from .availability import has, has_scores_alone, known_head, only_with
from .containers import read_labels, read_numbers
from .data import check_weights
from .scoring import r2
from .targets import Classes, Numbers


class Answers:
    """What has raw outputs."""

    def _answered(
        self, X: Any, answer: Callable[[Any, np.ndarray], np.ndarray]
    ) -> tuple[Any, np.ndarray]:
        """Return the target, and `answer(target, raw)` of the raw outputs of all rows."""
        raise NotImplementedError

    def _raw(self, X: Any) -> tuple[Any, np.ndarray]:
        """Return the target, and the raw outputs of all rows."""
        raise NotImplementedError

    def _answers(self, X: Any, answer: Callable[[Any, np.ndarray], np.ndarray]) -> np.ndarray:
        """Return `answer(target, raw)` of the raw outputs of all rows."""
        return self._answered(X, answer)[1]


# == classes =======================================================================================


class ClassAnswers(Answers):
    """What is said of classes."""

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each sample, or its labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_labels)
            The most probable class (or as the head says); for labels 1 where the probability is
            above 1/2. Labels come as a CSR matrix where they were fitted as a sparse one.
        """
        target, answers = self._answered(X, Classes.decode)
        return csr_matrix(answers) if target.are_sparse else answers

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, the share of samples whose class, or all of whose labels, are right.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes, or a 0/1 matrix of labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        float
            The accuracy of `predict`.
        """
        predicted, y = self.predict(X), read_labels(y, "y")
        weights = check_weights(sample_weight, predicted.shape[0])
        return float(accuracy_score(y, predicted, sample_weight=weights))

    @available_if(has("probabilities"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class, or of each label.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`. Those of classes sum to 1; those of labels
            are the probabilities of 1, and below it. None is 0: one that is too small for the
            precision is some smallest number, in the order of their logarithms.
        """
        return self._answers(X, Classes.probabilities)

    @available_if(has("probabilities"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Predict the logarithm of `predict_proba`, from raw outputs.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Log-probabilities; finite wherever the raw outputs are.
        """
        return self._answers(X, Classes.log_probabilities)

    @available_if(has_scores_alone)
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the scores of the classes, for heads without probabilities, such as `Hinge`.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes the score of the second less that of the first: positive where the
            second is predicted. Otherwise one score for each class.
        """
        return self._answers(X, Classes.scores)


# == numbers =======================================================================================


class NumberAnswers(Answers):
    """What is said of numbers."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R2, the share of the target's variance that the predictions explain.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights.

        Returns
        -------
        float
            R2 of `predict`, with several quantiles of the one next to the median.
        """
        predicted = self._answers(X, lambda target, raw: target.head.center(raw))
        y, weights = read_numbers(y, "y"), check_weights(sample_weight, len(predicted))
        return r2(y, without_targets_axis(predicted), weights)

    def predict(
        self,
        X: Any,
        return_std: bool = False,
        *,
        return_distribution: bool = False,
        coverage: Any = None,
        quantiles: Any = None,
    ) -> Any:
        """Predict the target of each sample, or how it is distributed.

        A `Pipeline`, which hands the arguments of its `predict` on, so gets at all answers. Of the
        four arguments beside X at most one is given in a call.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        return_std : bool, default=False
            Whether to return standard deviations too; for heads with a distribution.
        return_distribution : bool, default=False
            Whether to return `predict_distribution(X)` instead.
        coverage : float, default=None
            In (0, 1): `predict_interval(X, coverage)` is returned instead.
        quantiles : float or sequence of float, default=None
            Levels in (0, 1): `predict_quantiles(X, quantiles)` is returned instead.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions on the scale of the target. A head with several quantiles has one more
            axis for them.
            With `coverage` the ends of intervals, of shape (n_samples, 2) or (n_samples,
            n_outputs, 2), the lower first; with `quantiles` an array of shape (n_samples, levels)
            or (n_samples, n_outputs, levels), without the last axis for a single number; with
            `return_distribution` a distribution with arrays of shape (n_samples,) or (n_samples,
            n_outputs).
        ndarray of the same shape
            With `return_std`, the standard deviation of the target of each sample.

        Raises
        ------
        ValueError
            If the head cannot answer what is asked, if several answers are asked for, or if
            `coverage` or a level is not in (0, 1).

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> from skmlp import MLPRegressor
        >>> X, y = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([1.0, 3.0, 6.0, 14.0])
        >>> network = MLPRegressor((), head="gaussian", solver="lbfgs", alpha=0, random_state=0)
        >>> model = make_pipeline(StandardScaler(), network).fit(X, y)
        >>> model.predict([[0.0], [1.0]], coverage=0.9).round(1)
        array([[ 0.4,  3.6],
               [ 3.4, 16.6]])
        """
        instead = {"coverage": coverage, "quantiles": quantiles}
        instead = {name: value for name, value in instead.items() if value is not None}
        instead |= {"return_distribution": True} if return_distribution else {}
        head = known_head(self)
        if instead:
            return self._instead(X, head, instead | ({"return_std": True} if return_std else {}))
        if return_std and head is not None and not head.has_distribution:
            raise ValueError("return_std: " + only_with("distribution", head))

        def predicted(target: Numbers, raw: np.ndarray) -> np.ndarray:
            return without_targets_axis(target.head.predict(raw))

        if not return_std:
            return self._answers(X, predicted)
        target, raw = self._raw(X)
        with np.errstate(all="ignore"):
            return predicted(target, raw), _distribution(target, raw).std()

    def _instead(self, X: Any, head: Any, asked: dict[str, Any]) -> Any:
        """Give the one answer that `predict` is asked for instead."""
        if len(asked) > 1:
            words = " and ".join(f"{name}={shown(value)}" for name, value in asked.items())
            raise ValueError(f"predict gives one answer at a time, got {words}: call it for each.")
        ((name, value),) = asked.items()
        what, method = _INSTEAD[name]
        if not hasattr(self, method):
            raise ValueError(f"{name}: {only_with(what, head)}")
        if name == "return_distribution":
            return self.predict_distribution(X)
        if name == "coverage":
            return self.predict_interval(X, value)
        return self._quantiles(X, value, name)

    @available_if(has("distribution"))
    def predict_distribution(self, X: Any) -> Any:
        """Predict the distribution of the target of each sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        frozen distribution of `scipy.stats`, `skmlp.heads.Mixture` or `PoissonGamma`
            Its methods (`pdf` or `pmf`, `cdf`, `ppf`, `mean`, `std`, `interval`, `rvs`, ...)
            return arrays of shape (n_samples,) or (n_samples, n_outputs).

        Examples
        --------
        >>> import numpy as np
        >>> from skmlp import MLPRegressor
        >>> X, y = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([1.0, 3.0, 6.0, 14.0])
        >>> model = MLPRegressor((), head="gaussian", solver="lbfgs", alpha=0, random_state=0)
        >>> model.fit(X, y).predict_distribution([[0.0], [1.0]]).std().round(2)
        array([1., 4.])
        """
        return _distribution(*self._raw(X))

    @available_if(has("quantiles"))
    def predict_quantiles(self, X: Any, q: Any) -> np.ndarray:
        """Predict quantiles of the target of each sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        q : float or sequence of float
            Levels in (0, 1). A head that was fitted to quantiles has its own levels alone.

        Returns
        -------
        ndarray of shape (n_samples, levels) or (n_samples, n_outputs, levels)
            The quantiles; with a single number for `q`, without the last axis.

        Raises
        ------
        ValueError
            If a level is not in (0, 1), or the head does not have it.
        """
        return self._quantiles(X, q, "q")

    def _quantiles(self, X: Any, q: Any, name: str) -> np.ndarray:
        """Predict quantiles; errors call the levels by that name."""
        levels = checked_levels(q, name)
        check_own_levels(known_head(self), levels, f"{name}={shown(q)}")
        quantiles = self._answers(X, lambda target, raw: target.head.quantile(raw, levels))
        return without_targets_axis(quantiles if np.ndim(q) else quantiles[..., 0])

    @available_if(has("quantiles"))
    def predict_interval(self, X: Any, coverage: Any = None) -> np.ndarray:
        """Predict an interval that holds the target of a sample with some probability.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        coverage : float, default=None
            The probability, in (0, 1); the same share is left out on either side. None is 0.9, but
            for a head with quantiles of its own, `Quantile`, from its lowest level to its highest:
            then the probability is their difference, and what is left out on either side is what
            those levels say, be it the same or not.

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            The ends.

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1), or the head does not have the quantiles.
        """
        return self._quantiles(X, interval_levels(known_head(self), coverage), "coverage")


# What `predict` may be asked for instead: what the head must have, and the method that answers.
_INSTEAD = {
    "return_distribution": ("distribution", "predict_distribution"),
    "coverage": ("quantiles", "predict_interval"),
    "quantiles": ("quantiles", "predict_quantiles"),
}


def checked_levels(q: Any, name: str) -> list[float]:
    """Return levels in a list, or raise a ValueError that calls them by that name."""
    try:
        levels = np.asarray(as_levels(q))
    except (TypeError, ValueError):
        levels = np.array([])
    if not levels.size or levels.ndim > 1 or not np.all((levels > 0) & (levels < 1)):
        raise ValueError(f"{name} must be a number in (0, 1) or a list of them, got {shown(q)}.")
    return np.ravel(levels).tolist()


def interval_levels(head: Any, coverage: Any) -> list[float]:
    """Return the levels of the ends of an interval."""
    if coverage is None and isinstance(head, Quantile):
        if len(head.levels) < 2:
            raise ValueError(
                f"an interval has two ends, and {head!r} knows one quantile: fit a Quantile of "
                "two levels or more, such as Quantile([0.05, 0.95])."
            )
        return [head.levels[0], head.levels[-1]]
    tail = tail_beside(coverage)
    ends = [tail, 1 - tail]
    check_own_levels(head, ends, f"coverage={1 - 2 * tail:g}")
    return ends


def tail_beside(coverage: Any) -> float:
    """Return the share on either side of an interval; that of None is 0.05."""
    coverage = 0.9 if coverage is None else coverage
    if not (is_number(coverage) and 0 < coverage < 1):
        raise ValueError(f"coverage must be a number in (0, 1), got {shown(coverage)}.")
    return (1 - float(as_levels(coverage))) / 2


def check_own_levels(head: Any, levels: list[float], asked: str) -> None:
    """Refuse levels that a head with levels of its own does not have."""
    if isinstance(head, Quantile):
        for level in levels:
            if not np.isclose(head.levels, level, rtol=0, atol=1e-9).any():
                raise ValueError(
                    f"{asked} takes the quantile at {level:g}, but {head!r} knows its own levels "
                    "alone: ask for those, fit a Quantile with it, or a head with a distribution."
                )


def _distribution(target: Numbers, raw: np.ndarray) -> Any:
    with np.errstate(all="ignore"):
        frozen = target.head.distribution(raw)
    return for_one_target(frozen) if target.n_targets == 1 else frozen


def without_targets_axis(answers: np.ndarray) -> np.ndarray:
    """Drop the second axis where there is one target alone."""
    return answers[:, 0] if answers.shape[1] == 1 else answers
