r"""The table of operators: how each primitive is written in ONNX.

The law of a row: it computes what the primitive's function does, in the precision of the graph that
it is written into. A row is the name of one ONNX operator, or a function

    write(w, a, b, ..., **attributes) -> value

of a writer and of values: `w.add("Tanh", a)` adds an operator and returns its result, numbers and
arrays stand for constants, values are added, multiplied and compared as they are, and `a.shape` is
the shape of an input, as of expressions. `w.is_double` tells the precision: ONNX Runtime lacks some
operators for double numbers, which are then made of those that it has. Nothing here imports ONNX.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev
from scipy import special

from .expression import Primitive
from .primitives import PRIMITIVES
from .shapes import BATCH

Operator = str | Callable[..., Any]

_HALF_PI = math.pi / 2


# == made of the operators that there are ==========================================================


def _is_negative(w: Any, a: Any) -> Any:
    """Tell the sign apart, of zeros too."""
    return (a < 0) | (w.add("Reciprocal", a) < 0)


def _copysign(w: Any, a: Any, b: Any) -> Any:
    size = w.add("Abs", a)
    return w.add("Where", _is_negative(w, b), -size, size)


def _remainder(w: Any, a: Any, b: Any) -> Any:
    """Take the sign of b, as NumPy and Python do; ONNX has C's fmod alone, with that of a."""
    rest = w.add("Mod", a, b, fmod=1)
    is_other = (w.add("Sign", rest) * w.add("Sign", b)) < 0
    return w.add("Where", is_other, rest + b, rest)


def _floor_divide(w: Any, a: Any, b: Any) -> Any:
    whole = w.add("Round", (a - _remainder(w, a, b)) / b)
    return w.add("Where", w.add("Equal", b, 0.0), a / b, whole)


def _hypot(w: Any, a: Any, b: Any) -> Any:
    a, b = w.add("Abs", a), w.add("Abs", b)
    large, small = w.add("Max", a, b), w.add("Min", a, b)
    ratio = small / w.add("Where", w.add("Equal", large, 0.0), 1.0, large)
    return large * w.add("Sqrt", 1.0 + ratio * ratio)


def _log1p(w: Any, a: Any) -> Any:
    """Undo the rounding of 1 + a: Goldberg, ACM Computing Surveys 23 (1991), theorem 4."""
    total = a + 1.0
    added = total - 1.0
    is_lost = w.add("Equal", added, 0.0)
    is_whole = w.add("Equal", added, a)  # of infinity too
    ratio = a / w.add("Where", is_lost | is_whole, 1.0, added)
    product = w.add("Log", total) * w.add("Where", is_whole, 1.0, ratio)
    return w.add("Where", is_lost, a, product)


def _logaddexp(w: Any, a: Any, b: Any) -> Any:
    apart = w.add("Where", w.add("Equal", a, b), 0.0, -w.add("Abs", a - b))
    return w.add("Max", a, b) + _log1p(w, w.add("Exp", apart))


# -- circular and hyperbolic functions, whose double kernels ONNX Runtime lacks --------------------


def _cos(w: Any, a: Any) -> Any:
    return w.add("Sin", a + _HALF_PI) if w.is_double else w.add("Cos", a)


def _tan(w: Any, a: Any) -> Any:
    return w.add("Sin", a) / _cos(w, a) if w.is_double else w.add("Tan", a)


def _arctan(w: Any, a: Any) -> Any:
    """Refine the angle in single precision by the tangent of what it lacks, about 1e-7."""
    if not w.is_double:
        return w.add("Atan", a)
    a = w.add("Min", w.add("Max", a, -1e300), 1e300)
    angle = w.cast(w.add("Atan", w.cast(a, np.float32)), np.float64)
    sine, cosine = w.add("Sin", angle), _cos(w, angle)
    return angle + (a * cosine - sine) / (a * sine + cosine)


