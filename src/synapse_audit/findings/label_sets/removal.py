"""How much can be silenced before a model with several labels per example labels worse.

In: removal, keep-only and single-layer cells, measured by micro F1, Hamming loss, F1 of samples and
subset accuracy. Out: four tables and the figures ``label_removal``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import GLOBAL, REMOVAL_GROUPS, SILENCING, Evidence, Finding
from synapse_audit.artifacts.label_sets import encoded
from synapse_audit.effects import curve_tests
from synapse_audit.effects.breaking import (
    NEVER,
    NOT_ABOVE_CHANCE,
    counted,
    effective_examples,
)
from synapse_audit.effects.crossings import Losses, crossing, interpolated
from synapse_audit.effects.curves import (
    PLATEAU_LOSS,
    TOLERANCE,
    draw_range,
    headline,
    random_controls,
    where,
)
from synapse_audit.effects.picked_rows import costliest_layer
from synapse_audit.effects.random_controls import excess
from synapse_audit.effects.resampled import Sampled
from synapse_audit.effects.scored import ScoredSets, ratio
from synapse_audit.effects.set_samples import scored_actions, scored_clean, scored_sets
from synapse_audit.effects.two_phase import Phases
from synapse_audit.statistics import paired_interval
from synapse_audit.summary import Figure
from synapse_audit.tables.label_sets import EXCESS, LAYERS, REMOVAL, TESTS

NO_CURVE = "no removal curve (operator mean, top, all layers, pooled) was run"

MEASURES = ("micro_f1", "micro_f1_drop", "sample_f1", "hamming_loss", "hamming_rise", "accuracy")

RANKED = ("top", "bottom", "keep_top")
DRAWN = ("random", "matched", "keep_random")

SHORT = {f"micro_f1_drop{end}": f"drop{end}" for end in ("", "_low", "_high")}


def label_removal(evidence: Evidence) -> Finding:
    """Removal curves beside their random controls, and where they break."""
    layers = layers_table(evidence)
    tables = {
        "removal": removal_table(evidence),
        "excess": excess_table(evidence),
        "layers": layers,
        "tests": tests_table(evidence),
    }
    figures = {
        "plateau": plateau(evidence),
        "half_point": half_point(evidence),
        "costliest_layer": costliest_layer(layers, "micro F1"),
    }
    return Finding("label_removal", tables, {"label_removal": figures | _points(evidence)})


def removal_table(evidence: Evidence) -> pd.DataFrame:
    """``REMOVAL``: random selections are means over draws with the band of one more draw."""
    mine = evidence.cells(*REMOVAL_GROUPS, "matched", "keep")
    keys = ["operator", "strength", "ranking", "selection", "fraction", "k"]
    drawn = mine[mine["selection"].isin(DRAWN)]
    table = REMOVAL.joined(
        [
            mine[mine["selection"].isin(RANKED)],
            draw_range(drawn, keys, {name: name for name in MEASURES}),
        ]
    )
    return table.sort_values(REMOVAL.names[:4], ignore_index=True)


def excess_table(evidence: Evidence) -> pd.DataFrame:
    """``EXCESS``: what each ranking's top sets cost beyond random sets, by operator and share."""
    mine = evidence.cells(*REMOVAL_GROUPS)
    clean = micro_f1(scored_clean(evidence))
    rows = []
    for operator in SILENCING:
        for ranking in (*evidence.grid.rankings, *evidence.grid.compared):
            wanted = {"operator": operator, "selection": "top", "ranking": ranking}
            top = where(mine, wanted | {"ranked_for": GLOBAL}).sort_values("fraction")
            drawn = random_controls(where(mine, {"operator": operator}), ranking)
            for row in top.to_dict("records"):
                draws = where(drawn, {"fraction": row["fraction"]})
                if len(draws):
                    rows.append(_beside_random(evidence, clean, row, draws))
    return pd.DataFrame(rows, columns=EXCESS.names)


def _beside_random(
    evidence: Evidence, clean: Sampled, row: dict[Any, Any], draws: pd.DataFrame
) -> dict[str, Any]:
    chosen = micro_f1(scored_actions(evidence, [row["action"]]))
    random = micro_f1(scored_actions(evidence, list(draws["action"])))
    band = draw_range(draws, ["fraction"], {"micro_f1_drop": "random"}).iloc[0]
    found = excess(
        float(clean.value[0] - chosen.value[0]),
        clean.value[0] - random.value,
        random.samples.mean(axis=0) - chosen.samples[0],
    )
    return {
        **{name: row[name] for name in ("operator", "ranking", "fraction")},
        **{short: row[name] for name, short in SHORT.items()},
        "random_drop": band["random"],
        "random_low": band["random_low"],
        "random_high": band["random_high"],
        **{f"excess{end}": part for end, part in zip(("", "_low", "_high"), found, strict=True)},
    }


