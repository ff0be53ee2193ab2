"""Agreement: do rankings name the same neurons, which one is worth most, and are they steady?

In: every ranking, their stability, the removal cells. Out: eight tables and the figure
``agreement``. Source: Fan et al. 2023 (arXiv 2301.12608) for the votes; Antverg & Belinkov 2022
(arXiv 2110.07483) for readable against used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import GLOBAL, Evidence, Finding
from synapse_audit.effects.selection import largest_of
from synapse_audit.findings.rankings.effectiveness import dissociated_table, effectiveness_table
from synapse_audit.findings.rankings.votes import (
    average_overlap,
    chance_jaccard,
    leaders,
    neuron_vote,
    spearman,
    top_set,
)
from synapse_audit.neurons import Scores, count
from synapse_audit.neurons.addresses import DEFAULT_SITE, Address
from synapse_audit.neurons.dissociation import READABLE, contrasts, percentiles, used
from synapse_audit.summary import Figure
from synapse_audit.tables.agreement import (
    CORRELATION,
    DISSOCIATION,
    NEURONS,
    OVERLAP,
    STABILITY,
    VOTES,
)

FRACTIONS = (0.05, 0.1, 0.2, 0.5)
"""Sizes of top sets that are compared."""

HEADLINE_FRACTION = 0.1
"""Where the summary quotes overlaps and dissociated sets."""

NAMED = 5
"""Dissociated neurons listed per layer and kind."""

CONTROL = "random"
"""A ranking that does not vote and is shown beside the others."""


NO_PAIR = "fewer than two rankings were computed"


def agreement(evidence: Evidence) -> Finding:
    """Whether the rankings agree, over neurons, in effect and over resamples."""
    scores = {name: r.scores[GLOBAL] for name, r in evidence.rankings.items()}
    tables = {
        "correlation": correlation_table(scores),
        "overlap": overlap_table(scores),
        "votes": votes_table(scores),
        "effectiveness": effectiveness_table(evidence),
        "stability": stability_table(evidence),
        "dissociation": dissociation_table(scores),
        "neurons": neurons_table(scores),
        "dissociated": dissociated_table(evidence),
    }
    return Finding("agreement", tables, {"agreement": summarise(tables)})


# ---- tables of rankings --------------------------------------------------------------------------


def correlation_table(scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Spearman's rank correlation of every pair; a null layer is the mean over blocks 1 to L.

    NaN where a ranking is constant in a layer; the mean leaves such layers out.
    """
    rows = [
        (layer, first, second, spearman(scores[first][layer], scores[second][layer]))
        for first, second in combinations(scores, 2)
        for layer in range(len(scores[first]))
    ]
    return _with_mean(rows, CORRELATION.names, ["first", "second"])


