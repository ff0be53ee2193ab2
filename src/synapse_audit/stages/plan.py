"""The plan with its check and its cost, and the sweep with its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from synapse_audit.activations import Extraction
from synapse_audit.artifacts import (
    LabelledData,
    LayerStatistics,
    Outcomes,
    Plan,
    Probe,
    Ranking,
    Splits,
)
from synapse_audit.classifier import Classifier, Encoded
from synapse_audit.config import AuditConfig
from synapse_audit.edits import HeadView
from synapse_audit.engines import start as start_engine
from synapse_audit.errors import ModelError
from synapse_audit.neurons import Scores
from synapse_audit.plan import STREAM, SUFFIX, Sources, build_cells, leave_out, make_plan, trim
from synapse_audit.stages.run import Run
from synapse_audit.store import DIRECT_FIELDS, FIELDS, AuditResult, RunFolder
from synapse_audit.sweep import (
    Cost,
    Engine,
    Execute,
    RouteCheck,
    Subsampling,
    estimate,
    subsampling,
    sweep,
    sweep_two_phase,
    verify_routes,
)


@dataclass(frozen=True)
class Prepared:
    """A plan whose routes have been checked, and what it will cost."""

    plan: Plan
    checks: tuple[RouteCheck, ...]
    cost: Cost
    chosen: Subsampling
    """Who is run exactly where a cell is estimated."""
    left_out: tuple[str, ...]
    """What the time budget left out."""


def column_scores(probes: tuple[Probe, ...], classes: tuple[str, ...]) -> dict[str, Scores]:
    """Class name → importance of the head's own inputs, |W| of the probe fitted there."""
    probe = next(p for p in probes if p.scope == "head_input")
    return {name: [np.abs(probe.weights[c]).astype(np.float64)] for c, name in enumerate(classes)}


def sources(
    run: Run,
    classifier: Classifier,
    found: Extraction,
    rankings: Mapping[str, Ranking],
    *,
    statistics: tuple[LayerStatistics, ...],
    probes: tuple[Probe, ...],
    splits: Splits,
) -> Sources:
    """Gathers what cells are built from."""
    head = HeadView(
        weight=classifier.head_weight,
        head_input=np.asarray(found.activations.head_input[splits.fit]),
        predicted=found.logits[splits.fit].argmax(axis=1),
    )
    return Sources(
        grid=run.config.grid,
        rankings=rankings,
        statistics=statistics,
        head=head,
        column_scores=column_scores(probes, classifier.classes),
        classes=classifier.classes,
        seed=run.config.seed,
    )


def prepare(
    run: Run,
    engine: Engine,
    encoded: Encoded,
    source: Sources,
    data: LabelledData,
    splits: Splits,
) -> Prepared:
    """Builds the plan, holds every fast route against plain hooks, and measures its cost.

    A route that differs is not used for this model, and the manifest says so.
    """
    cells, layers = build_cells(source), engine.classifier.n_layers
    available = frozenset({STREAM, SUFFIX}) if engine.tap is not None else frozenset()
    plan, checks = make_plan(cells, layers, available), []
    with run.progress.stage("checking routes", 1) as advance:
        while True:
            checks += verify_routes(engine, encoded, plan, splits.evaluate)
            failed = {check.route for check in checks if not check.passed} & available
            if not failed:
                break
            available = available - failed
            plan = make_plan(cells, layers, available)
        advance(1)
    _require_head(checks)
    chosen = _subsampling(run.config, plan, data, splits)
    cost = estimate(
        engine,
        encoded,
        plan,
        rows=splits.evaluate,
        chosen=chosen,
        batch_size=run.config.batch_size,
    )
    plan, left_out = _trimmed(run, plan, cost)
    run.folder.update_manifest(routes=_route_facts(checks))
    return Prepared(plan, tuple(checks), cost, chosen, left_out)


def _trimmed(run: Run, plan: Plan, cost: Cost) -> tuple[Plan, tuple[str, ...]]:
    """What the budget leaves; a resumed run leaves out what it did at first, whatever the clock."""
    known = run.folder.manifest.get("left_out")
    if known is not None:
        return leave_out(plan, known), tuple(known)
    if run.config.time_budget is None:
        return plan, ()
    return trim(plan, cost.of, run.config.time_budget)


