"""What an auditor, a regulator or a model hub asks for, from a saved run alone.

| file | content |
|---|---|
| provenance | hashes, versions, the command that repeats the run |
| mapping | which figures speak to which clause, and what is not covered |
| card | Markdown section of a model card |
| tracking | parameters, figures and report for MLflow |
| cyclonedx | CycloneDX 1.7 model card with performance metrics |

Nothing here claims conformity with anything.
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.evidence.card import model_card
from synapse_audit.evidence.cyclonedx import cyclonedx
from synapse_audit.evidence.tracking import log_to_mlflow
from synapse_audit.store import AuditResult

__all__ = ["FILES", "LOGS", "cyclonedx", "log_to_mlflow", "model_card"]

LOGS: dict[str, Callable[[AuditResult], str]] = {"mlflow": log_to_mlflow}
"""Name of a tracking server → what sends a run there and gives its id."""

FILES: dict[str, Callable[[AuditResult], str]] = {
    "model-card.md": model_card,
    "model.cdx.json": cyclonedx,
}
"""File name → what it holds."""
