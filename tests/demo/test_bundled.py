"""The bundled checkpoint and rows are what their metrics, their card and their makers say."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors import safe_open
from sklearn.metrics import accuracy_score, f1_score
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from synapse_audit.demo import bundled_data, bundled_fit_data, bundled_model

CLASSES = ["cmdi", "norm", "path-traversal", "sqli", "xss"]
TOLERANCE = 0.002
"""Less than one cmdi row counts for in macro-F1 (0.004). No row should change at all: the smallest
gap between the two best logits is 0.7 on these rows, and machines differ by less than 1e-3."""


@pytest.fixture(scope="module")
def metrics() -> Any:
    return json.loads((bundled_model() / "metrics.json").read_text())


@pytest.fixture(scope="module")
def evaluate() -> pd.DataFrame:
    return pd.read_csv(bundled_data(), dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def fit() -> pd.DataFrame:
    return pd.read_csv(bundled_fit_data(), dtype=str, keep_default_na=False)


@pytest.fixture(scope="module")
def predicted(evaluate: pd.DataFrame) -> list[str]:
    """Classes by the saved weights in float32, independently of the recipe's own scoring."""
    tokenizer = AutoTokenizer.from_pretrained(bundled_model())
    model = AutoModelForSequenceClassification.from_pretrained(bundled_model(), dtype=torch.float32)
    names: dict[str, str] = {}
    texts = sorted(evaluate["text"], key=len)
    with torch.no_grad():
        for start in range(0, len(texts), 100):
            part = texts[start : start + 100]
            inputs = tokenizer(part, truncation=True, padding=True, return_tensors="pt")
            numbers = model(**inputs).logits.argmax(-1).tolist()
            names |= {text: model.config.id2label[i] for text, i in zip(part, numbers, strict=True)}
    return [names[text] for text in evaluate["text"]]


def test_scores_are_those_recorded(
    evaluate: pd.DataFrame, predicted: list[str], metrics: Any
) -> None:
    recorded = metrics["evaluate"]
    assert accuracy_score(evaluate["label"], predicted) == pytest.approx(
        recorded["accuracy"], abs=TOLERANCE
    )
    macro_f1 = f1_score(evaluate["label"], predicted, average="macro")
    assert macro_f1 == pytest.approx(recorded["macro_f1"], abs=TOLERANCE)
    assert macro_f1 >= 0.93


def test_full_test_file_scores_are_recorded(metrics: Any) -> None:
    assert metrics["test"]["n"] == 10_355
    assert metrics["test"]["macro_f1"] >= 0.93


def test_model_is_small_and_deep_enough() -> None:
    weights = bundled_model() / "model.safetensors"
    config = AutoConfig.from_pretrained(bundled_model())
    assert weights.stat().st_size <= 6_000_000
    assert config.model_type == "bert"
    assert config.num_hidden_layers >= 4
    assert config.id2label == dict(enumerate(CLASSES))
    assert config.label2id == {label: i for i, label in enumerate(CLASSES)}
    with safe_open(weights, framework="pt") as tensors:
        assert {tensors.get_tensor(name).dtype for name in tensors.keys()} == {torch.float16}  # noqa: SIM118


def test_tokenizer_loads_as_trained() -> None:
    tokenizer = AutoTokenizer.from_pretrained(bundled_model())
    ids = tokenizer("<ScRiPt>%3c '|id", truncation=True)["input_ids"]
    assert ids[0] == tokenizer.cls_token_id
    assert ids[-1] == tokenizer.sep_token_id
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids[1:-1]) == "<ScRiPt>%3c '|id"
    assert len(tokenizer("../ x" * 500, truncation=True)["input_ids"]) == 128


def test_rows_are_enough_and_of_every_class(evaluate: pd.DataFrame, fit: pd.DataFrame) -> None:
    assert list(evaluate.columns) == list(fit.columns) == ["text", "label"]
    assert len(evaluate) >= 1_500
    assert len(fit) >= 1_000
    counts = evaluate["label"].value_counts()
    assert {label: counts[label] for label in ("cmdi", "path-traversal", "xss")} == {
        "cmdi": 30,
        "path-traversal": 97,
        "xss": 177,
    }
    assert sorted(counts.index) == CLASSES
    # A third of the fit rows is for choices, which needs at least 5 of every class.
    assert (fit["label"].value_counts().reindex(CLASSES) >= 15).all()


def test_no_text_occurs_twice(evaluate: pd.DataFrame, fit: pd.DataFrame) -> None:
    texts = pd.concat([evaluate, fit])["text"]
    assert texts.is_unique
    assert (texts.str.strip() != "").all()


def test_rows_are_shuffled(evaluate: pd.DataFrame, fit: pd.DataFrame) -> None:
    for rows in (evaluate, fit):
        assert set(rows["label"].head(150)) >= {"norm", "sqli", "xss", "path-traversal"}


def test_cards_state_the_recorded_numbers(metrics: Any) -> None:
    card = (bundled_model() / "README.md").read_text()
    for part in ("fit", "evaluate", "test"):
        assert f"{metrics[part]['accuracy']:.4f}" in card
        assert f"{metrics[part]['macro_f1']:.4f}" in card
    for f1 in (*metrics["evaluate"]["f1"].values(), *metrics["test"]["f1"].values()):
        assert f"{f1:.4f}" in card
    for row in metrics["test"]["confusion"]:
        assert " | ".join(map(str, row)) in card
    assert f"{metrics['n_parameters']:,}" in card


def test_licence_lies_beside_the_data() -> None:
    folder = bundled_data().parent
    assert "MIT License" in (folder / "LICENSE").read_text()
    assert "926670a" in (folder / "README.md").read_text()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 300_000


def test_the_package_holds_the_model_and_not_what_trained_it() -> None:
    """Training is the room of scripts/, which no wheel has."""
    folder = bundled_model().parent
    assert [path.name for path in folder.glob("*.py")] == ["__init__.py"]
    scripts = folder.parents[2] / "scripts"
    for named in re.findall(r"scripts/\w+\.py", (folder / "data" / "README.md").read_text()):
        assert (scripts.parent / named).is_file(), named


def test_import_loads_no_torch() -> None:
    code = (
        "import sys; before = 'torch' in sys.modules; import synapse_audit;"
        "package = 'torch' in sys.modules; import synapse_audit.demo;"
        "sys.exit(not package and 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=os.environ).returncode == 0
