"""Whole audits without the findings that a test does not read, which are half of the work."""

from collections.abc import Iterator
from contextlib import contextmanager

from synapse_audit.findings import FINDINGS


@contextmanager
def only_findings(*names: str) -> Iterator[None]:
    """Audits inside the block have these findings and no others."""
    every = dict(FINDINGS)
    assert {*names} <= {*every}
    for name in {*every} - {*names}:
        del FINDINGS[name]
    try:
        yield
    finally:  # in their order, which is that of the summary
        FINDINGS.clear()
        FINDINGS.update(every)
