"""Callbacks: what a fit tells of itself, epoch by epoch, by scikit-learn's protocol.

The law: a callback is any object with `setup`, `on_fit_task_begin`, `on_fit_task_end` and
`teardown`, as `sklearn.callback.FitCallback` has them, handed over with `set_callbacks`. The tasks
of a fit are "fit" and, below it, one "epoch" for every epoch (iteration of lbfgs).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import sklearn

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


__all__ = ["CallbackSupportMixin", "Watcher", "with_callbacks"]

if TYPE_CHECKING:
    from .training import Course


class Watcher:
    """Tells the callbacks of an estimator how its fit goes.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    context : sklearn.callback.CallbackContext
        Of the task "fit".
    given : dict of str to object
        What the hooks are given: X, y and, as metadata, the sample weights.

    Attributes
    ----------
    fitted : callable
        Returns the fitted attributes of the estimator as it is at the end of an epoch.
    """

    def __init__(self, estimator: Any, context: Any, given: dict[str, Any]) -> None:
        self._estimator, self._context, self._given = estimator, context, given
        self._epoch: Any = None
        self.fitted: Callable[[], dict[str, Any]] = dict

    @classmethod
    def of(cls, estimator: Any, X: Any, y: Any, sample_weight: Any) -> Watcher | None:
        """Return the watcher of an estimator; None where it has no callbacks."""
        if not getattr(estimator, "_skl_callbacks", None):
            return None
        context = estimator._init_callback_context(max_subtasks=estimator.max_iter)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        return cls(estimator, context, {"X": X, "y": y, "metadata": weights})

    def start(self) -> None:
        """Tell that the fit begins."""
        self._context.call_on_fit_task_begin(estimator=self._estimator, **self._given)

    def begin(self) -> None:
        """Tell that an epoch begins."""
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, **self._given)

    def end(self, course: Course) -> bool:  # noqa: ARG002, `fitted` knows it
        """Tell that an epoch ends; return whether a callback wants to stop."""
        return bool(
            self._epoch.call_on_fit_task_end(
                estimator=self._estimator,
                **self._given,
                reconstruction_attributes=self.fitted,
            )
        )

    def finish(self) -> None:
        """Tell that the fit ends, with the fitted attributes published."""
        self._context.call_on_fit_task_end(
            estimator=self._estimator, **self._given, reconstruction_attributes=dict
        )
