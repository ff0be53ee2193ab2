"""Cells of neurons on which probe and attribution part."""

from dataclasses import replace

import numpy as np

from synapse_audit.artifacts import GLOBAL, Cell, Ranking
from synapse_audit.plan import PlanInputs, build_cells
from synapse_audit.plan.dissociated import dissociated_cells

from .plan_inputs import CLASSES, GRID, LAYERS, WIDTH, sources


def _with_use(s: PlanInputs, use: list[np.ndarray]) -> PlanInputs:
    ranking = Ranking("conductance", dict.fromkeys((GLOBAL, *CLASSES), use))
    return replace(s, rankings={**s.rankings, "conductance": ranking})


def _sets(cells: list[Cell]) -> dict[tuple[str | None, float | None], dict[int, np.ndarray]]:
    found = {}
    for cell in cells:
        if cell.operator == "mean":
            assert cell.neurons is not None
            found[cell.selection, cell.fraction] = cell.neurons.by_layer
    return found


def test_without_attributions_there_is_none() -> None:
    assert list(dissociated_cells(sources())) == []


def test_the_sets_are_high_in_one_ranking_and_low_in_the_other() -> None:
    plain = sources()
    read = np.arange(WIDTH, dtype=np.float64)
    use = np.roll(read, WIDTH // 2)
    probe = Ranking("probe", dict.fromkeys((GLOBAL, *CLASSES), [read] * (LAYERS + 1)))
    s = _with_use(replace(plain, rankings={"probe": probe}), [use] * (LAYERS + 1))
    found = _sets(list(dissociated_cells(s)))
    # use: neuron j < 20 stands at j + 20, the others at j − 20. Readable and unused are those at
    # 20, 21, ...: the best of min(p, 1 − q) lies where p = 1 − q, around j = 29.5.
    assert set(found[("readable_unused", 0.1)][1]) == {28, 29, 30, 31}
    assert set(found[("used_unreadable", 0.1)][1]) == {8, 9, 10, 11}
    assert set(found[("readable_unused", 0.25)]) == set(range(1, LAYERS + 1))


def test_every_set_has_random_controls_of_the_same_counts() -> None:
    generator = np.random.default_rng(5)
    s = _with_use(sources(), [generator.normal(size=WIDTH) for _ in range(LAYERS + 1)])
    cells = build_cells(s)
    mine = [c for c in cells if c.selection in ("readable_unused", "used_unreadable")]
    # Two operators, two sets, the two fractions of the grid that are small enough.
    assert len(mine) == 2 * 2 * len([f for f in GRID.fractions if f <= 0.3])
    for cell in mine:
        assert cell.neurons is not None
        random_controls = [
            other
            for other in cells
            if other.selection == "random"
            and (other.operator, other.fraction, other.layers, other.position)
            == (cell.operator, cell.fraction, cell.layers, cell.position)
        ]
        assert len(random_controls) == GRID.draws
        for random_control in random_controls:
            assert random_control.neurons is not None
            assert random_control.neurons.counts == cell.neurons.counts
        assert (cell.ranking, cell.ranked_for) == ("probe", GLOBAL)
        assert cell.used == "conductance"
