"""Tables of the advice: what follows from the findings."""

from __future__ import annotations

from synapse_audit.tables.column import estimate, text
from synapse_audit.tables.table import of_finding

RECOMMENDATIONS = of_finding(
    "advice",
    "recommendations",
    "a rule that fires",
    text("rule", "name of the rule"),
    text("about", "classes, neurons, layers or tensors concerned, with semicolons between"),
    text("finding", "what was found, with its figures"),
    text("advice", "what to do"),
    text("measure", "what the gain is measured as"),
    *estimate("before", "", "the measure without the remedy; null: not measured"),
    *estimate("after", "", "the measure with the remedy; null: not measured"),
    text("reason", "why the gain is not measured, and what would; empty where it is"),
)

TABLES = (RECOMMENDATIONS,)
