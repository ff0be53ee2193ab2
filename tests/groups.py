"""The group that a hand-made cell belongs to, by its columns alone.

The plan writes groups by the function that makes a cell; this says the same from what the cell
holds, so that tests need not name the group of every cell they write by hand, and so that the two
can be held against each other.
"""

from __future__ import annotations

from dataclasses import replace

from synapse_audit.artifacts import ALL_LAYERS, GLOBAL, Cell, Group
from synapse_audit.plan.paper import UNMATCHED

BY_SELECTION: dict[str | None, Group] = {
    "matched": "matched",
    "keep_top": "keep",
    "keep_random": "keep",
    "exclusive": "exclusive",
    "constant": "constant",
    "readable_unused": "dissociated",
    "used_unreadable": "dissociated",
}
BY_OPERATOR: dict[str, Group] = {
    "push": "push",
    "bias": "push",
    "bit_flip": "bit_flip",
    "random_fault": "fault",
    "paper_push": "paper_edit",
    "shift": "shift",
    "temperature": "temperature",
}


def grouped(cell: Cell) -> Cell:
    """The cell with its group, unless it has one."""
    return cell if cell.group else replace(cell, group=group_of(cell))


def group_of(cell: Cell) -> Group:
    """What a cell is run for."""
    if cell.space == "neuron":
        return _neuron(cell)
    if cell.space == "input":
        return "attack"
    if cell.operator == "gaussian_fault" and cell.unit == "absolute":
        return "paper_edit"
    return BY_OPERATOR.get(cell.operator, "logit_noise" if cell.space == "logit" else "edit")


def _neuron(cell: Cell) -> Group:
    if cell.setting is not None:
        if cell.setting == UNMATCHED:
            return "paper_control"
        return "paper_mass" if "mass" in cell.setting else "paper_setting"
    if cell.operator == "project":
        return "direction"
    if cell.site == "attention_head":
        return "attention_head" if cell.selection == "each" else "attention_set"
    if cell.selection in BY_SELECTION:
        return BY_SELECTION[cell.selection]
    if cell.addresses is not None:
        return "named"
    if cell.target is not None:
        return "aimed"
    if cell.site != "block_output":
        whole = "site" if cell.position == "pooled" else "site_position"
        return whole if cell.layers == ALL_LAYERS else "site_layer"
    if cell.position == "all":
        return "position"
    if cell.selection == "top" and cell.ranked_for not in (None, GLOBAL):
        return "class"
    return "removal" if cell.layers == ALL_LAYERS else "layer"
