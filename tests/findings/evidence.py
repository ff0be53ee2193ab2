"""Hand-made evidence: cells whose predictions are written down, everything else follows."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
from groups import grouped

from synapse_audit.artifacts import (
    Cell,
    Direct,
    Evidence,
    LayerStatistics,
    Outcomes,
    Plan,
    Predictions,
)
from synapse_audit.config import PRESETS, Grid
from synapse_audit.effects import measure
from synapse_audit.neurons import NeuronSet
from synapse_audit.statistics import resampled_weights

GRID = PRESETS["standard"].model_copy(update={"rankings": ("probe",)})
SUFFICIENCY = [
    *("ranking", "selection", "draw", "k", "fraction"),
    *("select_accuracy", "accuracy", "accuracy_low", "accuracy_high"),
]
Trial = tuple[Cell, Sequence[int]]
_fresh = count()


def silence(selection: str, fraction: float | None, **changes: Any) -> Cell:
    """A neuron cell of the headline kind, with neurons no other cell has."""
    drawn = selection in {"random", "keep_random"}
    cell = Cell(
        space="neuron",
        operator="mean",
        site="block_output",
        position="pooled",
        layers="all",
        ranking=None if drawn else "probe",
        selection=selection,
        fraction=fraction,
        neurons=NeuronSet.of({1: [next(_fresh)]}),
    )
    return replace(cell, **changes)


def one_hot_logits(predicted: Sequence[int], n_classes: int) -> np.ndarray:
    """Logits of 1 for the class predicted, 0 for the others."""
    return np.eye(n_classes, dtype=np.float32)[np.asarray(predicted)]


def make_evidence(
    labels: Sequence[int],
    trials: Sequence[Trial] = (),
    *,
    logits: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    head: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
    sufficiency: pd.DataFrame | None = None,
    grid: Grid = GRID,
    n_classes: int | None = None,
    classes: Sequence[str] = "abcdefgh",
    resamples: int = 200,
    resampling_seed: int = 0,
    stream: Sequence[tuple[Sequence[int], Sequence[bool]]] | None = None,
) -> Evidence:
    """Evidence of an audit in which the cells had these predictions.

    Without logits every clean prediction is right; ``head`` = inputs, weight, bias; ``stream`` =
    per cell what the pooled row alone predicted, and which examples were run exactly (on the
    others the stream's prediction stands, whatever the trial says). A cell without a group gets
    the one that its columns imply.
    """
    y = np.asarray(labels, dtype=np.int64)
    if logits is None:
        logits = one_hot_logits(labels, n_classes or int(y.max()) + 1)
    classes = tuple(classes[: logits.shape[1]])
    cells = tuple(grouped(cell) for cell, _ in trials)
    predicted = np.array([p for _, p in trials], dtype=np.uint16).reshape(len(cells), len(y))
    nothing = np.zeros(predicted.shape, dtype=np.float32)
    outcomes = Outcomes(
        tuple(c.action for c in cells), predicted, nothing, nothing, nothing, nothing
    )
    routes = {}
    if stream is not None:
        outcomes, routes = _two_phase(outcomes, stream), dict.fromkeys(outcomes.actions, "suffix")
    predictions = Predictions(y, logits.astype(np.float32))
    weights = np.ones(len(y)) if weights is None else weights
    resampled = resampled_weights(y, weights, resamples=resamples, seed=resampling_seed)
    plan = Plan(cells, routes)
    tables = measure(
        plan,
        outcomes,
        predictions=predictions,
        weights=weights,
        resampled=resampled,
        classes=classes,
        tests=grid.tests,
    )
    layer = LayerStatistics(*(np.arange(4, dtype=np.float32) + shift for shift in (0, 10, 20)))
    inputs, weight, bias = head or (
        np.ones((len(y), 2), dtype=np.float32),
        np.ones((len(classes), 2), dtype=np.float32),
        np.zeros(len(classes), dtype=np.float32),
    )
    return Evidence(
        classes=classes,
        grid=grid,
        predictions=predictions,
        weights=weights,
        resampled=resampled,
        outcomes=outcomes,
        effects=tables.effects,
        class_effects=tables.class_effects,
        probes=pd.DataFrame(),
        sufficiency=pd.DataFrame(columns=SUFFICIENCY) if sufficiency is None else sufficiency,
        statistics=(layer, layer),
        participation=(1.5, 2.5),
        head_input=inputs,
        head_weight=weight,
        head_bias=bias,
    )


def _two_phase(
    outcomes: Outcomes, stream: Sequence[tuple[Sequence[int], Sequence[bool]]]
) -> Outcomes:
    direct = np.array([predicted for predicted, _ in stream], dtype=np.uint16)
    exact = np.array([known for _, known in stream], dtype=bool)
    predicted = np.where(exact, outcomes.predicted, direct)
    rates = (direct != predicted).sum(axis=1) / exact.sum(axis=1)
    design_weight = exact * (exact.shape[1] / exact.sum(axis=1, keepdims=True))
    error = np.where(exact.all(axis=1), 0.0, 0.005)
    held = Direct(design_weight.astype(np.float32), direct, outcomes.kl, rates, error)
    return replace(outcomes, predicted=predicted, direct=held)
