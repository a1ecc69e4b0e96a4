"""What a model makes of its members' raw outputs, as a function of arrays or of Expressions.

The law: it is what `Model.raw` computes of the same numbers, so that it can be differentiated, and
written for another runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..engine import softmax
from .calibration import _LEAST as LEAST_PROBABILITY
from .calibration import link_of
from .model import Model, Part


def blended(model: Model) -> Callable[[Any], Any]:
    """Return what makes a model's raw outputs of those of all its members, side by side."""
    head, *own, last = model.head, *model.blend.temperatures
    counts = [len(part.trained.thetas) for part in model.parts]
    link = link_of(head)

    def side_by_side(raw: Any) -> Any:
        n_raw, ends = raw.shape[1] // sum(counts), np.cumsum(counts).tolist()
        kinds = zip([0, *ends], ends, model.blend.weights, strict=False)
        kept = [raw[:, a * n_raw : b * n_raw] for a, b, share in kinds if share > 0]
        return np.concatenate(kept, axis=1) * model.unit

    def blend(raw: Any) -> Any:
        n_raw, start, total = raw.shape[1] // sum(counts), 0, 0.0
        for part, share, temperature, count in zip(
            model.parts, model.blend.weights, own, counts, strict=True
        ):
            for _ in range(count):
                one = _turned_back(part, raw[:, start : start + n_raw])
                if link == "softmax":
                    one = softmax(one / temperature, axis=1)
                elif link is not None:
                    one = 1.0 / (1.0 + np.exp(-one / temperature))
                total, start = total + (share / count) * one, start + n_raw
        if link is None:
            return total * model.unit
        log_p = np.log(np.maximum(total, LEAST_PROBABILITY))
        if link == "softmax":
            return log_p / last
        return (log_p - np.log(np.maximum(1.0 - total, LEAST_PROBABILITY))) / last

    return side_by_side if head.has_distribution else blend


def _turned_back(part: Part, raw: Any) -> Any:
    """Return raw outputs of a member on the scale of the target, within what was seen of it."""
    how = part.transform
    if how is None:
        return raw
    highest = np.log(np.where(how.is_log, how.most + how.offset, 1.0))
    back = (np.exp(np.minimum(raw, highest)) - how.offset) * how.factor
    is_log = how.is_log.astype(np.float64)
    found = is_log * back + (1.0 - is_log) * raw if how.is_log.any() else raw
    return np.minimum(np.maximum(found, how.least), how.most)
