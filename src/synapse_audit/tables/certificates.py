"""Tables of the finding ``certificates``: what no change within a budget can undercut."""

from __future__ import annotations

from synapse_audit.tables.column import count, estimate, flag, number, text
from synapse_audit.tables.shared import OPERATOR, TARGET
from synapse_audit.tables.table import of_finding

PLACE = text("place", "what changes: head, head_input or state (the final pooled one)")
CHANGE = text("change", "l2 or linf of a change, zero or mean of silenced numbers")
KEY = (
    PLACE,
    CHANGE,
    text("rows", "of the head: all or one; null elsewhere"),
    flag("bias", "whether the head's bias may change too; null elsewhere"),
)
EXACT = flag("exact", "whether the distances are exact, or lower bounds")
CLASS = text("class", "the true class; null: all examples")
SIZE = "relative norm or count"
BUDGET = number("budget", SIZE, "size of the change")

CURVES = of_finding(
    "certificates",
    "curves",
    "a kind of change, a class and a size",
    *KEY,
    EXACT,
    CLASS,
    BUDGET,
    *estimate("accuracy", "share", "guaranteed accuracy (of a class: recall)"),
)
DISTANCES = of_finding(
    "certificates",
    "distances",
    "a kind of change, a class and a target, over the right examples",
    *KEY,
    EXACT,
    CLASS,
    text("target", "the class to be reached; null: any other"),
    count("n", "examples", "right examples"),
    number("p05", SIZE, "5th percentile of the smallest change that matters; null: none does"),
    number("median", SIZE, "its median; null: for half of them none matters"),
    number("never", "share", "examples that no change of this kind moves"),
    number("attained", "share", "examples whose distance is known to be exact"),
)
FEWEST_SILENCED = of_finding(
    "certificates",
    "fewest_silenced",
    "a number of silenced inputs of the head, by class",
    CHANGE,
    CLASS,
    count("k", "neurons", "how many inputs are silenced"),
    number("share", "share", "right examples whose prediction some such set changes"),
)
CHECKS = of_finding(
    "certificates",
    "checks",
    "a measured cell that a guarantee covers",
    PLACE,
    CHANGE,
    text("cell", "the cell, as in effects"),
    OPERATOR,
    text("parameter", "what else names the cell"),
    TARGET,
    BUDGET,
    number("accuracy", "share", "accuracy that was measured"),
    number("guaranteed", "share", "accuracy that was guaranteed"),
    count("examples", "examples", "examples that the guarantee covers at this size"),
    count("changed", "examples", "of these, predictions that changed: 0, or a bug"),
)
MISSING = of_finding(
    "certificates",
    "missing",
    "a place for which there is no guarantee",
    PLACE,
    text("reason", "why"),
)

TABLES = (CURVES, DISTANCES, FEWEST_SILENCED, CHECKS, MISSING)
