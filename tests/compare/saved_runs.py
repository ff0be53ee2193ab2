"""Run folders written by hand: no model, only what a comparison or a check reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.artifacts import GLOBAL
from synapse_audit.store import AuditResult, finished
from synapse_audit.summary import SCHEMA, Figure, to_json
from synapse_audit.tables.run import EFFECTS

CLASSES = ("a", "b", "rare", "d.e f")


def clean_figures() -> dict[str, Any]:
    return {"accuracy": Figure(0.9, 0.85, 0.93), "macro_f1": Figure(0.8, 0.7, 0.85)}


def save_run(
    folder: Path,
    labels: Sequence[int] = (0, 1, 2, 3),
    predicted: Sequence[int] = (0, 1, 2, 3),
    *,
    classes: Sequence[str] = CLASSES,
    tests: bool = False,
    fractions: Sequence[float] = (0.1, 0.5),
    data: str = "d" * 64,
    figures: dict[str, Any] | None = None,
) -> AuditResult:
    """A finished run whose examples are all evaluated, each with weight 1."""
    folder.mkdir(parents=True)
    rows = np.arange(len(labels))
    logits = np.eye(len(classes))[np.asarray(predicted)] * 4.0
    table = pd.DataFrame(
        {
            "example": rows,
            "label": labels,
            "predicted": predicted,
            "probability": 0.9,
            "margin": 1.0,
            "split": "evaluate",
            "weight": 1.0,
            **{f"logit_{c}": logits[:, c] for c in range(len(classes))},
        }
    )
    table.to_parquet(folder / "predictions.parquet")
    table[["example", "split", "label"]].to_parquet(folder / "splits.parquet")
    grid = {"tests": tests, "fractions": list(fractions), "rankings": ["probe"]}
    config = {"model": "m", "preset": "quick", "grid": grid, "seed": 0, "resamples": 1000}
    manifest = {
        "status": "complete",
        "seed": 0,
        "config": config,
        "label_map": {str(i): name for i, name in enumerate(classes)},
        "data": {"sha256": data, "n_used": len(labels)},
        "model": {"name": str(folder), "layers": 2, "sha256": "0" * 64},
    }
    facts = {"schema": SCHEMA, "model": "m", "classes": list(classes), "n_evaluate": len(labels)}
    summary = to_json({**facts, "clean": clean_figures(), **(figures or {})})
    for name, value in (("manifest", manifest), ("summary", summary)):
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return finished(folder)


def add_curve(folder: Path, curve: dict[float, Sequence[int]]) -> AuditResult:
    """Writes what the headline curve of a run answered, share by share, to its folder."""
    actions = [f"silenced {share:g}" for share in curve]
    facts = {"group": "removal", "selection": "top", "ranking": "probe", "operator": "mean"}
    cells = [{"action": a, "fraction": f} | facts for a, f in zip(actions, curve, strict=True)]
    effects = pd.DataFrame(cells).reindex(columns=EFFECTS.names)
    effects["ranked_for"] = GLOBAL
    effects.to_parquet(folder / "effects.parquet")
    (folder / "outcomes").mkdir()
    table = pd.DataFrame({"action": actions, "route": "full"})
    table.to_parquet(folder / "outcomes" / "actions.parquet")
    predicted = np.array(list(curve.values()), dtype=np.uint16)
    np.save(folder / "outcomes" / "predicted.npy", predicted)
    for name in ("probability", "margin", "kl", "confidence"):
        np.save(folder / "outcomes" / f"{name}.npy", np.zeros(predicted.shape, np.float32))
    return finished(folder)
