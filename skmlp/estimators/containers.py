"""Containers: what people feed, read into plain arrays.

The law: the same values are read the same whatever they came in: lists, arrays of any dtype, masked
arrays, sparse matrices, data frames and columns of pandas, polars, Arrow and their like. What comes
out is numbers, or labels of one type; what is neither is refused in one sentence with its place,
its value and the cure. A number may be text, as Python, C and JSON write it ("-1.5e3", spaces
around it); words, dates, spans of time and complex numbers are no numbers, and nothing missing or
masked is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from math import isnan
from numbers import Complex, Integral, Real
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from ..engine.words import shown

FLOATS = (np.float64, np.float32)
_IN_TEXT = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.ASCII | re.IGNORECASE)
_LISTED = 3  # columns that are named where many are wrong
_SENTENCES = {
    "word": "{name} contains {value} in {place}, which is not a number{cure}.",
    "date": "{name} has dates or times, {value} in {place}: derive numbers from them, such as "
    "year, month and weekday, or of timestamps the seconds since the first, {seconds}.",
    "span": "{name} has spans of time, {value} in {place}: make numbers of them, such as their "
    "seconds, {seconds}.",
    "missing": "Input {name} contains NaN ({value}) in {place}{cure}.",
    "masked": "{name} is masked in {place}: fill it, as with {name}.filled(0), or leave that row "
    "out.",
    "complex": "Complex data not supported: {name} contains {value} in {place}.",
    "large": "{name} contains {value} in {place}, too large for float64.",
    "thing": "{name} contains {value} in {place}: each value of this argument must be a number, or "
    "a string that is a number, not of type {type}.",
}
_FURTHER = {
    ("word", "X"): ": encode words first, as sklearn.preprocessing.OneHotEncoder does",
    ("word", "y"): ": MLPClassifier learns words",
    ("missing", "X"): ": sklearn.impute.SimpleImputer fills it",
}
_NO_LABELS = ("missing", "masked", "date", "span", "complex")


def place(row: int, column: Any = None) -> str:
    """Say where something is."""
    return f"row {row}" if column is None else f"row {row}, column {shown(column)}"


class Problem(NamedTuple):
    """A value that is no number: what it is instead (a key of the sentences), and where."""

    what: str
    row: int
    value: Any

    def error(self, name: str, column: Any = None, *, has_dt: bool = False) -> Exception:
        """Return an error that says so of an argument."""
        they = name if column is None else "column"
        whole = f"({they} - {they}.min())" if self.what == "date" else they
        sentence = _SENTENCES[self.what].format(
            name=name,
            value=self._value,
            place=place(self.row, column),
            type=type(self.value).__name__,
            cure=_FURTHER.get((self.what, name), ""),
            seconds=whole + (".dt.total_seconds()" if has_dt else " / np.timedelta64(1, 's')"),
        )
        return (TypeError if self.what == "thing" else ValueError)(sentence)

    @property
    def _value(self) -> str:
        """The value in words."""
        if self.what not in ("date", "span"):
            return shown(self.value)
        value = self.value
        if isinstance(value, (np.datetime64, np.timedelta64)) and not np.isnat(value):
            value = value.astype(f"{value.dtype.kind}8[us]").item()  # NumPy's spans are in one unit
        return str(value)


# == containers ====================================================================================


def is_table(values: Any) -> bool:
    """Tell whether something is a data frame: of pandas, of polars or narwhals, or of Arrow."""
    return any(hasattr(values, name) for name in ("iterrows", "iter_columns", "itercolumns"))


def columns_of(values: Any) -> list[tuple[Any, Any]]:
    """Return the names and the columns of a data frame."""
    if hasattr(values, "iter_columns"):  # polars and narwhals
        return [(column.name, column) for column in values.iter_columns()]
    if hasattr(values, "itercolumns"):  # Arrow
        return list(zip(values.column_names, values.itercolumns(), strict=True))
    return list(values.items())


def with_names(values: Any) -> Any:
    """Return something whose names scikit-learn reads: of an Arrow RecordBatch an empty Table."""
    is_batch = type(values).__name__ == "RecordBatch" and hasattr(values, "schema")
    return values.schema.empty_table() if is_batch else values


def name_of_column(values: Any, column: int) -> Any:
    """Return the name of a data frame's column; of an array's its number."""
    names = getattr(values, "column_names", None)
    names = getattr(values, "columns", None) if names is None else names
    return column if names is None else list(names)[column]


def array_of(values: Any, name: str) -> np.ndarray:
    """Return anything but a data frame or a sparse matrix as an array; nothing in it is masked."""
    _refuse_masked(values, name)
    try:
        with np.errstate(all="ignore"):  # NumPy makes text of [nan, "a"]
            array = np.asarray(values)
        if array.dtype.kind in "US" and not hasattr(values, "dtype"):
            array = np.asarray(values, dtype=object)  # [1, "a"] is not ["1", "a"]
    except TypeError:  # numbers beside spans of time
        array = np.asarray(values, dtype=object)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(_uneven(values, name)) from None
    if array.dtype.kind == "V":
        raise ValueError(
            f"{name} is an array of records with fields {', '.join(array.dtype.names or ())}: make "
            "columns of them, as numpy.lib.recfunctions.structured_to_unstructured does."
        )
    _refuse_complex(array, name)
    return array.astype(object) if array.dtype.kind == "T" else array


def _entries_of(values: Any, name: str) -> np.ndarray:
    """Return an array that has an entry, or a row of them, for each sample."""
    array = array_of(values, name)
    if not array.ndim:
        raise ValueError(
            f"{name} is {shown(values)}, but it must have an entry or a row of entries a sample."
        )
    return array


def _refuse_complex(array: Any, name: str) -> None:
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}.")


def _refuse_masked(values: Any, name: str) -> None:
    """Refuse a masked array, or a list that has some, where an entry is masked."""
    parts: list[tuple[tuple[int, ...], Any]] = []
    if isinstance(values, np.ma.MaskedArray):
        parts = [((), values)]
    elif isinstance(values, (list, tuple)):
        parts = [((i,), x) for i, x in enumerate(values) if isinstance(x, np.ma.MaskedArray)]
    for start, part in parts:
        if np.ma.is_masked(part):
            at = np.argwhere(np.ma.getmaskarray(part))[0]
            row, *column = *start, *map(int, at)
            raise Problem("masked", row, None).error(name, *column[:1])


def _uneven(values: Any, name: str) -> str:
    """Say which rows are of different lengths."""
    lengths = [len(row) if hasattr(row, "__len__") else 1 for row in values]
    odd = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
    if odd is None:
        return f"{name} has rows of different shapes: give every sample the same."
    return (
        f"{name} has rows of different lengths: row 0 has {lengths[0]}, row {odd} has "
        f"{lengths[odd]}; give every sample as many values."
    )


# == numbers =======================================================================================


def read_matrix(X: Any) -> Any:
    """Return inputs as a matrix of numbers, an array or sparse; what is one already as it is."""
    if is_table(X):
        return _matrix_of_table(X)
    array = X if issparse(X) else array_of(X, "X")
    _refuse_complex(array, "X")
    if array.dtype == object and not array.ndim:
        what = "None" if X is None else f"a {type(X).__name__}"
        lazy = " (X.collect() of what is lazy)" if hasattr(X, "collect") else ""
        raise ValueError(f"Expected 2D array, got {what} instead: give rows of numbers{lazy}.")
    if array.ndim != 2:
        one = "X.to_frame()" if hasattr(X, "to_frame") else "X.reshape(-1, 1)"
        raise ValueError(
            f"Expected 2D array, got {array.ndim}D array instead, of shape {array.shape}. Reshape "
            f"your data to one row a sample: {one} for one feature, X.reshape(1, -1) for one "
            "sample."
        )
    return array if array.dtype.kind in "biuf" else _stacked(enumerate(array.T), len(array), "X")


def _matrix_of_table(X: Any) -> Any:
    dtypes = list(getattr(X, "dtypes", ()))
    if dtypes and all(map(_is_of_numbers, dtypes)):
        return X if hasattr(X, "iterrows") else np.asarray(X)
    if dtypes and all(getattr(dtype, "fill_value", None) == 0 for dtype in dtypes):
        return X.sparse.to_coo()
    return _stacked(columns_of(X), len(X), "X")


def _is_of_numbers(dtype: Any) -> bool:
    """Tell whether a column of that type is plain numbers, so that all can be read in one go."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biuf"
    return hasattr(dtype, "is_numeric") and dtype.is_numeric() and not dtype.is_decimal()


