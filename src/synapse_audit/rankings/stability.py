"""How much of a ranking survives another sample of ``fit``.

In: a :class:`RankingContext` and its rankings. Out: a table, one row per method and layer. It
imports the table of methods, so no method and not the package itself may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from synapse_audit.artifacts import GLOBAL, Probe, Ranking, Splits
from synapse_audit.neurons import Scores, count
from synapse_audit.probes import Design
from synapse_audit.probes.solver import reduce, solve
from synapse_audit.rankings import RankingContext, rank
from synapse_audit.rankings.attributions import Attributions
from synapse_audit.statistics import resampled_counts
from synapse_audit.tables.run import STABILITY

TOP = 0.1
"""Share of each layer's neurons whose survival is measured."""

REFIT_TOLERANCE = 1e-2
"""Of the probe's solver: which neurons lead is settled long before the probabilities are."""


def stability(
    context: RankingContext,
    rankings: Mapping[str, Ranking],
    *,
    resamples: int,
    groups: Int[np.ndarray, " examples"] | None = None,
) -> pd.DataFrame:
    """Overlap of each layer's top tenth with the top tenth found on a bootstrap of ``fit``.

    ``overlap`` is the mean over resamples of |A ∩ B| / k, A from all of ``fit``, B from the
    resample; ``overlap_low`` and ``overlap_high`` are the 2.5 to 97.5 % range of the resamples.
    ``chance`` = k / neurons. Resamples are stratified by class, by group where there are groups.
    Probes are fitted again with the strength that ``select`` chose once. Gradient rankings are
    averaged again over a resample of their own examples. ``random`` is keyed by the seed and left
    out. Limits: a resample holds 63 % of the examples, so two samples of the full size agree more
    than this, and sharing those 63 % they would agree less; neurons that are near copies of each
    other change places and look unstable.
    """
    steady = {name: ranking for name, ranking in rankings.items() if name != "random"}
    found: dict[tuple[str, int], list[float]] = {}
    for other in _resampled(context, groups, resamples):
        for name, ranking in steady.items():
            again = rank(name, other).scores[GLOBAL]
            for layer, share in enumerate(_overlaps(ranking.scores[GLOBAL], again)):
                found.setdefault((name, layer), []).append(share)
    rows = [_row(*key, shares, context) for key, shares in sorted(found.items())]
    return pd.DataFrame(rows, columns=STABILITY.names)


def shared(
    first: Float[np.ndarray, " neurons"], second: Float[np.ndarray, " neurons"], k: int
) -> float:
    """|A ∩ B| / k of the k highest of each, expected where equal scores are in random order."""
    return float((_places(first, k) * _places(second, k)).sum() / k)


def _places(scores: Float[np.ndarray, " neurons"], k: int) -> Float[np.ndarray, " neurons"]:
    """How sure each neuron is to be among the k highest."""
    last = np.sort(scores)[-k]
    above, equal = scores > last, scores == last
    return above + equal * ((k - above.sum()) / equal.sum())


def _row(
    method: str, layer: int, shares: Sequence[float], context: RankingContext
) -> tuple[object, ...]:
    width = context.activations.widths[layer]
    k = count(TOP, width)
    known = np.array(shares)[~np.isnan(shares)]
    if not len(known):
        return method, layer, 0, TOP, k, np.nan, np.nan, np.nan, k / width
    low, high = np.quantile(known, [0.025, 0.975])
    return method, layer, len(known), TOP, k, known.mean(), low, high, k / width


def _overlaps(first: Scores, second: Scores) -> list[float]:
    sizes = [count(TOP, len(scores)) for scores in first]
    # A layer whose scores are all equal (a [CLS] embedding never varies) is ranked by nothing.
    ranked = [
        k > 0 and np.ptp(one) > 0 and np.ptp(two) > 0
        for k, one, two in zip(sizes, first, second, strict=True)
    ]
    return [
        shared(np.asarray(first[m]), np.asarray(second[m]), k) if ranked[m] else np.nan
        for m, k in enumerate(sizes)
    ]


def _resampled(
    context: RankingContext, groups: Int[np.ndarray, " examples"] | None, resamples: int
) -> list[RankingContext]:
    fit = context.splits.fit
    times = resampled_counts(
        context.fit_labels,
        groups=None if groups is None else groups[fit],
        resamples=resamples,
        seed=context.seed,
    )
    drawn = [np.repeat(fit, resample) for resample in times.T]
    # Whole groups may leave a class out; with one class left there is nothing to rank by.
    return [
        _again(context, rows, number)
        for number, rows in enumerate(drawn)
        if len(np.unique(context.labels[rows])) > 1
    ]


def _again(context: RankingContext, rows: Int[np.ndarray, " fit"], number: int) -> RankingContext:
    """The same context with other ``fit`` rows (with repeats) and probes fitted on them.

    What starts from random weights (``paper``) starts from others each time.
    """
    splits = Splits(rows, context.splits.select, context.splits.evaluate)
    other = replace(context, splits=splits, seed=context.seed + 1 + number)
    probes = tuple(_refit(other, probe) for probe in context.probes if probe.scope.isdigit())
    return replace(other, probes=probes, attributions=_redrawn(context.attributions, rows))


def _refit(context: RankingContext, probe: Probe) -> Probe:
    values = context.activations.layers[int(probe.scope)]
    reduced = reduce(Design.fitted([values], context.splits.fit))
    own = context.fit_labels[:, None] == np.asarray(context.present)
    solution = reduced.lift(
        solve(reduced, own.astype(np.float64), strength=probe.strength, tolerance=REFIT_TOLERANCE)
    )
    weights = np.zeros_like(probe.weights)
    weights[list(context.present)] = solution.weights - solution.weights.mean(axis=0)
    return replace(probe, weights=weights)


def _redrawn(
    attributions: Attributions | None, rows: Int[np.ndarray, " fit"]
) -> Attributions | None:
    """The attributed examples, each as often as the resample holds it."""
    if attributions is None:
        return None
    names, times = np.unique(rows, return_counts=True)
    held = dict(zip(names.tolist(), times.tolist(), strict=True))
    places = np.repeat(
        np.arange(len(attributions.rows)), [held.get(int(row), 0) for row in attributions.rows]
    )
    return Attributions(
        rows=attributions.rows[places],
        gradients=tuple(layer[places] for layer in attributions.gradients),
        conductances=tuple(layer[places] for layer in attributions.conductances),
        gap=attributions.gap[places],
        span=attributions.span[places],
    )
