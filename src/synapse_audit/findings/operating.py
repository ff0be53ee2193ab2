"""The operating curve: what other decision thresholds would do, beside the one that is set.

In: the clean logits and what the thresholds add to them. Out: per class with a threshold its
recall, false alarms and precision over all thresholds, the others kept; the same where it is set.

Class c is predicted where z_c − log(τ/(1 − τ)) exceeds every rival's decided logit d_r, that is for
every τ below σ(z_c − max_r d_r): one number per example serves the whole curve.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.special import expit

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.estimates import proportion
from synapse_audit.effects.exact_subsample import population
from synapse_audit.summary import Figure
from synapse_audit.tables.operating import CURVE, RATES

GRID = (0.01, 0.02, *(round(0.05 * i, 2) for i in range(1, 20)), 0.98, 0.99)
"""Thresholds of every curve, besides the one that is set."""

NOT_SET = "no decision threshold was set (--threshold)"
ABSENT = {
    "recall": "no example of the class",
    "false_alarm": "no example of another class",
    "precision": "no example is predicted as the class",
}


def operating(evidence: Evidence) -> Finding:
    """Recall, false alarms and precision of each class with a threshold, over all thresholds."""
    parts = [_curve(evidence, c) for c in decided(evidence)]
    table = CURVE.joined(parts)
    current = table[table["current"].astype(bool)]
    figures = {str(row["class"]): _figures(row) for row in current.to_dict("records")}
    found = figures or Figure.unknown(NOT_SET)
    return Finding("operating", {"curve": table}, {"operating": found})


def decided(evidence: Evidence) -> list[int]:
    """The classes that a threshold decides: those with one, or the second of two."""
    shift = evidence.predictions.shift
    moved = [] if shift is None else np.flatnonzero(shift).tolist()
    if moved:
        return moved
    two = shift is not None and len(evidence.classes) == 2
    return [1] if two or evidence.one_output else []


def highest_threshold(evidence: Evidence, c: int) -> Float[np.ndarray, " examples"]:
    """Per example the threshold below which it is predicted as class ``c``."""
    clean = evidence.predictions
    rivals = np.delete(clean.logits.astype(np.float64), c, axis=1).max(axis=1)
    return np.asarray(expit(clean.model_logits[:, c].astype(np.float64) - rivals))


def _curve(evidence: Evidence, c: int) -> pd.DataFrame:
    shift = evidence.predictions.shift
    current = 0.5 if shift is None else round(float(expit(-np.float64(shift[c]))), 6)
    thresholds = np.unique([*GRID, current])
    called = highest_threshold(evidence, c) > thresholds[:, None]
    # Where it is set, what was decided: rounding must not make another case of a tie.
    called[thresholds == current] = evidence.predictions.predicted == c
    columns: dict[str, Any] = {
        "class": evidence.classes[c],
        "threshold": thresholds,
        "current": thresholds == current,
        "predicted": called.sum(axis=1),
    }
    return pd.DataFrame(columns | _rates(evidence, called, evidence.predictions.labels == c))


def _rates(
    evidence: Evidence,
    called: Bool[np.ndarray, "thresholds examples"],
    own: Bool[np.ndarray, " examples"],
) -> dict[str, Float[np.ndarray, " thresholds"]]:
    every = population(evidence.weights.astype(np.float64)[:, None], evidence.resampled)
    found = {
        "recall": proportion(every, called, own[None, :]),
        "false_alarm": proportion(every, called, ~own[None, :]),
        "precision": proportion(every, np.broadcast_to(own, called.shape), called),
    }
    return {
        f"{name}{end}": values
        for name, rate in found.items()
        for end, values in zip(("", "_low", "_high"), rate, strict=True)
    }


def _figures(row: dict[Any, Any]) -> dict[str, Any]:
    rates = {
        name: Figure.unknown(ABSENT[name])
        if pd.isna(row[name])
        else Figure(row[name], row[f"{name}_low"], row[f"{name}_high"])
        for name in RATES
    }
    return {"threshold": Figure(row["threshold"]), **rates}
