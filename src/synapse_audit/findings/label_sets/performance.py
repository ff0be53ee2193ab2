"""How well the untouched model labels: over all labels, for each one, and its probabilities.

In: clean logits and the labels of every example. Out: three tables and the figures ``labels``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.artifacts.label_sets import decoded, encoded
from synapse_audit.effects.estimates import Estimates, bounded, effective_size
from synapse_audit.effects.label_auc import auc_samples, aucs
from synapse_audit.effects.scored import ScoredSets
from synapse_audit.effects.selection import largest_of
from synapse_audit.effects.set_measures import SET_METRICS
from synapse_audit.effects.set_samples import (
    present,
    scored_clean,
    scored_sets,
    shares,
    support,
    thresholds,
)
from synapse_audit.effects.two_phase import Phases
from synapse_audit.statistics import interval, paired_interval, weighted_shares
from synapse_audit.summary import Figure
from synapse_audit.tables.label_sets import LABELS, OVERALL, RELIABILITY

BINS = 10
"""Of equal width, over the range of probabilities."""

LEAST_SUPPORT = 5
"""Labels with fewer ``evaluate`` examples are not called best or worst."""

NO_LABEL = "no label"

OVER_ALL = {
    "micro_f1": "micro_f1",
    "macro_f1": "macro_f1",
    "sample_f1": "sample_f1",
    "subset_accuracy": "accuracy",
    "hamming_loss": "hamming_loss",
}
"""Figure → the metric that it is."""


def labels(evidence: Evidence) -> Finding:
    """Figures over all labels beside the best constant answer, every label's own, calibration."""
    clean = scored_clean(evidence)
    overall, by_label = overall_table(evidence, clean), labels_table(evidence, clean)
    tables = {
        "labels": by_label,
        "overall": overall,
        "reliability": reliability_table(evidence),
    }
    figures: dict[str, Any] = {
        str(row["metric"]): Figure(
            row["value"],
            row["value_low"],
            row["value_high"],
            beside={"constant": row["constant"], "answer": row["answer"]},
        )
        for row in overall.to_dict("records")
    }
    figures["auc"] = mean_auc(evidence)
    figures["best"], figures["worst"] = _extremes(by_label)
    figures["f1"] = _figures(by_label, "f1")
    figures["gap"] = _figures(by_label, "gap")
    return Finding("labels", tables, {"labels": figures})


def overall_table(evidence: Evidence, clean: ScoredSets) -> pd.DataFrame:
    """``OVERALL``: one row per figure over all labels."""
    answers = [NO_LABEL, *evidence.classes]
    always = np.vstack(
        [np.zeros(len(evidence.classes), bool), np.eye(len(evidence.classes), dtype=bool)]
    )
    said = np.repeat(encoded(always)[:, None], len(evidence.weights), axis=1)
    constant = scored_sets(evidence, Phases(said))
    rows = []
    for name, metric in OVER_ALL.items():
        found, alone = SET_METRICS[metric](clean), SET_METRICS[metric](constant).value
        best = int(alone.argmin() if name == "hamming_loss" else alone.argmax())
        rows.append((name, *(float(end[0]) for end in found), float(alone[best]), answers[best]))
    return pd.DataFrame(rows, columns=OVERALL.names)


class _Rates(NamedTuple):
    """Of every label: (labels,) each, with intervals."""

    precision: Estimates
    recall: Estimates
    f1: Estimates


def labels_table(evidence: Evidence, clean: ScoredSets) -> pd.DataFrame:
    """``LABELS``: one row per label, in the model's order."""
    there, given = present(evidence), shares(evidence)
    weights = evidence.weights.astype(np.float64)
    rates = _rates(clean)
    area_under = aucs(given, there, evidence.weights, evidence.resampled)
    gap = _gaps(evidence, given, there)
    columns: dict[str, Any] = {
        "label": list(evidence.classes),
        "threshold": thresholds(evidence),
        "support": support(evidence),
        "prevalence": weights @ there / weights.sum(),
        "probability": weights @ given / weights.sum(),
        "brier": weights @ (given - there) ** 2 / weights.sum(),
    }
    for name, found in (*rates._asdict().items(), ("auc", area_under), ("gap", gap)):
        columns |= {
            f"{name}{end}": part for end, part in zip(("", "_low", "_high"), found, strict=True)
        }
    return pd.DataFrame(columns)[LABELS.names]


