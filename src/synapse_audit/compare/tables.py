"""A comparison as data frames: what page, Markdown and JSON show."""

from __future__ import annotations

import pandas as pd

from synapse_audit.compare.comparison import Comparison
from synapse_audit.summary import dotted

CHANGES = ["run", "figure", "class", "first", "second", "change", "change_low", "change_high", "p"]
FLIPS = ["run", "class", "n", "flips", "rate", "rate_low", "rate_high", "lost", "won", "p"]


def changes_table(found: Comparison) -> pd.DataFrame:
    """Paired changes; ``p`` is corrected over classes."""
    rows = [
        (
            *(pair.name, c.figure, c.name, c.first, c.second),
            *(c.difference.value, c.difference.low, c.difference.high, c.p),
        )
        for pair in found.pairs
        for c in pair.changes
    ]
    return pd.DataFrame(rows, columns=CHANGES)


def flips_table(found: Comparison) -> pd.DataFrame:
    """Changed answers, all examples (class null) and per true class."""
    rows = [
        (
            *(pair.name, f.name, f.n, f.flips),
            *(f.rate.value, f.rate.low, f.rate.high, f.lost, f.won, f.p),
        )
        for pair in found.pairs
        for f in pair.flips
    ]
    return pd.DataFrame(rows, columns=FLIPS)


def figures_table(found: Comparison) -> pd.DataFrame:
    """One row per figure and run; ``difference`` and ``verdict`` are against the first run."""
    rows = []
    for row in found.rows:
        for i, (name, figure) in enumerate(zip(found.names, row.values, strict=True)):
            against = row.differences[i - 1] if i else None
            rows.append(
                {
                    "figure": dotted(row.keys),
                    "meaning": row.entry.meaning,
                    "run": name,
                    **{end: getattr(figure, end) for end in ("value", "low", "high")},
                    "difference": against.value if against else None,
                    "difference_low": against.low if against else None,
                    "difference_high": against.high if against else None,
                    "paired": not row.unpaired[i - 1] if i else None,
                    "why_not_paired": (row.unpaired[i - 1] or None) if i else None,
                    "other_settings": (row.settings[i - 1] or None) if i else None,
                    "verdict": row.verdict(i - 1) if i else None,
                }
            )
    columns = ["figure", "meaning", "run", "value", "low", "high", "difference"]
    columns += ["difference_low", "difference_high", "paired", "why_not_paired"]
    columns += ["other_settings", "verdict"]
    return pd.DataFrame(rows, columns=columns)
