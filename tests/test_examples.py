"""The examples run as they stand, quickly, and leave nothing behind."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from only_findings import only_findings

from synapse_audit.config import PRESETS

ROOT = Path(__file__).resolve().parents[1]
ON_FILES = ("system_calls.py", "harden.py")
"""Examples that are given data or a run, which are no part of the project."""
EXAMPLES = sorted(p for p in (ROOT / "examples").glob("*.py") if p.name not in ON_FILES)
TRACES = ROOT.parent / "shared" / "data" / "malware_api"
HANG = 3600.0
"""Seconds after which an example counts as hanging: how long it takes is no test's business."""


PRINTED = ("asymmetry", "redundancy", "vulnerability")
"""Findings that some example shows."""
SMALL = {"fractions": (0.1, 0.5), "operators": ("mean",), "compared": ()}


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.unchecked
@pytest.mark.filterwarnings("default", "error::DeprecationWarning:__main__")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which has imported torch already; the preset asks for less."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(example.parent))
    monkeypatch.setattr(sys, "argv", [str(example)])
    monkeypatch.setitem(PRESETS, "quick", PRESETS["quick"].model_copy(update=SMALL))
    with (
        only_findings(*PRINTED),
        torch.random.fork_rng(devices=[]),
        pd.option_context("display.width", 80, "display.max_columns", 0),
    ):
        runpy.run_path(str(example), run_name="__main__")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.proof
@pytest.mark.shared
def test_a_numeric_model_of_system_calls(tmp_path: Path) -> None:
    """It is trained, beats the most frequent family clearly, and is audited without a tokenizer."""
    if not TRACES.is_dir():
        pytest.skip("no ../shared/data/malware_api beside the checkout")
    files = [str(TRACES / name) for name in ("train.csv", "test.csv")]
    said = _run(tmp_path, ROOT / "examples" / "system_calls.py", *files, seconds=5 * HANG)
    model, constant = map(float, re.findall(r"^held out, .* macro-F1 ([\d.]+)$", said, re.M))
    assert constant < 0.05 and model > 0.25
    assert "most fragile family: " in said


def _run(folder: Path, example: Path, *arguments: str, seconds: float = HANG) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:__main__", str(example), *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        cwd=folder,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert list(folder.iterdir()) == []
    return done.stdout
