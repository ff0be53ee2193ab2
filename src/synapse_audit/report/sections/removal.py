"""How much can be silenced: removal and keep-only curves beside their random controls.

Reads ``redundancy.removal``, ``redundancy.tests``, ``redundancy.positions`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, SHARE_AXIS, Axes, Line, Mark, curves, legend
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import SELECTIONS, SERIES
from synapse_audit.report.quoted.curve_tests import CURVE_TESTS
from synapse_audit.report.quoted.top_against_random import (
    Gap,
    all_removal_curves,
    compare,
    curve_tests,
    gap,
    headline_p,
    plateau_sentence,
    removal_curves,
)
from synapse_audit.tables.redundancy import POSITIONS

ACCURACY = Columns("fraction", "accuracy", "accuracy_low", "accuracy_high")
OPERATORS = {
    "mean": "Mean: each neuron held at its average",
    "zero": "Zero: each neuron set to 0",
    "noise": "Noise: noise of the neuron's own spread added",
    "scale": "Scale: the value multiplied by a constant",
    "negate": "Negate: the sign turned",
}
NAMES = {
    "top": "top-ranked",
    "bottom": "bottom-ranked",
    "random": "random controls",
    "matched": "norm-matched controls",
    "keep_top": "top-ranked kept",
    "keep_random": "random kept",
}
PLACES = {"pooled": "pooled position", "all": "every token"}


def removal(result: Result) -> Section:
    """Removal curves of the headline ranking, each operator beside its random controls."""
    table, tests = removal_curves(result), curve_tests(result)
    return Section(
        label="Removal",
        heading="How much can be silenced before it breaks?",
        answer=_answer(result, table) if len(table) else (EMPTY,),
        groups=_groups(result, table) if len(table) else (),
        tables=_tables(table, tests),
        reading=(*READING, _ranking_note(result)),
        limits=LIMITS,
    )


EMPTY = "This section is empty: the run holds no removal curves (table redundancy.removal)."
READING = (
    "Each point silences that share of the neurons in all blocks at once, at the position the "
    "head reads. The further a curve stays at the clean level, the more of the model it can spare.",
    "The shaded band is where one more random control, a set of the same size in each layer, would "
    "lie at that point with 95%. Where the top-ranked curve leaves it, the ranking may know "
    "something that chance does not: one point in 20 leaves it by chance. Bars are 95% "
    "bootstrap intervals over examples and, where a point is a two-phase "
    "estimate, over the part that was run exactly.",
    "Mean silencing removes what a neuron says about this input and keeps its average. Zero also "
    "removes the average, so it can hurt without removing information.",
)
LIMITS = (
    "Silencing puts the model in states that it never saw in training; a drop shows that it "
    "relied on these values, not that nothing else could serve.",
    "The area test treats the random draws as a sample of a normal distribution: approximate.",
)


def _ranking_note(result: Result) -> str:
    ranking = saved.facts(result).ranking
    if ranking in saved.ACROSS:
        return (
            f"Top and bottom are taken from the ranking “{prose.plain(ranking)}” over all blocks "
            "at once: a share is one of all their neurons together, and its random controls hold "
            "as "
            "many in each layer. Other rankings take the same share of each block."
        )
    named = f"the ranking “{prose.plain(ranking)}”" if ranking else "the run's first ranking"
    return f"Top and bottom are taken from {named}, within each block."


def _answer(result: Result, table: pd.DataFrame) -> tuple[str, ...]:
    facts = saved.facts(result)
    sentences = [plateau_sentence(result)]
    found = gap(table, saved.HEADLINE_OPERATOR)
    if found:
        sentences.append(compare(found, headline_p(result), facts.tests))
    zero = gap(table, "zero")
    if found and zero:
        sentences.append(
            f"With the same neurons set to 0 accuracy {prose.falls(zero.top)} (with random "
            f"controls "
            f"it {prose.falls(zero.random)}), so {_zero_against_mean(found, zero)}."
        )
    return tuple(sentences)


def _zero_against_mean(mean: Gap, zero: Gap) -> str:
    if zero.top - mean.top > 0.02:
        return (
            "part of the damage that zeroing does comes from moved averages, not lost information"
        )
    if mean.top - zero.top > 0.02:
        return "on this model the average is no gentler a replacement than 0"
    return "the two replacements do about the same harm here"


def _groups(result: Result, table: pd.DataFrame) -> tuple[Group, ...]:
    operators = saved.in_order(table["operator"].tolist(), tuple(OPERATORS))
    main = [o for o in operators if o in {"mean", "zero"}]
    other = [o for o in operators if o not in main]
    removed, kept = ("random", "matched", "bottom", "top"), ("keep_random", "keep_top")
    groups = [
        _group("A growing share of neurons silenced", result, table, (main, removed)),
        _group("Only a share kept, all else silenced", result, table, (main, kept)),
        _group("Other ways to rewrite the same neurons", result, table, (other, removed)),
        _rankings(result),
        _positions(result),
    ]  # fmt: skip
    return tuple(group for group in groups if group.figures)


def _group(
    title: str, result: Result, table: pd.DataFrame, wanted: tuple[list[str], tuple[str, ...]]
) -> Group:
    operators, selections = wanted
    panels = {o: _lines(saved.rows(table, operator=o), selections) for o in operators}
    panels = {operator: lines for operator, lines in panels.items() if lines}
    figures = tuple(_figure(result, o, lines, selections) for o, lines in panels.items())
    return Group(
        title,
        figures,
        legend([lines[::-1] for lines in panels.values()]),
        columns=min(3, max(2, len(figures))),
    )


def _lines(rows: pd.DataFrame, selections: tuple[str, ...]) -> list[Line]:
    drawn = []
    for selection in selections:
        data = saved.rows(rows, selection=selection)
        if data["accuracy"].notna().any():
            make = line if selection in {"top", "bottom", "keep_top"} else banded
            drawn.append(make(NAMES[selection], SELECTIONS[selection], data, ACCURACY))
    return drawn


def _figure(result: Result, operator: str, lines: list[Line], selections: tuple[str, ...]) -> Plot:
    kept = "keep_top" in selections
    title = OPERATORS.get(operator, operator)
    x = "share of neurons kept" if kept else "share of neurons silenced"
    last = ", ".join(f"{one.name} {prose.number(one.y[-1])}" for one in lines)
    alt = f"{title}. Accuracy over the {x}. At {prose.percent(lines[0].x[-1])}: {last}."
    axes = Axes(x, "accuracy", SHARE_AXIS, RATE_AXIS)
    marks = _references(result, kept) + (
        _crossings(result) if operator == "mean" and not kept else []
    )
    return curves(title, lines, axes, alt=alt, marks=marks)


def _references(result: Result, kept: bool) -> list[Mark]:
    clean = saved.estimate(result.summary, "clean", "accuracy").value
    chance = saved.estimate(result.summary, "redundancy", "chance").value
    ends = ("left", "right") if kept else ("right", "left")
    return [Mark("clean", clean, side=ends[0]), Mark("chance", chance, side=ends[1])]


def _crossings(result: Result) -> list[Mark]:
    plateau = saved.estimate(result.summary, "redundancy", "plateau").value
    half = saved.estimate(result.summary, "redundancy", "half_point").value
    return [
        Mark("plateau", plateau, vertical=True, side="left" if plateau > 0.2 else "right"),
        Mark("half point", half, vertical=True, side="left" if half > 0.8 else "right"),
    ]


def _rankings(result: Result) -> Group:
    """The top curve of every ranking, mean-silenced, where more than one was swept."""
    table = saved.rows(all_removal_curves(result), operator=saved.HEADLINE_OPERATOR)
    top = saved.rows(table, selection="top").dropna(subset=["accuracy"])
    first = saved.facts(result).ranking
    names = saved.in_order(top["ranking"].dropna().tolist(), (first,))[: len(SERIES)]
    if len(names) < 2:
        return Group("", ())
    lines = [
        _bare(line(prose.short(n), style, saved.rows(top, ranking=n), ACCURACY))
        for n, style in zip(names, SERIES, strict=False)
    ]
    lines = [*_lines(saved.headline(table, first), ("random",)), *lines[::-1]]
    axes = Axes("share of neurons silenced", "accuracy", SHARE_AXIS, RATE_AXIS)
    ends = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    alt = f"Accuracy with the top of each ranking mean-silenced; at the largest share: {ends}."
    marks = _references(result, kept=False)
    figure = curves("Mean, top of each ranking", lines, axes, alt=alt, marks=marks)
    return Group("Does another ranking find more?", (figure,), legend([lines[::-1]]), columns=1)


def _bare(drawn: Line) -> Line:
    """Without intervals, which would overlap between rankings."""
    return Line(drawn.name, drawn.style, drawn.x, drawn.y)


def _positions(result: Result) -> Group:
    table = saved.frame(result, POSITIONS).dropna(subset=["drop"])
    columns = Columns("fraction", "drop", "drop_low", "drop_high")
    keys = list(dict.fromkeys(zip(table["position"], table["selection"], strict=True)))
    lines = [
        line(
            f"{NAMES.get(selection, selection)}, {PLACES.get(position, position)}",
            SERIES[i % len(SERIES)],
            saved.rows(table, position=position, selection=selection),
            columns,
        )
        for i, (position, selection) in enumerate(keys)
    ]
    if len(set(table["position"])) < 2:
        return Group("", ())
    axes = Axes("share of neurons silenced", "accuracy lost", SHARE_AXIS)
    alt = "Accuracy lost when only the pooled position, or every token position, is mean-silenced."
    figure = curves("Mean, at the pooled position or at every token", lines, axes, alt=alt)
    return Group("The pooled position alone, or every token", (figure,), legend([lines]))


def _tables(table: pd.DataFrame, tests: pd.DataFrame) -> tuple[Table, ...]:
    shown = with_intervals(
        _counted(table).rename(columns={"accuracy_drop": "drop"}), "accuracy", "drop"
    ).sort_values(["operator", "selection", "fraction"], kind="stable")
    curves_ = table_of("Removal curves", shown, REMOVAL_TABLE)
    tested = table_of("Tests of whole curves against random controls", tests, CURVE_TESTS)
    return tuple(t for t in (curves_, tested) if t.rows)


def _counted(table: pd.DataFrame) -> pd.DataFrame:
    """``k`` of sets that are kept: as many as the top set of that share has, which they are.

    The run folder counts what each cell silences, which for them is everything else.
    """
    keys = ["operator", "fraction"]
    top = saved.rows(table, selection="top").drop_duplicates(keys)[[*keys, "k"]]
    sizes = table[keys].merge(top, on=keys, how="left")["k"].set_axis(table.index)
    kept = table["selection"].astype("string").str.startswith("keep").fillna(False)
    return table.assign(k=table["k"].mask(kept.astype(bool), sizes))


REMOVAL_TABLE = (
    Column("operator", "operator", text),
    Column("selection", "selection", text),
    Column("share silenced or kept", "fraction", SHARE),
    Column("neurons in that share", "k", COUNT),
    Column("accuracy", "accuracy"),
    Column("interval or range", "accuracy_interval", text),
    Column("drop", "drop"),
    Column("interval or range", "drop_interval", text),
    Column("draws", "draws", COUNT),
)
