"""Logits → the four numbers kept per cell and example."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

Scores = Mapping[str, np.ndarray]
"""``predicted`` (uint16), ``probability``, ``margin`` and ``kl`` (float32): (cells, examples)."""

FIELDS: dict[str, type[np.generic]] = {
    "predicted": np.uint16,
    "probability": np.float32,
    "margin": np.float32,
    "kl": np.float32,
}


@torch.inference_mode()
def score(
    logits: Float[Tensor, "cells examples classes"],
    clean: Float[Tensor, "examples classes"],
    labels: Int[Tensor, " examples"],
) -> Scores:
    """What the model says: class, probability and margin of the true class, KL(clean ‖ this)."""
    log_p, log_clean = logits.log_softmax(-1), clean.log_softmax(-1)
    true = labels.view(1, -1, 1).expand(len(logits), -1, 1)
    own = logits.gather(-1, true)[..., 0]
    rivals = logits.scatter(-1, true, float("-inf")).amax(-1)
    kl = (log_clean.exp() * (log_clean - log_p)).sum(-1).clamp_min(0)
    values = {
        "predicted": logits.argmax(-1),
        "probability": log_p.gather(-1, true)[..., 0].exp(),
        "margin": own - rivals,
        "kl": kl,
    }
    return {name: values[name].cpu().numpy().astype(dtype) for name, dtype in FIELDS.items()}
