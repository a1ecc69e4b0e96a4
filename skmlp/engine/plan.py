"""Plans: what is computed, in which order, and where it stands in memory.

    outputs -> rewritten by the rules -> order -> row kinds, joined inputs, lifetimes -> offsets

Each pass is a function below. All but the last are done before any array or number of rows is
known; `offsets` turns lifetimes and sizes into places in one piece of memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from .expression import Expression, topological
from .memory import LINE_BYTES
from .primitives import BROADCAST_TO, CONCATENATE, MATMUL, ROWS
from .rules import rewritten
from .shapes import BATCH, size


class Plan:
    """What is to be computed, in which order: all that no array and no number of rows changes.

    It is never written again, so that many programs, and threads, can use one.

    Parameters
    ----------
    outputs : sequence of Expression
        What to compute.

    Attributes
    ----------
    asked : list of Expression
        What was asked for.
    outputs : list of Expression
        The same, lowered, equal subexpressions shared.
    order : list of Expression
        Every node, after its inputs.
    positions : dict of Expression to int
        Where in the order each stands.
    sizes : dict of Expression to int
        How many numbers each has, for one row.
    kinds : dict of Expression to str
        How each depends on the rows of a batch: "fixed", "rows", "sum" or "whole".
    joined : dict of Expression to (Expression, int)
        Inputs that stand in the node which joins them to other columns, and from which on.
    joins : set of Expression
        The nodes that they stand in.
    roots : dict of Expression to Expression
        Whose memory each stands in.
    last_uses : dict of Expression to int
        Where in the order that memory is read last.
    widest : int
        The most numbers that a node has for each row.
    largest_products : (int, int)
        The multiplications of the largest dense product that no number of rows changes, and, for
        each row, of the largest of the others.
    """

    def __init__(self, outputs: Sequence[Expression]) -> None:
        self.asked = list(outputs)
        self.outputs = rewritten(outputs)
        self.order = topological(self.outputs)
        self.positions = {node: position for position, node in enumerate(self.order)}
        self.sizes = {node: size(node.shape, 1) for node in self.order}
        self.widest = max((n for x, n in self.sizes.items() if BATCH in x.shape), default=1)
        self.kinds = _row_kinds(self.order)
        self.joined = _joined(self.order)
        self.joins = {whole for whole, _ in self.joined.values()}
        self.roots, self.last_uses = _lifetimes(self.order, self.outputs)
        self.largest_products = _largest_products(self.order)


# -- passes over the graph -------------------------------------------------------------------------


def is_repeated_constant(node: Expression) -> bool:
    """Tell whether a node is the same number or row for all rows."""
    return node.primitive is BROADCAST_TO and node.inputs[0].value is not None


def _joined(order: Sequence[Expression]) -> dict[Expression, tuple[Expression, int]]:
    """Find the inputs that are joined to constant columns, or each other: no copy is needed."""
    joined: dict[Expression, tuple[Expression, int]] = {}
    for node in order:
        if node.primitive is not CONCATENATE or node.ndim != 2 or node.attributes["axis"] != 1:
            continue
        starts = np.cumsum([0, *(int(x.shape[1]) for x in node.inputs)]).tolist()
        places = {x: (node, start) for x, start in zip(node.inputs, starts, strict=False)}
        inputs = {
            x: place
            for x, place in places.items()
            if x.primitive is None and x.shape[0] == BATCH and x.shape[1] != 0
        }
        are_free = len(places) == len(node.inputs) and not inputs.keys() & joined.keys()
        if are_free and all(x in inputs or is_repeated_constant(x) for x in places):
            joined |= inputs
    return joined


def _lifetimes(
    order: Sequence[Expression], outputs: Sequence[Expression]
) -> tuple[dict[Expression, Expression], dict[Expression, int]]:
    """Find whose memory each node stands in, and where that memory is read last."""
    roots: dict[Expression, Expression] = {}
    last_uses: dict[Expression, int] = {}
    for position, node in enumerate(order):
        is_view = node.primitive is not None and node.primitive.view is not None
        roots[node] = roots[node.inputs[0]] if is_view else node
        for x in node.inputs:
            last_uses[roots[x]] = position
    for output in outputs:
        last_uses[roots[output]] = len(order)
    return roots, last_uses


def _largest_products(order: Sequence[Expression]) -> tuple[int, int]:
    largest = {False: 0, True: 0}  # by whether there are more for more rows
    for node in order:
        if node.primitive is MATMUL and not any(x.is_sparse for x in node.inputs):
            shape = (*node.shape[-2:], node.inputs[0].shape[-1])
            largest[BATCH in shape] = max(largest[BATCH in shape], size(shape, 1))
    return largest[False], largest[True]


def _row_kinds(order: Sequence[Expression]) -> dict[Expression, str]:
    """Tell of every node how it depends on the rows of a batch.

    "fixed": not at all; "rows": row i on row i alone; "sum": a sum over the rows of something
    that depends on each alone; "whole": in any other way.
    """
    kinds: dict[Expression, str] = {}
    for node in order:
        inputs = [kinds[x] for x in node.inputs]
        of = set(inputs)
        over_rows = any(BATCH in x.shape for x in node.inputs) and BATCH not in node.shape
        if node.primitive is None:
            kind = "rows" if BATCH in node.shape else "fixed"
        elif "whole" in of or node.primitive is ROWS or {"rows", "sum"} <= of:
            kind = "whole"
        elif "rows" in of or (not of - {"fixed"} and BATCH in node.shape):
            kind = "rows" if not over_rows else "sum" if node.primitive.adds_rows else "whole"
        elif "sum" in of:
            is_sum = _is_linear_in_sums(node, inputs) and BATCH not in node.shape
            kind = "sum" if is_sum else "whole"
        else:
            kind = "fixed"
        kinds[node] = kind
    return kinds


def _is_linear_in_sums(node: Expression, kinds: Sequence[str]) -> bool:
    """Tell whether a node is linear in those of its inputs that are sums over the rows."""
    linear_in = node.primitive.linear_in  # type: ignore[union-attr]
    if linear_in == "all":
        return set(kinds) == {"sum"}
    if linear_in == "each":
        return kinds.count("sum") == 1
    return linear_in == "first" and kinds[0] == "sum" and kinds.count("sum") == 1


# -- memory ----------------------------------------------------------------------------------------


class Block(NamedTuple):
    """Memory of `size` bytes that is written at `first` and read for the last time at `last`.

    It may be written over one of the blocks in `over`, of its size and read last at its `first`.
    """

    size: int
    first: int
    last: int
    over: tuple[int, ...] = ()


def offsets(blocks: Sequence[Block]) -> tuple[list[int], int]:
    """Lay blocks, sorted by `first`, out in one piece of memory; return their starts and its size.

    No two of them meet while both are needed, and each starts at a line of the cache. In their
    order, a block is written over another if it may be, or else takes the smallest free space that
    it fits, or more at the end.

    Examples
    --------
    >>> offsets([Block(100, 0, 1), Block(100, 1, 2), Block(100, 1, 3, over=(0,)), Block(50, 3, 4)])
    ([0, 128, 0, 128], 256)
    """
    starts: list[int] = []
    free: dict[int, int] = {}  # by start, the size of free space
    busy: dict[int, int] = {}  # by block, the size of its space
    ends: list[tuple[int, int]] = []  # when that becomes free, soonest first
    total = 0
    for number, block in enumerate(blocks):
        while ends and ends[0][0] < block.first:
            ended = heappop(ends)[1]
            if ended in busy:
                _release(free, starts[ended], busy.pop(ended))
        size = -(-block.size // LINE_BYTES) * LINE_BYTES
        found = next((x for x in block.over if x in busy), None)
        fitting = [(space, start) for start, space in free.items() if space >= size]
        if found is not None:
            start = starts[found]
            del busy[found]
        elif fitting:
            space, start = min(fitting)
            del free[start]
            if space > size:
                free[start + size] = space - size
        else:
            start, total = total, total + size
        starts.append(start)
        busy[number] = size
        heappush(ends, (block.last, number))
    return starts, total


def _release(free: dict[int, int], start: int, size: int) -> None:
    """Give space back, as one with the free space that it touches."""
    if size == 0:
        return
    if start + size in free:
        size += free.pop(start + size)
    before = next((x for x, space in free.items() if x + space == start), None)
    if before is None:
        free[start] = size
    else:
        free[before] += size
