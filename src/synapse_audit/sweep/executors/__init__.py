"""Who runs the units of a sweep: copies of this process, or the workers of a Ray cluster.

An engine only maps units to scores (:data:`synapse_audit.sweep.Execute`); batches, routes, the
unit store and the tables are the same for all, so that a run may be resumed with another engine.
Adding one = one module with ``check`` and ``start``, one line in ``ENGINES``, one name in
:data:`synapse_audit.config.EngineName`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from synapse_audit.config import AuditConfig
from synapse_audit.errors import UsageError
from synapse_audit.model import Classifier
from synapse_audit.model.activations import TOKENS_PER_BATCH
from synapse_audit.sweep import Execute
from synapse_audit.sweep.executors import local, ray
from synapse_audit.sweep.executors.local import batch_memory, threads_of

__all__ = ["ENGINES", "EngineKind", "batch_memory", "check", "processes", "start", "threads_of"]


class EngineKind(NamedTuple):
    """What an engine can do; both functions take (workers, address), None = not given."""

    check: Callable[[int | None, str | None], None]
    """Raises UsageError where the engine could not start with these options."""
    start: Callable[[int | None, str | None], AbstractContextManager[Execute]]
    """Workers run inside the ``with`` and are gone afterwards."""


def processes(
    config: AuditConfig, classifier: Classifier, *, tokens: int = TOKENS_PER_BATCH
) -> int:
    """Processes of this machine that share the interventions; a cluster counts as one.

    Args:
        tokens: of the largest batch, padded.

    Raises:
        UsageError: several are asked for, and the classifier is not on the CPU.
    """
    if config.engine != "local":
        return 1
    found = local.processes(classifier, config.workers, tokens=tokens)
    if config.workers is not None and found != config.workers:
        raise UsageError(
            f"workers '{config.workers}' given for a classifier on "
            f"{', '.join(classifier.devices)}; expected 1, or engine 'ray'"
        )
    return found


ENGINES: dict[str, EngineKind] = {
    "local": EngineKind(local.check, local.start),
    "ray": EngineKind(ray.check, ray.start),
}


def check(config: AuditConfig) -> None:
    """Refuses, before anything expensive, an engine that could not start.

    Raises:
        UsageError: an option that the engine does not take, or a package that is missing.
    """
    ENGINES[config.engine].check(config.workers, config.address)


def start(config: AuditConfig) -> AbstractContextManager[Execute]:
    """The engine that a configuration names, for the length of a ``with``.

    Raises:
        UsageError: it cannot start, or lost its workers for good.
    """
    return ENGINES[config.engine].start(config.workers, config.address)
