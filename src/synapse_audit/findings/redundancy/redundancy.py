"""Redundancy: how much can be taken away before the classifier breaks, and how little suffices.

In: removal, keep-only and single-neuron cells of ``effects``, the probe sufficiency table, the
participation ratios. Out: seven tables and the figures ``redundancy`` and ``load_bearing``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, Evidence, Finding
from synapse_audit.effects import curve_tests
from synapse_audit.effects.breaking import half_figure, half_lost, plateau_figure
from synapse_audit.effects.crossings import Losses
from synapse_audit.effects.curves import draw_range, headline, random_controls, where
from synapse_audit.effects.picked_rows import costliest_layer
from synapse_audit.effects.pooled_controls import pooled_controls
from synapse_audit.effects.resampled import chance
from synapse_audit.findings.redundancy.constants import constants_list, constants_table
from synapse_audit.statistics import interval
from synapse_audit.summary import Figure
from synapse_audit.tables.redundancy import LAYERS_ALONE, POSITIONS, REMOVAL, SUFFICIENT, TESTS

NO_CURVE = "no removal curve (operator mean, top, all layers, pooled) was run"
RANKED = ("top", "bottom", "keep_top")
DRAWN = ("random", "matched", "keep_random")

SHORT = {
    "accuracy_drop": "drop",
    "accuracy_drop_low": "drop_low",
    "accuracy_drop_high": "drop_high",
}
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
        "controls": pooled_controls(evidence),
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
        "chance": Figure(best.value[0], low[0], high[0]),
        "costliest_layer": costliest_layer(tables["layers"], "accuracy"),
    }
    summary = {"redundancy": figures, "load_bearing": constants_list(constants)}
    return Finding("redundancy", tables, summary)


# ---- tables ----------------------------------------------------------------------------------


def removal_table(evidence: Evidence) -> pd.DataFrame:
    """Accuracy against the fraction silenced (kept, for ``keep_*``), all layers, pooled, global.

    Rows of random selections are means over draws, with the band in which one more draw would lie
    in place of an interval.
    """
    cells = evidence.cells(*REMOVAL_GROUPS, "matched", "keep")
    ranked = cells[cells["selection"].isin(RANKED)].rename(columns=SHORT)
    keys = ["operator", "strength", "ranking", "selection", "fraction", "k"]
    measures = {"accuracy": "accuracy", "accuracy_drop": "drop"}
    drawn = draw_range(cells[cells["selection"].isin(DRAWN)], keys, measures)
    parts = [part.rename(columns={"drop": "accuracy_drop"}) for part in (ranked, drawn)]
    return REMOVAL.joined(parts).sort_values(REMOVAL.names[:4], ignore_index=True)


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
    return table.sort_values(LAYERS_ALONE.names[:3], ignore_index=True)[LAYERS_ALONE.names]


def positions_table(evidence: Evidence) -> pd.DataFrame:
    """Silencing at the pooled position against every position, at the fractions run at both.

    Operator mean, all layers; random rows are means over draws with their band.
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
    table = POSITIONS.joined([top.rename(columns=SHORT), drawn])
    return table.sort_values(POSITIONS.names[:3], ignore_index=True)


def curve_tests_table(evidence: Evidence) -> pd.DataFrame:
    """One test per curve (:func:`synapse_audit.effects.curve_tests`); empty when tests are off."""
    if not evidence.grid.tests:
        return TESTS.empty()
    return curve_tests(evidence.effects).reindex(columns=TESTS.names)


def sufficiency_table(evidence: Evidence) -> pd.DataFrame:
    """Accuracy of probes that see only some neurons; random rows as in the removal table.

    ``draw`` numbers the successive ``disjoint`` sets; it is null elsewhere.
    """
    rows = evidence.sufficiency
    top = where(rows, {"selection": "top"})
    keys = ["ranking", "selection", "k", "fraction"]
    random = draw_range(where(rows, {"selection": "random"}), keys, {"accuracy": "accuracy"})
    sets = where(rows, {"selection": "disjoint"})
    table = SUFFICIENT.joined([top, random, sets]).astype({"draw": "Int64"})
    # Sets come in the order in which they were found, whatever their size.
    table["size"] = table["k"].where(table["draw"].isna(), 0)
    order = ["ranking", "selection", "size", "draw"]
    return table.sort_values(order, ignore_index=True)[SUFFICIENT.names]