def overlap_table(scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Shared share of the top sets of every pair: |A ∩ B| / k, by chance k / neurons.

    NaN where a ranking is constant in a layer.
    """
    rows = [
        (layer, first, second, fraction, *_overlap(a, b, fraction))
        for first, second in combinations(scores, 2)
        for fraction in FRACTIONS
        for layer, (a, b) in enumerate(zip(scores[first], scores[second], strict=True))
    ]
    return _with_mean(rows, OVERLAP.names, ["first", "second", "fraction"])


def _overlap(a: np.ndarray, b: np.ndarray, fraction: float) -> tuple[int, float, float]:
    k = count(fraction, len(a))
    first, second = top_set(a, fraction), top_set(b, fraction)
    share = len(first & second) / k if first and second else np.nan
    return k, share, k / len(a)


def votes_table(scores: Mapping[str, Scores]) -> pd.DataFrame:
    """NeuronVote and AvgOverlap of each ranking against all others; ``random`` never votes.

    Both are Jaccard indices, and ``chance`` is that of a random set of the same size. Limits: a
    ranking far from the others may be wrong or may see what they miss; near copies elect each
    other.
    """
    rows = [
        (layer, method, fraction, *_votes(scores, method, fraction, layer))
        for method in scores
        if len([name for name in scores if name not in (method, CONTROL)])
        for fraction in FRACTIONS
        for layer in range(len(scores[method]))
    ]
    return _with_mean(rows, VOTES.names, ["method", "fraction"])


def _votes(
    scores: Mapping[str, Scores], method: str, fraction: float, layer: int
) -> tuple[float, float, float]:
    here = {name: s[layer] for name, s in scores.items() if name == method or name != CONTROL}
    width = len(here[method])
    return (
        neuron_vote(here, method, fraction),
        average_overlap(here, method, fraction),
        chance_jaccard(width, count(fraction, width)),
    )


def _with_mean(rows: list[Any], columns: list[str], keys: list[str]) -> pd.DataFrame:
    """The rows, and after them the means over blocks with a null layer."""
    table = pd.DataFrame(rows, columns=columns).astype({"layer": "Int64"})
    if table.empty:
        return table
    blocks = table[table["layer"] > 0].drop(columns="layer")
    means = blocks.groupby(keys, sort=False, as_index=False).mean()
    means = means.round({"k": 0})
    means.insert(0, "layer", pd.Series(pd.NA, index=means.index, dtype="Int64"))
    return pd.concat([table, means[columns].astype(table.dtypes)], ignore_index=True)


def stability_table(evidence: Evidence) -> pd.DataFrame:
    """Overlap of each ranking with itself over resamples of ``fit``, as the run measured it."""
    if evidence.stability is None:
        return STABILITY.empty()
    return evidence.stability.reindex(columns=STABILITY.names)


# ---- readable against used -----------------------------------------------------------------------


def dissociation_table(scores: Mapping[str, Scores]) -> pd.DataFrame:
    """Per layer, how far what can be read and what is used go together; last the mean."""
    name = used(scores)
    if name is None:
        return DISSOCIATION.empty().astype({"layer": "Int64"})
    pairs = enumerate(zip(scores[READABLE], scores[name], strict=True))
    rows = [(layer, READABLE, name, spearman(r, u)) for layer, (r, u) in pairs]
    return _with_mean(rows, DISSOCIATION.names, ["readable", "used"])


def neurons_table(scores: Mapping[str, Scores]) -> pd.DataFrame:
    """The neurons of each block on which the two part most, with their places in (0, 1)."""
    return pd.DataFrame(list(_parted(scores)), columns=NEURONS.names)


def _parted(scores: Mapping[str, Scores]) -> Iterator[tuple[object, ...]]:
    name = used(scores)
    if name is None:
        return
    for selection, by_layer in contrasts(scores[READABLE], scores[name]).items():
        for layer in range(1, len(by_layer)):
            read, use = percentiles(scores[READABLE][layer]), percentiles(scores[name][layer])
            for j in leaders(by_layer[layer], NAMED):
                one = Address(layer, DEFAULT_SITE, int(j))
                places = read[j], use[j], by_layer[layer][j]
                yield layer, one.site, selection, one.neuron, *places, str(one)


# ---- figures -------------------------------------------------------------------------------------


def summarise(tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Figures of the finding; an unknown one says why."""
    return {
        "spearman": _typical(tables["correlation"]),
        "closest": _pair(tables["correlation"], largest=True),
        "furthest": _pair(tables["correlation"], largest=False),
        "most_agreed": _most_agreed(tables["votes"]),
        "most_effective": _most_effective(tables["effectiveness"]),
        "steadiest": _steady(tables["stability"], largest=True),
        "least_steady": _steady(tables["stability"], largest=False),
        "readable_used": _readable_used(tables["dissociation"]),
        "dissociated": {
            name: _parted_effect(tables["dissociated"], name)
            for name in ("readable_unused", "used_unreadable")
        },
    }


def _real_pairs(table: pd.DataFrame) -> pd.DataFrame:
    kept = table[table["layer"].isna() & table["spearman"].notna()]
    return kept[(kept["first"] != CONTROL) & (kept["second"] != CONTROL)]


def _typical(table: pd.DataFrame) -> Figure:
    """Mean over pairs and blocks; closest and furthest give the range of pairs."""
    pairs = _real_pairs(table)
    return Figure(pairs["spearman"].mean()) if len(pairs) else Figure.unknown(NO_PAIR)


def _pair(table: pd.DataFrame, *, largest: bool) -> Figure:
    pairs = _real_pairs(table).sort_values("spearman", ascending=not largest, kind="stable")
    if pairs.empty:
        return Figure.unknown(NO_PAIR)
    row = pairs.iloc[0]
    return Figure(row["spearman"], beside={"first": row["first"], "second": row["second"]})


def _most_agreed(table: pd.DataFrame) -> Figure:
    here = table[table["layer"].isna() & (table["fraction"] == HEADLINE_FRACTION)]
    here = here[(here["method"] != CONTROL) & here["neuron_vote"].notna()]
    if here.empty:
        return Figure.unknown(NO_PAIR)
    row = here.sort_values("neuron_vote", ascending=False, kind="stable").iloc[0]
    extra = {"method": row["method"], "fraction": HEADLINE_FRACTION, "chance": row["chance"]}
    return Figure(row["neuron_vote"], beside=extra)


def _most_effective(table: pd.DataFrame) -> Figure:
    """The ranking whose top costs most beyond random sets under the headline operator.

    It was picked among several, so the interval holds for all of them at once. ``tied``: rankings
    whose excess is indistinguishable from the largest one, itself included. ``shown``: whether even
    the interval's lower end lies above 0.
    """
    rows = table[(table["operator"] == "mean") & table["excess"].notna()]
    if rows.empty:
        return Figure.unknown("no top curve of operator mean was run beside random sets")
    columns = ("excess", "excess_low", "excess_high")
    best = largest_of(*(rows[name].to_numpy(dtype=float) for name in columns))
    row = rows.iloc[best.place]
    return Figure(
        best.value,
        best.low,
        best.high,
        beside={
            "method": row["ranking"],
            "rankings": len(rows),
            "tied": list(rows["ranking"][best.tied]),
            "shown": bool(best.low > 0),
            "outside_draws": bool(row["mean_drop"] > row["random_high"]),
        },
    )


def _steady(table: pd.DataFrame, *, largest: bool) -> Figure:
    if table.empty:
        return Figure.unknown("no ranking was made again on resamples of fit")
    blocks = table[table["layer"] > 0].groupby("method")["overlap"].mean()
    ordered = blocks.dropna().sort_values(ascending=not largest, kind="stable")
    if ordered.empty:
        return Figure.unknown("no ranking was made again on resamples of fit")
    return Figure(ordered.iloc[0], beside={"method": str(ordered.index[0])})


def _readable_used(table: pd.DataFrame) -> Figure:
    rows = table[table["layer"].isna() & table["spearman"].notna()]
    if rows.empty:
        return Figure.unknown("no ranking by gradients was computed")
    row = rows.iloc[0]
    return Figure(row["spearman"], beside={"readable": row["readable"], "used": row["used"]})


def _parted_effect(table: pd.DataFrame, selection: str) -> Figure:
    """Cost beyond random controls under the headline operator, nearest the headline fraction."""
    rows = table[(table["selection"] == selection) & (table["operator"] == "mean")]
    rows = rows[rows["excess"].notna()]
    if rows.empty:
        return Figure.unknown("no dissociated set was silenced beside random controls")
    row = rows.iloc[(rows["fraction"] - HEADLINE_FRACTION).abs().to_numpy().argmin()]
    extra = {"fraction": row["fraction"], "drop": row["drop"]}
    return Figure(row["excess"], row["excess_low"], row["excess_high"], beside=extra)
