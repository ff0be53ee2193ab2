"""Slices of the synthetic run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

FEW = "12 evaluated examples; at least 20 needed: 8 more"
VALUES = {"language": ("en", "de", "fr"), "site": ("north", "south")}


def slice_tables(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    rows, recalls = [], []
    for column, values in VALUES.items():
        for i, value in enumerate(values):
            if value == "fr":
                rows.append({"column": column, "value": value, "n": 12, "reason": FEW})
                continue
            rows.append({"column": column, "value": value, "n": 300 + i, "reason": "", **_row(i)})
            recalls += [
                {"column": column, "value": value, "class": name, "support": 40, "recall": 0.9,
                 "recall_low": 0.8, "recall_high": 0.96} for name in classes
            ]  # fmt: skip
    return {"slices": pd.DataFrame(rows), "recalls": pd.DataFrame(recalls)}


def _row(i: int) -> dict[str, float]:
    values = {"accuracy": 0.95 - 0.1 * i, "difference": 0.1 - 0.2 * i, "fragility": 0.1 + 0.1 * i,
              "ece": 0.03, "overconfidence": 0.01}  # fmt: skip
    ends = {f"{name}_low": value - 0.02 for name, value in values.items()}
    return values | ends | {f"{n}_high": v + 0.02 for n, v in values.items()} | {"chance_ece": 0.02}


def slice_summary() -> dict[str, Any]:
    def figure(value: float, **beside: Any) -> dict[str, Any]:
        return {"value": value, "low": value - 0.03, "high": value + 0.03, **beside}

    named = {"slice": "de", "left_out": ["fr"]}
    tied = {"slice": None, "tied": ["north", "south"], "left_out": []}
    return {
        "language": {"accuracy": figure(0.85, **named), "gap": figure(0.1)},
        "site": {"accuracy": figure(0.85, **tied), "gap": figure(0.1)},
    }
