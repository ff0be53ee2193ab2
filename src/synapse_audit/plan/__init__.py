"""Configuration → the deduplicated cells and the route of each."""

from synapse_audit.plan.cells import build_cells
from synapse_audit.plan.plan_inputs import (
    AttentionHeads,
    Direction,
    NamedNeurons,
    PlanInputs,
    SiteInputs,
    check_classes,
)
from synapse_audit.plan.routing import FULL, HEAD, STREAM, SUFFIX, TWO_PHASE, cheapest, make_plan
from synapse_audit.plan.tiers import COMPARATOR, EXACT_ONLY, HEADLINE, pools, read_alone
from synapse_audit.plan.trimming import TRIMMED_FIRST, Trimmed, leave_out, trim

plan = make_plan
"""The verb of the public API, under which this package is found as an attribute of the whole."""

__all__ = [
    "COMPARATOR",
    "EXACT_ONLY",
    "FULL",
    "HEAD",
    "HEADLINE",
    "STREAM",
    "SUFFIX",
    "TRIMMED_FIRST",
    "TWO_PHASE",
    "AttentionHeads",
    "Direction",
    "NamedNeurons",
    "PlanInputs",
    "SiteInputs",
    "Trimmed",
    "build_cells",
    "cheapest",
    "check_classes",
    "leave_out",
    "make_plan",
    "plan",
    "pools",
    "read_alone",
    "trim",
]