def read_numbers(values: Any, name: str) -> np.ndarray:
    """Return numbers, of one or more dimensions, as an array of them."""
    if issparse(values):
        raise ValueError(
            f"{name} is sparse, and is read as dense numbers alone: give {name}.toarray()."
        )
    if is_table(values):
        return _stacked(columns_of(values), len(values), name)
    array = _entries_of(values, name)
    if array.dtype.kind in "biuf":
        return array
    if array.ndim == 1:
        return _stacked([(None, values)], len(array), name)[:, 0]
    flat = array.reshape(len(array), -1)
    return _stacked(enumerate(flat.T), len(array), name).reshape(array.shape)


def _stacked(columns: Iterable[tuple[Any, Any]], n_rows: int, name: str) -> np.ndarray:
    """Read columns, and stack them."""
    named = [(label, _read(array_of(column, name)), column) for label, column in columns]
    problems = [(label, found, at) for label, found, at in named if isinstance(found, Problem)]
    words = [(label, found) for label, found, _ in problems if found.what == "word"]
    if len(words) == len(problems) and len(words) > (name != "X"):
        raise ValueError(_not_numbers(words, name))
    for label, found, column in sorted(problems, key=lambda problem: problem[1].what == "word"):
        raise found.error(name, label, has_dt=hasattr(column, "dt"))
    arrays = [array for _, array, _ in named]
    dtype = np.result_type(*arrays) if arrays else np.dtype(np.float64)
    stacked = np.empty((n_rows, len(arrays)), dtype if dtype in FLOATS else np.float64)
    for i, array in enumerate(arrays):
        stacked[:, i] = array
    return stacked


