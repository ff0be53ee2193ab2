"""Each layer alone: what silencing one layer costs, beside random neurons of the same layer.

Reads ``redundancy.layers``.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group, Plot, Result, Section, Table
from synapse_audit.report.kit.heat import Heat, heat
from synapse_audit.report.kit.tables import SHARE, Column, table_of, text, with_intervals
from synapse_audit.tables.redundancy import LAYERS_ALONE

EMPTY = "This section is empty: the run silenced no layer alone (table redundancy.layers)."
READING = (
    "Each cell silences the top-ranked share of one layer and leaves all others alone. The first "
    "map shows the accuracy lost; the second subtracts what random neurons of the same layer "
    "cost. A dot marks cells outside the band in which one more random draw would lie (95%).",
)
LIMITS = (
    "Later blocks can rebuild what an earlier one lost from other neurons: a small drop does not "
    "show that a layer is idle.",
    "Many cells are compared, so a single dot may be chance.",
)


def layers(result: Result) -> Section:
    """A pair of heat maps per operator: drop, and drop beyond the random controls."""
    table = saved.frame(result, LAYERS_ALONE).dropna(subset=["drop"])
    table = table.assign(excess=table["drop"] - table["random_drop"])
    return Section(
        label="Each layer alone",
        heading="Does any single layer matter on its own?",
        answer=_answer(result, table) if len(table) else (EMPTY,),
        groups=_groups(table),
        tables=_tables(table),
        reading=READING,
        limits=LIMITS,
    )


def _answer(result: Result, table: pd.DataFrame) -> tuple[str, ...]:
    operators = saved.in_order(table["operator"].tolist(), ("mean", "zero"))
    rows = saved.rows(table, operator=operators[0])
    outside = _outside(rows)
    above = int((outside & (rows["excess"] > 0)).sum())
    second = (
        f"In {above} of {len(rows)} cells the top-ranked neurons cost more than another random "
        f"draw from the same layer would with 97.5% certainty; by chance {len(rows) / 40:.1f} "
        "would."
    )
    return _costliest(result, table), second


def _costliest(result: Result, table: pd.DataFrame) -> str:
    """Picked of all layers and shares, so its interval holds for all of them at once."""
    found = saved.estimate(result.summary, "redundancy", "costliest_layer")
    if not found.known:
        largest = prose.falls(found.beside.get("largest"))
        cells = prose.plural(len(saved.rows(table, operator="mean")), "cell")
        return (
            "No single layer is shown to cost accuracy under mean silencing: with the one that "
            f"costs most it {largest}, the largest of {cells}."
        )
    at = {"layer": found.beside.get("layer"), "fraction": found.beside.get("fraction")}
    row = saved.rows(table, operator="mean", **at)
    random = f", with random ones of the same layer it {prose.falls(row.iloc[0]['random_drop'])}"
    tied = [prose.whole(layer) for layer in found.beside.get("tied") or ()]
    others = f" Indistinguishable from it: layers {prose.some(tied)}." if len(tied) > 1 else ""
    return (
        f"The single layer that costs most under mean silencing is layer "
        f"{prose.whole(at['layer'])}: with {prose.percent(at['fraction'])} of its neurons silenced "
        f"accuracy {prose.falls(found.value, found.low, found.high)}"
        f"{random if len(row) else ''}.{others}"
    )


def _outside(rows: pd.DataFrame) -> pd.Series:
    return (rows["drop"] > rows["random_high"]) | (rows["drop"] < rows["random_low"])


def _groups(table: pd.DataFrame) -> tuple[Group, ...]:
    operators = saved.in_order(table["operator"].tolist(), ("mean", "zero"))
    return tuple(
        Group(f"Silenced by {prose.plain(o)}", _pair(str(o), saved.rows(table, operator=o)))
        for o in operators
    )


def _pair(operator: str, rows: pd.DataFrame) -> tuple[Plot, ...]:
    limit = float(max(rows["drop"].abs().max(), rows["excess"].abs().max(), 0.05))
    drop = _map("Accuracy lost", rows, ("drop", operator), limit)
    excess = _map("Beyond random neurons", rows, ("excess", operator), limit)
    return (drop, excess) if rows["excess"].notna().any() else (drop,)


def _map(title: str, rows: pd.DataFrame, wanted: tuple[str, str], limit: float) -> Plot:
    column, operator = wanted
    grid = rows.pivot_table(index="layer", columns="fraction", values=column)
    grid = grid.loc[sorted(grid.index, key=lambda v: prose.as_float(v))]
    dots = rows.assign(out=_outside(rows)).pivot_table(
        index="layer", columns="fraction", values="out", aggfunc="max"
    )
    marked = dots.reindex(index=grid.index, columns=grid.columns).fillna(False).astype(bool)
    names = [prose.percent(f) for f in grid.columns]
    matrix = Heat(
        names,
        [prose.plain(v) for v in grid.index],
        grid.to_numpy(dtype=float).tolist(),
        "share of the layer silenced",
        "layer",
        marked=marked.to_numpy().tolist() if column == "excess" else (),
        diverging=True,
        limit=limit,
    )
    alt = (
        f"{title}, {prose.plain(operator)}, by layer and share; largest "
        f"{prose.number(rows[column].max())}, smallest {prose.number(rows[column].min())}."
    )
    return heat(title, matrix, alt=alt)


def _tables(table: pd.DataFrame) -> tuple[Table, ...]:
    shown = table_of("Each layer alone", with_intervals(table, "drop", "random"), LAYER_TABLE)
    return (shown,) if shown.rows else ()


LAYER_TABLE = (
    Column("operator", "operator", text),
    Column("layer", "layer", text),
    Column("share", "fraction", SHARE),
    Column("drop", "drop"),
    Column("95% interval", "drop_interval", text),
    Column("random drop", "random_drop"),
    Column("band of one more draw", "random_interval", text),
    Column("difference", "excess"),
)
