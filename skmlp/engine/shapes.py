"""Shapes: tuples of whole numbers whose first entry may be `BATCH`, the rows of a batch."""

from __future__ import annotations

import math
from typing import Any, NoReturn


class Rows:
    """The number of rows, "n" in shapes, which is known only when a program runs."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) or (isinstance(other, str) and other == "n")

    def __hash__(self) -> int:
        return hash("n")

    def __repr__(self) -> str:
        return "n"

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError(  # NumPy replaces a TypeError by its own
            "the number of rows is known only when a program runs: write np.zeros_like(z) or "
            "np.ones_like(z[:, :1]) instead of np.zeros(z.shape), np.mean instead of dividing by "
            "z.shape[0], and dropout= or input_noise= for noise"
        )

    __index__ = __int__ = __float__ = __array_ufunc__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __pow__ = __rpow__ = _refuse
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __neg__ = _refuse


BATCH: Any = Rows()  # the symbolic first axis: the rows of a batch
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
    # Whole numbers are told first: most are, and each fit asks hundreds of times.
    return tuple([d if type(d) is int else rows if d == BATCH else int(d) for d in shape])


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
