"""What was planted is what the tables say."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from planted import CLASSES, block_neurons

from .planted_runs import Audited

CARRIED = CLASSES[1:]
"""The classes that live in neurons."""

DECIDED = 1e-3
"""Logit margin (float64 arithmetic) above which float32 cannot turn the prediction."""


def test_clean_predictions_are_all_right(each: Audited) -> None:
    predictions = each.result.predictions
    assert (predictions["predicted"] == each.planted.labels).all()
    assert each.result.summary["clean"]["accuracy"]["value"] == pytest.approx(1.0)


def test_rankings_put_the_planted_neurons_first(each: Audited) -> None:
    for name in CARRIED:
        cell = next(each.cells(ranked_for=name, selection="top", fraction=each.own).itertuples())
        pairs = each.planted.layout.pairs[name]
        assert each.chosen(cell) == block_neurons(each.planted.layout, pairs)


def _decided(logits: np.ndarray, shaken: np.ndarray) -> np.ndarray:
    """Examples whose prediction float32 cannot turn.

    Where silencing leaves a state of zeros, LayerNorm divides rounding errors by their own norm:
    there the arithmetic with states shaken by 1e-6 gives other logits.
    """
    best = np.sort(logits, axis=1)
    clear = best[:, -1] - best[:, -2] > DECIDED
    return clear & (np.abs(logits - shaken).max(axis=1) < DECIDED)


def test_silencing_does_exactly_what_arithmetic_says(each: Audited) -> None:
    states, evaluate = each.planted.states, each.evaluate
    noise = np.random.default_rng(0).normal(scale=1e-6, size=states.shape)
    shaken = replace(each.planted, states=states + noise)
    fit = np.flatnonzero(each.result.splits["split"] == "fit")
    fill = {"zero": None, "mean": states[fit].mean(axis=0)}
    effects = each.result.effects
    known = effects[effects["selection"].isin(["top", "keep_top"]) & (effects["layers"] != "0")]
    known = known[known["space"] == "neuron"]
    assert len(known) > 50
    shares: list[float] = []
    for cell in known.itertuples():
        chosen, values = each.chosen(cell), fill[str(cell.operator)]
        logits = each.planted.logits(chosen, values)[evaluate]
        decided = _decided(logits, shaken.logits(chosen, values)[evaluate])
        shares.append(decided.mean())
        expected = logits.argmax(axis=1)
        np.testing.assert_array_equal(each.predicted(cell)[decided], expected[decided])
    assert np.mean(shares) > 0.9


@pytest.mark.parametrize("operator", ["mean", "zero"])
@pytest.mark.parametrize("victim", CARRIED)
def test_a_class_without_its_neurons_is_lost_alone(
    single: Audited, victim: str, operator: str
) -> None:
    cells = single.cells(
        ranked_for=victim, selection="top", fraction=single.own, operator=operator, layers="all"
    )
    (cell,) = cells["cell"]
    assert single.recalls(cell) == {name: float(name != victim) for name in CLASSES}
    assert cells["accuracy_drop"].item() == pytest.approx(0.25)


def test_silencing_everything_else_changes_nothing(single: Audited) -> None:
    kept = single.cells(selection="keep_top", fraction=3 * single.own, ranking="probe")
    assert len(kept) == 2
    assert (kept[["accuracy_drop", "flip_rate"]] == 0).all(axis=None)
    gone = single.cells(selection="top", fraction=3 * single.own, layers="all", ranking="probe")
    np.testing.assert_allclose(gone["accuracy"], 0.25)


def test_load_bearing_lists_the_planted_constant_and_no_other(
    audited: Callable[[str], Audited],
) -> None:
    leaning = audited("leaning")
    found = leaning.result.summary["load_bearing"]
    assert {entry["neuron"] for entry in found} == {leaning.planted.layout.constant}
    for entry in found:
        assert entry["zero_drop"]["low"] > 0.5
        assert entry["mean_drop"]["value"] == 0
    for other in ("single", "redundant"):
        assert audited(other).result.summary["load_bearing"] == []
