"""The cheapest route that is exact for a cell.

| route | exact when | what runs |
|---|---|---|
| head | only the head, its input, the logits, or the final pooled state is touched | no block |
| stream | pooled position, first touched layer one of the last two (or causal) | the pooled row |
| suffix | always, where the blocks hand states straight on | from the first touched layer on |
| full | always | plain hooks: the reference |
| two-phase | never: an estimate | stream on all examples, suffix on a subsample |

A causal decoder read at its last token streams from any layer: no other token ever sees that one.
Where a model does more between two blocks than hand states on (encoder and decoder, stages), only
layers above that place can be resumed from.

Why stream is exact in the last two layers: a change of the pooled row at layer L − 1 reaches the
other tokens only at layer L, which the head does not read at those tokens.
"""

from __future__ import annotations

from collections.abc import Iterable

from synapse_audit.artifacts import Cell, ParameterEdit, Plan
from synapse_audit.plan.tiers import tiers

HEAD, STREAM, SUFFIX, FULL = "head", "stream", "suffix", "full"

TWO_PHASE = "two-phase"
"""Not a way to run a cell but to estimate it: stream on all examples, suffix on some."""


def cheapest(
    cell: Cell,
    n_layers: int,
    available: frozenset[str],
    *,
    causal: bool = False,
    resumable: int = 0,
) -> str:
    """The cheapest exact route among those available (``head`` and ``full`` always are).

    Args:
        causal: whether no token sees the one that the head reads.
        resumable: the lowest layer whose states the model hands straight to the next block.
    """
    if cell.space == "input":
        return FULL
    if isinstance(cell.edit, ParameterEdit) and cell.edit.layer is not None:
        able = SUFFIX in available and cell.edit.layer - 1 >= resumable
        return SUFFIX if able else FULL
    if cell.space in ("weight", "logit") or cell.neurons is None:
        return HEAD
    first = min(cell.neurons.layers, default=n_layers)
    # At the final layer the head reads the pooled row only, whatever the position touched.
    if first >= n_layers and cell.site in ("block_output", "head_input"):
        return HEAD
    if (first if cell.site == "block_output" else first - 1) < resumable:
        return FULL
    if STREAM in available and cell.position == "pooled" and (causal or first >= n_layers - 1):
        return STREAM
    return SUFFIX if SUFFIX in available else FULL


def make_plan(
    cells: Iterable[Cell],
    n_layers: int,
    available: frozenset[str],
    *,
    causal: bool = False,
    resumable: int = 0,
) -> Plan:
    """Cells with the cheapest route and the tier of each distinct action, as :func:`cheapest`."""
    cells = tuple(cells)
    routes = {
        cell.action: cheapest(cell, n_layers, available, causal=causal, resumable=resumable)
        for cell in cells
    }
    costly = {action: route in (SUFFIX, FULL) for action, route in routes.items()}
    return Plan(cells, routes, tiers(cells, costly))
