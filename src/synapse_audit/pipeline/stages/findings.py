"""Outcomes → tables, findings and summary, with their files. No model is needed any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32, Int

from synapse_audit.advice import Saved, advise, as_summary, as_table
from synapse_audit.artifacts import (
    Evidence,
    Finding,
    LabelledData,
    Outcomes,
    Plan,
    Predictions,
    Splits,
)
from synapse_audit.effects import METRICS, Estimates, Tables, measure, untouched
from synapse_audit.effects.calibration import fit_temperature
from synapse_audit.effects.class_rates import class_rates
from synapse_audit.findings import FINDINGS, SET_FINDINGS
from synapse_audit.interventions.edits import every_weight, weights_of
from synapse_audit.memory import release_memory
from synapse_audit.model import Classifier
from synapse_audit.model.activations import Extraction
from synapse_audit.pipeline.stages.clean_pass import predictions_of
from synapse_audit.pipeline.stages.label_probes import write_label_probes
from synapse_audit.pipeline.stages.planning import Prepared
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.pipeline.stages.scoring_neurons import ScoredNeurons
from synapse_audit.pipeline.stages.sufficient_sets import SufficientSets
from synapse_audit.plan.random_faults import bits_of, fault_format, fault_strata
from synapse_audit.probes import participation_ratio, probe_table
from synapse_audit.statistics import interval, resampled_weights, weighted_shares
from synapse_audit.summary import SCHEMA, Figure, to_json


def write_findings(
    run: Run,
    subject: Subject,
    found: Extraction,
    learned: ScoredNeurons,
    *,
    examined: SufficientSets,
    prepared: Prepared,
    outcomes: Outcomes,
    typed: pd.DataFrame | None = None,
    membership: pd.DataFrame | None = None,
) -> None:
    """Writes effects, findings and summary."""
    evidence = gather(
        run,
        subject,
        found,
        learned,
        examined=examined,
        plan=prepared.plan,
        outcomes=outcomes,
    )
    evidence = replace(evidence, typed=_placed(typed, subject.splits), membership=membership)
    findings = interpret(run, evidence)
    summary = summarise(subject.classifier, evidence, prepared, findings)
    recommended = [] if subject.several else advise(_saved(run, summary, findings))
    run.folder.write_table("findings/advice.recommendations", as_table(recommended))
    run.folder.write_json("summary", summary | {"advice": as_summary(recommended)})
    run.folder.update_manifest(
        status="complete",
        truncated=subject.encoded.n_truncated,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def gather(
    run: Run,
    subject: Subject,
    found: Extraction,
    learned: ScoredNeurons,
    *,
    examined: SufficientSets,
    plan: Plan,
    outcomes: Outcomes,
) -> Evidence:
    """Measures the outcomes, and puts together all that findings read."""
    data, splits, classifier = subject.data, subject.splits, subject.classifier
    shift = classifier.decision.shift
    sample = evaluated(run, subject, found)
    tables = _measured(run, sample, plan, outcomes, data.classes)
    if subject.several:
        write_label_probes(run, subject, found.activations, learned.probes, sample.resampled)
    return Evidence(
        classes=data.classes,
        grid=run.config.grid,
        predictions=sample.predictions,
        weights=sample.weights,
        resampled=sample.resampled,
        outcomes=outcomes,
        effects=tables.effects,
        class_effects=tables.class_effects,
        probes=probe_table(learned.probes),
        sufficiency=examined.sufficiency,
        statistics=learned.blocks,
        participation=participation_ratio(found.activations, splits),
        head_input=np.asarray(found.activations.head_input[splits.evaluate]),
        head_weight=classifier.head_weight,
        head_bias=classifier.head_bias if shift is None else classifier.head_bias + shift,
        one_output=classifier.decision.one_output,
        rankings=learned.rankings,
        stability=examined.stability,
        head_mean=np.asarray(found.activations.head_input[splits.fit]).mean(axis=0),
        dense=classifier.dense,
        pooled=np.asarray(found.activations.layers[-1][splits.evaluate]),
        strata=_strata(run, classifier),
        directions=_saved_table(run, "directions"),
        token_means=examined.token_means,
        benign=run.config.benign,
        temperature=_temperature(subject, found),
        slices=_slices(data, splits),
        groups=sample.groups,
        label_strata=sample.strata,
    )


class Evaluated(NamedTuple):
    """The ``evaluate`` examples as every metric of the run weighs them."""

    predictions: Predictions
    weights: Float[np.ndarray, " evaluate"]
    groups: Int[np.ndarray, " evaluate"] | None
    """Which examples belong together; None where nothing says so."""
    resampled: Float32[np.ndarray, "evaluate resamples"]
    """One matrix for every interval of the run, so that differences are paired."""
    strata: Int[np.ndarray, " evaluate"] | None = None
    """By what examples with sets of labels are resampled; None where each has one class."""


def evaluated(run: Run, subject: Subject, found: Extraction) -> Evaluated:
    """Clean predictions, weights and resamples of the ``evaluate`` examples."""
    data, rows = subject.data, subject.splits.evaluate
    predictions = predictions_of(subject, found.logits).take(rows)
    groups = None if data.groups is None else data.groups[rows]
    resampled = resampled_weights(
        data.labels[rows],
        data.weights[rows],
        groups=groups,
        resamples=run.config.resamples,
        seed=run.config.seed,
        allocate=run.folder.scratch,
    )
    strata = data.labels[rows] if subject.several else None
    return Evaluated(predictions, data.weights[rows], groups, resampled, strata)


def _measured(
    run: Run, sample: Evaluated, plan: Plan, outcomes: Outcomes, classes: tuple[str, ...]
) -> Tables:
    """The tables of effects, with their files."""
    with run.progress.stage("effects", 1) as advance:
        tables = measure(
            plan,
            outcomes,
            predictions=sample.predictions,
            weights=sample.weights,
            resampled=sample.resampled,
            classes=classes,
            tests=run.config.grid.tests,
            strata=sample.strata,
        )
        run.folder.write_table("effects", tables.effects)
        run.folder.write_table("class_effects", tables.class_effects)
        release_memory()
        advance(1)
    return tables


def _placed(typed: pd.DataFrame | None, splits: Splits) -> pd.DataFrame | None:
    """The table with each example's place among those evaluated."""
    if typed is None:
        return None
    return typed.assign(place=np.searchsorted(splits.evaluate, typed["example"].to_numpy()))


