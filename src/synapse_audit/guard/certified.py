"""The certificate of a vote on real examples: per example, and as a curve beside an attack.

In: a vote, head inputs of ``evaluate`` as the guard's ranges leave them. Out: one table per example
and one per number of changed inputs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from synapse_audit.guard.certificate import silenced_needed, votes_needed
from synapse_audit.guard.greedy import silenced_enough
from synapse_audit.guard.measuring import Sample
from synapse_audit.guard.parts import Vote
from synapse_audit.guard.voting import counted, votes
from synapse_audit.tables.guard import CERTIFICATE

CHANGES = ("arbitrary", "mean", "zero")
"""What a changed input becomes: anything, its mean over ``fit``, 0."""


def certified_examples(
    vote: Vote,
    inputs: Float[np.ndarray, "examples features"],
    mean: Float[np.ndarray, " features"],
    rows: Int[np.ndarray, " examples"],
    labels: Int[np.ndarray, " examples"],
) -> pd.DataFrame:
    """One row per example and kind of change.

    Columns: example, change, right (whether the vote is), certified (changed inputs up to which
    the vote cannot change; infinite where none is enough), enough (silenced inputs with which the
    greedy attack changed it; infinite where it failed, null for arbitrary changes).
    """
    named = votes(vote, inputs)
    right = counted(named, vote.weight.shape[0]).argmax(axis=1) == labels
    parts = []
    for change, replacement in zip(CHANGES, (None, mean, np.zeros_like(mean)), strict=True):
        if replacement is None:
            needed = votes_needed(named, vote.weight.shape[0])
            enough = np.full(len(inputs), np.nan)
        else:
            needed = silenced_needed(vote, inputs, replacement)
            enough = silenced_enough(vote, inputs, replacement)
        facts = {"example": rows, "change": change, "right": right}
        parts.append(pd.DataFrame(facts | {"certified": needed - 1, "enough": enough}))
    return pd.concat(parts, ignore_index=True)


def certified_curve(table: pd.DataFrame, sample: Sample) -> pd.DataFrame:
    """Share of all examples that are right and stay so at each number of changed inputs.

    Columns: change, changed, certified with its interval (at least so many stay right, whatever
    is changed), attacked (share that the greedy attack leaves right; at most so many stay right).
    """
    rows = []
    for change, mine in table.groupby("change", sort=False):
        right = mine["right"].to_numpy()
        certified, enough = mine["certified"].to_numpy(), mine["enough"].to_numpy()
        finite = np.concatenate([certified, enough])
        finite = finite[np.isfinite(finite)]
        for k in range(int(finite.max(initial=0)) + 1):
            share = sample.rate((right & (certified >= k))[None])
            left = sample.rate((right & ~(enough <= k))[None]).value
            attacked = np.nan if np.isnan(enough).all() else left
            rows.append((change, k, *share, attacked))
    return pd.DataFrame(rows, columns=CERTIFICATE.names)
