"""Targets: all that differs between classes and numbers.

The law: a target is made of the first y and never changes. It encodes y into the columns that the
head learns, weighs and stratifies rows, and says how good raw outputs are; nothing of it is set on
an estimator before the fit is published.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from ..engine.words import shown
from ..heads import AUTOMATIC, HEADS, Head
from ..training.objective import slopes_of
from ..training.warn import warn
from .containers import declared_order, name_of_column, place, read_labels, read_numbers
from .data import Data, as_target, check_finite, evenly_spaced
from .files import parts_of
from .identity import are_same
from .names import refusal
from .scoring import r2
from .settings import LOSSES, Settings

_TRIED_ROWS = 1000
Answered = tuple[np.ndarray, np.ndarray, np.ndarray | None]  # raw outputs, targets, weights


@dataclass(frozen=True, eq=False)
class Target:
    """What every kind of target has.

    Attributes
    ----------
    head : Head
        What the outputs mean.
    n_targets : int
        The number of columns that y is encoded into.
    """

    head: Head
    n_targets: int
    usual: ClassVar[str]  # the kind of target, in the words of Head.targets, before any is seen

    @classmethod
    def accepts(cls, head: Any) -> bool:
        """Tell whether a head is for such targets."""
        return isinstance(head, Head) and ("numbers" in head.targets) == (cls.usual == "numbers")

    @classmethod
    def known_head(cls, asked: Any) -> Head | None:
        """Return the head that a `head` parameter says before any fit; None if it is wrong."""
        if isinstance(asked, str) and asked in ("auto", *HEADS):
            asked = AUTOMATIC[cls.usual]() if asked == "auto" else HEADS[asked]()
        return asked if cls.accepts(asked) else None

    @classmethod
    def find_head(cls, settings: Settings, kind: str) -> Head:
        """Return the head for a kind of target, or say why there is none."""
        asked = settings.head if settings.loss is None else cls._head_of_loss(settings)
        head = AUTOMATIC[kind]() if isinstance(asked, str) and asked == "auto" else asked
        head = cls.known_head(head)
        if head is None:
            known = ["auto", *(name for name, some in HEADS.items() if cls.accepts(some()))]
            words = f"{', '.join(map(repr, known))} or such a Head"
            if isinstance(settings.head, str) and settings.head in HEADS:
                words += f", for {'numbers' if cls.usual == 'numbers' else 'classes'}"
            raise ValueError(refusal(settings.estimator, "head", settings.head, words, known))
        if kind not in head.targets:  # the hint is in the words that scikit-learn checks for
            hint = " Only binary classification is supported." if kind == "multiclass" else ""
            raise ValueError(
                f"{type(head).__name__} takes {' or '.join(sorted(head.targets))} targets, "
                f"got {kind} ones.{hint}"
            )
        return head

    @classmethod
    def _head_of_loss(cls, settings: Settings) -> Head:
        meant = LOSSES[str(settings.loss)]
        known = cls.known_head(settings.head)
        is_left_open = isinstance(settings.head, str) and settings.head == "auto"
        if not (is_left_open or isinstance(known, meant)):
            name = next(name for name, kind in HEADS.items() if kind is meant)
            raise ValueError(
                f"loss={settings.loss!r} is head={name!r}, but head={shown(settings.head)} is "
                "asked for too: give one of them."
            )
        return meant() if is_left_open else known  # type: ignore[return-value]

    def continued(self, settings: Settings, read: Any) -> Self:  # noqa: ARG002
        """Return the target of a fit that starts from this one's parameters: the same."""
        self.check_same_head(settings)
        return self

    def streamed(self, settings: Settings, classes: Any, read: Any) -> Self:  # noqa: ARG002
        """Return the target of the next part of a stream: the same."""
        self.check_same_head(settings)
        return self

    def check_precision(self, data: Data, *, is_scaled: bool) -> None:
        """Tell where the precision of training cannot hold the target; classes always fit."""

    def check_same_head(self, settings: Settings) -> None:
        """Refuse parameters that ask for another head than the fitted one."""
        head = self.find_head(settings, self.kind)  # type: ignore[attr-defined]
        if not are_same(head, self.head):
            raise ValueError(
                f"the fitted network has head {shown(self.head)}, but the 'head' parameter now "
                f"asks for {shown(head)}: set warm_start=False or fit a clone."
            )


