"""Which label breaks first, and whether a label's own neurons break it most.

In: the headline removal curve and the cells of each label's own ranking. Out: three tables and the
figures ``label_fragility``. What is looked at is F1, as a label may be lost or said of everything.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import ALL_LAYERS, REMOVAL_GROUPS, SILENCING, Evidence, Finding
from synapse_audit.effects.curves import headline, random_controls, where
from synapse_audit.effects.random_controls import excess
from synapse_audit.effects.resampled import Sampled
from synapse_audit.effects.selection import candidates, difference, largest, smallest
from synapse_audit.effects.set_samples import label_f1, scored_actions, scored_clean, support
from synapse_audit.findings.label_sets.performance import LEAST_SUPPORT
from synapse_audit.statistics import paired_interval
from synapse_audit.summary import Figure
from synapse_audit.tables.label_sets import CURVES, FRAGILITY, OWN

NO_CURVE = "no removal curve (operator mean, top, all layers, pooled) was run"

FOUND = 0.0
"""Clean F1 above which a label can lose any."""


def label_fragility(evidence: Evidence) -> Finding:
    """F1 that each label loses along the headline curve and to its own neurons."""
    clean = label_f1(scored_clean(evidence))
    lost = mean_drops(evidence, clean)
    compared = (support(evidence) >= LEAST_SUPPORT) & (clean.value[0] > FOUND)
    table = fragility_table(evidence, clean, lost, compared)
    own = own_table(evidence, clean, compared)
    figures = _extremes(evidence, lost, compared) | {"own": _own_figure(own, table)}
    figures["fragility"] = (
        {
            str(row["label"]): Figure(
                row["mean_drop"], row["mean_drop_low"], row["mean_drop_high"], n=int(row["support"])
            )
            for row in table.to_dict("records")
        }
        if len(table)
        else Figure.unknown(NO_CURVE)
    )
    tables = {"labels": table, "own": own, "curves": curves_table(evidence)}
    return Finding("label_fragility", tables, {"label_fragility": figures})


class Lost(NamedTuple):
    """F1 that each label loses, mean over the shares of the headline curve."""

    top: Sampled
    """(labels,) and (labels, resamples)."""
    random: Float[np.ndarray, " labels"]
    """The same with random sets: mean over draws; NaN where none were run."""
    half: Float[np.ndarray, " labels"]
    """First share at which half of the clean F1 is gone; NaN where it never is."""


def mean_drops(evidence: Evidence, clean: Sampled) -> Lost | None:
    """Of every label; None where the headline curve was not run."""
    curve = headline(evidence)
    if curve.empty:
        return None
    silenced = label_f1(scored_actions(evidence, list(curve["action"])))
    top = Sampled(
        clean.value[0] - silenced.value.mean(axis=0),
        clean.samples[0] - silenced.samples.mean(axis=0),
    )
    cells = where(evidence.cells(*REMOVAL_GROUPS), {"operator": "mean"})
    drawn = random_controls(cells, evidence.grid.rankings[0])
    drawn = drawn[drawn["fraction"].isin(curve["fraction"])]
    random = np.full(len(evidence.classes), np.nan)
    if len(drawn):
        found = label_f1(scored_actions(evidence, list(drawn["action"]))).value
        by_share = [
            found[(drawn["fraction"] == f).to_numpy()].mean(axis=0) for f in curve["fraction"]
        ]
        random = clean.value[0] - np.mean(by_share, axis=0)
    below = silenced.value < clean.value[0] / 2
    fractions = curve["fraction"].to_numpy(dtype=float)
    half = np.where(below.any(axis=0), fractions[below.argmax(axis=0)], np.nan)
    return Lost(top, random, half)


def fragility_table(
    evidence: Evidence,
    clean: Sampled,
    lost: Lost | None,
    compared: Bool[np.ndarray, " labels"],
) -> pd.DataFrame:
    """``FRAGILITY``: labels that occur in ``evaluate``, in the model's order."""
    if lost is None:
        return FRAGILITY.empty()
    size = support(evidence)
    low, high = paired_interval(lost.top.value, lost.top.samples, size)
    table = pd.DataFrame(
        {
            "label": list(evidence.classes),
            "support": size,
            "f1": clean.value[0],
            "mean_drop": lost.top.value,
            "mean_drop_low": low,
            "mean_drop_high": high,
            "random_drop": lost.random,
            "half_fraction": lost.half,
            "compared": compared,
        }
    )
    return table[size > 0][FRAGILITY.names].reset_index(drop=True)


