"""How much can be silenced before a model of several labels does worse.

Reads ``label_removal.*`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.figures import RATE_AXIS, SHARE_AXIS, Axes, Line, Mark, curves, legend
from synapse_audit.report.kit.lines import Columns, banded, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import RANDOM, SELECTIONS, TOP
from synapse_audit.report.quoted.curve_tests import CURVE_TESTS
from synapse_audit.summary import Figure
from synapse_audit.tables.label_sets import EXCESS, LAYERS, REMOVAL, TESTS

NAMES = {
    "top": "top-ranked",
    "bottom": "bottom-ranked",
    "random": "random controls",
    "matched": "norm-matched controls",
    "keep_top": "top-ranked kept",
    "keep_random": "random kept",
}
OPERATORS = {"mean": "Mean", "zero": "Zero"}
REMOVED, KEPT = ("random", "matched", "bottom", "top"), ("keep_random", "keep_top")
EMPTY = "This section is empty: the run holds no removal curves (table label_removal.removal)."
NO_LAYERS = "This section is empty: no layer was silenced alone (table label_removal.layers)."
READING = (
    "Each point silences that share of the neurons in all blocks at once, at the position the head "
    "reads: mean puts a neuron's average in its place, zero puts 0. Bars are 95% intervals over "
    "examples, the band is where one more random set of that size would lie with 95%.",
    "Micro F1 counts all pairs of example and label; Hamming loss is the share of pairs decided "
    "wrongly. Where hardly any label is present, saying none at all has a low Hamming loss and a "
    "micro F1 of 0: read both.",
)
LIMITS = (
    "Silencing puts the model in states that it never saw in training; a drop shows that it relied "
    "on these values, not that nothing else could serve.",
)


def label_removal(result: Result) -> Section:
    """Removal curves of the headline ranking by micro F1 and Hamming loss, beside random sets."""
    every = saved.frame(result, REMOVAL)
    table = saved.headline(every, saved.facts(result).ranking)
    groups = (
        _group("Micro F1 as more is silenced", result, table, "micro_f1", REMOVED),
        _group("Hamming loss as more is silenced", result, table, "hamming_loss", REMOVED),
        _group("Micro F1 with only a share kept", result, table, "micro_f1", KEPT),
    )
    return Section(
        label="Removal",
        heading="How much can be silenced before it breaks?",
        answer=_answer(result) if len(table) else (EMPTY,),
        groups=tuple(group for group in groups if group.figures),
        tables=_tables(result, table),
        reading=READING,
        limits=LIMITS,
    )


def label_layers(result: Result) -> Section:
    """What silencing the top of each layer alone costs."""
    table = saved.frame(result, LAYERS).dropna(subset=["drop"])
    panels = {
        (operator, fraction): rows
        for (operator, fraction), rows in table.groupby(["operator", "fraction"], sort=False)
    }
    lines = {key: _layer_lines(rows) for key, rows in panels.items()}
    figures = tuple(_layer_plot(key, drawn) for key, drawn in lines.items())
    made = table_of("Each layer alone", with_intervals(table, "drop", "random"), LAYER_TABLE)
    return Section(
        label="Layer by layer",
        heading="Which layer carries the labels?",
        answer=_layer_answer(result) if len(table) else (NO_LAYERS,),
        groups=(Group("", figures, legend(list(lines.values()))),) if figures else (),
        tables=(made,) if made.rows else (),
        reading=(
            "Layer 0 holds the embeddings, l the output of block l. Only that layer is touched.",
        ),
        limits=("What one layer loses, later ones may have copied from earlier ones already.",),
    )


def _answer(result: Result) -> tuple[str, ...]:
    plateau = saved.estimate(result.summary, "label_removal", "plateau")
    half = saved.estimate(result.summary, "label_removal", "half_point")
    said = []
    if plateau.known and plateau.value > 0:
        sure = (
            f" (shown up to {prose.percent(plateau.low)})"
            if plateau.low == plateau.low
            else f" in this sample (not shown beyond it: {prose.plain(plateau.reason)})"
        )
        said.append(
            f"Micro F1 stays within 0.02 of the untouched model's up to "
            f"{prose.percent(plateau.value)} of the neurons silenced, highest ranked first{sure}."
        )
    elif plateau.known:
        said.append("The smallest share tried already costs more than 0.02 of micro F1.")
    if half.known and half.beside.get("between"):
        said.append(
            "Half of the micro F1 above that of the best constant answer is gone between "
            f"{prose.span_of_shares(*half.beside['between']).replace(' to ', ' and ')} in this "
            f"sample{_half_shown(half)}."
        )
    elif half.reason:
        said.append(f"Where half of the micro F1 is lost is not known: {prose.plain(half.reason)}.")
    return (*said, *_beyond_random(result))


def _half_shown(half: Figure) -> str:
    """What other samples may give; the gap between the shares tried is in the interval."""
    if half.high == half.high:
        return f" (95% interval {prose.span_of_shares(half.low, half.high)})"
    low = f"beyond {prose.percent(half.low)}, " if half.low > 0 else ""
    return f" (shown: {low}with no upper limit)" if low else ", which shows no limit to either side"


def _beyond_random(result: Result) -> tuple[str, ...]:
    """Whether the headline ranking's sets cost more than random ones, at the largest shares."""
    table = saved.frame(result, EXCESS).dropna(subset=["excess"])
    mine = table[(table["operator"] == "mean") & (table["ranking"] == saved.facts(result).ranking)]
    if not len(mine):
        return ()
    above = mine[mine["excess_low"] > 0]
    count = f"{prose.whole(len(above))} of {prose.plural(len(mine), 'share')}"
    below = mine[mine["excess_high"] < 0]
    if not len(above) and len(below):
        return (
            "At no share do the top-ranked neurons clearly cost more micro F1 than random ones; at "
            f"{prose.whole(len(below))} of {prose.plural(len(mine), 'share')} they cost less, each "
            "at 95% by itself.",
        )
    if not len(above):
        return (
            "At no share do the top-ranked neurons clearly cost more micro F1 than random ones.",
        )
    return (
        f"At {count} tried the top-ranked neurons cost more micro F1 than one more random set of "
        "their size would, each at 95% by itself.",
    )


