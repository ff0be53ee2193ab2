"""Which class breaks first: recall of every class as the headline set grows.

Reads ``asymmetry.fragility``, ``asymmetry.curves`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, SHARE_AXIS, Axes, Line, curves, dots, legend
from synapse_audit.report.kit.lines import MOST, Columns, banded, line, styles
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import FAINT, RANDOM, TOP
from synapse_audit.report.quoted.fragility import by_loss, leaders
from synapse_audit.tables.asymmetry import CURVES

RECALL = Columns("fraction", "recall", "recall_low", "recall_high")
RANDOM_CONTROL = Columns("fraction", "random_recall", "random_low", "random_high")
PANELS = 6
HELD, LOST = 0.95, 0.05
"""Recalls that count as kept and as gone when the model answers one class only."""
EMPTY = "This section is empty: the run compared no classes (tables asymmetry.fragility, .curves)."
READING = (
    "Recall is the share of a class's examples that are still recognised. The same neurons are "
    "silenced for every class: mean, all blocks, headline ranking.",
    "Fragility is the mean loss of recall over all shares tried. Half is lost by the first share "
    "tried at which a class has lost half of its recall, so between the share before and that one.",
)
LIMITS = (
    "A model that has lost everything always predicts one class. That class looks robust although "
    "nothing is recognised any more: read a curve that stays at 1 with care.",
    "Small classes have wide intervals; overlapping intervals do not order two classes.",
    "Where sets are taken across layers (preset paper), the random controls have as many neurons "
    "in "
    "each layer as the set for all classes, not as each class's own.",
)


def classes(result: Result) -> Section:
    """Recall curves per class and a fragility dot plot, most fragile first."""
    fragility = by_loss(result)
    table = saved.frame(result, CURVES).dropna(subset=["recall"])
    groups = (_overview(fragility, table), _against_random_controls(fragility, table))
    return Section(
        label="Recall by class",
        heading="Which class is fragile?",
        answer=(*_answer(fragility), *_collapse(table)) if len(fragility) else (EMPTY,),
        groups=tuple(g for g in groups if g.figures),
        tables=_tables(fragility, table),
        reading=READING,
        limits=LIMITS,
    )


def _answer(fragility: pd.DataFrame) -> tuple[str, ...]:
    first = leaders(fragility)
    rest = fragility.drop(first.index)
    named = prose.some([prose.quoted(name) for name in first["class"]])
    if not len(first):
        return ("No class lost recall in what was silenced, so none is shown to be fragile.",)
    if len(first) > 1 or not len(rest):
        return (
            f"On average over the shares silenced, {named} lose most recall, "
            f"{prose.number(first['mean_drop'].max())} each.",
        )
    row, second = first.iloc[0], rest.iloc[0]
    lost = (
        f"On average over the shares silenced, {named} loses most recall: "
        f"{prose.number(row['mean_drop'])}, and {prose.quoted(second['class'])} next: "
        f"{prose.number(second['mean_drop'])}."
    )
    if row["mean_drop_low"] > rest["mean_drop_high"].max():
        return lost, f"The 95% interval of {named} lies above that of every other class."
    return lost, f"Their 95% intervals overlap, so it is not shown that {named} is more fragile."


def _collapse(table: pd.DataFrame) -> tuple[str, ...]:
    """Says so when at the largest share the model answers one class only."""
    last = table[table["fraction"] == table["fraction"].max()]
    held, lost = last[last["recall"] >= HELD], last[last["recall"] <= LOST]
    if len(held) != 1 or len(lost) != len(last) - 1:
        return ()
    return (
        f"With {prose.percent(last['fraction'].iloc[0])} silenced nearly everything is called "
        f"{prose.quoted(held['class'].iloc[0])}, so that this class only seems to hold.",
    )


def _overview(fragility: pd.DataFrame, table: pd.DataFrame) -> Group:
    order = saved.in_order(table["class"].tolist(), fragility["class"].tolist())
    names = [str(name) for name in order]
    look = styles(names, names)
    lines = [
        Line(one.name, one.style, one.x, one.y, legend=one.style != FAINT)
        for one in (line(prose.short(n), look[n], saved.rows(table, **{"class": n}), RECALL)
                    for n in names)
    ]  # fmt: skip
    lines.sort(key=lambda one: one.style != FAINT)
    figures = (_curves(lines),) if lines else ()
    more = (_fragility(fragility),) if len(fragility) else ()
    note = "" if len(names) <= MOST else "Three most and three least fragile classes in colour."
    return Group("", figures + more, legend([lines]), note)


def _curves(lines: list[Line]) -> Plot:
    ends = "; ".join(f"{one.name} {prose.number(one.y[-1])}" for one in lines if len(one.y))
    axes = Axes("share of neurons silenced", "recall", SHARE_AXIS, RATE_AXIS)
    return curves("Recall as more is silenced", lines, axes, alt=f"Recall at the end: {ends}.")


def _fragility(table: pd.DataFrame) -> Plot:
    names = [str(name) for name in table["class"]]
    series = Line(
        "mean loss of recall", TOP, list(range(len(names))), table["mean_drop"].tolist(),
        table["mean_drop_low"].tolist(), table["mean_drop_high"].tolist(),
    )  # fmt: skip
    pairs = zip(names, series.y, strict=True)
    alt = "Mean loss of recall: " + ", ".join(
        f"{prose.short(n)} {prose.number(v)}" for n, v in pairs
    )
    return dots("Fragility", names, [series], x_title="mean loss of recall", alt=alt)


def _against_random_controls(fragility: pd.DataFrame, table: pd.DataFrame) -> Group:
    known = table[table["random_recall"].notna()]
    order = saved.in_order(known["class"].tolist(), fragility["class"].tolist())[:PANELS]
    panels = {
        name: [
            banded("random controls", RANDOM, saved.rows(known, **{"class": name}), RANDOM_CONTROL),
            line("top-ranked", TOP, saved.rows(known, **{"class": name}), RECALL),
        ]
        for name in order
    }
    axes = Axes("share of neurons silenced", "recall", SHARE_AXIS, RATE_AXIS)
    figures = tuple(_panel(str(name), lines, axes) for name, lines in panels.items())
    most = f"The {PANELS} most fragile classes" if len(order) == PANELS else "Every class"
    return Group(
        f"{most} beside random controls", figures, legend(list(panels.values())), columns=3
    )


def _panel(name: str, lines: list[Line], axes: Axes) -> Plot:
    random_control, top = (prose.number(one.y[-1]) for one in lines)
    recalls = f"top-ranked {top}, random {random_control}"
    alt = f"Recall of {prose.quoted(name)} at the largest share: {recalls}."
    return curves(prose.short(name, 40), lines, axes, alt=alt)


def _tables(fragility: pd.DataFrame, table: pd.DataFrame) -> tuple[Table, ...]:
    spans = prose.spans(table["random_low"], table["random_high"])
    made = (
        table_of("Fragility", with_intervals(fragility, "mean_drop"), FRAGILITY_TABLE),
        table_of("Recall curves", with_intervals(table, "recall").assign(range=spans), CURVE_TABLE),
    )
    return tuple(t for t in made if t.rows)


FRAGILITY_TABLE = (
    Column("class", "class", text),
    Column("examples", "support", COUNT),
    Column("clean recall", "recall"),
    Column("mean loss", "mean_drop"),
    Column("95% interval", "mean_drop_interval", text),
    Column("half lost by", "half_fraction", SHARE),
)
CURVE_TABLE = (
    Column("class", "class", text),
    Column("share", "fraction", SHARE),
    Column("recall", "recall"),
    Column("95% interval", "recall_interval", text),
    Column("random recall", "random_recall"),
    Column("band of one more draw", "range", text),
)
