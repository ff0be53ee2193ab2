"""What a classifier was trained for: as written, as hinted at, as its logits lie."""

from typing import Any

import numpy as np
import pytest
from transformers import BertConfig

from synapse_audit.errors import ModelError, UsageError
from synapse_audit.model.loading.problem_type import (
    MULTI,
    NOT_STATED,
    ONE_LABEL,
    SINGLE,
    doubts_of_softmax,
    problem_type,
)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"task": "multi_label_classification"}, "task = 'multi_label_classification'"),
        ({"multilabel": True}, "multilabel = True"),
        ({"training": {"loss": "BCEWithLogitsLoss"}}, "training.loss = 'BCEWithLogitsLoss'"),
        (
            {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}},
            "sentence_transformers.activation_fn",
        ),
        ({"task_specific_params": {"c": {"function_to_apply": "sigmoid"}}}, "function_to_apply"),
    ],
)
def test_hints_of_several_labels_are_refused_unless_one_is_stated(
    facts: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelError) as caught:
        problem_type("m", BertConfig(**facts))
    assert said in str(caught.value)
    assert SINGLE in str(caught.value)
    assert problem_type("m", BertConfig(**facts, problem_type=SINGLE)) == SINGLE


def test_what_is_no_hint() -> None:
    facts = {"multilabel": False, "hidden_act": "sigmoid", "id2label": {0: "multi-label", 1: "b"}}
    assert problem_type("m", BertConfig(**facts)) == NOT_STATED


def test_a_label_is_named_as_the_classes_are() -> None:
    """Two outputs of one name have their numbers behind it; names may be numbers."""
    alike = BertConfig(id2label={0: "crane", 1: "crane", 2: "heron"}, problem_type=MULTI)
    assert problem_type("m", alike, "crane (1)") == ONE_LABEL
    with pytest.raises(UsageError, match=r"label 'crane' given; .*crane \(0\)"):
        problem_type("m", alike, "crane")
    numbers = BertConfig(id2label={0: 0, 1: 1, 2: 2}, problem_type=MULTI)
    assert problem_type("m", numbers, "1") == ONE_LABEL


def one_of(classes: int, size: float) -> np.ndarray:
    """Logits of a perfect head: ``size`` for the right class, −``size`` for the others."""
    return size * (2 * np.eye(classes) - 1)


@pytest.mark.parametrize(("classes", "shift"), [(3, -0.354), (5, -0.75), (28, -2.502)])
def test_sigmoids_lie_below_zero_by_their_number(classes: int, shift: float) -> None:
    assert -(classes - 2) / (2 * np.sqrt(classes - 1)) == pytest.approx(shift, abs=1e-3)
    (warning,) = doubts_of_softmax(one_of(classes, 4.0))
    assert f"{shift:.2f} of their spread" in warning


def test_centred_logits_and_two_classes_say_nothing() -> None:
    centred = one_of(5, 4.0)
    centred -= centred.mean(axis=1, keepdims=True)
    for logits in (centred, one_of(2, 4.0), np.zeros((4, 3)), np.zeros((0, 3)), one_of(5, -4.0)):
        assert doubts_of_softmax(logits) == ()
