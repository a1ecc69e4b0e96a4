"""Data on its way into a network: read once, checked, refused in one sentence.

The law: what comes out is a matrix of float32 or float64 rows (dense, or CSR), numeric targets, and
weights that are zero or positive; `rows` are those of positive weight, since a row of zero weight
is no row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from numbers import Real
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import validate_data

from ..engine.words import shown
from ..training.orders import Blocks, shuffled
from ..training.warn import warn
from .containers import (
    FLOATS,
    columns_of,
    name_of_column,
    place,
    read_matrix,
    read_numbers,
    with_names,
)
from .files import Computed, is_file, parts_of


@dataclass(frozen=True, eq=False)
class Data:
    """Checked rows.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n, inputs)
        Inputs.
    Y : ndarray or Computed of shape (n, n_targets)
        Encoded targets.
    weights : ndarray or Computed of shape (n,), or None
        Weights.
    y : ndarray or CSR matrix of shape (n,) or (n, n_outputs)
        Targets as they were given, checked.
    precision : dtype
        That of training.
    """

    X: Any
    Y: Any
    weights: Any
    y: Any
    precision: np.dtype[Any]

    @property
    def rows(self) -> Any:
        """The numbers of the rows that count."""
        return np.arange(len(self.Y)) if self.weights is None else np.flatnonzero(self.weights)

    def check_rows(self) -> None:
        """Refuse samples of which none counts."""
        if not len(self.rows):
            raise ValueError("Sample weights must contain at least one non-zero number.")

    def normalized_weights(self, rows: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Return the weights divided by their mean over `rows`, and that mean."""
        if self.weights is None:
            return None, 1.0
        heaviest = float(np.max(self.weights[rows]))
        relative = self.weights / heaviest  # so that no sum overflows
        mean = float(np.mean(relative[rows]))
        return relative / mean, heaviest * mean

    @property
    def is_sparse(self) -> bool:
        """Whether X is a sparse matrix."""
        return not isinstance(self.X, np.ndarray)

    @property
    def largest(self) -> float:
        """The largest absolute value of the inputs."""
        return largest(self.X)

    def reorder(self, random: np.random.RandomState) -> Callable[[Any], Any]:
        """Make what puts rows in a new order."""
        return partial(shuffled, random=random)

    def shown(self, rows: Any) -> Any:
        """Pick those of some rows that show where a fit is to start: all of them."""
        return rows

    def targets(self, function: Callable[[np.ndarray], np.ndarray]) -> Any:
        """Return what a function of rows makes of the encoded targets."""
        return function(self.Y)

    def weighed(self, target: Any, class_weight: Any) -> Self:
        """Return the same with weights multiplied by those of classes."""
        target.check_class_weight(class_weight)
        codes = target.codes(self.Y)
        counts = np.bincount(codes, self.weights, minlength=len(target.classes))
        of_row = class_weights(class_weight, target.classes, counts)[codes]
        with np.errstate(over="ignore"):
            of_row = of_row if self.weights is None else of_row * self.weights
        return replace(self, weights=check_weights(of_row, len(codes)))


SHOWN_ROWS = 100_000  # of a file, evenly spaced


