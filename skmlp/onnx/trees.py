"""A forest as one operator of a graph.

The law: rows go the ways that `Forest.answers` goes, bit for bit, since thresholds and numbers of
rows are the same ones, and leaves are averaged in float64, as there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tabular.forest import Forest
from .writer import Value, Writer, onnx_module

VERSION = 3  # of ai.onnx.ml, from which on trees may have double numbers


def write_forest(writer: Writer, forest: Forest, rows: Value) -> Value:
    """Write what a forest says of rows.

    Parameters
    ----------
    writer : Writer
        What writes the graph, in float64.
    forest : Forest
        The trees.
    rows : Value
        float64 of shape (n, d), numbers of float32.

    Returns
    -------
    Value
        float32 of shape (n, t).
    """
    said = writer.add(
        "TreeEnsembleRegressor",
        rows,
        dtype=np.float32,
        domain="ai.onnx.ml",
        version=VERSION,
        aggregate_function="AVERAGE",
        n_targets=forest.values.shape[1],
        **_attributes(forest),
    )
    return said.of_shape((*(rows.shape or ())[:1], forest.values.shape[1]))


def _attributes(forest: Forest) -> dict[str, Any]:
    """Return nodes and leaves as ONNX has them: tree after tree, each from its root on."""
    tree = _tree_of(forest)
    order = np.argsort(tree, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    first = place[forest.child[order]]
    is_leaf = first == np.arange(len(order))
    second = np.where(is_leaf, first, place[np.minimum(forest.child[order] + 1, len(order) - 1)])
    tree, feature = tree[order], np.where(is_leaf, 0, forest.feature[order])
    start = np.searchsorted(tree, tree)  # nodes are numbered from 0 in each tree
    threshold = np.where(is_leaf, 0.0, forest.threshold[order].astype(np.float64))
    values = forest.values[forest.value[order]]
    # A leaf that says 0 of all is named once, the others where they say something.
    is_said = (values != 0) & is_leaf[:, None]
    is_said[:, 0] |= is_leaf & ~is_said.any(axis=1)
    leaf, column = np.nonzero(is_said)
    number = np.arange(len(order)) - start
    as_tensor = onnx_module().numpy_helper.from_array
    return {
        "nodes_treeids": tree.tolist(),
        "nodes_nodeids": number.tolist(),
        "nodes_featureids": feature.astype(int).tolist(),
        "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values_as_tensor": as_tensor(threshold, "thresholds"),
        "nodes_truenodeids": np.where(is_leaf, 0, first - start).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, second - start).tolist(),
        "target_treeids": tree[leaf].tolist(),
        "target_nodeids": number[leaf].tolist(),
        "target_ids": column.tolist(),
        "target_weights_as_tensor": as_tensor(values[leaf, column].astype(np.float64), "leaves"),
    }


def _tree_of(forest: Forest) -> np.ndarray:
    """Return the tree of each node, level by level."""
    tree = np.empty(len(forest.feature), np.int64)
    nodes, own = forest.roots, np.arange(len(forest.roots))
    while len(nodes):
        tree[nodes] = own
        first = forest.child[nodes]
        is_inner = first != nodes
        first, own = first[is_inner], own[is_inner]
        nodes, own = np.concatenate([first, first + 1]), np.concatenate([own, own])
    return tree
