"""What the terminal says when a run ends: the report's first answers, in a few lines.

In: the contents of its report. Out: lines for stderr; the report's path alone goes to stdout.
"""

from __future__ import annotations

from synapse_audit.cli.display import clock
from synapse_audit.report.kit.chapters import NOT_COVERED
from synapse_audit.report.kit.contents import Contents

SHOWN = (
    *("accuracy", "missed alarms", "fragile class", "fragile label", "cheapest tampering"),
    "advice",
)
"""Labels of the cover's rows that are repeated, in this order."""


def closing_lines(found: Contents, *, seconds: float) -> list[str]:
    """Accuracy, fragile class, cheapest tampering, what was not run, and the time it took."""
    rows = {row.label: row.brief for row in found.cover.rows}
    lines = [(label, rows[label]) for label in SHOWN if rows.get(label)]
    absent = _absent(found)
    lines += [("not in this run", absent)] if absent else []
    lines.append(("time", clock(seconds)))
    return [f"{label + ':':<20}{said}" for label, said in lines]


def _absent(found: Contents) -> str:
    """Sections without anything to show; what no run of its kind has was said at its start."""
    every = [one for chapter in found.chapters.values() for one in chapter.missing]
    missing = [one for one in every if one.why != NOT_COVERED]
    return ", ".join(one.label[:1].lower() + one.label[1:] for one in missing)