@dataclass(frozen=True, eq=False)
class FileData(Data):
    """Checked rows of a mapped file: X is the file, all else is computed for the rows at hand.

    Attributes
    ----------
    blocks : Blocks
        The rows that count.
    largest_input : float
        The largest absolute value of the inputs.
    """

    blocks: Blocks
    largest_input: float

    @property
    def rows(self) -> Blocks:
        """The rows that count."""
        return self.blocks

    @property
    def largest(self) -> float:
        """The largest absolute value of the inputs."""
        return self.largest_input

    def reorder(self, random: np.random.RandomState) -> Callable[[Blocks], Blocks]:
        """Make what puts rows in a new order."""
        return partial(Blocks.shuffled, random=random)

    def shown(self, rows: Blocks) -> np.ndarray:
        """Pick those of some rows that show where a fit is to start."""
        return evenly_spaced(rows, SHOWN_ROWS)

    def targets(self, function: Callable[[np.ndarray], np.ndarray]) -> Computed:
        """Return what a function of rows makes of the encoded targets."""
        return self.Y.through(function)

    def parts(self, rows: Any = None) -> Any:
        """Cut rows, all by default, into parts that are looked through one after another."""
        n = len(self.Y) if rows is None else len(rows)
        row = self.X[:1].nbytes + 8 * self.Y.shape[1] + 8
        return (part if rows is None else rows[part] for part in parts_of(n, row))

    def normalized_weights(self, rows: Any) -> tuple[Any, float]:
        """Return the weights divided by their mean over `rows`, and that mean."""
        weights = self.weights
        if weights is None:
            return None, 1.0
        largest = max(float(np.max(weights[part])) for part in self.parts(rows))
        total = sum(float(np.sum(weights[part] / largest)) for part in self.parts(rows))
        mean = total / len(rows)
        return weights.through(lambda w: w / largest / mean), largest * mean

    def weighed(self, target: Any, class_weight: Any) -> Self:
        """Return the same with weights multiplied by those of classes."""
        target.check_class_weight(class_weight)
        Y, weights, counts = self.Y, self.weights, np.zeros(len(target.classes))
        for part in self.parts():
            of_part = None if weights is None else weights[part]
            counts += np.bincount(target.codes(Y[part]), of_part, minlength=len(counts))
        of_class = class_weights(class_weight, target.classes, counts)

        def weigh(rows: Any) -> np.ndarray:
            with np.errstate(over="ignore"):
                of_row = of_class[target.codes(Y[rows])]
                return of_row if weights is None else of_row * weights[rows]

        found = Computed(weigh, (len(Y),), np.dtype(np.float64))
        return replace(self, weights=found, blocks=_that_count(self.blocks, found))


def _that_count(blocks: Blocks, weights: Computed) -> Blocks:
    """Check weights, and return the rows whose weight is not zero."""
    marks, largest, n = None, 0.0, len(weights)
    for part in parts_of(n, 8):
        some = weights[part]
        if not (np.isfinite(some).all() and (some >= 0).all()):
            check_weights(some, len(some))
        largest = max(largest, float(some.max()))
        is_zero = some == 0
        if is_zero.any():
            marks = np.ones(n, np.uint8) if marks is None else marks
            marks[part][is_zero] = 0
    check_weights([largest], 1)
    return blocks if marks is None else blocks.marked(marks, 1)