def layers_table(evidence: Evidence) -> pd.DataFrame:
    """``LAYERS``: what silencing the top of one layer alone costs, beside its random controls."""
    mine = evidence.cells("layer")
    keys = ["operator", "layers", "fraction"]
    top = where(
        mine,
        {"selection": "top", "ranking": evidence.grid.rankings[0], "ranked_for": GLOBAL},
    )
    drawn = draw_range(where(mine, {"selection": "random"}), keys, {"micro_f1_drop": "random"})
    drawn = drawn.rename(columns={"random": "random_drop"})
    table = top.rename(columns=SHORT).merge(drawn, on=keys, how="left")
    table["layer"] = table["layers"].astype(int)
    return table.sort_values(LAYERS.names[:3], ignore_index=True)[LAYERS.names]


def tests_table(evidence: Evidence) -> pd.DataFrame:
    """As ``redundancy.tests``, of micro F1; empty when tests are off."""
    if not evidence.grid.tests:
        return TESTS.empty()
    # What a second phase adds is known of subset accuracy alone.
    by_f1 = evidence.effects.assign(accuracy_drop=evidence.effects["micro_f1_drop"], phase_se=0.0)
    return curve_tests(by_f1).reindex(columns=TESTS.names)


# ---- figures -----------------------------------------------------------------------------------


def plateau(evidence: Evidence) -> Figure:
    """Largest share up to which the headline curve loses at most 0.02 of micro F1 at every point.

    ``value`` by the measured losses, ``low`` by their upper 97.5 % bounds: null where the sample
    cannot show so little at even the first point.
    """
    curve = headline(evidence)
    if curve.empty:
        return Figure.unknown(NO_CURVE)
    losses = Losses(*(curve[name].to_numpy(dtype=float) for name in SHORT))
    found = crossing(curve["fraction"].to_numpy(dtype=float), losses, PLATEAU_LOSS + TOLERANCE)
    if found.low > 0 or found.within == 0:
        return Figure(found.within, found.low, found.high)
    reason = f"{counted(evidence)} cannot show that less than {PLATEAU_LOSS:g} of micro F1 is lost"
    return Figure(found.within, high=found.high, reason=reason)


def half_point(evidence: Evidence) -> Figure:
    """Where half of the micro F1 above that of the best constant answer is lost.

    ``between``: the two shares tried that bracket it; the interval contains that gap.
    """
    curve = headline(evidence)
    if curve.empty:
        return Figure.unknown(NO_CURVE)
    clean, floor = micro_f1(scored_clean(evidence)), constant_f1(evidence)
    if clean.value[0] <= floor.value[0]:
        return Figure.unknown(NOT_ABOVE_CHANCE.replace("accuracy", "micro F1"))
    silenced = micro_f1(scored_actions(evidence, list(curve["action"])))
    value = (clean.value + floor.value) / 2 - silenced.value
    samples = (clean.samples + floor.samples) / 2 - silenced.samples
    fractions = curve["fraction"].to_numpy(dtype=float)
    ends = paired_interval(value, samples, effective_examples(evidence))
    found = crossing(fractions, Losses(value, ends.low, ends.high), -TOLERANCE)
    level = float((clean.value[0] - floor.value[0]) / 2)
    at = interpolated(fractions, clean.value - silenced.value, level)
    if not np.isfinite(at):
        return Figure(np.nan, found.low, found.high, reason=NEVER)
    return Figure(at, found.low, found.high, beside={"between": [found.within, found.beyond]})


def micro_f1(scored: ScoredSets) -> Sampled:
    """Micro F1 of each row: (rows,) and (rows, resamples)."""
    value, samples = (
        np.nan_to_num(ratio(2 * c.hits.sum(axis=0), (c.called + c.support).sum(axis=0)))
        for c in (scored.counts, scored.resampled_counts)
    )
    return Sampled(value[:, 0], samples)


def constant_f1(evidence: Evidence) -> Sampled:
    """Micro F1 of the best of the answers that name one and the same label for all examples."""
    always = encoded(np.eye(len(evidence.classes), dtype=bool))
    said = np.repeat(always[:, None], len(evidence.weights), axis=1)
    found = micro_f1(scored_sets(evidence, Phases(said)))
    return Sampled(found.value.max(keepdims=True), found.samples.max(axis=0, keepdims=True))


def _points(evidence: Evidence) -> dict[str, Any]:
    """Micro F1 and Hamming loss at each share of the headline curve."""
    curve = headline(evidence)
    return (
        {
            name: {
                f"{row['fraction']:g}": Figure(row[name], row[f"{name}_low"], row[f"{name}_high"])
                for row in curve.to_dict("records")
            }
            for name in ("micro_f1", "hamming_loss")
        }
        if len(curve)
        else {}
    )
