"""What the tables mean: one file per finding.

In: :class:`~synapse_audit.artifacts.Evidence` (saved artifacts, never a model). Out: one
:class:`~synapse_audit.artifacts.Finding` each, whose ``summary`` holds top-level keys of
``summary.json``. Adding a finding = one function and one line in ``FINDINGS``.
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.artifacts import Evidence, Finding
from synapse_audit.findings.asymmetry import asymmetry
from synapse_audit.findings.attack_surface.profile import profile
from synapse_audit.findings.attack_surface.weakest import weakest
from synapse_audit.findings.attention import attention
from synapse_audit.findings.calibration.calibration import calibration
from synapse_audit.findings.certificates.certificates import certificates
from synapse_audit.findings.detection.detection import detection
from synapse_audit.findings.directions import directions
from synapse_audit.findings.fault_rate import fault_rate
from synapse_audit.findings.faults import faults
from synapse_audit.findings.inputs import inputs
from synapse_audit.findings.label_sets.certificates import label_certificates
from synapse_audit.findings.label_sets.fragility import label_fragility
from synapse_audit.findings.label_sets.performance import labels
from synapse_audit.findings.label_sets.removal import label_removal
from synapse_audit.findings.label_sets.switching import switching
from synapse_audit.findings.membership import membership
from synapse_audit.findings.named_neurons import given
from synapse_audit.findings.operating import operating
from synapse_audit.findings.paper import paper
from synapse_audit.findings.pathways import pathways
from synapse_audit.findings.rankings.agreement import agreement
from synapse_audit.findings.redundancy.redundancy import redundancy
from synapse_audit.findings.silenced import silenced
from synapse_audit.findings.sites import sites
from synapse_audit.findings.slices import slices
from synapse_audit.findings.token_means import token_means
from synapse_audit.findings.typed import typed
from synapse_audit.findings.vulnerability import vulnerability

__all__ = ["FINDINGS", "SET_FINDINGS"]

FINDINGS: dict[str, Callable[[Evidence], Finding]] = {
    "redundancy": redundancy,
    "pathways": pathways,
    "sites": sites,
    "attention": attention,
    "directions": directions,
    "token_means": token_means,
    "given": given,
    "asymmetry": asymmetry,
    "vulnerability": vulnerability,
    "agreement": agreement,
    "faults": faults,
    "fault_rate": fault_rate,
    "inputs": inputs,
    "typed": typed,
    "membership": membership,
    "paper": paper,
    "profile": profile,
    "weakest": weakest,
    "certificates": certificates,
    "operating": operating,
    "calibration": calibration,
    "detection": detection,
    "silenced": silenced,
    "slices": slices,
}
"""Name → what computes it."""

SET_FINDINGS: dict[str, Callable[[Evidence], Finding]] = {
    "labels": labels,
    "label_removal": label_removal,
    "label_fragility": label_fragility,
    "switching": switching,
    "label_certificates": label_certificates,
}
"""The same where every example has a set of labels, each decided by itself."""
