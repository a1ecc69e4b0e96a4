"""Programs: expressions run in place.

The law: for a number of rows, a program is a flat list of bound NumPy calls that write into
buffers laid out beforehand; running it allocates nothing.

    plan -> buffers -> calls

A batch larger than `block_rows` runs in blocks of rows: outputs with a row for every row of the
batch are filled block by block, outputs that are sums over the rows add up. An output that is
neither (a variance over the batch, say) makes the program run in one piece.

A program's buffers serve one thread at a time: give each thread its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .expression import Expression
from .kernels import bind
from .memory import aligned, filled
from .plan import Block, Plan, is_repeated_constant, offsets
from .primitives import CONCATENATE, ROWS
from .shapes import BATCH, concrete, shape_text, size

BLOCK_NUMBERS = 1 << 15  # a block's widest array holds about so many numbers, to stay in the cache,
LEAST_BLOCK_ROWS = 256  # but a block has at least so many rows, and as many as that array columns
CAST_NUMBERS = 1024  # NumPy's own buffer for calls that mix precisions or broadcast
KEPT_STEPS = 4  # numbers of rows that a program stays bound to


@contextmanager
def running() -> Iterator[None]:
    """Set NumPy up for programs: numbers that are not finite raise nothing, casts stay small.

    `Program.run` does so itself. Enter it once around many calls of what `Program.bind` returns.
    """
    cast_numbers = np.setbufsize(CAST_NUMBERS)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        np.setbufsize(cast_numbers)


Load = Callable[..., None]  # (buffer, where rows are gathered first, rows to take)


class Program:
    """Expressions, planned to be computed many times.

    Parameters
    ----------
    outputs : sequence of Expression, or Plan
        What to compute.
    parameters : mapping of Expression to ndarray, optional
        Arrays for variables without a batch axis. They are read where they stand, so changing
        them changes the next run.
    into : sequence of ndarray or None, optional
        For every output the array to write it into, or None for a buffer of the program's own.
    dtype : dtype, default=float64
        The precision, float32 or float64, of all buffers.
    block_rows : int, optional
        The most rows that are computed at once; by default so many that the arrays of a block
        stay in the cache, and that adding up a block's sums is little beside computing them.

    Attributes
    ----------
    inputs : list of Expression
        The variables that `run` needs values for.
    block_rows : int
        The most rows that are computed at once.

    Raises
    ------
    ValueError
        If a parameter or a target has the wrong shape or precision.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.engine import Program, variable
    >>> x, w = variable("x", ("n", 2)), variable("w", (2, 1))
    >>> weights = np.array([[1.0], [10.0]])
    >>> program = Program([np.tanh(x @ w)], {w: weights})
    >>> program.run({x: np.eye(2)})[0].round(2)
    array([[0.76],
           [1.  ]])
    """

    def __init__(
        self,
        outputs: Sequence[Expression] | Plan,
        parameters: Mapping[Expression, np.ndarray] | None = None,
        *,
        into: Sequence[np.ndarray | None] | None = None,
        dtype: Any = np.float64,
        block_rows: int | None = None,
    ) -> None:
        self.plan = outputs if isinstance(outputs, Plan) else Plan(outputs)
        self.dtype = np.dtype(dtype)
        self.outputs, self.order = self.plan.outputs, self.plan.order
        self.parameters = dict(parameters or {})
        self.into = list(into or [None] * len(self.outputs))
        self.inputs = [
            node
            for node in self.order
            if node.primitive is None and node.value is None and node not in self.parameters
        ]
        asked = zip(self.plan.asked, self.into, strict=True)
        for node, array in [*self.parameters.items(), *asked]:
            if array is not None and (array.shape != node.shape or array.dtype != self.dtype):
                raise ValueError(
                    f"{node.label} is {shape_text(node.shape)} of {self.dtype}, "
                    f"got an array of {array.shape} of {array.dtype}"
                )
        self._kinds = self.plan.kinds
        self.block_rows = self._choose_block_rows(block_rows)
        self._steps: dict[int, Step] = {}
        self._latest = -1

    def _choose_block_rows(self, block_rows: int | None) -> int:
        if any(self._kinds[x] == "whole" or BATCH in x.shape[1:] for x in self.outputs):
            return 1 << 62
        if block_rows is not None:
            return int(block_rows)
        widest = max((size(node.shape, 1) for node in self.order if BATCH in node.shape), default=1)
        return max(LEAST_BLOCK_ROWS, BLOCK_NUMBERS // widest, widest)

    def step(self, rows: int) -> Step:
        """Bind the program to a number of rows, or return what was bound to it lately.

        Parameters
        ----------
        rows : int
            The number of rows.

        Returns
        -------
        Step
            Buffers and calls for that many rows.
        """
        if rows != self._latest:
            step = self._steps.pop(rows, None) or Step(self, rows)
            self._steps[rows], self._latest = step, rows
            if len(self._steps) > KEPT_STEPS:
                del self._steps[next(iter(self._steps))]
        return self._steps[rows]

    def release(self, most_bytes: int) -> None:
        """Let go of buffers, those used last the last, until they take at most so many bytes."""
        steps = self._steps
        while sum(step.number_of_bytes for step in steps.values()) > most_bytes:
            del steps[next(iter(steps))]
        self._latest = next(reversed(steps), -1)

    def run(
        self, values: Mapping[Expression, Any] | None = None, index: Any = None
    ) -> list[np.ndarray]:
        """Compute the outputs, in blocks of rows where there are many.

        Parameters
        ----------
        values : mapping of Expression to array, sparse matrix or function
            A value for every input; those with a batch axis have the same number of rows. A
            function is called with the input's buffer for each block of rows, and fills it, with
            random numbers say.
        index : ndarray of int or bool, or slice, optional
            Which of the rows to take, as NumPy's index; all by default. Whether a number is out
            of bounds is not checked.

        Returns
        -------
        list of ndarray
            An output with a row for every row is a new array; any other is a buffer of the
            program's (or the array given as `into`), written anew by the next run.
        """
        with running():
            return self.bind(values or {})(index)

    def bind(self, values: Mapping[Expression, Any]) -> Callable[[Any], list[np.ndarray]]:
        """Check values once, to compute the outputs for many batches of their rows.

        Parameters
        ----------
        values : mapping of Expression to array or sparse matrix
            As for `run`.

        Returns
        -------
        callable
            `index -> outputs`, as `run`, to be called inside `running`.
        """
        total = self._count_rows(values)
        loads = {x: _loader(x, values[x], self.dtype) for x in self.inputs}
        are_rows = [self._kinds[output] == "rows" for output in self.outputs]
        has_rows = any(are_rows)
        draws = any(callable(values[x]) for x in self.inputs)
        may_overlap = not draws and all(self._kinds[x] != "sum" for x in self.outputs)

        def compute(index: Any = None) -> list[np.ndarray]:
            taken = _taken(total, index)
            if len(taken) > self.block_rows:
                return self._run_blocks(loads, taken, may_overlap)
            results = self._run_block(loads, taken)
            if not has_rows:
                return results
            return [
                np.array(x) if is_rows else x for x, is_rows in zip(results, are_rows, strict=True)
            ]

        return compute

    def _count_rows(self, values: Mapping[Expression, Any]) -> int:
        missing = [x.label for x in self.inputs if x not in values]
        if missing:
            raise ValueError(f"the program needs values for {', '.join(missing)}")
        given = [x for x in self.inputs if not callable(values[x])]
        for x in given:
            shape = np.shape(values[x])
            if shape != concrete(x.shape, shape[0] if shape else 0):
                raise ValueError(f"{x.label} is {shape_text(x.shape)}, got an array of {shape}")
        counts = {values[x].shape[0] for x in given if BATCH in x.shape}
        if not counts:  # no output depends on the batch, but its shape may
            counts = {
                values[x].shape[0] for x in values if BATCH in x.shape and not callable(values[x])
            }
        if len(counts) > 1:
            raise ValueError(f"the inputs have different numbers of rows: {sorted(counts)}")
        return int(counts.pop()) if counts else 1

    def _run_block(
        self, loads: Mapping[Expression, Load], taken: range | np.ndarray
    ) -> list[np.ndarray]:
        step = self.step(len(taken))
        for x, load in loads.items():
            load(step.arrays[x], step.gathered.get(x), taken)
        step.run()
        return step.outputs

    def _run_blocks(
        self, loads: Mapping[Expression, Load], taken: range | np.ndarray, may_overlap: bool
    ) -> list[np.ndarray]:
        totals: list[np.ndarray] = []
        for start in range(0, len(taken), self.block_rows):
            if may_overlap:  # the last block begins sooner, so that none of another length is bound
                start = min(start, len(taken) - self.block_rows)
            block = taken[start : start + self.block_rows]
            results = self._run_block(loads, block)
            if not totals:
                totals = [
                    np.empty(concrete(output.shape, len(taken)), result.dtype)
                    if self._kinds[output] == "rows"
                    else np.zeros_like(result)
                    for output, result in zip(self.outputs, results, strict=True)
                ]
            for output, total, result in zip(self.outputs, totals, results, strict=True):
                if self._kinds[output] == "rows":
                    total[start : start + len(block)] = result
                elif self._kinds[output] == "sum":
                    total += result
                else:
                    total[...] = result
        for total, target in zip(totals, self.into, strict=True):
            if target is not None:
                target[...] = total
        return [
            total if target is None else target
            for total, target in zip(totals, self.into, strict=True)
        ]


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

    def __init__(self, program: Program, rows: int) -> None:
        self.arrays: dict[Expression, Any] = {}
        self.gathered: dict[Expression, Gathered] = {}
        self.calls: list[Callable[[], Any]] = []
        self.number_of_bytes = 0
        self._plan, self._dtype, self._rows = program.plan, program.dtype, rows
        self._parameters = program.parameters
        self._targets = self._targets_of(program)
        places = self._places()
        for node in program.order:
            found = self._standing(node)
            if found is not None:
                self.arrays[node] = found
                continue
            primitive: Any = node.primitive
            out = self._targets.get(node)
            out = places[node] if out is None else out
            inputs = (self.arrays[x] for x in node.inputs)
            self.arrays[node] = out
            self.calls.append(bind(primitive, out, *inputs, **node.attributes))
        self.outputs = self._finished(program)

    def _shape(self, node: Expression) -> tuple[int, ...]:
        return concrete(node.shape, self._rows)

    def _dtype_of(self, node: Expression) -> np.dtype[Any]:
        return np.dtype(bool) if node.is_boolean else self._dtype

    # -- where values stand ------------------------------------------------------------------------

    def _is_computed(self, node: Expression) -> bool:
        """Tell whether a call writes a node's value, into memory of its own."""
        return not (
            node.primitive is None
            or node.primitive is ROWS
            or node.primitive.view is not None
            or node in self._plan.joins
            or is_repeated_constant(node)
            or self._neighbors(node) is not None
        )

    def _places(self) -> dict[Expression, np.ndarray]:
        """Lay out the memory of all that is computed, in one piece."""
        roots, last_uses = self._plan.roots, self._plan.last_uses
        nodes: list[Expression] = []
        numbers: dict[Expression, int] = {}
        blocks = []
        for position, node in enumerate(self._plan.order):
            if node in self._targets or not self._is_computed(node):
                continue
            over: tuple[int, ...] = ()
            if node.primitive.in_place:  # type: ignore[union-attr]
                over = tuple(
                    numbers[x]
                    for x in node.inputs
                    if x in numbers
                    and last_uses[x] == position
                    and (x.is_boolean, x.shape) == (node.is_boolean, node.shape)
                    and not any(roots[other] is x for other in node.inputs if other is not x)
                )
            size = math.prod(self._shape(node)) * self._dtype_of(node).itemsize
            numbers[node] = len(nodes)
            nodes.append(node)
            blocks.append(Block(size, position, last_uses.get(node, position), over))
        starts, total = offsets(blocks)
        memory = aligned(total, np.uint8)
        self.number_of_bytes += total
        return {
            node: memory[start : start + block.size]
            .view(self._dtype_of(node))
            .reshape(self._shape(node))
            for node, start, block in zip(nodes, starts, blocks, strict=True)
        }

    def _standing(self, node: Expression) -> Any:
        """Return where a node's value stands without a call: given, constant or part of another."""
        if node in self._parameters:
            return self._parameters[node]
        if node in self._plan.joined:
            return self._joined(node, *self._plan.joined[node])
        if node in self._plan.joins:  # of inputs and constants, which are written once
            parts = [self.arrays[x] for x in node.inputs]
            self.arrays[node][...] = np.concatenate(parts, axis=1)
            return self.arrays[node]
        if node.primitive is not None and node.primitive.view is not None:
            return node.primitive.view(self.arrays[node.inputs[0]], **node.attributes)
        if node.primitive is None or node.primitive is ROWS or is_repeated_constant(node):
            return self._leaf(node)
        return self._neighbors(node)

    def _leaf(self, node: Expression) -> Any:
        if node.is_sparse:
            return SparseRows()
        if node.value is not None:
            with np.errstate(over="ignore"):
                array = node.value.astype(self._dtype_of(node))
        elif node.primitive is ROWS:
            array = np.array(self._rows, self._dtype)
        elif node.primitive is not None:
            array = filled(self._shape(node), self.arrays[node.inputs[0]], self._dtype_of(node))
            self.number_of_bytes += array.nbytes
        else:
            array = aligned(self._shape(node), self._dtype)
            self.number_of_bytes += array.nbytes
            return array
        array.flags.writeable = False
        return array

    def _joined(self, x: Expression, whole: Expression, start: int) -> np.ndarray:
        """Let an input stand among the columns that it is joined to."""
        if whole not in self.arrays:
            self.arrays[whole] = aligned(self._shape(whole), self._dtype)
            self.number_of_bytes += self.arrays[whole].nbytes
        columns = self.arrays[whole][:, start : start + int(x.shape[1])]
        rows_alone = aligned(columns.shape, self._dtype)
        item = np.dtype((np.void, columns.shape[1] * columns.itemsize))
        self.gathered[x] = Gathered(rows_alone, rows_alone.view(item), columns.view(item))
        self.number_of_bytes += rows_alone.nbytes
        return columns

    def _neighbors(self, node: Expression) -> np.ndarray | None:
        """View parameters that are joined, one below the other, where they stand so in memory."""
        if node.primitive is not CONCATENATE or node.attributes["axis"] != 0:
            return None
        parts = [self._parameters.get(self._plan.roots[x]) for x in node.inputs]
        given = [x for x in parts if x is not None]
        return side_by_side(given, self._shape(node)) if len(given) == len(parts) else None

    def _targets_of(self, program: Program) -> dict[Expression, np.ndarray]:
        """Return the arrays that outputs are computed into, or what they are parts of."""
        targets: dict[Expression, np.ndarray] = {}
        parts: dict[Expression, list[tuple[Expression, np.ndarray]]] = {}
        for output, target in zip(program.outputs, program.into, strict=True):
            if target is None or output.primitive is None or not target.flags.c_contiguous:
                continue
            if output.primitive.view is None:
                targets[output] = target
            elif output.inputs[0].primitive is not None:
                parts.setdefault(output.inputs[0], []).append((output, target))
        for root, found in parts.items():
            found = sorted(found, key=lambda part: address_of(part[1]))
            whole = side_by_side([target for _, target in found], self._shape(root))
            is_view = root.primitive.view is not None  # type: ignore[union-attr]
            if (
                whole is not None
                and not is_view
                and all(
                    is_same_memory(output.primitive.view(whole, **output.attributes), target)  # type: ignore[union-attr,misc]
                    for output, target in found
                )
            ):
                targets[root] = whole
        return targets

    def _finished(self, program: Program) -> list[np.ndarray]:
        """Return where the outputs stand, copied where they are to be and are not yet."""
        outputs = []
        for output, target in zip(program.outputs, program.into, strict=True):
            array = self.arrays[output]
            if target is not None and not is_same_memory(array, target):
                self.calls.append(partial(np.copyto, target, array))
            outputs.append(array if target is None else target)
        return outputs

    def run(self) -> None:
        """Compute the outputs from the inputs, in place."""
        for call in self.calls:
            call()


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


