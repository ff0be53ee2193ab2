"""Tables of the finding ``redundancy``: removal curves, their tests, and how little suffices."""

from __future__ import annotations

from synapse_audit.tables.column import EITHER, count, ends, estimate, flag, number, text
from synapse_audit.tables.shared import (
    ACCURACY,
    ACCURACY_LOST,
    ADDRESS,
    ADJUSTED_P,
    DRAWS,
    DROP,
    FRACTION,
    LAYER_INDEX,
    LAYERS,
    NEURON_INDEX,
    OPERATOR,
    POSITION,
    RANKED_FOR,
    RANKING,
    RAW_P,
    SELECTION,
    SITE,
    STRENGTH,
    TARGET,
    K,
    random_drop,
)
from synapse_audit.tables.table import of_finding

REMOVAL = of_finding(
    "redundancy",
    "removal",
    "a set over all blocks, silenced or, for keep_top and keep_random, the only one kept; draws of "
    "one random selection share a row",
    OPERATOR,
    RANKING,
    SELECTION,
    FRACTION,
    K,
    *ACCURACY,
    number("accuracy_drop", ACCURACY_LOST, "clean accuracy minus accuracy"),
    *ends("drop", ACCURACY_LOST, EITHER),
    DRAWS,
)
LAYERS_ALONE = of_finding(
    "redundancy",
    "layers",
    "the top neurons of one layer, silenced alone",
    OPERATOR,
    LAYER_INDEX,
    FRACTION,
    *DROP,
    *random_drop("random sets of the layer"),
)
POSITIONS = of_finding(
    "redundancy",
    "positions",
    "a set silenced at the pooled position or at every token",
    FRACTION,
    POSITION,
    SELECTION,
    *DROP,
)
CONTROLS = of_finding(
    "redundancy",
    "controls",
    "random sets of neurons drawn in the same way, read as one control",
    text("group", "what the sets are run for: removal, matched, keep, layer …"),
    OPERATOR,
    STRENGTH,
    SITE,
    POSITION,
    LAYERS,
    RANKING,
    RANKED_FOR,
    TARGET,
    SELECTION,
    FRACTION,
    DRAWS,
    *estimate(
        "drop", ACCURACY_LOST, "mean over the draws", "95 % interval over examples and draws"
    ),
    number("between", ACCURACY_LOST, "standard deviation between draws, without `noise`"),
    number("noise", ACCURACY_LOST, "standard error of one draw beyond that of the examples"),
)
TESTS = of_finding(
    "redundancy",
    "tests",
    "a whole curve of top sets, tested against its random controls",
    OPERATOR,
    STRENGTH,
    LAYERS,
    POSITION,
    RANKING,
    RANKED_FOR,
    number("area", "", "area between the curve and the mean random one, accuracy × fraction"),
    number("t", "", "test statistic"),
    count("df", "", "degrees of freedom"),
    RAW_P,
    ADJUSTED_P,
)
SUFFICIENT = of_finding(
    "redundancy",
    "sufficiency",
    "a set of neurons that a probe reads alone; random sets of one size share a row",
    RANKING,
    SELECTION,
    K,
    FRACTION,
    *ACCURACY,
    count("draw", "", "number of the disjoint set in the order found, from 0; null elsewhere"),
    flag("holds", "as accurate as the probe on all neurons, on `evaluate`"),
)
CONSTANTS = of_finding(
    "redundancy",
    "constants",
    "a neuron that may be a load-bearing constant, silenced alone",
    LAYER_INDEX,
    SITE,
    NEURON_INDEX,
    number("mean", "", "mean of its value over `fit`"),
    number("spread", "", "standard deviation of its value over `fit`"),
    number("zero_drop", ACCURACY_LOST, "accuracy lost with it set to 0"),
    *ends("zero", ACCURACY_LOST),
    number("mean_drop", ACCURACY_LOST, "accuracy lost with it held at its mean"),
    *ends("mean", ACCURACY_LOST),
    flag("load_bearing", "setting it to 0 harms, holding it at its mean does not"),
    ADDRESS,
)
PARTICIPATION = of_finding(
    "redundancy",
    "participation",
    "a layer",
    LAYER_INDEX,
    count("neurons", "neurons", "width of the layer"),
    number("participation_ratio", "dimensions", "(Σλ)² / Σλ² of the covariance on `fit`"),
)

TABLES = (
    REMOVAL,
    LAYERS_ALONE,
    POSITIONS,
    CONTROLS,
    TESTS,
    SUFFICIENT,
    CONSTANTS,
    PARTICIPATION,
)
