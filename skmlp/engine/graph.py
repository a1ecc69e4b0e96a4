"""The computation graph as something to look at: text, DOT and Mermaid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from .expression import Expression, topological
from .gradient import gradient
from .primitives import INDEX
from .program import evaluate
from .shapes import shape_text

_SHOWN_NUMBERS = 6  # of more, the least and the largest are shown


@dataclass(frozen=True)
class Node:
    """One node: an input, a constant or a computed quantity.

    Attributes
    ----------
    name : str
        A variable's name, or v1, v2, ... in the order of computation.
    operation : str
        "variable", "constant", or the function that computes the node.
    inputs : tuple of str
        The names of the nodes that it is computed from.
    shape : str
        Its shape, n being the number of rows.
    value : ndarray or None
        Its value, where values were asked for.
    gradient : ndarray or None
        The gradient of the output with respect to it, where gradients were asked for.
    """

    name: str
    operation: str
    inputs: tuple[str, ...]
    shape: str
    value: np.ndarray | None = None
    gradient: np.ndarray | None = None


class ComputationGraph:
    """The nodes and edges that an expression is computed by.

    Parameters
    ----------
    output : Expression
        What is computed.
    values : mapping of Expression to array, optional
        Values of the variables; with them every node shows its value.
    gradients : bool, default=False
        Whether every node shows the gradient of the output (a scalar) with respect to it.

    Raises
    ------
    ValueError
        If gradients are asked for without values, or of an output that is not a scalar.

    Attributes
    ----------
    nodes : list of Node
        In the order of computation.
    edges : list of (str, str)
        Which node (first) is used directly to compute which (second), by name.

    Examples
    --------
    >>> from skmlp.engine import ComputationGraph, variable
    >>> w, x = variable("w", ()), variable("x", ())
    >>> print(ComputationGraph(w * x, {w: 2.0, x: 3.0}, gradients=True))
    w   variable        ()  value 2  gradient 3
    x   variable        ()  value 3  gradient 2
    v1  multiply(w, x)  ()  value 6  gradient 1
    """

    def __init__(
        self,
        output: Expression,
        values: Mapping[Expression, Any] | None = None,
        gradients: bool = False,
    ) -> None:
        if gradients and values is None:
            raise ValueError("gradients are shown as numbers: give values of the variables too")
        order = topological([output])
        names = _names(order)
        shown: dict[Expression, np.ndarray] = {}
        slopes: dict[Expression, np.ndarray] = {}
        if values is not None:
            dense = [x for x in order if not x.is_sparse]
            shown = dict(zip(dense, evaluate(dense, values), strict=True))
            if gradients:
                smooth = [x for x in dense if not x.is_boolean and x.value is None]
                slopes = dict(zip(smooth, evaluate(gradient(output, smooth), values), strict=True))
        self.nodes = [
            Node(
                name=names[x],
                operation=x.primitive.name
                if x.primitive is not None
                else "variable"
                if x.value is None
                else "constant",
                inputs=tuple(names[source] for source in x.inputs),
                shape=shape_text(x.shape),
                value=shown.get(x),
                gradient=slopes.get(x),
            )
            for x in order
        ]
        self._texts = {names[x]: _written(x.value) for x in order if _is_short(x.value)}
        self._keys = {names[x]: _key(x) for x in order if "key" in x.attributes}
        self._axes = {names[x]: _axes(x) for x in order if "axis" in x.attributes}
        self.edges = [(source, node.name) for node in self.nodes for source in node.inputs]

    def __str__(self) -> str:
        """One line a node, in the order of computation; constants stand in the calls."""
        shown = [node for node in self.nodes if node.operation != "constant"]
        columns = [
            [node.name for node in shown],
            [self._call(node) for node in shown],
            [node.shape for node in shown],
        ]
        for title in ("value", "gradient"):
            numbers = [_titled(title, getattr(node, title)) for node in shown]
            if any(numbers):
                columns.append(numbers)
        widths = [max(map(len, column), default=0) for column in columns]
        rows = zip(*columns, strict=True)
        return "\n".join(
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def __repr__(self) -> str:
        return f"<computation graph of {len(self.nodes)} nodes and {len(self.edges)} edges>"

    def to_dot(self) -> str:
        """Write the graph in the DOT language of Graphviz.

        Returns
        -------
        str
            A digraph; ``dot -Tsvg`` draws it.
        """
        lines = ["digraph {", "  rankdir=TB;", '  node [fontname="sans-serif"];']
        for i, node in enumerate(self.nodes):
            shape = {"variable": "ellipse", "constant": "plaintext"}.get(node.operation, "box")
            text = "\\n".join(_escape(line) for line in self._caption(node))
            lines.append(f'  n{i} [shape={shape}, label="{text}"];')
        lines += [f"  n{source} -> n{target};" for source, target in self._numbered_edges()]
        return "\n".join([*lines, "}"])

    def to_mermaid(self) -> str:
        """Write the graph in the Mermaid language, which Jupyter and Markdown viewers draw.

        Returns
        -------
        str
            A flowchart from the variables down to the output.
        """
        brackets = {"variable": ("([", "])"), "constant": ("((", "))")}
        lines = ["flowchart TD"]
        for i, node in enumerate(self.nodes):
            left, right = brackets.get(node.operation, ("[", "]"))
            text = "<br/>".join(_entities(line) for line in self._caption(node))
            lines.append(f'  n{i}{left}"{text}"{right}')
        lines += [f"  n{source} --> n{target}" for source, target in self._numbered_edges()]
        return "\n".join(lines)

    def _text(self, name: str) -> str:
        """Return what stands for a node in a call: its name, or a constant's number."""
        return self._texts.get(name, name)

    def _call(self, node: Node) -> str:
        inputs = ", ".join(map(self._text, node.inputs))
        key, axes = self._keys.get(node.name, ""), self._axes.get(node.name, "")
        if node.operation == "index":
            return f"({inputs}){key}" if "," in inputs.partition("[")[0] else f"{inputs}{key}"
        inside = f"{inputs}, {axes}" if axes else inputs
        return f"{node.operation}{key}({inside})" if inputs else node.operation

    def _caption(self, node: Node) -> list[str]:
        if node.operation == "constant":
            return [self._text(node.name)]
        key, axes = self._keys.get(node.name, ""), self._axes.get(node.name, "")
        operation = node.operation + key + (f"({axes})" if axes else "")
        head = node.name if node.operation == "variable" else f"{node.name} = {operation}"
        numbers = [_titled("value", node.value), _titled("gradient", node.gradient)]
        return [f"{head} {node.shape}", *filter(None, numbers)]

    def _numbered_edges(self) -> list[tuple[int, int]]:
        number = {node.name: i for i, node in enumerate(self.nodes)}
        return [(number[source], number[target]) for source, target in self.edges]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:  # noqa: ARG002
        mermaid = self.to_mermaid()
        return {
            "text/plain": str(self),
            "text/markdown": f"```mermaid\n{mermaid}\n```",
            "text/vnd.mermaid": mermaid,
        }


