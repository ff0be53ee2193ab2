"""Which shape of edit redirects most: several rows, L-infinity, few weights, rows, the paper's.

Reads ``faults.pushes``, ``faults.rows`` and, beside them, the plain push of
``vulnerability.budgets``.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import RANDOM, SERIES
from synapse_audit.report.quoted.easiest_target import edits, targets
from synapse_audit.tables.faults import HEAD_ROWS, SHAPED_PUSHES

NAMES = {
    "push": "target row",
    "balanced": "balanced over rows",
    "universal": "found by search",
    "rival": "target against rival",
    "linf": "equal steps",
    "sparse": "few weights",
}
STYLES = dict(zip(NAMES, SERIES, strict=False))
RATE = Columns("budget", "redirect", "redirect_low", "redirect_high")
ENOUGH = 0.5
NONE = 0.005
"""Redirect rates below it are none to the reader."""
PANELS = 3
EMPTY = "This section is empty: the run tried no shape of edit but the plain push (faults.pushes)."
READING = (
    "All edits change the head's last layer and are compared by their length (L2) relative to the "
    "head's weights, on the same share of ranked columns. The target row: only that row moves. "
    "Balanced: all other rows move the other way. Against rival: only the strongest rival's row "
    "does. Equal steps: every weight of the row moves by the same amount (L-infinity). Few "
    "weights: single weights move by as much as the head's largest one.",
    "Exchanging the rows of two classes exchanges their names: it redirects everything and is easy "
    "to see in the weights' labels, so it stands in a table only.",
)
LIMITS = (
    "One fixed direction each, not an optimised attack; ceilings are in the section on redirecting "
    "edits.",
    "The paper's settings are absolute sizes: what they do depends on the scale of the head's "
    "weights. Where it gives a rival's factor alone, it is read as a further loss of that share.",
)


def pushes(result: Result) -> Section:
    """Redirect rate by shape at equal length, beside random columns."""
    table = saved.frame(result, SHAPED_PUSHES).dropna(subset=["redirect", "budget"])
    rows = saved.frame(result, HEAD_ROWS).dropna(subset=["drop"])
    shapes = table[table["operator"].isin(NAMES)]
    order = _order(result, shapes)
    every = pd.concat([_plain(result, shapes), shapes], ignore_index=True)
    group = _group(every, order[:PANELS])
    answer = [*_reach(every), *_paper(result), *_rows(rows)]
    return Section(
        label="Shapes of edit",
        heading="Which shape of edit redirects most?",
        answer=tuple(answer or [EMPTY]),
        groups=(group,) if group.figures else (),
        tables=_tables(table, rows),
        reading=READING,
        limits=LIMITS,
    )


def _order(result: Result, shapes: pd.DataFrame) -> list[str]:
    """The easiest targets of the plain push first, where it was run."""
    known = [str(name) for name in dict.fromkeys(shapes["target"].dropna())]
    return [str(name) for name in saved.in_order(known, targets(edits(result)))]


def _plain(result: Result, shapes: pd.DataFrame) -> pd.DataFrame:
    """The plain push at the same share of columns, under this table's names."""
    found = edits(result)
    found = found[(found["space"] == "weight") & found["columns"].isin(shapes["columns"])]
    renamed = found.rename(columns={"redirect_rate": "redirect"})
    return saved.columns_of(renamed.assign(operator="push", selection="top"), SHAPED_PUSHES.names)


# ---- sentences -----------------------------------------------------------------------------------


def _reach(table: pd.DataFrame) -> Iterator[str]:
    """Smallest length at which each shape redirects half, to the target easiest for it."""
    said = []
    for operator, name in NAMES.items():
        rows = saved.rows(table, operator=operator, selection="top")
        if not len(rows):
            continue
        enough = rows[rows["redirect"] >= ENOUGH]
        if len(enough):
            least = saved.extreme(enough, "budget", largest=False)
            said.append(
                f"{name} {prose.percent(least['budget'])} ({prose.quoted(least['target'])})"
            )
        else:
            said.append(f"{name} nowhere up to {prose.percent(rows['budget'].max())}")
    if said:
        yield (
            "Length of the smallest edit tried that redirects half of the examples in this sample, "
            f"to the target that is easiest for it: {prose.listing(said)}."
        )


