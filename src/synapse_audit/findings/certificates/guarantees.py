"""Per example: how large a change of the head, its inputs or the final state must at least be.

In: evidence. Out: one :class:`Guarantee` per kind of change. An example keeps its prediction under
*every* change smaller than its distance, so under any single change of one size, aimed at this
example or at all of them at once, accuracy is at least the share of examples that are right and
whose distance is larger.

| place | change | size |
|---|---|---|
| head | l2, linf; any row or one row; with and without the bias | relative to ‖W‖ or max\\|W\\| |
| head_input | zero, mean: inputs of the last layer silenced | number of inputs |
| state | l2, linf on the final pooled state | relative to its norm, or root mean square |
| state | zero, mean: neurons of the final pooled state silenced | number of neurons |

Distances at the head and at its input are exact; those at the state are lower bounds
(:mod:`synapse_audit.findings.certificates.relaxation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.minimum_edit_norms import (
    MinimumEditNorms,
    least,
    minimum_edit_norms,
    with_bias,
)
from synapse_audit.findings.certificates.activation_bounds import ACTIVATIONS
from synapse_audit.findings.certificates.fewest_silenced import fewest_silenced
from synapse_audit.findings.certificates.relaxation import (
    DenseHead,
    certified_counts,
    certified_radii,
)

SIZES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0)
"""Relative sizes at which every curve has a point, besides a dense grid."""

REPRODUCED = 1e-3
"""Gap up to which the dense layer counts as the one that made the head's input."""

Pooled = Float[np.ndarray, "examples neurons"]

NO_DENSE = "no dense layer is known between the final state and the head"
NO_POOLED = "the final pooled state was not kept"


class Guarantee(NamedTuple):
    """One kind of change, and how much of it every example withstands."""

    place: str
    """head, head_input or state."""
    change: str
    """l2, linf, zero or mean."""
    distance: Float[np.ndarray, " examples"]
    """Any smaller change leaves the prediction; infinite where none of this kind matters."""
    budgets: Float[np.ndarray, " sizes"]
    """Where curves have points, ascending from 0."""
    rows: str | None = None
    """all or one; None away from the head's weights."""
    bias: bool | None = None
    """Whether the head's bias may change too."""
    toward: Float[np.ndarray, "examples classes"] | None = None
    """The same toward each class: exact, but a lower bound for silenced inputs."""
    attained: Bool[np.ndarray, "examples classes"] | None = None
    """Where that bound is known to be the distance itself."""
    exact: bool = True
    """Whether ``distance`` is the least change that matters, or a lower bound of it."""


class Guarantees(NamedTuple):
    """All of a run, and why some are missing."""

    found: list[Guarantee]
    missing: dict[str, str]
    """Place → reason."""


def guarantees(evidence: Evidence) -> Guarantees:
    """Every kind of change that this run allows a statement on."""
    parts = head_guarantees(evidence), input_guarantees(evidence), state_guarantees(evidence)
    return Guarantees(
        [one for part in parts for one in part.found],
        {place: reason for part in parts for place, reason in part.missing.items()},
    )


def relative_grid(evidence: Evidence) -> Float[np.ndarray, " sizes"]:
    """0, the budgets that were measured, and a dense grid."""
    return np.unique([0.0, *evidence.grid.budgets, *SIZES, *np.geomspace(0.005, 2.0, 49)])


def count_grid(width: int) -> Float[np.ndarray, " sizes"]:
    """0, every number up to 10, and about evenly spaced logarithms up to all."""
    spaced = np.unique(np.round(np.geomspace(1, width, 36)))
    return np.unique([0.0, *range(1, min(10, width) + 1), *spaced])


# ---- the head's weights --------------------------------------------------------------------------


def head_guarantees(evidence: Evidence) -> Guarantees:
    """Closed-form floors, relative to the head's weights."""
    weight = evidence.head_weight.astype(np.float64)
    sizes = {"l2": float(np.linalg.norm(weight)), "linf": float(np.abs(weight).max(initial=0.0))}
    if not sizes["linf"]:
        return Guarantees([], {"head": "all weights of the head are 0"})
    plain, found = evidence.head_input, []
    for bias, inputs in ((True, with_bias(plain)), (False, plain)):
        logits, single = evidence.predictions.logits, evidence.one_output
        floor = minimum_edit_norms(logits, inputs, one_output=single)
        kinds = [(rows, norm, bias) for rows in ("all", "one") for norm in sizes]
        found += [_head(evidence, floor, kind, sizes[kind[1]]) for kind in kinds]
    return Guarantees(found, {})


