"""How long effects and findings take per experiment: a few made-up ones are measured.

Their time grows with examples, classes and resamples; timing the real code on made-up outcomes of
the real size holds all three, whatever the code does. Findings read every experiment once more, for
calibration and, where a benign class was named, for alarms.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from synapse_audit.artifacts import Cell, Outcomes, Plan, Predictions
from synapse_audit.effects import measure
from synapse_audit.statistics import resampled_weights

MADE_UP = 24
"""Experiments that are measured."""

TIMES = 3
"""How often: the shortest counts, since a moment without the processor lengthens the others."""

FINDINGS, ALARMS = 3.5, 15.0
"""Time of findings, and of those about alarms, relative to that of effects: as measured on whole
audits of three classifiers."""


def seconds_per_action(
    labels: Int[np.ndarray, " evaluate"],
    classes: tuple[str, ...],
    *,
    resamples: int,
    benign: bool,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds of effects and findings per distinct action.

    Args:
        labels: of the evaluated examples.
        benign: whether a benign class was named.
    """
    labels = labels.astype(np.int64)
    resampled = resampled_weights(labels, np.ones(len(labels)), resamples=resamples, seed=0)
    plan, outcomes, clean = _made_up(labels, len(classes))
    took = []
    for _ in range(TIMES):
        start = clock()
        measure(
            plan, outcomes, predictions=clean, classes=classes, resampled=resampled, tests=False
        )
        took.append(clock() - start)
    return min(took) / MADE_UP * (1 + FINDINGS + (ALARMS if benign else 0.0))


def _made_up(
    labels: Int[np.ndarray, " evaluate"], classes: int
) -> tuple[Plan, Outcomes, Predictions]:
    """Experiments after which a tenth of the answers are wrong, on an untouched model that errs
    nowhere."""
    cells = tuple(
        Cell("logit", "shift", "logits", strength=float(i), group="shift") for i in range(MADE_UP)
    )
    generator = np.random.default_rng(0)
    shape = MADE_UP, len(labels)
    wrong = generator.random(shape) < 0.1
    said = np.where(wrong, generator.integers(0, classes, shape), labels).astype(np.uint16)
    half = np.full(shape, 0.5, dtype=np.float32)
    outcomes = Outcomes(tuple(cell.action for cell in cells), said, half, half, half, half)
    logits = np.eye(classes, dtype=np.float32)[labels]
    routes = dict.fromkeys(outcomes.actions, "head")
    return Plan(cells, routes), outcomes, Predictions(labels, logits)
