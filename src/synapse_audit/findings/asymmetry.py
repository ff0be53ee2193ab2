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

from synapse_audit.artifacts import (
    ALL_LAYERS,
    CLASS_FRACTION,
    REMOVAL_GROUPS,
    SILENCING,
    Evidence,
    Finding,
)
from synapse_audit.effects.curves import draw_range, headline, random_controls, where
from synapse_audit.effects.random_controls import combined
from synapse_audit.effects.resampled import Sampled, clean_recalls, recalls, supported
from synapse_audit.effects.selection import Pick, candidates, difference, largest, smallest
from synapse_audit.statistics import benjamini_yekutieli, paired_interval
from synapse_audit.summary import Choice, Figure
from synapse_audit.tables.asymmetry import CURVES, FRAGILITY, MATRIX

COLLAPSED = 0.95
"""Share of all answers in one class at which a model counts as collapsed."""

LEAST_SUPPORT = 5
"""Classes with fewer ``evaluate`` examples are not called most or least fragile."""

NO_CURVE = "no removal curve (operator mean, top, all layers, pooled) was run"


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
    summary["fragility"] = _fragilities(tables["fragility"])
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
    over their random controls. Intervals hold for one more random set: their variance is that of
    the paired bootstrap over examples plus that between the random draws, with Student's t for how
    few these are. Over examples alone 84 % of the cells of random sets excluded 0. ``p_value`` is
    the two-sided test of the specificity with the same variance, adjusted (Benjamini–Yekutieli)
    within the operator; null when tests are off. A single draw leaves intervals unknown.
    """
    fraction = matrix_fraction(evidence)
    if fraction is None:
        return MATRIX.empty()
    parts = [_matrix(evidence, operator, fraction, kept) for operator in SILENCING]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else MATRIX.empty()


def matrix_fraction(evidence: Evidence) -> float | None:
    """The fraction of the matrix: the one closest to 0.5 that was run per class, or None."""
    fractions = _per_class(evidence)["fraction"].dropna().unique()
    if not len(fractions):
        return None
    return float(min(fractions, key=lambda fraction: (abs(fraction - CLASS_FRACTION), fraction)))


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
        return MATRIX.empty()
    chosen = recalls(evidence, [actions[name] for name in ranked], kept)
    random = recalls(evidence, list(drawn), kept)
    # The clean recall cancels between the drop and the random controls' drop.
    value = random.value.mean(axis=0) - chosen.value
    samples = random.samples.mean(axis=0) - chosen.samples
    table = _cells(Sampled(value, samples), random.value, evidence, kept)
    names = [evidence.classes[i] for i in kept]
    table["ranked_for"] = np.repeat(ranked, len(names))
    table["class"] = np.tile(names, len(ranked))
    return table.assign(operator=operator, fraction=fraction)[MATRIX.names]


def draw_variance(
    recalls: Float[np.ndarray, "draws classes"], n_ranked: int
) -> Float[np.ndarray, " classes"]:
    """Variance over random draws of a random set's own specificity; NaN for a single draw."""
    if len(recalls) < 2:
        return np.full(recalls.shape[1], np.nan)
    own = recalls - np.nanmean(recalls, axis=1, keepdims=True)
    return own.var(axis=0, ddof=1) * (1 - 1 / n_ranked)


def _cells(
    matrix: Sampled,
    draws: Float[np.ndarray, "draws classes"],
    evidence: Evidence,
    kept: Int[np.ndarray, " kept"],
) -> pd.DataFrame:
    specificity = interaction(matrix.value)
    resampled = np.moveaxis(interaction(np.moveaxis(matrix.samples, -1, 0)), 0, -1)
    count = len(draws)
    between = draws.var(axis=0, ddof=1) * (1 + 1 / count) if count > 1 else np.nan * draws[0]
    own = draw_variance(draws, len(matrix.value))
    unseen = np.sqrt(2.0) / (_support(evidence)[kept] + 2.0)
    plain = combined(_spread(matrix.samples, unseen), np.sqrt(between)[None, :], count)
    special = combined(_spread(resampled, unseen), np.sqrt(own)[None, :], count)
    columns = {
        "value": matrix.value,
        "low": matrix.value - plain.half,
        "high": matrix.value + plain.half,
        "specificity": specificity,
        "specificity_low": specificity - special.half,
        "specificity_high": specificity + special.half,
        # Draws without any spread are nothing to compare with.
        "p_value": np.where(own > 0, special.p(specificity), np.nan),
    }
    table = pd.DataFrame({name: column.ravel() for name, column in columns.items()})
    if not evidence.grid.tests:
        return table.assign(p_value=np.nan, p_adjusted=np.nan)
    return table.assign(p_adjusted=benjamini_yekutieli(table["p_value"].to_numpy()))


