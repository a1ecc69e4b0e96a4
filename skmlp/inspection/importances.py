"""Importances: attributions averaged over rows, for those who select columns by them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..engine.words import shown
from ..estimators.data import evenly_spaced
from ..heads.domains import is_count
from .explained import number_of_columns, number_of_rows, rows
from .explanations import integrated_gradients


def feature_importances(
    estimator: Any, X: Any, baseline: Any = "mean", target: Any = None, **options: Any
) -> np.ndarray:
    r"""Say how much each column moves an answer, over all rows.

    .. math:: I_j = \frac{1}{n} \sum_i |\phi_{ij}|

    the mean absolute attribution of `integrated_gradients`, averaged over the outputs as well.

    Parameters
    ----------
    estimator, X, baseline, target
        As for `integrated_gradients`.
    **options : dict
        `steps` and `tolerance`, as there.

    Returns
    -------
    ndarray of shape (n_features,)
        A number for each column, zero or positive, in the unit of the answer.

    Raises
    ------
    ValueError
        As for `integrated_gradients`.

    See Also
    --------
    importances_on : the same as an importance getter.
    sklearn.inspection.permutation_importance : how much worse predictions are without a column.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp import MLPRegressor
    >>> from skmlp.inspection import feature_importances
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    >>> model = MLPRegressor((), solver="lbfgs", alpha=0, random_state=0)
    >>> model = model.fit(X, 4 * X[:, 0] - 2 * X[:, 1])
    >>> feature_importances(model, X).round(2)
    array([2., 1.])
    """
    found = integrated_gradients(estimator, X, baseline, target, **options).values
    return np.mean(np.abs(found), axis=(0, *range(2, found.ndim)))


def importances_on(
    X: Any, baseline: Any = "mean", target: Any = None, **options: Any
) -> Callable[[Any], np.ndarray]:
    """Make an importance getter of rows.

    Parameters
    ----------
    X, baseline, target
        As for `integrated_gradients`.
    **options : dict
        `steps` and `tolerance`, as there.

    Returns
    -------
    callable
        Of a fitted estimator: `feature_importances` on those rows. `SelectFromModel` takes it as
        `importance_getter`. `RFE`, which fits to ever fewer columns, needs `WithImportances`: what
        a getter is given does not say which columns are left.

    Raises
    ------
    ValueError
        By the getter, if the estimator was fitted to another number of columns; as for
        `integrated_gradients`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_selection import SelectFromModel
    >>> from skmlp import MLPRegressor
    >>> from skmlp.inspection import importances_on
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> y = X[:, 1] * X[:, 3]
    >>> network = MLPRegressor((20,), "tanh", solver="lbfgs", alpha=1, max_iter=500, random_state=0)
    >>> model = SelectFromModel(network, importance_getter=importances_on(X)).fit(X, y)
    >>> model.get_support()
    array([False,  True, False,  True])
    """

    def getter(estimator: Any) -> np.ndarray:
        n_columns = number_of_columns(X)
        if getattr(estimator, "n_features_in_", n_columns) != n_columns:
            raise ValueError(
                f"importances_on was given {n_columns} columns, and the estimator was fitted to "
                f"{estimator.n_features_in_} of them, which it does not name: eliminate columns "
                "of WithImportances(estimator)."
            )
        return feature_importances(estimator, X, baseline, target, **options)

    return getter


def _estimator_has(name: str) -> Callable[[Any], bool]:
    """Make a test whether the estimator inside has a method; its own error says why not."""

    def test(self: Any) -> bool:
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return test


class WithImportances(MetaEstimatorMixin, BaseEstimator):
    """An estimator that has `feature_importances_`, of the rows that it was fitted to.

    `RFE`, `RFECV` and `SequentialFeatureSelector` fit an estimator to ever fewer columns, and tell
    nobody to which. So whoever finds importances for them must see the rows in `fit`, as this one
    does; all else it leaves to the estimator inside.

    Parameters
    ----------
    estimator : estimator
        What `feature_importances` takes, unfitted.
    baseline : {"mean", "zero"}, default="mean"
        As for `integrated_gradients`.
    target : object, default=None
        As for `input_gradients`.
    max_samples : int, default=200
        How many of the rows, evenly spaced, importances are averaged over at most.

    Attributes
    ----------
    estimator_ : estimator
        The fitted one.
    feature_importances_ : ndarray of shape (`n_features_in_`,)
        The mean absolute attributions of the columns, over those rows.
    n_features_in_ : int
        The number of columns.
    classes_ : ndarray
        The classes, where there are some.

    Raises
    ------
    ValueError
        In `fit`, if a parameter is anything else; as for `integrated_gradients`.

    References
    ----------
    Guyon, Weston, Barnhill and Vapnik, "Gene selection for cancer classification using support
    vector machines", Machine Learning 46 (2002), for the elimination.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.feature_selection import RFE
    >>> from skmlp import MLPRegressor
    >>> from skmlp.inspection import WithImportances
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> y = X[:, 1] * X[:, 3]
    >>> network = MLPRegressor((20,), "tanh", solver="lbfgs", alpha=1, max_iter=500, random_state=0)
    >>> RFE(WithImportances(network), n_features_to_select=2).fit(X, y).get_support()
    array([False,  True, False,  True])
    """

    def __init__(
        self, estimator: Any, *, baseline: Any = "mean", target: Any = None, max_samples: int = 200
    ) -> None:
        self.estimator = estimator
        self.baseline = baseline
        self.target = target
        self.max_samples = max_samples

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> Self:
        """Fit a clone of the estimator, and average its attributions.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs.
        y : array-like
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, where the estimator takes them; importances are those of rows, whatever they
            weigh.
        **fit_params : dict
            What else the estimator's `fit` takes.

        Returns
        -------
        WithImportances
            Itself.
        """
        if not is_count(self.max_samples):
            raise ValueError(
                f"max_samples must be a whole number >= 1, got {shown(self.max_samples)}."
            )
        if sample_weight is not None:
            fit_params = {"sample_weight": sample_weight, **fit_params}
        fitted = clone(self.estimator).fit(X, y, **fit_params)
        some = rows(X, evenly_spaced(np.arange(number_of_rows(X)), self.max_samples))
        self.feature_importances_ = feature_importances(fitted, some, self.baseline, self.target)
        self.estimator_ = fitted
        return self

    @property
    def n_features_in_(self) -> int:
        """The number of columns."""
        check_is_fitted(self, "estimator_")
        return int(self.estimator_.n_features_in_)

    @property
    def classes_(self) -> np.ndarray:
        """The classes."""
        return getattr(self, "estimator_", self.estimator).classes_

    @available_if(_estimator_has("predict"))
    def predict(self, X: Any, **predict_params: Any) -> Any:
        """Predict as the estimator does.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs.
        **predict_params : dict
            What else the estimator's `predict` takes.

        Returns
        -------
        ndarray
            What the estimator says.
        """
        return self._fitted.predict(X, **predict_params)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict probabilities as the estimator does.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            What the estimator says.
        """
        return self._fitted.predict_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return scores as the estimator does.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray
            What the estimator says.
        """
        return self._fitted.decision_function(X)

    @available_if(_estimator_has("score"))
    def score(self, X: Any, y: Any, **score_params: Any) -> float:
        """Score as the estimator does.

        Parameters
        ----------
        X : array-like, data frame or sparse matrix of shape (n_samples, n_features)
            Inputs.
        y : array-like
            Targets.
        **score_params : dict
            What else the estimator's `score` takes.

        Returns
        -------
        float
            What the estimator says.
        """
        return self._fitted.score(X, y, **score_params)

    @property
    def _fitted(self) -> Any:
        check_is_fitted(self, "estimator_")
        return self.estimator_

    def __sklearn_tags__(self) -> Any:
        """Tell what the estimator inside tells of itself."""
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        for name in ("estimator_type", "classifier_tags", "regressor_tags"):
            setattr(tags, name, getattr(inner, name))
        tags.input_tags, tags.target_tags = inner.input_tags, inner.target_tags
        return tags
