"""Synthetic tables of the membership audit, for the synthetic run."""

from __future__ import annotations

from typing import Any

import pandas as pd


def membership_tables(layers: int) -> dict[str, pd.DataFrame]:
    """Every table of ``membership``, by name."""
    scopes = [*map(str, range(layers + 1)), "loss", "inputs"]
    clean = [
        {"scope": scope, "selection": "clean", "n": 600, "auc": 0.55 + 0.01 * i,
         "auc_low": 0.52 + 0.01 * i, "auc_high": 0.58 + 0.01 * i, "tpr": 0.02, "tpr_low": 0.0,
         "tpr_high": 0.06}
        for i, scope in enumerate(scopes)
    ]  # fmt: skip
    null = [
        row | {"selection": "null", "auc": 0.5, "auc_low": 0.45, "auc_high": 0.55}
        for row in clean[: layers + 1]
    ]
    silenced = [
        {"fraction": fraction, "attacker": attacker, "n": 600, "auc": auc, "auc_low": auc - 0.05,
         "auc_high": auc + 0.05, "random": 0.56, "random_low": 0.52, "random_high": 0.6,
         "p_random": 0.1, "accuracy": 0.8, "accuracy_low": 0.75, "accuracy_high": 0.85,
         "random_accuracy": 0.85, "random_accuracy_low": 0.8, "random_accuracy_high": 0.9,
         "draws": 20}
        for fraction in (0.2, 0.65) for attacker, auc in (("refitted", 0.58), ("stale", 0.5))
    ]  # fmt: skip
    return {"layers": pd.DataFrame([*clean, *null]), "silenced": pd.DataFrame(silenced)}


def membership_summary() -> dict[str, Any]:
    """The figure that the section quotes."""
    worst = {"value": 0.61, "low": 0.54, "high": 0.68, "n": 600, "layer": "6", "tied": 2}
    return {"worst": worst}
