"""Schedules: the rate of a stochastic solver, by epochs or by progress.

The law: a schedule is a function of progress in [0, 1], which the rate is multiplied by for each
step, or one of scikit-learn's three, which set the rate of an epoch. `SCHEDULES` stands right under
the definitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..engine.values import told
from ..engine.words import shown

SMALLEST_RATE = 1e-6  # where the adaptive schedule gives up, as scikit-learn's
SMALLEST_SHARE = 0.01  # of what the rate was; a schedule that ends below it comes to rest

Factor = Callable[[float], float]  # of progress in [0, 1]: what learning_rate_init is multiplied by


@dataclass(frozen=True)
class Constant:
    """The rate of an epoch stays what it is: rate = learning_rate_init."""

    rate_init: float
    power_t: float
    factor: Factor | None = None

    def after_epoch(self, rate: float, samples_seen: int) -> float:  # noqa: ARG002
        """Return the rate for the next epoch."""
        return rate

    def at_plateau(self, rate: float) -> float | None:  # noqa: ARG002
        """Return the rate to go on with where training no longer improves; None to stop."""
        return None


class InverseScaling(Constant):
    """The rate falls with the samples seen: rate = learning_rate_init / (t + 1)^power_t."""

    def after_epoch(self, rate: float, samples_seen: int) -> float:  # noqa: ARG002
        """Return the rate for the next epoch."""
        return self.rate_init / (samples_seen + 1) ** self.power_t


class Adaptive(Constant):
    """The rate is divided by 5 whenever training no longer improves, until it is below 1e-6."""

    def at_plateau(self, rate: float) -> float | None:
        """Return a fifth of the rate, or None where it is too small already."""
        return None if rate <= SMALLEST_RATE else rate / 5.0


def cosine(progress: float) -> float:
    """Fall along half a cosine: (1 + cos(pi t)) / 2.

    Loshchilov and Hutter 2016, arXiv:1608.03983.

    Examples
    --------
    >>> [round(cosine(p), 3) for p in (0, 0.25, 0.5, 1)]
    [1.0, 0.854, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * progress))


def linear(progress: float) -> float:
    """Fall along a line: 1 - t.

    Examples
    --------
    >>> linear(0.25)
    0.75
    """
    return 1 - progress


_RISE, _LOW, _END = 0.3, 1 / 25, 1 / 25e4  # as PyTorch's OneCycleLR


def one_cycle(progress: float) -> float:
    """Rise from 1/25 to 1 in the first 30 %, then fall to 4e-6, along half cosines.

    Large rates in the middle regularize (Smith and Topin 2017, arXiv:1708.07120).

    Examples
    --------
    >>> [round(one_cycle(p), 3) for p in (0, 0.15, 0.3, 0.65, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if progress < _RISE:
        return _LOW + (1 - _LOW) * (1 - cosine(progress / _RISE))
    return _END + (1 - _END) * cosine((progress - _RISE) / (1 - _RISE))


def coslog4(progress: float) -> float:
    """Go through four cycles, each twice the one before: (1 - cos(2 pi log2(1 + 15 t))) / 2.

    Of RealMLP: Holzmueller, Grinsztajn and Steinwart,
    "Better by default", NeurIPS 2024. The first step has rate 0.

    Examples
    --------
    >>> [round(coslog4(p), 3) for p in (0, 1 / 15, 3 / 15, 7 / 15, 1)]
    [0.0, 0.0, 0.0, 0.0, 0.0]
    >>> round(coslog4((2**1.5 - 1) / 15), 3)
    1.0
    """
    return 0.5 * (1 - math.cos(2 * math.pi * math.log2(1 + 15 * progress)))


def flat_cos(progress: float) -> float:
    """Stay at 1 for the first half, then fall along half a cosine: (1 + cos(pi (2 t - 1))) / 2.

    Examples
    --------
    >>> [round(flat_cos(p), 3) for p in (0, 0.5, 0.75, 1)]
    [1.0, 1.0, 0.5, 0.0]
    """
    return 1.0 if progress < 0.5 else cosine(2 * progress - 1)


# scikit-learn's three, which set the rate of an epoch, and functions of progress.
SCHEDULES: Mapping[str, type[Constant] | Factor] = MappingProxyType(
    {
        "constant": Constant,
        "invscaling": InverseScaling,
        "adaptive": Adaptive,
        "cosine": cosine,
        "one_cycle": one_cycle,
        "linear": linear,
        "coslog4": coslog4,
        "flat_cos": flat_cos,
    }
)


def schedule_of(
    learning_rate: str | Factor, rate_init: float, power_t: float, warmup: float, *, by_epochs: bool
) -> Constant:
    """Make a schedule."""
    found = SCHEDULES[learning_rate] if isinstance(learning_rate, str) else Checked(learning_rate)
    factor = None if isinstance(found, type) else found
    kind = found if isinstance(found, type) and by_epochs else Constant
    return kind(rate_init, power_t, WarmedUp(factor, warmup) if warmup > 0 else factor)


@dataclass(frozen=True)
class Checked:
    """A schedule of the user's, whose every factor is looked at."""

    schedule: Callable[[float], Any]

    def __call__(self, progress: float) -> float:
        """Return the factor, or say in a sentence what is wrong with it."""
        try:
            found = self.schedule(progress)
        except Exception as error:
            raise ValueError(self._told(progress, told(error))) from error
        try:
            is_right = not getattr(found, "ndim", 0) and bool(0 <= found < math.inf)
        except (TypeError, ValueError):
            is_right = False
        if not is_right:
            raise ValueError(self._told(progress, f"returned {shown(found)}"))
        return float(found)

    def _told(self, progress: float, what: str) -> str:
        return (
            "learning_rate must be a function of progress in [0, 1] that returns a finite number "
            f">= 0, but at progress {progress:g} it {what}."
        )


@dataclass(frozen=True)
class WarmedUp:
    """A factor that rises from 0 first: min(1, progress / warmup), times another factor if any.

    Two of the same are equal, so that a stream knows its schedule again.
    """

    factor: Factor | None
    warmup: float

    def __call__(self, progress: float) -> float:
        """Return what learning_rate_init is multiplied by."""
        rise = min(1.0, progress / self.warmup)
        return rise if self.factor is None else rise * self.factor(progress)


def ends_at_zero(learning_rate: Any) -> bool:
    """Tell whether a schedule of that name ends, by itself, with a rate of nearly 0.

    Examples
    --------
    >>> ends_at_zero("cosine"), ends_at_zero("adaptive"), ends_at_zero(lambda progress: 0)
    (True, False, False)
    """
    return isinstance(learning_rate, str) and needs_end(learning_rate)


def needs_end(learning_rate: str | Factor) -> bool:
    """Tell whether a schedule comes to rest at progress 1, so that nothing may go on behind it.

    Examples
    --------
    >>> needs_end("one_cycle"), needs_end("invscaling"), needs_end(lambda progress: 1 - progress)
    (True, False, True)
    """
    found = SCHEDULES[learning_rate] if isinstance(learning_rate, str) else learning_rate
    if isinstance(found, type):
        return False
    return found(1.0) <= SMALLEST_SHARE * max(found(progress) for progress in (0.25, 0.5, 0.75))
