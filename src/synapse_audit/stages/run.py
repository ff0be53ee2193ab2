"""A run in progress: its folder, its identity, its clock."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int

from synapse_audit.artifacts import LabelledData, Splits
from synapse_audit.classifier import Classifier, Encoded
from synapse_audit.config import AuditConfig
from synapse_audit.progress import Progress
from synapse_audit.store import RunFolder

SCHEMA = 1
"""Version of the run folder's layout."""

VOLATILE = {"out", "seeds", "time_budget", "batch_size", "engine", "workers", "address"}
"""Configuration that may differ between a run and its resumption."""

PACKAGES = ("synapse-audit", "torch", "transformers", "numpy", "scipy", "scikit-learn", "pandas")


@dataclass
class Run:
    """A run in progress: its folder, who watches, and how long each stage took."""

    folder: RunFolder
    config: AuditConfig
    progress: Progress
    times: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the seconds of a stage to the manifest, so that a resumed run keeps them."""
        start = time.perf_counter()
        try:
            yield
        finally:
            before = self.folder.manifest.get("times", {})
            self.times = before | {
                stage: round(before.get(stage, 0) + time.perf_counter() - start, 3)
            }
            self.folder.update_manifest(times=self.times)


@dataclass(frozen=True)
class Subject:
    """What is audited: a classifier on its data."""

    classifier: Classifier
    data: LabelledData
    splits: Splits
    encoded: Encoded
    benign: int | None = None
    """Output index of the class that means no alarm, where one was named."""

    @property
    def evaluated(self) -> Int[np.ndarray, " evaluate"]:
        """The examples on which effects are measured."""
        return self.splits.evaluate


def identify(run: Run, subject: Subject) -> None:
    """Records whose folder this is, or refuses a foreign one."""
    classifier, data, splits = subject.classifier, subject.data, subject.splits
    config = run.config.model_dump(mode="json")
    run.folder.identify(
        {
            "config": {k: v for k, v in config.items() if k not in VOLATILE},
            "weights": classifier.fingerprint(),
            "data": data.sha256,
            "synapse-audit": version("synapse-audit"),
        }
    )
    run.folder.update_manifest(
        schema=SCHEMA,
        config=config,
        model=_model_facts(classifier),
        label_map={str(i): name for i, name in enumerate(classifier.classes)},
        data={
            "source": data.source,
            "sha256": data.sha256,
            "n_rows": data.n_rows,
            "n_repeats": data.n_repeats,
            "n_used": len(data),
            **_windows(data),
        },
        splits={f.name: len(getattr(splits, f.name)) for f in fields(splits)},
        seed=run.config.seed,
        device=run.config.device,
        float32_matmul=classifier.float32_matmul,
        versions={name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
    )
    run.folder.write_table("splits", splits_table(data, splits))


def _windows(data: LabelledData) -> dict[str, dict[str, int]]:
    cut = data.windows
    if cut is None:
        return {}
    counts = {"n_rows": cut.n_rows, "n_windows": cut.n_windows, "n_repeats": cut.n_repeats}
    return {"windows": counts}


def _model_facts(classifier: Classifier) -> dict[str, Any]:
    return {
        "name": classifier.name,
        "inputs": classifier.reads,
        "notes": "; ".join(classifier.notes) or None,
        "family": classifier.architecture,
        "layers": classifier.n_layers,
        "hidden_size": int(classifier.output_layer.in_features),
        "parameters": classifier.parameters_count,
        "pooled_position": classifier.position,
        "sha256": classifier.fingerprint(),
        **classifier.origin,
    }


def splits_table(data: LabelledData, splits: Splits) -> pd.DataFrame:
    """``splits.parquet``: one row per example, with the row that it was cut from in windows."""
    names = np.full(len(data), "", dtype=object)
    for part in fields(splits):
        names[getattr(splits, part.name)] = part.name
    rows = {} if data.windows is None else {"row": data.windows.rows}
    columns = {"example": np.arange(len(data)), "split": names, "label": data.labels}
    return pd.DataFrame(columns | rows)
