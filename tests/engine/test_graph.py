"""The computation graph as text, DOT and Mermaid, beside numbers worked out by hand."""

import math
import re

import numpy as np
import pytest
from scipy import sparse, special

from skmlp.engine import BATCH, ComputationGraph, constant, gradient, variable

W, X, B, T = 0.8, 1.5, -0.4, 1.0


def least_squares():
    """z = w x + b, y = logistic(z), L = (y - t)^2 / 2."""
    w, x, b, t = (variable(name, ()) for name in "wxbt")
    z = (w * x + b).named("z")
    y = special.expit(z).named("y")
    loss = (0.5 * np.square(y - t)).named("L")
    return loss, {w: W, x: X, b: B, t: T}


def by_hand():
    """The same by the chain rule, without the engine: value and derivative of every node."""
    z = W * X + B
    y = 1 / (1 + math.exp(-z))
    dy = y - T
    dz = dy * y * (1 - y)
    return {
        "w": (W, dz * X),
        "x": (X, dz * W),
        "b": (B, dz),
        "t": (T, -dy),
        "v1": (W * X, dz),
        "z": (z, dz),
        "y": (y, dy),
        "v2": (y - T, y - T),
        "v3": ((y - T) ** 2, 0.5),
        "L": ((y - T) ** 2 / 2, 1.0),
    }


def test_values_and_gradients_are_those_by_hand():
    loss, values = least_squares()
    graph = ComputationGraph(loss, values, gradients=True)
    nodes = {node.name: node for node in graph.nodes if node.operation != "constant"}
    want = by_hand()
    assert nodes.keys() == want.keys()
    for name, (value, slope) in want.items():
        assert nodes[name].value == pytest.approx(value, rel=1e-12)
        assert nodes[name].gradient == pytest.approx(slope, rel=1e-12)


def test_edges():
    loss, _ = least_squares()
    graph = ComputationGraph(loss)
    assert set(graph.edges) == {
        *(("w", "v1"), ("x", "v1"), ("v1", "z"), ("b", "z"), ("z", "y"), ("y", "v2")),
        *(("t", "v2"), ("v2", "v3"), ("v3", "L"), ("0.5", "L")),
    }
    operations = {node.name: node.operation for node in graph.nodes}
    assert operations["w"] == "variable"
    assert operations["0.5"] == "constant"
    assert operations["y"] == "expit"
    order = [node.name for node in graph.nodes]
    assert all(order.index(source) < order.index(target) for source, target in graph.edges)
    assert repr(graph) == "<computation graph of 11 nodes and 10 edges>"


def test_text():
    loss, values = least_squares()
    assert str(ComputationGraph(loss)).splitlines() == [
        "w   variable           ()",
        "x   variable           ()",
        "v1  multiply(w, x)     ()",
        "b   variable           ()",
        "z   add(v1, b)         ()",
        "y   expit(z)           ()",
        "t   variable           ()",
        "v2  subtract(y, t)     ()",
        "v3  square(v2)         ()",
        "L   multiply(0.5, v3)  ()",
    ]
    lines = [line.split() for line in str(ComputationGraph(loss, values, True)).splitlines()]
    table = {line[0]: line for line in lines}
    for name, (value, slope) in by_hand().items():
        assert table[name][-4:] == ["value", f"{value:.6g}", "gradient", f"{slope:.6g}"]
    assert table["L"][1:3] == ["multiply(0.5,", "v3)"]


def test_dot():
    w, x = variable("w", (2,)), variable("x", (2,))
    graph = ComputationGraph(np.sum(w * x), {w: [1.0, 2.0], x: [3.0, 4.0]}, gradients=True)
    assert graph.to_dot() == "\n".join(
        [
            "digraph {",
            "  rankdir=TB;",
            '  node [fontname="sans-serif"];',
            r'  n0 [shape=ellipse, label="w (2,)\nvalue [1, 2]\ngradient [3, 4]"];',
            r'  n1 [shape=ellipse, label="x (2,)\nvalue [3, 4]\ngradient [1, 2]"];',
            r'  n2 [shape=box, label="v1 = multiply (2,)\nvalue [3, 8]\ngradient [1, 1]"];',
            r'  n3 [shape=box, label="v2 = sum ()\nvalue 11\ngradient 1"];',
            "  n0 -> n2;",
            "  n1 -> n2;",
            "  n2 -> n3;",
            "}",
        ]
    )


def test_mermaid():
    z = variable("z", (BATCH, 3))
    assert ComputationGraph(np.maximum(z, 0)).to_mermaid() == "\n".join(
        [
            "flowchart TD",
            '  n0(["z (n, 3)"])',
            '  n1(("0"))',
            '  n2["v1 = maximum (n, 3)"]',
            "  n0 --> n2",
            "  n1 --> n2",
        ]
    )


def test_jupyter_shows_mermaid():
    graph = ComputationGraph(least_squares()[0])
    bundle = graph._repr_mimebundle_()
    assert bundle["text/plain"] == str(graph)
    assert bundle["text/vnd.mermaid"] == graph.to_mermaid()
    assert bundle["text/markdown"] == f"```mermaid\n{graph.to_mermaid()}\n```"


def test_names_are_unique():
    a, b, v1 = variable("a", ()), variable("a", ()), variable("v1", ())
    y = (a * 2 + b * 2 + v1 * np.exp(v1)).named("a") + a * constant([1.0, 2.0]) * np.ones(2)
    graph = ComputationGraph(y)
    order = [node.name for node in graph.nodes]
    assert len(set(order)) == len(order)
    assert {"a", "a#2", "a#3", "v1", "2", "2#2", "constant", "constant#2"} <= set(order)
    assert sum(node.name == "v1" for node in graph.nodes) == 1
    number = {name: i for i, name in enumerate(order)}
    drawn = [tuple(map(int, edge)) for edge in re.findall(r"n(\d+) --> n(\d+)", graph.to_mermaid())]
    assert drawn == [(number[source], number[target]) for source, target in graph.edges]


