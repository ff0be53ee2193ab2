"""Tables of the findings ``profile`` and ``weakest``: all spaces on one axis of size."""

from __future__ import annotations

from synapse_audit.tables.column import count, estimate, number, text
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    ADJUSTED_P,
    COLLATERAL,
    FRACTION,
    OPERATOR,
    RAW_P,
    STRENGTH,
)
from synapse_audit.tables.table import of_finding

SPACE = text("space", "neuron, weight, bits, logit or input")
PARAMETER = text("parameter", "what else names the experiment; closed form: not run but computed")
AIMED = text("aimed", "the class that the experiment aims at; null: none")
UNIT = text("unit", "unit of the size: relative L2, or bits")
TARGET = text("target", "the class to which examples are redirected")
ROLE = text("role", "target: others become the class; victim: its own examples are lost")
SIZE = "relative norm or bits"

POINTS = of_finding(
    "profile",
    "points",
    "an experiment, seen from one class that it may redirect to",
    TARGET,
    SPACE,
    OPERATOR,
    PARAMETER,
    FRACTION,
    STRENGTH,
    AIMED,
    UNIT,
    number("budget", SIZE, "size of the experiment; null where unknown"),
    *estimate(
        "redirect_rate",
        "share",
        "examples not predicted as the target that become so",
        short="redirect",
    ),
    *COLLATERAL,
    *estimate("accuracy_drop", ACCURACY_LOST, "clean accuracy minus accuracy", short="drop"),
)
REACH = of_finding(
    "profile",
    "reach",
    "a class, a space and a level",
    TARGET,
    SPACE,
    UNIT,
    number("level", "share", "redirect rate to be reached"),
    number("budget", SIZE, "smallest size tried that reaches it; null: none tried does"),
    number("low", SIZE, "2.5th percentile of that size over resamples"),
    number("high", SIZE, "97.5th percentile of that size over resamples"),
    text("operator", "of the experiment that reaches it"),
    number("collateral", "share", "collateral of the experiment that reaches it"),
)
CLASSES = of_finding(
    "profile",
    "classes",
    "a class in one space, in one role",
    ROLE,
    SPACE,
    text("class", "the class"),
    number("vulnerability", "share", "mean redirect rate to it, or mean loss of its recall"),
    number("low", "share", "lower end of its 95 % interval"),
    number("high", "share", "upper end of its 95 % interval"),
)
AGREEMENT = of_finding(
    "profile",
    "agreement",
    "two spaces in one role",
    ROLE,
    text("space", "one space"),
    text("other", "the other space"),
    count("classes", "classes", "classes known in both"),
    number("rho", "correlation", "rank correlation of how weak the classes are"),
    number("low", "correlation", "lower end of its 95 % interval over examples"),
    number("high", "correlation", "upper end of its 95 % interval over examples"),
    RAW_P,
    ADJUSTED_P,
)
WEAKEST = of_finding(
    "weakest",
    "points",
    "the weakest point of one space, by one question",
    SPACE,
    text("question", "halves, redirects, largest_drop or missed"),
    number("value", SIZE, "a size for halves and redirects, else what was measured"),
    number("low", SIZE, "lower end of its interval for all experiments of the space at once"),
    number(
        "high", SIZE, "upper end; of a size the least that surely suffices, for all spaces at once"
    ),
    UNIT,
    OPERATOR,
    PARAMETER,
    STRENGTH,
    FRACTION,
    AIMED,
    number("budget", SIZE, "size of the experiment"),
    number("measured", "share", "what it did: accuracy lost, redirected or missed"),
    count("tried", "experiments", "among how many it was picked"),
)

TABLES = (POINTS, REACH, CLASSES, AGREEMENT, WEAKEST)
