"""The stages of an audit with their files: done once, read back on resume.

The verbs themselves live in their own rooms; a stage only knows which file of the run folder holds
what, and tells how far it is.
"""

from synapse_audit.stages.clean import represent
from synapse_audit.stages.conclude import Learned, conclude
from synapse_audit.stages.inputs import check_names, load_classifier, read_data
from synapse_audit.stages.learn import probe, rank_all, suffice
from synapse_audit.stages.plan import Prepared, prepare, run_sweep, sources
from synapse_audit.stages.run import Run, identify

__all__ = [
    "Learned",
    "Prepared",
    "Run",
    "check_names",
    "conclude",
    "identify",
    "load_classifier",
    "prepare",
    "probe",
    "rank_all",
    "read_data",
    "represent",
    "run_sweep",
    "sources",
    "suffice",
]
