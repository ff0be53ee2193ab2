"""The run folder: written atomically, resumed, read again without a model."""

from synapse_audit.store.folder import RunFolder
from synapse_audit.store.result import DIRECT_FIELDS, FIELDS, AuditResult

__all__ = ["DIRECT_FIELDS", "FIELDS", "AuditResult", "RunFolder"]
