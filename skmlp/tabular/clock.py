"""The clock of a fit: it tells callbacks of the epochs, and says when the time is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..estimators.callbacks import Watcher


class Clock:
    """Ends training when the time is up, or a callback says so; tells callbacks of epochs.

    Parameters
    ----------
    watcher : Watcher or None
        What tells the callbacks, if there are some.
    seconds : float or None
        After how long no further epoch begins.

    Attributes
    ----------
    is_over : bool
        Whether training is to end.
    """

    def __init__(self, watcher: Watcher | None, seconds: float | None) -> None:
        self._watcher = watcher
        self._end = math.inf if seconds is None else time.monotonic() + seconds
        self.is_over = False

    @contextmanager
    def training(self, epochs: int, fitted: Callable[[], dict[str, Any]]) -> Iterator[None]:
        """Tell that members are trained for so many epochs at most.

        `fitted` returns what the estimator would publish, if it ended now.
        """
        if self._watcher is None:
            yield
            return
        self._watcher.fitted = fitted
        with self._watcher.task("members", epochs):
            yield
        self._watcher.fitted = dict  # so that nothing of the members is kept by a callback

    def begin(self) -> None:
        """Tell that an epoch begins."""
        if self._watcher is not None:
            self._watcher.begin()

    def end(self) -> bool:
        """Tell that an epoch ends, and return whether that is all."""
        if self._watcher is not None and self._watcher.end():
            self.is_over = True
        if time.monotonic() >= self._end:
            self.is_over = True
        return self.is_over
