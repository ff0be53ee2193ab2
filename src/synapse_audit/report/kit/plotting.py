"""The report's figures as Plotly objects, for notebooks and papers.

In: a saved run and the anchor of a section. Out: the same figure that the page draws, in its light
colours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from synapse_audit.errors import UsageError, choices
from synapse_audit.report.kit.contents import Plot, Result, Section

if TYPE_CHECKING:
    import plotly.graph_objects as go

Sections = Mapping[str, Callable[[Result], Section]]

_COLOR = re.compile(r"--c-([\w-]+):\s*([^;]+);")
_EXTRA = re.compile(r"<extra>(.*)</extra>")


def find_figure(
    result: Result,
    sections: Sections,
    name: str,
    *,
    group: str | None = None,
    title: str | None = None,
) -> Plot:
    """The first figure of a section, or of its group of that title, that has that title.

    Raises:
        UsageError: no such section, group or title, or the run has nothing to draw there.
    """
    if name not in sections:
        raise UsageError(f"section '{name}' given; {choices(name, sections)}")
    section = sections[name](result)
    groups = {one.title: one.figures for one in section.groups if one.figures}
    if not groups:
        raise UsageError(
            f"section '{name}' given; this run has no figure there: {' '.join(section.answer)}"
        )
    if group is not None and group not in groups:
        raise UsageError(f"group '{group}' given; {choices(group, groups)}")
    there = [one for names in groups if group in (None, names) for one in groups[names]]
    found = [one for one in there if title in (None, one.title)]
    if not found:
        raise UsageError(f"figure '{title}' given; {choices(str(title), [o.title for o in there])}")
    return found[0]


def plotly_figure(figure: Plot) -> go.Figure:
    """The figure with its own legend and, as ``layout.meta``, what it shows in words."""
    import plotly.graph_objects as go

    drawn = _resolved(figure.spec, in_color=False)
    data = [_named(trace) for trace in drawn["data"]]
    known = {
        "title": {"text": figure.title},
        "margin": {**drawn["layout"].get("margin", {}), "t": 60},
        "paper_bgcolor": _light()["card"],
        "height": figure.height + 90,
        "showlegend": sum("name" in trace for trace in data) > 1,
        "meta": figure.alt,
    }
    return go.Figure({"data": data, "layout": drawn["layout"] | known})


def _named(trace: dict[str, Any]) -> dict[str, Any]:
    """The trace with the name that its hover text has; bands have none and no legend entry."""
    found = _EXTRA.search(str(trace.get("hovertemplate", "")))
    if found and found[1]:
        return trace | {"name": found[1]}
    return trace | {"showlegend": False}


def _resolved(value: Any, *, in_color: bool) -> Any:
    """Colour tokens (``@top``) under keys that name a colour, replaced by the colours."""
    if isinstance(value, str):
        return _light().get(value[1:], value) if in_color and value.startswith("@") else value
    if isinstance(value, Mapping):
        return {
            key: _resolved(held, in_color="color" in str(key).lower())
            for key, held in value.items()
        }
    if isinstance(value, list | tuple):
        return [_resolved(held, in_color=in_color) for held in value]
    return value


@cache
def _light() -> dict[str, str]:
    """Token → colour of the page's light scheme, which its style sheet names first."""
    style = resources.files("synapse_audit.report") / "templates" / "style.css"
    found: dict[str, str] = {}
    for token, color in _COLOR.findall(style.read_text(encoding="utf-8")):
        found.setdefault(token, color)
    return found
