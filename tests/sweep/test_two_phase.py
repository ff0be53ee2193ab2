"""Who is run exactly, and that two phases agree with the exact sweep where they must."""

import numpy as np
import pytest

from synapse_audit.artifacts import Cell
from synapse_audit.neurons import NeuronSet
from synapse_audit.sweep.two_phase import (
    PER_CLASS,
    PILOT,
    PILOT_CELLS,
    PRIOR,
    Subsampling,
    kind,
    kind_rates,
    pilot_cells,
    subsampling,
)

ROWS = np.arange(100, 1100)
LABELS = np.array([0] * 700 + [1] * 280 + [2] * 20)


def chosen(seed: int = 0, precision: float = 0.01) -> Subsampling:
    return subsampling(ROWS, LABELS, precision=precision, seed=seed)


def cell(operator: str, draw: int, k: int = 10, **purpose: object) -> Cell:
    given = {"selection": "random", "layers": "all", "neurons": NeuronSet.of({1: range(k)})}
    return Cell(
        space="neuron", operator=operator, site="block_output", draw=draw, **(given | purpose)
    )


def test_the_order_holds_everybody_once_and_depends_on_the_seed():
    assert sorted(chosen().order) == ROWS.tolist()
    assert chosen().order.tolist() == chosen().order.tolist()
    assert chosen().order.tolist() != chosen(seed=1).order.tolist()


def test_every_class_comes_first_then_in_proportion():
    labels = LABELS[chosen().order - 100]
    assert np.bincount(labels[: 3 * PER_CLASS]).tolist() == [PER_CLASS] * 3
    # 24 come first; of the other 976 about half are among the next 476, in proportion.
    half = np.bincount(labels[:500], minlength=3)
    assert half == pytest.approx([350, 140, 10], abs=6)
    assert chosen().pilot == PILOT


def test_small_data_is_exact_throughout():
    few = subsampling(ROWS[:40], LABELS[:40], precision=0.01, seed=0)
    assert few.all_exact and few.ladder == (40,)


def test_sizes_grow_with_disagreement_and_shrink_with_precision():
    plan = chosen()
    assert plan.ladder[:5] == (50, 63, 79, 99, 124)
    assert plan.ladder[-1] == 1000 and max(np.divide(plan.ladder[1:], plan.ladder[:-1])) < 1.3
    assert plan.size(0.0) == 50
    # Half width z sqrt(r (1 - r) (1/n - 1/N)) at r = .01: .0109 at 243, .0093 at 304.
    assert plan.size(0.01) == 304
    assert plan.size(0.3) == 929  # .0078
    assert chosen(precision=0.001).size(0.3) == 1000
    assert chosen(precision=0.05).size(0.01) == 50


def test_the_pilot_takes_other_examples_than_those_that_are_run():
    plan = chosen()
    assert len(plan.tail) == plan.pilot
    assert not set(plan.tail) & set(plan.order[:800])
    assert len(subsampling(ROWS[:60], LABELS[:60], precision=0.01, seed=0).tail) == PILOT


def test_a_ranked_set_and_its_twins_are_of_one_kind():
    top = cell("mean", 0, selection="top", ranking="probe")
    assert kind(top) == kind(cell("mean", 3)) == kind(cell("mean", 3, k=11))
    others = [
        cell("zero", 0),
        cell("mean", 0, k=20),
        cell("mean", 0, layers="2"),
        cell("mean", 0, strength=0.5),
        cell("mean", 0, neurons=None),
    ]
    assert len({kind(other) for other in [top, *others]}) == 6


def test_the_pilot_runs_a_few_cells_of_every_kind():
    cells = [cell("mean", draw, k) for k in (10, 40) for draw in range(40)] + [cell("zero", 0)]
    cells += [cell("flip", draw) for draw in range(9)]
    tried = pilot_cells(cells)
    assert len(set(tried)) == len(tried) == 2 * PILOT_CELLS + 1 + 3
    # Of 40 draws every fifth or so, neither the first nor the last.
    assert [c.draw for c in tried[:PILOT_CELLS]] == [4, 8, 13, 17, 21, 26, 30, 34]
    assert [c.draw for c in tried[-3:]] == [2, 4, 6]


def test_rates_by_hand():
    """Four cells of two kinds of one operator, one of another; 50 pilot examples each."""
    tried = [cell("mean", 0), cell("mean", 1), cell("mean", 0, 40), cell("zero", 0)]
    rates = kind_rates([*tried, cell("mean", 9)], tried, np.array([0, 0, 3, 25]), 50)
    expected = (3 + 0.5) / (150 + 1)
    assert rates[0] == rates[1] == rates[4] == pytest.approx(PRIOR * expected / (100 + PRIOR))
    assert rates[2] == pytest.approx((3 + PRIOR * expected) / (50 + PRIOR))
    alone = (25 + 0.5) / 51
    assert rates[3] == pytest.approx((25 + PRIOR * alone) / (50 + PRIOR))
    assert (kind_rates(tried, tried, np.zeros(4, dtype=np.int64), 50) > 0).all()
