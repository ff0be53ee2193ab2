"""Which decisions no edit of a label's row can change: exact, for each label by itself.

A label is a head with one output. Its decision on an input h with the logit z (thresholds included)
changes under an edit δ of its row and bias only where δ·(h, 1) reaches −z, so only from
|z|/‖(h, 1)‖ in L2 (Cauchy–Schwarz) and |z|/‖(h, 1)‖₁ in the largest entry (Hölder) on; both are
attained. An edit of the whole head is the edits of its rows, each at its own cost, so the nearest
label's distance is that of the whole set.

In: head inputs, clean logits, the head. Out: two tables and the figures ``label_certificates``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.effects.estimates import Estimates, proportion
from synapse_audit.effects.minimum_edit_norms import with_bias
from synapse_audit.effects.set_samples import present, scored_clean
from synapse_audit.statistics import interval, weighted_quantiles
from synapse_audit.summary import Figure
from synapse_audit.tables.label_sets import DISTANCES, GUARANTEED

HEADLINE = 0.1
"""Size, relative to a label's row, that the summary has; the nearest of the grid's."""


def label_certificates(evidence: Evidence) -> Finding:
    """Guaranteed decisions of every label at every budget, and the distances behind them."""
    budgets = [float(b) for b in evidence.grid.budgets if b > 0]
    table = budgets_table(evidence, budgets)
    tables = {"budgets": table, "distances": distances_table(evidence)}
    return Finding("label_certificates", tables, {"label_certificates": _figures(table)})


def distances(
    evidence: Evidence,
) -> tuple[Float[np.ndarray, "examples labels"], Float[np.ndarray, "examples labels"]]:
    """Smallest L2 norm, relative to the label's row, and smallest L∞ that change each decision."""
    inputs = with_bias(evidence.head_input).astype(np.float64)
    size = np.abs(evidence.predictions.logits.astype(np.float64))
    rows = np.linalg.norm(evidence.head_weight.astype(np.float64), axis=1)
    l2 = size / np.linalg.norm(inputs, axis=1)[:, None]
    return l2 / np.where(rows > 0, rows, np.nan), size / np.abs(inputs).sum(axis=1)[:, None]


def budgets_table(evidence: Evidence, budgets: list[float]) -> pd.DataFrame:
    """``GUARANTEED``: of right decisions, and of those alone that find a label."""
    l2, _ = distances(evidence)
    there, said = present(evidence), evidence.predictions.logits > 0
    rows = []
    for label, name in enumerate(evidence.classes):
        right, found = (there == said)[:, label], (there & said)[:, label]
        held = np.stack([l2[:, label] >= budget for budget in budgets])
        parts = {"l2": _shares(evidence, held, right), "on": _shares(evidence, held, found)}
        for place, budget in enumerate(budgets):
            row: dict[str, Any] = {"label": name, "budget": budget, "found": int(found.sum())}
            for part, ends in parts.items():
                row |= {
                    f"{part}{e}": v[place] for e, v in zip(("", "_low", "_high"), ends, strict=True)
                }
            rows.append(row)
    return pd.DataFrame(rows, columns=GUARANTEED.names)


def _shares(
    evidence: Evidence,
    held: Bool[np.ndarray, "budgets examples"],
    among: Bool[np.ndarray, " examples"],
) -> Estimates:
    """Weighted share of some examples whose decision holds; NaN where there are none."""
    return proportion(scored_clean(evidence), held, among[None, :])


def distances_table(evidence: Evidence) -> pd.DataFrame:
    """``DISTANCES``: medians and quarters of the right decisions."""
    l2, linf = distances(evidence)
    there, said = present(evidence), evidence.predictions.logits > 0
    weights, shares = evidence.weights.astype(np.float64)[:, None], [0.25, 0.5]
    rows = []
    for label, name in enumerate(evidence.classes):
        for decided, mine in (("present", there & said), ("absent", ~there & ~said)):
            among = mine[:, label] & np.isfinite(l2[:, label])
            if not among.any():
                continue
            value = weighted_quantiles(l2[:, label], weights, shares, among)[0]
            samples = weighted_quantiles(l2[:, label], evidence.resampled, shares, among)
            low, high = interval(samples.T)
            widest = weighted_quantiles(linf[:, label], weights, [0.5], among)[0, 0]
            counts = (int(among.sum()), value[0], value[1], low[1], high[1], widest)
            rows.append((name, decided, *counts))
    return pd.DataFrame(rows, columns=DISTANCES.names)


def _figures(table: pd.DataFrame) -> dict[str, Any]:
    """At the budget nearest to the headline's: the share of right decisions, by label."""
    if table.empty:
        return {"l2": Figure.unknown("no budget was asked for")}
    budget = float(min(table["budget"].unique(), key=lambda one: abs(one - HEADLINE)))
    rows = table[table["budget"] == budget].to_dict("records")
    return {name: {str(row["label"]): _figure(row, name) for row in rows} for name in ("l2", "on")}


def _figure(row: dict[Any, Any], name: str) -> Figure:
    if np.isnan(row[name]):
        return Figure.unknown("no example of which the model says so rightly")
    ends = (row[name], row[f"{name}_low"], row[f"{name}_high"])
    n = int(row["found"]) if name == "on" else None
    return Figure(*ends, n=n, beside={"budget": float(row["budget"])})
