"""The plan with its check and its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.errors import ModelError
from synapse_audit.model.activations import Extraction
from synapse_audit.pipeline.stages.directions import direction_inputs
from synapse_audit.pipeline.stages.named_neurons import named_neuron_inputs
from synapse_audit.pipeline.stages.pricing import Priced, Pricing
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.pipeline.stages.scoring_neurons import ScoredNeurons, context_of
from synapse_audit.pipeline.stages.sites import site_sources, swept_sites
from synapse_audit.pipeline.stages.weights import with_weights
from synapse_audit.plan import (
    FULL,
    HEAD,
    PlanInputs,
    build_cells,
    leave_out,
)
from synapse_audit.sweep import (
    Cost,
    Engine,
    RouteCheck,
    Sampled,
    Subsampling,
    available_routes,
    kind_of,
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
    precision: float = float("nan")
    """Half width that estimates and samples are sized for; a time budget may have widened it."""
    others: tuple[str, ...] = ()
    """Classes, or labels, without experiments of their own."""
    several: bool = False
    """Whether every example has a set of labels."""


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
        benign=run.config.benign,
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
    pricing = Pricing.of(run.config, subject, engine, plan, logits=logits)
    priced, left_out, precision = _reduced(run, plan, pricing)
    run.folder.update_manifest(
        routes=_route_facts(checks),
        other_classes=list(source.others),
        second_phase_half_width=priced.chosen.precision,
    )
    return Prepared(
        priced.plan,
        tuple(checks),
        priced.cost,
        priced.chosen,
        left_out,
        priced.sampled,
        precision=precision,
        others=source.others,
        several=source.head.several,
    )


def _reduced(run: Run, plan: Plan, pricing: Pricing) -> tuple[Priced, tuple[str, ...], float]:
    """What the budget leaves, what it left out, and the half width that it sizes estimates for.

    A resumed run does what it did at first, whatever the clock.
    """
    config, known = run.config, run.folder.manifest.get("left_out")
    if known is not None:
        precision = run.folder.manifest.get("precision", config.precision)
        return pricing.at(leave_out(plan, known), precision), tuple(known), precision
    priced, trimmed = pricing.within(plan, config.time_budget)
    if not trimmed.fits and config.time_budget is not None:
        run.warn([_beyond(config.time_budget, priced.cost.expected)])
    run.folder.update_manifest(precision=trimmed.precision)
    return priced, trimmed.left_out, trimmed.precision


def _beyond(budget: float, expected: float) -> str:
    return (
        f"time budget of {budget:,.0f} s given; what is never left out takes about {expected:,.0f} "
        "s on this machine, within a factor of 2: expect that, give fewer rows (--max-examples) or "
        "a smaller preset"
    )


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
