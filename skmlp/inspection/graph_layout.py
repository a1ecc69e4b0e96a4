"""A layered drawing of a graph without circles: where its nodes go, and how its edges run.

    layers    a node stands above all that it is used for, by the longest path from the result
    order     places within layers, by barycenters, so that few edges cross
    places    across, so that edges are short, boxes do not touch and long edges are straight

The method of Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", IEEE Transactions on Systems, Man, and Cybernetics 11 (1981).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

_SWEEPS = 12
_PASSES = 80
_SAME = 1e-6  # points nearer to each other are one
_BEND = ("bend",)  # what names of bends begin with: a tuple that is nobody's name


@dataclass(frozen=True)
class Layout:
    """Where nodes and edges are.

    Attributes
    ----------
    layers : dict of node to int
        The layer of each node, 0 at the top.
    centers : dict of node to (float, float)
        The center of each node; y grows downwards.
    edges : dict of (node, node) to ndarray of shape (points, 2)
        The points that each edge goes through: from the lower end of its first node to the upper
        end of its second.
    width, height : float
        The size of the whole, which begins at 0.
    """

    layers: dict[Any, int]
    centers: dict[Any, tuple[float, float]]
    edges: dict[tuple[Any, Any], np.ndarray]
    width: float
    height: float


def layered(
    sizes: Mapping[Any, tuple[float, float]],
    edges: Sequence[tuple[Any, Any]],
    *,
    across: float = 14.0,
    between: float = 26.0,
) -> Layout:
    """Lay a graph out in layers.

    Parameters
    ----------
    sizes : dict of node to (float, float)
        Width and height of each node, each after all that it is computed from.
    edges : sequence of (node, node)
        What is used (first) to compute what (second); the same edge twice is drawn once.
    across, between : float
        The least distance between boxes of a layer, and between layers.

    Returns
    -------
    Layout
        Where all of it is.

    Raises
    ------
    ValueError
        If an edge leads to a node that stands before its first.

    Examples
    --------
    >>> sizes = {"w": (30, 20), "x": (30, 20), "w x": (40, 20)}
    >>> found = layered(sizes, [("w", "w x"), ("x", "w x")])
    >>> found.layers, found.centers["w x"]
    ({'w': 0, 'x': 0, 'w x': 1}, (37.0, 56.0))
    """
    distinct = list(dict.fromkeys(edges))
    layers = layers_of(list(sizes), distinct)
    rows, chains = _with_bends(layers, distinct)
    neighbors = _neighbors(chains)
    rows = _ordered(rows, neighbors)
    widths = {name: width for name, (width, _) in sizes.items()}
    x = _across(rows, neighbors, widths, across)
    heights = [max((sizes[n][1] for n in row if n in sizes), default=0.0) for row in rows]
    tops = np.concatenate([[0.0], np.cumsum([h + between for h in heights])])
    middle = {name: tops[i] + heights[i] / 2 for i, row in enumerate(rows) for name in row}
    left = min(x[name] - widths[name] / 2 for name in sizes)
    x = {name: place - left for name, place in x.items()}
    paths = {}
    for (source, target), chain in chains.items():
        points = [(x[source], middle[source] + sizes[source][1] / 2)]
        points.append((x[source], tops[layers[source]] + heights[layers[source]]))
        for name in chain[1:-1]:  # straight through each layer that is passed
            i = layers[source] + chain.index(name)
            points += [(x[name], tops[i]), (x[name], tops[i] + heights[i])]
        points.append((x[target], tops[layers[target]]))
        points.append((x[target], middle[target] - sizes[target][1] / 2))
        path = np.array(points, float)
        is_step = np.any(np.abs(np.diff(path, axis=0)) > _SAME, axis=1)
        paths[source, target] = path[np.concatenate([[True], is_step])]
    right = max(x[name] + widths[name] / 2 for name in sizes)
    return Layout(
        layers,
        {name: (float(x[name]), float(middle[name])) for name in sizes},
        paths,
        float(right),
        float(tops[-1] - between),
    )


def layers_of(names: Sequence[Any], edges: Sequence[tuple[Any, Any]]) -> dict[Any, int]:
    """Return the layer of each node: as far above the last one as its longest path there is long.

    So a node is right above the first that it is used for, parameters beside the layer that has
    them.

    Parameters
    ----------
    names : sequence
        The nodes, each after all that it is computed from.
    edges : sequence of (node, node)
        What is used (first) to compute what (second).

    Returns
    -------
    dict of node to int
        Layers, from 0.

    Raises
    ------
    ValueError
        If an edge leads to a node that stands before its first.
    """
    place = {name: i for i, name in enumerate(names)}
    for source, target in edges:
        if place[source] >= place[target]:
            raise ValueError(f"{target!r} is computed from {source!r}: it must stand after it.")
    heights = dict.fromkeys(names, 0)
    for source, target in sorted(edges, key=lambda edge: -place[edge[1]]):
        heights[source] = max(heights[source], heights[target] + 1)
    top = max(heights.values(), default=0)
    return {name: top - height for name, height in heights.items()}


def _with_bends(
    layers: Mapping[Any, int], edges: Sequence[tuple[Any, Any]]
) -> tuple[list[list[Any]], dict[tuple[Any, Any], list[Any]]]:
    """Return the nodes of each layer, with a bend where an edge passes, and each edge's chain."""
    rows: list[list[Any]] = [[] for _ in range(1 + max(layers.values(), default=0))]
    for name, layer in layers.items():
        rows[layer].append(name)
    chains = {}
    for number, (source, target) in enumerate(edges):
        passed = range(layers[source] + 1, layers[target])
        bends = [(*_BEND, number, layer) for layer in passed]
        for bend, layer in zip(bends, passed, strict=True):
            rows[layer].append(bend)
        chains[source, target] = [source, *bends, target]
    return rows, chains


