"""Asymmetry: which class breaks first, and whether a class's own neurons break it most.

In: per-class removal cells and their random controls, the headline curve. Out: the matrix A with
its specificity, the fragility of each class, recall curves, and the figures ``asymmetry``. Classes
without an ``evaluate`` example are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import norm

from synapse_audit.artifacts import ALL_LAYERS, REMOVAL_GROUPS, SILENCING, Evidence, Finding
from synapse_audit.effects.curves import (
    draw_range,
    figure,
    headline,
    random_controls,
    unknown,
    where,
)
from synapse_audit.effects.resampled import Sampled, clean_recalls, recalls, supported
from synapse_audit.statistics import benjamini_yekutieli, interval
from synapse_audit.summary import Choice, Figure

AIMED_FRACTION = 0.5
"""The matrix is drawn at the fraction of the grid closest to this."""

LEAST_SUPPORT = 5
"""Classes with fewer ``evaluate`` examples are not called most or least fragile."""

NO_CURVE = "no removal curve (operator mean, top, all layers, pooled) was run"
MATRIX = [
    *("operator", "fraction", "ranked_for", "class", "value", "low", "high"),
    *("specificity", "specificity_low", "specificity_high", "p_value", "p_adjusted"),
]
FRAGILITY = [
    *("class", "support", "recall", "mean_drop", "mean_drop_low", "mean_drop_high"),
    "half_fraction",
]
CURVES = [
    *("class", "fraction", "recall", "recall_low", "recall_high"),
    *("random_recall", "random_low", "random_high"),
]


def asymmetry(evidence: Evidence) -> Finding:
    """The matrix of who breaks whom, the fragility of each class, and what they say."""
    kept = supported(evidence)
    drops = mean_drops(evidence, kept)
    tables = {
        "matrix": matrix_table(evidence, kept),
        "fragility": fragility_table(evidence, kept, drops),
        "curves": curves_table(evidence, kept),
    }
    summary = _extremes(evidence, kept, drops) | {"fraction": _fraction_figure(evidence)}
    return Finding("asymmetry", tables, {"asymmetry": summary})


# ---- the matrix --------------------------------------------------------------------------------


def interaction(
    matrix: Float[np.ndarray, "*resamples ranked classes"],
) -> Float[np.ndarray, "*resamples ranked classes"]:
    """The part of a matrix that neither its rows nor its columns explain.

    m − row mean − column mean + grand mean; columns that are NaN throughout are not counted.

    >>> interaction(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    rows = np.nanmean(matrix, axis=-1, keepdims=True)
    columns = matrix.mean(axis=-2, keepdims=True)
    return matrix - rows - columns + rows.mean(axis=-2, keepdims=True)


def matrix_table(evidence: Evidence, kept: Int[np.ndarray, " kept"]) -> pd.DataFrame:
    """A and its specificity at the stated fraction, by operator.

    A[c, c'] = recall drop of c' when the neurons ranked for c are silenced, minus the mean drop
    over their random controls. ``p_value`` is a two-sided Wald test of the specificity, adjusted
    (Benjamini–Yekutieli) within the operator. Its variance is that of the paired bootstrap over
    examples plus that of the random draws' own specificity: without the latter any fixed random
    set would look specific (in a simulation with random sets up to 65 % of cells had p < .05;
    with it 1 to 6 %). The interval covers examples only, for these very sets. Null when tests
    are off or the standard deviation is 0.
    """
    fraction = matrix_fraction(evidence)
    if fraction is None:
        return pd.DataFrame(columns=MATRIX)
    parts = [_matrix(evidence, operator, fraction, kept) for operator in SILENCING]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=MATRIX)


def matrix_fraction(evidence: Evidence) -> float | None:
    """The fraction of the matrix: the one closest to 0.5 that was run per class, or None."""
    fractions = _per_class(evidence)["fraction"].dropna().unique()
    if not len(fractions):
        return None
    return float(min(fractions, key=lambda fraction: (abs(fraction - AIMED_FRACTION), fraction)))