def _rates(clean: ScoredSets) -> _Rates:
    """Intervals of resamples; Wilson's where these degenerate (few examples of the label)."""
    members = clean.members
    said = decoded(clean.clean, clean.n_classes).T
    sizes = {"recall": members, "precision": said, "f1": members}
    found = {}
    for name, among in sizes.items():
        value = getattr(clean.counts, name)[:, 0, 0]
        samples = getattr(clean.resampled_counts, name)[:, 0]
        found[name] = bounded(value, samples, effective_size(clean, among))
    return _Rates(**found)


def mean_auc(evidence: Evidence) -> Figure:
    """Mean over the labels that some examples have and others have not."""
    sampled = auc_samples(shares(evidence), present(evidence), evidence.weights, evidence.resampled)
    known = ~np.isnan(sampled.value)
    if not known.any():
        return Figure.unknown("no label that some examples have and others have not")
    low, high = map(float, interval(np.nanmean(sampled.samples[known], axis=0)))
    return Figure(sampled.value[known].mean(), low, high, beside={"labels": int(known.sum())})


def _gaps(
    evidence: Evidence,
    given: Float[np.ndarray, "examples labels"],
    there: Bool[np.ndarray, "examples labels"],
) -> Estimates:
    """Mean probability minus prevalence of every label."""
    off = (given - there).T
    value, samples = (weighted_shares(off, w) for w in (evidence.weights, evidence.resampled))
    low, high = interval(samples)
    # What a label that hardly any example has may be is not seen in resamples (Bonett & Price).
    size = evidence.weights.sum() ** 2 / (evidence.weights**2).sum()
    few = there.sum(axis=0) < LEAST_SUPPORT
    wide = paired_interval(value, samples, size)
    return Estimates(value, np.where(few, wide.low, low), np.where(few, wide.high, high))


def reliability_table(evidence: Evidence) -> pd.DataFrame:
    """``RELIABILITY``: how often labels are there, by the probability that they were given."""
    there, given = present(evidence), shares(evidence)
    place = np.minimum((given * BINS).astype(np.int64), BINS - 1)
    rows = []
    for at in range(BINS):
        inside = (place == at).astype(np.float32)
        if not inside.any():
            continue
        mass, hits = inside.sum(axis=1), (inside * there).sum(axis=1)
        whole = mass @ evidence.resampled
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample may miss the bin
            samples = np.where(whole > 0, hits @ evidence.resampled / whole, np.nan)
        total = float(mass @ evidence.weights)
        value = np.array([hits @ evidence.weights / total])
        size = np.array([total**2 / float(mass @ evidence.weights**2)])
        found = bounded(np.clip(value, 0.0, 1.0), samples[None], size)
        mean = float((inside * given).sum(axis=1) @ evidence.weights) / total
        rows.append(
            (at / BINS, (at + 1) / BINS, int(inside.sum()), mean, *(float(end[0]) for end in found))
        )
    return pd.DataFrame(rows, columns=RELIABILITY.names)


# ---- figures -----------------------------------------------------------------------------------


def _figures(table: pd.DataFrame, name: str) -> dict[str, Figure]:
    return {str(row["label"]): _figure(row, name) for row in table.to_dict("records")}


def _figure(row: dict[Any, Any], name: str) -> Figure:
    if np.isnan(row[name]):
        return Figure.unknown("no evaluate example has the label")
    return Figure(row[name], row[f"{name}_low"], row[f"{name}_high"], n=int(row["support"]))


def _extremes(table: pd.DataFrame) -> tuple[Figure, Figure]:
    """The labels of the highest and the lowest F1, with all that are indistinguishable from them.

    Their intervals hold for all labels at once, since they were picked.
    """
    rows = table[(table["support"] >= LEAST_SUPPORT)].dropna(subset=["f1", "f1_low", "f1_high"])
    if len(rows) < 2:
        few = Figure.unknown(f"fewer than two labels have {LEAST_SUPPORT} evaluate examples")
        return few, few
    value, low, high = (rows[name].to_numpy(float) for name in ("f1", "f1_low", "f1_high"))
    names = rows["label"].to_numpy()
    best, worst = largest_of(value, low, high, least=0.0), largest_of(-value, -high, -low)
    found = []
    for one, sign in ((best, 1), (worst, -1)):
        ends = sorted((sign * one.low, sign * one.high))
        beside = {"label": str(names[one.place]), "tied": [str(name) for name in names[one.tied]]}
        found.append(Figure(sign * one.value, max(ends[0], 0.0), min(ends[1], 1.0), beside=beside))
    return found[0], found[1]