def _subsampling(
    config: AuditConfig, plan: Plan, data: LabelledData, splits: Splits
) -> Subsampling:
    rows = splits.evaluate
    chosen = subsampling(rows, data.labels[rows], precision=config.precision, seed=config.seed)
    if config.exact or STREAM not in set(plan.routes.values()):
        return replace(chosen, pilot=len(rows))
    return chosen


def _require_head(checks: list[RouteCheck]) -> None:
    bad = [c for c in checks if c.route == "head" and not c.passed]
    if bad:
        raise ModelError(
            f"head route differs from plain hooks by {bad[0].gap:.2g} on {bad[0].kind}; "
            "expected at most 0.0001: the family record does not describe this head"
        )


def _route_facts(checks: list[RouteCheck]) -> dict[str, dict[str, object]]:
    """What the manifest says of each route; the gap is None where the route could not run."""
    facts: dict[str, dict[str, object]] = {}
    for route in dict.fromkeys(check.route for check in checks):
        mine = [check for check in checks if check.route == route]
        failures = sorted({check.failure for check in mine if check.failure})
        facts[route] = {
            "largest_gap": None if failures else round(max(check.gap for check in mine), 9),
            "kinds": len(mine),
            "used": all(check.passed for check in mine),
        } | ({"failure": failures[0]} if failures else {})
    return facts


def run_sweep(
    run: Run,
    engine: Engine,
    encoded: Encoded,
    prepared: Prepared,
    data: LabelledData,
    splits: Splits,
) -> tuple[Prepared, Outcomes]:
    """Runs the plan; finished units survive an interruption, finished outcomes are read back.

    Returns:
        The plan with the routes that were taken in the end (some cells may be estimated in two
        phases), and the outcomes.
    """
    run.folder.update_manifest(left_out=list(prepared.left_out))
    if not run.folder.has("outcomes/actions.parquet"):
        with start_engine(run.config) as execute:
            plan, outcomes = _sweep(
                run, engine, encoded, prepared, data=data, splits=splits, execute=execute
            )
        _write_outcomes(run.folder, plan, outcomes)
        run.folder.shelf.clear()
    table = run.folder.read_table("outcomes/actions")
    routes = dict(zip(table["action"], table["route"], strict=True))
    taken = replace(prepared, plan=prepared.plan.rerouted(routes))
    return taken, AuditResult(run.folder.path).outcomes


def _sweep(
    run: Run,
    engine: Engine,
    encoded: Encoded,
    prepared: Prepared,
    *,
    data: LabelledData,
    splits: Splits,
    execute: Execute,
) -> tuple[Plan, Outcomes]:
    plan, rows, config = prepared.plan, splits.evaluate, run.config
    if not prepared.chosen.all_exact:
        return sweep_two_phase(
            engine,
            encoded,
            plan,
            data.labels,
            rows=rows,
            chosen=prepared.chosen,
            batch_size=config.batch_size,
            shelf=run.folder.shelf,
            progress=run.progress,
            execute=execute,
        )
    with run.progress.stage("interventions", len(plan.actions) * len(rows)) as advance:
        return plan, sweep(
            engine,
            encoded,
            plan,
            data.labels,
            rows=rows,
            batch_size=config.batch_size,
            shelf=run.folder.shelf,
            progress=lambda chunk, examples: advance(len(chunk.cells) * examples),
            execute=execute,
        )


def _write_outcomes(folder: RunFolder, plan: Plan, outcomes: Outcomes) -> None:
    """The table of actions is written last: with it the outcomes count as finished."""
    for name in FIELDS:
        folder.write_array(f"outcomes/{name}", getattr(outcomes, name))
    if outcomes.benign is not None:
        folder.write_array("outcomes/benign", outcomes.benign)
    if outcomes.direct is not None:
        for name in DIRECT_FIELDS:
            folder.write_array(f"outcomes/direct_{name}", getattr(outcomes.direct, name))
    routes = [plan.routes[action] for action in outcomes.actions]
    table = pd.DataFrame({"action": outcomes.actions, "route": routes})
    folder.write_table("outcomes/actions", table)
