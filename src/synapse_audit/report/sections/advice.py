"""Advice: what follows from the findings, and what was gained where it was measured.

Reads ``advice.recommendations``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.commands import with_path
from synapse_audit.report.kit.contents import Result, Section
from synapse_audit.report.kit.input_words import TEXT, kind_of
from synapse_audit.report.kit.tables import Column, table_of, text
from synapse_audit.summary import Figure
from synapse_audit.tables.advice import RECOMMENDATIONS

EMPTY = "This section is empty: no rule's finding is shown in this run, so nothing is recommended."
READING = (
    "Each line follows from one finding by a stated rule; a rule fires only where the finding is "
    "shown beyond the sampling error, so a short list may mean a small sample.",
    "A gain is given only where the remedy itself was attacked on the examples that it had not "
    "seen: before and after are on the same examples, with 95% intervals each.",
)
COVERED = (
    "The rules cover head edits, bits, constants, fragile classes and costly layers{}; what has no "
    "rule has no advice. A remedy against one attack may not help against another: see the guard's "
    "own table."
)


def advice(result: Result) -> Section:
    """One row per recommendation."""

    def fill(said: object) -> str:
        return with_path(str(said), result)

    table = saved.frame(result, RECOMMENDATIONS)
    for name in ("advice", "reason"):
        table = table.assign(**{name: table[name].map(fill, na_action="ignore")})
    shown = table.assign(
        before=[_figure(row, "before") for row in table.to_dict("records")],
        gain=[_gain(row) for row in table.to_dict("records")],
    )
    made = table_of("Recommendations", shown, ADVICE_TABLE)
    return Section(
        label="Advice",
        heading="What should be done about it?",
        answer=_answer(table) if len(table) else (EMPTY,),
        tables=(made,) if made.rows else (),
        reading=READING,
        limits=(COVERED.format(", and typed edits" if kind_of(result) is TEXT else ""),),
    )


def _answer(table: pd.DataFrame) -> tuple[str, ...]:
    measured = int(table["after"].notna().sum())
    counted = prose.plural(len(table), "finding")
    first = (
        f"{counted} of this run {'calls' if len(table) == 1 else 'call'} for something; the gain "
        f"was measured for {measured}."
    )
    return (first, *(f"{prose.plain(row['advice'])}" for row in table.to_dict("records")))


def _figure(row: Mapping[Hashable, Any], name: str) -> str:
    value, low, high = (prose.as_float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    found = Figure(value, low, high)
    return prose.with_interval(found) if found.known else prose.UNKNOWN


def _gain(row: Mapping[Hashable, Any]) -> str:
    if pd.isna(row["after"]):
        return str(row["reason"])
    return f"{row['measure']}: {_figure(row, 'before')} → {_figure(row, 'after')}"


ADVICE_TABLE = (
    Column("finding", "finding", text),
    Column("advice", "advice", text),
    Column("about", "about", text),
    Column("gain", "gain", text),
)
