"""Interventions: plain hooks, nnsight and pyvene against the exact routes and two-phase estimates.

The cells are those of the standard plan. In each stratum (kind of cell, route, first touched layer)
a few are timed on the same examples by every engine, and the stratum's mean is weighted by its
number of cells: sums over the plan are extrapolations, ratios of them are what is reported.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from harness import Spent, machine, matmul_rate, save, show, timed
from phases import time_two_phase, two_phase_line
from rivals import RIVALS, missing
from subjects import BERT_BASE, Subject, default_models, first_layer, load_subject, spread

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.model.activations import length_batches
from synapse_audit.plan import HEAD, STREAM, SUFFIX
from synapse_audit.sweep import Chunk, Engine, tapped
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.cost import blocks
from synapse_audit.sweep.runners import RUNNERS, stack_size
from synapse_audit.sweep.running import run_chunk

BATCH = 32
"""Examples per batch of the rivals, padded to the longest among them, in the file's order."""

SUFFIX_SAMPLE, HEAD_SAMPLE = 2, 40

Stratum = tuple[str, str, int]
"""Kind of cell, route, first touched layer."""


@dataclass
class Timings:
    """Seconds per cell on the timed examples."""

    strata: dict[Stratum, Spent] = field(default_factory=dict)
    rivals: dict[str, Spent] = field(default_factory=dict)
    gaps: dict[str, float] = field(default_factory=dict)
    """Largest logit difference to plain hooks on the cells that both ran."""
    skipped: dict[str, str] = field(default_factory=dict)


def kind(plan: Plan, cell: Cell) -> str:
    """The four kinds that are reported apart."""
    if plan.routes[cell.action] == HEAD:
        return "head"
    if cell.position == "all":
        return "all positions"
    return "all layers" if cell.layers == "all" else "single layer"


def strata(plan: Plan) -> dict[Stratum, list[Cell]]:
    """Distinct actions by stratum."""
    found: dict[Stratum, list[Cell]] = {}
    for cell in plan.actions:
        key = (kind(plan, cell), plan.routes[cell.action], first_layer(cell))
        found.setdefault(key, []).append(cell)
    return dict(sorted(found.items()))


def clean_states(engine: Engine, subject: Subject, rows: np.ndarray) -> Iterator[CleanStates]:
    """Clean passes of the batches that the engine itself would cut."""
    for batch in length_batches(subject.encoded.lengths, rows):
        collated = subject.classifier.collate(subject.encoded, batch)
        yield clean_pass(subject.classifier, collated, batch, engine.tap)


def time_exact(engine: Engine, subject: Subject, rows: np.ndarray, timings: Timings) -> Spent:
    """Seconds per cell in every stratum; returns what the clean passes took."""
    groups = strata(subject.plan)
    timings.strata = {key: Spent() for key in groups}
    states, clean_spent = timed(lambda: list(clean_states(engine, subject, rows)))
    for clean in states:
        labels = subject.labels[clean.examples.numpy()]
        for (name, route, layer), cells in groups.items():
            wanted = {STREAM: stack_size(STREAM, len(clean.examples)), HEAD: HEAD_SAMPLE}.get(
                route, SUFFIX_SAMPLE
            )
            sample = tuple(spread(cells, wanted))
            RUNNERS[route](engine, clean, sample[:1])
            chunk = Chunk("timed", route, sample)
            _, spent = timed(lambda c=clean, k=chunk, y=labels: run_chunk(engine, c, k, y))
            timings.strata[name, route, layer] += spent * (1 / len(sample))
    return clean_spent


