"""The synthetic run that the tests of the report share."""

from __future__ import annotations

import pytest

from .fakes import FakeResult, make_result


@pytest.fixture(scope="session")
def full() -> FakeResult:
    return make_result()
