"""Two-phase sweeps: what one takes, and how many examples an exact sweep would need instead.

A two-phase estimate is noisier than an exact one on the same N examples. Interval widths shrink as
1/√N, so plain hooks would reach the two-phase width on N · Σ w²_exact / Σ w²_two-phase examples
already; the ratio of times is multiplied by that factor.
The time of two-phase counts everything it ran: stream on all N, every example that it decided to
run exactly (``n_exact``), and each cell's share of the pilot and of the clean passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from harness import Spent
from subjects import Subject

from synapse_audit.artifacts import Cell, Outcomes, Plan, Predictions
from synapse_audit.config import PRESETS
from synapse_audit.effects import measure
from synapse_audit.model.activations import length_batches
from synapse_audit.plan import HEAD
from synapse_audit.plan.tiers import HEADLINE_OPERATOR
from synapse_audit.statistics import resampled_weights
from synapse_audit.sweep import (
    Engine,
    may_be_coarse,
    multiplies,
    running,
    subsampling,
    sweep_two_phase,
)
from synapse_audit.sweep.clean import CleanStates
from synapse_audit.sweep.number_format import coarse
from synapse_audit.sweep.subsample import pilot_cells
from synapse_audit.sweep.two_phase import eligible


class Stages:
    """Progress that keeps what each stage of a sweep took, its clean passes apart."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = {}
        self.clean = Spent()

    @contextmanager
    def stage(self, title: str, total: int | float) -> Iterator[Callable[[float], None]]:
        """Times the stage, less the clean passes inside it."""
        original, inside, whole = running.clean_pass, Spent(), Spent()

        def measured(*arguments: Any) -> CleanStates:
            with inside.timing():
                return original(*arguments)

        running.clean_pass = measured
        try:
            with whole.timing():
                yield lambda done: None
        finally:
            running.clean_pass = original
        self.spent[title] = whole + inside * -1.0
        self.clean += inside

    def note(self, text: str) -> None:
        """Drops the line."""


def time_two_phase(
    engine: Engine, subject: Subject, cells: Sequence[Cell], precision: float
) -> dict[str, Any]:
    """A real two-phase sweep of some cells on all rows: its time, n_exact and interval widths.

    As in ``standard``: the first phase in bfloat16 where the processor multiplies it, and cells of
    other operators than mean may add ``comparator_width`` times the half width.

    What all cells of a plan share must not be paid by the few that are timed: a cell's time is its
    share of both phases, its share of the clean passes, and the time of a pilot cell times the
    pilot cells per cell of the whole plan.
    """
    rows, plan = subject.evaluate, subject.plan
    chosen = subsampling(
        rows,
        subject.labels[rows],
        lengths=subject.encoded.lengths[rows],
        precision=precision,
        seed=0,
    )
    width = PRESETS["standard"].comparator_width
    others = (cell.action for cell in cells if cell.operator != HEADLINE_OPERATOR)
    chosen = replace(chosen, widths=dict.fromkeys(others, width))
    part = Plan(tuple(cells), {cell.action: plan.routes[cell.action] for cell in cells})
    stages = Stages()
    with _first_phase(engine) as first:
        routed, outcomes = sweep_two_phase(
            engine,
            subject.encoded,
            part,
            subject.labels,
            chosen=chosen,
            first_phase=first,
            batch_size=None,
            progress=stages,
        )
    everyone = sum(plan.routes[cell.action] != HEAD for cell in plan.actions)
    estimated = [cell for cell in plan.actions if eligible(plan, cell)]
    phases = (stages.spent["first phase"] + stages.spent["second phase"]) * (1 / len(cells))
    pilot = stages.spent["pilot"] * (1 / len(pilot_cells(cells)))
    share = len(pilot_cells(estimated)) / len(estimated)
    assert outcomes.direct is not None
    n_exact = outcomes.direct.n_exact
    return {
        "cells": len(cells),
        "examples": len(rows),
        "first phase": str(first.classifier.model.dtype),
        "spent": phases + pilot * share + stages.clean * (1 / everyone),
        "n_exact_mean": float(n_exact.mean()),
        "all_exact_share": float((n_exact == len(rows)).mean()),
        "disagreement": float(outcomes.direct.disagreement.mean()),
        "efficiency": _efficiency(subject, routed, outcomes),
        "stages": {name: spent * (1 / len(cells)) for name, spent in stages.spent.items()},
    }


@contextmanager
def _first_phase(engine: Engine) -> Iterator[Engine]:
    """The engine that ``standard`` begins with on this machine."""
    if not (may_be_coarse(engine) and multiplies("bfloat16")):
        yield engine
        return
    with coarse(engine, "bfloat16") as cheap:
        yield cheap


def _efficiency(subject: Subject, plan: Plan, outcomes: Outcomes) -> dict[str, float]:
    """Σ w²_exact / Σ w²_two-phase over the cells: examples that an exact sweep would need, / N."""
    rows, classes = subject.evaluate, len(subject.classifier.classes)
    labels = subject.labels[rows]
    logits = np.zeros((len(rows), classes), dtype=np.float32)
    clean = _clean_predictions(subject)
    logits[np.arange(len(rows)), clean] = 1.0
    found = {}
    for name, seen in (("two-phase", outcomes), ("exact", replace(outcomes, direct=None))):
        found[name] = measure(
            plan,
            seen,
            predictions=Predictions(labels, logits),
            weights=np.ones(len(rows)),
            resampled=resampled_weights(labels, np.ones(len(rows)), resamples=500, seed=0),
            classes=subject.classifier.classes,
            tests=False,
        ).effects
    widths = {
        (name, column): (table[f"{column}_high"] - table[f"{column}_low"]).to_numpy()
        for name, table in found.items()
        for column in ("accuracy", "accuracy_drop")
    }
    return {
        column: float(
            np.sum(widths["exact", column] ** 2) / np.sum(widths["two-phase", column] ** 2)
        )
        for column in ("accuracy", "accuracy_drop")
    }


@torch.inference_mode()
def _clean_predictions(subject: Subject) -> np.ndarray:
    rows = subject.evaluate
    found = np.zeros(len(rows), dtype=np.int64)
    place = {int(row): i for i, row in enumerate(rows)}
    for batch in length_batches(subject.encoded.lengths, rows):
        logits = subject.classifier.logits(subject.classifier.collate(subject.encoded, batch))
        found[[place[int(row)] for row in batch]] = logits.argmax(-1).numpy()
    return found


def two_phase_line(
    operator: str, found: dict[str, Any], plain: Spent, examples: int
) -> dict[str, Any]:
    """One line of the table: ratios to plain hooks, which took ``plain`` on ``examples`` rows."""
    wall, cpu = (plain * (found["examples"] / examples)).over(found["spent"])
    drop, accuracy = (found["efficiency"][n] for n in ("accuracy_drop", "accuracy"))
    return {
        "operator": operator,
        "cells": found["cells"],
        "N": found["examples"],
        "first phase": found["first phase"],
        "mean n_exact": found["n_exact_mean"],
        "all exact": found["all_exact_share"],
        "disagreement": found["disagreement"],
        "ratio, wall": wall,
        "ratio, CPU": cpu,
        "equal width of accuracy, CPU": cpu * accuracy,
        "equal width of the drop, CPU": cpu * drop,
        "ms per cell and example": {
            name: 1000 * spent.wall / found["examples"] for name, spent in found["stages"].items()
        },
    }
