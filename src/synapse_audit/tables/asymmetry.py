"""Tables of the finding ``asymmetry``: which class breaks first, and by whose neurons."""

from __future__ import annotations

from synapse_audit.tables.column import BAND, count, ends, estimate, number, text
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    ADJUSTED_P,
    CLASS_NAME,
    FRACTION,
    OPERATOR,
    RAW_P,
)
from synapse_audit.tables.table import of_finding

MATRIX = of_finding(
    "asymmetry",
    "matrix",
    "the neurons ranked for one class, and the class whose recall falls",
    OPERATOR,
    FRACTION,
    text("ranked_for", "the class whose own neurons are silenced"),
    text("class", "the class whose recall is looked at"),
    number("value", ACCURACY_LOST, "recall lost beyond the mean of random sets"),
    number("low", ACCURACY_LOST, "lower end of its 95 % interval over examples and draws"),
    number("high", ACCURACY_LOST, "upper end of its 95 % interval over examples and draws"),
    *estimate(
        "specificity", ACCURACY_LOST, "the part that neither its row nor its column explains"
    ),
    RAW_P,
    ADJUSTED_P,
)
FRAGILITY = of_finding(
    "asymmetry",
    "fragility",
    "a class with examples in `evaluate`",
    CLASS_NAME,
    count("support", "examples", "examples of the class in `evaluate`"),
    number("recall", "share", "clean recall"),
    *estimate("mean_drop", ACCURACY_LOST, "recall lost, mean over the headline curve"),
    number("half_fraction", "share", "first share silenced at which half of the recall is gone"),
)
CURVES = of_finding(
    "asymmetry",
    "curves",
    "a class and a share silenced on the headline curve",
    CLASS_NAME,
    FRACTION,
    *estimate("recall", "share", "share of the class predicted as it"),
    number("random_recall", "share", "recall with random sets silenced: mean of the draws"),
    *ends("random", "share", BAND),
)

TABLES = (MATRIX, FRAGILITY, CURVES)