def _not_numbers(words: Sequence[tuple[Any, Problem]], name: str) -> str:
    """Say which columns are made of words."""
    listed = [
        f"column {shown(label, 30)} ({shown(found.value, 30)} in row {found.row})"
        for label, found in words[:_LISTED]
    ]
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return (
        f"{name} is not made of numbers in {', '.join(listed)}{more}: leave such columns out, or "
        "encode them, as OneHotEncoder in a ColumnTransformer does."
    )


def _read(array: np.ndarray) -> np.ndarray | Problem:
    """Return one column as numbers, or its first value that is none."""
    if array.ndim > 1:
        return Problem("thing", 0, array[0])
    kind = array.dtype.kind
    if kind in "biuf" or not array.size:
        return array if kind in "biuf" else array.astype(np.float64)
    if kind in "mM":
        return Problem("date" if kind == "M" else "span", 0, array.flat[0])
    items = array.tolist()
    if set(map(type, items)) <= {float, int, bool}:
        try:
            return np.array(items, np.float64)
        except OverflowError:
            pass  # found below
    numbers = np.empty(len(items))
    for row, value in enumerate(items):
        number = _number(value)
        if isinstance(number, str):
            return Problem(number, row, value)
        numbers[row] = number
    return numbers


def _number(value: Any) -> float | str:
    """Return a value as a number, or what it is instead."""
    if isinstance(value, (str, bytes)):
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        return float(text) if _IN_TEXT.fullmatch(text) else "word"
    what = _kind_of(value)
    if what != "number":
        return what
    try:
        return float(value)
    except OverflowError:
        return "large"


def _kind_of(value: Any) -> str:
    """Say what a value that is no text is."""
    if isinstance(value, bytes):
        return "thing"
    if isinstance(value, (timedelta, np.timedelta64)):
        return "span"
    if isinstance(value, (date, time, np.datetime64)) or hasattr(value, "to_timestamp"):
        return "missing" if type(value).__name__ == "NaTType" else "date"
    if isinstance(value, (float, np.floating)):
        return "missing" if isnan(value) else "number"
    if isinstance(value, (Real, Decimal, np.bool_)):
        return "number"
    if value is None or type(value).__name__ == "NAType":
        return "missing"
    if value is np.ma.masked:
        return "masked"
    if isinstance(value, Complex):
        return "complex"
    return "number" if hasattr(value, "__float__") and np.ndim(value) == 0 else "thing"