def participation_table(evidence: Evidence) -> pd.DataFrame:
    """Participation ratio (Σλ)²/Σλ² of the ``fit`` covariance of each layer."""
    widths = [len(layer.mean) for layer in evidence.statistics]
    columns = {"neurons": widths, "participation_ratio": list(evidence.participation)}
    return pd.DataFrame({"layer": range(len(widths)), **columns})


# ---- figures ---------------------------------------------------------------------------------


def plateau(evidence: Evidence) -> Figure:
    """Largest fraction up to which the headline curve loses at most 0.02 at every point.

    See :func:`synapse_audit.effects.breaking.plateau_figure`.
    """
    curve = headline(evidence)
    if curve.empty:
        return Figure.unknown(NO_CURVE)
    drop, low, high = (
        curve[f"accuracy_drop{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high")
    )
    fractions, actions = curve["fraction"].to_numpy(dtype=float), list(curve["action"])
    return plateau_figure(evidence, fractions, actions, Losses(drop, low, high))


def half_point(evidence: Evidence) -> Figure:
    """Where the headline curve has lost half of the accuracy above chance.

    See :func:`synapse_audit.effects.breaking.half_lost`.
    """
    curve = headline(evidence)
    if curve.empty:
        return Figure.unknown(NO_CURVE)
    fractions = curve["fraction"].to_numpy(dtype=float)
    return half_figure(half_lost(evidence, fractions, list(curve["action"])))


def sufficient_k(evidence: Evidence) -> Figure:
    """The smallest set whose probe is as good on ``select`` as that on all neurons.

    Among the ranking's top sets and the disjoint ones; as good = within 0.01, or one example.
    ``low`` and ``high``: range over resamples of ``select``. ``accuracy`` is that probe's on
    ``evaluate``, ``holds`` whether it is as good there, ``random`` the accuracy of random sets of
    the nearest size with the band of one more.
    """
    table = evidence.sufficiency
    sets = table[table["selection"].isin(("top", "disjoint"))]
    preferred = sets[sets["ranking"] == evidence.grid.rankings[0]]
    sets = preferred if len(preferred) else sets
    if not np.isclose(sets["fraction"].astype(float), 1.0).any():
        return Figure.unknown("no probe on all neurons was fitted")
    enough = sets[sets["sufficient"].astype(bool)]
    found = enough.sort_values(["k", "select_accuracy"], ascending=[True, False]).iloc[0]
    reached = Figure(found["accuracy"], found["accuracy_low"], found["accuracy_high"])
    return Figure(
        float(found["k"]),
        float(found["fewest_low"]),
        float(found["fewest_high"]),
        beside={
            "accuracy": reached,
            "random": _random_probe(table, float(found["k"])),
            "fraction": float(found["fraction"]),
            "ranking": str(found["ranking"]),
            "holds": bool(found["holds"]),
        },
    )


def _random_probe(table: pd.DataFrame, k: float) -> Figure:
    """Accuracy of probes on random sets of the size nearest to ``k``."""
    random = where(table, {"selection": "random"})
    if random.empty:
        return Figure.unknown("no random sets were probed")
    nearest = random["k"].iloc[int((random["k"] - k).abs().to_numpy().argmin())]
    drawn = draw_range(random[random["k"] == nearest], ["k"], {"accuracy": "accuracy"}).iloc[0]
    ends = (drawn["accuracy"], drawn["accuracy_low"], drawn["accuracy_high"])
    return Figure(*ends, beside={"k": int(nearest)})


def disjoint_sets(evidence: Evidence) -> Figure:
    """How many sets without a common neuron are each as good as all, where nothing was chosen.

    Found greedily on ``select`` (``found`` of them), counted where they hold on ``evaluate``: at
    least so many exist. ``capped`` says whether the search stopped at :data:`MOST_SETS` rather
    than for want of sets.
    """
    if evidence.sufficiency.empty:
        return Figure.unknown("no probe sufficiency was measured")
    sets = where(evidence.sufficiency, {"selection": "disjoint"})
    hold = int(sets["holds"].astype(bool).sum())
    return Figure(float(hold), beside={"found": len(sets), "capped": len(sets) >= MOST_SETS})
