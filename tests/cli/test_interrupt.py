"""A real SIGINT in the middle of a run: exit code 130, and the same command finishes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from only_findings import only_findings

from cli.calling import PREFIX, CommandLine
from synapse_audit.cli import run as command
from synapse_audit.errors import ModelError

LISTENING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from synapse_audit.cli import main
main()
"""
"""The command, with the interrupts that a shell has a background process ignore."""


@pytest.fixture(autouse=True)
def listening() -> Iterator[None]:
    """The same for commands in this process, whoever started the tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LISTENING, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )


def _wait_for_a_unit(running: subprocess.Popen[str], out: Path) -> None:
    """However long that takes; a run that ends without one fails the test."""
    while not any((out / "outcomes" / "units").glob("*.npz")):
        assert running.poll() is None, running.communicate()[1]
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_leaves_a_run_that_the_same_command_finishes(
    cli: CommandLine, single: Path, tiny_grid: Path, tmp_path: Path, workers: int
) -> None:
    """A terminal interrupts every process of a command."""
    out = tmp_path / "run"
    options = ["--data", single / "rows.csv", "--config", tiny_grid, "--batch-size", 16]
    command = [*map(str, ["run", single / "model", *options, "--out", out])]
    running = _start([*command, "--workers", str(workers)])
    _wait_for_a_unit(running, out)
    os.killpg(running.pid, signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 130
    assert errors.splitlines()[-1].startswith(f"{PREFIX}interrupted")
    assert "Traceback" not in errors
    assert not (out / "summary.json").exists()

    with only_findings():
        again = cli(*command)
    assert (again.code, again.stdout) == (0, f"{out / 'report.html'}\n"), again.stderr


# ---- wherever it comes ---------------------------------------------------------------------------


def _ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def _while_a_class_is_made() -> None:
    """Before Python 3.12 whatever comes up there becomes a RuntimeError."""

    class Named:
        def __set_name__(self, owner: type, name: str) -> None:
            _ctrl_c()

    type("Owner", (), {"named": Named()})


def _in_an_import_of_c() -> None:
    """As numpy's import_array does: the interrupt is gone, even from the chain of causes."""
    with suppress(KeyboardInterrupt):
        _ctrl_c()
    raise ImportError("numpy._core.multiarray failed to import")


def _while_a_model_is_read() -> None:
    try:
        _while_a_class_is_made()
    except (RuntimeError, KeyboardInterrupt) as error:
        raise ModelError("its tokenizer cannot be loaded") from error


def _while_cleaning_up() -> None:
    try:
        _ctrl_c()
    finally:
        raise EOFError


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Puts something in the place of the audit."""

    def put(what: Callable[[], None]) -> None:
        def audit(*_: Any, **__: Any) -> None:
            what()

        monkeypatch.setattr(command, "_audit", audit)

    return put


@pytest.mark.parametrize(
    "where",
    [
        _ctrl_c,
        _while_a_class_is_made,
        _in_an_import_of_c,
        _while_a_model_is_read,
        _while_cleaning_up,
    ],
)
def test_an_interrupt_is_one_whatever_it_has_become(
    cli: CommandLine, audits: Callable[[Callable[[], None]], None], where: Callable[[], None]
) -> None:
    before = signal.getsignal(signal.SIGINT)
    audits(where)
    called = cli("run")
    assert called.code == 130
    assert called.errors == [f"{PREFIX}interrupted; the same command goes on from here"]
    assert "Traceback" not in called.stderr
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_that_ends_well_in_spite_of_it_has_ended_well(
    cli: CommandLine, audits: Callable[[Callable[[], None]], None]
) -> None:
    def swallowed() -> None:
        with suppress(KeyboardInterrupt):
            _ctrl_c()

    audits(swallowed)
    called = cli("run")
    assert (called.code, called.errors) == (0, [])


def test_other_errors_are_no_interrupts(
    cli: CommandLine, audits: Callable[[Callable[[], None]], None]
) -> None:
    def broken() -> None:
        raise ImportError("numpy._core.multiarray failed to import")

    audits(broken)
    with pytest.raises(ImportError):
        cli("run")
