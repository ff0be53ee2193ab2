"""Tables of the finding ``calibration``: confidence against accuracy."""

from __future__ import annotations

from synapse_audit.tables.column import EITHER, count, estimate, number, text
from synapse_audit.tables.run import NAMING
from synapse_audit.tables.shared import DRAWS, FRACTION, OPERATOR, SELECTION, STRENGTH
from synapse_audit.tables.table import of_finding

ECE = estimate("ece", "share", "expected calibration error, 15 bins of equal width", EITHER)
CHANCE_ECE = number("chance_ece", "share", "what a calibrated model would show on average")
OVERCONFIDENCE = estimate(
    "overconfidence", "difference of shares", "mean confidence minus accuracy", EITHER
)
WRONG_CONFIDENCE = estimate(
    "wrong_confidence", "share", "mean confidence of the wrong answers", EITHER
)
CONFIDENCE = number("confidence", "share", "mean confidence of the answers")
RIGHT = number("accuracy", "share", "weighted accuracy")
LOG_LOSS = number("log_loss", "nats", "mean log loss of the true class")
EXACT = count("n", "examples", "examples it is read on: those that were run exactly")

MEASURES = (
    *ECE,
    CHANCE_ECE,
    number("ece_mass", "share", "the same in bins of equal weight"),
    CONFIDENCE,
    RIGHT,
    *OVERCONFIDENCE,
    count("n_wrong", "examples", "wrong answers"),
    *WRONG_CONFIDENCE,
    *estimate("sure_errors", "share", "wrong answers with a confidence of 0.9 or more"),
    number("brier", "share", "mean squared gap between confidence and whether it is right"),
    LOG_LOSS,
)
"""What is measured of every cell."""

CELLS = of_finding(
    "calibration",
    "cells",
    "the untouched model (space clean), then a cell",
    *NAMING,
    EXACT,
    *MEASURES,
)
REMOVAL = of_finding(
    "calibration",
    "removal",
    "a share silenced by the headline ranking, or the mean of its random controls",
    OPERATOR,
    SELECTION,
    FRACTION,
    EXACT,
    *ECE,
    CHANCE_ECE,
    *OVERCONFIDENCE,
    *WRONG_CONFIDENCE,
    DRAWS,
)
BINS = of_finding(
    "calibration",
    "bins",
    "a bin of one reliability curve",
    text("what", "clean, removal or temperature"),
    OPERATOR,
    STRENGTH,
    FRACTION,
    count("bin", "", "number of the bin, from 0"),
    number("lower", "share", "confidence at its lower end"),
    number("upper", "share", "confidence at its upper end"),
    number("share", "share", "share of the answers in it"),
    CONFIDENCE,
    *estimate("accuracy", "share", "accuracy of the answers in it"),
)
TEMPERATURE = of_finding(
    "calibration",
    "temperature",
    "a temperature, in closed form from the clean logits",
    number("temperature", "temperature", "what all logits are divided by"),
    ECE[0],
    LOG_LOSS,
    CONFIDENCE,
    RIGHT,
)

TABLES = (CELLS, REMOVAL, BINS, TEMPERATURE)
