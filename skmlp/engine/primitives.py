"""The table of primitives: what can be computed, and how it is differentiated.

The law of a row: with `y = f(a, b, ...)` and `g` the gradient of a scalar with respect to `y`,
the pullback of `a` is the gradient with respect to `a`, as an expression

    g, y, a, b, ... -> g * df/da

Elementwise rows may leave out the sums over broadcast axes, `gradient` adds them. At a kink the
pullback takes one of the one-sided slopes; at a tie with a constant (ReLU at 0) it takes zero, but
`clip` counts its bounds as inside. Where a slope is infinite on one side and the number cannot go
there, as of a root at 0, it is taken as 0, so that the norm of zeros and the deviation of equal
numbers have the slope 0 and not 0 times infinity.

A row holds facts and no buffers: `rules` rewrites what is made of rows, `kernels` computes it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from inspect import signature
from typing import Any

import numpy as np
from scipy import special
from scipy.sparse import csr_matrix

from .expression import FUNCTIONS, SIMPLER, Expression, Primitive, apply, compute_or_trace, constant
from .shapes import BATCH, Shape, broadcast, concrete, shape_text

PRIMITIVES: dict[str, Primitive] = {}
REGISTERED: list[str] = []  # the names of those that are users' own


def _register(name: str, *parts: Any, **facts: Any) -> Primitive:
    """Make a row of the table, of what a `Primitive` is made of."""
    if name in PRIMITIVES:
        raise ValueError(f"primitive {name} is defined twice")
    PRIMITIVES[name] = Primitive(name, *parts, **facts)
    return PRIMITIVES[name]


# == elementwise functions =========================================================================


def _elementwise(ufunc: np.ufunc, *pullbacks: Callable[..., Any] | None, **facts: Any) -> None:
    primitive = _register(
        name=ufunc.__name__,
        function=ufunc,
        shape=broadcast,
        pullbacks=pullbacks or (None,) * ufunc.nin,
        in_place=True,
        **facts,
    )
    FUNCTIONS[ufunc] = partial(_combine, primitive)


def _combine(primitive: Primitive, *inputs: Any) -> Expression:
    """Apply an elementwise primitive, without what would not change the result."""
    if len(inputs) != len(primitive.pullbacks):
        raise TypeError(
            f"{primitive.name} takes {len(primitive.pullbacks)} inputs, got {len(inputs)}"
        )
    nodes = [constant(x) for x in inputs]
    if primitive.name in ("subtract", "negative") and all(node.is_boolean for node in nodes):
        raise TypeError("truth values are not subtracted: write 1.0 * (z > 0) and ~(z > 0)")
    shape = broadcast(*(node.shape for node in nodes))
    small = [node.inputs[0] if node.primitive is BROADCAST_TO else node for node in nodes]
    if broadcast(*(node.shape for node in small)) != shape:  # combined before it is repeated
        return broadcast_to(_combine(primitive, *small), shape)
    for position, node in enumerate(nodes):
        if node.primitive is BROADCAST_TO:
            others = (x.shape for i, x in enumerate(nodes) if i != position)
            if broadcast(node.inputs[0].shape, *others) == shape:
                nodes[position] = node.inputs[0]
    if not any(node.is_boolean for node in nodes):
        simpler = SIMPLER.get(primitive.name, lambda *_: None)(*nodes)
        if simpler is not None and simpler.shape == shape:
            return simpler
    return apply(primitive, *nodes)


def is_number(node: Expression, value: float) -> bool:
    """Tell whether a node is that constant number."""
    return node.value is not None and node.value.ndim == 0 and node.value == value


def _where_zero(a: Any, instead: float) -> Any:
    return np.where(a == 0, instead, a)


def _power_less_one(a: Any, b: Expression) -> Any:
    """Return a ** (b - 1), for the slope; of no power 1, as its slope is 0, of a root of 0 0."""
    known = b.value
    if known is None or np.any((known > 0) & (known < 1)):
        a = np.where((a == 0) & (b > 0) & (b < 1), np.inf, a)
    if known is None or np.any(known == 0):
        return a ** np.where(b == 0, 0.0, b - 1)
    return a ** (b - 1)


# -- arithmetic ------------------------------------------------------------------------------------
_elementwise(
    np.add, lambda g, y, a, b: g, lambda g, y, a, b: g, keeps_boolean=True, linear_in="all"
)
_elementwise(np.subtract, lambda g, y, a, b: g, lambda g, y, a, b: -g, linear_in="all")
_elementwise(
    np.multiply,
    lambda g, y, a, b: g * b,
    lambda g, y, a, b: g * a,
    keeps_boolean=True,
    linear_in="each",
)
_elementwise(np.divide, lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b, linear_in="first")
_elementwise(np.negative, lambda g, y, a: -g, linear_in="all")
_elementwise(np.reciprocal, lambda g, y, a: -g * y * y)
_elementwise(np.square, lambda g, y, a: g * (2 * a))
_elementwise(np.sqrt, lambda g, y, a: g * 0.5 / _where_zero(y, np.inf))
_elementwise(np.cbrt, lambda g, y, a: g / (3 * y * y))
_elementwise(
    np.power,
    lambda g, y, a, b: g * b * _power_less_one(a, b),
    lambda g, y, a, b: g * y * np.log(np.where(a > 0, a, 1.0)),
)
_elementwise(
    np.hypot,
    lambda g, y, a, b: g * a / _where_zero(y, 1.0),
    lambda g, y, a, b: g * b / _where_zero(y, 1.0),
)
FUNCTIONS[np.positive] = constant
FUNCTIONS[np.float_power] = FUNCTIONS[np.power]

# -- exponentials and logarithms -------------------------------------------------------------------
_elementwise(np.exp, lambda g, y, a: g * y)
_elementwise(np.exp2, lambda g, y, a: g * y * math.log(2))
_elementwise(np.expm1, lambda g, y, a: g * (y + 1))
_elementwise(np.log, lambda g, y, a: g / a)
_elementwise(np.log2, lambda g, y, a: g / (a * math.log(2)))
_elementwise(np.log10, lambda g, y, a: g / (a * math.log(10)))
_elementwise(np.log1p, lambda g, y, a: g / (1 + a))


def grown(z: Expression) -> Any:
    """Return exp(z), as far as the softplus needs it."""
    return np.exp(np.minimum(z, 80))  # beyond 80 the softplus is z, in float64 too


def _pull_logaddexp(g: Expression, y: Expression, a: Expression, b: Expression) -> Any:  # noqa: ARG001
    if not is_number(b, 0):
        return g * special.expit(np.where(a == b, 0.0, a - b))  # of equal infinities too
    # Computed once, for the softplus too; the node itself, since a rule would make it expit.
    return g * apply(PRIMITIVES["divide"], grown(a), 1 + grown(a))


_elementwise(np.logaddexp, _pull_logaddexp, lambda g, y, a, b: _pull_logaddexp(g, y, b, a))

# -- circular and hyperbolic functions -------------------------------------------------------------
_elementwise(np.sin, lambda g, y, a: g * np.cos(a))
_elementwise(np.cos, lambda g, y, a: -g * np.sin(a))
_elementwise(np.tan, lambda g, y, a: g * (1 + y * y))
_elementwise(np.arcsin, lambda g, y, a: g / np.sqrt(1 - a * a))
_elementwise(np.arccos, lambda g, y, a: -g / np.sqrt(1 - a * a))
_elementwise(np.arctan, lambda g, y, a: g / (1 + a * a))
_elementwise(
    np.arctan2,
    lambda g, y, a, b: g * b / _where_zero(np.hypot(a, b), 1.0) / _where_zero(np.hypot(a, b), 1.0),
    lambda g, y, a, b: -g * a / _where_zero(np.hypot(a, b), 1.0) / _where_zero(np.hypot(a, b), 1.0),
)
_elementwise(np.sinh, lambda g, y, a: g * np.cosh(a))
_elementwise(np.cosh, lambda g, y, a: g * np.sinh(a))
_elementwise(np.tanh, lambda g, y, a: g * (1 - y * y))
_elementwise(np.arcsinh, lambda g, y, a: g / np.sqrt(a * a + 1))
_elementwise(np.arccosh, lambda g, y, a: g / np.sqrt(a * a - 1))
_elementwise(np.arctanh, lambda g, y, a: g / (1 - a * a))

# -- kinks, steps and choices ----------------------------------------------------------------------
_elementwise(np.absolute, lambda g, y, a: g * np.sign(a), keeps_boolean=True)
_elementwise(
    np.maximum,
    lambda g, y, a, b: g * (y > b if b.value is not None else a >= b),
    lambda g, y, a, b: g * (y > a if a.value is not None else b > a),
    keeps_boolean=True,
)
_elementwise(
    np.minimum,
    lambda g, y, a, b: g * (y < b if b.value is not None else a <= b),
    lambda g, y, a, b: g * (y < a if a.value is not None else b < a),
    keeps_boolean=True,
)
_elementwise(np.copysign, lambda g, y, a, b: g * np.sign(y) * np.sign(a), None)
for _step in (np.sign, np.floor, np.ceil, np.trunc, np.rint, np.heaviside, np.floor_divide):
    _elementwise(_step)
_elementwise(np.remainder, lambda g, y, a, b: g, lambda g, y, a, b: -g * np.floor(a / b))
_elementwise(np.fmod, lambda g, y, a, b: g, lambda g, y, a, b: -g * np.trunc(a / b))
# Of a number and a NaN they return the number.
_elementwise(
    np.fmax,
    lambda g, y, a, b: g * ((a > b if b.value is not None else a >= b) | np.isnan(b)),
    lambda g, y, a, b: g * ((b > a) | np.isnan(a)),
)
_elementwise(
    np.fmin,
    lambda g, y, a, b: g * ((a < b if b.value is not None else a <= b) | np.isnan(b)),
    lambda g, y, a, b: g * ((b < a) | np.isnan(a)),
)

for _test in (
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not),
    *(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert),
    *(np.isfinite, np.isnan, np.isinf, np.signbit),
):
    _elementwise(_test, is_boolean=True)


WHERE = _register(
    name="where",
    function=np.where,
    shape=broadcast,
    pullbacks=(None, lambda g, y, c, a, b: g * c, lambda g, y, c, a, b: g * ~c),
    keeps_boolean=True,
)


def _where(condition: Any, *choices: Any) -> Expression:
    if len(choices) != 2:
        raise TypeError("np.where of an expression needs three arguments: condition, a, b")
    nodes = [constant(condition), *map(constant, choices)]
    if not nodes[0].is_boolean:
        nodes[0] = nodes[0] != 0
    return SIMPLER["where"](*nodes)


FUNCTIONS[np.where] = _where

CLIP = _register(
    name="clip",
    function=np.clip,
    shape=broadcast,
    pullbacks=(
        lambda g, y, a, low, high: g * ((a >= low) & (a <= high)),
        lambda g, y, a, low, high: g * (a < low),
        lambda g, y, a, low, high: g * (a > high),
    ),
    keeps_boolean=True,
)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, **bounds: Any) -> Expression:
    low, high = bounds.pop("min", a_min), bounds.pop("max", a_max)
    if bounds:
        raise TypeError(f"np.clip of an expression does not take {sorted(bounds)}")
    return apply(CLIP, a, -np.inf if low is None else low, np.inf if high is None else high)


FUNCTIONS[np.clip] = _clip


NAN_TO_NUM = _register(  # what stands for infinities depends on the precision
    name="nan_to_num",
    function=np.nan_to_num,
    shape=lambda a, **_: a,
    pullbacks=(lambda g, y, a, **_: g * np.isfinite(a),),
)


def _nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Expression:
    if not copy:
        raise TypeError("np.nan_to_num of an expression returns another: leave copy=False out")
    return apply(NAN_TO_NUM, x, nan=nan, posinf=posinf, neginf=neginf)


FUNCTIONS[np.nan_to_num] = _nan_to_num


def _slope_of_sinc(g: Expression, y: Expression, a: Expression) -> Any:
    """Return (cos(pi a) - sinc(a)) / a, by its series where digits would cancel."""
    is_small, square = np.abs(a) < 0.01, np.square(math.pi * a)
    series = a * (-(math.pi**2) / 3) * (1 - square / 10 * (1 - square / 28))
    return g * np.where(is_small, series, (np.cos(math.pi * a) - y) / np.where(is_small, 1.0, a))


SINC = _register("sinc", np.sinc, shape=broadcast, pullbacks=(_slope_of_sinc,))
FUNCTIONS[np.sinc] = partial(apply, SINC)


def _where_both_zero(a: Any, b: Any, instead: float) -> Any:
    return np.where((a == 0) & (b == 0), instead, b)


# -- scipy.special ---------------------------------------------------------------------------------
def _pull_erfcx(g: Expression, y: Expression, a: Expression) -> Any:
    """Multiply by 2 a erfcx(a) - 2 / sqrt(pi), which far out is -1 / (sqrt(pi) a^2)."""
    is_far = a > 1e5  # where the difference has no digit left
    near = 2 * np.where(is_far, 0.0, a) * y - 2 / math.sqrt(math.pi)
    return g * np.where(is_far, -1 / (math.sqrt(math.pi) * np.square(a)), near)


_elementwise(special.expit, lambda g, y, a: g * (y * (1 - y)))
_elementwise(special.log_expit, lambda g, y, a: g * special.expit(-a))
_elementwise(special.logit, lambda g, y, a: g / (a * (1 - a)))
_elementwise(special.erf, lambda g, y, a: g * (2 / math.sqrt(math.pi)) * np.exp(-a * a))
_elementwise(special.erfc, lambda g, y, a: g * (-2 / math.sqrt(math.pi)) * np.exp(-a * a))
_elementwise(special.erfcx, _pull_erfcx)
_elementwise(special.erfinv, lambda g, y, a: g * (math.sqrt(math.pi) / 2) * np.exp(y * y))
_elementwise(special.ndtr, lambda g, y, a: g * (1 / math.sqrt(2 * math.pi)) * np.exp(a * a * -0.5))
_elementwise(special.ndtri, lambda g, y, a: g * math.sqrt(2 * math.pi) * np.exp(y * y * 0.5))
_elementwise(  # density over distribution function, through erfcx: finite far into both tails
    special.log_ndtr,
    lambda g, y, a: g * math.sqrt(2 / math.pi) / special.erfcx(a * (-1 / math.sqrt(2))),
)
_elementwise(special.gamma, lambda g, y, a: g * y * special.digamma(a))
_elementwise(special.gammaln, lambda g, y, a: g * special.digamma(a))
_elementwise(special.digamma, lambda g, y, a: g * _zeta(a, 2.0))
_elementwise(
    special.betaln,
    lambda g, y, a, b: g * (special.digamma(a) - special.digamma(a + b)),
    lambda g, y, a, b: g * (special.digamma(b) - special.digamma(a + b)),
)
_elementwise(  # 0 log 0 is 0, and so are its slopes
    special.xlogy,
    lambda g, y, a, b: g * np.log(_where_both_zero(a, b, 1.0)),
    lambda g, y, a, b: g * a / _where_both_zero(a, b, 1.0),
)
_elementwise(
    special.xlog1py,
    lambda g, y, a, b: g * np.log1p(_where_both_zero(a, 1 + b, 1.0) - 1),
    lambda g, y, a, b: g * a / _where_both_zero(a, 1 + b, 1.0),
)
_elementwise(special.entr, lambda g, y, a: -g * np.where(a == 0, 0.0, np.log(a) + 1))
_elementwise(
    special.rel_entr,
    lambda g, y, a, b: g * np.where(a == 0, 0.0, np.log(a / b) + 1),
    lambda g, y, a, b: -g * a / _where_both_zero(a, b, 1.0),
)

ZETA = _register(  # Hurwitz zeta, the sum over k of (a + k) ** -order; digamma' is order 2
    name="zeta",
    function=lambda a, order: special.zeta(order, a),
    shape=lambda a, order: a,
    pullbacks=(lambda g, y, a, order: g * (-order) * _zeta(a, order + 1),),
    in_place=True,
)


def _zeta(a: Any, order: float) -> Expression:
    return apply(ZETA, a, order=order)


# == functions that choose their gradient ==========================================================

STRAIGHT_THROUGH = _register(
    name="straight_through",
    function=lambda value, surrogate: value,
    shape=broadcast,
    pullbacks=(None, lambda g, y, value, surrogate: g),
)
STOP_GRADIENT = _register(
    name="stop_gradient",
    function=lambda value: value,
    shape=lambda value: value,
    pullbacks=(None,),
    keeps_boolean=True,
)


def straight_through(value: Any, surrogate: Any) -> Any:
    """Compute `value`, differentiate `surrogate`.

    For steps and roundings, whose own derivative is zero almost everywhere: the straight-through
    estimator of Bengio, Leonard and Courville (2013), arXiv:1308.3432.

    Parameters
    ----------
    value : array or Expression
        What the function is.
    surrogate : array or Expression of the same shape
        What it is differentiated as.

    Returns
    -------
    array or Expression
        `value`.

    Raises
    ------
    ValueError
        If the two shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([0.2, 0.7])
    >>> straight_through(np.rint(z), z)
    array([0., 1.])
    """
    if not isinstance(value, Expression) and not isinstance(surrogate, Expression):
        return value
    value, surrogate = constant(value), constant(surrogate)
    if value.shape != surrogate.shape:
        raise ValueError(
            f"straight_through needs one shape, got a value of {shape_text(value.shape)} "
            f"and a surrogate of {shape_text(surrogate.shape)}"
        )
    return apply(STRAIGHT_THROUGH, value, surrogate)


def stop_gradient(value: Any) -> Any:
    """Return `value`, treated as a constant by `gradient`.

    Parameters
    ----------
    value : array or Expression
        Any value.

    Returns
    -------
    array or Expression
        `value`.
    """
    return compute_or_trace(STOP_GRADIENT, value)


# == reductions ====================================================================================


def normalized_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Turn NumPy's ways of naming axes into sorted numbers from 0."""
    axes = range(ndim) if axis is None else (axis,) if np.ndim(axis) == 0 else axis
    for a in axes:
        if not -ndim <= a < ndim:
            raise ValueError(f"axis {a} is out of bounds for an expression of {ndim} axes")
    normalized = sorted(a % ndim for a in axes)
    if len(set(normalized)) < len(normalized):
        raise ValueError(f"axis {axis} has a duplicate: write every axis once")
    return tuple(normalized)


