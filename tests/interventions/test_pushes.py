"""Shaped pushes: sums, signs and sizes by hand, and optimality against random directions."""

from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.interventions.edits import (
    PAPER_PUSHES,
    HeadView,
    PaperPush,
    balanced,
    linf,
    paper_push,
    rival,
    sparse,
    steepest_columns,
)

TARGET, RIVAL = 1, 2
COLUMNS = np.array([0, 3, 4])


def _view() -> HeadView:
    generator = np.random.default_rng(0)
    inputs = generator.normal(0.3, 1.0, size=(40, 8)).astype(np.float32)
    weight = generator.normal(size=(4, 8)).astype(np.float32)
    bias = np.array([0.0, -5.0, 3.0, 0.0], dtype=np.float32)
    return HeadView(weight, inputs, np.arange(40) % 4, bias)


def test_the_ascent_is_the_mean_input_where_the_target_is_not_predicted() -> None:
    view = HeadView(
        np.ones((2, 2), dtype=np.float32),
        np.array([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]], dtype=np.float32),
        np.array([0, 0, 1]),
        None,
    )
    assert view.ascent(1).tolist() == [2.0, 3.0]
    assert replace(view, predicted=np.array([1, 1, 1])).ascent(1).tolist() == [0.0, 0.0]


def test_the_rival_has_the_highest_mean_logit_there() -> None:
    view = _view()
    away = view.predicted != TARGET
    assert view.bias is not None
    logits = (view.head_input[away] @ view.weight.T + view.bias).mean(axis=0)
    logits[TARGET] = -np.inf
    assert view.rival(TARGET) == logits.argmax() == RIVAL


def test_balanced_leaves_every_column_sum() -> None:
    edit = balanced(_view(), TARGET, COLUMNS, 0.5)
    np.testing.assert_allclose(edit.weight.sum(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(edit.weight[0], -edit.weight[TARGET] / 3, rtol=1e-5)
    assert np.flatnonzero(edit.weight.any(axis=0)).tolist() == COLUMNS.tolist()


def test_rival_moves_two_rows_against_each_other() -> None:
    edit = rival(_view(), TARGET, COLUMNS, 0.5)
    assert np.flatnonzero(edit.weight.any(axis=1)).tolist() == [TARGET, RIVAL]
    np.testing.assert_array_equal(edit.weight[RIVAL], -edit.weight[TARGET])


def test_no_edit_of_equal_norm_raises_the_mean_margin_over_the_rival_more() -> None:
    view = _view()
    ascent = view.ascent(TARGET)

    def gain(weight: np.ndarray) -> float:
        return float((weight[TARGET] - weight[RIVAL]) @ ascent)

    best = rival(view, TARGET, np.arange(8), 0.3)
    generator = np.random.default_rng(1)
    for _ in range(200):
        weight = generator.normal(size=(4, 8))
        assert gain(weight * (best.l2 / np.linalg.norm(weight))) <= gain(best.weight) + 1e-6


def test_linf_moves_each_weight_uphill_by_the_same_share_of_the_rms() -> None:
    view = _view()
    edit = linf(view, TARGET, COLUMNS, 0.5)
    size = 0.5 * np.sqrt((view.weight.astype(np.float64) ** 2).mean())
    expected = np.sign(view.ascent(TARGET)[COLUMNS]) * size
    np.testing.assert_allclose(edit.weight[TARGET, COLUMNS], expected, rtol=1e-5)
    assert edit.n_changed == 3 and edit.linf == pytest.approx(size, rel=1e-5)


def test_sparse_takes_the_steepest_columns_and_the_largest_weight() -> None:
    view = _view()
    columns = steepest_columns(view, TARGET, 2)
    assert set(columns) == set(np.argsort(np.abs(view.ascent(TARGET)))[-2:])
    edit = sparse(view, TARGET, columns, 1.0)
    assert edit.n_changed == 2 and edit.linf == pytest.approx(np.abs(view.weight).max())


def test_the_papers_push_by_hand() -> None:
    """C = 4, delta 0.3, f 0.5: others lose 0.05; the rival 0.4 · 0.3 further."""
    setting = PaperPush("x", share=0.5, delta=0.3, balance=0.5, suppress=0.4)
    edit = paper_push(_view(), TARGET, COLUMNS, setting)
    column = edit.weight[:, COLUMNS[0]]
    np.testing.assert_allclose(column, [-0.05, 0.3, -0.05 - 0.12, -0.05], rtol=1e-5)
    assert not edit.weight[:, 1].any() and not edit.bias.any()


def test_the_papers_bias_by_hand() -> None:
    edit = paper_push(_view(), TARGET, COLUMNS, PaperPush("x", delta=0.6))
    assert edit.n_changed == 1 and edit.bias[TARGET] == np.float32(0.6)


def test_the_papers_settings_are_the_published_ones() -> None:
    assert PAPER_PUSHES == (
        ("malware a", 0.25, 0.3, 0.5, 120, 0.0),
        ("malware b", 0.2, 0.2, 0.9, None, 0.4),
        ("malware c", 0.0, 0.6, 0.0, None, 0.0),
        ("emotion a", 0.2, 0.2, 0.0, 200, 0.0),
        ("emotion b", 0.25, 0.5, 0.0, 250, 0.7),
        ("emotion c", 0.0, 0.6, 0.0, None, 0.0),
    )
