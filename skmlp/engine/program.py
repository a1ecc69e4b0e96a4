"""Programs: expressions run in place.

The law: for a number of rows, a program is a flat list of bound NumPy calls that write into
buffers laid out beforehand; running it allocates nothing.

    outputs -> lowered and shared -> order -> last uses -> buffers -> calls

A batch larger than `block_rows` runs in blocks of rows: outputs with a row for every row of the
batch are filled block by block, outputs that are sums over the rows add up. An output that is
neither (a variance over the batch, say) makes the program run in one piece.

A program's buffers serve one thread at a time: give each thread its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from .expression import BATCH, Expression, apply, concrete, shape_text, share, size, topological
from .memory import aligned
from .primitives import BROADCAST_TO, CONCATENATE, MATMUL, PRIMITIVES, ROWS, TRANSPOSE

BLOCK_NUMBERS = 1 << 15  # a block's widest array holds about so many numbers, to stay in the cache,
LEAST_BLOCK_ROWS = 256  # but a block has at least so many rows, and as many as that array columns
CAST_NUMBERS = 1024  # NumPy's own buffer for calls that mix precisions or broadcast
KEPT_STEPS = 4  # numbers of rows that a program stays bound to


@contextmanager
def running() -> Iterator[None]:
    """Set NumPy up for programs: numbers that are not finite raise nothing, casts stay small.

    `Program.run` does so itself. Enter it once around many calls of what `Program.on` returns.
    """
    cast_numbers = np.setbufsize(CAST_NUMBERS)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        np.setbufsize(cast_numbers)


Load = Callable[..., None]  # (buffer, where rows are gathered first, rows to take)


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
            return self.on(values or {})(index)

    def on(self, values: Mapping[Expression, Any]) -> Callable[[Any], list[np.ndarray]]:
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

        def compute(index: Any = None) -> list[np.ndarray]:
            taken = _taken(total, index)
            if len(taken) > self.block_rows:
                return self._run_blocks(loads, taken)
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
        self, loads: Mapping[Expression, Load], taken: range | np.ndarray
    ) -> list[np.ndarray]:
        totals: list[np.ndarray] = []
        for start in range(0, len(taken), self.block_rows):
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

    Parameters
    ----------
    program : Program
        What is bound.
    rows : int
        The number of rows.

    Attributes
    ----------
    arrays : dict of Expression to array
        Where every node's value stands; buffers are reused, so after a run only inputs and
        outputs still hold theirs.
    gathered : dict of Expression to (ndarray, ndarray, ndarray)
        Where rows of an input are gathered that stand among other columns; and, with each row as
        one item, the same array, and the place that they are copied to.
    outputs : list of ndarray
        Where the outputs stand.
    calls : list of callables
        What `run` calls, in order.
    number_of_bytes : int
        The size of all buffers together.
    """

    def __init__(self, program: Program, rows: int) -> None:
        self.arrays: dict[Expression, Any] = {}
        self.gathered: dict[Expression, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self.calls: list[Callable[[], Any]] = []
        self.number_of_bytes = 0
        self._dtype = program.dtype
        self._free: dict[int, list[np.ndarray]] = {}  # by size, of which there are few
        self._memory: dict[Expression, np.ndarray] = {}
        targets = {
            output: target
            for output, target in zip(program.outputs, program.into, strict=True)
            if target is not None
            and target.flags.c_contiguous  # kernels ask for it
            and output.primitive is not None
            and output.primitive.bind
        }
        roots, last_uses = program.plan.roots, program.plan.last_uses
        for position, node in enumerate(program.order):
            if node in program.parameters:
                self.arrays[node] = program.parameters[node]
            elif node in program.plan.joined:
                self._join(node, rows, *program.plan.joined[node])
            elif node in self.arrays:  # what joins inputs to constants, which are written once
                parts = [self.arrays[x] for x in node.inputs]
                self.arrays[node][...] = np.concatenate(parts, axis=1)
            elif node.primitive is None or node.primitive is ROWS or _is_constant(node):
                self.arrays[node] = self._leaf(node, rows)
            elif node.primitive.view is not None:
                self.arrays[node] = node.primitive.view(
                    self.arrays[node.inputs[0]], **node.attributes
                )
            else:
                dying = {roots[x] for x in node.inputs if last_uses[roots[x]] == position}
                out = targets.get(node)
                if out is None:
                    out = self._place(node, concrete(node.shape, rows), dying, roots)
                arrays = (self.arrays[x] for x in node.inputs)
                self.arrays[node] = out
                self.calls.append(node.primitive.bind(out, *arrays, **node.attributes))  # type: ignore[misc]
                for root in dying:
                    if root in self._memory:
                        memory = self._memory.pop(root)
                        self._free.setdefault(memory.nbytes, []).append(memory)
        self._finish(program)

    def _leaf(self, node: Expression, rows: int) -> Any:
        if node.is_sparse:
            return SparseRows()
        if node.value is not None:
            with np.errstate(over="ignore"):
                array = node.value.astype(bool if node.is_boolean else self._dtype)
        elif node.primitive is ROWS:
            array = np.array(rows, self._dtype)
        elif node.primitive is not None:
            dtype = bool if node.is_boolean else self._dtype
            array = aligned(concrete(node.shape, rows), dtype)
            array[...] = self.arrays[node.inputs[0]]
        else:
            array = aligned(concrete(node.shape, rows), self._dtype)
            self.number_of_bytes += array.nbytes
            return array
        array.flags.writeable = False
        return array

    def _join(self, x: Expression, rows: int, whole: Expression, start: int) -> None:
        """Let an input stand among the columns that it is joined to."""
        if whole not in self.arrays:
            self.arrays[whole] = aligned(concrete(whole.shape, rows), self._dtype)
        columns = self.arrays[whole][:, start : start + int(x.shape[1])]
        rows_alone = aligned(columns.shape, self._dtype)
        item = np.dtype((np.void, columns.shape[1] * columns.itemsize))
        self.arrays[x] = columns
        self.gathered[x] = rows_alone, rows_alone.view(item), columns.view(item)
        self.number_of_bytes += columns.nbytes + rows_alone.nbytes

    def _place(
        self,
        node: Expression,
        shape: tuple[int, ...],
        dying: set[Expression],
        roots: dict[Expression, Expression],
    ) -> np.ndarray:
        """Find memory for a node: an input's that dies here, a free buffer, or a new one."""
        dtype = np.dtype(bool) if node.is_boolean else self._dtype
        number_of_bytes = math.prod(shape) * dtype.itemsize
        memory = None
        if node.primitive.in_place:  # type: ignore[union-attr]
            for x in node.inputs:
                others = (other for other in node.inputs if other is not x)
                if (
                    x in self._memory
                    and x in dying
                    and self.arrays[x].dtype == dtype
                    and self.arrays[x].shape == shape
                    and not any(roots[other] is x for other in others)
                ):
                    memory = self._memory.pop(x)
                    break
        if memory is None:
            fitting = [
                size for size, free in self._free.items() if free and size >= number_of_bytes
            ]
            if fitting:
                memory = self._free[min(fitting)].pop()
            else:
                memory = aligned(number_of_bytes, np.uint8)
                self.number_of_bytes += number_of_bytes
        self._memory[node] = memory
        return memory[:number_of_bytes].view(dtype).reshape(shape)

    def _finish(self, program: Program) -> None:
        self.outputs = []
        for output, target in zip(program.outputs, program.into, strict=True):
            array = self.arrays[output]
            if target is not None and target is not array:
                self.calls.append(partial(np.copyto, target, array))
                array = target
            self.outputs.append(array)

    def run(self) -> None:
        """Compute the outputs from the inputs, in place."""
        for call in self.calls:
            call()


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
            if found and not x.is_sparse and x.shape[1] <= node.shape[1]:  # type: ignore[operator]
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


def _is_constant(node: Expression) -> bool:
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
        if are_free and all(x in inputs or _is_constant(x) for x in places):
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


def _taken(total: int, index: Any) -> range | np.ndarray:
    """Say which rows of `total` an index takes, in order."""
    if index is None or isinstance(index, slice):
        return range(total) if index is None else range(total)[index]
    index = np.asarray(index)
    return np.flatnonzero(index) if index.dtype.kind == "b" else index


def _loader(x: Expression, source: Any, dtype: Any) -> Load:
    """Make what gathers some rows of a source straight into a buffer, or fills it."""
    if callable(source):

        def fill(buffer: Any, gathered: Any, taken: Any) -> None:  # noqa: ARG001
            source(buffer if gathered is None else gathered[0])
            if gathered is not None:
                np.copyto(gathered[2], gathered[1])

        return fill
    if BATCH not in x.shape:
        return lambda buffer, gathered, taken: np.copyto(buffer, source, casting="same_kind")
    is_ready = isinstance(source, np.ndarray) and source.flags.c_contiguous
    can_take = is_ready and source.dtype == dtype and not x.is_sparse

    def load(buffer: Any, gathered: Any, taken: range | np.ndarray) -> None:
        if can_take and not isinstance(taken, range):
            # "raise", or an array in another order, would make it copy all of it.
            source.take(taken, 0, buffer if gathered is None else gathered[0], "wrap")
            if gathered is not None:
                np.copyto(gathered[2], gathered[1])
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
