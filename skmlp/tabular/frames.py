"""Frames of any make, read column by column: numbers, values of categories, dates.

The law: what a column is, is said by its type, never by the order of rows. A column of Python
objects has no type of its own: it is what all its values are. pandas and polars are never imported.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import sparse

Kind = Literal["number", "category", "date", "duration"]

_MISSING = {"NoneType", "NAType", "NaTType"}
_DATES = (datetime.date, np.datetime64)
_DURATIONS = (datetime.timedelta, datetime.time, np.timedelta64)
_NUMBERS = (Real, Decimal, np.bool_)
_DAY = datetime.datetime(1970, 1, 1)
_COLUMNS_AT_ONCE = 16  # that pandas puts side by side


class Values(NamedTuple):
    """A column as positions in a list of its distinct values; position -1 is missing."""

    distinct: list[Any]
    positions: np.ndarray


class Frame:
    """Columns by position; the makers differ in how these questions are answered."""

    names: np.ndarray | None = None
    labels: Sequence[Any]
    shape: tuple[int, int]

    def kind(self, column: int, rows: np.ndarray | slice) -> Kind:
        """Tell what a column holds, by its type or else by its values in `rows`."""
        raise NotImplementedError

    def numbers(self, columns: Sequence[int]) -> np.ndarray:
        """Return columns as float64, NaN where missing."""
        found = np.empty((self.shape[0], len(columns)), order="F")
        for k, column in enumerate(columns):
            found[:, k] = self.floats(column)
        return found

    def floats(self, column: int) -> np.ndarray:
        """Return a column of numbers, and refuse what is none by its value."""
        return _floats(self.values(column), self.label(column))

    def values(self, column: int) -> Values:
        """Return a column as positions in a list of distinct values."""
        raise NotImplementedError

    def dates(self, column: int, unit: str) -> np.ndarray:
        """Return a column of dates (unit "M8[us]", as on the clock) or durations ("m8[us]")."""
        raise NotImplementedError

    def label(self, column: int) -> str:
        """Name a column at the start of a sentence."""
        return f"Column {self.labels[column]!r}"


def frame_of(X: Any) -> Frame:
    """Return X as a frame, or say in a sentence why it is none."""
    if isinstance(X, Frame):
        return X
    if sparse.issparse(X):
        raise TypeError(
            "Sparse data was passed for X, but dense data is required: X.toarray() makes it so."
        )
    make = type(X).__module__.partition(".")[0]
    if make == "polars" and hasattr(X, "collect"):
        raise TypeError("X is a LazyFrame, which has no rows yet: X.collect() makes them.")
    if make not in ("pandas", "polars") and hasattr(X, "to_pandas"):
        X, make = X.to_pandas(), "pandas"
    if not hasattr(X, "columns"):
        frame: Frame = _Array(_matrix(X))
    else:
        frame = _Polars(X) if make == "polars" else _Pandas(X)
    for size, what in zip(frame.shape, ("sample(s)", "feature(s)"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {what} (shape={frame.shape}) while a minimum of 1 is required."
            )
    return frame


class _Pandas(Frame):
    def __init__(self, X: Any) -> None:
        self.X = X
        self.labels = list(X.columns)
        self.names = _names(self.labels)
        self.shape = X.shape
        self.dtypes = list(X.dtypes)

    def kind(self, column: int, rows: np.ndarray | slice) -> Kind:
        dtype = self.dtypes[column]
        if dtype.kind in "iufb":
            return "number"
        if dtype.kind in "Mm":
            return "date" if dtype.kind == "M" else "duration"
        if dtype == np.dtype(object):
            return _kind_of_objects(self.X.iloc[:, column].to_numpy()[rows].tolist())
        if dtype.kind == "c":
            raise ValueError(f"Complex data not supported: {self.label(column)} is {dtype}.")
        name = str(dtype)
        if name.startswith(("period", "date")):
            return "date"
        if name.startswith("time"):
            return "duration"
        return "number" if name.startswith("decimal") else "category"

    def numbers(self, columns: Sequence[int]) -> np.ndarray:
        found = np.empty((self.shape[0], len(columns)), order="F")
        plain = [k for k, j in enumerate(columns) if _is_plain(self.dtypes[j])]
        for i in range(0, len(plain), _COLUMNS_AT_ONCE):
            some = plain[i : i + _COLUMNS_AT_ONCE]
            chosen = self.X.iloc[:, [columns[k] for k in some]]
            found[:, some] = chosen.to_numpy(dtype=np.float64)
        for k in sorted(set(range(len(columns))) - set(plain)):
            found[:, k] = self.floats(columns[k])
        return found

    def floats(self, column: int) -> np.ndarray:
        if self.dtypes[column].kind in "iufb":
            return self.X.iloc[:, column].to_numpy(dtype=np.float64, na_value=np.nan)
        return super().floats(column)

    def values(self, column: int) -> Values:
        series = self.X.iloc[:, column]
        if hasattr(series.dtype, "categories"):
            codes = series.cat.codes.to_numpy()
            return _tidy(list(series.cat.categories), codes.astype(np.int64))
        return _values(series.tolist(), self.label(column))

    def dates(self, column: int, unit: str) -> np.ndarray:
        series = self.X.iloc[:, column]
        name = str(series.dtype)
        if name.startswith("period"):
            series = series.dt.to_timestamp()
        elif name.startswith(("object", "date32", "date64", "time32", "time64")):
            return _instants(series.astype(object).tolist(), unit, self.label(column))
        elif series.dtype.kind == "M" and series.dt.tz is not None:
            series = series.dt.tz_localize(None)
        return np.asarray(series.to_numpy(), dtype=unit)


class _Polars(Frame):
    def __init__(self, X: Any) -> None:
        self.X = X
        self.labels = list(X.columns)
        self.names = _names(self.labels)
        self.shape = X.shape
        self.dtypes = [str(dtype) for dtype in X.dtypes]

    def kind(self, column: int, rows: np.ndarray | slice) -> Kind:
        name = self.dtypes[column]
        if name == "Object":
            values = np.empty(self.shape[0], dtype=object)
            values[:] = self.X[:, column].to_list()
            return _kind_of_objects(values[rows].tolist())
        if self._is_number(column):
            return "number"
        if name.startswith("Date"):
            return "date"
        return "duration" if name.startswith(("Duration", "Time")) else "category"

    def _is_number(self, column: int) -> bool:
        return self.dtypes[column] == "Boolean" or self.X.dtypes[column].is_numeric()

    def floats(self, column: int) -> np.ndarray:
        if self._is_number(column):
            return self.X[:, column].cast(float).to_numpy()
        return super().floats(column)

    def values(self, column: int) -> Values:
        series = self.X[:, column]
        return _values(series.to_list(), self.label(column))

    def dates(self, column: int, unit: str) -> np.ndarray:
        series = self.X[:, column]
        if self.dtypes[column].startswith("Datetime"):
            series = series.dt.replace_time_zone(None)
        if self.dtypes[column] in ("Object", "Time"):
            return _instants(series.to_list(), unit, self.label(column))
        return np.asarray(series.to_numpy(), dtype=unit)


class _Array(Frame):
    def __init__(self, X: np.ndarray) -> None:
        self.X = X
        self.shape = (X.shape[0], X.shape[1])
        self.labels = range(X.shape[1])

    def kind(self, column: int, rows: np.ndarray | slice) -> Kind:
        if self.X.dtype.kind == "O":
            return _kind_of_objects(self.X[rows, column].tolist())
        kinds: dict[str, Kind] = {"M": "date", "m": "duration", "U": "category", "S": "category"}
        return kinds.get(self.X.dtype.kind, "number")

    def numbers(self, columns: Sequence[int]) -> np.ndarray:
        if self.X.dtype.kind in "biuf":
            every = len(columns) == self.shape[1]
            return (self.X if every else self.X[:, columns]).astype(np.float64, copy=False)
        return super().numbers(columns)

    def values(self, column: int) -> Values:
        return _values(self.X[:, column].tolist(), self.label(column))

    def dates(self, column: int, unit: str) -> np.ndarray:
        if self.X.dtype.kind in "Mm":
            return self.X[:, column].astype(unit)
        return _instants(self.X[:, column].tolist(), unit, self.label(column))


def _matrix(X: Any) -> np.ndarray:
    if isinstance(X, np.ma.MaskedArray):
        mask, X = np.ma.getmaskarray(X), X.data.astype(object)
        X[mask] = None
    try:
        array = np.asarray(X)
    except ValueError:  # rows of different lengths
        raise ValueError(
            "X has rows of different lengths: give every sample the same features."
        ) from None
    if array.dtype.kind in "USO" and not isinstance(X, np.ndarray):
        array = np.array(X, dtype=object)  # numbers beside words stay numbers
    if array.ndim != 2:
        what = "None" if X is None else f"{array.ndim}D array"
        raise ValueError(
            f"Expected 2D array, got {what} instead, of shape {array.shape}. Reshape your data to "
            "one row a sample: X.reshape(-1, 1) for one feature, X.reshape(1, -1) for one sample."
        )
    if array.dtype.kind not in "biufOUSMm":
        what = "Complex data" if array.dtype.kind == "c" else "Such data"
        raise ValueError(f"{what} not supported: X has dtype {array.dtype}.")
    return array


def _names(names: Sequence[Any]) -> np.ndarray | None:
    """Return names as scikit-learn has them: if all are strings, and never of mixed types."""
    types = sorted({type(name).__qualname__ for name in names})
    if len(types) > 1 and "str" in types:
        raise TypeError(
            "Feature names are only supported if all input features have string names, but your "
            f"input has {types} as feature name / column name types: X.columns = "
            "X.columns.astype(str) makes them all strings."
        )
    return np.asarray(names, dtype=object) if types == ["str"] else None


def _is_plain(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind in "iufb"


def is_missing(value: Any) -> bool:
    """Tell whether a value of a column of objects is missing: None, NaN, pd.NA, NaT."""
    if type(value).__name__ in _MISSING:
        return True
    return isinstance(value, (*_NUMBERS, *_DATES, *_DURATIONS)) and bool(value != value)


def _kind_of_objects(values: list[Any]) -> Kind:
    """Tell what a column of objects holds: one kind of values, or else categories."""
    types = {kind for kind in map(type, values) if kind.__name__ not in _MISSING}
    for kind, members in (("date", _DATES), ("duration", _DURATIONS), ("number", _NUMBERS)):
        if all(issubclass(one, members) for one in types):
            return "category" if all(map(is_missing, values)) else kind  # type: ignore[return-value]
    is_period = all(hasattr(one, "to_timestamp") for one in types)
    return "date" if is_period else "category"


def _values(values: list[Any], label: str) -> Values:
    seen: dict[Any, int] = {}
    try:
        positions = [seen.setdefault(value, len(seen)) for value in values]
    except TypeError as error:
        raise ValueError(
            f"{label} holds values that are neither numbers nor categories ({error}): give each a "
            "column of its own."
        ) from None
    return _tidy(list(seen), np.asarray(positions, dtype=np.int64))


def _tidy(distinct: list[Any], positions: np.ndarray) -> Values:
    """Make NumPy's scalars Python's, and what is missing position -1."""
    plain = [value.item() if isinstance(value, np.generic) else value for value in distinct]
    missing = [is_missing(value) for value in plain]
    if any(missing):
        positions = np.append(np.where(missing, -1, np.arange(len(plain))), -1)[positions]
    return Values(plain, positions)


def _floats(values: Values, label: str) -> np.ndarray:
    """Return numbers among objects as float64, and refuse what is no number by name."""
    floats = np.full(len(values.distinct) + 1, np.nan)
    for k, value in enumerate(values.distinct):
        if is_missing(value):
            continue
        if not isinstance(value, _NUMBERS):
            raise ValueError(
                f"{label} contains {value!r}, but it is a column of numbers: make it one, or name "
                "it in categorical_features in fit."
            )
        try:
            floats[k] = float(value)
        except OverflowError:
            floats[k] = math.inf
    return floats[values.positions]


def _instants(values: list[Any], unit: str, label: str) -> np.ndarray:
    """Return objects as dates on the clock, or as durations (a time of day: since midnight)."""
    of_kind = _DATES if unit.startswith("M") else _DURATIONS
    found = np.full(len(values), "NaT", dtype=unit)
    for k, value in enumerate(values):
        if is_missing(value):
            continue
        if hasattr(value, "to_timestamp"):  # a period
            value = value.to_timestamp()
        if not isinstance(value, of_kind):
            what = "date" if unit.startswith("M") else "duration"
            raise ValueError(f"{label} contains {value!r}, which is no {what}.")
        if isinstance(value, datetime.datetime):
            value = value.replace(tzinfo=None)
        elif isinstance(value, datetime.time):
            value = datetime.datetime.combine(_DAY, value, None) - _DAY
        found[k] = value
    return found
