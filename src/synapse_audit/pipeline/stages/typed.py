"""What a person can type against the classifier, with its file; texts are held in memory only.

``typed.parquet`` has one row per example, kind of edit and choice: counts, sizes and outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from synapse_audit.config import AuditConfig
from synapse_audit.errors import UsageError, choices
from synapse_audit.interventions.typed import TYPED
from synapse_audit.model import Classifier
from synapse_audit.model.activations import Extraction
from synapse_audit.model.families.record import TEXT
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.pipeline.stages.typed_search import Search, prepare_search
from synapse_audit.sweep import Engine
from synapse_audit.sweep.evasion import Tried
from synapse_audit.tables.typed import EDITS

TYPED_TEXT = "text"
"""The name in ``attack`` that asks for it."""

ATTACKS = (TYPED_TEXT,)

FILE = "typed"


def check_attacks(config: AuditConfig, classifier: Classifier) -> None:
    """Refuses attacks that do not exist, and typed edits of what nobody types.

    Raises:
        UsageError: an unknown name, or inputs that are no whole texts.
    """
    unknown = [name for name in config.attack if name not in ATTACKS]
    if unknown:
        raise UsageError(f"attack '{unknown[0]}' given; {choices(unknown[0], ATTACKS)}")
    if not config.attack:
        return
    reads = classifier.modality if config.tokens == "text" else "token ids"
    if reads != TEXT or config.window is not None:
        given = "windows of texts" if reads == TEXT else reads
        raise UsageError(
            f"attack '{TYPED_TEXT}' given with a model that is audited on {given}; expected texts, "
            "since it edits what a person can type"
        )


def attack_texts(
    run: Run, subject: Subject, engine: Engine, found: Extraction
) -> pd.DataFrame | None:
    """Every kind of typed edit on some examples of every class; None where nobody asked."""
    if TYPED_TEXT not in run.config.attack:
        return None
    if not run.has(f"{FILE}.parquet"):
        if not all(isinstance(text, str | tuple) for text in subject.data.inputs):
            raise UsageError(f"attack '{TYPED_TEXT}' given with inputs that are no texts")
        run.folder.write_table(FILE, _attacked(run, subject, engine, found))
    return run.folder.read_table(FILE)


def _attacked(run: Run, subject: Subject, engine: Engine, found: Extraction) -> pd.DataFrame:
    search = prepare_search(subject, engine, found.logits, run.config.grid.typed_examples)
    if search is None:
        return EDITS.empty()
    parts = []
    with run.progress.stage("typed edits", 2 * len(TYPED) * len(search.rows)) as advance:
        for choice in (search.chosen, search.random):
            for name in TYPED:
                tried = search.tried(name, choice)
                parts.append(_rows(name, choice.selection, search, tried))
                advance(len(search.rows))
    return pd.concat(parts, ignore_index=True)


def _rows(attack: str, selection: str, search: Search, tried: Sequence[Tried]) -> pd.DataFrame:
    table = pd.DataFrame(tried, columns=Tried._fields)
    return table.assign(
        example=search.rows, label=search.labels, wanted=search.wanted, attack=attack,
        selection=selection,
    )[EDITS.names]  # fmt: skip
