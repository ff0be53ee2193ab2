"""The answers of two saved runs, example by example."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.compare.answers import Answers
from synapse_audit.store import AuditResult


def answers(first: AuditResult, second: AuditResult) -> Answers:
    """Both models' clean predictions on ``evaluate``; the runs are paired."""
    mine, theirs = evaluated(first), evaluated(second)
    groups = mine["group"].to_numpy(dtype=np.int64) if "group" in mine else None
    return Answers(
        classes=tuple(first.summary["classes"]),
        labels=mine["label"].to_numpy(dtype=np.int64),
        first=mine["predicted"].to_numpy(dtype=np.int64),
        second=theirs["predicted"].to_numpy(dtype=np.int64),
        weights=mine["weight"].to_numpy(dtype=np.float64),
        groups=groups,
        seed=int(first.manifest.get("seed") or 0),
    )


def evaluated(result: AuditResult) -> pd.DataFrame:
    """Clean predictions of ``evaluate``, in ascending order of example."""
    rows = result.predictions
    return rows[rows["split"] == "evaluate"].sort_values("example", ignore_index=True)
