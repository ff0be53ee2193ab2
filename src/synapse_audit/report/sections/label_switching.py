"""How small an edit of the head switches a label on or off, and what none can.

Reads ``switching.*``, ``label_certificates.*`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, curves, dots, legend
from synapse_audit.report.kit.lines import MOST, Columns, line, styles
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import FAINT, TOP
from synapse_audit.tables.label_sets import CONSTANTS, DISTANCES, GUARANTEED, SWITCHING

EMPTY = "This section is empty: no label's row was pushed (tables switching.*)."
NO_GUARANTEE = "This section is empty: nothing was certified (tables label_certificates.*)."
LEAST = 5
"""Examples that could be switched, or are found, from which a label is drawn or named."""
WORDS = {"on": "Switched on", "off": "Switched off"}
AIMS = {
    "on": "give a label to half of the examples that are said not to have it",
    "off": "take a label away from half of the examples that are said to have it",
}


def switching(result: Result) -> Section:
    """Rates over the size of the push, for every label and both directions."""
    table = saved.frame(result, SWITCHING).dropna(subset=["rate"])
    constants = saved.frame(result, CONSTANTS)
    made = (
        table_of("Pushes of a label's row", with_intervals(table, "rate"), SWITCH_TABLE),
        table_of("Constants on its logit", with_intervals(constants, "half"), CONSTANT_TABLE),
    )
    return Section(
        label="Switching a label",
        heading="How small an edit switches a label on or off?",
        answer=_answer(result, table) if len(table) else (EMPTY,),
        groups=tuple(g for g in (_group(table, way) for way in WORDS) if g.figures),
        tables=tuple(t for t in made if t.rows),
        reading=(
            "The edit adds one vector to the label's row of the head, along the mean input of the "
            "examples to be switched: those that the model says have the label (off), or have it "
            "not (on), rightly or wrongly. Size is its L2 norm relative to that of the row. The "
            "rate is the share of those examples that are switched. Possible: those that an edit "
            "of this size made for each alone would switch, which no edit for all can exceed.",
            "Constants: what must be added to the label's logit (on), or taken from it (off).",
        ),
        limits=(
            "One direction for all examples; a fitted one can do better, at most the possible.",
            "No other label reads the row, so no other changes: collateral is 0 by construction.",
        ),
    )


def label_certificates(result: Result) -> Section:
    """Decisions that no edit of a label's row within a size changes."""
    table = saved.frame(result, GUARANTEED).dropna(subset=["l2"])
    distances = saved.frame(result, DISTANCES)
    made = (
        table_of("Guaranteed decisions", with_intervals(table, "l2", "on"), GUARANTEE_TABLE),
        table_of("Distances", with_intervals(distances, "half"), DISTANCE_TABLE),
    )
    return Section(
        label="Guaranteed labels",
        heading="Which decisions survive every edit of a label's row?",
        answer=_guaranteed(result) if len(table) else (NO_GUARANTEE,),
        groups=_guarantee_group(table),
        tables=tuple(t for t in made if t.rows),
        reading=(
            "Exact for these examples: a label's decision can change only where an edit of its "
            "row and bias reaches |z| / ‖(h, 1)‖, h being what the head reads and z the logit, its "
            "threshold included. Sizes are relative to the norm of the label's row.",
            "Found: only examples that have the label and are said to. Most decisions are that a "
            "rare label is absent, so the share of all right decisions says little about those.",
        ),
        limits=(
            "Of edits of the head alone; intervals are over other examples of the same kind, and "
            "each holds for one label and size by itself.",
        ),
    )


def _answer(result: Result, table: pd.DataFrame) -> tuple[str, ...]:
    said = []
    for way in WORDS:
        found = saved.estimate(result.summary, "switching", way)
        names = [prose.quoted(name) for name in found.beside.get("labels") or ()]
        aim = AIMS[way]
        if found.known:
            sure = (
                f"; surely by {prose.number(found.high, 2)}"
                if found.high == found.high
                else "; that half is not certain at any size, with all that were tried"
            )
            said.append(
                f"The smallest push that was seen to {aim} is {prose.number(found.value, 2)} times "
                f"its row ({prose.some(names, 3)}{sure})."
            )
        else:
            said.append(f"To {aim}: {prose.plain(found.reason)}.")
    beside = table.dropna(subset=["random_rate"])
    if len(beside):
        random, push = (prose.number(beside[name].mean()) for name in ("random_rate", "rate"))
        said.append(
            f"Over all labels and sizes the pushes switched {push} on average, random directions "
            f"of the same sizes {random}."
        )
    return tuple(said)


