"""Data on its way into a network: read once, checked, refused in one sentence.

The law: what comes out is a matrix of float32 or float64 rows (dense, or CSR), numeric targets, and
weights that are zero or positive; `rows` are those of positive weight, since a row of zero weight
is no row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import validate_data

from ..engine.words import shown
from ..training.warn import warn
from .containers import FLOATS, name_of_column, place, read_matrix, read_numbers


@dataclass(frozen=True, eq=False)
class Data:
    """Checked rows.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n, inputs)
        Inputs.
    Y : ndarray of shape (n, n_targets)
        Encoded targets.
    weights : ndarray of shape (n,) or None
        Weights.
    y : ndarray or CSR matrix of shape (n,) or (n, n_outputs)
        Targets as they were given, checked.
    precision : dtype
        That of training.
    """

    X: Any
    Y: np.ndarray
    weights: np.ndarray | None
    y: Any
    precision: np.dtype[Any]

    @property
    def rows(self) -> np.ndarray:
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
    def largest_input(self) -> float:
        """The largest absolute value in X."""
        return largest(self.X)

    @property
    def is_sparse(self) -> bool:
        """Whether X is a sparse matrix."""
        return not isinstance(self.X, np.ndarray)


def largest(numbers: Any) -> float:
    """Return the largest absolute value in an array or sparse matrix."""
    return max(float(numbers.max()), -float(numbers.min()))


def check_inputs(estimator: Any, X: Any, *, reset: bool = False, y: Any = "no_validation") -> Any:
    """Check inputs as scikit-learn does, and say what is wrong with them in one sentence."""
    if not reset and _is_as_fitted(estimator, X):
        check_finite(X, "X")
        return X
    read = read_matrix(X)
    validate_data(estimator, X, y=y, reset=reset, skip_check_array=True)  # names, and how many
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


def as_target(y: np.ndarray, given: Any) -> np.ndarray:
    """Check the shape and the numbers of targets that were read; one column becomes a vector."""
    if y.ndim > 2 or 0 in y.shape[1:]:
        raise ValueError(
            f"y has {y.ndim} dimensions and shape {y.shape}, but it must have an entry or a row of "
            "entries a sample."
        )
    check_finite(y, "y", given)
    return column_or_1d(y) if y.ndim == 2 and y.shape[1] == 1 else y


def stand_in(estimator: BaseEstimator) -> BaseEstimator:
    """Return what the number and the names of inputs can be set on instead of an estimator."""
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
    """Check samples, and make the target that they say; one to be scaled keeps its precision."""
    samples = read_samples(names, X, y, sample_weight, kind, reset=reset)
    target = target_of(samples.read)
    precision = np.dtype(precision or samples.X.dtype)
    return samples.encoded(target, precision, given=(X, y), is_scaled=is_scaled), target


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
    weights: np.ndarray | None

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
    read = kind.read(y)
    samples = Samples(X, read, None)
    if samples.y.shape[0] != X.shape[0]:
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"X has {X.shape[0]}, y has {samples.y.shape[0]}."
        )
    return samples._replace(weights=check_weights(sample_weight, X.shape[0]))


def warn_of_column(y: Any, data: Data) -> None:
    """Warn of targets that came as a column, once a fit."""
    given = y if hasattr(y, "ndim") else np.asarray(y)
    if data.y.ndim == 1 and given.ndim == 2:
        warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of "
            "y to (n_samples, ), for example using ravel().",
            DataConversionWarning,
        )


def are_given(X_val: Any, y_val: Any) -> bool:
    """Tell whether there are rows to validate on; refuse one of the two without the other."""
    if (X_val is None) == (y_val is None):
        return X_val is not None
    missing, there = ("X_val", "y_val") if X_val is None else ("y_val", "X_val")
    raise ValueError(f"{there} is given without {missing}: give both, or neither.")


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
        if np.isfinite(np.sum(numbers)):
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
    for start in range(0, len(flat), 1 << 16):
        passed = np.argwhere(test(flat[start : start + (1 << 16)]))
        if not len(passed):
            continue
        row, column = int(passed[0][0]) + start, int(passed[0][1])
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
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
    weights = read_numbers(sample_weight, "sample_weight").astype(np.float64, copy=False)
    check_finite(weights, "sample_weight", sample_weight)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, but there are {n_rows} samples: it must "
            f"have shape ({n_rows},)."
        )
    if np.any(weights < 0):
        raise ValueError(f"sample_weight must be 0 or positive, got {weights[weights < 0][0]:g}.")
    least = np.finfo(np.float64).tiny
    if 0 < np.max(weights, initial=0.0) < least:
        raise ValueError(
            f"sample_weight is too small to divide by: its largest value is {np.max(weights):g}."
        )
    return weights


def class_weights(
    class_weight: Any, classes: np.ndarray, codes: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """Return the weight of each class, as `sklearn.utils.class_weight` has it.

    "balanced" is n / (K n_k) with n samples, K classes and n_k samples of class k, each sample
    counting as much as it weighs; a class without any has no part in it.
    """
    if not isinstance(class_weight, Mapping):
        counts = np.bincount(codes, weights, minlength=len(classes))
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
