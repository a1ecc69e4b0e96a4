"""Collections of Dask as partitions: on their way to the workers, and as lazy answers.

The law: nothing of a collection is computed here, but lengths are compared where they are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ..engine.words import shown
from ..estimators.data import Samples, check_weights
from ..estimators.prediction import Fitted
from ..training.warn import warn
from .rows import n_rows_of, stacked
from .session import packages


class Partitions(NamedTuple):
    """A collection, partition by partition.

    Attributes
    ----------
    parts : list of Delayed
        The partitions.
    lengths : list of int or float
        How many rows each has; NaN where that is not known.
    is_persisted : bool
        Whether partitions may be on workers already.
    """

    parts: list[Any]
    lengths: list[float]
    is_persisted: bool


def partitions_of(values: Any, name: str) -> Partitions:
    """Return the partitions of a dask array, data frame or bag, or of a list of delayed ones."""
    dask, distributed = packages().dask, packages().distributed
    are_many = isinstance(values, (list, tuple)) and len(values) > 0
    if are_many and all(_is_lazy(part) for part in values):
        parts = [dask.delayed(part) for part in values]
        held = bool(distributed.futures_of(list(values)))
        return Partitions(parts, [np.nan] * len(parts), held)
    if not dask.is_dask_collection(values) or not hasattr(values, "to_delayed"):
        raise TypeError(
            f"{name} must be a dask array, data frame or bag, or a list of delayed partitions, got "
            f"{shown(values)}: give dask.array.from_array(...), or fit the local estimator."
        )
    is_persisted = bool(distributed.futures_of(values))
    if not isinstance(values, packages().array.Array):
        parts = list(values.to_delayed())
        return Partitions(parts, [np.nan] * len(parts), is_persisted)
    if values.ndim == 2 and values.numblocks[1] > 1:
        warn(
            f"{name} has chunks along its columns, {values.chunks[1]}: it is rechunked, so that "
            "each partition has whole rows.",
            UserWarning,
        )
        values = values.rechunk({1: -1})
    parts = values.to_delayed().ravel().tolist()
    return Partitions(parts, list(values.chunks[0]), is_persisted)


def _is_lazy(part: Any) -> bool:
    is_future = isinstance(part, packages().distributed.Future)
    return is_future or packages().dask.is_dask_collection(part)


def aligned_partitions(given: dict[str, Any]) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the partitions of X, y and weights side by side, and whether some are on workers.

    Arrays of known lengths are cut as X is; whatever else must have as many partitions.
    """
    (first, X), *others = given.items()
    cut = {first: partitions_of(X, first)}
    lengths = cut[first].lengths
    for name, values in others:
        if values is None:
            cut[name] = Partitions([None] * len(lengths), lengths, False)
            continue
        is_array = isinstance(values, packages().array.Array)
        if is_array and not np.isnan(lengths).any() and values.chunks[0] != tuple(lengths):
            if values.shape[0] == sum(lengths):
                values = values.rechunk({0: tuple(lengths)})
            elif not np.isnan(values.shape[0]):
                raise ValueError(
                    "Found input variables with inconsistent numbers of samples: "
                    f"{first} has {sum(lengths)}, {name} has {values.shape[0]}."
                )
        cut[name] = partitions_of(values, name)
        if len(cut[name].parts) != len(lengths):
            raise ValueError(
                f"{first} has {len(lengths)} partitions, and {name} has {len(cut[name].parts)}: "
                "repartition one of them."
            )
    rows = list(zip(*(one.parts for one in cut.values()), strict=True))
    return rows, any(one.is_persisted for one in cut.values())


# == answers =======================================================================================


def mapped(
    local: Any, method: str, X: Any, *given: Any, pick: int | None = None, **named: Any
) -> Any:
    """Return what a fitted estimator's method says of each partition of X, as a lazy array.

    `pick` is which of several answers is meant.
    """
    found, array, dask = partitions_of(X, "X"), packages().array, packages().dask
    hollow = _hollow_answer(local, method, given, named, pick)
    answering = dask.delayed(answered, pure=False)
    parts = [
        array.from_delayed(
            answering(local, method, part, given, named, pick, hollow),
            (n, *hollow.shape[1:]),
            meta=hollow,
        )
        for part, n in zip(found.parts, found.lengths, strict=True)
    ]
    return array.concatenate(parts, allow_unknown_chunksizes=True)


def _hollow_answer(local: Any, method: str, given: Any, named: Any, pick: int | None) -> Any:
    """Return the answer for no rows, which has the shape and the type of others."""
    nameless = copy(local)
    vars(nameless).pop("feature_names_in_", None)
    dtype = nameless.coefs_[-1].dtype
    origin = np.zeros((1, local.n_features_in_), dtype)
    return answered(nameless, method, origin, given, named, pick)[:0]


def answered(
    local: Any,
    method: str,
    part: Any,
    given: Any,
    named: Any,
    pick: int | None = None,
    hollow: Any = None,
) -> Any:
    """Answer for a partition; one without rows has the hollow answer."""
    if hollow is not None and not n_rows_of(part):
        return hollow
    found = getattr(local, method)(part, *given, **named)
    return found if pick is None else found[pick]


def scored(local: Any, rows: Sequence[tuple[Any, ...]]) -> Any:
    """Return the score of a fitted estimator on partitions of X, y and weights, lazily."""
    delayed = packages().dask.delayed
    say, judge = delayed(_said, pure=False), delayed(_score, pure=False)
    return judge(local, [say(local, X, y, w) for X, y, w in rows])


def _said(local: Any, X: Any, y: Any, w: Any) -> Any:
    """Return the raw outputs of a partition beside its targets and weights."""
    if not n_rows_of(X):
        return None
    raw = local._raw(X)[1]
    return raw, Samples(X, local._kind.read(y)).y, check_weights(w, len(raw))


def _score(local: Any, parts: Sequence[Any]) -> float:
    """Score raw outputs, in the order of the partitions."""
    raws, targets, weights = zip(*(part for part in parts if part is not None), strict=True)
    ready, target, raw = copy(local), Fitted(local).answering, np.concatenate(raws)
    vars(ready)["_answered"] = lambda X, answer: (target, answer(target, raw))
    has_weights = all(w is not None for w in weights)
    return ready.score(None, stacked(targets), np.concatenate(weights) if has_weights else None)
