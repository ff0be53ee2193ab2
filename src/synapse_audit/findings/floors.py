"""Least edits of a linear head that make one example be predicted as a target class.

In: logits (examples, classes) of a head z = W h + b, and its input h. Out: margins and L2 norms
per example, in closed form. An edit that serves many examples at once must pay at least each
example's own floor, so the share of examples whose floor a budget covers bounds from above what
any universal edit within that budget can redirect.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Logits = Float[np.ndarray, "examples classes"]


def rival_margins(logits: Logits, target: int) -> Float[np.ndarray, "examples rivals"]:
    """m_c = z_c − z_t for every class c other than the target."""
    wide = logits.astype(np.float64)
    return np.delete(wide, target, axis=1) - wide[:, [target]]


def margins_toward(logits: Logits, target: int) -> Float[np.ndarray, " examples"]:
    """max_{c≠t} z_c − z_t: adding more than this to the target's logit redirects the example."""
    return rival_margins(logits, target).max(axis=1)


def row_floor(
    logits: Logits, head_input: Float[np.ndarray, "examples features"], target: int
) -> Float[np.ndarray, " examples"]:
    """L2 floor when only the target's row (and bias) may change: m/‖(h, 1)‖, 0 where m ≤ 0.

    By Cauchy–Schwarz: the edit must raise z_t by the largest margin m.
    """
    return np.maximum(margins_toward(logits, target), 0.0) / _input_norm(head_input)


def all_rows_floor(
    logits: Logits, head_input: Float[np.ndarray, "examples features"], target: int
) -> Float[np.ndarray, " examples"]:
    """L2 floor when every row (and bias) may change: √(a² + Σ(m_c − a)₊²)/‖(h, 1)‖.

    a solves a = Σ_{c≠t}(m_c − a)₊; with margins sorted descending and S_k the sum of the first k,
    a = max_k S_k/(k + 1), because every set of rivals bounds a from below by that much and the
    active one attains it.
    """
    margins = rival_margins(logits, target)
    descending = -np.sort(-margins, axis=1)
    sizes = np.arange(1, margins.shape[1] + 1)
    a = np.maximum((np.cumsum(descending, axis=1) / (sizes + 1)).max(axis=1), 0.0)
    lowered = np.maximum(margins - a[:, None], 0.0)
    return np.sqrt(a**2 + (lowered**2).sum(axis=1)) / _input_norm(head_input)


def _input_norm(
    head_input: Float[np.ndarray, "examples features"],
) -> Float[np.ndarray, " examples"]:
    return np.sqrt((head_input.astype(np.float64) ** 2).sum(axis=1) + 1.0)
