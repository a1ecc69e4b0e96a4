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

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from .expression import Expression
from .plan import Plan
from .shapes import BATCH, concrete, shape_text
from .step import Gathered, Layout, SparseRows, Step
from .threads import threads_for

BLOCK_NUMBERS = 1 << 15  # a block's widest array holds about so many numbers, to stay in the cache,
LEAST_BLOCK_ROWS = 256  # but a block has at least so many rows, and as many as that array columns
CAST_NUMBERS = 1024  # NumPy's own buffer for calls that mix precisions or broadcast
KEPT_STEPS = 8  # numbers of rows that a program stays bound to


@contextmanager
def running() -> Iterator[None]:
    """Set NumPy up for programs: numbers that are not finite raise nothing, casts stay small.

    `Program.run` does so itself. Enter it, and `threads_for`, once around many calls of what
    `Program.bind` returns.
    """
    cast_numbers = np.setbufsize(CAST_NUMBERS)
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        np.setbufsize(cast_numbers)


Load = Callable[[Any], None]  # gathers rows into a buffer
Bind = Callable[[Any, Gathered | None], Load]  # to a buffer, and to where rows are gathered first


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
        self._layout = Layout(self.plan, self.parameters, self.into, self.dtype)
        self.block_rows = self._choose_block_rows(block_rows)
        self._steps: dict[int, Step] = {}

    def _choose_block_rows(self, block_rows: int | None) -> int:
        if any(self._kinds[x] == "whole" for x in self.outputs):
            return 1 << 62
        if block_rows is not None:
            return int(block_rows)
        return max(LEAST_BLOCK_ROWS, BLOCK_NUMBERS // self.plan.widest, self.plan.widest)

    def largest_product(self, rows: int) -> int:
        """Return the multiplications of the largest product for so many rows."""
        fixed, per_row = self.plan.largest_products
        return max(fixed, per_row * min(rows, self.block_rows))

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
        step = self._steps.pop(rows, None) or Step(self._layout, rows)
        self._steps[rows] = step
        if len(self._steps) > KEPT_STEPS:
            del self._steps[next(iter(self._steps))]
        return step

    def release(self, most_bytes: int) -> None:
        """Let go of buffers, large and old ones first, till they take at most so many bytes."""
        if sum([step.number_of_bytes for step in self._steps.values()]) <= most_bytes:
            return
        steps = {n: step for n, step in self._steps.items() if step.number_of_bytes <= most_bytes}
        while sum(step.number_of_bytes for step in steps.values()) > most_bytes:
            del steps[next(iter(steps))]
        self._steps = steps

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
        index : ndarray of int or bool, slice, or sequence, optional
            Which of the rows to take, as NumPy's index; all by default. A sequence that is no list
            gives row numbers for a slice, as a range does, and is asked for those of one block of
            rows after another. Whether a number is out of bounds is not checked.

        Returns
        -------
        list of ndarray
            An output with a row for every row is a new array; any other is a buffer of the
            program's (or the array given as `into`), written anew by the next run.
        """
        total, compute = self._bound(values or {})
        taken = _taken(total, index)
        with running(), threads_for(self.largest_product(len(taken))):
            return compute(taken)

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
        return self._bound(values)[1]

    def _bound(self, values: Mapping[Expression, Any]) -> tuple[int, Callable[..., Any]]:
        """Return the number of rows too."""
        total = self._count_rows(values)
        dtypes = {x: np.dtype(np.int64) if x.is_integer else self.dtype for x in self.inputs}
        binds = {x: _loader(x, values[x], dtypes[x]) for x in self.inputs}
        are_rows = [self._kinds[output] == "rows" for output in self.outputs]
        has_rows = any(are_rows)
        draws = any(callable(values[x]) for x in self.inputs)
        may_overlap = not draws and all(self._kinds[x] != "sum" for x in self.outputs)
        bound: tuple[int, list[Load], Step] | None = None

        def run_block(taken: Any) -> list[np.ndarray]:
            nonlocal bound
            rows = len(taken)
            if bound is None or bound[0] != rows:  # in an epoch's first step, and its last
                step = self.step(rows)
                loads = [bind(step.arrays[x], step.gathered.get(x)) for x, bind in binds.items()]
                bound = rows, loads, step
            _, loads, step = bound
            for load in loads:
                load(taken)
            step.run()
            return step.outputs

        def compute(index: Any = None) -> list[np.ndarray]:
            taken = _taken(total, index)
            if len(taken) > self.block_rows:
                return self._run_blocks(run_block, taken, may_overlap)
            results = run_block(taken[:])
            if not has_rows:
                return results
            return [
                np.array(x) if is_rows else x for x, is_rows in zip(results, are_rows, strict=True)
            ]

        return total, compute

    def _count_rows(self, values: Mapping[Expression, Any]) -> int:
        missing = [x.label for x in self.inputs if x not in values]
        if missing:
            raise ValueError(f"the program needs values for {', '.join(missing)}")
        given = [x for x in self.inputs if not callable(values[x])]
        for x in given:
            shape = np.shape(values[x])
            if shape != concrete(x.shape, shape[0] if shape else 0):
                raise ValueError(f"{x.label} is {shape_text(x.shape)}, got an array of {shape}")
            if x.is_integer and np.asarray(values[x]).dtype.kind not in "iu":
                raise TypeError(
                    f"{x.label} takes row numbers, got an array of {np.asarray(values[x]).dtype}: "
                    "give whole numbers, array.astype(int)"
                )
        counts = {values[x].shape[0] for x in given if BATCH in x.shape}
        if not counts:  # no output depends on the batch, but its shape may
            counts = {
                values[x].shape[0] for x in values if BATCH in x.shape and not callable(values[x])
            }
        if len(counts) > 1:
            raise ValueError(f"the inputs have different numbers of rows: {sorted(counts)}")
        return int(counts.pop()) if counts else 1

    def _run_blocks(
        self, run_block: Callable[[Any], list[np.ndarray]], taken: Any, may_overlap: bool
    ) -> list[np.ndarray]:
        totals: list[np.ndarray] = []
        for start in range(0, len(taken), self.block_rows):
            if may_overlap:  # the last block begins sooner, so that none of another length is bound
                start = min(start, len(taken) - self.block_rows)
            block = taken[start : start + self.block_rows]
            results = run_block(block)
            if not totals:
                totals = [
                    np.empty(concrete(output.shape, len(taken)), result.dtype)
                    if self._kinds[output] == "rows"
                    else np.zeros_like(result)
                    for output, result in zip(self.outputs, results, strict=True)
                ]
            for output, total, result in zip(self.outputs, totals, results, strict=True):
                if self._kinds[output] == "rows":
                    axis = output.shape.index(BATCH)
                    total[(slice(None),) * axis + (slice(start, start + len(block)),)] = result
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
    arrays = {
        x: v if x.is_sparse else np.asarray(v) if x.is_integer else np.asarray(v, dtype)
        for x, v in (values or {}).items()
    }
    return [np.array(result) for result in Program(outputs, dtype=dtype).run(arrays)]


# -- the rows of a batch ---------------------------------------------------------------------------


def _taken(total: int, index: Any) -> Any:
    """Say which rows of `total` an index takes, in order."""
    if index is None:
        return range(total)
    if isinstance(index, slice):
        return range(total)[index]
    if not isinstance(index, np.ndarray):  # told first: it is asked for every batch
        is_range = isinstance(index, range)  # and this, for every prediction
        if is_range or (isinstance(index, Sequence) and not isinstance(index, (list, tuple))):
            return index
        index = np.asarray(index) if len(index) else np.empty(0, np.intp)
    return np.flatnonzero(index) if index.dtype.kind == "b" else index


def _loader(x: Expression, source: Any, dtype: Any) -> Bind:
    """Make what gathers some rows of a source straight into a buffer, or fills it."""
    if callable(source):
        return partial(_filling, source)
    if BATCH not in x.shape:
        return lambda buffer, _: lambda _: np.copyto(buffer, source, casting="same_kind")
    is_ready = isinstance(source, np.ndarray) and source.flags.c_contiguous
    can_take = is_ready and source.dtype == dtype and not x.is_sparse
    return partial(_gathering, source, can_take)


def _filling(source: Callable[[Any], None], buffer: Any, gathered: Gathered | None) -> Load:
    """Fill the buffer, whichever rows are asked for."""
    if gathered is None:
        return lambda _: source(buffer)

    def fill(_: Any) -> None:
        source(gathered.rows)
        np.copyto(gathered.places, gathered.items)

    return fill


def _gathering(source: Any, can_take: bool, buffer: Any, gathered: Gathered | None) -> Load:
    """Gather rows by number straight into the buffer, or copy what indexing finds."""
    rows_alone = buffer if gathered is None else gathered.rows

    def gather(taken: Any) -> None:
        if can_take and not isinstance(taken, range):
            # "raise", or an array in another order, would make it copy all of it. Numbers are in
            # range: whoever takes them from outside, from a checkpoint say, checks them there.
            source.take(taken, 0, rows_alone, "wrap")
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

    return gather
