"""Acts are the experiments of a space without its controls, and constants are closed forms."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from synapse_audit.artifacts import Cell, Evidence, HeadEdit
from synapse_audit.findings.attack_surface.experiments_by_space import (
    CONSTANTS,
    SPACES,
    experiments_of,
)

from .evidence import make_evidence, silence

CLEAN = [0, 0, 1, 1, 2, 2]
TO_B = [1, 1, 1, 1, 1, 2]


def edit(target: str, size: float, **changes: Any) -> Cell:
    cell = Cell("weight", "push", "head_weight", strength=size, target=target)
    change = HeadEdit(np.full((3, 2), size), np.full(3, float("abc".index(target))))
    return replace(cell, selection="top", edit=change, **changes)


def attack(strength: float, target: str | None = None, **changes: Any) -> Cell:
    cell = Cell("input", "pgd", "embeddings", strength=strength, target=target)
    return replace(cell, **{"unit": "relative", "steps": 10} | changes)


def some() -> Evidence:
    cells = [
        silence("top", 0.5),
        silence("top", 0.5, ranking="other"),
        silence("top", 0.5, ranked_for="b"),
        silence("top", 0.5, operator="class_mean", ranked_for="b", target="b"),
        silence("random", 0.5, draw=0),
        silence("top", 0.5, position="all"),
        silence("top", 0.5, layers="1"),
        edit("b", 0.5),
        edit("c", 0.5),
        replace(edit("b", 0.25), selection="random", draw=0),
        replace(edit("b", 0.75), selection="random", draw=1),
        replace(edit("a", 1.5), source="b"),
        replace(edit("a", 3.0), operator="bit_flip", selection="searched", strength=4.0),
        replace(edit("a", 5.0), operator="bit_flip", selection="random", draw=0),
        attack(0.3),
        attack(0.3, "b"),
        attack(2.0, operator="deletion", selection="random", draw=0, unit="tokens"),
        attack(0.1, unit="absolute"),
    ]
    said = [TO_B if cell.target == "b" else CLEAN for cell in cells]
    return make_evidence(CLEAN, list(zip(cells, said, strict=True)))


def _kinds(space: str) -> list[tuple[Any, ...]]:
    table = experiments_of(some(), space).table.astype(object)
    return [tuple(row) for row in table[["operator", "strength", "aimed"]].fillna("").to_numpy()]


def test_controls_and_other_sites_are_no_acts() -> None:
    assert _kinds("neuron") == [("mean", "", ""), ("class_mean", "", "b")]
    assert _kinds("weight") == [("push", 0.5, "b"), ("push", 0.5, "c")]
    assert _kinds("bits") == [("bit_flip", 4.0, "a")]
    assert _kinds("input") == [("pgd", 0.3, ""), ("pgd", 0.3, "b")]


def test_units_of_budgets() -> None:
    for space in SPACES:
        table = experiments_of(some(), space).table
        assert set(table["unit"]) == {"bits" if space == "bits" else "relative L2"}
        assert set(table["space"]) == {space}
    assert experiments_of(some(), "bits").table["budget"].tolist() == [4.0]
    assert experiments_of(some(), "input").table["budget"].tolist() == [0.3, 0.3]


def test_a_space_is_seen_from_a_class() -> None:
    experiments = experiments_of(some(), "input")
    assert experiments.toward("b").tolist() == [0, 1]
    assert experiments.toward("a").tolist() == [0]
    rates = experiments.rates(experiments.toward("b"), 1)
    assert rates["redirect_rate"].estimate.value == pytest.approx([0.0, 0.75])
    assert rates["collateral"].estimate.value == pytest.approx([0.0, 0.75])
    assert rates["accuracy_drop"].estimate.value == pytest.approx([0.0, 0.5])
    # Aimed acts count where there are any; a class that none aims at is unknown.
    assert experiments.as_target(1).value == pytest.approx(0.75)
    assert np.isnan(experiments.as_target(0).value)
    # Victims: a loses both examples to the act aimed at b, c one of two; b's own act is left out.
    assert experiments.as_victim(0).value == pytest.approx(0.5)
    assert experiments.as_victim(2).value == pytest.approx(0.25)
    assert experiments.as_victim(1).value == pytest.approx(0.0)


def test_untargeted_spaces_count_every_act_toward_every_class() -> None:
    evidence = make_evidence(CLEAN, [(attack(0.2), TO_B), (attack(0.4), TO_B)])
    experiments = experiments_of(evidence, "input")
    assert experiments.as_target(1).value == pytest.approx(0.75)
    assert experiments.as_target(0).value == pytest.approx(0.0)


def test_constants_are_those_that_shifting_gives() -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(40, 3)).astype(np.float32)
    labels = logits.argmax(1).tolist()
    experiments = experiments_of(make_evidence(labels, logits=logits), "logit")
    assert len(experiments.table) == 3 * CONSTANTS
    for row in experiments.table.iloc[[5, 30, 70, 150]].itertuples():
        target = "abc".index(str(row.aimed))
        shifted = logits.copy()
        shifted[:, target] += row.strength
        found = experiments.rates(np.array([row.Index]), target)["redirect_rate"].estimate.value[0]
        moved = (shifted.argmax(1) == target) & (logits.argmax(1) != target)
        assert found == pytest.approx(moved.sum() / (logits.argmax(1) != target).sum())
    last = experiments.table.groupby("aimed", sort=False).tail(1)
    for target, place in enumerate(last.index):
        assert experiments.rates(np.array([place]), target)["redirect_rate"].estimate.value[0] == 1


def test_a_space_without_cells_has_no_acts() -> None:
    nothing = make_evidence([0, 1])
    assert all(experiments_of(nothing, space).table.empty for space in SPACES if space != "logit")
