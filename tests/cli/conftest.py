"""Fixtures of the command line's tests."""

from pathlib import Path

import pandas as pd
import pytest
from planted import PLANTS
from transformers.utils.logging import disable_progress_bar

from cli.calling import CommandLine

TINY_GRID = """
preset = "quick"
resamples = 100
exact = true

[grid]
fractions = [0.1875]
layer_fractions = [0.1875]
draws = 2
budgets = [1.0]
constants = [1.0]
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Commands run as users run them: without checks of shapes, in half the time."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("unchecked")


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Runs a command and tells how it ended."""
    # The command sets the environment that silences transformers; here it is imported already.
    disable_progress_bar()
    return CommandLine(monkeypatch, capsys)


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted classifier ``single`` in ``model`` and its rows in ``rows.csv``; read only."""
    return PLANTS["single"]().save(tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="session")
def rows(single: Path) -> pd.DataFrame:
    """The planted rows: ``text``, ``label``."""
    return pd.read_csv(single / "rows.csv")


@pytest.fixture(scope="session")
def tiny_grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration file that makes an audit take a second."""
    path = tmp_path_factory.mktemp("grid") / "tiny.toml"
    path.write_text(TINY_GRID, encoding="utf-8")
    return path