def _group(
    title: str, result: Result, table: pd.DataFrame, measure: str, selections: tuple[str, ...]
) -> Group:
    panels = {}
    for operator in saved.in_order(table["operator"].tolist(), tuple(OPERATORS)):
        lines = _lines(saved.rows(table, operator=operator), selections, measure)
        if lines and operator in OPERATORS:
            panels[operator] = lines
    figures = tuple(
        _figure(result, operator, lines, measure, kept=selections is KEPT)
        for operator, lines in panels.items()
    )
    return Group(title, figures, legend([lines[::-1] for lines in panels.values()]))


def _lines(rows: pd.DataFrame, selections: tuple[str, ...], measure: str) -> list[Line]:
    columns, drawn = Columns("fraction", measure, f"{measure}_low", f"{measure}_high"), []
    for selection in selections:
        data = saved.rows(rows, selection=selection)
        if data[measure].notna().any():
            make = line if selection in {"top", "bottom", "keep_top"} else banded
            drawn.append(make(NAMES[selection], SELECTIONS[selection], data, columns))
    return drawn


def _figure(result: Result, operator: str, lines: list[Line], measure: str, *, kept: bool) -> Plot:
    words = measure.replace("_", " ").replace("f1", "F1").replace("hamming", "Hamming")
    x = "share of neurons kept" if kept else "share of neurons silenced"
    found = saved.estimate(result.summary, "labels", measure)
    constant = prose.as_float(found.beside.get("constant"))
    ends = ("left", "right") if kept else ("right", "left")
    marks = [
        Mark("clean", found.value, side=ends[0]),
        Mark("constant answer", constant, side=ends[1]),
    ]
    last = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    options = RATE_AXIS if measure == "micro_f1" else {"rangemode": "tozero"}
    title = OPERATORS[operator]
    alt = f"{title}: {words} over the {x}; at the largest share {last}."
    return curves(title, lines, Axes(x, words, SHARE_AXIS, options), alt=alt, marks=marks)


