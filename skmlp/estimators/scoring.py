"""Scoring: the rows that a network in training is scored on, and what it is worth on them.

The law: a score is a number of which more is better; a weight counts in it as in the loss. Nothing
here draws a random number but the split, so scoring a fit never changes it.
"""

from __future__ import annotations

import inspect
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.metrics import get_scorer, get_scorer_names, r2_score
from sklearn.model_selection import train_test_split

from ..engine.values import name_of, told
from ..engine.words import shown
from ..heads import Head
from .data import Data, FileData, evenly_spaced
from .names import question

_UNDEFINED = re.compile("(Only one|No positive) class", re.IGNORECASE)  # as scikit-learn warns
SCORED_ROWS = 10_000  # of the training rows at most, evenly spaced, as HistGradientBoosting's


class Sample(NamedTuple):
    """Rows to score.

    Attributes
    ----------
    X : ndarray or CSR matrix of shape (n, inputs)
        Inputs.
    Y : ndarray of shape (n, n_targets)
        Encoded targets.
    y : ndarray or CSR matrix of shape (n,) or (n, n_outputs)
        Targets as they were given.
    weights : ndarray of shape (n,) or None
        Weights.
    """

    X: Any
    Y: np.ndarray
    y: Any
    weights: np.ndarray | None


def sample_of(data: Data, rows: np.ndarray, most: int | None = None) -> Sample:
    """Pick rows to score."""
    rows = rows if most is None else evenly_spaced(rows, most)
    weights = data.normalized_weights(rows)[0]
    return Sample(
        data.X[rows], data.Y[rows], data.y[rows], None if weights is None else weights[rows]
    )


@dataclass(frozen=True)
class FileSample:
    """Rows of a file to score, so many at a time.

    Attributes
    ----------
    data : FileData
        The file.
    rows : Blocks
        Its rows that are scored.
    weights : Computed or None
        Weights, of mean 1 over these.
    score : callable or None
        What the score is, of raw outputs, targets and weights that come part by part; None for
        minus the mean loss.
    """

    data: FileData
    rows: Any
    weights: Any
    score: Callable[[Any], float] | None

    def parts(self) -> Iterator[Sample]:
        """Yield a part of the rows after another."""
        data, weights = self.data, self.weights
        for part in data.parts(self.rows):
            some = np.asarray(part)
            of_part = None if weights is None else weights[some]
            yield Sample(data.X[some], data.Y[some], data.y[some], of_part)

    def scores(self, head: Head, outputs: Callable[[Any], np.ndarray]) -> dict[str, float]:
        """Score a network as it stands."""
        total = weight = 0.0

        def answered() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
            nonlocal total, weight
            for sample in self.parts():
                raw, weights = outputs(sample.X), sample.weights
                of_part = len(raw) if weights is None else float(np.sum(weights))
                total += of_part * mean_loss(head, raw, sample.Y, weights)
                weight += of_part
                yield raw, sample.Y, weights

        if self.score is not None:
            score = self.score(answered())
            return {"validation_loss": total / weight, "validation_score": score}
        for _ in answered():
            pass
        return {"validation_loss": total / weight, "validation_score": -total / weight}


def to_validate(data: Data, rows: Any, scoring: Any, target: Any) -> Sample | FileSample:
    """Pick the rows to validate on; of a file some, evenly spaced, where a scorer wants arrays."""
    if not isinstance(data, FileData):
        return sample_of(data, rows)
    if callable(scoring):
        return sample_of(data, rows, SCORED_ROWS)
    score = None if scoring == "loss" else target.score_in_parts
    return FileSample(data, rows, data.normalized_weights(rows)[0], score)


class NotFiniteError(ValueError):
    """An answer that a fitted network does not give, since it is no finite number."""


# == scores ========================================================================================

Score = Callable[[np.ndarray, Sample], float]  # of raw outputs for the rows of a sample


def mean_loss(head: Head, raw: np.ndarray, Y: np.ndarray, weights: np.ndarray | None) -> float:
    """Return the weighted mean of a head's loss: the objective without its penalty."""
    with np.errstate(all="ignore"):
        return float(np.average(head.loss(raw, Y), weights=weights))


def r2(Y: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None) -> float:
    """Return R2 as scikit-learn computes it, in a unit of the target in which no square overflows.

    The unit is a power of two, so that for ordinary numbers no bit is another.
    """
    largest = float(np.max(np.abs(Y), initial=0.0))
    unit = np.ldexp(1.0, -int(np.clip(np.frexp(largest)[1], -1000, 1000)))
    with np.errstate(all="ignore"):
        return float(r2_score(Y * unit, predicted * unit, sample_weight=weights))


def find_scorer(scoring: Any, name: str = "scoring", columns: Sequence[str] = ("loss",)) -> Any:
    """Return the scorer that a name or a callable stands for."""
    if not isinstance(scoring, str) or scoring == "loss":
        return scoring
    names = (*columns, *get_scorer_names())
    if scoring not in names:
        asked = question("scoring", scoring, names)
        raise ValueError(
            f"{name}={shown(scoring)} is no scorer: give {', '.join(map(repr, columns))}, a name "
            "in sklearn.metrics.get_scorer_names() or a function of (estimator, X, y)"
            f"{'; ' + asked if asked else '.'}"
        )
    return get_scorer(scoring)


