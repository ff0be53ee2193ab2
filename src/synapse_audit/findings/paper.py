"""The SYNAPSE paper's protocol on this model, in the paper's own measure, weighted F1.

In: cells of the ranking ``paper``, those that name a setting of the paper, the ranking itself. Out:
one table per experiment and the figures ``paper``. Nothing where the grid does not ask for the
paper's settings.

| table | the paper's experiment |
|---|---|
| curve | silencing of the top neurons of all blocks, beside random sets as large in each layer |
| classes | the same with each class's own neurons |
| exclusive | neurons of one class's set and of no other's, by count and by weight mass |
| disturbances | noise and attenuation |
| redirects | head push and logit constant |
| layers | where the top neurons lie |
| published | the numbers that the paper prints: other models, other data |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import ALL_LAYERS, GLOBAL, REMOVAL_GROUPS, Evidence, Finding, Group
from synapse_audit.effects import METRICS, untouched
from synapse_audit.effects.breaking import half_figure, half_lost, plateau_figure
from synapse_audit.effects.crossings import Losses
from synapse_audit.effects.curves import draw_range, random_controls, where
from synapse_audit.effects.picked_rows import PickedBy, picked_figure
from synapse_audit.neurons import top_across
from synapse_audit.summary import Figure
from synapse_audit.tables.paper import (
    CLASSES,
    CURVE,
    DISTURBANCES,
    EXCLUSIVE,
    LAYERS,
    PUBLISHED,
    REDIRECTS,
)

RANKING = "paper"
OPERATORS = ("zero", "mean")
"""The paper's operator, and the one that keeps the operating point."""

PROFILED = (0.025, 0.1, 0.5)
"""Shares of all neurons whose layers are counted; the paper prints the first."""

LAST = 3
"""Blocks in which the paper found most of its top neurons."""

HALF = 0.5

F1 = {"weighted_f1": "f1", "accuracy_drop": "drop"}
"""Column of ``effects`` → its name here; intervals as ``_low`` and ``_high``."""

ENDS = ("", "_low", "_high")
CURVE_FIGURES = (
    *("plateau", "half_point", "f1_at_half", "random_f1_at_half"),
    *("z_matched", "z_published"),
)
MEASURED = [f"{name}{end}" for name in F1.values() for end in ENDS]

BIGBIRD = "BigBird, malware"
_CURVE = {0.025: 0.786, 0.1: 0.766, 0.2: 0.766, 0.3: 0.753, 0.4: 0.697, 0.5: 0.469, 0.65: 0.285,
          0.75: 0.109, 0.95: 0.079}  # fmt: skip
_CLASSES = (0.701, 0.366, 0.679, 0.653, 0.636)
PRINTED: tuple[tuple[str, str, float | None, str, float], ...] = (
    ("clean", BIGBIRD, None, "", 0.831),
    ("clean", "Longformer, malware", None, "", 0.852),
    ("clean", "BERT, malware", None, "", 0.683),
    ("clean", "DistilBERT, malware", None, "", 0.608),
    ("clean", "BERT, emotions", None, "", 0.865),
    *(("silencing", BIGBIRD, fraction, "", f1) for fraction, f1 in _CURVE.items()),
    *(("per class", BIGBIRD, HALF, f"class {c}", f1) for c, f1 in enumerate(_CLASSES)),
    ("weight push", BIGBIRD, None, "38 % redirected", 0.550),
    ("logit +8", BIGBIRD, None, "28.6 % redirected", 0.687),
    ("weight push", "BERT, emotions", None, "58 % redirected", 0.492),
    ("logit +12", "BERT, emotions", None, "", 0.048),
)
"""arXiv 2603.08424; 50 to 60 evaluation items, one seed, no interval."""


SAME = 1e-9
"""Standard deviation below which draws differ by rounding alone."""


