"""Synthetic tables of the paper's protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

FRACTIONS = (0.025, 0.1, 0.3, 0.5, 0.8, 0.95)
OPERATORS = ("zero", "mean")


def _measured(f1: float, drop: float) -> dict[str, float]:
    ends = {"": 0.0, "_low": -0.02, "_high": 0.02}
    values = {"f1": f1, "drop": drop}
    return {f"{name}{end}": values[name] + d for name in values for end, d in ends.items()}


def paper_tables(classes: Sequence[str], layers: int) -> dict[str, pd.DataFrame]:
    return {
        "curve": pd.DataFrame(_curve()),
        "classes": pd.DataFrame(_classes(classes)),
        "exclusive": pd.DataFrame(_exclusive(classes)),
        "disturbances": pd.DataFrame(_disturbances()),
        "redirects": pd.DataFrame(_redirects(classes)),
        "layers": pd.DataFrame(
            {"fraction": f, "layer": m, "k": m, "share": 2 * m / (layers * (layers + 1)),
             "even_share": 1 / layers}
            for f in (0.025, 0.1, 0.5) for m in range(1, layers + 1)
        ),
        "published": pd.DataFrame(
            [("clean", "BigBird, malware", None, "", 0.831),
             ("silencing", "BigBird, malware", 0.1, "", 0.766),
             ("silencing", "BigBird, malware", 0.5, "", 0.469)],
            columns=["experiment", "model", "fraction", "what", "f1"],
        ),
    }  # fmt: skip


def _curve() -> list[dict[str, Any]]:
    harm = {"top": 0.8, "bottom": 0.3, "random": 0.5}
    return [
        {"operator": o, "selection": s, "fraction": f, "k": round(f * 512), "draws": 20,
         "p_random": 0.05, "z_random": 2.0} | _measured(0.95 - h * f**3, h * f**3)
        for o in OPERATORS for s, h in harm.items() for f in FRACTIONS
    ]  # fmt: skip


def _classes(classes: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"operator": o, "ranked_for": name, "fraction": f, "k": round(f * 512),
         "own_recall": 0.9 - f / 2, "own_recall_low": 0.8 - f / 2, "own_recall_high": 1 - f / 2,
         "own_recall_drop": f / 2} | _measured(0.95 - (i % 5) * f / 10, (i % 5) * f / 10)
        for o in OPERATORS for i, name in enumerate(classes) for f in FRACTIONS
    ]  # fmt: skip


def _exclusive(classes: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"operator": o, "kind": kind, "ranked_for": name, "fraction": 0.03, "k": 15 + i,
         "random_drop": 0.0 if kind == "mass" else np.nan,
         "draws": 5 if kind == "mass" else np.nan} | _measured(0.95, -0.01)
        for o in OPERATORS for kind in ("count", "mass") for i, name in enumerate(classes)
    ]  # fmt: skip


def _disturbances() -> list[dict[str, Any]]:
    settings = [
        ("noise on the top 60 %", "gaussian", 0.9, 0.6, "pooled"),
        ("noise on the top 10 % of every token", "gaussian", 0.1, 0.1, "all"),
        ("noise on every neuron", "gaussian", 0.4, 1.0, "pooled"),
        ("attenuation of the top 20 %", "scale", 0.6, 0.2, "pooled"),
    ]
    names = ("setting", "operator", "strength", "fraction", "position")
    return [
        dict(zip(names, setting, strict=True)) | {"selection": s, "draws": n} | _measured(0.9, 0.05)
        for setting in settings
        for s, n in (("top", 1), ("random", 5))
        if s == "top" or setting[3] < 1
    ]


def _redirects(classes: Sequence[str]) -> list[dict[str, Any]]:
    rows = [("weight", "paper malware a", 0.3), ("logit", "logit +8", 8.0)]
    return [
        {"space": space, "setting": setting, "target": name, "strength": size, "f1": 0.6,
         "f1_low": 0.55, "f1_high": 0.65, "redirect": 0.3 + i / 100, "redirect_low": 0.25,
         "redirect_high": 0.7, "collateral": 0.2}
        for space, setting, size in rows for i, name in enumerate(classes)
    ]  # fmt: skip


def paper_summary() -> dict[str, Any]:
    def figure(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.02, "high": value + 0.02}

    curve = {
        "plateau": {"value": 0.1, "low": None, "high": None},
        "half_point": {"value": None, "low": None, "high": None, "reason": "never"},
        "f1_at_half": figure(0.85) | {"fraction": 0.5},
        "random_f1_at_half": figure(0.89) | {"fraction": 0.5},
    }
    last = {"value": 0.7, "low": None, "high": None, "even": 0.5}
    sets = {
        "least": figure(0.5) | {"ranked_for": "xss", "tried": 3, "tied": ["xss"]},
        "most": figure(0.7) | {"ranked_for": "norm", "tried": 3, "tied": ["norm"]},
    }
    pushed = {"value": 0.32, "low": 0.2, "high": 0.7, "setting": "paper malware a", "target": "xss"}
    return {
        "clean": figure(0.95),
        "zero": curve,
        "mean": curve,
        "last_blocks": last,
        "class_sets": sets,
        "exclusive": {"value": -0.01, "low": -0.03, "high": 0.005, "ranked_for": "norm"},
        "redirects": {"weight": pushed, "logit": pushed | {"setting": "logit +8"}},
    }
