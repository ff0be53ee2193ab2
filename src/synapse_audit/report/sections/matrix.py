"""Class by class: whether the neurons ranked for one class break that class and no other.

Reads ``asymmetry.matrix`` and the summary.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.report import lookup, words
from synapse_audit.report.figures import MANY
from synapse_audit.report.heat import Heat, heat
from synapse_audit.report.parts import Figure, Group, Result, Section, Table
from synapse_audit.report.tables import SHARE, Column, table_of, text, with_intervals

COLUMNS = (
    "operator", "fraction", "ranked_for", "class", "value", "low", "high", "specificity",
    "specificity_low", "specificity_high", "p_value", "p_adjusted",
)  # fmt: skip
EMPTY = "This section is empty: no neurons were ranked per class (table asymmetry.matrix)."
READING = (
    "Rows: the class whose highest-ranked neurons are silenced. Columns: the class whose recall "
    "falls, beyond what random neurons of the same number cost. A model with a private place per "
    "class shows a strong diagonal and pale cells elsewhere.",
    "Specificity takes out of each cell how damaging its row is to all classes and how fragile its "
    "column is to all sets, so that a generally fragile class does not look specific.",
)
LIMITS = (
    "Sets ranked for different classes overlap, so rows are not independent.",
    "Specificity is relative to the classes of this model: it sums to zero over rows and columns.",
    "Where sets are taken across layers (preset paper), the random twins have as many neurons in "
    "each layer as the set for all classes, not as each class's own.",
)


def matrix(result: Result) -> Section:
    """Heat maps of excess recall drop and of specificity, significant cells marked."""
    table = lookup.frame(result, "asymmetry", "matrix", COLUMNS).dropna(subset=["value"])
    shown = _headline(result, table)
    tests = lookup.facts(result).tests
    return Section(
        label="Class by class",
        heading="Do neurons ranked for a class break that class?",
        answer=_answer(shown, tests) if len(shown) else (EMPTY,),
        groups=(_group(result, shown),) if len(shown) else (),
        tables=_tables(table),
        reading=(*READING, _dot(tests)),
        limits=LIMITS,
    )


def _headline(result: Result, table: pd.DataFrame) -> pd.DataFrame:
    """The mean operator at the fraction the summary states, or the one closest to it."""
    if not len(table):
        return table
    operators = lookup.in_order(table["operator"].tolist(), (lookup.HEADLINE_OPERATOR,))
    rows = lookup.rows(table, operator=operators[0])
    stated = lookup.estimate(result.summary, "asymmetry", "fraction").value
    wanted = stated if stated == stated else 0.5
    return lookup.rows(rows, fraction=lookup.nearest(rows["fraction"].tolist(), wanted))


def _dot(tests: bool) -> str:
    if tests:
        return f"A dot marks specificity with an adjusted p of at most {words.SIGNIFICANT}."
    return "No cell is marked: this preset reports no tests."


def _answer(rows: pd.DataFrame, tests: bool) -> tuple[str, ...]:
    own = rows[rows["ranked_for"] == rows["class"]]
    other = rows[rows["ranked_for"] != rows["class"]]
    start = (
        f"With the top {words.percent(rows['fraction'].iloc[0])} ranked for a class "
        f"{words.plain(rows['operator'].iloc[0])}-silenced, that class loses "
        f"{words.more(own['value'].mean())} recall than with random neurons, averaged over "
        f"classes; the other classes lose {words.more(other['value'].mean())}."
    )
    if not tests:
        return start, "No test is reported, because this preset has too few draws."
    hits = own[(own["p_adjusted"] <= words.SIGNIFICANT) & (own["specificity"] > 0)]
    if not len(hits):
        return (
            start,
            "No class is hit specifically by its own neurons, as far as the test can tell.",
        )
    names = words.some([words.quoted(name) for name in hits["class"]])
    return start, (
        f"For {len(hits)} of {words.plural(len(own), 'class', 'classes')} its own neurons hurt it "
        f"more than rows and columns explain: {names}."
    )


def _group(result: Result, rows: pd.DataFrame) -> Group:
    order = lookup.classes(result)
    names = [str(n) for n in lookup.in_order(rows["class"].astype(str).tolist(), order)]
    marked = _grid(rows.assign(hit=rows["p_adjusted"] <= words.SIGNIFICANT), "hit", names) > 0
    pair = (
        _map("Recall lost beyond random twins", rows, ("value", names), None),
        _map("Specificity", rows, ("specificity", names), marked),
    )
    return Group("", pair, columns=2 if len(names) <= MANY else 1)


def _grid(rows: pd.DataFrame, column: str, names: list[str]) -> np.ndarray:
    grid = rows.assign(cell=rows[column].astype(float)).pivot_table(
        index="ranked_for", columns="class", values="cell", aggfunc="first"
    )
    return grid.reindex(index=names, columns=names).to_numpy(dtype=float)


def _map(
    title: str, rows: pd.DataFrame, wanted: tuple[str, list[str]], marked: np.ndarray | None
) -> Figure:
    column, names = wanted
    grid = _grid(rows, column, names)
    diagonal = ", ".join(
        f"{words.short(n)} {words.number(v)}" for n, v in zip(names, np.diag(grid), strict=True)
    )
    cells = Heat(
        names,
        names,
        grid.tolist(),
        "class that loses recall",
        "neurons ranked for",
        marked=marked.tolist() if marked is not None else (),
        diverging=True,
    )
    return heat(title, cells, alt=f"{title}, class by class. On the diagonal: {diagonal}.")


def _tables(table: pd.DataFrame) -> tuple[Table, ...]:
    bounds = words.spans(table["low"], table["high"])
    shown = with_intervals(table.assign(bounds=bounds), "specificity")
    made = table_of("Class by class", shown, MATRIX_TABLE)
    return (made,) if made.rows else ()


MATRIX_TABLE = (
    Column("operator", "operator", text),
    Column("share", "fraction", SHARE),
    Column("ranked for", "ranked_for", text),
    Column("class", "class", text),
    Column("excess drop", "value"),
    Column("95% interval", "bounds", text),
    Column("specificity", "specificity"),
    Column("95% interval", "specificity_interval", text),
    Column("p", "p_value", words.p_value),
    Column("p adjusted", "p_adjusted", words.p_value),
)
