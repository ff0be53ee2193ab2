"""Tables of the finding ``attention``: attention heads, alone and in sets."""

from __future__ import annotations

from synapse_audit.tables.column import BAND, count, ends, number, text
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    CLASS_NAME,
    DRAWS,
    DROP,
    EXCESS,
    FRACTION,
    LAYER_INDEX,
    OPERATOR,
    POSITION,
    RANKED_FOR,
    SELECTION,
    random_drop,
)
from synapse_audit.tables.table import of_finding

HEAD = count("head", "", "number of the head in its layer, from 0")
NEURONS = text("neurons", "its neurons, `LAYER:attention_head:FIRST-LAST`, as --neurons takes them")

HEADS = of_finding(
    "attention",
    "heads",
    "one attention head, silenced alone at the pooled position (mean)",
    LAYER_INDEX,
    HEAD,
    NEURONS,
    *DROP,
    number("layer_drop", ACCURACY_LOST, "the same for one head of the layer at random: their mean"),
)
CLASSES = of_finding(
    "attention",
    "classes",
    "one attention head, silenced alone, and a class",
    LAYER_INDEX,
    HEAD,
    CLASS_NAME,
    count("support", "examples", "examples of the class in `evaluate`"),
    number("recall_drop", ACCURACY_LOST, "clean recall minus recall"),
)
SETS = of_finding(
    "attention",
    "sets",
    "heads of all layers, silenced together",
    OPERATOR,
    POSITION,
    RANKED_FOR,
    SELECTION,
    FRACTION,
    count("heads", "heads", "how many heads, in all layers"),
    *DROP,
    *random_drop("as many random heads in each layer"),
    *EXCESS,
    number("recall_drop", ACCURACY_LOST, "recall lost by the class that the heads are ranked for"),
    number("random_recall_drop", ACCURACY_LOST, "the same with random heads: mean of the draws"),
    *ends("random_recall_drop", ACCURACY_LOST, BAND),
    DRAWS,
)

TABLES = (HEADS, CLASSES, SETS)
