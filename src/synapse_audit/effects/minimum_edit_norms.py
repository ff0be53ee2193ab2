"""Least edits of a linear head that make one example be predicted as another class.

In: logits (examples, classes) of a head z = W h + b, and its input h. Out: margins and the least
L2 and L∞ norms of an edit, per example and target, in closed form. Norms are taken over all
changed entries together. An edit that serves many examples at once must pay at least each
example's own floor, so the share of examples whose floor a budget covers bounds from above what
any universal edit within that budget can redirect, and accuracy under any single edit within a
budget is at least the share of examples that are right and whose floor lies above it.

| may change | L2 | L∞ |
|---|---|---|
| the target's row | m/‖h‖ | m/‖h‖₁ |
| every row | √(a² + Σ(m_c − a)₊²)/‖h‖, a = Σ(m_c − a)₊ | m/(2‖h‖₁) |

A head with one output z has the logits (0, z) and one row w. Toward either class z must move by
m = |z|, by an edit δ of that row with |δ·h| ≥ m: m/‖h‖ in L2 and m/‖h‖₁ in L∞ (Cauchy–Schwarz,
Hölder), since no second row can move against it. There every row is the one row.

with m_c = z_c − z_t over the rivals c ≠ t and m = max_c m_c. Where the bias may change too, it is
one more weight of a constant input: h becomes (h, 1). At the floor itself target and rival tie.

Limits: exact arithmetic on the logits given; a head run in float32 may differ where a budget meets
a floor to about 1e-6 of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.memory import row_chunks

Logits = Float[np.ndarray, "examples classes"]
Inputs = Float[np.ndarray, "examples features"]


class MinimumEditNorms(NamedTuple):
    """Least norm of an edit per example and target class; 0 where the target already leads.

    Infinite where no edit helps (a head without bias whose input is 0).
    """

    row_l2: Float[np.ndarray, "examples classes"]
    """Only the target's row changes."""
    row_linf: Float[np.ndarray, "examples classes"]
    rows_l2: Float[np.ndarray, "examples classes"]
    """Every row may change."""
    rows_linf: Float[np.ndarray, "examples classes"]


# ---- one target ----------------------------------------------------------------------------------


def rival_margins(logits: Logits, target: int) -> Float[np.ndarray, "examples rivals"]:
    """m_c = z_c − z_t for every class c other than the target."""
    wide = logits.astype(np.float64)
    return np.delete(wide, target, axis=1) - wide[:, [target]]


def margins_toward(logits: Logits, target: int) -> Float[np.ndarray, " examples"]:
    """max_{c≠t} z_c − z_t: adding more than this to the target's logit redirects the example."""
    return rival_margins(logits, target).max(axis=1)


def row_minimum_norm(
    logits: Logits, head_input: Inputs, target: int
) -> Float[np.ndarray, " examples"]:
    """L2 floor when only the target's row and bias may change: m/‖(h, 1)‖, 0 where m ≤ 0."""
    return minimum_edit_norms(logits, with_bias(head_input)).row_l2[:, target]


def all_rows_minimum_norm(
    logits: Logits, head_input: Inputs, target: int, *, one_output: bool = False
) -> Float[np.ndarray, " examples"]:
    """L2 floor when every row and bias may change: √(a² + Σ(m_c − a)₊²)/‖(h, 1)‖."""
    inputs = with_bias(head_input)
    return minimum_edit_norms(logits, inputs, one_output=one_output).rows_l2[:, target]


# ---- every target --------------------------------------------------------------------------------


def with_bias(head_input: Inputs) -> Float[np.ndarray, "examples inputs"]:
    """(h, 1): the bias as the weight of a constant input."""
    return np.pad(head_input, ((0, 0), (0, 1)), constant_values=1.0)


