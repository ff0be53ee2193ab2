"""The searched edit: its size, that it beats the plain push, and that no proof is beaten by it."""

import numpy as np
import pytest

from synapse_audit.effects.minimum_edit_norms import all_rows_minimum_norm
from synapse_audit.interventions.edits import HeadView, push, universal, universal_path

ALL = np.arange(6)


def two_clusters(bias: np.ndarray | None) -> HeadView:
    """Examples of classes 1 and 2 lie on different axes: no single direction moves both."""
    generator = np.random.default_rng(0)
    inputs = 0.1 * generator.normal(size=(80, 6))
    inputs[:40, 1] += 1.0
    inputs[40:, 2] += 1.0
    weight = np.zeros((3, 6))
    weight[1, 1] = weight[2, 2] = 2.0
    return HeadView(
        weight.astype(np.float32), inputs.astype(np.float32), np.repeat([1, 2], 40), bias
    )


def redirected(view: HeadView, edit, target: int) -> float:
    logits = view.head_input @ (view.weight + edit.weight).T + edit.bias
    return float((logits.argmax(axis=1) == target).mean())


@pytest.mark.parametrize("bias", [None, np.zeros(3, dtype=np.float32)])
def test_it_moves_more_than_the_push_of_that_size(bias: np.ndarray | None) -> None:
    view = two_clusters(bias)
    edit, plain = universal(view, 0, ALL, 0.7), push(view, 0, ALL, 0.7)
    assert edit.l2 == pytest.approx(0.7 * view.norm, rel=1e-5)
    assert redirected(view, plain, 0) < 0.1
    assert redirected(view, edit, 0) > 0.4
    assert bias is not None or not edit.bias.any()


def test_no_edit_beats_what_is_proved() -> None:
    view = two_clusters(np.zeros(3, dtype=np.float32))
    floor = all_rows_minimum_norm(view.head_input @ view.weight.T, view.head_input, 0) / view.norm
    budgets = (0.2, 0.4, 0.6, 0.8, 1.2)
    for budget, edit in zip(budgets, universal_path(view, 0, ALL, budgets), strict=True):
        assert redirected(view, edit, 0) <= (floor <= budget + 1e-6).mean()


def test_a_larger_budget_redirects_no_less() -> None:
    view = two_clusters(None)
    rates = [redirected(view, e, 0) for e in universal_path(view, 0, ALL, (0.5, 0.7, 1.0, 1.5))]
    assert rates == sorted(rates)
    assert rates[-1] == 1.0


def test_only_the_columns_given_change_and_nothing_where_all_say_the_target() -> None:
    view = two_clusters(None)
    edit = universal(view, 0, np.array([1, 3]), 1.0)
    assert set(np.flatnonzero(edit.weight.any(axis=0))) <= {1, 3}
    done = HeadView(view.weight, view.head_input, np.zeros(80, dtype=np.int64), None)
    assert universal(done, 0, ALL, 1.0).n_changed == 0
