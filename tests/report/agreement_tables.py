"""Synthetic tables and figures of the finding on rankings, for the synthetic run."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

METHODS = ("probe", "probeless", "iou", "activation_gradient", "conductance", "random")
FRACTIONS = (0.05, 0.1, 0.2)
KINDS = {"readable_unused": 0.01, "used_unreadable": 0.09}


def agreement_tables(layers: int) -> dict[str, pd.DataFrame]:
    """Every table of ``agreement``, by name."""
    return {
        "correlation": _correlation(layers),
        "overlap": pd.DataFrame({"layer": [1], "first": "probe", "second": "iou"}),
        "votes": _votes(layers),
        "effectiveness": _effectiveness(),
        "stability": _stability(layers),
        "dissociation": pd.DataFrame({"layer": [1], "readable": "probe", "used": "conductance"}),
        "neurons": _neurons(layers),
        "dissociated": _dissociated(),
    }


def agreement_summary() -> dict[str, Any]:
    """What ``summary.json`` holds of it."""

    def known(value: float, spread: float | None = None, **more: Any) -> dict[str, Any]:
        ends = {"low": None, "high": None}
        if spread is not None:
            ends = {"low": value - spread, "high": value + spread}
        return {"value": value, **ends, **more}

    return {
        "spearman": known(0.31),
        "closest": known(0.72, first="activation_gradient", second="conductance"),
        "furthest": known(-0.05, first="probe", second="conductance"),
        "most_agreed": known(0.3, method="probeless", fraction=0.1, chance=0.05),
        "most_effective": known(0.108, 0.004, method="conductance", rankings=5, outside_draws=True),
        "steadiest": known(0.98, method="conductance"),
        "least_steady": known(0.71, method="iou"),
        "readable_used": known(-0.05, readable="probe", used="conductance"),
        "dissociated": {
            name: known(cost, 0.02, fraction=0.1, drop=cost + 0.01) for name, cost in KINDS.items()
        },
    }


def _correlation(layers: int) -> pd.DataFrame:
    rows = [
        (layer, first, second, 0.1 * i - 0.5)
        for i, (first, second) in enumerate(combinations(METHODS, 2))
        for layer in [*range(layers + 1), pd.NA]
    ]
    table = pd.DataFrame(rows, columns=["layer", "first", "second", "spearman"])
    return table.astype({"layer": "Int64"}).assign(spearman=table["spearman"].clip(-1, 1))


def _votes(layers: int) -> pd.DataFrame:
    rows = [
        (layer, method, fraction, 0.3, 0.25, 0.05)
        for method in METHODS
        for fraction in FRACTIONS
        for layer in [*range(layers + 1), pd.NA]
    ]
    columns = ["layer", "method", "fraction", "neuron_vote", "average_overlap", "chance"]
    return pd.DataFrame(rows, columns=columns).astype({"layer": "Int64"})


def _effectiveness() -> pd.DataFrame:
    made = []
    for operator in ("mean", "zero"):
        for i, ranking in enumerate(METHODS[:-1]):
            excess = 0.03 * i - 0.01
            made.append(
                {
                    "operator": operator, "ranking": ranking, "fractions": 3,
                    "mean_drop": excess + 0.1, "mean_drop_low": excess + 0.09,
                    "mean_drop_high": excess + 0.11, "random_drop": 0.1, "random_low": 0.08,
                    "random_high": 0.12, "excess": excess, "excess_low": excess - 0.01,
                    "excess_high": excess + 0.01, "half_fraction": np.nan if i == 0 else 0.4,
                    "half_low": 0.35, "half_high": np.nan if i < 2 else 0.5,
                    "never_share": 0.9 if i < 2 else 0.0, "draws": 20,
                }
            )  # fmt: skip
    return pd.DataFrame(made)


def _stability(layers: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (m, layer, 20, 0.1, 38, 0.7 + 0.01 * layer, 0.6, 0.9, 0.1)
            for m in METHODS[:-1]
            for layer in range(layers + 1)
        ],
        columns=[
            *("method", "layer", "resamples", "fraction", "k"),
            *("overlap", "overlap_low", "overlap_high", "chance"),
        ],
    )


def _neurons(layers: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            (layer, "block_output", kind, 7 * layer, 0.95, 0.04, 0.95)
            for kind in KINDS
            for layer in range(1, layers + 1)
        ],
        columns=[
            *("layer", "site", "selection", "neuron", "readable_place", "used_place", "contrast")
        ],
    )


def _dissociated() -> pd.DataFrame:
    made = []
    for operator in ("mean", "zero"):
        for kind, cost in KINDS.items():
            for fraction in FRACTIONS:
                excess = cost * fraction / 0.1
                made.append(
                    {
                        "operator": operator, "selection": kind, "used": "conductance",
                        "fraction": fraction, "k": round(fraction * 2304), "drop": excess + 0.01,
                        "drop_low": excess, "drop_high": excess + 0.02, "random_drop": 0.01,
                        "random_low": 0.0, "random_high": 0.02, "excess": excess,
                        "excess_low": excess - 0.02, "excess_high": excess + 0.02, "draws": 20,
                    }
                )  # fmt: skip
    return pd.DataFrame(made)
