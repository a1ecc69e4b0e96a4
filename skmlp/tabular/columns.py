"""A frame becomes numbers and codes, by a schema that is learned once and holds no row.

The law: a level is a value, whatever the frame that holds it; a level never seen in fit is missing;
and a frame that is not the one of fit is refused by the names of its columns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np

from ..training.warn import warn
from .frames import Frame, Kind, Values, frame_of, is_missing

Dates = Literal["refuse", "parts"]


class Table(NamedTuple):
    """What a frame holds.

    Attributes
    ----------
    numbers : ndarray of shape (n, n_numbers)
        float64, NaN where missing.
    codes : ndarray of shape (n, n_categories)
        int32; 0 is missing or unknown, levels are 1, 2, … by falling frequency.
    """

    numbers: np.ndarray
    codes: np.ndarray

    def rows(self, rows: Any) -> Table:
        """Return some rows, as an array would be indexed."""
        return Table(self.numbers[rows], self.codes[rows])


@dataclass(frozen=True, eq=False)
class Columns:
    """The schema of a table.

    Attributes
    ----------
    names : ndarray of shape (n_features_in_,) or None
        Names of the columns, as in `feature_names_in_`; None where there are none.
    kinds : tuple of str
        What each column of the frame is: "number", "category", "date" or "duration".
    vocabularies : tuple of dict
        The code of each level, for each category.
    """

    names: np.ndarray | None
    kinds: tuple[Kind, ...]
    vocabularies: tuple[dict[Any, int], ...]

    @property
    def n_features_in_(self) -> int:
        """The number of columns of the frame."""
        return len(self.kinds)

    @property
    def levels(self) -> tuple[int, ...]:
        """The number of levels of each category."""
        return tuple(map(len, self.vocabularies))

    @classmethod
    def of(
        cls,
        X: Any,
        categorical_features: Any = "from_dtype",
        dates: Dates = "refuse",
        weights: np.ndarray | None = None,
    ) -> tuple[Columns, Table]:
        """Learn the schema of a frame, from the rows of positive weight, and read it.

        Parameters
        ----------
        X : frame or array-like of shape (n, n_features)
            pandas, polars, an array, or lists.
        categorical_features : "from_dtype", array-like or None, default="from_dtype"
            Which columns are categories: those whose type is no number (text, categorical, objects
            that are not all numbers); or names, indices, or a mask; or None.
        dates : {"refuse", "parts"}, default="refuse"
            What becomes of dates: a sentence, or year, month, weekday and days since 1970 (a
            duration is a number of days).
        weights : ndarray of shape (n,), default=None
            Weights of rows; one of weight 0 is no row.
        """
        if dates not in ("refuse", "parts"):
            raise ValueError(f'dates must be "refuse" or "parts", got {dates!r}.')
        frame = frame_of(X)
        rows: Any = slice(None) if weights is None else np.flatnonzero(weights)
        asked = _asked(categorical_features, frame)
        kinds = tuple(_kind(frame, j, rows, asked) for j in range(frame.shape[1]))
        for j, kind in enumerate(kinds):
            if kind in ("date", "duration") and dates == "refuse":
                raise _date_error(frame.label(j), kind)
        values = {j: frame.values(j) for j, kind in enumerate(kinds) if kind == "category"}
        vocabularies = tuple(_vocabulary(one, rows) for one in values.values())
        columns = cls(frame.names, kinds, vocabularies)
        return columns, columns._table(frame, values)

    def read(self, X: Any, *, name: str = "Columns") -> Table:
        """Read a frame of the same columns; `name` says in errors who expects them."""
        frame = frame_of(X)
        self._check(frame, name)
        values = {j: frame.values(j) for j, kind in enumerate(self.kinds) if kind == "category"}
        for j, kind in enumerate(self.kinds):
            if kind != "category":
                _check_kind(kind, frame, j)
        return self._table(frame, values)

    def _table(self, frame: Frame, values: dict[int, Values]) -> Table:
        codes = np.empty((frame.shape[0], len(values)), dtype=np.int32)
        for k, (j, vocabulary) in enumerate(zip(values, self.vocabularies, strict=True)):
            _check_values(values[j], vocabulary, frame.label(j))
            code = [vocabulary.get(value, 0) for value in values[j].distinct]
            codes[:, k] = np.asarray([*code, 0], dtype=np.int32)[values[j].positions]
        plain = [j for j, kind in enumerate(self.kinds) if kind == "number"]
        numbers = frame.numbers(plain)
        _check_finite(numbers, plain, frame)
        if "date" in self.kinds or "duration" in self.kinds:
            numbers = self._with_dates(frame, numbers)
        return Table(numbers, codes)

    def _with_dates(self, frame: Frame, numbers: np.ndarray) -> np.ndarray:
        parts, plain = [], iter(numbers.T)
        for j, kind in enumerate(self.kinds):
            if kind == "date":
                parts += _parts(frame.dates(j, "M8[us]"))
            elif kind == "duration":
                parts.append(frame.dates(j, "m8[us]") / np.timedelta64(1, "D"))
            elif kind == "number":
                parts.append(next(plain))
        return np.stack(parts, axis=1)

    def _check(self, frame: Frame, name: str) -> None:
        if self.names is not None and frame.names is not None:
            _check_names(list(self.names), list(frame.names))
        elif self.names is not None:
            warn(
                f"X does not have valid feature names, but {name} was fitted with feature names",
                UserWarning,
            )
        elif frame.names is not None:
            warn(f"X has feature names, but {name} was fitted without feature names", UserWarning)
        if frame.shape[1] != len(self.kinds):
            raise ValueError(
                f"X has {frame.shape[1]} features, but {name} is expecting {len(self.kinds)} "
                "features as input."
            )


def _asked(categorical_features: Any, frame: Frame) -> np.ndarray | None:
    """Return a mask of the columns that are categories, or None where their types say so."""
    if isinstance(categorical_features, str):
        if categorical_features == "from_dtype":
            return None
        raise ValueError(
            'categorical_features must be "from_dtype", None, or names, indices or a mask of '
            f"columns, got {categorical_features!r}."
        )
    mask = np.zeros(frame.shape[1], dtype=bool)
    asked = [] if categorical_features is None else list(categorical_features)
    asked = [one.item() if isinstance(one, np.generic) else one for one in asked]
    if any(isinstance(one, bool) for one in asked):
        if len(asked) != len(mask) or not all(isinstance(one, bool) for one in asked):
            raise ValueError(
                f"categorical_features is a mask of {len(asked)} values, but X has {len(mask)} "
                "features: give one value a feature."
            )
        return np.asarray(asked)
    known: dict[Any, list[int]] = {}
    for j, one in enumerate([] if frame.names is None else frame.names):
        known.setdefault(one, []).append(j)
    for one in asked:
        if isinstance(one, int) and 0 <= one < len(mask):
            mask[one] = True
        elif one in known:
            mask[known[one]] = True
        else:
            have = "has no names" if frame.names is None else f"has {list(frame.names)}"
            raise ValueError(
                f"categorical_features names {one!r}, which is no column of X: X {have} and "
                f"{len(mask)} features."
            )
    return mask


def _kind(frame: Frame, j: int, rows: Any, asked: np.ndarray | None) -> Kind:
    if asked is not None and asked[j]:
        return "category"
    kind = frame.kind(j, rows)
    # What is no category is a number, or will be refused by its first value.
    return "number" if asked is not None and kind == "category" else kind


def _vocabulary(values: Values, rows: Any) -> dict[Any, int]:
    """Return the code of each level that occurs: by falling frequency, then in sorted order."""
    positions = values.positions[rows]
    counts = np.bincount(positions[positions >= 0], minlength=len(values.distinct))
    frequency: Counter[Any] = Counter()
    for value, count in zip(values.distinct, counts.tolist(), strict=True):
        if count:
            frequency[value] += count
    ordered = sorted(frequency, key=lambda value: (-frequency[value], *_place(value)))
    return {value: code for code, value in enumerate(ordered, start=1)}


def _place(value: Any) -> tuple[str, float, str]:
    """Return a level's place among levels of any types: numbers by size, others by their text."""
    family = _family(value)
    return (family, 0.0, str(value)) if family else (family, float(value), "")


