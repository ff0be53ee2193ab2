"""Configuration → the deduplicated cells and the route of each."""

from synapse_audit.plan.cells import build_cells
from synapse_audit.plan.routing import FULL, HEAD, STREAM, SUFFIX, TWO_PHASE, cheapest, make_plan
from synapse_audit.plan.sources import GivenNeurons, SiteSource, Sources
from synapse_audit.plan.trimming import TRIMMED_FIRST, Trimmed, leave_out, trim

plan = make_plan
"""The verb of the public API, under which this package is found as an attribute of the whole."""

__all__ = [
    "FULL",
    "HEAD",
    "STREAM",
    "SUFFIX",
    "TRIMMED_FIRST",
    "TWO_PHASE",
    "GivenNeurons",
    "SiteSource",
    "Sources",
    "Trimmed",
    "build_cells",
    "cheapest",
    "leave_out",
    "make_plan",
    "plan",
    "trim",
]
