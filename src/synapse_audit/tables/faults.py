"""Tables of the finding ``faults``: flipped bits, noise, gains, rows and shaped pushes."""

from __future__ import annotations

from synapse_audit.tables.column import LAYER, Column, number, share, text
from synapse_audit.tables.shared import COLLATERAL, DRAWS, DROP, REDIRECT, SELECTION, TARGET
from synapse_audit.tables.table import of_finding

FORMAT = text("format", "number format: fp32, fp16, bf16 or int8")
BIT_KIND = text("kind", "which bits are flipped: sign, exponent, exponent_msb, mantissa, any")
PART = text("part", "head, or attention, mlp or gain of a block")
BLOCK = Column("layer", LAYER, "", "the block; null for the head")

FLIPS = of_finding(
    "faults",
    "flips",
    "a number of bits flipped at once; random choices: the mean of the draws",
    FORMAT,
    BIT_KIND,
    PART,
    BLOCK,
    SELECTION,
    TARGET,
    number("bits", "bits", "how many are flipped"),
    *DROP,
    *REDIRECT,
    *COLLATERAL,
    number("overflowed", "share", "draws in which a weight became infinite or not a number"),
    number("crashed", "share", "examples with a logit that is not a number"),
    DRAWS,
)
HALVING = of_finding(
    "faults",
    "halving",
    "a way of choosing bits",
    FORMAT,
    BIT_KIND,
    PART,
    BLOCK,
    SELECTION,
    number("bits", "bits", "fewest tried that take half of the accuracy above chance"),
    number("low", "bits", "2.5th percentile of that number over resamples"),
    number("high", "bits", "97.5th percentile of that number over resamples"),
    number("most", "bits", "largest number that was tried"),
)
NOISE = of_finding(
    "faults",
    "noise",
    "Gaussian noise on weights: the mean of its draws",
    text("setting", "relative: sigma times the weight's RMS; paper: absolute"),
    PART,
    BLOCK,
    number("sigma", "", "standard deviation of the noise"),
    share("share", "share of the columns that it falls on"),
    SELECTION,
    *DROP,
    DRAWS,
)
GAINS = of_finding(
    "faults",
    "gains",
    "gains of a block's last norm, multiplied",
    BLOCK,
    number("factor", "", "what they are multiplied by"),
    share("share", "share of the dimensions"),
    SELECTION,
    *DROP,
    DRAWS,
)
HEAD_ROWS = of_finding(
    "faults",
    "rows",
    "rows of the head exchanged or multiplied",
    text("operator", "row_swap or row_scale"),
    text("source", "the class whose row is exchanged with the target's"),
    TARGET,
    number("factor", "", "what the target's row is multiplied by; null for exchanges"),
    *DROP,
    *REDIRECT,
    *COLLATERAL,
)
SHAPED_PUSHES = of_finding(
    "faults",
    "pushes",
    "a shaped push of the head toward one class; random columns: the mean of the draws",
    text("operator", "universal, balanced, rival, linf, sparse or paper_push"),
    text("setting", "the paper's setting; null for the others"),
    TARGET,
    share("columns", "share of the head's input columns that may change"),
    SELECTION,
    number("size", "", "in the operator's unit: relative L2, multiple of the RMS, or weights"),
    number("budget", "relative norm", "L2 norm of the edit over that of the head's weights"),
    number("budget_linf", "", "largest absolute entry of the edit"),
    number("n_changed", "numbers", "how many weights and biases change"),
    *REDIRECT,
    *COLLATERAL,
    DRAWS,
)

TABLES = (FLIPS, HALVING, NOISE, GAINS, HEAD_ROWS, SHAPED_PUSHES)
