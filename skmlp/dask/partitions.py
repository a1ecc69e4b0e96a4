"""Collections of Dask as partitions: on their way to the workers, and as lazy answers.

The law: nothing of a collection is computed here, but lengths are compared where they are known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..engine.words import shown
from ..training.warn import warn
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
    """Return the partitions of a dask array, data frame or bag, or of a list of delayed ones.

    Raises
    ------
    TypeError
        If it is none of them.
    """
    dask, distributed = packages().dask, packages().distributed
    is_lazy = lambda part: dask.is_dask_collection(part) or isinstance(part, distributed.Future)  # noqa: E731
    if isinstance(values, (list, tuple)) and len(values) and all(map(is_lazy, values)):
        parts = [part if hasattr(part, "dask") else dask.delayed(part) for part in values]
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


def aligned_partitions(given: dict[str, Any]) -> tuple[list[tuple[Any, ...]], bool]:
    """Return the partitions of X, y and weights side by side, and whether some are on workers.

    Arrays of known lengths are cut as X is; whatever else must have as many partitions.
    """
    (first, X), *_ = given.items()
    cut = {first: partitions_of(X, first)}
    lengths = cut[first].lengths
    for name, values in list(given.items())[1:]:
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


def mapped(answer: Callable[[Any], Any], X: Any, sample: np.ndarray) -> Any:
    """Return what `answer` says of each partition of X, as a lazy array.

    `sample` is an answer for one row, which tells its shape and its type.
    """
    found, array, dask = partitions_of(X, "X"), packages().array, packages().dask
    answered = dask.delayed(answered_part, pure=False)
    hollow = sample[:0]
    parts = [
        array.from_delayed(
            answered(answer, part, hollow), (n, *sample.shape[1:]), dtype=sample.dtype, meta=hollow
        )
        for part, n in zip(found.parts, found.lengths, strict=True)
    ]
    return array.concatenate(parts, allow_unknown_chunksizes=True)


def answered_part(answer: Callable[[Any], Any], part: Any, hollow: np.ndarray) -> Any:
    """Answer for a partition; one without rows has no answers."""
    n_rows = part.shape[0] if hasattr(part, "shape") else len(part)
    return answer(part) if n_rows else hollow
