r"""What a forest of trees says of a row: means of targets over the leaves that it falls in.

.. math:: f(x) = \frac{1}{T} \sum_t \mathrm{mean}\{y_i : x_i \in \mathrm{leaf}_t(x)\}

A forest is a nearest-neighbor method whose metric has been learned (Lin and Jeon, "Random forests
and adaptive nearest neighbors", JASA 101, 2006): near is what shares leaves. It sees what a network
needs many steps for, thresholds in several columns at once, and holds no row.

The law: a training row is answered by trees that have not seen it (out of bag; Breiman, "Random
forests", Machine Learning 45, 2001); where rows have groups, by forests that have seen none of its
group. A row's answer depends on that row alone, bit for bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from .encoding import of_most_variance

_MOST_FEATURES = 48  # looked at in a split; half of them where there are fewer than twice as many
MOST_ROWS = 20_000  # that trees are made of: the first
_NUMBERS_AT_ONCE = 1 << 22


class Nodes(NamedTuple):
    """The nodes of one tree.

    Attributes
    ----------
    left, right : ndarray of shape (n_nodes,)
        The children, where a row goes whose number is not above the threshold, and where it is.
    feature : ndarray of shape (n_nodes,)
        Which number decides; that of a leaf is negative.
    threshold : ndarray of shape (n_nodes,)
        float64.
    value : ndarray of shape (n_nodes, t)
        What a leaf says.
    """

    left: np.ndarray
    right: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    value: np.ndarray


@dataclass(frozen=True, eq=False)
class Forest:
    """Extremely randomized trees (Geurts, Ernst and Wehenkel, Machine Learning 63, 2006).

    Trees are grown to the end, on bootstrap samples; a leaf of one kind of row is then a number,
    or a class, that many leaves share, so that values are stored once.

    Attributes
    ----------
    roots : ndarray of shape (n_trees,)
        The first node of each tree.
    feature, threshold : ndarray of shape (n_nodes,)
        A row goes to the second child where its number is above the threshold; that of a leaf is
        infinite.
    child : ndarray of shape (n_nodes,)
        The first child, before which the second one comes; a leaf's is the leaf.
    value : ndarray of shape (n_nodes,)
        Which of the values a leaf has.
    values : ndarray of shape (n_values, t)
        Mean targets.
    """

    roots: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    child: np.ndarray
    value: np.ndarray
    values: np.ndarray

    @classmethod
    def of(
        cls,
        rows: np.ndarray,
        target: np.ndarray,
        weights: np.ndarray | None,
        folds: Sequence[tuple[np.ndarray, np.ndarray]] | None,
        n_trees: int,
        seed: int,
        n_jobs: int = 1,
    ) -> tuple[Self, np.ndarray]:
        """Grow a forest, of the first rows where there are many, and answer all.

        Parameters
        ----------
        rows : ndarray of shape (n, d)
            float32, in an order as if drawn at random.
        target : ndarray of shape (n, t)
            One-hot classes or standardized numbers.
        weights : ndarray of shape (n,) or None
            Weights of the rows.
        folds : sequence of (ndarray, ndarray) or None
            Pairs of rows to learn from and rows to answer; None is out of bag.
        n_trees : int
            How many trees there are.
        seed : int
            What draws samples and splits.
        n_jobs : int, default=1
            In how many threads trees are grown; no bit depends on it.

        Returns
        -------
        forest : Forest
            What answers other rows.
        answers : ndarray of shape (n, t)
            float32.
        """
        target = of_most_variance(target)
        first = np.arange(min(len(rows), MOST_ROWS))
        grown = _grown(rows, target, weights, first, n_trees, seed, n_jobs)
        forest = cls.made_of(_nodes_of(grown))
        answers = np.empty((len(rows), target.shape[1]), np.float32)
        if folds is None:
            out_of_bag = grown.oob_prediction_.reshape(len(first), -1)
            # A row so heavy that it is in every bag is answered by the mean, as if none were near.
            is_in_all = ~np.any(out_of_bag, axis=1)
            usual = None if weights is None else weights[first]
            out_of_bag[is_in_all] = np.average(target[first], axis=0, weights=usual)
            answers[first] = out_of_bag
            answers[len(first) :] = forest.answers(rows[len(first) :])
            return forest, answers
        for learned, held_out in folds:
            grown = _grown(rows, target, weights, learned[:MOST_ROWS], n_trees, seed, n_jobs)
            answers[held_out] = cls.made_of(_nodes_of(grown)).answers(rows[held_out])
        return forest, answers

    @classmethod
    def made_of(cls, trees: Sequence[Nodes]) -> Self:
        """Put the nodes of all trees into one array, level by level, siblings side by side."""
        sizes = np.array([len(tree.feature) for tree in trees])
        starts = np.cumsum(sizes) - sizes
        left, right, feature, threshold, value = map(np.concatenate, zip(*trees, strict=True))
        left, right = (children + np.repeat(starts, sizes) for children in (left, right))
        levels, is_inner = [starts], feature >= 0
        while len(parents := levels[-1][is_inner[levels[-1]]]):
            levels.append(np.stack([left[parents], right[parents]], axis=1).ravel())
        order = np.concatenate(levels)
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        value = value.astype(np.float32)
        axis = None if value.shape[1] == 1 else 0  # to sort numbers takes an eighth of sorting rows
        values, which = np.unique(value[~is_inner], axis=axis, return_inverse=True)
        index = np.zeros(len(order), np.int32)
        index[~is_inner] = which.reshape(-1)
        threshold = _not_above(threshold)
        threshold[~is_inner] = np.inf
        child = place[np.where(is_inner, left, np.arange(len(order)))]
        narrow = np.int16 if feature.max(initial=0) < 1 << 15 else np.int32
        return cls(
            place[starts].astype(np.int32),
            feature[order].clip(0).astype(narrow),
            threshold[order],
            child[order].astype(np.int32),
            index[order],
            values.reshape(-1, value.shape[1]),
        )

    def answers(self, rows: np.ndarray) -> np.ndarray:
        """Compute the mean over all trees, float32 of shape (n, t)."""
        found = np.empty((len(rows), self.values.shape[1]), np.float32)
        step = max(1, _NUMBERS_AT_ONCE // (len(self.roots) * 8))
        for i in range(0, len(rows), step):
            leaves = self._leaves(rows[i : i + step])
            total = np.zeros((len(leaves), self.values.shape[1]))
            for of_tree in self.value[leaves].T:  # one after another: no other row changes a bit
                total += self.values[of_tree]
            found[i : i + step] = total / len(self.roots)
        return found

    def _leaves(self, rows: np.ndarray) -> np.ndarray:
        """Return the leaf of each row in each tree, of shape (n, n_trees)."""
        n, d = rows.shape
        flat, leaves = rows.reshape(-1), np.tile(self.roots, n)
        on_way, start = np.arange(leaves.size), np.repeat(np.arange(n) * d, len(self.roots))
        nodes = leaves.astype(np.intp)
        while len(on_way):
            first = self.child.take(nodes)
            is_inner = first != nodes
            if np.count_nonzero(is_inner) < 0.8 * len(nodes):  # a leaf is its own child, meanwhile
                leaves[on_way] = nodes
                on_way, nodes, first = on_way[is_inner], nodes[is_inner], first[is_inner]
                start = start[is_inner]
            numbers = flat.take(start + self.feature.take(nodes))
            nodes = first + (numbers > self.threshold.take(nodes))
        return leaves.reshape(n, -1)


def _grown(
    rows: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray | None,
    learned: np.ndarray,
    n_trees: int,
    seed: int,
    n_jobs: int,
) -> ExtraTreesRegressor:
    forest = ExtraTreesRegressor(
        n_trees,
        max_features=min(-(-rows.shape[1] // 2), _MOST_FEATURES),
        bootstrap=True,
        oob_score=True,
        random_state=seed,
        n_jobs=n_jobs,
    )
    target = target[:, 0] if target.shape[1] == 1 else target
    given = None if weights is None else weights[learned]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Some inputs do not have OOB scores", UserWarning)
        return forest.fit(rows[learned], target[learned], given)


def _nodes_of(grown: ExtraTreesRegressor) -> list[Nodes]:
    trees = [one.tree_ for one in grown.estimators_]
    return [
        Nodes(t.children_left, t.children_right, t.feature, t.threshold, t.value[:, :, 0])
        for t in trees
    ]


def _not_above(numbers: np.ndarray) -> np.ndarray:
    """Return the largest float32 that are not above float64 numbers."""
    near = numbers.astype(np.float32)
    return np.where(near > numbers, np.nextafter(near, np.float32(-np.inf)), near)
