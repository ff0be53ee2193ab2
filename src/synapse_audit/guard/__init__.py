"""Guards: what can be put around a classifier without training it, and what they do not stop.

In: a finished run and the model it audited. Out: a folder with ranges, detector, hardened head,
vote, checksums and canaries; :func:`load_guarded` puts it around the model.
"""

from synapse_audit.guard.building import GuardSettings, build_guard
from synapse_audit.guard.folder import read_guard
from synapse_audit.guard.guarded import GuardedModel, GuardedOutput, load_guarded
from synapse_audit.guard.parts import HEADS, Guard

__all__ = [
    "HEADS",
    "Guard",
    "GuardSettings",
    "GuardedModel",
    "GuardedOutput",
    "build_guard",
    "load_guarded",
    "read_guard",
]
