"""Shapes: tuples of whole numbers whose first entry may be `BATCH`, the rows of a batch."""

from __future__ import annotations

import math

BATCH = "n"  # the symbolic first axis: the rows of a batch
Shape = tuple[int | str, ...]


def shape_text(shape: Shape) -> str:
    """Write a shape as NumPy does, with n for the batch axis: (n, 3)."""
    inside = ", ".join(str(d) for d in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"


def size(shape: Shape, rows: int) -> int:
    """Count the numbers in an array of `shape` in a batch of `rows`."""
    return math.prod(concrete(shape, rows))


def concrete(shape: Shape, rows: int) -> tuple[int, ...]:
    """Put the number of rows in place of `BATCH`."""
    return tuple(rows if d == BATCH else int(d) for d in shape)


def broadcast(*shapes: Shape) -> Shape:
    """Broadcast shapes as NumPy does; the batch axis fits itself and 1, and stands once."""
    ndim = max((len(s) for s in shapes), default=0)
    result: list[int | str] = []
    for position in range(-ndim, 0):
        sizes = {s[position] for s in shapes if len(s) >= -position} - {1}
        if len(sizes) > 1 or (BATCH in sizes and BATCH in result):
            texts = " and ".join(shape_text(s) for s in shapes)
            hint = "; one value a row is z[:, None] beside columns" if BATCH in sizes else ""
            raise ValueError(f"shapes {texts} do not fit together{hint}")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)
