"""Given neurons: what silencing the neurons that somebody named does, beside random controls.

In: cells with the selection ``given`` and the random sets of as many neurons in each layer that
carry the same addresses. Out: one row per set and operator, and the same for every class.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.curves import draw_range, where
from synapse_audit.summary import Figure
from synapse_audit.tables.named_neurons import CLASSES, EFFECTS

KEYS = ["site", "operator", "strength", "addresses"]
SHORT = {
    "accuracy_drop": "drop",
    "accuracy_drop_low": "drop_low",
    "accuracy_drop_high": "drop_high",
    "flip_rate_low": "flip_low",
    "flip_rate_high": "flip_high",
}


def given(evidence: Evidence) -> Finding:
    """Accuracy, predictions and recalls that the named neurons cost."""
    mine = evidence.cells("named")
    effects = effects_table(mine)
    tables = {"effects": effects, "classes": classes_table(mine, evidence.class_effects)}
    return Finding("given", tables, {"given": _figures(effects)})


def effects_table(cells: pd.DataFrame) -> pd.DataFrame:
    """One row per set and operator; random columns are mean and band of the draws.

    ``neurons`` holds the addresses. ``p_random`` counts the draws that cost at least as much:
    with B of them it cannot go below 1/(B + 1).
    """
    random_controls = draw_range(
        where(cells, {"selection": "random"}), KEYS, {"accuracy_drop": "random"}
    )
    chosen = where(cells, {"selection": "given"}).rename(columns=SHORT)
    table = chosen.merge(
        random_controls.rename(columns={"random": "random_drop"}), on=KEYS, how="left"
    )
    return _named(table)[EFFECTS.names]


def classes_table(cells: pd.DataFrame, class_effects: pd.DataFrame) -> pd.DataFrame:
    """The same as recall lost per class; classes without an example have nulls."""
    purpose = cells[["cell", "selection", "draw", *KEYS]]
    rows = class_effects.merge(purpose, on="cell", how="inner")
    keys = [*KEYS, "class"]
    random_controls = draw_range(
        where(rows, {"selection": "random"}), keys, {"recall_drop": "random"}
    )
    chosen = where(rows, {"selection": "given"})
    table = chosen.merge(
        random_controls.rename(columns={"random": "random_drop"}), on=keys, how="left"
    )
    return _named(table)[CLASSES.names]


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"addresses": "neurons"})


def _figures(effects: pd.DataFrame) -> dict[str, Any] | Figure:
    """Per site and operator what accuracy lost."""
    figures: dict[str, Any] = {}
    for row in effects.to_dict("records"):
        drop = Figure(row["drop"], row["drop_low"], row["drop_high"])
        random = Figure(row["random_drop"], row["random_low"], row["random_high"])
        figures.setdefault(str(row["site"]), {})[str(row["operator"])] = {
            "drop": drop,
            "random": random,
        }
    return figures or Figure.unknown("no neurons were named")
