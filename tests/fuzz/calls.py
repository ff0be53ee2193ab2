"""Calls the command line in this process, without fixtures: property tests run it many times."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from cli.calling import PREFIX

from synapse_audit.cli import main
from synapse_audit.errors import AuditError

ONE_LINE = re.compile(r"[^\n]+")


def call(arguments: Sequence[str]) -> tuple[int, str]:
    """Exit code and stderr; whatever is no exit leaves as it is, which fails the test."""
    out, err = io.StringIO(), io.StringIO()
    command = patch("sys.argv", ["synapse-audit", *arguments])
    with command, redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code: object = 0
        except SystemExit as end:
            code = end.code or 0
    assert isinstance(code, int)
    return code, err.getvalue()


def check_refusal(code: int, stderr: str) -> None:
    """Done, or exit code 2 and one line that is ours (or typer's, about the options)."""
    assert code in (0, 2), (code, stderr)
    assert "Traceback" not in stderr
    assert "\x1b" not in stderr, "a control character reached the terminal"
    ours = [line for line in stderr.splitlines() if line.startswith(PREFIX)]
    about_options = "─ Error ─" in stderr  # typer draws a box
    assert code == 0 or about_options or len(ours) == 1, stderr


@contextmanager
def one_line_or_fine() -> Iterator[None]:
    """Nothing but an error of ours may end the block, and its message is one line."""
    try:
        yield
    except AuditError as error:
        assert ONE_LINE.fullmatch(" ".join(str(error).split())), error


def write(folder: Path, name: str, content: bytes) -> Path:
    """A file whose name may be reused from example to example."""
    path = folder / name
    path.write_bytes(content)
    return path
