"""A run in progress: its folder, its identity, its clock."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from synapse_audit.artifacts import SLICE, LabelledData, Splits
from synapse_audit.config import AuditConfig
from synapse_audit.extending import extensions
from synapse_audit.memory import release_memory
from synapse_audit.model import Classifier, Encoded
from synapse_audit.model.families.record import TEXT
from synapse_audit.pipeline.stages.tokenizer_check import NOT_COMPARED, TokenizerCheck
from synapse_audit.progress import Progress
from synapse_audit.store import RunFolder, UnitFiles

SCHEMA = 1
"""Version of the run folder's layout."""

VOLATILE = {
    *("out", "seeds", "time_budget", "batch_size", "engine", "workers", "address"),
    "slice_columns",
}
"""Configuration that may differ between a run and its resumption. Other slices change findings
alone, which are made again since ``splits.parquet`` has changed."""

PACKAGES = ("synapse-audit", "torch", "transformers", "numpy", "scipy", "scikit-learn", "pandas")


@dataclass
class Run:
    """A run in progress: its folder, who watches, and how long each stage took."""

    folder: RunFolder
    config: AuditConfig
    progress: Progress
    times: dict[str, float] = field(default_factory=dict)

    def has(self, *names: str) -> bool:
        """Whether every named file of the folder is there as it was written; says what is not."""
        for name in dict.fromkeys(self.folder.damaged(*names)):
            self.progress.note(f"warning: {name} is damaged or gone; it is made again")
        return self.folder.has(*names)

    @property
    def unit_store(self) -> UnitFiles:
        """Where an unfinished sweep keeps its units; damaged ones are named."""
        return replace(self.folder.unit_store, note=self.progress.note)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the seconds of a stage to the manifest, so that a resumed run keeps them.

        What the stage no longer needs is given back to the system.
        """
        start = time.perf_counter()
        try:
            yield
        finally:
            release_memory()
            before = self.folder.manifest.get("times", {})
            self.times = before | {
                stage: round(before.get(stage, 0) + time.perf_counter() - start, 3)
            }
            self.folder.update_manifest(times=self.times)

    def leave_out(self, what: Sequence[str]) -> None:
        """Shows what several labels together leave out; ``not_covered`` of the manifest."""
        for one in what:
            self.progress.note(f"not covered for several labels together (--label NAME): {one}")
        self.folder.update_manifest(not_covered=list(what))

    def warn(self, texts: Iterable[str]) -> None:
        """Shows what a user should know before trusting the figures, and keeps it.

        The manifest has each line once, under ``warnings``.
        """
        given = list(texts)
        for text in given:
            self.progress.note(f"warning: {text}")
        known = self.folder.manifest.get("warnings", [])
        new = [text for text in given if text not in known]
        if new:
            self.folder.update_manifest(warnings=[*known, *new])


@dataclass(frozen=True)
class Subject:
    """What is audited: a classifier on its data."""

    classifier: Classifier
    data: LabelledData
    splits: Splits
    encoded: Encoded
    benign: int | None = None
    """Output index of the class that means no alarm, where one was named."""
    tokenizer_check: TokenizerCheck = NOT_COMPARED
    """Inputs that the model reads exactly as others."""

    @property
    def several(self) -> bool:
        """Whether each example has a set of labels, every one of which is decided by itself."""
        return self.classifier.decision.several

    @property
    def evaluated(self) -> Int[np.ndarray, " evaluate"]:
        """The examples on which effects are measured."""
        return self.splits.evaluate


def identify(run: Run, subject: Subject) -> None:
    """Records whose folder this is, or refuses a foreign one."""
    classifier, data, splits = subject.classifier, subject.data, subject.splits
    config = run.config.flat()
    run.folder.identify(
        {
            "config": {k: v for k, v in config.items() if k not in VOLATILE},
            "weights": classifier.fingerprint(),
            "data": data.sha256,
            **_code(classifier),
            **_guard(classifier),
            **_extensions(),
            "synapse-audit": version("synapse-audit"),
        }
    )
    run.folder.update_manifest(
        schema=SCHEMA,
        config=config,
        model=_model_facts(classifier),
        label_map={str(i): name for i, name in enumerate(classifier.classes)},
        **_decision(classifier),
        data=_data_facts(run, subject),
        splits={f.name: len(getattr(splits, f.name)) for f in fields(splits)},
        seed=run.config.seed,
        device=", ".join(classifier.devices),
        float32_matmul=classifier.float32_matmul,
        **_extensions(),
        versions={name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
    )
    run.folder.write_table("splits", splits_table(data, splits))
    noted = (*data.notes, subject.tokenizer_check.note, _cut(subject), _taken_for(classifier))
    run.warn(filter(None, noted))


def _cut(subject: Subject) -> str:
    """How many texts were cut where nobody says at how many tokens the model is served."""
    classifier, encoded = subject.classifier, subject.encoded
    if classifier.modality != TEXT or not encoded.n_truncated or "max_tokens" in classifier.origin:
        return ""
    share = encoded.n_truncated / len(encoded)
    return (
        f"{encoded.n_truncated:,} of {len(encoded):,} inputs ({share:.1%}) are longer than the "
        f"model can read and were cut at {int(encoded.lengths.max()):,} tokens; nothing says where "
        "they are cut when it is served: --max-tokens"
    )


def _data_facts(run: Run, subject: Subject) -> dict[str, Any]:
    """The manifest's ``data``: what the inputs are, and how many of what.

    Rows are those of the files: ``n_rows`` read, ``n_repeats`` of them dropped as repeats,
    ``n_rows_used`` left after the cap. ``n_examples`` counts what every figure counts, rows or,
    where windows were cut, windows; ``n_used`` is its older name. ``windows`` has the counts of the
    cutting, with repeats of its own. ``columns`` are those of a table, in the model's order.
    ``n_indistinguishable``: distinct rows used that the model reads exactly as another one, if any.
    """
    data = subject.data
    return {
        "source": data.source,
        "sha256": data.sha256,
        "kind": _kind(run.config, subject),
        "n_rows": data.n_rows,
        "n_repeats": data.n_repeats,
        "n_rows_used": len(data) if data.windows is None else data.windows.n_rows,
        "n_examples": len(data),
        "n_used": len(data),
        **({"columns": list(data.columns)} if data.columns else {}),
        **({"n_indistinguishable": subject.tokenizer_check.n} if subject.tokenizer_check.n else {}),
        **_windows(data),
    }


def _kind(config: AuditConfig, subject: Subject) -> str | None:
    """What one input is; None where a wrapped module reads what nobody named."""
    classifier = subject.classifier
    if config.tokens == "ids":
        return "ids"
    if subject.data.columns:
        return "table"
    named = classifier.modality != TEXT or classifier.reads
    return classifier.modality if named else None


def _code(classifier: Classifier) -> dict[str, list[str]]:
    """Hashes of the user's own code, where that made the model: weights alone do not tell it."""
    found = [classifier.origin[n] for n in ("file_sha256", "imported") if n in classifier.origin]
    return {"code": found} if found else {}


