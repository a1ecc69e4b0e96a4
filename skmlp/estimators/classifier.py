"""The classifier: what classes and labels are answered with."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if

from ..heads import HEADS
from .answers import ClassAnswers
from .availability import has_stochastic_solver
from .perceptron import MultilayerPerceptron, documented
from .targets import Classes


def _can_stream(estimator: MLPClassifier) -> bool:
    if isinstance(estimator.class_weight, str) and estimator.class_weight == "balanced":
        raise AttributeError(
            "partial_fit sees a part of the samples and cannot count the classes, as "
            "class_weight='balanced' asks: give a dict with a weight for each class."
        )
    return has_stochastic_solver(estimator)


@documented
class MLPClassifier(ClassAnswers, ClassifierMixin, MultilayerPerceptron):
    """Multilayer perceptron for classes and labels, with scikit-learn's own numbers.

    raw = f_D(... f_1(x)), each layer f(h) = activation(h W + b), the last without activation.
    Training minimizes the mean over the n samples of a batch of the head's loss plus an L2 penalty,

        mean of w_i loss(raw_i, y_i) + alpha / (2 n) * sum of squared weights,

    by L-BFGS, Adam or stochastic gradient descent. By default the loss is the log loss, of a
    logistic output for two classes and for labels, of a softmax output for several classes.
    With the parameters that it shares with `sklearn.neural_network.MLPClassifier`, float64 data
    and the same `random_state`, it gives the same model; docs/differences.md lists where not.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; for labels their numbers.
    {attributes}

    See Also
    --------
    MLPRegressor : The same network for numbers.

    Notes
    -----
    The solver's state (two numbers for each parameter with Adam, one with SGD) is kept, and
    pickled, only after `partial_fit`, so that a stream goes on where it was. `fit` ends training:
    a `partial_fit` after it starts a new solver.

    References
    ----------
    Hinton, "Connectionist learning procedures", Artificial Intelligence 40 (1989). Glorot and
    Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS
    2010. Kingma and Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_moons
    >>> from skmlp import MLPClassifier
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> def mish(z):
    ...     return z * np.tanh(np.logaddexp(0, z))
    >>> model = MLPClassifier((16, 16), activation=mish, solver="lbfgs", random_state=0)
    >>> float(model.fit(X, y).score(X, y))
    1.0
    """

    _fitted: ClassVar[tuple[str, ...]] = (*MultilayerPerceptron._fitted, "classes_")
    _kind = Classes
    classes_: np.ndarray

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        head: Any = "auto",
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
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        dtype: Any = None,
    ) -> None:
        self._keep(locals())

    @available_if(_can_stream)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go through one batch of a stream of data, once.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes, or a 0/1 matrix of labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, zero or positive; all zero is a step of nothing.
        classes : array-like of shape (n_classes,), default=None
            All classes that the stream will have; needed in the first call, except for labels.

        Returns
        -------
        self
            The estimator, one epoch further.

        Raises
        ------
        ValueError
            If the data cannot be used; the estimator is then as it was before.
        """
        return self._stream(X, y, sample_weight, classes)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        known = HEADS.get(self.head) if isinstance(self.head, str) else self.head
        targets = getattr(known, "targets", {"multiclass", "multilabel"})
        tags.classifier_tags.multi_class = "multiclass" in targets
        tags.classifier_tags.multi_label = "multilabel" in targets and self.class_weight is None
        return tags
