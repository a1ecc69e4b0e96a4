"""What estimators answer, written as outputs of a graph.

The law: an answer is the estimator's own: the published network, composed for prediction, and what
its head says of raw outputs. It is traced, lowered and written; no forward pass is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..engine import BATCH, Expression, variable
from ..engine.expression import topological
from ..engine.rules import lowered
from ..engine.words import shown
from ..estimators.answers import check_own_levels, checked_levels, interval_levels
from ..estimators.prediction import Fitted, FittedNetwork
from ..heads import Head, Quantile
from ..heads.closed_forms import ClosedForm, closed_form
from ..network.network import values_of
from ..tabular.mixed import Mixed
from .expressions import NoOperatorError, write
from .writer import STRINGS, Value, Writer


class RawOutputs:
    """Raw outputs as an expression, whatever they are of, and how that is written.

    Attributes
    ----------
    target : Classes or Numbers
        What they mean.
    raw : Expression of shape (n, outputs)
        They.
    """

    target: Any
    raw: Expression

    @property
    def meaning(self) -> str:
        """What they mean, in the words of an error."""
        return f"head={shown(self.target.head)}"

    def predictions(self) -> Expression:
        """Return the predictions of a regressor, of shape (n, targets) or (n, targets, levels)."""
        return _one_target(self.target.head.predict(self.raw))

    def closed_form(self) -> ClosedForm | None:
        """Return what is known in closed form of the distribution that they say."""
        raise NotImplementedError

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval where the head has no quantiles."""
        return False

    def interval(self, coverage: Any) -> Any:
        """Return that interval."""
        raise NotImplementedError

    def write(self, writer: Writer, x: Any, outputs: Sequence[Expression]) -> list[Value]:
        """Write outputs of what the raw outputs are made of."""
        raise NotImplementedError


class Traced(RawOutputs):
    """A fitted network, traced from its inputs to its raw outputs.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted.

    Attributes
    ----------
    fitted : Fitted
        The estimator as it is now.
    target : Classes or Numbers
        What raw outputs mean.
    raw : Expression of shape (n, outputs)
        The raw outputs.
    """

    def __init__(self, estimator: FittedNetwork) -> None:
        self.fitted = Fitted(estimator)
        self.target = self.fitted.answering
        network = self.fitted.network
        self._x = variable("x", (BATCH, network.layer_units[0]))
        variables = network.variables()
        self._parameters = values_of(variables, self.fitted.parts)
        self._layers = network.layers(self._x, variables)
        self._activations = network.activations
        self.raw = self._layers[-1]

    def closed_form(self) -> ClosedForm | None:
        """Return what is known in closed form of the distribution that they say."""
        n, bias = self.target.head.n_constant(self.target.n_targets), self.fitted.parts[-1]["b"]
        constant = np.asarray(bias[len(bias) - n :], np.float64)
        return closed_form(self.target.head, self.raw, constant)

    @property
    def n_inputs(self) -> int:
        """The number of columns of the inputs."""
        return int(self._x.shape[1])

    def write(self, writer: Writer, x: Value, outputs: Sequence[Expression]) -> list[Value]:
        """Write outputs of the inputs x; a primitive without an operator is refused with its layer.

        Raises
        ------
        NotImplementedError
            If there is one.
        """
        try:
            return write(writer, outputs, {self._x: x}, self._parameters)
        except NoOperatorError as error:
            raise NotImplementedError(f"{self._place(error)}: {error}") from error

    def _place(self, error: NoOperatorError) -> str:
        for i, h in enumerate(self._layers[:-1]):
            if any(node.primitive is error.primitive for node in topological(lowered([h]))):
                name = getattr(self._activations[i], "__name__", repr(self._activations[i]))
                return f"hidden layer {i + 1}, {name}"
        return f"the head {shown(self.target.head)}"


def write_classes(writer: Writer, traced: RawOutputs, x: Any) -> tuple[Value, Value]:
    """Write the label of each row, and its probabilities; scores where the head has none."""
    target = traced.target
    said = target.unguarded_probabilities if target.head.has_probabilities else target.scores
    numbers = said(traced.raw)
    if target.columns is not None and target.head.has_probabilities:
        numbers = numbers[:, target.columns]
    codes, numbers = traced.write(writer, x, [target.classify(traced.raw), numbers])
    return _labels(writer, target, codes), numbers


def _labels(writer: Writer, target: Any, codes: Value) -> Value:
    """Write the class of each number; labels are answered as they are, 0 or 1 for each."""
    shape = codes.shape
    codes = writer.cast(codes, np.int64)
    if target.kind == "multilabel":
        return codes.of_shape(shape)
    classes = labels_of(target.classes)
    if len(classes) == 1:
        codes = writer.add("Mul", codes, np.int64(0))
    if classes.dtype == np.int64 and np.array_equal(classes, np.arange(len(classes))):
        return codes.of_shape(shape)
    constant = writer.constant(classes, "classes", classes.dtype)
    return writer.add("Gather", constant, codes, axis=0).of_shape(shape)


