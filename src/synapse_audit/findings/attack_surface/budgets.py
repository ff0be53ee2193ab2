"""How large an experiment is, on one axis for all spaces: the relative L2 change of what it edits.

| space | what is edited | relative L2 change |
|---|---|---|
| neuron | pooled states of all blocks | root mean square change over ``fit`` / root mean square |
| weight | the head's last weight matrix | norm of the edit / norm of the weights |
| logit | the centred logits | constant / root mean square length of the clean ones |
| input | word embeddings of a text's own tokens | ε or σ, which are relative already |

NaN where the size is not known in closed form: edits of other weights, deleted tokens, operators
whose effect depends on single values. The axes compare in size relative to what is edited, not in
what an attacker must pay to reach it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from synapse_audit.artifacts import GLOBAL, Evidence, LayerStatistics
from synapse_audit.neurons import top, top_across

Squares = Float[np.ndarray, " neurons"]
Row = Mapping[Any, Any]
"""A row of the effects table."""


def budget(evidence: Evidence, row: Row) -> float:
    """Relative L2 change of one cell; NaN where unknown."""
    measure = BUDGETS.get(str(row["space"]))
    return float("nan") if measure is None else measure(evidence, row)


def neuron_budget(evidence: Evidence, row: Row) -> float:
    """√(Σ chosen E[(x' − x)²] / Σ all E[x²]) over the blocks, for sets that a ranking's top makes.

    Source: the operators' own formulas; the set is taken again from the ranking.
    """
    ranking = evidence.rankings.get(str(row["ranking"]))
    change = CHANGES.get(str(row["operator"]))
    name: str | None = GLOBAL if pd.isna(row["ranked_for"]) else str(row["ranked_for"])
    scores = None if ranking is None else ranking.scores.get(name)
    if ranking is None or scores is None or change is None:
        return float("nan")
    if row["selection"] != "top" or row["layers"] != "all":
        return float("nan")
    choose = top_across if ranking.across else top
    chosen = choose(scores, float(row["fraction"]), range(1, len(evidence.statistics)))
    moved = sum(
        float(change(evidence.statistics[layer], row)[ids].sum())
        for layer, ids in chosen.by_layer.items()
    )
    return float(
        np.sqrt(moved / sum(float(_square(s.norm).sum()) for s in evidence.statistics[1:]))
    )


def weight_budget(evidence: Evidence, row: Row) -> float:
    """Norm of the edit relative to the norm of the head's weights."""
    size = float(np.linalg.norm(evidence.head_weight.astype(np.float64)))
    known = row["site"] == "head_weight" and size > 0 and not pd.isna(row["budget_l2"])
    # Edits are float32: more digits would tell a budget of 1 from one of 1.00000002.
    return round(float(row["budget_l2"]) / size, 6) if known else float("nan")


def logit_budget(evidence: Evidence, row: Row) -> float:
    """Length of a constant on one of C centred logits, b √(1 − 1/C), by :func:`logit_length`."""
    return float(row["strength"]) * one_of(evidence) / logit_length(evidence)


def one_of(evidence: Evidence) -> float:
    """Length, centred, of a unit step on one of C logits: √(1 − 1/C)."""
    return float(np.sqrt(1 - 1 / len(evidence.classes)))


def logit_length(evidence: Evidence) -> float:
    """Root mean square over examples of the Euclidean length of the centred clean logits."""
    logits = evidence.predictions.model_logits.astype(np.float64)
    centred = logits - logits.mean(axis=1, keepdims=True)
    return float(np.sqrt((centred**2).sum(axis=1).mean()))


def input_budget(evidence: Evidence, row: Row) -> float:
    """ε and σ as they are; deleted tokens and absolute sizes have none."""
    return float(row["strength"]) if row["unit"] == "relative" else float("nan")


BUDGETS: dict[str, Callable[[Evidence, Row], float]] = {
    "neuron": neuron_budget,
    "weight": weight_budget,
    "logit": logit_budget,
    "input": input_budget,
}
"""Space → the relative L2 change of its cells."""


def _mean(layer: LayerStatistics, row: Row) -> Squares:
    return _square(layer.spread)


def _zero(layer: LayerStatistics, row: Row) -> Squares:
    return _square(layer.norm)


def _negate(layer: LayerStatistics, row: Row) -> Squares:
    return 4.0 * _square(layer.norm)


def _scale(layer: LayerStatistics, row: Row) -> Squares:
    return (1.0 - float(row["strength"])) ** 2 * _square(layer.norm)


def _noise(layer: LayerStatistics, row: Row) -> Squares:
    return float(row["strength"]) ** 2 * _square(layer.spread)


def _gaussian(layer: LayerStatistics, row: Row) -> Squares:
    return np.full(len(layer.mean), float(row["strength"]) ** 2)


def _resample(layer: LayerStatistics, row: Row) -> Squares:
    return 2.0 * _square(layer.spread)


def _class_mean(layer: LayerStatistics, row: Row) -> Squares:
    return _square(layer.spread) + _square(_step(layer, row))


def _translate(layer: LayerStatistics, row: Row) -> Squares:
    return float(row["strength"]) ** 2 * _square(_step(layer, row))


CHANGES: dict[str, Callable[[LayerStatistics, Row], Squares]] = {
    "mean": _mean,
    "zero": _zero,
    "negate": _negate,
    "scale": _scale,
    "noise": _noise,
    "gaussian": _gaussian,
    "resample": _resample,
    "class_mean": _class_mean,
    "translate": _translate,
}
"""Operator → E[(x' − x)²] of every neuron of a layer over ``fit``."""


def _step(layer: LayerStatistics, row: Row) -> Squares:
    """From the mean over ``fit`` to that of the target class; NaN where it is not kept."""
    means = layer.class_means or {}
    if row["target"] not in means:
        return np.full(len(layer.mean), np.nan)
    return means[row["target"]].astype(np.float64) - layer.mean


def _square(values: Float[np.ndarray, " neurons"]) -> Squares:
    return values.astype(np.float64) ** 2
