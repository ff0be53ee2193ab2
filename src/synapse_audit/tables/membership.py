"""Tables of the membership audit: the stage's own, and those of the finding ``membership``."""

from __future__ import annotations

from synapse_audit.tables.column import BAND, count, ends, estimate, flag, number, share, text
from synapse_audit.tables.shared import DRAW, LABEL
from synapse_audit.tables.table import Table, of_finding

SCOPE = text("scope", "what the attacker reads: a layer, `loss`, or `inputs` (words, no model)")
ATTACKER = text("attacker", "refitted on what it judges, or stale: fitted on the untouched model")
SELECTION = text("selection", "clean, null (both sides held out), top or random neurons silenced")
FRACTION = share("fraction", "share of every block's neurons that is silenced")
N = count("n", "rows", "rows of both sides")
AUC = estimate("auc", "share", "chance that a training row scores above a held-out one")

RANKS = Table(
    "membership",
    "a row under one attacker",
    (
        SCOPE,
        SELECTION,
        ATTACKER,
        FRACTION,
        DRAW,
        count("row", "", "number of the row within the comparison; held-out rows first"),
        flag("member", "whether the model was trained on it"),
        LABEL,
        number("score", "", "rank of its score within its fold; of `loss` the log-likelihood"),
        flag("right", "whether the model predicts its class"),
    ),
)
LAYERS = of_finding(
    "membership",
    "layers",
    "an attacker on the untouched model",
    SCOPE,
    SELECTION,
    N,
    *AUC,
    *estimate("tpr", "share", "training rows flagged where 1 % of the held-out rows are"),
)
SILENCED = of_finding(
    "membership",
    "silenced",
    "an attacker on the last layer with the most telling neurons silenced",
    FRACTION,
    ATTACKER,
    N,
    *AUC,
    number("random", "share", "AUC with as many random neurons silenced: mean of the draws"),
    *ends("random", "share", BAND),
    number("p_random", "probability", "(1 + draws with an AUC at most as large) / (draws + 1)"),
    *estimate("accuracy", "share", "accuracy on the held-out rows"),
    number("random_accuracy", "share", "the same with random neurons: mean of the draws"),
    *ends("random_accuracy", "share", BAND),
    count("draws", "draws", "random sets"),
)

TABLES = (RANKS, LAYERS, SILENCED)