def _per_class(evidence: Evidence) -> pd.DataFrame:
    cells = where(evidence.cells("class"), {"layers": ALL_LAYERS})
    return cells[cells["operator"].isin(SILENCING)]


def _matrix(
    evidence: Evidence, operator: str, fraction: float, kept: Int[np.ndarray, " kept"]
) -> pd.DataFrame:
    at = {"operator": operator, "fraction": fraction}
    actions = where(_per_class(evidence), at).set_index("ranked_for")["action"].to_dict()
    cells = where(evidence.cells(*REMOVAL_GROUPS), at)
    drawn = random_controls(cells, evidence.grid.rankings[0])["action"]
    ranked = [evidence.classes[i] for i in kept if evidence.classes[i] in actions]
    if not ranked or drawn.empty:
        return pd.DataFrame(columns=MATRIX)
    chosen = recalls(evidence, [actions[name] for name in ranked], kept)
    random = recalls(evidence, list(drawn), kept)
    # The clean recall cancels between the drop and the random controls' drop.
    value = random.value.mean(axis=0) - chosen.value
    samples = random.samples.mean(axis=0) - chosen.samples
    spread = draw_variance(random.value, len(ranked))
    table = _cells(Sampled(value, samples), spread, tests=evidence.grid.tests)
    names = [evidence.classes[i] for i in kept]
    table["ranked_for"] = np.repeat(ranked, len(names))
    table["class"] = np.tile(names, len(ranked))
    return table.assign(operator=operator, fraction=fraction)[MATRIX]


def draw_variance(
    recalls: Float[np.ndarray, "draws classes"], n_ranked: int
) -> Float[np.ndarray, " classes"]:
    """Variance over random draws of a random set's own specificity; NaN for a single draw."""
    if len(recalls) < 2:
        return np.full(recalls.shape[1], np.nan)
    own = recalls - np.nanmean(recalls, axis=1, keepdims=True)
    return own.var(axis=0, ddof=1) * (1 - 1 / n_ranked)


def _cells(matrix: Sampled, spread: Float[np.ndarray, " classes"], *, tests: bool) -> pd.DataFrame:
    specificity = interaction(matrix.value)
    resampled = np.moveaxis(interaction(np.moveaxis(matrix.samples, -1, 0)), 0, -1)
    columns = {"value": matrix.value, "specificity": specificity}
    columns["low"], columns["high"] = interval(matrix.samples)
    columns["specificity_low"], columns["specificity_high"] = interval(resampled)
    table = pd.DataFrame({name: column.ravel() for name, column in columns.items()})
    extra = np.broadcast_to(spread, matrix.value.shape).ravel()
    p = wald(specificity.ravel(), resampled.reshape(len(table), -1), extra)
    table["p_value"] = p if tests else np.nan
    table["p_adjusted"] = benjamini_yekutieli(p) if tests else np.nan
    return table


def wald(
    value: Float[np.ndarray, " cells"],
    samples: Float[np.ndarray, "cells resamples"],
    extra: Float[np.ndarray, " cells"],
) -> Float[np.ndarray, " cells"]:
    """Two-sided p of value / sd under the normal; NaN where the sd is 0 or unknown.

    sd² = variance of the samples + ``extra``.
    """
    there = (~np.isnan(samples)).sum(axis=1)
    centred = samples - np.nansum(samples, axis=1, keepdims=True) / np.maximum(there, 1)[:, None]
    sd = np.sqrt(np.nansum(centred**2, axis=1) / np.maximum(there - 1, 1) + extra)
    known = (there > 1) & (sd > 1e-12)
    return np.where(known, 2 * norm.sf(np.abs(value) / np.where(known, sd, 1.0)), np.nan)


# ---- fragility ---------------------------------------------------------------------------------


