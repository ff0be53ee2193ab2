"""Directions: what removing the directions of the classes costs, beside random directions.

In: cells in which directions are removed from one layer, and how much of its variance that takes.
Out: one row per layer and method, one per class, and the figures of the last layer. ``excess`` is
what a method's directions cost beyond random ones of the same number *and* variance: random
directions of a high-dimensional space hardly vary, so the same number alone shows little.

Limits: only what can be read linearly at the pooled position is removed; layers above can still
take it from other tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.beyond_random import beyond_random, with_excess
from synapse_audit.effects.curves import draw_range, where
from synapse_audit.summary import Figure
from synapse_audit.tables.directions import CLASSES, LAYERS

SHORT = {
    "accuracy_drop": "drop",
    "accuracy_drop_low": "drop_low",
    "accuracy_drop_high": "drop_high",
}
NAMES = ["layer", "method", "ranked_for", "rank"]
NOT_RUN = "no directions were removed"


def directions(evidence: Evidence) -> Finding:
    """Directions of all classes in every layer, and of each class in the last one."""
    cells = _placed(evidence)
    layers = layers_table(evidence, cells)
    tables = {"layers": layers, "classes": classes_table(evidence, cells)}
    return Finding("directions", tables, {"directions": _figures(layers)})


def _placed(evidence: Evidence) -> pd.DataFrame:
    """The cells with the layer, the method, and the share of variance that each removes."""
    cells = evidence.cells("direction").rename(columns=SHORT | {"ranking": "method"})
    cells = cells.assign(
        layer=pd.to_numeric(cells["layers"]).astype("Int64"),
        rank=cells["strength"].astype("Int64"),
    )
    kinds = {"method": "str", "ranked_for": "str", "layer": "Int64", "rank": "Int64"}
    if evidence.directions is None:
        return cells.assign(variance=np.nan, variance_evaluate=np.nan).astype(kinds)
    own = evidence.directions[evidence.directions["selection"] == "direction"]
    keys = ["layer", "method", "ranked_for"]
    beside = own[[*keys, "variance", "variance_evaluate"]].astype({key: kinds[key] for key in keys})
    return cells.astype(kinds).merge(beside, on=keys, how="left")


# ---- tables ------------------------------------------------------------------------------------


def layers_table(evidence: Evidence, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per layer and method; bands are of one more draw, ``excess`` over both."""
    everyone = cells[cells["ranked_for"].isna()]
    own = where(everyone, {"selection": "direction"})
    measures = {"drop": "random_drop"}
    as_many = draw_range(where(everyone, {"selection": "random"}), ["layer", "rank"], measures)
    as_many = as_many.rename(
        columns={"random_drop_low": "random_low", "random_drop_high": "random_high"}
    ).drop(columns="draws")
    drawn = where(everyone, {"selection": "equal_variance"})
    matched = draw_range(drawn, NAMES, {"drop": "matched_drop"})
    table = own.merge(as_many, on=["layer", "rank"], how="left").merge(
        matched, on=NAMES, how="left"
    )
    found = [
        beyond_random(evidence, row["action"], _beside(drawn, row)) for _, row in table.iterrows()
    ]
    table = with_excess(table, found)
    return table.sort_values(["layer", "method"], ignore_index=True)[LAYERS.names]


def _beside(drawn: pd.DataFrame, row: pd.Series) -> pd.Series:
    """Actions of the random directions that were drawn for a row's own."""
    return where(drawn, {"layer": row["layer"], "method": row["method"]})["action"]


def classes_table(evidence: Evidence, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per class and method: the recall that the class itself loses."""
    lost = evidence.class_effects[["cell", "class", "recall_drop"]]
    rows = cells.merge(lost, on="cell", how="inner")
    own = where(rows[rows["ranked_for"] == rows["class"]], {"selection": "direction"})
    matched_rows = rows[rows["ranked_for"] == rows["class"]]
    matched = draw_range(
        where(matched_rows, {"selection": "equal_variance"}),
        NAMES,
        {"recall_drop": "matched_recall_drop"},
    )
    keys = ["layer", "rank", "class"]
    as_many = draw_range(
        where(rows, {"selection": "random"}), keys, {"recall_drop": "random_recall_drop"}
    ).drop(columns="draws")
    table = own.merge(as_many, on=keys, how="left").merge(matched, on=NAMES, how="left")
    return table.sort_values(["layer", "method", "class"], ignore_index=True)[CLASSES.names]


# ---- figures -----------------------------------------------------------------------------------


def _figures(layers: pd.DataFrame) -> dict[str, Any] | Figure:
    """Per method what the directions of the last layer cost: the one that the head reads."""
    if layers["drop"].isna().all():
        return Figure.unknown(NOT_RUN)
    last = layers[layers["layer"] == layers["layer"].max()]
    return {str(row["method"]): _of(row) for _, row in last.iterrows()}


def _of(row: pd.Series) -> dict[str, Figure]:
    at = {name: float(row[name]) for name in ("layer", "rank", "variance", "variance_evaluate")}
    return {
        "drop": Figure(row["drop"], row["drop_low"], row["drop_high"], beside=at),
        "random": Figure(row["random_drop"], row["random_low"], row["random_high"]),
        "matched": Figure(row["matched_drop"], row["matched_drop_low"], row["matched_drop_high"]),
        "excess": Figure(row["excess"], row["excess_low"], row["excess_high"]),
    }
