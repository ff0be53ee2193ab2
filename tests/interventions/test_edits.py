"""Edits have the norm they claim, are best by arithmetic, and leave no trace."""

import numpy as np
import pytest
import torch
from torch import nn

from synapse_audit.artifacts import HeadEdit
from synapse_audit.errors import UsageError
from synapse_audit.interventions.edits import EDITS, HeadView, applied, bias, push

CLASSES, FEATURES, EXAMPLES = 3, 8, 40
TARGET = 1
ALL = np.arange(FEATURES)


def _view(seed: int = 0) -> HeadView:
    generator = np.random.default_rng(seed)
    inputs = generator.normal(0.3, 1.0, size=(EXAMPLES, FEATURES)).astype(np.float32)
    weight = generator.normal(size=(CLASSES, FEATURES)).astype(np.float32)
    return HeadView(weight, inputs, (inputs @ weight.T).argmax(axis=1), None)


def _rise(view: HeadView, edit: HeadEdit) -> float:
    """Mean rise of the target's logit over examples not predicted target."""
    away = view.head_input[view.predicted != TARGET].astype(np.float64)
    return float((away @ edit.weight[TARGET] + edit.bias[TARGET]).mean())


def _linear(view: HeadView) -> nn.Linear:
    layer = nn.Linear(FEATURES, CLASSES)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(view.weight))
    return layer


@pytest.mark.parametrize("name", ["push", "bias", "balanced", "rival"])
@pytest.mark.parametrize("budget", [0.05, 0.5, 2.0])
def test_the_norm_is_the_budget(name: str, budget: float) -> None:
    view = _view()
    edit = EDITS[name](view, TARGET, ALL, budget)
    assert edit.l2 == pytest.approx(budget * np.linalg.norm(view.weight), rel=1e-5)


@pytest.mark.parametrize("name", ["push", "bias", "linf", "sparse"])
def test_only_the_targets_row_changes(name: str) -> None:
    edit = EDITS[name](_view(), TARGET, ALL, 0.5)
    others = [c for c in range(CLASSES) if c != TARGET]
    assert not edit.weight[others].any() and not edit.bias[others].any()


def test_push_stays_within_its_columns() -> None:
    columns = np.array([0, 5])
    edit = push(_view(), TARGET, columns, 0.5)
    assert np.flatnonzero(edit.weight[TARGET]).tolist() == [0, 5]
    assert edit.n_changed == 2
    assert edit.linf == np.abs(edit.weight).max()


@pytest.mark.parametrize("columns", [ALL, np.array([1, 2, 6])])
def test_no_direction_of_equal_norm_raises_the_target_more_than_push(columns: np.ndarray) -> None:
    view = _view()
    best = _rise(view, push(view, TARGET, columns, 0.3))
    generator = np.random.default_rng(1)
    for _ in range(200):
        row = np.zeros(FEATURES)
        row[columns] = generator.normal(size=len(columns))
        weight = np.zeros((CLASSES, FEATURES))
        weight[TARGET] = row * (0.3 * view.norm / np.linalg.norm(row))
        assert _rise(view, HeadEdit(weight, np.zeros(CLASSES))) <= best + 1e-6


def test_push_by_hand() -> None:
    view = HeadView(
        weight=np.array([[3.0, 0.0], [0.0, 4.0]], dtype=np.float32),
        head_input=np.array([[6.0, 8.0], [0.0, 9.0]], dtype=np.float32),
        predicted=np.array([0, 1]),
        bias=None,
    )
    edit = push(view, 1, np.arange(2), 2.0)
    np.testing.assert_allclose(edit.weight, [[0, 0], [6, 8]], rtol=1e-6)  # 2 · 5 · (0.6, 0.8)


def test_bias_changes_one_number() -> None:
    edit = bias(_view(), TARGET, ALL, 0.5)
    assert edit.n_changed == 1 and not edit.weight.any()
    assert edit.bias[TARGET] > 0


@pytest.mark.parametrize("name", sorted(EDITS))
def test_an_edit_leaves_the_view_as_it_was(name: str) -> None:
    view, fresh = _view(), _view()
    EDITS[name](view, TARGET, ALL, 1.0)
    assert (view.weight == fresh.weight).all() and (view.head_input == fresh.head_input).all()


@pytest.mark.parametrize("name", sorted(EDITS))
def test_applied_really_changes_the_layer_and_restores_every_bit(name: str) -> None:
    view = _view()
    layer, edit = _linear(view), EDITS[name](view, TARGET, ALL, 0.5)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    x = torch.from_numpy(view.head_input)
    with torch.no_grad():
        clean = layer(x)
        with applied(layer, layer, edit):
            changed = layer(x)
    expected = clean + x @ torch.from_numpy(edit.weight.T) + torch.from_numpy(edit.bias)
    torch.testing.assert_close(changed, expected)
    assert all(torch.equal(before[k], v) for k, v in layer.state_dict().items())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_applied_restores_after_an_exception(error: type[BaseException]) -> None:
    view = _view()
    layer = _linear(view)
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    with pytest.raises(error), applied(layer, layer, push(view, TARGET, ALL, 0.5)):
        assert not torch.equal(layer.weight, before["weight"])
        raise error
    assert all(torch.equal(before[k], v) for k, v in layer.state_dict().items())


@pytest.mark.parametrize("size", [0.0, 1e-30])
def test_an_edit_that_changes_no_bit_is_refused(size: float) -> None:
    """1e-30 vanishes when it is added to a float32 weight of ordinary size."""
    layer = _linear(_view())
    edit = HeadEdit(np.full((CLASSES, FEATURES), size), np.zeros(CLASSES))
    with pytest.raises(UsageError, match="changes no weight"), applied(layer, layer, edit):
        raise AssertionError("never entered")


def test_a_bias_edit_of_a_head_without_bias_is_refused() -> None:
    layer = nn.Linear(FEATURES, CLASSES, bias=False)
    edit = bias(_view(), TARGET, ALL, 0.5)
    with pytest.raises(UsageError, match="the head has none"), applied(layer, layer, edit):
        raise AssertionError("never entered")


def test_a_push_on_a_head_without_bias_works() -> None:
    layer = nn.Linear(FEATURES, CLASSES, bias=False)
    before = layer.weight.clone()
    with applied(layer, layer, push(_view(), TARGET, ALL, 0.5)):
        assert not torch.equal(layer.weight, before)
    assert torch.equal(layer.weight, before)
