"""How close the margins are: which constant added to one logit redirects how many examples.

Reads ``vulnerability.margins`` and ``vulnerability.constants``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, curves, dots, legend
from synapse_audit.report.kit.lines import MOST, Columns, line, styles
from synapse_audit.report.kit.tables import Column, table_of, text
from synapse_audit.report.kit.theme import FAINT, TOP
from synapse_audit.tables.vulnerability import CONSTANTS, MARGINS

EMPTY = "This section is empty: no margins were kept (tables vulnerability.margins, .constants)."
READING = (
    "An example's margin toward a class is how far that class's logit lies below the largest other "
    "one. Adding a constant larger than the margin redirects the example, so the distribution of "
    "margins answers every constant at once, exactly and without running the model.",
    "In the right panel the dot is the constant that redirects half of the examples; its bar runs "
    "from the one for 10% to the one for 90%.",
)
LIMITS = (
    "Constants are in units of this model's logits and do not compare between models with other "
    "logit scales.",
    "The same constant is added for every input; it says nothing about changes of the input.",
)


def margins(result: Result) -> Section:
    """Closed-form redirect curves and the constants for 10, 50 and 90 %."""
    constants = saved.frame(result, CONSTANTS)
    constants = constants.dropna(subset=["redirect_50"]).sort_values("redirect_50")
    table = saved.frame(result, MARGINS)
    table = table.dropna(subset=["redirect_rate", "constant"])
    group = _group(constants, table)
    return Section(
        label="Logit margins",
        heading="How close are the decisions?",
        answer=_answer(constants) if len(constants) else (EMPTY,),
        groups=(group,) if group.figures else (),
        tables=_tables(constants),
        reading=READING,
        limits=LIMITS,
    )


def _answer(constants: pd.DataFrame) -> tuple[str, ...]:
    near, far = constants.iloc[0], constants.iloc[-1]
    return (
        f"Adding {prose.number(near['redirect_50'], 2)} to the logit of "
        f"{prose.quoted(near['target'])} redirects half of the other examples; for "
        f"{prose.quoted(far['target'])} it takes {prose.number(far['redirect_50'], 2)}.",
        f"A tenth of the examples already moves to {prose.quoted(near['target'])} at "
        f"{prose.number(near['redirect_10'], 2)}, nine tenths at "
        f"{prose.number(near['redirect_90'], 2)}.",
    )


def _group(constants: pd.DataFrame, table: pd.DataFrame) -> Group:
    found = saved.in_order(table["target"].tolist(), constants["target"].tolist())
    names = [str(name) for name in found]
    look = styles(names, names)
    columns = Columns("constant", "redirect_rate")
    lines = [
        _bare(line(prose.short(n), look[n], saved.rows(table, target=n), columns)) for n in names
    ]
    lines.sort(key=lambda one: one.style != FAINT)
    figures = (_curves(lines),) if lines else ()
    more = (_ranges(constants),) if len(constants) else ()
    note = "" if len(names) <= MOST else "Three nearest and three farthest targets in colour."
    return Group("", figures + more, legend([lines]), note)


def _bare(drawn: Line) -> Line:
    """Without markers, which a dense curve would merge into a band."""
    style = drawn.style._replace(symbol="none")
    return Line(drawn.name, style, drawn.x, drawn.y, legend=drawn.style != FAINT)


def _curves(lines: list[Line]) -> Plot:
    axes = Axes("constant added to the target's logit", "redirect rate", {}, RATE_AXIS)
    alt = f"Redirect rate over the constant for {prose.plural(len(lines), 'target')}."
    return curves("Redirect rate at every constant", lines, axes, alt=alt)


def _ranges(table: pd.DataFrame) -> Plot:
    names = [str(name) for name in table["target"]]
    rows = list(range(len(names)))
    middle, low, high = (table[f"redirect_{p}"].tolist() for p in (50, 10, 90))
    series = Line("10%, 50% and 90% redirected", TOP, rows, middle, low, high)
    alt = f"Constant that redirects half: {prose.figures(names, middle, 2)}."
    return dots("Constants for 10%, 50% and 90%", names, [series], x_title="constant", alt=alt)


def _tables(constants: pd.DataFrame) -> tuple[Table, ...]:
    made = table_of("Margins and constants", constants, CONSTANT_TABLE)
    return (made,) if made.rows else ()


CONSTANT_TABLE = (
    Column("target", "target", text),
    Column("median margin", "median_margin"),
    Column("95th percentile", "p95_margin"),
    Column("redirects 10%", "redirect_10"),
    Column("redirects 50%", "redirect_50"),
    Column("redirects 90%", "redirect_90"),
)