def _spread(
    samples: Float[np.ndarray, "ranked classes resamples"], unseen: Float[np.ndarray, " classes"]
) -> Float[np.ndarray, "ranked classes"]:
    """Standard error over examples, one lost and one won added; NaN where no resample knows."""
    there = (~np.isnan(samples)).sum(axis=-1)
    mean = np.nansum(samples, axis=-1) / np.maximum(there, 1)
    variance = np.nansum((samples - mean[..., None]) ** 2, axis=-1) / np.maximum(there - 1, 1)
    return np.where(there > 1, np.sqrt(variance + unseen**2), np.nan)


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
        return FRAGILITY.empty()
    curve = headline(evidence)
    clean = clean_recalls(evidence, kept).value
    below = recalls(evidence, list(curve["action"]), kept).value < clean / 2
    fractions = curve["fraction"].to_numpy(dtype=float)
    low, high = paired_interval(drops.value, drops.samples, _support(evidence)[kept])
    table = pd.DataFrame({"class": [evidence.classes[i] for i in kept], "recall": clean})
    table["support"] = _support(evidence)[kept]
    table["mean_drop"], table["mean_drop_low"], table["mean_drop_high"] = drops.value, low, high
    table["half_fraction"] = np.where(below.any(axis=0), fractions[below.argmax(axis=0)], np.nan)
    return table[FRAGILITY.names]


def curves_table(evidence: Evidence, kept: Int[np.ndarray, " kept"]) -> pd.DataFrame:
    """Recall of each class along the headline curve, beside the band of the random draws."""
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
    return table[CURVES.names].reset_index(drop=True)


# ---- figures -----------------------------------------------------------------------------------


def _extremes(
    evidence: Evidence, kept: Int[np.ndarray, " kept"], drops: Sampled | None
) -> dict[str, Any]:
    """The most and the least fragile class with those indistinguishable from them, and the gap.

    Intervals hold for all pairs of classes at once, since the pair was picked by what it showed.
    A class that the model answers for nearly everything once much is silenced keeps its recall
    whatever is lost: it cannot be the least fragile, and ``collapses_to`` beside the gap names it.
    """
    names = ("most_fragile", "least_fragile", "gap")
    enough = np.flatnonzero(_support(evidence)[kept] >= LEAST_SUPPORT)
    if drops is None or len(enough) < 2:
        few = f"fewer than two classes have {LEAST_SUPPORT} evaluate examples"
        return {name: Figure.unknown(NO_CURVE if drops is None else few) for name in names}
    given = candidates(drops.value[enough], drops.samples[enough], _support(evidence)[kept][enough])
    labels = [evidence.classes[i] for i in kept[enough]]
    answer = collapsed_answer(evidence)
    most = largest(given)
    found: dict[str, Any] = {"most_fragile": _named(labels, most, drops.samples[enough])}
    fair = np.where(kept[enough] == answer, np.inf, given.value)
    if np.isfinite(fair).sum() < 2:
        only = f"the model answers '{evidence.classes[answer or 0]}' once much is silenced"
        return found | {"least_fragile": Figure.unknown(only), "gap": Figure.unknown(only)}
    least = smallest(given._replace(value=fair))
    others = np.where(np.isfinite(fair)[:, None], -drops.samples[enough], -np.inf)
    found["least_fragile"] = _named(labels, least, others)
    # Where all are equal the two ends must be two classes nevertheless.
    other = np.where(np.arange(len(fair)) == most.place, np.inf, fair).argmin()
    between = [labels[most.place], labels[other]]
    name = None if answer is None else evidence.classes[answer]
    apart = difference(given, most.place, int(other))
    return found | {"gap": Figure(*apart, beside={"between": between, "collapses_to": name})}


def _fragilities(table: pd.DataFrame) -> dict[str, Figure] | Figure:
    """Of every class, each for itself."""
    if table.empty:
        return Figure.unknown(NO_CURVE)
    return {
        str(row["class"]): Figure(
            row["mean_drop"], row["mean_drop_low"], row["mean_drop_high"], n=int(row["support"])
        )
        for row in table.to_dict("records")
    }


def _named(
    labels: list[str], pick: Pick, samples: Float[np.ndarray, "classes resamples"]
) -> Choice | Figure:
    """A class, or none and why where others are indistinguishable from it (``tied``)."""
    tied = [name for name, there in zip(labels, pick.tied, strict=True) if there]
    if not pick.alone:
        reason = f"indistinguishable: {', '.join(tied)}"
        return Figure(np.nan, reason=reason, beside={"tied": tied})
    first = np.where(np.isnan(samples), -np.inf, samples).argmax(axis=0)
    return Choice(labels[pick.place], float((first == pick.place).mean()))


def collapsed_answer(evidence: Evidence) -> int | None:
    """The class that the model answers for nearly everything somewhere on the headline curve.

    None where no point of the curve has 95 % of the answers in one class, or the untouched model
    has too.
    """
    curve, weights = headline(evidence), evidence.weights / evidence.weights.sum()
    if curve.empty:
        return None
    rows = evidence.outcomes.predicted[evidence.outcomes.rows(list(curve["action"]))]
    count = len(evidence.classes)
    shares = np.array([np.bincount(row, weights, count) for row in rows.astype(np.int64)])
    clean = np.bincount(evidence.predictions.predicted, weights, count)
    there = np.flatnonzero((shares.max(axis=0) >= COLLAPSED) & (clean < COLLAPSED))
    return int(there[0]) if len(there) else None


def _fraction_figure(evidence: Evidence) -> Figure:
    fraction = matrix_fraction(evidence)
    return Figure.unknown("no per-class removal was run") if fraction is None else Figure(fraction)


def _support(evidence: Evidence) -> Int[np.ndarray, " classes"]:
    return np.bincount(evidence.predictions.labels, minlength=len(evidence.classes))