def time_rivals(
    engine: Engine, subject: Subject, rows: np.ndarray, cells: Sequence[Cell], timings: Timings
) -> None:
    """Seconds per cell of every rival that is installed, cell by cell in turn."""
    batches = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    collated = [subject.classifier.collate(subject.encoded, batch) for batch in batches]
    ready = {}
    for name, build in RIVALS.items():
        reason = missing(name)
        if reason is None:
            try:
                ready[name] = build(subject)
                ready[name](collated[0], cells[0])
                continue
            except Exception as error:  # a rival that breaks must not stop the others
                ready.pop(name, None)
                reason = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
        timings.skipped[name] = reason
    timings.rivals = {name: Spent() for name in ready}
    for cell in cells:
        found = {}
        for name, run in ready.items():
            with timings.rivals[name].timing():
                parts = [run(batch, cell) for batch in collated]
            found[name] = torch.cat(parts)
        found["ours"] = _ours(engine, subject, rows, cell)
        for name, logits in found.items():
            gap = float((logits - found["plain hooks"]).abs().max())
            timings.gaps[name] = max(timings.gaps.get(name, 0.0), gap)
    for name in ready:
        timings.rivals[name] = timings.rivals[name] * (1 / len(cells))


def _ours(engine: Engine, subject: Subject, rows: np.ndarray, cell: Cell) -> torch.Tensor:
    route = subject.plan.routes[cell.action]
    logits = torch.zeros(len(rows), len(subject.classifier.classes))
    place = {int(row): i for i, row in enumerate(rows)}
    for clean in clean_states(engine, subject, rows):
        at = [place[int(row)] for row in clean.examples]
        logits[at] = RUNNERS[route](engine, clean, [cell])[0]
    return logits


def arithmetic(engine: Engine, subject: Subject, rows: np.ndarray) -> dict[str, float]:
    """Useful work of exact all-layer cells per second, and that of a large matrix product.

    Work of a block = 8 d² + 4 d f + 4 d T floating point operations per padded token (T tokens
    per row); of the last one 6 d² (queries, keys and values; the rest runs for one row).
    """
    config: Any = subject.classifier.model.config
    d, f = config.hidden_size, config.intermediate_size
    cell = next(c for c in subject.plan.actions if kind(subject.plan, c) == "all layers")
    whole = int(blocks(cell, SUFFIX, subject.classifier.n_layers))
    work, spent, rates = 0.0, Spent(), []
    for clean in clean_states(engine, subject, rows):
        rates.append(matmul_rate(1024, 2))
        length = clean.layers[0].shape[1]
        work += clean.tokens * (whole * (8 * d * d + 4 * d * f + 4 * d * length) + 6 * d * d)
        for _ in range(2):
            with spent.timing():
                RUNNERS[SUFFIX](engine, clean, [cell])
    wall, cpu = (2 * work / 1e9 / seconds for seconds in (spent.wall, spent.cpu))
    best = [max(rate[i] for rate in rates) for i in (0, 1)]
    return {
        "gflops_wall": wall,
        "matmul_gflops_wall": best[0],
        "share_wall": wall / best[0],
        "share_cpu": cpu / best[1],
    }


def padding(subject: Subject, rows: np.ndarray) -> dict[str, float]:
    """Tokens per example: mean, padded in batches of 32 as given, padded in ours (these, all)."""
    lengths = subject.encoded.lengths

    def padded(batches: Sequence[np.ndarray]) -> float:
        return sum(len(b) * int(lengths[b].max()) for b in batches) / sum(map(len, batches))

    given = [rows[i : i + BATCH] for i in range(0, len(rows), BATCH)]
    return {
        "mean": float(lengths[rows].mean()),
        "given order": padded(given),
        "ours": padded(length_batches(lengths, rows)),
        "ours, all rows": padded(length_batches(lengths, subject.evaluate)),
    }


