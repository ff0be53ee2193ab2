"""Tables of the finding ``sites``: where inside a block, and how far neurons steer."""

from __future__ import annotations

from synapse_audit.tables.column import BAND, Column, count, ends, estimate, number
from synapse_audit.tables.column import LAYER as LAYER_VALUES
from synapse_audit.tables.shared import (
    COLLATERAL,
    DRAWS,
    DROP,
    FRACTION,
    OPERATOR,
    POSITION,
    SELECTION,
    SITE,
    random_drop,
)
from synapse_audit.tables.table import of_finding

REMOVAL = of_finding(
    "sites",
    "removal",
    "a top or bottom set over all layers of one site",
    SITE,
    OPERATOR,
    POSITION,
    FRACTION,
    SELECTION,
    *DROP,
    *random_drop(),
    DRAWS,
)
SUBLAYERS = of_finding(
    "sites",
    "sublayers",
    "one site of one layer, held at its mean as a whole",
    SITE,
    Column("layer", LAYER_VALUES, "", "layer"),
    count("neurons", "neurons", "width of the site"),
    *DROP,
)
STEERING = of_finding(
    "sites",
    "steering",
    "a share of a class's top neurons, moved toward the class",
    OPERATOR,
    Column("target", SELECTION.values, "", "the class that the neurons are moved toward"),
    FRACTION,
    *estimate(
        "redirect_rate",
        "share",
        "examples not predicted as the target that become so",
        short="redirect",
    ),
    *COLLATERAL,
    number("random_rate", "share", "redirect rate of random neurons: mean of the draws"),
    *ends("random", "share", BAND),
    DRAWS,
)

TABLES = (REMOVAL, SUBLAYERS, STEERING)