def paper(evidence: Evidence) -> Finding:
    """Every experiment of the paper, where the grid asks for them."""
    if not evidence.grid.paper:
        why = "the settings of the SYNAPSE paper were not asked for (preset paper)"
        return Finding("paper", {}, {"paper": Figure.unknown(why)})
    tables = {
        "curve": curve_table(evidence),
        "classes": classes_table(evidence),
        "exclusive": exclusive_table(evidence),
        "disturbances": disturbances_table(evidence),
        "redirects": redirects_table(evidence),
        "layers": layers_table(evidence),
        "published": pd.DataFrame(PRINTED, columns=PUBLISHED.names),
    }
    return Finding("paper", tables, {"paper": _figures(evidence, tables)})


# ---- tables --------------------------------------------------------------------------------------


def curve_table(evidence: Evidence) -> pd.DataFrame:
    """Weighted F1 and accuracy lost over the share of all neurons silenced.

    Rows ``random`` are means over draws with as many neurons in each layer; their ``_low`` and
    ``_high`` are the band in which one more draw would lie. Rows ``random_unmatched``: the same
    with as many neurons over all blocks together, the authors' own control.
    """
    cells = _silenced(evidence, *REMOVAL_GROUPS)
    ranked = _named(where(cells, {"ranking": RANKING, "ranked_for": GLOBAL}))
    ranked = ranked[ranked["selection"].isin(("top", "bottom"))].assign(draws=1)
    drawn = draw_range(
        random_controls(cells, RANKING), ["operator", "selection", "fraction", "k"], F1
    )
    own = evidence.cells("paper_control").assign(selection="random_unmatched")
    unmatched = draw_range(own, ["operator", "selection", "fraction", "k"], F1)
    return CURVE.joined([ranked, drawn, unmatched]).sort_values(CURVE.names[:3], ignore_index=True)


def classes_table(evidence: Evidence) -> pd.DataFrame:
    """The same with the neurons ranked for each class, and what its own recall then is."""
    cells = where(_silenced(evidence, "class"), {"ranking": RANKING, "layers": ALL_LAYERS})
    cells = _named(cells)
    recalls = ["recall", "recall_low", "recall_high", "recall_drop"]
    own = evidence.class_effects[["cell", "class", *recalls]].rename(
        columns={"class": "ranked_for"} | {name: f"own_{name}" for name in recalls}
    )
    table = cells.merge(own, on=["cell", "ranked_for"], how="left")
    return _in_class_order(evidence, table, ["operator", "fraction"])[CLASSES.names]


def exclusive_table(evidence: Evidence) -> pd.DataFrame:
    """Sets of one class alone: by count at every fraction, and by weight mass with their random
    controls.

    ``random_drop``: mean accuracy lost with random sets of the same size in each layer, by mass
    only.
    """
    counted = where(_silenced(evidence, "exclusive"), {"ranking": RANKING})
    mass = evidence.cells("paper_mass")
    keys = ["operator", "ranked_for"]
    beside = draw_range(
        where(mass, {"selection": "random"}), keys, {"accuracy_drop": "random_drop"}
    )
    alone = where(mass, {"selection": "exclusive_mass"}).merge(beside, on=keys, how="left")
    parts = [_named(counted).assign(kind="count"), _named(alone).assign(kind="mass")]
    table = EXCLUSIVE.joined(parts)
    return _in_class_order(evidence, table, ["operator", "kind", "fraction"])


def disturbances_table(evidence: Evidence) -> pd.DataFrame:
    """Noise and attenuation; random rows are means over draws with their range."""
    rows = evidence.cells("paper_setting")
    chosen = _named(where(rows, {"selection": "top"})).assign(draws=1)
    drawn = draw_range(where(rows, {"selection": "random"}), DISTURBANCES.names[:6], F1)
    return DISTURBANCES.joined([chosen, drawn])


