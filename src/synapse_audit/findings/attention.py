"""Attention heads: what each costs alone, and whether ranked heads cost more than random ones.

In: cells in which whole heads are silenced. Out: every head with what it costs each class, sets of
heads beside as many random heads, and the head that costs most. Source: Michel et al. 2019 (arXiv
1905.10650); Voita et al. 2019 (arXiv 1905.09418).

Limits: at the pooled position a head counts for what it writes to the token that the classifier
head reads; heads that carry something between other tokens are seen only in the sets that are
silenced at every token.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.beyond_random import beyond_random, with_excess
from synapse_audit.effects.curves import draw_range, where
from synapse_audit.effects.picked_rows import PickedBy, picked
from synapse_audit.summary import Figure
from synapse_audit.tables.attention import CLASSES, HEADS, SETS

SHORT = {
    "accuracy_drop": "drop",
    "accuracy_drop_low": "drop_low",
    "accuracy_drop_high": "drop_high",
}
SETTING = ["operator", "position", "fraction"]
FRACTION = 0.3
"""Where the summary quotes sets, or the nearest share that was run."""


def attention(evidence: Evidence) -> Finding:
    """Heads alone, per class and in sets."""
    heads = heads_table(evidence)
    tables = {
        "heads": heads,
        "classes": classes_table(evidence),
        "sets": sets_table(evidence),
    }
    figures = {"costliest": _costliest(heads), "sets": _sets_figures(tables["sets"])}
    return Finding("attention", tables, {"attention": figures})


# ---- tables ------------------------------------------------------------------------------------


def heads_table(evidence: Evidence) -> pd.DataFrame:
    """One row per head; the mean over its layer is what a head of that layer at random costs."""
    cells = _numbered(evidence.cells("attention_head")).rename(columns=SHORT)
    mean = cells.groupby("layer")["drop"].transform("mean")
    return cells.assign(layer_drop=mean)[HEADS.names]


def classes_table(evidence: Evidence) -> pd.DataFrame:
    """The same per class that has an example."""
    cells = _numbered(evidence.cells("attention_head"))
    rows = cells[["cell", "layer", "head"]].merge(evidence.class_effects, on="cell", how="inner")
    return rows[rows["support"] > 0][CLASSES.names].reset_index(drop=True)


def _numbered(cells: pd.DataFrame) -> pd.DataFrame:
    """With layer and number of each head, read off its neurons, in order."""
    first = cells["addresses"].astype("str").str.extract(r":(\d+)(?:-\d+)?$")[0]
    found = cells.assign(
        layer=pd.to_numeric(cells["layers"]).astype("Int64"),
        head=pd.to_numeric(first).astype("Int64") // cells["k"].astype("Int64"),
        neurons=cells["addresses"],
    )
    return found.sort_values(["layer", "head"], ignore_index=True)


def sets_table(evidence: Evidence) -> pd.DataFrame:
    """Top and bottom heads of all layers beside as many random ones in each.

    ``excess`` and its interval over draws and examples: as of rankings' effectiveness.
    """
    cells = evidence.cells("attention_set")
    drawn = where(cells, {"selection": "random"})
    ranked = cells[cells["selection"] != "random"].rename(columns=SHORT)
    measures = {"accuracy_drop": "random"}
    table = ranked.merge(draw_range(drawn, SETTING, measures), on=SETTING, how="left")
    table = table.rename(columns={"random": "random_drop"})
    table = table.merge(_recalls(evidence, cells), on="cell", how="left")
    width = evidence.cells("attention_head")["k"]
    table["heads"] = table["k"].astype("Int64") // (int(width.iloc[0]) if len(width) else 1)
    found = [
        beyond_random(evidence, row["action"], where(drawn, _of(row, SETTING))["action"])
        for _, row in table.iterrows()
    ]
    table = with_excess(table, found)
    return table.sort_values([*SETTING, "ranked_for", "selection"], ignore_index=True)[SETS.names]


def _of(row: pd.Series, names: Sequence[str]) -> dict[str, object]:
    return {name: row[name] for name in names}


def _recalls(evidence: Evidence, cells: pd.DataFrame) -> pd.DataFrame:
    """Per set that is ranked for a class, the recall that class loses, beside random heads."""
    names = {"recall_drop": "random_recall_drop"}
    rows = evidence.class_effects[["cell", "class", "recall_drop"]]
    rows = rows.merge(cells[["cell", "selection", "ranked_for", *SETTING]], on="cell", how="inner")
    keys = [*SETTING, "class"]
    random = draw_range(where(rows, {"selection": "random"}), keys, names).drop(columns="draws")
    own = rows[rows["ranked_for"] == rows["class"]]
    kept = ["cell", "recall_drop", *(c for c in random.columns if c not in keys)]
    return own.merge(random, on=keys, how="left")[kept]


# ---- figures -----------------------------------------------------------------------------------


def _costliest(heads: pd.DataFrame) -> dict[str, Any] | Figure:
    """The head that costs most alone; its interval holds for all heads at once.

    ``tied``: heads whose loss is indistinguishable from it, itself included; ``head`` is null where
    those are several, or the largest loss is not shown to be above 0.
    """
    names = [f"{row.layer}:{row.head}" for row in heads.itertuples()]
    found = picked(heads.assign(name=names), PickedBy("drop"), tied="name")
    if found is None:
        return Figure.unknown("no attention head was silenced")
    shown = found.low > 0 and len(found.tied) == 1
    return {"drop": found.figure(), "head": found.tied[0] if shown else None}


def _sets_figures(sets: pd.DataFrame) -> dict[str, Any] | Figure:
    """Per operator, the top heads at the share nearest :data:`FRACTION`, pooled position."""
    rows = where(sets, {"selection": "top", "ranked_for": None, "position": "pooled"})
    figures = {
        str(operator): dict(_set_figures(mine)) for operator, mine in rows.groupby("operator")
    }
    return figures or Figure.unknown("no set of attention heads was silenced")


def _set_figures(rows: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    row = rows.iloc[(rows["fraction"] - FRACTION).abs().to_numpy().argmin()]
    beside = {"fraction": float(row["fraction"]), "heads": int(row["heads"])}
    yield "drop", Figure(row["drop"], row["drop_low"], row["drop_high"], beside=beside)
    yield "random", Figure(row["random_drop"], row["random_low"], row["random_high"])
    yield "excess", Figure(row["excess"], row["excess_low"], row["excess_high"])
