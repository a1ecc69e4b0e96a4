"""The two estimators for tables: a raw frame in, answers out.

    parameters  checked, once                               check_parameters
    columns     frame -> numbers and codes                  Columns.of
    problem     y, weights, folds: what is to be learned    _pose
    model       kinds of members, blended                   fitted
    published   every fitted attribute, in one statement    _published

Until that statement, and after any failure, the estimator is what it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import check_is_fitted

from ..estimators.answers import (
    Answers,
    ClassAnswers,
    NumberAnswers,
    tail_beside,
    without_targets_axis,
)
from ..estimators.callbacks import CallbackSupportMixin, Watcher, with_callbacks
from ..estimators.data import (
    Data,
    are_given,
    read_first_rows,
    read_rows,
    stand_in,
    warn_of_column,
)
from ..estimators.parameters import Parameters
from ..estimators.perceptron import documented, unchanged_on_failure
from ..estimators.scoring import r2
from ..estimators.stored import StoredEstimator
from ..estimators.targets import Classes, Numbers
from ..heads import Head
from .clock import Clock
from .columns import Columns, Table
from .frames import frame_of
from .members import Hyperparameters, Lesson, folds, sides
from .model import KINDS, Fitting, Kind, Model, OutOfFold, Problem, fitted
from .order import Order, order_of
from .settings import ATTRIBUTES, DESCRIPTIONS, as_tuple, check_parameters
from .stored import TABLE

_FEWEST_IN_FOLD = 25  # rows; of fewer there are fewer folds
_ROWS_OF_AMBIGUITY = 2000
_TINY = 1e-60  # targets beyond it, or one over it, are brought to a unit of their own


class _Asked(NamedTuple):
    """What targets ask of settings."""

    estimator: str
    head: Any
    loss: None = None


def _unit(Y: np.ndarray, head: Head) -> float:
    """Return 1, or a power of two where losses of targets as they are would leave float64."""
    largest = float(np.max(np.abs(Y), initial=0.0))
    if head.loss_degree is None or largest == 0 or _TINY < largest < 1 / _TINY:
        return 1.0
    return float(np.ldexp(1.0, np.frexp(largest)[1]))


def _power(unit: float, degree: float | None) -> float:
    """Return the unit of losses: infinite where float64 cannot hold it."""
    with np.errstate(all="ignore"):
        return 1.0 if degree is None else float(np.power(unit, degree))


class TabularMLP(CallbackSupportMixin, Answers, StoredEstimator, Parameters):
    """What both estimators for tables share: everything but their targets and answers."""

    _kind: ClassVar[Any]  # Classes or Numbers
    _kinds: ClassVar[str]
    _dropout: ClassVar[float]
    _model: Model
    _target: Any
    _table = TABLE
    _fitted: ClassVar[tuple[str, ...]] = (
        *("n_features_in_", "n_members_", "oof_loss_", "blend_weights_", "temperatures_"),
        *("best_epochs_", "history_", "head_", "_model", "_target"),
        *("oof_score_", "oof_prediction_"),
    )

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> Self:
        """Fit the members to a table.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Numbers, categories, truth values; missing ones are allowed.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: class labels, a 0/1 matrix of labels, or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, zero or positive; a row of weight 0 is no row.
        groups : array-like of shape (n_samples,), default=None
            Rows of one group are never on both sides of a fold, nor each other's neighbors.
        X_val : frame or array-like of shape (n_val, n_features), default=None
            Rows to judge members by. Without them each member is judged by the fold that it leaves
            out; with them all members learn from all rows of X.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; the estimator is then as it was before.
        RuntimeError
            If a process of `n_jobs` ends before the first kind of members has one epoch; after that
            what has been trained answers, with a warning.
        KeyboardInterrupt
            If it comes before the first kind of members has one epoch; after that what has been
            trained answers, with a warning.
        """
        check_parameters(self)
        with unchanged_on_failure(self):
            watcher = Watcher.of(self, None, X, y, sample_weight)
            if watcher is not None:
                watcher.start()
            seeds = check_random_state(self.random_state)
            problem, target = self._pose(X, y, sample_weight, groups, (X_val, y_val), seeds)
            clock = Clock(watcher, self.time_limit)
            published = partial(self._published, problem, target)
            kinds = self._asked_kinds()
            with closing(problem.holder(kinds)) as holder:
                fitting = Fitting(problem, seeds, clock, holder, published)
                attributes = published(*fitted(fitting, kinds, clock))
            others = {name: x for name, x in vars(self).items() if name != "feature_names_in_"}
            self.__dict__ = others | attributes
            if watcher is not None:
                watcher.finish()
        return self

    def __getattr__(self, name: str) -> Any:
        """Say why there is no `partial_fit`."""
        if name == "partial_fit":
            raise AttributeError(
                f"{type(self).__name__} has no partial_fit, since folds, bins and neighbors need "
                "all rows at once: call fit with the old rows and the new ones, or stream into "
                f"{'MLPClassifier' if self._kinds == 'classes' else 'MLPRegressor'}."
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    # -- the problem -------------------------------------------------------------------------------

    def _pose(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        groups: Any,
        validation: tuple[Any, Any],
        seeds: np.random.RandomState,
    ) -> tuple[Problem, Any]:
        """Check all there is to check, and say what is learned from which rows."""
        frame = frame_of(X)
        data, target = self._weighed(frame.shape[0], y, sample_weight)
        rows, n = data.rows, len(data.Y)
        groups = self._checked_groups(groups, rows, n)
        if groups is not None and are_given(*validation):
            raise ValueError(
                "groups says how folds are made, and there are none where X_val and y_val are "
                "given: leave out one of both."
            )
        columns, table = Columns.of(frame, self.categorical_features, self.dates, data.weights)
        known = [data.Y, *(x for x in (data.weights, groups) if x is not None)]
        order = order_of(table, known, rows, int(seeds.randint(1 << 31)))
        table, groups = order.of(table), None if groups is None else groups[order.rows]
        unit = _unit(data.Y[rows], target.head)
        Y, weights = data.Y[order.rows] / unit, data.normalized_weights(rows)[0]
        weights = None if weights is None else weights[order.rows].astype(np.float32)
        if are_given(*validation):
            table, lesson, origin = self._with_validation(
                columns, order, target, table, Y, weights, validation, unit
            )
            origin = np.concatenate([order.rows, n + origin])
        else:
            lesson, origin = self._by_folds(target, Y, weights, groups, seeds), order.rows
        return Problem(
            columns,
            order,
            table,
            lesson,
            groups,
            self._hyperparameters(),
            {x: int(getattr(self, x)) for x in ("n_bins", "max_encoded", "max_onehot")},
            () if self.n_neighbors is None else as_tuple(self.n_neighbors),
            self.n_trees,
            origin,
            n + len(origin) - len(order.rows),
            unit,
        ), target

    def _weighed(self, n: int, y: Any, sample_weight: Any) -> tuple[Data, Any]:
        """Read the targets of n rows and what these weigh."""
        asked = _Asked(type(self).__name__, self.head)
        data, target = read_first_rows(
            stand_in(self),
            np.zeros((n, 1)),
            y,
            sample_weight,
            self._kind,
            partial(self._kind.of, asked),
            np.dtype(np.float64),
            reset=True,
        )
        warn_of_column(y, data)
        if getattr(self, "class_weight", None) is not None:
            data = data.weighed(target, self.class_weight)
        data.check_rows()
        if len(data.rows) < 2:
            raise ValueError(
                f"{type(self).__name__} learns from some rows and is judged by others, so that it "
                f"needs 2 samples, but it was given 1 sample{'' if n == 1 else ' of weight > 0'}."
            )
        return data, target

    def _by_folds(
        self,
        target: Any,
        Y: np.ndarray,
        weights: np.ndarray | None,
        groups: np.ndarray | None,
        seeds: np.random.RandomState,
    ) -> Lesson:
        """Deal the rows out to folds, fewer where rows or groups are few."""
        n_folds = int(np.clip(len(Y) // _FEWEST_IN_FOLD, 2, self.n_folds))
        n_folds = n_folds if groups is None else min(n_folds, len(np.unique(groups)))
        fold = folds(n_folds, len(Y), target.strata(Y), groups, seeds)
        return Lesson.of(target.head, Y, weights, *sides(fold))

    def _with_validation(
        self,
        columns: Columns,
        order: Order,
        target: Any,
        table: Table,
        Y: np.ndarray,
        weights: np.ndarray | None,
        validation: tuple[Any, Any],
        unit: float,
    ) -> tuple[Table, Lesson, np.ndarray]:
        """Put rows to validate on behind the others, in an order of their own, which is returned.

        All members are judged by them.
        """
        X_val, y_val = validation
        further = columns.read(X_val, name=type(self).__name__)
        n, m = len(Y), len(further.numbers)
        names = stand_in(self)
        names.n_features_in_ = 1
        data = read_rows(names, np.zeros((m, 1)), y_val, None, target, np.dtype(np.float64))
        of_rows = order_of(further, [data.Y], np.arange(m), 0).rows
        further = order.of_columns(further.rows(of_rows))
        table = Table(*(np.concatenate(pair) for pair in zip(table, further, strict=True)))
        Y = np.concatenate([Y, data.Y[of_rows] / unit])
        if weights is not None:
            weights = np.concatenate([weights, np.ones(m, np.float32)])
        learned, held_out = [np.arange(n)] * self.n_folds, [np.arange(n, n + m)] * self.n_folds
        return table, Lesson.of(target.head, Y, weights, learned, held_out), of_rows

    @staticmethod
    def _checked_groups(groups: Any, rows: np.ndarray, n: int) -> np.ndarray | None:
        if groups is None:
            return None
        given = column_or_1d(groups)
        groups = np.unique(given, return_inverse=True)[1].reshape(-1)
        if len(groups) != n:
            raise ValueError(f"groups has {len(groups)} entries, but X has {n} rows.")
        if len(np.unique(groups[rows])) < 2:
            raise ValueError(
                f"groups has a single group, {given[rows[0]]!s}, but members are judged by groups "
                "that they have not seen: give two groups or more, or groups=None."
            )
        return groups

    def _hyperparameters(self) -> Hyperparameters:
        return Hyperparameters(
            as_tuple(self.hidden_layer_sizes),
            float(self.learning_rate_init),
            int(self.batch_size),
            float(self.weight_decay),
            self._dropout if isinstance(self.dropout, str) else float(self.dropout),
            int(self.embedding_size),
            self.n_jobs if (self.n_jobs or 0) > 0 else effective_n_jobs(self.n_jobs),
            bool(self.verbose),
        )

    def _asked_kinds(self) -> list[Kind]:
        is_compact = self.n_neighbors is None
        kinds = list(KINDS[f"compact {self._kinds}" if is_compact else self._kinds])
        if getattr(self, "target_transform", None) is None:
            kinds = [kind._replace(may_log=False) for kind in kinds]
        if self.max_epochs != "auto":
            kinds = [
                kind._replace(epochs=int(self.max_epochs), steps=(0, np.inf)) for kind in kinds
            ]
        return kinds

    # -- what is published -------------------------------------------------------------------------

    def _published(
        self, problem: Problem, target: Any, model: Model, judged: OutOfFold
    ) -> dict[str, Any]:
        """Return every fitted attribute."""
        answering = replace(target, head=model.answering)
        names, parts = model.columns.names, model.parts
        return {
            **target.published,
            **({} if names is None else {"feature_names_in_": names}),
            "n_features_in_": model.columns.n_features_in_,
            "n_members_": sum(len(part.trained.thetas) for part in parts),
            "oof_loss_": judged.loss * _power(problem.unit, model.head.loss_degree),
            "blend_weights_": np.array(model.blend.weights),
            "temperatures_": np.array(model.blend.temperatures),
            "best_epochs_": [part.trained.best_epoch for part in parts],
            "history_": [part.trained.history for part in parts],
            "_model": model,
            "_target": answering,
            **self._out_of_fold(problem, model, replace(target, head=judged.head), judged),
        }

    def _out_of_fold(
        self, problem: Problem, model: Model, target: Any, judged: OutOfFold
    ) -> dict[str, Any]:
        raise NotImplementedError

    def _raw(self, X: Any) -> tuple[Any, np.ndarray]:
        check_is_fitted(self)
        seen = vars(self).copy()  # at one moment, whatever another thread publishes
        model: Model = seen["_model"]
        return seen["_target"], model.raw(model.columns.read(X, name=type(self).__name__))

    def _answered(
        self, X: Any, answer: Callable[[Any, np.ndarray], np.ndarray]
    ) -> tuple[Any, np.ndarray]:
        target, raw = self._raw(X)
        with np.errstate(all="ignore"):
            return target, answer(target, raw)

    def _check_whole(self) -> None:
        """Refuse a model, or what its answers mean, that is something else."""
        super()._check_whole()
        if "_model" not in vars(self):
            return
        if not (type(self._model) is Model and type(self._target) is self._kind):
            self._refuse("its model is something else")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags


# == classes =======================================================================================


@partial(documented, descriptions=DESCRIPTIONS, attributes=ATTRIBUTES)
class TabularMLPClassifier(ClassAnswers, ClassifierMixin, TabularMLP):
    """Networks for the classes, or labels, of a raw table: no preprocessing, no tuning.

    Two kinds of networks, `n_folds` of each; every one leaves out a fold of the rows, which judge
    it. The second kind is also shown what the nearest training rows, a forest and boosted trees
    say. Probabilities are calibrated on the rows that were left out (Guo et al., ICML 2017). What
    is done in which order, and why, is in the user guide, `docs/tables.md`.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}
    classes_ : ndarray of shape (n_classes,) or list of them
        The classes; of labels, those of each column.

    Notes
    -----
    The model keeps encoded training rows, for their nearest neighbors; with `n_neighbors=None` it
    keeps none.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted
    trees on tabular data", NeurIPS 2024, arXiv:2407.04491. Gorishniy, Rubachev and Babenko, "On
    embeddings for numerical features in tabular deep learning", NeurIPS 2022, arXiv:2203.05556.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skmlp.tabular import TabularMLPClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> model = TabularMLPClassifier(max_epochs=6, random_state=0).fit(X, y)
    >>> model.oof_score_ > 0.9, model.predict_proba(X[:2]).shape
    (True, (2, 3))
    """

    _fitted: ClassVar[tuple[str, ...]] = (*TabularMLP._fitted, "classes_")
    _kind = Classes
    _kinds = "classes"
    _dropout = 0.1

    def __init__(
        self,
        *,
        head: Any = "auto",
        n_neighbors: Any = (1, 5, 20),
        n_trees: int | None = 100,
        n_folds: int = 4,
        hidden_layer_sizes: Any = (128, 128),
        max_epochs: Any = "auto",
        learning_rate_init: float = 0.08,
        batch_size: int = 128,
        weight_decay: float = 0.02,
        dropout: Any = "auto",
        n_bins: int = 48,
        max_encoded: int = 512,
        max_onehot: int = 12,
        embedding_size: int = 8,
        categorical_features: Any = "from_dtype",
        dates: str = "refuse",
        class_weight: Any = None,
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool | int = False,
    ) -> None:
        self._keep(locals())

    def _out_of_fold(
        self,
        problem: Problem,
        model: Model,  # noqa: ARG002
        target: Classes,
        judged: OutOfFold,
    ) -> dict[str, Any]:
        Y, weights = problem.lesson.of_rows(judged.rows)
        truth = target.codes(Y)
        score = accuracy_score(truth, target.classify(judged.raw), sample_weight=weights)
        answer = target.probabilities if target.head.has_probabilities else target.scores
        with np.errstate(all="ignore"):
            answers = problem.as_given(answer(judged.raw), judged.rows)
        return {"oof_score_": float(score), "oof_prediction_": answers}


# == numbers =======================================================================================


@partial(documented, descriptions=DESCRIPTIONS, attributes=ATTRIBUTES)
class TabularMLPRegressor(NumberAnswers, RegressorMixin, TabularMLP):
    """Networks for the numbers of a raw table: no preprocessing, no tuning.

    Two kinds of networks, `n_folds` of each; every one leaves out a fold of the rows, which judge
    it. The second kind is also shown what the nearest training rows and a forest of trees say, and
    learns the logarithm of a target with a long tail. What is done in which order, and why, is in
    the user guide, `docs/tables.md`.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    The model keeps encoded training rows, for their nearest neighbors; with `n_neighbors=None` it
    keeps none.

    References
    ----------
    Holzmueller, Grinsztajn and Steinwart, "Better by default: strong pre-tuned MLPs and boosted
    trees on tabular data", NeurIPS 2024, arXiv:2407.04491. Gorishniy, Rubachev and Babenko, "On
    embeddings for numerical features in tabular deep learning", NeurIPS 2022, arXiv:2203.05556.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skmlp.tabular import TabularMLPRegressor
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = TabularMLPRegressor(max_epochs=6, random_state=0).fit(X, y)
    >>> model.oof_score_ > 0.4, model.predict(X[:2], coverage=0.9).shape
    (True, (2, 2))
    """

    _fitted: ClassVar[tuple[str, ...]] = (*TabularMLP._fitted, "_residuals")
    _kind = Numbers
    _kinds = "numbers"
    _dropout = 0.05

    def __init__(
        self,
        *,
        head: Any = "auto",
        n_neighbors: Any = (1, 5, 20),
        n_trees: int | None = 100,
        n_folds: int = 4,
        hidden_layer_sizes: Any = (128, 128),
        max_epochs: Any = "auto",
        learning_rate_init: float = 0.08,
        batch_size: int = 128,
        weight_decay: float = 0.02,
        dropout: Any = "auto",
        n_bins: int = 48,
        max_encoded: int = 512,
        max_onehot: int = 12,
        embedding_size: int = 8,
        categorical_features: Any = "from_dtype",
        dates: str = "refuse",
        target_transform: Any = "auto",
        time_limit: float | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: bool | int = False,
    ) -> None:
        self._keep(locals())

    def _out_of_fold(
        self, problem: Problem, model: Model, target: Numbers, judged: OutOfFold
    ) -> dict[str, Any]:
        Y, weights = problem.lesson.of_rows(judged.rows)
        with np.errstate(all="ignore"):
            center = target.head.center(judged.raw)
            answers = without_targets_axis(target.head.predict(judged.raw))
        return {
            "oof_score_": r2(Y, center, weights),
            "oof_prediction_": problem.as_given(answers * problem.unit, judged.rows),
            "_residuals": self._sized(problem, model, np.sort(Y - center, axis=0)) * problem.unit,
        }

    @staticmethod
    def _sized(problem: Problem, model: Model, residuals: np.ndarray) -> np.ndarray:
        """Bring residuals of single members to the size of those of their mean.

        The mean squared error of members is that of their mean and the variance among them (Krogh
        and Vedelsby, "Neural network ensembles, cross validation, and active learning", NeurIPS
        1994).
        """
        if not problem.lesson.are_apart:
            return residuals  # of the mean already
        some = problem.table.rows(slice(_ROWS_OF_AMBIGUITY))
        with np.errstate(all="ignore"):
            share = model.ambiguity(some) / np.mean(np.square(residuals), axis=0)
        return residuals * np.sqrt(1 - np.clip(np.nan_to_num(share), 0, 0.5))

    def predict_interval(self, X: Any, coverage: Any = None) -> np.ndarray:
        """Predict an interval that holds the target of a row with some probability.

        Of the head's distribution or quantiles, where it has some. Else it is conformal: the
        prediction plus quantiles of the residuals of all rows out of fold, at the rank that covers
        a new row of the same distribution with this probability (Vovk, Gammerman and Shafer,
        "Algorithmic learning in a random world", 2005; Barber et al., "Predictive inference with
        the jackknife+", Annals of Statistics 49, 2021), times the factor by which the mean of the
        members is better than one of them: those residuals are of single members. It is as wide
        for every row.

        Parameters
        ----------
        X : frame or array-like of shape (n_samples, n_features)
            Rows.
        coverage : float, default=None
            The probability, in (0, 1); None is 0.9, or what the levels of a `Quantile` span.

        Returns
        -------
        ndarray of shape (n_samples, 2) or (n_samples, n_outputs, 2)
            The ends.

        Raises
        ------
        ValueError
            If `coverage` is not in (0, 1), or there were too few rows for it.
        """
        check_is_fitted(self)
        if self.head_.has_quantiles:
            return super().predict_interval(X, coverage)
        tail = tail_beside(coverage)
        target, raw = self._raw(X)
        ends = around(self._residuals, tail)
        return without_targets_axis(target.head.center(raw)[..., None] + ends)


def around(residuals: np.ndarray, tail: float) -> np.ndarray:
    """Return which of sorted residuals (n, n_targets) leave a tail on either side, (n_targets, 2).

    With n of them a new one is below the k-th smallest with probability k / (n + 1).
    """
    n = len(residuals)
    k = math.floor((n + 1) * tail)
    if k < 1:
        raise ValueError(
            f"coverage={1 - 2 * tail:g} takes {math.ceil(1 / tail) - 1} rows or more to be judged "
            f"by, and there were {n}: ask for less, or fit to more rows."
        )
    return np.stack([residuals[k - 1], residuals[n - k]], axis=-1)
