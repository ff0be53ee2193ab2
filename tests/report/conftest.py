"""The synthetic run that the tests of the report share."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from synapse_audit.report import SECTIONS
from synapse_audit.report.kit.contents import Section

from .fakes import FakeResult, make_result


@pytest.fixture(scope="session")
def full() -> FakeResult:
    return make_result()


@pytest.fixture(scope="session")
def built(full: FakeResult) -> Mapping[str, Section]:
    """Every section of that run, by name."""
    return {name: build(full) for name, build in SECTIONS.items()}
