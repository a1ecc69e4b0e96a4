"""The writer: adds operators and constants to an ONNX graph.

The law: what is added is recorded as it comes, each name once, in the operator set and the
precision that the writer was made for. A value knows its type and can be computed with; numbers and
arrays beside it become constants. At the end the record is a model of its own (`model`), or goes
into a graph that somebody else writes (`nodes`, `initializers`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ..engine.shapes import BATCH, Shape
from ..engine.words import of_extra, shown

LEAST_OPSET = 13  # from which on operators take axes to sum over as an input
DEFAULT_OPSET = (
    18  # read by ONNX Runtime since 1.14; nothing that is written here needs a later one
)
STRINGS = np.dtype(object)  # how NumPy holds strings, to ONNX

_NEUTRAL = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0, "Div": 1.0}  # what changes nothing
_TRUTH = {"And", "Or", "Xor", "Not", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
_TRUTH |= {"IsNaN", "IsInf"}
_WHOLE = {"ArgMax", "ArgMin", "Shape", "Size", "NonZero"}


def onnx_module() -> Any:
    """Import ONNX.

    Raises
    ------
    ImportError
        If it is not installed, with the extra that brings it.
    """
    with of_extra("onnx", "skmlp.onnx writes models with onnx, which is not installed"):
        import onnx  # noqa: PLC0415
    return onnx


class Value:
    """What an operator of the graph returns: a name, with a type.

    Values are added, subtracted, multiplied, divided, negated and compared by operators of Python;
    those that are truth values are combined by &, | and ~.

    Attributes
    ----------
    name : str
        Its name in the graph.
    dtype : dtype
        Its type; `STRINGS` for strings.
    shape : tuple or None
        Its shape, where it is known; the number of rows is `BATCH`.
    is_zero : bool
        Whether it is the constant 0.
    operator : str
        The operator that it is the result of, if it is one.
    """

    __array_ufunc__ = None  # so that an array beside it becomes a constant
    __hash__ = object.__hash__

    def __init__(
        self,
        writer: Writer,
        name: str,
        dtype: Any,
        shape: Shape | None = None,
        *,
        is_zero: bool = False,
        operator: str = "",
    ) -> None:
        self._writer = writer
        self.name, self.dtype, self.shape = name, np.dtype(dtype), shape
        self.is_zero, self.operator = is_zero, operator

    def __repr__(self) -> str:
        return f"<value {self.name} of {self.dtype}>"

    def of_shape(self, shape: Shape | None) -> Value:
        """Return the same value with a shape that is known."""
        of = {"is_zero": self.is_zero, "operator": self.operator}
        return Value(self._writer, self.name, self.dtype, shape, **of)  # type: ignore[arg-type]

    def __add__(self, other: Any) -> Any:
        return self._writer.add("Add", self, other)

    def __radd__(self, other: Any) -> Any:
        return self._writer.add("Add", other, self)

    def __sub__(self, other: Any) -> Any:
        return self._writer.add("Sub", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._writer.add("Sub", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._writer.add("Mul", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self._writer.add("Mul", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self._writer.add("Div", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._writer.add("Div", other, self)

    def __matmul__(self, other: Any) -> Any:
        return self._writer.add("MatMul", self, other)

    def __neg__(self) -> Any:
        return self._writer.add("Neg", self)

    def __lt__(self, other: Any) -> Any:
        return self._writer.add("Less", self, other)

    def __le__(self, other: Any) -> Any:
        return self._writer.add("LessOrEqual", self, other)

    def __gt__(self, other: Any) -> Any:
        return self._writer.add("Greater", self, other)

    def __ge__(self, other: Any) -> Any:
        return self._writer.add("GreaterOrEqual", self, other)

    def __and__(self, other: Any) -> Any:
        return self._writer.add("And", self, other)

    def __or__(self, other: Any) -> Any:
        return self._writer.add("Or", self, other)

    def __invert__(self) -> Any:
        return self._writer.add("Not", self)


class Node(NamedTuple):
    """One operator that was added."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    domain: str
    attributes: Mapping[str, Any]


