"""Configuration → the deduplicated cells and the route of each."""

from synapse_audit.plan.cells import Sources, build_cells
from synapse_audit.plan.routing import FULL, HEAD, STREAM, SUFFIX, TWO_PHASE, cheapest, make_plan

__all__ = [
    "FULL",
    "HEAD",
    "STREAM",
    "SUFFIX",
    "TWO_PHASE",
    "Sources",
    "build_cells",
    "cheapest",
    "make_plan",
]
