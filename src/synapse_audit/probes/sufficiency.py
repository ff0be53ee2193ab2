"""How few neurons carry the probe, and how many disjoint sets of them do.

In: activations, labelled data, splits, one ranking. Out: a table with one row per set of neurons.
Source: minimal sufficient sets after Dalvi et al. 2020 (arXiv 2004.04010) and Durrani et al. 2020
(arXiv 2010.02695).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from synapse_audit import neurons
from synapse_audit.artifacts import GLOBAL, Activations, LabelledData, Ranking, Splits
from synapse_audit.memory import Allocate, in_memory, release_memory
from synapse_audit.neurons import NeuronSet, Scores
from synapse_audit.probes.design import Design
from synapse_audit.probes.fit import SEARCH, Task, choose_strength
from synapse_audit.probes.solver import reduce, solve
from synapse_audit.statistics import resampled_weights, weighted_shares, wilson
from synapse_audit.tables.run import SUFFICIENCY

FRACTIONS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Share of each layer's neurons."""
TOLERANCE = 0.01
"""A set is sufficient within this much of the full probe's accuracy, or within one example where
one weighs more."""
RESAMPLES = 400
"""Bootstrap resamples of ``select`` behind the range of the smallest sufficient set."""
ROUNDING = 1e-9
MAX_SETS = 10
"""The search for disjoint sets stops here; more may exist."""


class Score(NamedTuple):
    """Weighted accuracy of the probe on one set of neurons."""

    select: float
    evaluate: float
    right: Bool[np.ndarray, " select"]
    """Which examples of ``select`` it predicts as labelled."""


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
        predicted = design.on(splits.select).map(probe.predict)
        reported = design.on(splits.evaluate).map(probe.predict)
        return Score(
            task.accuracy(predicted, splits.select),
            task.accuracy(reported, splits.evaluate),
            predicted == task.labels[splits.select],
        )

    def tolerance(self, rows: Int[np.ndarray, " rows"]) -> float:
        """:data:`TOLERANCE`, or the share of the heaviest example where that is more."""
        weights = self.task.weights[rows]
        return max(TOLERANCE, float(weights.max() / weights.sum())) + ROUNDING

    def suffices(self, chosen: NeuronSet) -> bool:
        """Whether the set comes within the tolerance of the full probe on ``select``."""
        least = self.score(self.full).select - self.tolerance(self.splits.select)
        return self.score(chosen).select >= least

    def holds(self, chosen: NeuronSet) -> bool:
        """Whether it does so on ``evaluate``, where nothing was chosen."""
        least = self.score(self.full).evaluate - self.tolerance(self.splits.evaluate)
        return self.score(chosen).evaluate >= least


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

    Sufficient = accuracy on ``select`` within :data:`TOLERANCE` (or one example) of the probe on
    all neurons; ``holds`` = the same on ``evaluate``, where no set was chosen. The disjoint sets
    are found greedily; at most :data:`MAX_SETS` are searched for, and none where the best constant
    is sufficient too (then there is nothing to carry). ``fewest_low`` and ``fewest_high``: the
    2.5 to 97.5 % range, over resamples of ``select``, of the size of the smallest sufficient set
    among the ranked and the disjoint ones; the same in every row. The strength is chosen once, on
    all neurons, and scaled by the number of neurons, so that strength × total variance stays the
    same. Accuracies are weighted; intervals are Wilson's with the effective sample size (Σw)²/Σw²
    of ``evaluate``.

    Args:
        allocate: where the principal coordinates of the ``fit`` examples lie.

    Returns:
        Columns of ``tables.run.SUFFICIENCY``; ``draw`` is null for ``top``; ``fraction`` of a
        disjoint set is its share of all neurons of the blocks.

    Raises:
        DataError: ``fit`` holds fewer than two classes.
    """
    bench = Bench(activations, data, splits, allocate)
    rows = [*_curves(bench, ranking, seed, draws), *_disjoint(bench, ranking)]
    low, high = _fewest(bench, [row.chosen for row in rows if row.selection != "random"], seed)
    return _table(ranking.method, rows, bench).assign(fewest_low=low, fewest_high=high)


def _fewest(bench: Bench, sets: Sequence[NeuronSet], seed: int) -> tuple[float, float]:
    """Range over resamples of ``select`` of the size of the smallest sufficient set."""
    rows, task = bench.splits.select, bench.task
    resampled = resampled_weights(
        task.labels[rows], task.weights[rows], resamples=RESAMPLES, seed=seed
    )
    everything = bench.score(bench.full).right
    right = np.array([bench.score(chosen).right for chosen in sets])
    least = weighted_shares(everything[None], resampled) - bench.tolerance(rows)
    enough = weighted_shares(right, resampled) >= least
    sizes = np.array([len(chosen) for chosen in sets], dtype=np.float64)
    fewest = np.where(enough, sizes[:, None], float(len(bench.full))).min(axis=0)
    return (
        float(np.quantile(fewest, 0.025, method="lower")),
        float(np.quantile(fewest, 0.975, method="higher")),
    )


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
    least = bench.score(full).select - bench.tolerance(bench.splits.select)
    if bench.task.majority(bench.splits.select) >= least:
        return
    left = full
    for number in range(MAX_SETS):
        found = _smallest(bench, ranking.scores[GLOBAL], left)
        if found is None:
            return
        yield Row("disjoint", number, len(found) / len(full), found)
        left = left - found


def _smallest(bench: Bench, scores: Scores, left: NeuronSet) -> NeuronSet | None:
    """The smallest sufficient top fraction of the neurons left; None where all do not suffice."""
    banned = bench.full - left
    masked = _without(scores, banned)
    for fraction in FRACTIONS:
        chosen = neurons.top(masked, fraction, bench.blocks) - banned
        if len(chosen) and bench.suffices(chosen):
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
        ends = (float(bounds.low), float(bounds.high))
        verdict = (bench.suffices(row.chosen), bench.holds(row.chosen))
        records.append((*given, score.select, score.evaluate, *ends, *verdict))
    table = pd.DataFrame(records, columns=SUFFICIENCY.names[:-2])
    return table.astype({"draw": "Int64"})
