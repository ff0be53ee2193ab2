"""Tables of the finding ``paper``: the SYNAPSE paper's protocol in weighted F1."""

from __future__ import annotations

from synapse_audit.tables.column import EITHER, LAYER, Column, count, estimate, number, share, text
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    COLLATERAL,
    DRAWS,
    DROP,
    FRACTION,
    OPERATOR,
    POSITION,
    REDIRECT,
    SELECTION,
    STRENGTH,
    K,
)
from synapse_audit.tables.table import of_finding

OWN_CLASS = text("ranked_for", "the class whose own neurons are silenced")
SETTING = text("setting", "the paper's name of the setting")
F1 = estimate("f1", "share", "weighted F1", EITHER)

CURVE = of_finding(
    "paper",
    "curve",
    "a share of all neurons silenced; draws of one random selection share a row",
    OPERATOR,
    SELECTION,
    FRACTION,
    K,
    *F1,
    *DROP,
    number("p_random", "probability", "(1 + draws that cost at least as much) / (draws + 1)"),
    number("z_random", "standard deviations", "place among the draws: (drop − mean) / sd"),
    DRAWS,
)
CLASSES = of_finding(
    "paper",
    "classes",
    "a class's own neurons, silenced",
    OPERATOR,
    OWN_CLASS,
    FRACTION,
    K,
    *F1,
    *DROP,
    *estimate("own_recall", "share", "recall of that class"),
    number("own_recall_drop", ACCURACY_LOST, "clean recall of that class minus recall"),
)
EXCLUSIVE = of_finding(
    "paper",
    "exclusive",
    "neurons of one class's set and of no other's, silenced",
    OPERATOR,
    text("kind", "count: sets of equal size; mass: of equal weight mass"),
    OWN_CLASS,
    FRACTION,
    K,
    *F1,
    *DROP,
    number("random_drop", ACCURACY_LOST, "mean accuracy lost to random sets; by mass only"),
    DRAWS,
)
DISTURBANCES = of_finding(
    "paper",
    "disturbances",
    "noise or attenuation; random neurons: the mean of the draws",
    SETTING,
    OPERATOR,
    STRENGTH,
    FRACTION,
    POSITION,
    SELECTION,
    *F1,
    *DROP,
    DRAWS,
)
REDIRECTS = of_finding(
    "paper",
    "redirects",
    "a push of the head, or a constant on a logit, toward one class",
    text("space", "weight or logit"),
    SETTING,
    text("target", "the class to which examples are redirected"),
    STRENGTH,
    *F1,
    *REDIRECT,
    COLLATERAL[0],
)
LAYERS = of_finding(
    "paper",
    "layers",
    "a block and a share of all neurons",
    FRACTION,
    Column("layer", LAYER, "", "the block, from 1"),
    count("k", "neurons", "how many of the top set lie in it"),
    share("share", "share of the top set that lies in it"),
    share("even_share", "its share of all neurons: that of a random set"),
)
PUBLISHED = of_finding(
    "paper",
    "published",
    "a number that the paper prints, of another model and other data",
    text("experiment", "what the paper did"),
    text("model", "its model and data"),
    FRACTION,
    text("what", "class or share redirected, where given"),
    number("f1", "share", "weighted F1"),
)

TABLES = (CURVE, CLASSES, EXCLUSIVE, DISTURBANCES, REDIRECTS, LAYERS, PUBLISHED)
