"""A finished run of today's layout, checked before anything is read from it."""

from __future__ import annotations

from pathlib import Path

from synapse_audit.errors import RunFolderError
from synapse_audit.store.result import AuditResult
from synapse_audit.summary import SCHEMA


def finished(folder: str | Path) -> AuditResult:
    """Opens a run whose figures can be relied on.

    Raises:
        RunFolderError: no run, not finished, damaged, or of another layout.
    """
    result = AuditResult.load(folder)
    try:
        summary, manifest = result.summary, result.manifest
        complete = {"n_evaluate", "classes", "clean"} <= set(summary) and "config" in manifest
    except (ValueError, TypeError, OSError) as error:
        raise RunFolderError(f"run '{folder}' is damaged: summary.json: {error}") from error
    if manifest.get("status") not in (None, "complete"):
        raise RunFolderError(
            f"run '{folder}' is not finished; expected a finished one: repeat its command"
        )
    found = summary.get("schema", 1)
    if found != SCHEMA:
        raise RunFolderError(
            f"run '{folder}' has summary schema {found}; expected {SCHEMA}: audit again"
        )
    if not complete:
        raise RunFolderError(f"run '{folder}' is damaged: summary.json lacks figures")
    return result
