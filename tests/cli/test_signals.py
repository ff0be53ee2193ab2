"""Images, sounds and series through the command line, against transformers' own processors."""

import html
import json
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from model.kinds import KINDS
from only_findings import only_findings

from cli.calling import CommandLine
from cli.signal_data import IMAGES, KIND, Saved, save_signals
from synapse_audit.data import load_data
from synapse_audit.model import Classifier

FACTS = {
    "image": f"images, RGB, 12 × 12 pixels after {type(IMAGES).__name__}",
    "audio": "sounds, 16,000 samples per second, by Wav2Vec2FeatureExtractor",
    "series": "series, 16 steps of 2 channels (of longer ones the last)",
}


ATTACKS = """
attacks = ["fgsm", "noise", "deletion"]
epsilons = [0.1]
embedding_noise = [0.1]
deletions = [2]
"""
NOUNS = {
    "image": "patch embeddings of each image",
    "audio": "embeddings of each sound",
    "series": "patch embeddings of each series",
}
"""Of what is attacked."""


@pytest.fixture(scope="session", params=sorted(KIND))
def modality(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def saved(modality: str, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return save_signals(modality, tmp_path_factory.mktemp(modality))


def _check(run: Path, modality: str) -> None:
    """Every file was read, and predicted as transformers predicts it."""
    predictions = pd.read_parquet(run / "predictions.parquet")
    assert predictions["predicted"].tolist() == predictions["label"].tolist()
    assert len(predictions) == 60
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["model"]["inputs"] == FACTS[modality]
    data = manifest["data"]
    assert data["kind"] == modality
    assert {data[name] for name in ("n_rows", "n_rows_used", "n_examples", "n_used")} == {60}


def test_a_folder_of_classes_is_audited(
    saved: Saved, modality: str, cli: CommandLine, tiny_grid: Path, tmp_path: Path
) -> None:
    grid = tiny_grid.read_text(encoding="utf-8") + (ATTACKS if modality in NOUNS else "")
    (tmp_path / "grid.toml").write_text(grid)
    where = ("--data", saved.data, "--config", tmp_path / "grid.toml", "--out", tmp_path / "run")
    with only_findings("redundancy", "asymmetry", "vulnerability", "inputs"):
        called = cli("run", saved.model, *where)
    assert (called.code, called.errors) == (0, [])
    tmp_path /= "run"
    _check(tmp_path, modality)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["truncated"] == (60 if modality == "series" else 0)
    page = (tmp_path / "report.html").read_text()
    assert str(saved.data) in page
    scripts = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)
    read = html.unescape(re.sub(r"<[^>]+>", " ", scripts.sub(" ", page)))
    if modality in NOUNS:
        assert f"With the {NOUNS[modality]} changed by 10% of their size" in read
    # Neither prose nor tables, descriptions of figures included, call these inputs texts.
    said = [*re.findall(r'aria-label="([^"]*)"', page), read.replace(str(saved.data.parent), "")]
    assert not re.findall(r"\btexts?\b|\bword embeddings", " ".join(said), re.IGNORECASE)


def test_the_first_batch_is_that_of_transformers_bit_for_bit(saved: Saved, modality: str) -> None:
    classifier = Classifier.load(saved.model)
    assert type(classifier.model).__name__ == KINDS[KIND[modality].name].model
    data = load_data(str(saved.data), classes=classifier.classes, modality=classifier.modality)
    encoded = classifier.encode(data.inputs[:8])
    assert torch.equal(classifier.logits(classifier.collate(encoded, range(8))), saved.logits)


# Series are rounded before the model itself scales them: a small change on a large level is lost.
@pytest.mark.parametrize("modality", ["image", "audio"], indirect=True)
def test_other_number_formats_are_read_too(saved: Saved) -> None:
    classifier = Classifier.load(saved.model, dtype="bfloat16")
    data = load_data(str(saved.data), classes=classifier.classes, modality=classifier.modality)
    encoded = classifier.encode(data.inputs[:8])
    logits = classifier.logits(classifier.collate(encoded, range(8)))
    torch.testing.assert_close(logits.float(), saved.logits, atol=0.2, rtol=0.05)


def test_inspect_says_what_is_read(saved: Saved, modality: str, cli: CommandLine) -> None:
    assert f"inputs           {FACTS[modality]}\n" in cli("inspect", saved.model).stdout


@pytest.mark.parametrize("modality", ["image"], indirect=True)
def test_a_broken_file_is_named(saved: Saved, cli: CommandLine, tmp_path: Path) -> None:
    files = [*saved.files, *sorted((saved.data / "c").iterdir()), tmp_path / "broken.png"]
    for file in files[:-1]:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    files[-1].write_bytes(files[0].read_bytes()[:60])
    rows = [{"image": file.name, "label": file.parent.name} for file in files]
    rows[-1]["label"] = "c"
    pd.DataFrame(rows).to_csv(tmp_path / "rows.csv", index=False)
    called = cli("run", saved.model, "--data", tmp_path / "rows.csv", "--out", tmp_path / "run")
    assert called.code == 2
    assert len(called.errors) == 1
    assert f"'{tmp_path / 'broken.png'}' cannot be decoded" in called.errors[0]
