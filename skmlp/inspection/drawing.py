"""What all pictures share: matplotlib, fetched late; axes; colors that everybody can tell apart.

The law: a picture is drawn into the axes that it is given, and into no others; a figure is made
where there are none. Matplotlib is imported by what draws, never by what computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..engine.words import of_extra

# Okabe and Ito, "Color universal design" (2008), without its yellow, which paper swallows; in an
# order in which neighbors differ in lightness too.
COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000")
STROKES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
SEQUENTIAL = "cividis"  # from dark to light, in gray as well
_OF_NUMBERS = ("c", "cmap", "vmin", "vmax", "plotnonfinite", "color")
NEUTRAL = "0.45"  # gray, for what is there to compare with


def pyplot(asking: str) -> Any:
    """Import matplotlib's pyplot, for the picture that asks.

    Raises
    ------
    ImportError
        If matplotlib is not installed, with the extra that brings it.
    """
    with of_extra("plot", f"{asking} draws with matplotlib, which is not installed"):
        import matplotlib  # noqa: F401, PLC0415, absent where only pyplot is remembered
        from matplotlib import pyplot  # noqa: PLC0415
    return pyplot


def artists() -> Any:
    """Import matplotlib's artists: a namespace of those whose keyword arguments are given."""
    from matplotlib.collections import PathCollection, PolyCollection  # noqa: PLC0415
    from matplotlib.lines import Line2D  # noqa: PLC0415
    from matplotlib.patches import Patch, Rectangle  # noqa: PLC0415
    from matplotlib.text import Text  # noqa: PLC0415

    return SimpleNamespace(
        Line2D=Line2D,
        Patch=Patch,
        PathCollection=PathCollection,
        PolyCollection=PolyCollection,
        Rectangle=Rectangle,
        Text=Text,
    )


def styled(artist: Any, defaults: Mapping[str, Any], given: Mapping[str, Any] | None) -> Any:
    """Return the keyword arguments of an artist, the given ones before the defaults.

    An alias, such as `lw` for `linewidth`, replaces the default of the property that it means, and
    a color the numbers that colors would be made of.
    """
    from matplotlib.cbook import normalize_kwargs  # noqa: PLC0415

    asked = normalize_kwargs(dict(given or {}), artist)
    if asked.keys() & {"color", "facecolor", "facecolors"}:
        defaults = {name: x for name, x in defaults.items() if name not in _OF_NUMBERS}
    return {**defaults, **asked}


def single_axes(ax: Any, asking: str, size: tuple[float, float] = (6.4, 4.4)) -> Any:
    """Return the axes to draw into: those given, or those of a new figure.

    Parameters
    ----------
    ax : Axes or None
        What the caller was given.
    asking : str
        The name of the picture.
    size : (float, float)
        Width and height of a new figure, in inches.
    """
    plt = pyplot(asking)
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def divided_axes(
    ax: Any,
    asking: str,
    *,
    rows: Sequence[float] = (1,),
    columns: Sequence[float] = (1,),
    size: tuple[float, float] = (6.4, 4.8),
    share_x: bool = False,
) -> np.ndarray:
    """Return several axes: those given, a given one's place divided, or those of a new figure.

    Parameters
    ----------
    ax : Axes, array-like of Axes or None
        What the caller was given. The place of a single one is divided, and it is no longer seen.
    asking : str
        The name of the picture.
    rows, columns : sequence of float
        The heights of the rows, and the widths of the columns, each in relation to the others.
    size : (float, float)
        Width and height of a new figure, in inches.
    share_x : bool
        Whether all have one x-axis, whose numbers stand under the last row.

    Returns
    -------
    ndarray of Axes
        One after another, along the rows.

    Raises
    ------
    ValueError
        If several axes are given, and they are not as many as are needed.
    """
    plt = pyplot(asking)
    n = len(rows) * len(columns)
    if ax is not None and np.size(np.asarray(ax, dtype=object)) != 1:
        given = np.ravel(np.asarray(ax, dtype=object))
        if len(given) != n:
            raise ValueError(
                f"{asking} draws into {n} axes, but ax has {len(given)}: give {n} of them, or a "
                "single one whose place is divided."
            )
        return given
    layout = {"height_ratios": list(rows), "width_ratios": list(columns)}
    if ax is None:
        figure = plt.figure(figsize=size, layout="constrained")
        grid = figure.add_gridspec(len(rows), len(columns), **layout)
    else:
        figure, grid = _place_of(ax, len(rows), len(columns), layout)
    return axes_of(figure, grid, share_x=share_x)


def _place_of(ax: Any, n_rows: int, n_columns: int, layout: dict[str, Any]) -> tuple[Any, Any]:
    """Divide the place of axes, which are seen no more."""
    from matplotlib.gridspec import GridSpec, GridSpecFromSubplotSpec  # noqa: PLC0415

    (ax,) = np.ravel(np.asarray(ax, dtype=object))
    ax.set_axis_off()
    spec = ax.get_subplotspec()
    if spec is not None:
        return ax.figure, GridSpecFromSubplotSpec(n_rows, n_columns, spec, **layout)
    box = ax.get_position()  # placed by hand
    ends = {"left": box.x0, "right": box.x1, "bottom": box.y0, "top": box.y1}
    return ax.figure, GridSpec(n_rows, n_columns, ax.figure, **ends, **layout)


def axes_of(figure: Any, grid: Any, *, share_x: bool = False) -> np.ndarray:
    """Make axes in all places of a grid, along the rows."""
    made: list[Any] = []
    for place in range(grid.nrows * grid.ncols):
        shared = made[0] if share_x and made else None
        made.append(figure.add_subplot(grid[divmod(place, grid.ncols)], sharex=shared))
        if share_x and place < (grid.nrows - 1) * grid.ncols:
            made[-1].tick_params(labelbottom=False)
    return np.array(made, dtype=object)


def ink() -> Any:
    """Return the color of text in the style that is set: black, or white on a dark background."""
    from matplotlib import rcParams  # noqa: PLC0415

    return rcParams["text.color"]


def percent(share: float) -> str:
    """Write a share of 1 in per cent.

    Examples
    --------
    >>> percent(0.025), percent(0.9)
    ('2.5 %', '90 %')
    """
    return f"{100 * share:.4g} %"


def in_order(n: int) -> list[Any]:
    """Return colors for n things in an order: all apart, or from dark to light where n is large."""
    if n <= len(COLORS):
        return list(COLORS[:n])
    from matplotlib import colormaps  # noqa: PLC0415

    return [colormaps[SEQUENTIAL](place) for place in np.linspace(0, 0.92, n)]


def cut(text: str, longest: int = 28) -> str:
    """Return a name, cut at its end where it is longer than a label can be.

    Examples
    --------
    >>> cut("a name that is far too long", 10)
    'a name th…'
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def shade(color: str, depth: float) -> tuple[float, float, float]:
    """Mix a color with white, for a depth below 1, or with black, above it.

    Examples
    --------
    >>> shade("#0000ff", 0.5)
    (0.5, 0.5, 1.0)
    """
    from matplotlib.colors import to_rgb  # noqa: PLC0415

    other, share = (1.0, depth) if depth <= 1 else (0.0, 2 - depth)
    red, green, blue = (share * part + (1 - share) * other for part in to_rgb(color))
    return red, green, blue
