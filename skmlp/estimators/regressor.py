"""The regressor: numbers as answers, and how sure they are."""

from __future__ import annotations

from typing import Any, Self

from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if

from .answers import NumberAnswers
from .availability import has_stochastic_solver, known_head
from .perceptron import MultilayerPerceptron, documented
from .targets import Numbers


@documented
class MLPRegressor(NumberAnswers, RegressorMixin, MultilayerPerceptron):
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        head = known_head(self)
        tags.target_tags.positive_only = head is not None and head.positive_only
        return tags
