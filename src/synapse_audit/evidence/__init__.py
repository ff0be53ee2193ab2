"""What an auditor, a regulator or a model hub asks for, from a saved run alone.

| file | content |
|---|---|
| provenance | hashes, versions, the command that repeats the run |
| mapping | which figures speak to which clause, and what is not covered |
| card | Markdown section of a model card |
| cyclonedx | CycloneDX 1.7 model card with performance metrics |

Nothing here claims conformity with anything.
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.evidence.card import model_card
from synapse_audit.evidence.cyclonedx import cyclonedx
from synapse_audit.store import AuditResult

__all__ = ["FILES", "cyclonedx", "model_card"]

FILES: dict[str, Callable[[AuditResult], str]] = {
    "model-card.md": model_card,
    "model.cdx.json": cyclonedx,
}
"""File name → what it holds."""
