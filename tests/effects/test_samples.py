"""Rows that rest on a stratified sample, against the textbook's stratified estimate."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.artifacts import Cell, Direct, Outcomes, Plan, Predictions
from synapse_audit.effects import measure
from synapse_audit.effects.two_phase import phases, stratified

LABELS = np.repeat([0, 1], [40, 20])
STRATA = np.repeat([0, 1, 2], [30, 10, 20])
"""Class 0 in two strata, class 1 in one."""

DRAWN = np.isin(np.arange(60), [0, 1, 2, 3, 4, 5, 30, 31, 32, 33, 34, *range(40, 60)])
WEIGHT = np.select([STRATA == 0, STRATA == 1], [5.0, 2.0], 1.0) * DRAWN
CELL = Cell("input", "fgsm", "embeddings", strength=0.1)


def _outcomes(predicted: np.ndarray) -> Outcomes:
    zero = np.zeros((1, 60), np.float32)
    direct = Direct(
        WEIGHT[None].astype(np.float32),
        LABELS[None].astype(np.uint16),
        zero,
        np.full(1, np.nan),
        np.full(1, np.nan),
        sample=np.zeros(1, np.int64),
        strata=STRATA[None],
        inclusion=WEIGHT[None].astype(np.float32),
    )
    known = np.where(DRAWN, predicted, LABELS)[None].astype(np.uint16)
    return Outcomes((CELL.action,), known, zero, zero, zero, zero, direct=direct)


def _predicted() -> np.ndarray:
    """Three of six, one of five and four of twenty become wrong."""
    wrong = np.isin(np.arange(60), [0, 1, 2, 30, 40, 41, 42, 43])
    return np.where(wrong, 1 - LABELS, LABELS)


def test_the_estimate_is_the_weighted_mean_of_the_strata() -> None:
    logits = np.eye(2, dtype=np.float32)[LABELS]
    plan = Plan((CELL,), {CELL.action: "full"}, {CELL.action: "exact-only"})
    effects, by_class = measure(
        plan, _outcomes(_predicted()), predictions=Predictions(LABELS, logits), classes=("a", "b")
    )
    row = effects.iloc[0]
    lost = (30 * 3 / 6 + 10 * 1 / 5 + 20 * 4 / 20) / 60
    assert row["accuracy_drop"] == pytest.approx(lost) and row["accuracy"] == pytest.approx(
        1 - lost
    )
    assert (row["n"], row["n_exact"], row["tier"]) == (60, 31, "exact-only")
    half = (row["accuracy_drop_high"] - row["accuracy_drop_low"]) / 2
    assert row["half_width"] == pytest.approx(half) and 0.1 < half < 0.3
    recall = by_class.set_index("class")
    assert recall.loc["a", "recall"] == pytest.approx(1 - (30 * 3 / 6 + 10 / 5) / 40)
    assert recall.loc["b", "recall"] == pytest.approx(16 / 20)
    assert recall["support"].tolist() == [11, 20]


def test_what_changes_nothing_keeps_the_clean_accuracy_but_not_without_doubt() -> None:
    logits = np.eye(2, dtype=np.float32)[LABELS]
    plan = Plan((CELL,), {CELL.action: "full"})
    effects, _ = measure(
        plan, _outcomes(LABELS), predictions=Predictions(LABELS, logits), classes=("a", "b")
    )
    assert effects["accuracy_drop"][0] == 0 and effects["accuracy"][0] == 1
    # Kish: 60² / Σ g² = 3600 / (6 · 25 + 5 · 4 + 20) = 18.9 examples; all of 60 would give ± .045.
    assert effects["half_width"][0] == pytest.approx(1.96 * np.sqrt(2) / (18.9 + 2), rel=0.02)


def test_linearised_values_sum_to_the_estimate_and_vary_as_it_does() -> None:
    right = (_predicted() == LABELS)[None]
    both = phases(_outcomes(_predicted()), np.array([0]))
    values = both.of(lambda predicted: predicted == LABELS)[0].astype(np.float64)
    expected = 30 * 3 / 6 + 10 * 4 / 5 + 20 * 16 / 20
    assert values.sum() == pytest.approx(expected, rel=1e-6)
    # Within a stratum: N_h² s_h² / n_h, s_h² with n_h − 1; the last stratum was run whole.
    for stratum, size, n, share in ((0, 30, 6, 0.5), (1, 10, 5, 0.8)):
        mine = values[stratum == STRATA]
        s2 = n / (n - 1) * share * (1 - share)
        assert ((mine - mine.mean()) ** 2).sum() == pytest.approx(size**2 * s2 / n, rel=1e-5)
    assert (values[STRATA == 2] == right[0, STRATA == 2]).all()


def test_taken_rows_keep_their_sample() -> None:
    both = phases(_outcomes(_predicted()), np.array([0, 0]))
    taken = both.take(np.array([1]))
    assert taken.sample is not None and taken.sample.tolist() == [0]
    found = taken.of(lambda predicted: predicted == LABELS)
    direct = stratified((_predicted() == LABELS)[None].astype(np.float32), WEIGHT, STRATA)
    np.testing.assert_allclose(found, direct, rtol=1e-6)


def test_means_over_classes_are_unknown_where_a_class_has_hardly_an_example() -> None:
    outcomes, logits = _outcomes(LABELS), np.eye(2, dtype=np.float32)[LABELS]
    assert outcomes.direct is not None
    fewer = outcomes.direct.design_weight.copy()
    fewer[0, 44:] = 0
    direct = replace(outcomes.direct, design_weight=fewer, inclusion=fewer)
    thin = replace(outcomes, direct=direct)
    plan, given = Plan((CELL,), {CELL.action: "full"}), Predictions(LABELS, logits)
    for found, known in ((outcomes, True), (thin, False)):
        effects, by_class = measure(plan, found, predictions=given, classes=("a", "b"))
        assert effects["macro_f1"].notna().item() == known
        assert effects["accuracy"].notna().item() and by_class["recall"].notna().all()


def test_the_size_of_a_sample_is_kishs() -> None:
    both = phases(_outcomes(LABELS), np.array([0]))
    assert both.size_share(np.ones(60))[0] == pytest.approx(60 / (6 * 25 + 5 * 4 + 20))
    assert both.take(np.array([0])).size_share(np.ones(60)).shape == (1,)
