"""Who is run exactly, and that two phases agree with the exact sweep where they must."""

import numpy as np
import pytest

from synapse_audit.artifacts import Cell
from synapse_audit.sweep.two_phase import PER_CLASS, PILOT, Subsampling, smoothed, subsampling

ROWS = np.arange(100, 1100)
LABELS = np.array([0] * 700 + [1] * 280 + [2] * 20)


def chosen(seed: int = 0, precision: float = 0.01) -> Subsampling:
    return subsampling(ROWS, LABELS, precision=precision, seed=seed)


def cell(operator: str, draw: int) -> Cell:
    return Cell(
        space="neuron", operator=operator, site="block_output", selection="random", draw=draw
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
    assert plan.ladder == (50, 100, 200, 400, 800, 1000)
    assert plan.size(0.0) == 50
    # Half width z sqrt(r (1 - r) (1/n - 1/N)) at r = .01: .0190 at 100, .0123 at 200, .0075 at 400.
    assert plan.size(0.01) == 400
    assert plan.size(0.3) == 1000
    assert chosen(precision=0.05).size(0.01) == 50


def test_a_kind_without_disagreement_never_claims_zero():
    cells = [cell("mean", draw) for draw in range(4)] + [cell("zero", 0)]
    rates = smoothed(cells, np.array([0.0, 0.0, 0.0, 0.02, 0.5]), pilot=50)
    common = (1 + 0.5) / (4 * 50 + 1)
    assert rates[0] == pytest.approx(25 * common / 75)
    assert rates[3] == pytest.approx((1 + 25 * common) / 75)
    assert rates[4] > 0.4
    assert (smoothed(cells, np.zeros(5), pilot=50) > 0).all()
