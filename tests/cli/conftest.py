"""Fixtures of the command line's tests."""

from pathlib import Path

import pandas as pd
import pytest
from once import once
from planted import PLANTS
from transformers.utils.logging import disable_progress_bar

from cli.calling import CommandLine, quietly

MARKUP = "<script>x\x1b[2J"
"""A stranger's name of a place."""

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
    return once("single", tmp_path_factory, PLANTS["single"]().save)


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


@pytest.fixture(scope="session")
def audited(
    single: Path, rows: pd.DataFrame, tiny_grid: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with a finished run of seed 3 in ``run`` and its rows in ``rows.csv``; read only.

    Every other row has the place :data:`MARKUP`, in a column ``site``.
    """

    def make(folder: Path) -> None:
        sites = [MARKUP if i % 2 else "b" for i in range(len(rows))]
        rows.assign(site=sites).to_csv(folder / "rows.csv", index=False)
        given = ("--data", folder / "rows.csv", "--config", tiny_grid, "--seed", 3)
        assert quietly("run", single / "model", *given, "--out", folder / "run") == 0

    return once("cli-audited", tmp_path_factory, make)
