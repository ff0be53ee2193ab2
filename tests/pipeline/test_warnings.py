"""What a run warns of after the clean pass, and what it refuses there."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CLASSES

from synapse_audit.config import make_config
from synapse_audit.errors import ModelError
from synapse_audit.pipeline.stages import identify, read_subject, represent
from synapse_audit.pipeline.stages.run import Run
from synapse_audit.progress import Silent
from synapse_audit.store import RunFolder

BIAS = "classifier.bias"


class Heard(Silent):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def model(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def stated(folder: Path) -> Path:
    file = folder / "config.json"
    said = {"problem_type": "single_label_classification"}
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    return folder


def shifted(folder: Path, by: float, *, size: float = 1.0) -> Path:
    file = folder / "model.safetensors"
    held: dict[str, Any] = load_file(file)
    held[BIAS] = size * held[BIAS] + by
    held["classifier.weight"] = size * held["classifier.weight"]
    save_file(held, file, {"format": "pt"})
    return folder


def warnings_of(folder: Path, rows: pd.DataFrame, tmp_path: Path) -> list[str]:
    tmp_path.mkdir(exist_ok=True)
    data = tmp_path / "rows.csv"
    rows.to_csv(data, index=False)
    config = make_config({"model": str(folder), "data": str(data), "preset": "quick"})
    heard = Heard()
    run = Run(RunFolder.claim(tmp_path / "run"), config, heard)
    subject = read_subject(config)
    identify(run, subject)
    represent(run, subject)
    found: list[str] = run.folder.manifest.get("warnings", [])
    assert heard.lines == [f"warning: {text}" for text in found]
    return found


def test_two_rare_classes_exchanged_are_a_warning(
    model: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rare = rows[rows["label"].isin(CLASSES[2:])].groupby("label").head(15)
    other = {CLASSES[2]: CLASSES[3], CLASSES[3]: CLASSES[2]}
    rare = rare.assign(label=rare["label"].map(other))
    common = rows[rows["label"].isin(CLASSES[:2])]
    (warning,) = warnings_of(stated(model), pd.concat([common, rare]), tmp_path)
    assert "labels may be exchanged" in warning
    assert f"'{CLASSES[2]}' as '{CLASSES[3]}'" in warning


def test_rows_as_they_are_give_no_warning(model: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    assert warnings_of(stated(model), rows, tmp_path) == []


def test_logits_like_sigmoids_are_a_warning_unless_a_softmax_is_stated(
    model: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    # The same shift of all logits changes no prediction and no probability of a softmax.
    (warning,) = warnings_of(shifted(model, -30.0), rows, tmp_path)
    assert "look like one sigmoid per class" in warning
    assert warnings_of(stated(model), rows, tmp_path / "stated") == []


def test_a_head_that_says_the_same_of_everything_is_refused(
    model: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="exactly the same logits for all 240 inputs"):
        warnings_of(shifted(model, 1.0, size=0.0), rows, tmp_path)


def test_logits_beyond_their_format_are_refused(
    model: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    file = model / "model.safetensors"
    held = load_file(file)
    # Finite weights whose sums over 32 inputs are not.
    held["classifier.weight"] = torch.full_like(held["classifier.weight"], 3e38)
    save_file(held, file, {"format": "pt"})
    with pytest.raises(ModelError, match="NaN or infinite for"):
        warnings_of(model, rows, tmp_path)
