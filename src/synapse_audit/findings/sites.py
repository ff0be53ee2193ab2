"""Sites: where inside a block the knowledge sits, and how far neurons can be steered to a class.

In: neuron cells at sites besides the block output, and those of aimed operators. Out: tables beside
the same at the block output, and the sublayer that can least be done without.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from synapse_audit.artifacts import REMOVAL_GROUPS, Evidence, Finding
from synapse_audit.effects.curves import draw_range, where
from synapse_audit.effects.picked_rows import PickedBy, picked
from synapse_audit.summary import Figure
from synapse_audit.tables.sites import REMOVAL, STEERING, SUBLAYERS

RANDOM = ["random_drop", "random_low", "random_high"]
SHORT = {
    "accuracy_drop": "drop",
    "accuracy_drop_low": "drop_low",
    "accuracy_drop_high": "drop_high",
    "redirect_rate_low": "redirect_low",
    "redirect_rate_high": "redirect_high",
}
SETTING = ["site", "operator", "position", "fraction"]


def sites(evidence: Evidence) -> Finding:
    """Removal at each site, whole sublayers, and neurons steered toward each class."""
    tables = {
        "removal": removal_table(evidence),
        "sublayers": sublayers_table(evidence),
        "steering": steering_table(evidence),
    }
    summary = {"sites": _sublayer_figures(tables["sublayers"])}
    return Finding("sites", tables, summary | {"steering": _steering_figures(tables["steering"])})


def removal_table(evidence: Evidence) -> pd.DataFrame:
    """Top and bottom sets over all layers of each site, beside the range of their random controls.

    At the block output the ranking is the one that ranks the other sites too, where it was swept.
    """
    cells = evidence.cells(*REMOVAL_GROUPS, "position", "site", "site_position")
    inner = cells[cells["site"] != "block_output"]
    methods = set(inner["ranking"].dropna())
    ours = cells["ranking"].isin(methods) & cells["ranked_for"].isna()
    ranked = cells[ours & cells["selection"].isin(("top", "bottom"))].rename(columns=SHORT)
    ranked = ranked[_shared(ranked, inner)]
    random_controls = draw_range(
        where(cells, {"selection": "random", "ranking": None}), SETTING, {"accuracy_drop": "random"}
    ).rename(columns={"random": "random_drop"})
    table = ranked.merge(random_controls, on=SETTING, how="left")
    return table.sort_values(REMOVAL.names[:5], ignore_index=True)[REMOVAL.names]


def _shared(cells: pd.DataFrame, inner: pd.DataFrame) -> pd.Series:
    """Only what was run at the other sites too: the block output has many more cells."""
    known = set(zip(inner["operator"], inner["position"], inner["fraction"], strict=True))
    rows = zip(cells["operator"], cells["position"], cells["fraction"], strict=True)
    return pd.Series([row in known for row in rows], index=cells.index, dtype=bool)


def sublayers_table(evidence: Evidence) -> pd.DataFrame:
    """What accuracy loses when all that one site of one layer says is held at its mean."""
    cells = evidence.cells("site_layer")
    table = cells.rename(columns=SHORT).assign(
        layer=cells["layers"].astype("Int64"), neurons=cells["k"]
    )
    return table.sort_values(["site", "layer"], ignore_index=True)[SUBLAYERS.names]


def steering_table(evidence: Evidence) -> pd.DataFrame:
    """Redirect rate and collateral of neurons moved toward each class, beside random neurons."""
    cells = evidence.cells("aimed")
    keys = ["operator", "target", "fraction"]
    random_controls = draw_range(
        where(cells, {"selection": "random"}), keys, {"redirect_rate": "random"}
    )
    random_controls = random_controls.rename(columns={"random": "random_rate"})
    top = where(cells, {"selection": "top"}).rename(columns=SHORT)
    table = top.merge(random_controls, on=keys, how="left").sort_values(keys, ignore_index=True)
    return table[STEERING.names]


def _sublayer_figures(sublayers: pd.DataFrame) -> dict[str, Any] | Figure:
    """Per site, the layer whose whole sublayer costs most.

    The interval holds for all layers of the site at once, since the largest was picked. ``tied``:
    layers whose loss is indistinguishable from it, itself included; ``layer``: the one that costs
    most, null where several are tied, or the largest loss is not shown to be above 0.
    """
    figures: dict[str, Any] = {}
    for site, rows in sublayers.groupby("site"):
        found = picked(rows, PickedBy("drop"), tied="layer")
        if found is not None:
            shown = found.tried == 1 or (found.low > 0 and len(found.tied) == 1)
            layer = int(found.row["layer"]) if shown else None
            figures[str(site)] = {"largest_drop": found.figure(), "layer": layer}
    return figures or Figure.unknown("no site besides the block output was swept")


def _steering_figures(steering: pd.DataFrame) -> dict[str, Any] | Figure:
    """Per operator, the target that most examples can be steered to.

    The interval holds for all targets and shares of neurons at once, since the largest was picked.
    ``tied``: targets whose largest rate is indistinguishable from it; ``target`` is null where
    those are several.
    """
    figures: dict[str, Any] = {}
    for operator, rows in steering.rename(columns={"redirect_rate": "redirect"}).groupby(
        "operator"
    ):
        found = picked(rows, PickedBy("redirect", least=0.0), tied="target")
        if found is not None:
            named = str(found.row["target"]) if len(found.tied) == 1 else None
            at = {"target": named, "fraction": float(found.row["fraction"])}
            random = Figure(found.row["random_rate"])
            figures[str(operator)] = {"redirect": found.figure(), **at, "random": random}
    return figures or Figure.unknown("no aimed operator was swept")
