"""Typed edits: how often a person at a keyboard evades the classifier, and how cheaply.

Reads ``typed.attacks``, ``typed.sizes`` and ``typed.cheapest``, and ``typed`` of the summary.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import Axes, Line, curves, dots, legend
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import RANDOM, TOP, Style
from synapse_audit.report.kit.typed_names import edit_name
from synapse_audit.summary import Figure
from synapse_audit.tables.typed import ATTACKS, CHEAPEST, SIZES

CHOSEN = Columns("size", "evaded", "evaded_low", "evaded_high")
DRAWN = Columns("size", "random", "random_low", "random_high")
EMPTY = "This section is empty: no typed edits were asked for (--attack text)."
READING = (
    "Each edit is one that a person can type. An attempt succeeds where the model's own decision "
    "becomes the benign class (of an attack, where a benign class was named) or any other class. "
    "Only examples that the untouched model predicts correctly are attacked.",
    "The attacker tries 1, 2, 4, 8 and 16 words and stops at the first success. Words to edit are "
    "those whose absence helped most when each was left out once; words to add are typical of the "
    "wanted class in the fit split and were tried on the select split; words put in place of "
    "others are those whose embedding helps most by one gradient. The control makes edits of the "
    "same kind and sizes with random words at random places; that of a cut-off end deletes as many "
    "random words.",
    "The cheapest edit of an example is the successful one that changes fewest characters, chosen "
    "or random: whoever types a random one has evaded the model as well. A query "
    "is one edited text given to the model, those that order the words included; the gradient, and "
    "what was learned beforehand on fit and select, are not counted.",
)
LIMITS = (
    "It was not checked whether an edited text still means the same; replaced, deleted and "
    "cut-off words often change it. Added words, spaced or look-alike letters and changes of case "
    "do not.",
    "The search is greedy: where it fails, another edit may succeed.",
    "The attacker knows the model's gradient and has texts like these.",
)


def typed(result: Result) -> Section:
    """Share evaded by kind of edit and class, beside random edits as large."""
    attacks = saved.frame(result, ATTACKS).dropna(subset=["evaded"])
    sizes = saved.frame(result, SIZES).dropna(subset=["evaded"])
    cheapest = saved.frame(result, CHEAPEST).dropna(subset=["evaded"])
    ran = len(attacks) and len(cheapest)
    return Section(
        label="Typed edits",
        heading="What can a person type to evade it?",
        answer=_answer(result, attacks, cheapest) if ran else (EMPTY,),
        groups=_groups(attacks, sizes),
        tables=_tables(attacks, sizes, cheapest),
        reading=READING,
        limits=LIMITS,
    )


# ---- sentences -----------------------------------------------------------------------------------


def _answer(result: Result, attacks: pd.DataFrame, cheapest: pd.DataFrame) -> tuple[str, ...]:
    whole = cheapest[cheapest["class"].isna()]
    said = [_any(row) for _, row in whole.iterrows()]
    said += _worst(saved.estimate(result.summary, "typed", "worst"), attacks)
    said += _classes(cheapest.dropna(subset=["class"]))
    return tuple(said) or ("Nothing was attacked.",)


def _any(row: pd.Series[Any]) -> str:
    rate = prose.with_interval(Figure(row["evaded"], row["evaded_low"], row["evaded_high"]))
    if not row["evaded"] > 0:
        return (
            f"None of {prose.plural(int(row['n']), 'example')} was evaded by any kind of edit "
            f"tried; the share may be up to {prose.percent(row['evaded_high'], 2)}."
        )
    return (
        f"Some kind of typed edit evades the model on a share of {rate} of the examples that it "
        f"predicts correctly ({prose.whole(row['n'])} attacked); the cheapest one changes "
        f"{prose.plural(round(row['characters']), 'character')} or fewer in half of these."
    )


def _worst(found: Figure, attacks: pd.DataFrame) -> list[str]:
    """The kind with the largest rate, its interval valid for whichever was picked."""
    if not found.known:
        return []
    name = str(found.beside.get("attack"))
    rows = attacks[attacks["class"].isna() & (attacks["attack"] == name)]
    beside = ""
    if len(rows):
        # No interval of the excess: it is that of a kind named beforehand; this one was picked.
        random = prose.number(rows.iloc[0]["random"])
        beside = f"; its random control of the same sizes: {random} in this sample"
    ties = int(found.beside.get("tied", 0))
    among = f" ({prose.plural(ties, 'other kind')} indistinguishable from it)" if ties else ""
    return [
        f"The kind that succeeds most is “{edit_name(name)}”: {prose.with_interval(found)}, an "
        f"interval that holds for whichever kind was picked{among}{beside}."
    ]


def _classes(cheapest: pd.DataFrame) -> list[str]:
    if not len(cheapest):
        return []
    said = [
        f"{prose.quoted(row['class'])} "
        f"{prose.with_interval(Figure(row['evaded'], row['evaded_low'], row['evaded_high']))}"
        for _, row in cheapest.sort_values("evaded", ascending=False).iterrows()
    ]
    return [f"By class, any kind: {prose.some(said)}."]


# ---- figures and tables --------------------------------------------------------------------------


def _groups(attacks: pd.DataFrame, sizes: pd.DataFrame) -> tuple[Group, ...]:
    whole = attacks[attacks["class"].isna()].reset_index(drop=True)
    if not len(whole):
        return ()
    names = [edit_name(name) for name in whole["attack"]]
    series = [
        _series("chosen by the attacker", TOP, whole, "evaded"),
        _series("random, as large", RANDOM, whole, "random"),
    ]
    alt = (
        f"Share evaded by edits that the attacker chose: {prose.figures(names, series[0].y)}. "
        f"By random ones: {prose.figures(names, series[1].y)}."
    )
    found = dots("Share evaded by kind of edit", names, series, x_title="share evaded", alt=alt)
    kinds = Group("", (found,), legend([series]), columns=1)
    return (kinds, *_size_group(sizes))


def _size_group(sizes: pd.DataFrame) -> tuple[Group, ...]:
    panels = {
        edit_name(attack): [
            line("chosen by the attacker", TOP, rows.sort_values("size"), CHOSEN),
            line("random, as large", RANDOM, rows.sort_values("size"), DRAWN),
        ]
        for attack, rows in sizes.groupby("attack", sort=False)
    }
    if not panels:
        return ()
    figures = tuple(_panel(name, lines) for name, lines in panels.items())
    return (Group("By number of words", figures, legend(list(panels.values())), columns=3),)


def _panel(name: str, lines: list[Line]) -> Plot:
    ticks = {"tickvals": [1, 2, 4, 8, 16], "ticktext": ["1", "2", "4", "8", "16"]}
    axes = Axes("words (log)", "share evaded", {"type": "log", **ticks}, {"range": [-0.03, 1.03]})
    said = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    return curves(name, lines, axes, alt=f"Share evaded, {name}, most words: {said}.")


def _series(name: str, style: Style, rows: pd.DataFrame, column: str) -> Line:
    low, high = (rows[f"{column}_{end}"].tolist() for end in ("low", "high"))
    places = list(range(len(rows)))
    return Line(name, style._replace(dash="none"), places, rows[column].tolist(), low, high)


def _tables(
    attacks: pd.DataFrame, sizes: pd.DataFrame, cheapest: pd.DataFrame
) -> tuple[Table, ...]:
    made = (
        table_of("Typed edits by kind and class", _shown(attacks, "random", "excess"), BY_ATTACK),
        table_of("The cheapest typed edit of each example", _shown(cheapest), BY_CLASS),
        table_of("Typed edits of at most so many words", _shown(sizes, "random"), BY_SIZE),
    )
    return tuple(table for table in made if table.rows)


def _shown(rows: pd.DataFrame, *more: str) -> pd.DataFrame:
    shown = with_intervals(rows, "evaded", *more)
    named = [edit_name(name) for name in shown["attack"]]
    shown = shown.assign(attack=pd.Series(named, index=shown.index, dtype=object))
    if "class" in shown:
        shown = shown.assign(**{"class": shown["class"].fillna("all classes")})
    return shown


EVADED = (Column("evaded", "evaded"), Column("95% interval", "evaded_interval", text))
DRAWN_TOO = (Column("random edits", "random"), Column("95% interval", "random_interval", text))
BY_ATTACK = (
    Column("edit", "attack", text),
    Column("class", "class", text),
    Column("examples", "n", COUNT),
    *EVADED,
    *DRAWN_TOO,
    Column("difference", "excess"),
    Column("95% interval", "excess_interval", text),
    Column("words, median", "size", COUNT),
    Column("characters, median", "characters", COUNT),
    Column("queries, median", "queries", COUNT),
)
BY_CLASS = (
    Column("class", "class", text),
    Column("examples", "n", COUNT),
    *EVADED,
    Column("characters, median", "characters", COUNT),
    Column("queries, all kinds, median", "queries", COUNT),
    Column("most often by", "attack", text),
    Column("share of these", "share", SHARE),
)
BY_SIZE = (Column("edit", "attack", text), Column("words", "size", COUNT), *EVADED, *DRAWN_TOO)
