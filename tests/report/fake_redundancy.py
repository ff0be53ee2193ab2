"""Tables of redundancy and pathways of the synthetic run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

FRACTIONS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.65, 0.8, 0.95)
LAYER_FRACTIONS = (0.05, 0.1, 0.2, 0.5, 0.8)
CLEAN, CHANCE, WIDTH = 0.962, 0.41, 384


def logistic(x: Any, middle: float, steep: float = 9.0) -> Any:
    return 1 / (1 + np.exp(-steep * (np.asarray(x, dtype=float) - middle)))


def redundancy(layers: int, tests: bool, random: np.random.Generator) -> dict[str, pd.DataFrame]:
    return {
        "removal": _removal(),
        "layers": _layers(layers, random),
        "positions": _positions(),
        "tests": _tests(tests),
        "sufficiency": _sufficiency(),
        "constants": _constants(layers, random),
        "participation": pd.DataFrame({"layer": range(layers + 1), "neurons": WIDTH,
                                       "participation_ratio": np.linspace(60, 11, layers + 1)}),
    }  # fmt: skip


def _removal() -> pd.DataFrame:
    middles = {"top": 0.62, "bottom": 0.86, "random": 0.74, "matched": 0.7}
    harm = {"mean": 0.0, "zero": 0.22, "noise": -0.1, "scale": -0.15, "negate": 0.3}
    rows = []
    for operator, shift in harm.items():
        for selection, middle in middles.items():
            for f in FRACTIONS:
                lost = (CLEAN - CHANCE) * float(logistic(f, middle - shift, 14))
                rows.append(_removal_row(operator, selection, f, lost))
    for operator in ("mean", "zero"):
        for selection, middle in (("keep_top", 0.2), ("keep_random", 0.38)):
            for f in FRACTIONS:
                lost = (CLEAN - CHANCE) * (1 - float(logistic(f, middle, 14)))
                rows.append(_removal_row(operator, selection, f, lost))
    other = [row | {"ranking": "probeless"} for row in rows if row["selection"] == "top"]
    return pd.DataFrame([*rows, *other])


def _removal_row(operator: str, selection: str, f: float, lost: float) -> dict[str, Any]:
    drawn = selection in {"random", "matched", "keep_random"}
    spread = (0.06 if drawn else 0.02) * min(1.0, 0.1 + 4 * lost)
    return {
        "operator": operator,
        "ranking": None if selection in {"random", "keep_random"} else "probe",
        "selection": selection,
        "fraction": f,
        "k": round(f * WIDTH) * 6,
        "accuracy": CLEAN - lost,
        "accuracy_low": CLEAN - lost - spread,
        "accuracy_high": min(1.0, CLEAN - lost + spread),
        "accuracy_drop": lost,
        "drop_low": lost - spread,
        "drop_high": lost + spread,
        "draws": 20 if drawn else None,
    }


def _layers(layers: int, random: np.random.Generator) -> pd.DataFrame:
    rows = []
    for operator, harm in (("mean", 0.05), ("zero", 0.3)):
        for layer in range(1, layers + 1):
            for f in LAYER_FRACTIONS:
                drop = harm * f * layer / layers + random.normal(0, 0.003)
                random_control = drop * 0.6
                rows.append({"operator": operator, "layer": layer, "fraction": f, "drop": drop,
                             "drop_low": drop - 0.01, "drop_high": drop + 0.01,
                             "random_drop": random_control, "random_low": random_control - 0.012,
                             "random_high": random_control + 0.012})  # fmt: skip
    return pd.DataFrame(rows)


def _positions() -> pd.DataFrame:
    rows = [
        {"fraction": f, "position": position, "selection": selection, "drop": drop,
         "drop_low": drop - 0.02, "drop_high": drop + 0.02}
        for position, harm in (("pooled", 0.1), ("all", 0.7))
        for selection, part in (("top", 1.0), ("random", 0.7))
        for f in (0.1, 0.3, 0.5)
        for drop in (harm * part * f * 2 * 0.5,)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _tests(tests: bool) -> pd.DataFrame:
    columns = ["operator", "strength", "layers", "position", "ranking", "ranked_for", "area", "t",
               "df", "p_value", "p_adjusted"]  # fmt: skip
    if not tests:
        return pd.DataFrame(columns=columns)
    rows = [
        ("mean", None, "all", "pooled", "probe", None, 0.061, 4.21, 19, 0.0005, 0.004),
        ("mean", None, "all", "pooled", "probeless", None, 0.018, 1.3, 19, 0.21, 0.6),
    ]
    return pd.DataFrame(rows, columns=columns)


def _sufficiency() -> pd.DataFrame:
    rows = []
    for selection, need in (("top", 0.5), ("random", 1.3)):
        for k in (1, 2, 4, 8, 16, 24, 48, 96, 192, 384):
            accuracy = CHANCE + (CLEAN - CHANCE) * float(logistic(np.log10(k), need, 4))
            rows.append({"ranking": "probe" if selection == "top" else None,
                         "selection": selection, "k": k, "fraction": k / WIDTH,
                         "accuracy": accuracy, "accuracy_low": accuracy - 0.02,
                         "accuracy_high": accuracy + 0.02})  # fmt: skip
    sets = [
        {
            "ranking": "probe",
            "selection": "disjoint",
            "draw": i,
            "k": 24,
            "accuracy": 0.95 - i / 200,
        }
        for i in range(5)
    ]
    return pd.DataFrame([*rows, *sets])


def _constants(layers: int, random: np.random.Generator) -> pd.DataFrame:
    zero = np.sort(np.abs(random.normal(0.05, 0.12, layers)))[::-1]
    mean = np.abs(random.normal(0, 0.002, layers))
    return pd.DataFrame({
        "layer": np.arange(1, layers + 1), "site": "block_output",
        "neuron": random.integers(0, WIDTH, layers),
        "mean": random.normal(8, 1, layers), "spread": random.uniform(0.03, 0.2, layers),
        "zero_drop": zero, "zero_low": zero - 0.02, "zero_high": zero + 0.02,
        "mean_drop": mean, "mean_low": mean - 0.004, "mean_high": mean + 0.004,
        "load_bearing": zero > 0.05,
    })  # fmt: skip


def pathways() -> dict[str, pd.DataFrame]:
    rows = []
    for operator, part in (("mean", 0.03), ("zero", 0.35)):
        for selection in ("top", "random", "keep_top"):
            for f in FRACTIONS:
                drop = (CLEAN - CHANCE) * float(logistic(f, 0.7, 14))
                drawn = selection == "random"
                rows.append({
                    "operator": operator, "strength": None, "layers": "all", "n_exact": 80,
                    "selection": selection, "ranking": None if drawn else "probe",
                    "ranked_for": None, "fraction": f, "drop": drop,
                    "drop_low": drop - 0.02, "drop_high": drop + 0.02,
                    "direct_drop": (1 - part) * drop, "indirect_drop": part * drop,
                    "indirect_low": part * drop - 0.03, "indirect_high": part * drop + 0.03,
                    "disagreement": part * f / 3, "draws": 20 if drawn else None})  # fmt: skip
    operators = pd.DataFrame({"operator": ["mean", "zero"], "cells": [242, 242],
                              "n_exact": [80.0, 1000.0], "median_disagreement": [0.0, 0.02],
                              "max_disagreement": [0.0, 0.12],
                              "notable_share": [0.0, 0.4]})  # fmt: skip
    return {"split": pd.DataFrame(rows), "operators": operators}
