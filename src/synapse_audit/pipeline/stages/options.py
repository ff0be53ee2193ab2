"""What a configuration asks for, held against the model and the data before the first stage."""

from __future__ import annotations

from synapse_audit.config import AuditConfig
from synapse_audit.pipeline.stages.membership import check_membership
from synapse_audit.pipeline.stages.named_neurons import check_named_neurons
from synapse_audit.pipeline.stages.run import Subject
from synapse_audit.pipeline.stages.subject import check_placed
from synapse_audit.pipeline.stages.typed import check_attacks
from synapse_audit.sweep.executors import processes


def check_options(config: AuditConfig, subject: Subject) -> None:
    """Refuses what this model or these data cannot give, so that an audit and its forecast agree.

    Raises:
        UsageError, DataError: the message is one line.
    """
    check_placed(config, subject.classifier)
    processes(config, subject.classifier)
    check_named_neurons(config, subject)
    check_attacks(config, subject.classifier)
    check_membership(config, subject)
