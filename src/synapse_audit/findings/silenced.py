"""What is left of accuracy and of every class's recall while neurons are silenced.

In: the headline removal curve. Out: no table, and the figures ``silenced.*``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.curves import headline
from synapse_audit.summary import Figure

NO_CURVE = "no removal curve (operator mean, top, all layers, pooled) was run"
NO_EXAMPLE = "no example of the class"
ENDS = ("", "_low", "_high")


def silenced(evidence: Evidence) -> Finding:
    """Accuracy and recall at every share silenced."""
    curve = headline(evidence)
    if curve.empty:
        return Finding("silenced", {}, {"silenced": Figure.unknown(NO_CURVE)})
    shares = curve[["cell", "fraction"]]
    rows = evidence.class_effects.merge(shares, on="cell", how="inner").sort_values("fraction")
    figures: dict[str, Any] = {
        "accuracy": {
            f"{row['fraction']:g}": Figure(*(row[f"accuracy{end}"] for end in ENDS))
            for row in curve.to_dict("records")
        },
        "recall": {str(name): _recalls(part) for name, part in rows.groupby("class", sort=False)},
    }
    return Finding("silenced", {}, {"silenced": figures})


def _recalls(rows: pd.DataFrame) -> dict[str, Figure]:
    return {f"{row['fraction']:g}": _recall(row) for row in rows.to_dict("records")}


def _recall(row: dict[Any, Any]) -> Figure:
    if pd.isna(row["recall"]):
        return Figure.unknown(NO_EXAMPLE)
    value, low, high = (row[f"recall{end}"] for end in ENDS)
    return Figure(value, low, high, n=int(row["support"]))
