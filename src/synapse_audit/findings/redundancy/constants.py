"""Load-bearing constants: neurons that carry no information and yet must keep their value.

In: the cells that silence one candidate neuron alone, by zero and by mean. Out: one row per
candidate, and the list for ``summary.json``.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.curves import where
from synapse_audit.neurons.addresses import addresses_of, parse_addresses
from synapse_audit.summary import Figure
from synapse_audit.tables.redundancy import CONSTANTS

ZERO_LOSS = 0.01
"""Zeroing must cost at least this much accuracy."""

MEAN_LOSS = 0.005
"""Mean silencing must cost less than this, unless its interval contains 0."""

DROPS = {"accuracy_drop": "drop", "accuracy_drop_low": "low", "accuracy_drop_high": "high"}


def constants_table(evidence: Evidence) -> pd.DataFrame:
    """One row per candidate: value and spread over ``fit``, and what zero and mean cost.

    A candidate is load-bearing when zeroing it hurts (drop ≥ 0.01 and its interval above 0) and
    mean silencing does not (upper end below half of the zero drop, and the drop below 0.005 or
    its interval containing 0). Candidates without both cells are left out.
    """
    zero, mean = _drops(evidence, "zero"), _drops(evidence, "mean")
    table = zero.merge(mean, on="addresses").drop_duplicates("addresses")
    if table.empty:
        return CONSTANTS.empty()
    named = [addresses_of(parse_addresses(text))[0] for text in table["addresses"]]
    table["layer"], table["site"], table["neuron"] = zip(*named, strict=True)
    table["address"] = [str(one) for one in named]
    table["mean"] = [float(evidence.statistics[m].mean[j]) for m, _, j in named]
    table["spread"] = [float(evidence.statistics[m].spread[j]) for m, _, j in named]
    table["load_bearing"] = _load_bearing(table)
    return table.sort_values(["layer", "neuron"])[CONSTANTS.names].reset_index(drop=True)


def constants_list(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The load-bearing ones, worst first."""
    found = table[table["load_bearing"].astype(bool)].sort_values("zero_drop", ascending=False)
    return [
        {
            "layer": int(row["layer"]),
            "site": str(row["site"]),
            "neuron": int(row["neuron"]),
            "address": str(row["address"]),
            "zero_drop": Figure(row["zero_drop"], row["zero_low"], row["zero_high"]),
            "mean_drop": Figure(row["mean_drop"], row["mean_low"], row["mean_high"]),
        }
        for row in found.to_dict("records")
    ]


def _drops(evidence: Evidence, operator: str) -> pd.DataFrame:
    rows = where(evidence.cells("constant"), {"operator": operator})
    names = {column: f"{operator}_{name}" for column, name in DROPS.items()}
    return rows[["addresses", *DROPS]].rename(columns=names)


def _load_bearing(table: pd.DataFrame) -> pd.Series[bool]:
    hurts = (table["zero_low"] > 0) & (table["zero_drop"] >= ZERO_LOSS)
    level = table["mean_high"] < table["zero_drop"] / 2
    spans = (table["mean_low"] <= 0) & (table["mean_high"] >= 0)
    return hurts & level & ((table["mean_drop"] < MEAN_LOSS) | spans)
