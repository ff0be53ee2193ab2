"""Class by class: whether the neurons ranked for one class break that class and no other.

Reads ``asymmetry.matrix`` and the summary.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import MANY
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.tables import SHARE, Column, table_of, text, with_intervals
from synapse_audit.tables.asymmetry import MATRIX

EMPTY = "This section is empty: no neurons were ranked per class (table asymmetry.matrix)."
READING = (
    "Rows: the class whose highest-ranked neurons are silenced. Columns: the class whose recall "
    "falls, beyond what random neurons of the same number cost. A model that keeps each class in "
    "neurons of its own shows a strong diagonal and pale cells elsewhere.",
    "Specificity takes out of each cell how damaging its row is to all classes and how fragile its "
    "column is to all sets, so that a generally fragile class does not look specific.",
)
LIMITS = (
    "Sets ranked for different classes overlap, so rows are not independent.",
    "Specificity is relative to the classes of this model: it sums to zero over rows and columns.",
    "Where sets are taken across layers (preset paper), the random controls have as many neurons "
    "in "
    "each layer as the set for all classes, not as each class's own.",
)


def matrix(result: Result) -> Section:
    """Heat maps of excess recall drop and of specificity, significant cells marked."""
    table = saved.frame(result, MATRIX).dropna(subset=["value"])
    shown = _headline(result, table)
    tests = saved.facts(result).tests
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
    operators = saved.in_order(table["operator"].tolist(), (saved.HEADLINE_OPERATOR,))
    rows = saved.rows(table, operator=operators[0])
    stated = saved.estimate(result.summary, "asymmetry", "fraction").value
    wanted = stated if stated == stated else 0.5
    return saved.rows(rows, fraction=saved.nearest(rows["fraction"].tolist(), wanted))


def _dot(tests: bool) -> str:
    if tests:
        return f"A dot marks specificity with an adjusted p of at most {prose.SIGNIFICANT}."
    return "No cell is marked: this preset reports no tests."


def _answer(rows: pd.DataFrame, tests: bool) -> tuple[str, ...]:
    own = rows[rows["ranked_for"] == rows["class"]]
    other = rows[rows["ranked_for"] != rows["class"]]
    start = (
        f"With the top {prose.percent(rows['fraction'].iloc[0])} ranked for a class "
        f"{prose.plain(rows['operator'].iloc[0])}-silenced, that class loses "
        f"{prose.more(own['value'].mean())} recall than with random neurons, averaged over "
        f"classes; the other classes lose {prose.more(other['value'].mean())}."
    )
    if not tests:
        return start, "No test is reported, because this preset has too few draws."
    hits = own[(own["p_adjusted"] <= prose.SIGNIFICANT) & (own["specificity"] > 0)]
    if not len(hits):
        return (
            start,
            "No class is hit specifically by its own neurons, as far as the test can tell.",
        )
    names = prose.some([prose.quoted(name) for name in hits["class"]])
    return start, (
        f"For {len(hits)} of {prose.plural(len(own), 'class', 'classes')} silencing its own "
        f"neurons hurts it more than row and column explain: {names}."
    )


def _group(result: Result, rows: pd.DataFrame) -> Group:
    order = saved.classes(result)
    names = [str(n) for n in saved.in_order(rows["class"].astype(str).tolist(), order)]
    marked = _grid(rows.assign(hit=rows["p_adjusted"] <= prose.SIGNIFICANT), "hit", names) > 0
    pair = (
        _map("Recall lost beyond random controls", rows, ("value", names), None),
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
) -> Plot:
    column, names = wanted
    grid = _grid(rows, column, names)
    diagonal = ", ".join(
        f"{prose.short(n)} {prose.number(v)}" for n, v in zip(names, np.diag(grid), strict=True)
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
    bounds = prose.spans(table["low"], table["high"])
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
    Column("p", "p_value", prose.p_value),
    Column("p adjusted", "p_adjusted", prose.p_value),
)
