"""The head of several members: their distributions, mixed.

The law: its answers are those of the mixture; where all members say the same, it is what they say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from ..heads import Head, MixedDistribution


@dataclass(frozen=True)
class Mixed(Head):
    """Raw outputs of several members side by side, with the mixture of what they say.

    Attributes
    ----------
    head : Head
        What each member's raw outputs mean.
    shares : tuple of float
        The weights of the members; they sum to 1.
    """

    head: Head
    shares: tuple[float, ...]

    def each(self, raw: Any) -> list[Any]:
        """Return the raw outputs of each member."""
        n = raw.shape[1] // len(self.shares)
        return [raw[:, k * n : (k + 1) * n] for k in range(len(self.shares))]

    def n_raw(self, n_targets: int) -> int:
        """Return how many raw outputs there are."""
        return len(self.shares) * self.head.n_raw(n_targets)

    def loss(self, raw: Any, y: Any) -> Any:
        """Compute minus the logarithm of the mixed density, up to the head's own constant."""
        losses = np.stack([self.head.loss(part, y) for part in self.each(raw)])
        shares = np.array(self.shares)
        return -logsumexp(-losses, axis=0, b=shares[:, None])

    def _mean(self, answers: Callable[[Any], Any], raw: Any) -> Any:
        return sum(w * answers(part) for w, part in zip(self.shares, self.each(raw), strict=True))

    def predict(self, raw: Any) -> Any:
        """Return the mean of the members' predictions."""
        return self._mean(self.head.predict, raw)

    def center(self, raw: Any) -> Any:
        """Return the mean of the members' centers."""
        return self._mean(self.head.center, raw)

    def distribution(self, raw: np.ndarray) -> MixedDistribution:
        """Return the mixture of the members' distributions."""
        parts = [self.head.distribution(part) for part in self.each(raw)]
        return MixedDistribution(self.shares, parts)

    def quantile(self, raw: np.ndarray, q: Sequence[float]) -> np.ndarray:
        """Return quantiles of the mixture, of shape (n, n_targets, levels)."""
        mixture = self.distribution(raw)
        return np.stack([mixture.ppf(level) for level in q], axis=-1)
