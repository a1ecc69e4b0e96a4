"""Expressions: NumPy code, recorded instead of computed.

The law: ordinary NumPy functions called with an `Expression` return an `Expression`. A node is a
variable, a constant, or a primitive (a row of the table in `primitives`) applied to other nodes:

    primitive, inputs, attributes -> shape

Shapes are tuples whose first entry may be `BATCH`, the number of rows that a program is run with.
Every node is a float array of the program's precision, or a boolean one (`is_boolean`).

Nothing here knows a derivative or a buffer: `gradient` derives, `program` computes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from .shapes import BATCH, Rows, Shape, shape_text

# What each NumPy or SciPy function does with expressions; `primitives` and `composites` fill it.
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}
# What to write instead of some that are not among them; `composites` fills it.
INSTEAD: dict[Callable[..., Any], str] = {}
# What an elementwise primitive's name simplifies to as a node is made; `rules` fills it.
SIMPLER: dict[str, Callable[..., Any]] = {}


@dataclass(frozen=True, eq=False)
class Primitive:
    """One row of the table: a function, its shape rule, its pullbacks, and facts about it.

    Attributes
    ----------
    name : str
        What the function is called in graphs and messages.
    function : callable
        `function(*arrays, **attributes)`, the plain NumPy meaning.
    shape : callable
        `shape(*input_shapes, **attributes)`, the shape of the result.
    pullbacks : tuple of callables or None, or a callable
        For each input a function `(g, y, *inputs, **attributes)` that turns `g`, the gradient of
        a scalar with respect to the result `y`, into its gradient with respect to that input;
        None where no gradient passes. A callable `position -> pullback` serves any number.
    view : callable or None
        For primitives that only look at their input differently: `view(array, **attributes)`.
    in_place : bool
        Whether the result may be written over an input of the same shape.
    is_boolean : bool
        Whether the result is boolean.
    keeps_boolean : bool
        Whether the result is boolean where all inputs are, as in NumPy.
    takes, keeps : set of {"sparse", "integers"}
        Whether inputs may be sparse, or integers, and whether the result then is, too.
    is_integer : bool
        Whether the result is row numbers, whatever the inputs.
    adds_rows : bool
        Whether a result without a batch axis, of inputs with one, adds something up over the rows.
    linear_in : {None, "all", "each", "first"}
        Whether it is linear: in all inputs together, in each by itself, or in the first alone. What
        is computed so of sums over blocks of rows is the sum over all rows.
    operator : str, callable or None
        How it is written in ONNX, as a row of `operators.OPERATORS`, where it is none of those.
    """

    name: str
    function: Callable[..., Any]
    shape: Callable[..., Shape]
    pullbacks: Any = ()
    view: Callable[..., Any] | None = None
    in_place: bool = False
    is_boolean: bool = False
    keeps_boolean: bool = False
    takes: frozenset[str] = frozenset()
    keeps: frozenset[str] = frozenset()
    is_integer: bool = False
    adds_rows: bool = False
    linear_in: str | None = None
    operator: Any = None

    def pullback(self, position: int) -> Callable[..., Expression] | None:
        """Return the pullback for the input at `position`, or None."""
        if callable(self.pullbacks):
            return self.pullbacks(position)
        return self.pullbacks[position]

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


class Expression(NDArrayOperatorsMixin):
    """A value that has not been computed yet: a node of the computation graph.

    Expressions come from `variable` and from NumPy functions applied to them. They support
    arithmetic and comparison operators, indexing of every axis but the batch's, the functions in
    `FUNCTIONS`, and ndarray's methods of the same names. Their precision is the program's.

    Attributes
    ----------
    primitive : Primitive or None
        The function that computes the node; None for variables and constants.
    inputs : tuple of Expression
        What it is computed from.
    attributes : dict
        Its other arguments, such as an axis.
    shape : tuple
        Its shape; the first entry may be `BATCH`.
    is_boolean : bool
        Whether its values are truth values.
    name : str or None
        The name shown in graphs.
    value : ndarray or None
        The value of a constant.
    is_sparse : bool
        Whether a variable takes SciPy sparse rows.
    is_integer : bool
        Whether its values are row numbers, for `take`.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.engine import variable
    >>> z = variable("z", ("n", 3))
    >>> z * np.tanh(np.logaddexp(0, z))
    <expression multiply of shape (n, 3)>
    """

    __slots__ = (
        "attributes",
        "inputs",
        "is_boolean",
        "is_integer",
        "is_sparse",
        "name",
        "primitive",
        "shape",
        "value",
    )
    __hash__ = object.__hash__

    def __init__(
        self,
        primitive: Primitive | None,
        inputs: tuple[Expression, ...],
        attributes: dict[str, Any],
        shape: Shape,
        *,
        name: str | None = None,
        value: np.ndarray | None = None,
        is_boolean: bool = False,
        is_sparse: bool = False,
        is_integer: bool = False,
    ) -> None:
        self.primitive = primitive
        self.inputs = inputs
        self.attributes = attributes
        self.shape = shape
        self.name = name
        self.value = value
        self.is_boolean = is_boolean
        self.is_sparse = is_sparse
        self.is_integer = is_integer

    # -- what it looks like ---------------------------------------------------------------------

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> Any:
        """How many numbers it has; an expression where that depends on the number of rows."""
        return FUNCTIONS[np.size](self)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a constant of its kind; a program has one precision for all."""
        return np.dtype(bool if self.is_boolean else np.int64 if self.is_integer else np.float64)

    @property
    def label(self) -> str:
        """A short name: the given one, the constant's value, or the primitive's name."""
        if self.name is not None:
            return self.name
        if self.value is not None:
            return f"{self.value.item():g}" if self.value.size == 1 else "constant"
        assert self.primitive is not None
        return self.primitive.name

    def __repr__(self) -> str:
        return f"<expression {self.label} of shape {shape_text(self.shape)}>"

    def named(self, name: str) -> Expression:
        """Give the node a name for graphs, and return it.

        Parameters
        ----------
        name : str
            Shown in place of the primitive's name.

        Returns
        -------
        Expression
            The same node.
        """
        self.name = name
        return self

    # -- NumPy's protocols ------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "reduce" and ufunc in REDUCTIONS:
            return FUNCTIONS[REDUCTIONS[ufunc]](*inputs, **{"axis": 0, **options})
        if method != "__call__":
            raise TypeError(f"{name}.{method} is not differentiable here: {_INSTEAD}")
        if options:
            sign = _SIGNS.get(name, "+")
            raise TypeError(
                f"{name} was called with {sorted(options)}, which an expression cannot take: "
                f"leave it out, and write z = z {sign} 1 instead of z {sign}= 1"
            )
        return _lookup(ufunc)(*inputs)

    def __array_function__(
        self, func: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        return _lookup(func)(*args, **kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(
            "a function asked an expression for its values, which it does not have yet: write it "
            "with NumPy functions (np.stack, not np.array or np.vectorize) and scipy.special "
            "ufuncs; softmax, log_softmax and logsumexp are in skmlp.engine"
        )

    def __bool__(self) -> bool:
        raise TypeError(
            "an expression is neither true nor false until it is computed: instead of if, and, or "
            "and chained comparisons write np.where(condition, a, b), &, | and np.clip"
        )

    def __float__(self) -> float:
        raise TypeError(
            "an expression is not a number until it is computed: use NumPy functions "
            "(np.exp) instead of those of math (math.exp), and no float() or int()"
        )

    __int__ = __index__ = __complex__ = __float__

    def __len__(self) -> int:
        if self.shape and isinstance(self.shape[0], int):
            return self.shape[0]
        raise TypeError(
            "the number of rows is known only when a program runs: write z.shape[0] in reshape, "
            "and np.mean instead of dividing by len(z)"
        )

    def __iter__(self) -> Any:
        if self.shape and self.shape[0] != BATCH:
            return (self[i] for i in range(int(self.shape[0])))
        raise TypeError(
            "an expression cannot be looped over: write one NumPy expression for the whole "
            "array, or index columns as z[:, 0]"
        )

    def __setitem__(self, key: Any, value: Any) -> None:
        raise TypeError(
            "an expression cannot be assigned to: write np.where(condition, a, b) or "
            "np.concatenate([...], axis=1) instead of z[...] = value"
        )

    def __getitem__(self, key: Any) -> Expression:
        return FUNCTIONS[operator.getitem](self, key)

    # -- ndarray's methods -------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name, None)
        if hasattr(np.ndarray, name) and function in FUNCTIONS and name not in _IN_PLACE:
            return partial(FUNCTIONS[function], self)
        is_function = function in FUNCTIONS
        instead = f"np.{name}(z, ...)" if is_function else "it with NumPy functions"
        raise AttributeError(f"an expression has no attribute {name}: write {instead}")

    @property
    def T(self) -> Expression:
        """The transpose of a matrix."""
        return FUNCTIONS[np.transpose](self)

    def transpose(self, *axes: Any) -> Expression:
        """Permute the axes, as `numpy.transpose`."""
        return FUNCTIONS[np.transpose](self, _one_or_all(axes) if axes else None)

    def reshape(self, *shape: Any, **options: Any) -> Expression:
        """Reshape within rows: the batch axis stays first, as `numpy.reshape`."""
        return FUNCTIONS[np.reshape](self, _one_or_all(shape), **options)

    def __round__(self, decimals: int = 0) -> Expression:
        return FUNCTIONS[np.round](self, decimals)

    def flatten(self) -> Expression:
        """Make it one axis, as `numpy.ravel`."""
        return FUNCTIONS[np.ravel](self)

    def astype(self, dtype: Any, copy: bool = True) -> Any:  # noqa: ARG002
        """Make truth values numbers, numbers truth values, or whole; the precision stays."""
        kind, size = np.dtype(dtype).kind, np.dtype(dtype).itemsize
        if kind == "b":
            return self if self.is_boolean else self != 0
        if kind not in "iuf" or (kind == "f" and size < 4):
            raise TypeError(
                f"an expression has no type {np.dtype(dtype)}: write z.astype(float), int or bool, "
                "or choose the precision of all by dtype="
            )
        numbers = self * 1.0
        return numbers if kind == "f" or self.is_boolean else np.trunc(numbers)


def _one_or_all(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if len(arguments) == 1 else arguments


_IN_PLACE = {"sort"}  # where the method changes the array
_SIGNS = {"subtract": "-", "multiply": "*", "divide": "/", "power": "**", "remainder": "%"}
_INSTEAD = (
    "write it with the functions in skmlp.engine.FUNCTIONS (arithmetic, exp, log, tanh, where, "
    "clip, maximum, sum, scipy.special ufuncs, ...)"
)
REDUCTIONS: dict[Any, Callable[..., Any]] = {
    np.add: np.sum,
    np.multiply: np.prod,
    np.maximum: np.max,
    np.minimum: np.min,
    np.logical_and: np.all,
    np.logical_or: np.any,
}


def _lookup(function: Callable[..., Any]) -> Callable[..., Any]:
    if function not in FUNCTIONS:
        name = getattr(function, "__name__", repr(function))
        instead = INSTEAD.get(function, _INSTEAD)
        if isinstance(function, np.ufunc):
            instead += ", or tell its slope to skmlp.engine.register"
        raise TypeError(f"{name} cannot be differentiated by skmlp: {instead}")
    return FUNCTIONS[function]


def variable(
    name: str, shape: Iterable[int | str], *, is_sparse: bool = False, dtype: Any = None
) -> Expression:
    """Make a variable: an input, target, weight or parameter that a program gets values for.

    Parameters
    ----------
    name : str
        Its name in graphs and messages.
    shape : iterable
        Its shape. The first entry may be `BATCH` ("n"): one row for every row of the batch.
    is_sparse : bool, default=False
        Whether its values are SciPy sparse rows; such a variable can only be multiplied by a
        matrix with ``@``.
    dtype : {None, int}, default=None
        int for row numbers, by which `take` takes rows of a table; any other has the program's
        precision.

    Returns
    -------
    Expression
        The variable.

    Raises
    ------
    ValueError
        If an entry is neither a size nor, in first place, "n", or the type is none of these.

    Examples
    --------
    >>> from skmlp.engine import variable
    >>> variable("x", ("n", 4)) @ variable("W", (4, 2))
    <expression matmul of shape (n, 2)>
    """
    dimensions = tuple(BATCH if d == BATCH else int(d) for d in shape)
    if BATCH in dimensions[1:]:
        raise ValueError(
            f"variable {name} has shape {shape_text(dimensions)}: only the first axis may be n"
        )
    if dtype not in (None, int):
        raise ValueError(f"variable {name} has dtype {dtype!r}: give int for row numbers, or none")
    return Expression(
        None, (), {}, dimensions, name=name, is_sparse=is_sparse, is_integer=dtype is int
    )


def constant(value: Any) -> Expression:
    """Make a constant of a number or an array; an expression is returned as it is.

    Parameters
    ----------
    value : number, array-like or Expression
        Numbers become float64 (a program casts them to its precision), truth values stay.

    Returns
    -------
    Expression
        The constant.

    Raises
    ------
    TypeError
        If the value is not numeric.
    """
    if isinstance(value, Expression):
        return value
    if isinstance(value, Rows):
        operator.index(value)  # refused, in a sentence
    array = np.asarray(value)
    if array.dtype != bool:
        if not np.can_cast(array.dtype, np.float64, "same_kind"):
            what = repr(value) if array.ndim == 0 else f"an array of {array.dtype}"
            raise TypeError(
                f"an expression cannot be combined with {what}: write numbers or arrays of numbers"
            )
        array = array.astype(np.float64)
    return Expression(None, (), {}, array.shape, value=array, is_boolean=array.dtype == bool)


def apply(primitive: Primitive, *inputs: Any, **attributes: Any) -> Expression:
    """Make the node `primitive(*inputs, **attributes)`; of constants alone, fold it."""
    nodes = tuple(constant(x) for x in inputs)
    for node in nodes:
        if node.is_integer and "integers" not in primitive.takes:
            raise TypeError(
                f"{primitive.name} was applied to the row numbers {node.label}: they say which "
                "rows of a table to take, as in skmlp.engine.take(table, index)"
            )
        if node.is_sparse and "sparse" not in primitive.takes:
            raise TypeError(
                f"{primitive.name} was applied to the sparse input {node.label}: sparse rows can "
                "only be multiplied by a matrix, as in x @ W"
            )
    shape = primitive.shape(*(node.shape for node in nodes), **attributes)
    if nodes and BATCH not in shape and all(node.value is not None for node in nodes):
        with np.errstate(all="ignore"):
            return constant(primitive.function(*(node.value for node in nodes), **attributes))
    is_sparse = "sparse" in primitive.keeps and nodes[0].is_sparse
    is_integer = primitive.is_integer or ("integers" in primitive.keeps and nodes[0].is_integer)
    is_boolean = primitive.is_boolean or (
        primitive.keeps_boolean and all(node.is_boolean for node in nodes)
    )
    return Expression(
        primitive,
        nodes,
        attributes,
        shape,
        is_boolean=is_boolean,
        is_sparse=is_sparse,
        is_integer=is_integer,
    )


def compute_or_trace(primitive: Primitive, *inputs: Any, **attributes: Any) -> Any:
    """Compute a primitive of arrays, or make its node where one of them is an expression."""
    if any(isinstance(x, Expression) for x in inputs):
        return apply(primitive, *inputs, **attributes)
    return primitive.function(*inputs, **attributes)


def topological(
    outputs: Sequence[Expression],
    instead: Mapping[Expression, Expression] | None = None,
    is_leaf: Callable[[Expression], bool] = lambda node: False,
) -> list[Expression]:
    """List every node that `outputs` need, each after its inputs, or after what is read instead.

    What a leaf needs is left out.
    """
    instead = instead or {}
    order: list[Expression] = []
    done: set[Expression] = set()
    for output in outputs:
        stack = [(output, False)]
        while stack:
            node, inputs_done = stack.pop()
            if node in done:
                continue
            if inputs_done:
                done.add(node)
                order.append(node)
                continue
            stack.append((node, True))
            inputs = (instead[node],) if node in instead else node.inputs
            inputs = () if is_leaf(node) else inputs
            stack.extend((x, False) for x in reversed(inputs) if x not in done)
    return order
