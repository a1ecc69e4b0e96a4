"""Callbacks: what a fit tells of itself, epoch by epoch, by scikit-learn's protocol.

The law: a callback is any object with `setup`, `on_fit_task_begin`, `on_fit_task_end` and
`teardown`, as `sklearn.callback.FitCallback` has them, handed over with `set_callbacks`. The tasks
of a fit are "fit" and, below it, one "epoch" for every epoch (iteration of lbfgs).
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any, Self

import sklearn

from ..engine.stored import Stored
from ..engine.words import shown
from ..heads.domains import is_count, is_number
from ..training.checkpoints import write_checkpoint
from ..training.warn import warn
from .prediction import PARAMETERS
from .scoring import NotFiniteError, find_scorer, one_score

try:  # scikit-learn 1.9 and later
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """What stands in for scikit-learn's, where that has no callbacks yet."""

        def set_callbacks(self, *callbacks: Any) -> Self:
            """Say which scikit-learn has callbacks.

            Parameters
            ----------
            *callbacks : callback
                Not looked at.

            Raises
            ------
            ImportError
                Always.
            """
            raise ImportError(
                f"Callbacks need scikit-learn 1.9 or later, and {sklearn.__version__} is "
                f"installed: pip install --upgrade scikit-learn; {len(callbacks)} not set."
            )

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method itself."""
        return method


__all__ = [
    "Callback",
    "CallbackSupportMixin",
    "Checkpoint",
    "EarlyStopping",
    "GradientNorms",
    "TimeLimit",
    "Watcher",
    "with_callbacks",
]


class Watcher:
    """Tells the callbacks of an estimator how its fit goes, and gives them X, y and weights.

    Attributes
    ----------
    fitted : callable
        Returns the fitted attributes of the estimator as it is at the end of an epoch.
    """

    def __init__(self, estimator: Any, context: Any, given: dict[str, Any]) -> None:
        self._estimator, self._context = estimator, context
        self._given = {"estimator": estimator} | given
        self._epoch: Any = None
        self.fitted: Callable[[], dict[str, Any]] = dict

    @classmethod
    def of(
        cls, estimator: Any, max_iter: int | None, X: Any, y: Any, sample_weight: Any
    ) -> Watcher | None:
        """Return the watcher of an estimator; None where it has no callbacks.

        scikit-learn's protocol for third parties (SLEP 23) has no public names yet for what is
        read here, nor for what an interrupt in a callback's teardown leaves behind.
        """
        for name in ("_callback_fit_ctx", "_skl_callbacks_to_teardown"):
            vars(estimator).pop(name, None)
        if not getattr(estimator, "_skl_callbacks", None):
            return None
        for callback in estimator._skl_callbacks:
            _check_hooks(callback)
        context = estimator._init_callback_context(max_subtasks=max_iter)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return cls(estimator, context, {"X": X, "y": y, "metadata": weights})

    @property
    def wants_identity(self) -> bool:
        """Whether the fit is to be told from others, in a file."""
        return any(isinstance(callback, Checkpoint) for callback in self._estimator._skl_callbacks)

    def start(self) -> None:
        """Tell that the fit begins."""
        self._context.call_on_fit_task_begin(**self._given)

    @contextmanager
    def task(self, name: str, epochs: int) -> Iterator[None]:
        """Tell that a part of the fit begins, of so many epochs at most, and that it ends."""
        whole, self._context = self._context, self._context.subcontext(name, max_subtasks=epochs)
        self._context.call_on_fit_task_begin(**self._given)
        try:
            yield
            self.finish()
        finally:
            self._context = whole

    def begin(self) -> None:
        """Tell that an epoch begins."""
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._given)

    def end(self) -> bool:
        """Tell that an epoch ends; return whether a callback wants to stop."""
        return bool(
            self._epoch.call_on_fit_task_end(**self._given, reconstruction_attributes=self.fitted)
        )

    def finish(self) -> None:
        """Tell that the fit, or a part of it, ends, with what is published by then."""
        self._context.call_on_fit_task_end(**self._given, reconstruction_attributes=dict)


def _check_hooks(callback: Any) -> None:
    """Refuse a hook that cannot be called with an estimator and a context, before any is."""
    for name in ("setup", "on_fit_task_begin", "on_fit_task_end", "teardown"):
        expected = signature(getattr(callback, name))
        wanted = [p.name for p in expected.parameters.values() if p.kind is p.KEYWORD_ONLY]
        try:
            expected.bind("estimator", "context", **dict.fromkeys(wanted))
        except TypeError as error:
            raise TypeError(
                f"{name} of the callback {type(callback).__name__} must take (estimator, context), "
                "and after a * what it wants of X, y, metadata and fitted_estimator, got "
                f"{expected}: {error}."
            ) from error


# == callbacks =====================================================================================


class Callback(Stored):
    """What every callback has; subclass it to make your own.

    Each hook does nothing here. A hook may name, after a `*`, what it wants of `X`, `y`,
    `metadata` (a dict, with the sample weights) and `fitted_estimator`, a copy of the estimator
    with the parameters of this moment, ready to predict; they are made only where they are wanted.
    One callback may watch several fits, as in a grid search.

    Examples
    --------
    >>> class Printed(Callback):
    ...     def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
    ...         if context.task_name == "epoch":
    ...             print(context.task_id, len(fitted_estimator.loss_curve_))
    ...             return context.task_id == 1  # stop
    >>> from skmlp import MLPRegressor
    >>> model = MLPRegressor((), random_state=0).set_callbacks(Printed())
    >>> model = model.fit([[0.0], [1.0]], [0.0, 1.0])
    0 1
    1 2
    """

    def setup(self, estimator: Any, context: Any) -> None:
        """Called before a fit begins."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Called when a task begins."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> Any:
        """Called when a task ends; a true value stops training after an epoch."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Called when a fit is over, however it ended."""


