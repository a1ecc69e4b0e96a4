r"""Calibration: how sure raw outputs are, and how kinds of members are blended.

.. math:: p = \mathrm{softmax}(raw / T)

with the temperature T that makes the loss on rows out of fold smallest (Guo et al., ICML 2017,
arXiv:1706.04599). Only heads whose raw outputs are logits have one; for any other T is 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, softmax

from ..estimators.scoring import mean_loss
from ..heads import Head
from .mixed import Mixed

_WIDEST = 1.2  # temperatures are from exp(-1.2) to exp(1.2)
_LEAST = 1e-9  # of a blended probability


def link_of(head: Head) -> str | None:
    """Return which function of logits the probabilities of a head are; None where there is none."""
    are_logits = head.out_activation in ("softmax", "logistic") and "numbers" not in head.targets
    return head.out_activation if are_logits else None


def tempered(
    head: Head, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None
) -> tuple[float, float]:
    """Return the best temperature of raw outputs, (members, n, n_raw), and their loss with it."""
    if link_of(head) is None or not np.isfinite(raw).all():
        return 1.0, _loss(head, raw, Y, weights)

    def loss(log_temperature: float) -> float:
        return _loss(head, raw * np.exp(-log_temperature), Y, weights)

    found = minimize_scalar(
        loss, bounds=(-_WIDEST, _WIDEST), method="bounded", options={"xatol": 0.02}
    )
    return math.exp(found.x), float(found.fun)


def _loss(head: Head, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the mean over members of their weighted mean loss."""
    return float(np.mean([mean_loss(head, one, Y, weights) for one in raw]))


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
        temperatures: Sequence[float],
        Y: np.ndarray,
        weights: np.ndarray | None,
    ) -> tuple[Self, np.ndarray, float]:
        """Choose it by answers out of fold, (members, n, n_raw) for each kind, and blend them."""
        own = tuple(temperatures)
        shares = [(1.0,)] if len(kinds) == 1 else [(1 - w, w) for w in np.linspace(0, 1, 21)]
        tried = [cls(tuple(map(float, share)), (*own, 1.0)) for share in shares]
        losses = [
            mean_loss(blend.head(head, kinds), blend.answers(head, kinds), Y, weights)
            for blend in tried
        ]
        best = tried[int(np.argmin(losses))]
        blended = best.answers(head, kinds)
        last, loss = tempered(best.head(head, kinds), blended[None], Y, weights)
        blend = cls(best.weights, (*own, last))
        return blend, blend.answers(head, kinds), loss

    def head(self, head: Head, kinds: Sequence[np.ndarray | None]) -> Head:
        """Return what the blended raw outputs mean: a mixture, where members say distributions."""
        if not head.has_distribution:
            return head
        shares = [[w / len(raw)] * len(raw) for w, raw, _ in self._kept(kinds)]
        return Mixed(head, tuple(chain(*shares)))

    def answers(self, head: Head, kinds: Sequence[np.ndarray | None]) -> np.ndarray:
        """Blend raw outputs, (members, n, n_raw) for each kind: their probabilities, if any.

        Those of distributions are put side by side, for `head`; a kind that has no share may be
        None.
        """
        kept = self._kept(kinds)
        if head.has_distribution:
            members = [one for _, raw, _ in kept for one in np.asarray(raw, np.float64)]
            return np.concatenate(members, axis=1)
        if link_of(head) is None:
            means = [w * np.mean(raw, axis=0, dtype=np.float64) for w, raw, _ in kept]
            return np.sum(means, axis=0)
        p = [w * np.mean(probabilities(head, raw, t), axis=0) for w, raw, t in kept]
        return logits(head, np.sum(p, axis=0)) / self.temperatures[-1]

    def _kept(self, kinds: Sequence[np.ndarray | None]) -> list[tuple[float, np.ndarray, float]]:
        """Return share, raw outputs and temperature of each kind that has a share."""
        every = zip(self.weights, kinds, self.temperatures[:-1], strict=True)
        return [(w, raw, t) for w, raw, t in every if w > 0 and raw is not None]