def _family(value: Any) -> str:
    return "" if isinstance(value, Real) else type(value).__name__


def _check_kind(kind: Kind, frame: Frame, j: int) -> None:
    """Refuse dates where there were none in fit, and the reverse; what is all missing may be both.

    Text among numbers is refused by its value, when it is read.
    """
    now = frame.kind(j, slice(None))
    if now == kind or (kind == "number" and now == "category"):
        return
    if now != "category" or np.any(frame.values(j).positions >= 0):
        what = "values" if now == "category" else f"{now}s"
        raise ValueError(f"{frame.label(j)} holds {what}, but held {kind}s in fit: convert it.")


def _check_values(values: Values, vocabulary: dict[Any, int], label: str) -> None:
    """Refuse a type that no level had in fit, such as 3 for "3": it would be silently unknown."""
    unknown = [value for value in values.distinct if value not in vocabulary]
    known = set(map(_family, vocabulary)) if unknown else set()
    for value in unknown if vocabulary else ():
        if _family(value) not in known and not is_missing(value):
            raise ValueError(
                f"{label} contains {value!r}, but held values of another type in fit, such as "
                f"{next(iter(vocabulary))!r}: convert it."
            )


def _check_finite(numbers: np.ndarray, columns: list[int], frame: Frame) -> None:
    are_infinite = np.isinf(numbers)
    if np.any(are_infinite):
        k, row = np.argwhere(are_infinite.T)[0]
        raise ValueError(
            f"{frame.label(columns[k])} contains infinity ({numbers[row, k]}) in row {row}: make "
            "it missing (NaN) or a number."
        )


def _check_names(expected: list[str], found: list[str]) -> None:
    """Refuse other names or another order, in scikit-learn's words."""
    if expected == found:
        return
    message = "The feature names should match those that were passed during fit.\n"
    unexpected = sorted(set(found) - set(expected))
    missing = sorted(set(expected) - set(found))
    for names, what in (
        (unexpected, "unseen at fit time"),
        (missing, "seen at fit time, yet now missing"),
    ):
        if names:
            listed = "".join(f"- {name}\n" for name in names[:5]) + "- ...\n" * (len(names) > 5)
            message += f"Feature names {what}:\n{listed}"
    if not unexpected and not missing:
        message += "Feature names must be in the same order as they were in fit.\n"
    raise ValueError(message)


def _date_error(label: str, kind: str) -> ValueError:
    parts = "year, month, weekday and elapsed days" if kind == "date" else "length in days"
    return ValueError(
        f'{label} holds {kind}s, which are no numbers: give their {parts}, or set dates="parts".'
    )


def _parts(dates: np.ndarray) -> list[np.ndarray]:
    """Return year, month, weekday (Monday is 0) and days since 1970, NaN where missing."""
    missing = np.isnat(dates)
    days = dates.astype("M8[D]").astype(np.int64)
    months = dates.astype("M8[M]").astype(np.int64)
    elapsed = (dates - np.datetime64(0, "us")) / np.timedelta64(1, "D")
    parts = [1970 + months // 12, 1 + months % 12, (days + 3) % 7, elapsed]
    return [np.where(missing, np.nan, part) for part in parts]
