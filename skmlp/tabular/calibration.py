r"""Calibration: how sure raw outputs are, and how kinds of members are blended.

.. math:: p = \mathrm{softmax}(raw / T)

with the temperature T that makes the loss on rows out of fold smallest (Guo et al., ICML 2017,
arXiv:1706.04599). Only heads whose raw outputs are logits have one; for any other T is 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, softmax

from ..heads import Head

_LOGITS = {"softmax": "softmax", "logistic": "logistic"}
_WIDEST = 1.2  # temperatures are from exp(-1.2) to exp(1.2)
_LEAST = 1e-9  # of a blended probability


def link_of(head: Head) -> str | None:
    """Return which function of logits the probabilities of a head are; None where there is none."""
    return _LOGITS.get(head.out_activation) if "numbers" not in head.targets else None


def mean_loss(head: Head, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the weighted mean of the loss of raw outputs, (n, n_raw) or (members, n, n_raw)."""
    each = raw.reshape(-1, *raw.shape[-2:])
    with np.errstate(all="ignore"):
        return float(np.mean([np.average(head.loss(one, Y), weights=weights) for one in each]))


@dataclass(frozen=True)
class Calibration:
    """What raw outputs are divided by.

    Attributes
    ----------
    temperature : float
        T.
    """

    temperature: float = 1.0

    def fitted(
        self, head: Head, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None
    ) -> tuple[Self, float]:
        """Return the best calibration for answers out of fold, and their loss with it."""
        if link_of(head) is None or not np.isfinite(raw).all():
            return type(self)(), mean_loss(head, raw, Y, weights)

        def loss(log_temperature: float) -> float:
            return mean_loss(head, raw * np.exp(-log_temperature), Y, weights)

        found = minimize_scalar(
            loss, bounds=(-_WIDEST, _WIDEST), method="bounded", options={"xatol": 0.02}
        )
        return type(self)(math.exp(found.x)), float(found.fun)


# == blends ========================================================================================


def probabilities(head: Head, raw: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities that logits say at a temperature; of shape like raw."""
    logits = np.asarray(raw, np.float64) / temperature
    return softmax(logits, axis=-1) if link_of(head) == "softmax" else expit(logits)


def logits(head: Head, p: np.ndarray) -> np.ndarray:
    """Return raw outputs that say these probabilities."""
    p = np.maximum(p, _LEAST)
    if link_of(head) == "softmax":
        return np.log(p)
    return np.log(p) - np.log(np.maximum(1 - p, _LEAST))


@dataclass(frozen=True)
class Blend:
    """How the answers of the kinds of members make one.

    Attributes
    ----------
    weights : tuple of float
        The share of each kind.
    temperatures : tuple of float
        What the raw outputs of each kind are divided by; then those of the blend.
    """

    weights: tuple[float, ...]
    temperatures: tuple[float, ...]

    @classmethod
    def of(
        cls,
        head: Head,
        kinds: Sequence[np.ndarray],
        calibrations: Sequence[Calibration],
        Y: np.ndarray,
        weights: np.ndarray | None,
    ) -> tuple[Self, np.ndarray, float]:
        """Choose it by answers out of fold, (members, n, n_raw) for each kind, and blend them."""
        own = tuple(c.temperature for c in calibrations)
        shares = [(1.0,)] if len(kinds) == 1 else [(1 - w, w) for w in np.linspace(0, 1, 21)]
        tried = [cls(tuple(map(float, share)), (*own, 1.0)) for share in shares]
        losses = [mean_loss(head, blend.answers(head, kinds), Y, weights) for blend in tried]
        best = tried[int(np.argmin(losses))]
        raw = best.answers(head, kinds)
        last, loss = Calibration().fitted(head, raw, Y, weights)
        blend = cls(best.weights, (*own, last.temperature))
        return blend, blend.answers(head, kinds), loss

    def answers(self, head: Head, kinds: Sequence[np.ndarray]) -> np.ndarray:
        """Blend raw outputs, (members, n, n_raw) for each kind: their probabilities, if any."""
        *own, last = self.temperatures
        parts: list[Any] = []
        for share, raw, temperature in zip(self.weights, kinds, own, strict=True):
            if link_of(head) is not None:
                raw = probabilities(head, raw, temperature)
            parts.append(share * np.mean(raw, axis=0, dtype=np.float64))
        blended = np.sum(parts, axis=0)
        if link_of(head) is None:
            return blended
        return logits(head, blended) / last
