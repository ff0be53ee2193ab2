"""Attention heads: which of them the classifier needs, alone and in sets.

Reads ``attention.heads``, ``attention.classes``, ``attention.sets`` and the summary.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Result, Section, Table
from synapse_audit.report.kit.figures import SHARE_AXIS, Axes, curves, legend
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.lines import Columns, line
from synapse_audit.report.kit.tables import COUNT, SHARE, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import BOTTOM, RANDOM, TOP
from synapse_audit.tables.attention import CLASSES, HEADS, SETS

EMPTY = "This section is empty: the run silenced no attention heads (grid: sites)."
ABSENT = (
    "This section is empty: this model's attention has no plain output matrix that reads one slice "
    "per head, with as many heads in every block, so no head can be silenced by itself."
)
NO_FIGURE = "Which head costs most is not in the summary of this run; the table has every head."
OPERATORS = {"mean": "held at their average", "zero": "set to zero"}
READING = (
    "A head is silenced by holding its slice of what the attention output matrix reads at its "
    "average, at the pooled position: it then adds the same to every input. The map has one cell "
    "per head, counted from 0.",
    "Sets hold the same share of heads in every layer; heads are ranked by the distance of their "
    "class means (probeless, averaged over the head's neurons). Random heads are as many in each "
    "layer.",
)
LIMITS = (
    "A head that costs nothing alone may still be needed together with others that do the same.",
    "At the pooled position a head counts for what it writes to the token that the classifier "
    "reads. Heads that carry something between other tokens show only where sets are silenced at "
    "every token.",
    "The largest of many losses is quoted, so it leans upward; its interval holds for all heads at "
    "once. The table has all of them, each with its own.",
)
FAINT = 0.02
"""Loss that is at least the strongest colour of the map: less is not to look like much."""
DROP = Columns("fraction", "drop", "drop_low", "drop_high")
RANDOM_DROP = Columns("fraction", "random_drop", "random_low", "random_high")


def attention(result: Result) -> Section:
    """Every head alone, and ranked heads beside random ones."""
    heads = saved.frame(result, HEADS).dropna(subset=["drop"])
    classes = saved.frame(result, CLASSES).dropna(subset=["recall_drop"])
    sets = saved.frame(result, SETS).dropna(subset=["drop"])
    figures = (_map(heads), *_curves(sets))
    ran = len(heads) or len(sets)
    return Section(
        label="Attention heads",
        heading="Which attention heads matter?",
        answer=_answer(result) if ran else (ABSENT if _absent(result) else EMPTY,),
        groups=tuple(group for group in figures if group is not None),
        tables=_tables(heads, classes, sets),
        reading=READING,
        limits=LIMITS,
    )


def _absent(result: Result) -> bool:
    return "attention_head" in (saved.dig(result.manifest, "sites_absent") or ())


# ---- sentences ---------------------------------------------------------------------------------


def _answer(result: Result) -> tuple[str, ...]:
    parts = [_costliest(result), *(_set(result, operator) for operator in OPERATORS)]
    return tuple(part for part in parts if part) or (NO_FIGURE,)


def _costliest(result: Result) -> str:
    """What the head that costs most costs; it is named where no other comes near."""
    found = saved.estimate(result.summary, "attention", "costliest", "drop")
    if not found.known:
        return ""
    tried = prose.whole(found.beside.get("tried"))
    head = saved.dig(result.summary, "attention", "costliest", "head")
    falls = f"accuracy {prose.falls(found.value, found.low, found.high)}"
    if head:
        return (
            f"Of {tried} attention heads silenced one at a time, {_name(head)} costs most: {falls}."
        )
    if not found.low > 0:
        most = f"with the costliest silenced, accuracy {prose.falls(found.value)} in this sample"
        return f"None of {tried} attention heads is shown to cost accuracy by itself ({most})."
    tied = [_name(one) for one in found.beside.get("tied") or ()]
    return (
        f"With the costliest of {tried} attention heads silenced, {falls}; {prose.some(tied)} are "
        "indistinguishable in that."
    )


def _name(head: object) -> str:
    """``layer:head`` in words."""
    layer, _, number = str(head).partition(":")
    return f"head {number} of layer {layer}"


def _set(result: Result, operator: str) -> str:
    """What the top heads cost beside as many random ones."""
    drop, random, excess = (
        saved.estimate(result.summary, "attention", "sets", operator, name)
        for name in ("drop", "random", "excess")
    )
    if not drop.known:
        return ""
    share = prose.percent(drop.beside.get("fraction"))
    said = (
        f"With the top {share} of every layer's heads {OPERATORS[operator]}, "
        f"accuracy {prose.falls(drop.value, drop.low, drop.high)}"
    )
    if not (random.known and excess.known):
        return f"{said}."
    band = prose.span(random.low, random.high)
    beside = f"; as many random heads cost {prose.number(random.value)} (one more draw: {band})"
    apart = prose.more(excess.value, excess.low, excess.high)
    verdict = (
        "the two are not shown to differ"
        if excess.low <= 0 <= excess.high
        else f"the top heads cost {apart}"
    )
    return f"{said}{beside}; {verdict}."


# ---- figures -----------------------------------------------------------------------------------


def _map(heads: pd.DataFrame) -> Group | None:
    if heads.empty:
        return None
    table = heads.pivot_table(index="layer", columns="head", values="drop")
    names = [str(int(head)) for head in table.columns]
    layers = [str(int(layer)) for layer in table.index]
    values = table.to_numpy().tolist()
    limit = max(float(heads["drop"].abs().max()), FAINT)
    matrix = Heat(names, layers, values, "head", "layer", diverging=True, limit=limit)
    most = heads.sort_values("drop", ascending=False).head(5)
    said = prose.figures(
        [f"layer {row.layer} head {row.head}" for row in most.itertuples()], most["drop"]
    )
    alt = f"Accuracy lost with one attention head silenced; the five largest: {said}."
    return Group("", (heat("Accuracy lost with one head silenced", matrix, alt=alt),), columns=1)


def _curves(sets: pd.DataFrame) -> tuple[Group, ...]:
    rows = saved.rows(sets, ranked_for=None, position="pooled")
    figures, lines_of = [], []
    for operator, words in OPERATORS.items():
        mine = saved.rows(rows, operator=operator).sort_values("fraction")
        if mine.empty:
            continue
        top, bottom = (saved.rows(mine, selection=name) for name in ("top", "bottom"))
        lines = [
            line("top heads", TOP, top, DROP),
            line("bottom heads", BOTTOM, bottom, DROP),
            line("random heads", RANDOM, top, RANDOM_DROP),
        ]
        lines = [one for one in lines if len(one.x)]
        axes = Axes("share of every layer's heads", "accuracy lost", SHARE_AXIS)
        said = "; ".join(f"{one.name}: {prose.figures(one.x, one.y)}" for one in lines)
        title = f"Heads {words}"
        figures.append(curves(title, lines, axes, alt=f"{title}: accuracy lost. {said}."))
        lines_of.append(lines)
    return (Group("", tuple(figures), legend(lines_of)),) if figures else ()


# ---- tables ------------------------------------------------------------------------------------


def _tables(heads: pd.DataFrame, classes: pd.DataFrame, sets: pd.DataFrame) -> tuple[Table, ...]:
    ordered = heads.sort_values("drop", ascending=False, kind="stable")
    spread = with_intervals(sets, "drop", "random", "excess", "random_recall_drop")
    lost = classes.sort_values("recall_drop", ascending=False, kind="stable")
    made = (
        table_of("Heads, by what they cost", with_intervals(ordered, "drop"), ALONE),
        table_of("Heads and classes, by what they cost", lost, BY_CLASS),
        table_of("Sets of heads", spread, TOGETHER),
    )
    return tuple(one for one in made if one.rows)


ALONE = (
    Column("layer", "layer", COUNT),
    Column("head", "head", COUNT),
    Column("accuracy lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("a head of the layer at random", "layer_drop"),
    Column("neurons", "neurons", text),
)
BY_CLASS = (
    Column("layer", "layer", COUNT),
    Column("head", "head", COUNT),
    Column("class", "class", text),
    Column("examples", "support", COUNT),
    Column("recall lost", "recall_drop"),
)
TOGETHER = (
    Column("operator", "operator", text),
    Column("position", "position", text),
    Column("ranked for", "ranked_for", text),
    Column("heads", "selection", text),
    Column("share silenced", "fraction", SHARE),
    Column("number", "heads", COUNT),
    Column("accuracy lost", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("random heads", "random_drop"),
    Column("band of one more draw", "random_interval", text),
    Column("more than random", "excess"),
    Column("95% interval", "excess_interval", text),
    Column("recall of that class lost", "recall_drop"),
    Column("with random heads", "random_recall_drop"),
    Column("band of one more draw", "random_recall_drop_interval", text),
)
