"""Budgets that are enough, and profiles that agree or oppose each other as they were made to."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import permutation_test, spearmanr

from synapse_audit.artifacts import Cell, Evidence
from synapse_audit.findings.attack_surface.profile import LEVELS, profile
from synapse_audit.tables.attack_surface import REACH

from .evidence import make_evidence
from .test_experiments_by_space import attack, edit

PER_CLASS = 40
LABELS = np.repeat([0, 1, 2], PER_CLASS)


def moved(target: int, share: float) -> list[int]:
    """That share of each other class is predicted as the target."""
    said = LABELS.copy()
    for index in {0, 1, 2} - {target}:
        said[np.flatnonzero(index == LABELS)[: round(share * PER_CLASS)]] = target
    return said.tolist()


def opposed(weight: tuple[float, ...], attacks: tuple[float, ...]) -> Evidence:
    """Weight edits and attacks that redirect these shares to a, b and c."""
    trials: list[tuple[Cell, list[int]]] = []
    for target, name in enumerate("abc"):
        trials.append((edit(name, 0.5), moved(target, weight[target])))
        trials.append((edit(name, 0.1), moved(target, weight[target] / 4)))
        trials.append((attack(0.3, name), moved(target, attacks[target])))
    return make_evidence(LABELS.tolist(), trials)


def _rho(evidence: Evidence, role: str = "target") -> dict[Any, Any]:
    table = profile(evidence).tables["agreement"]
    found = table[
        (table["role"] == role) & (table["space"] == "weight") & (table["other"] == "input")
    ]
    (row,) = found.to_dict("records")
    return row


def test_opposite_profiles_are_complementary_and_equal_ones_are_not() -> None:
    against = _rho(opposed((0.8, 0.5, 0.2), (0.2, 0.5, 0.8)))
    assert (against["rho"], against["classes"]) == (-1.0, 3)
    assert against["high"] < 0
    together = _rho(opposed((0.8, 0.5, 0.2), (0.9, 0.6, 0.3)))
    assert together["rho"] == 1.0 and together["low"] > 0
    # Of the six orders of three classes two lie that far out: so few classes prove nothing.
    assert against["p_value"] == together["p_value"] == pytest.approx(2 / 6)
    assert against["p_adjusted"] >= against["p_value"]


def test_equally_weak_classes_have_no_order() -> None:
    row = _rho(opposed((0.5, 0.5, 0.5), (0.2, 0.5, 0.8)))
    assert np.isnan(row["rho"]) and np.isnan(row["p_value"])
    figures = profile(opposed((0.5, 0.5, 0.5), (0.2, 0.5, 0.8))).summary["profile"]
    assert "equally weak" in figures["agreement"]["target"]["weight/input"].reason


def test_victims_are_the_classes_whose_examples_are_lost() -> None:
    evidence = opposed((0.8, 0.4, 0.2), (0.2, 0.4, 0.8))
    table = profile(evidence).tables["classes"].set_index(["role", "space", "class"])
    # Attacks on a lose what those toward b and c take: 0.4 and 0.8 of its examples.
    assert table.loc[("victim", "input", "a"), "vulnerability"] == pytest.approx(0.6)
    assert table.loc[("victim", "input", "c"), "vulnerability"] == pytest.approx(0.3)
    assert table.loc[("target", "input", "c"), "vulnerability"] == pytest.approx(0.8)
    row = table.loc[("target", "weight", "a")]
    assert row["vulnerability"] == pytest.approx((0.8 + 0.2) / 2)
    assert row["low"] <= row["vulnerability"] <= row["high"]


def test_smallest_budget_that_is_enough() -> None:
    evidence = opposed((0.8, 0.5, 0.2), (0.2, 0.5, 0.8))
    finding = profile(evidence)
    table = finding.tables["reach"]
    assert table.columns.tolist() == REACH.names
    assert set(table["level"]) == set(LEVELS)
    size = float(np.linalg.norm(evidence.head_weight))
    at = table.set_index(["target", "space", "level"])
    costs = {
        row.strength: row.budget_l2 / size
        for row in evidence.effects.itertuples()
        if row.space == "weight" and row.target == "a"
    }
    assert at.loc[("a", "weight", 0.1), "budget"] == pytest.approx(costs[0.1], abs=1e-5)
    assert at.loc[("a", "weight", 0.5), "budget"] == pytest.approx(costs[0.5], abs=1e-5)
    assert at.loc[("a", "input", 0.1), "budget"] == 0.3
    assert at.loc[("c", "input", 0.5), "operator"] == "pgd"
    assert np.isnan(at.loc[("a", "input", 0.5), "budget"])
    figures = finding.summary["profile"]["reach"]
    assert figures["a"]["input"]["redirect_10"].value == 0.3
    assert figures["a"]["input"]["redirect_50"].reason == "none tried is enough"
    assert "no experiment" in figures["a"]["neuron"]["redirect_10"].reason


def test_a_budget_that_barely_is_enough_has_a_range() -> None:
    trials = [(attack(0.2, "b"), moved(1, 0.5)), (attack(0.6, "b"), moved(1, 0.9))]
    table = profile(make_evidence(LABELS.tolist(), trials)).tables["reach"]
    (row,) = table[
        (table["target"] == "b") & (table["space"] == "input") & (table["level"] == 0.5)
    ].to_dict("records")
    assert (row["budget"], row["low"], row["high"]) == (0.2, 0.2, 0.6)


@pytest.mark.parametrize("n", [5, 10])
def test_the_order_test_is_that_of_scipy(n: int) -> None:
    from synapse_audit.findings.attack_surface.profile import _order_p

    generator = np.random.default_rng(n)
    one, other = generator.normal(size=n), generator.normal(size=n)
    if n > 8:
        expected = spearmanr(one, other).pvalue
    else:
        result = permutation_test(
            (one,), lambda x: spearmanr(x, other).statistic, permutation_type="pairings"
        )
        expected = result.pvalue
    assert _order_p(one, other) == pytest.approx(expected, abs=1e-9)


def test_points_carry_all_rates() -> None:
    table = profile(opposed((0.8, 0.5, 0.2), (0.2, 0.5, 0.8))).tables["points"]
    attacked = table[(table["space"] == "input") & (table["target"] == "c")].iloc[0]
    assert attacked["redirect_rate"] == pytest.approx(0.8)
    assert attacked["collateral"] == pytest.approx(0.8)
    assert attacked["accuracy_drop"] == pytest.approx(0.8 * 2 / 3)
    assert attacked["redirect_low"] < 0.8 < attacked["redirect_high"]
    assert (table["aimed"].isna() | (table["aimed"] == table["target"])).all()