def scored_by(scorer: Callable[..., Any], estimator: Any, classes: Any) -> Score:
    """Make a score of a scorer and of the estimator that it is to look at.

    A scorer of scikit-learn's that fails on rows which lack some of the classes is told all.
    """
    takes_weights = _takes_weights(scorer)

    def score(raw: np.ndarray, sample: Sample) -> float:  # noqa: ARG001, it looks for itself
        weights = sample.weights if takes_weights else None
        options: dict[str, Any] = {} if weights is None else {"sample_weight": weights}
        try:
            return one_score(scorer, estimator, sample.X, sample.y, **options)
        except NotFiniteError:
            return math.nan
        except ValueError:
            if classes is None or not hasattr(scorer, "set_score_request"):
                raise
            with suppress(Exception), config_context(enable_metadata_routing=True):
                options["labels"] = classes
                return one_score(scorer, estimator, sample.X, sample.y, **options)
            raise

    return score


def one_score(
    scorer: Callable[..., Any],
    estimator: Any,
    X: Any,
    y: Any,
    *,
    name: str = "scoring",
    **options: Any,
) -> float:
    """Return the one number that a scorer finds, or say what is wrong with it."""
    needed, called = f"{name} must return one number", f"{name_of(scorer)}(estimator, X, y)"
    try:
        found = scorer(estimator, X, y, **options)
    except (NotFiniteError, Warning):  # of the network, or made errors by the user
        raise
    except Exception as error:
        raise ValueError(f"{needed}, but {called} {told(error)}.") from error
    number = found if isinstance(found, Real) else np.asarray(found)
    if isinstance(number, np.ndarray) and (number.ndim or number.dtype.kind not in "biuf"):
        raise ValueError(f"{needed}, got {shown(found)} of {called}.")
    return float(number)


def check_enough(n_rows: int, scoring: Any, target: Any) -> None:
    """Refuse rows to validate on that are too few for the score."""
    least = 2 if scoring is None and target.kind == "numbers" else 1
    if n_rows < least:
        raise ValueError(
            f"The validation data have {n_rows} rows that count, but the score takes {least}: give "
            "more of them."
        )


def check_scores(score: Score, training: Any, validation: Any, target: Any, scoring: Any) -> None:
    """Refuse a score that cannot be computed on rows which lack a class, before any work."""
    for where, sample in (("validation rows", validation), ("training rows", training)):
        if isinstance(sample, Sample):
            _check_score(score, sample, where, target.lack(sample.Y), scoring)


def _check_score(score: Score, sample: Sample, where: str, lack: str, scoring: Any) -> None:
    if not lack:
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cause: BaseException | None = None
        try:
            problems = ["it is NaN"] if math.isnan(score(sample.Y, sample)) else []
        except ValueError as error:
            cause = error.__cause__ or error
            problems = [str(cause)]
    problems += [str(w.message) for w in caught if _UNDEFINED.search(str(w.message))]
    if problems:
        raise ValueError(
            f"scoring={shown(scoring)} cannot be computed on the {where}, where {lack} "
            f"({problems[-1].rstrip('.')}): give X_val and y_val with every class, raise "
            "validation_fraction, or set scoring='loss'."
        ) from cause


