"""Data on its way into a network: checked once, refused in one sentence.

The law: what comes out is a matrix of float32 or float64 rows (dense, or CSR), numeric targets, and
weights that are zero or positive; `rows` are those of positive weight, since a row of zero weight
is no row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import validate_data

FLOATS = (np.float64, np.float32)


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

    def normalized_weights(self, rows: np.ndarray) -> tuple[np.ndarray | None, float]:
        """Return the weights divided by their mean over `rows`, and that mean."""
        if self.weights is None:
            return None, 1.0
        largest = float(np.max(self.weights[rows]))
        relative = self.weights / largest  # so that no sum overflows
        mean = float(np.mean(relative[rows]))
        return relative / mean, largest * mean

    @property
    def is_sparse(self) -> bool:
        """Whether X is a sparse matrix."""
        return not isinstance(self.X, np.ndarray)


def check_inputs(estimator: Any, X: Any, **options: Any) -> Any:
    """Check inputs as scikit-learn does, and say what is wrong with them in one sentence."""
    if options.get("reset") is False and _is_as_fitted(estimator, X):
        y = options.get("y")
        if y is None or _is_plain_target(y, len(X)):
            _check_finite(X, "X")
            if y is None:
                return X
            _check_numbers(y, "y", must_be_numbers=False)
            return X, y
    array = _plain_array(X)
    if array is not None:
        _check_matrix(array, X)
    y = options.get("y")
    targets = None if y is None else _plain_array(y)
    if targets is not None:
        _check_numbers(targets, "y", must_be_numbers=bool(options.get("y_numeric")))
        _check_lengths(array, targets)
    try:
        checked = validate_data(
            estimator, X, accept_sparse="csr", dtype=FLOATS, ensure_all_finite=False, **options
        )
    except ValueError as error:
        raise _told_better(error) from None
    inputs = checked[0] if isinstance(checked, tuple) else checked
    _check_finite(inputs, "X")
    if not isinstance(checked, tuple):
        return checked
    y = checked[1]
    return inputs, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


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
    X, y = check_inputs(
        names, X, y=y, multi_output=True, y_numeric=kind.usual == "numbers", reset=reset
    )
    precision = np.dtype(precision or X.dtype)
    X = within(X, precision, "X")
    weights = check_weights(sample_weight, X.shape[0])
    read = kind.read(y)
    target = target_of(read)
    Y = target.encode(read)
    of_targets = np.dtype(np.float64) if is_scaled and kind.usual == "numbers" else precision
    Y = within(Y, of_targets, "y").astype(of_targets, copy=False)
    return Data(X, Y, weights, y, precision), target


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


def _is_plain_target(y: Any, n_rows: int) -> bool:
    """Tell whether validation would return y itself."""
    return (
        type(y) is np.ndarray
        and y.shape == (n_rows,)
        and y.dtype.kind in "biuf"
        and y.dtype.isnative
    )


def _check_matrix(array: np.ndarray, X: Any) -> None:
    if array.ndim != 2:
        what = "None" if X is None else f"{array.ndim}D array"
        raise ValueError(
            f"Expected 2D array, got {what} instead, of shape {array.shape}. Reshape your data to "
            "one row a sample: X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one sample."
        )
    _refuse_complex(array, "X")


def _plain_array(values: Any) -> np.ndarray | None:
    """Return lists, numbers and arrays as an array, anything else as None."""
    if values is not None and not isinstance(values, (np.ndarray, list, tuple, Real)):
        return None
    try:
        return np.asarray(values)
    except ValueError:  # rows of different lengths
        return None


def _refuse_complex(array: np.ndarray, name: str) -> None:
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}.")


def _check_lengths(array: np.ndarray | None, targets: np.ndarray) -> None:
    if array is not None and targets.ndim and len(array) != len(targets):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"X has {len(array)}, y has {len(targets)}."
        )


def _check_numbers(array: np.ndarray, name: str, *, must_be_numbers: bool) -> None:
    """Refuse what is not finite or, where it must be, no number."""
    _refuse_complex(array, name)
    if array.dtype.kind == "f":
        _check_finite(array, name)
    elif must_be_numbers and array.dtype.kind in "OUS":
        for value in array.flat:
            try:
                float(value)
            except (TypeError, ValueError):
                raise ValueError(f"{name} contains {value!r}, which is not a number.") from None


def _told_better(error: ValueError) -> ValueError:
    """Return scikit-learn's error, as one sentence where it dumps what it found."""
    message = str(error)
    if message.startswith("could not convert string to float"):
        value = message.partition(": ")[2]
        return ValueError(f"X contains {value}, which is not a number: encode words first.")
    if "inhomogeneous" in message:
        return ValueError("X has rows of different lengths: give every sample the same features.")
    return error


def _check_finite(X: Any, name: str) -> None:
    numbers = X if isinstance(X, np.ndarray) else X.data
    with np.errstate(all="ignore"):
        if np.isfinite(np.sum(numbers)):
            return
    flat = numbers.reshape(len(numbers), -1) if numbers.ndim else numbers.reshape(1, 1)
    for start in range(0, len(flat), 1 << 16):
        bad = np.argwhere(~np.isfinite(flat[start : start + (1 << 16)]))
        if len(bad) == 0:
            continue
        row, column = int(bad[0][0]) + start, int(bad[0][1])
        value = flat[row, column]
        if not isinstance(X, np.ndarray):
            column = int(X.indices[row])
            row = int(np.searchsorted(X.indptr, row, side="right")) - 1
        place = f"row {row}, column {column}" if X.ndim == 2 else f"row {row}"
        if np.isnan(value):
            cure = ": sklearn.impute.SimpleImputer fills it" if name == "X" else ""
            raise ValueError(f"Input {name} contains NaN ({value}) in {place}{cure}.")
        raise ValueError(
            f"Input {name} contains infinity or a value too large for {flat.dtype!r} ({value}) "
            f"in {place}."
        )


def check_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Check sample weights."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, sample_weight)
    array = _plain_array(sample_weight)
    if array is not None:
        _check_numbers(array, "sample_weight", must_be_numbers=True)
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
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
            f"class_weight={class_weight!r} has no weight for class {missing[0]!r}, but one for "
            f"{unknown[0]!r}, which is no class: the classes are {names}."
        )
    return np.array([float(class_weight.get(name, 1.0)) for name in names])


def within(values: Any, dtype: np.dtype[Any], name: str) -> Any:
    """Check that float64 numbers fit a float32 network."""
    numbers = values if isinstance(values, np.ndarray) else values.data
    if numbers.dtype == np.float64 and dtype == np.float32 and numbers.size:
        extreme = max(numbers.max(), numbers.min(), key=abs)
        if abs(extreme) > np.finfo(dtype).max:
            cure = " or initial_output='data'" if name == "y" else ""
            raise ValueError(
                f"{name} contains {extreme:g}, a value too large for {dtype}: set "
                f"dtype='float64'{cure}."
            )
    return values if isinstance(values, np.ndarray) else values.astype(dtype, copy=False)