def bench(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Everything about one classifier."""
    subject = load_subject(name, evaluate=options.evaluate)
    generator = np.random.default_rng(1)
    few = min(options.examples, len(subject.evaluate))
    if name == BERT_BASE:
        few = min(few, options.base_examples)
    rows = generator.choice(subject.evaluate, size=few, replace=False)
    simple = [
        c
        for c in subject.plan.actions
        if c.operator in ("mean", "zero") and c.position == "pooled" and first_layer(c) > 0
    ]
    slow = [c for c in simple if subject.plan.routes[c.action] == SUFFIX]
    timings = Timings()
    with torch.inference_mode(), tapped(subject.classifier) as tap:
        engine = Engine(subject.classifier, subject.site, 0, tap)
        clean = time_exact(engine, subject, rows, timings)
        time_rivals(engine, subject, rows, spread(slow, options.rival_cells), timings)
        rate = arithmetic(engine, subject, rows)
        phases = {}
        for operator, n in (("mean", options.mean_cells), ("zero", options.zero_cells)):
            cells = [c for c in slow if c.operator == operator]
            if name != BERT_BASE and n:
                phases[operator] = time_two_phase(
                    engine, subject, spread(cells, n), options.precision
                )
    return report(subject, rows, timings, clean=clean, rate=rate, phases=phases)


def report(
    subject: Subject,
    rows: np.ndarray,
    timings: Timings,
    *,
    clean: Spent,
    rate: dict[str, float],
    phases: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """Ratios to plain hooks; prints them."""
    plain = timings.rivals["plain hooks"]
    per_clean = clean * (1 / len(subject.plan.actions))
    groups, lines = strata(subject.plan), []
    for name in ("single layer", "all layers", "all positions", "head", "without head", "plan"):
        chosen = [k for k in groups if _belongs(k[0], name)]
        count = sum(len(groups[k]) for k in chosen)
        total = per_clean * count
        for key in chosen:
            total = total + timings.strata[key] * len(groups[key])
        wall, cpu = (plain * count).over(total)
        lines.append({"cells": name, "number": count, "ratio, wall": wall, "ratio, CPU": cpu})
    show(
        f"{subject.name}: exact routes, times as fast as plain hooks ({len(rows)} examples)", lines
    )
    others = [
        {
            "engine": name,
            "ms per cell and example": 1000 * spent.wall / len(rows),
            "plain hooks / it, wall": plain.over(spent)[0],
            "plain hooks / it, CPU": plain.over(spent)[1],
            "largest logit gap": timings.gaps[name],
        }
        for name, spent in timings.rivals.items()
    ]
    others += [{"engine": name, "skipped": why} for name, why in timings.skipped.items()]
    show(f"{subject.name}: engines (our exact routes: gap {timings.gaps['ours']:.1g})", others)
    two = [two_phase_line(o, p, plain, len(rows)) for o, p in phases.items()]
    show(f"{subject.name}: two-phase, times as fast as plain hooks", two)
    show(f"{subject.name}: arithmetic rate", [rate])
    return {
        "examples": len(rows),
        "tokens per example": padding(subject, rows),
        "exact": lines,
        "engines": others,
        "gaps": timings.gaps,
        "two-phase": two,
        "arithmetic": rate,
        "strata": {" / ".join(map(str, k)): v for k, v in timings.strata.items()},
    }


def _belongs(kind: str, line: str) -> bool:
    return line == "plan" or kind == line or (line == "without head" and kind != "head")


def main() -> None:
    """Runs every model asked for; each has a file of its own, written as soon as it is done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=[*default_models(), BERT_BASE])
    parser.add_argument("--evaluate", type=int, default=1000, help="rows of two-phase sweeps")
    parser.add_argument("--examples", type=int, default=96, help="rows that every engine runs")
    parser.add_argument("--base-examples", type=int, default=32, help="likewise, BERT-base shape")
    parser.add_argument("--rival-cells", type=int, default=3)
    parser.add_argument("--mean-cells", type=int, default=240)
    parser.add_argument("--zero-cells", type=int, default=48)
    parser.add_argument("--precision", type=float, default=0.01)
    options = parser.parse_args()
    for name in options.models:
        at_start = machine()
        found, spent = timed(lambda n=name: bench(n, options))
        results = {"options": vars(options), **found, "seconds": spent}
        save(f"sweep-{name}", at_start=at_start, results=results)


if __name__ == "__main__":
    main()
