"""The table of the finding ``inputs``: attacks on the input."""

from __future__ import annotations

from synapse_audit.tables.column import EITHER, estimate, number, text
from synapse_audit.tables.shared import (
    ACCURACY,
    COLLATERAL,
    DRAWS,
    DROP,
    REDIRECT,
    SELECTION,
    TARGET,
)
from synapse_audit.tables.table import of_finding

ATTACKS = of_finding(
    "inputs",
    "attacks",
    "an attack of one strength; random choices: the mean of the draws",
    text("attack", "fgsm, pgd, noise or deletion"),
    text("unit", "relative: to the RMS of the text's embeddings; absolute; tokens"),
    TARGET,
    number("strength", "", "size of the attack, in its unit"),
    SELECTION,
    DRAWS,
    *ACCURACY,
    *DROP,
    *estimate("flip_rate", "share", "examples whose prediction changes", EITHER),
    *REDIRECT,
    *COLLATERAL,
)

TABLES = (ATTACKS,)
