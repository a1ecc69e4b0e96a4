"""What heads share that have a mean on a logarithmic scale, and a dispersion beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..engine.words import shown
from .domains import is_number
from .head import LIMIT, Head, Unit, blocks, bounded, mean


@dataclass(frozen=True)
class Dispersed(Head):
    """A mean on a logarithmic scale, and a second parameter that may be known or learned."""

    out_activation: ClassVar[str] = "exp"

    @property
    def _second(self) -> Any:
        """The second parameter: "constant", "varying", a number, or None where there is none."""
        raise NotImplementedError

    def _check_second(self, name: str, others: str = "") -> None:
        value = self._second
        is_word = isinstance(value, str) and value in ("constant", "varying")
        if not (is_word or (is_number(value) and value > 0)):
            raise ValueError(
                f"{type(self).__name__} needs a {name} that is {others}'constant', 'varying' or a "
                f"number > 0, got {shown(value)}"
            )

    def n_raw(self, n_targets: int) -> int:
        """Return one for each target, two where the second parameter is learned."""
        return 2 * n_targets if isinstance(self._second, str) else n_targets

    def n_constant(self, n_targets: int) -> int:
        """Return one for each target where the second parameter is the same for all inputs."""
        return n_targets if self._second == "constant" else 0

    @property
    def _limit(self) -> float:
        """Up to where the logarithms are raw outputs themselves."""
        return LIMIT

    @property
    def _second_degree(self) -> float:
        """d, where the second parameter is c^d times as large for targets c times as large."""
        return 0.0

    def _unit_of_means(self, y: np.ndarray, weights: np.ndarray | None, loss_shift: Any) -> Unit:
        """Return the mean of each target, where the mean loss is that much larger for each log."""
        average = mean(y, weights)
        scale = np.where(average > 0, average, 1.0)
        parts = [np.log(scale)]
        if isinstance(self._second, str):
            parts.append(self._second_degree * parts[0])
        raw_shift = np.concatenate(parts)
        shift = float(np.sum(loss_shift * parts[0]))
        return Unit(np.zeros_like(scale), scale, raw_shift, np.ones_like(raw_shift), shift)

    @property
    def _limit_of_means(self) -> float:
        return self._limit

    def _parts(self, raw: Any) -> tuple[Any, Any]:
        """Return the raw output of the mean, and the logarithm of the second parameter."""
        if not isinstance(self._second, str):
            return raw, math.log(self._second or 1)
        location, log_second = blocks(raw, 2)
        center = self._second_degree * self._log_unit
        return location, bounded(log_second, self._limit, center)

    def _logarithms(self, raw: Any) -> tuple[Any, Any]:
        """Return the logarithms of the mean and of the second parameter."""
        location, log_second = self._parts(raw)
        return bounded(location, self._limit_of_means, self._log_unit), log_second

    def predict(self, raw: Any) -> Any:
        """Return the mean."""
        return np.exp(self._logarithms(raw)[0])