def _layer_lines(rows: pd.DataFrame) -> list[Line]:
    return [
        banded(
            "random controls",
            RANDOM,
            rows,
            Columns("layer", "random_drop", "random_low", "random_high"),
        ),
        line("top-ranked", TOP, rows, Columns("layer", "drop", "drop_low", "drop_high")),
    ]


def _layer_plot(key: tuple[object, object], lines: list[Line]) -> Plot:
    operator, fraction = key
    title = f"{OPERATORS.get(str(operator), str(operator))}, {prose.percent(fraction)} of one layer"
    last = prose.figures(
        [one.name for one in lines], [max(one.y, default=float("nan")) for one in lines]
    )
    return curves(
        title,
        lines,
        Axes("layer", "micro F1 lost", {"dtick": 1}),
        alt=f"{title}. Most lost: {last}.",
    )


def _layer_answer(result: Result) -> tuple[str, ...]:
    found = saved.estimate(result.summary, "label_removal", "costliest_layer")
    if not found.known:
        return (f"Not shown: {prose.plain(found.reason)}.",)
    tied = found.beside.get("tied") or ()
    fraction = prose.percent(found.beside.get("fraction"))
    said = (
        f"Most is lost with {fraction} of layer {found.beside.get('layer')} held at its average: "
        f"{prose.with_interval(found)} of micro F1 (interval for all layers and shares at once)."
    )
    if len(tied) > 1:
        names = prose.listing([str(layer) for layer in tied])
        return (f"{said} Which of the layers {names} loses most is not shown.",)
    return (said,)


def _tables(result: Result, table: pd.DataFrame) -> tuple[Table, ...]:
    shown = with_intervals(table, "micro_f1", "micro_f1_drop", "hamming_loss", "accuracy")
    shown = shown.sort_values(["operator", "selection", "fraction"], kind="stable")
    beside = with_intervals(saved.frame(result, EXCESS), "drop", "random", "excess")
    tests = saved.frame(result, TESTS)
    made = (
        table_of("Removal curves", shown, REMOVAL_TABLE),
        table_of("Beside random sets", beside, EXCESS_TABLE),
        table_of("Tests of whole curves by micro F1", tests, CURVE_TESTS),
    )
    return tuple(t for t in made if t.rows)


REMOVAL_TABLE = (
    Column("operator", "operator", text),
    Column("selection", "selection", text),
    Column("share", "fraction", SHARE),
    Column("micro F1", "micro_f1"),
    Column("interval or band", "micro_f1_interval", text),
    Column("lost", "micro_f1_drop"),
    Column("interval or band", "micro_f1_drop_interval", text),
    Column("F1 of examples", "sample_f1"),
    Column("Hamming loss", "hamming_loss"),
    Column("interval or band", "hamming_loss_interval", text),
    Column("subset accuracy", "accuracy"),
    Column("interval or band", "accuracy_interval", text),
    Column("draws", "draws", COUNT),
)
EXCESS_TABLE = (
    Column("operator", "operator", text),
    Column("ranking", "ranking", text),
    Column("share", "fraction", SHARE),
    Column("micro F1 lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("random", "random_drop"),
    Column("band of one more draw", "random_interval", text),
    Column("beyond random", "excess"),
    Column("95% interval", "excess_interval", text),
)
LAYER_TABLE = (
    Column("operator", "operator", text),
    Column("layer", "layer", COUNT),
    Column("share", "fraction", SHARE),
    Column("micro F1 lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("random", "random_drop"),
    Column("band of one more draw", "random_interval", text),
)
