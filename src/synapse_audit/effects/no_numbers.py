"""Outcomes in which the model said nothing: logits that were no numbers, or infinite."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.curves import TOLERANCE

BEYOND = 5e29
"""Margins beyond it come from logits that are no number or infinite, which count as 1e30."""


def no_numbers(evidence: Evidence, actions: Sequence[str]) -> Bool[np.ndarray, "cells examples"]:
    """Where a logit is no number, or infinite.

    Read off the outcomes: a margin beyond any that numbers give, or a tie of all classes, as where
    no logit is a number.
    """
    rows = evidence.outcomes.rows(actions)
    margin = evidence.outcomes.margin[rows]
    even = np.abs(evidence.outcomes.probability[rows] - 1.0 / len(evidence.classes)) < TOLERANCE
    return np.asarray((even & (margin == 0.0)) | (np.abs(margin) >= BEYOND))
