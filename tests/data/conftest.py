"""Fixtures of the data's tests."""

from pathlib import Path

import pytest

from .files import rows_of, write_csv


@pytest.fixture
def payloads(tmp_path: Path) -> str:
    return write_csv(tmp_path / "p.csv", rows_of({"norm": 40, "sqli": 30, "path-traversal": 20}))