def test_equal_numbers_are_written_as_they_are():
    a = variable("a", ())
    graph = ComputationGraph(np.maximum(a, 0) + np.minimum(a, 0))
    assert "maximum(a, 0)" in str(graph)
    assert "minimum(a, 0)" in str(graph)
    assert "#" not in str(graph)
    assert "#" not in graph.to_mermaid()
    assert "#" not in graph.to_dot()


def test_labels_are_escaped():
    name = 'height "in <cm>" \\ #1;'
    graph = ComputationGraph(np.exp(variable(name, ())))
    assert r'label="height \"in <cm>\" \\ #1; ()"' in graph.to_dot()
    assert '(["height #quot;in #lt;cm#gt;#quot; \\ #35;1; ()"])' in graph.to_mermaid()
    assert name in str(graph)


def test_batches_are_summarized():
    z, w = variable("z", (BATCH, 4)), variable("w", (4,))
    values = {z: np.arange(12.0).reshape(3, 4), w: np.ones(4)}
    loss = np.mean(np.where(z > 3, z * w, 0))
    text = str(ComputationGraph(loss, values, gradients=True))
    assert re.search(r"z +variable +\(n, 4\) +value 0 to 11 +gradient 0 to 0.0833", text)
    assert re.search(r"w +variable +\(4,\) +value \[1, 1, 1, 1\] +gradient ", text)
    truth = next(line for line in text.splitlines() if "greater" in line)
    assert "value 0 to 1" in truth
    assert "gradient" not in truth


def test_truth_values_of_a_few_numbers():
    a = variable("a", (3,))
    (truth,) = [n for n in ComputationGraph(a > 1, {a: [0.0, 1, 2]}).nodes if n.inputs]
    np.testing.assert_array_equal(truth.value, [False, False, True])
    assert "value [0, 0, 1]" in str(ComputationGraph(a > 1, {a: [0.0, 1, 2]}))


def test_sparse_inputs_have_no_value():
    x, w = variable("x", (BATCH, 3), is_sparse=True), variable("w", (3, 1))
    values = {x: sparse.csr_array(np.eye(3)), w: np.ones((3, 1))}
    graph = ComputationGraph(np.sum(np.square(x @ w)), values, gradients=True)
    shown = {node.name: node for node in graph.nodes}
    assert shown["x"].value is None
    np.testing.assert_array_equal(shown["w"].gradient, [[2], [2], [2]])


def test_a_graph_of_a_constant():
    assert str(ComputationGraph(constant(3.0))) == ""
    assert '"3"' in ComputationGraph(constant(3.0)).to_mermaid()


def test_what_cannot_be_shown():
    z = variable("z", (BATCH, 3))
    with pytest.raises(ValueError, match="give values of the variables"):
        ComputationGraph(np.sum(z), gradients=True)
    with pytest.raises(ValueError, match="gradient is that of a scalar"):
        ComputationGraph(np.exp(z), {z: np.ones((2, 3))}, gradients=True)
    with pytest.raises(ValueError, match="needs values for z"):
        ComputationGraph(np.exp(z), {})


def test_indices_are_shown_and_name_parts_of_variables():
    parameters, z = variable("slopes", (2, 3)), variable("z", (BATCH, 3))
    y = z * parameters[0] + (parameters[1] - (2 * z)[:, ::-1])
    lines = str(ComputationGraph(y)).splitlines()
    names = [line.split("  ")[0] for line in lines]
    assert {"slopes[0]", "slopes[1]"} <= set(names)
    assert any("v2[:, ::-1]" in line for line in lines)
    assert 'v3 = index[:, ::-1] (n, 3)"' in ComputationGraph(y).to_dot()
    assert len(set(names)) == len(names)


def test_rows_of_several_parameters_have_their_names():
    both, z = variable("gain1, shift1", (2, 3)), variable("z", (BATCH, 3))
    graph = ComputationGraph(z * both[0] + both[1] + both[1, 2] + both[:, 1:][0, 0])
    lines = [line.split("  ")[0] for line in str(graph).splitlines()]
    assert {"gain1, shift1", "gain1", "shift1", "(gain1, shift1)[1, 2]"} <= set(lines)
    assert "multiply(z, gain1)" in str(graph)
    assert re.search(r"shift1 +\(gain1, shift1\)\[1\] ", str(graph))
    assert '"gain1 = index[0] (3,)"' in graph.to_dot()
    assert len(set(lines)) == len(lines)


def test_axes_lists_and_places_are_shown():
    z = variable("z", (BATCH, 4))
    y = np.max(z[:, [1, 0]], axis=1) + np.sum(z.reshape(-1, 2, 2), axis=(1, 2)) + np.sort(z)[:, 0]
    graph = ComputationGraph(y)
    for text in ("take(v1, [1, 0])", "max(v3, axis=1)", "axis=(1, 2))", "in_order(z, z, axis=1)"):
        assert text in str(graph)
    assert "= max(axis=1) (n,)" in graph.to_dot()
    assert "[1, 0]" in graph.to_dot()
    W = variable("W", (2, 3))
    (slope,) = gradient(np.sum(np.exp(W[1])), [W])
    assert "embed[1](" in str(ComputationGraph(slope))
    assert "= embed[1] (2, 3)" in ComputationGraph(slope).to_dot()