class Writer:
    """Adds operators and constants to a graph.

    Parameters
    ----------
    dtype : {float32, float64}
        The precision of numbers.
    opset : int, optional
        The version of the operator set; `DEFAULT_OPSET` by default.
    name_of : callable, optional
        Makes a name that nobody else in the graph has of one that is wished for; by default names
        are told apart by numbers.

    Attributes
    ----------
    nodes : list of Node
        What was added, in order.
    initializers : dict of str to ndarray
        The constants.
    inputs, outputs : dict of str to Value
        Those of the graph.

    Raises
    ------
    ValueError
        If the precision is another one, or the operator set too old.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.onnx import Writer
    >>> w = Writer(np.float32)
    >>> x = w.input("X", np.float32, ("n", 2))
    >>> w.output("y", w.add("Tanh", x @ np.eye(2)) * 0.5, ("n", 2))
    >>> [node.operator for node in w.nodes], sorted(w.outputs)
    (['MatMul', 'Tanh', 'Mul', 'Identity'], ['y'])
    """

    def __init__(self, dtype: Any, opset: int | None = None, *, name_of: Any = None) -> None:
        try:
            self.dtype = np.dtype(dtype)
        except TypeError:
            self.dtype = STRINGS
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise ValueError(
                f"dtype={shown(dtype)} is no precision that ONNX models of skmlp have: give "
                "'float32' or 'float64'."
            )
        self.opset = checked_opset(opset)
        self.nodes: list[Node] = []
        self.initializers: dict[str, np.ndarray] = {}
        self.inputs: dict[str, Value] = {}
        self.outputs: dict[str, Value] = {}
        self._names: set[str] = set()
        self._name_of = name_of or self._numbered
        self._constants: dict[Any, Value] = {}
        self._rows: Value | None = None
        self._domains: dict[str, int] = {}

    def of_precision(self, dtype: Any) -> Writer:
        """Return a writer of another precision into the same graph, whose inputs are declared."""
        other = copy(self)
        other.dtype = np.dtype(dtype)
        other._constants = {}  # values bring their writer, and so its precision
        return other

    @property
    def is_double(self) -> bool:
        """Whether numbers are float64."""
        return self.dtype == np.float64

    @property
    def domains(self) -> dict[str, int]:
        """The operator sets that are used, by domain: the version of each."""
        return {"": self.opset, **self._domains}

    def _numbered(self, wished: str) -> str:
        name, number = wished, 2
        while name in self._names:
            name, number = f"{wished}_{number}", number + 1
        self._names.add(name)
        return name

    # -- what goes in --------------------------------------------------------------------------

    def input(self, name: str, dtype: Any, shape: Shape) -> Value:
        """Declare an input of the graph; the first whose rows are a batch says how many there are.

        Parameters
        ----------
        name : str
            Its name.
        dtype : dtype
            Its type; `STRINGS` for strings.
        shape : tuple
            Its shape, with `BATCH` ("n") for the rows.
        """
        self._names.add(name)
        self.inputs[name] = Value(self, name, dtype, shape)
        return self.known(name, dtype, shape)

    def known(self, name: str, dtype: Any, shape: Shape) -> Value:
        """Return the value of a name that the graph has from somewhere else."""
        value = Value(self, name, dtype, shape)
        if self._rows is None and shape[:1] == (BATCH,):
            self._rows = value
        return value

    def constant(self, array: Any, name: str = "constant", dtype: Any = None) -> Value:
        """Make a constant of a number, truth values, whole numbers, strings, or an array of them.

        Numbers are cast to the writer's precision, but NumPy's own whole ones are kept; `dtype`
        says otherwise. Equal constants are one.
        """
        given = np.asarray(array)
        if dtype is None:
            is_whole = given.dtype.kind in "iu" and isinstance(array, (np.ndarray, np.generic))
            kinds = {"b": np.bool_, "U": STRINGS, "O": STRINGS}
            dtype = np.int64 if is_whole else kinds.get(given.dtype.kind, self.dtype)
        with np.errstate(over="ignore"):
            made = np.ascontiguousarray(given, dtype).reshape(given.shape)
        content = tuple(made.ravel()) if made.dtype == STRINGS else made.tobytes()
        key = (made.dtype, made.shape, content)
        if key not in self._constants:
            named = self._name_of(name)
            self.initializers[named] = made
            is_zero = made.ndim == 0 and made.dtype.kind == "f" and made == 0
            self._constants[key] = Value(self, named, made.dtype, made.shape, is_zero=bool(is_zero))
        return self._constants[key]

    # -- operators -----------------------------------------------------------------------------

    def add(
        self,
        operator: str,
        *inputs: Any,
        dtype: Any = None,
        outputs: int = 1,
        domain: str = "",
        version: int = 1,
        **attributes: Any,
    ) -> Any:
        """Add an operator, and return its result.

        Parameters
        ----------
        operator : str
            Its name in ONNX.
        *inputs : Value, number, array, str or None
            What it takes; what is no value becomes a constant, None is left out.
        dtype : dtype, optional
            The type of the result; by default truth values where the operator tests something,
            whole numbers where it counts, or else that of the first input, or of the choices.
        outputs : int, default=1
            How many results it has; several come in a tuple, those after the first as int64.
        domain : str, default=""
            Its operator set, such as "ai.onnx.ml".
        version : int, default=1
            The version of that set, where it is another one.
        **attributes
            Its attributes.

        Returns
        -------
        Value, or tuple of Value
            The result.
        """
        values = [None if x is None else self._value(x) for x in inputs]
        if operator in _NEUTRAL and self.is_double:
            kept = self._kept(operator, *values)
            if kept is not None:
                return kept
        if dtype is None:
            dtype = self._type(operator, values)
        names = tuple(self._name_of(operator.lower()) for _ in range(outputs))
        given = tuple("" if value is None else value.name for value in values)
        self.nodes.append(Node(operator, given, names, domain, attributes))
        if domain:
            self._domains[domain] = max(version, self._domains.get(domain, 1))
        made = [Value(self, names[0], dtype, operator=operator)]
        made += [Value(self, name, np.int64) for name in names[1:]]
        return made[0] if outputs == 1 else tuple(made)

    def _kept(self, operator: str, a: Any, b: Any) -> Value | None:
        """Write a sum or product with a constant in a way that ONNX Runtime does not leave out.

        It does so with any number of float64 that float32 rounds to 0, or for products to 1.
        """
        if operator in ("Add", "Mul") and a.name in self.initializers:
            a, b = b, a
        found, neutral = self.initializers.get(b.name), _NEUTRAL[operator]
        if found is None or found.size != 1 or found.dtype != np.float64:
            return None
        with np.errstate(over="ignore"):
            is_rounded = found.astype(np.float32) == neutral
        if not is_rounded.all() or np.all(found == neutral):
            return None
        if neutral == 0:
            return self.add("Sum", a, found if operator == "Add" else -found)
        factor = found if operator == "Mul" else 1 / found
        return self.add("Sum", a, self.add("Mul", a, factor - 1))

    def _value(self, x: Any) -> Value:
        return x if isinstance(x, Value) else self.constant(x)

    def _type(self, operator: str, values: Sequence[Value | None]) -> Any:
        if operator in _TRUTH:
            return np.bool_
        if operator in _WHOLE:
            return np.int64
        given = [value for value in values if value is not None]
        return given[1 if operator == "Where" else 0].dtype  # the choices stand after the condition

    def cast(self, value: Any, dtype: Any) -> Value:
        """Cast a value to a type, if it has another one."""
        value = self._value(value)
        if value.dtype == np.dtype(dtype):
            return value
        to = onnx_module().helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        cast = self.add("Cast", value, dtype=dtype, to=int(to))
        return cast if value.shape is None else cast.of_shape(value.shape)

    def reduce(self, operator: str, value: Any, axes: Sequence[int], keepdims: bool) -> Value:
        """Add ReduceSum, ReduceMax or another, over some axes."""
        axes, keep = [int(axis) for axis in axes], int(keepdims)
        if not axes:
            return value
        if operator == "ReduceSum" or self.opset >= 18:
            return self.add(operator, value, np.array(axes, np.int64), keepdims=keep)
        return self.add(operator, value, axes=axes, keepdims=keep)

    @property
    def rows(self) -> Value:
        """The number of rows, as an array of one whole number.

        Raises
        ------
        ValueError
            If no input has rows.
        """
        if self._rows is None:
            raise ValueError("the graph has no input with rows: declare one before they are used.")
        lengths = self.add("Shape", self._rows)
        return self.add("Slice", lengths, np.array([0]), np.array([1]))

    def lengths(self, shape: Shape) -> Value:
        """Return a shape as an array of whole numbers, in which `BATCH` is the number of rows."""
        if BATCH not in shape:
            return self.constant(np.array(shape, np.int64))
        parts: list[Any] = [self.rows if d == BATCH else np.array([d], np.int64) for d in shape]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, dtype=np.int64, axis=0)

    # -- what comes out ------------------------------------------------------------------------

    def output(self, name: str, value: Value, shape: Shape | None = None) -> None:
        """Declare an output of the graph: a value, under a name of its own."""
        self._names.add(name)
        self.nodes.append(Node("Identity", (value.name,), (name,), "", {}))
        self.outputs[name] = Value(self, name, value.dtype, value.shape if shape is None else shape)

    def model(self, name: str = "skmlp") -> Any:
        """Return what was written as a model that ONNX has checked.

        Parameters
        ----------
        name : str, default="skmlp"
            The name of the graph.

        Returns
        -------
        onnx.ModelProto
            The model, whose number of rows is free.
        """
        onnx = onnx_module()
        used = {name for node in self.nodes for name in node.inputs}
        graph = onnx.helper.make_graph(
            [self.proto(node) for node in self.nodes],
            name,
            [_described(value) for value in self.inputs.values()],
            [_described(value) for value in self.outputs.values()],
            [
                onnx.numpy_helper.from_array(array, name)
                for name, array in self.initializers.items()
                if name in used
            ],
        )
        opsets = [onnx.helper.make_opsetid(*item) for item in self.domains.items()]
        model = onnx.helper.make_model(
            graph,
            opset_imports=opsets,
            producer_name="skmlp",
            ir_version=onnx.helper.find_min_ir_version_for(opsets, ignore_unknown=True),
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def proto(self, node: Node) -> Any:
        """Return a node as ONNX has it, under a name, by which ONNX Runtime 1.20 names others."""
        return onnx_module().helper.make_node(
            node.operator,
            node.inputs,
            node.outputs,
            name=node.outputs[0],
            domain=node.domain,
            **node.attributes,
        )


def _described(value: Value) -> Any:
    helper = onnx_module().helper
    shape = None if value.shape is None else [None if d == BATCH else int(d) for d in value.shape]
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor_value_info(value.name, kind, shape)


def checked_opset(opset: Any) -> int:
    """Return a version of the operator set that can be written, or say in a sentence why not."""
    if opset is None:
        return DEFAULT_OPSET
    latest = onnx_module().defs.onnx_opset_version()
    is_whole = isinstance(opset, (int, np.integer)) and not isinstance(opset, bool)
    if not (is_whole and LEAST_OPSET <= opset <= latest):
        raise ValueError(
            f"opset={shown(opset)} is no operator set that can be written: give a whole number "
            f"from {LEAST_OPSET} to {latest}, which is what the installed onnx has."
        )
    return int(opset)