class _Remembering(Callback):
    """A callback that remembers something of each fit while that is going on."""

    def __init__(self) -> None:
        self._fits: dict[int, dict[str, Any]] = {}  # a subclass may compare, or not hash

    def __getstate__(self) -> dict[str, Any]:
        return {name: x for name, x in super().__getstate__().items() if name != "_fits"}

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        if type(self).__module__ == __name__:  # a user's own may keep what it takes elsewhere
            lacking = [x for x in signature(type(self)).parameters if x not in vars(self)]
            if lacking:
                raise ValueError(
                    f"this {type(self).__name__} cannot be read: it lacks "
                    f"{', '.join(map(repr, lacking))}."
                )
        self._fits = {}

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        """Begin to remember."""
        self._fits[id(estimator)] = {}

    def teardown(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        """Forget."""
        self._fits.pop(id(estimator), None)


def _refuse_unless(is_right: bool, callback: Any, name: str, words: str, value: Any) -> None:
    if not is_right:
        raise ValueError(
            f"{type(callback).__name__} needs {name} to be {words}, got {shown(value)}."
        )


class EarlyStopping(_Remembering):
    """Stop where a metric no longer improves, and keep the best parameters.

    `early_stopping=True` does this with the estimator's own score; this is for any other metric,
    and for several at once.

    Parameters
    ----------
    metric : str or callable, default="validation_loss"
        A column of `history_`, of which less is better for those that end in "loss"; or else the
        name of a scorer of scikit-learn or a function of (estimator, X, y), of which more is
        better.
    patience : int, default=10
        Number of epochs without an improvement before training stops.
    tol : float, default=0.0
        What an improvement has to exceed.
    data : (X, y), default=None
        What a scorer is called on; the training data without it.
    restore_best : bool, default=True
        Whether the parameters of the best epoch are kept, and `best_iter_` is that epoch.

    Raises
    ------
    ValueError
        If a parameter cannot be used; in `fit`, if the fit has no such column.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skmlp import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(learning_rate_init=0.1, random_state=0)
    >>> model = model.set_callbacks(EarlyStopping("validation_loss", patience=3))
    >>> model = model.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    >>> losses = model.history_["validation_loss"]
    >>> model.best_iter_ == 1 + losses.index(min(losses)) == model.n_iter_ - 4
    True
    """

    def __init__(
        self,
        metric: Any = "validation_loss",
        *,
        patience: int = 10,
        tol: float = 0.0,
        data: Any = None,
        restore_best: bool = True,
    ) -> None:
        super().__init__()
        _refuse_unless(is_count(patience), self, "patience", "a whole number >= 1", patience)
        _refuse_unless(is_number(tol) and tol >= 0, self, "tol", "a number >= 0", tol)
        words = "a column of history_, the name of a scorer or a function of (estimator, X, y)"
        is_right = isinstance(metric, str) or callable(metric)
        _refuse_unless(is_right, self, "metric", words, metric)
        self._scorer = self._scorer_of(metric)
        self.metric, self.patience, self.tol = metric, patience, tol
        self.data, self.restore_best = data, restore_best

    @staticmethod
    def _scorer_of(metric: Any) -> Any:
        """Return the scorer of that name; None for a column of `history_`."""
        if isinstance(metric, str) and metric in _COLUMNS:
            return None
        return find_scorer(metric, "metric", _COLUMNS)

    def __getstate__(self) -> dict[str, Any]:
        return {name: x for name, x in super().__getstate__().items() if name != "_scorer"}

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._scorer = self._scorer_of(self.metric)

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,
        y: Any = None,
        fitted_estimator: Any = None,
    ) -> bool:
        """Compare with the best epoch so far."""
        fit = self._fits[id(estimator)]
        if context.task_name != "epoch":
            if self.restore_best and "best" in fit:
                vars(estimator).update(fit["parameters"], best_iter_=fit["epoch"])
            return False
        value = self._value(fitted_estimator, X, y)
        fit["epochs"] = fit.get("epochs", 0) + 1
        if value > fit.get("best", -math.inf) + self.tol:
            fit.update(best=value, epoch=fitted_estimator.n_iter_, waited=0)
            fit["parameters"] = {name: getattr(fitted_estimator, name) for name in PARAMETERS}
        else:
            fit["waited"] = fit.get("waited", 0) + 1
        return fit["waited"] > self.patience

    def _value(self, estimator: Any, X: Any, y: Any) -> float:
        if self._scorer is not None:
            try:
                return one_score(self._scorer, estimator, *(self.data or (X, y)), name="metric")
            except NotFiniteError:
                return math.nan
        column = estimator.history_.get(self.metric)
        if column is None:
            raise ValueError(
                f"EarlyStopping goes by {self.metric!r}, which this fit does not have: give X_val "
                "and y_val to fit, or set early_stopping or scoring."
            )
        return -column[-1] if self.metric.endswith("loss") else column[-1]


