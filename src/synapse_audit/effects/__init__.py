"""What outcomes mean in numbers: accuracy, F1, flips, redirects, collateral, controls.

In: a plan, its outcomes, clean predictions and bootstrap counts. Out: the tables of effects.
"""

from synapse_audit.effects.controls import curve_tests
from synapse_audit.effects.estimates import Estimates
from synapse_audit.effects.measures import METRICS
from synapse_audit.effects.scored import NO_CLASS, Scored, untouched
from synapse_audit.effects.tables import CLASS_COLUMNS, COLUMNS, Tables, measure

__all__ = [
    "CLASS_COLUMNS",
    "COLUMNS",
    "METRICS",
    "NO_CLASS",
    "Estimates",
    "Scored",
    "Tables",
    "curve_tests",
    "measure",
    "untouched",
]
