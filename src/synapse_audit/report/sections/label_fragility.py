"""Which label breaks first, and whether its own neurons break it most.

Reads ``label_fragility.*`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, SHARE_AXIS, Axes, Line, curves, dots, legend
from synapse_audit.report.kit.lines import MOST, Columns, line, styles
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import FAINT, RANDOM, TOP
from synapse_audit.tables.label_sets import CURVES, FRAGILITY, OWN

EMPTY = "This section is empty: the run compared no labels (tables label_fragility.*)."
READING = (
    "Fragility is the F1 that a label loses, mean over the shares silenced (mean, all blocks, "
    "headline ranking for all labels). Half is lost by the first share tried at which half of its "
    "clean F1 is gone.",
    "Its own neurons: those ranked highest for the label alone. Beyond random: what they cost the "
    "label more than random sets of that size do.",
)
LIMITS = (
    "A label can lose no more F1 than it has: one that is hardly ever found cannot look fragile. "
    "Labels with fewer than 5 examples, or never found when clean, are not compared.",
    "Each label's interval holds for it alone; which of them is most or least fragile is said only "
    "where that holds for all pairs at once.",
)


def label_fragility(result: Result) -> Section:
    """F1 curves per label, fragility dots, and the label's own neurons."""
    table = saved.frame(result, FRAGILITY).dropna(subset=["mean_drop"])
    table = table.sort_values("mean_drop", ascending=False, kind="stable")
    compared = table[table["compared"].fillna(False).astype(bool)]
    curves_ = saved.frame(result, CURVES).dropna(subset=["f1"])
    return Section(
        label="F1 by label",
        heading="Which label is fragile?",
        answer=_answer(result, table, compared) if len(table) else (EMPTY,),
        groups=_groups(compared, curves_),
        tables=_tables(table, saved.frame(result, OWN)),
        reading=READING,
        limits=LIMITS,
    )


def _answer(result: Result, table: pd.DataFrame, compared: pd.DataFrame) -> tuple[str, ...]:
    said = [
        f"{prose.whole(len(compared))} of {prose.plural(len(table), 'label')} with examples here "
        "have examples and F1 enough to be compared."
    ]
    for name, words in (("most_fragile", "most"), ("least_fragile", "least")):
        found = saved.estimate(result.summary, "label_fragility", name)
        tied = [prose.quoted(one) for one in found.beside.get("tied") or ()]
        if found.known:
            said.append(f"{tied[0]} loses {words} F1: {prose.number(found.value)} on average.")
        elif tied:
            several = f"{prose.some(tied)} are indistinguishable"
            said.append(f"Which label loses {words} is not shown: {several}.")
    own = saved.estimate(result.summary, "label_fragility", "own")
    if own.known:
        count = prose.whole(own.beside.get("labels"))
        said.append(
            f"With {prose.percent(own.beside.get('fraction'))} of the neurons ranked for it "
            f"silenced (mean), {prose.whole(own.value)} of {count} labels lose more F1 than to one "
            "more random set, each at 95% by itself."
        )
    return tuple(said)


def _groups(compared: pd.DataFrame, table: pd.DataFrame) -> tuple[Group, ...]:
    names = [str(name) for name in compared["label"]]
    if not names:
        return ()
    look, columns = styles(names, names), Columns("fraction", "f1")
    lines = []
    for name in names:
        one = line(prose.short(name), look[name], saved.rows(table, label=name), columns)
        lines.append(Line(one.name, one.style, one.x, one.y, legend=one.style != FAINT))
    lines.sort(key=lambda one: one.style != FAINT)
    note = "" if len(names) <= MOST else "Three most and three least fragile labels in colour."
    return (
        Group("", (_curves(lines),), legend([lines]), note, columns=1),
        Group("", (_plot(compared, series := _dots(compared)),), legend([series]), columns=1),
    )


def _curves(lines: list[Line]) -> Plot:
    ends = prose.figures(
        [one.name for one in lines], [one.y[-1] if one.y else float("nan") for one in lines]
    )
    axes = Axes("share of neurons silenced", "F1", SHARE_AXIS, RATE_AXIS)
    return curves("F1 as more is silenced", lines, axes, alt=f"F1 at the largest share: {ends}.")


def _dots(compared: pd.DataFrame) -> list[Line]:
    places = list(range(len(compared)))
    value, low, high = (compared[f"mean_drop{end}"].tolist() for end in ("", "_low", "_high"))
    random = compared["random_drop"].tolist()
    return [
        Line("top-ranked", TOP._replace(dash="none"), places, value, low, high),
        Line("random controls", RANDOM._replace(dash="none"), places, random),
    ]


def _plot(compared: pd.DataFrame, series: list[Line]) -> Plot:
    names = [str(name) for name in compared["label"]]
    alt = f"Mean loss of F1: {prose.figures(names, compared['mean_drop'])}."
    return dots("Fragility", names, series, x_title="mean loss of F1", alt=alt)


def _tables(table: pd.DataFrame, own: pd.DataFrame) -> tuple[Table, ...]:
    made = (
        table_of("Fragility", with_intervals(table, "mean_drop"), FRAGILITY_TABLE),
        table_of(
            "Each label's own neurons",
            with_intervals(own, "drop", "excess").sort_values(
                ["operator", "excess"], ascending=[True, False], kind="stable"
            ),
            OWN_TABLE,
        ),
    )
    return tuple(t for t in made if t.rows)


FRAGILITY_TABLE = (
    Column("label", "label", text),
    Column("examples", "support", COUNT),
    Column("clean F1", "f1"),
    Column("mean loss", "mean_drop"),
    Column("95% interval", "mean_drop_interval", text),
    Column("random", "random_drop"),
    Column("half lost by", "half_fraction", SHARE),
)
OWN_TABLE = (
    Column("operator", "operator", text),
    Column("label", "label", text),
    Column("share", "fraction", SHARE),
    Column("F1 lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("random", "random_drop"),
    Column("beyond random", "excess"),
    Column("95% interval", "excess_interval", text),
    Column("the same of other labels", "others_excess"),
)
