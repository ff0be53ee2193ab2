"""Which experiments a grid means: one function per group of cells, listed in ``GROUPS``.

In: the grid, the rankings, and statistics over ``fit``. Out: cells in a fixed order. Adding an
experiment = one function and one line in ``GROUPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from synapse_audit.artifacts import Cell
from synapse_audit.plan.head import logit_cells, weight_cells
from synapse_audit.plan.neurons import (
    class_cells,
    constant_cells,
    exclusive_cells,
    keep_cells,
    layer_cells,
    matched_cells,
    position_cells,
    removal_cells,
)
from synapse_audit.plan.sources import Sources

GROUPS: tuple[Callable[[Sources], Iterator[Cell]], ...] = (
    removal_cells,
    matched_cells,
    keep_cells,
    layer_cells,
    position_cells,
    class_cells,
    exclusive_cells,
    constant_cells,
    weight_cells,
    logit_cells,
)


def build_cells(sources: Sources) -> tuple[Cell, ...]:
    """All cells of the grid, in a fixed order, without repeats."""
    cells = [cell for group in GROUPS for cell in group(sources) if _does_something(cell)]
    return tuple({cell.key: cell for cell in cells}.values())


def _does_something(cell: Cell) -> bool:
    """An edit of no weight (a share that rounds to no column, say) is no experiment."""
    return cell.edit is None or cell.edit.n_changed > 0