def mean_drops(evidence: Evidence, kept: Int[np.ndarray, " kept"]) -> Sampled | None:
    """Recall drop of each class, averaged over the fractions of the headline curve.

    (kept,) and (kept, resamples); None where the curve was not run.
    """
    curve = headline(evidence)
    if curve.empty:
        return None
    clean = clean_recalls(evidence, kept)
    silenced = recalls(evidence, list(curve["action"]), kept)
    return Sampled(
        clean.value - silenced.value.mean(axis=0),
        clean.samples - silenced.samples.mean(axis=0),
    )


def fragility_table(
    evidence: Evidence, kept: Int[np.ndarray, " kept"], drops: Sampled | None
) -> pd.DataFrame:
    """Per class: support, clean recall, mean drop, and where recall falls below half of clean."""
    if drops is None:
        return pd.DataFrame(columns=FRAGILITY)
    curve = headline(evidence)
    clean = clean_recalls(evidence, kept).value
    below = recalls(evidence, list(curve["action"]), kept).value < clean / 2
    fractions = curve["fraction"].to_numpy(dtype=float)
    low, high = interval(drops.samples)
    table = pd.DataFrame({"class": [evidence.classes[i] for i in kept], "recall": clean})
    table["support"] = _support(evidence)[kept]
    table["mean_drop"], table["mean_drop_low"], table["mean_drop_high"] = drops.value, low, high
    table["half_fraction"] = np.where(below.any(axis=0), fractions[below.argmax(axis=0)], np.nan)
    return table[FRAGILITY]


def curves_table(evidence: Evidence, kept: Int[np.ndarray, " kept"]) -> pd.DataFrame:
    """Recall of each class along the headline curve, beside the range of the random draws."""
    keys = ["class", "fraction"]
    classes = evidence.class_effects.merge(evidence.effects[["cell", "fraction"]], on="cell")
    classes = classes[classes["class"].isin([evidence.classes[i] for i in kept])]
    silenced = where(evidence.cells(*REMOVAL_GROUPS), {"operator": "mean"})
    drawn = random_controls(silenced, evidence.grid.rankings[0])
    top = classes[classes["cell"].isin(headline(evidence)["cell"])]
    random = draw_range(classes[classes["cell"].isin(drawn["cell"])], keys, {"recall": "random"})
    table = top.merge(random.rename(columns={"random": "random_recall"}), on=keys, how="left")
    order = {evidence.classes[i]: place for place, i in enumerate(kept)}
    table = table.assign(place=table["class"].map(order)).sort_values(["place", "fraction"])
    return table[CURVES].reset_index(drop=True)


# ---- figures -----------------------------------------------------------------------------------


def _extremes(
    evidence: Evidence, kept: Int[np.ndarray, " kept"], drops: Sampled | None
) -> dict[str, Any]:
    names = ("most_fragile", "least_fragile", "gap")
    enough = np.flatnonzero(_support(evidence)[kept] >= LEAST_SUPPORT)
    if drops is None or len(enough) < 2:
        few = f"fewer than two classes have {LEAST_SUPPORT} evaluate examples"
        return {name: unknown(NO_CURVE if drops is None else few) for name in names}
    value, samples = drops.value[enough], drops.samples[enough]
    most, least = int(value.argmax()), int(value.argmin())
    highest = np.where(np.isnan(samples), -np.inf, samples).argmax(axis=0)
    lowest = np.where(np.isnan(samples), np.inf, samples).argmin(axis=0)
    low, high = interval(samples[[most]] - samples[[least]])
    name = [evidence.classes[i] for i in kept[enough]]
    return {
        "most_fragile": Choice(name[most], float((highest == most).mean())),
        "least_fragile": Choice(name[least], float((lowest == least).mean())),
        "gap": figure(value[most] - value[least], low[0], high[0]),
    }


def _fraction_figure(evidence: Evidence) -> Figure:
    fraction = matrix_fraction(evidence)
    return unknown("no per-class removal was run") if fraction is None else figure(fraction)


def _support(evidence: Evidence) -> Int[np.ndarray, " classes"]:
    return np.bincount(evidence.predictions.labels, minlength=len(evidence.classes))