# == labels ========================================================================================


def read_labels(values: Any, name: str) -> Any:
    """Return labels as an array of one type: truth values, whole numbers, floats or strings.

    A sparse matrix of labels stays one, in CSR format.
    """
    if issparse(values):
        if values.ndim == 1 or values.shape[1] == 1:
            raise ValueError(
                f"{name} is sparse with {values.ndim} dimension{'s' * (values.ndim > 1)} and one "
                f"column, and only a matrix of 0/1 labels may be: give {name}.toarray().ravel()."
            )
        return values.tocsr()
    if not is_table(values):
        return _of_one_type(values, name)
    read = [_of_one_type(column, name, label) for label, column in columns_of(values)]
    stacked = np.column_stack(read) if read else np.empty((len(values), 0))
    return _of_one_type(stacked, name) if stacked.dtype == object else stacked


def _of_one_type(values: Any, name: str, label: Any = None) -> np.ndarray:
    """Return labels of one type, or say which are none; `label` names the one column."""
    array = _entries_of(values, name)
    if array.dtype.kind in "biufU" or not array.size:
        return array
    columns = array.shape[1] if array.ndim == 2 else None

    def at(i: int) -> tuple[int, Any]:
        return (i, label) if columns is None else divmod(i, columns)

    items = array.ravel().tolist() if array.dtype.kind == "O" else [array.flat[0]]
    if set(map(type, items)) == {str}:
        return array
    kinds = ["text" if isinstance(value, str) else _kind_of(value) for value in items]
    odd = _odd_one(kinds)
    if odd is None:
        return array if kinds[0] == "text" else _of_numbers(items, name, at).reshape(array.shape)
    row, column = at(odd)
    if kinds[odd] in _NO_LABELS:
        problem = Problem(kinds[odd], row, items[odd])
        raise problem.error(name, column, has_dt=hasattr(values, "dt"))
    beside = "" if kinds[odd] == "thing" else f" beside {shown(items[0])} in {place(*at(0))}"
    codes = ", such as y.cat.codes" if hasattr(values, "cat") else ""
    raise ValueError(
        f"Unknown label type: unknown: {name} has {shown(items[odd])} in {place(row, column)}"
        f"{beside}; make all labels strings, or all of them whole numbers or truth values{codes}."
    )


def _odd_one(kinds: Sequence[str]) -> int | None:
    """Return the first of the labels that is none, or that is of another type than the first."""
    for what in (*_NO_LABELS, "thing"):
        if what in kinds:
            return kinds.index(what)
    return next((i for i, what in enumerate(kinds) if what != kinds[0]), None)


def _of_numbers(items: Sequence[Any], name: str, at: Any) -> np.ndarray:
    """Return labels that are numbers as an array of truth values, whole numbers or floats."""
    are_true = all(isinstance(value, (bool, np.bool_)) for value in items)
    are_whole = all(isinstance(value, (Integral, np.bool_)) for value in items)
    dtype = np.dtype(bool if are_true else np.int64 if are_whole else np.float64)
    numbers = np.empty(len(items), dtype)
    for i, value in enumerate(items):
        try:
            numbers[i] = value
        except OverflowError:
            raise ValueError(
                f"{name} has {shown(value)} in {place(*at(i))}, too large for {dtype}: make all "
                "labels strings."
            ) from None
    return numbers


def declared_order(values: Any) -> list[Any] | None:
    """Return the levels that a column declares in their order, or None.

    Such are ordered Categoricals of pandas, Enums of polars and narwhals, ordered dictionaries of
    Arrow; and data frames of one such column.
    """
    if is_table(values):
        columns = columns_of(values)
        return declared_order(columns[0][1]) if len(columns) == 1 else None
    dtype = getattr(values, "dtype", getattr(values, "type", None))
    levels = getattr(dtype, "categories", None)
    if type(dtype).__name__ != "Enum":
        if not getattr(dtype, "ordered", False):
            return None
        if levels is None:  # Arrow
            chunks = getattr(values, "chunks", [values])
            levels = chunks[0].dictionary if chunks else []
    return np.asarray(levels).tolist()