def labels_of(classes: np.ndarray) -> np.ndarray:
    """Return classes as ONNX holds them: strings, truth values or whole numbers of 64 bits.

    Raises
    ------
    ValueError
        If they are none of these.
    """
    if all(isinstance(label, str) for label in classes.tolist()):
        return np.array([str(label) for label in classes.tolist()], STRINGS)
    if classes.dtype == bool:
        return classes
    if classes.dtype.kind in "iuf" and np.array_equal(classes, classes.astype(np.int64)):
        return classes.astype(np.int64)
    odd = classes.tolist()[-1]
    raise ValueError(
        f"the class {shown(odd)} is no label that ONNX has: train on strings, or on whole numbers "
        "of 64 bits."
    )


def usual_outputs(traced: RawOutputs) -> list[str]:
    """Return the names of what is answered unasked."""
    if traced.target.usual == "numbers":
        return ["variable"]
    return ["label", "probabilities" if traced.target.head.has_probabilities else "scores"]


def write_answers(
    writer: Writer, traced: RawOutputs, x: Any, further: Mapping[str, Expression]
) -> list[Value]:
    """Write what is answered unasked, and further outputs, in their order."""
    if traced.target.usual == "numbers":
        return traced.write(writer, x, [traced.predictions(), *further.values()])
    return [*write_classes(writer, traced, x)]


# -- how sure a regressor is -----------------------------------------------------------------------

FURTHER = ("mean", "std", "interval", "quantiles")


def further_outputs(asked: Any, traced: RawOutputs) -> dict[str, Expression]:
    """Return what is asked for beside the predictions, by name.

    Parameters
    ----------
    asked : str, sequence of str, mapping or None
        See `to_onnx`.
    traced : RawOutputs
        What they are answered from.

    Raises
    ------
    TypeError
        If what is asked for is neither a name, names, nor a mapping.
    ValueError
        If the head has no such answer in closed form, or a level is not in (0, 1).
    """
    levels = _asked(asked)
    said = _answers_of(traced) if levels else {}
    for name in levels:
        if name not in said:
            has = ", ".join([*usual_outputs(traced), *said])
            raise ValueError(
                f"outputs: {shown(name)} has no closed form for {traced.meaning}, whose outputs "
                f"are {has}: ask for those."
            )
    return {name: _one_target(said[name](level)) for name, level in levels.items()}


def _asked(asked: Any) -> dict[Any, Any]:
    """Return what is asked for by name: coverage or levels, or None."""
    if asked is None:
        return {}
    if isinstance(asked, str):
        return {asked: None}
    if isinstance(asked, Mapping):
        return dict(asked)
    if isinstance(asked, Sequence) and all(isinstance(name, str) for name in asked):
        return dict.fromkeys(asked)
    raise TypeError(
        "outputs is a list of names, or a dict of names and levels such as "
        f"{{'std': None, 'interval': 0.9, 'quantiles': [0.1, 0.9]}}, got {shown(asked)}."
    )


def _answers_of(traced: RawOutputs) -> dict[str, Callable[[Any], Any]]:
    """Return what makes each answer that the head has, of a coverage, of levels, or of nothing."""
    head, raw = traced.target.head, traced.raw
    if traced.target.usual != "numbers":
        return {}
    form = traced.closed_form()
    said: dict[str, Callable[[Any], Any]] = {}
    if traced.has_interval:
        said["interval"] = traced.interval
    at: Callable[[list[float]], Any] | None = None
    if form is not None:
        said |= {
            "mean": lambda level: _without_level("mean", level, form.mean),
            "std": lambda level: _without_level("std", level, form.std),
        }
        if (of_level := form.quantile) is not None:
            at = lambda levels: np.stack([of_level(q) for q in levels], axis=-1)  # noqa: E731
    elif type(head).quantile not in (Head.quantile, Mixed.quantile):  # which is found by search
        at = lambda levels: head.quantile(raw, levels)  # noqa: E731
    if (quantiles := at) is not None:
        said["interval"] = lambda coverage: quantiles(interval_levels(head, coverage))
        said["quantiles"] = lambda levels: quantiles(_levels(head, levels))
    return said


def _without_level(name: str, level: Any, answer: Any) -> Any:
    if level not in (None, True):
        raise ValueError(f"outputs: {name!r} has no level, got {shown(level)}: give None.")
    return answer


def _levels(head: Any, asked: Any) -> list[float]:
    """Return checked levels; None are those that the head has itself."""
    if asked is None and isinstance(head, Quantile):
        return list(head.levels)
    if asked is None:
        raise ValueError(
            "outputs: 'quantiles' needs levels in (0, 1): write {'quantiles': [0.1, 0.5, 0.9]}."
        )
    levels = checked_levels(asked, "quantiles")
    check_own_levels(head, levels, f"quantiles={shown(asked)}")
    return levels


def _one_target(answer: Any) -> Any:
    """Drop the axis of targets before another one, where there is one alone."""
    return answer[:, 0] if answer.ndim == 3 and answer.shape[1] == 1 else answer
