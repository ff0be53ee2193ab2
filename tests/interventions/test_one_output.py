"""Edits of a head with one output: the one row alone changes, and does what two rows would."""

import numpy as np
import pytest
import torch
from torch import nn

from synapse_audit.artifacts import HeadEdit
from synapse_audit.effects.minimum_edit_norms import minimum_edit_norms, with_bias
from synapse_audit.errors import UsageError
from synapse_audit.interventions.edits import (
    EDITS,
    PAPER_PUSHES,
    HeadView,
    applied,
    column_noise,
    paper_push,
    row_scale,
    row_swap,
    universal_path,
)

FEATURES, EXAMPLES = 6, 60
ALL = np.arange(FEATURES)
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(0.2, 1.0, size=(EXAMPLES, FEATURES)).astype(np.float32)
ROW = GENERATOR.normal(size=FEATURES).astype(np.float32)
BIAS = 0.3


def view(*, one_output: bool = True) -> HeadView:
    weight = np.stack([np.zeros_like(ROW), ROW])
    bias = np.array([0.0, BIAS], dtype=np.float32)
    said = (INPUTS @ ROW + BIAS > 0).astype(np.int64)
    return HeadView(weight, INPUTS, said, bias, one_output=one_output)


def layer() -> nn.Linear:
    made = nn.Linear(FEATURES, 1)
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(ROW[None]))
        made.bias.fill_(BIAS)
    return made


def outputs(edit: HeadEdit) -> np.ndarray:
    """z of every example under an edit of the real layer."""
    head = layer()
    with applied(head, head, edit), torch.no_grad():
        return head(torch.from_numpy(INPUTS))[:, 0].numpy().copy()


def test_sizes_are_those_of_the_one_row() -> None:
    assert view().norm == pytest.approx(np.linalg.norm(ROW))
    assert view().rms == pytest.approx(np.sqrt((ROW**2).mean()))
    assert view(one_output=False).rms == pytest.approx(np.sqrt((ROW**2).mean() / 2))


@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("name", sorted(EDITS))
def test_every_push_edits_the_one_row_within_its_budget(name: str, target: int) -> None:
    edit = EDITS[name](view(), target, ALL, 0.5)
    assert not edit.weight[0].any() and not edit.bias[0]
    moved = (outputs(edit) - (INPUTS @ ROW + BIAS)) * (1 if target else -1)
    assert moved[view().predicted != target].mean() > 0
    if name not in ("linf", "sparse"):
        assert edit.l2 == pytest.approx(0.5 * np.linalg.norm(ROW), rel=1e-5)
    if name == "linf":
        assert edit.linf == pytest.approx(0.5 * view().rms, rel=1e-5)


@pytest.mark.parametrize("name", ["push", "bias", "sparse"])
def test_a_push_of_one_row_is_that_of_the_equivalent_two_rows(name: str) -> None:
    for target in (0, 1):
        one, two = (EDITS[name](view(one_output=o), target, ALL, 0.5) for o in (True, False))
        z = INPUTS @ (ROW + two.weight[1] - two.weight[0]) + BIAS + two.bias[1] - two.bias[0]
        assert outputs(one) == pytest.approx(z, abs=1e-5)


def test_pushes_of_several_rows_are_the_plain_push() -> None:
    plain = EDITS["push"](view(), 0, ALL, 0.5)
    for name in ("balanced", "rival"):
        assert EDITS[name](view(), 0, ALL, 0.5).weight == pytest.approx(plain.weight, abs=1e-6)


def test_swapped_rows_turn_the_sign_and_a_scaled_row_is_scaled() -> None:
    z = INPUTS @ ROW
    assert outputs(row_swap(view(), 0, 1)) == pytest.approx(-(z + BIAS), abs=1e-5)
    assert outputs(row_scale(view(), 1, 4.0)) == pytest.approx(4 * z + BIAS, abs=1e-5)
    with pytest.raises(UsageError, match="changes no weight"):
        outputs(row_scale(view(), 0, 4.0))


def test_noise_falls_on_the_one_row_once() -> None:
    edits = [column_noise(view(), ALL, 0.7, np.random.default_rng(s)) for s in range(400)]
    assert not any(edit.weight[0].any() for edit in edits)
    # 2,400 normal numbers: the spread's own standard error is 0.7 / √4,800 = 0.01.
    assert np.std([edit.weight[1] for edit in edits]) == pytest.approx(0.7, abs=0.04)


@pytest.mark.parametrize("setting", PAPER_PUSHES, ids=lambda one: one.setting)
def test_the_papers_pushes_move_the_logits_as_two_rows_would(setting) -> None:
    one, two = (paper_push(view(one_output=o), 0, ALL, setting) for o in (True, False))
    change = INPUTS @ (two.weight[1] - two.weight[0]) + two.bias[1] - two.bias[0]
    assert outputs(one) == pytest.approx(INPUTS @ ROW + BIAS + change, abs=1e-5)


def test_the_row_of_class_0_cannot_be_edited() -> None:
    wrong = HeadEdit(np.ones((2, FEATURES), np.float32), np.zeros(2, np.float32))
    with pytest.raises(UsageError, match="row of class 0"):
        outputs(wrong)


@pytest.mark.parametrize("target", [0, 1])
def test_the_universal_edit_redirects_no_fewer_than_the_push(target: int) -> None:
    away = view().predicted != target
    (found,) = universal_path(view(), target, ALL, (0.3,))
    won = [
        int(((outputs(edit) > 0) == bool(target))[away].sum())
        for edit in (found, EDITS["push"](view(), target, ALL, 0.3))
    ]
    assert won[0] >= won[1] > 0


def test_thresholds_count_where_edits_look_for_rivals() -> None:
    shift = np.array([0.0, -5.0], dtype=np.float32)
    head = HeadView(view().weight, INPUTS, view().predicted, None, shift=shift, one_output=True)
    assert head.logits(INPUTS[:3])[:, 1] == pytest.approx(INPUTS[:3] @ ROW - 5, abs=1e-5)


def test_no_edit_of_the_row_below_the_minimum_norm_changes_an_example() -> None:
    z = INPUTS @ ROW + BIAS
    logits = np.stack([np.zeros_like(z), z], axis=1)
    inputs = with_bias(INPUTS)
    least = minimum_edit_norms(logits, inputs, one_output=True)
    other = (z <= 0).astype(int)
    need = least.rows_l2[np.arange(EXAMPLES), other]
    assert need == pytest.approx(np.abs(z) / np.linalg.norm(inputs, axis=1), rel=1e-5)
    assert (least.rows_linf == least.row_linf).all()
    # By brute force: random directions of that length never reach, the one along h just does.
    directions = np.random.default_rng(2).normal(size=(500, FEATURES + 1))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    reach = np.abs(directions @ inputs.T) * need
    assert (reach <= np.abs(z) * (1 + 1e-6)).all()
    along = inputs / np.linalg.norm(inputs, axis=1, keepdims=True)
    moved = z - np.sign(z) * need * 1.001 * (along * inputs).sum(axis=1)
    assert (np.sign(moved) == -np.sign(z)).all()
    # Two rows can move against each other, which costs a share of 1/√2 of it.
    both = minimum_edit_norms(logits, inputs).rows_l2[np.arange(EXAMPLES), other]
    assert both == pytest.approx(need / np.sqrt(2), rel=1e-5)
