"""Tables of the findings about attention heads and directions, with the columns they write."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

HEADS = 4
METHODS = ("leace", "mean_difference", "probe")


def attention_tables(classes: Sequence[str], layers: int) -> dict[str, pd.DataFrame]:
    """The last head of the last layer matters, no other; top heads cost a little more."""
    every = [(layer, head) for layer in range(1, layers + 1) for head in range(HEADS)]
    heads = [
        {"layer": layer, "head": head,
         "neurons": f"{layer}:attention_head:{16 * head}-{16 * head + 15}",
         "drop": 0.2 if (layer, head) == every[-1] else 0.002, "drop_low": 0.0, "drop_high": 0.25,
         "layer_drop": 0.01}
        for layer, head in every
    ]  # fmt: skip
    by_class = [
        {"layer": layer, "head": head, "class": name, "support": 40, "recall_drop": 0.01 * i}
        for layer, head in every[-HEADS:] for i, name in enumerate(classes)
    ]  # fmt: skip
    sets = [
        {"operator": operator, "position": "pooled", "ranked_for": None, "selection": selection,
         "fraction": f, "heads": int(f * HEADS * layers), "drop": f / 2, "drop_low": f / 3,
         "drop_high": f, "random_drop": f / 4, "random_low": 0.0, "random_high": f / 3,
         "excess": f / 4, "excess_low": 0.01, "excess_high": f / 2, "draws": 5}
        for operator in ("mean", "zero") for f in (0.3, 0.5) for selection in ("bottom", "top")
    ]  # fmt: skip
    sets += [
        {**sets[0], "operator": "mean", "ranked_for": name, "selection": "top", "recall_drop": 0.1,
         "random_recall_drop": 0.05, "random_recall_drop_low": 0.0,
         "random_recall_drop_high": 0.1}
        for name in classes
    ]  # fmt: skip
    return {
        "heads": pd.DataFrame(heads),
        "classes": pd.DataFrame(by_class),
        "sets": pd.DataFrame(sets),
    }


def attention_summary(layers: int) -> dict[str, Any]:
    """One head is named; top heads cost more than random ones when set to zero only."""
    drop = {"value": 0.2, "low": 0.1, "high": 0.3, "tried": HEADS * layers, "tied": [f"{layers}:3"]}
    return {
        "attention": {
            "costliest": {"drop": drop, "head": f"{layers}:3"},
            "sets": {"mean": _set(-0.02), "zero": _set(0.02)},
        }
    }


def direction_tables(classes: Sequence[str], layers: int) -> dict[str, pd.DataFrame]:
    """The directions of the classes cost more in every layer; random ones nothing."""
    spread = {"rank": len(classes) - 1, "variance": 0.2, "variance_evaluate": 0.15, "draws": 5}
    by_layer = [
        {"layer": layer, "method": method, **spread, "drop": 0.1 * layer / layers, "drop_low": 0.05,
         "drop_high": 0.2, "random_drop": 0.0, "random_low": -0.01, "random_high": 0.01,
         "matched_drop": 0.01, "matched_drop_low": -0.02, "matched_drop_high": 0.05,
         "excess": 0.09, "excess_low": 0.02, "excess_high": 0.16}
        for layer in range(1, layers + 1) for method in METHODS
    ]  # fmt: skip
    by_class = [
        {"layer": layers, "method": method, "class": name, **spread, "rank": 1, "drop": 0.05,
         "drop_low": 0.01, "drop_high": 0.1, "recall_drop": 0.3, "random_recall_drop": 0.0,
         "random_recall_drop_low": -0.1, "random_recall_drop_high": 0.1,
         "matched_recall_drop": 0.02, "matched_recall_drop_low": -0.1,
         "matched_recall_drop_high": 0.1}
        for method in METHODS for name in classes
    ]  # fmt: skip
    return {"layers": pd.DataFrame(by_layer), "classes": pd.DataFrame(by_class)}


def direction_summary(layers: int) -> dict[str, Any]:
    """LEACE costs more than random directions, the probe's are not shown to."""
    lows = {"leace": 0.02, "mean_difference": 0.01, "probe": -0.01}
    return {"directions": {method: _method(layers, low) for method, low in lows.items()}}


def _method(layers: int, low: float) -> dict[str, Any]:
    at = {"layer": layers, "rank": 4.0, "variance": 0.2, "variance_evaluate": 0.15}
    return {
        "drop": {"value": 0.1, "low": 0.05, "high": 0.2, **at},
        "random": {"value": 0.0, "low": -0.01, "high": 0.01},
        "matched": {"value": 0.01, "low": -0.02, "high": 0.05},
        "excess": {"value": 0.09, "low": low, "high": 0.16},
    }


def token_mean_tables(layers: int) -> dict[str, pd.DataFrame]:
    """Means read the label a little better; rankings agree more than by chance."""
    probes = [
        {"layer": layer, "pooled_accuracy": 0.8, "mean_accuracy": 0.83, "gain": 0.03,
         "gain_low": 0.01, "gain_high": 0.05}
        for layer in range(layers + 1)
    ]  # fmt: skip
    overlap = [
        {"layer": layer, "method": method, "fraction": 0.1, "k": 38, "overlap": 0.3, "chance": 0.1,
         "chance_low": 0.02, "chance_high": 0.2, "pooled_again": 0.6, "mean_again": 0.7}
        for method in ("probe", "probeless") for layer in [*range(layers + 1), None]
    ]  # fmt: skip
    return {"probes": pd.DataFrame(probes), "overlap": pd.DataFrame(overlap)}


def token_mean_summary() -> dict[str, Any]:
    """As the tables say; how steady the probe's ranking of means is, is not known."""
    chance = {"fraction": 0.1, "chance": 0.1, "chance_low": 0.09, "chance_high": 0.12}
    again = {"pooled_again": 0.6, "mean_again": 0.7}
    return {
        "token_means": {
            "gain": {"value": 0.03, "low": 0.01, "high": 0.05},
            "overlap": {
                "probe": {"value": 0.3, **chance},
                "probeless": {"value": 0.3, **chance, **again},
            },
        }
    }


def _set(low: float) -> dict[str, Any]:
    return {
        "drop": {"value": 0.15, "low": 0.1, "high": 0.2, "fraction": 0.3, "heads": 6},
        "random": {"value": 0.08, "low": 0.02, "high": 0.14},
        "excess": {"value": 0.07, "low": low, "high": 0.14},
    }
