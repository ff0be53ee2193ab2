"""Token means: do probes and rankings say the same of the mean over tokens as of one token?

In: what both probes read right, and what both rankings share, as the run measured it. Out: a table
of accuracies, one of overlaps beside chance, and the figures ``token_means``.

A classifier that reads one token ([CLS], or the last) may keep the same knowledge in others.
Rankings of the mean over tokens name neurons by what all tokens hold.

Limits: where rankings of the same token differ from one sample of ``fit`` to another, rankings of
two readings cannot agree more: ``pooled_again`` and ``mean_again`` say how much each does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.breaking import effective_examples
from synapse_audit.statistics import Z_975, paired_interval, weighted_shares
from synapse_audit.summary import Figure
from synapse_audit.tables.token_means import OVERLAP, PROBES

NOT_RUN = "no probes were fitted to means over tokens, or the head reads several tokens itself"


def token_means(evidence: Evidence) -> Finding:
    """Accuracy by layer on both, and how far rankings agree."""
    tables = {"probes": probes_table(evidence), "overlap": overlap_table(evidence)}
    figures = {"gain": _gain(evidence), "overlap": _overlaps(tables["overlap"])}
    return Finding("token_means", tables, {"token_means": figures})


# ---- probes ------------------------------------------------------------------------------------


def probes_table(evidence: Evidence) -> pd.DataFrame:
    """Accuracy of both probes by layer; the interval of their difference is paired."""
    read = evidence.token_means.get("read")
    if read is None:
        return PROBES.empty()
    rows = []
    for layer, mine in read.groupby("layer"):
        pooled, mean = (mine[f"{name}_right"].to_numpy(dtype=bool) for name in ("pooled", "mean"))
        both = weighted_shares(np.stack([pooled, mean]), evidence.weights)
        accuracy = np.clip(both, 0.0, 1.0)  # sums of weights may leave it by rounding
        difference = mean.astype(np.float64) - pooled.astype(np.float64)
        rows.append((layer, *accuracy, *_paired(evidence, difference)))
    return pd.DataFrame(rows, columns=PROBES.names).astype(PROBES.types)


def _paired(evidence: Evidence, difference: np.ndarray) -> tuple[float, float, float]:
    """Weighted mean of differences per example, with its interval."""
    value = weighted_shares(difference[None], evidence.weights)[0]
    samples = weighted_shares(difference[None], evidence.resampled)[0]
    ends = paired_interval(np.asarray(value), samples, effective_examples(evidence))
    return float(value), float(ends.low), float(ends.high)


def _gain(evidence: Evidence) -> Figure:
    """Accuracy of probes on means minus that on the token, mean over blocks 1 to L."""
    read = evidence.token_means.get("read")
    if read is None:
        return Figure.unknown(NOT_RUN)
    blocks = read[read["layer"] > 0]
    both = blocks.astype({"mean_right": "float64", "pooled_right": "float64"})
    apart = (both["mean_right"] - both["pooled_right"]).groupby(both["example"]).mean()
    return Figure(
        *_paired(evidence, apart.to_numpy()), beside={"layers": blocks["layer"].nunique()}
    )


# ---- rankings ----------------------------------------------------------------------------------


def overlap_table(evidence: Evidence) -> pd.DataFrame:
    """Overlap of top sets by layer beside that of random sets; a null layer: mean over blocks.

    The band of chance is that of the hypergeometric distribution; of the mean over blocks, whose
    random sets are independent, that of a normal one with its variance.
    """
    shared = evidence.token_means.get("shared")
    if shared is None:
        return OVERLAP.empty()
    table = shared.merge(_steady(evidence), on=["layer", "method"], how="left")
    k, width = (table[name].to_numpy(dtype=float) for name in ("k", "neurons"))
    table["chance"] = k / width
    for end, level in (("low", 0.025), ("high", 0.975)):
        table[f"chance_{end}"] = hypergeom.ppf(level, width, k, k) / k
    table["variance"] = hypergeom.var(width, k, k) / k**2
    means = [_mean(rows) for _, rows in table[table["layer"] > 0].groupby("method", sort=False)]
    return OVERLAP.joined([table, pd.DataFrame(means)]).astype(OVERLAP.types)


def _steady(evidence: Evidence) -> pd.DataFrame:
    """How much of each of the token's own top sets is found again."""
    found = evidence.stability
    if found is None:
        return pd.DataFrame({"layer": [], "method": [], "pooled_again": []}).astype(
            {"layer": "Int64", "method": "str"}
        )
    named = found.rename(columns={"overlap": "pooled_again"}).astype({"layer": "Int64"})
    return named[["layer", "method", "pooled_again"]]


def _mean(rows: pd.DataFrame) -> dict[str, Any]:
    known = rows.dropna(subset=["overlap"])
    chance = float(known["chance"].mean())
    half = Z_975 * float(np.sqrt(known["variance"].sum())) / max(len(known), 1)
    kept = {name: known[name].mean() for name in ("overlap", "pooled_again", "mean_again")}
    one = rows.iloc[0]
    return {
        "layer": pd.NA,
        **{name: one[name] for name in ("method", "fraction", "k")},
        **kept,
        "chance": chance,
        "chance_low": chance - half,
        "chance_high": chance + half,
    }


def _overlaps(table: pd.DataFrame) -> dict[str, Any] | Figure:
    """Per ranking, the mean overlap over blocks, with what chance and another sample give."""
    means = table[table["layer"].isna()].dropna(subset=["overlap"])
    beside = ("fraction", "chance", "chance_low", "chance_high", "pooled_again", "mean_again")
    figures = {
        str(row["method"]): Figure(
            row["overlap"],
            beside={n: float(row[n]) for n in beside if not pd.isna(row[n])},
        )
        for _, row in means.iterrows()
    }
    return figures or Figure.unknown(NOT_RUN)
