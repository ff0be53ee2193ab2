"""What the tables mean: one file per finding.

In: :class:`~synapse_audit.artifacts.Evidence` (saved artifacts, never a model). Out: one
:class:`~synapse_audit.artifacts.Finding` each, whose ``summary`` holds top-level keys of
``summary.json``. Adding a finding = one function and one line in ``FINDINGS``.
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.findings.asymmetry import asymmetry
from synapse_audit.findings.pathways import pathways
from synapse_audit.findings.redundancy import redundancy
from synapse_audit.findings.vulnerability import vulnerability

__all__ = ["FINDINGS"]

FINDINGS: dict[str, Callable[[Evidence], Finding]] = {
    "redundancy": redundancy,
    "pathways": pathways,
    "asymmetry": asymmetry,
    "vulnerability": vulnerability,
}
"""Name → what computes it."""
