"""Directions: how much hangs on the directions that carry the classes.

Reads ``directions.layers``, ``directions.classes`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Result, Section, Table
from synapse_audit.report.kit.figures import Axes, curves, legend
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import MATCHED, RANDOM, TOP
from synapse_audit.tables.directions import CLASSES, LAYERS

EMPTY = "This section is empty: the run removed no directions (grid: directions)."
NO_FIGURE = (
    "What the last layer loses is not in the summary of this run; the table has every layer."
)
METHODS = {
    "leace": "least-squares concept erasure (LEACE)",
    "mean_difference": "differences of the class means",
    "probe": "directions of the probe",
}
READING = (
    "After one block the states at the pooled position lose the directions that carry the classes: "
    "what lies along them is held at its average. After LEACE, and after the differences of the "
    "class means, all class means of the fitting examples coincide, so no linear probe of that "
    "layer beats a constant answer there; LEACE changes the states least.",
    "Random directions are as many, once uniformly drawn, once drawn so that the states vary along "
    "them as much as along what they stand beside.",
)
LIMITS = (
    "Only what can be read linearly at the pooled position of one layer is removed: the blocks "
    "above can still take it from other tokens, so a layer that costs nothing is not unused.",
    "Directions come from the fitting examples; of others a little is left.",
    "Where the directions of the classes hold nearly all of the variance, as many random ones that "
    "vary as much are nearly the same directions, and must cost as much.",
    "A drop says that the classifier uses what was removed, or something that lies along it.",
)
DROP = Columns("layer", "drop", "drop_low", "drop_high")
AS_MANY = Columns("layer", "random_drop", "random_low", "random_high")
SAME = Columns("layer", "matched_drop", "matched_drop_low", "matched_drop_high")


def directions(result: Result) -> Section:
    """Cost of the classes' directions by layer, and of each class's own in the last one."""
    layers = saved.frame(result, LAYERS).dropna(subset=["drop"])
    classes = saved.frame(result, CLASSES).dropna(subset=["recall_drop"])
    return Section(
        label="Directions",
        heading="What do the directions of the classes carry?",
        answer=_answer(result) if len(layers) or len(classes) else (EMPTY,),
        groups=_groups(layers),
        tables=_tables(layers, classes),
        reading=READING,
        limits=LIMITS,
    )


def _answer(result: Result) -> tuple[str, ...]:
    return tuple(filter(None, (_sentence(result, name) for name in METHODS))) or (NO_FIGURE,)


def _sentence(result: Result, method: str) -> str:
    """What one method's directions of the last layer cost, beside random ones."""
    drop, random, matched, excess = (
        saved.estimate(result.summary, "directions", method, name)
        for name in ("drop", "random", "matched", "excess")
    )
    if not drop.known:
        return ""
    rank = prose.as_float(drop.beside.get("rank"))
    said = (
        f"With {_removed(method, rank)} ({prose.percent(drop.beside.get('variance'))} of the "
        f"variance) removed after the last block, accuracy "
        f"{prose.falls(drop.value, drop.low, drop.high)}"
    )
    if not (random.known and matched.known and excess.known):
        return f"{said}."
    beside = (
        f"as many random directions cost {prose.number(random.value)} (one more draw: "
        f"{prose.span(random.low, random.high)}), as many that vary as much "
        f"{prose.number(matched.value)} ({prose.span(matched.low, matched.high)})"
    )
    apart = prose.more(excess.value, excess.low, excess.high)
    verdict = (
        "no difference from those that vary as much is shown"
        if excess.low <= 0 <= excess.high
        else f"the directions of the classes cost {apart} than those that vary as much"
    )
    return f"{said}; {beside}; {verdict}."


def _removed(method: str, rank: float) -> str:
    many = prose.whole(rank)
    if method == "leace":
        return f"the {prose.plural(round(rank), 'direction')} of LEACE"
    return f"the {METHODS[method]} ({many} in all)"


def _groups(layers: pd.DataFrame) -> tuple[Group, ...]:
    figures, lines_of = [], []
    for method, words in METHODS.items():
        mine = saved.rows(layers, method=method).sort_values("layer")
        if mine.empty:
            continue
        lines = [
            line("directions of the classes", TOP, mine, DROP),
            line("as many random directions", RANDOM, mine, AS_MANY),
            line("as many that vary as much", MATCHED, mine, SAME),
        ]
        lines = [one for one in lines if len(one.x)]
        said = "; ".join(f"{one.name}: {prose.figures(one.x, one.y)}" for one in lines)
        title = words[0].upper() + words[1:]
        axes = Axes("layer", "accuracy lost", x_options={"dtick": 1})
        alt = f"{title} removed, one layer at a time: accuracy lost. {said}."
        figures.append(curves(title, lines, axes, alt=alt))
        lines_of.append(lines)
    return (Group("", tuple(figures), legend(lines_of)),) if figures else ()


def _tables(layers: pd.DataFrame, classes: pd.DataFrame) -> tuple[Table, ...]:
    named = [frame.assign(method=frame["method"].map(_named)) for frame in (layers, classes)]
    spread = with_intervals(named[0], "drop", "random", "matched_drop", "excess")
    by_class = with_intervals(named[1], "drop", "random_recall_drop", "matched_recall_drop")
    made = (
        table_of("Directions of all classes, by layer", spread, BY_LAYER),
        table_of("The direction of one class, removed from the last layer", by_class, BY_CLASS),
    )
    return tuple(one for one in made if one.rows)


def _named(method: object) -> str:
    return METHODS.get(str(method), str(method))


BY_LAYER = (
    Column("layer", "layer", COUNT),
    Column("directions", "method", text),
    Column("number", "rank", COUNT),
    Column("variance removed", "variance", SHARE),
    Column("on evaluate", "variance_evaluate", SHARE),
    Column("accuracy lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("as many random", "random_drop"),
    Column("band of one more draw", "random_interval", text),
    Column("as many that vary as much", "matched_drop"),
    Column("band of one more draw", "matched_drop_interval", text),
    Column("more than those", "excess"),
    Column("95% interval", "excess_interval", text),
)
BY_CLASS = (
    Column("class", "class", text),
    Column("direction", "method", text),
    Column("variance removed", "variance", SHARE),
    Column("accuracy lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("recall of the class lost", "recall_drop"),
    Column("random direction", "random_recall_drop"),
    Column("band of one more draw", "random_recall_drop_interval", text),
    Column("one that varies as much", "matched_recall_drop"),
    Column("band of one more draw", "matched_recall_drop_interval", text),
)
