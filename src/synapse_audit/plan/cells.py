"""Which experiments a grid means: one function per group of cells, listed in ``GROUPS``.

In: the grid, the rankings, and statistics over ``fit``. Out: cells in a fixed order. Adding an
experiment = one function and one line in ``GROUPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from synapse_audit.artifacts import Cell
from synapse_audit.plan.dissociated import dissociated_cells
from synapse_audit.plan.flips import flip_cells
from synapse_audit.plan.given import given_cells
from synapse_audit.plan.head import logit_cells, weight_cells
from synapse_audit.plan.inputs import input_cells
from synapse_audit.plan.logits import logit_noise_cells, temperature_cells
from synapse_audit.plan.neurons import (
    class_cells,
    compared_cells,
    constant_cells,
    exclusive_cells,
    keep_cells,
    layer_cells,
    matched_cells,
    position_cells,
    removal_cells,
)
from synapse_audit.plan.others import aimed_cells, other_operator_cells
from synapse_audit.plan.paper import exclusive_mass_cells, setting_cells
from synapse_audit.plan.sites import site_cells, site_layer_cells, site_position_cells
from synapse_audit.plan.sources import Sources
from synapse_audit.plan.weights import edited_cells, paper_cells

GROUPS: tuple[Callable[[Sources], Iterator[Cell]], ...] = (
    removal_cells,
    compared_cells,
    matched_cells,
    keep_cells,
    layer_cells,
    position_cells,
    class_cells,
    exclusive_cells,
    constant_cells,
    given_cells,
    dissociated_cells,
    setting_cells,
    exclusive_mass_cells,
    other_operator_cells,
    aimed_cells,
    site_cells,
    site_position_cells,
    site_layer_cells,
    weight_cells,
    edited_cells,
    flip_cells,
    paper_cells,
    logit_cells,
    temperature_cells,
    logit_noise_cells,
    input_cells,
)


def build_cells(sources: Sources) -> tuple[Cell, ...]:
    """All cells of the grid, in a fixed order, without repeats."""
    cells = [cell for group in GROUPS for cell in group(sources) if _does_something(cell)]
    return tuple({cell.key: cell for cell in cells}.values())


def _does_something(cell: Cell) -> bool:
    """An edit of no weight (a share that rounds to no column, say) is no experiment."""
    return cell.edit is None or cell.edit.n_changed > 0