def _arctan2(w: Any, a: Any, b: Any) -> Any:
    is_left = _is_negative(w, b)
    are_zero = w.add("Equal", w.add("Abs", a) + w.add("Abs", b), 0.0)
    slope = a / w.add("Where", are_zero, 1.0, b)
    angle = w.add("Where", are_zero, a, _arctan(w, slope))
    turned = angle + w.add("Where", _is_negative(w, a), -math.pi, math.pi)
    # Left of the axis the angle of a / b is that of the point across: of -0 too.
    turned = w.add("Where", are_zero, _copysign(w, w.constant(math.pi), a), turned)
    return w.add("Where", is_left, turned, angle)


def _arcsin(w: Any, a: Any) -> Any:
    if not w.is_double:
        return w.add("Asin", a)
    return _arctan(w, a / w.add("Sqrt", (1.0 - a) * (1.0 + a)))


def _arccos(w: Any, a: Any) -> Any:
    if not w.is_double:
        return w.add("Acos", a)
    return 2.0 * _arctan(w, w.add("Sqrt", (1.0 - a) / (1.0 + a)))


def _cosh(w: Any, a: Any) -> Any:
    if not w.is_double:
        return w.add("Cosh", a)
    return 0.5 * w.add("Exp", a) + 0.5 * w.add("Exp", -a)


def _sinh(w: Any, a: Any) -> Any:
    if not w.is_double:
        return w.add("Sinh", a)
    return w.add("Tanh", a * 0.5) * (1.0 + _cosh(w, a))


def _far_logarithm(w: Any, size: Any, near: Any) -> Any:
    """Take log(2 a) where a square would overflow."""
    far = w.add("Log", size) + math.log(2)
    return w.add("Where", size > 1e8, far, near)


def _odd(w: Any, a: Any, of_size: Callable[[Any], Any]) -> Any:
    return w.add("Sign", a) * of_size(w.add("Abs", a))


def _arcsinh_of_size(w: Any, a: Any) -> Any:
    size = w.add("Min", a, 1e8)
    square = size * size
    near = _log1p(w, size + square / (1.0 + w.add("Sqrt", 1.0 + square)))
    return _far_logarithm(w, a, near)


def _arccosh(w: Any, a: Any) -> Any:
    size = w.add("Min", a, 1e8)
    root = w.add("Sqrt", size - 1.0) * w.add("Sqrt", size + 1.0)
    near = _log1p(w, (size - 1.0) + root)
    return _far_logarithm(w, a, near)


# -- the normal distribution -----------------------------------------------------------------------


@lru_cache(2)
def _erfcx_series(degree: int) -> np.ndarray:
    """Return the Chebyshev series of log(erfcx(z) / t) in 2 t - 1, with t = 2 / (2 + z), z >= 0.

    Press et al., Numerical Recipes (2007), section 6.2.2, have erfc so.
    """

    def values(u: np.ndarray) -> np.ndarray:
        t = (u + 1) / 2
        return np.log(special.erfcx(2 / t - 2) / t)

    return chebyshev.chebinterpolate(values, degree)


def _erfcx_of_size(w: Any, size: Any) -> Any:
    """Write erfcx(z) of z >= 0, by Clenshaw's recurrence."""
    t = 2.0 / (2.0 + size)
    twice = 4.0 * t - 2.0
    series = _erfcx_series(28 if w.is_double else 12)
    one, two = w.constant(series[-1]), w.constant(0.0)
    for coefficient in series[-2:0:-1]:
        one, two = twice * one - two + float(coefficient), one
    return t * w.add("Exp", 0.5 * twice * one - two + float(series[0]))


def _erfcx(w: Any, a: Any) -> Any:
    upper = _erfcx_of_size(w, w.add("Abs", a))
    return w.add("Where", a < 0, 2.0 * w.add("Exp", a * a) - upper, upper)


def _erfc(w: Any, a: Any) -> Any:
    upper = _erfcx_of_size(w, w.add("Abs", a)) * w.add("Exp", -(a * a))
    return w.add("Where", a < 0, 2.0 - upper, upper)


def _erf(w: Any, a: Any) -> Any:
    return 1.0 - _erfc(w, a) if w.is_double else w.add("Erf", a)


