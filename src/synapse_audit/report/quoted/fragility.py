"""Which classes lose most recall: quoted by more than one place, and careful about ties and zeros.

In: ``asymmetry.fragility``. Out: the leading classes, all of them where they tie.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import saved
from synapse_audit.report.kit.contents import Result
from synapse_audit.tables.asymmetry import FRAGILITY

VISIBLE = 0.0005
"""Recall lost below this is written as 0.000, and names no class."""


def by_loss(result: Result) -> pd.DataFrame:
    """Every class with its mean loss of recall, the largest first."""
    table = saved.frame(result, FRAGILITY).dropna(subset=["mean_drop"])
    return table.sort_values("mean_drop", ascending=False, kind="stable")


def leaders(table: pd.DataFrame) -> pd.DataFrame:
    """The classes that lose most, as far as can be seen; none where nothing is lost."""
    worst = table["mean_drop"].max()
    return table[(table["mean_drop"] >= worst - VISIBLE) & (worst > VISIBLE)]
