"""Logits → the numbers kept per cell and example."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.model.decision import Decision

Scores = Mapping[str, np.ndarray]
"""The arrays of ``FIELDS``, and ``benign`` where a benign class was named: (cells, examples)."""

FIELDS: dict[str, type[np.generic]] = {
    "predicted": np.uint16,
    "probability": np.float32,
    "margin": np.float32,
    "kl": np.float32,
    "confidence": np.float32,
}

BENIGN = "benign"
"""Probability of the benign class, float32."""

HUGE = 1e30
"""Logits beyond it (bit flips make them) count as this, so that probabilities stay numbers."""


def fields(benign: int | None) -> dict[str, type[np.generic]]:
    """The arrays kept, with or without a benign class."""
    return FIELDS if benign is None else FIELDS | {BENIGN: np.float32}


@torch.inference_mode()
def score(
    logits: Float[Tensor, "cells examples classes"],
    clean: Float[Tensor, "examples classes"],
    labels: Int[Tensor, " examples"],
    benign: int | None = None,
    decision: Decision = Decision(),  # noqa: B008 (frozen)
) -> Scores:
    """What the model says: class, probability and margin of the true class, KL(clean ‖ this).

    Class and margin are those of the decision, thresholds included; probabilities are the model's.
    A logit that is not a number wins the argmax, as it does in NumPy and PyTorch; for the
    probabilities it counts as the largest.
    """
    logits, clean = logits.float(), clean.float()
    predicted = logits.argmax(-1)
    logits = logits.nan_to_num(nan=HUGE, posinf=HUGE, neginf=-HUGE).clamp(-HUGE, HUGE)
    log_p, log_clean = (decision.model_logits(one).log_softmax(-1) for one in (logits, clean))
    true = labels.view(1, -1, 1).expand(len(logits), -1, 1)
    own = logits.gather(-1, true)[..., 0]
    rivals = logits.scatter(-1, true, float("-inf")).amax(-1)
    values = {
        "predicted": predicted,
        "probability": log_p.gather(-1, true)[..., 0].exp(),
        "margin": own - rivals,
        "kl": (log_clean.exp() * (log_clean - log_p)).sum(-1).clamp_min(0),
        "confidence": log_p.gather(-1, predicted[..., None])[..., 0].exp(),
    }
    if benign is not None:
        values[BENIGN] = log_p[..., benign].exp()
    kinds = fields(benign)
    return {name: values[name].cpu().numpy().astype(dtype) for name, dtype in kinds.items()}
