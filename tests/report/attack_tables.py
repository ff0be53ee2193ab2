"""Synthetic tables of attacks on the input and of the profile of spaces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

SPACES = ("neuron", "weight", "bits", "logit", "input")


def attack_tables(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    rows = [
        _attack(attack, "relative", size, min(0.9, size * harm))
        for attack, harm in (("fgsm", 0.4), ("pgd", 0.8), ("noise", 0.01))
        for size in (0.05, 0.15, 0.3, 0.6)
    ]
    for tokens in (1, 2, 4):
        rows.append(_attack("deletion", "tokens", tokens, 0.02 * tokens) | {"selection": "top"})
        random_control = _attack("deletion", "tokens", tokens, 0.01 * tokens)
        rows.append(random_control | {"selection": "random", "draws": 5})
    rows.append(_attack("fgsm", "absolute", 0.02, 0.9))
    for i, name in enumerate(classes[:8]):
        rows.append(_attack("pgd", "relative", 0.3, 0.1) | {"target": name} | _toward(0.02 * i))
    return {"attacks": pd.DataFrame(rows)}


def _attack(attack: str, unit: str, strength: float, drop: float) -> dict[str, Any]:
    return {
        "attack": attack, "unit": unit, "target": None, "strength": float(strength),
        "selection": None, "draws": 1, "accuracy": 0.95 - drop, "accuracy_low": 0.94 - drop,
        "accuracy_high": 0.96 - drop, "drop": drop, "drop_low": drop - 0.01,
        "drop_high": drop + 0.01, "flip_rate": drop, "flip_rate_low": drop, "flip_rate_high": drop,
        **dict.fromkeys(_toward(0.0)),
    }  # fmt: skip


def _toward(rate: float) -> dict[str, Any]:
    ends = {"": 0.0, "_low": -0.01, "_high": 0.01}
    return {f"{n}{end}": rate + d for n in ("redirect", "collateral") for end, d in ends.items()}


def profile_tables(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    points, reach = [], []
    for i, name in enumerate(classes):
        for j, space in enumerate(SPACES):
            unit = "bits" if space == "bits" else "relative L2"
            middle = 0.1 * (1 + i % 7) * (1 + j)
            for size in (0.05, 0.2, 0.5, 1.0, 2.0):
                rate = float(1 / (1 + (middle / size) ** 3))
                points.append(_point(name, space, unit, size, rate))
            for level in (0.1, 0.5):
                enough = None if space == "input" and level > 0.4 else 2 * level * middle
                budget = max(1, round(middle)) if space == "bits" else enough
                reach.append({"target": name, "space": space, "unit": unit, "level": level,
                              "budget": budget, "low": budget, "high": None, "operator": "push",
                              "collateral": None if budget is None else 0.3})  # fmt: skip
    return {
        "points": pd.DataFrame(points),
        "reach": pd.DataFrame(reach).astype({"budget": "float64", "low": "float64"}),
        "classes": _classes(classes),
        "agreement": _agreement(len(classes)),
    }


def _point(target: str, space: str, unit: str, size: float, rate: float) -> dict[str, Any]:
    return {
        "target": target, "space": space, "operator": "push", "parameter": None, "fraction": None,
        "strength": size, "aimed": target, "unit": unit, "budget": size, "redirect_rate": rate,
        "redirect_low": rate, "redirect_high": rate, "collateral": rate, "collateral_low": rate,
        "collateral_high": rate, "accuracy_drop": rate, "drop_low": rate, "drop_high": rate,
    }  # fmt: skip


def _classes(classes: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame([
        {"role": role, "space": space, "class": name, "vulnerability": 0.1 + i / 50,
         "low": i / 50, "high": 0.2 + i / 50}
        for role in ("target", "victim") for space in SPACES for i, name in enumerate(classes)
    ])  # fmt: skip


def _agreement(n: int) -> pd.DataFrame:
    pairs = list(combinations(SPACES, 2))
    few = np.nan if n < 3 else 1.0
    return pd.DataFrame([
        {"role": role, "space": one, "other": other, "classes": n,
         "rho": few * (-0.9 + 0.18 * i), "low": few * -1.0, "high": few * 1.0,
         "p_value": few * (0.08 + 0.01 * i), "p_adjusted": few * 1.0}
        for role in ("target", "victim") for i, (one, other) in enumerate(pairs)
    ])  # fmt: skip
