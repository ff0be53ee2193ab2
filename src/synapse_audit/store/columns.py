"""What the tables of a run folder hold: columns, their kinds and bounds, held against every file.

A reader of tables counts on these: a class number is an index, a layer number the length of a list.
So a table with other columns, other kinds or numbers out of bounds is refused before it is used.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import pandas as pd

from synapse_audit.artifacts import MOST_CLASSES

MOST_LAYERS, MOST_NEURONS = 10_000, 10**9


class Column(NamedTuple):
    """One column: what its values are, and between which bounds numbers lie."""

    kind: Literal["text", "number", "integer"]
    least: float = float("-inf")
    most: float = float("inf")

    def problem(self, values: pd.Series) -> str:
        """Why these values cannot be meant; empty where they can. Missing ones always can."""
        known = values.dropna()
        if not len(known):
            return ""
        if self.kind == "text":
            texts = known.astype("category").cat.categories
            return "" if all(isinstance(text, str) for text in texts) else "holds other than text"
        types = pd.api.types
        if not types.is_numeric_dtype(known) or types.is_complex_dtype(known):
            return "holds other than numbers"
        if self.kind == "integer" and not types.is_integer_dtype(known) and (known % 1 != 0).any():
            return "holds other than whole numbers"
        low, high = known.min(), known.max()
        if low < self.least or high > self.most:
            return f"holds {low:g} to {high:g}; expected {self.least:g} to {self.most:g}"
        return ""


TEXT, NUMBER = Column("text"), Column("number")
COUNT = Column("integer", 0, 10**12)
SHARE = Column("number", 0, 1)
CLASS = Column("integer", 0, MOST_CLASSES - 1)
LAYER, NEURON = Column("integer", 0, MOST_LAYERS), Column("integer", 0, MOST_NEURONS)

_INTERVALS = [
    *("accuracy", "accuracy_drop", "macro_f1", "weighted_f1"),
    *("flip_rate", "redirect_rate", "collateral"),
]

TABLES: dict[str, dict[str, Column]] = {
    "splits": {"example": COUNT, "split": TEXT, "label": CLASS},
    "predictions": {
        "example": COUNT,
        "label": CLASS,
        "predicted": CLASS,
        "probability": NUMBER,
        "margin": NUMBER,
        "split": TEXT,
        "weight": NUMBER,
    },
    "probes": {
        "scope": TEXT,
        **dict.fromkeys(("accuracy", "macro_f1", "majority_accuracy", "fit_accuracy"), SHARE),
        "control_accuracy": SHARE,
        "selectivity": NUMBER,
        "null_accuracy": SHARE,
        "strength": NUMBER,
    },
    "rankings": {
        "method": TEXT,
        "ranked_for": TEXT,
        "layer": LAYER,
        "neuron": NEURON,
        "score": NUMBER,
        "rank": NEURON,
    },
    "effects": {
        **dict.fromkeys(("cell", "space", "operator", "site", "position", "layers"), TEXT),
        **dict.fromkeys(("ranking", "ranked_for", "selection", "source", "target"), TEXT),
        "strength": NUMBER,
        "fraction": SHARE,
        "k": COUNT,
        "draw": COUNT,
        "parameter": TEXT,
        "budget_l2": NUMBER,
        "budget_linf": NUMBER,
        "n_changed": COUNT,
        "n": COUNT,
        "route": TEXT,
        "n_exact": COUNT,
        "direct_drop": NUMBER,
        **{f"{name}{end}": NUMBER for name in _INTERVALS for end in ("", "_low", "_high")},
        **dict.fromkeys(("mean_kl", "p_value", "p_adjusted", "z_random", "p_random"), NUMBER),
    },
    "class_effects": {
        "cell": TEXT,
        "class": TEXT,
        "support": COUNT,
        **dict.fromkeys(("recall", "recall_low", "recall_high", "precision", "f1"), NUMBER),
        "recall_drop": NUMBER,
    },
    "outcomes/actions": {"action": TEXT, "route": TEXT},
}
"""Table → its columns as the contract has them; a table may have more."""


def problem_of(name: str, table: pd.DataFrame) -> str:
    """What a table lacks or holds amiss, by the declared columns; empty where it is fine."""
    for column, declared in TABLES.get(name, {}).items():
        if column not in table.columns:
            return f"has no column '{column}'"
        amiss = declared.problem(table[column])
        if amiss:
            return f"column '{column}' {amiss}"
    return ""