def evenly_spaced(rows: Any, most: int) -> Any:
    """Return some of the rows, evenly spaced, where there are more than so many."""
    if len(rows) <= most:
        return rows[:]
    return rows[np.arange(most) * (len(rows) - 1) // max(most - 1, 1)]


def largest(numbers: Any) -> float:
    """Return the largest absolute value in an array or sparse matrix; NaN where there is one."""
    return max(float(numbers.max()), -float(numbers.min()))


def check_inputs(estimator: Any, X: Any, *, reset: bool = False, y: Any = "no_validation") -> Any:
    """Check inputs as scikit-learn does, and say what is wrong with them in one sentence."""
    if not reset and _is_as_fitted(estimator, X):
        check_finite(X, "X")
        return X
    if is_file(X):
        return _check_file(estimator, X, reset=reset, y=y, precision=None)[0]
    read = read_matrix(X)
    _check_columns(estimator, X, y, reset=reset)
    inputs = check_array(
        read,
        accept_sparse="csr",
        dtype=FLOATS,
        ensure_all_finite=False,
        input_name="X",
        estimator=estimator,
    )
    check_finite(inputs, "X", X)
    return inputs


def _check_columns(estimator: Any, X: Any, y: Any, *, reset: bool) -> None:
    """Check how many columns there are, and their names, and say where the first is another."""
    named = with_names(X)
    try:
        validate_data(estimator, named, y=y, reset=reset, skip_check_array=True)
    except ValueError as error:
        if "feature names should match" not in str(error):
            raise
        known, found = list(estimator.feature_names_in_), [name for name, _ in columns_of(named)]
        at = next((i for i, pair in enumerate(zip(known, found)) if pair[0] != pair[1]), None)  # noqa: B905
        odd = f"{len(found)} columns, not {len(known)}"
        if at is not None:
            odd = f"{shown(found[at])} as column {at}, which was {shown(known[at])}"
        text = str(error).rstrip("\n")
        raise ValueError(
            f"{text}\nX has {odd}: give the columns that were fitted, in the same order."
        ) from None


def as_target(y: np.ndarray, given: Any) -> np.ndarray:
    """Check the shape and the numbers of targets that were read; one column becomes a vector."""
    if y.ndim > 2 or 0 in y.shape[1:]:
        raise ValueError(
            f"y has {y.ndim} dimensions and shape {y.shape}, but it must have an entry or a row of "
            "entries a sample."
        )
    check_finite(y, "y", given)
    return column_or_1d(y) if y.ndim == 2 and y.shape[1] == 1 else y


NAMES_OF_INPUTS = ("n_features_in_", "feature_names_in_")


def inputs_of(estimator: BaseEstimator) -> dict[str, Any]:
    """Return the number, and the names, of the inputs that are set on an estimator."""
    return {name: x for name, x in vars(estimator).items() if name in NAMES_OF_INPUTS}


def stand_in(estimator: Any) -> Any:
    """Return what attributes can be set on instead of an estimator: it shares all that there is."""
    blank = object.__new__(type(estimator))
    vars(blank).update(vars(estimator))
    return blank


def read_first_rows(
    names: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    kind: Any,
    target_of: Callable[[Any], Any],
    precision: np.dtype[Any] | None,
    *,
    reset: bool,
    is_scaled: bool = False,
) -> tuple[Data, Any]:
    """Check samples, a file's part by part, and make the target that they say.

    A target that is to be scaled keeps its precision.
    """
    if not is_file(X):
        samples = read_samples(names, X, y, sample_weight, kind, reset=reset)
        target = target_of(samples.read)
        precision = np.dtype(precision or samples.X.dtype)
        return samples.encoded(target, precision, given=(X, y), is_scaled=is_scaled), target
    precision = np.dtype(precision or (X.dtype if X.dtype in FLOATS else np.float64))
    X, largest_input = _check_file(names, X, y=y, reset=reset, precision=precision)
    samples = Samples.of(X, kind.read(y))
    of_targets = np.dtype(np.float64) if is_scaled and kind.usual == "numbers" else precision
    target = target_of(samples.read)
    target.check(samples.read)
    if kind.usual == "numbers":
        within(samples.y, of_targets, "y", y)
    data = _of_file(X, samples.y, sample_weight, target, precision, of_targets, largest_input)
    return data, target


class Samples(NamedTuple):
    """Samples that were read, whatever their target will be.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n, inputs)
        Inputs.
    read : ndarray or Labels
        What the kind of target reads in y.
    weights : ndarray of shape (n,) or None
        Weights.
    """

    X: Any
    read: Any
    weights: np.ndarray | None = None

    @classmethod
    def of(cls, X: Any, read: Any) -> Self:
        """Check that there are as many targets as inputs."""
        samples = cls(X, read)
        if samples.y.shape[0] != X.shape[0]:
            raise ValueError(
                "Found input variables with inconsistent numbers of samples: "
                f"X has {X.shape[0]}, y has {samples.y.shape[0]}."
            )
        return samples

    @property
    def y(self) -> Any:
        """The targets as they were given, checked."""
        return self.read if isinstance(self.read, np.ndarray) else self.read.y

    def encoded(
        self,
        target: Any,
        precision: np.dtype[Any],
        *,
        given: tuple[Any, Any] = (None, None),
        is_scaled: bool = False,
    ) -> Data:
        """Encode them for a target; data frames that were `given` have names for the columns."""
        X = within(self.X, precision, "X", given[0])
        is_wide = is_scaled and target.usual == "numbers"
        of_targets = np.dtype(np.float64) if is_wide else precision
        Y = within(target.encode(self.read), of_targets, "y", given[1])
        return Data(X, Y.astype(of_targets, copy=False), self.weights, self.y, precision)


def read_samples(
    names: BaseEstimator, X: Any, y: Any, sample_weight: Any, kind: Any, *, reset: bool
) -> Samples:
    """Check samples as far as that goes without their target."""
    X = check_inputs(names, X, y=y, reset=reset)
    samples = Samples.of(X, kind.read(y))
    return samples._replace(weights=check_weights(sample_weight, X.shape[0]))


def _check_file(
    estimator: Any, X: np.ndarray, *, reset: bool, y: Any, precision: np.dtype[Any] | None
) -> tuple[np.ndarray, float]:
    """Check a mapped file as `check_inputs` and `within` do, going through it once.

    Returns it with the largest absolute value; numbers are converted when they are used.
    """
    given, X = X, np.asarray(X)
    _check_columns(estimator, given, y, reset=reset)
    found = float(np.max([largest(X[part]) for part in parts_of(len(X), X[:1].nbytes)]))
    if not np.isfinite(found):
        check_finite(X, "X", given)
    if precision is not None and found > float(np.finfo(precision).max):
        within(X, precision, "X", given)
    return X, found


def _of_file(
    X: np.ndarray,
    y: Any,
    sample_weight: Any,
    target: Any,
    precision: np.dtype[Any],
    of_targets: np.dtype[Any],
    largest: float,
) -> FileData:
    """Put together what is read of a file when it is needed."""
    n = len(X)

    def read(start: int, stop: int) -> None:  # in one go, so that single rows are there afterwards
        for source in (X, y):
            if isinstance(source, np.ndarray):
                source[start:stop].copy()

    blocks = Blocks(n, X[:1].nbytes, read=read)
    Y = Computed(
        lambda rows: target.as_columns(y[rows]).astype(of_targets, copy=False),
        (n, target.n_targets),
        of_targets,
    )
    weights = None
    if sample_weight is not None:
        numbers = _numbers_of_weights(sample_weight, n)
        weights = Computed(
            lambda rows: numbers[rows].astype(np.float64), (n,), np.dtype(np.float64)
        )
        blocks = _that_count(blocks, weights)
    return FileData(X, Y, weights, y, precision, blocks, largest)


def warn_of_column(y: Any, data: Data) -> None:
    """Warn of targets that came as a column, once a fit."""
    given = y if hasattr(y, "ndim") else np.asarray(y)
    if data.y.ndim == 1 and given.ndim == 2:
        warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of "
            "y to (n_samples, ), for example using ravel().",
            DataConversionWarning,
        )


