"""Synthetic tables of typed edits, for the synthetic run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

RATES = {"append": 0.4, "case": 0.0, "delete": 0.6, "zero_width": 0.1}


def typed_tables(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Every table of ``typed``, by name."""
    attacks = [
        _rates(rate) | {"attack": attack, "class": name, "n": 40 if name else 40 * len(classes),
                        "excess": rate / 2, "excess_low": rate / 2 - 0.1,
                        "excess_high": rate / 2 + 0.1, "size": 2.0, "characters": 9.0,
                        "queries": 4.0}
        for attack, rate in RATES.items() for name in (None, *classes)
    ]  # fmt: skip
    sizes = [
        _rates(rate * part) | {"attack": attack, "size": size}
        for attack, rate in RATES.items() for size, part in ((1.0, 0.3), (4.0, 0.7), (16.0, 1.0))
    ]  # fmt: skip
    cheapest = [
        {"class": name, "n": 40, "evaded": 0.7, "evaded_low": 0.6, "evaded_high": 0.8,
         "characters": 6.0, "queries": 30.0, "attack": "delete", "share": 0.8}
        for name in (None, *classes)
    ]  # fmt: skip
    tables = {"attacks": attacks, "sizes": sizes, "cheapest": cheapest}
    return {name: pd.DataFrame(rows) for name, rows in tables.items()}


def typed_summary() -> dict[str, Any]:
    """The figures that the section quotes."""
    worst = {"value": 0.6, "low": 0.5, "high": 0.7, "n": 200, "attack": "delete", "tied": 1}
    return {"worst": worst}


def _rates(rate: float) -> dict[str, float]:
    return {"evaded": rate, "evaded_low": max(0.0, rate - 0.1), "evaded_high": rate + 0.1,
            "random": rate / 2, "random_low": max(0.0, rate / 2 - 0.1),
            "random_high": rate / 2 + 0.1}  # fmt: skip
