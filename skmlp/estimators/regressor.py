"""The regressor: numbers as answers, and how sure they are."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.metaestimators import available_if

from ..heads import for_one_target
from ..heads.domains import as_levels, is_number
from .availability import has, has_stochastic_solver, known_head, only_with
from .perceptron import MultilayerPerceptron, documented
from .targets import Numbers


@documented
class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """Multilayer perceptron for numbers, with scikit-learn's own numbers.

    raw = f_D(... f_1(x)), each layer f(h) = activation(h W + b), the last without activation.
    Training minimizes the mean over the n samples of a batch of the head's loss plus an L2 penalty,

        mean of w_i loss(raw_i, y_i) + alpha / (2 n) * sum of squared weights,

    by L-BFGS, Adam or stochastic gradient descent. By default the loss is half the squared
    error, summed over outputs. With the parameters that it shares with
    `sklearn.neural_network.MLPRegressor` (`head="poisson"` for its `loss="poisson"`), float64
    data and the same `random_state`, it gives the same model; docs/differences.md lists where not.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    MLPClassifier : The same network for classes and labels.

    Notes
    -----
    The solver's state is kept, and pickled, only after `partial_fit`; see `MLPClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skmlp import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> network = MLPRegressor((10,), alpha=1000, solver="lbfgs", max_iter=1000, random_state=0)
    >>> model = make_pipeline(StandardScaler(), network).fit(X, y)
    >>> model.score(X, y) > 0.5
    True
    """

    _kind = Numbers

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        head: Any = "auto",
        loss: str | None = None,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: Any = "auto",
        learning_rate: Any = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        warmup: float = 0.0,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
        max_grad_norm: float | None = None,
        averaging: float | None = None,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        restore_best: bool = False,
        scoring: Any = None,
        weight_init: Any = "auto",
        initial_output: str | None = None,
        dropout: Any = 0.0,
        input_noise: float = 0.0,
        normalization: str | None = None,
        residual: bool = False,
        dtype: Any = None,
    ) -> None:
        self._keep(locals())

    @available_if(has_stochastic_solver)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go through one batch of a stream of data, once.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, zero or positive; all zero is a step of nothing.

        Returns
        -------
        self
            The estimator, one epoch further.

        Raises
        ------
        ValueError
            If the data cannot be used; the estimator is then as it was before.
        """
        return self._stream(X, y, sample_weight)

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
        return float(r2_score(y, _without_targets_axis(predicted), sample_weight=sample_weight))

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the target of each sample.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        return_std : bool, default=False
            Whether to return standard deviations too; for heads with a distribution.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions on the scale of the target. A head with several quantiles has one more
            axis for them.
        ndarray of the same shape
            With `return_std`, the standard deviation of the target of each sample.

        Raises
        ------
        ValueError
            If `return_std` is asked of a head without a distribution.
        """
        head = known_head(self)
        if return_std and head is not None and not head.has_distribution:
            raise ValueError("return_std: " + only_with("distribution", head))

        def predicted(target: Numbers, raw: np.ndarray) -> np.ndarray:
            return _without_targets_axis(target.head.predict(raw))

        if not return_std:
            return self._answers(X, predicted)
        target, raw = self._raw(X)
        with np.errstate(all="ignore"):
            return predicted(target, raw), _distribution(target, raw).std()

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
        try:
            levels = np.ravel(as_levels(q))
        except (TypeError, ValueError):
            levels = np.array([])
        if not (len(levels) and np.all((levels > 0) & (levels < 1)) and np.ndim(q) < 2):
            raise ValueError(f"q must be a number in (0, 1) or a list of them, got {q!r}")
        quantiles = self._answers(X, lambda target, raw: target.head.quantile(raw, levels.tolist()))
        return _without_targets_axis(quantiles if np.ndim(q) else quantiles[..., 0])

    @available_if(has("quantiles"))
    def predict_interval(self, X: Any, coverage: Any = 0.9) -> np.ndarray:
        """Predict an interval that holds the target of a sample with some probability.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        coverage : float, default=0.9
            The probability, in (0, 1); the same share is left out on either side.

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            The ends.

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1), or the head does not have the quantiles.
        """
        if not (is_number(coverage) and 0 < coverage < 1):
            raise ValueError(f"coverage must be a number in (0, 1), got {coverage!r}")
        tail = (1 - float(as_levels(coverage))) / 2
        return self.predict_quantiles(X, [tail, 1 - tail])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        head = known_head(self)
        tags.target_tags.positive_only = head is not None and head.positive_only
        return tags


def _distribution(target: Numbers, raw: np.ndarray) -> Any:
    with np.errstate(all="ignore"):
        frozen = target.head.distribution(raw)
    return for_one_target(frozen) if target.n_targets == 1 else frozen


def _without_targets_axis(answers: np.ndarray) -> np.ndarray:
    """Drop the second axis where there is one target alone."""
    return answers[:, 0] if answers.shape[1] == 1 else answers
