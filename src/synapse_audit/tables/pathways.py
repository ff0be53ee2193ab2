"""Tables of the finding ``pathways``: direct and indirect effects."""

from __future__ import annotations

from synapse_audit.tables.column import EITHER, count, estimate, later, number, text
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    DRAWS,
    DROP,
    FRACTION,
    LAYERS,
    OPERATOR,
    RANKED_FOR,
    RANKING,
    SELECTION,
    SITE,
    STRENGTH,
    TARGET,
)
from synapse_audit.tables.table import of_finding

SPLIT = of_finding(
    "pathways",
    "split",
    "a set at the pooled position, its effect split in two; draws share a row",
    OPERATOR,
    STRENGTH,
    later(SITE),
    LAYERS,
    SELECTION,
    RANKING,
    RANKED_FOR,
    later(TARGET),
    later(text("setting", "the paper's name of the setting; null: none of its own")),
    FRACTION,
    count("n_exact", "examples", "examples that were run exactly; of draws the smallest number"),
    *DROP,
    number("direct_drop", ACCURACY_LOST, "accuracy lost along the pooled row alone"),
    *estimate(
        "indirect_drop",
        ACCURACY_LOST,
        "accuracy lost through other tokens: drop minus direct_drop",
        EITHER,
        short="indirect",
    ),
    number("disagreement", "share", "examples that the two routes predict differently"),
    DRAWS,
)
OPERATORS = of_finding(
    "pathways",
    "operators",
    "an operator, over its distinct actions",
    OPERATOR,
    count("cells", "actions", "distinct actions that were run on both routes"),
    number("n_exact", "examples", "median number of examples run exactly"),
    number("median_disagreement", "share", "median share of examples predicted differently"),
    number("max_disagreement", "share", "largest share of examples predicted differently"),
    number("notable_share", "share", "actions whose indirect part exceeds 0.01 either way"),
)

TABLES = (SPLIT, OPERATORS)
