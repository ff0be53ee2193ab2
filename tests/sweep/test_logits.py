"""Operators of logit space: what each does, and that both routes do the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from synapse_audit.artifacts import Cell
from synapse_audit.errors import UsageError
from synapse_audit.plan import FULL, HEAD
from synapse_audit.sweep.logits import LOGIT_OPERATORS, logit_cell
from synapse_audit.sweep.runners import RUNNERS

from .rigs import Rig

CLASSES = ("a", "b", "c")
LOGITS = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
EXAMPLES = torch.tensor([7, 3])


def cell_of(operator: str, strength: float | None = 2.0, **more: str) -> Cell:
    return Cell("logit", operator, "logits", strength=strength, **more)  # type: ignore[arg-type]


def apply(
    cell: Cell, logits: torch.Tensor = LOGITS, examples: torch.Tensor = EXAMPLES, seed: int = 0
):
    return logit_cell(cell, logits, classes=CLASSES, examples=examples, seed=seed)


def test_shift_by_hand() -> None:
    found = apply(cell_of("shift", target="c"))
    assert found.tolist() == [[1.0, 2.0, 2.5], [0.0, -1.0, 5.0]]
    assert LOGITS.tolist() == [[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]], "the clean ones stay"


def test_temperature_changes_probabilities_and_no_prediction() -> None:
    for value in (0.1, 0.5, 2.0, 10.0):
        found = apply(cell_of("temperature", value))
        torch.testing.assert_close(found, LOGITS / value)
        assert found.argmax(-1).tolist() == LOGITS.argmax(-1).tolist()
        assert not torch.allclose(found.softmax(-1), LOGITS.softmax(-1))


def test_noise_is_standard_normal_times_strength() -> None:
    zeros, examples = torch.zeros(4000, 3), torch.arange(4000)
    found = apply(cell_of("noise", 2.5), zeros, examples)
    assert kstest((found / 2.5).flatten().numpy(), "norm").pvalue > 0.01
    assert abs(np.corrcoef(found.T.numpy()) - np.eye(3)).max() < 0.06


def test_noise_depends_on_seed_action_and_example_alone() -> None:
    cell = cell_of("noise")
    whole, swapped = apply(cell), apply(cell, LOGITS.flip(0), EXAMPLES.flip(0))
    torch.testing.assert_close(whole, swapped.flip(0))
    alone = apply(cell, LOGITS[1:], EXAMPLES[1:])
    torch.testing.assert_close(whole[1:], alone)
    for other in (apply(cell, seed=1), apply(replace(cell, draw=1))):
        assert not torch.allclose(whole, other)


def test_noise_of_nothing_is_the_identity() -> None:
    assert torch.equal(apply(cell_of("noise", 0.0)), LOGITS)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (cell_of("shfit", target="c"), "did you mean 'shift'"),
        (cell_of("shift", target="d"), "target 'd' given"),
        (cell_of("shift", None, target="c"), "without a strength"),
        (cell_of("temperature", 0.0), "expected a number above 0"),
    ],
)
def test_what_cannot_be_done_is_said(cell: Cell, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        apply(cell)


@pytest.mark.parametrize("operator", LOGIT_OPERATORS)
def test_both_routes_agree(rig: Rig, operator: str) -> None:
    cell = cell_of(operator, target="rage") if operator == "shift" else cell_of(operator)
    with rig.engine(seed=3) as engine:
        clean = rig.clean(engine, [4, 0, 2])
        head, full = (RUNNERS[route](engine, clean, [cell])[0] for route in (HEAD, FULL))
        torch.testing.assert_close(head, full, atol=1e-4, rtol=0)
        assert not torch.allclose(head, clean.logits)