def are_given(X_val: Any, y_val: Any, sample_weight_val: Any = None) -> bool:
    """Tell whether there are rows to validate on; refuse a part of them without the others."""
    if (X_val is None) != (y_val is None):
        missing, there = ("X_val", "y_val") if X_val is None else ("y_val", "X_val")
        raise ValueError(f"{there} is given without {missing}: give both, or neither.")
    if X_val is None and sample_weight_val is not None:
        raise ValueError("sample_weight_val is given without X_val and y_val.")
    return X_val is not None


def read_rows(
    names: BaseEstimator,
    X: Any,
    y: Any,
    sample_weight: Any,
    target: Any,
    precision: np.dtype[Any],
    *,
    is_scaled: bool = False,
) -> Data:
    """Check samples for a known target, as `read_first_rows`."""
    given = (names, X, y, sample_weight, type(target), lambda read: target, precision)
    return read_first_rows(*given, reset=False, is_scaled=is_scaled)[0]


def _is_as_fitted(estimator: Any, X: Any) -> bool:
    """Tell whether validation would return X itself: it takes longer than predicting a row."""
    return (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype.type in FLOATS
        and X.dtype.isnative
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    )


def check_finite(X: Any, name: str, given: Any = None) -> None:
    """Refuse what is not finite; a data frame `given` has names for the columns."""
    numbers = X if isinstance(X, np.ndarray) else X.data
    if numbers.dtype.kind != "f":
        return
    with np.errstate(all="ignore"):
        if math.isfinite(numbers.sum()):
            return
    found = _first(X, lambda part: ~np.isfinite(part))
    if found is None:
        return
    value, where = found[0], _place_of(X, *found[1:], name, given)
    if np.isnan(value):
        cure = ": sklearn.impute.SimpleImputer fills it" if name == "X" else ""
        raise ValueError(f"Input {name} contains NaN ({value}) in {where}{cure}.")
    raise ValueError(
        f"Input {name} contains infinity or a value too large for {numbers.dtype!r} ({value}) "
        f"in {where}."
    )


