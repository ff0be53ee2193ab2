"""The tables of every run, beside those of its findings."""

from __future__ import annotations

from synapse_audit.tables.column import (
    CLASS,
    INTERVAL,
    NEURON,
    Column,
    count,
    estimate,
    flag,
    later,
    number,
    share,
    text,
)
from synapse_audit.tables.shared import (
    ACCURACY,
    ACCURACY_LOST,
    CLASS_NAME,
    DRAW,
    FRACTION,
    LABEL,
    LAYER_INDEX,
    LAYERS,
    METHOD,
    NEURON_INDEX,
    OPERATOR,
    POSITION,
    RANKED_FOR,
    RANKING,
    SELECTION,
    SITE,
    STRENGTH,
    TARGET,
    K,
    set_measures,
)
from synapse_audit.tables.table import Table

EXAMPLE = count("example", "", "position of the example in the data, from 0")
SPLIT = text("split", "fit, select or evaluate")
CELL = text("cell", "hash of what the cell is meant to be: the same in every run")

SPLITS = Table(
    "splits",
    "an example",
    (EXAMPLE, SPLIT, LABEL),
    (
        count("row", "", "row of the data that the window was cut from"),
        text("slice:<column>", "value in the slice column of that name"),
    ),
)
PREDICTIONS = Table(
    "predictions",
    "an example, as the untouched model predicts it",
    (
        EXAMPLE,
        LABEL,
        Column("predicted", CLASS, "", "index of the predicted class"),
        number("probability", "probability", "softmax probability of the true class"),
        number(
            "margin",
            "logits",
            "logit of the true class minus the largest of the others, thresholds included",
        ),
        SPLIT,
        number("weight", "", "how much the example counts: classes as frequent as in the data"),
    ),
    (
        text("group", "what belongs together, such as a patient"),
        number("logit_<i>", "logits", "the model's own logit of class i: thresholds are not in it"),
    ),
)
PROBES = Table(
    "probes",
    "a probe: logistic regression on one layer, on all blocks (joint) or on the head's input",
    (
        text("scope", "layer, `joint` or `head_input`"),
        share("accuracy", "weighted accuracy on `evaluate`"),
        share("macro_f1", "mean F1 over classes on `evaluate`"),
        share("majority_accuracy", "accuracy of always answering the most frequent class"),
        share("fit_accuracy", "weighted accuracy on `fit`"),
        share("control_accuracy", "accuracy on `fit` of the same probe with permuted labels"),
        number("selectivity", ACCURACY_LOST, "fit_accuracy minus control_accuracy"),
        share("null_accuracy", "accuracy of the permuted probe on `evaluate`: chance, or a leak"),
        number("strength", "", "inverse regularisation (scikit-learn's C), chosen on `select`"),
    ),
)
RANKINGS = Table(
    "rankings",
    "a neuron in one ranking, for one class or for all",
    (
        METHOD,
        RANKED_FOR,
        LAYER_INDEX,
        NEURON_INDEX,
        number("score", "", "larger is more important; comparable within one layer"),
        Column("rank", NEURON, "", "1 = most important within method, class and layer"),
        SITE,
    ),
)
SUFFICIENCY = Table(
    "sufficiency",
    "a set of neurons and the probe that reads it alone",
    (
        RANKING,
        SELECTION,
        DRAW,
        K,
        FRACTION,
        share("select_accuracy", "weighted accuracy of the probe on `select`"),
        *ACCURACY,
        flag("sufficient", "as accurate as the probe on all neurons, on `select`"),
        flag("holds", "as accurate as the probe on all neurons, on `evaluate`"),
        number("fewest_low", "neurons", "2.5th percentile of the smallest sufficient set"),
        number("fewest_high", "neurons", "97.5th percentile of the smallest sufficient set"),
    ),
)
STABILITY_COLUMNS = (
    METHOD,
    LAYER_INDEX,
    count("resamples", "resamples", "how often the ranking was computed again"),
    FRACTION,
    K,
    *estimate("overlap", "share", "share of the top set found again", "middle 95 % of resamples"),
    share("chance", "the same share for two random sets"),
)
STABILITY = Table(
    "stability", "a ranking in one layer, computed again on resamples of `fit`", STABILITY_COLUMNS
)
FLIPS = Table(
    "flips",
    "a bit that was chosen to be flipped",
    (
        SELECTION,
        text("format", "number format: fp32, fp16, bf16 or int8"),
        text("kind", "which bits may be flipped: sign, exponent_msb, mantissa, any"),
        text("part", "head, attention or mlp"),
        LAYER_INDEX,
        TARGET,
        count("step", "", "place in the order of choice, from 1"),
        text("weight", "name of the weight in the model's state_dict"),
        count("entry", "", "index into the flattened weight"),
        count("bit", "", "number of the bit, from 0 = lowest"),
    ),
)
DIRECTIONS = Table(
    "directions",
    "a set of directions that is removed from one layer",
    (
        LAYER_INDEX,
        text("method", "mean_difference, probe or leace; null: random directions of that rank"),
        text("ranked_for", "the class whose direction it is; null: all classes together"),
        text("selection", "direction, random (as many) or equal_variance (as many, same variance)"),
        DRAW,
        count("rank", "directions", "how many are removed"),
        number("variance", "share", "share of the variance over `fit` that is removed"),
        number("variance_evaluate", "share", "the same over `evaluate`"),
    ),
)
ACTIONS = Table(
    "outcomes/actions",
    "a distinct action: row i of every array in `outcomes/`",
    (
        text("action", "hash of what is physically done"),
        text("route", "how it was run: head, stream, suffix, full or two-phase"),
    ),
)

