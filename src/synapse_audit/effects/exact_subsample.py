"""Probabilities only where they are exact.

A two-phase cell holds the stream route's probabilities on the examples that were not run exactly.
They serve no statement about confidence or scores, so such a cell is read on its exact examples
alone, each counting for as many as it stands for, and every class for the weight that it has among
all (:class:`PoststratifiedWeights`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, Evidence
from synapse_audit.effects import NO_CLASS, Scored
from synapse_audit.effects.curves import draw_range, random_controls, where
from synapse_audit.effects.poststratified import PoststratifiedWeights, sample_weights
from synapse_audit.effects.two_phase import Phases
from synapse_audit.memory import row_chunks
from synapse_audit.tables.run import NAMING

NAMES = [column.name for column in NAMING]
"""Columns of ``effects`` that name a cell."""

DRAWN = ("random", "matched", "keep_random")
"""Selections drawn at random: their draws' range stands in for an interval."""

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
    """The actions by what they are exact on, a few at a time.

    Actions that are exact throughout come first; every estimated one has examples of its own.
    """
    rows, direct = evidence.outcomes.rows(actions), evidence.outcomes.direct
    everyone = whole(evidence)
    partial = np.zeros(len(rows), bool) if direct is None else direct.estimated[rows]
    complete = np.flatnonzero(~partial)
    if len(complete):
        for some in row_chunks(len(complete), len(everyone.known)):
            part = complete[some]
            yield everyone._replace(places=part, rows=rows[part])
    if direct is None:
        return
    labels = evidence.predictions.labels
    weights, resampled = (
        PoststratifiedWeights.of(labels, w) for w in (everyone.weights, everyone.resampled)
    )
    sampled = np.where(direct.exact_on_sample[rows], direct.sampled[rows], -1)
    for place in np.flatnonzero(partial & (sampled < 0)):
        design_weight = direct.design_weight[rows[place]]
        raised = weights.exact(design_weight), resampled.exact(design_weight)
        yield Sample(np.array([place]), rows[[place]], np.flatnonzero(design_weight), *raised)
    for number in np.unique(sampled[sampled >= 0]):
        places = np.flatnonzero(sampled == number)
        sample = sample_weights(direct, int(number), everyone.weights, everyone.resampled)
        for some in row_chunks(len(places), len(sample.known)):
            mine = places[some]
            yield Sample(mine, rows[mine], *sample)


class ExactExamples(NamedTuple):
    """What several actions are exact on, one action per row; short rows are filled up."""

    places: Int[np.ndarray, " chosen"]
    """Positions in the list of actions."""
    rows: Int[np.ndarray, " chosen"]
    """Of the outcomes."""
    known: Int[np.ndarray, "chosen width"]
    """Positions of the exact examples, ascending; a row is filled up with its first one."""
    weights: Float[np.ndarray, "chosen width"]
    """0 where a row is filled up."""
    n: Int[np.ndarray, " chosen"]
    """How many examples each action is exact on: those first in its row."""

    @property
    def met(self) -> Bool[np.ndarray, "chosen width"]:
        """Where a row is not filled up."""
        return np.arange(self.known.shape[1]) < self.n[:, None]


def exact_examples(evidence: Evidence, actions: Sequence[str]) -> Iterator[ExactExamples]:
    """The actions with what each is exact on, many at a time, for averages without intervals.

    The same weights as :func:`samples`, which takes estimated actions one by one since each has
    its own matrix of resampled weights.
    """
    rows, direct = evidence.outcomes.rows(actions), evidence.outcomes.direct
    weights, partial = whole(evidence).weights, np.zeros(len(rows), bool)
    if direct is not None:
        partial = direct.estimated[rows]
        sampled = np.where(direct.exact_on_sample[rows], direct.sampled[rows], -1)
        alone = np.flatnonzero(partial & (sampled < 0))
        # Rows as long as their neighbours need hardly be filled up.
        alone = alone[np.argsort(direct.n_exact[rows[alone]], kind="stable")]
        raised = PoststratifiedWeights.of(evidence.predictions.labels, weights)
        for some in row_chunks(len(alone), len(weights)):
            yield _filled_up(alone[some], rows, direct.design_weight, raised)
        for number in np.unique(sampled[sampled >= 0]):
            sample = sample_weights(direct, int(number), weights, weights)
            shared = sample.known, sample.weights[:, 0]
            yield from _sharing(np.flatnonzero(sampled == number), rows, *shared)
    yield from _sharing(np.flatnonzero(~partial), rows, np.arange(len(weights)), weights[:, 0])