def _ndtr(w: Any, a: Any) -> Any:
    if w.is_double:
        return 0.5 * _erfc(w, a * -math.sqrt(0.5))
    return 0.5 * w.add("Erf", a * math.sqrt(0.5)) + 0.5


def _log_ndtr(w: Any, a: Any) -> Any:
    """Write the left tail through erfcx, the right one as log(1 - the other tail)."""
    size = w.add("Abs", a) * math.sqrt(0.5)
    log_tail = w.add("Log", 0.5 * _erfcx_of_size(w, size)) - size * size
    return w.add("Where", a < 0, log_tail, _log1p(w, -w.add("Exp", log_tail)))


# -- products with logarithms ----------------------------------------------------------------------


def _xlogy(w: Any, a: Any, b: Any) -> Any:
    is_nothing = w.add("Equal", a, 0.0) & ~w.add("IsNaN", b)
    return w.add("Where", is_nothing, 0.0, a * w.add("Log", b))


def _xlog1py(w: Any, a: Any, b: Any) -> Any:
    is_nothing = w.add("Equal", a, 0.0) & ~w.add("IsNaN", b)
    return w.add("Where", is_nothing, 0.0, a * _log1p(w, b))


def _entr(w: Any, a: Any) -> Any:
    at_ends = w.add("Where", w.add("Equal", a, 0.0), 0.0, -math.inf)
    return w.add("Where", a > 0, -(a * w.add("Log", a)), at_ends)


def _rel_entr(w: Any, a: Any, b: Any) -> Any:
    is_nothing = w.add("Equal", a, 0.0) & (b >= 0)
    elsewhere = w.add("Where", is_nothing, 0.0, math.inf)
    return w.add("Where", (a > 0) & (b > 0), a * w.add("Log", a / b), elsewhere)


def _sinc(w: Any, a: Any) -> Any:
    x = math.pi * w.add("Where", w.add("Equal", a, 0.0), 1e-20, a)
    return w.add("Sin", x) / x


# -- choices ---------------------------------------------------------------------------------------


def _maximum(w: Any, a: Any, b: Any) -> Any:
    for bound, other in ((a, b), (b, a)):
        if bound.is_zero and not other.is_zero:
            return w.add("Relu", other)
    return w.add("Max", a, b)


def _fewer(choice: str) -> Callable[..., Any]:
    """Make fmax or fmin: of a number and a NaN they return the number."""

    def write(w: Any, a: Any, b: Any) -> Any:
        no_b = w.add("Where", w.add("IsNaN", b), a, w.add(choice, a, b))
        return w.add("Where", w.add("IsNaN", a), b, no_b)

    return write


def _heaviside(w: Any, a: Any, b: Any) -> Any:
    step = w.add("Where", a > 0, 1.0, w.add("Where", a < 0, 0.0, a))
    return w.add("Where", w.add("Equal", a, 0.0), b, step)


def _nan_to_num(w: Any, a: Any, *, nan: float, posinf: Any, neginf: Any) -> Any:
    limits = np.finfo(w.dtype)
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    a = w.add("Where", w.add("IsNaN", a), nan, a)
    is_infinite = w.add("IsInf", a)
    return w.add("Where", is_infinite, w.add("Where", a > 0, high, low), a)


# -- the same numbers in another shape -------------------------------------------------------------


def _index(w: Any, a: Any, *, key: tuple[Any, ...]) -> Any:
    cuts, numbers, new = [], [], []
    axis = place = 0  # in the input, and in the result
    for item in key:
        if item is None:
            new.append(place)
        elif isinstance(item, slice):
            if item != slice(None):
                cuts.append((axis, *_ends(item, a.shape[axis])))
        else:
            numbers.append((axis, int(item)))
        axis += item is not None
        place += item is None or isinstance(item, slice)
    if cuts:
        axes, starts, stops, steps = (np.array(x, np.int64) for x in zip(*cuts, strict=True))
        a = w.add("Slice", a, starts, stops, axes, steps)
    for at, number in reversed(numbers):
        a = w.add("Gather", a, np.array(number, np.int64), axis=at)
    return w.add("Unsqueeze", a, np.array(new, np.int64)) if new else a


