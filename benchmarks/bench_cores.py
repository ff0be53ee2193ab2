"""What more cores would take: computed from measured unit costs, not run.

Unit costs (a block per token, the pooled row per example, effects per experiment) are measured in
CPU time of one thread. The standard plan is then reckoned for other numbers of examples, and its
units (a batch of examples under a chunk of cells) are spread over the cores: none is divided, and
of every batch each core that works on it runs the clean pass. Effects and findings run on one core.

*Limits.* Cores are taken to be as fast together as alone: no memory that they share, no network, no
waiting. Cells that need gradients or choose bits are left out, as in ``bench_sweep.py``.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from harness import machine, save, show
from subjects import BERT_BASE, BUNDLED, Subject, load_subject

from synapse_audit.config import PRESETS
from synapse_audit.model.activations import TOKENS_PER_BATCH, length_batches
from synapse_audit.pipeline.stages.findings_cost import seconds_per_action
from synapse_audit.plan import COMPARATOR, EXACT_ONLY, SUFFIX, pools, read_alone
from synapse_audit.sweep import (
    HALVES,
    RELATIVE_TIME,
    Amount,
    Cost,
    Engine,
    Timing,
    UnitCosts,
    chunks,
    measure_units,
    reckon,
    subsampling,
    tapped,
)
from synapse_audit.sweep.sampling import blocks_of

CORES = (1, 8, 64, 512)
EXAMPLES = (1_000, 1_000_000)
"""Evaluated."""

SAMPLE = 250
"""Examples of cells that only exact passes can answer, as in ``standard``."""

TIMING = Timing(batches=1, cells=2, tokens=512, clock=time.process_time)


@dataclass(frozen=True)
class Measured:
    """One classifier with what was measured on it."""

    subject: Subject
    units: UnitCosts
    tokens: float
    """Padded ones per example."""


def measured(name: str, evaluate: int) -> Measured:
    """Unit costs of a classifier, in CPU seconds of one thread."""
    subject = load_subject(name, evaluate=evaluate)
    rows, lengths = np.sort(subject.evaluate), subject.encoded.lengths
    batches = length_batches(lengths, rows)
    with tapped(subject.classifier) as tap:
        engine = Engine(subject.classifier, subject.site, 0, tap)
        given = engine, subject.encoded, subject.plan
        units = measure_units(*given, batches=batches, timing=TIMING)
    labels = np.resize(subject.labels[rows], EXAMPLES[0])
    findings = seconds_per_action(
        labels, subject.classifier.classes, resamples=1000, benign=False, clock=time.process_time
    )
    units = units._replace(
        first_phase=RELATIVE_TIME["bfloat16"] * units.first_phase, findings=findings
    )
    padded = sum(len(b) * int(lengths[b].max()) for b in batches)
    return Measured(subject, units, padded / len(rows))


def cost(found: Measured, examples: int) -> Cost:
    """The standard plan on so many examples, distributed as those that were measured."""
    subject, plan = found.subject, found.subject.plan
    estimated = [cell for cell in plan.cells if plan.routes[cell.action] == SUFFIX]
    plan = replace(plan, pools=pools(estimated, plan.tiers))
    rows = np.resize(subject.evaluate, examples)
    chosen = subsampling(
        np.arange(examples),
        subject.labels[rows],
        lengths=subject.encoded.lengths[rows],
        precision=0.01,
        seed=0,
    )
    width = PRESETS["standard"].comparator_width
    chosen = replace(
        chosen,
        pools=plan.pools,
        alone=read_alone(plan.cells, drawn=True),
        widths={a: width for a, tier in plan.tiers.items() if tier == COMPARATOR},
    )
    parts = {a: 1 / blocks_of(pool, examples) for a, pool in plan.pools.items()}
    sampled = [action for action, tier in plan.tiers.items() if tier == EXACT_ONLY]
    # Random sets of a pool meet one half of the sample.
    shares = {a: SAMPLE / (HALVES if a in plan.pools else 1) for a in sampled}
    parts |= {action: min(1.0, share / examples) for action, share in shares.items()}
    # Effects go over all examples, so their time grows with them.
    findings = found.units.findings * examples / EXAMPLES[0]
    amount = Amount(examples, round(found.tokens * examples), subject.classifier.n_layers)
    return reckon(plan, found.units._replace(findings=findings), amount, chosen, parts)


def seconds(found: Measured, whole: Cost, examples: int, cores: int) -> dict[str, float]:
    """Sweep, and effects and findings, on so many cores."""
    work = dict(whole.work)
    findings = work.pop("effects and findings")
    batches = math.ceil(found.tokens * examples / TOKENS_PER_BATCH)
    per_batch = len(chunks(found.subject.plan))
    clean = whole.clean * min(cores, per_batch)
    units = batches * per_batch
    rounds = math.ceil(units / cores)
    return {
        "sweep": (sum(work.values()) + clean) / units * rounds,
        "effects and findings": findings,
    }


def lines(name: str, evaluate: int) -> list[dict[str, Any]]:
    """One row per number of examples and of cores."""
    found, rows = measured(name, evaluate), []
    for examples in EXAMPLES:
        whole = cost(found, examples)
        for cores in CORES:
            took = seconds(found, whole, examples, cores)
            rows.append({"model": name, "examples": examples, "cores": cores, **_minutes(took)})
    return rows


def _minutes(took: Mapping[str, float]) -> dict[str, float]:
    return {f"{name}, min": value / 60 for name, value in took.items()}


def main() -> None:
    """Prints the table and writes ``results/cores.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="*", default=[BUNDLED, BERT_BASE])
    parser.add_argument("--evaluate", type=int, default=300)
    options = parser.parse_args()
    at_start = machine()
    torch.set_num_threads(1)
    rows = [line for name in options.models for line in lines(name, options.evaluate)]
    show("Computed, not run: minutes of the standard plan", rows)
    save("cores", at_start=at_start, results={"cores": rows})


if __name__ == "__main__":
    main()
