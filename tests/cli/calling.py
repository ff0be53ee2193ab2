"""Calls the command line in this process, as the console script does."""

import io
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass

import pytest

from synapse_audit.cli import main

PREFIX = "synapse-audit: "


@dataclass(frozen=True)
class Called:
    """How a command ended, and what it said."""

    code: int
    stdout: str
    stderr: str

    @property
    def errors(self) -> list[str]:
        """The lines on stderr that are ours."""
        return [line for line in self.stderr.splitlines() if line.startswith(PREFIX)]


@dataclass(frozen=True)
class CommandLine:
    """``synapse-audit`` with its two streams captured."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Called:
        self.monkeypatch.setattr("sys.argv", ["synapse-audit", *map(str, arguments)])
        self.capsys.readouterr()
        try:
            main()
            code: object = 0
        except SystemExit as stop:
            code = stop.code or 0
        said = self.capsys.readouterr()
        assert isinstance(code, int)
        return Called(code, said.out, said.err)


def quietly(*arguments: object) -> int:
    """The exit code of a command of which nothing is read; for fixtures that outlive a test."""
    nowhere = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(nowhere), redirect_stderr(nowhere):
        patch.setattr("sys.argv", ["synapse-audit", *map(str, arguments)])
        try:
            main()
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 0
        return 0
