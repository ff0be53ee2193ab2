"""How few neurons carry the probe, and how many disjoint sets of them do.

In: activations, labelled data, splits, one ranking. Out: a table with one row per set of neurons.
Source: minimal sufficient sets after Dalvi et al. 2020 (arXiv 2004.04010) and Durrani et al. 2020
(arXiv 2010.02695).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from synapse_audit import neurons
from synapse_audit.artifacts import GLOBAL, Activations, LabelledData, Ranking, Splits
from synapse_audit.memory import Allocate, in_memory, release_memory
from synapse_audit.neurons import NeuronSet, Scores
from synapse_audit.probes.design import Design
from synapse_audit.probes.fit import SEARCH, Task, choose_strength
from synapse_audit.probes.solver import reduce, solve
from synapse_audit.statistics import wilson

FRACTIONS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Share of each layer's neurons."""
TOLERANCE = 0.01
"""A set is sufficient within this much of the full probe's accuracy on ``select``."""
MAX_SETS = 10
"""The search for disjoint sets stops here; more may exist."""
COLUMNS = (
    "ranking",
    "selection",
    "draw",
    "k",
    "fraction",
    "select_accuracy",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
)


class Score(NamedTuple):
    """Weighted accuracy of the probe on one set of neurons."""

    select: float
    evaluate: float


class Row(NamedTuple):
    """One set of neurons and why it was chosen."""

    selection: str
    draw: int | None
    fraction: float
    """Of each layer's neurons; for a disjoint set, of all neurons of the blocks."""
    chosen: NeuronSet


class Bench:
    """Fits the joint probe on any set of neurons of blocks 1 to L; each set once."""

    def __init__(
        self,
        activations: Activations,
        data: LabelledData,
        splits: Splits,
        allocate: Allocate = in_memory,
    ) -> None:
        self.widths, self.blocks = activations.widths, activations.blocks
        self.splits, self.task = splits, Task.of(data, splits)
        self._allocate = allocate
        self._design = Design.fitted([activations.layers[m] for m in self.blocks], splits.fit)
        self._scores: dict[NeuronSet, Score] = {}
        self._variance = self._choose_variance()

    @property
    def full(self) -> NeuronSet:
        """Every neuron of blocks 1 to L."""
        return NeuronSet(()).complement(self.widths, self.blocks)

    def score(self, chosen: NeuronSet) -> Score:
        """Accuracy on ``select`` and on ``evaluate`` of the probe on these neurons."""
        if chosen not in self._scores:
            self._scores[chosen] = self._fit(chosen)
            release_memory()
        return self._scores[chosen]

    def _choose_variance(self) -> float:
        reduced = reduce(self._design, self._allocate)
        select = self._design.on(self.splits.select)
        chosen = choose_strength(reduced, self.task, self.splits, select)
        return chosen.strength * self._design.shape[1]

    def _fit(self, chosen: NeuronSet) -> Score:
        parts = dict(zip(self.blocks, self._design.parts, strict=True))
        some = tuple(parts[m].take(ids) for m, ids in chosen.by_layer.items())
        design, splits, task = Design(some, self.splits.fit), self.splits, self.task
        reduced = reduce(design, self._allocate)
        found = solve(
            reduced,
            task.targets(task.labels[splits.fit]),
            strength=self._variance / len(chosen),
            tolerance=SEARCH,
        )
        probe = task.complete(reduced.lift(found))
        held_out = (splits.select, splits.evaluate)
        return Score(
            *(task.accuracy(design.on(rows).map(probe.predict), rows) for rows in held_out)
        )


def sufficiency(
    activations: Activations,
    data: LabelledData,
    splits: Splits,
    ranking: Ranking,
    *,
    seed: int,
    draws: int = 5,
    allocate: Allocate = in_memory,
) -> pd.DataFrame:
    """Probe accuracy of ever more neurons, ranked or drawn, and of disjoint sufficient sets.

    | selection | the neurons of a row |
    |---|---|
    | top | the ranking's (global) top fraction within each block |
    | random | as many per block, from nested seeded permutations; ``draw`` 0 to ``draws`` − 1 |
    | disjoint | ``draw``-th sufficient set: the smallest sufficient fraction of what is left |

    Sufficient = accuracy on ``select`` within :data:`TOLERANCE` of the probe on all neurons. The
    disjoint sets are found greedily, so their number is a lower bound; at most :data:`MAX_SETS`
    are searched for, and none where the best constant is sufficient too (then there is nothing to
    carry). The strength is chosen once, on all neurons, and scaled by the number of neurons, so
    that strength × total variance stays the same. Accuracies are weighted; intervals are Wilson's
    with the effective sample size (Σw)²/Σw² of ``evaluate``.

    Args:
        allocate: where the principal coordinates of the ``fit`` examples lie.

    Returns:
        Columns :data:`COLUMNS`; ``draw`` is null for ``top``; ``fraction`` of a disjoint set is
        its share of all neurons of the blocks.

    Raises:
        DataError: ``fit`` holds fewer than two classes.
    """
    bench = Bench(activations, data, splits, allocate)
    rows = [*_curves(bench, ranking, seed, draws), *_disjoint(bench, ranking)]
    return _table(ranking.method, rows, bench)


def _curves(bench: Bench, ranking: Ranking, seed: int, draws: int) -> Iterable[Row]:
    scores = ranking.scores[GLOBAL]
    for fraction in FRACTIONS:
        chosen = neurons.top(scores, fraction, bench.blocks)
        if len(chosen) == 0:  # narrow layers: the fraction means no neuron at all
            continue
        yield Row("top", None, fraction, chosen)
        for draw in range(draws):
            random_control = neurons.random_draw(bench.widths, chosen.counts, draw, seed)
            yield Row("random", draw, fraction, random_control)


def _disjoint(bench: Bench, ranking: Ranking) -> Iterable[Row]:
    full = bench.full
    wanted = bench.score(full).select - TOLERANCE
    if bench.task.majority(bench.splits.select) >= wanted:
        return
    left = full
    for number in range(MAX_SETS):
        found = _smallest(bench, ranking.scores[GLOBAL], left, wanted)
        if found is None:
            return
        yield Row("disjoint", number, len(found) / len(full), found)
        left = left - found


def _smallest(bench: Bench, scores: Scores, left: NeuronSet, wanted: float) -> NeuronSet | None:
    """The smallest sufficient top fraction of the neurons left; None where all do not suffice."""
    banned = bench.full - left
    masked = _without(scores, banned)
    for fraction in FRACTIONS:
        chosen = neurons.top(masked, fraction, bench.blocks) - banned
        if len(chosen) and bench.score(chosen).select >= wanted:
            return chosen
    return None


def _without(scores: Scores, banned: NeuronSet) -> Scores:
    masked = [np.array(values, dtype=np.float64) for values in scores]
    for layer, ids in banned.by_layer.items():
        masked[layer][ids] = -np.inf
    return masked


def _table(method: str, rows: Iterable[Row], bench: Bench) -> pd.DataFrame:
    weights = bench.task.weights[bench.splits.evaluate]
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    records = []
    for row in rows:
        score = bench.score(row.chosen)
        bounds = wilson(score.evaluate * effective, effective)
        given = (method, row.selection, row.draw, len(row.chosen), row.fraction)
        records.append((*given, *score, float(bounds.low), float(bounds.high)))
    table = pd.DataFrame(records, columns=list(COLUMNS))
    return table.astype({"draw": "Int64"})
