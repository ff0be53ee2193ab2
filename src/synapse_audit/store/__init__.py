"""The run folder: written atomically, resumed, read again without a model."""

from synapse_audit.store.folder import RunFolder
from synapse_audit.store.result import AuditResult

__all__ = ["AuditResult", "RunFolder"]
