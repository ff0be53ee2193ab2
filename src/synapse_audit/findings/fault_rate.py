"""How often one random bit flip breaks the model.

In: cells of group ``fault``, and how many bits each kind of tensor has. A fault breaks the model at
a share x where it changes more than x of the predictions, or where any logit is no number. Out: a
rate per kind of tensor × kind of bit with an exact margin, per place of the bit, and together.
Margins hold over which bits were drawn; the examples are those of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.fault_rates import sampled_share, weighted_share
from synapse_audit.effects.no_numbers import no_numbers
from synapse_audit.summary import Figure
from synapse_audit.tables import Table
from synapse_audit.tables.fault_rate import PLACES, STRATA, TABLES, TOTALS

SHARES = (0.0, 0.01, 0.05, 0.25)
"""Shares of the predictions: a fault that changes more breaks the model."""

TIES = 1e-9
"""Shares are sums of weights: what is equal but for rounding is no more."""

EVERY = "every bit"
NONE = "no random faults were asked for (--faults), or the time budget left them out"


def fault_rate(evidence: Evidence) -> Finding:
    """Rates of every stratum, by place of the bit, by kind, and over all bits."""
    faults = _faults(evidence)
    planned = evidence.strata
    if planned is None or faults.empty:
        empty = {table.key[1]: table.empty() for table in TABLES}
        return Finding("fault_rate", empty, {"fault_rate": Figure.unknown(NONE)})
    strata = _table(_strata_rows(planned, faults), STRATA)
    totals = _table(_total_rows(strata), TOTALS)
    places = _table(_place_rows(planned, faults), PLACES)
    return Finding(
        "fault_rate",
        {"strata": strata, "places": places, "totals": totals},
        {"fault_rate": _figures(totals)},
    )


def _faults(evidence: Evidence) -> pd.DataFrame:
    """Every fault with the share of predictions that it changes, and whether a logit is none."""
    cells = evidence.cells("fault")
    if cells.empty:
        return cells.assign(dead=pd.Series(dtype=bool))
    dead = np.asarray(no_numbers(evidence, list(cells["action"])).any(axis=1))
    return cells.assign(dead=dead, changed=cells["flip_rate"].to_numpy())


def _strata_rows(planned: pd.DataFrame, faults: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """One row per stratum and share.

    A fault that leaves the number as it was (the sign of a zero) is no cell, but it was drawn.
    """
    for stratum in planned.to_dict("records"):
        mine = _those(faults, part=stratum["part"], bit_kind=stratum["bit_kind"])
        names = {str(name): stratum[name] for name in ("part", "bit_kind", "bits")}
        for share in SHARES:
            yield names | _rate(mine, share, int(stratum["faults"]), int(stratum["bits"]))


def _place_rows(planned: pd.DataFrame, faults: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """One row per kind of tensor, place of the bit and share, of the faults that changed a number.

    How many faults a place gets is chance, so within one place they are a random sample of it.
    """
    sizes = {(row["part"], row["bit_kind"]): row for row in planned.to_dict("records")}
    for (part, bit), mine in faults.groupby(["part", "bit"], sort=True):
        kind = str(mine["bit_kind"].iloc[0])
        stratum = sizes[part, kind]
        bits = int(stratum["bits"]) // int(stratum["places"])
        names = {"part": part, "bit": bit, "bit_kind": kind, "bits": bits}
        for share in SHARES:
            yield names | _rate(mine, share, len(mine), bits)


def _total_rows(strata: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Over all bits, over those of a kind of tensor, and over those of a kind of bit."""
    for share, rows in strata.groupby("share", sort=True):
        groups = [("all", EVERY, rows)]
        for over in ("part", "bit_kind"):
            groups += [(over, str(name), some) for name, some in rows.groupby(over, sort=False)]
        for over, name, some in groups:
            counts = [some[c].astype(int).tolist() for c in ("broken", "faults", "bits")]
            found = weighted_share(*counts)
            sums = {c: int(some[c].sum()) for c in ("bits", "faults", "broken", "no_numbers")}
            yield {"over": over, "name": name, "share": share} | sums | _ends(found)


def _rate(faults: pd.DataFrame, share: float, drawn: int, bits: int) -> dict[str, Any]:
    """Counts and rate at one share of the predictions."""
    broken = int(_breaks(faults, share).sum())
    counts = {"share": share, "faults": drawn, "broken": broken}
    dead = {"no_numbers": int(faults["dead"].sum())}
    return counts | dead | _ends(sampled_share(broken, drawn, bits))


def _ends(found: Figure) -> dict[str, Any]:
    return {"rate": found.value, "low": found.low, "high": found.high}


def _breaks(faults: pd.DataFrame, share: float) -> np.ndarray:
    changed = faults["changed"].to_numpy() if len(faults) else np.zeros(0)
    return np.asarray(faults["dead"].to_numpy(dtype=bool) | (changed > share + TIES))


def _those(table: pd.DataFrame, **wanted: str) -> pd.DataFrame:
    for column, value in wanted.items():
        table = table[table[column] == value]
    return table


def _table(rows: Iterator[dict[str, Any]], declared: Table) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=declared.names)


def _figures(totals: pd.DataFrame) -> Mapping[str, Any]:
    """``all``, ``part`` and ``bit_kind``: rate by share of the predictions."""
    found: dict[str, Any] = {}
    for row in totals.to_dict("records"):
        figure = Figure(row["rate"], row["low"], row["high"], n=int(row["faults"]))
        home = found.setdefault(str(row["over"]), {})
        if row["over"] != "all":
            home = home.setdefault(str(row["name"]), {})
        home[f"{row['share']:g}"] = figure
    return found
