"""What a run is of, and how to repeat it."""

from __future__ import annotations

import hashlib

from synapse_audit.report.kit.commands import run_command
from synapse_audit.store import AuditResult

TABLES = (
    *("summary.json", "effects.parquet", "class_effects.parquet", "predictions.parquet"),
    *("set_predictions.parquet", "splits.parquet", "manifest.json"),
)
"""Files whose hashes are stated, where a run has them."""


def facts(run: AuditResult) -> dict[str, str]:
    """Name → value, for a table."""
    manifest = run.manifest
    model, data = manifest.get("model", {}), manifest.get("data", {})
    found = {
        "model": model.get("name"),
        "model weights (sha256)": model.get("sha256"),
        "data": data.get("source"),
        "data (sha256)": data.get("sha256"),
        "examples evaluated": run.summary.get("n_evaluate"),
        "classes": ", ".join(map(str, run.summary.get("classes", ()))),
        "date of the audit": manifest.get("finished"),
        "versions": ", ".join(f"{k} {v}" for k, v in manifest.get("versions", {}).items()),
    }
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def table_hashes(run: AuditResult) -> dict[str, str]:
    """File → sha256 of its bytes."""
    files = (run.folder / name for name in TABLES)
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files if f.is_file()}


def command(run: AuditResult) -> str:
    """The command that repeats the run, up to settings of a TOML file."""
    return run_command(run)
