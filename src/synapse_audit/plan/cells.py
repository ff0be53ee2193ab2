"""Which experiments a grid means: one function per group of cells, listed in ``GROUPS``.

In: the grid, the rankings, and statistics over ``fit``. Out: cells in a fixed order. Adding an
experiment = one function and one line in ``GROUPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from synapse_audit.artifacts import Cell, Group
from synapse_audit.plan.attention import head_cells, head_set_cells
from synapse_audit.plan.bit_flips import flip_cells
from synapse_audit.plan.directions import direction_cells
from synapse_audit.plan.dissociated import dissociated_cells
from synapse_audit.plan.head import logit_cells, weight_cells
from synapse_audit.plan.inputs import input_cells
from synapse_audit.plan.logits import logit_noise_cells, temperature_cells
from synapse_audit.plan.named_neurons import named_neuron_cells
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
from synapse_audit.plan.paper import control_cells, exclusive_mass_cells, setting_cells
from synapse_audit.plan.plan_inputs import PlanInputs
from synapse_audit.plan.random_faults import fault_cells
from synapse_audit.plan.sites import site_cells, site_layer_cells, site_position_cells
from synapse_audit.plan.trimming import TRIMMED_FIRST, dispensable
from synapse_audit.plan.weights import edited_cells, paper_cells

GROUPS: Mapping[Group, Callable[[PlanInputs], Iterator[Cell]]] = {
    "removal": removal_cells,
    "compared": compared_cells,
    "matched": matched_cells,
    "keep": keep_cells,
    "layer": layer_cells,
    "position": position_cells,
    "class": class_cells,
    "exclusive": exclusive_cells,
    "constant": constant_cells,
    "named": named_neuron_cells,
    "dissociated": dissociated_cells,
    "paper_setting": setting_cells,
    "paper_mass": exclusive_mass_cells,
    "paper_control": control_cells,
    "other_operator": other_operator_cells,
    "aimed": aimed_cells,
    "site": site_cells,
    "site_position": site_position_cells,
    "site_layer": site_layer_cells,
    "attention_head": head_cells,
    "attention_set": head_set_cells,
    "direction": direction_cells,
    "push": weight_cells,
    "edit": edited_cells,
    "bit_flip": flip_cells,
    "fault": fault_cells,
    "paper_edit": paper_cells,
    "shift": logit_cells,
    "temperature": temperature_cells,
    "logit_noise": logit_noise_cells,
    "attack": input_cells,
}
"""Purpose → its cells. Findings ask for cells by these names."""


def build_cells(sources: PlanInputs) -> tuple[Cell, ...]:
    """All cells of the grid, in a fixed order, without repeats.

    A cell that several groups make belongs to the first of them.
    """
    left_out = [TRIMMED_FIRST[name] for name in sources.grid.without]
    found: dict[str, Cell] = {}
    for group, cells in GROUPS.items():
        for cell in filter(_does_something, cells(sources)):
            named = replace(cell, group=group)
            if not (dispensable(named) and any(goes(named) for goes in left_out)):
                found.setdefault(cell.key, named)
    return tuple(found.values())


def _does_something(cell: Cell) -> bool:
    """An edit of no weight (a share that rounds to no column, say) is no experiment."""
    return cell.edit is None or cell.edit.n_changed > 0
