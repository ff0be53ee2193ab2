"""Pathways: how much of an effect travels along the pooled row itself, how much through others.

In: cells of ``effects`` whose stream route was run as well (``direct_drop``), and both routes'
predictions. Out: each effect split in two, a comparison of operators, and the figures ``pathways``.

With only the pooled row run against clean keys and values, no other token sees the change: what
accuracy then loses is the *direct* part. The rest, which may be negative where other tokens repair
what the pooled row lost, went *through* them: through = accuracy drop − direct drop, exactly.

Limits: a change at one of the last two layers is direct by construction and not listed; cells at
every token position have no pooled row of their own and are not split; where the accuracy drop is
a two-phase estimate, so is the through part.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import (
    ALL_LAYERS,
    GLOBAL,
    REMOVAL_GROUPS,
    SILENCING,
    Direct,
    Evidence,
    Finding,
)
from synapse_audit.effects.curves import draw_range, where
from synapse_audit.effects.estimates import clopper_pearson
from synapse_audit.effects.resampled import accuracy, direct_accuracy
from synapse_audit.effects.selection import widened
from synapse_audit.statistics import (
    Z_975,
    Interval,
    bonett_price,
    paired_interval,
)
from synapse_audit.summary import Figure
from synapse_audit.tables.pathways import OPERATORS, SPLIT

DRAWN = ("random", "matched", "keep_random")
NOTABLE = 0.01
"""A through part beyond this, either way, is counted in the comparison of operators."""

FEW = 5
"""Fewer examples than this on which only one route is right: a closed form gives the interval."""

ALL_EXACT = (
    "pooled-position cells were all run exactly, so the pooled row alone was not (as with --exact, "
    "few examples, or a model without that route)"
)
ALL_DIRECT = (
    "in every pooled-position cell that was run the pooled row alone is exact: the whole effect is "
    "direct by construction"
)
NO_CURVE = "the route along the pooled row alone was not run on this operator's headline curve"
KEYS = [
    *("operator", "strength", "site", "layers", "selection", "ranking", "ranked_for"),
    *("target", "setting", "fraction"),
]
"""What the draws of one row share: all but the draw."""

HEADLINE = {"site": "block_output", "target": None, "setting": None}
SHORT = {
    "accuracy_drop": "drop",
    "accuracy_drop_low": "drop_low",
    "accuracy_drop_high": "drop_high",
}


def pathways(evidence: Evidence) -> Finding:
    """Every effect split into its direct part and the part through other tokens."""
    cells = cells_table(evidence)
    split = split_table(evidence, cells)
    tables = {"split": split, "operators": operators_table(cells)}
    figures = {o: _figures(evidence, split, o) for o in SILENCING}
    return Finding("pathways", tables, {"pathways": figures})


# ---- tables ------------------------------------------------------------------------------------


def cells_table(evidence: Evidence) -> pd.DataFrame:
    """Cells run on both routes, with ``indirect_drop`` and ``disagreement``.

    Disagreement = share of examples on which the routes predict different classes, as the exactly
    run ones let estimate it; example weights aside.
    """
    direct = evidence.outcomes.direct
    known = evidence.effects["direct_drop"].notna().to_numpy(dtype=bool)
    cells = evidence.effects[known & (direct is not None)].copy()
    cells["indirect_drop"] = cells["accuracy_drop"] - cells["direct_drop"]
    rates = [] if direct is None else _disagreements(evidence, direct, list(cells["action"]))
    cells["disagreement"] = np.array(rates, dtype=np.float64)
    return cells


def split_table(evidence: Evidence, cells: pd.DataFrame) -> pd.DataFrame:
    """One row per ranked cell; draws of one random selection share a row.

    A ranked row's through interval is the paired bootstrap over both phases, with one example lost
    and one won added to the exact ones. Where correctness
    differs on fewer than five exactly run examples it is Bonett and Price's instead, which counts
    examples as if unweighted, with the error that the pilot lets expect of the second phase; both
    are approximate. A drawn row is the mean over its draws with the band of one more, and the
    smallest ``n_exact`` of them. Single candidate constants are left out.
    """
    cells = cells[cells["fraction"].notna()]
    ranked = cells[~cells["selection"].isin(DRAWN)].rename(columns=SHORT)
    bounds = indirect_interval(evidence, ranked)
    ranked = ranked.assign(indirect_low=bounds.low, indirect_high=bounds.high)
    parts = [ranked, _drawn(cells[cells["selection"].isin(DRAWN)])]
    return SPLIT.joined(parts).sort_values(KEYS, ignore_index=True)


def indirect_interval(evidence: Evidence, cells: pd.DataFrame) -> Interval:
    """95 % interval of the through part of each cell; see :func:`split_table`."""
    direct, actions = evidence.outcomes.direct, list(cells["action"])
    if direct is None or not actions:
        return Interval(np.full(len(cells), np.nan), np.full(len(cells), np.nan))
    value = cells["indirect_drop"].to_numpy(dtype=np.float64)
    samples = direct_accuracy(evidence, actions).samples - accuracy(evidence, actions).samples
    rows, labels = evidence.outcomes.rows(actions), evidence.predictions.labels
    before = direct.predicted[rows] == labels
    after = evidence.outcomes.predicted[rows] == labels
    lost, won = (
        (direct.design_weight[rows] * parted).sum(axis=1)
        for parted in (before & ~after, ~before & after)
    )
    n = np.full(len(rows), float(len(labels)))
    closed, seen = bonett_price(lost, won, n), (lost - won) / n
    beside = Z_975 * direct.error[rows]
    exact = cells["n_exact"].to_numpy(dtype=np.float64)
    low, high = paired_interval(value, samples, exact)
    few = (before != after).sum(axis=1) < FEW
    low = np.where(few, value - np.hypot(seen - closed.low, beside), low)
    high = np.where(few, value + np.hypot(closed.high - seen, beside), high)
    return Interval(np.minimum(low, value), np.maximum(high, value))


def operators_table(cells: pd.DataFrame) -> pd.DataFrame:
    """Per operator, over its distinct actions: how often the routes part.

    ``notable_share`` = share of cells whose through part exceeds 0.01 either way; with few exact
    examples a single one of them can do that.
    """
    groups = cells.drop_duplicates("action").groupby("operator")
    table = groups.size().rename("cells").to_frame()
    table["n_exact"] = groups["n_exact"].median().astype("float64")
    table["median_disagreement"] = groups["disagreement"].median()
    table["max_disagreement"] = groups["disagreement"].max()
    notable = cells.drop_duplicates("action").set_index("operator")["indirect_drop"].abs() > NOTABLE
    table["notable_share"] = notable.groupby(level=0).mean()
    return table.reset_index()[OPERATORS.names]


# ---- figures -----------------------------------------------------------------------------------


def _figures(evidence: Evidence, split: pd.DataFrame, operator: str) -> dict[str, Any]:
    """The headline curve's largest through part and largest disagreement.

    Each was picked among the curve's points, so its interval holds for all of them at once.
    """
    wanted = {"operator": operator, "layers": ALL_LAYERS, "selection": "top", **HEADLINE}
    curve = where(split, wanted | {"ranking": evidence.grid.rankings[0], "ranked_for": GLOBAL})
    if curve.empty:
        why = NO_CURVE if len(split) else _why(evidence)
        return {
            "largest_indirect": Figure.unknown(why),
            "largest_disagreement": Figure.unknown(why),
        }
    # Rounded, so that rounding errors of no effect at all do not choose.
    most = curve.iloc[int(curve["indirect_drop"].abs().round(9).to_numpy().argmax())]
    apart = curve.iloc[int(curve["disagreement"].to_numpy().argmax())]
    n, points = float(apart["n_exact"]), len(curve)
    bounds = clopper_pearson(apart["disagreement"] * n, n, level=1 - 0.05 / points)
    found: dict[str, Any] = {
        name: float(most[name]) for name in ("fraction", "drop", "direct_drop", "n_exact")
    }
    differ: dict[str, Any] = {name: float(apart[name]) for name in ("fraction", "n_exact")}
    through, *ends = (np.asarray(most[f"indirect_{name}"]) for name in ("drop", "low", "high"))
    wide = widened(through, *ends, among=points)
    low, high = np.maximum(wide.low, -1.0).item(), np.minimum(wide.high, 1.0).item()
    share = (apart["disagreement"], bounds.low.item(), bounds.high.item())
    return {
        "largest_indirect": Figure(through.item(), low, high, beside={"tried": points, **found}),
        "largest_disagreement": Figure(*share, beside={"tried": points, **differ}),
    }


def _why(evidence: Evidence) -> str:
    cells = evidence.cells(*REMOVAL_GROUPS, "matched", "keep", "layer", "class", "exclusive")
    exact = cells["route"].isna() | cells["route"].isin(["suffix", "full"])
    return ALL_EXACT if exact.any() or cells.empty else ALL_DIRECT


# ---- small things ------------------------------------------------------------------------------


def _disagreements(evidence: Evidence, direct: Direct, actions: list[str]) -> list[float]:
    rows = evidence.outcomes.rows(actions)
    differ = direct.predicted[rows] != evidence.outcomes.predicted[rows]
    shares: list[float] = (direct.design_weight[rows] * differ).mean(axis=1).tolist()
    return shares


def _drawn(cells: pd.DataFrame) -> pd.DataFrame:
    measures = {"accuracy_drop": "drop", "indirect_drop": "indirect"}
    table = draw_range(cells, KEYS, measures).rename(columns={"indirect": "indirect_drop"})
    groups = cells.groupby(KEYS, dropna=False, sort=True)
    table["n_exact"] = groups["n_exact"].min().to_numpy()
    table["disagreement"] = groups["disagreement"].mean().to_numpy()
    # From the other two, so that the parts sum to the whole to the last digit.
    return table.assign(direct_drop=table["drop"] - table["indirect_drop"])
