"""Cells → outcomes, by the cheapest exact route."""

from synapse_audit.sweep.attention import supports_tap, tapped
from synapse_audit.sweep.cost import Cost, estimate
from synapse_audit.sweep.intervening import intervene
from synapse_audit.sweep.routes import Engine
from synapse_audit.sweep.running import Chunk, Shelf, chunks, sweep
from synapse_audit.sweep.site import Site
from synapse_audit.sweep.two_phase import Subsampling, subsampling, sweep_two_phase
from synapse_audit.sweep.verify import RouteCheck, verify_routes

__all__ = [
    "Chunk",
    "Cost",
    "Engine",
    "RouteCheck",
    "Shelf",
    "Site",
    "Subsampling",
    "chunks",
    "estimate",
    "intervene",
    "subsampling",
    "supports_tap",
    "sweep",
    "sweep_two_phase",
    "tapped",
    "verify_routes",
]
