"""Runs the units one after the other in this process, with all of torch's threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from synapse_audit.errors import UsageError
from synapse_audit.sweep import Execute, in_order


def check(workers: int | None, address: str | None) -> None:
    """Refuses options that mean other processes.

    Raises:
        UsageError: workers or an address are given.
    """
    for name, value in (("workers", workers), ("address", address)):
        if value is not None:
            raise UsageError(
                f"{name} '{value}' given with engine 'local', which runs in this process alone; "
                "expected engine 'ray'"
            )


@contextmanager
def start(workers: int | None, address: str | None) -> Iterator[Execute]:
    """Nothing to start."""
    check(workers, address)
    yield in_order
