"""The classifier: what classes and labels mean as targets, and what its answers are.

The law: a target is encoded into columns once, for the head; an answer is made of the head's
predictions for those columns. All else is `MultilayerPerceptron`.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..heads import HEADS
from .availability import documented, has, has_scores_alone, has_stochastic_solver
from .data import check_weights, class_weights
from .perceptron import MultilayerPerceptron, unchanged_on_failure


def _can_stream(estimator: MultilayerPerceptron) -> bool:
    if isinstance(estimator.class_weight, str) and estimator.class_weight == "balanced":
        raise AttributeError(
            "partial_fit sees a part of the samples and cannot count the classes, as "
            "class_weight='balanced' asks: give a dict with a weight for each class."
        )
    return has_stochastic_solver(estimator)


def _refuse_no_classes(y: Any, kind: str) -> None:
    if kind.startswith("continuous"):
        odd = np.ravel(y)[np.ravel(y) != np.floor(np.ravel(y))]
        raise ValueError(
            f"Unknown label type: {kind}: y has {odd[0] if len(odd) else y[0]}, but classes are "
            "whole numbers, truth values or strings; MLPRegressor learns numbers."
        )
    if kind == "unknown":
        raise ValueError(
            f"Unknown label type: {kind}: y has {next(iter(np.ravel(y)))!r} among labels of other "
            "types; make all of them strings or all of them whole numbers."
        )


@documented
class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    """Multilayer perceptron for classes and labels, with scikit-learn's own numbers.

    raw = f_D(... f_1(x)), each layer f(h) = activation(h W + b), the last without activation.
    Training minimizes the mean over samples of the head's loss plus an L2 penalty,

        mean of w_i loss(raw_i, y_i) + alpha / (2 batch_size) * sum of squared weights,

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

    _kind = "classification"

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
        with unchanged_on_failure(self):
            self._fit(X, y, sample_weight, is_partial=True, classes=classes)
        return self

    def _encode(self, y: Any, *, is_first: bool, is_partial: bool, classes: Any) -> np.ndarray:
        """Turn classes into the columns that the head learns."""
        kind = type_of_target(y)
        _refuse_no_classes(y, kind)
        are_plain = kind in ("binary", "multiclass") and y.dtype.kind in "biuf"
        if not are_plain:  # else there is nothing to check
            check_classification_targets(y)
        if kind == "multiclass-multioutput":
            raise ValueError(
                "Multioutput target data with several classes is not supported: fit one "
                "classifier a column (sklearn.multioutput.MultiOutputClassifier)."
            )
        is_multilabel = kind.startswith("multilabel")
        labels = np.unique(y) if are_plain else unique_labels(y)
        if (
            classes is not None
            and not is_first
            and not np.array_equal(unique_labels(classes), self.classes_)
        ):
            raise ValueError(
                f"classes={classes!r} is not the same as on the last call to partial_fit, "
                f"was: {self.classes_!r}."
            )
        if is_first:
            if is_partial and classes is None and not is_multilabel:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self.classes_ = labels if classes is None or is_multilabel else unique_labels(classes)
            self._target = (
                "multilabel"
                if is_multilabel
                else "multiclass"
                if len(self.classes_) > 2
                else "binary"
            )
            self._labels_are_sparse = is_multilabel and not isinstance(y, np.ndarray)
            self.head_ = self._resolve_head(self._target)
        self._check_known_classes(labels, is_multilabel, is_partial)
        if is_multilabel:
            return np.asarray(y if isinstance(y, np.ndarray) else y.toarray()) != 0
        codes = np.searchsorted(self.classes_, y)
        if self.head_.is_one_hot:
            return codes[:, None] == np.arange(len(self.classes_))
        return codes[:, None] == 1

    def _check_known_classes(
        self, labels: np.ndarray, is_multilabel: bool, is_partial: bool
    ) -> None:
        if is_multilabel != (self._target == "multilabel"):
            raise ValueError(
                f"`y` has {'labels' if is_multilabel else 'classes'}, but the estimator was "
                f"fitted on a {self._target} target."
            )
        if self.warm_start and not is_partial and set(labels) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {labels}."
            )
        if not set(labels) <= set(self.classes_):
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}, "
                f"`y` has {labels}."
            )

    def _weighted(self, Y: np.ndarray, weights: np.ndarray | None) -> np.ndarray | None:
        """Multiply the weights of the rows by those of their classes."""
        if self.class_weight is None:
            return weights
        if self._target == "multilabel":
            raise ValueError(
                f"class_weight={self.class_weight!r} is for classes that exclude each other, and "
                "y has labels: give sample_weight instead."
            )
        codes = self._codes(Y)
        of_row = class_weights(self.class_weight, self.classes_, codes, weights)[codes]
        with np.errstate(over="ignore"):
            return check_weights(of_row if weights is None else of_row * weights, len(codes))

    def _strata(self, Y: np.ndarray) -> np.ndarray | None:
        return None if self._target == "multilabel" else self._codes(Y)

    def _codes(self, columns: np.ndarray) -> np.ndarray:
        """Return the class of each row (labels: 0 or 1 for each column) as a number."""
        if self._target == "multilabel":
            return (columns > 0.5).astype(int)
        if columns.shape[1] > 1:
            return np.argmax(columns, axis=1)
        return (columns[:, 0] > 0.5).astype(int)

    def _score_raw(self, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> float:
        if not np.isfinite(raw).all():
            return float("nan")
        return float(accuracy_score(self._codes(Y), self._classify(raw), sample_weight=weights))

    def _classify(self, raw: np.ndarray) -> np.ndarray:
        """Return the class of each row (labels: 0 or 1 for each column) as a number."""
        codes = self.head_.classify(raw)
        return codes[:, 0] if codes.ndim == 2 and self._target != "multilabel" else codes

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

        def classes(raw: np.ndarray) -> np.ndarray:
            codes = self._classify(raw)
            if self._target == "multilabel":
                return codes
            return self.classes_[np.minimum(codes, len(self.classes_) - 1)]

        answers = self._answers(X, classes)
        is_sparse = self._target == "multilabel" and self._labels_are_sparse
        return csr_matrix(answers) if is_sparse else answers

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

        def probabilities(raw: np.ndarray) -> np.ndarray:
            p = self.head_.predict(raw)
            if self._target == "binary" and not self.head_.is_one_hot:
                p = np.hstack([1 - p, p]) if len(self.classes_) > 1 else np.ones_like(p)
            elif self._target == "multilabel":
                p = np.minimum(p, np.nextafter(1, 0, dtype=p.dtype))
            small = p < np.finfo(p.dtype).eps  # has no digits left where it is 1 - p
            return np.where(small, positive_exp(self._logarithms(raw)), p) if small.any() else p

        return self._answers(X, probabilities)

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
        return self._answers(X, self._logarithms)

    def _logarithms(self, raw: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities."""
        log_p = self.head_.log_probability(raw)
        if self._target != "binary" or self.head_.is_one_hot:
            return log_p
        if len(self.classes_) == 1:
            return np.zeros_like(log_p)
        return np.hstack([self.head_.log_complement(raw), log_p])

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
        raw = self._layer(X, -1)
        scores = self.head_.predict(raw)
        if self._target != "binary":
            return scores
        return scores[:, -1] - scores[:, 0] if scores.shape[1] > 1 else scores[:, 0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        known = HEADS.get(self.head) if isinstance(self.head, str) else self.head
        targets = getattr(known, "targets", {"multiclass", "multilabel"})
        tags.classifier_tags.multi_class = "multiclass" in targets
        tags.classifier_tags.multi_label = "multilabel" in targets and self.class_weight is None
        return tags


def positive_exp(log_p: np.ndarray) -> np.ndarray:
    """Return exp(log_p), or a subnormal number that falls with log_p where that would be 0.

    Below the smallest normal number, the subnormal ones are shared out among all smaller log_p.
    """
    limits = np.finfo(log_p.dtype)
    least, spread = np.log(limits.tiny), np.log(limits.tiny / limits.smallest_subnormal)
    below = np.maximum(least - log_p, 0)
    p = np.exp(np.maximum(log_p, least) - spread * (below / (below - least)))
    return np.maximum(p, limits.smallest_subnormal)
