"""Tables of the finding ``given``: the neurons that somebody named."""

from __future__ import annotations

from synapse_audit.tables.column import count, estimate, number, text
from synapse_audit.tables.shared import (
    ACCURACY,
    ACCURACY_LOST,
    CLASS_NAME,
    DRAWS,
    DROP,
    LAYERS,
    OPERATOR,
    RAW_P,
    SITE,
    STRENGTH,
    K,
    random_drop,
)
from synapse_audit.tables.table import of_finding

NEURONS = text("neurons", "addresses of the neurons that were named")

EFFECTS = of_finding(
    "given",
    "effects",
    "a set of named neurons under one operator",
    NEURONS,
    SITE,
    LAYERS,
    K,
    OPERATOR,
    STRENGTH,
    *ACCURACY,
    *DROP,
    *random_drop(),
    DRAWS,
    number("z_random", "standard deviations", "place among the draws: (drop − mean) / sd"),
    number("p_random", "probability", "(1 + draws that cost at least as much) / (draws + 1)"),
    RAW_P,
    *estimate("flip_rate", "share", "examples whose prediction changes", short="flip"),
)
CLASSES = of_finding(
    "given",
    "classes",
    "a set of named neurons under one operator, and a class",
    NEURONS,
    SITE,
    OPERATOR,
    STRENGTH,
    CLASS_NAME,
    count("support", "examples", "examples of the class in `evaluate`"),
    *estimate("recall", "share", "share of the class predicted as it"),
    number("recall_drop", ACCURACY_LOST, "clean recall minus recall"),
    *random_drop(),
)

TABLES = (EFFECTS, CLASSES)
