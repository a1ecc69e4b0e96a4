"""What both estimators share: one fit, walked.

The law: check the parameters, the data and the target; build network and head; train; publish every
fitted attribute at once. A fit that fails leaves the estimator as it was. A subclass knows its
targets: `_kind`, `_encode` (targets to columns), `_weighted` (weights of the rows, with those of
their classes), `_strata` (the class of a row, for the validation split) and `_score_raw` (how good
raw outputs are).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..engine import running
from ..heads import AUTOMATIC, HEADS, Head
from ..network.network import Network
from ..training.checkpoints import Saved, read_checkpoint
from ..training.loops import Outcome
from ..training.objective import OutputScale, loss_graph
from ..training.solvers import SOLVERS
from ..training.state import State
from .callbacks import CallbackSupportMixin, Watcher, with_callbacks
from .data import Data, check_inputs, check_weights, identity_of, within
from .fitting import Plan, train
from .prediction import FittedNetwork, published_parameters
from .scoring import ValidationSplit, find_scorer
from .settings import (
    SOLVER_PARAMETERS,
    check_parameters,
    hidden_layers,
    noise_in_training,
    output_activation,
)

ATTRIBUTES = """coefs_ : list of ndarray of shape (inputs, outputs)
        The weight matrix of each layer. Predictions read `coefs_` and `intercepts_`; no later
        fit changes these arrays.
    intercepts_ : list of ndarray of shape (outputs,)
        The bias of each layer.
    activation_parameters_ : list of ndarray of shape (arguments, units), or None
        What the activation of each hidden layer has learned, a row for each `Learned` argument;
        None where it learns nothing.
    normalization_parameters_ : list of ndarray of shape (2, units), or None
        Gain (first row) and shift of each hidden layer; None without `normalization`.
    normalization_statistics_ : list of ndarray of shape (2, units), or None
        Running mean (first row) and variance of the pre-activations of each hidden layer, which
        predictions are normalized by; None where normalization is not "batch".
    head_ : Head
        The head that was used.
    loss_ : float
        The objective in the last epoch.
    best_loss_ : float or None
        The smallest objective of an epoch; None with early stopping.
    loss_curve_ : list of float
        The objective of every epoch, those of earlier calls of `partial_fit` or of warm-started
        fits first.
    history_ : dict of str to list of float
        What is known of every epoch of the last fit, for `pandas.DataFrame(history_)`: its
        objective, "loss", penalty included; with validation or `scoring` the "score" on training
        samples; with validation the "validation_loss", without penalty, and the
        "validation_score"; for stochastic solvers the "learning_rate". Of a stream, every call.
    best_iter_ : int
        The best epoch of `history_`, counted from 1: of the largest validation score, where there
        is validation, or else of the smallest objective.
    validation_scores_ : list of float or None
        The validation score of every epoch, where there is validation.
    best_validation_score_ : float or None
        The largest validation score.
    n_iter_ : int
        The number of epochs (iterations of lbfgs) of the last fit.
    t_ : int
        The number of training samples seen by stochastic solvers.
    n_features_in_ : int
        The number of inputs.
    feature_names_in_ : ndarray of str
        The names of the inputs, where X has string column names.
    n_layers_ : int
        The number of layers, inputs and outputs included.
    n_outputs_ : int
        The number of raw outputs.
    out_activation_ : str
        The name of the output activation."""


@contextmanager
def unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """Put an estimator back to what it was if anything is raised."""
    before = estimator.__dict__.copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


class MultilayerPerceptron(CallbackSupportMixin, FittedNetwork):
    """What classifier and regressor share: everything but their targets and answers.

    Parameters
    ----------
    hidden_layer_sizes, activation, ...
        As `skmlp.estimators.settings.DESCRIPTIONS` says.
    """

    _kind: ClassVar[str]
    _target: str  # the kind of target, in the words of Head.targets
    _state: State  # where training stands; with the solver, where partial_fit goes on with it
    _units: OutputScale | None  # of the training that began with initial_output="data"
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.head = head
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.warmup = warmup
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.weight_decay = weight_decay
        self.max_grad_norm = max_grad_norm
        self.averaging = averaging
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.restore_best = restore_best
        self.scoring = scoring
        self.weight_init = weight_init
        self.initial_output = initial_output
        self.dropout = dropout
        self.input_noise = input_noise
        self.normalization = normalization
        self.residual = residual
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.dtype = dtype

    # -- fitting -----------------------------------------------------------------------------------

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the network to data.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Inputs; float32 and float64 are used as they are, other numbers become float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: class labels, a 0/1 matrix of labels, or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, zero or positive; a weight of 2 counts as two rows, one of 0 as none.
        X_val : array-like or sparse matrix of shape (n_val, n_features), default=None
            Inputs to validate on after every epoch. None is set aside from X then. In a `Pipeline`,
            `transform_input=["X_val"]` has them transformed as X is.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the data cannot be used; the estimator is then as it was before. If
            training diverges: where the loss of some epoch was below the first one's, the best
            parameters so far are in the estimator, which can be used, else it is as it was before.
        KeyboardInterrupt
            If it comes before one epoch is complete; after that the last complete epoch is kept,
            with a warning.
        Exception
            Whatever a callback or a scorer raises; the estimator is then as it was before.

        Warns
        -----
        ConvergenceWarning
            If training ended before it converged, with the cause and what to change.
        RuntimeWarning
            If the loss, a gradient or the parameters were no longer finite. The step is then not
            taken: training goes back to the best parameters so far with a new solver and half the
            rate, 5 times at most.
        """
        given = (X_val, y_val, sample_weight_val)
        return self._fit_watched(X, y, sample_weight, given)

    @with_callbacks
    def resume(
        self,
        path: Any,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Go on with the fit whose state a `skmlp.callbacks.Checkpoint` saved in a file.

        With a stochastic solver the result is, bit for bit, that of the fit that was not
        interrupted. `max_iter` may be larger than before; callbacks begin anew.

        Parameters
        ----------
        path : str or path
            The file.
        X, y, sample_weight, X_val, y_val, sample_weight_val
            What `fit` was given.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is no checkpoint, or damaged, or of a fit with other data or parameters, which
            are named; and as `fit`.
        """
        given = (X_val, y_val, sample_weight_val)
        return self._fit_watched(X, y, sample_weight, given, read_checkpoint(path))

    def _fit_watched(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given: tuple[Any, Any, Any],
        saved: Saved | None = None,
    ) -> Self:
        """Fit, tell the callbacks of it, and say how it ended."""
        watcher = Watcher.of(self, X, y, sample_weight)
        with unchanged_on_failure(self):
            if watcher is not None:
                watcher.start()
            outcome = self._fit(
                X, y, sample_weight, given, is_partial=False, watcher=watcher, saved=saved
            )
            if watcher is not None:
                watcher.finish()
            if outcome.kind in ("unconverged", "interrupted"):
                category = UserWarning if outcome.kind == "interrupted" else ConvergenceWarning
                warnings.warn(str(outcome.problem), category, stacklevel=4)
        if outcome.kind == "diverged":
            raise ValueError(outcome.problem)
        return self

    def _plan(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given: tuple[Any, Any, Any],
        *,
        is_first: bool,
        is_partial: bool,
        classes: Any,
    ) -> Plan:
        """Check all there is to check and trace the network; nothing random is drawn yet."""
        check_parameters(self)
        scoring = self.scoring
        if scoring is not None and scoring != "loss":
            scoring = find_scorer(scoring)
        hidden_units, activations = hidden_layers(self)
        noise = noise_in_training(self, len(hidden_units))
        if is_partial and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        data = self._check_data(
            X, y, sample_weight, is_first=is_first, is_partial=is_partial, classes=classes
        )
        data.weights = self._weighted(data.Y, data.weights)
        if not is_first:
            self._check_same_head()
        if not len(data.rows) and not is_partial:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        self._check_batches(len(data.rows))
        self._n_targets = data.Y.shape[1]
        validation = self._check_validation(*given, data.Y.dtype)
        layer_units = (data.X.shape[1], *hidden_units, self.head_.n_raw(self._n_targets))
        network = Network(
            layer_units,
            activations,
            self.head_.n_constant(self._n_targets),
            self.normalization,
            bool(self.residual),
        )
        split = None
        if self.early_stopping and validation is None:
            split = ValidationSplit(data.rows, self._strata(data.Y), self.validation_fraction)
        graph = loss_graph(
            network,
            self.head_,
            self._n_targets,
            is_weighted=data.weights is not None,
            is_sparse=data.is_sparse,
            has_scale=(self.initial_output == "data" if is_first else self._units is not None),
            label_smoothing=self.label_smoothing,
            noise=noise,
        )
        return Plan(data, graph, split, validation, scoring)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        given: tuple[Any, Any, Any] = (None, None, None),
        *,
        is_partial: bool,
        classes: Any = None,
        watcher: Watcher | None = None,
        saved: Saved | None = None,
    ) -> Outcome:
        is_first = (
            saved is not None or not hasattr(self, "coefs_") or not (self.warm_start or is_partial)
        )
        plan = self._plan(
            X, y, sample_weight, given, is_first=is_first, is_partial=is_partial, classes=classes
        )
        if saved is not None:
            rng, (theta, state) = saved.generator(), self._resumed(plan, saved)
        else:
            rng = check_random_state(self.random_state)
            theta, state = self._start(plan, rng, is_first=is_first, is_partial=is_partial)
        outcome = Outcome()
        if len(plan.data.rows):
            with running():  # a fit that diverges is told by its loss
                if saved is None:
                    state = self._split_and_measure(plan, theta, rng, state, is_first=is_first)
                outcome, state = train(
                    self,
                    plan,
                    theta,
                    rng,
                    state,
                    watcher,
                    is_first=is_first and saved is None,
                    is_partial=is_partial,
                )
        fitted = self._fitted(plan.graph.network, theta, state)
        state = state.as_stream() if is_partial else State(state.progress)
        self.__dict__.update(fitted | {"_state": state})
        return outcome

    def _start(
        self, plan: Plan, rng: np.random.RandomState, *, is_first: bool, is_partial: bool
    ) -> tuple[np.ndarray, State]:
        """Return parameters and a state to start from: a stream goes on, a fit starts anew."""
        network, data = plan.graph.network, plan.data
        settings = tuple(getattr(self, name) for name in SOLVER_PARAMETERS)
        if is_first:
            self._units = None
            theta = network.initial_theta(
                rng,
                data.Y.dtype,
                weight_init=self.weight_init,
                activation=output_activation(self),
                X=data.X,
                rows=data.rows,
            )
            return theta, State(settings=settings)
        theta, state = self._current_theta(network, data.Y.dtype), self._state
        if not is_partial or state.solver is None or state.settings != settings:
            state = state.restarted(self.loss_curve_, self.validation_scores_)
            return theta, replace(state, settings=settings)
        if state.raw is not None and state.average is not None:
            # Who edits coefs_ edits the model; who does not goes on behind their average.
            is_edited = not np.allclose(theta, state.average.values)
            theta = theta if is_edited else state.raw.copy()
            state = replace(state, average=None) if is_edited else state
        return theta, state

    def _resumed(self, plan: Plan, saved: Saved) -> tuple[np.ndarray, State]:
        """Return the parameters and the state of a checkpoint, if it is of this very fit."""
        identity = identity_of(self, plan.data, plan.validation)
        for name in {**saved.identity, **identity}:
            was, is_now = saved.identity.get(name), identity.get(name)
            if was != is_now:
                raise ValueError(
                    f"The checkpoint {saved.path!r} is of another fit: {name} was {was}, and is "
                    f"{is_now} now; give what it was begun with, or begin with fit."
                )
        network = plan.graph.network
        last = saved.arrays["marks.last"]
        make, weights = SOLVERS.get(self.solver), network.penalized
        state = saved.state(None if make is None else lambda: make(last, weights, self))
        self._units = state.units
        return last.copy(), state

    def _split_and_measure(
        self,
        plan: Plan,
        theta: np.ndarray,
        rng: np.random.RandomState,
        state: State,
        *,
        is_first: bool,
    ) -> State:
        """Draw the validation rows and measure the units, where a fit has any."""
        train, held_out = (plan.data.rows, None) if plan.split is None else plan.split.draw(rng)
        if is_first and self.initial_output == "data":
            weights = plan.data.normalized_weights(train)[0]
            shares = None if weights is None else weights[train]
            targets = self.head_.smoothed(plan.data.Y[train], self.label_smoothing)
            self._units = OutputScale.of(self.head_, targets, shares)
            plan.graph.network.last_layer(theta)[1][...] = 0
        return replace(state, train=train, held_out=held_out, units=self._units)

    # -- checking ----------------------------------------------------------------------------------

    def _check_data(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        *,
        is_first: bool,
        is_partial: bool = False,
        classes: Any = None,
        precision: np.dtype[Any] | None = None,
    ) -> Data:
        X, y = check_inputs(
            self,
            X,
            y=y,
            multi_output=True,
            y_numeric=self._kind == "regression",
            reset=is_first,
        )
        precision = precision or self._precision(X, is_first)
        X = within(X, precision, "X")
        weights = check_weights(sample_weight, X.shape[0])
        Y = self._encode(y, is_first=is_first, is_partial=is_partial, classes=classes)
        return Data(X, within(Y, precision, "y").astype(precision, copy=False), weights, y)

    def _check_validation(
        self, X: Any, y: Any, sample_weight: Any, precision: np.dtype[Any]
    ) -> Data | None:
        """Check the rows that were given to validate on, if any, as `_check_data` does."""
        if X is None or y is None:
            missing, there = ("X_val", "y_val") if X is None else ("y_val", "X_val")
            if y is not None or X is not None:
                raise ValueError(f"{there} is given without {missing}: give both, or neither.")
            if sample_weight is not None:
                raise ValueError("sample_weight_val is given without X_val and y_val.")
            return None
        try:
            data = self._check_data(
                X, y, sample_weight, is_first=False, is_partial=True, precision=precision
            )
        except ValueError as error:
            raise ValueError(f"The validation data, X_val and y_val: {error}") from None
        least = 2 if self.scoring is None and self._kind == "regression" else 1
        if len(data.rows) < least:
            raise ValueError(
                f"The validation data have {len(data.rows)} rows that count, but the score takes "
                f"{least}: give more of them."
            )
        return data

    def _check_batches(self, n_rows: int) -> None:
        """Refuse batches of a single row where they are normalized."""
        smallest = n_rows if self.batch_size == "auto" else min(self.batch_size, n_rows)
        if self.normalization == "batch" and (smallest if self.solver != "lbfgs" else n_rows) == 1:
            raise ValueError(
                f"normalization='batch' needs 2 samples or more in a batch, got 1 sample (of "
                f"{n_rows}, with batch_size={self.batch_size!r}): raise it, or take 'layer'."
            )

    def _precision(self, X: Any, is_first: bool) -> np.dtype[Any]:
        known = X if is_first else self.coefs_[-1]
        return np.dtype(known.dtype if self.dtype is None else self.dtype)

    @property
    def _known_head(self) -> Head | None:
        """The head that was fitted, or that the `head` parameter says; None if it is wrong."""
        if hasattr(self, "head_"):
            return self.head_
        usual = AUTOMATIC["numbers" if self._kind == "regression" else "multiclass"]
        head = self.head
        if isinstance(head, str) and head in ("auto", *HEADS):
            head = usual() if head == "auto" else HEADS[head]()
        return head if isinstance(head, Head) and self._accepts(type(head)) else None

    def _resolve_head(self, target: str) -> Head:
        """Return the head for a kind of target, or say why there is none."""
        known = [name for name, kind in HEADS.items() if self._accepts(kind)]
        head = self.head
        if isinstance(head, str) and head in (*known, "auto"):
            head = AUTOMATIC[target]() if head == "auto" else HEADS[head]()
        if not (isinstance(head, Head) and self._accepts(type(head))):
            raise ValueError(
                f"The 'head' parameter of {type(self).__name__} must be 'auto', "
                f"{', '.join(map(repr, known))} or an instance of such a Head, got {self.head!r}."
            )
        if target not in head.targets:  # the hint is in the words that scikit-learn checks for
            hint = " Only binary classification is supported." if target == "multiclass" else ""
            raise ValueError(
                f"{type(head).__name__} takes {' or '.join(sorted(head.targets))} targets, "
                f"got {target} ones.{hint}"
            )
        return head

    def _check_same_head(self) -> None:
        head = self._resolve_head(self._target)
        if head != self.head_:
            raise ValueError(
                f"the fitted network has head {self.head_!r}, but the 'head' parameter now asks "
                f"for {head!r}: set warm_start=False or fit a clone."
            )

    def _accepts(self, head: type[Head]) -> bool:
        return ("numbers" in head.targets) == (self._kind == "regression")

    # -- training state and what is published ------------------------------------------------------

    def _current_theta(self, network: Network, dtype: Any) -> np.ndarray:
        """Pack the fitted parameters, where they fit the network."""
        parts = self._parts
        shapes = [{name: array.shape for name, array in part.items()} for part in parts]
        if shapes != network.shapes:
            units = self._network.layer_units
            has, asks = f"layers of {units} units", f"{network.layer_units}"
            if units == network.layer_units:
                has, asks = "activations that learn other arguments", "these"
                if self._architecture.normalization != network.normalization:
                    has = f"normalization={self._architecture.normalization!r}"
                    asks = repr(network.normalization)
            raise ValueError(
                f"the fitted network has {has}, but the parameters and data now ask for {asks}: "
                "set warm_start=False or fit a clone."
            )
        theta = network.packed(parts).astype(dtype, copy=False)
        if self._units is not None:
            self._units.unfold(*network.last_layer(theta))
        return theta

    def _fitted(self, network: Network, theta: np.ndarray, state: State) -> dict[str, Any]:
        """Return every fitted attribute, of copies of these parameters."""
        progress, theta, unit = state.progress, theta.copy(), 1.0
        if self._units is not None:
            self._units.fold(*network.last_layer(theta))
            unit = self._units.loss
        history = dict(state.history)
        history["loss"] = [loss * unit for loss in history.get("loss", [])]
        scores = history.get("validation_score")
        return {
            **published_parameters(network, network.split(theta)),
            "out_activation_": self.head_.out_activation,
            "n_iter_": progress.n_iter,
            "t_": progress.samples_seen,
            "loss_": progress.loss * unit,
            "loss_curve_": [*state.earlier_losses, *history["loss"]],
            "history_": history,
            "best_iter_": progress.best_iter,
            "best_loss_": None if self.early_stopping else progress.best_loss * unit,
            "validation_scores_": None if scores is None else [*state.earlier_scores, *scores],
            "best_validation_score_": None if scores is None else progress.best_score,
            "_state": state,
        }
