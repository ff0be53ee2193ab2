"""Seeds: how much of every figure is luck of splits, probes and draws.

Reads ``seeds.figures``, ``seeds.names`` and ``seeds.rankings``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Result, Section, Table
from synapse_audit.report.kit.figures import Line, dots, legend
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import TOP
from synapse_audit.report.quoted.ranking_stability import name_of, steadiness
from synapse_audit.tables.seeds import FIGURES, NAMES, RANKINGS

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
    "with them the rankings, the random controls and the noise. The model is the same.",
    "The dot is the mean over seeds, the bar runs from the smallest to the largest value. The "
    "half width is that of one run's own 95% interval: what other examples would do.",
    "A half point lies somewhere between two of the shares tried, under every seed: seeds that "
    "agree on it to less than that gap agree on no more than those two shares.",
    "Agreement of rankings is the share of a layer's top tenth that two seeds have in common, "
    "averaged over all pairs of seeds; chance is what two random orders share.",
)
LIMITS = (
    "All seeds share the same file of examples, so they are no independent samples of the data; "
    "the spread over seeds does not replace an interval.",
    "The figures elsewhere in this report are those of the first seed.",
    "Neurons that are near copies of each other change places between seeds, so a ranking looks "
    "less steady than what it finds.",
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
RANKING_TABLE = (
    Column("ranking", "method", text),
    Column("layer", "layer", text),
    Column("top tenth shared", "overlap"),
    Column("range of pairs", "overlap_interval", text),
    Column("by chance", "chance"),
    Column("Spearman", "spearman"),
    Column("pairs", "pairs", COUNT),
)


def seeds(result: Result) -> Section:
    """Headline figures and rankings over seeds."""
    table = saved.frame(result, FIGURES).dropna(subset=["mean"])
    names = saved.frame(result, NAMES).dropna(subset=["name"])
    ranked = saved.frame(result, RANKINGS).dropna(subset=["overlap"])
    ranked = saved.rows(ranked, ranked_for=None)
    return Section(
        label="Seeds",
        heading="How much depends on the seed?",
        answer=(*_answer(table, names), *_shared(ranked)) if len(table) else (EMPTY,),
        groups=(*_groups(table), *_steadiness(ranked)),
        tables=_tables(table, names, ranked),
        reading=READING,
        limits=LIMITS,
    )


def _answer(table: pd.DataFrame, names: pd.DataFrame) -> tuple[str, ...]:
    n = int(table["seeds"].max())
    sentences = [f"The audit was run under {prose.plural(n, 'seed')}."]
    for figure, name in SHOWN.items():
        for _, row in table[table["figure"] == figure].iterrows():
            sentences.append(
                f"The {name} is {prose.number(row['mean'])} on average, from "
                f"{prose.number(row['low'])} to {prose.number(row['high'])}."
            )
    fragile = names[names["figure"] == "asymmetry.most_fragile"]
    if len(fragile):
        answers = [
            f"{prose.quoted(row['name'])} in {prose.whole(row['seeds'])}"
            for _, row in fragile.iterrows()
        ]
        sentences.append(f"The most fragile class is {prose.listing(answers)} of {n} seeds.")
    return tuple(sentences)


def _shared(ranked: pd.DataFrame) -> tuple[str, ...]:
    """What two seeds' rankings share, mean over the blocks."""
    blocks = ranked[ranked["layer"].astype(float) > 0]
    means = blocks.groupby("method", sort=False)[["overlap", "chance"]].mean()
    if not len(means):
        return ()
    said = [f"{name_of(m)} {prose.percent(row['overlap'])}" for m, row in means.iterrows()]
    chance = prose.percent(means["chance"].mean())
    return (
        "Of the top tenth of a block's neurons two seeds share on average, by ranking: "
        f"{prose.listing(said)} (chance {chance}).",
    )


def _steadiness(ranked: pd.DataFrame) -> tuple[Group, ...]:
    title = "How much of each ranking two seeds share"
    group = steadiness(ranked, title, "top tenth shared")
    return (group,) if group.figures else ()


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
    alt = f"Mean over seeds: {prose.figures(names, series[0].y)}."
    figure = dots("Headline figures", names, series, x_title="share", alt=alt)
    return (Group("", (figure,), legend([series]), columns=1),)


def _tables(table: pd.DataFrame, names: pd.DataFrame, ranked: pd.DataFrame) -> tuple[Table, ...]:
    ranked = with_intervals(ranked, "overlap").assign(method=ranked["method"].map(name_of))
    made = (
        table_of("Every figure over seeds", table, TABLE),
        table_of("Answers over seeds", names, NAME_TABLE),
        table_of("Rankings over seeds", ranked, RANKING_TABLE),
    )
    return tuple(one for one in made if one.rows)