def own_table(
    evidence: Evidence, clean: Sampled, compared: Bool[np.ndarray, " labels"]
) -> pd.DataFrame:
    """``OWN``: what a label loses when the neurons ranked for it are silenced."""
    rows = []
    for operator in SILENCING:
        mine = where(evidence.cells("class"), {"layers": ALL_LAYERS, "operator": operator})
        for fraction in mine["fraction"].dropna().unique():
            at = {"operator": operator, "fraction": fraction}
            drawn = random_controls(
                where(evidence.cells(*REMOVAL_GROUPS), at), evidence.grid.rankings[0]
            )
            if len(drawn):
                random = label_f1(scored_actions(evidence, list(drawn["action"])))
                rows += [
                    at | _own(evidence, clean, random, cell, compared)
                    for cell in where(mine, at).to_dict("records")
                ]
    return pd.DataFrame(rows, columns=OWN.names)


def _own(
    evidence: Evidence,
    clean: Sampled,
    random: Sampled,
    cell: dict[Any, Any],
    compared: Bool[np.ndarray, " labels"],
) -> dict[str, Any]:
    label = evidence.classes.index(cell["ranked_for"])
    chosen = label_f1(scored_actions(evidence, [cell["action"]]))
    before, after = clean.value[0, label], chosen.value[0, label]
    samples = clean.samples[0, label] - chosen.samples[0, label]
    low, high = paired_interval(
        np.array([before - after]), samples[None], support(evidence)[[label]]
    )
    beyond = excess(
        float(before - after),
        before - random.value[:, label],
        random.samples[:, label].mean(axis=0) - chosen.samples[0, label],
    )
    others = compared & (np.arange(len(compared)) != label)
    apart = random.value.mean(axis=0) - chosen.value[0]
    return {
        "label": cell["ranked_for"],
        "drop": before - after,
        "drop_low": low[0],
        "drop_high": high[0],
        "random_drop": before - random.value[:, label].mean(),
        **{f"excess{end}": part for end, part in zip(("", "_low", "_high"), beyond, strict=True)},
        "others_excess": apart[others].mean() if others.any() else np.nan,
    }


def curves_table(evidence: Evidence) -> pd.DataFrame:
    """``CURVES``: F1 and recall of each label along the headline curve."""
    cells = headline(evidence)[["cell", "fraction"]]
    table = evidence.class_effects.merge(cells, on="cell").rename(columns={"class": "label"})
    table = table[table["support"] > 0]
    order = {name: place for place, name in enumerate(evidence.classes)}
    table = table.assign(place=table["label"].map(order)).sort_values(["place", "fraction"])
    return table[CURVES.names].reset_index(drop=True)


# ---- figures -----------------------------------------------------------------------------------


def _extremes(
    evidence: Evidence, lost: Lost | None, compared: Bool[np.ndarray, " labels"]
) -> dict[str, Any]:
    """The most and the least fragile label with those indistinguishable from them, and the gap.

    Intervals hold for all pairs of labels at once, since the pair was picked by what it showed.
    """
    names = ("most_fragile", "least_fragile", "gap")
    enough = np.flatnonzero(compared)
    if lost is None or len(enough) < 2:
        few = f"fewer than two labels have {LEAST_SUPPORT} evaluate examples and are ever found"
        return {name: Figure.unknown(NO_CURVE if lost is None else few) for name in names}
    values, samples = lost.top.value[enough], lost.top.samples[enough]
    given = candidates(values, samples, support(evidence)[enough])
    labels = [evidence.classes[i] for i in enough]
    most, least = largest(given), smallest(given)
    found: dict[str, Any] = {}
    for name, pick in (("most_fragile", most), ("least_fragile", least)):
        tied = [label for label, there in zip(labels, pick.tied, strict=True) if there]
        beside = {"label": labels[pick.place], "tied": tied}
        value = float(values[pick.place])
        if pick.alone:
            found[name] = Figure(value, beside=beside)
        else:
            reason = f"indistinguishable: {', '.join(tied)}"
            found[name] = Figure(np.nan, reason=reason, beside=beside | {"largest": value})
    other = np.where(np.arange(len(values)) == most.place, np.inf, values).argmin()
    apart = difference(given, most.place, int(other))
    between = [labels[most.place], labels[int(other)]]
    return found | {"gap": Figure(*apart, beside={"between": between})}


def _own_figure(own: pd.DataFrame, table: pd.DataFrame) -> Figure:
    """Labels whose own neurons cost them more than random sets do, of those that are compared.

    A count without an interval; each of the labels has one of its own, at 95 %, and one in forty
    would be counted by chance.
    """
    rows = where(own, {"operator": "mean"}).dropna(subset=["excess_low"])
    rows = rows[rows["label"].isin(table.loc[table["compared"].astype(bool), "label"])]
    if rows.empty:
        return Figure.unknown("no label's own neurons were silenced beside random sets")
    above = int((rows["excess_low"] > 0).sum())
    return Figure(
        float(above), beside={"labels": len(rows), "fraction": float(rows["fraction"].iloc[0])}
    )
