"""Cells at other sites and of other operators: what they touch, and their random controls."""

from dataclasses import replace
from typing import Any

import numpy as np

from synapse_audit.artifacts import GLOBAL, LayerStatistics, Ranking
from synapse_audit.plan import HEAD, STREAM, SUFFIX, PlanInputs, SiteInputs, cheapest
from synapse_audit.plan.others import aimed_cells, nearest_to_mean, other_operator_cells
from synapse_audit.plan.sites import site_cells, site_layer_cells, site_position_cells

from .plan_inputs import CLASSES, sources

WIDTHS = (0, 6, 6)


def _statistics(width: int) -> LayerStatistics:
    generator = np.random.default_rng(width)
    bank = generator.normal(size=(5, width)).astype(np.float32)
    mean = bank.mean(axis=0)
    means = dict(zip(CLASSES, bank[[0, 3, 4]], strict=True))
    return LayerStatistics(mean, bank.std(axis=0), np.abs(mean), mean, mean, means, bank)


def _site() -> SiteInputs:
    scores = tuple(np.arange(width, dtype=np.float64) for width in WIDTHS)
    return SiteInputs(tuple(map(_statistics, WIDTHS)), Ranking("probeless", {GLOBAL: scores}))


def _sources(**grid: Any) -> PlanInputs:
    base = sources()
    return replace(
        base,
        grid=base.grid.model_copy(update=grid),
        sites={"mlp_output": _site(), "head_input": _site()},
        statistics=tuple(map(_statistics, base.widths)),
    )


def test_sites_have_top_bottom_and_controls_of_the_same_counts() -> None:
    cells = list(site_cells(_sources(site_fractions=(0.5,), draws=3)))
    mean = [c for c in cells if c.operator == "mean" and c.site == "mlp_output"]
    assert [c.selection for c in mean] == ["top", "bottom", "random", "random", "random"]
    assert mean[0].neurons is not None
    assert mean[0].neurons.by_layer[2].tolist() == [3, 4, 5]
    assert {tuple(c.neurons.counts.items()) for c in mean if c.neurons} == {((1, 3), (2, 3))}
    assert len({c.action for c in cells}) == len(cells)


def test_the_head_input_has_no_other_positions() -> None:
    cells = list(site_position_cells(_sources(site_fractions=(0.5,), position_fractions=(0.1,))))
    assert {c.site for c in cells} == {"mlp_output"}
    assert not list(site_position_cells(_sources(position_fractions=())))


def test_whole_sublayers_and_their_routes() -> None:
    cells = {(c.site, c.layers): c for c in site_layer_cells(_sources())}
    assert {len(c.neurons or ()) for c in cells.values()} == {6}
    fast = frozenset({STREAM, SUFFIX})
    assert cheapest(cells["head_input", "2"], 2, fast) == HEAD
    assert cheapest(cells["mlp_output", "2"], 2, fast) == STREAM
    assert cheapest(cells["mlp_output", "1"], 3, fast) == SUFFIX


def test_aimed_operators_are_run_toward_every_class_and_never_without() -> None:
    source = _sources(other_operators=("resample", "translate", "patch"), other_fractions=(0.5,))
    aimed, rest = list(aimed_cells(source)), list(other_operator_cells(source))
    assert {c.operator for c in aimed} == {"translate", "patch"}
    assert {c.target for c in aimed} == set(source.ranked_classes)
    assert {c.operator for c in rest} == {"resample"}
    assert {c.target for c in rest} == {None}
    random_controls = [c for c in aimed if c.selection == "random" and c.operator == "translate"]
    assert len({c.action for c in random_controls}) == len(random_controls), (
        "the class aimed at is part of the action"
    )
    assert all(c.donor is not None for c in aimed if c.operator == "patch")


def test_the_donor_is_the_example_nearest_to_the_mean_of_its_class() -> None:
    source = _sources()
    assert nearest_to_mean(source, "a") == 0
    assert nearest_to_mean(source, "b") == 3