def _head(
    evidence: Evidence, found: MinimumEditNorms, kind: tuple[str, str, bool], size: float
) -> Guarantee:
    rows, norm, bias = kind
    toward = getattr(found, f"{'rows' if rows == 'all' else 'row'}_{norm}") / size
    return Guarantee(
        place="head",
        change=norm,
        distance=least(toward, evidence.predictions.predicted),
        budgets=relative_grid(evidence),
        rows=rows,
        bias=bias,
        toward=toward,
    )


# ---- the head's inputs ---------------------------------------------------------------------------


def input_guarantees(evidence: Evidence) -> Guarantees:
    """Inputs of the last layer silenced: put at 0, or at their mean."""
    logits, inputs, parts = evidence.predictions.logits, evidence.head_input, []
    for change, kept in (("zero", np.zeros(inputs.shape[1])), ("mean", mean_input(evidence))):
        fewest = fewest_silenced(logits, evidence.head_weight, inputs, kept)
        parts.append(
            Guarantee(
                place="head_input",
                change=change,
                distance=fewest.least,
                budgets=count_grid(inputs.shape[1]),
                toward=fewest.toward,
                attained=fewest.attained,
            )
        )
    return Guarantees(parts, {})


def mean_input(evidence: Evidence) -> Float[np.ndarray, " features"]:
    """Mean of the head's input over ``fit``; over ``evaluate`` where that is not known."""
    if evidence.head_mean is not None:
        return evidence.head_mean.astype(np.float64)
    weights = evidence.weights.astype(np.float64)
    return np.asarray(weights @ evidence.head_input.astype(np.float64) / weights.sum())


# ---- the final state -----------------------------------------------------------------------------


def state_guarantees(evidence: Evidence) -> Guarantees:
    """Lower bounds for the final pooled state, where the dense layer above it is known."""
    dense, pooled = evidence.dense, evidence.pooled
    if dense is None or pooled is None:
        return Guarantees([], {"state": NO_DENSE if dense is None else NO_POOLED})
    if dense.activation not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        reason = f"the dense layer ends in '{dense.activation}'; bounds are known for {known}"
        return Guarantees([], {"state": reason})
    head = DenseHead(
        dense.weight.astype(np.float64),
        dense.bias.astype(np.float64),
        ACTIVATIONS[dense.activation],
        evidence.head_weight.astype(np.float64),
        evidence.head_bias.astype(np.float64),
    )
    gap = np.abs(head.head_input(pooled) - evidence.head_input).max(initial=0.0)
    if gap > REPRODUCED:
        return Guarantees([], {"state": "the known dense layer does not give the head's input"})
    return Guarantees([*_balls(evidence, head, pooled), *_silenced(evidence, head, pooled)], {})


def _balls(evidence: Evidence, head: DenseHead, pooled: Pooled) -> Iterator[Guarantee]:
    sizes = relative_grid(evidence)
    for norm in ("l2", "linf"):
        withstood = certified_radii(head, pooled, norm=norm, grid=sizes[1:])
        # The bound holds at the size itself, a distance only below it.
        distance = np.nextafter(withstood, np.inf)
        yield Guarantee("state", norm, distance, sizes, exact=False)


def _silenced(evidence: Evidence, head: DenseHead, pooled: Pooled) -> Iterator[Guarantee]:
    counts, mean = count_grid(pooled.shape[1]), evidence.statistics[-1].mean
    for change, kept in (("zero", np.zeros_like(mean)), ("mean", mean)):
        withstood = certified_counts(head, pooled, replacement=kept, grid=counts[1:])
        distance = np.where(withstood >= counts[-1], np.inf, withstood + 1.0)
        yield Guarantee("state", change, distance, counts, exact=False)
