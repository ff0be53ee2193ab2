"""Agreement: tables and figures from rankings and effects made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from synapse_audit.artifacts import Cell, Evidence, Ranking
from synapse_audit.findings import FINDINGS

from .evidence import make_evidence, silence

WIDTH, LAYERS = 40, 3
NAMES = ("probe", "probeless", "conductance", "random")


def _rankings(seed: int = 0) -> dict[str, Ranking]:
    generator = np.random.default_rng(seed)
    common = [generator.normal(size=WIDTH) for _ in range(LAYERS)]
    noise = {"probe": 0.1, "probeless": 0.5, "conductance": 1.0}
    made = {
        name: [layer + size * generator.normal(size=WIDTH) for layer in common]
        for name, size in noise.items()
    }
    made["random"] = [generator.normal(size=WIDTH) for _ in range(LAYERS)]
    return {name: Ranking(name, {None: scores}) for name, scores in made.items()}


def _wrong(n: int, labels: list[int]) -> list[int]:
    """Predictions with the first n wrong."""
    return [(y + 1) % 2 if i < n else y for i, y in enumerate(labels)]


LABELS = [0, 1] * 20


def _top(ranking: str, fraction: float, operator: str = "mean") -> Cell:
    return silence("top", fraction, ranking=ranking, operator=operator)


def _evidence() -> Evidence:
    """40 examples; chance .5. At .1 and .5 silenced: probe loses 4 and 16 of them, probeless 2
    and 6; random draws 1 or 3 and 4 or 8; a dissociated set 8."""
    trials = [
        (_top("probe", 0.1), _wrong(4, LABELS)),
        (_top("probe", 0.5), _wrong(16, LABELS)),
        (_top("probeless", 0.1), _wrong(2, LABELS)),
        (_top("probeless", 0.5), _wrong(6, LABELS)),
        (_top("probe", 0.8), _wrong(20, LABELS)),
        *((silence("random", 0.1, draw=d), _wrong(n, LABELS)) for d, n in enumerate((1, 3))),
        *((silence("random", 0.5, draw=d), _wrong(n, LABELS)) for d, n in enumerate((4, 8))),
        (
            silence("used_unreadable", 0.1, used="conductance"),
            _wrong(8, LABELS),
        ),
    ]
    return replace(make_evidence(LABELS, trials), rankings=_rankings())


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return _evidence()


@pytest.fixture(scope="module")
def tables(evidence: Evidence) -> dict[str, pd.DataFrame]:
    return dict(FINDINGS["agreement"](evidence).tables)


def test_correlations_are_those_of_scipy_and_the_mean_is_over_blocks(
    evidence: Evidence, tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["correlation"]
    rows = table[(table["first"] == "probe") & (table["second"] == "conductance")]
    one, two = (evidence.rankings[n].scores[None] for n in ("probe", "conductance"))
    wanted = [spearmanr(a, b).statistic for a, b in zip(one, two, strict=True)]
    np.testing.assert_allclose(rows["spearman"], [*wanted, np.mean(wanted[1:])])
    assert rows["layer"].isna().tolist() == [False] * LAYERS + [True]
    assert len(table) == 6 * (LAYERS + 1)


def test_overlaps_count_shared_neurons(evidence: Evidence, tables: dict[str, pd.DataFrame]) -> None:
    table = tables["overlap"]
    row = table[
        (table["first"] == "probe")
        & (table["second"] == "probeless")
        & (table["layer"] == 1)
        & (table["fraction"] == 0.2)
    ].iloc[0]
    sets = [
        set(np.argsort(-evidence.rankings[n].scores[None][1])[:8]) for n in ("probe", "probeless")
    ]
    assert row["k"] == 8
    assert row["overlap"] == pytest.approx(len(sets[0] & sets[1]) / 8)
    assert row["chance"] == pytest.approx(0.2)


def test_like_rankings_elect_each_other_and_random_is_near_chance(
    tables: dict[str, pd.DataFrame],
) -> None:
    table = tables["votes"]
    mean = table[table["layer"].isna() & (table["fraction"] == 0.2)].set_index("method")
    assert set(mean.index) == set(NAMES)
    assert mean.loc["probe", "neuron_vote"] > mean.loc["random", "neuron_vote"] + 0.2
    assert mean.loc["random", "neuron_vote"] == pytest.approx(mean["chance"].iloc[0], abs=0.15)


def test_effectiveness_by_hand(tables: dict[str, pd.DataFrame]) -> None:
    # 0.8 was run for one ranking and without random controls: it does not count.
    table = tables["effectiveness"].set_index("ranking")
    assert table["operator"].tolist() == ["mean", "mean"]
    assert table["fractions"].tolist() == [2, 2]
    assert table["draws"].tolist() == [2, 2]
    assert table.loc["probe", "mean_drop"] == pytest.approx((4 + 16) / 80)
    assert table.loc["probeless", "mean_drop"] == pytest.approx((2 + 6) / 80)
    assert table.loc["probe", "random_drop"] == pytest.approx((2 + 6) / 80)
    assert table.loc["probe", "excess"] == pytest.approx(12 / 80)
    assert table.loc["probeless", "excess"] == pytest.approx(0, abs=1e-12)
    low, high = table.loc["probe", ["random_low", "random_high"]]
    # Means of two draws .05 apart by t = 12.7: 8/80 ± 12.7062 · .075/√2 · √1.5.
    half = 12.706205 * 0.0375 * np.sqrt(2) * np.sqrt(1.5)
    np.testing.assert_allclose([low, high], [0.1 - half, 0.1 + half], rtol=1e-5)
    # From .9 at .1 to .6 at .5, three quarters are passed halfway.
    assert table.loc["probe", "half_fraction"] == pytest.approx(0.1 + 0.4 * 0.5)
    assert np.isnan(table.loc["probeless", "half_fraction"])
    assert table.loc["probeless", "never_share"] > 0.5
    for name in ("mean_drop", "excess"):
        assert (table[f"{name}_low"] <= table[name] + 1e-12).all()
        assert (table[name] <= table[f"{name}_high"] + 1e-12).all()


def test_a_ranking_across_layers_stands_beside_its_own_controls() -> None:
    # Its sets hold other numbers of neurons per layer: its draws carry its name.
    own = {"ranking": "paper", "ranked_for": None}
    trials = [
        (_top("probe", 0.1), _wrong(8, LABELS)),
        (_top("paper", 0.1), _wrong(8, LABELS)),
        *((silence("random", 0.1, draw=d), _wrong(2, LABELS)) for d in range(2)),
        *((silence("random", 0.1, draw=d, **own), _wrong(6, LABELS)) for d in range(2)),
    ]
    tables = FINDINGS["agreement"](make_evidence(LABELS, trials)).tables
    excess = tables["effectiveness"].set_index("ranking")["excess"]
    assert excess["probe"] == pytest.approx(6 / 40)
    assert excess["paper"] == pytest.approx(2 / 40)


def test_dissociated_sets_by_hand(tables: dict[str, pd.DataFrame]) -> None:
    row = tables["dissociated"].iloc[0]
    assert len(tables["dissociated"]) == 1
    assert (row["selection"], row["used"], row["draws"]) == ("used_unreadable", "conductance", 2)
    assert row["drop"] == pytest.approx(8 / 40)
    assert row["random_drop"] == pytest.approx(2 / 40)
    assert row["excess"] == pytest.approx(6 / 40)


def test_dissociation_names_the_neurons(
    evidence: Evidence, tables: dict[str, pd.DataFrame]
) -> None:
    found = tables["dissociation"]
    assert found["used"].unique().tolist() == ["conductance"]
    assert len(found) == LAYERS + 1
    neurons = tables["neurons"]
    assert len(neurons) == 2 * (LAYERS - 1) * 5
    readable = neurons[neurons["selection"] == "readable_unused"]
    np.testing.assert_allclose(
        readable["contrast"], np.minimum(readable["readable_place"], 1 - readable["used_place"])
    )


def test_figures(evidence: Evidence) -> None:
    summary = FINDINGS["agreement"](evidence).summary["agreement"]
    pair = summary["closest"].beside
    assert {pair["first"], pair["second"]} == {"probe", "probeless"}
    assert summary["closest"].value >= summary["spearman"].value
    assert summary["spearman"].value >= summary["furthest"].value
    best = summary["most_effective"]
    assert best.value == pytest.approx(12 / 80)
    # Two draws carry no comparison.
    assert (best.beside["method"], best.beside["outside_draws"]) == ("probe", False)
    assert (best.beside["shown"], best.beside["tied"]) == (False, ["probe", "probeless"])
    assert summary["steadiest"].reason
    assert summary["dissociated"]["used_unreadable"].value == pytest.approx(6 / 40)
    assert summary["dissociated"]["readable_unused"].reason
    assert summary["readable_used"].beside["used"] == "conductance"


def test_stability_is_given_per_method(evidence: Evidence) -> None:
    stability = pd.DataFrame(
        {
            "method": ["probe", "probe", "probeless", "probeless"],
            "layer": [0, 1, 0, 1],
            "resamples": 20,
            "fraction": 0.1,
            "k": 4,
            "overlap": [0.1, 0.6, 0.9, 0.8],
            "overlap_low": 0.1,
            "overlap_high": 1.0,
            "chance": 0.1,
        }
    )
    found = FINDINGS["agreement"](replace(evidence, stability=stability))
    assert found.summary["agreement"]["steadiest"].beside["method"] == "probeless"
    assert found.summary["agreement"]["steadiest"].value == pytest.approx(0.8)
    assert found.summary["agreement"]["least_steady"].value == pytest.approx(0.6)
    pd.testing.assert_frame_equal(found.tables["stability"], stability)


def test_without_rankings_every_figure_says_why() -> None:
    found = FINDINGS["agreement"](make_evidence(LABELS))
    for name in ("spearman", "closest", "most_agreed", "most_effective", "readable_used"):
        assert found.summary["agreement"][name].reason
    assert all(table.empty for table in found.tables.values())
