"""Tables of the finding ``fault_rate``: how often one random bit flip breaks the model."""

from __future__ import annotations

from synapse_audit.tables.column import count, number, text
from synapse_audit.tables.table import of_finding

PART = text("part", "kind of tensor: embeddings, attention, mlp, norm, bias, other or head")
BIT_KIND = text("bit_kind", "sign, exponent_msb, exponent_rest or mantissa")
SHARE = number("share", "share", "a fault that changes more of the predictions breaks the model")
BITS = count("bits", "bits", "how many such bits the model has")
RATE = (
    count("faults", "faults", "how many were drawn"),
    count("broken", "faults", "how many of them break the model"),
    count("no_numbers", "faults", "how many of them leave a logit that is not a number"),
    number("rate", "share", "share of the bits that break the model"),
    number("low", "share", "lower end of its 95 % margin over which bits were drawn"),
    number("high", "share", "upper end of its 95 % margin over which bits were drawn"),
)

STRATA = of_finding(
    "fault_rate",
    "strata",
    "a kind of bit in a kind of tensor, at one share of the predictions",
    PART,
    BIT_KIND,
    SHARE,
    BITS,
    *RATE,
)
PLACES = of_finding(
    "fault_rate",
    "places",
    "a place of the bit in a kind of tensor, at one share of the predictions",
    PART,
    count("bit", "", "place of the bit in its number; 0 is the lowest"),
    BIT_KIND,
    SHARE,
    BITS,
    *RATE,
)
TOTALS = of_finding(
    "fault_rate",
    "totals",
    "all bits, those of a kind of tensor or those of a kind of bit, at one share",
    text("over", "all, part or bit_kind"),
    text("name", "which part or kind of bit"),
    SHARE,
    BITS,
    *RATE,
)

TABLES = (STRATA, PLACES, TOTALS)
