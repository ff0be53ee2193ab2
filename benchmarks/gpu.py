"""Every route against plain hooks on a GPU, and the time of a BERT-base shaped audit there.

Without a GPU it says so and ends well. ``--device cpu`` runs the same checks on a CPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from harness import machine, save, show, timed
from subjects import BERT_BASE, Subject, first_layer, load_subject, spread

from synapse_audit.artifacts import Cell, LayerStatistics
from synapse_audit.interventions.operators import OPERATORS
from synapse_audit.model.activations import length_batches
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX, cheapest
from synapse_audit.sweep import Engine, Site, tapped
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.runners import RUNNERS, stack_size

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.25, "float16": 0.05}
"""Largest logit difference allowed: BERT-base logits of random weights are below 1 in size, and
bfloat16 carries 8 bits."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def on_device(subject: Subject, device: str, dtype: torch.dtype) -> Subject:
    """The same subject elsewhere and in another type."""
    classifier = subject.classifier.to(device)
    classifier.model.to(dtype)
    return Subject(**{**vars(subject), "classifier": classifier})


def clean_of(engine: Engine, subject: Subject, rows: np.ndarray) -> CleanStates:
    """Clean states of one batch."""
    batch = subject.classifier.collate(subject.encoded, rows)
    return clean_pass(subject.classifier, batch, rows, engine.tap)


def check(engine: Engine, subject: Subject, tolerance: float) -> list[dict[str, Any]]:
    """Largest logit gap of each route to ``full``, per operator; failures are reported."""
    order = np.argsort(subject.encoded.lengths[subject.evaluate])
    rows = subject.evaluate[np.concatenate([order[:4], order[-4:]])]
    clean, lines = clean_of(engine, subject, rows), []
    depth = subject.classifier.n_layers
    for operator in OPERATORS:
        for route in (HEAD, STREAM, SUFFIX):
            fits = [c for c in subject.plan.actions if c.operator == operator]
            cells = spread([c for c in fits if _route(c, depth) == route], 3)
            if cells:
                lines.append(_compare(engine, clean, route, operator, cells))
    for line in lines:
        line["passed"] = line["gap"] is not None and line["gap"] <= tolerance
    return lines


def _route(cell: Cell, depth: int) -> str:
    return cheapest(cell, depth, frozenset({STREAM, SUFFIX}))


def _compare(
    engine: Engine, clean: CleanStates, route: str, operator: str, cells: Sequence[Cell]
) -> dict[str, Any]:
    try:
        gap = RUNNERS[route](engine, clean, cells) - RUNNERS[FULL](engine, clean, cells)
        found: float | None = float(gap.abs().max())
        why = None
    except Exception as error:  # the benchmark tells what does not run yet
        found, why = None, f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
    return {"route": route, "operator": operator, "gap": found, "error": why}


def speeds(
    engine: Engine, subject: Subject, rows: np.ndarray, wait: Callable[[], None]
) -> list[dict[str, Any]]:
    """Cells × examples per second of each route, and the plan's extrapolated seconds."""
    groups: dict[str, list[Cell]] = {}
    for cell in subject.plan.actions:
        groups.setdefault(subject.plan.routes[cell.action], []).append(cell)
    groups[FULL] = [c for c in groups[SUFFIX] if first_layer(c) > 0]
    lines = []
    for route, cells in sorted(groups.items()):
        done, seconds = 0, 0.0
        for batch in length_batches(subject.encoded.lengths, rows):
            clean = clean_of(engine, subject, batch)
            sample = spread(cells, stack_size(STREAM, len(batch)) if route == STREAM else 4)
            RUNNERS[route](engine, clean, sample[:1])
            wait()
            _, spent = timed(lambda r=route, c=clean, k=sample: (RUNNERS[r](engine, c, k), wait()))
            done, seconds = done + len(sample) * len(batch), seconds + spent.wall
        count = 0 if route == FULL else len(cells)
        lines.append(
            {
                "route": route,
                "cells": count,
                "cells x examples / s": done / seconds,
                "plan, s": count * len(subject.evaluate) * seconds / done,
            }
        )
    return lines


def main() -> None:
    """Checks and times every type asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--model", default=BERT_BASE)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"], choices=DTYPES)
    parser.add_argument("--evaluate", type=int, default=1000)
    parser.add_argument("--examples", type=int, default=256)
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        print("No GPU here: nothing was checked.")
        return
    wait = torch.cuda.synchronize if options.device.startswith("cuda") else lambda: None
    at_start, results = machine(), {}
    if options.device.startswith("cuda"):
        at_start["gpu"] = torch.cuda.get_device_name()
        at_start["tf32"] = torch.backends.cuda.matmul.allow_tf32
    for name in options.dtypes:
        host = load_subject(options.model, evaluate=options.evaluate)
        subject = on_device(host, options.device, DTYPES[name])
        site = Site(*(tuple(map(_float32, part)) for part in (host.site.pooled, host.site.others)))
        with torch.inference_mode(), tapped(subject.classifier) as tap:
            engine = Engine(subject.classifier, site, 0, tap)
            checks = check(engine, subject, TOLERANCE[name])
            show(f"{options.model}, {name}: largest logit gap to plain hooks", checks)
            rows = subject.evaluate[: options.examples]
            try:
                rates = speeds(engine, subject, rows, wait)
                show(f"{options.model}, {name}: speed", rates)
            except RuntimeError as error:
                rates = str(error).splitlines()[0]
                print(rates)
        results[name] = {"checks": checks, "speed": rates}
    save("gpu", at_start=at_start, results={"options": vars(options), "dtypes": results})


def _float32(statistics: LayerStatistics) -> LayerStatistics:
    """The arrays in single precision; statistics by class, which no operator here reads, as is."""
    arrays = {n: v for n, v in vars(statistics).items() if isinstance(v, np.ndarray)}
    return replace(statistics, **{n: v.astype(np.float32) for n, v in arrays.items()})


if __name__ == "__main__":
    main()
