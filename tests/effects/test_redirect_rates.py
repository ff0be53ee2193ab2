"""Rates toward any class agree with the table of effects, on exact and on two-phase actions."""

from dataclasses import replace

import numpy as np
import pytest
from findings.evidence import make_evidence, silence

from synapse_audit.artifacts import Cell, Evidence
from synapse_audit.effects.redirect_rates import (
    accuracy_drop,
    collateral,
    plain,
    recall_drop,
    redirect,
    sample,
)
from synapse_audit.statistics import interval

N = 90


def _evidence(two_phase: bool) -> Evidence:
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 3, N)
    logits = np.eye(3)[np.where(generator.random(N) < 0.8, labels, (labels + 1) % 3)]
    cells: list[Cell] = [silence("top", 0.1, target=name) for name in "abc"]
    trials = [(cell, generator.integers(0, 3, N).tolist()) for cell in cells]
    stream = None
    if two_phase:
        known = (generator.permutation(N) < 40).tolist()
        stream = [(generator.integers(0, 3, N).tolist(), known) for _ in cells]
    weights = generator.uniform(0.5, 2, N)
    return make_evidence(labels.tolist(), trials, logits=logits, weights=weights, stream=stream)


@pytest.mark.parametrize("two_phase", [False, True])
def test_rates_are_those_of_the_effects(two_phase: bool) -> None:
    evidence = _evidence(two_phase)
    for target, row in enumerate(evidence.effects.to_dict("records")):
        made = sample(evidence, [row["action"]])
        for name, found in (
            ("redirect_rate", redirect(made, target)),
            ("collateral", collateral(made, target)),
            ("accuracy_drop", accuracy_drop(made)),
        ):
            assert found.value[0] == pytest.approx(row[name], abs=1e-6), name
        ends = interval(redirect(made, target).samples)
        if not two_phase:
            # The table's are wider where all examples of a class have the same outcome.
            low, high = row["redirect_rate_low"], row["redirect_rate_high"]
            assert ends.low[0] - 0.05 < low <= ends.low[0] + 1e-5
            assert ends.high[0] - 1e-5 <= high < ends.high[0] + 0.05


@pytest.mark.parametrize("two_phase", [False, True])
def test_recall_drops_are_those_of_the_classes(two_phase: bool) -> None:
    evidence = _evidence(two_phase)
    for row in evidence.effects.to_dict("records"):
        made = sample(evidence, [row["action"]])
        mine = evidence.class_effects[evidence.class_effects["cell"] == row["cell"]]
        for index, drop in enumerate(mine["recall_drop"]):
            found = recall_drop(made, made.labels == index)
            assert found.value[0] == pytest.approx(drop, abs=1e-6)


def test_actions_keep_their_order() -> None:
    evidence = _evidence(True)
    actions = list(evidence.outcomes.actions)
    whole = redirect(sample(evidence, actions), 0).value
    turned = sample(evidence, actions[::-1])
    assert redirect(turned, 0).value.tolist() == whole[::-1].tolist()
    assert redirect(turned.take(np.array([2, 0])), 0).value.tolist() == whole[[0, 2]].tolist()
    exact = replace(evidence, outcomes=replace(evidence.outcomes, direct=None))
    assert redirect(sample(exact, actions), 0).value.tolist() != whole.tolist()


def test_rates_by_hand() -> None:
    evidence = make_evidence([0, 0, 1, 1], logits=np.eye(2)[[0, 0, 1, 0]])
    made = plain(evidence, np.array([[0, 1, 1, 1], [1, 1, 1, 1]]))
    assert redirect(made, 1).value == pytest.approx([2 / 3, 1.0])
    assert collateral(made, 1).value == pytest.approx([0.5, 1.0])
    assert accuracy_drop(made).value == pytest.approx([0.0, 0.25])
    assert recall_drop(made, made.labels == 0).value == pytest.approx([0.5, 1.0])
    assert np.isnan(redirect(made, 1).samples).sum() == 0
