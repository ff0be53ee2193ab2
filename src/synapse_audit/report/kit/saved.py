"""Reading a saved run that may be partial: missing tables come back empty, unknowns as NaN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from synapse_audit.neurons.addresses import DEFAULT_SITE, Address
from synapse_audit.report.kit.contents import Result
from synapse_audit.summary import Figure
from synapse_audit.tables import Table

ACROSS = ("paper",)
"""Rankings whose sets are taken over all layers at once."""

SOURCE = "file"
"""Key under which a frame's ``attrs`` name the file of the run folder that it was read from."""

HEADLINE_OPERATOR = "mean"
"""The operator that removes information and keeps the operating point."""


class Facts(NamedTuple):
    """What the sentences say about how the run was made; None where the manifest does not."""

    preset: str | None
    tests: bool
    draws: int | None
    resamples: int | None
    ranking: str | None
    """Headline ranking."""


def dig(tree: Any, *path: str) -> Any:
    """The value at a path of keys, or None."""
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return None
        tree = tree[key]
    return tree


def estimate(tree: Any, *path: str) -> Figure:
    """The figure at a path of keys; unknown where there is none."""
    return Figure.read(dig(tree, *path))


def facts(result: Result) -> Facts:
    """Preset, tests, draws, resamples and headline ranking of the run."""
    config = dig(result.manifest, "config") or {}
    grid = dig(config, "grid") or {}
    rankings = dig(grid, "rankings") or ()
    return Facts(
        preset=dig(config, "preset"),
        tests=bool(grid.get("tests", True)),
        draws=dig(grid, "draws"),
        resamples=dig(config, "resamples"),
        ranking=str(rankings[0]) if rankings else None,
    )


def classes(result: Result) -> tuple[str, ...]:
    """Class names in the model's output order; empty where the summary lacks them."""
    return tuple(str(name) for name in dig(result.summary, "classes") or ())


def several(result: Result) -> bool:
    """Whether every example has a set of labels, each decided by itself."""
    return bool(dig(result.manifest, "decision", "several"))


def columns_of(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The table with at least these columns; absent ones are NaN."""
    return table.reindex(columns=list(dict.fromkeys([*table.columns, *columns])))


def frame(result: Result, table: Table) -> pd.DataFrame:
    """One table with at least its declared columns; empty where the run lacks it.

    It remembers its file, and so do the selections that pandas makes of it.
    """
    finding, name = table.key
    found = dig(result.findings, finding, name) if finding else getattr(result, name)
    read = columns_of(pd.DataFrame() if found is None else found, table.names)
    read.attrs[SOURCE] = table.file
    return read


def addressed(table: pd.DataFrame) -> pd.DataFrame:
    """The rows that name a neuron, with its ``address`` as ``--neurons`` takes it.

    Runs made before tables had ``site`` and ``address`` have neurons at block outputs alone.
    """
    table = columns_of(table, ("site", "address")).dropna(subset=["neuron"])
    sites = table["site"].fillna(DEFAULT_SITE)
    named = zip(table["layer"], sites, table["neuron"], strict=True)
    made = [str(Address(int(layer), str(site), int(neuron))) for layer, site, neuron in named]
    return table.assign(site=sites, address=pd.Series(made, index=table.index, dtype=object))


def rows(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The rows whose columns equal the wanted values; None stands for null."""
    for column, value in wanted.items():
        table = table[table[column].isna() if value is None else table[column] == value]
    return table


def in_order(values: Sequence[Any], first: Sequence[Any]) -> list[Any]:
    """Distinct values, those of ``first`` leading in that order, the rest as they come."""
    present = list(dict.fromkeys(values))
    return [v for v in first if v in present] + [v for v in present if v not in set(first)]


def nearest(values: Sequence[float], wanted: float) -> float:
    """The value closest to ``wanted``; the smaller one of two as close."""
    return min(sorted(set(values)), key=lambda v: abs(v - wanted))


def headline(table: pd.DataFrame, ranking: str | None) -> pd.DataFrame:
    """Rows of the headline ranking, and rows that have no ranking (random controls are shared).

    Where the ranking has random controls of its own, the shared ones belong to others and are left
    out.
    """
    if ranking is None or ranking not in set(table["ranking"].dropna()):
        return table
    mine, shared = table["ranking"] == ranking, table["ranking"].isna()
    if "selection" in table:
        shared &= ~table["selection"].isin(table.loc[mine, "selection"])
    return table[mine | shared]


def extreme(table: pd.DataFrame, column: str, *, largest: bool = True) -> pd.Series:
    """The first row with the largest (or smallest) value of a column; the table is not empty."""
    return table.sort_values(column, ascending=not largest, kind="stable").iloc[0]
