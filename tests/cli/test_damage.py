"""Two runs into one folder, and files that were damaged between two runs: said, and made again."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jaxtyping
import pytest
from only_findings import only_findings

from cli.calling import CommandLine
from synapse_audit.cli import main
from synapse_audit.store import RunFolder

REWRITTEN = ("splits", "effects", "class_effects", "findings", "summary")
"""What every run writes, resumed or not."""

GRID = """
preset = "quick"
resamples = 100
exact = true
[grid]
fractions = [0.1875]
layer_fractions = [0.5]
draws = 2
operators = ["mean"]
rankings = ["probeless"]
compared = ["activation_gradient"]
budgets = [1.0]
constants = [1.0]
temperatures = []
logit_noise = []
bit_formats = ["fp32"]
bit_counts = [1]
"""

HOLDER = """
import sys
from pathlib import Path
from synapse_audit.store import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def few_findings() -> Iterator[None]:
    """Made again whatever happened, and never read here."""
    with only_findings("redundancy", "vulnerability"):
        yield


@pytest.fixture(scope="module")
def command(
    single: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], list[object]]:
    grid = tmp_path_factory.mktemp("grid") / "grid.toml"
    grid.write_text(GRID)
    options = ["--data", single / "rows.csv", "--config", grid, "--batch-size", 64]
    return lambda out: ["run", single / "model", *options, "--out", out]


@pytest.fixture(scope="module")
def done(command: Callable[[Path], list[object]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; copied before it is damaged."""
    out = tmp_path_factory.mktemp("done") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["synapse-audit", *map(str, command(out))])
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            with pytest.raises(SystemExit, match="0"):
                main()
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)
    return out


@pytest.fixture
def run(done: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(done, tmp_path / "run"))


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def _kept(folder: RunFolder) -> list[str]:
    return [name for name in folder.hashes if not name.startswith(REWRITTEN)]


def test_whatever_was_damaged_is_made_again_as_it_was(
    cli: CommandLine, command: Callable[[Path], list[object]], run: Path
) -> None:
    before = RunFolder(run).hashes
    damaged = _kept(RunFolder(run))
    assert {name.partition("/")[0].partition(".")[0] for name in damaged} == {
        *("activations", "predictions", "probes", "rankings", "attributions", "sufficiency"),
        *("flips", "outcomes"),
    }
    for name in damaged:
        _flip(run / name)
    again = cli(*command(run))
    assert again.code == 0
    said = " ".join(again.stderr.split())
    whole = "warning: {} is damaged or gone; it is made again"
    assert [name for name in damaged if whole.format(name) not in said] == []
    assert RunFolder(run).hashes == before and RunFolder(run).has(*before)


def test_a_resumed_run_makes_nothing_again_that_is_whole(
    cli: CommandLine, command: Callable[[Path], list[object]], run: Path
) -> None:
    times = {name: (run / name).stat().st_mtime_ns for name in _kept(RunFolder(run))}
    (run / "probes.npz.0123abcd.partial").write_text("left by a kill")
    again = cli(*command(run))
    assert again.code == 0 and "warning" not in again.stderr
    assert {name: (run / name).stat().st_mtime_ns for name in times} == times
    assert not list(run.rglob("*.partial")) and not (run / ".lock").exists()


@pytest.mark.parametrize("repeated", [True, False], ids=["run", "report"])
def test_a_second_command_into_the_folder_of_a_live_one_is_refused_in_one_line(
    cli: CommandLine, command: Callable[[Path], list[object]], run: Path, repeated: bool
) -> None:
    pipe = subprocess.PIPE
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run)], stdin=pipe, stdout=pipe, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    try:
        second = cli(*command(run)) if repeated else cli("report", run)
    finally:
        holder.communicate()
    assert second.code == 2 and second.stdout == ""
    assert len(second.errors) == 1
    assert f"'{run}' is being written by process {holder.pid} on" in second.errors[0]
    after = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    assert {
        path: time for path, time in before.items() if path.name != ".lock" and path != run
    } == {path: time for path, time in after.items() if path != run}
    assert not repeated or cli("report", run).code == 0


def test_a_strangers_link_is_replaced_and_not_written_through(
    cli: CommandLine, run: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("precious")
    (run / "report.html").unlink()
    for name in ("report.html", "report.html.partial"):
        (run / name).symlink_to(mine)
    assert cli("report", run).code == 0
    assert mine.read_text() == "precious"
    assert (run / "report.html").read_text().startswith("<!doctype html>")


def test_a_report_may_be_drawn_of_a_folder_that_cannot_be_written(
    cli: CommandLine, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "page.html"
    drawn = cli("report", run, "--out", out)
    assert (drawn.code, drawn.stdout) == (0, f"{out}\n")
    assert out.is_file() and not (run / ".lock").exists()