def _takes_weights(scorer: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(scorer).parameters.values()
    except (TypeError, ValueError):  # something compiled does not tell
        return False
    return any(p.name == "sample_weight" or p.kind is p.VAR_KEYWORD for p in parameters)


def scores_of(
    head: Head,
    outputs: Callable[[Any], np.ndarray],
    score: Score,
    training: Sample | None,
    validation: Sample | FileSample | None,
) -> dict[str, float]:
    """Score a network as it stands."""
    seen = {}
    if training is not None:
        seen["score"] = score(outputs(training.X), training)
    if isinstance(validation, FileSample):
        return seen | validation.scores(head, outputs)
    if validation is not None:
        raw = outputs(validation.X)
        seen["validation_loss"] = mean_loss(head, raw, validation.Y, validation.weights)
        seen["validation_score"] = score(raw, validation)
    return seen


# == the split =====================================================================================


class ValidationSplit:
    """Sets rows aside for validation, with every class's share; a class's only row stays.

    Of four rows or more at least two are set aside. With fewer validation rows than classes there
    are no shares to keep, and rows are drawn without regard to classes.
    """

    def __init__(self, data: Data, strata: np.ndarray | None, fraction: float) -> None:
        rows = data.rows
        self._shared, self._alone, self._strata = rows, rows[:0], None
        self._size = _validation_size(len(rows), fraction)
        if strata is not None:
            _, members, counts = np.unique(strata[rows], return_inverse=True, return_counts=True)
            shared, n_classes = rows[counts[members] > 1], int(np.sum(counts > 1))
            size = _validation_size(len(shared), fraction)
            if max(n_classes, 2) <= size and max(n_classes, 1) <= len(shared) - size:
                self._shared, self._alone = shared, rows[counts[members] == 1]
                self._strata, self._size = strata[shared], size
        if not 2 <= self._size < len(rows):
            counted = "samples" if len(rows) == len(data.Y) else "samples of positive weight"
            raise ValueError(_why_no_split(len(rows), counted, self._size, fraction))

    @property
    def n_training(self) -> int:
        """The number of rows that stay."""
        return len(self._shared) + len(self._alone) - self._size

    def draw(self, rng: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """Return training rows and validation rows, drawn as scikit-learn draws them."""
        train, validation = train_test_split(
            self._shared, random_state=rng, test_size=self._size, stratify=self._strata
        )
        return np.concatenate([train, self._alone]), validation


class FileSplit:
    """Sets rows of a file aside for validation, with every class's share; an only row stays.

    The rows of a class are cut, in the order of the file, into as many stretches as rows are set
    aside, of which one is drawn in each. So the validation part is spread over the whole file, and
    memory is for a mark a row.
    """

    def __init__(
        self,
        data: FileData,
        strata: Callable[[np.ndarray], np.ndarray | None],
        fraction: float,
    ) -> None:
        self._data, self._strata = data, strata
        counts = np.zeros(0, np.int64)
        for part in data.parts(data.rows):
            found = np.bincount(self._codes(np.asarray(part)), minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
        sizes = np.clip(np.rint(fraction * counts).astype(np.int64), 1, np.maximum(counts - 1, 0))
        if fraction == 0 or np.sum(sizes) < 2:
            raise ValueError(_why_no_split(len(data.rows), "samples", 0, fraction))
        self._counts, self._sizes = counts, sizes

    @property
    def n_training(self) -> int:
        """The number of rows that stay."""
        return int(np.sum(self._counts - self._sizes))

    def _codes(self, rows: np.ndarray) -> np.ndarray:
        codes = self._strata(self._data.Y[rows])
        return np.zeros(len(rows), np.int64) if codes is None else codes

    def draw(self, rng: np.random.RandomState) -> tuple[Any, Any]:
        """Return training rows and validation rows."""
        data, seen = self._data, np.zeros(len(self._counts), np.int64)
        marks = np.zeros(len(data.Y), np.uint8)
        random = np.random.default_rng(rng.randint(1 << 32, size=4, dtype=np.uint32))
        numbers = zip(self._counts.tolist(), self._sizes.tolist(), strict=True)
        draws = [_Draws(n, k, random) for n, k in numbers]
        for part in data.parts(data.rows):
            rows = np.asarray(part)
            marks[rows] = 1
            codes = self._codes(rows)
            for code in np.unique(codes):
                of_class = rows[codes == code]
                chosen = draws[code].up_to(seen[code] + len(of_class))
                marks[of_class[chosen - seen[code]]] = 2
                seen[code] += len(of_class)
        return data.rows.marked(marks, 1), data.rows.marked(marks, 2)


class _Draws:
    """Numbers below n, one drawn in each of k equal stretches, in rising order.

    >>> draws = _Draws(10, 5, np.random.default_rng(0))
    >>> draws.up_to(4), draws.up_to(10)
    (array([1, 3]), array([5, 6, 8]))
    """

    def __init__(self, n: int, k: int, random: np.random.Generator) -> None:
        self._n, self._k, self._random = n, k, random
        self._drawn, self._waiting = 0, np.empty(0, np.int64)

    def up_to(self, stop: int) -> np.ndarray:
        """Return those below `stop` that have not been returned."""
        last = min(self._k, -(-int(stop) * self._k // self._n) + 1)
        edges = np.arange(self._drawn, max(last, self._drawn) + 1) * self._n // max(self._k, 1)
        new = edges[:-1] + self._random.integers(np.diff(edges))
        found = np.concatenate([self._waiting, new])
        self._drawn = max(last, self._drawn)
        self._waiting = found[found >= stop]
        return found[found < stop]


def split_of(
    data: Data, strata: Callable[[np.ndarray], np.ndarray | None], fraction: float
) -> ValidationSplit | FileSplit:
    """Make what sets rows aside to validate on; `strata` tells the class of each row, if any."""
    if isinstance(data, FileData):
        return FileSplit(data, strata, fraction)
    return ValidationSplit(data, strata(data.Y), fraction)


def _why_no_split(n_rows: int, counted: str, size: int, fraction: float) -> str:
    """Say why so many of the rows cannot be set aside, and what would help."""
    what = "No sample is left to train on" if size >= 2 else "The validation set is too small"
    cure = "lower validation_fraction" if size >= 2 else "raise validation_fraction"
    cure = f"{cure}, give more samples" if n_rows > 2 else "give more samples"
    return (
        f"{what}: validation_fraction={fraction} of {n_rows} {counted} is {size}, but it takes 2 "
        f"to validate on and 1 to train on; {cure}, or set early_stopping=False."
    )


def _validation_size(n_rows: int, fraction: float) -> int:
    return max(math.ceil(fraction * n_rows), 2 if n_rows >= 4 else 0)
