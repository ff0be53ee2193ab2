"""Probabilities only where they are exact.

A two-phase cell holds the stream route's probabilities on the examples that were not run exactly.
They serve no statement about confidence or scores, so such a cell is read on its exact examples
alone, each class weighted up to the weight it has among all (:func:`exact_weights`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import GLOBAL, Evidence
from synapse_audit.findings.curves import HEADLINE, draw_range, twins, where
from synapse_audit.metrics import NOBODY, Scored

NAMES = [
    *("cell", "space", "operator", "strength", "site", "position", "layers", "ranking"),
    *("ranked_for", "selection", "fraction", "draw", "target", "parameter"),
]
"""Columns of ``effects`` that name a cell."""

DRAWN = ("random", "matched", "keep_random")
"""Selections drawn at random: their draws' range stands in for an interval."""

AT_ONCE = 256
"""Rows per product with the resamples; bounds memory."""


REMOVAL_KEYS = ["operator", "selection", "fraction"]


class Sample(NamedTuple):
    """Actions that share the same exact examples, and those examples."""

    places: Int[np.ndarray, " chosen"]
    """Positions in the list of actions."""
    rows: Int[np.ndarray, " chosen"]
    """Of the outcomes."""
    known: Int[np.ndarray, " exact"]
    """Positions of the exact examples."""
    weights: Float[np.ndarray, "exact 1"]
    resampled: Float[np.ndarray, "exact resamples"]


def samples(evidence: Evidence, actions: Sequence[str]) -> Iterator[Sample]:
    """The actions by what they are exact on, at most ``AT_ONCE`` at a time."""
    rows, labels = evidence.outcomes.rows(actions), evidence.predictions.labels
    for known, places in _groups(evidence, rows):
        weights = exact_weights(labels, evidence.weights.astype(np.float64)[:, None], known)
        drawn = (evidence.counts * evidence.weights).T.astype(np.float32)
        resampled = exact_weights(labels, drawn, known)
        for start in range(0, len(places), AT_ONCE):
            part = places[start : start + AT_ONCE]
            yield Sample(part, rows[part], np.flatnonzero(known), weights, resampled)


def whole(evidence: Evidence) -> Sample:
    """All examples, for what the untouched model says: its probabilities are all exact."""
    nobody = np.zeros(0, dtype=np.int64)
    weights = evidence.weights.astype(np.float64)[:, None]
    drawn = np.ascontiguousarray((evidence.counts * evidence.weights).T, dtype=np.float32)
    return Sample(nobody, nobody, np.arange(len(weights)), weights, drawn)


def exact_weights(
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, "examples draws"],
    known: Bool[np.ndarray, " examples"],
) -> Float[np.ndarray, "exact draws"]:
    """Weights of the exact examples, raised so that every class keeps its total in every draw.

    A class without an exact example in a draw is left out of that draw.
    """
    if known.all():
        return np.ascontiguousarray(weights)
    members = np.equal.outer(np.unique(labels), labels).astype(weights.dtype)
    whole_, part = members @ weights, members[:, known] @ weights[known]
    growth = np.divide(whole_, part, out=np.zeros_like(whole_), where=part > 0)
    ours = np.searchsorted(np.unique(labels), labels[known])
    return weights[known] * growth[ours]


def population(
    weights: Float[np.ndarray, "examples 1"], resampled: Float[np.ndarray, "examples resamples"]
) -> Scored:
    """Weighted examples for metrics that count marked ones, whatever marks them."""
    none = np.zeros(len(weights), dtype=np.int64)
    return Scored(
        labels=none,
        clean=none,
        predicted=np.zeros((1, len(weights)), dtype=np.uint16),
        kl=np.zeros((1, len(weights)), dtype=np.float32),
        target=np.array([NOBODY]),
        source=np.array([NOBODY]),
        n_classes=1,
        weights=weights,
        resampled=resampled.astype(np.float32),
    )


def drawn(cells: pd.DataFrame) -> Bool[np.ndarray, " cells"]:
    """Rows that are one draw of several."""
    return (cells["selection"].isin(DRAWN) | cells["draw"].notna()).to_numpy(dtype=bool)


def headline_names(evidence: Evidence) -> dict[str, object]:
    """What names the cells of the headline removal curve."""
    named = {"selection": "top", "ranking": evidence.grid.rankings[0], "ranked_for": GLOBAL}
    return {**HEADLINE, **named}


def removal_curves(
    evidence: Evidence, cells: pd.DataFrame, measures: Sequence[str]
) -> pd.DataFrame:
    """Measures over the share silenced: headline ranking, and the mean of the random twins.

    For the twins ``_low`` and ``_high`` are the 2.5 to 97.5 % range over ``draws``; ``n`` is the
    smallest number of exact examples. One row per operator, selection and fraction.
    """
    ends = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    columns = [*REMOVAL_KEYS, "n", *ends, "draws"]
    named = {k: v for k, v in headline_names(evidence).items() if k != "operator"}
    shared = {
        k: named.pop(k) for k in ("space", "site", "parameter", "target", "position", "layers")
    }
    rows = where(cells, shared)
    rows = rows[rows["fraction"].notna()]
    beside = twins(rows, evidence.grid.rankings[0])
    table = draw_range(beside, REMOVAL_KEYS, {name: name for name in measures})
    table["n"] = beside.groupby(REMOVAL_KEYS, dropna=False, sort=True)["n"].min().to_numpy()
    parts = [part.reindex(columns=columns) for part in (where(rows, named), table) if len(part)]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True).sort_values(REMOVAL_KEYS, ignore_index=True)


def _groups(
    evidence: Evidence, rows: Int[np.ndarray, " rows"]
) -> Iterator[tuple[Bool[np.ndarray, " examples"], Int[np.ndarray, " chosen"]]]:
    """(which examples are exact, positions of the actions that share them)."""
    every = np.ones(len(evidence.weights), dtype=bool)
    if not len(rows):
        return
    if evidence.outcomes.direct is None:
        yield every, np.arange(len(rows))
        return
    masks, member = np.unique(evidence.outcomes.direct.exact[rows], axis=0, return_inverse=True)
    for number, known in enumerate(masks):
        yield known, np.flatnonzero(member.reshape(-1) == number)