def _ends(item: slice, length: Any) -> tuple[int, int, int]:
    """Return start, stop and step, where a stop before the first is far below 0, as ONNX has it."""
    start, stop, step = item.indices(int(length))
    return start, (-int(length) - 1 if stop < 0 else stop), step


def _reshape(w: Any, a: Any, *, shape: Any) -> Any:
    # 0 is the length that the input has there: rows stay first.
    return w.add("Reshape", a, np.array([0 if d == BATCH else d for d in shape], np.int64))


def _ranks(w: Any, keys: Any, axis: int, length: Any) -> Any:
    """Write where an axis has its smallest key, its second, and so on; equal ones as they come."""
    k = np.array([int(length)], np.int64)
    return w.add("TopK", keys, k, axis=axis, largest=0, outputs=2)[1]


def _in_order(w: Any, a: Any, keys: Any, *, axis: int) -> Any:
    return w.add("GatherElements", a, _ranks(w, keys, axis, keys.shape[axis]), axis=axis)


def _out_of_order(w: Any, a: Any, keys: Any, *, axis: int) -> Any:
    length = keys.shape[axis]
    places = _ranks(w, _ranks(w, keys, axis, length), axis, length)
    return w.add("GatherElements", a, places, axis=axis)


def _row_numbers(w: Any, a: Any) -> Any:
    """Turn what is no row number into one that no table has, so that the runtime refuses it."""
    is_whole = w.add("Equal", a, w.add("Floor", a)) & (a >= 0)
    return w.cast(w.add("Where", is_whole, a, 2.0**53), np.int64)


def _matmul(w: Any, a: Any, b: Any) -> Any:
    """Keep ONNX Runtime 1.20 from fusing a transpose with a product, which it lacks for doubles."""
    if w.is_double and "Transpose" in (a.operator, b.operator):
        return w.add("Einsum", a, b, equation="...ij,...jk->...ik")
    return w.add("MatMul", a, b)


