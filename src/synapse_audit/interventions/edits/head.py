"""Targeted edits of the head's last linear layer.

In: what the head reads and its weights. Out: a :class:`HeadEdit` of a given norm. Columns are
ranked at the head's own input (the published SYNAPSE code ranked [CLS] dimensions although a
pooler lies between).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import Brief, HeadEdit
from synapse_audit.artifacts.label_sets import holds

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
    shift: Float[np.ndarray, " classes"] | None = None
    """What decision thresholds add to the logits; no weight, so that no edit touches it."""
    one_output: bool = False
    """Whether only the second of the two rows is one of weights; the first is 0 and stays so."""
    several: bool = False
    """Whether every row decides a label by itself; ``predicted`` then holds sets of labels."""

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
        decision = classifier.decision
        return cls(
            classifier.head_weight,
            head_input,
            predicted,
            bias,
            shift=decision.shift,
            one_output=decision.one_output,
            several=decision.several,
        )

    @property
    def norm(self) -> float:
        """Euclidean (Frobenius) norm of the weight: what budgets are relative to."""
        return float(np.linalg.norm(self.weight))

    @property
    def rms(self) -> float:
        """Root mean square of the weight's entries, of one output those of its row."""
        entries = self.weight[self.rows].size
        return self.norm / float(np.sqrt(entries))

    @property
    def rows(self) -> slice:
        """The rows that are weights of the model."""
        return slice(1, None) if self.one_output else slice(None)

    def logits(
        self, inputs: Float[np.ndarray, "*examples features"]
    ) -> Float[np.ndarray, "*examples classes"]:
        """What the head says of its inputs, thresholds included, float64."""
        logits = inputs.astype(np.float64) @ self.weight.T.astype(np.float64)
        for constant in (self.bias, self.shift):
            if constant is not None:
                logits = logits + constant
        return np.asarray(logits)

    def edit(
        self,
        weight: Float[np.ndarray, "classes features"],
        bias: Float[np.ndarray, " classes"] | None = None,
    ) -> HeadEdit:
        """An edit of the rows as an edit of what the model has.

        With one output the logits are (0, z), and all that decides is their difference z. An edit
        (δ₀, δ₁) of both rows moves it by (δ₁ − δ₀)·h, so δ₁ − δ₀ on the one row is the edit with
        the same effect: what raises class 0 is the edit of the negated row.
        """
        bias = np.zeros(len(weight)) if bias is None else bias
        if self.one_output:
            weight = np.stack([np.zeros_like(weight[0]), weight[1] - weight[0]])
            bias = np.array([0.0, bias[1] - bias[0]])
        dtype = self.weight.dtype
        return HeadEdit(weight=weight.astype(dtype), bias=bias.astype(dtype))

    def ascent(self, target: int) -> Float[np.ndarray, " features"]:
        """Mean head input where ``target`` is not predicted: the gradient of its mean logit there.

        Zeros where every example is predicted as the target.
        """
        return self._mean_input(~self._says(target))

    def descent(self, label: int) -> Float[np.ndarray, " features"]:
        """Minus the mean head input where ``label`` is predicted: what lowers its mean logit most.

        Zeros where it is never predicted.
        """
        return -self._mean_input(self._says(label))

    def _says(self, target: int) -> Bool[np.ndarray, " examples"]:
        return holds(self.predicted, target) if self.several else self.predicted == target

    def _mean_input(self, rows: Bool[np.ndarray, " examples"]) -> Float[np.ndarray, " features"]:
        if not rows.any():
            return np.zeros(self.weight.shape[1])
        return np.asarray(self.head_input[rows].astype(np.float64).mean(axis=0))

    def rival(self, target: int) -> int:
        """The other class with the highest mean logit where ``target`` is not predicted."""
        logits = self.logits(self.ascent(target))
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
    return view.edit(weight)


def bias(view: HeadView, target: int, columns: Indices, budget: float) -> HeadEdit:
    """Raises the target's bias alone, by ``budget`` times the norm of the head's weights."""
    shift = np.zeros(len(view.weight), dtype=view.weight.dtype)
    shift[target] = budget * view.norm
    return view.edit(np.zeros_like(view.weight), shift)
