"""Where each label can be read: AUC of its own probe, layer by layer.

Reads ``label_probes``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section
from synapse_audit.report.kit.figures import Axes, Line, curves, legend
from synapse_audit.report.kit.lines import MOST, Columns, line, styles
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import FAINT
from synapse_audit.tables.label_sets import LABEL_PROBES

LEAST = 5
"""Examples of a label from which its curve is drawn."""
CHANCE = 0.5
EMPTY = "This section is empty: the run holds no probes of labels (table label_probes)."
READING = (
    "One logistic regression per label reads it from one layer of the untouched model. AUC is the "
    "chance that an example with the label scores above one without; 0.5 is chance. High says that "
    "the label can be read there, not that the model uses it there.",
    "Strength is chosen on select by the log loss of all labels together, one for all of them.",
)
LIMITS = (
    "Each interval holds for one label and layer by itself; differences of a few points between "
    "layers are not shown by them.",
)


def label_probes(result: Result) -> Section:
    """AUC over layers, one line per label."""
    table = saved.frame(result, LABEL_PROBES).dropna(subset=["auc"])
    layers = table[table["scope"].astype("string").str.fullmatch(r"\d+").fillna(False).astype(bool)]
    layers = layers.assign(layer=layers["scope"].astype(int))
    drawn = layers[layers["support"] >= LEAST]
    shown = with_intervals(table, "auc").sort_values(["label", "scope"], kind="stable")
    made = table_of("Each label and layer", shown, PROBE_TABLE)
    return Section(
        label="Probes by layer",
        heading="Where can each label be read?",
        answer=_answer(layers) if len(layers) else (EMPTY,),
        groups=(_group(drawn),) if len(drawn) else (),
        tables=(made,) if made.rows else (),
        reading=READING,
        limits=LIMITS,
    )


def _answer(layers: pd.DataFrame) -> tuple[str, ...]:
    mean = layers.groupby("layer")["auc"].mean()
    first, last = int(mean.index.min()), int(mean.index.max())
    above = layers[(layers["layer"] == last) & (layers["auc_low"] > CHANCE)]
    count = f"{prose.whole(len(above))} of {prose.whole(layers['label'].nunique())}"
    return (
        f"Mean AUC over labels is {prose.number(mean[first])} at layer {first} and "
        f"{prose.number(mean[last])} at layer {last}; there {count} labels are read above chance, "
        "each at 95% by itself.",
    )


def _group(layers: pd.DataFrame) -> Group:
    last = layers[layers["layer"] == layers["layer"].max()].sort_values("auc", ascending=False)
    names = [str(name) for name in last["label"]]
    look = styles(names, names)
    columns = Columns("layer", "auc")
    lines = [
        line(prose.short(name), look[name], saved.rows(layers, label=name), columns)
        for name in names
    ]
    kept = [one for one in lines if one.style != FAINT]
    faint = [replace(one, legend=False) for one in lines if one.style == FAINT]
    note = "" if len(names) <= MOST else "Three best and three worst read labels in colour."
    return Group("", (_plot([*faint, *kept]),), legend([kept]), note, columns=1)


def _plot(lines: Sequence[Line]) -> Plot:
    ends = prose.figures([one.name for one in lines], [one.y[-1] for one in lines])
    alt = f"AUC of each label's probe over layers; at the last layer: {ends}."
    return curves("AUC of each label's probe", lines, Axes("layer", "AUC", {"dtick": 1}), alt=alt)


PROBE_TABLE = (
    Column("label", "label", text),
    Column("layer", "scope", text),
    Column("examples", "support", COUNT),
    Column("AUC", "auc"),
    Column("95% interval", "auc_interval", text),
    Column("F1 at ½", "f1"),
)
