"""The computation graph, drawn with matplotlib alone."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from itertools import pairwise
from textwrap import wrap
from typing import Any, Self

import numpy as np

from ..engine import ComputationGraph, Expression
from ..engine.words import shown
from ..heads.domains import is_count
from .drawing import artists, pyplot, shade, single_axes, styled
from .graph_layout import Layout, layered, layers_of
from .reached import inputs_reached, reached_network

_FONT = 9.0  # points, where nothing has to shrink
_LETTERS = 34  # of a line in the box of a layer
_PADDING = (7.0, 5.0)
_PARAMETER = re.compile(r"^[A-Za-z_]+(\d+)(?:, [A-Za-z_]+\1)*$")  # W1, or "gain1, shift1"
_COLORS = {
    "variable": "#56B4E9",
    "constant": "#FFFFFF",
    "computed": "#E69F00",
    "group": "#009E73",
}


@dataclass
class _Box:
    """What is drawn as one box: a node, or the nodes of a layer."""

    kind: str
    lines: list[str] = field(default_factory=list)


class ComputationGraphDisplay:
    """The computation graph: from variables at the top to the result at the bottom.

    Use `from_expression`, `from_estimator` or `from_graph` to make one. Variables are ovals,
    constants have no frame, what is computed is a box. Each has its shape and, where they were
    given, its value and the gradient of the result with respect to it.

    Parameters
    ----------
    graph : ComputationGraph
        The graph.
    max_nodes : int, default=60
        Of a graph with more nodes, those of a layer are one box: of a network's layer, or else of
        the layers of the drawing.
    title : str, default="Computation graph"
        What stands above it; it says so where nodes are put together.

    Attributes
    ----------
    ax_ : Axes
        Its axes.
    figure_ : Figure
        Their figure.
    layout_ : Layout
        The layer of each box, its center, and the points of each edge.
    boxes_ : dict of str to Patch
        The box of each node, or layer, by name.
    texts_ : dict of str to Text
        What stands in it.
    arrows_ : dict of (str, str) to Patch
        The edges.

    Examples
    --------
    >>> from skmlp.engine import variable
    >>> from skmlp.inspection import ComputationGraphDisplay
    >>> w, x = variable("w", ()), variable("x", ())
    >>> display = ComputationGraphDisplay.from_expression(w * x + 1, {w: 2.0, x: 3.0})
    >>> display.layout_.layers
    {'w': 0, 'x': 0, 'v1': 1, '1': 1, 'v2': 2}
    >>> print(display.texts_["v1"].get_text())
    v1 = multiply ()
    value 6
    """

    def __init__(
        self, *, graph: ComputationGraph, max_nodes: int = 60, title: str = "Computation graph"
    ) -> None:
        self.graph, self.max_nodes, self.title = graph, max_nodes, title

    @classmethod
    def from_expression(
        cls,
        expression: Expression,
        values: Mapping[Expression, Any] | None = None,
        *,
        gradients: bool = False,
        max_nodes: int = 60,
        ax: Any = None,
        box_kw: Mapping[str, Any] | None = None,
        text_kw: Mapping[str, Any] | None = None,
        arrow_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw what an expression is computed by.

        Parameters
        ----------
        expression : Expression
            What is computed.
        values : dict of Expression to array, default=None
            Values of the variables; with them every node shows its own.
        gradients : bool, default=False
            Whether nodes show the gradient of the expression, a scalar, too.
        max_nodes : int, default=60
            Of a graph with more nodes, those of a layer of the drawing are one box.
        ax : Axes, default=None
            Where to draw; by default in a new figure, of a size in which all can be read. Letters
            shrink to the place that there is when it is drawn.
        box_kw, text_kw, arrow_kw : dict, default=None
            Keyword arguments for the boxes, their text and the edges.

        Returns
        -------
        ComputationGraphDisplay
            The picture.

        Raises
        ------
        ValueError
            If it is no expression, gradients are asked for without values or of no scalar, or
            `max_nodes` cannot be used.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        if not isinstance(expression, Expression):
            raise ValueError(
                f"{cls.__name__} takes an expression, got {shown(expression)}: make one of "
                "variables, skmlp.engine.variable('x', ())."
            )
        return cls.from_graph(
            ComputationGraph(expression, values, gradients),
            max_nodes=max_nodes,
            ax=ax,
            box_kw=box_kw,
            text_kw=text_kw,
            arrow_kw=arrow_kw,
        )

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        max_nodes: int = 60,
        ax: Any = None,
        box_kw: Mapping[str, Any] | None = None,
        text_kw: Mapping[str, Any] | None = None,
        arrow_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw what a fitted network computes.

        Parameters
        ----------
        estimator : estimator
            A fitted MLPClassifier or MLPRegressor, or a pipeline or search that ends in one.
        X : array-like of shape (n_samples, n_features), default=None
            Inputs; with them, the prediction is drawn, and every node shows its value.
        y : array-like, default=None
            Targets; with them, the mean loss is drawn, with gradients. Without either, the loss
            without values.
        max_nodes : int, default=60
            Of a graph with more nodes, those of a layer of the network are one box.
        ax, box_kw, text_kw, arrow_kw
            As in `from_expression`.

        Returns
        -------
        ComputationGraphDisplay
            The picture.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it is no network, or there is y without X.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        steps, network = reached_network(estimator, cls.__name__)
        graph = network.computation_graph(None if X is None else inputs_reached(steps, X), y)
        return cls.from_graph(
            graph,
            max_nodes=max_nodes,
            title=f"Computation graph of {type(network).__name__}",
            ax=ax,
            box_kw=box_kw,
            text_kw=text_kw,
            arrow_kw=arrow_kw,
        )

    @classmethod
    def from_graph(
        cls,
        graph: ComputationGraph,
        *,
        max_nodes: int = 60,
        title: str = "Computation graph",
        ax: Any = None,
        box_kw: Mapping[str, Any] | None = None,
        text_kw: Mapping[str, Any] | None = None,
        arrow_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw a graph that there is, as `computation_graph` of an estimator returns it.

        Parameters
        ----------
        graph : ComputationGraph
            The graph.
        max_nodes : int, default=60
            Of a graph with more nodes, those of a layer are one box.
        title : str, default="Computation graph"
            What stands above it.
        ax, box_kw, text_kw, arrow_kw
            As in `from_expression`.

        Returns
        -------
        ComputationGraphDisplay
            The picture.

        Raises
        ------
        ValueError
            If `max_nodes` cannot be used.
        ImportError
            If matplotlib is not installed.
        """
        pyplot(cls.__name__)
        if not is_count(max_nodes):
            raise ValueError(f"max_nodes must be a whole number >= 1, got {shown(max_nodes)}.")
        drawn = cls(graph=graph, max_nodes=max_nodes, title=title)
        return drawn.plot(ax, box_kw=box_kw, text_kw=text_kw, arrow_kw=arrow_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        box_kw: Mapping[str, Any] | None = None,
        text_kw: Mapping[str, Any] | None = None,
        arrow_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw the picture; `from_expression` describes the parameters.

        Returns
        -------
        ComputationGraphDisplay
            Itself.
        """
        boxes, edges, title = self._boxes()
        sizes = {name: _size(box.lines) for name, box in boxes.items()}
        self.layout_ = layered(sizes, edges)
        inches = ((self.layout_.width + 30) / 72, (self.layout_.height + 60) / 72)
        self.ax_ = single_axes(ax, type(self).__name__, (max(inches[0], 3.0), inches[1]))
        self.figure_ = self.ax_.figure
        self.ax_.set_title(title, fontsize=10)
        self._draw(self.ax_, boxes, sizes, (box_kw, text_kw, arrow_kw))
        return self

    def to_svg(self) -> str:
        """Write the picture as a drawing in the SVG format, as large as it has to be.

        Returns
        -------
        str
            An ``<svg>`` element; its letters are text, which can be searched.
        """
        pyplot(type(self).__name__)
        import matplotlib  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415

        layout = self.layout_
        size = (max(layout.width + 30, 216.0) / 72, (layout.height + 60) / 72)
        figure = Figure(figsize=size, layout="constrained")
        type(self)(graph=self.graph, max_nodes=self.max_nodes, title=self.title).plot(
            figure.add_subplot()
        )
        written = io.StringIO()
        with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "skmlp"}):
            figure.savefig(written, format="svg", metadata={"Date": None})
        text = written.getvalue()
        return text[text.index("<svg") :]

    # -- what is drawn -----------------------------------------------------------------------------

    def _boxes(self) -> tuple[dict[str, _Box], list[tuple[str, str]], str]:
        """Return the boxes by name, the edges between them, and the title."""
        nodes = self.graph.nodes
        if len(nodes) <= self.max_nodes:
            boxes = {}
            for node in nodes:
                kind = node.operation if node.operation in _COLORS else "computed"
                boxes[node.name] = _Box(kind, self.graph._caption(node))
            return boxes, list(self.graph.edges), self.title
        groups = _groups(self.graph)
        boxes = {}
        for node in nodes:
            box = boxes.setdefault(groups[node.name], _Box("group"))
            box.lines.append(node.name)
        constants = {node.name for node in nodes if node.operation == "constant"}
        captions = {node.name: self.graph._caption(node) for node in nodes}
        for name, box in boxes.items():
            if name in captions:
                box.kind, box.lines = "variable", captions[name]
            else:
                box.lines = [name, *_summary(self.graph, box.lines)]
        edges = [
            (groups[source], groups[target])
            for source, target in self.graph.edges
            if groups[source] != groups[target] and source not in constants
        ]
        ordered = _topological(boxes, edges)
        words = f"{self.title}: {len(nodes)} nodes, grouped by layer"
        return {name: boxes[name] for name in ordered}, edges, words

    def _draw(
        self,
        ax: Any,
        boxes: Mapping[str, _Box],
        sizes: Mapping[str, tuple[float, float]],
        given: tuple[Mapping[str, Any] | None, ...],
    ) -> None:
        """Draw all boxes and edges, in points, shrunk to the axes where these are smaller."""
        layout, kinds = self.layout_, artists()
        ax.set(xlim=(-6, layout.width + 6), ylim=(layout.height + 6, -6), aspect="equal")
        ax.set_axis_off()
        box_kw, text_kw, arrow_kw = given
        scale = _scale(ax, layout)
        self.boxes_, self.texts_, self.arrows_ = {}, {}, {}
        for edge, points in layout.edges.items():
            how = {"edgecolor": "0.35", "facecolor": "0.35", "linewidth": 0.9 * scale, "zorder": 1}
            arrow = _arrow(points, scale, styled(kinds.Patch, how, arrow_kw))
            self.arrows_[edge] = ax.add_patch(arrow)
        for name, box in boxes.items():
            x, y = layout.centers[name]
            how = {
                "facecolor": shade(_COLORS[box.kind], 0.35),
                "edgecolor": "none" if box.kind == "constant" else "0.2",
                "linewidth": 0.9 * scale,
                "zorder": 2,
            }
            style = styled(kinds.Patch, how, box_kw)
            self.boxes_[name] = ax.add_patch(_patch(box.kind, (x, y), sizes[name], style))
            how = {"fontsize": _FONT * scale, "color": "black", "zorder": 3}
            how |= {"ha": "center", "va": "center"}
            style = {"linespacing": 1.15, **styled(kinds.Text, how, text_kw)}
            words = "\n".join(box.lines).replace("$", r"\$")
            self.texts_[name] = ax.text(x, y, words, **style)


def _size(lines: list[str]) -> tuple[float, float]:
    """Return the size of a box around lines of text, in points."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415
    from matplotlib.textpath import text_to_path  # noqa: PLC0415

    font = FontProperties(size=_FONT)
    widths = [text_to_path.get_text_width_height_descent(line, font, False)[0] for line in lines]
    return max(widths) + 2 * _PADDING[0], 1.38 * _FONT * len(lines) + 2 * _PADDING[1]


def _scale(ax: Any, layout: Layout) -> float:
    """Return how many points a unit of the drawing is, at most 1."""
    ax.figure.figure.draw_without_rendering()  # only then are the axes where the layout has them
    box, per_point = ax.get_window_extent(), ax.figure.dpi / 72
    across, down = box.width / (layout.width + 12), box.height / (layout.height + 12)
    return float(min(1.0, across / per_point, down / per_point))


def _patch(
    kind: str, center: tuple[float, float], size: tuple[float, float], style: dict[str, Any]
) -> Any:
    """Make the outline of a box: an oval of a variable, a rounded rectangle of anything else."""
    from matplotlib.patches import FancyBboxPatch  # noqa: PLC0415

    width, height = size
    rounding = height / 2 if kind == "variable" else 2.5
    corner = center[0] - width / 2, center[1] - height / 2
    shape = f"round,pad=0,rounding_size={min(rounding, width / 2, height / 2)}"
    return FancyBboxPatch(corner, width, height, boxstyle=shape, **style)


def _arrow(points: np.ndarray, scale: float, style: dict[str, Any]) -> Any:
    """Make an edge through points: upright at each, bent between layers, straight in them."""
    from matplotlib.patches import FancyArrowPatch  # noqa: PLC0415
    from matplotlib.path import Path  # noqa: PLC0415

    vertices, codes = [tuple(points[0])], [Path.MOVETO]
    for (x, y), (to_x, to_y) in pairwise(points):
        middle = (y + to_y) / 2
        vertices += [(x, middle), (to_x, middle), (to_x, to_y)]
        codes += [Path.CURVE4] * 3
    head = {"arrowstyle": "-|>", "mutation_scale": 8 * scale, "joinstyle": "miter"}
    return FancyArrowPatch(path=Path(vertices, codes), **{**head, **style})


# == layers as boxes ===============================================================================


def _groups(graph: ComputationGraph) -> dict[str, str]:
    """Return the box of each node: of a network's layers, or else of those of the drawing."""
    nodes = graph.nodes
    numbers = {n.name: _PARAMETER.match(n.name) for n in nodes if n.operation == "variable"}
    if not any(numbers.values()):
        layers = layers_of([node.name for node in nodes], list(dict.fromkeys(graph.edges)))
        return {name: f"layer {layer}" for name, layer in layers.items()}
    known = {name: int(found[1]) for name, found in numbers.items() if found}
    last, has_raw = max(known.values()), any(node.name == "raw" for node in nodes)
    levels: dict[str, int] = {}  # 0 for what is made of inputs alone, last + 1 for the loss
    groups: dict[str, str] = {}
    for node in nodes:
        level = max([levels.get(name, 0) for name in node.inputs], default=known.get(node.name, 0))
        is_after_raw = has_raw and last + 1 != level and "raw" in node.inputs
        levels[node.name] = last + 1 if is_after_raw else level
        is_own = node.operation == "variable" and node.name not in known
        groups[node.name] = node.name if is_own else _title(levels[node.name], last, has_raw)
    for node in reversed(nodes):  # a constant goes with what it is used for first
        for name in node.inputs:
            if name in levels and _is_constant(graph, name):
                groups[name] = groups[node.name]
    return groups


def _is_constant(graph: ComputationGraph, name: str) -> bool:
    return any(node.name == name and node.operation == "constant" for node in graph.nodes)


def _title(level: int, last: int, is_network: bool) -> str:
    """Name the box of a level."""
    if level == 0:
        return "inputs"
    if not is_network:
        return f"layer {level}"
    if level > last:
        return "head"
    return "output layer" if level == last else f"hidden layer {level}"


def _summary(graph: ComputationGraph, names: Iterable[str]) -> list[str]:
    """Say in a few lines what the nodes of a box are, and what comes out of it."""
    inside = set(names)
    nodes = [node for node in graph.nodes if node.name in inside and node.operation != "constant"]
    parameters = [f"{node.name} {node.shape}" for node in nodes if node.operation == "variable"]
    computed = [node for node in nodes if node.operation != "variable"]
    lines = _lines(parameters)
    if computed:
        word = "operation" if len(computed) == 1 else "operations"
        lines.append(f"{len(computed)} {word}, the last:")
        first, *numbers = graph._caption(computed[-1])
        lines += [first, *numbers]
    return lines


def _lines(items: list[str]) -> list[str]:
    """Write items in lines, each in one of them."""
    whole = ", ".join(item.replace(" ", "\N{NO-BREAK SPACE}") for item in items)
    lines = wrap(whole, _LETTERS, break_on_hyphens=False, break_long_words=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _topological(names: Iterable[str], edges: Iterable[tuple[str, str]]) -> list[str]:
    """Sort boxes so that each stands after all that it is computed from."""
    sorter: TopologicalSorter[str] = TopologicalSorter({name: set() for name in names})
    for source, target in edges:
        sorter.add(target, source)
    return list(sorter.static_order())