_COLUMNS = ("loss", "score", "validation_loss", "validation_score")


class TimeLimit(_Remembering):
    """Stop after the epoch in which the time is up.

    Parameters
    ----------
    seconds : float
        How long a fit may take, not counting its last epoch; positive.

    Raises
    ------
    ValueError
        If `seconds` is not positive.

    Examples
    --------
    >>> from skmlp import MLPRegressor
    >>> model = MLPRegressor((), max_iter=10**9, random_state=0).set_callbacks(TimeLimit(1e-9))
    >>> model.fit([[0.0], [1.0]], [0.0, 1.0]).n_iter_
    1
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        _refuse_unless(is_number(seconds) and seconds > 0, self, "seconds", "a number > 0", seconds)
        self.seconds = seconds

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        """Look at the clock."""
        self._fits[id(estimator)] = {"began": time.monotonic()}

    def on_fit_task_end(self, estimator: Any, context: Any) -> bool:  # noqa: ARG002
        """Look at the clock again."""
        return time.monotonic() - self._fits[id(estimator)]["began"] >= self.seconds


class Checkpoint(_Remembering):
    """Save the state of a fit in a file, so that `resume(path, X, y)` goes on with it.

    The file is replaced as a whole: whenever the process dies, it holds the last state that was
    saved. Where the disk is full, a warning says so once and training goes on. What is resumed is,
    for stochastic solvers, bit for bit the fit that was not interrupted; L-BFGS goes on from its
    parameters without its memory of curvature. One file is for one fit.

    Parameters
    ----------
    path : str or path
        The file, a NumPy archive; its folder must exist.
    epochs : int, optional
        Save after every so many epochs; 1 where `seconds` is not given either.
    seconds : float, optional
        Save after the epoch in which so many seconds have passed since it was last done.

    Raises
    ------
    ValueError
        If `epochs` or `seconds` cannot be used, or both are given.
    FileNotFoundError
        In `fit`, before any work, if there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> from skmlp import MLPRegressor
    >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 4.0]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     begun = MLPRegressor(learning_rate="cosine", random_state=0)
    ...     begun = begun.set_callbacks(TimeLimit(1e-9), Checkpoint(folder + "/fit.npz")).fit(X, y)
    ...     resumed = MLPRegressor(learning_rate="cosine", random_state=0)
    ...     resumed = resumed.resume(folder + "/fit.npz", X, y)
    >>> whole = MLPRegressor(learning_rate="cosine", random_state=0).fit(X, y)
    >>> begun.n_iter_, resumed.loss_curve_ == whole.loss_curve_
    (1, True)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        epochs: int | None = None,
        seconds: float | None = None,
    ) -> None:
        super().__init__()
        if epochs is not None and seconds is not None:
            raise ValueError("Checkpoint takes epochs or seconds, not both.")
        if seconds is None:
            epochs = 1 if epochs is None else epochs
            _refuse_unless(is_count(epochs), self, "epochs", "a whole number >= 1", epochs)
        else:
            is_right = is_number(seconds) and seconds > 0
            _refuse_unless(is_right, self, "seconds", "a number > 0", seconds)
        self.path, self.epochs, self.seconds = os.fspath(path), epochs, seconds

    def setup(self, estimator: Any, context: Any) -> None:  # noqa: ARG002
        """Look for the folder."""
        folder = Path(self.path).resolve().parent
        if not folder.is_dir():
            raise FileNotFoundError(f"Checkpoint needs the folder {str(folder)!r}: make it first.")
        self._fits[id(estimator)] = {"saved": time.monotonic()}

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> None:
        """Save where it is time, and what is not saved yet at the end of the fit."""
        fit = self._fits[id(estimator)]
        if context.task_name == "epoch":
            fit["state"] = fitted_estimator._state
            is_time = (
                fitted_estimator.n_iter_ % self.epochs == 0
                if self.epochs is not None
                else time.monotonic() - fit["saved"] >= self.seconds
            )
            if not is_time:
                return
        state = fit.pop("state", None)
        if state is not None:
            self._save(state, fit)
            fit["saved"] = time.monotonic()

    def _save(self, state: Any, fit: dict[str, Any]) -> None:
        try:
            write_checkpoint(self.path, state)
        except OSError as error:
            if not fit.get("has_warned"):
                fit["has_warned"] = True
                warn(
                    f"Checkpoint {self.path!r} could not be written ({error.strerror}): training "
                    "goes on, and an older checkpoint stays as it was.",
                    RuntimeWarning,
                )


