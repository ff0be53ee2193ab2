"""Tables of audits with several labels per example, each decided by itself."""

from __future__ import annotations

from synapse_audit.tables.column import (
    BAND,
    EITHER,
    count,
    ends,
    estimate,
    flag,
    number,
    share,
    text,
)
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    ADJUSTED_P,
    DRAWS,
    FRACTION,
    LAYER_INDEX,
    OPERATOR,
    POSITION,
    RANKED_FOR,
    RANKING,
    RAW_P,
    SELECTION,
    STRENGTH,
    K,
    set_measures,
)
from synapse_audit.tables.shared import LAYERS as LAYERS_OF
from synapse_audit.tables.table import Table, of_finding

NAME = text("label", "the label")
THRESHOLD = share("threshold", "probability above which the label is said")


SET_PREDICTIONS = Table(
    "set_predictions",
    "an example and a label, as the untouched model decides it",
    (
        count("example", "", "position of the example in the data, from 0"),
        text("split", "fit, select or evaluate"),
        NAME,
        flag("present", "the example has the label"),
        flag("predicted", "the model says it"),
        number("probability", "probability", "the model's own: its sigmoid, without the threshold"),
        number("margin", "logits", "logit minus that of the threshold: above 0 = predicted"),
        number("weight", "", "how much the example counts: strata as frequent as in the data"),
    ),
    (text("group", "what belongs together, such as a patient"),),
)
LABEL_PROBES = Table(
    "label_probes",
    "a label and a probe of `probes`: a logistic regression of its own",
    (
        text("scope", "layer, `joint` or `head_input`"),
        NAME,
        count("support", "examples", "examples of `evaluate` that have the label"),
        *estimate("auc", "share", "chance that an example with it scores above one without"),
        share("f1", "F1 at a probability of 1/2 on `evaluate`"),
    ),
)
LABELS = of_finding(
    "labels",
    "labels",
    "a label, as the untouched model decides it on `evaluate`",
    NAME,
    THRESHOLD,
    count("support", "examples", "examples of `evaluate` that have it"),
    share("prevalence", "share of the examples that have it"),
    *estimate("precision", "share", "share of what is said to have it that has it"),
    *estimate("recall", "share", "share of what has it that is said to have it"),
    *estimate("f1", "share", "harmonic mean of precision and recall"),
    *estimate("auc", "share", "chance that an example with it scores above one without"),
    number("probability", "probability", "mean probability that the model gives it"),
    *estimate("gap", ACCURACY_LOST, "mean probability minus prevalence: above 0 = said too likely"),
    number("brier", "share", "mean squared difference of probability and presence"),
)
OVERALL = of_finding(
    "labels",
    "overall",
    "a figure over all labels, of the untouched model on `evaluate`",
    text("metric", "micro_f1, macro_f1, sample_f1, subset_accuracy or hamming_loss"),
    *estimate("value", "share", "the figure", short=""),
    number("constant", "share", "the best that one and the same answer to all reaches"),
    text("answer", "that answer: a label, or `no label`"),
)
RELIABILITY = of_finding(
    "labels",
    "reliability",
    "a tenth of the range of probabilities, over all pairs of example and label",
    number("low", "probability", "lower end of the bin"),
    number("high", "probability", "upper end of the bin"),
    count("pairs", "pairs", "pairs of example and label in it"),
    number("probability", "probability", "their mean probability"),
    *estimate("present", "share", "share of them in which the example has the label"),
)
REMOVAL = of_finding(
    "label_removal",
    "removal",
    "a set over all blocks, silenced or, for keep_top and keep_random, the only one kept; draws of "
    "one random selection share a row",
    OPERATOR,
    RANKING,
    SELECTION,
    FRACTION,
    K,
    *set_measures(EITHER),
    *estimate("accuracy", "share", "share of examples whose whole set is right", EITHER),
    DRAWS,
)
EXCESS = of_finding(
    "label_removal",
    "excess",
    "a ranking's top set over all blocks beside random sets of its size",
    OPERATOR,
    RANKING,
    FRACTION,
    *estimate("drop", ACCURACY_LOST, "micro F1 lost"),
    number("random_drop", ACCURACY_LOST, "micro F1 lost to random sets: mean of the draws"),
    *ends("random", ACCURACY_LOST, BAND),
    *estimate(
        "excess",
        ACCURACY_LOST,
        "micro F1 lost beyond random sets",
        "95 % interval over draws and examples",
    ),
)
LAYERS = of_finding(
    "label_removal",
    "layers",
    "the top neurons of one layer, silenced alone",
    OPERATOR,
    LAYER_INDEX,
    FRACTION,
    *estimate("drop", ACCURACY_LOST, "micro F1 lost"),
    number(
        "random_drop", ACCURACY_LOST, "micro F1 lost to random sets of the layer: mean of the draws"
    ),
    *ends("random", ACCURACY_LOST, BAND),
)
FRAGILITY = of_finding(
    "label_fragility",
    "labels",
    "a label with examples in `evaluate`",
    NAME,
    count("support", "examples", "examples of `evaluate` that have it"),
    number("f1", "share", "clean F1"),
    *estimate("mean_drop", ACCURACY_LOST, "F1 lost, mean over the headline curve"),
    number("random_drop", ACCURACY_LOST, "the same with random sets silenced: mean of the draws"),
    number("half_fraction", "share", "first share silenced at which half of its F1 is gone"),
    flag("compared", "whether it has examples and F1 enough to be called most or least fragile"),
)
OWN = of_finding(
    "label_fragility",
    "own",
    "the neurons ranked for one label, silenced over all blocks",
    OPERATOR,
    FRACTION,
    NAME,
    *estimate("drop", ACCURACY_LOST, "F1 that the label itself loses"),
    number("random_drop", ACCURACY_LOST, "F1 that it loses to random sets: mean of the draws"),
    *estimate(
        "excess",
        ACCURACY_LOST,
        "its loss beyond random sets",
        "95 % interval over draws and examples",
    ),
    number(
        "others_excess", ACCURACY_LOST, "the same of the other labels: mean over those compared"
    ),
)
CURVES = of_finding(
    "label_fragility",
    "curves",
    "a label and a share silenced on the headline curve",
    NAME,
    FRACTION,
    number("f1", "share", "F1 of the label"),
    number("recall", "share", "share of what has it that is said to have it"),
)
DIRECTION = text("direction", "on: said where it was not; off: no longer said where it was")
SWITCHING = of_finding(
    "switching",
    "budgets",
    "a label pushed on or off by an edit of its row of the head",
    NAME,
    DIRECTION,
    number("budget", "relative norm", "L2 norm of the edit over that of the label's row"),
    *estimate("rate", "share", "of the examples that could be switched, those that are"),
    number("random_rate", "share", "the same with a random direction of that size"),
    number(
        "possible", "share", "those that some edit of this size for each example alone switches"
    ),
    number("collateral", "share", "examples right in all other labels, of which one goes wrong"),
    count("movable", "examples", "examples that could be switched"),
)
CONSTANTS = of_finding(
    "switching",
    "constants",
    "a label and a direction: what must be added to its logit (bias)",
    NAME,
    DIRECTION,
    count("movable", "examples", "examples that could be switched"),
    number("quarter", "logits", "the constant that switches a quarter of them"),
    *estimate("half", "logits", "the constant that switches half of them"),
    number("most", "logits", "the constant that switches nine tenths of them"),
)
GUARANTEED = of_finding(
    "label_certificates",
    "budgets",
    "a label and a size: decisions that no edit of its row (weights and bias) can change",
    NAME,
    number("budget", "relative norm", "size of the edit over the norm of the label's row"),
    *estimate("l2", "share", "right decisions that no edit of this L2 norm changes"),
    count("found", "examples", "examples rightly said to have it"),
    *estimate("on", "share", "those of them that no such edit changes"),
)
DISTANCES = of_finding(
    "label_certificates",
    "distances",
    "a label: the size of the smallest edit of its row that changes a decision",
    NAME,
    text("decided", "present or absent: what the model says of the examples"),
    count("examples", "examples", "examples of which it says so, rightly"),
    number("quarter", "relative norm", "a quarter of them need at most this L2 norm"),
    *estimate("half", "relative norm", "half of them need at most this L2 norm"),
    number("linf", "", "half of them need at most this largest change of a weight or the bias"),
)

TESTS = of_finding(
    "label_removal",
    "tests",
    "a whole curve of top sets, tested against its random controls by micro F1",
    OPERATOR,
    STRENGTH,
    LAYERS_OF,
    POSITION,
    RANKING,
    RANKED_FOR,
    number("area", "", "area between the curve and the mean random one, micro F1 × fraction"),
    number("t", "", "test statistic"),
    count("df", "", "degrees of freedom"),
    RAW_P,
    ADJUSTED_P,
)

TABLES = (
    *(SET_PREDICTIONS, LABEL_PROBES, LABELS, OVERALL, RELIABILITY, REMOVAL, EXCESS),
    *(LAYERS, FRAGILITY, OWN, CURVES, SWITCHING, CONSTANTS, GUARANTEED, DISTANCES, TESTS),
)
