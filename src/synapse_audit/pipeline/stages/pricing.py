"""What a plan costs at any precision, on whom its cells run, and what fits a budget.

Unit costs are measured once; all else is arithmetic, so the same unit costs give the same plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.config import AuditConfig
from synapse_audit.model.activations import largest_batch, length_batches
from synapse_audit.pipeline.stages.findings_cost import seconds_per_action
from synapse_audit.pipeline.stages.run import Subject
from synapse_audit.plan import (
    COMPARATOR,
    EXACT_ONLY,
    STREAM,
    SUFFIX,
    Trimmed,
    pools,
    read_alone,
    trim,
)
from synapse_audit.sweep import (
    HALVES,
    RELATIVE_TIME,
    Amount,
    CoarseFormat,
    Cost,
    Engine,
    Sampled,
    Subsampling,
    Timing,
    UnitCosts,
    draw_blocks,
    draw_halves,
    draw_sample,
    halved,
    may_be_coarse,
    measure_units,
    multiplies,
    reckon,
    sample_size,
    subsampling,
)
from synapse_audit.sweep.executors import processes, threads_of


class Priced(NamedTuple):
    """A plan, on whom its cells run, and what that costs."""

    plan: Plan
    chosen: Subsampling
    sampled: tuple[Sampled, ...]
    cost: Cost


@dataclass(frozen=True)
class Pricing:
    """Everything that decides what a plan of this audit costs."""

    config: AuditConfig
    subject: Subject
    logits: Float[np.ndarray, "examples classes"]
    """Of the untouched model."""
    amount: Amount
    units: UnitCosts
    """Of all processes together."""

    @classmethod
    def of(
        cls,
        config: AuditConfig,
        subject: Subject,
        engine: Engine,
        plan: Plan,
        *,
        logits: Float[np.ndarray, "examples classes"],
        timing: Timing = Timing(),  # noqa: B008 (frozen)
    ) -> Pricing:
        """Measures the unit costs of a plan."""
        encoded, rows = subject.encoded, np.sort(subject.evaluated)
        batches = length_batches(encoded.lengths, rows, batch_size=config.batch_size)
        padded = sum(len(b) * int(encoded.lengths[b].max()) for b in batches)
        estimates = not config.exact and STREAM in plan.routes.values()
        number = processes(
            config, engine.classifier, tokens=largest_batch(encoded.lengths, batches)
        )
        with threads_of(number):
            units = measure_units(
                engine, encoded, plan, batches=batches, estimates=estimates, timing=timing
            ).shared(number)
        coarse = first_phase_format(config, engine)
        if coarse is not None:
            units = units._replace(first_phase=RELATIVE_TIME[coarse] * units.first_phase)
        findings = seconds_per_action(
            subject.data.labels[rows],
            subject.data.strata,
            resamples=config.resamples,
            benign=config.benign is not None,
        )
        units = units._replace(findings=findings)
        amount = Amount(len(rows), padded, engine.classifier.n_layers)
        return cls(config, subject, logits, amount, units)

    def at(self, plan: Plan, precision: float) -> Priced:
        """Pools random controls, chooses who is run exactly, draws samples, adds up the cost."""
        rows, grid = self.subject.evaluated, self.config.grid
        if grid.pooled_controls and not self.config.exact:
            plan = replace(
                plan, pools=pools(filter(partial(_costly, plan), plan.cells), plan.tiers)
            )
        chosen = self._subsampling(plan, precision)
        sampled = (
            *draw_blocks(chosen, self.subject.data.labels[rows], self.logits[rows]),
            *self._sampled(plan, chosen, precision),
        )
        cost = reckon(plan, self.units, self.amount, chosen, _shares(sampled, self.subject))
        return Priced(plan, chosen, sampled, cost)

    def within(self, plan: Plan, budget: float | None) -> tuple[Priced, Trimmed]:
        """The plan reduced to a budget in seconds; whole where there is none."""
        asked = self.config.precision
        trimmed = Trimmed(plan, (), asked)
        if budget is not None:
            trimmed = trim(plan, lambda p, w: self.at(p, w).cost.expected, budget, asked)
        return self.at(trimmed.plan, trimmed.precision), trimmed

    def _subsampling(self, plan: Plan, precision: float) -> Subsampling:
        rows = self.subject.evaluated
        chosen = subsampling(
            rows,
            self.subject.data.labels[rows],
            lengths=self.subject.encoded.lengths[rows],
            precision=precision,
            seed=self.config.seed,
        )
        if self.config.exact or STREAM not in set(plan.routes.values()):
            return replace(chosen, pilot=len(rows))
        alone = read_alone(plan.cells, drawn=self.config.grid.tests)
        pooled = {a: p for a, p in plan.pools.items() if plan.tiers[a] == COMPARATOR}
        return replace(chosen, pools=pooled, alone=alone, widths=self._widths(plan))

    def _widths(self, plan: Plan) -> dict[str, float]:
        """Of comparators, as the grid has it."""
        width = self.config.grid.comparator_width
        return {a: width for a, tier in plan.tiers.items() if tier == COMPARATOR}

    def _sampled(self, plan: Plan, chosen: Subsampling, precision: float) -> tuple[Sampled, ...]:
        """The samples of the cells that only exact passes can answer; the costliest have their
        own."""
        if self.config.exact:
            return ()
        grid = self.config.grid
        costly = [c for c in plan.actions if plan.tiers[c.action] == EXACT_ONLY]
        iterated = frozenset(cell.action for cell in costly if cell.steps is not None)
        others = frozenset(cell.action for cell in costly) - iterated
        found: list[Sampled] = []
        sizes = (grid.exact_only_examples, grid.iterated_examples)
        for actions, size in zip((others, iterated), sizes, strict=True):
            if size is not None and actions:
                found += self._on_sample(plan, chosen, actions, sample_size(size, precision))
        return tuple(found)

    def _on_sample(
        self, plan: Plan, chosen: Subsampling, actions: frozenset[str], size: int
    ) -> Iterator[Sampled]:
        """One sample for all of them, and its halves for random sets that are read as a mean."""
        rows, numbers = self.subject.evaluated, chosen.numbers
        pooled = halved({a: p for a, p in plan.pools.items() if a in actions})
        sample = draw_sample(
            rows,
            self.subject.data.labels[rows],
            self.logits[rows],
            numbers=numbers,
            size=size,
            parts=HALVES if pooled else 1,
        )
        if sample is None:
            return
        halves = draw_halves(sample, numbers, pooled)
        yield Sampled(sample, actions.difference(*(half.actions for half in halves)))
        yield from halves


def _costly(plan: Plan, cell: Cell) -> bool:
    """Whether a cell is estimated, or may run on a sample."""
    return plan.routes[cell.action] == SUFFIX or plan.tiers.get(cell.action) == EXACT_ONLY


def first_phase_format(config: AuditConfig, engine: Engine) -> CoarseFormat | None:
    """The coarser format of the first phase, as far as model and processor decide it."""
    wanted = config.grid.first_phase
    if wanted == "float32" or not may_be_coarse(engine) or not multiplies(wanted):
        return None
    return wanted


def _shares(sampled: Sequence[Sampled], subject: Subject) -> dict[str, float]:
    """Action → share of the tokens of all evaluated examples that its sample has."""
    lengths = subject.encoded.lengths
    total = max(1, int(lengths[subject.evaluated].sum()))
    return {a: lengths[one.sample.rows].sum() / total for one in sampled for a in one.actions}
