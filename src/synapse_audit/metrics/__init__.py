"""What outcomes mean in numbers: accuracy, F1, flips, redirects, collateral, controls.

In: a plan, its outcomes, clean predictions and bootstrap counts. Out: the tables of effects.
"""

from synapse_audit.metrics.controls import curve_tests
from synapse_audit.metrics.estimates import Estimates
from synapse_audit.metrics.measures import METRICS
from synapse_audit.metrics.scored import NOBODY, Scored, untouched
from synapse_audit.metrics.tables import CLASS_COLUMNS, COLUMNS, Tables, measure

__all__ = [
    "CLASS_COLUMNS",
    "COLUMNS",
    "METRICS",
    "NOBODY",
    "Estimates",
    "Scored",
    "Tables",
    "curve_tests",
    "measure",
    "untouched",
]
