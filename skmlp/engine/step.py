"""Steps: a program bound to a number of rows, as memory and a flat list of NumPy calls.

    plan, parameters, targets -> layout;  layout, rows -> one piece of memory, calls

A `Layout` is all that no number of rows changes, and is made once for a program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .expression import Expression
from .kernels import bind
from .memory import aligned, filled
from .plan import Block, Plan, is_repeated_constant, offsets
from .primitives import CONCATENATE, ROWS
from .shapes import BATCH, concrete


class Computed(NamedTuple):
    """A node whose value a call writes into memory of its own: of `fixed + rows * per_row` bytes.

    It is written at `first`, read for the last time at `last` (positions in the order), and may be
    written over the computed nodes of the numbers in `over`.
    """

    node: Expression
    dtype: np.dtype[Any]
    fixed: int
    per_row: int
    first: int
    last: int
    over: tuple[int, ...]


class Layout:
    """Where the values of a program stand, as far as no number of rows changes it.

    Attributes
    ----------
    plan : Plan
        What is computed.
    dtype : dtype
        The precision.
    standing : dict of Expression to array
        Parameters, constants and what views them.
    targets : dict of Expression to array
        Where outputs are computed, or what they are parts of.
    into : list of (Expression, ndarray or None)
        The outputs, and where they are wanted.
    others : list of Expression
        What does not stand, in order.
    computed : list of Computed
        What stands in a step's own memory.
    """

    def __init__(
        self,
        plan: Plan,
        parameters: Mapping[Expression, np.ndarray],
        into: Sequence[np.ndarray | None],
        dtype: np.dtype[Any],
    ) -> None:
        self.plan, self.dtype = plan, dtype
        self.standing: dict[Expression, Any] = {}
        self.into = list(zip(plan.outputs, into, strict=True))
        self.targets = _targets(self.into)
        self.others: list[Expression] = []
        for node in plan.order:
            found = self._standing(node, parameters)
            if found is None:
                self.others.append(node)
            else:
                self.standing[node] = found
        self.computed = self._computed()

    def dtype_of(self, node: Expression) -> np.dtype[Any]:
        """Return the precision of a node's values."""
        return np.dtype(bool if node.is_boolean else np.int64 if node.is_integer else self.dtype)

    def _standing(
        self, node: Expression, parameters: Mapping[Expression, np.ndarray]
    ) -> np.ndarray | None:
        """Return where a value stands that neither runs nor rows move, or None."""
        if node in parameters:
            return parameters[node]
        if node.value is not None:
            with np.errstate(over="ignore"):
                array = node.value.astype(self.dtype_of(node))
            array.flags.writeable = False
            return array
        if node.primitive is None or not all(x in self.standing for x in node.inputs):
            return None
        if node.primitive.view is not None:
            return node.primitive.view(self.standing[node.inputs[0]], **node.attributes)
        if node.primitive is CONCATENATE and node.attributes["axis"] == 0:
            return side_by_side([self.standing[x] for x in node.inputs], concrete(node.shape, 0))
        return None

    def _computed(self) -> list[Computed]:
        roots, last_uses = self.plan.roots, self.plan.last_uses
        positions, sizes = self.plan.positions, self.plan.sizes
        numbers: dict[Expression, int] = {}
        computed: list[Computed] = []
        for node in self.others:
            if not self._is_computed(node):
                continue
            first, dtype = positions[node], self.dtype_of(node)
            over: tuple[int, ...] = ()
            if node.primitive.in_place:  # type: ignore[union-attr]
                over = tuple(
                    numbers[x]
                    for x in node.inputs
                    if x in numbers
                    and last_uses[x] == first
                    and (self.dtype_of(x), x.shape) == (dtype, node.shape)
                    and not any(roots[other] is x for other in node.inputs if other is not x)
                )
            one = sizes[node] * dtype.itemsize
            fixed, per_row = (0, one) if BATCH in node.shape else (one, 0)
            last = last_uses.get(node, first)
            numbers[node] = len(computed)
            computed.append(Computed(node, dtype, fixed, per_row, first, last, over))
        return computed

    def _is_computed(self, node: Expression) -> bool:
        return not (
            node.primitive is None
            or node.primitive is ROWS
            or node.primitive.view is not None
            or node in self.targets
            or node in self.plan.joins
            or is_repeated_constant(node)
        )


