"""Cells of attention heads: which neurons they hold, and random controls of as many heads."""

from dataclasses import replace
from typing import Any

import numpy as np

from synapse_audit.artifacts import GLOBAL, Ranking
from synapse_audit.neurons.addresses import parse_addresses
from synapse_audit.plan import AttentionHeads, PlanInputs, build_cells
from synapse_audit.plan.attention import head_cells, head_set_cells

from .plan_inputs import CLASSES, QUICK, sources

HEADS, WIDTHS = 4, (0, 8, 8)
SCORES = {
    GLOBAL: [np.zeros(0), np.array([3.0, 1.0, 4.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0])],
    "b": [np.zeros(0), np.array([9.0, 1.0, 1.0, 1.0]), np.array([9.0, 1.0, 1.0, 1.0])],
}


def _sources(**grid: Any) -> PlanInputs:
    base = sources()
    ranked = {name: SCORES.get(name, SCORES[GLOBAL]) for name in (GLOBAL, *CLASSES)}
    return replace(
        base,
        grid=base.grid.model_copy(update=grid),
        attention=AttentionHeads(WIDTHS, HEADS, Ranking("probeless", ranked)),
    )


def test_every_head_alone_is_one_slice_that_its_address_names() -> None:
    cells = list(head_cells(_sources()))
    assert [(c.layers, c.addresses) for c in cells[:2]] == [
        ("1", "1:attention_head:0-1"),
        ("1", "1:attention_head:2-3"),
    ]
    assert len(cells) == 2 * HEADS == len({c.key for c in cells})
    for cell in cells:
        assert parse_addresses(str(cell.addresses)) == {"attention_head": cell.neurons}


def test_ranked_sets_stand_beside_as_many_random_heads() -> None:
    source = _sources(site_fractions=(0.1, 0.5), position_fractions=(), draws=3)
    cells = list(head_set_cells(source))
    mean = [c for c in cells if c.operator == "mean" and c.ranked_for is GLOBAL]
    assert [c.selection for c in mean] == ["top", "bottom", "random", "random", "random"]
    assert {c.fraction for c in cells} == {0.5}, "a tenth of four heads is none"
    top, bottom = (c.neurons for c in mean[:2])
    assert top is not None and bottom is not None
    assert {m: ids.tolist() for m, ids in top.by_layer.items()} == {
        1: [0, 1, 4, 5],
        2: [4, 5, 6, 7],
    }
    assert len(top & bottom) == 0 and len(top | bottom) == 16
    for cell in mean[2:]:
        assert cell.neurons is not None
        assert cell.neurons.counts == {1: 4, 2: 4}
        for ids in cell.neurons.by_layer.values():
            whole = np.bincount(ids // 2, minlength=HEADS)
            assert set(whole.tolist()) == {0, 2}, "whole heads"
    of_b = next(c for c in cells if c.ranked_for == "b")
    assert of_b.neurons is not None and 0 in of_b.neurons.by_layer[2]


def test_every_token_only_where_the_grid_asks_for_positions() -> None:
    without = list(head_set_cells(_sources(position_fractions=())))
    assert {c.position for c in without} == {"pooled"}
    asked = [c for c in head_set_cells(_sources()) if c.position == "all"]
    assert {c.operator for c in asked} == {"mean"}
    assert {c.selection for c in asked} == {"top", "bottom", "random"}


def test_nothing_is_planned_without_heads() -> None:
    groups = {cell.group for cell in build_cells(sources(QUICK))}
    assert not groups & {"attention_head", "attention_set"}