def refuse_options(name: str, options: Mapping[str, Any], *plain: Any) -> None:
    """Refuse options of a NumPy function, unless they are None or what it does anyway."""
    if any(not (option is None or option in plain) for option in options.values()):
        raise TypeError(f"np.{name} of an expression does not take {sorted(options)}")


def _reduced(shape: Shape, axis: tuple[int, ...], keepdims: bool) -> Shape:
    kept = (1 if i in axis else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(kept) if keepdims or i not in axis)


def _expand(y: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Give a reduced value its axes back, of length 1."""
    return y if keepdims else np.expand_dims(y, axis)


def _reduction(
    name: str, function: Callable[..., Any], pullback: Callable[..., Any], **facts: Any
) -> Primitive:
    primitive = _register(name, function, _reduced, (pullback,), **facts)

    def reduce(a: Any, axis: Any = None, *, keepdims: bool = False, **options: Any) -> Expression:
        refuse_options(name, options)
        axes = normalized_axes(axis, a.ndim)
        counts = a.is_boolean and not primitive.keeps_boolean
        if not counts and all(a.shape[i] == 1 for i in axes):  # of one number, each is that number
            kept = slice(None) if keepdims else 0
            return a[tuple(kept if i in axes else slice(None) for i in range(a.ndim))]
        return apply(primitive, a, axis=axes, keepdims=bool(keepdims))

    FUNCTIONS[function] = reduce
    return primitive


def _pull_product(g: Any, y: Any, a: Any, axis: tuple[int, ...], keepdims: bool) -> Any:  # noqa: ARG001
    """Multiply by the product of the others, which of zeros is not y / a."""
    factors = _where_zero(a, 1.0)
    zeros = np.sum(a == 0, axis=axis, keepdims=True)
    product = np.prod(factors, axis=axis, keepdims=True)
    others = np.where(np.where(a == 0, zeros == 1, zeros == 0), product / factors, 0.0)
    return others * _expand(g, axis, keepdims)


def _pull_extremum(g: Any, y: Any, a: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    ties = np.where(a == _expand(y, axis, keepdims), 1.0, 0.0)
    return ties * _expand(g, axis, keepdims) / np.sum(ties, axis=axis, keepdims=True)


SUM = _reduction(
    "sum",
    np.sum,
    lambda g, y, a, axis, keepdims: broadcast_to(_expand(g, axis, keepdims), a.shape),
    adds_rows=True,
    linear_in="all",
)
for _name, _function in (("max", np.max), ("min", np.min)):
    _reduction(_name, _function, _pull_extremum, keeps_boolean=True)
_reduction("prod", np.prod, _pull_product)
FUNCTIONS[np.amax], FUNCTIONS[np.amin] = FUNCTIONS[np.max], FUNCTIONS[np.min]

# How many rows the program runs with; filled in when it is bound.
ROWS = _register("rows", function=lambda: 1, shape=lambda: ())


# == matrix products ===============================================================================


def _matmul_shape(a: Shape, b: Shape) -> Shape:
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        raise ValueError(
            f"a matrix product of shapes {shape_text(a)} and {shape_text(b)} does not fit: "
            "columns of the first must be rows of the second"
        )
    shape = (*broadcast(a[:-2], b[:-2]), a[-2], b[-1])
    if shape.count(BATCH) > 1:
        raise ValueError(
            f"a matrix product of shapes {shape_text(a)} and {shape_text(b)} pairs the rows of a "
            "batch, but rows are independent samples: write np.sum(a * b, axis=1) for products "
            "within rows"
        )
    return shape


MATMUL = _register(
    name="matmul",
    function=np.matmul,
    shape=_matmul_shape,
    pullbacks=(
        lambda g, y, a, b: g @ _swapaxes(b, -1, -2),
        lambda g, y, a, b: _swapaxes(a, -1, -2) @ g,
    ),
    takes=frozenset({"sparse"}),
    adds_rows=True,
    linear_in="each",
)


def _matmul(a: Any, b: Any) -> Expression:
    a, b = constant(a), constant(b)
    if a.is_sparse and b.is_sparse:
        raise TypeError(
            f"matmul was applied to two sparse inputs, {a.label} and {b.label}: sparse rows can "
            "only be multiplied by a dense matrix, as in x @ W"
        )
    if a.ndim == 1 and a.shape == b.shape:
        return np.sum(a * b)
    if a.ndim == 1:
        return _matmul(a[None, :], b)[..., 0, :]
    if b.ndim == 1:
        return _matmul(a, b[:, None])[..., 0]
    return apply(MATMUL, a, b)


def _dot(a: Any, b: Any) -> Expression:
    if np.ndim(a) > 2 or np.ndim(b) > 2:
        raise TypeError("np.dot of more than two axes is another product: write a @ b")
    return _matmul(a, b)


FUNCTIONS[np.matmul], FUNCTIONS[np.dot] = _matmul, _dot


# == the same numbers in another shape =============================================================


TRANSPOSE = _register(
    name="transpose",
    function=np.transpose,
    shape=lambda a: (a[1], a[0]),
    pullbacks=(lambda g, y, a: g.T,),
    view=lambda a: a.T,
    keeps_boolean=True,
    takes=frozenset({"sparse", "integers"}),
    keeps=frozenset({"sparse", "integers"}),
    linear_in="all",
)


PERMUTE: Primitive = _register(  # of more axes than two
    name="permute",
    function=np.transpose,
    shape=lambda a, axes: tuple(a[i] for i in axes),
    pullbacks=(lambda g, y, a, axes: np.transpose(g, tuple(axes.index(i) for i in range(a.ndim))),),
    view=np.transpose,
    keeps_boolean=True,
    takes=frozenset({"integers"}),
    keeps=frozenset({"integers"}),
    linear_in="all",
)


def _transpose(a: Expression, axes: Any = None) -> Expression:
    order = tuple(reversed(range(a.ndim))) if axes is None else tuple(axes)
    if sorted(normalized_axes(order, a.ndim)) != list(range(a.ndim)):
        raise ValueError(f"axes {axes} do not name each axis of shape {shape_text(a.shape)} once")
    order = tuple(axis % a.ndim for axis in order)
    if order == tuple(range(a.ndim)):
        return a
    if a.ndim == 2:
        return a.inputs[0] if a.primitive is TRANSPOSE else apply(TRANSPOSE, a)
    if a.primitive is PERMUTE:
        return _transpose(a.inputs[0], tuple(a.attributes["axes"][i] for i in order))
    return apply(PERMUTE, a, axes=order)


def _swapaxes(a: Expression, axis1: int, axis2: int) -> Expression:
    order = list(range(a.ndim))
    one, two = (normalized_axes(axis, a.ndim)[0] for axis in (axis1, axis2))
    order[one], order[two] = two, one
    return _transpose(a, order)


FUNCTIONS[np.transpose], FUNCTIONS[np.swapaxes] = _transpose, _swapaxes


def _indexed(a: Shape, key: tuple[Any, ...]) -> Shape:
    shape: list[int | str] = []
    rest = list(a)
    for item in key:
        if item is None:
            shape.append(1)
            continue
        length = rest.pop(0)
        if length == BATCH:
            shape.append(BATCH)
        elif isinstance(item, slice):
            shape.append(len(range(*item.indices(int(length)))))
        elif not -int(length) <= item < int(length):
            raise IndexError(f"index {item} is out of bounds for shape {shape_text(a)}")
    return tuple(shape) + tuple(rest)


INDEX = _register(
    name="index",
    function=lambda a, key: a[key],
    shape=_indexed,
    pullbacks=(lambda g, y, a, key: _embed(g, a.shape, key),),
    view=lambda a, key: a[(*key, ...)],  # with ... even one number is a view
    keeps_boolean=True,
    takes=frozenset({"integers"}),
    keeps=frozenset({"integers"}),
    linear_in="all",
)


def _is_list(item: Any) -> bool:
    return isinstance(item, (list, np.ndarray)) and np.ndim(item) == 1


def _index(a: Expression, key: Any) -> Expression:
    if isinstance(key, Expression) and key.is_integer:
        return take(a, key)
    items = list(key) if isinstance(key, tuple) else [key]
    axes = sum(item is not None and item is not Ellipsis for item in items)
    at = next((at for at, item in enumerate(items) if item is Ellipsis), len(items))
    items[at : at + 1] = [slice(None)] * (a.ndim - axes)
    lists = [at for at, item in enumerate(items) if _is_list(item)]
    are_columns = len(lists) == 1 and all(isinstance(x, slice) or _is_list(x) for x in items)
    position = 0
    for item in items:
        if item is None:
            continue
        is_one = isinstance(item, (int, np.integer, slice)) or (are_columns and _is_list(item))
        if not is_one or position >= a.ndim:
            kinds = ", ".join(type(item).__name__ for item in items)
            raise IndexError(
                f"an index of ({kinds}) does not fit an expression of shape "
                f"{shape_text(a.shape)}: use numbers, slices and None; np.concatenate joins "
                "columns, np.where chooses"
            )
        if a.shape[position] == BATCH and (_is_list(item) or item != slice(None)):
            raise IndexError(
                f"index {key!r} picks rows of a batch, but rows are independent samples: "
                "index columns as z[:, 0]"
            )
        position += 1
    if are_columns:
        (at,) = lists
        places, items[at] = np.arange(a.shape[at])[items[at]], slice(None)
        return taken(_index(a, tuple(items)), places, at)
    if all(item == slice(None) for item in items):
        return a
    if a.primitive is BROADCAST_TO and a.inputs[0].ndim == 0:
        return broadcast_to(a.inputs[0], _indexed(a.shape, tuple(items)))
    return apply(INDEX, a, key=tuple(items))


FUNCTIONS[operator.getitem] = _index


def _embedded(g: np.ndarray, shape: tuple[int, ...], key: tuple[Any, ...]) -> np.ndarray:
    out = np.zeros(concrete(shape, len(g) if g.ndim else 0), g.dtype)
    out[key] = g
    return out


EMBED = _register(  # the pullback of index: g among zeros
    name="embed",
    function=_embedded,
    shape=lambda g, shape, key: shape,
    pullbacks=(lambda gg, y, g, shape, key: gg[key],),
    linear_in="all",
)


def _embed(g: Expression, shape: Shape, key: tuple[Any, ...]) -> Expression:
    lengths = iter(shape)
    inverse: list[Any] = []
    for item in key:
        length = None if item is None else next(lengths)
        if item is not None and item != slice(None) and length != 1:
            return apply(EMBED, g, shape=shape, key=key)
        inverse.append(0 if item is None else slice(None) if isinstance(item, slice) else None)
    return g[tuple(inverse)]  # the index only added and dropped axes of length 1


BROADCAST_TO = _register(
    name="broadcast_to",
    function=lambda a, shape: np.broadcast_to(a, concrete(shape, 1)),
    shape=lambda a, shape: shape,
    pullbacks=(lambda g, y, a, shape: sum_to(g, a.shape),),
    keeps_boolean=True,
    linear_in="all",
)


def broadcast_to(a: Any, shape: Shape) -> Expression:
    """Repeat a value along the axes that `shape` has more of."""
    a = constant(a)
    if broadcast(a.shape, shape) != tuple(shape):
        raise ValueError(f"shape {shape_text(a.shape)} cannot become {shape_text(tuple(shape))}")
    if a.value is not None and a.value.size == 1:
        a = constant(a.value.reshape(()))
    return a if a.shape == tuple(shape) else apply(BROADCAST_TO, a, shape=tuple(shape))


def sum_to(g: Expression, shape: Shape) -> Expression:
    """Sum an expression over the axes along which `shape` was broadcast to it."""
    if g.shape == shape:
        return g
    leading = g.ndim - len(shape)
    if leading:
        g = np.sum(g, axis=tuple(range(leading)))
    axes = tuple(i for i, d in enumerate(shape) if d == 1 and g.shape[i] != 1)
    return np.sum(g, axis=axes, keepdims=True) if axes else g


FUNCTIONS[np.broadcast_to] = lambda a, shape, subok=False: broadcast_to(a, shape)


RESHAPE: Primitive = _register(
    name="reshape",
    function=lambda a, shape: a.reshape(concrete(shape, len(a) if a.ndim else 1)),
    shape=lambda a, shape: shape,
    pullbacks=(lambda g, y, a, shape: apply(RESHAPE, g, shape=a.shape),),
    keeps_boolean=True,
    takes=frozenset({"integers"}),
    keeps=frozenset({"integers"}),
    linear_in="all",
)


def _reshape(a: Expression, shape: Any, **options: Any) -> Expression:
    refuse_options("reshape", options, "C")
    if BATCH in a.shape[1:]:
        raise ValueError(
            f"an expression of shape {shape_text(a.shape)} cannot be reshaped: transpose it first"
        )
    new = [shape] if np.ndim(shape) == 0 else list(shape)
    batch = a.ndim > 0 and a.shape[0] == BATCH
    if batch and new and new[0] in (-1, BATCH):
        new[0] = BATCH
    tail, old = (new[1:], a.shape[1:]) if batch else (new, a.shape)
    total = math.prod(int(d) for d in old)
    if tail.count(-1) == 1 and BATCH not in tail:
        tail[tail.index(-1)] = total // max(1, -math.prod(tail))
    fits = BATCH not in tail and math.prod(tail) == total and min(tail, default=0) >= 0
    if not fits or (batch and new[:1] != [BATCH]):
        raise ValueError(
            f"an expression of shape {shape_text(a.shape)} cannot be reshaped to {shape}"
            + ("; a batch keeps its rows: write reshape(-1, ...)" if batch else "")
        )
    target = (BATCH, *tail) if batch else tuple(tail)
    return a if target == a.shape else apply(RESHAPE, a, shape=target)


FUNCTIONS[np.reshape] = _reshape


def _concatenated(*shapes: Shape, axis: int) -> Shape:
    rests = {(len(s), s[:axis] + s[axis + 1 :]) for s in shapes}
    are_rows = any(s[axis : axis + 1] == (BATCH,) for s in shapes)
    if len(rests) > 1 or are_rows:
        texts = ", ".join(shape_text(s) for s in shapes)
        hint = "; rows are independent samples: write axis=1" if are_rows else ""
        raise ValueError(f"shapes {texts} cannot be joined along axis {axis}{hint}")
    length = sum(int(s[axis]) for s in shapes)
    return (*shapes[0][:axis], length, *shapes[0][axis + 1 :])


CONCATENATE = _register(
    name="concatenate",
    function=lambda *parts, axis: np.concatenate(parts, axis=axis),
    shape=_concatenated,
    pullbacks=lambda position: partial(_pull_concatenate, position),
    keeps_boolean=True,
    linear_in="all",
)


def _pull_concatenate(position: int, g: Any, y: Any, *parts: Any, axis: int) -> Any:  # noqa: ARG001
    start = sum(part.shape[axis] for part in parts[:position])
    stop = start + parts[position].shape[axis]
    return g[(slice(None),) * axis + (slice(start, stop),)]


def _concatenate(parts: Any, axis: int = 0, **options: Any) -> Expression:
    if any(option not in (None, "same_kind") for option in options.values()):
        raise TypeError(f"np.concatenate of expressions does not take {sorted(options)}")
    if axis is None:
        raise TypeError("np.concatenate of expressions needs an axis: write axis=1 for columns")
    nodes = [constant(part) for part in parts]
    (at,) = normalized_axes(axis, max(node.ndim for node in nodes))
    batch = any(node.ndim and node.shape[0] == BATCH for node in nodes)
    if batch and at > 0:  # constants are repeated for every row
        nodes = [broadcast_to(node, (BATCH, *node.shape[1:])) for node in nodes]
    return nodes[0] if len(nodes) == 1 else apply(CONCATENATE, *nodes, axis=at)


FUNCTIONS[np.concatenate] = _concatenate


# == rows of a table ===============================================================================


def _taken_shape(table: Shape, index: Shape) -> Shape:
    if not table or table[0] == BATCH:
        raise ValueError(
            f"rows are taken of a table, got an expression of shape {shape_text(table)}"
        )
    return (*index, *table[1:])


def check_rows(index: np.ndarray, length: int) -> None:
    """Refuse row numbers that a table of a length does not have."""
    if index.size and not 0 <= index.min() <= index.max() < length:
        wrong = index[(index < 0) | (index >= length)].flat[0]
        raise IndexError(
            f"row {wrong} of a table of {length} rows was to be taken: row numbers are from 0 to "
            f"{length - 1}"
        )


def added_rows(g: np.ndarray, index: np.ndarray, length: int) -> np.ndarray:
    """Add the rows of g up by their numbers: row j is the sum of all g[i] with index[i] = j."""
    check_rows(index, length)
    n = index.size
    width = math.prod(g.shape[index.ndim :])
    chosen = csr_matrix((np.ones(n, g.dtype), index.ravel(), np.arange(n + 1)), (n, length))
    return np.asarray(chosen.T @ g.reshape(n, width)).reshape(length, *g.shape[index.ndim :])


def _take_rows(table: np.ndarray, index: np.ndarray) -> np.ndarray:
    check_rows(index, len(table))
    return table.take(index, 0)


ADD_ROWS: Primitive = _register(  # the pullback of take
    name="add_rows",
    function=added_rows,
    shape=lambda g, index, length: (length, *g[len(index) :]),
    pullbacks=(lambda gg, y, g, index, length: apply(TAKE, gg, index), None),
    takes=frozenset({"integers"}),
    adds_rows=True,
    linear_in="first",
)
TAKE: Primitive = _register(
    name="take",
    function=_take_rows,
    shape=_taken_shape,
    pullbacks=(
        lambda g, y, table, index: apply(ADD_ROWS, g, index, length=table.shape[0]),
        None,
    ),
    takes=frozenset({"integers"}),
    linear_in="first",
)


def _whole(numbers: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # what is no number becomes the smallest one
        whole = np.asarray(numbers).astype(np.int64)
    if not np.array_equal(whole, numbers):
        wrong = np.asarray(numbers)[whole != numbers].flat[0]
        raise ValueError(f"row numbers are whole, got {wrong:g}")
    return whole


_ROW_NUMBERS = _register(
    name="row_numbers",
    function=_whole,
    shape=lambda a: a,
    pullbacks=(None,),
    takes=frozenset({"integers"}),
    is_integer=True,
)


def row_numbers(numbers: Any) -> Any:
    """Turn whole numbers that are stored as floats into row numbers, for `take`.

    So codes can stand among the columns of X: float32 holds whole numbers up to 2^24, float64 up to
    2^53. No gradient passes.

    Parameters
    ----------
    numbers : array or Expression
        Whole numbers.

    Returns
    -------
    array of int or Expression
        The same numbers.

    Raises
    ------
    ValueError
        If one is not whole, when it is known.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.engine import row_numbers, take
    >>> take(np.eye(3), row_numbers(np.array([2.0, 0.0])))
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    return compute_or_trace(_ROW_NUMBERS, numbers)


def take(table: Any, index: Any) -> Any:
    """Take rows of a table by their numbers: an embedding.

    Parameters
    ----------
    table : array or Expression of shape (length, ...)
        The rows.
    index : array of int, or an Expression made with ``variable(name, shape, dtype=int)``
        Numbers from 0 to length - 1. Negative ones, and others, are refused.

    Returns
    -------
    array or Expression of the index's shape and then a row's
        The rows; the gradient adds up what each row of the table was taken for.

    Raises
    ------
    IndexError
        If there is no such row, when the numbers are known.
    TypeError
        If the index is not of whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.engine import evaluate, gradient, take, variable
    >>> table, index = variable("table", (3, 2)), variable("index", ("n",), dtype=int)
    >>> (slope,) = gradient(np.sum(take(table, index)), [table])
    >>> evaluate(slope, {table: np.eye(3, 2), index: np.array([2, 0, 2])})
    array([[1., 1.],
           [0., 0.],
           [2., 2.]])
    """
    is_traced = isinstance(index, Expression)
    index = index if is_traced else np.asarray(index)
    if not (index.is_integer if is_traced else index.dtype.kind in "iu"):
        raise TypeError(
            f"rows are taken by whole numbers, got {index!r}: make the variable with dtype=int"
        )
    if not (is_traced or isinstance(table, Expression)):
        return _take_rows(np.asarray(table), index)
    if not is_traced:
        index = Expression(None, (), {}, index.shape, value=index.astype(np.int64), is_integer=True)
    taken = apply(TAKE, table, index)
    if index.value is not None and taken.inputs:
        check_rows(index.value, int(taken.inputs[0].shape[0]))
    return taken


def taken(a: Expression, places: np.ndarray, axis: int) -> Any:
    """Take entries along an axis by their numbers, from 0."""
    order = [axis, *(i for i in range(a.ndim) if i != axis)]
    back = [order.index(i) for i in range(a.ndim)]
    return np.transpose(take(np.transpose(a, order), places), back)


def _numpy_take(a: Any, indices: Any, axis: Any = None, **options: Any) -> Any:
    if axis is None or any(option not in (None, "raise") for option in options.values()):
        raise TypeError("np.take of an expression takes rows or columns: write axis=0 or axis=1")
    (at,) = normalized_axes(axis, np.ndim(a))
    return take(a, indices) if at == 0 else a[(slice(None),) * at + (indices,)]


FUNCTIONS[np.take] = _numpy_take


# == order =========================================================================================


def _in_order(values: np.ndarray, keys: np.ndarray, axis: int) -> np.ndarray:
    return np.take_along_axis(values, np.argsort(keys, axis, kind="stable"), axis)


def _out_of_order(values: np.ndarray, keys: np.ndarray, axis: int) -> np.ndarray:
    places = np.argsort(np.argsort(keys, axis, kind="stable"), axis)
    return np.take_along_axis(values, places, axis)


IN_ORDER: Primitive = _register(  # values, as keys are sorted along an axis
    name="in_order",
    function=_in_order,
    shape=lambda a, keys, axis: a,
    pullbacks=(lambda g, y, a, keys, axis: apply(OUT_OF_ORDER, g, keys, axis=axis), None),
    linear_in="first",
)
OUT_OF_ORDER: Primitive = _register(  # undoes it
    name="out_of_order",
    function=_out_of_order,
    shape=lambda a, keys, axis: a,
    pullbacks=(lambda g, y, a, keys, axis: apply(IN_ORDER, g, keys, axis=axis), None),
    linear_in="first",
)


# == primitives of one's own =======================================================================


def _may_be_called_with(function: Callable[..., Any], number: int) -> bool:
    """Tell whether a function takes so many arguments, as far as its signature tells."""
    try:
        expected = signature(function)
    except (TypeError, ValueError):  # something compiled does not tell
        return True
    try:
        expected.bind(*[None] * number)
    except TypeError:
        return False
    return True


def register(
    function: Callable[..., Any],
    *pullbacks: Callable[..., Any] | None,
    shape: Callable[..., Shape] | None = None,
    name: str | None = None,
    operator: str | Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    r"""Register a primitive of your own: a function, with how it is differentiated.

    With ``y = f(a, b, ...)`` and g the gradient of a number with respect to y, the pullback of a
    returns the gradient with respect to a, made of NumPy functions of expressions:

    .. math:: (g, y, a, b, ...) \mapsto g \, \partial f / \partial a

    For elementwise functions, sums over axes that were broadcast are added by themselves. The
    function is called with arrays of the program's precision; it needs no kernel.

    Parameters
    ----------
    function : ufunc or callable
        A NumPy or SciPy ufunc that is not known yet, or any function of arrays.
    *pullbacks : callable or None
        One for each argument; None where no gradient passes.
    shape : callable, optional
        ``shape(*input_shapes)`` is the shape of the result, where "n" stands for the rows of a
        batch; by default that of elementwise functions.
    name : str, optional
        Its name in graphs and messages; by default the function's.
    operator : str or callable, optional
        How it is written in ONNX, for `skmlp.onnx`: the name of one operator, or
        ``operator(writer, *values)`` that adds some, such as ``writer.add("Tanh", a) * 0.5``, and
        returns the result.

    Returns
    -------
    callable
        What computes with arrays and is traced with expressions; a ufunc is returned as it is.

    Raises
    ------
    TypeError
        If the function or a pullback cannot be called.
    ValueError
        If it is known already, has no name, or has another number of arguments than pullbacks.

    Examples
    --------
    The Bessel function I0 times exp(-abs(z)), whose slope is that of I1 less itself:

    >>> import numpy as np
    >>> from scipy import special
    >>> from skmlp.engine import check_gradient, register
    >>> _ = register(special.i1e, lambda g, y, z: g * (special.i0e(z) - y / z - np.sign(z) * y))
    >>> _ = register(special.i0e, lambda g, y, z: g * (special.i1e(z) - np.sign(z) * y))
    >>> check_gradient(special.i0e, np.array([-2.0, 0.5, 3.0])) < 1e-6
    True

    A function of a script's own; the slope is written, not traced:

    >>> def cube(z):
    ...     return z**3
    >>> cube = register(cube, lambda g, y, z: g * 3 * np.square(z))
    >>> float(cube(2.0)), check_gradient(cube, np.array([1.0, -2.0])) < 1e-6
    (8.0, True)
    """
    for called in (function, *pullbacks):
        if not (called is None or callable(called)):
            raise TypeError(f"register takes functions, got {called!r}")
    if not (operator is None or isinstance(operator, str) or callable(operator)):
        raise TypeError(f"an operator is the name of one, or a function, got {operator!r}")
    label = getattr(function, "__name__", "<lambda>") if name is None else name
    if function in FUNCTIONS or label in PRIMITIVES:
        raise ValueError(f"{label} is a primitive already: give another name, or use what is there")
    if not label.isidentifier():
        raise ValueError(f"a primitive needs a name that is a word, got {label!r}: give name=")
    if isinstance(function, np.ufunc):
        fits = (function.nin, function.nout) == (len(pullbacks), 1)
    else:
        fits = _may_be_called_with(function, len(pullbacks))
    if not (pullbacks and fits):
        raise ValueError(
            f"{label} needs a pullback, or None, for each of its arguments, got {len(pullbacks)}"
        )
    REGISTERED.append(label)
    if isinstance(function, np.ufunc) and shape is None and name is None:
        _elementwise(function, *pullbacks, operator=operator)
        return function
    primitive = _register(label, function, shape or broadcast, pullbacks, operator=operator)

    def registered(*inputs: Any) -> Any:
        is_traced = any(isinstance(x, Expression) for x in inputs)
        if is_traced and len(inputs) != len(pullbacks):
            raise TypeError(f"{label} takes {len(pullbacks)} inputs, got {len(inputs)}")
        return apply(primitive, *inputs) if is_traced else function(*inputs)

    return update_wrapper(registered, function)
