"""Fitted estimators for tables as ONNX models: raw columns in, answers out.

    inputs -> numbers, codes -> encoding (-> trees) -> members -> raw outputs -> answers

The law: encoded rows are those of `Encoding` bit for bit, so that trees never go another way;
members compute in float32 as they were trained, and all that stands before and behind them is
float64, as in the estimator. Members and answers are expressions, written by `expressions.write`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..engine import BATCH, Expression, variable
from ..engine.words import shown
from ..estimators.answers import tail_beside
from ..estimators.targets import Classes
from ..heads.closed_forms import ClosedForm, closed_form
from ..network.network import values_of
from ..tabular.calibration import Blend
from ..tabular.encoding import Encoding
from ..tabular.estimators import TabularMLP, around
from ..tabular.members import Trained
from ..tabular.mixed import Mixed
from ..tabular.model import Model
from ..tabular.shown import Sight
from ..tabular.tracing import blended
from .answers import RawOutputs, further_outputs, usual_outputs, write_answers
from .expressions import NoOperatorError, write
from .levels import check_written, input_type, write_codes
from .trees import write_forest
from .writer import Value, Writer

_ROUNDED = 1e-3  # of the spread of a column: more than that, float32 must not lose


def table_model(estimator: TabularMLP, opset: int | None, dtype: Any, outputs: Any) -> Any:
    """Write a fitted estimator for tables as an ONNX model; see `to_onnx`."""
    check_is_fitted(estimator)
    seen = vars(estimator).copy()  # at one moment, whatever another thread publishes
    model, name = seen["_model"], type(estimator).__name__
    if any(part.sight.neighbors is not None for part in model.parts):
        raise ValueError(
            f"members of this {name} are shown the targets of the nearest training rows, which no "
            "ONNX model carries: fit with n_neighbors=None."
        )
    given = Writer(np.float32 if dtype is None else dtype, opset).dtype
    traced = TracedTable(model, seen["_target"], seen.get("_residuals"))
    further = further_outputs(outputs, traced)
    usual = usual_outputs(traced)
    names = _names(model, [*usual, *further])
    _check_columns(model, names, given)
    writer = Writer(np.float64, opset)
    raw = _write_members(writer, traced.model, _Inputs(writer, model, names, given))
    answers = write_answers(writer, traced, raw, further)
    if isinstance(traced.target, Classes):
        answers[1] = writer.cast(answers[1], given)
    for output, value in zip([*usual, *further], answers, strict=True):
        writer.output(output, value)
    return writer.model()


class TracedTable(RawOutputs):
    """An estimator for tables, traced from what its members compute to its raw outputs.

    Parameters
    ----------
    model : Model
        Its model.
    target : Classes or Numbers
        What raw outputs mean.
    residuals : ndarray of shape (n, targets) or None
        What was left of the targets of rows out of fold, sorted; of numbers.

    Attributes
    ----------
    model : Model
        The same without the kinds that have no share in the answers.
    raw : Expression of shape (n, outputs)
        The raw outputs.
    """

    def __init__(self, model: Model, target: Any, residuals: np.ndarray | None) -> None:
        self.model, self.target = _with_share(model), target
        self._residuals = residuals
        self._outputs: list[Expression] = []
        scaled = []
        for one in self._members():
            output = variable("output", (BATCH, one.network.layer_units[-1]))
            self._outputs.append(output)
            scaled.append(one.scale.raw_outputs(output))
        self.raw = blended(self.model)(np.concatenate(scaled, axis=1))

    def _members(self) -> Iterator[Trained]:
        for part in self.model.parts:
            yield from [part.trained] * len(part.trained.thetas)

    @property
    def meaning(self) -> str:
        """What raw outputs mean, in the words of an error."""
        is_mixed = isinstance(self.target.head, Mixed)
        return f"{'members mixed, of ' if is_mixed else ''}head={shown(self.model.head)}"

    @property
    def has_interval(self) -> bool:
        """Whether intervals are made of residuals, as in `predict_interval`."""
        return self._residuals is not None and not self.target.head.has_quantiles

    def interval(self, coverage: Any) -> Any:
        """Return the interval of `predict_interval` where the head has no quantiles."""
        assert self._residuals is not None
        ends = around(self._residuals, tail_beside(coverage))
        return self.target.head.center(self.raw)[:, :, None] + ends

    def closed_form(self) -> ClosedForm | None:
        """Return the mean and the deviation of the mixture; its quantiles have no closed form."""
        head = self.target.head
        if not isinstance(head, Mixed):
            return None
        forms = [
            closed_form(head.head, part, constant)
            for part, constant in zip(head.each(self.raw), self._constant_outputs(), strict=True)
        ]
        known = [form for form in forms if form is not None]
        if len(known) < len(forms):
            return None
        mean = sum(w * form.mean for w, form in zip(head.shares, known, strict=True))
        variances = [np.square(form.std) + np.square(form.mean - mean) for form in known]
        variance = sum(w * one for w, one in zip(head.shares, variances, strict=True))
        return ClosedForm(mean, np.sqrt(variance))

    def _constant_outputs(self) -> Iterator[np.ndarray]:
        """Return the last raw outputs of each member, which are the same for all inputs."""
        n = self.model.head.n_constant(self.target.n_targets)
        for part in self.model.parts:
            for theta in part.trained.thetas:
                bias = part.trained.network.last_layer(theta)[1].astype(np.float64)
                raw = part.trained.scale.raw_outputs(bias)
                yield raw[len(raw) - n :]

    def write(self, writer: Writer, x: Any, outputs: Sequence[Expression]) -> list[Value]:
        """Write outputs of what the members compute, x, a value for each.

        Raises
        ------
        NotImplementedError
            If a primitive has no operator, with the head.
        """
        try:
            return write(writer, outputs, dict(zip(self._outputs, x, strict=True)), {})
        except NoOperatorError as error:
            raise NotImplementedError(f"the head {shown(self.model.head)}: {error}") from error


def _with_share(model: Model) -> Model:
    """Leave out the kinds of members that have no share in the answers."""
    *own, last = model.blend.temperatures
    kinds = zip(model.parts, model.blend.weights, own, strict=True)
    parts, weights, temperatures = zip(*[kind for kind in kinds if kind[1] > 0], strict=True)
    return replace(model, parts=parts, blend=Blend(weights, (*temperatures, last)))


# -- what can be an input --------------------------------------------------------------------------


def _names(model: Model, outputs: list[str]) -> list[str]:
    """Return the names of the inputs, those of the columns, or say in a sentence why not."""
    columns = model.columns
    if columns.names is None:
        return [f"x{j}" for j in range(columns.n_features_in_)]
    names = [str(name) for name in columns.names]
    times = Counter(names)
    for name in names:
        if times[name] > 1 or not name:
            raise ValueError(
                f"{'several columns have' if name else 'a column has'} the name {name!r}, but "
                "inputs of an ONNX model are told apart by names: rename it and fit again."
            )
        if name in outputs:
            raise ValueError(
                f"column {name!r} has the name of an output of the model: rename it and fit again."
            )
    return names


def _check_columns(model: Model, names: list[str], dtype: np.dtype[Any]) -> None:
    """Refuse columns that ONNX, or the precision of the inputs, does not have."""
    for name, kind in zip(names, model.columns.kinds, strict=True):
        if kind in ("date", "duration"):
            raise ValueError(
                f"column {name!r} holds {kind}s, which no ONNX model reads: give their parts as "
                "columns of numbers, in fit too."
            )
    categories = _of_kind(model, names, "category")
    for name, vocabulary in zip(categories, model.columns.vocabularies, strict=True):
        check_written(name, vocabulary, dtype)
    if dtype == np.float32:
        numbers = np.array(_of_kind(model, names, "number"), object)[model.order.numbers]
        for part in model.parts:
            _check_held(part.sight.encoding, numbers)


def _check_held(encoding: Encoding, names: np.ndarray) -> None:
    """Refuse numbers that float32 cannot tell apart, or hold."""
    scale, single = encoding._scale, np.finfo(np.float32)
    largest = (np.abs(scale.median) + scale.spread) / scale.unit
    spread = scale.spread / scale.unit
    is_held = (largest < single.max / 1e3) & (spread > single.tiny)
    is_held &= largest * single.eps / 2 <= _ROUNDED * spread
    for k in np.flatnonzero(~is_held):
        raise ValueError(
            f"column {names[scale.kept[k]]!r} has numbers of about {largest[k]:.3g} that are "
            f"{spread[k]:.3g} apart, which float32 cannot hold: to_onnx(..., dtype='float64')."
        )


def _of_kind(model: Model, columns: Iterable[Any], kind: str) -> list[Any]:
    return [x for x, own in zip(columns, model.columns.kinds, strict=True) if own == kind]


# -- inputs, encoded -------------------------------------------------------------------------------


class _Inputs:
    """The columns of a table, in the order of the model, as values of the graph.

    Every column is an input, also one that says nothing, so that a frame can be given as it is.
    """

    def __init__(self, writer: Writer, model: Model, names: list[str], dtype: Any) -> None:
        levels = iter(model.columns.vocabularies)
        given = []
        for name, kind in zip(names, model.columns.kinds, strict=True):
            kept = dtype if kind == "number" else input_type(next(levels), dtype)
            given.append(writer.input(name, kept, (BATCH, 1)))
        numbers = _of_kind(model, given, "number")
        categories = _of_kind(model, given, "category")
        self._writer, self._levels = writer, model.columns.vocabularies
        self._numbers = [numbers[j] for j in model.order.numbers]
        self._categories = [categories[j] for j in model.order.codes]
        self._vocabularies = [model.columns.vocabularies[j] for j in model.order.codes]
        self._codes: dict[int, Value] = {}

    def numbers(self, which: np.ndarray) -> Value:
        """Return some numbers side by side, float64."""
        return self._writer.cast(self._beside(self._numbers.__getitem__, which), np.float64)

    def codes(self, which: np.ndarray) -> Value:
        """Return the codes of some categories side by side, whole numbers."""
        return self._beside(self._code, which)

    def _code(self, j: int) -> Value:
        if j not in self._codes:
            written = write_codes(self._writer, self._categories[j], self._vocabularies[j])
            self._codes[j] = written
        return self._codes[j]

    def _beside(self, column: Callable[[int], Value], which: np.ndarray) -> Value:
        some, places = np.unique(which, return_inverse=True)
        values = self._writer.add("Concat", *[column(int(j)) for j in some], axis=1)
        if not np.array_equal(some, which):
            values = self._writer.add("Gather", values, places.astype(np.int64), axis=1)
        return values.of_shape((BATCH, len(which)))


class _Encoded:
    """The encoding of one kind of members, written: its columns as float32, in three groups."""

    def __init__(self, writer: Writer, encoding: Encoding, inputs: _Inputs) -> None:
        self._writer, self._inputs = writer, inputs
        scale, bins, levels = encoding._scale, encoding._bins, encoding._levels
        self.plain: list[Value] = []
        self.piecewise: list[Value] = []
        self.codes: list[Value] = []
        if len(scale.kept):
            values = inputs.numbers(scale.kept) * scale.unit
            missing = writer.add("IsNaN", values)
            self._add(self.plain, self._robust(values, missing, scale))
            if len(bins.source):
                self._add(self.piecewise, self._piecewise(values, missing, scale, bins))
        if len(scale.indicated):
            self._add(self.plain, writer.add("IsNaN", inputs.numbers(scale.indicated)))
        if len(levels.signs):
            codes = inputs.codes(levels.signs)
            first, second = (writer.add("Equal", codes, np.int64(k)) for k in (1, 2))
            self._add(self.plain, writer.cast(first, np.float64) - writer.cast(second, np.float64))
        if len(levels.source):
            codes = inputs.codes(levels.source)
            self._add(self.plain, writer.add("Equal", codes, levels.level.astype(np.int64)))
        if len(levels.embedded):
            self._add(self.codes, inputs.codes(levels.embedded))

    def _add(self, group: list[Value], columns: Value) -> None:
        group.append(self._writer.cast(columns, np.float32))

    def _robust(self, values: Value, missing: Value, scale: Any) -> Value:
        w = self._writer
        filled = w.add("Where", missing, scale.median, values)
        z = w.add("Min", w.add("Max", (filled - scale.median) / scale.spread, -1e100), 1e100)
        third = z / 3.0
        return z / w.add("Sqrt", 1.0 + third * third)

    def _piecewise(self, values: Value, missing: Value, scale: Any, bins: Any) -> Value:
        w = self._writer
        blank = np.where(bins.is_blank, -np.inf, scale.median)
        filled = w.add("Where", missing, blank, values)
        steps = w.add("Gather", filled, bins.source.astype(np.int64), axis=1)
        steps = (steps - bins.left) / bins.width
        return w.add("Min", w.add("Max", steps, 0.0), 1.0)


def _write_shown(writer: Writer, single: Writer, sight: Sight, inputs: _Inputs) -> Value:
    """Write what members of a kind are shown of rows, as `Sight.columns` has it."""
    encoded = _Encoded(writer, sight.encoding, inputs)
    trees = [forest for forest in (sight.forest, sight.boosted) if forest is not None]
    further, width = [], sight.encoding.n_columns
    if trees:
        plain = writer.add("Concat", *encoded.plain, *encoded.codes, axis=1)
        n_plain = sight.encoding.n_plain + len(sight.encoding.embedded)
        rows = writer.cast(plain.of_shape((BATCH, n_plain)), np.float64)
        further = [write_forest(writer, forest, rows) for forest in trees]
        width += sum(forest.values.shape[1] for forest in trees)
    columns = [*encoded.plain, *encoded.piecewise, *further, *encoded.codes]
    if not columns:  # all are constant
        none = single.add("ConstantOfShape", single.lengths((BATCH, 0)), dtype=np.float32)
        return none.of_shape((BATCH, 0))
    return single.add("Concat", *columns, axis=1).of_shape((BATCH, width))


def _write_members(writer: Writer, model: Model, inputs: _Inputs) -> list[Value]:
    """Write what the network of each member computes, in float32, and cast it to float64."""
    single, found = writer.of_precision(np.float32), []
    for part in model.parts:
        network = part.trained.network
        seen = _write_shown(writer, single, part.sight, inputs)
        x, variables = variable("x", (BATCH, network.layer_units[0])), network.variables()
        raw = network.layers(x, variables)[-1]
        for theta in part.trained.thetas:
            parameters = values_of(variables, network.split(theta))
            (output,) = write(single, [raw], {x: seen}, parameters)
            found.append(writer.cast(output, np.float64))
    return found
