"""From numbers to panels: curves and dots as Plotly specifications.

In: sequences of numbers and names. Out: :class:`Plot` records (plain dictionaries, no Plotly
object). Plotly reads a subset of HTML in any text, so every name passes :func:`label`.
Categories sit at whole numbers with their names as tick texts: a class named "1" stays a name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from synapse_audit.report.kit.contents import Plot, Swatch
from synapse_audit.report.kit.prose import number, plain, short
from synapse_audit.report.kit.theme import MARGIN, Style, axis, layout

Numbers = Sequence[float | int]
LINE_HEIGHT = 290
ROW_HEIGHT = 30
MANY = 12
"""Names beyond which rows move closer together."""


@dataclass(frozen=True)
class Line:
    """One series over x."""

    name: str
    style: Style
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    band: bool = False
    """Shade the interval instead of drawing bars."""
    legend: bool = True
    sizes: Numbers = ()
    """Pixels of each marker; such points are not joined, and their bars are thin."""


@dataclass(frozen=True)
class Mark:
    """A labelled reference line."""

    name: str
    at: float
    vertical: bool = False
    side: str = "left"
    """Where its name stands: beside a vertical line, at one end of a horizontal one."""


@dataclass(frozen=True)
class Axes:
    """Titles and types of both axes."""

    x: str
    y: str
    x_options: dict[str, Any] = field(default_factory=dict)
    y_options: dict[str, Any] = field(default_factory=dict)


SHARE_AXIS: dict[str, Any] = {"tickformat": ".0%", "rangemode": "tozero"}
RATE_AXIS: dict[str, Any] = {"range": [-0.03, 1.03], "tickformat": ".1f", "dtick": 0.2}


def label(text: object, length: int = 22) -> str:
    """A name that Plotly shows as it is, whatever markup it imitates.

    >>> label("<b>&")
    '&lt;b&gt;&amp;'
    """
    name = short(plain(text), length)
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def swatch(line: Line) -> Swatch:
    """The legend entry of a line."""
    style = line.style
    return Swatch(plain(line.name), style.color, style.dash, style.symbol, line.band)


def legend(figures: Sequence[Sequence[Line]]) -> tuple[Swatch, ...]:
    """One entry per distinct series over several panels."""
    entries = {line.name: swatch(line) for lines in figures for line in lines if line.legend}
    return tuple(entries.values())


def curves(
    title: str, lines: Sequence[Line], axes: Axes, *, alt: str, marks: Sequence[Mark] = ()
) -> Plot:
    """Lines over a shared x, with bands or bars for intervals and labelled reference lines."""
    data = [trace for line in lines for trace in _line_traces(line)]
    shapes, notes = _marks(marks, log=axes.x_options.get("type") == "log")
    spec = {
        "data": data,
        "layout": layout(
            axis(axes.x, **axes.x_options),
            axis(axes.y, **axes.y_options),
            shapes=shapes,
            annotations=notes,
            margin=MARGIN | {"t": 20},
        ),
    }
    return Plot(title, alt, spec, LINE_HEIGHT)


def dots(
    title: str, names: Sequence[str], series: Sequence[Line], *, x_title: str, alt: str
) -> Plot:
    """One row per name, one dot with its interval per series; x values are in ``Line.y``.

    Rows are numbered from the top; several series share a row, slightly apart.
    """
    apart = 0.32 / max(len(series), 1)
    data = [
        _dot_trace(line, names, offset=(i - (len(series) - 1) / 2) * apart)
        for i, line in enumerate(series)
    ]
    ticks = {"tickvals": list(range(len(names))), "ticktext": [label(n) for n in names]}
    y = axis("", range=[len(names) - 0.4, -0.6], showgrid=False, zeroline=False, **ticks)
    x = axis(x_title, nticks=7, zerolinewidth=1.5, range=_reach(series))
    row = ROW_HEIGHT if len(names) <= MANY else 20
    return Plot(title, alt, {"data": data, "layout": layout(x, y)}, 84 + row * len(names))


def _reach(series: Sequence[Line]) -> list[float]:
    """From 0 or below to the largest value, intervals included, with a little room."""
    values = [v for one in series for part in (one.y, one.low, one.high) for v in part]
    known = [v for v in map(float, values) if math.isfinite(v)]
    low, high = min([0.0, *known]), max([0.0, *known])
    room = 0.05 * (high - low) or 0.05
    return [low - room, high + room]


def _named(line: Line) -> dict[str, Any]:
    """For the legend of a saved figure; the page draws its own."""
    return {"name": label(line.name, 60), "showlegend": line.legend}


def _line_traces(line: Line) -> list[dict[str, Any]]:
    style = line.style
    trace: dict[str, Any] = {
        "type": "scatter",
        **_named(line),
        "x": finite(line.x),
        "y": finite(line.y),
        "mode": "lines",
        "line": {"color": style.color, "dash": style.dash, "width": 2},
        "customdata": _interval_texts(line),
        "hovertemplate": "%{x}: %{y:.3f}%{customdata}<extra>" + label(line.name) + "</extra>",
    }
    if style.symbol != "none":
        trace["mode"] = "lines+markers"
        trace["marker"] = {"color": style.color, "symbol": style.symbol, "size": 7}
    if line.band:
        return [_band(line), trace]
    if len(line.low):
        trace["error_y"] = _bars(line)
    return [_unjoined(trace, line) if len(line.sizes) else trace]


def _unjoined(trace: dict[str, Any], line: Line) -> dict[str, Any]:
    """Points of different weight, each alone."""
    marker = {**trace["marker"], "size": finite(line.sizes), "opacity": 0.85}
    bars = {**trace.get("error_y", {}), "thickness": 0.8, "width": 0}
    bare = {name: value for name, value in trace.items() if name != "line"}
    return {**bare, "mode": "markers", "marker": marker, "error_y": bars}


def _band(line: Line) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": finite([*line.x, *reversed(line.x)]),
        "y": finite([*line.high, *reversed(line.low)]),
        "mode": "lines",
        "fill": "toself",
        "fillcolor": line.style.fill,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _bars(line: Line) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": finite([h - y for h, y in zip(line.high, line.y, strict=True)]),
        "arrayminus": finite([y - w for w, y in zip(line.low, line.y, strict=True)]),
        "color": line.style.color,
        "thickness": 1.2,
        "width": 3,
    }


def _dot_trace(line: Line, names: Sequence[str], *, offset: float) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "scatter",
        **_named(line),
        "mode": "markers",
        "x": finite(line.y),
        "y": [x + offset for x in line.x],
        "text": [label(names[int(x)], 60) for x in line.x],
        "marker": {"color": line.style.color, "symbol": line.style.symbol, "size": 10},
        "customdata": _interval_texts(line),
        "hovertemplate": "%{text}: %{x:.3f}%{customdata}<extra>" + label(line.name) + "</extra>",
    }
    if len(line.low):
        trace["error_x"] = _bars(line)
    return trace


def _interval_texts(line: Line) -> list[str]:
    if not len(line.low):
        return [""] * len(line.y)
    return [f" ({number(w)} to {number(h)})" for w, h in zip(line.low, line.high, strict=True)]


def _marks(
    marks: Sequence[Mark], *, log: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    shown = [mark for mark in marks if math.isfinite(mark.at)]
    return [_mark_shape(mark) for mark in shown], [_mark_note(mark, log=log) for mark in shown]


def _mark_shape(mark: Mark) -> dict[str, Any]:
    at, across = ("x", "y") if mark.vertical else ("y", "x")
    ends = {f"{at}0": mark.at, f"{at}1": mark.at, f"{across}0": 0, f"{across}1": 1}
    pen = {"color": "@muted", "width": 1, "dash": "dot"}
    return {"type": "line", f"{across}ref": "paper", "line": pen, **ends}


def _mark_note(mark: Mark, *, log: bool) -> dict[str, Any]:
    """The name of a mark; unlike shapes, annotations on a logarithmic axis want the exponent."""
    note = {
        "text": label(mark.name, 40),
        "showarrow": False,
        "font": {"color": "@muted", "size": 12},
        "yanchor": "bottom",
    }
    if not mark.vertical:
        end = 0.99 if mark.side == "right" else 0.01
        return {**note, "y": mark.at, "xref": "paper", "x": end, "xanchor": mark.side}
    at = math.log10(mark.at) if log else mark.at
    anchor = "left" if mark.side == "right" else "right"
    return {**note, "x": at, "yref": "paper", "y": 1, "xanchor": anchor}


def finite(values: Numbers) -> list[float | None]:
    """Values for JSON, which knows no NaN; four or five digits are more than a screen can show."""
    return [float(f"{v:.5g}") if math.isfinite(v) else None for v in map(float, values)]
