"""The command line without GitHub's variables, and a run to check."""

from pathlib import Path

import pytest
from cli.calling import CommandLine
from compare.saved_runs import save_run

from .policies import FIGURES


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return CommandLine(monkeypatch, capsys)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save_run(tmp_path / "run", figures=FIGURES).folder