def redirects_table(evidence: Evidence) -> pd.DataFrame:
    """The paper's six settings of the head push, and its logit constants, toward every class."""
    pushes = where(evidence.cells("paper_edit"), {"operator": "paper_push"})
    pushes = pushes[pushes["selection"] != "random"]
    shifts = evidence.cells("shift")
    setting = shifts["strength"].map(lambda b: f"logit +{b:g}")
    both = [pushes, shifts.assign(setting=setting)]
    named = [
        _named(rows).rename(columns={f"redirect_rate{e}": f"redirect{e}" for e in ENDS})
        for rows in both
    ]
    return REDIRECTS.joined(named)


def layers_table(evidence: Evidence) -> pd.DataFrame:
    """How the top neurons spread over the layers; ``even_share`` is that of a random set."""
    ranking = evidence.rankings.get(RANKING)
    if ranking is None:
        return LAYERS.empty()
    scores = ranking.scores[GLOBAL]
    blocks = range(1, len(scores))
    total = sum(len(scores[m]) for m in blocks)
    rows = []
    for fraction in PROFILED:
        chosen = top_across(scores, fraction, blocks)
        for m in blocks:
            k = chosen.counts.get(m, 0)
            share = k / len(chosen) if len(chosen) else np.nan
            rows.append((fraction, m, k, share, len(scores[m]) / total))
    return pd.DataFrame(rows, columns=LAYERS.names)


# ---- figures -------------------------------------------------------------------------------------