def _sharing(
    places: Int[np.ndarray, " chosen"],
    rows: Int[np.ndarray, " actions"],
    known: Int[np.ndarray, " exact"],
    weights: Float[np.ndarray, " exact"],
) -> Iterator[ExactExamples]:
    """Actions that are exact on the same examples."""
    for some in row_chunks(len(places), len(known)):
        mine = places[some]
        shape = len(mine), len(known)
        places_of, weights_of = (np.broadcast_to(array, shape) for array in (known, weights))
        n = np.full(len(mine), len(known))
        yield ExactExamples(mine, rows[mine], places_of, weights_of, n)


def _filled_up(
    places: Int[np.ndarray, " chosen"],
    rows: Int[np.ndarray, " actions"],
    design_weight: Float[np.ndarray, "outcomes examples"],
    raised: PoststratifiedWeights,
) -> ExactExamples:
    """Actions that are exact on examples of their own."""
    times = design_weight[rows[places]].astype(np.float64)
    n = np.count_nonzero(times, axis=1)
    known = np.argsort(times == 0, axis=1, kind="stable")[:, : n.max(initial=0)]
    weights = np.take_along_axis(raised.of_many(times), known, axis=1)
    # Of others there may be no probability at all.
    known = np.where(np.arange(known.shape[1]) < n[:, None], known, known[:, :1])
    return ExactExamples(places, rows[places], known, weights, n)


def whole(evidence: Evidence) -> Sample:
    """All examples, for what the untouched model says: its probabilities are all exact."""
    none = np.zeros(0, dtype=np.int64)
    weights = evidence.weights.astype(np.float64)[:, None]
    return Sample(none, none, np.arange(len(weights)), weights, evidence.resampled)


def population(
    weights: Float[np.ndarray, "examples 1"], resampled: Float[np.ndarray, "examples resamples"]
) -> Scored:
    """Weighted examples for metrics that count marked ones, whatever marks them."""
    none = np.zeros(len(weights), dtype=np.int64)
    return Scored(
        labels=none,
        clean=none,
        phases=Phases(np.zeros((1, len(weights)), dtype=np.uint16)),
        kl=np.zeros((1, len(weights)), dtype=np.float32),
        target=np.array([NO_CLASS]),
        source=np.array([NO_CLASS]),
        n_classes=1,
        weights=weights,
        resampled=resampled.astype(np.float32, copy=False),
    )


def drawn(cells: pd.DataFrame) -> Bool[np.ndarray, " cells"]:
    """Rows that are one draw of several."""
    return (cells["selection"].isin(DRAWN) | cells["draw"].notna()).to_numpy(dtype=bool)


def removal_curves(
    evidence: Evidence, cells: pd.DataFrame, measures: Sequence[str]
) -> pd.DataFrame:
    """Measures over the share silenced: headline ranking, and the mean of the random controls.

    For the random controls ``_low`` and ``_high`` are the 2.5 to 97.5 % range over ``draws``; ``n``
    is the smallest number of exact examples. One row per operator, selection and fraction.
    """
    ends = [f"{name}{end}" for name in measures for end in ("", "_low", "_high")]
    columns = [*REMOVAL_KEYS, "n", *ends, "draws"]
    ranking = evidence.grid.rankings[0]
    rows = cells[cells["group"].isin(REMOVAL_GROUPS)]
    ranked = where(rows, {"selection": "top", "ranking": ranking, "ranked_for": GLOBAL})
    beside = random_controls(rows, ranking)
    table = draw_range(beside, REMOVAL_KEYS, {name: name for name in measures})
    table["n"] = beside.groupby(REMOVAL_KEYS, dropna=False, sort=True)["n"].min().to_numpy()
    parts = [part.reindex(columns=columns) for part in (ranked, table) if len(part)]
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts, ignore_index=True).sort_values(REMOVAL_KEYS, ignore_index=True)
