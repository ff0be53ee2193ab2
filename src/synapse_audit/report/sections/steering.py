"""Steering: neurons moved toward a class, and how many examples follow.

Reads ``sites.steering``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import SHARE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.tables import SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import RANDOM, SERIES
from synapse_audit.tables.sites import STEERING

SHOWN = {
    "class_mean": "Set to the class's average",
    "translate": "Shifted by the class's distance from the average",
    "patch": "Set to the values of one input of the class",
}
RATE = Columns("fraction", "redirect_rate", "redirect_low", "redirect_high")
RANDOM_CONTROL = Columns("fraction", "random_rate")
MOST = 6
"""Targets drawn at most; the table has all."""
EMPTY = (
    "This section is empty: the run moved no neurons toward a class (grid: other_operators with "
    "class_mean, translate or patch)."
)
NO_FIGURE = "The easiest class is not in the summary of this run; the table has every rate."
READING = (
    "A share of every block's neurons, those ranked highest for a class, is moved toward that "
    "class at the pooled position. Redirected are the examples that were predicted as another "
    "class and are now predicted as this one.",
    "The dashed line moves as many random neurons in the same way. Where it lies as high, the "
    "ranking did not matter: any neurons would do.",
)
LIMITS = (
    "Steering neurons needs access to the running model; the head's weights and the logits "
    "are easier to reach.",
    "Rates say nothing of how natural the moved states are: layers above may never have seen them.",
    "The largest of several rates is quoted, so it leans upward; its interval holds for all "
    "classes and shares at once. The table has all of them, each with its own.",
)


def steering(result: Result) -> Section:
    """Redirect rate over the share of neurons moved, per class, beside random neurons."""
    table = saved.frame(result, STEERING).dropna(subset=["redirect_rate"])
    swept = [operator for operator in SHOWN if (table["operator"] == operator).any()]
    figures = [_figure(table, operator) for operator in swept]
    groups = tuple(Group("", (figure,), legend([lines]), columns=1) for figure, lines in figures)
    return Section(
        label="Steering neurons",
        heading="Can neurons be steered to a class?",
        answer=_answer(result, table) if len(table) else (EMPTY,),
        groups=groups,
        tables=_tables(table),
        reading=READING,
        limits=LIMITS,
    )


def _answer(result: Result, table: pd.DataFrame) -> tuple[str, ...]:
    swept = [operator for operator in SHOWN if (table["operator"] == operator).any()]
    return tuple(filter(None, (_easiest(result, operator) for operator in swept))) or (NO_FIGURE,)


def _easiest(result: Result, operator: str) -> str:
    """The most that any class draws; it is named where it differs from the others."""
    found = saved.estimate(result.summary, "steering", operator, "redirect")
    if not found.known:
        return ""
    target, fraction, random = (
        saved.dig(result.summary, "steering", operator, name)
        for name in ("target", "fraction", "random")
    )
    tied = [prose.quoted(name) for name in found.beside.get("tied") or ()]
    to = prose.quoted(target) if target else f"one class ({prose.some(tied)} are indistinguishable)"
    drawn = saved.estimate(random)
    beside = f"; as many random neurons send {prose.number(drawn.value)}" if drawn.known else ""
    return (
        f"{SHOWN[operator]}, {prose.percent(fraction)} of every block sends at most "
        f"{prose.with_interval(found)} of the other examples to {to}{beside}."
    )


def _figure(table: pd.DataFrame, operator: str) -> tuple[Plot, list[Line]]:
    rows = table[table["operator"] == operator].sort_values("fraction")
    lines, parts = [], []
    for style, target in zip(SERIES, rows["target"].unique()[:MOST], strict=False):
        mine = rows[rows["target"] == target]
        lines.append(line(prose.short(target), style, mine, RATE))
        rates = prose.figures(mine["fraction"], mine["redirect_rate"])
        parts.append(f"{prose.plain(target)}: {rates}")
    mean = rows.groupby("fraction")[["random_rate"]].mean().reset_index()
    lines.append(line("random neurons, all classes", RANDOM, mean, RANDOM_CONTROL))
    axes = Axes("share of every block moved", "share redirected", SHARE_AXIS, SHARE_AXIS)
    alt = f"{SHOWN[operator]}: share redirected by share moved. {'; '.join(parts)}."
    return curves(SHOWN[operator], lines, axes, alt=alt), lines


def _tables(table: pd.DataFrame) -> tuple[Table, ...]:
    shown = with_intervals(table, "redirect", "collateral", "random")
    made = table_of("Neurons moved toward a class", shown, TABLE)
    return (made,) if made.rows else ()


TABLE = (
    Column("operator", "operator", text),
    Column("target", "target", text),
    Column("share moved", "fraction", SHARE),
    Column("redirected", "redirect_rate"),
    Column("95% interval", "redirect_interval", text),
    Column("collateral", "collateral"),
    Column("95% interval", "collateral_interval", text),
    Column("random neurons", "random_rate"),
    Column("band of one more draw", "random_interval", text),
)
