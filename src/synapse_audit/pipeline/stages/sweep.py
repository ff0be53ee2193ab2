"""The sweep with its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pandas as pd

from synapse_audit.artifacts import Outcomes, Plan
from synapse_audit.config import AuditConfig
from synapse_audit.model import Batch
from synapse_audit.model.activations import largest_batch, length_batches
from synapse_audit.pipeline.stages.planning import Prepared
from synapse_audit.pipeline.stages.pricing import first_phase_format
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.store import AuditResult, RunFolder
from synapse_audit.sweep import (
    Engine,
    Execute,
    blank,
    can_answer,
    coarse,
    sweep,
    sweep_two_phase,
)
from synapse_audit.sweep.executors import processes
from synapse_audit.sweep.executors import start as start_engine

OUTCOMES = "outcomes"
"""Folder of the outcomes' arrays."""

ACTIONS = f"{OUTCOMES}/actions.parquet"
"""Written last: without it the outcomes are not finished."""


def run_sweep(
    run: Run, subject: Subject, engine: Engine, prepared: Prepared
) -> tuple[Prepared, Outcomes]:
    """Runs the plan; finished units survive an interruption, finished outcomes are read back.

    Returns:
        The plan with the routes that were taken in the end (some cells may be estimated in two
        phases), and the outcomes.
    """
    run.folder.update_manifest(left_out=list(prepared.left_out))
    if not _finished(run, prepared.plan):
        run.folder.forget(OUTCOMES)
        run.folder.update_manifest(processes=_processes(run.config, subject))
        with start_engine(run.config) as execute:
            plan, outcomes = _sweep(run, subject, engine, prepared, execute)
        _keep(run.folder, plan, outcomes)
        run.unit_store.clear()
    table = run.folder.read_table("outcomes/actions")
    routes = dict(zip(table["action"], table["route"], strict=True))
    taken = replace(prepared, plan=prepared.plan.rerouted(routes))
    return taken, AuditResult(run.folder.path).outcomes


def _processes(config: AuditConfig, subject: Subject) -> int:
    lengths, rows = subject.encoded.lengths, subject.evaluated
    batches = length_batches(lengths, rows, batch_size=config.batch_size)
    return processes(config, subject.classifier, tokens=largest_batch(lengths, batches))


def _finished(run: Run, plan: Plan) -> bool:
    """Whether every experiment of the plan was run.

    On another machine, or with another number of threads, numbers that a plan is made from may
    differ by rounding: some of its experiments are then others than those that were run.
    """
    if not run.has(ACTIONS, *run.folder.written(OUTCOMES)):
        return False
    known = set(run.folder.read_table("outcomes/actions")["action"])
    missing = sum(cell.action not in known for cell in plan.actions)
    if missing:
        run.progress.note(
            f"experiments of this plan that were not run in this folder: {missing:,}; all are run "
            "again (what a plan is made from differs by rounding between machines and threads)"
        )
    return not missing


def _sweep(
    run: Run, subject: Subject, engine: Engine, prepared: Prepared, execute: Execute
) -> tuple[Plan, Outcomes]:
    plan, rows, config = prepared.plan, subject.evaluated, run.config
    encoded, labels = subject.encoded, subject.data.truth
    allocate = run.folder.allocate(OUTCOMES)
    if not prepared.chosen.all_exact or prepared.sampled:
        with _first_phase(run, subject, engine, prepared) as cheap:
            return sweep_two_phase(
                engine,
                encoded,
                plan,
                labels,
                chosen=prepared.chosen,
                sampled=prepared.sampled,
                first_phase=cheap,
                batch_size=config.batch_size,
                unit_store=run.unit_store,
                progress=run.progress,
                execute=execute,
                allocate=allocate,
            )
    board = blank(len(plan.actions), len(rows), engine.fields, allocate)
    with run.progress.stage("interventions", len(plan.actions) * len(rows)) as advance:
        return plan, sweep(
            engine,
            encoded,
            plan,
            labels,
            rows=rows,
            onto=board,
            batch_size=config.batch_size,
            unit_store=run.unit_store,
            progress=advance,
            execute=execute,
        )


@contextmanager
def _first_phase(
    run: Run, subject: Subject, engine: Engine, prepared: Prepared
) -> Iterator[Engine]:
    """The engine of the first phase, in the number format that the manifest then names."""
    if prepared.chosen.all_exact:
        yield engine
        return
    wanted = first_phase_format(run.config, engine)
    with coarse(engine, wanted) if wanted else nullcontext(engine) as cheap:
        able = wanted is not None and can_answer(cheap, _one(subject))
        run.folder.update_manifest(first_phase=wanted if able else None)
        if not able and (wanted is not None or run.config.grid.first_phase == "int8"):
            run.progress.note(
                f"first_phase '{run.config.grid.first_phase}': this model, processor or torch has "
                "no such arithmetic; it runs in the model's own format"
            )
        yield cheap if able else engine


def _one(subject: Subject) -> Batch:
    """A batch of one example."""
    return subject.classifier.collate(subject.encoded, subject.evaluated[:1])


def _keep(folder: RunFolder, plan: Plan, outcomes: Outcomes) -> None:
    """Names the finished arrays; with the table of actions, the last, they count as finished."""
    folder.publish(OUTCOMES)
    if outcomes.direct is not None:
        for name in ("disagreement", "error", "sample", "strata", "inclusion", "whole"):
            array = getattr(outcomes.direct, name)
            if array is not None:
                folder.write_array(f"{OUTCOMES}/direct_{name}", array)
    routes = [plan.routes[action] for action in outcomes.actions]
    table = pd.DataFrame({"action": outcomes.actions, "route": routes})
    folder.write_table(f"{OUTCOMES}/actions", table)
