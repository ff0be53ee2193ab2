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
    "The largest of several figures is quoted, so it is likely to be overestimated; the table has "
    "all of them.",
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
        answer=_answer(table) if len(table) else (EMPTY,),
        groups=groups,
        tables=_tables(table),
        reading=READING,
        limits=LIMITS,
    )


def _answer(table: pd.DataFrame) -> tuple[str, ...]:
    sentences = []
    for operator, name in SHOWN.items():
        rows = table[table["operator"] == operator]
        if not len(rows):
            continue
        best = saved.extreme(rows, "redirect_rate")
        sentences.append(
            f"{name}, {prose.percent(best['fraction'])} of every block sends "
            f"{prose.number(best['redirect_rate'])} "
            f"({prose.span(best['redirect_low'], best['redirect_high'])}) of the other examples to "
            f"{prose.quoted(best['target'])}; as many random neurons send "
            f"{prose.number(best['random_rate'])}."
        )
    return tuple(sentences)


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
