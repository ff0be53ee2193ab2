"""Tables of the finding ``directions``: directions removed from one layer."""

from __future__ import annotations

from synapse_audit.tables.column import BAND, Column, count, ends, number, text
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    CLASS_NAME,
    DRAWS,
    DROP,
    EXCESS,
    LAYER_INDEX,
    random_drop,
)
from synapse_audit.tables.table import of_finding

METHOD = text("method", "how the directions were found: mean_difference, probe or leace")
RANK = count("rank", "directions", "how many are removed")
VARIANCE = (
    number("variance", "share", "share of the layer's variance over `fit` that is removed"),
    number("variance_evaluate", "share", "the same over `evaluate`"),
)


def _beside(name: str, what: str, lost: str) -> tuple[Column, Column, Column]:
    """A random control with the band of one more draw."""
    return number(name, ACCURACY_LOST, f"{lost} to {what}: mean of the draws"), *ends(
        name, ACCURACY_LOST, BAND
    )


AS_MANY = "as many random orthonormal directions"
SAME = f"{AS_MANY} along which the states vary as much"

LAYERS = of_finding(
    "directions",
    "layers",
    "the directions of all classes, removed from one layer at the pooled position",
    LAYER_INDEX,
    METHOD,
    RANK,
    *VARIANCE,
    *DROP,
    *random_drop(AS_MANY),
    *_beside("matched_drop", SAME, "accuracy lost"),
    *EXCESS,
    DRAWS,
)
CLASSES = of_finding(
    "directions",
    "classes",
    "the direction of one class against the rest, removed from the last layer",
    LAYER_INDEX,
    METHOD,
    CLASS_NAME,
    RANK,
    *VARIANCE,
    *DROP,
    number("recall_drop", ACCURACY_LOST, "recall that the class loses"),
    *_beside("random_recall_drop", AS_MANY, "recall lost"),
    *_beside("matched_recall_drop", SAME, "recall lost"),
    DRAWS,
)

TABLES = (LAYERS, CLASSES)
