"""Cells → outcomes, by the cheapest exact route."""

from synapse_audit.sweep.attention import (
    available_routes,
    supports_tap,
    tapped,
    why_no_tap,
)
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.cost import (
    FACTOR,
    Amount,
    Cost,
    Timing,
    UnitCosts,
    estimate,
    measure_units,
    reckon,
)
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.intervening import intervene
from synapse_audit.sweep.number_format import (
    RELATIVE_TIME,
    CoarseFormat,
    can_answer,
    coarse,
    may_be_coarse,
    multiplies,
)
from synapse_audit.sweep.resuming import answers_from
from synapse_audit.sweep.running import (
    Chunk,
    Done,
    Execute,
    Unit,
    UnitStore,
    Work,
    blank,
    chunks,
    in_order,
    run_chunk,
    sweep,
)
from synapse_audit.sweep.sampling import (
    HALVES,
    Sample,
    Sampled,
    draw_blocks,
    draw_halves,
    draw_sample,
    halved,
    sample_size,
)
from synapse_audit.sweep.score import Scores
from synapse_audit.sweep.site import Site
from synapse_audit.sweep.subsample import Subsampling, subsampling
from synapse_audit.sweep.tap import Tap
from synapse_audit.sweep.text import special_of
from synapse_audit.sweep.two_phase import sweep_two_phase
from synapse_audit.sweep.verify import RouteCheck, kind_of, verify_routes

__all__ = [
    "FACTOR",
    "HALVES",
    "RELATIVE_TIME",
    "Amount",
    "Chunk",
    "CleanStates",
    "CoarseFormat",
    "Cost",
    "Done",
    "Engine",
    "Execute",
    "RouteCheck",
    "Sample",
    "Sampled",
    "Scores",
    "Site",
    "Subsampling",
    "Tap",
    "Timing",
    "Unit",
    "UnitCosts",
    "UnitStore",
    "Work",
    "answers_from",
    "available_routes",
    "blank",
    "can_answer",
    "chunks",
    "clean_pass",
    "coarse",
    "draw_blocks",
    "draw_halves",
    "draw_sample",
    "estimate",
    "halved",
    "in_order",
    "intervene",
    "kind_of",
    "may_be_coarse",
    "measure_units",
    "multiplies",
    "reckon",
    "run_chunk",
    "sample_size",
    "special_of",
    "subsampling",
    "supports_tap",
    "sweep",
    "sweep_two_phase",
    "tapped",
    "verify_routes",
    "why_no_tap",
]
