"""Tables of the finding ``certificates`` with the columns that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

SIZES = (0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0)
COUNTS = (0, 1, 2, 5, 10, 20, 50)
KINDS = (
    *(("head", norm, rows, bias, True, SIZES)
      for norm in ("l2", "linf") for rows in ("all", "one") for bias in (True, False)),
    *(("head_input", change, None, None, True, COUNTS) for change in ("zero", "mean")),
    *(("state", norm, None, None, False, SIZES) for norm in ("l2", "linf")),
    *(("state", change, None, None, False, COUNTS) for change in ("zero", "mean")),
)  # fmt: skip
KEY = ("place", "change", "rows", "bias", "exact")


def certificates(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Guarantees that fall to 0 over the size, a little sooner for each further class."""
    groups = (None, *classes)
    curves = [
        _named(kind) | {"class": group, "budget": float(b)} | _accuracy(b / kind[5][-1], i)
        for i, group in enumerate(groups) for kind in KINDS for b in kind[5]
    ]  # fmt: skip
    distances = [
        _named(kind) | {"class": group, "target": target, "n": 40, "p05": 0.1, "median": 0.267,
                        "never": 0.0, "attained": 1.0}
        for kind in KINDS for group in groups for target in (None, classes[0])
    ]  # fmt: skip
    checks = [
        {"place": "head", "change": norm, "cell": f"{norm}{b}", "operator": "push",
         "parameter": None, "target": classes[0], "budget": b, "accuracy": 1 - b / 3,
         "guaranteed": max(0.0, 0.9 - b), "examples": 30, "changed": 0}
        for norm in ("l2", "linf") for b in SIZES[1:]
    ]  # fmt: skip
    fewest = pd.DataFrame({"change": "zero", "class": None, "k": COUNTS, "share": 0.1})
    return {
        "curves": pd.DataFrame(curves).astype({"bias": "boolean"}),
        "distances": pd.DataFrame(distances).astype({"bias": "boolean"}),
        "fewest_silenced": fewest,
        "checks": pd.DataFrame(checks),
        "missing": pd.DataFrame(columns=["place", "reason"], dtype=str),
    }


def certificates_summary() -> dict[str, Any]:
    """The figures that sentences quote."""
    return {
        "fewest_silenced": {
            "zero": {"value": 57.0, "low": 56.0, "high": 60.0},
            "mean": {"value": None, "low": None, "high": None, "reason": "no set is enough"},
        },
        "check": {"cells": 12, "examples": 360, "changed": 0},
    }


def _named(kind: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(KEY, kind[:5], strict=True))


def _accuracy(share: float, place: int) -> dict[str, float]:
    value = float(np.clip(0.95 - (1 + place / 10) * share, 0.0, 1.0))
    low, high = max(0.0, value - 0.03), min(1.0, value + 0.03)
    return {"accuracy": value, "accuracy_low": low, "accuracy_high": high}
