"""Tables of the finding ``agreement``: whether rankings agree, and what they are worth."""

from __future__ import annotations

from synapse_audit.tables.column import count, estimate, number, share, text
from synapse_audit.tables.run import STABILITY_COLUMNS
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    ADDRESS,
    DRAWS,
    DROP,
    EXCESS,
    FRACTION,
    LAYER_INDEX,
    MEAN_LAYER,
    METHOD,
    NEURON_INDEX,
    OPERATOR,
    SITE,
    K,
    random_drop,
)
from synapse_audit.tables.table import of_finding

FIRST, SECOND = text("first", "one ranking"), text("second", "the other ranking")
READABLE = text("readable", "the ranking by what can be read from a neuron")
USED = text("used", "the ranking by what the model's output depends on")
SPEARMAN = number("spearman", "correlation", "rank correlation of the scores")
DISSOCIATED_KIND = text("selection", "readable_unused or used_unreadable")

CORRELATION = of_finding(
    "agreement", "correlation", "two rankings in one layer", MEAN_LAYER, FIRST, SECOND, SPEARMAN
)
OVERLAP = of_finding(
    "agreement",
    "overlap",
    "the top sets of two rankings in one layer",
    MEAN_LAYER,
    FIRST,
    SECOND,
    FRACTION,
    K,
    number("overlap", "share", "share of the sets that is common: |A ∩ B| / k"),
    number("chance", "share", "the same for two random sets: k / neurons"),
)
VOTES = of_finding(
    "agreement",
    "votes",
    "the top set of one ranking in one layer, beside all other rankings",
    MEAN_LAYER,
    METHOD,
    FRACTION,
    number("neuron_vote", "share", "Jaccard index with the set that the others elect"),
    number("average_overlap", "share", "mean Jaccard index with each of the others"),
    number("chance", "share", "Jaccard index of two random sets of that size"),
)
EFFECTIVENESS = of_finding(
    "agreement",
    "effectiveness",
    "a ranking under one operator, over the whole curve of its top sets",
    OPERATOR,
    text("ranking", "name of the ranking"),
    count("fractions", "points", "shares silenced that every ranking and every draw has"),
    *estimate("mean_drop", ACCURACY_LOST, "accuracy lost, mean over those points"),
    *random_drop(),
    *EXCESS,
    *estimate(
        "half_fraction",
        "share",
        "share silenced at which half of the accuracy above chance is gone; null: never",
        short="half",
    ),
    number("never_share", "share", "resamples in which it is never gone"),
    DRAWS,
)
STABILITY = of_finding(
    "agreement",
    "stability",
    "a ranking in one layer, computed again on resamples of `fit`",
    *STABILITY_COLUMNS,
)
DISSOCIATION = of_finding(
    "agreement",
    "dissociation",
    "what is readable and what is used, in one layer",
    MEAN_LAYER,
    READABLE,
    USED,
    SPEARMAN,
)
NEURONS = of_finding(
    "agreement",
    "neurons",
    "a neuron on which readable and used differ most",
    LAYER_INDEX,
    SITE,
    DISSOCIATED_KIND,
    NEURON_INDEX,
    share("readable_place", "place among the layer's neurons by what is readable; 1 = most"),
    share("used_place", "place among the layer's neurons by what is used; 1 = most"),
    number("contrast", "share", "min(place in the one, 1 − place in the other)"),
    ADDRESS,
)
DISSOCIATED = of_finding(
    "agreement",
    "dissociated",
    "a set of neurons that are readable but unused, or used but unreadable, silenced",
    OPERATOR,
    DISSOCIATED_KIND,
    USED,
    FRACTION,
    K,
    *DROP,
    *random_drop(),
    *EXCESS,
    DRAWS,
)

TABLES = (
    CORRELATION,
    OVERLAP,
    VOTES,
    EFFECTIVENESS,
    STABILITY,
    DISSOCIATION,
    NEURONS,
    DISSOCIATED,
)