def _first(X: Any, test: Callable[[np.ndarray], np.ndarray]) -> tuple[Any, int, int] | None:
    """Return the first number that passes a test, its row and its column."""
    numbers = X if isinstance(X, np.ndarray) else X.data
    flat = numbers.reshape(len(numbers), -1) if numbers.ndim else numbers.reshape(1, 1)
    for part in parts_of(len(flat), flat[:1].nbytes):
        passed = np.argwhere(test(flat[part]))
        if not len(passed):
            continue
        row, column = int(passed[0][0]) + part.start, int(passed[0][1])
        value = flat[row, column]
        if not isinstance(X, np.ndarray):
            column = int(X.indices[row])
            row = int(np.searchsorted(X.indptr, row, side="right")) - 1
        return value, row, column
    return None


def _place_of(X: Any, row: int, column: int, name: str, given: Any) -> str:
    is_column = X.ndim == 1 or (name == "y" and X.shape[1] == 1)
    return place(row) if is_column else place(row, name_of_column(given, column))


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Check sample weights."""
    if sample_weight is None:
        return None
    weights = _numbers_of_weights(sample_weight, n_rows).astype(np.float64, copy=False)
    if np.any(weights < 0):
        raise ValueError(f"sample_weight must be 0 or positive, got {weights[weights < 0][0]:g}.")
    least = np.finfo(np.float64).tiny
    if 0 < np.max(weights, initial=0.0) < least:
        raise ValueError(
            f"sample_weight is too small to divide by: its largest value is {np.max(weights):g}."
        )
    return weights


def _numbers_of_weights(sample_weight: Any, n_rows: int) -> np.ndarray:
    """Read sample weights, a finite number for each row."""
    if isinstance(sample_weight, Real):
        sample_weight = np.broadcast_to(np.asarray(sample_weight), n_rows)
    weights = read_numbers(sample_weight, "sample_weight")
    check_finite(weights, "sample_weight", sample_weight)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, but there are {n_rows} samples: it must "
            f"have shape ({n_rows},)."
        )
    return weights


def class_weights(class_weight: Any, classes: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the weight of each class, as `sklearn.utils.class_weight` has it.

    "balanced" is n / (K n_k) with n samples, K classes and n_k samples of class k, `counts`, where
    each sample counts as much as it weighs; a class without any has no part in it.
    """
    if not isinstance(class_weight, Mapping):
        present = counts > 0
        of_class = np.ones(len(classes))
        of_class[present] = np.sum(counts) / (np.sum(present) * counts[present])
        return of_class
    names = classes.tolist()
    unknown = [name for name in class_weight if name not in names]
    missing = [name for name in names if name not in class_weight]
    if unknown and missing:
        raise ValueError(
            f"class_weight={shown(class_weight)} has no weight for class {shown(missing[0])}, but "
            f"one for {shown(unknown[0])}, which is no class: the classes are {shown(names)}."
        )
    return np.array([float(class_weight.get(name, 1.0)) for name in names])


def within(values: Any, dtype: np.dtype[Any], name: str, given: Any = None) -> Any:
    """Check that float64 numbers fit a float32 network; a data frame `given` has their names."""
    numbers = values if isinstance(values, np.ndarray) else values.data
    if numbers.dtype == np.float64 and dtype == np.float32 and numbers.size:
        extreme = max(numbers.max(), numbers.min(), key=abs)
        if abs(extreme) > np.finfo(dtype).max:
            found = _first(values, lambda part: part == extreme)
            where = "" if found is None else f" in {_place_of(values, *found[1:], name, given)}"
            cure = " or initial_output='data'" if name == "y" else ""
            raise ValueError(
                f"{name} contains {extreme:g}{where}, a value too large for {dtype}: set "
                f"dtype='float64'{cure}."
            )
    return values if isinstance(values, np.ndarray) else values.astype(dtype, copy=False)
