"""The decision threshold: recall and false alarms over all thresholds, the one set marked.

Reads ``operating.curve``, the summary and the manifest's ``decision``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, Axes, Line, Mark, curves, legend
from synapse_audit.report.kit.lines import Columns, banded
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, MATCHED, TOP
from synapse_audit.tables.operating import CURVE, RATES

MOST = 6
"""Classes whose curves are drawn."""
EMPTY = (
    "This section is empty: no decision threshold was set (--threshold), and the model has more "
    "than one output."
)
STYLES = {
    "recall": ("recall", TOP._replace(symbol="none")),
    "false_alarm": ("false alarms", BOTTOM._replace(symbol="none")),
    "precision": ("precision", MATCHED._replace(symbol="none")),
}
READING = (
    "Recall is the share of the class that is predicted as it, false alarms the share of all other "
    "examples that are, precision the share of the class among those predicted as it. Every figure "
    "of this report that speaks of a prediction, a margin, a redirect or an alarm is at the "
    "threshold that is set; probabilities and calibration are the model's own.",
    "Bands are 95% bootstrap intervals, for each threshold by itself.",
)
LIMITS = (
    "A threshold that is chosen from this curve does better here than on new data: choose it on "
    "other examples.",
    "With more than two classes a threshold is one against each rival: a class with threshold τ "
    "beats a rival where it has more than τ of the probability of the two together. The curve "
    "moves the threshold of one class and keeps those of the others.",
)


def operating(result: Result) -> Section:
    """What other thresholds would do."""
    table = saved.frame(result, CURVE).dropna(subset=["threshold"])
    names = list(dict.fromkeys(table["class"].dropna()))
    figures = tuple(_figure(saved.rows(table, **{"class": name}), name) for name in names[:MOST])
    lines = [[Line(name, style, [], []) for name, style in STYLES.values()]]
    group = Group("Every threshold", figures, legend(lines), columns=min(2, len(figures)))
    return Section(
        label="Decision threshold",
        heading="Which threshold decides, and what would another one do?",
        answer=_answer(result, table, names) if len(table) else (EMPTY,),
        groups=(group,) if figures else (),
        tables=_tables(table),
        reading=READING,
        limits=LIMITS,
    )


def _answer(result: Result, table: pd.DataFrame, names: list[str]) -> tuple[str, ...]:
    rule = saved.dig(result.manifest, "decision", "rule")
    start = (f"Predicted is {prose.plain(str(rule))}.",) if rule else ()
    said = tuple(filter(None, (_at(result, name) for name in names[:MOST])))
    more = len(names) - MOST
    others = (
        (f"{prose.plural(more, 'more class', 'more classes')} in the table.",) if more > 0 else ()
    )
    return (*start, *said, *others) or (f"{len(table)} thresholds; see the table.",)


def _at(result: Result, name: str) -> str:
    """The rates of one class where its threshold is set."""
    at = saved.estimate(result.summary, "operating", name, "threshold")
    recall, false, precision = (
        saved.estimate(result.summary, "operating", name, rate) for rate in RATES
    )
    if not (at.known and recall.known):
        return ""
    parts = [f"{prose.with_interval(recall)} of its examples are recognised"]
    if false.known:
        parts.append(f"{prose.with_interval(false)} of the others are taken for it")
    if precision.known:
        parts.append(f"{prose.with_interval(precision)} of what is called so is right")
    return (
        f"At the threshold {prose.number(at.value)} of {prose.quoted(name)} {prose.listing(parts)}."
    )


def _figure(rows: pd.DataFrame, name: str) -> Plot:
    lines = [banded(shown, style, rows, _columns(rate)) for rate, (shown, style) in STYLES.items()]
    current = rows[rows["current"].astype(bool)]["threshold"]
    marks = [Mark("set", float(value), vertical=True) for value in current]
    at = ", ".join(prose.number(mark.at) for mark in marks)
    alt = f"Recall, false alarms and precision of {name} over the threshold, which is set at {at}."
    axes = Axes("threshold", "share of examples", RATE_AXIS, RATE_AXIS)
    return curves(name, lines, axes, alt=prose.plain(alt), marks=marks)


def _columns(rate: str) -> Columns:
    return Columns("threshold", rate, f"{rate}_low", f"{rate}_high")


def _tables(table: pd.DataFrame) -> tuple[Table, ...]:
    made = table_of("Every threshold", with_intervals(table, *RATES), OPERATING_TABLE)
    return (made,) if made.rows else ()


OPERATING_TABLE = (
    Column("class", "class", text),
    Column("threshold", "threshold"),
    Column("predicted so", "predicted", COUNT),
    Column("recall", "recall"),
    Column("interval", "recall_interval", text),
    Column("false alarms", "false_alarm"),
    Column("interval", "false_alarm_interval", text),
    Column("precision", "precision"),
    Column("interval", "precision_interval", text),
)
