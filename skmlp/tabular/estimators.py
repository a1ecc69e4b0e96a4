"""The two estimators for tables: a raw frame in, answers out.

    parameters  checked, once                               _checked
    columns     frame -> numbers and codes                  Columns.of
    target      y, weights, folds -> a lesson               _lesson
    model       kinds of members, blended                   fitted_model
    published   every fitted attribute, in one statement

Until that statement, and after any failure, the estimator is what it was.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..estimators.data import read_first_rows, stand_in
from ..estimators.targets import Classes, Numbers
from .columns import Columns
from .members import Hyperparameters, Lesson, folds
from .model import KINDS, Encodings, Model, fitted_model

_FEWEST_IN_FOLD = 25  # rows, or there are fewer folds


class _Asked(NamedTuple):
    """What targets ask of settings."""

    estimator: str
    head: Any
    loss: None = None


class TabularMLP(BaseEstimator):
    """What both estimators for tables share: everything but their targets and answers."""

    _kind: ClassVar[Any]
    _model: Model

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, groups: Any = None) -> Self:
        """Fit the members to a table.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Numbers, categories, truth values; missing ones are allowed.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, zero or positive; a row of weight 0 is no row.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are never on both sides of a fold, nor each other's neighbors.

        Returns
        -------
        self
            The fitted estimator.
        """
        rng = check_random_state(self.random_state)
        how, encodings = self._checked()
        columns, table = Columns.of(X, self.categorical_features)
        n = len(table.numbers)
        data, target = read_first_rows(
            stand_in(self),
            np.zeros((n, 1)),
            y,
            sample_weight,
            self._kind,
            lambda read: self._kind.of(_Asked(type(self).__name__, self.head), read),
            np.dtype(np.float64),
            reset=True,
        )
        weights = data.weights
        if getattr(self, "class_weight", None) is not None:
            weights = target.weigh(self.class_weight, data.Y, weights)
        lesson = self._lesson(target, data.Y, weights, groups, rng)
        kinds = KINDS[self._kind_of_targets]
        if self.n_neighbors is None:
            kinds = tuple(kind for kind in kinds if not kind.has_neighbors)
        model, held_out, loss = fitted_model(
            columns,
            table,
            lesson,
            kinds,
            how,
            encodings,
            () if self.n_neighbors is None else self.n_neighbors,
            groups,
            rng,
        )
        self.__dict__.update(self._published(model, target, held_out, data.Y, loss))
        return self

    def _checked(self) -> tuple[Hyperparameters, Encodings]:
        dropout = self._dropout if self.dropout == "auto" else self.dropout
        how = Hyperparameters(
            tuple(self.hidden_layer_sizes),
            float(self.learning_rate_init),
            int(self.batch_size),
            float(self.weight_decay),
            float(dropout),
            int(self.embedding_size),
            effective_n_jobs(self.n_jobs),
            bool(self.verbose),
        )
        return how, Encodings(self.n_bins, self.max_encoded, self.max_onehot)

    def _lesson(
        self,
        target: Any,
        Y: np.ndarray,
        weights: np.ndarray | None,
        groups: Any,
        rng: np.random.RandomState,
    ) -> Lesson:
        n = len(Y)
        rows = np.arange(n) if weights is None else np.flatnonzero(weights)
        n_folds = int(np.clip(len(rows) // _FEWEST_IN_FOLD, 2, self.n_folds))
        fold = folds(n_folds, target.strata(Y), rows, n, rng)
        if weights is not None:
            weights = (weights / np.mean(weights[rows])).astype(np.float32)
        return Lesson(target.head, Y.astype(np.float32), weights, fold)

    def _published(
        self, model: Model, target: Any, held_out: np.ndarray, Y: np.ndarray, loss: float
    ) -> dict[str, Any]:
        names = model.columns.names
        return {
            **target.published,
            "_model": model,
            "_target": target,
            "n_features_in_": model.columns.n_features_in_,
            **({} if names is None else {"feature_names_in_": names}),
            "oof_prediction_": self._out_of_fold(target, held_out),
            "oof_loss_": loss,
            "blend_weights_": model.blend.weights,
            "temperatures_": model.blend.temperatures,
            "best_epochs_": [part.trained.best_epoch for part in model.parts],
            "history_": [part.trained.history for part in model.parts],
            "n_members_": sum(len(part.trained.thetas) for part in model.parts),
        }

    def _raw(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return self._model.raw(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


class TabularMLPClassifier(ClassifierMixin, TabularMLP):
    """Networks for the classes of a raw table."""

    _kind = Classes
    _kind_of_targets = "classes"
    _dropout = 0.1

    def __init__(
        self,
        *,
        head: Any = "auto",
        n_neighbors: Any = (1, 5, 20),
        n_folds: int = 4,
        hidden_layer_sizes: Any = (128, 128),
        learning_rate_init: float = 0.08,
        batch_size: int = 128,
        weight_decay: float = 0.02,
        dropout: Any = "auto",
        n_bins: int = 48,
        max_encoded: int = 512,
        max_onehot: int = 12,
        embedding_size: int = 8,
        categorical_features: Any = "from_dtype",
        class_weight: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.__dict__.update((name, x) for name, x in locals().items() if name != "self")

    def _out_of_fold(self, target: Any, raw: np.ndarray) -> np.ndarray:
        return target.probabilities(raw)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of each row, or its labels."""
        raw = self._raw(X)
        return self._target.decode(raw)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class, or of each label."""
        raw = self._raw(X)
        return self._target.probabilities(raw)


class TabularMLPRegressor(RegressorMixin, TabularMLP):
    """Networks for the numbers of a raw table."""

    _kind = Numbers
    _kind_of_targets = "numbers"
    _dropout = 0.05

    def __init__(
        self,
        *,
        head: Any = "auto",
        n_neighbors: Any = (1, 5, 20),
        n_folds: int = 4,
        hidden_layer_sizes: Any = (128, 128),
        learning_rate_init: float = 0.08,
        batch_size: int = 128,
        weight_decay: float = 0.02,
        dropout: Any = "auto",
        n_bins: int = 48,
        max_encoded: int = 512,
        max_onehot: int = 12,
        embedding_size: int = 8,
        categorical_features: Any = "from_dtype",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.__dict__.update((name, x) for name, x in locals().items() if name != "self")

    def _out_of_fold(self, target: Any, raw: np.ndarray) -> np.ndarray:
        return target.head.predict(raw)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target of each row."""
        raw = self._raw(X)
        predicted = self._target.head.predict(raw)
        return predicted[:, 0] if predicted.shape[1] == 1 else predicted
