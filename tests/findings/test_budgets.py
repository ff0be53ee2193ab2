"""Relative sizes in closed form are those of the rewritten numbers themselves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synapse_audit.artifacts import Cell, Evidence, LayerStatistics, Ranking
from synapse_audit.findings.attack_surface.budgets import CHANGES, budget, logit_length
from synapse_audit.interventions.operators import compile_rewrites
from synapse_audit.neurons import top

from .evidence import make_evidence

N, WIDTHS = 4000, (6, 8, 5)
CLASSES = ("a", "b", "c")


def _banks() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.normal(generator.normal(size=w), 1 + np.arange(w), (N, w)) for w in WIDTHS]


def _statistics(bank: np.ndarray) -> LayerStatistics:
    part = bank.astype(np.float32)
    means = {name: part[i::3].mean(0) for i, name in enumerate(CLASSES)}
    norm = np.sqrt((part**2).mean(0))
    return LayerStatistics(part.mean(0), part.std(0), norm, class_means=means, bank=part)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    generator = np.random.default_rng(1)
    scores = {n: [generator.normal(size=w) for w in WIDTHS] for n in (None, "b")}
    return replace(
        make_evidence([0, 1, 2], logits=np.array([[3.0, 0, 0], [1, 2, 0], [0, 0, 6]])),
        statistics=tuple(_statistics(bank) for bank in _banks()),
        rankings={"probe": Ranking("probe", scores)},
    )


def _row(**changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "space": "neuron", "operator": "mean", "site": "block_output", "position": "pooled",
        "layers": "all", "ranking": "probe", "ranked_for": None, "selection": "top",
        "fraction": 0.5, "strength": 0.7, "target": None, "unit": None,
    }  # fmt: skip
    return row | changes


def _measured(evidence: Evidence, row: dict[str, object]) -> float:
    """What the operators themselves do to all values of ``fit``."""
    chosen = top(
        evidence.rankings["probe"].scores[
            None if row["ranked_for"] is None else str(row["ranked_for"])
        ],
        0.5,
        [1, 2],
    )
    cell = Cell(
        "neuron",
        str(row["operator"]),
        "block_output",
        strength=0.7,
        target=None if row["target"] is None else str(row["target"]),
        neurons=chosen,
    )
    rewrites = compile_rewrites([cell], evidence.statistics, seed=0, device="cpu")
    moved, whole, rows = 0.0, 0.0, torch.arange(N)
    for layer, bank in enumerate(_banks()[1:], 1):
        states = torch.from_numpy(bank.astype(np.float32))[None]
        after = rewrites[layer](states, rows, torch.zeros(N, dtype=torch.int64))
        moved += float(((after - states) ** 2).sum())
        whole += float((states**2).sum())
    return (moved / whole) ** 0.5


@pytest.mark.parametrize("operator", sorted(CHANGES))
def test_neuron_budgets_are_what_the_operators_do(evidence: Evidence, operator: str) -> None:
    target = "b" if operator in {"class_mean", "translate"} else None
    row = _row(operator=operator, target=target, ranked_for=target)
    assert budget(evidence, row) == pytest.approx(_measured(evidence, row), rel=0.03)


def test_a_ranking_across_layers_takes_its_top_over_all_of_them(evidence: Evidence) -> None:
    scores = [np.zeros(6), np.full(8, 2.0), np.ones(5)]
    across = Ranking("probe", {None: scores}, across=True)
    found = replace(evidence, rankings={"probe": across})
    squares = [(s.norm.astype(float) ** 2).sum() for s in evidence.statistics]
    expected = (squares[1] / (squares[1] + squares[2])) ** 0.5
    row = _row(operator="zero", fraction=8 / 13)
    assert budget(found, row) == pytest.approx(expected)


def test_zeroing_everything_is_a_change_of_one(evidence: Evidence) -> None:
    row = _row(operator="zero", fraction=1.0)
    assert budget(evidence, row) == pytest.approx(1.0)
    assert budget(evidence, row | {"operator": "negate"}) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"ranking": "other"},
        {"ranked_for": "c"},
        {"selection": "bottom"},
        {"layers": "1"},
        {"operator": "patch"},
        {"operator": "class_mean", "target": "nobody"},
        {"space": "elsewhere"},
    ],
)
def test_what_is_not_known_is_not_a_number(evidence: Evidence, changes: dict[str, object]) -> None:
    assert np.isnan(budget(evidence, _row(**changes)))


def test_sizes_of_the_other_spaces(evidence: Evidence) -> None:
    size = float(np.linalg.norm(evidence.head_weight))
    weight = _row(space="weight", site="head_weight", budget_l2=3.0)
    assert budget(evidence, weight) == pytest.approx(3.0 / size)
    assert np.isnan(budget(evidence, weight | {"site": "block_weight"}))
    assert np.isnan(budget(evidence, weight | {"budget_l2": None}))
    # Centred: (2, −1, −1), (0, 1, −1), (−2, −2, 4): squares 6, 2, 24.
    assert logit_length(evidence) == pytest.approx((32 / 3) ** 0.5)
    step = 0.7 * (2 / 3) ** 0.5  # the length, centred, of a step on one of three logits
    assert budget(evidence, _row(space="logit")) == pytest.approx(step / (32 / 3) ** 0.5)
    attack = _row(space="input", operator="fgsm", unit="relative")
    assert budget(evidence, attack) == 0.7
    assert np.isnan(budget(evidence, attack | {"unit": "absolute"}))
    assert np.isnan(budget(evidence, attack | {"operator": "deletion", "unit": "tokens"}))
