"""Rules: every rewrite of a graph, each to one with the same values that costs less.

    traced    SIMPLER    identities, as a node is made: x * 1, x ** 2, a - (-b)
    planned   LOWERED    primitives in terms of cheaper ones
              PLANNED    rewrites of whole graphs, one after another

A new rule is a function and its row. Equal subexpressions are shared before and after each.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import special

from .composites import logsumexp, softmax
from .expression import SIMPLER, Expression, apply, constant, topological
from .primitives import (
    MATMUL,
    PRIMITIVES,
    SUM,
    TRANSPOSE,
    WHERE,
    grown,
    is_number,
    straight_through,
)
from .shapes import BATCH, Shape

# == while tracing =================================================================================


def _simpler_multiply(a: Expression, b: Expression) -> Expression | None:
    for factor, other in ((a, b), (b, a)):
        if is_number(factor, 1):
            return other
        if is_number(factor, -1):
            return -other
        if other.primitive is PRIMITIVES["multiply"]:
            for inner, rest in (other.inputs, other.inputs[::-1]):
                powers = _power_of_two(factor), _power_of_two(inner)
                if None not in powers:  # of two, so that rounding is the same
                    return math.prod(powers) * rest  # type: ignore[arg-type]
    return None


def _power_of_two(node: Expression) -> float | None:
    if node.value is None or node.value.ndim or node.is_boolean:
        return None
    number = abs(float(node.value))
    return float(node.value) if math.frexp(number)[0] == 0.5 and 1e-9 < number < 1e9 else None


def _simpler_power(a: Expression, b: Expression) -> Any:
    if is_number(a, math.e):
        return np.exp(b)
    for exponent, form in _POWERS.items():
        if is_number(b, exponent):
            return form(a)
    return None


_POWERS: dict[float, Callable[[Any], Any]] = {
    0.0: np.ones_like,
    -1.0: np.reciprocal,
    0.5: np.sqrt,
    1.0: lambda a: a,
    2.0: np.square,
    3.0: lambda a: np.square(a) * a,
    4.0: lambda a: np.square(np.square(a)),
}


def _simpler_add(a: Expression, b: Expression) -> Any:
    for term, other in ((a, b), (b, a)):
        if is_number(term, 0):
            return other
        if term.primitive is PRIMITIVES["negative"]:
            return other - term.inputs[0]
    return None


# -- exponentials that would overflow: their ratios and logarithms need not ------------------------


def _exponent(node: Expression) -> Expression | None:
    """Return u where a node is exp(u) or 1 / exp(-u) and may overflow; 0 where it is 1."""
    if is_number(node, 1):
        return constant(0.0)
    name = node.primitive.name if node.primitive else ""
    if name == "exp":
        return None if _is_bounded(node.inputs[0]) else node.inputs[0]
    is_inverse = name == "reciprocal" or (name == "divide" and is_number(node.inputs[0], 1))
    inner = _exponent(node.inputs[-1]) if is_inverse else None
    return None if inner is None else -inner


def _is_bounded(u: Expression) -> bool:
    """Tell whether it was seen to that exp(u) does not overflow: u = -|x|, min(x, 80), x - max."""
    if u.primitive is None:
        return False
    name, (first, *rest) = u.primitive.name, u.inputs
    if name == "subtract":
        return rest[0].shape != u.shape or rest[0].primitive is PRIMITIVES["stop_gradient"]
    if name == "negative" or (name == "multiply" and first.value is not None):
        of = rest[0] if rest else first
        return of.primitive in (PRIMITIVES["absolute"], PRIMITIVES["square"])
    return name in ("minimum", "clip")


def _exponents(node: Expression, name: str) -> tuple[Expression, Expression] | None:
    """Return u and v where a node is exp(u) + exp(v), or another function of that name of them."""
    if node.primitive is not PRIMITIVES[name]:
        return None
    u, v = map(_exponent, node.inputs)
    return None if u is None or v is None else (u, v)


def _are_same(*pairs: tuple[Expression, Expression]) -> bool:
    return all(operator.is_(*share(pair)) for pair in pairs)


def _simpler_divide(a: Expression, b: Expression) -> Any:
    if is_number(b, 1):
        return a
    if terms := _exponents(b, "add"):
        return _over_two(a, *terms)
    if (u := _exponent(a)) is not None and (total := _exponents_summed(b)):
        v, axis = total
        return softmax(u, axis) if _are_same((u, v)) else None
    if b.primitive is PRIMITIVES["square"] and _exponents(b.inputs[0], "add"):
        return (a / b.inputs[0]) * (1 / b.inputs[0])
    if b.primitive is PRIMITIVES["cosh"]:
        (u,) = b.inputs
        is_tanh = a.primitive is PRIMITIVES["sinh"] and _are_same((a.inputs[0], u))
        return np.tanh(u) if is_tanh else 2 * a * np.exp(-np.logaddexp(u, -u))
    return None


def _over_two(a: Expression, u: Expression, v: Expression) -> Any:
    """Return a / (exp(u) + exp(v)): what is made of expit and tanh where it can be."""
    if difference := _exponents(a, "subtract"):
        for (p, q), sign in (((u, v), 0.5), ((v, u), -0.5)):
            if _are_same((difference[0], p), (difference[1], q)):
                return np.tanh(sign * (u - v))
    factors = a.inputs if a.primitive is PRIMITIVES["multiply"] else (constant(1.0), a)
    for rest, top in (factors, factors[::-1]):
        for this, other in ((u, v), (v, u)):
            if (w := _exponent(top)) is not None and _are_same((w, this)):
                return rest * special.expit(this - other)
    for this, other in ((u, v), (v, u)):
        if is_number(this, 0):
            return a * special.expit(-other)
    return a * np.exp(-np.logaddexp(u, v))


def _exponents_summed(node: Expression) -> tuple[Expression, tuple[int, ...]] | None:
    """Return u and the axis where a node is the sum of exp(u) over it, kept with length 1."""
    total = node.inputs[0] if node.primitive is PRIMITIVES["index"] else node
    if total.primitive is not SUM:
        return None
    (terms,), axis = total.inputs, total.attributes["axis"]
    u = _exponent(terms)
    is_kept = node.shape == tuple(1 if i in axis else d for i, d in enumerate(terms.shape))
    return (u, axis) if u is not None and is_kept else None


def _simpler_log(a: Expression) -> Any:
    if found := _exponents(a, "add"):
        return np.logaddexp(*found)
    if a.primitive is SUM and (u := _exponent(a.inputs[0])) is not None:
        return logsumexp(u, **a.attributes)
    if a.primitive is PRIMITIVES["cosh"]:
        return np.logaddexp(a.inputs[0], -a.inputs[0]) - math.log(2)
    if a.primitive is PRIMITIVES["divide"] and a.inputs[0].primitive is PRIMITIVES["exp"]:
        top, total = a.inputs
        is_softmax = total.primitive is SUM and total.inputs[0] is top
        return top.inputs[0] - np.log(total) if is_softmax else None
    if a.primitive is PRIMITIVES["expit"]:
        return special.log_expit(a.inputs[0])
    if a.primitive is PRIMITIVES["subtract"] and is_number(a.inputs[0], 1):
        return _simpler_log1p(-a.inputs[1])
    return None


def _simpler_log1p(a: Expression) -> Any:
    if (u := _exponent(a)) is not None and not is_number(a, 1):
        return np.logaddexp(u, 0)
    if a.primitive is PRIMITIVES["negative"] and a.inputs[0].primitive is PRIMITIVES["expit"]:
        return special.log_expit(-a.inputs[0].inputs[0])
    return None


# -- choices: what is not chosen may be infinite, and its slope times 0 would be NaN ---------------


# Functions that are not finite everywhere, and which of their inputs is to be 0.5 where it is not
# chosen; 1.5 for arccosh.
_RISKY = {
    **dict.fromkeys(("exp", "exp2", "expm1", "sinh", "cosh", "tan", "reciprocal", "cbrt"), (0,)),
    **dict.fromkeys(("log", "log2", "log10", "log1p", "sqrt", "logit", "gamma", "gammaln"), (0,)),
    **dict.fromkeys(("arcsin", "arccos", "arctanh", "arccosh", "erfinv", "ndtri"), (0,)),
    "divide": (1,),
    "power": (0, 1),
    "xlogy": (1,),
    "xlog1py": (1,),
}


_CAREFUL = ("maximum", "minimum", "clip", "where")


def _simpler_where(condition: Expression, a: Expression, b: Expression) -> Expression:
    known = set(topological([condition]))
    a, b = _guarded(a, condition, known), _guarded(b, ~condition, known)
    return apply(WHERE, condition, a, b)


def _guarded(branch: Expression, chosen: Expression, known: Container[Expression]) -> Expression:
    """Return a branch that computes the same where it is chosen, and is finite elsewhere.

    What is made of something bounded or chosen before is left alone: its author saw to it.
    """
    guarded: dict[Expression, Expression] = {}
    cared_for: set[Expression] = set()

    def is_leaf(node: Expression) -> bool:
        return node in known or not (
            node.primitive is not None and isinstance(node.primitive.function, np.ufunc)
        )

    for node in topological([branch], is_leaf=is_leaf):
        guarded[node], primitive = node, node.primitive
        if node in known or primitive is None:
            continue
        if primitive.name in _CAREFUL or any(x in cared_for for x in node.inputs):
            cared_for.add(node)
        if is_leaf(node):
            continue
        inputs = [guarded[x] for x in node.inputs]
        for at in () if node in cared_for else _RISKY.get(primitive.name, ()):
            x = inputs[at]
            if x.value is None and _reaches(chosen.shape, x.shape):
                value = apply(WHERE, chosen, x, 1.5 if primitive.name == "arccosh" else 0.5)
                inputs[at] = straight_through(value, x)  # what comes back to it is masked already
        if any(map(operator.is_not, inputs, node.inputs)):
            guarded[node] = apply(primitive, *inputs)
    return guarded[branch]


def _reaches(shape: Shape, other: Shape) -> bool:
    """Tell whether arrays of a shape are repeated to another one, which does not change."""
    pairs = zip(reversed(shape), reversed(other), strict=False)
    return len(shape) <= len(other) and all(a in (1, b) for a, b in pairs)


SIMPLER |= {
    "add": _simpler_add,
    "subtract": lambda a, b: a if is_number(b, 0) else -b if is_number(a, 0) else None,
    "multiply": _simpler_multiply,
    "divide": _simpler_divide,
    "reciprocal": lambda a: _simpler_divide(constant(1.0), a),
    "log": _simpler_log,
    "log1p": _simpler_log1p,
    "where": _simpler_where,
    "negative": lambda a: a.inputs[0] if a.primitive is PRIMITIVES["negative"] else None,
    "power": _simpler_power,
}

# == while planning ================================================================================


# Nodes as they are: rules of tracing would make these what they stand for.
_reciprocal, _log1p = (partial(apply, PRIMITIVES[name]) for name in ("reciprocal", "log1p"))


def _lower_logaddexp(a: Expression, b: Expression) -> Any:
    for zero, z in ((a, b), (b, a)):
        if is_number(zero, 0):
            return np.maximum(z, np.log1p(grown(z)))
    apart = np.where(a == b, 0.0, -np.abs(a - b))  # equal infinities are not apart
    return np.maximum(a, b) + _log1p(np.exp(apart))


# What runs instead of a primitive: cheaper ones with the same value.
LOWERED: dict[str, Callable[..., Any]] = {
    "logaddexp": _lower_logaddexp,
    "clip": lambda a, low, high: np.minimum(np.maximum(a, low), high),
    "expit": lambda a: _reciprocal(1 + np.exp(-a)),
    "log_expit": lambda a: np.minimum(a, 0) - _log1p(np.exp(-np.abs(a))),
    "straight_through": lambda value, surrogate: value,
    "stop_gradient": lambda value: value,
}


def lowered(outputs: Sequence[Expression]) -> list[Expression]:
    """Replace primitives by what `LOWERED` has for them."""
    cheaper: dict[Expression, Expression] = {}
    for node in topological(outputs):
        inputs = [cheaper[x] for x in node.inputs]
        if node.primitive is None or not inputs:
            cheaper[node] = node
        elif node.primitive.name in LOWERED:
            cheaper[node] = LOWERED[node.primitive.name](*inputs, **node.attributes)
        else:
            cheaper[node] = apply(node.primitive, *inputs, **node.attributes)
    return [cheaper[output] for output in outputs]


def share(
    outputs: Sequence[Expression], instead: Mapping[Expression, Expression] | None = None
) -> list[Expression]:
    """Rebuild expressions so that equal subexpressions are one node."""
    canonical: dict[Expression, Expression] = {}
    known: dict[Any, Expression] = {}
    instead = instead or {}
    for node in topological(outputs, instead):
        if node in instead:
            canonical[node] = canonical[instead[node]]
            continue
        inputs = tuple(canonical[x] for x in node.inputs)
        if node.value is not None:
            key: Any = (node.value.tobytes(), node.value.shape, node.value.dtype.str)
        elif node.primitive is None:
            key = node
        else:
            key = (node.primitive, inputs, repr(node.attributes))
        if key not in known:
            if node.primitive is None or all(map(operator.is_, inputs, node.inputs)):
                known[key] = node
            else:
                known[key] = apply(node.primitive, *inputs, **node.attributes)
                known[key].name = node.name
        canonical[node] = known[key]
    return [canonical[output] for output in outputs]


def factored(outputs: list[Expression]) -> list[Expression]:
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
        if node.primitive is MATMUL and node.ndim == 2 and node.inputs[0].primitive is TRANSPOSE:
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


def stacked(outputs: list[Expression]) -> list[Expression]:
    """Write x W + b as [x, 1] [W; b], where the gradients of W and b are asked for too.

    With g the gradient of the sum, those are x.T g and the sum of g over the rows, both in one
    product, [x, 1].T g. That spares a pass over the units forward and one back; where W and b are
    neighbors in memory, and their gradients, nothing is copied. It pays where x, an input, has no
    more columns than there are units, and needs W and b to be read nowhere else.
    """
    order = topological(outputs)
    users = Counter(x for node in order for x in node.inputs)
    instead: dict[Expression, Any] = {}
    for node in order:
        if node.primitive is not PRIMITIVES["add"] or node.inputs[0].primitive is not MATMUL:
            continue
        (product, b), (x, W) = node.inputs, node.inputs[0].inputs
        are_plain = all(
            v.primitive is None and v.value is None and not v.is_sparse for v in (x, W, b)
        )
        are_read_once = users[W] == users[b] == users[product] == 1
        is_layer = W.ndim == 2 and b.shape == W.shape[1:] and node.shape == (BATCH, *b.shape)
        if not (are_plain and are_read_once and is_layer) or int(x.shape[1]) > int(W.shape[1]):
            continue
        for dW, db in _gradient_pairs(outputs, x):
            with_ones: Any = np.concatenate([x, np.ones((1, 1))], axis=1)
            both: Any = with_ones.T @ dW.inputs[1]
            instead[node] = with_ones @ np.concatenate([W, b[None, :]], axis=0)
            instead |= {dW: both[:-1], db: both[-1]}
    return share(outputs, instead) if instead else outputs


def _gradient_pairs(
    outputs: list[Expression], x: Expression
) -> Iterator[tuple[Expression, Expression]]:
    """Find x.T g among outputs, for some g, with the sum of g over the rows."""
    sums = {
        node.inputs[0]: node
        for node in outputs
        if node.primitive is SUM and node.attributes == {"axis": (0,), "keepdims": False}
    }
    for node in outputs:
        if node.primitive is MATMUL and node.inputs[0].primitive is TRANSPOSE:
            (columns,), g = node.inputs[0].inputs, node.inputs[1]
            if columns is x and g in sums and g.ndim == 2:
                yield node, sums[g]


def rewritten(outputs: Sequence[Expression]) -> list[Expression]:
    """Return outputs of the same values that cost less to compute."""
    results = share(lowered(outputs))
    for rule in PLANNED:
        results = share(rule(results))
    return results


PLANNED: tuple[Callable[[list[Expression]], list[Expression]], ...] = (stacked, factored)
