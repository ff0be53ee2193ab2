"""The gain of a remedy, as the evaluation of a guard measured it; never estimated.

In: the table ``guard.evaluation`` of the run, if a guard of this model was measured. Out: figures
before and after on the same ``evaluate`` examples, or why there are none.
"""

from __future__ import annotations

import math

import pandas as pd

from synapse_audit.advice.recommendation import NOT_MEASURED, Gain, Saved
from synapse_audit.summary import Figure

MEASURE_IT = "not measured: `synapse-audit guard RUN --evaluate` does"
RETRAINING = (
    "not measured: retrain (examples/harden.py), audit with `run --against RUN`, then `compare`"
)

RETYPING = "not measured: audit what was changed with `run --against RUN`, then `compare`"


def guarded(
    saved: Saved, row: tuple[str, str], *, before: str | None = "host", after: str, measure: str
) -> Gain:
    """Two columns of one row of the evaluation.

    Args:
        row: kind and setting of the attack.
        before: None where nothing is noticed without the remedy: 0 by construction, no estimate.
    """
    rows = saved.guard
    if rows is None or not {"kind", "setting", after, before or after} <= set(rows.columns):
        return unmeasured(measure, MEASURE_IT)
    found = rows[(rows["kind"] == row[0]) & (rows["setting"] == row[1])]
    if found.empty or pd.isna(found.iloc[0][after]):
        return unmeasured(measure, MEASURE_IT)
    first = found.iloc[0]
    start = Figure(0.0) if before is None else _figure(first, before)
    return Gain(measure, start, _figure(first, after))


def unmeasured(measure: str, reason: str) -> Gain:
    """No figures, and what would give them."""
    unknown = Figure.unknown(NOT_MEASURED)
    return Gain(measure, unknown, unknown, reason)


def _figure(row: pd.Series, name: str) -> Figure:
    ends = (row.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    return Figure(row[name], *ends)
