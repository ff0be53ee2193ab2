"""Tables of the finding ``slices``: parts of the data."""

from __future__ import annotations

from synapse_audit.tables.column import count, ends, estimate, number, text
from synapse_audit.tables.shared import ACCURACY_LOST, CLASS_NAME
from synapse_audit.tables.table import of_finding

COLUMN = text("column", "the slice column of the data")
VALUE = text("value", "the value that the examples of the slice have there")
JOINT = "joint 95 % interval, for all slices at once"

SLICES = of_finding(
    "slices",
    "slices",
    "a slice: the examples of one value of one column",
    COLUMN,
    VALUE,
    count("n", "examples", "examples of the slice in `evaluate`"),
    count("groups", "groups", "groups that they are of; null where none were given"),
    text("reason", "why nothing is said of it; empty where enough examples are there"),
    *estimate("accuracy", "share", "weighted accuracy"),
    number("difference", ACCURACY_LOST, "accuracy minus that of all other examples"),
    *ends("difference", ACCURACY_LOST, JOINT),
    *estimate("fragility", ACCURACY_LOST, "accuracy lost, mean over the headline curve"),
    *estimate("ece", "share", "expected calibration error, 15 bins of equal width"),
    *estimate("overconfidence", ACCURACY_LOST, "mean confidence minus accuracy"),
    number("chance_ece", "share", "what a calibrated model would show on average"),
)
RECALLS = of_finding(
    "slices",
    "recalls",
    "a slice and a class",
    COLUMN,
    VALUE,
    CLASS_NAME,
    count("support", "examples", "examples of the class in the slice"),
    *estimate("recall", "share", "share of the class predicted as it"),
)

TABLES = (SLICES, RECALLS)