def _figures(evidence: Evidence, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    curves = {o: _curve_figures(evidence, tables["curve"], o) for o in OPERATORS}
    return {
        "clean": _clean(evidence),
        **curves,
        "last_blocks": _last(tables["layers"]),
        "class_sets": class_sets(tables["classes"]),
        "exclusive": largest_exclusive_loss(tables["exclusive"]),
        "redirects": {
            space: picked_figure(
                where(tables["redirects"], {"space": space}),
                PickedBy("redirect", least=0.0),
                tied="target",
                beside=("setting", "target"),
            )
            for space in ("weight", "logit")
        },
    }


def class_sets(classes: pd.DataFrame) -> dict[str, Figure]:
    """The least and the most F1 that is left with the half ranked for one class set to 0.

    Both intervals hold for all classes at once, since the two classes were picked by their F1.
    """
    rows = where(classes, {"operator": "zero"}).dropna(subset=["f1"])
    if len(rows):
        half = rows["fraction"].iloc[int((rows["fraction"] - HALF).abs().to_numpy().argmin())]
        rows = where(rows, {"fraction": half})
    return {
        name: picked_figure(
            rows,
            PickedBy("f1", least=0.0, smallest=name == "least"),
            tied="ranked_for",
            beside=("ranked_for", "fraction"),
            reason="no such set was silenced",
        )
        for name in ("least", "most")
    }


def largest_exclusive_loss(exclusive: pd.DataFrame) -> Figure:
    """The largest loss of accuracy when a tenth of one class's weight mass, its alone, is set to 0.

    The interval holds for all classes at once, since the largest was picked.
    """
    rows = where(exclusive, {"operator": "zero", "kind": "mass"})
    return picked_figure(
        rows, PickedBy("drop"), tied="ranked_for", beside=("ranked_for", "k"),
        reason="no such set was silenced",
    )  # fmt: skip


def _curve_figures(evidence: Evidence, table: pd.DataFrame, operator: str) -> dict[str, Any]:
    """Where the curve leaves the plateau, where half is lost, and F1 at half of all neurons."""
    rows = where(table, {"operator": operator, "selection": "top"})
    if rows.empty:
        why = Figure.unknown(f"no curve of the ranking '{RANKING}' under {operator} was run")
        return dict.fromkeys(CURVE_FIGURES, why)
    fractions = rows["fraction"].to_numpy(dtype=float)
    drop, low, high = (rows[f"drop{end}"].to_numpy(dtype=float) for end in ENDS)
    actions = _top(evidence, operator)
    losses = Losses(drop, low, high)
    return {
        "plateau": plateau_figure(evidence, fractions, actions, losses),
        "half_point": half_figure(half_lost(evidence, fractions, actions)),
        "f1_at_half": _at_half(rows),
        "random_f1_at_half": _at_half(where(table, {"operator": operator, "selection": "random"})),
        "z_matched": _z(evidence, operator, published=False),
        "z_published": _z(evidence, operator, published=True),
    }


def _z(evidence: Evidence, operator: str, *, published: bool) -> Figure:
    """(Drop of the ranked half − mean of random ones) / their sd, beside either control.

    ``published``: random sets drawn over all blocks, as the authors'; otherwise with as many
    neurons in each layer. Descriptive: the z of a few draws, whose tails are unknown.
    """
    cells = where(_silenced(evidence, *REMOVAL_GROUPS), {"operator": operator})
    ranked = where(cells, {"ranking": RANKING, "ranked_for": GLOBAL, "selection": "top"})
    control = evidence.cells("paper_control") if published else random_controls(cells, RANKING)
    control = where(control, {"operator": operator})
    shared = ranked[ranked["fraction"].isin(control["fraction"])]
    if shared.empty:
        return Figure.unknown("no such control was run")
    row = shared.iloc[int((shared["fraction"] - HALF).abs().to_numpy().argmin())]
    drawn = where(control, {"fraction": row["fraction"]})["accuracy_drop"].to_numpy(dtype=float)
    spread = float(drawn.std(ddof=1)) if len(drawn) > 1 else 0.0
    if spread <= SAME:
        return Figure.unknown(
            "all random sets cost the same, so there is no spread to compare with"
        )
    z = (float(row["accuracy_drop"]) - float(drawn.mean())) / spread
    return Figure(z, beside={"fraction": float(row["fraction"]), "draws": len(drawn)})


def _top(evidence: Evidence, operator: str) -> list[str]:
    """Actions of the ranked curve, by fraction."""
    wanted = {"operator": operator, "selection": "top", "ranking": RANKING, "ranked_for": GLOBAL}
    return list(
        where(_silenced(evidence, *REMOVAL_GROUPS), wanted).sort_values("fraction")["action"]
    )


def _at_half(rows: pd.DataFrame) -> Figure:
    if rows.empty:
        return Figure.unknown("no such curve was run")
    row = rows.iloc[int((rows["fraction"] - HALF).abs().to_numpy().argmin())]
    return Figure(
        row["f1"], row["f1_low"], row["f1_high"], beside={"fraction": float(row["fraction"])}
    )


def _last(layers: pd.DataFrame) -> Figure:
    """Share of the top 2.5 % that lies in the last three blocks, and an even spread's."""
    if layers.empty:
        return Figure.unknown(f"the ranking '{RANKING}' is not at hand")
    rows = layers[layers["fraction"] == PROFILED[0]].tail(LAST)
    return Figure(rows["share"].sum(), beside={"even": float(rows["even_share"].sum())})


def _clean(evidence: Evidence) -> Figure:
    """Weighted F1 of the untouched model."""
    scored = untouched(
        evidence.predictions, evidence.weights, evidence.resampled, len(evidence.classes)
    )
    found = METRICS["weighted_f1"](scored)
    return Figure(found.value[0], found.low[0], found.high[0])


# ---- rows ----------------------------------------------------------------------------------------


def _silenced(evidence: Evidence, *groups: Group) -> pd.DataFrame:
    """Cells of the paper's operator and of mean silencing."""
    cells = evidence.cells(*groups)
    return cells[cells["operator"].isin(OPERATORS)]


def _named(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.rename(columns={f"{old}{e}": f"{new}{e}" for old, new in F1.items() for e in ENDS})


def _in_class_order(evidence: Evidence, table: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    order = {name: place for place, name in enumerate(evidence.classes)}
    table = table.assign(place=table["ranked_for"].map(order))
    return table.sort_values([*first, "place"], ignore_index=True).drop(columns="place")
