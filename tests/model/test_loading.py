"""Loading keeps the host's own logits bit for bit, and refuses what cannot be audited."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tiny import ROBERTA_TOKENS, Tiny, save, tiny_vocabulary, word_tokenizer
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    CamembertConfig,
    CamembertForSequenceClassification,
)

from synapse_audit.errors import ModelError
from synapse_audit.model import Classifier


def _bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().numpy().tobytes()


def _copy(folder: Path, to: Path, **config: Any) -> Path:
    """A copy of a saved model with some entries of its configuration replaced (None: removed)."""
    shutil.copytree(folder, to)
    file = to / "config.json"
    merged = json.loads(file.read_text()) | config
    file.write_text(json.dumps({k: v for k, v in merged.items() if v is not None}))
    return to


def _refusal(source: Path | str) -> str:
    with pytest.raises(ModelError) as caught:
        Classifier.load(source)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_logits_are_those_of_transformers_bit_for_bit(
    family_folder: Path, rows: pd.DataFrame
) -> None:
    texts = rows["text"].tolist()[:24]
    model = AutoModelForSequenceClassification.from_pretrained(family_folder).eval()
    batch = AutoTokenizer.from_pretrained(family_folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**batch).logits
    classifier = Classifier.load(family_folder)
    encoded = classifier.encode(texts)
    ours = classifier.collate(encoded, range(len(texts)))
    assert torch.equal(ours["input_ids"], batch["input_ids"])
    assert encoded.lengths.tolist() == batch["attention_mask"].sum(1).tolist()
    assert _bits(classifier.logits(ours)) == _bits(expected)


def test_what_is_known_of_a_loaded_classifier(family_folder: Path) -> None:
    classifier = Classifier.load(str(family_folder))
    model = AutoModelForSequenceClassification.from_pretrained(family_folder)
    assert classifier.classes == tuple(model.config.id2label.values())
    assert classifier.n_layers == len(classifier.blocks) == 3
    assert classifier.layer_module(0) is classifier.embeddings
    assert classifier.layer_module(3) is classifier.blocks[2]
    assert classifier.parameters_count == sum(p.numel() for p in model.parameters())
    assert not any(p.requires_grad for p in classifier.model.parameters())
    assert not classifier.model.training
    assert classifier.head_weight.shape == (4, 32)


def test_pairs_of_texts_are_read_as_pairs(tiny_folder: Path) -> None:
    pairs = [("word1 word2", "calm1"), ("rage3", "word4 word5 word6")]
    classifier = Classifier.load(tiny_folder)
    encoded = classifier.encode(pairs)
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    expected = tokenizer([a for a, _ in pairs], [b for _, b in pairs])
    assert [f["input_ids"] for f in encoded.features] == expected["input_ids"]
    assert encoded.lengths.tolist() == [6, 7]  # [CLS] a [SEP] b [SEP]
    one = classifier.encode(["word1 word2"])
    assert len(one.features[0]["input_ids"]) == 4


def test_a_tokenizer_saved_by_transformers_5_is_read_by_4_too(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "m")
    file = folder / "tokenizer_config.json"
    named = json.loads(file.read_text()) | {"tokenizer_class": "TokenizersBackend"}
    file.write_text(json.dumps(named))
    texts = ["word1 rage2 word3", "calm1"]
    expected = AutoTokenizer.from_pretrained(tiny_folder)(texts)["input_ids"]
    found = Classifier.load(folder).encode(texts)
    assert [features["input_ids"] for features in found.features] == expected


def test_truncation_is_counted_and_stays_within_the_model(family_folder: Path) -> None:
    classifier = Classifier.load(family_folder)
    texts = [" ".join(["word1"] * n) for n in (3, 62, 63, 200)]
    encoded = classifier.encode(texts)
    assert encoded.n_truncated == 2
    assert encoded.lengths.tolist() == [5, 64, 64, 64]
    assert classifier.logits(classifier.collate(encoded, range(4))).isfinite().all()
    assert classifier.encode(texts[:2]).n_truncated == 0


def test_camembert_numbers_its_positions_as_roberta_does(tmp_path: Path) -> None:
    """Two of its position rows are never used: without a tokenizer limit, 34 places hold 32."""
    config = CamembertConfig(
        vocab_size=len(tiny_vocabulary()) + 4,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=34,
        type_vocab_size=1,
        pad_token_id=1,
        num_labels=2,
    )
    tokenizer = word_tokenizer(tiny_vocabulary(), ROBERTA_TOKENS)
    tokenizer.model_max_length = int(1e30)
    save(Tiny(CamembertForSequenceClassification(config), tokenizer), tmp_path / "m")
    classifier = Classifier.load(tmp_path / "m")
    encoded = classifier.encode([" ".join(["word1"] * 50)])
    assert encoded.lengths.tolist() == [32]
    assert classifier.logits(classifier.collate(encoded, [0])).isfinite().all()


def test_a_pickle_checkpoint_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_folder, tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    message = _refusal(folder)
    assert "pickle" in message and "pytorch_model.bin" in message


@pytest.mark.parametrize(
    ("removed", "words"),
    [
        ("config.json", "no config.json"),
        ("model.safetensors", "no weights"),
        ("tokenizer.json", "no tokenizer"),
    ],
)
def test_a_folder_that_lacks_a_part_is_refused(
    tiny_folder: Path, tmp_path: Path, removed: str, words: str
) -> None:
    folder = _copy(tiny_folder, tmp_path / "m")
    (folder / removed).unlink()
    assert words in _refusal(folder)


@pytest.mark.parametrize("architectures", [["BertModel"], None])
def test_an_untrained_head_is_refused(
    tiny: Tiny, tmp_path: Path, architectures: list[str] | None
) -> None:
    tiny.model.base_model.save_pretrained(tmp_path / "base")
    tiny.tokenizer.save_pretrained(tmp_path / "base")
    message = _refusal(_copy(tmp_path / "base", tmp_path / "m", architectures=architectures))
    assert ("BertModel" if architectures else "head would be untrained") in message


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"problem_type": "regression"}, ["regression"]),
        ({"id2label": {"0": "score"}, "label2id": {"score": 0}}, ["another shape", "classifier"]),
        ({"id2label": {"1": "a", "2": "b", "3": "c", "4": "d"}}, ["id2label", "0 to 3"]),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, ["another shape", "classifier"]),
        ({"model_type": "mobilebert"}, ["'mobilebert'", "choices: bert"]),
        ({"model_type": "nobody"}, ["nobody"]),
        ({"architectures": ["BertForMaskedLM"]}, ["BertForMaskedLM"]),
    ],
)
def test_a_configuration_that_cannot_be_audited_is_refused(
    tiny_folder: Path, tmp_path: Path, config: dict[str, Any], words: list[str]
) -> None:
    message = _refusal(_copy(tiny_folder, tmp_path / "m", **config))
    assert all(word in message for word in words), message


def test_weights_that_are_no_weights_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_folder, tmp_path / "m")
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "cannot be loaded" in _refusal(folder)


def test_a_configuration_that_is_no_json_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_folder, tmp_path / "m")
    (folder / "config.json").write_text("{")
    assert "config.json' is not JSON" in _refusal(folder)


def test_a_file_is_refused(tiny_folder: Path) -> None:
    assert "is a file" in _refusal(tiny_folder / "config.json")


@pytest.mark.parametrize("source", ["nobody/nothing-at-all", "/no/such/folder"])
def test_what_does_not_exist_is_refused(source: str) -> None:
    assert source in _refusal(source)


def test_head_bias_is_zero_where_the_head_has_none(tiny_folder: Path) -> None:
    classifier = Classifier.load(tiny_folder)
    assert np.abs(classifier.head_bias).max() > 0
    classifier.output_layer.bias = None
    assert classifier.head_bias.tolist() == [0.0] * 4
