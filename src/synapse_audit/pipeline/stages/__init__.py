"""The stages of an audit with their files: done once, read back on resume.

The verbs themselves live in their own rooms; a stage only knows which file of the run folder holds
what, and tells how far it is.
"""

from synapse_audit.pipeline.stages.clean_pass import represent
from synapse_audit.pipeline.stages.findings import write_findings
from synapse_audit.pipeline.stages.membership import audit_membership
from synapse_audit.pipeline.stages.options import check_options
from synapse_audit.pipeline.stages.planning import Prepared, prepare, sources
from synapse_audit.pipeline.stages.run import Run, Subject, identify
from synapse_audit.pipeline.stages.scoring_neurons import ScoredNeurons, score_neurons
from synapse_audit.pipeline.stages.several import for_several, not_covered
from synapse_audit.pipeline.stages.sites import engine_of
from synapse_audit.pipeline.stages.subject import (
    check_names,
    read_subject,
    subject_of,
)
from synapse_audit.pipeline.stages.sufficient_sets import SufficientSets, find_sufficient_sets
from synapse_audit.pipeline.stages.sweep import run_sweep
from synapse_audit.pipeline.stages.typed import attack_texts
from synapse_audit.pipeline.stages.weights import with_weights

__all__ = [
    "Prepared",
    "Run",
    "ScoredNeurons",
    "Subject",
    "SufficientSets",
    "attack_texts",
    "audit_membership",
    "check_names",
    "check_options",
    "engine_of",
    "find_sufficient_sets",
    "for_several",
    "identify",
    "not_covered",
    "prepare",
    "read_subject",
    "represent",
    "run_sweep",
    "score_neurons",
    "sources",
    "subject_of",
    "with_weights",
    "write_findings",
]
