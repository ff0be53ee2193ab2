"""The plan with its check and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.config import AuditConfig
from synapse_audit.errors import ModelError
from synapse_audit.model.activations import Extraction
from synapse_audit.pipeline.stages.directions import direction_inputs
from synapse_audit.pipeline.stages.named_neurons import named_neuron_inputs
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.pipeline.stages.scoring_neurons import ScoredNeurons, context_of
from synapse_audit.pipeline.stages.sites import site_sources, swept_sites
from synapse_audit.pipeline.stages.weights import with_weights
from synapse_audit.plan import (
    EXACT_ONLY,
    FULL,
    HEAD,
    STREAM,
    SUFFIX,
    PlanInputs,
    build_cells,
    leave_out,
    pools,
    trim,
)
from synapse_audit.sweep import (
    Cost,
    Engine,
    RouteCheck,
    Sampled,
    Subsampling,
    Timing,
    available_routes,
    draw_blocks,
    draw_sample,
    estimate,
    kind_of,
    sample_size,
    subsampling,
    verify_routes,
)


@dataclass(frozen=True)
class Prepared:
    """A plan whose routes have been checked, and what it will cost."""

    plan: Plan
    checks: tuple[RouteCheck, ...]
    cost: Cost
    chosen: Subsampling
    """Which examples are run exactly where a cell is estimated."""
    left_out: tuple[str, ...]
    """What the time budget left out."""
    sampled: tuple[Sampled, ...] = ()
    """Actions that run on a sample of the examples."""


def sources(run: Run, subject: Subject, found: Extraction, learned: ScoredNeurons) -> PlanInputs:
    """Gathers what cells are built from."""
    source = PlanInputs.of(
        subject.classifier,
        found,
        context_of(run, subject, found.activations, learned.probes, learned.attributions),
        grid=run.config.grid,
        rankings=learned.rankings,
        statistics=learned.blocks,
    )
    sites = site_sources(run, subject, found, learned.statistics)
    source = replace(
        source,
        **swept_sites(sites, subject.classifier.heads)._asdict(),
        directions=direction_inputs(run, subject, found.activations, learned.probes),
        given=named_neuron_inputs(run, found),
    )
    return with_weights(run, subject, found, source)


def prepare(
    run: Run,
    subject: Subject,
    engine: Engine,
    source: PlanInputs,
    logits: Float[np.ndarray, "examples classes"],
) -> Prepared:
    """Builds the plan, holds every fast route against plain hooks, and measures its cost.

    A route that differs is not used for this model, and the manifest says so.

    Args:
        logits: of the untouched model.
    """
    with run.progress.stage("checking routes", 1) as advance:
        plan, checks = _checked(engine, subject, build_cells(source))
        advance(1)
    priced = price(run.config, subject, engine, plan, logits=logits)
    plan, left_out = _trimmed(run, priced.plan, priced.cost)
    run.folder.update_manifest(routes=_route_facts(checks))
    return Prepared(plan, tuple(checks), priced.cost, priced.chosen, left_out, priced.sampled)


class Priced(NamedTuple):
    """A plan, on whom its cells run, and what that costs."""

    plan: Plan
    chosen: Subsampling
    sampled: tuple[Sampled, ...]
    cost: Cost


def price(
    config: AuditConfig,
    subject: Subject,
    engine: Engine,
    plan: Plan,
    *,
    logits: Float[np.ndarray, "examples classes"],
    timing: Timing = Timing(),  # noqa: B008 (frozen)
) -> Priced:
    """Pools random controls, chooses who is run exactly, draws samples, and times the plan."""
    rows = subject.evaluated
    if config.grid.pooled_controls and not config.exact:
        estimated = [cell for cell in plan.cells if plan.routes[cell.action] == SUFFIX]
        plan = replace(plan, pools=pools(estimated, plan.tiers))
    chosen = _subsampling(config, plan, subject)
    cost = estimate(
        engine,
        subject.encoded,
        plan,
        rows=rows,
        chosen=chosen,
        batch_size=config.batch_size,
        timing=timing,
    )
    sampled = (
        *draw_blocks(chosen, subject.data.labels[rows], logits[rows]),
        *_sampled(config, plan, subject, chosen, logits),
    )
    return Priced(plan, chosen, sampled, cost.on_part(_shares(sampled, subject)))


def _checked(
    engine: Engine, subject: Subject, cells: Sequence[Cell]
) -> tuple[Plan, list[RouteCheck]]:
    """The plan on routes that agree with plain hooks, and every check that was made.

    A route on which nothing agrees is given up as a whole; where single kinds of cells differ, they
    alone are run with plain hooks.
    """
    available = available_routes(engine.classifier, engine.tap)
    checks: list[RouteCheck] = []
    while True:
        plan = engine.plan(cells, available)
        latest = verify_routes(engine, subject.encoded, plan, subject.evaluated)
        checks += latest
        broken = _broken(latest)
        if HEAD in broken:
            raise _bad_head(latest)
        if not broken & available:
            return _with_hooks(plan, latest), checks
        available = available - broken


def _broken(checks: Sequence[RouteCheck]) -> frozenset[str]:
    """Routes on which no kind of cell agrees with plain hooks."""
    return frozenset({c.route for c in checks}) - {c.route for c in checks if c.passed}


def _with_hooks(plan: Plan, checks: Sequence[RouteCheck]) -> Plan:
    """The plan with cells of kinds that differ run by plain hooks."""
    bad = {(check.route, check.kind) for check in checks if not check.passed}
    moved = {
        cell.action: FULL
        for cell in plan.actions
        if (plan.routes[cell.action], kind_of(cell)) in bad
    }
    return plan.rerouted({**plan.routes, **moved})


def _trimmed(run: Run, plan: Plan, cost: Cost) -> tuple[Plan, tuple[str, ...]]:
    """What the budget leaves; a resumed run leaves out what it did at first, whatever the clock."""
    known = run.folder.manifest.get("left_out")
    if known is not None:
        return leave_out(plan, known), tuple(known)
    if run.config.time_budget is None:
        return plan, ()
    trimmed = trim(plan, cost.of, run.config.time_budget)
    least = cost.least_of(cell.action for cell in trimmed.plan.actions)
    if least > run.config.time_budget:
        run.warn([_beyond(run.config.time_budget, least)])
    return trimmed


def _beyond(budget: float, least: float) -> str:
    return (
        f"time budget of {budget:,.0f} s given; what is never left out takes {least:,.0f} s at "
        "least on this machine: expect that, give fewer rows (--max-examples) or a smaller preset"
    )


def _subsampling(config: AuditConfig, plan: Plan, subject: Subject) -> Subsampling:
    rows = subject.evaluated
    chosen = subsampling(
        rows,
        subject.data.labels[rows],
        lengths=subject.encoded.lengths[rows],
        precision=config.precision,
        seed=config.seed,
    )
    if config.exact or STREAM not in set(plan.routes.values()):
        return replace(chosen, pilot=len(rows))
    return replace(chosen, pools=plan.pools)


def _sampled(
    config: AuditConfig,
    plan: Plan,
    subject: Subject,
    chosen: Subsampling,
    logits: Float[np.ndarray, "examples classes"],
) -> tuple[Sampled, ...]:
    """The samples of the cells that only exact passes can answer; the costliest have their own."""
    if config.exact:
        return ()
    rows, grid = subject.evaluated, config.grid
    costly = [c for c in plan.actions if plan.tiers[c.action] == EXACT_ONLY]
    iterated = frozenset(cell.action for cell in costly if cell.steps is not None)
    others = frozenset(cell.action for cell in costly) - iterated
    found = []
    for actions, size in ((others, grid.exact_only_examples), (iterated, grid.iterated_examples)):
        if size is None or not actions:
            continue
        sample = draw_sample(
            rows,
            subject.data.labels[rows],
            logits[rows],
            numbers=chosen.numbers,
            size=sample_size(size, config.precision),
        )
        found += [Sampled(sample, actions)] if sample is not None else []
    return tuple(found)


def _shares(sampled: Sequence[Sampled], subject: Subject) -> dict[str, float]:
    """Action → share of the tokens of all evaluated examples that its sample has."""
    lengths = subject.encoded.lengths
    total = max(1, int(lengths[subject.evaluated].sum()))
    return {a: lengths[one.sample.rows].sum() / total for one in sampled for a in one.actions}


def _bad_head(checks: Sequence[RouteCheck]) -> ModelError:
    worst = max((c for c in checks if c.route == HEAD), key=lambda check: check.gap)
    return ModelError(
        f"head route differs from plain hooks by {worst.gap:.2g} on {worst.kind}; "
        "expected at most 0.0001: the family record does not describe this head"
    )


def _route_facts(checks: Sequence[RouteCheck]) -> dict[str, dict[str, object]]:
    """What the manifest says of each route; the gap is None where the route could not run."""
    facts: dict[str, dict[str, object]] = {}
    for route in dict.fromkeys(check.route for check in checks):
        mine = [check for check in checks if check.route == route]
        failures = sorted({check.failure for check in mine if check.failure})
        facts[route] = {
            "largest_gap": None if failures else round(max(check.gap for check in mine), 9),
            "kinds": len(mine),
            "used": any(check.passed for check in mine),
            "run_with_hooks": sorted({check.kind for check in mine if not check.passed}),
        } | ({"failure": failures[0]} if failures else {})
    return facts
