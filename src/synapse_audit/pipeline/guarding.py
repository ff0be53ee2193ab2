"""Measures a guard on the examples of the run that it was made from, and keeps the figures.

In: run folder, guard folder, the plain model. Out: ``evaluation.json`` beside the guard, and the
tables ``guard.evaluation`` and ``guard.typed`` (empty where typed edits were not asked for) in the
run, with the advice that quotes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.advice import Saved, advise, as_summary, as_table
from synapse_audit.config import AuditConfig
from synapse_audit.errors import DataError
from synapse_audit.guard.building import audited_names, clean_states
from synapse_audit.guard.certified import certified_curve, certified_examples
from synapse_audit.guard.cost import overhead
from synapse_audit.guard.evaluation import Examples, evaluate_guard, rows_of
from synapse_audit.guard.guarded import load_guarded
from synapse_audit.guard.measuring import Sample
from synapse_audit.model import Classifier
from synapse_audit.pipeline.stages.subject import read_data, subject_of
from synapse_audit.pipeline.stages.typed import TYPED_TEXT
from synapse_audit.pipeline.typed_guard import typed_behind_guard
from synapse_audit.progress import Progress
from synapse_audit.store import RunFolder, finished, locked
from synapse_audit.store.atomic import write_json
from synapse_audit.tables.guard import TYPED_EDITS

EVALUATION = "evaluation.json"


def measure_guard(
    run: Path,
    folder: Path,
    classifier: Classifier,
    config: AuditConfig,
    *,
    draws: int,
    progress: Progress,
) -> pd.DataFrame:
    """Attacks the guarded model on ``evaluate``, with typed edits where ``attack`` names them.

    Raises:
        AuditError: the data is not what was audited, or the guard does not fit the model.
    """
    result = finished(run)
    clean = clean_states(result)
    classifier = audited_names(result.manifest, classifier)
    subject = subject_of(
        classifier, read_data(config, classifier), seed=config.seed, benign=config.benign
    )
    _check_same(result.manifest, subject.data.sha256)
    rows = subject.splits.evaluate
    examples = Examples(
        subject.encoded, rows, subject.data.labels[rows], subject.data.weights[rows]
    )
    guarded = load_guarded(classifier, folder)
    states = [one[clean.fit] for one in clean.places]
    table = evaluate_guard(
        guarded, examples, states, draws=draws, seed=config.seed, progress=progress
    )
    typed = TYPED_EDITS.empty()
    if TYPED_TEXT in config.attack:
        typed = typed_behind_guard(guarded, subject, clean.logits, config, progress)
    guard, read = guarded.guard, clean.places[-1]
    inside = np.clip(read[rows], guard.ranges.low[-1], guard.ranges.high[-1])
    each = certified_examples(
        guard.vote, inside, read[clean.fit].mean(axis=0), rows, examples.labels
    )
    curve = certified_curve(each, Sample(examples.weights, config.seed))
    cost = overhead(guarded, subject.encoded, rows)
    known = {
        "head": guard.head,
        "detector": guard.detector_name,
        "voters": guard.vote.n_voters,
        "n": len(rows),
        "draws": draws,
    }
    tables = {"attacks": table, "certificate": curve, "typed": typed}
    measured = {name: list(rows_of(one)) for name, one in tables.items()}
    write_json(folder / EVALUATION, {**known, "cost": cost, **measured})
    # An empty table also takes the place of what another guard did about typed text.
    keep(run, {"evaluation": table, "certificate": curve, "certified": each, "typed": typed})
    return table


def keep(run: Path, tables: Mapping[str, pd.DataFrame]) -> None:
    """Writes the tables into the run's findings, and the advice that quotes their gains."""
    result = finished(run)
    with locked(run):
        opened = RunFolder(run)
        summary = opened.read_json("summary")
        flips = opened.read_table("flips") if opened.has("flips.parquet") else None
        findings = {**result.findings, "guard": tables}
        recommended = advise(Saved(summary, findings, flips, tables["evaluation"]))
        for name, table in tables.items():
            opened.write_table(f"findings/guard.{name}", table)
        opened.write_table("findings/advice.recommendations", as_table(recommended))
        opened.write_json("summary", summary | {"advice": as_summary(recommended)})


def _check_same(manifest: Any, sha256: str) -> None:
    known = (manifest.get("data") or {}).get("sha256")
    if known != sha256:
        raise DataError(
            f"the data has sha256 {sha256[:12]}…; expected the run's, {str(known)[:12]}…: the file "
            "has changed since the audit"
        )
