"""Typed edits behind a guard: which still evade, and which raise an alarm.

Reads ``guard.typed``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.commands import with_path
from synapse_audit.report.kit.contents import Group, Result, Section
from synapse_audit.report.kit.figures import Line, dots, legend
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import RANDOM, TOP
from synapse_audit.report.kit.typed_names import edit_name
from synapse_audit.summary import Figure
from synapse_audit.tables.guard import ANY_EDIT, TYPED_EDITS

EMPTY = (
    "This section is empty: no guard of this model was measured with typed edits (synapse-audit "
    "guard RUN --evaluate --attack text)."
)
READING = (
    "Edits were searched for against the model alone, by its answers, as in the section on typed "
    "edits: nobody who made them knew the guard. It is then shown the text at which each search "
    "ended: the edit that succeeded, else the last one tried.",
    "Silent are edits that evade behind the guard (its ranges and the head that answers) without "
    "an alarm. Random edits are of the same kind and of as many words (beside a cut-off end: as "
    "many random words deleted); untouched are the same texts before they are edited. “Any of "
    "them” is an attacker who tries every kind.",
)
LIMITS = (
    "Who sees alarms and goes on trying may find edits that raise none; that was not tried.",
    "An alarm says that a text is unusual inside the model, not that somebody edited it.",
)


def typed_guard(result: Result) -> Section:
    """Share evaded without the guard and silently behind it, and alarms beside random edits."""
    table = saved.frame(result, TYPED_EDITS).dropna(subset=["evaded"])
    made = table_of("Typed edits behind the guard", _named(table), COLUMNS)
    return Section(
        label="Typed edits and guard",
        heading="Which typed edits does the guard notice?",
        answer=tuple(_answer(table)) or (with_path(EMPTY, result),),
        groups=_groups(table),
        tables=tuple(one for one in (made,) if one.rows),
        reading=READING,
        limits=LIMITS,
    )


def _answer(table: pd.DataFrame) -> list[str]:
    """Any kind, on all classes: a row that is named beforehand."""
    return [
        "Some typed edit, searched for against the model alone by an attacker who does not know "
        "the guard, "
        f"evades on a share of {_rate(row, 'evaded')} of the examples without the guard "
        f"({prose.whole(row['n'])} attacked), and of {_rate(row, 'silent')} behind it without an "
        f"alarm. Before they are edited, {_rate(row, 'untouched')} of these texts raise one."
        for row in table[table["class"].isna() & (table["attack"] == ANY_EDIT)].to_dict("records")
    ]


def _rate(row: Mapping[Hashable, Any], name: str) -> str:
    return prose.with_interval(Figure(row[name], row[f"{name}_low"], row[f"{name}_high"]))


def _groups(table: pd.DataFrame) -> tuple[Group, ...]:
    whole = table[table["class"].isna()].reset_index(drop=True)
    if whole.empty:
        return ()
    names, places = [edit_name(name) for name in whole["attack"]], list(range(len(whole)))
    series = []
    for label, style, column in SERIES:
        value, low, high = (whole[f"{column}{end}"].tolist() for end in ("", "_low", "_high"))
        series.append(Line(label, style._replace(dash="none"), places, value, low, high))
    said = [f"{line.name}: {prose.figures(names, line.y)}" for line in series]
    alt = f"Share evaded by kind of typed edit. {'. '.join(said)}."
    found = dots("Typed edits that evade", names, series, x_title="share evaded", alt=alt)
    return (Group("", (found,), legend([series]), columns=1),)


def _named(table: pd.DataFrame) -> pd.DataFrame:
    shown = with_intervals(table, *RATES, "excess")
    names = pd.Series([edit_name(name) for name in shown["attack"]], shown.index, dtype=object)
    return shown.assign(attack=names, **{"class": shown["class"].fillna("all classes")})


RATES = ("evaded", "guarded", "silent", "detected", "random", "untouched")
SERIES = (
    ("without the guard", RANDOM, "evaded"),
    ("behind it, no alarm", TOP, "silent"),
)
COLUMNS = (
    Column("edit", "attack", text),
    Column("class", "class", text),
    Column("examples", "n", COUNT),
    Column("evaded, no guard", "evaded"),
    Column("95% interval", "evaded_interval", text),
    Column("behind it", "guarded"),
    Column("95% interval", "guarded_interval", text),
    Column("silent", "silent"),
    Column("95% interval", "silent_interval", text),
    Column("alarms", "detected"),
    Column("95% interval", "detected_interval", text),
    Column("alarms, random edits", "random"),
    Column("95% interval", "random_interval", text),
    Column("difference", "excess"),
    Column("95% interval", "excess_interval", text),
    Column("alarms, untouched", "untouched"),
    Column("95% interval", "untouched_interval", text),
)