class Step:
    """A program bound to a number of rows: buffers and calls.

    Attributes
    ----------
    arrays : dict of Expression to array
        Where every node's value stands; buffers are reused, so after a run only inputs and
        outputs still hold theirs.
    gathered : dict of Expression to Gathered
        Where rows of an input are gathered that stand among other columns.
    outputs : list of ndarray
        Where the outputs stand.
    calls : list of callables
        What `run` calls, in order.
    number_of_bytes : int
        The size of all buffers together.
    """

    def __init__(self, layout: Layout, rows: int) -> None:
        self.arrays: dict[Expression, Any] = dict(layout.standing)
        self.gathered: dict[Expression, Gathered] = {}
        self.calls: list[Callable[[], Any]] = []
        self.number_of_bytes = 0
        self._layout, self._rows = layout, rows
        arrays, places = self.arrays, layout.targets | self._places()
        for node in layout.others:
            out = places.get(node)
            if out is None:
                arrays[node] = self._standing(node)
                continue
            inputs = [arrays[x] for x in node.inputs]
            arrays[node] = out
            self.calls.append(bind(node.primitive, out, *inputs, **node.attributes))  # type: ignore[arg-type]
        self.outputs = self._finished()

    def _places(self) -> dict[Expression, np.ndarray]:
        """Lay out the memory of all that is computed, in one piece."""
        rows, computed = self._rows, self._layout.computed
        starts, total = offsets(
            [Block(c.fixed + rows * c.per_row, c.first, c.last, c.over) for c in computed]
        )
        memory = aligned(total, np.uint8)
        self.number_of_bytes += total
        return {
            c.node: np.ndarray(concrete(c.node.shape, rows), c.dtype, memory, start)
            for c, start in zip(computed, starts, strict=True)
        }

    def _standing(self, node: Expression) -> Any:
        """Return where a value stands that is given to a run, or is part of another."""
        plan = self._layout.plan
        if node in plan.joined:
            return self._joined(node, *plan.joined[node])
        if node in plan.joins:  # of inputs and constants, which are written once
            parts = [self.arrays[x] for x in node.inputs]
            self.arrays[node][...] = np.concatenate(parts, axis=1)
            return self.arrays[node]
        if node.is_sparse and node.primitive is None:
            return SparseRows()
        if node.primitive is None:
            return self._new(node)
        if node.primitive.view is not None:
            return node.primitive.view(self.arrays[node.inputs[0]], **node.attributes)
        if node.primitive is ROWS:
            array = np.array(self._rows, self._layout.dtype)
        else:  # a repeated constant
            array = filled(
                concrete(node.shape, self._rows),
                self.arrays[node.inputs[0]],
                self._layout.dtype_of(node),
            )
            self.number_of_bytes += array.nbytes
        array.flags.writeable = False
        return array

    def _new(self, node: Expression) -> np.ndarray:
        array = aligned(concrete(node.shape, self._rows), self._layout.dtype_of(node))
        self.number_of_bytes += array.nbytes
        return array

    def _joined(self, x: Expression, whole: Expression, start: int) -> np.ndarray:
        """Let an input stand among the columns that it is joined to."""
        if whole not in self.arrays:
            self.arrays[whole] = self._new(whole)
        columns = self.arrays[whole][:, start : start + int(x.shape[1])]
        rows_alone = self._new(x)
        item = np.dtype((np.void, columns.shape[1] * columns.itemsize))
        self.gathered[x] = Gathered(rows_alone, rows_alone.view(item), columns.view(item))
        return columns

    def _finished(self) -> list[np.ndarray]:
        """Return where the outputs stand, copied where they are to be and are not yet."""
        outputs = []
        for output, target in self._layout.into:
            array = self.arrays[output]
            if target is not None and not is_same_memory(array, target):
                self.calls.append(partial(np.copyto, target, array))
            outputs.append(array if target is None else target)
        return outputs

    def run(self) -> None:
        """Compute the outputs from the inputs, in place."""
        for call in self.calls:
            call()


class Gathered(NamedTuple):
    """Where rows are gathered before they are put among other columns.

    `rows` are the rows alone; `items` the same memory, each row as one item, which is the quickest
    to copy; `places` where they are copied to, each as one item.
    """

    rows: np.ndarray
    items: np.ndarray
    places: np.ndarray


class SparseRows:
    """The place of a sparse input: the rows of the current batch, as they are or transposed."""

    def __init__(self, source: SparseRows | None = None) -> None:
        self.rows: Any = None
        self._source = source

    @property
    def matrix(self) -> Any:
        """The current rows."""
        return self.rows if self._source is None else self._source.matrix.T

    @property
    def T(self) -> SparseRows:
        """The same rows, read transposed."""
        return SparseRows(self)


# -- neighbors in memory ---------------------------------------------------------------------------


def _targets(
    into: Sequence[tuple[Expression, np.ndarray | None]],
) -> dict[Expression, np.ndarray]:
    """Return the arrays that outputs are computed into, or what they are parts of."""
    targets: dict[Expression, np.ndarray] = {}
    parts: dict[Expression, list[tuple[Expression, np.ndarray]]] = {}
    for output, target in into:
        if target is None or output.primitive is None or not target.flags.c_contiguous:
            continue  # kernels ask for it
        if output.primitive.view is None:
            targets[output] = target
        elif output.inputs[0].primitive is not None and output.inputs[0].primitive.view is None:
            parts.setdefault(output.inputs[0], []).append((output, target))
    for root, found in parts.items():
        if BATCH in root.shape:
            continue
        found = sorted(found, key=lambda part: address_of(part[1]))
        whole = side_by_side([target for _, target in found], concrete(root.shape, 0))
        if whole is not None and all(
            is_same_memory(output.primitive.view(whole, **output.attributes), target)  # type: ignore[union-attr,misc]
            for output, target in found
        ):
            targets[root] = whole
    return targets


def address_of(array: np.ndarray) -> int:
    """Return where an array begins in memory."""
    return array.__array_interface__["data"][0]


def is_same_memory(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether two arrays are the same numbers in the same places."""
    return a is b or (
        address_of(a) == address_of(b)
        and (a.shape, a.strides, a.dtype) == (b.shape, b.strides, b.dtype)
    )


def side_by_side(arrays: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray | None:
    """View arrays that follow one another in one piece of memory as one; None where they do not.

    Examples
    --------
    >>> theta = np.arange(6.0)
    >>> side_by_side([theta[:4].reshape(2, 2), theta[4:]], (3, 2))
    array([[0., 1.],
           [2., 3.],
           [4., 5.]])
    >>> side_by_side([theta[4:], theta[:4]], (3, 2)) is None
    True
    """
    first = arrays[0]
    expected = address_of(first)
    for array in arrays:
        is_next = address_of(array) == expected and array.base is not None
        if not (is_next and array.base is first.base and array.flags.c_contiguous):
            return None
        if array.dtype != first.dtype:
            return None
        expected += array.nbytes
    if sum(array.size for array in arrays) != math.prod(shape):
        return None
    strides = [first.itemsize * math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return np.lib.stride_tricks.as_strided(first, shape, strides)
