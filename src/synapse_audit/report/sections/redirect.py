"""How small an edit of the head redirects the model to one class.

Reads ``vulnerability.budgets`` and ``vulnerability.floor``.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.tables import SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, BOUND, MATCHED, RANDOM, REFERENCE, TOP, Style
from synapse_audit.report.quoted.easiest_target import edits, first_budget, targets
from synapse_audit.summary import Figure
from synapse_audit.tables.vulnerability import BUDGETS, CEILING

RATE = Columns("budget", "redirect_rate", "redirect_low", "redirect_high")
PANELS = 6
CEILINGS = (
    ("ceiling, target row edited", BOUND, "bound"),
    ("ceiling, any row edited", REFERENCE._replace(color="@ink"), "bound_all_rows"),
)
NOTE = (
    "Budget: length of the edit as a share of the length of the head's weights. Each cell shows "
    "the best share of columns."
)
EMPTY = "This section is empty: the run tried no edit of the head (table vulnerability.budgets)."
READING = (
    "Every edit adds one fixed change to the head's weights; the budget is its length relative to "
    "the weights themselves (0.1 = one tenth). The redirect rate is the share of examples not "
    "predicted as the target before that are predicted as the target after.",
    "The lines without markers are ceilings: no single edit within that budget can possibly "
    "redirect a larger share of these examples; dashed when only the target's row and bias may "
    "change, dotted when every row may.",
    "Random columns are the control: the same budget on input columns drawn at random.",
)
LIMITS = (
    "The edits are simple pushes, not optimised attacks; the gap up to the ceiling is open.",
    "Only the head is edited. Edits further down could need less.",
)


def redirect(result: Result) -> Section:
    """Redirect rate over budget, per target, beside random columns, bias and ceiling."""
    table = edits(result)
    floor = saved.frame(result, CEILING).dropna(subset=["bound"])
    measured = floor[floor["budget"].isin(table["budget"])]
    order = targets(table)
    groups = (_overview(result, table), _panels(table, floor, order[:PANELS]))
    return Section(
        label="Redirecting edits",
        heading="How small an edit of the head redirects it?",
        answer=_answer(result, table, order) if len(table) else (EMPTY,),
        groups=tuple(g for g in groups if g.figures),
        tables=_tables(saved.frame(result, BUDGETS), measured),
        reading=READING,
        limits=LIMITS,
    )


def _answer(result: Result, table: pd.DataFrame, order: list[str]) -> tuple[str, ...]:
    start = _smallest(saved.estimate(result.summary, "head_edit"))
    reached = [t for t in order if first_budget(table, t) is not None]
    many = (
        f"{len(reached)} of {prose.plural(len(order), 'target')} can be reached for at least half "
    )
    return start, many + "of the examples within the budgets tried." + _against_random(
        table, order[0]
    )


def _smallest(found: Figure) -> str:
    """The smallest edit that was found, and the smallest that surely redirects half."""
    if not found.known:
        return "No edit tried redirects half of the examples to any class."
    names = prose.some([prose.quoted(name) for name in found.beside.get("targets") or ()])
    rate = saved.estimate(found.beside, "rate")
    # The edit was picked by its size and rate: the interval is that of every edit tried.
    most = f", at most {prose.with_interval(rate)} of them" if rate.known else ""
    sure = (
        f"An edit of {prose.percent(found.high)} surely redirects half"
        if not math.isnan(found.high)
        else "No edit tried is shown to redirect half"
    )
    tried = prose.plural(int(found.beside.get("tried") or 0), "edit")
    return (
        f"The smallest edit found that redirects half of the other examples has "
        f"{prose.percent(found.value)} of the head's weight norm (to {names}{most}). {sure} of "
        f"such examples, whichever of the {tried} tried is looked at."
    )


def _against_random(table: pd.DataFrame, target: str) -> str:
    rows = saved.rows(table, target=target)
    ranked, random_control = (
        _one_share(saved.rows(rows, space="weight")),
        saved.rows(rows, space="random"),
    )
    random_control = random_control[random_control["columns"].isin(ranked["columns"])]
    both = ranked.merge(random_control, on="budget", suffixes=("", "_random_control"))
    if not len(both):
        return ""
    both = both.assign(apart=(both["redirect_rate"] - both["redirect_rate_random_control"]).abs())
    apart = saved.extreme(both, "apart")
    return (
        f" With {prose.percent(apart['columns'])} of the columns, ranked columns redirect "
        f"{prose.number(apart['redirect_rate'])} and random ones "
        f"{prose.number(apart['redirect_rate_random_control'])} at a budget of "
        f"{prose.percent(apart['budget'])}, where they differ most."
    )


def _one_share(rows: pd.DataFrame) -> pd.DataFrame:
    """The largest share of columns short of all, where a random choice still means something."""
    partial = rows[rows["columns"] < 1]
    return rows if not len(partial) else partial[partial["columns"] == partial["columns"].max()]


def _overview(result: Result, table: pd.DataFrame) -> Group:
    rows = saved.rows(table, space="weight")
    best = rows.groupby(["target", "budget"])["redirect_rate"].max().unstack()
    if best.empty:
        return Group("", ())
    names = [str(n) for n in saved.in_order(list(best.index), saved.classes(result))]
    values = best.reindex(index=names).to_numpy(dtype=float)
    budgets = [prose.percent(b) for b in best.columns]
    cells = Heat(budgets, names, values.tolist(), "budget", "target", limit=1.0)
    alt = f"Largest redirect rate: {prose.figures(names, np.nanmax(values, axis=1))}."
    figure = heat("Redirect rate by target and budget", cells, alt=alt)
    return Group("", (figure,), note=NOTE, columns=1)


def _panels(table: pd.DataFrame, floor: pd.DataFrame, order: list[str]) -> Group:
    panels = {t: _lines(saved.rows(table, target=t), saved.rows(floor, target=t)) for t in order}
    panels = {t: lines for t, lines in panels.items() if lines}
    figures = tuple(_panel(t, lines) for t, lines in panels.items())
    title = "Per target" if len(order) < PANELS else f"The {PANELS} easiest targets"
    return Group(title, figures, legend(list(panels.values())), columns=3)


def _lines(rows: pd.DataFrame, floor: pd.DataFrame) -> list[Line]:
    weight = saved.rows(rows, space="weight")
    partial, whole = _one_share(weight), weight[weight["columns"] >= 1]
    random_control = saved.rows(rows, space="random")
    random_control = random_control[random_control["columns"].isin(partial["columns"])]
    wanted: list[tuple[str, Style, pd.DataFrame]] = [
        ("bias only", MATCHED, saved.rows(rows, space="bias")),
        (f"random columns{_share(partial)}", RANDOM, random_control),
        (f"ranked columns{_share(partial)}", TOP, partial),
        ("all columns", BOTTOM, whole if len(whole) < len(weight) else weight.head(0)),
    ]
    lines = [line(name, style, data, RATE) for name, style, data in wanted if len(data)]
    shown = floor[floor["budget"] >= rows["budget"].min()]
    for name, style, column in CEILINGS:
        if shown[column].notna().any():
            lines.append(line(name, style, shown, Columns("budget", column)))
    return lines


def _share(rows: pd.DataFrame) -> str:
    return f" ({prose.percent(rows['columns'].iloc[0])})" if rows["columns"].notna().any() else ""


def _panel(target: str, lines: list[Line]) -> Plot:
    values = ", ".join(f"{one.name} {prose.number(one.y[-1])}" for one in lines if len(one.y))
    ticks = {"tickvals": [0.01, 0.03, 0.1, 0.3, 1], "ticktext": ["1%", "3%", "10%", "30%", "100%"]}
    axes = Axes("budget (log)", "redirect rate", {"type": "log", **ticks}, RATE_AXIS)
    alt = f"Redirect rate to {prose.quoted(target)} at the largest budget: {values}."
    return curves(f"to {prose.short(target, 40)}", lines, axes, alt=alt)


def _tables(table: pd.DataFrame, floor: pd.DataFrame) -> tuple[Table, ...]:
    made = (
        table_of("Edits", with_intervals(table, "redirect", "collateral"), EDIT_TABLE),
        table_of("Ceilings", floor, FLOOR_TABLE),
    )
    return tuple(t for t in made if t.rows)


EDIT_TABLE = (
    Column("target", "target", text),
    Column("edit", "space", text),
    Column("columns", "columns", SHARE),
    Column("budget", "budget", SHARE),
    Column("logit constant", "constant"),
    Column("redirect rate", "redirect_rate"),
    Column("95% interval", "redirect_interval", text),
    Column("collateral", "collateral"),
    Column("95% interval", "collateral_interval", text),
)
FLOOR_TABLE = (
    Column("target", "target", text),
    Column("budget", "budget", SHARE),
    Column("ceiling, target row", "bound"),
    Column("ceiling, all rows", "bound_all_rows"),
)