# == numbers =======================================================================================


@dataclass(frozen=True, eq=False)
class Numbers(Target):
    """Numbers: a column for each output."""

    usual: ClassVar[str] = "numbers"
    kind: str = "numbers"

    @staticmethod
    def read(y: Any) -> np.ndarray:
        """Read numbers, and refuse what are none."""
        return as_target(read_numbers(y, "y"), y)

    @staticmethod
    def merged(parts: Sequence[np.ndarray]) -> np.ndarray:
        """Return what was read in the parts of a y as if that had been read, without its rows."""
        shapes = {part.shape[1:] for part in parts}
        if len(shapes) > 1:
            raise ValueError(f"Parts of y have rows of different shapes: {shown(sorted(shapes))}.")
        return np.concatenate([part[:0] for part in parts])

    @classmethod
    def of(cls, settings: Settings, y: np.ndarray) -> Self:
        """Make the target of the first y."""
        return cls(cls.find_head(settings, "numbers"), 1 if y.ndim == 1 else y.shape[1])

    @classmethod
    def of_stream(cls, settings: Settings, classes: Any, y: np.ndarray) -> Self:  # noqa: ARG003
        """Make the target of a stream of its first part."""
        return cls.of(settings, y)

    @property
    def published(self) -> dict[str, Any]:
        """The fitted attributes that it stands for."""
        return {"head_": self.head}

    def encode(self, y: np.ndarray) -> np.ndarray:
        """Return y as columns, if the head can learn them."""
        self.check(y)
        return self.as_columns(y)

    def check(self, y: np.ndarray) -> None:
        """Refuse a y that the head cannot learn."""
        Y = self.as_columns(y)
        if Y.shape[1] != self.n_targets:
            raise ValueError(
                f"`y` has {Y.shape[1]} outputs, but the estimator was fitted on {self.n_targets}."
            )
        for part in parts_of(len(Y), Y[:1].nbytes):
            self.head.check_target(Y[part])

    def as_columns(self, y: np.ndarray) -> np.ndarray:
        """Return some rows of y as columns."""
        return y.reshape(len(y), -1)

    @property
    def sorted(self) -> Self:
        """The same: numbers have no order to be answered in."""
        return self

    def check_precision(self, data: Data, *, is_scaled: bool) -> None:
        """Refuse targets whose loss float32 cannot hold, and warn where its slopes have no digits.

        Where training sees targets in their own unit, all is well.
        """
        rows, head = evenly_spaced(data.rows, _TRIED_ROWS), self.head
        if data.precision != np.float32 or not len(rows):
            return
        y = np.asarray(data.y[rows], np.float64).reshape(len(rows), -1)
        largest = float(np.abs(y).max())
        if largest < 1e5 and largest < 1e3 * y.std(axis=0).min():
            return
        has_unit = head.target_unit(y) is not None
        if has_unit and is_scaled:
            return
        cure = "set initial_output='data' or dtype='float64'" if has_unit else "set dtype='float64'"
        raw = np.zeros((len(y), head.n_raw(self.n_targets)), np.float32)
        with np.errstate(all="ignore"):
            is_held = np.isfinite(head.loss(raw, y.astype(np.float32))).all()
        if not is_held:
            raise ValueError(f"float32 cannot hold the loss of y of up to {largest:g}: {cure}.")
        start = head.initial_raw(y)
        exact, single = (slopes_of(head, start, y, dtype) for dtype in (np.float64, np.float32))
        size, off = (np.mean(np.abs(x), axis=0) for x in (exact, single - exact))
        if np.any(off > 0.05 * size):
            warn(
                f"float32 cannot tell targets of up to {largest:g} apart: slopes of {head!r} are "
                f"off by {np.max(off[size > 0] / size[size > 0]):.0%}; {cure}.",
                UserWarning,
            )

    def strata(self, Y: np.ndarray) -> None:
        """Return the class of each row, for splits that mind it: numbers have none."""

    def lack(self, Y: np.ndarray) -> str:  # noqa: ARG002
        """Say which classes some rows lack: numbers have none."""
        return ""

    def score(self, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> float:
        """Return R2 of raw outputs; NaN where they are not finite."""
        predicted = self.head.center(raw)
        if not np.isfinite(predicted).all():
            return float("nan")
        return r2(Y, predicted, weights)

    def score_in_parts(self, parts: Iterable[Answered]) -> float:
        """Return R2 of raw outputs that come part by part, with their targets and weights."""
        found = [(self.head.center(raw), Y, weights) for raw, Y, weights in parts]
        predicted, Y = (np.concatenate([part[i] for part in found]) for i in (0, 1))
        if not np.isfinite(predicted).all():
            return float("nan")
        weights = None
        if found[0][2] is not None:
            weights = np.concatenate([part[2] for part in found if part[2] is not None])
        return r2(Y, predicted, weights)


# == classes =======================================================================================


class Labels(NamedTuple):
    """A y of classes or labels, looked through once.

    Attributes
    ----------
    kind : str
        What it is, in the words of `sklearn.utils.multiclass.type_of_target`.
    names : ndarray
        The distinct ones; the numbers of the columns of a 0/1 matrix.
    y : ndarray or sparse matrix
        The labels themselves.
    order : list or None
        The order of the classes that y declares, lowest first, where it does.
    """

    kind: str
    names: np.ndarray
    y: Any
    order: list[Any] | None = None

    @property
    def are_many(self) -> bool:
        """Whether a sample may have several."""
        return self.kind.startswith("multilabel")


@dataclass(frozen=True, eq=False)
class Classes(Target):
    """Classes that exclude each other, or labels.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        The kind of target, in the words of `Head.targets`.
    classes : ndarray of shape (n_classes,)
        The classes; for labels their numbers.
    are_sparse : bool
        Whether labels came as a sparse matrix, and so are answered.
    columns : ndarray of int or None
        The order in which classes and their probabilities are published; None for the head's.
    """

    kind: str
    classes: np.ndarray
    are_sparse: bool = False
    columns: np.ndarray | None = None
    usual: ClassVar[str] = "multiclass"

    @staticmethod
    def read(y: Any) -> Labels:
        """Look labels through, and refuse what are none."""
        given, order, y = y, declared_order(y), read_labels(y, "y")
        if isinstance(y, np.ndarray):
            y = as_target(y, given)
        else:
            check_finite(y, "y")
        if y.shape[0] <= _LABELS_AT_ONCE:
            return Labels(*_kind_and_names(y, given), y, order)
        starts = range(0, y.shape[0], _LABELS_AT_ONCE)
        parts = [_kind_and_names(y[i : i + _LABELS_AT_ONCE], given, i) for i in starts]
        names = np.unique(np.concatenate([names for _, names in parts]))
        kind = parts[0][0]
        if kind != "multilabel-indicator":
            kind = "multiclass" if len(names) > 2 else "binary"
        return Labels(kind, names, y, order)

    @classmethod
    def merged(cls, parts: Sequence[Labels]) -> Labels:
        """Return what was read in the parts of a y as if that had been read, without its rows."""
        first = parts[0]
        if len({part.are_many for part in parts}) > 1:
            raise ValueError("Some parts of y have labels, and some have classes: make them alike.")
        if first.are_many:
            if len({len(part.names) for part in parts}) > 1:
                raise ValueError("Parts of y have different numbers of labels: make them alike.")
            return first
        if len({part.names.dtype.kind in "biuf" for part in parts}) > 1:
            raise ValueError(
                "Some parts of y have numbers for classes, and some have strings: make all of "
                "them strings, or all numbers."
            )
        orders = [part.order for part in parts]
        if any(order != orders[0] for order in orders):
            raise ValueError("Parts of y declare different orders of the classes: make them alike.")
        names = cls.read(np.concatenate([part.names for part in parts]))
        return names._replace(y=names.y[:0], order=first.order)

    @classmethod
    def of(cls, settings: Settings, labels: Labels, classes: Any = None) -> Self:
        """Make the target of the first labels, and of the classes that a stream will have."""
        if labels.are_many:
            head, n = cls.find_head(settings, "multilabel"), len(labels.names)
            is_sparse = not isinstance(labels.y, np.ndarray)
            return cls(head, n, "multilabel", labels.names, is_sparse)
        names = labels.names if classes is None else unique_labels(classes)
        kind = "multiclass" if len(names) > 2 else "binary"
        head = cls.find_head(settings, kind)
        if head.is_ordered:
            names = _in_order(names, head, labels.order, classes)
        return cls(head, len(names) if head.is_one_hot else 1, kind, names)

    @classmethod
    def of_stream(cls, settings: Settings, classes: Any, labels: Labels) -> Self:
        """Make the target of a stream of its first part, and of the classes that it will have."""
        if classes is None and not labels.are_many:
            classes = _by_hand(cls.known_head(settings.head))
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
        if classes is not None:
            order = declared_order(classes)
            labels = labels if order is None else labels._replace(order=order)
            classes = _read_classes(classes)
        return cls.of(settings, labels, classes)

    def continued(self, settings: Settings, read: Labels) -> Self:
        """Return the target of a fit that starts from this one's parameters: the same."""
        if set(read.names) != set(self.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit, {shown(self.classes.tolist())}, but it has "
                f"{shown(read.names.tolist())}."
            )
        self._check_order(read.order)
        return super().continued(settings, read)

    def streamed(self, settings: Settings, classes: Any, read: Labels) -> Self:
        """Return the target of the next part of a stream: the same."""
        if classes is not None and set(_read_classes(classes)) != set(self.classes):
            raise ValueError(
                f"classes={shown(classes)} is not the same as on the last call to partial_fit, "
                f"was: {shown(self.classes.tolist())}."
            )
        self._check_order(read.order)
        return super().streamed(settings, classes, read)

    def _check_order(self, order: list[Any] | None) -> None:
        """Refuse a y that declares another order than was fitted, where the order counts."""
        if order is None or not self.head.is_ordered or _by_hand(self.head) is not None:
            return
        fitted = self.classes.tolist()
        if [level for level in order if level in fitted] != fitted:
            raise ValueError(
                f"y declares the order {shown(order)}, but the estimator was fitted on the order "
                f"{shown(fitted)}: declare the same, or fit a clone."
            )

    @property
    def published(self) -> dict[str, Any]:
        """The fitted attributes that it stands for."""
        classes = self.classes if self.columns is None else self.classes[self.columns]
        return {"head_": self.head, "classes_": classes}

    def encode(self, labels: Labels) -> np.ndarray:
        """Return labels as columns: one of 0 and 1, or one for each class or label."""
        self.check(labels)
        return self.as_columns(labels.y)

    def check(self, labels: Labels) -> None:
        """Refuse labels that are none of the classes."""
        if labels.are_many != (self.kind == "multilabel"):
            raise ValueError(
                f"`y` has {'labels' if labels.are_many else 'classes'}, but the estimator was "
                f"fitted on a {self.kind} target."
            )
        if not set(labels.names) <= set(self.classes):
            odd = next(name for name in labels.names if name not in set(self.classes))
            raise ValueError(
                f"`y` has classes not in `self.classes_`: {shown(odd)} is none of "
                f"{shown(self.classes.tolist())}."
            )

    def as_columns(self, y: Any) -> np.ndarray:
        """Return some rows of labels that were checked as columns."""
        if self.kind == "multilabel":
            return (y if isinstance(y, np.ndarray) else y.toarray()) != 0
        order = np.argsort(self.classes, kind="stable")  # those of an ordered head need not be
        codes = order[np.searchsorted(self.classes, y, sorter=order)]
        if self.head.is_one_hot:
            return codes[:, None] == np.arange(len(self.classes))
        return codes[:, None] == 1

    def check_class_weight(self, class_weight: Any) -> None:
        """Refuse weights of classes where a row may have several."""
        if self.kind == "multilabel":
            raise ValueError(
                f"class_weight={shown(class_weight)} is for classes that exclude each other, "
                "and y has labels: give sample_weight instead."
            )

    @property
    def sorted(self) -> Self:
        """The same with its answers in sorted order, which scikit-learn's metrics take for it."""
        order = np.argsort(self.classes)
        return self if np.all(np.diff(order) == 1) else replace(self, columns=order)

    def strata(self, Y: np.ndarray) -> np.ndarray | None:
        """Return the class of each row, for splits that mind it; labels have none."""
        return None if self.kind == "multilabel" else self.codes(Y)

    def lack(self, Y: np.ndarray) -> str:
        """Say which classes some rows lack, or which label is the same in all; nothing if none."""
        codes = self.codes(Y)
        if self.kind == "multilabel":
            same = np.flatnonzero(np.ptp(codes, axis=0) == 0)
            return f"label {self.classes[same[0]]} is the same in every row" if len(same) else ""
        absent = np.delete(self.classes, np.unique(codes)).tolist()
        if len(self.classes) == 1:
            return f"every row is of class {self.classes.tolist()[0]!r}"
        return f"class {absent[0]!r} is missing" if absent else ""

    def score(self, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> float:
        """Return the accuracy of raw outputs; NaN where they are not finite."""
        if not np.isfinite(raw).all():
            return float("nan")
        is_right = self.codes(Y) == self.classify(raw)
        is_right = is_right.all(axis=1) if is_right.ndim == 2 else is_right
        return float(np.average(is_right, weights=weights))

    def score_in_parts(self, parts: Iterable[Answered]) -> float:
        """Return the accuracy of raw outputs that come part by part, with targets and weights."""
        right = total = 0.0
        for raw, Y, weights in parts:
            weight = len(raw) if weights is None else float(np.sum(weights))
            right += weight * self.score(raw, Y, weights)
            total += weight
        return right / total

    def codes(self, columns: np.ndarray) -> np.ndarray:
        """Return the class of each row (labels: 0 or 1 for each column) as a number."""
        if self.kind == "multilabel":
            return (columns > 0.5).astype(int)
        if columns.shape[1] > 1:
            return np.argmax(columns, axis=1)
        return (columns[:, 0] > 0.5).astype(int)

    def classify(self, raw: np.ndarray) -> np.ndarray:
        """Return the class that raw outputs say (labels: 0 or 1 for each column) as a number."""
        codes = self.head.classify(raw)
        return codes[:, 0] if codes.ndim == 2 and self.kind != "multilabel" else codes

    def decode(self, raw: np.ndarray) -> np.ndarray:
        """Return the class that raw outputs say; for labels 0 or 1 for each."""
        codes = self.classify(raw)
        if self.kind == "multilabel":
            return codes
        return self.classes[np.minimum(codes, len(self.classes) - 1)]

    def probabilities(self, raw: np.ndarray) -> np.ndarray:
        """Return the probability of each class, or of each label: above 0, of labels below 1."""
        p = self.unguarded_probabilities(raw)
        if self.kind == "multilabel":
            p = np.minimum(p, np.nextafter(1, 0, dtype=p.dtype))
        small = p < np.finfo(p.dtype).eps  # has no digits left where it is 1 - p
        p = np.where(small, _positive_exp(self._log_probabilities(raw)), p) if small.any() else p
        return p if self.columns is None else p[:, self.columns]

    def unguarded_probabilities(self, raw: Any) -> Any:
        """Return probabilities that may be rounded to 0 or 1, of arrays or Expressions.

        They are in the order of the head.
        """
        p = self.head.predict(raw)
        if self.kind == "binary" and not self.head.is_one_hot:
            return np.hstack([1 - p, p]) if len(self.classes) > 1 else np.ones_like(p)
        return p

    def log_probabilities(self, raw: np.ndarray) -> np.ndarray:
        """Return the logarithms of `probabilities`, from raw outputs."""
        log_p = self._log_probabilities(raw)
        return log_p if self.columns is None else log_p[:, self.columns]

    def _log_probabilities(self, raw: np.ndarray) -> np.ndarray:
        log_p = self.head.log_probability(raw)
        if self.kind != "binary" or self.head.is_one_hot:
            return log_p
        if len(self.classes) == 1:
            return np.zeros_like(log_p)
        return np.hstack([self.head.log_complement(raw), log_p])

    def scores(self, raw: np.ndarray) -> np.ndarray:
        """Return a score for each class; for two, the second's less the first's."""
        scores = self.head.predict(raw)
        if self.kind != "binary":
            return scores
        return scores[:, -1] - scores[:, 0] if scores.shape[1] > 1 else scores[:, 0]


_LABELS_AT_ONCE = 1 << 18  # so that the names of any number of rows are found in the same memory


def _kind_and_names(y: Any, given: Any, before: int = 0) -> tuple[str, np.ndarray]:
    """Return the kind and the distinct names of labels, of which so many rows come before."""
    if y.ndim == 1 and y.dtype.kind in "biu":
        names = np.unique(y)  # as scikit-learn has it, in a tenth of the time
        return "multiclass" if len(names) > 2 else "binary", names
    kind = type_of_target(y)
    if kind.startswith("continuous"):
        odd = np.ravel(y)[np.ravel(y) != np.floor(np.ravel(y))]
        raise ValueError(
            f"Unknown label type: {kind}: y has {odd[0] if len(odd) else y[0]}, but classes "
            "are whole numbers, truth values or strings; MLPRegressor learns numbers."
        )
    if kind in ("binary", "multiclass") and y.dtype.kind in "biuf":
        return kind, np.unique(y)  # there is nothing more to check
    check_classification_targets(y)
    if y.ndim == 2:
        _check_labels(y, given, kind, before)
    return kind, unique_labels(y)


def _check_labels(y: Any, given: Any, kind: str, before: int) -> None:
    """Refuse a matrix that has more in it than 0 and 1."""
    entries = y if isinstance(y, np.ndarray) else y.data
    is_odd = np.ones(entries.shape, bool)  # of words, which compare with no number
    if entries.dtype.kind in "biuf":
        is_odd = (entries != 0) & (entries != 1)
    if not np.any(is_odd):
        return
    at = np.argwhere(is_odd)[0]
    row, column = at if entries is y else (y.tocoo().row[at[0]], y.tocoo().col[at[0]])
    value, where = y[row, column], place(before + row, name_of_column(given, column))
    has = f"y has {shown(value)} in {where}"
    if kind == "multiclass-multioutput":
        raise ValueError(
            f"Multioutput target data with several classes is not supported: {has}; fit one "
            "classifier a column (sklearn.multioutput.MultiOutputClassifier)."
        )
    raise ValueError(
        f"{has}, but a matrix of labels has 0 or 1 (or False and True) in each column: give "
        "y > 0, or whatever tells yes from no."
    )


def _read_classes(classes: Any) -> np.ndarray:
    """Read the classes that a stream will have."""
    read = read_labels(classes, "classes")
    read = np.ravel(read) if read.shape[1:] == (1,) else read
    if not isinstance(read, np.ndarray) or read.ndim != 1 or not len(read):
        raise ValueError(f"classes must be a list of labels, got {shown(classes)}.")
    check_finite(read, "classes")
    return read


def _by_hand(head: Head | None) -> Any:
    """Return the order of the classes that an ordered head was given, or None."""
    return getattr(head, "classes", None) if head is not None and head.is_ordered else None


def _in_order(
    names: np.ndarray, head: Head, declared: list[Any] | None, announced: np.ndarray | None
) -> np.ndarray:
    """Return classes in their order: given by hand, declared by y, or that of numbers."""
    by_hand = _by_hand(head)
    order = declared if by_hand is None else list(by_hand)
    found = names.tolist()
    if order is None:
        if isinstance(found[0], str) and len(found) > 1:
            some = ", ".join(map(shown, found[:3])) + (", ..." if len(found) > 3 else "")
            raise ValueError(
                f"{type(head).__name__} needs the order of the classes {some}: give it from the "
                "lowest to the highest, as in head=Ordinal(classes=[...]), or make y an ordered "
                "pandas Categorical, a polars Enum, or numbers."
            )
        if announced is not None and sorted(announced.tolist()) != announced.tolist():
            raise ValueError(
                f"classes={shown(announced.tolist())} are numbers in another order than their "
                f"own, which {type(head).__name__} goes by: sort them, or give that order by hand, "
                "as in head=Ordinal(classes=[...])."
            )
        return names
    positions = {level: i for i, level in enumerate(order)}
    for name in found:
        if name not in positions:
            raise ValueError(
                f"{'y' if announced is None else 'classes'} has the class {shown(name)}, which is "
                f"not in the order that was given, {shown(order)}."
            )
    return names[np.argsort([positions[name] for name in found])]


def _positive_exp(log_p: np.ndarray) -> np.ndarray:
    """Return exp(log_p), or a subnormal number that falls with log_p where that would be 0.

    Below the smallest normal number, the subnormal ones are shared out among all smaller log_p.
    """
    limits = np.finfo(log_p.dtype)
    least, spread = np.log(limits.tiny), np.log(limits.tiny / limits.smallest_subnormal)
    below = np.maximum(least - log_p, 0)
    p = np.exp(np.maximum(log_p, least) - spread * (below / (below - least)))
    return np.maximum(p, limits.smallest_subnormal)