_DETAILS = (
    text("setting", "the published setting of the SYNAPSE paper that the cell repeats"),
    text("addresses", "the neurons that were named, the candidate constant, or one attention head"),
    text("used", "the ranking whose other end a dissociated set takes"),
    text("part", "weights that a fault falls on: head, attention, mlp, gain, embeddings …"),
    text("format", "number format whose bits are flipped"),
    text("bit_kind", "which bits may be flipped"),
    text("unit", "relative, absolute or tokens: what `strength` counts"),
    count("steps", "steps", "steps of an iterated attack"),
    text("weight", "`name[place]` of the one number that a random fault fell on"),
    count("bit", "", "place of the one bit that it flipped; 0 is the lowest"),
)
_RATES = (
    *ACCURACY,
    *estimate("accuracy_drop", ACCURACY_LOST, "clean accuracy minus accuracy"),
    *estimate("macro_f1", "share", "mean F1 over classes"),
    *estimate("weighted_f1", "share", "mean F1 over classes, weighted by their support"),
    *estimate("flip_rate", "share", "examples whose prediction changes"),
    *estimate(
        "redirect_rate",
        "share",
        "examples not predicted as the target that become so (with a source: of the source)",
    ),
    *estimate("collateral", "share", "right examples outside source and target that become wrong"),
)
EFFECTS = Table(
    "effects",
    "a cell: one experiment of the plan",
    (
        CELL,
        text("group", "what the cell is run for: removal, matched, keep, layer, push …"),
        text("space", "neuron, weight, logit or input"),
        OPERATOR,
        STRENGTH,
        SITE,
        POSITION,
        LAYERS,
        RANKING,
        RANKED_FOR,
        SELECTION,
        FRACTION,
        K,
        DRAW,
        text("source", "the class whose examples the change aims at; null: any"),
        TARGET,
        text("parameter", "the ten columns that follow, in one text for people"),
        *_DETAILS,
        number("budget_l2", "", "Euclidean norm of the edit of weights and bias"),
        number("budget_linf", "", "largest absolute entry of the edit"),
        count("n_changed", "numbers", "how many numbers of the model the edit changes"),
        count("n", "examples", "examples of `evaluate`, of which the row speaks"),
        *_RATES,
        number("mean_kl", "nats", "mean KL divergence of the probabilities from the clean ones"),
        number("p_value", "probability", "McNemar's test against the untouched model"),
        number("p_adjusted", "probability", "corrected p of the curve that the cell lies on"),
        number(
            "z_random", "standard deviations", "place among the random draws: (drop − mean) / sd"
        ),
        number("p_random", "probability", "(1 + draws that cost at least as much) / (draws + 1)"),
        text("route", "how it was run: head, stream, suffix, full or two-phase"),
        count("n_exact", "examples", "examples that were run exactly"),
        number("direct_drop", ACCURACY_LOST, "accuracy lost along the pooled row alone"),
        text("action", "hash of what is physically done: cells that share it share outcomes"),
        number("phase_se", ACCURACY_LOST, "standard error that a two-phase estimate adds"),
        later(text("tier", "how much was spent on it: headline, comparator or exact-only")),
        later(
            number("half_width", ACCURACY_LOST, "half the width of the interval of accuracy_drop")
        ),
    ),
    set_measures(INTERVAL),
)
CLASS_EFFECTS = Table(
    "class_effects",
    "a cell and a class",
    (
        CELL,
        CLASS_NAME,
        count("support", "examples", "examples of the class in `evaluate` that the row rests on"),
        *estimate("recall", "share", "share of the class predicted as it"),
        number("precision", "share", "share of what is predicted as the class that belongs to it"),
        number("f1", "share", "harmonic mean of precision and recall"),
        number("recall_drop", ACCURACY_LOST, "clean recall minus recall"),
    ),
)

NAMING = tuple(
    EFFECTS.column(name)
    for name in (
        *("cell", "group", "space", "operator", "strength", "site", "position", "layers"),
        *("ranking", "ranked_for", "selection", "fraction", "draw", "target", "parameter"),
    )
)
"""Columns of ``effects`` that name a cell wherever it is measured again."""


TABLES = (
    SPLITS,
    PREDICTIONS,
    PROBES,
    RANKINGS,
    SUFFICIENCY,
    STABILITY,
    FLIPS,
    DIRECTIONS,
    EFFECTS,
    CLASS_EFFECTS,
    ACTIONS,
)