def _group(table: pd.DataFrame, way: str) -> Group:
    mine = table[(table["direction"] == way) & (table["movable"] >= LEAST)]
    if not len(mine):
        return Group("", ())
    mean = mine.groupby("label", sort=False)["rate"].mean().sort_values(ascending=False)
    names = [str(name) for name in mean.index]
    look, columns = styles(names, names), Columns("budget", "rate")
    lines = []
    for name in names:
        one = line(prose.short(name), look[name], saved.rows(mine, label=name), columns)
        lines.append(Line(one.name, one.style, one.x, one.y, legend=one.style != FAINT))
    lines.sort(key=lambda one: one.style != FAINT)
    note = "" if len(names) <= MOST else "Three most and three least easily switched in colour."
    ends = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    axes = Axes(
        "size relative to the label's row", "share switched", {"rangemode": "tozero"}, RATE_AXIS
    )
    plot = curves(WORDS[way], lines, axes, alt=f"{WORDS[way]}; at the largest size: {ends}.")
    return Group("", (plot,), legend([lines]), note, columns=1)


def _guaranteed(result: Result) -> tuple[str, ...]:
    found = saved.dig(result.summary, "label_certificates", "on") or {}
    known = {name: saved.estimate(found, name) for name in found}
    known = {name: one for name, one in known.items() if one.known and (one.n or 0) >= LEAST}
    if not known:
        return (f"No label is rightly found in {LEAST} examples: nothing to guarantee there.",)
    budget = prose.number(next(iter(known.values())).beside.get("budget"), 2)
    values = [one.value for one in known.values()]
    ends = dict.fromkeys(prose.percent(value, 2) for value in (min(values), max(values)))
    return (
        f"Of the examples rightly said to have a label, {' to '.join(ends)} keep it under every "
        f"edit of {budget} times its row: the least and the most of "
        f"{prose.plural(len(known), 'label')} that {LEAST} or more of these examples have.",
    )


def _guarantee_group(table: pd.DataFrame) -> tuple[Group, ...]:
    if not (table["found"] >= LEAST).any():
        return ()
    return (Group("", (_guarantee_plot(table),), columns=1),)


def _guarantee_plot(table: pd.DataFrame) -> Plot:
    budget = saved.nearest(table["budget"].tolist(), 0.1)
    rows = saved.rows(table, budget=budget).dropna(subset=["on"])
    rows = rows[rows["found"] >= LEAST]
    rows = rows.sort_values("on", ascending=False, kind="stable")
    names = [str(name) for name in rows["label"]]
    value, low, high = (rows[f"on{end}"].tolist() for end in ("", "_low", "_high"))
    series = Line("found labels that stay", TOP, list(range(len(names))), value, low, high)
    size = f"{prose.number(budget, 2)} times the label's row"
    alt = f"Found labels that survive every edit of {size}: {prose.figures(names, rows['on'])}."
    return dots(
        f"Found labels that survive every edit of {size}", names, [series], x_title="share", alt=alt
    )


SWITCH_TABLE = (
    Column("label", "label", text),
    Column("direction", "direction", text),
    Column("size", "budget"),
    Column("switched", "rate"),
    Column("95% interval", "rate_interval", text),
    Column("random", "random_rate"),
    Column("possible", "possible"),
    Column("collateral", "collateral"),
    Column("examples", "movable", COUNT),
)
CONSTANT_TABLE = (
    Column("label", "label", text),
    Column("direction", "direction", text),
    Column("examples", "movable", COUNT),
    Column("a quarter", "quarter"),
    Column("half", "half"),
    Column("95% interval", "half_interval", text),
    Column("nine tenths", "most"),
)
GUARANTEE_TABLE = (
    Column("label", "label", text),
    Column("size", "budget"),
    Column("right decisions that stay", "l2", SHARE),
    Column("95% interval", "l2_interval", text),
    Column("found", "found", COUNT),
    Column("found labels that stay", "on", SHARE),
    Column("95% interval", "on_interval", text),
)
DISTANCE_TABLE = (
    Column("label", "label", text),
    Column("decided", "decided", text),
    Column("examples", "examples", COUNT),
    Column("a quarter", "quarter"),
    Column("half", "half"),
    Column("95% interval", "half_interval", text),
    Column("half, largest entry", "linf"),
)
