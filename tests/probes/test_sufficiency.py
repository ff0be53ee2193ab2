from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synapse_audit import memory, neurons
from synapse_audit.artifacts import Activations, LabelledData, Ranking, Splits
from synapse_audit.probes import fit_probe, sufficiency
from synapse_audit.statistics import wilson

from .problems import activations, labelled, planted, thirds

COPIES = (4, 11)


def two_copies() -> tuple[Activations, LabelledData, Splits]:
    """Two of 20 neurons of the only block carry the label; the others are noise."""
    generator = np.random.default_rng(0)
    labels = generator.permutation(np.arange(600) % 2)
    block = generator.normal(size=(600, 20))
    for neuron in COPIES:
        block[:, neuron] = 3.0 * (2 * labels - 1) + 0.3 * generator.normal(size=600)
    return activations([np.zeros((600, 20)), block]), labelled(labels, 2), thirds(600)


def ranking(first: tuple[int, ...], width: int, layers: int) -> Ranking:
    """Scores that put ``first`` first, in this order, in every layer."""
    scores = np.zeros(width)
    scores[list(first)] = np.arange(len(first), 0, -1)
    return Ranking("by hand", {"global": (scores,) * layers})


def test_two_copies_are_two_disjoint_sufficient_sets() -> None:
    table = sufficiency(*two_copies(), ranking(COPIES, 20, 2), seed=0, draws=3)
    sets = table[table["selection"] == "disjoint"]
    assert sets["k"].tolist() == [1, 1]
    assert sets["draw"].tolist() == [0, 1]
    assert sets["fraction"].tolist() == [0.05, 0.05]
    assert (sets["accuracy"] == 1.0).all()


def test_the_second_set_is_searched_among_the_neurons_left() -> None:
    table = sufficiency(*two_copies(), ranking((4, 0, 1, 11, 2), 20, 2), seed=0, draws=1)
    sets = table[table["selection"] == "disjoint"]
    # Left in order: 0, 1, 11, 2, ...; of the sizes 1, 2, 4 only 4 reaches the second copy.
    assert sets["k"].tolist() == [1, 4]


def test_rows_of_the_curves() -> None:
    table = sufficiency(*two_copies(), ranking(COPIES, 20, 2), seed=0, draws=3)
    assert list(table) == [
        "ranking",
        "selection",
        "draw",
        "k",
        "fraction",
        "select_accuracy",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "sufficient",
        "holds",
        "fewest_low",
        "fewest_high",
    ]
    # One copy is enough in every resample of select.
    assert (table[["fewest_low", "fewest_high"]] == 1).all(axis=None)
    assert table[table["k"] == 20][["sufficient", "holds"]].all(axis=None)
    top, drawn = (table[table["selection"] == name] for name in ("top", "random"))
    # .005, .01 and .02 of 20 neurons are none at all.
    assert top["k"].tolist() == [1, 2, 4, 10, 20]
    assert top["draw"].isna().all()
    assert drawn["k"].tolist() == [k for k in (1, 2, 4, 10, 20) for _ in range(3)]
    assert drawn[drawn["k"] == 1]["accuracy"].mean() < top["accuracy"].iloc[0]
    whole = table[table["k"] == 20]
    assert whole["accuracy"].nunique() == 1
    assert set(table["ranking"]) == {"by hand"}


def test_intervals_are_wilson_at_the_effective_sample_size() -> None:
    held, data, splits = two_copies()
    weights = np.where(data.labels == 0, 1.5, 0.5)
    table = sufficiency(
        held, replace(data, weights=weights), splits, ranking((0, 1), 20, 2), seed=0, draws=1
    )
    chosen = weights[splits.evaluate]
    effective = chosen.sum() ** 2 / (chosen**2).sum()
    row = table.iloc[0]
    bounds = wilson(row["accuracy"] * effective, effective)
    assert row["accuracy_low"] == pytest.approx(float(bounds.low))
    assert row["accuracy_high"] == pytest.approx(float(bounds.high))
    assert row["accuracy_low"] < row["accuracy"] < row["accuracy_high"]


def test_all_neurons_equal_the_joint_probe_on_them() -> None:
    held, data, splits = planted()
    table = sufficiency(held, data, splits, ranking((7,), 20, 3), seed=0, draws=1)
    joint = fit_probe("joint", np.hstack(held.layers[1:]), data, splits, seed=0)
    found = table[(table["selection"] == "top") & (table["fraction"] == 1.0)]["accuracy"].item()
    assert found == pytest.approx(joint.accuracy, abs=0.011)  # search tolerance: one example


def test_random_draws_are_those_of_the_selections() -> None:
    # Neuron sets are shared with the removal curves: same seed, same permutation.
    held, data, splits = two_copies()
    drawn = neurons.random_draw(held.widths, {1: 1}, 0, 9)
    table = sufficiency(held, data, splits, ranking(COPIES, 20, 2), seed=9, draws=1)
    row = table[(table["selection"] == "random") & (table["k"] == 1)].iloc[0]
    alone = held.layers[1][:, drawn.by_layer[1]]
    assert row["accuracy"] == pytest.approx(
        fit_probe("one", alone, data, splits, seed=0).accuracy, abs=0.03
    )


def test_no_disjoint_sets_where_there_is_nothing_to_carry() -> None:
    generator = np.random.default_rng(0)
    labels = generator.permutation(np.array([0] * 270 + [1] * 30))
    held = activations([generator.normal(size=(300, 10)) for _ in range(2)])
    table = sufficiency(
        held, labelled(labels, 2), thirds(300), ranking((0,), 10, 2), seed=0, draws=1
    )
    assert "disjoint" not in set(table["selection"])


def test_the_same_call_gives_the_same_table() -> None:
    problem = two_copies()
    first, again = (
        sufficiency(*problem, ranking(COPIES, 20, 2), seed=4, draws=2) for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, again)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    given = (*two_copies(), ranking(COPIES, 20, 2))
    whole = sufficiency(*given, seed=0, draws=2)
    monkeypatch.setattr(memory, "NUMBERS", 300)
    pd.testing.assert_frame_equal(sufficiency(*given, seed=0, draws=2), whole)