def _names(order: list[Expression]) -> dict[Expression, str]:
    """Name every node, no two alike."""
    names: dict[Expression, str] = {}
    given = {x.name for x in order}
    taken: set[str] = set()
    computed = 0
    for x in order:
        if x.value is not None:
            name = _written(x.value) if x.value.size == 1 else "constant"
        elif x.name is not None:
            name = x.name
        elif x.primitive is INDEX and x.inputs[0].name is not None:
            name = _part_name(x, names[x.inputs[0]])
        else:
            computed += 1
            while f"v{computed}" in given:
                computed += 1
            name = f"v{computed}"
        unique, copy = name, 2
        while unique in taken:
            unique, copy = f"{name}#{copy}", copy + 1
        names[x] = unique
        taken.add(unique)
    return names


def _part_name(x: Expression, whole: str) -> str:
    """Name what an index takes of a named node; rows of "left, right" are left and right."""
    rows, first = whole.split(", "), x.attributes["key"][0]
    is_row = isinstance(first, (int, np.integer)) and 1 < len(rows) == x.inputs[0].shape[0]
    rest = x.attributes["key"][1:]
    if is_row and all(item == slice(None) for item in rest):
        return rows[first]
    return f"({whole}){_key(x)}" if len(rows) > 1 else whole + _key(x)


def _axes(x: Expression) -> str:
    """Write the axes that a node goes along, where those are not all."""
    axes = x.attributes["axis"]
    if isinstance(axes, tuple):
        if len(axes) == x.inputs[0].ndim:
            return ""
        axes = axes[0] if len(axes) == 1 else axes
    return f"axis={axes}"


def _key(x: Expression) -> str:
    """Write the index that a node takes or fills, without axes at its end that are whole."""
    items = []
    for item in x.attributes["key"]:
        if isinstance(item, slice):
            ends = ("" if end is None else str(end) for end in (item.start, item.stop))
            step = "" if item.step is None else f":{item.step}"
            items.append(":".join(ends) + step)
        else:
            items.append(str(item))
    while len(items) > 1 and items[-1] == ":":
        items.pop()
    return f"[{', '.join(items)}]"


def _is_short(value: np.ndarray | None) -> TypeGuard[np.ndarray]:
    """Tell whether a constant, which has a value, is one number or a short list."""
    if value is None:
        return False
    return value.size == 1 or (value.ndim == 1 and 1 < value.size <= _SHOWN_NUMBERS)


def _written(array: np.ndarray) -> str:
    """Write one number, a few, or the ends of many."""
    if array.size == 1:
        return f"{array.item():.6g}"
    if array.size <= _SHOWN_NUMBERS:
        return f"[{', '.join(f'{number:.4g}' for number in array.ravel())}]"
    return f"{array.min():.3g} to {array.max():.3g}"


def _titled(title: str, array: np.ndarray | None) -> str:
    return "" if array is None else f"{title} {_written(array)}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _entities(text: str) -> str:
    """Write a label so that Mermaid, which reads #code; and HTML, shows it as it is."""
    for character, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, code)
    return text
