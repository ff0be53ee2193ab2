"""Given neurons: what silencing the neurons that somebody named does.

Reads ``given.effects`` and ``given.classes``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Result, Section, Table
from synapse_audit.report.kit.figures import Line, dots, legend
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import RANDOM, TOP, Style
from synapse_audit.tables.named_neurons import CLASSES, EFFECTS

EMPTY = (
    "This section is empty: no neurons were named (--neurons LAYER:SITE:INDEX, such as "
    "4:mlp_activation:5,77)."
)
LONGEST = 60
"""Characters of a set's addresses in a sentence; the table has them all."""
VISIBLE = 0.0005
"""Recall lost below this is written as 0.000."""
READING = (
    "The neurons that were named are silenced together at the pooled position, beside random sets "
    "with as many neurons in each layer of the same site. An address is layer:site:index.",
    "One experiment rewrites one site: neurons named at several sites are silenced as one set per "
    "site, each with its own row and its own random sets.",
    "Where chosen and random neurons cost the same, any neurons would have done. Where the chosen "
    "ones cost more when set to 0 than when held at their mean, their level is needed and not "
    "what they say.",
)
LIMITS = (
    "The position among random draws counts how many cost at least as much; with few draws it "
    "cannot be small. No figure here is corrected for how many sets were tried.",
    "Neurons that were named after looking at these data, or at this report, have an advantage.",
)


def given(result: Result) -> Section:
    """Chosen neurons beside random ones, per site and operator."""
    effects = saved.frame(result, EFFECTS).dropna(subset=["drop"])
    classes = saved.frame(result, CLASSES)
    sets = list(effects["site"].dropna().unique())
    groups = [_group(effects[effects["site"] == site], str(site)) for site in sets]
    return Section(
        label="Chosen neurons",
        heading="What do the chosen neurons do?",
        answer=_answer(effects, classes) if len(effects) else (EMPTY,),
        groups=tuple(groups),
        tables=_tables(effects, classes),
        reading=READING,
        limits=LIMITS,
    )


def _answer(effects: pd.DataFrame, classes: pd.DataFrame) -> tuple[str, ...]:
    sentences: list[str] = []
    for _, rows in effects.groupby("site", sort=False):
        mean = saved.rows(rows, operator=saved.HEADLINE_OPERATOR)
        shown = (mean if len(mean) else rows).iloc[0]
        sentences.append(_sentence(shown))
        mine = saved.rows(classes, site=shown["site"], operator=shown["operator"])
        sentences += _worst_class(mine.dropna(subset=["recall_drop"]))
    return tuple(sentences)


def _sentence(row: pd.Series[Any]) -> str:
    name = prose.short(row["neurons"], LONGEST)
    draws = prose.plural(int(row["draws"]), "draw")
    random = prose.falls(row["random_drop"], row["random_low"], row["random_high"], bounds=draws)
    return (
        f"With {prose.plural(int(row['k']), 'chosen neuron')} ({name}) silenced by "
        f"{prose.plain(row['operator'])}, accuracy {prose.change(row)} and "
        f"{prose.number(row['flip_rate'])} of the predictions change; with as many random neurons "
        f"accuracy on average {random}."
    )


def _worst_class(classes: pd.DataFrame) -> list[str]:
    classes = classes[classes["recall_drop"] >= VISIBLE]
    if not len(classes):
        return []
    worst = saved.extreme(classes, "recall_drop")
    return [
        f"Of the classes {prose.quoted(worst['class'])} loses most recall: "
        f"{prose.number(worst['recall_drop'])}; with random neurons its recall "
        f"{prose.falls(worst['random_drop'])}."
    ]


def _group(rows: pd.DataFrame, site: str) -> Group:
    names = [prose.plain(name) for name in rows["operator"]]
    series = [
        _series("chosen neurons", TOP, rows, "drop"),
        _series("random neurons", RANDOM, rows, "random"),
    ]
    alt = (
        f"Accuracy lost by silencing the chosen neurons: {prose.figures(names, series[0].y)}. "
        f"By silencing random ones: {prose.figures(names, series[1].y)}."
    )
    where = prose.plain(site)
    layers = prose.plain(rows["layers"].iloc[0]).split(",")
    title = f"{where}, {'layer' if len(layers) == 1 else 'layers'} {prose.listing(layers)}"
    figure = dots(title, names, series, x_title="accuracy lost", alt=alt)
    return Group("", (figure,), legend([series]), columns=1)


def _series(name: str, style: Style, rows: pd.DataFrame, column: str) -> Line:
    value = rows[column if column == "drop" else f"{column}_drop"].tolist()
    low, high = (rows[f"{column}_{end}"].tolist() for end in ("low", "high"))
    return Line(name, style._replace(dash="none"), list(range(len(rows))), value, low, high)


def _tables(effects: pd.DataFrame, classes: pd.DataFrame) -> tuple[Table, ...]:
    made = (
        table_of("Chosen neurons", with_intervals(effects, "drop", "random", "flip"), EFFECT_TABLE),
        table_of("Chosen neurons, by class", with_intervals(classes, "recall", "random"), BY_CLASS),
    )
    return tuple(one for one in made if one.rows)


EFFECT_TABLE = (
    Column("neurons", "neurons", text),
    Column("count", "k", COUNT),
    Column("operator", "operator", text),
    Column("strength", "strength"),
    Column("accuracy", "accuracy"),
    Column("accuracy lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("random neurons", "random_drop"),
    Column("band of one more draw", "random_interval", text),
    Column("p random", "p_random"),
    Column("predictions changed", "flip_rate"),
    Column("95% interval", "flip_interval", text),
)
BY_CLASS = (
    Column("site", "site", text),
    Column("operator", "operator", text),
    Column("class", "class", text),
    Column("examples", "support", COUNT),
    Column("recall", "recall"),
    Column("95% interval", "recall_interval", text),
    Column("recall lost", "recall_drop"),
    Column("random neurons", "random_drop"),
    Column("band of one more draw", "random_interval", text),
)
