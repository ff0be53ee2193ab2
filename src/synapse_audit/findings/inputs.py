"""Attacks on the input: what each size of each attack breaks, beside random changes as large.

In: cells of space ``input``. Out: one table, and the smallest strength of each attack that changes
half of the predictions. ε and σ are relative to the root mean square of a text's own embeddings
(``unit`` absolute: in the embeddings' own numbers), deletions count tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.crossings import Losses, smallest_enough
from synapse_audit.effects.curves import draw_range
from synapse_audit.effects.picked_rows import PickedBy, picked_figure
from synapse_audit.summary import Figure
from synapse_audit.tables.inputs import ATTACKS

MEASURES = {
    "accuracy": "accuracy",
    "accuracy_drop": "drop",
    "flip_rate": "flip_rate",
    "redirect_rate": "redirect",
    "collateral": "collateral",
}
"""Column of ``effects`` → its name here; intervals as ``_low`` and ``_high``."""

ENDS = ("", "_low", "_high")
KEYS = ["attack", "unit", "target", "strength"]
HALF = 0.5
NOT_RUN = "no attack on the input was run"


def inputs(evidence: Evidence) -> Finding:
    """Every attack at every size."""
    table = attacks_table(evidence)
    return Finding("inputs", {"attacks": table}, {"inputs": _figures(table)})


def attacks_table(evidence: Evidence) -> pd.DataFrame:
    """One row per attack, size and target; random deletions are means over draws, with range."""
    rows = evidence.cells("attack")
    rows = rows.rename(columns={"operator": "attack"})
    random = draw_range(rows[rows["selection"] == "random"], KEYS, MEASURES)
    single = rows[rows["selection"] != "random"].rename(
        columns={f"{old}{end}": f"{new}{end}" for old, new in MEASURES.items() for end in ENDS}
    )
    parts = [single.assign(draws=1), random.assign(selection="random")]
    table = ATTACKS.joined(parts)
    return table.sort_values([*KEYS, "selection"], ignore_index=True)


def _figures(table: pd.DataFrame) -> dict[str, Any]:
    """Per attack: accuracy drop by strength, and the strength that changes half."""
    mine = table[table["target"].isna() & (table["unit"] != "absolute")]
    found: dict[str, Any] = {}
    for (attack, selection), rows in mine.groupby(["attack", "selection"], dropna=False):
        name = f"{attack}_random" if selection == "random" else str(attack)
        drops = {
            f"{row['strength']:g}": Figure(row["drop"], row["drop_low"], row["drop_high"])
            for row in rows.to_dict("records")
        }
        found[name] = {"drop": drops, "changes_half": _half(rows)}
    if found or table["target"].notna().any():
        found["aimed"] = aimed(table)
    return found or {"attacks": Figure.unknown(NOT_RUN)}


def aimed(table: pd.DataFrame) -> Figure:
    """What the attack aimed at one class that redirects most redirects to it.

    The interval holds for all such attacks, sizes and classes at once, since the largest was
    picked. ``tied``: classes whose largest rate is indistinguishable from it.
    """
    rows = table[table["target"].notna() & (table["selection"] != "random")]
    return picked_figure(
        rows,
        PickedBy("redirect", least=0.0),
        tied="target",
        beside=("attack", "target", "strength", "unit", "collateral"),
        reason="no attack was aimed at a class",
    )


def _half(rows: pd.DataFrame) -> Figure:
    """Smallest strength tried that changes half of the predictions, and what a sample leaves open.

    See :func:`synapse_audit.effects.crossings.smallest_enough`.
    """
    rates = Losses(*(rows[f"flip_rate{end}"].to_numpy(dtype=float) for end in ENDS))
    found = smallest_enough(rows["strength"].to_numpy(dtype=float), rates, HALF)
    if np.isnan(found.value):
        return Figure.unknown("no strength tried changes half of the predictions")
    return Figure(found.value, found.low, found.high)
