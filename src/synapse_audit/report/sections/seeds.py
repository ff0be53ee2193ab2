"""Seeds: how much of every figure is luck of splits, probes and draws.

Reads ``seeds.figures`` and ``seeds.names``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report import lookup, words
from synapse_audit.report.figures import Line, dots, legend
from synapse_audit.report.parts import Group, Result, Section, Table
from synapse_audit.report.tables import COUNT, Column, table_of, text
from synapse_audit.report.theme import TOP

FIGURES = ("figure", "seeds", "mean", "sd", "low", "high", "half_width")
NAMES = ("figure", "name", "seeds")
SHOWN = {
    "clean.accuracy": "clean accuracy",
    "clean.macro_f1": "clean macro F1",
    "redundancy.plateau": "plateau",
    "redundancy.half_point": "half point",
    "asymmetry.gap": "gap between classes",
}
"""Figures that are shares, so that they fit one axis."""

EMPTY = (
    "This section is empty: the run used one seed. With --seeds 5 the audit is repeated with other "
    "splits, probes and random draws."
)
READING = (
    "Each seed repeats everything that is random: which rows are kept, the splits, the probes and "
    "with them the rankings, the random twins and the noise. The model is the same.",
    "The dot is the mean over seeds, the bar runs from the smallest to the largest value. The "
    "half width is that of one run's own 95% interval: what other examples would do.",
)
LIMITS = (
    "All seeds share the same file of examples, so they are no independent samples of the data; "
    "the spread over seeds does not replace an interval.",
    "The figures elsewhere in this report are those of the first seed.",
)
TABLE = (
    Column("figure", "figure", text),
    Column("seeds", "seeds", COUNT),
    Column("mean", "mean"),
    Column("standard deviation", "sd"),
    Column("smallest", "low"),
    Column("largest", "high"),
    Column("half width of one run", "half_width"),
)
NAME_TABLE = (
    Column("answer", "figure", text),
    Column("name", "name", text),
    Column("seeds", "seeds", COUNT),
)


def seeds(result: Result) -> Section:
    """Headline figures over seeds."""
    table = lookup.frame(result, "seeds", "figures", FIGURES).dropna(subset=["mean"])
    names = lookup.frame(result, "seeds", "names", NAMES).dropna(subset=["name"])
    return Section(
        label="Seeds",
        heading="How much depends on the seed?",
        answer=_answer(table, names) if len(table) else (EMPTY,),
        groups=_groups(table),
        tables=_tables(table, names),
        reading=READING,
        limits=LIMITS,
    )


def _answer(table: pd.DataFrame, names: pd.DataFrame) -> tuple[str, ...]:
    n = int(table["seeds"].max())
    sentences = [f"The audit was run under {words.plural(n, 'seed')}."]
    for figure, name in SHOWN.items():
        for _, row in table[table["figure"] == figure].iterrows():
            sentences.append(
                f"The {name} is {words.number(row['mean'])} on average, from "
                f"{words.number(row['low'])} to {words.number(row['high'])}."
            )
    fragile = names[names["figure"] == "asymmetry.most_fragile"]
    if len(fragile):
        answers = [
            f"{words.quoted(row['name'])} in {words.whole(row['seeds'])}"
            for _, row in fragile.iterrows()
        ]
        sentences.append(f"The most fragile class is {words.listing(answers)} of {n} seeds.")
    return tuple(sentences)


def _groups(table: pd.DataFrame) -> tuple[Group, ...]:
    shown = table[table["figure"].isin(SHOWN)]
    if not len(shown):
        return ()
    names = [SHOWN[figure] for figure in shown["figure"]]
    series = [
        Line(
            "mean over seeds, smallest to largest",
            TOP._replace(dash="none"),
            list(range(len(shown))),
            shown["mean"].tolist(),
            shown["low"].tolist(),
            shown["high"].tolist(),
        )
    ]
    alt = f"Mean over seeds: {words.figures(names, series[0].y)}."
    figure = dots("Headline figures", names, series, x_title="share", alt=alt)
    return (Group("", (figure,), legend([series]), columns=1),)


def _tables(table: pd.DataFrame, names: pd.DataFrame) -> tuple[Table, ...]:
    made = (
        table_of("Every figure over seeds", table, TABLE),
        table_of("Answers over seeds", names, NAME_TABLE),
    )
    return tuple(one for one in made if one.rows)