def _guard(classifier: Classifier) -> dict[str, str]:
    """Hash of the guard, whose ranges are no weights of the model."""
    return {n: classifier.origin[n] for n in ("guard_sha256",) if n in classifier.origin}


def _extensions() -> dict[str, dict[str, str]]:
    """Hashes of rankings and operators that the caller added."""
    added = extensions()
    return {"extensions": added} if added else {}


def _taken_for(classifier: Classifier) -> str:
    """What a head with one output was taken for, and who named its classes."""
    decision, names = classifier.decision, classifier.classes
    if not decision.one_output or decision.label is not None:
        return ""
    unnamed = [name for name, missing in zip(names, decision.unnamed, strict=False) if missing]
    quoted = " and ".join(f"'{name}'" for name in unnamed)
    called = f"; the model does not say what {quoted} is called: --class-names" if unnamed else ""
    return (
        f"the model has one output, taken for the logit of a sigmoid ({decision.in_words(names)}); "
        f"a regression head would look the same{called}"
    )


def _decision(classifier: Classifier) -> dict[str, Any]:
    """The manifest's ``decision``, where it is another than the highest of several logits."""
    decision, names = classifier.decision, classifier.classes
    if not decision.one_output and not decision.thresholds and not decision.several:
        return {}
    return {
        "decision": {
            "rule": decision.in_words(names),
            "outputs": 1 if decision.one_output else len(names),
            "label": decision.label,
            **({"several": True} if decision.several else {}),
            "thresholds": dict(zip(names, decision.thresholds or (0.5,) * len(names), strict=True)),
        }
    }


def _windows(data: LabelledData) -> dict[str, dict[str, int]]:
    cut = data.windows
    if cut is None:
        return {}
    counts = {"n_rows": cut.n_rows, "n_windows": cut.n_windows, "n_repeats": cut.n_repeats}
    return {"windows": counts}


def _model_facts(classifier: Classifier) -> dict[str, Any]:
    widths = set(classifier.widths)
    return {
        "name": classifier.name,
        "inputs": classifier.reads,
        "notes": "; ".join(classifier.notes) or None,
        "family": classifier.architecture,
        "layers": classifier.n_layers,
        "hidden_size": widths.pop() if len(widths) == 1 else None,
        "parameters": classifier.parameters_count,
        "pooled_position": classifier.position,
        "sha256": classifier.fingerprint(),
        **classifier.origin,
    }


def splits_table(data: LabelledData, splits: Splits) -> pd.DataFrame:
    """``splits.parquet``: one row per example, with the row that it was cut from in windows.

    Slices are columns ``slice:NAME`` of texts, null where an example has no value.
    """
    names = np.full(len(data), "", dtype=object)
    for part in fields(splits):
        names[getattr(splits, part.name)] = part.name
    rows = {} if data.windows is None else {"row": data.windows.rows}
    columns = {"example": np.arange(len(data)), "split": names, "label": data.labels}
    slices = {f"{SLICE}{name}": values for name, values in data.slices.items()}
    return pd.DataFrame(columns | rows | slices)
