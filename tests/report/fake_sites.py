"""Tables of the findings ``sites`` and ``seeds`` with the columns that they write."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

SITES = ("attention_output", "mlp_output", "mlp_activation")


def site_tables(classes: Sequence[str], layers: int) -> dict[str, pd.DataFrame]:
    """Attention matters in the last layers; shifted neurons redirect, random ones hardly."""
    sublayers = [
        {"site": site, "layer": layer, "neurons": 64 * (i + 1), "drop": 0.02 * layer / (i + 1),
         "drop_low": 0.0, "drop_high": 0.03 * layer}
        for i, site in enumerate(SITES) for layer in range(1, layers + 1)
    ]  # fmt: skip
    sublayers.append({"site": "head_input", "layer": layers, "neurons": 64, "drop": 0.6,
                      "drop_low": 0.58, "drop_high": 0.62})  # fmt: skip
    removal = [
        {"site": site, "operator": operator, "position": "pooled", "fraction": f,
         "selection": selection, "drop": f / 2, "drop_low": f / 3, "drop_high": f,
         "random_drop": f / 4, "random_low": 0.0, "random_high": f / 3, "draws": 5}
        for site in SITES for operator in ("mean", "zero") for f in (0.1, 0.5)
        for selection in ("bottom", "top")
    ]  # fmt: skip
    steering = [
        {"operator": operator, "target": name, "fraction": f, "redirect_rate": f,
         "redirect_low": f / 2, "redirect_high": min(1.0, 2 * f), "collateral": f / 2,
         "collateral_low": 0.0, "collateral_high": f, "random_rate": f / 5, "random_low": 0.0,
         "random_high": f / 4, "draws": 5}
        for operator in ("class_mean", "translate", "patch") for name in classes for f in (0.1, 0.5)
    ]  # fmt: skip
    return {
        "removal": pd.DataFrame(removal),
        "sublayers": pd.DataFrame(sublayers),
        "steering": pd.DataFrame(steering),
    }


def site_summary(classes: Sequence[str], layers: int) -> dict[str, Any]:
    """Attention of the last layer is named, no MLP output costs anything, MLP activations tie."""
    several = list(range(1, layers + 1))
    return {
        "sites": {
            "attention_output": _costliest(0.12, 0.05, several[-1:]) | {"layer": layers},
            "mlp_output": _costliest(0.06, -0.01, several) | {"layer": None},
            "mlp_activation": _costliest(0.04, 0.01, several[-2:]) | {"layer": None},
            "head_input": _costliest(0.6, 0.58, [layers], tried=1) | {"layer": layers},
        },
        "steering": {
            "class_mean": _easiest(list(classes[:2])) | {"target": None},
            "translate": _easiest(list(classes[:1])) | {"target": classes[0]},
        },
    }


def _costliest(value: float, low: float, tied: list[int], *, tried: int = 6) -> dict[str, Any]:
    figure = {"value": value, "low": low, "high": 2 * value - low, "tried": tried, "tied": tied}
    return {"largest_drop": figure}


def _easiest(tied: list[str]) -> dict[str, Any]:
    figure = {"value": 0.5, "low": 0.4, "high": 0.6, "tried": 10, "tied": tied}
    random = {"value": 0.1, "low": None, "high": None}
    return {"redirect": figure, "fraction": 0.5, "random": random}


def seed_tables(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Five seeds that disagree on the most fragile class."""
    shares = {"clean.accuracy": 0.95, "redundancy.plateau": 0.3, "asymmetry.gap": 0.31}
    figures = [
        {"figure": name, "seeds": 5, "mean": value, "sd": 0.02, "low": value - 0.03,
         "high": value + 0.03, "half_width": 0.04}
        for name, value in shares.items()
    ]  # fmt: skip
    names = [("asymmetry.most_fragile", classes[-1], 3), ("asymmetry.most_fragile", classes[0], 2)]
    return {
        "figures": pd.DataFrame(figures),
        "names": pd.DataFrame(names, columns=["figure", "name", "seeds"]),
    }
