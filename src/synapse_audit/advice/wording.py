"""What several rules need: intervals that hold for all candidates, numbers and names as text."""

from __future__ import annotations

import pandas as pd

from synapse_audit.effects.selection import widened

HALF = 0.5
"""Share of the examples that counts as many."""
MOST = 5
"""Names listed."""


def held_for_all(table: pd.DataFrame, value: str, name: str, *, least: float = 0.0) -> pd.DataFrame:
    """Intervals that hold for all rows at once: the ones named are picked by their rates."""
    columns = (value, f"{name}_low", f"{name}_high")
    known = table.dropna(subset=list(columns))
    wide = widened(*(known[c].to_numpy(dtype=float) for c in columns), among=len(known))
    ends = {f"{name}_low": wide.low.clip(least, 1), f"{name}_high": wide.high.clip(least, 1)}
    return known.assign(**ends)


def number(value: float) -> str:
    """Three decimals."""
    return "–" if pd.isna(value) else f"{float(value):.3f}"


def quoted(name: object) -> str:
    """The name of a class."""
    return f"“{name}”"
