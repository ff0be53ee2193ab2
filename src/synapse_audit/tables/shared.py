"""Columns that several tables share, each declared once."""

from __future__ import annotations

from synapse_audit.tables.column import (
    BAND,
    CLASS,
    EITHER,
    LAYER,
    NEURON,
    Column,
    count,
    ends,
    estimate,
    number,
    share,
    text,
)

ACCURACY_LOST = "difference of shares"

OPERATOR = text(
    "operator", "what is done to neurons, weights, logits or inputs: mean, zero, push …"
)
STRENGTH = number(
    "strength", "", "size of the operator, in its own unit; null for operators without a size"
)
SITE = text("site", "where inside a block: block_output, attention_output, mlp_activation …")
POSITION = text("position", "pooled: the token that the head reads; all: every token")
LAYERS = text("layers", "`all` blocks, one layer, or several with commas between them")
RANKING = text("ranking", "the ranking that chose the neurons; null for sets of no ranking")
RANKED_FOR = text(
    "ranked_for", "the class whose scores chose the neurons; null: scores over all classes"
)
SELECTION = text(
    "selection",
    "how neurons, columns or bits were chosen: top, bottom, random, matched, keep_top …",
)
FRACTION = share("fraction", "share of the neurons (of the head's input columns) that is changed")
K = count("k", "neurons", "how many neurons are changed")
DRAW = count("draw", "", "number of the random draw, from 0; null where nothing was drawn")
DRAWS = count("draws", "draws", "how many random draws the row averages; null or 1: a single cell")
TARGET = text("target", "the class that the change aims at; null: none")
CLASS_NAME = text("class", "the true class")
METHOD = text("method", "name of the ranking")
ADDRESS = text("address", "`LAYER:SITE:NEURON`, as --neurons takes it")
LAYER_INDEX = Column("layer", LAYER, "", "layer; 0 holds the embeddings, m the output of block m")
MEAN_LAYER = Column("layer", LAYER, "", "layer; null: the mean over blocks 1 to L")
NEURON_INDEX = Column("neuron", NEURON, "", "index of the neuron within its layer and site")
LABEL = Column("label", CLASS, "", "index of the true class in the model's output order")

ACCURACY = estimate("accuracy", "share", "weighted accuracy on `evaluate`", EITHER)
DROP = estimate("drop", ACCURACY_LOST, "clean accuracy minus accuracy under the change", EITHER)
REDIRECT = estimate(
    "redirect", "share", "examples not predicted as the target that become so", EITHER
)
COLLATERAL = estimate(
    "collateral", "share", "right examples outside the target's class that become wrong", EITHER
)


def random_drop(what: str = "random sets as large in each layer") -> tuple[Column, ...]:
    """``random_drop`` with the band of one more draw."""
    mean = number("random_drop", ACCURACY_LOST, f"accuracy lost to {what}: mean of the draws")
    return mean, *ends("random", ACCURACY_LOST, BAND)


EXCESS = estimate(
    "excess", ACCURACY_LOST, "accuracy lost beyond that of random sets", "95 % interval over draws "
    "and examples",
)  # fmt: skip
RAW_P = number("p_value", "probability", "p value of the test, not corrected")
ADJUSTED_P = number("p_adjusted", "probability", "p value, corrected for the number of tests")


def set_measures(interval: str) -> tuple[Column, ...]:
    """Measures of sets of labels, each of which is decided by itself."""
    return (
        *estimate("micro_f1", "share", "F1 over all pairs of example and label", interval),
        *estimate("micro_f1_drop", ACCURACY_LOST, "clean micro F1 minus micro F1", interval),
        *estimate("sample_f1", "share", "mean over examples of the F1 of its labels", interval),
        *estimate("hamming_loss", "share", "pairs of example and label decided wrongly", interval),
        *estimate("hamming_rise", ACCURACY_LOST, "Hamming loss minus the clean one", interval),
    )
