"""The synthetic run that the tests of the report share."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from synapse_audit.report import contents
from synapse_audit.report.kit.contents import Contents, Section

from .fakes import FakeResult, make_result


@pytest.fixture(scope="session")
def full() -> FakeResult:
    return make_result()


@pytest.fixture(scope="session")
def found(full: FakeResult) -> Contents:
    """Everything that the report says of it."""
    return contents(full)


@pytest.fixture(scope="session")
def built(found: Contents) -> Mapping[str, Section]:
    """Every section of that run, by name."""
    return {n: section for one in found.chapters.values() for n, section in one.sections.items()}
