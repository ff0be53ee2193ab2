"""Which class an edit of the head reaches most easily: quoted by more than one section.

In: ``vulnerability.budgets``. Out: targets in order, and the smallest budget that is enough.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import saved
from synapse_audit.report.kit.contents import Result
from synapse_audit.tables.vulnerability import BUDGETS

ENOUGH = 0.5
"""An edit that redirects this share of the examples counts as enough."""


def edits(result: Result) -> pd.DataFrame:
    """Edits of weights and biases with a known rate; shifts of logits have their own section."""
    table = saved.frame(result, BUDGETS)
    known = table.dropna(subset=["redirect_rate", "budget"])
    return known[known["space"] != "logit"]


def first_budget(table: pd.DataFrame, target: str) -> pd.Series | None:
    """The cheapest weight or bias edit that redirects half of the examples; None if none does.

    Random columns are a control and do not count.
    """
    rows = saved.rows(table, target=target)
    rows = rows[
        rows["space"].isin(["weight", "universal", "bias"]) & (rows["redirect_rate"] >= ENOUGH)
    ]
    if not len(rows):
        return None
    cheapest = rows[rows["budget"] == rows["budget"].min()]
    return cheapest.loc[cheapest["redirect_rate"].idxmax()]


def targets(table: pd.DataFrame) -> list[str]:
    """Targets from the easiest to the hardest: smallest enough budget, then mean rate."""
    names = [str(name) for name in dict.fromkeys(table["target"].dropna())]
    return sorted(names, key=lambda name: _difficulty(table, name))


def _difficulty(table: pd.DataFrame, target: str) -> tuple[float, float]:
    found = first_budget(table, target)
    rate = saved.rows(table, target=target, space="weight")["redirect_rate"].mean()
    return (float("inf") if found is None else float(found["budget"]), -float(rate))