def _strata(run: Run, classifier: Classifier) -> pd.DataFrame | None:
    """What random faults were drawn from; None where none were asked for."""
    grid = run.config.grid
    if not grid.faults:
        return None
    every = every_weight(classifier.model, classifier.output_layer, classifier.blocks)
    places = bits_of(fault_format(grid))
    found = fault_strata(weights_of(every), grid)
    table = pd.DataFrame(found, columns=["part", "bit_kind", "bits", "faults"])
    return table.assign(places=[len(places[kind]) for kind in table["bit_kind"]])


def _slices(data: LabelledData, splits: Splits) -> dict[str, pd.Categorical]:
    """Values of the evaluate examples, among all that any example has."""
    known = {n: sorted({v for v in values if v is not None}) for n, values in data.slices.items()}
    return {n: pd.Categorical(data.slices[n][splits.evaluate], known[n]) for n in known}


def _temperature(subject: Subject, found: Extraction) -> float | None:
    """Chosen on ``select``, as every choice is; of a softmax alone."""
    if subject.several:
        return None
    rows = subject.splits.select
    chosen = predictions_of(subject, found.logits).take(rows)
    return fit_temperature(chosen.model_logits, chosen.labels, subject.data.weights[rows])


def interpret(run: Run, evidence: Evidence) -> list[Finding]:
    """Every finding of ``FINDINGS`` (``SET_FINDINGS``), its tables written to ``findings/``."""
    found, table_of = [], SET_FINDINGS if evidence.predictions.several else FINDINGS
    with run.progress.stage("findings", len(table_of)) as advance:
        for name, finding in table_of.items():
            found.append(finding(evidence))
            for table, rows in found[-1].tables.items():
                run.folder.write_table(f"findings/{name}.{table}", rows)
            release_memory()
            advance(1)
    return found


def summarise(
    classifier: Classifier, evidence: Evidence, prepared: Prepared, findings: list[Finding]
) -> dict[str, Any]:
    """``summary.json``, as its JSON schema has it (:func:`synapse_audit.summary.json_schema`)."""
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "model": classifier.name,
        "classes": list(evidence.classes),
        "n_evaluate": len(evidence.weights),
        "clean": {} if evidence.predictions.several else _clean(evidence),
    }
    for finding in findings:
        summary |= finding.summary
    cost = prepared.cost
    work = {"cells": len(prepared.plan.cells), "distinct": len(prepared.plan.actions)}
    summary["cost"] = work | {"routes": cost.cells, "work_saved": round(cost.saved, 4)}
    found: dict[str, Any] = to_json(summary)
    return found


def _saved_table(run: Run, name: str) -> pd.DataFrame | None:
    """A table that only some runs have."""
    return run.folder.read_table(name) if run.has(f"{name}.parquet") else None


def _saved(run: Run, summary: dict[str, Any], findings: list[Finding]) -> Saved:
    tables = {finding.name: finding.tables for finding in findings}
    return Saved(summary, tables, _saved_table(run, "flips"), guarded=run.config.guard is not None)


def _clean(evidence: Evidence) -> dict[str, Any]:
    scored = untouched(
        evidence.predictions, evidence.weights, evidence.resampled, len(evidence.classes)
    )
    figures: dict[str, Any] = {}
    for name in ("accuracy", "macro_f1"):
        figures[name] = Figure(*(ends[0] for ends in METRICS[name](scored)))
    figures["margin"] = _margin(evidence)
    predicted = evidence.predictions.predicted
    counted = {"recall": evidence.predictions.labels, "precision": predicted}
    for name, rates in class_rates(scored).items():
        figures[name] = {
            class_name: _rate(rates, c, int((counted[name] == c).sum()))
            for c, class_name in enumerate(evidence.classes)
        }
    return figures


def _margin(evidence: Evidence) -> Figure:
    """Mean logit of the true class minus the largest other one."""
    logits = evidence.predictions.logits.astype(np.float64)
    rows = np.arange(len(logits))
    own = logits[rows, evidence.predictions.labels]
    logits[rows, evidence.predictions.labels] = -np.inf
    margins = (own - logits.max(axis=1))[None, :]
    low, high = interval(weighted_shares(margins, evidence.resampled))
    return Figure(weighted_shares(margins, evidence.weights)[0], low[0], high[0])


def _rate(rates: Estimates, c: int, n: int) -> Figure:
    if n == 0:
        return Figure.unknown("no example of the class, or none predicted as it")
    return Figure(rates.value[c], rates.low[c], rates.high[c], n=n)
