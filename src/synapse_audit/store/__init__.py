"""The run folder: written atomically, resumed, read again without a model."""

from synapse_audit.store.arrays import UnitFiles
from synapse_audit.store.atomic import write_text, writing
from synapse_audit.store.finished import finished
from synapse_audit.store.folder import RunFolder
from synapse_audit.store.lock import locked
from synapse_audit.store.reading import using
from synapse_audit.store.result import AuditResult

__all__ = [
    "AuditResult",
    "RunFolder",
    "UnitFiles",
    "finished",
    "locked",
    "using",
    "write_text",
    "writing",
]
