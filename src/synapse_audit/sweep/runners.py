"""Route → the function that runs it, and how many cells it takes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from synapse_audit.artifacts import Cell
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX
from synapse_audit.sweep.clean import CleanStates
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.routes import Logits, run_full, run_head, run_stream, run_suffix

RUNNERS: dict[str, Callable[[Engine, CleanStates, Sequence[Cell]], Logits]] = {
    HEAD: run_head,
    STREAM: run_stream,
    SUFFIX: run_suffix,
    FULL: run_full,
}

ROWS_AT_ONCE = 4096
"""Rows (cells · examples) of one stacked product in the stream route."""


def stack_size(route: str, examples: int) -> int:
    """Cells that one call takes; suffix and full gain nothing from stacking on a CPU."""
    return max(1, ROWS_AT_ONCE // examples) if route == STREAM else 16
