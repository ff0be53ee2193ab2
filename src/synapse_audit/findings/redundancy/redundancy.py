"""Redundancy: how much can be taken away before the classifier breaks, and how little suffices.

In: removal, keep-only and single-neuron cells of ``effects``, the probe sufficiency table, the
participation ratios. Out: seven tables and the figures ``redundancy`` and ``load_bearing``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, Evidence, Finding
from synapse_audit.effects import curve_tests
from synapse_audit.effects.curves import (
    PLATEAU_LOSS,
    TOLERANCE,
    draw_range,
    figure,
    grid_band,
    half_points,
    headline,
    plateaus,
    random_controls,
    unknown,
    where,
)
from synapse_audit.effects.resampled import accuracy, chance, clean_accuracy
from synapse_audit.findings.redundancy.constants import constants_list, constants_table
from synapse_audit.statistics import interval
from synapse_audit.summary import Figure

NO_CURVE = "no removal curve (operator mean, top, all layers, pooled) was run"
RANKED = ("top", "bottom", "keep_top")
DRAWN = ("random", "matched", "keep_random")
NEAR_FULL = 0.01
"""A set suffices when its probe is within this accuracy of the probe on all neurons."""

SHORT = {
    "accuracy_drop": "drop",
    "accuracy_drop_low": "drop_low",
    "accuracy_drop_high": "drop_high",
}
REMOVAL = [
    *("operator", "ranking", "selection", "fraction", "k", "accuracy", "accuracy_low"),
    *("accuracy_high", "accuracy_drop", "drop_low", "drop_high", "draws"),
]
LAYERS = [
    *("operator", "layer", "fraction", "drop", "drop_low", "drop_high"),
    *("random_drop", "random_low", "random_high"),
]
POSITIONS = ["fraction", "position", "selection", "drop", "drop_low", "drop_high"]
TESTS = [
    *("operator", "strength", "layers", "position", "ranking", "ranked_for"),
    *("area", "t", "df", "p_value", "p_adjusted"),
]
SUFFICIENCY = [
    *("ranking", "selection", "k", "fraction", "accuracy", "accuracy_low", "accuracy_high"),
    "draw",
]
MOST_SETS = 10
"""The search for disjoint sets stops here (``MAX_SETS`` of :mod:`synapse_audit.probes`)."""


def redundancy(evidence: Evidence) -> Finding:
    """Removal curves with their random controls, tests, sufficiency, constants, and what they
    say."""
    constants = constants_table(evidence)
    tables = {
        "removal": removal_table(evidence),
        "layers": layers_table(evidence),
        "positions": positions_table(evidence),
        "tests": curve_tests_table(evidence),
        "sufficiency": sufficiency_table(evidence),
        "constants": constants,
        "participation": participation_table(evidence),
    }
    best = chance(evidence)
    low, high = interval(best.samples)
    figures = {
        "plateau": plateau(evidence),
        "half_point": half_point(evidence),
        "sufficient_k": sufficient_k(evidence),
        "disjoint_sets": disjoint_sets(evidence),
        "chance": figure(best.value[0], low[0], high[0]),
    }
    summary = {"redundancy": figures, "load_bearing": constants_list(constants)}
    return Finding("redundancy", tables, summary)


# ---- tables ----------------------------------------------------------------------------------


def removal_table(evidence: Evidence) -> pd.DataFrame:
    """Accuracy against the fraction silenced (kept, for ``keep_*``), all layers, pooled, global.

    Rows of random selections are means over draws with the 2.5 to 97.5 % range of the draws in
    place of an interval.
    """
    cells = evidence.cells(*REMOVAL_GROUPS, "matched", "keep")
    ranked = cells[cells["selection"].isin(RANKED)].rename(columns=SHORT)
    keys = ["operator", "strength", "ranking", "selection", "fraction", "k"]
    measures = {"accuracy": "accuracy", "accuracy_drop": "drop"}
    drawn = draw_range(cells[cells["selection"].isin(DRAWN)], keys, measures)
    columns = [name.removeprefix("accuracy_") if "drop" in name else name for name in REMOVAL]
    table = _stack([ranked, drawn], columns).sort_values(columns[:4], ignore_index=True)
    return table.rename(columns={"drop": "accuracy_drop"})


def layers_table(evidence: Evidence) -> pd.DataFrame:
    """What silencing the top of one layer alone costs, beside its random controls."""
    cells = evidence.cells("layer")
    ranking = evidence.grid.rankings[0]
    top = where(cells, {"selection": "top", "ranking": ranking, "ranked_for": GLOBAL})
    drawn = draw_range(
        where(cells, {"selection": "random"}),
        ["operator", "layers", "fraction"],
        {"accuracy_drop": "random"},
    ).rename(columns={"random": "random_drop"})
    table = top.rename(columns=SHORT).merge(
        drawn, on=["operator", "layers", "fraction"], how="left"
    )
    table["layer"] = table["layers"].astype(int)
    return table.sort_values(LAYERS[:3], ignore_index=True)[LAYERS]


def positions_table(evidence: Evidence) -> pd.DataFrame:
    """Silencing at the pooled position against every position, at the fractions run at both.

    Operator mean, all layers; random rows are means over draws with their range.
    """
    cells = where(evidence.cells(*REMOVAL_GROUPS, "position"), {"operator": "mean"})
    shared = cells.loc[cells["position"] == "all", "fraction"]
    cells = cells[cells["fraction"].isin(shared)]
    ranking = evidence.grid.rankings[0]
    top = where(cells, {"selection": "top", "ranking": ranking, "ranked_for": GLOBAL})
    drawn = draw_range(
        random_controls(cells, ranking),
        ["fraction", "position", "selection"],
        {"accuracy_drop": "drop"},
    )
    table = _stack([top.rename(columns=SHORT), drawn], POSITIONS)
    return table.sort_values(POSITIONS[:3], ignore_index=True)


def curve_tests_table(evidence: Evidence) -> pd.DataFrame:
    """One test per curve (:func:`synapse_audit.effects.curve_tests`); empty when tests are off."""
    if not evidence.grid.tests:
        return pd.DataFrame(columns=TESTS)
    return curve_tests(evidence.effects).reindex(columns=TESTS)


def sufficiency_table(evidence: Evidence) -> pd.DataFrame:
    """Accuracy of probes that see only some neurons; random rows as in the removal table.

    ``draw`` numbers the successive ``disjoint`` sets; it is null elsewhere.
    """
    rows = evidence.sufficiency
    top = where(rows, {"selection": "top"})
    keys = ["ranking", "selection", "k", "fraction"]
    random = draw_range(where(rows, {"selection": "random"}), keys, {"accuracy": "accuracy"})
    sets = where(rows, {"selection": "disjoint"})
    table = _stack([top, random, sets], SUFFICIENCY).astype({"draw": "Int64"})
    # Sets come in the order in which they were found, whatever their size.
    table["size"] = table["k"].where(table["draw"].isna(), 0)
    order = ["ranking", "selection", "size", "draw"]
    return table.sort_values(order, ignore_index=True)[SUFFICIENCY]


def participation_table(evidence: Evidence) -> pd.DataFrame:
    """Participation ratio (Σλ)²/Σλ² of the ``fit`` covariance of each layer."""
    widths = [len(layer.mean) for layer in evidence.statistics]
    columns = {"neurons": widths, "participation_ratio": list(evidence.participation)}
    return pd.DataFrame({"layer": range(len(widths)), **columns})


# ---- figures ---------------------------------------------------------------------------------


def plateau(evidence: Evidence) -> Figure:
    """Largest fraction up to which the headline curve loses at most 0.02 at every point.

    The value asks the upper bound of the paired loss at every point; ``low`` and ``high`` are
    the 95 % range over resamples of the same fraction by point loss, widened to hold the value.
    Where points are two-phase estimates the resamples vary with both phases.
    """
    curve = headline(evidence)
    if curve.empty:
        return unknown(NO_CURVE)
    fractions = curve["fraction"].to_numpy(dtype=float)
    bound = curve["accuracy_drop_high"].to_numpy(dtype=float)
    value = plateaus(fractions, (bound <= PLATEAU_LOSS + TOLERANCE)[None, :])[0]
    loss = clean_accuracy(evidence).samples - accuracy(evidence, list(curve["action"])).samples
    low, high = grid_band(plateaus(fractions, loss.T <= PLATEAU_LOSS + TOLERANCE))
    return figure(value, min(value, float(low)), max(value, float(high)))


def half_point(evidence: Evidence) -> Figure:
    """Smallest fraction at which half the distance from clean accuracy to chance is lost.

    ``never_share`` is the share of resamples in which it never happens, stated above 2.5 %;
    ``high`` is then null.
    """
    curve = headline(evidence)
    if curve.empty:
        return unknown(NO_CURVE)
    fractions = curve["fraction"].to_numpy(dtype=float)
    clean, floor = clean_accuracy(evidence), chance(evidence)
    if clean.value[0] <= floor.value[0]:
        return unknown("clean accuracy is not above chance")
    silenced = accuracy(evidence, list(curve["action"]))
    value = half_points(fractions, silenced.value[None, :], clean.value, floor.value)[0]
    samples = half_points(fractions, silenced.samples.T, clean.samples[0], floor.samples[0])
    never = float(np.isinf(samples).mean())
    low, high = map(float, grid_band(samples))
    reason = "never within the grid" if np.isinf(value) else ""
    beside = {"never_share": never} if never > 0.025 else {}
    return Figure(value, low, high, reason, beside=beside)


def sufficient_k(evidence: Evidence) -> Figure:
    """Fewest top-ranked neurons whose probe is within 0.01 of the full probe on ``select``.

    No interval (k is chosen, not measured); ``accuracy`` is that probe's on ``evaluate``.
    """
    top = where(evidence.sufficiency, {"selection": "top"})
    preferred = top[top["ranking"] == evidence.grid.rankings[0]]
    top = preferred if len(preferred) else top
    full = top[np.isclose(top["fraction"].astype(float), 1.0)]
    if full.empty:
        return unknown("no probe on all neurons was fitted")
    least = float(full["select_accuracy"].iloc[0]) - NEAR_FULL - TOLERANCE
    found = top[top["select_accuracy"] >= least].sort_values("k").iloc[0]
    reached = figure(found["accuracy"], found["accuracy_low"], found["accuracy_high"])
    extra: dict[str, Any] = {"fraction": float(found["fraction"]), "ranking": found["ranking"]}
    return figure(float(found["k"]), accuracy=reached, **extra)


def disjoint_sets(evidence: Evidence) -> Figure:
    """How many sets without a common neuron each suffice: greedy, so a lower bound.

    ``capped`` says whether the search stopped at :data:`MOST_SETS` rather than for want of sets.
    """
    if evidence.sufficiency.empty:
        return unknown("no probe sufficiency was measured")
    found = len(where(evidence.sufficiency, {"selection": "disjoint"}))
    return figure(float(found), capped=found >= MOST_SETS)


def _stack(parts: Sequence[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    filled = [part.reindex(columns=columns) for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)