class Gathered(NamedTuple):
    """Where rows are gathered before they are put among other columns.

    Attributes
    ----------
    rows : ndarray
        The rows alone.
    items : ndarray
        The same memory, each row as one item: the quickest to copy.
    places : ndarray
        The places that they are copied to, each as one item.
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


def evaluate(
    outputs: Any, values: Mapping[Expression, Any] | None = None, dtype: Any = np.float64
) -> Any:
    """Compute expressions once.

    Parameters
    ----------
    outputs : Expression or sequence of Expression
        What to compute.
    values : mapping of Expression to array
        A value for every variable.
    dtype : dtype, default=float64
        The precision.

    Returns
    -------
    ndarray or list of ndarray
        The values, new arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from skmlp.engine import evaluate, variable
    >>> x = variable("x", ())
    >>> evaluate(np.sqrt(x), {x: 9.0})
    array(3.)
    """
    if isinstance(outputs, Expression):
        return evaluate([outputs], values, dtype)[0]
    arrays = {x: v if x.is_sparse else np.asarray(v, dtype) for x, v in (values or {}).items()}
    return [np.array(result) for result in Program(outputs, dtype=dtype).run(arrays)]


# -- the rows of a batch ---------------------------------------------------------------------------


def _taken(total: int, index: Any) -> range | np.ndarray:
    """Say which rows of `total` an index takes, in order."""
    if index is None or isinstance(index, slice):
        return range(total) if index is None else range(total)[index]
    index = np.asarray(index)
    return np.flatnonzero(index) if index.dtype.kind == "b" else index


def _loader(x: Expression, source: Any, dtype: Any) -> Load:
    """Make what gathers some rows of a source straight into a buffer, or fills it."""
    if callable(source):

        def fill(buffer: Any, gathered: Gathered | None, taken: Any) -> None:  # noqa: ARG001
            source(buffer if gathered is None else gathered.rows)
            if gathered is not None:
                np.copyto(gathered.places, gathered.items)

        return fill
    if BATCH not in x.shape:
        return lambda buffer, gathered, taken: np.copyto(buffer, source, casting="same_kind")
    is_ready = isinstance(source, np.ndarray) and source.flags.c_contiguous
    can_take = is_ready and source.dtype == dtype and not x.is_sparse

    def load(buffer: Any, gathered: Gathered | None, taken: range | np.ndarray) -> None:
        if can_take and not isinstance(taken, range):
            # "raise", or an array in another order, would make it copy all of it.
            source.take(taken, 0, buffer if gathered is None else gathered.rows, "wrap")
            if gathered is not None:
                np.copyto(gathered.places, gathered.items)
            return
        if not isinstance(taken, range):
            rows = source[taken]
        elif taken == range(source.shape[0]):
            rows = source
        else:
            rows = source[taken.start : taken.stop if taken.stop >= 0 else None : taken.step]
        if isinstance(buffer, SparseRows):
            buffer.rows = rows
        else:
            np.copyto(buffer, rows, casting="same_kind")

    return load
