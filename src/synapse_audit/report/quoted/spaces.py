"""Figures of the vulnerability profile: spaces beside each other.

In: rows of ``profile.points``, ``profile.reach``, ``profile.agreement`` and
``vulnerability.floor``. Out: groups of panels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.theme import BOUND, SERIES, Style
from synapse_audit.tables.vulnerability import CEILING

SPACES: dict[str, tuple[str, Style]] = {
    "neuron": ("neurons", SERIES[0]),
    "weight": ("head weights", SERIES[1]),
    "logit": ("logits", SERIES[2]),
    "input": ("input", SERIES[3]),
    "bits": ("bits", SERIES[4]),
}
"""Space → its name and how it is drawn."""
ROLES = {"target": "as targets", "victim": "as victims"}
RELATIVE = "relative L2"
HALF = 0.5
"""Redirect rate that counts as enough."""
NOTE = "Budgets as shares: 0.5 = half the size of what is changed. Blank: nothing tried is enough."
PANELS = 6
DENSE = 25
"""Points beyond which a line has no markers."""
TICKS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


def space_name(space: object) -> str:
    """A space as the report calls it."""
    return SPACES[str(space)][0] if str(space) in SPACES else prose.plain(space)


def pair_name(row: pd.Series) -> str:
    """Both spaces of a row of ``profile.agreement``."""
    return f"{space_name(row['space'])} and {space_name(row['other'])}"


def _order(result: Result, names: pd.Series) -> list[str]:
    return [str(n) for n in saved.in_order(names.tolist(), saved.classes(result))]


def budget_maps(result: Result, reach: pd.DataFrame) -> Group:
    """Smallest budgets as maps: a target's row, a space's column."""
    rows = reach[reach["unit"] == RELATIVE]
    if not rows["budget"].notna().any():
        return Group("", ())
    names = _order(result, rows["target"])
    spaces = saved.in_order(rows["space"].tolist(), tuple(SPACES))
    limit = float(rows["budget"].max())
    figures = []
    for level in sorted(set(rows["level"])):
        part = rows[rows["level"] == level].pivot_table(
            index="target", columns="space", values="budget", dropna=False
        )
        values = part.reindex(index=names, columns=spaces).to_numpy(dtype=float)
        title = f"Smallest budget that redirects {prose.percent(level)}"
        shown = [space_name(space) for space in spaces]
        cells = Heat(shown, names, values.tolist(), "space", "target", limit=limit, decimals=2)
        least = [float(np.nanmin(row)) if not np.isnan(row).all() else np.nan for row in values]
        alt = f"{title}, least over spaces: {prose.figures(names, least)}."
        figures.append(heat(title, cells, alt=alt))
    return Group("", tuple(figures), note=NOTE)


def best_within(result: Result, points: pd.DataFrame, reach: pd.DataFrame) -> Group:
    """The best that was tried within each budget, one panel per target, beside the ceiling."""
    known = points[points["unit"] == RELATIVE].dropna(subset=["budget", "redirect_rate"])
    known = known[known["budget"] > 0]
    floor = saved.frame(result, CEILING).dropna(subset=["bound_all_rows"])
    least = reach[reach["level"] == HALF].groupby("target")["budget"].min().sort_values()
    order = saved.in_order(_order(result, known["target"]), [str(n) for n in least.index])
    panels = {
        str(t): _lines(saved.rows(known, target=t), saved.rows(floor, target=t))
        for t in order[:PANELS]
    }
    panels = {target: lines for target, lines in panels.items() if lines}
    figures = tuple(_panel(target, lines) for target, lines in panels.items())
    title = "Per target" if len(order) <= PANELS else f"The {PANELS} easiest targets"
    return Group(title, figures, legend(list(panels.values())), columns=3)


def _lines(rows: pd.DataFrame, floor: pd.DataFrame) -> list[Line]:
    """The best within each budget, space by space, and the ceiling of the head's weights."""
    lines = []
    for space in saved.in_order(rows["space"].tolist(), tuple(SPACES)):
        mine = rows[rows["space"] == space].sort_values("budget", kind="stable")
        mine = mine.assign(best=mine["redirect_rate"].cummax())
        mine = mine.drop_duplicates("budget", keep="last")
        # Within a budget means up to it: what no better one follows stays where it was.
        lines.append(
            line(space_name(space), SPACES[str(space)][1], mine, Columns("budget", "best"))
        )
    if lines and len(floor):
        shown = floor[floor["budget"] >= rows["budget"].min()]
        name = "ceiling, any edit of the head"
        lines.append(line(name, BOUND, shown, Columns("budget", "bound_all_rows")))
    return [_plain(one) if len(one.x) > DENSE else one for one in lines]


def _plain(drawn: Line) -> Line:
    """Without markers, which a dense curve would merge into a band."""
    return Line(drawn.name, drawn.style._replace(symbol="none"), drawn.x, drawn.y)


def _panel(target: str, lines: list[Line]) -> Plot:
    values = ", ".join(f"{one.name} {prose.number(one.y[-1])}" for one in lines if len(one.y))
    ticks = {"tickvals": list(TICKS), "ticktext": [prose.percent(value) for value in TICKS]}
    axes = Axes("relative change (log)", "redirect rate", {"type": "log", **ticks}, RATE_AXIS)
    alt = f"Redirect rate to {prose.quoted(target)} at the largest budget: {values}."
    return curves(f"to {prose.short(target, 40)}", lines, axes, alt=alt)


def agreement_maps(table: pd.DataFrame) -> Group:
    """Rank correlations between spaces, of classes as targets and as victims."""
    rows = table.dropna(subset=["rho"])
    figures = tuple(
        _map(role, saved.rows(rows, role=role)) for role in ROLES if (rows["role"] == role).any()
    )
    note = "● p adjusted at most 0.05, over orders of the classes."
    return Group("Are the same classes weak in every space?", figures, note=note)


def _map(role: str, rows: pd.DataFrame) -> Plot:
    spaces = saved.in_order([*rows["space"], *rows["other"]], tuple(SPACES))
    at = {space: i for i, space in enumerate(spaces)}
    values = np.full((len(spaces), len(spaces)), np.nan)
    marked = np.zeros(values.shape, dtype=bool)
    for row in rows.to_dict("records"):
        i, j = at[row["space"]], at[row["other"]]
        values[i, j] = values[j, i] = row["rho"]
        marked[i, j] = marked[j, i] = row["p_adjusted"] <= prose.SIGNIFICANT
    names = [space_name(space) for space in spaces]
    cells = Heat(
        *(names, names, values.tolist(), "", "", marked.tolist()),
        diverging=True,
        limit=1.0,
        decimals=2,
    )
    pairs = [pair_name(row) for _, row in rows.iterrows()]
    title = f"Rank correlation of classes {ROLES[role]}"
    return heat(title, cells, alt=f"{title}: {prose.figures(pairs, rows['rho'], 2)}.")