def _paper(result: Result) -> Iterator[str]:
    """The paper's setting that redirects most; its interval is that of all settings at once."""
    found = saved.estimate(result.summary, "faults", "paper_push")
    if not found.known:
        return
    if found.value < NONE:
        yield (
            "None of the SYNAPSE paper's settings redirects anything here (at most "
            f"{prose.with_interval(found)}): their sizes are absolute."
        )
        return
    yield (
        f"Of the SYNAPSE paper's settings, {prose.plain(found.beside.get('setting'))} redirects "
        f"most: {prose.with_interval(found)} to {prose.quoted(found.beside.get('target'))}, with a "
        f"length of {prose.percent(found.beside.get('budget'))}."
    )


def _rows(rows: pd.DataFrame) -> Iterator[str]:
    scaled = saved.rows(rows, operator="row_scale")
    grown = scaled[scaled["factor"] > 1]
    if len(grown):
        best = saved.extreme(grown, "redirect")
        yield (
            "Of the factors by which one class's row was multiplied, "
            f"{prose.number(best['factor'], 0)} for {prose.quoted(best['target'])} redirects most: "
            f"{prose.number(best['redirect'])}, the largest of {len(grown)}."
        )


# ---- figures and tables --------------------------------------------------------------------------


def _group(table: pd.DataFrame, order: list[str]) -> Group:
    panels = {name: _lines(saved.rows(table, target=name)) for name in order}
    panels = {name: lines for name, lines in panels.items() if lines}
    figures = tuple(_panel(name, lines) for name, lines in panels.items())
    return Group("The easiest targets", figures, legend(list(panels.values())), columns=3)


def _lines(rows: pd.DataFrame) -> list[Line]:
    found = []
    for operator, name in NAMES.items():
        mine = saved.rows(rows, operator=operator, selection="top")
        # At one share of columns only: a line over two would jump.
        mine = mine[mine["columns"].isna() | (mine["columns"] == mine["columns"].max())]
        if len(mine):
            found.append(line(name, STYLES[operator], mine[mine["budget"] > 0], RATE))
    random_control = saved.rows(rows, operator="balanced", selection="random")
    if len(random_control):
        found.append(
            line(
                "balanced, random columns",
                RANDOM,
                random_control[random_control["budget"] > 0],
                RATE,
            )
        )
    return [one for one in found if len(one.y)]


def _panel(target: str, lines: list[Line]) -> Plot:
    ticks = {"tickvals": [0.01, 0.1, 1], "ticktext": ["1%", "10%", "100%"]}
    axes = Axes("length of the edit (log)", "redirect rate", {"type": "log", **ticks}, RATE_AXIS)
    said = prose.figures([one.name for one in lines], [np.max(one.y) for one in lines])
    alt = f"Largest redirect rate to {prose.quoted(target)}: {said}."
    return curves(f"to {prose.short(target, 40)}", lines, axes, alt=alt)


def _tables(table: pd.DataFrame, rows: pd.DataFrame) -> tuple[Table, ...]:
    made = (
        table_of("Shaped edits", with_intervals(table, "redirect", "collateral"), PUSH_TABLE),
        table_of("Rows", with_intervals(rows, "redirect", "drop"), ROW_TABLE),
    )
    return tuple(one for one in made if one.rows)


PUSH_TABLE = (
    Column("edit", "operator", text),
    Column("setting", "setting", text),
    Column("target", "target", text),
    Column("columns", "columns", SHARE),
    Column("chosen", "selection", text),
    Column("size", "size"),
    Column("length", "budget", SHARE),
    Column("largest change", "budget_linf"),
    Column("weights", "n_changed", COUNT),
    Column("redirect rate", "redirect"),
    Column("interval or range", "redirect_interval", text),
    Column("collateral", "collateral"),
    Column("interval or range", "collateral_interval", text),
)
ROW_TABLE = (
    Column("edit", "operator", text),
    Column("from", "source", text),
    Column("to", "target", text),
    Column("factor", "factor"),
    Column("redirect rate", "redirect"),
    Column("95% interval", "redirect_interval", text),
    Column("accuracy lost", "drop"),
    Column("95% interval", "drop_interval", text),
)
