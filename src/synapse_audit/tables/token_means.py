"""Tables of the finding ``token_means``: the token that the head reads against the mean of all."""

from __future__ import annotations

from synapse_audit.tables.column import count, estimate, flag, number, share
from synapse_audit.tables.run import EXAMPLE
from synapse_audit.tables.shared import (
    ACCURACY_LOST,
    FRACTION,
    LAYER_INDEX,
    MEAN_LAYER,
    METHOD,
    K,
)
from synapse_audit.tables.table import Table, of_finding

READ = Table(
    "token_means.read",
    "an `evaluate` example and a layer",
    (
        LAYER_INDEX,
        EXAMPLE,
        flag("pooled_right", "whether the probe on the token that the head reads is right"),
        flag("mean_right", "whether the probe on the mean over all tokens is right"),
    ),
)
SHARED = Table(
    "token_means.shared",
    "a ranking of one layer, made twice",
    (
        LAYER_INDEX,
        METHOD,
        FRACTION,
        K,
        count("neurons", "neurons", "width of the layer"),
        number("overlap", "share", "share of the top sets that is common"),
        number("mean_again", "share", "of the top set of means, found again on resamples of `fit`"),
    ),
)
PROBES = of_finding(
    "token_means",
    "probes",
    "a layer, read twice",
    LAYER_INDEX,
    share("pooled_accuracy", "accuracy of the probe on the token that the head reads"),
    share("mean_accuracy", "accuracy of the probe on the mean over all tokens"),
    *estimate("gain", ACCURACY_LOST, "mean_accuracy minus pooled_accuracy"),
)
OVERLAP = of_finding(
    "token_means",
    "overlap",
    "a ranking of one layer, made of the head's token and of the mean over all tokens",
    MEAN_LAYER,
    METHOD,
    FRACTION,
    K,
    number("overlap", "share", "share of the two top sets that is common: |A ∩ B| / k"),
    number("chance", "share", "the same for two random sets: k / neurons"),
    number("chance_low", "share", "2.5 % of pairs of random sets share less"),
    number("chance_high", "share", "2.5 % of pairs of random sets share more"),
    number("pooled_again", "share", "of the token's top set, found again on resamples of `fit`"),
    number("mean_again", "share", "of the mean's top set, found again on resamples of `fit`"),
)

TABLES = (READ, SHARED, PROBES, OVERLAP)
