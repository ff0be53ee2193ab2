"""The cheapest route that is exact for a cell.

| route | exact when | what runs |
|---|---|---|
| head | only the head, its input, the logits, or the final pooled state is touched | no block |
| stream | pooled position, first touched layer one of the last two | the pooled row alone |
| suffix | always, where the family allows it | from the first touched layer on |
| full | always | plain hooks: the reference |
| two-phase | never: an estimate | stream on all examples, suffix on a subsample |

Why stream is exact there: a change of the pooled row at layer L − 1 reaches the other tokens only
at layer L, which the head does not read at those tokens.
"""

from __future__ import annotations

from collections.abc import Iterable

from synapse_audit.artifacts import Cell, ParameterEdit, Plan

HEAD, STREAM, SUFFIX, FULL = "head", "stream", "suffix", "full"

TWO_PHASE = "two-phase"
"""Not a way to run a cell but to estimate it: stream on all examples, suffix on some."""


def cheapest(cell: Cell, n_layers: int, available: frozenset[str]) -> str:
    """The cheapest exact route among those available (``head`` and ``full`` always are)."""
    if cell.space == "input":
        return FULL
    if isinstance(cell.edit, ParameterEdit) and cell.edit.layer is not None:
        return SUFFIX if SUFFIX in available else FULL
    if cell.space in ("weight", "logit") or cell.neurons is None:
        return HEAD
    first = min(cell.neurons.layers, default=n_layers)
    # At the final layer the head reads the pooled row only, whatever the position touched.
    if first >= n_layers:
        return HEAD
    if STREAM in available and cell.position == "pooled" and first >= n_layers - 1:
        return STREAM
    return SUFFIX if SUFFIX in available else FULL


def make_plan(cells: Iterable[Cell], n_layers: int, available: frozenset[str]) -> Plan:
    """Cells with the cheapest route of each distinct action."""
    cells = tuple(cells)
    return Plan(cells, {cell.action: cheapest(cell, n_layers, available) for cell in cells})
