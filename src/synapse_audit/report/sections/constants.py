"""Load-bearing constants: neurons whose average is needed although they say nothing.

Reads ``redundancy.constants``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Result, Section, Table
from synapse_audit.report.kit.figures import Line, dots, legend
from synapse_audit.report.kit.tables import Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, TOP, Style
from synapse_audit.tables.redundancy import CONSTANTS

SHOWN = 16
EMPTY = "This section is empty: the run tested no single neuron (table redundancy.constants)."
NO_CANDIDATE = (
    "This section is empty: no neuron of this model looked like a constant (large mean, small "
    "spread), so none was silenced alone."
)
READING = (
    "A load-bearing constant is a neuron with a large, nearly constant value. Setting it to 0 "
    "hurts; holding it at its average does not. It carries no information about the input, but "
    "later layers rely on its level.",
    "Each row is one neuron silenced alone, written layer:site:index as --neurons takes it. Where "
    "the two markers lie apart, zeroing measures a shifted constant, not lost information.",
)
LIMITS = (
    "Only candidates (large mean, small spread) are tried, one at a time; constants that bear load "
    "together are missed.",
)


def constants(result: Result) -> Section:
    """Zero against mean for every candidate neuron."""
    table = saved.frame(result, CONSTANTS)
    table = saved.addressed(table.dropna(subset=["zero_drop"]))
    table = table.sort_values("zero_drop", ascending=False)
    return Section(
        label="Load-bearing constants",
        heading="Which neurons act as constants?",
        answer=_answer(table) if len(table) else (_why_empty(result),),
        groups=(_group(table.head(SHOWN)),) if len(table) else (),
        tables=_tables(table),
        reading=READING,
        limits=LIMITS,
    )


def _why_empty(result: Result) -> str:
    if saved.dig(result.findings, "redundancy", "constants") is None:
        return EMPTY
    return NO_CANDIDATE


def _answer(table: pd.DataFrame) -> tuple[str, ...]:
    bearing = table[table["load_bearing"].fillna(False).astype(bool)]
    worst = table.iloc[0]
    if not len(bearing):
        return (
            f"None of {prose.plural(len(table), 'candidate')} is shown to bear load: with "
            f"{prose.plain(worst['address'])} set to 0, which costs most of them, accuracy "
            f"{prose.falls(worst['zero_drop'])}.",
        )
    found = (
        f"{prose.plural(len(bearing), 'load-bearing constant was', 'load-bearing constants were')} "
        f"found among {prose.plural(len(table), 'candidate')}."
    )
    detail = (
        f"With neuron {prose.plain(worst['address'])} set to 0 accuracy "
        f"{prose.falls(worst['zero_drop'], worst['zero_low'], worst['zero_high'])}; with the "
        f"neuron held at its mean of {prose.number(worst['mean'], 2)} (spread "
        f"{prose.number(worst['spread'], 2)}) it "
        f"{prose.falls(worst['mean_drop'], worst['mean_low'], worst['mean_high'])}."
    )
    return found, detail


def _group(table: pd.DataFrame) -> Group:
    names = [prose.plain(address) for address in table["address"]]
    series = [
        _series("set to 0", TOP, table, "zero"),
        _series("held at its mean", BOTTOM, table, "mean"),
    ]
    alt = (
        f"Accuracy lost by zeroing one neuron: {prose.figures(names, series[0].y)}. "
        f"By holding it at its mean: {prose.figures(names, series[1].y)}."
    )
    figure = dots("One neuron at a time", names, series, x_title="accuracy lost", alt=alt)
    return Group("", (figure,), legend([series]), columns=1)


def _series(name: str, style: Style, table: pd.DataFrame, column: str) -> Line:
    drop, low, high = (table[f"{column}_{part}"].tolist() for part in ("drop", "low", "high"))
    return Line(name, style._replace(dash="none"), list(range(len(table))), drop, low, high)


def _tables(table: pd.DataFrame) -> tuple[Table, ...]:
    bearing = table["load_bearing"].map({True: "yes", False: "no"})
    shown = with_intervals(table, "zero", "mean").assign(bearing=bearing)
    made = table_of("Candidate constants", shown, CONSTANT_TABLE)
    return (made,) if made.rows else ()


CONSTANT_TABLE = (
    Column("neuron", "address", text),
    Column("mean", "mean"),
    Column("spread", "spread"),
    Column("drop, zero", "zero_drop"),
    Column("95% interval", "zero_interval", text),
    Column("drop, mean", "mean_drop"),
    Column("95% interval", "mean_interval", text),
    Column("load-bearing", "bearing", text),
)
