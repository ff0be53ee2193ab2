"""No control character of anybody's string reaches the terminal."""

import json
import shutil
from pathlib import Path

import pytest

from cli.calling import CommandLine
from synapse_audit.cli.display import Terminal
from synapse_audit.cli.printing import printable

CLEAR = "\x1b[2J\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "plain, naïve, 注入, 🙂, \u0646\u200c\u0647",
            "plain, naïve, 注入, 🙂, \u0646\u200c\u0647",
        ),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\rb\nc\td\x00\x7f\x9b", r"a\rb\nc\td\x00\x7f\x9b"),
        ("\u202eevil\u2066\u2028\u2029\ud800", r"\u202eevil\u2066\u2028\u2029\ud800"),
    ],
)
def test_what_a_terminal_would_act_on_is_shown_instead(text: str, shown: str) -> None:
    assert printable(text) == shown


def _labelled(source: Path, folder: Path, label: str) -> Path:
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"]["0"] = label
    config["label2id"] = {name: int(i) for i, name in config["id2label"].items()}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_labels_of_a_model_cannot_steer_the_terminal(
    cli: CommandLine, tiny_folder: Path, tiny_csv: Path, tmp_path: Path
) -> None:
    model = _labelled(tiny_folder, tmp_path / "model", f"calm{CLEAR}\nhead             fake")
    shown = cli("inspect", model)
    assert shown.code == 0
    assert r"0 = calm\x1b[2J\x1b]0;title\x07\nhead             fake, 1 = cheer" in shown.stdout
    refused = cli("run", model, "--data", tiny_csv, "--out", tmp_path / "run")
    assert refused.code == 2 and len(refused.errors) == 1
    assert "\x1b" not in shown.stdout + shown.stderr + refused.stderr


def test_names_of_files_cannot_either(cli: CommandLine, tmp_path: Path) -> None:
    refused = cli("report", tmp_path / f"run{CLEAR}")
    assert refused.code == 2 and r"run\x1b[2J\x1b]0;title\x07" in refused.stderr
    assert "\x1b" not in refused.stderr


def test_notes_of_a_run_are_filtered_too(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().note(f"warning: class 'a{CLEAR}'")
    assert r"'a\x1b[2J\x1b]0;title\x07'" in "".join(capsys.readouterr().err.splitlines())
