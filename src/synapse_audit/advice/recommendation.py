"""What a rule recommends: the finding it follows from, what to do, and the gain if it was measured.

In: nothing. Out: frozen records that become rows of ``advice.recommendations``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synapse_audit.summary import Figure
from synapse_audit.tables.advice import RECOMMENDATIONS

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Gain:
    """A figure before and after the remedy, on the same examples."""

    measure: str
    """What the figures are, such as the share of examples redirected."""
    before: Figure
    after: Figure
    reason: str = ""
    """Why they are unknown, and what would measure them."""


@dataclass(frozen=True)
class Recommendation:
    """One piece of advice."""

    rule: str
    """Its name in ``RULES``."""
    about: tuple[str, ...]
    """Classes, neurons, layers or tensors concerned."""
    finding: str
    """What was found, in a sentence with its figures."""
    advice: str
    """What to do, in a sentence."""
    gain: Gain


@dataclass(frozen=True)
class Saved:
    """What the rules read: the summary as JSON, the tables of findings, and of a guard if any."""

    summary: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, pd.DataFrame]]
    """Finding → table name → table."""
    flips: pd.DataFrame | None = None
    """Bits that a search chose, with the tensors they lie in; None where none was searched for."""
    guard: pd.DataFrame | None = None
    """Evaluation of a guard of this model; None where none was measured."""
    guarded: bool = False
    """Whether the model was audited behind a guard already."""

    def figure(self, *path: str) -> Figure:
        """The figure at a path of the summary; unknown where there is none."""
        node: Any = self.summary
        for key in path:
            node = node.get(key) if isinstance(node, Mapping) else None
        return Figure.read(node)

    def node(self, *path: str) -> Mapping[str, Any]:
        """The mapping at a path of the summary; empty where there is none."""
        node: Any = self.summary
        for key in path:
            node = node.get(key) if isinstance(node, Mapping) else None
        return node if isinstance(node, Mapping) else {}

    def table(self, finding: str, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        """A table with at least these columns; empty where the run lacks it."""
        found = self.tables.get(finding, {}).get(name)
        table = pd.DataFrame() if found is None else found
        return table.reindex(columns=list(dict.fromkeys([*table.columns, *columns])))


def as_table(found: list[Recommendation]) -> pd.DataFrame:
    """``advice.recommendations``: one row each."""
    rows = []
    for one in found:
        row: dict[str, Any] = {
            "rule": one.rule,
            "about": "; ".join(one.about),
            "finding": one.finding,
            "advice": one.advice,
            "measure": one.gain.measure,
            "reason": one.gain.reason,
        }
        for name in ("before", "after"):
            figure: Figure = getattr(one.gain, name)
            row |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
        rows.append(row)
    return pd.DataFrame(rows, columns=RECOMMENDATIONS.names).astype(RECOMMENDATIONS.types)


def as_summary(found: list[Recommendation]) -> list[dict[str, Any]]:
    """``advice`` of ``summary.json``."""
    return [
        {
            "rule": one.rule,
            "about": list(one.about),
            "finding": one.finding,
            "advice": one.advice,
            "gain": {
                "measure": one.gain.measure,
                "before": one.gain.before.to_json(),
                "after": one.gain.after.to_json(),
                "reason": one.gain.reason,
            },
        }
        for one in found
    ]