class GradientNorms(_Remembering):
    """Watch the norm of every layer's gradient, and warn where one vanishes or explodes.

    After each epoch the gradient of the mean loss, over at most 10,000 training samples, is
    computed anew, which costs about a third of an epoch for as many samples.

    Parameters
    ----------
    vanishing : float, default=1e-6
        A layer is warned of whose gradient is less than this share of the largest layer's.
    exploding : float, default=1e4
        A layer is warned of whose gradient is longer than this, or not finite.

    Attributes
    ----------
    norms_ : dict of str to list of float
        For every layer, "hidden layer 1" first and "output layer" last, the Euclidean norm of the
        gradient of its weights and biases after each epoch of the last fit.

    Warns
    -----
    RuntimeWarning
        Once for each layer and fit, with the layer, the norm and what to try.

    Examples
    --------
    >>> from skmlp import MLPRegressor
    >>> norms = GradientNorms()
    >>> model = MLPRegressor((5,), learning_rate="linear", max_iter=3, random_state=0)
    >>> model = model.set_callbacks(norms).fit([[0.0], [1.0]], [0.0, 1.0])
    >>> {layer: len(of_epochs) for layer, of_epochs in norms.norms_.items()}
    {'hidden layer 1': 3, 'output layer': 3}
    """

    def __init__(self, *, vanishing: float = 1e-6, exploding: float = 1e4) -> None:
        super().__init__()
        for name, value in (("vanishing", vanishing), ("exploding", exploding)):
            _refuse_unless(is_number(value) and value > 0, self, name, "a number > 0", value)
        self.vanishing, self.exploding = vanishing, exploding
        self.norms_: dict[str, list[float]] = {}

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a new record."""
        super().setup(estimator, context)
        self.norms_ = self._fits[id(estimator)]["norms"] = {}

    def on_fit_task_end(
        self,
        estimator: Any,
        context: Any,
        *,
        X: Any = None,
        y: Any = None,
        metadata: Any = None,
        fitted_estimator: Any = None,
    ) -> None:
        """Compute the norms, and look at them."""
        if context.task_name != "epoch":
            return
        fit = self._fits[id(estimator)]
        norms = fitted_estimator._gradient_norms(X, y, (metadata or {}).get("sample_weight"))
        largest = max(norms.values())
        for layer, norm in norms.items():
            fit["norms"].setdefault(layer, []).append(norm)
            if layer in fit.setdefault("warned", set()):
                continue
            if not norm <= self.exploding:
                problem = (
                    f"explodes: its norm is {norm:.3g}; scale the inputs and numeric targets, "
                    "lower learning_rate_init or set max_grad_norm"
                )
            elif norm < self.vanishing * largest:
                problem = (
                    f"vanishes: its norm is {norm:.3g}, and {largest:.3g} in another layer; try "
                    'activation="relu" or "selu", weight_init="he_normal", fewer layers or scaled '
                    "inputs"
                )
            else:
                continue
            fit["warned"].add(layer)
            epoch = fitted_estimator.n_iter_
            warn(f"The gradient of {layer} {problem} (epoch {epoch}).", RuntimeWarning)