def _neighbors(chains: Mapping[Any, list[Any]]) -> dict[str, dict[Any, list[Any]]]:
    """Return what is next to each node, in the layers above and below."""
    found: dict[str, dict[Any, list[Any]]] = {"above": {}, "below": {}}
    for chain in chains.values():
        for upper, lower in pairwise(chain):
            found["below"].setdefault(upper, []).append(lower)
            found["above"].setdefault(lower, []).append(upper)
    return found


def crossings(rows: Sequence[Sequence[Any]], below: Mapping[Any, Sequence[Any]]) -> int:
    """Count how often edges between neighboring layers cross.

    Examples
    --------
    >>> crossings([["a", "b"], ["c", "d"]], {"a": ["d"], "b": ["c"]})
    1
    """
    total = 0
    for upper, lower in pairwise(rows):
        place = {name: i for i, name in enumerate(lower)}
        ends = [sorted(place[x] for x in below.get(name, ())) for name in upper]
        flat = np.array([end for several in ends for end in several], int)
        total += sum(int(np.sum(flat[:i] > end)) for i, end in enumerate(flat))
    return total


def _ordered(rows: list[list[Any]], neighbors: Mapping[str, Any]) -> list[list[Any]]:
    """Sort each layer by the mean place of its neighbors, down and up, and keep the best order."""
    best, fewest = rows, crossings(rows, neighbors["below"])
    for sweep in range(_SWEEPS):
        side = "above" if sweep % 2 == 0 else "below"
        order = range(len(rows)) if side == "above" else range(len(rows) - 1, -1, -1)
        rows = [list(row) for row in rows]
        place: dict[Any, float] = {}
        for i in order:
            means = {
                name: np.mean([place[x] for x in neighbors[side].get(name, ())] or [k])
                for k, name in enumerate(rows[i])
            }
            rows[i].sort(key=lambda name: means[name])
            place |= {name: k for k, name in enumerate(rows[i])}
        found = crossings(rows, neighbors["below"])
        if found < fewest:
            best, fewest = rows, found
    return best


def _across(
    rows: Sequence[Sequence[Any]],
    neighbors: Mapping[str, Any],
    widths: Mapping[Any, float],
    distance: float,
) -> dict[Any, float]:
    """Return places across at which each node is near the mean of its neighbors.

    In each layer that is the least sum of squares under the least distances, which is isotonic
    regression once these are taken off.
    """
    half = {name: widths.get(name, 0.0) / 2 for row in rows for name in row}
    steps = {
        i: np.cumsum([0.0, *(half[a] + half[b] + distance for a, b in pairwise(row))])
        for i, row in enumerate(rows)
    }
    x = {
        name: float(place - steps[i][-1] / 2)
        for i, row in enumerate(rows)
        for name, place in zip(row, steps[i], strict=True)
    }
    pulls = {name: _pulls(name, neighbors, widths) for row in rows for name in row}
    for sweep in range(_PASSES):
        order = range(len(rows)) if sweep % 2 == 0 else range(len(rows) - 1, -1, -1)
        for i in order:
            pulled = [pulls[name] for name in rows[i]]
            weights = [max(sum(pull.values()), 1e-3) for pull in pulled]
            wanted = [
                sum(strength * x[other] for other, strength in pull.items()) / sum(pull.values())
                if pull
                else x[name]
                for name, pull in zip(rows[i], pulled, strict=True)
            ]
            free = increasing(np.array(wanted) - steps[i], weights)
            x |= dict(zip(rows[i], (free + steps[i]).tolist(), strict=True))
    return x


def increasing(wanted: Sequence[float], weights: Sequence[float]) -> np.ndarray:
    """Return the numbers, none smaller than the one before, that are nearest by weighted squares.

    Neighbors that are in the wrong order are pooled at their mean, and so on: Ayer et al., "An
    empirical distribution function for sampling with incomplete information", Annals of
    Mathematical Statistics 26 (1955). Rows are short, and it is called thousands of times.

    Examples
    --------
    >>> increasing([1.0, 4.0, 2.0], [1.0, 1.0, 3.0])
    array([1. , 2.5, 2.5])
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, length
    for mean, weight in zip(wanted, weights, strict=True):
        pool = (float(mean), float(weight), 1)
        while pools and pools[-1][0] > pool[0]:
            before, heavy, length = pools.pop()
            whole = heavy + pool[1]
            pool = ((heavy * before + pool[1] * pool[0]) / whole, whole, length + pool[2])
        pools.append(pool)
    return np.repeat([pool[0] for pool in pools], [pool[2] for pool in pools])


def _pulls(
    name: Any, neighbors: Mapping[str, Any], widths: Mapping[Any, float]
) -> dict[Any, float]:
    """Return how strongly each neighbor draws a node to its own place.

    Strongly along an edge that passes layers, so that it is straight; hardly from a variable or
    constant, which has a place beside the way that the computation takes.
    """
    found: dict[Any, float] = {}
    for side in ("above", "below"):
        for other in neighbors[side].get(name, ()):
            upper = other if side == "above" else name
            bends = (name not in widths) + (other not in widths)
            is_source = upper in widths and not neighbors["above"].get(upper)
            strength = (1.0, 2.0, 8.0)[bends] * (0.05 if is_source else 1.0)
            found[other] = found.get(other, 0.0) + strength
    return found
