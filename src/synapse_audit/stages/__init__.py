"""The stages of an audit with their files: done once, read back on resume.

The verbs themselves live in their own rooms; a stage only knows which file of the run folder holds
what, and tells how far it is.
"""

from synapse_audit.stages.clean import represent
from synapse_audit.stages.conclude import conclude
from synapse_audit.stages.examine import Examined, examine
from synapse_audit.stages.given import check_given
from synapse_audit.stages.inputs import check_names, check_placed, read_subject
from synapse_audit.stages.learn import Learned, learn
from synapse_audit.stages.plan import Prepared, prepare, sources
from synapse_audit.stages.run import Run, Subject, identify
from synapse_audit.stages.sites import engine_of
from synapse_audit.stages.sweep import run_sweep
from synapse_audit.stages.weights import with_weights

__all__ = [
    "Examined",
    "Learned",
    "Prepared",
    "Run",
    "Subject",
    "check_given",
    "check_names",
    "check_placed",
    "conclude",
    "engine_of",
    "examine",
    "identify",
    "learn",
    "prepare",
    "read_subject",
    "represent",
    "run_sweep",
    "sources",
    "with_weights",
]
