"""Targeted edits of the head's last linear layer.

In: what the head reads and its weights. Out: a :class:`HeadEdit` of a given norm. Columns are
ranked at the head's own input (the published SYNAPSE code ranked [CLS] dimensions although a
pooler lies between).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Brief, HeadEdit

if TYPE_CHECKING:
    from synapse_audit.model import Classifier

Indices = Int[np.ndarray, " columns"]


@dataclass(frozen=True, repr=False)
class HeadView(Brief):
    """What an edit of the head may know: the head, and its inputs over ``fit``."""

    weight: Float[np.ndarray, "classes features"]
    head_input: Float[np.ndarray, "examples features"]
    """Over ``fit``."""
    predicted: Int[np.ndarray, " examples"]
    """Clean prediction, over ``fit``."""
    bias: Float[np.ndarray, " classes"] | None
    """None where the head has none; no default, or a bias that was forgotten would look like it."""

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        head_input: Float[np.ndarray, "examples features"],
        predicted: Int[np.ndarray, " examples"],
    ) -> HeadView:
        """The head of a classifier with its own bias; inputs and predictions are over ``fit``."""
        has_bias = classifier.output_layer.bias is not None
        bias = classifier.head_bias if has_bias else None
        return cls(classifier.head_weight, head_input, predicted, bias)

    @property
    def norm(self) -> float:
        """Euclidean (Frobenius) norm of the weight: what budgets are relative to."""
        return float(np.linalg.norm(self.weight))

    @property
    def rms(self) -> float:
        """Root mean square of the weight's entries."""
        return self.norm / float(np.sqrt(self.weight.size))

    def ascent(self, target: int) -> Float[np.ndarray, " features"]:
        """Mean head input where ``target`` is not predicted: the gradient of its mean logit there.

        Zeros where every example is predicted as the target.
        """
        away = self.predicted != target
        if not away.any():
            return np.zeros(self.weight.shape[1])
        return self.head_input[away].astype(np.float64).mean(axis=0)

    def rival(self, target: int) -> int:
        """The other class with the highest mean logit where ``target`` is not predicted."""
        logits = self.weight.astype(np.float64) @ self.ascent(target)
        if self.bias is not None:
            logits += self.bias
        logits[target] = -np.inf
        return int(logits.argmax())


def push(view: HeadView, target: int, columns: Indices, budget: float) -> HeadEdit:
    """Adds to the target row, in some columns, the direction that raises its logit most on average.

    Within an L2 budget the mean rise of the target logit over examples not predicted ``target`` is
    largest along their mean head input, restricted to ``columns`` (Cauchy–Schwarz). The paper adds
    one positive constant to every chosen column instead, which lowers the logit where inputs are
    negative.

    Args:
        view: the head and its inputs over ``fit``.
        target: class whose row is edited.
        columns: head inputs that may be edited.
        budget: L2 norm of the edit relative to ``view.norm``.

    Limits: one universal direction; an attacker who may fit it to examples can do better, and the
    closed-form floor bounds how much.
    """
    direction = np.zeros(view.weight.shape[1])
    direction[columns] = view.ascent(target)[columns]
    length = float(np.linalg.norm(direction))
    weight = np.zeros_like(view.weight)
    if length > 0:
        weight[target] = (budget * view.norm / length) * direction
    return HeadEdit(weight=weight, bias=np.zeros(len(weight), dtype=weight.dtype))


def bias(view: HeadView, target: int, columns: Indices, budget: float) -> HeadEdit:
    """Raises the target's bias alone, by ``budget`` times the norm of the head's weights."""
    shift = np.zeros(len(view.weight), dtype=view.weight.dtype)
    shift[target] = budget * view.norm
    return HeadEdit(weight=np.zeros_like(view.weight), bias=shift)