def _reduced(name: str) -> Callable[..., Any]:
    def write(w: Any, a: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
        return w.reduce(name, a, axis, keepdims)

    return write


# == the table =====================================================================================

OPERATORS: Mapping[str, Operator] = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "negative": "Neg",
    "reciprocal": "Reciprocal",
    "square": lambda w, a: a * a,
    "sqrt": "Sqrt",
    "cbrt": lambda w, a: _odd(w, a, lambda size: w.add("Pow", size, 1 / 3)),
    "power": "Pow",
    "hypot": _hypot,
    "exp": "Exp",
    "exp2": lambda w, a: w.add("Pow", 2.0, a),
    "expm1": lambda w, a: w.add("Tanh", a * 0.5) * (w.add("Exp", a) + 1.0),
    "log": "Log",
    "log2": lambda w, a: w.add("Log", a) * (1 / math.log(2)),
    "log10": lambda w, a: w.add("Log", a) * (1 / math.log(10)),
    "log1p": _log1p,
    "logaddexp": _logaddexp,
    "sin": "Sin",
    "cos": _cos,
    "tan": _tan,
    "arcsin": _arcsin,
    "arccos": _arccos,
    "arctan": _arctan,
    "arctan2": _arctan2,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": "Tanh",
    "arcsinh": lambda w, a: _odd(w, a, lambda size: _arcsinh_of_size(w, size)),
    "arccosh": _arccosh,
    "arctanh": lambda w, a: 0.5 * (_log1p(w, a) - _log1p(w, -a)),
    "absolute": "Abs",
    "maximum": _maximum,
    "minimum": "Min",
    "copysign": _copysign,
    "sign": "Sign",
    "floor": "Floor",
    "ceil": "Ceil",
    "trunc": lambda w, a: _odd(w, a, lambda size: w.add("Floor", size)),
    "rint": "Round",
    "heaviside": _heaviside,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": lambda w, a, b: w.add("Mod", a, b, fmod=1),
    "fmax": _fewer("Max"),
    "fmin": _fewer("Min"),
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "equal": "Equal",
    "not_equal": lambda w, a, b: ~w.add("Equal", a, b),
    "logical_and": "And",
    "logical_or": "Or",
    "logical_xor": "Xor",
    "logical_not": "Not",
    "bitwise_and": "And",
    "bitwise_or": "Or",
    "bitwise_xor": "Xor",
    "invert": "Not",
    "isfinite": lambda w, a: ~(w.add("IsNaN", a) | w.add("IsInf", a)),
    "isnan": "IsNaN",
    "isinf": "IsInf",
    "signbit": _is_negative,
    "where": "Where",
    "clip": lambda w, a, low, high: w.add("Min", w.add("Max", a, low), high),
    "nan_to_num": _nan_to_num,
    "sinc": _sinc,
    "expit": lambda w, a: w.add("Reciprocal", 1.0 + w.add("Exp", -a)),
    "log_expit": lambda w, a: w.add("Min", a, 0.0) - _log1p(w, w.add("Exp", -w.add("Abs", a))),
    "logit": lambda w, a: w.add("Log", a) - _log1p(w, -a),
    "erf": _erf,
    "erfc": _erfc,
    "erfcx": _erfcx,
    "ndtr": _ndtr,
    "log_ndtr": _log_ndtr,
    "xlogy": _xlogy,
    "xlog1py": _xlog1py,
    "entr": _entr,
    "rel_entr": _rel_entr,
    "straight_through": lambda w, value, surrogate: value,
    "stop_gradient": lambda w, value: value,
    "sum": _reduced("ReduceSum"),
    "max": _reduced("ReduceMax"),
    "min": _reduced("ReduceMin"),
    "prod": _reduced("ReduceProd"),
    "rows": lambda w: w.add("Reshape", w.cast(w.rows, w.dtype), np.array([], np.int64)),
    "matmul": _matmul,
    "transpose": lambda w, a: w.add("Transpose", a, perm=[1, 0]),
    "permute": lambda w, a, axes: w.add("Transpose", a, perm=list(axes)),
    "index": _index,
    "broadcast_to": lambda w, a, shape: w.add("Expand", a, w.lengths(shape)),
    "reshape": _reshape,
    "concatenate": lambda w, *parts, axis: w.add("Concat", *parts, axis=axis),
    "take": lambda w, table, index: w.add("Gather", table, index, axis=0),
    "row_numbers": _row_numbers,
    "in_order": _in_order,
    "out_of_order": _out_of_order,
}

# The same of truth values alone, where ONNX has another operator for those.
OF_TRUTH_VALUES: Mapping[str, Operator] = {
    "add": "Or",
    "multiply": "And",
    "maximum": "Or",
    "minimum": "And",
    "absolute": lambda w, a: a,
    "where": lambda w, c, a, b: (c & a) | (~c & b),
    "max": lambda w, a, axis, keepdims: (
        w.reduce("ReduceMax", w.cast(a, w.dtype), axis, keepdims) > 0
    ),
    "min": lambda w, a, axis, keepdims: (
        w.reduce("ReduceMin", w.cast(a, w.dtype), axis, keepdims) > 0
    ),
}

# Those that ONNX has no operator for; gradients are made of the last two alone.
WITHOUT_OPERATOR = frozenset(
    {"erfinv", "ndtri", "gamma", "gammaln", "psi", "betaln", "zeta", "embed", "add_rows"}
)


def operator_of(primitive: Primitive, *, are_truth_values: bool = False) -> Operator | None:
    """Return the operator of a primitive, of truth values or of numbers; None if it has none."""
    if primitive.operator is not None:
        return primitive.operator
    if PRIMITIVES.get(primitive.name) is not primitive:
        return None
    if are_truth_values and primitive.name in OF_TRUTH_VALUES:
        return OF_TRUTH_VALUES[primitive.name]
    return OPERATORS.get(primitive.name)