def minimum_edit_norms(
    logits: Logits, inputs: Inputs, *, one_output: bool = False
) -> MinimumEditNorms:
    """Every floor toward every class.

    The edit E must satisfy (E_t − E_c)·h ≥ m_c for every rival c.

    *Target's row.* E_t·h ≥ m, and E_t·h ≤ ‖E_t‖·‖h‖ (Cauchy–Schwarz), ≤ ‖E_t‖∞·‖h‖₁ (Hölder);
    both are attained, along h and along sign(h).

    *Every row, L∞.* (E_t − E_c)·h ≤ 2‖E‖∞·‖h‖₁, so m/(2‖h‖₁) is needed. It suffices for all
    rivals at once: E_t = ε sign(h) and E_c = −ε sign(h) reach the bound for every c.

    *Every row, L2.* Parts of a row across h cost and do nothing, so E_t = a h/‖h‖² and
    E_c = −b_c h/‖h‖², with a + b_c ≥ m_c, at cost (a² + Σ b_c²)/‖h‖². Given a, the least b_c is
    (m_c − a)₊; what is left is convex in a with derivative 2(a − Σ(m_c − a)₊), which gives a.

    Args:
        logits: of the untouched head.
        inputs: what the changed weights multiply: h, or :func:`with_bias` of it.
        one_output: whether the logits are (0, z) of one row, the only one that can change.
    """
    wide = logits.astype(np.float64)
    descending = -np.sort(-wide, axis=1)
    reach = np.maximum(descending[:, :1] - wide, 0.0)
    raised = _raise(wide, descending)
    lowered = sum(np.maximum(top[:, None] - wide - raised, 0.0) ** 2 for top in descending.T)
    l1, l2 = _norms(inputs)
    row_l2, row_linf = _over(reach, l2), _over(reach, l1)
    if one_output:
        return MinimumEditNorms(row_l2, row_linf, row_l2, row_linf)
    return MinimumEditNorms(
        row_l2=row_l2,
        row_linf=row_linf,
        rows_l2=_over(np.sqrt(raised**2 + lowered), l2),
        rows_linf=_over(reach, 2 * l1),
    )


def _norms(inputs: Inputs) -> tuple[Float[np.ndarray, "examples 1"], ...]:
    """L1 and L2 of every example, in double precision."""
    norms = np.empty((2, len(inputs), 1))
    for some in row_chunks(*inputs.shape):
        given = inputs[some].astype(np.float64)
        norms[0, some, 0] = np.abs(given).sum(axis=1)
        norms[1, some, 0] = np.linalg.norm(given, axis=1)
    return norms[0], norms[1]


def least(
    norm: Float[np.ndarray, "examples classes"], predicted: Int[np.ndarray, " examples"]
) -> Float[np.ndarray, " examples"]:
    """The floor toward any other class than the predicted one, whichever is nearest.

    An edit changes the prediction exactly when it makes some other class lead, so this is the
    minimum over targets; with m the margin to the runner-up, m/(√2‖h‖) in L2 over every row.
    For edits of one row it covers lowering the predicted class's own row too, which costs the same
    m/‖h‖ (or m/‖h‖₁) as raising the runner-up's.
    """
    others = np.where(np.arange(norm.shape[1]) == predicted[:, None], np.inf, norm)
    return others.min(axis=1)


def _raise(wide: Logits, descending: Logits) -> Float[np.ndarray, "examples classes"]:
    """a of every target: max(0, max_k S_k/(k + 1)), S_k the sum of the k largest margins.

    Every set of rivals bounds a from below by that much, because a ≥ Σ_{c in set}(m_c − a), and
    the active set attains it. The k largest logits serve all targets: where they hold the target
    itself, its own margin of 0 only lowers the quotient.
    """
    total, raised = np.zeros((len(wide), 1)), np.zeros_like(wide)
    for k, top in enumerate(descending.T[:-1], start=1):
        total = total + top[:, None]
        raised = np.maximum(raised, (total - k * wide) / (k + 1))
    return raised


def _over(
    gain: Float[np.ndarray, "examples classes"], size: Float[np.ndarray, "examples 1"]
) -> Float[np.ndarray, "examples classes"]:
    """gain/size; infinite where a gain is needed and the size is 0."""
    quotient = gain / np.where(size > 0, size, 1.0)
    return np.where((size > 0) | (gain == 0), quotient, np.inf)
