"""Slices: whether the model is as good on every part of the data.

Reads ``slices.slices``, ``slices.recalls`` and the summary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import Line, dots
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import TOP
from synapse_audit.tables.slices import RECALLS, SLICES

DRAWN = 30
"""Slices of a column that a figure shows, the least accurate ones."""
EMPTY = "This section is empty: no slice column was named (--slice-columns COLUMN,COLUMN)."
READING = (
    "A slice is all examples with one value in a column that was named beforehand, such as a "
    "language or a site. Its interval is that of the slice by itself.",
    "Differences are accuracy on the slice minus accuracy on all other examples; their intervals "
    "hold for all slices at once, so that one slice of many is not called worse by luck.",
    "Fragility is the accuracy that a slice loses, averaged over the shares of neurons silenced on "
    "the headline curve.",
)
LIMITS = (
    "A difference says that the slice is harder for this model, not why: its classes, its inputs "
    "or its labels may differ.",
    "The calibration error of few examples is large by chance: compare it with the level for "
    "chance beside it, not with other slices.",
    "Slices with too few examples are listed without figures, so the worst of a column "
    "is the worst of those that could be judged.",
)


def slices(result: Result) -> Section:
    """Accuracy and fragility of every slice, the worst of each column, recalls."""
    table = saved.frame(result, SLICES)
    judged = table.dropna(subset=["accuracy"])
    panels = [panel for column in dict.fromkeys(table["column"]) for panel in _panels(
        str(column), saved.rows(judged, column=column))]  # fmt: skip
    return Section(
        label="Slices",
        heading="Is it as good on every part of the data?",
        answer=_answer(result, table, judged) if len(table) else (EMPTY,),
        groups=(Group("", tuple(panels)),) if panels else (),
        tables=_tables(result, table),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _answer(result: Result, table: pd.DataFrame, judged: pd.DataFrame) -> tuple[str, ...]:
    said = [_apart(judged)] if len(judged) else []
    said += [_worst(result, str(column)) for column in dict.fromkeys(table["column"])]
    few = table[table["accuracy"].isna()]
    if len(few):
        named = [f"{_name(row)} ({prose.plain(row['reason'])})" for row in few.to_dict("records")]
        said.append(f"Too few examples: {'; '.join(named[:8])}{_rest(named, 8)}.")
    return tuple(said)


def _rest(names: list[str], most: int) -> str:
    return f" and {len(names) - most} more" if len(names) > most else ""


def _name(row: Mapping[Any, Any]) -> str:
    return f"{prose.short(row['column'], 40)} {prose.quoted(row['value'])}"


def _apart(judged: pd.DataFrame) -> str:
    """Which slices differ from all other examples, for all slices at once."""
    known = judged.dropna(subset=["difference"])
    many = prose.plural(len(known), "slice")
    below, above = known[known["difference_high"] < 0], known[known["difference_low"] > 0]
    parts = [
        f"{prose.some([_shift(row) for row in rows.to_dict('records')], 6)}"
        for rows in (below.sort_values("difference"), above.sort_values("difference")[::-1])
        if len(rows)
    ]
    if parts:
        return f"Differ from the other examples beyond chance, corrected over {many}: " + (
            f"{'; '.join(parts)}."
        )
    if known.empty:
        return "No slice can be compared: each holds all examples."
    halves = (known["difference_high"] - known["difference_low"]) / 2
    return (
        f"No slice's accuracy differs from that of the other examples beyond chance (corrected "
        f"over {many}); differences below {prose.number(halves.min(), 2)} to "
        f"{prose.number(halves.max(), 2)}, by slice, would not be seen."
    )


def _shift(row: Mapping[Any, Any]) -> str:
    fall = prose.falls(*(-prose.as_float(row[f"difference{end}"]) for end in ("", "_high", "_low")))
    verb = fall.replace("falls by", "is lower by").replace("rises by", "is higher by")
    return f"accuracy of {_name(row)} {verb}"


def _worst(result: Result, column: str) -> str:
    found = saved.estimate(result.summary, "worst_slice", column, "accuracy")
    gap = saved.estimate(result.summary, "worst_slice", column, "gap")
    name = prose.short(column, 40)
    if not found.known:
        return f"Which value of {name} is worst is unknown: {found.reason or 'see the table'}."
    between = (
        f"; best and worst differ by {prose.with_interval(gap)}, whichever they are"
        if gap.bounded
        else ""
    )
    lowest = f"lowest accuracy {prose.with_interval(found)}{between}"
    if found.beside.get("slice") is not None:
        return f"Worst value of {name}: {prose.quoted(found.beside['slice'])}, {lowest}."
    tied = [prose.quoted(value) for value in found.beside.get("tied", ())]
    return (
        f"Which value of {name} is worst is not shown: {prose.some(tied)} cannot be "
        f"distinguished ({lowest})."
    )


# ---- figures and tables --------------------------------------------------------------------------


def _panels(column: str, rows: pd.DataFrame) -> list[Plot]:
    """Accuracy and fragility of one column's slices, least accurate first."""
    rows = rows.sort_values("accuracy", kind="stable").head(DRAWN)
    made = []
    for measure in ("accuracy", "fragility"):
        if len(rows) and rows[measure].notna().all():
            made.append(_panel(column, measure, rows))
    return made


def _panel(column: str, measure: str, rows: pd.DataFrame) -> Plot:
    names = [str(value) for value in rows["value"]]
    ends = (rows[f"{measure}_low"].tolist(), rows[f"{measure}_high"].tolist())
    series = Line(measure, TOP, list(range(len(names))), rows[measure].tolist(), *ends)
    title = f"{measure.capitalize()} by {prose.short(column, 40)}"
    alt = f"{title}: {prose.figures(names, series.y)}"
    return dots(title, names, [series], x_title=measure, alt=alt)


def _tables(result: Result, table: pd.DataFrame) -> tuple[Table, ...]:
    recalls = saved.frame(result, RECALLS)
    intervals = ("accuracy", "difference", "fragility", "ece", "overconfidence")
    shown = with_intervals(table.assign(reason=table["reason"].replace("", None)), *intervals)
    made = (
        table_of("Slices", shown, SLICE_TABLE),
        table_of("Recall of each class in each slice", with_intervals(recalls, "recall"), BY_CLASS),
    )
    return tuple(one for one in made if one.rows)


SLICE_TABLE = (
    *(Column("column", "column", text), Column("value", "value", text)),
    *(Column("examples", "n", COUNT), Column("groups", "groups", COUNT)),
    *(Column("accuracy", "accuracy"), Column("95% interval", "accuracy_interval", text)),
    Column("minus other examples", "difference"),
    Column("joint interval", "difference_interval", text),
    *(Column("fragility", "fragility"), Column("95% interval", "fragility_interval", text)),
    *(Column("ECE", "ece"), Column("95% interval", "ece_interval", text)),
    Column("chance", "chance_ece"),
    Column("confidence − accuracy", "overconfidence"),
    Column("95% interval", "overconfidence_interval", text),
    Column("why nothing is said", "reason", text),
)
BY_CLASS = (
    *(Column("column", "column", text), Column("value", "value", text)),
    *(Column("class", "class", text), Column("examples", "support", COUNT)),
    *(Column("recall", "recall"), Column("95% interval", "recall_interval", text)),
)
