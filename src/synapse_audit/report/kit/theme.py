"""Colours, dashes and marker shapes; meaning never rests on colour alone.

Colours are tokens (``@top``) that the page's script resolves from the CSS custom properties
``--c-top``, so that figures follow light, dark and print without being built twice. The hues are
those of Okabe & Ito (2008), lightened for dark backgrounds in the style sheet.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Style(NamedTuple):
    """How one series is drawn."""

    color: str
    dash: str
    symbol: str
    fill: str = "@band"
    """Colour of the band, where one is drawn."""


TOP = Style("@vermillion", "solid", "circle", "@band-vermillion")
BOTTOM = Style("@blue", "dash", "square", "@band-blue")
RANDOM = Style("@grey", "dot", "diamond", "@band")
MATCHED = Style("@green", "dashdot", "triangle-up", "@band-green")
BOUND = Style("@ink", "longdash", "none")
REFERENCE = Style("@muted", "dot", "none")

SELECTIONS: dict[str, Style] = {
    "top": TOP,
    "bottom": BOTTOM,
    "random": RANDOM,
    "matched": MATCHED,
    "keep_top": TOP,
    "keep_random": RANDOM,
}

SERIES: tuple[Style, ...] = (
    Style("@vermillion", "solid", "circle", "@band-vermillion"),
    Style("@blue", "dash", "square", "@band-blue"),
    Style("@green", "dashdot", "triangle-up", "@band-green"),
    Style("@purple", "longdash", "diamond"),
    Style("@orange", "dot", "triangle-down"),
    Style("@sky", "longdashdot", "cross"),
    Style("@ink", "solid", "x"),
    Style("@grey", "dash", "star"),
)
"""For classes and other series without a meaning of their own, at most eight to a figure."""

MARGIN = {"l": 8, "r": 14, "t": 6, "b": 8}
"""Pixels; axes grow it for their labels."""

FAINT = Style("@faint", "solid", "none")
"""For the classes beyond those that fit."""

SEQUENTIAL = [[0.0, "@heat-0"], [0.5, "@heat-half"], [1.0, "@heat-1"]]
DIVERGING = [
    [0.0, "@heat-neg"],
    [0.25, "@heat-neg-half"],
    [0.5, "@heat-0"],
    [0.75, "@heat-half"],
    [1.0, "@heat-1"],
]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with a quiet grid and room for its labels."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"color": "@muted", "size": 13}},
        "gridcolor": "@grid",
        "linecolor": "@line",
        "zerolinecolor": "@line",
        "tickfont": {"color": "@muted", "size": 12},
        "automargin": True,
        "fixedrange": True,
        **more,
    }


def layout(x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A transparent layout without legend (the page draws it) and without dragging."""
    return {
        "xaxis": x,
        "yaxis": y,
        "margin": MARGIN,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@ink", "family": "system-ui, sans-serif", "size": 13},
        "hoverlabel": {"bgcolor": "@card", "bordercolor": "@line", "font": {"color": "@ink"}},
        "showlegend": False,
        "dragmode": False,
        "hovermode": "closest",
        **more,
    }
