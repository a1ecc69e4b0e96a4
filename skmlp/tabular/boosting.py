r"""What boosted trees say of a row: the logarithms of the odds of its class, up to a constant.

.. math:: f(x) = b + \eta \sum_t \mathrm{value}_t(\mathrm{leaf}_t(x))

Each tree corrects those before it (Friedman, "Greedy function approximation: a gradient boosting
machine", Annals of Statistics 29, 2001), here scikit-learn's on binned numbers. They find the few
thresholds and exceptions that decide in some tables, which a network smooths over; members learn
how far to believe them.

The law: a training row is answered by trees that have not seen its fold. A row's answer depends on
that row alone, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from ..training.processes import Here, Holder, Shared
from .forest import Forest, Nodes

MOST_ROWS = 100_000  # that trees are made of: the first
_N_FOLDS = 5
_RATE = 0.1
_MOST_ROUNDS, _FEWEST_ROUNDS = 100, 30
_MOST_TREES = 300  # of all rounds; each class has its own, where there are more than two
FEWEST_ROWS = 1_000  # with fewer, trees of so many leaves say little that a forest does not
_MOST_COLUMNS = 500  # of all trees of a round: with more, members would be trained in less time
_UNSEEN = -10.0  # the logarithm of the odds of a class that no row learned from has


def classes_of(target: np.ndarray) -> np.ndarray:
    """Return the number of each row's class, of targets that are 0 and 1."""
    return (target[:, 0] if target.shape[1] == 1 else np.argmax(target, axis=1)).astype(np.int64)


def pays(n_rows: int, n_columns: int, n_classes: int) -> bool:
    """Whether rows are enough for boosting, and columns and classes few enough for it to be cheap.

    >>> (
    ...     pays(6000, 14, 2),
    ...     pays(6000, 54, 7),
    ...     pays(6000, 16, 26),
    ...     pays(6000, 1776, 2),
    ...     pays(200, 4, 2),
    ... )
    (True, True, False, False, False)
    """
    n_trees = 1 if n_classes == 2 else n_classes
    is_cheap = _rounds(n_trees) >= _FEWEST_ROUNDS and n_trees * n_columns <= _MOST_COLUMNS
    return is_cheap and n_rows >= FEWEST_ROWS


def boosted(
    rows: np.ndarray,
    classes: np.ndarray,
    weights: np.ndarray | None,
    folds: Sequence[tuple[np.ndarray, np.ndarray]] | None,
    seed: int,
    holder: Holder | None = None,
    n_jobs: int = 1,
) -> tuple[Forest, np.ndarray]:
    """Grow boosted trees, of all rows, and answer these out of fold.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        float32, in an order as if drawn at random.
    classes : ndarray of shape (n,)
        From 0, each one there.
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    folds : sequence of (ndarray, ndarray) or None
        Pairs of rows to learn from and rows to answer; None is every fifth row.
    seed : int
        What draws the rows that numbers are binned by.
    holder : Holder, optional
        Where trees are grown; in this process by default.
    n_jobs : int, default=1
        How many threads there are in this process, where it is this one; no bit depends on it.

    Returns
    -------
    forest : Forest
        What answers other rows: the *mean* over its trees is the sum that boosting is of.
    answers : ndarray of shape (n, 1) or (n, n_classes)
        float32. Two classes have one column, of the second one's odds.
    """
    n, every = len(rows), np.arange(len(rows))
    holder = Here() if holder is None else holder
    if folds is None:
        folds = [(every[every % _N_FOLDS != k], every[k::_N_FOLDS]) for k in range(_N_FOLDS)]
    shared = Shared(rows.shape, np.float32, holder.folder)
    shared.array[...] = rows
    n_threads = n_jobs if holder.folder is None else 1
    lesson = _Lesson(shared, classes, weights, int(np.max(classes)) + 1, seed, n_threads)
    holder.hold(lambda pairs: pairs, [(every, every[:0]), *folds])
    (forest, _), *found = holder.each(partial(_answered, lesson=lesson))
    holder.let_go()
    answers = np.empty((n, forest.values.shape[1]), np.float32)
    for (_, held_out), (_, of_fold) in zip(folds, found, strict=True):
        answers[held_out] = of_fold
    return forest, answers


class _Lesson(NamedTuple):
    """What trees are grown from: rows, their classes and weights, and how."""

    rows: Shared
    classes: np.ndarray
    weights: np.ndarray | None
    n_classes: int
    seed: int
    n_threads: int


def _answered(sides: tuple[np.ndarray, np.ndarray], lesson: _Lesson) -> tuple[Forest, np.ndarray]:
    """Grow trees of some rows, and answer others."""
    learned, held_out = sides
    rows, classes, weights, n_classes, seed, n_threads = lesson
    given = None if weights is None else weights[learned]
    with threadpool_limits(n_threads, user_api="openmp"):
        forest = _grown(rows.array[learned], classes[learned], given, n_classes, seed)
    return forest, forest.answers(rows.array[held_out])


def _rounds(n_trees: int) -> int:
    return min(_MOST_ROUNDS, _MOST_TREES // n_trees)


def _grown(
    rows: np.ndarray, classes: np.ndarray, weights: np.ndarray | None, n_classes: int, seed: int
) -> Forest:
    width = 1 if n_classes == 2 else n_classes
    there = np.unique(classes)
    if len(there) == 1:  # nothing to tell apart
        certain = np.where(np.arange(width) == there, -_UNSEEN, _UNSEEN)
        certain = certain if width > 1 else np.array([-_UNSEEN if there[0] else _UNSEEN])
        return Forest.made_of([_leaf(certain)])
    model = HistGradientBoostingClassifier(
        learning_rate=_RATE, max_iter=_rounds(width), early_stopping=False, random_state=seed
    )
    return _made_of(model.fit(rows, classes, weights), width)


def _made_of(model: HistGradientBoostingClassifier, width: int) -> Forest:
    """Make a forest of a model's trees, whose mean is their sum.

    scikit-learn keeps these trees to itself, `_predictors` and `_baseline_prediction`; asking the
    model would take 1 ms for a row, threads of OpenMP, and pickles that one release reads.
    """
    baseline = np.ravel(model._baseline_prediction)
    columns = np.arange(width)
    if width > 1:
        found = np.full(width, _UNSEEN)
        columns = model.classes_ if len(model.classes_) > 2 else model.classes_[1:]
        found[model.classes_[0]] = 0.0
        found[columns] = baseline
        baseline = found
    made, unit = [_leaf(baseline)], np.eye(width)
    for of_round in model._predictors:
        for tree, column in zip(of_round, columns, strict=True):
            nodes = tree.nodes
            left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
            feature = np.where(nodes["is_leaf"], -1, nodes["feature_idx"])
            value = nodes["value"][:, None] * unit[column]
            made.append(Nodes(left, right, feature, nodes["num_threshold"], value))
    n_trees = len(made)
    return Forest.made_of([tree._replace(value=tree.value * n_trees) for tree in made])


def _leaf(value: np.ndarray) -> Nodes:
    nothing = np.zeros(1, np.int64)
    return Nodes(nothing, nothing, nothing - 1, np.zeros(1), np.atleast_2d(value))
