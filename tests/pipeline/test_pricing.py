"""What a grid asks of precision reaches the second phase."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.config import make_config
from synapse_audit.neurons import NeuronSet
from synapse_audit.pipeline.stages import read_subject
from synapse_audit.pipeline.stages.findings_cost import seconds_per_action
from synapse_audit.pipeline.stages.pricing import Pricing
from synapse_audit.plan import COMPARATOR, EXACT_ONLY, HEADLINE, STREAM, SUFFIX
from synapse_audit.sweep import Amount, UnitCosts


def _cell(operator: str, neuron: int) -> Cell:
    where: dict[str, Any] = {"position": "pooled", "group": "removal", "selection": "top"}
    return Cell("neuron", operator, "block_output", neurons=NeuronSet.of({1: [neuron]}), **where)


@pytest.mark.parametrize(("preset", "width"), [("quick", 2.0), ("standard", 2.0), ("paper", 1.0)])
def test_only_comparators_may_be_known_less_precisely(
    tiny_folder: Path, tiny_csv: Path, preset: str, width: float
) -> None:
    config = make_config({"model": str(tiny_folder), "data": str(tiny_csv), "preset": preset})
    subject = read_subject(config)
    headline, comparator, direct = _cell("mean", 0), _cell("zero", 1), _cell("mean", 2)
    plan = Plan(
        (headline, comparator, direct),
        {headline.action: SUFFIX, comparator.action: SUFFIX, direct.action: STREAM},
        {headline.action: HEADLINE, comparator.action: COMPARATOR, direct.action: HEADLINE},
    )
    n = len(subject.evaluated)
    logits = np.zeros((len(subject.data), len(subject.data.classes)), np.float32)
    amount, units = Amount(n, 8 * n, 3), UnitCosts({SUFFIX: 1e-6, STREAM: 1e-6})
    chosen = Pricing(config, subject, logits, amount, units).at(plan, 0.01).chosen
    widths = [chosen.need(cell.action).width for cell in plan.cells]
    assert widths == [1.0, width, 1.0]
    assert not chosen.all_exact


def test_findings_cost_what_the_fastest_of_three_took() -> None:
    """Marks of the clock: 5 s, 1 s and 3 s; 24 experiments, and findings 3.5 times as much."""
    marks = iter([0.0, 5.0, 10.0, 11.0, 20.0, 23.0])
    labels = np.array([0, 1] * 20)
    found = seconds_per_action(
        labels, ("a", "b"), resamples=10, benign=False, clock=lambda: next(marks)
    )
    assert found == pytest.approx(1.0 / 24 * 4.5)


def test_random_sets_at_every_token_meet_half_of_the_sample_and_no_set_is_lost(
    tiny_folder: Path, tiny_csv: Path
) -> None:
    grid = {"exact_only_examples": 60}
    given = {"model": str(tiny_folder), "data": str(tiny_csv), "preset": "standard", "grid": grid}
    config = make_config(given)
    subject = read_subject(config)
    n, classes = len(subject.evaluated), len(subject.data.classes)
    top = replace(_cell("mean", 0), position="all", group="position")
    random = [
        replace(top, selection="random", draw=d, neurons=NeuronSet.of({1: [1 + d]}))
        for d in range(5)
    ]
    alone = replace(top, operator="zero", selection="random", draw=0)
    cells = (top, *random, alone)
    actions = [cell.action for cell in cells]
    plan = Plan(cells, dict.fromkeys(actions, SUFFIX), dict.fromkeys(actions, EXACT_ONLY))
    logits = np.zeros((len(subject.data), classes), np.float32)
    amount, units = Amount(n, 8 * n, 3), UnitCosts({SUFFIX: 1e-6, STREAM: 1e-6})
    whole, *halves = Pricing(config, subject, logits, amount, units).at(plan, 0.01).sampled
    assert whole.actions == {top.action, alone.action}, "a pool of one has nothing to be dealt"
    assert [half.actions for half in halves] == [
        {cell.action for cell in random[place::2]} for place in (0, 1)
    ]
    rows = [set(half.sample.rows.tolist()) for half in halves]
    assert rows[0] | rows[1] == set(whole.sample.rows.tolist()) and len(whole.sample.rows) < n
    for half in halves:
        assert (half.sample.whole == whole.sample.design_weight).all()
