"""Table of the finding ``operating``: what each decision threshold would do."""

from __future__ import annotations

from synapse_audit.tables.column import count, estimate, flag, share, text
from synapse_audit.tables.table import of_finding

RATES = {
    "recall": "share of the class that is predicted as it",
    "false_alarm": "share of all other examples that are predicted as the class",
    "precision": "share of the class among those predicted as it; null where there are none",
}

CURVE = of_finding(
    "operating",
    "curve",
    "a threshold of a class, those of the others as they are set",
    text("class", "whose threshold it is"),
    share("threshold", "probability above which the class is predicted"),
    flag("current", "whether it is the one that is set"),
    count("predicted", "examples", "examples predicted as the class"),
    *(column for name, meaning in RATES.items() for column in estimate(name, "share", meaning)),
)

TABLES = (CURVE,)
