"""Plans: what is computed, in which order, before any array or number of rows is known.

    outputs -> lowered and shared -> factored -> order -> joined inputs, last uses

Each pass is a function below; a new one is a line in `Plan`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .expression import BATCH, Expression, apply, share, topological
from .primitives import BROADCAST_TO, CONCATENATE, MATMUL, PRIMITIVES, ROWS, TRANSPOSE


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
    kinds : dict of Expression to str
        How each depends on the rows of a batch: "fixed", "rows", "sum" or "whole".
    joined : dict of Expression to (Expression, int)
        Inputs that stand in the node which joins them to other columns, and from which on.
    roots : dict of Expression to Expression
        Whose memory each stands in.
    last_uses : dict of Expression to int
        Where in the order that memory is read last.
    """

    def __init__(self, outputs: Sequence[Expression]) -> None:
        self.asked = list(outputs)
        self.outputs = share(_factored(share(_lower(outputs))))
        self.order = _comparisons_first(topological(self.outputs))
        self.kinds = _row_kinds(self.order)
        self.joined = _joined(self.order)
        self.roots, self.last_uses = _lifetimes(self.order, self.outputs)


# -- passes over the graph -------------------------------------------------------------------------


def _lower(outputs: Sequence[Expression]) -> list[Expression]:
    """Replace primitives by the cheaper expressions that their rows name."""
    lowered: dict[Expression, Expression] = {}
    for node in topological(outputs):
        inputs = [lowered[x] for x in node.inputs]
        if node.primitive is None or not inputs:
            lowered[node] = node
        elif node.primitive.lowered is not None:
            lowered[node] = node.primitive.lowered(*inputs, **node.attributes)
        else:
            lowered[node] = apply(node.primitive, *inputs, **node.attributes)
    return [lowered[output] for output in outputs]


def _factored(outputs: list[Expression]) -> list[Expression]:
    """Take what scales rows and columns out of products: x.T (c r * m) = (c * x).T m * r.

    The gradient behind a network of one output is such a product: c is the slope at the output, r
    the weights of the last layer, and m the slope of the activation. Where x has fewer columns
    than m, that spares forming c r, a number for each sample and unit, and multiplying by it.
    """
    order = topological(outputs)
    users = Counter(x for node in order for x in node.inputs)
    users.update(outputs)
    instead = {}
    for node in order:
        if node.primitive is MATMUL and node.inputs[0].primitive is TRANSPOSE:
            (x,), scaled = node.inputs[0].inputs, node.inputs[1]
            found = _outer_product(scaled, users)
            columns = [x.shape[1], node.shape[1]]
            is_narrow = BATCH not in columns and int(columns[0]) <= int(columns[1])
            if found and is_narrow and not x.is_sparse:
                c, r, m = found
                instead[node] = ((x * c).T @ m) * r
    return share(outputs, instead) if instead else outputs


def _outer_product(
    node: Expression, users: Mapping[Any, int]
) -> tuple[Expression, Expression, Expression] | None:
    """Write a node, read once, as c r * m, with a column c and a row r, if it is so."""
    if node.primitive is not PRIMITIVES["multiply"] or users[node] != 1:
        return None
    for scaled, m in (node.inputs, node.inputs[::-1]):
        if scaled.shape != node.shape or users[scaled] != 1:
            continue
        if m.shape == node.shape and scaled.primitive is MATMUL and scaled.inputs[1].shape[0] == 1:
            return scaled.inputs[0], scaled.inputs[1], m * 1.0 if m.is_boolean else m
        if found := _outer_product(scaled, users):
            c, r, inner = found
            return c, r, inner * m
    return None


def _comparisons_first(order: list[Expression]) -> list[Expression]:
    """Compare as soon as the numbers are there: they are in the cache, truth values take less."""
    comparing: dict[Expression, list[Expression]] = {}
    for node in order:
        if node.is_boolean and len(node.inputs) == 2:
            compared, number = node.inputs
            if number.value is not None and not compared.is_boolean:
                comparing.setdefault(compared, []).append(node)
    moved = {test for tests in comparing.values() for test in tests}
    sooner = []
    for node in order:
        if node not in moved:
            sooner.append(node)
            tests = comparing.get(node, [])
            sooner += [x for test in tests for x in (test.inputs[1], test)]
    return list(dict.fromkeys(sooner))


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


_LINEAR = {"sum", "negative", "transpose", "index", "embed", "broadcast_to", "reshape"}


def _row_kinds(order: Sequence[Expression]) -> dict[Expression, str]:
    """Tell of every node how it depends on the rows of a batch.

    "fixed": not at all; "rows": row i on row i alone; "sum": a sum over the rows of something
    that depends on each alone; "whole": in any other way.
    """
    kinds: dict[Expression, str] = {}
    for node in order:
        inputs = [kinds[x] for x in node.inputs]
        of = set(inputs)
        name = node.primitive.name if node.primitive is not None else ""
        over_rows = any(BATCH in x.shape for x in node.inputs) and BATCH not in node.shape
        if node.primitive is None:
            kind = "rows" if BATCH in node.shape else "fixed"
        elif "whole" in of or node.primitive is ROWS or {"rows", "sum"} <= of:
            kind = "whole"
        elif "rows" in of or (not of - {"fixed"} and BATCH in node.shape):
            kind = "rows" if not over_rows else "sum" if name in ("sum", "matmul") else "whole"
        elif "sum" in of:
            linear = (
                name in _LINEAR
                or (name in ("add", "subtract", "concatenate") and of == {"sum"})
                or (name in ("multiply", "matmul") and inputs.count("sum") == 1)
                or (name == "divide" and inputs == ["sum", "fixed"])
            )
            kind = "sum" if linear and BATCH not in node.shape else "whole"
        else:
            kind = "fixed"
        kinds[node] = kind
    return kinds
