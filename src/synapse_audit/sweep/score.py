"""Logits → the numbers kept per cell and example."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

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


def fields(benign: int | None, *, several: bool = False) -> dict[str, type[np.generic]]:
    """The arrays kept, with or without a benign class; sets of labels take whole numbers."""
    kinds = FIELDS | {"predicted": np.int64} if several else FIELDS
    return kinds if benign is None else kinds | {BENIGN: np.float32}


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
    For logits that are no numbers see :meth:`Decision.predicted`; for the probabilities they count
    as the largest. Sets of labels: :func:`score_sets`.
    """
    logits, clean = logits.float(), clean.float()
    predicted = decision.predicted(logits)
    logits = logits.nan_to_num(nan=HUGE, posinf=HUGE, neginf=-HUGE).clamp(-HUGE, HUGE)
    if decision.several:
        return _typed(score_sets(logits, clean, labels, predicted, decision), None, several=True)
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
    return _typed(values, benign)


def score_sets(
    logits: Float[Tensor, "cells examples labels"],
    clean: Float[Tensor, "examples labels"],
    sets: Int[Tensor, " examples"],
    predicted: Int[Tensor, "cells examples"],
    decision: Decision,
) -> dict[str, Tensor]:
    """The same of a model whose labels are decided one by one, taken as independent.

    ``probability`` and ``confidence`` are those of the whole true and the whole predicted set, the
    margin is the smallest distance of any label from its threshold, negative for labels decided
    wrongly (so it is above 0 where the set is right), and the divergence is the sum over labels.
    """
    places = torch.arange(logits.shape[-1], device=logits.device)
    signs = {
        name: (codes[..., None] >> places & 1) * 2 - 1
        for name, codes in (("true", sets), ("said", predicted))
    }
    own, before = decision.model_logits(logits), decision.model_logits(clean)
    before = before.nan_to_num(nan=HUGE, posinf=HUGE, neginf=-HUGE).clamp(-HUGE, HUGE)
    share = before.sigmoid()
    there, gone = (logsigmoid(s * before) - logsigmoid(s * own) for s in (1, -1))
    return {
        "predicted": predicted,
        "probability": logsigmoid(signs["true"] * own).sum(-1).exp(),
        "margin": (signs["true"] * logits).amin(-1),
        "kl": (share * there + (1 - share) * gone).sum(-1).clamp_min(0),
        "confidence": logsigmoid(signs["said"] * own).sum(-1).exp(),
    }


def _typed(values: Mapping[str, Tensor], benign: int | None, *, several: bool = False) -> Scores:
    kinds = fields(benign, several=several)
    return {name: values[name].cpu().numpy().astype(dtype) for name, dtype in kinds.items()}
