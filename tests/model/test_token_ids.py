"""Token ids reach the model as they are given: no tokenizer, nothing added, nothing guessed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    MobileBertConfig,
    MobileBertForSequenceClassification,
)

from model.kinds import KINDS
from synapse_audit import demo
from synapse_audit.errors import AuditError, DataError, ModelError, UsageError
from synapse_audit.model import Classifier, Window, vocabulary_size

LENGTHS = (1, 5, 17, 9)
Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Saves a tiny random model of a family as a folder without a tokenizer."""

    def save(name: str, **config: Any) -> Path:
        model = KINDS[name].build()
        model.config.update(config)
        folder = tmp_path / "model"
        model.save_pretrained(folder)
        assert not list(folder.glob("*token*"))
        return folder

    return save


def _sequences(*, last: int | None = None) -> list[list[int]]:
    generator = np.random.default_rng(1)
    rows = [generator.integers(3, 40, size=length).tolist() for length in LENGTHS]
    return rows if last is None else [[*row, last] for row in rows]


def _written(rows: list[list[int]]) -> list[str]:
    return [" ".join(map(str, row)) for row in rows]


@pytest.mark.parametrize(
    ("name", "pad", "last"),
    [("bert", 0, None), ("roberta", 1, None), ("gpt2", 0, None), ("t5", 0, 1)],
)
def test_logits_are_those_of_transformers_bit_for_bit(
    saved: Saved, name: str, pad: int, last: int | None
) -> None:
    folder, rows = saved(name), _sequences(last=last)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    longest = max(map(len, rows))
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=mask).logits
    classifier = Classifier.load(folder, tokens="ids")
    batch = classifier.collate(classifier.encode(_written(rows)), range(len(rows)))
    assert torch.equal(batch["input_ids"], ids) and torch.equal(batch["attention_mask"], mask)
    assert classifier.logits(batch).numpy().tobytes() == expected.numpy().tobytes()
    assert classifier.special_tokens == ()
    assert vocabulary_size(classifier.model) == 40


def test_a_model_without_a_record_is_traced_on_ids(tmp_path: Path) -> None:
    config = MobileBertConfig(
        vocab_size=2,
        hidden_size=16,
        true_hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        embedding_size=8,
        intra_bottleneck_size=16,
        max_position_embeddings=32,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        MobileBertForSequenceClassification(config).save_pretrained(tmp_path / "model")
    classifier = Classifier.load(tmp_path / "model", tokens="ids")
    assert (classifier.n_layers, classifier.position) == (2, "first")
    assert classifier.discovered is not None


@pytest.mark.parametrize(("name", "limit"), [("bert", 40), ("roberta", 38)])
def test_longer_sequences_are_cut_at_their_end_and_counted(
    saved: Saved, name: str, limit: int
) -> None:
    classifier = Classifier.load(saved(name), tokens="ids")
    ids = np.random.default_rng(2).integers(3, 40, size=200).tolist()
    encoded = classifier.encode(_written([ids, ids[:limit], ids[: limit + 1]]))
    assert encoded.n_truncated == 2 and encoded.rows is None
    assert [row["input_ids"] for row in encoded.features] == [ids[:limit]] * 3
    assert classifier.logits(classifier.collate(encoded, range(3))).isfinite().all()


def test_padding_at_the_end_is_padding_and_said(saved: Saved) -> None:
    classifier = Classifier.load(saved("bert"), tokens="ids")
    encoded = classifier.encode(["5 0 7 0 0", "5 0 7"])
    assert [row["input_ids"] for row in encoded.features] == [[5, 0, 7], [5, 0, 7]]
    assert encoded.lengths.tolist() == [3, 3]
    assert "padding (token id 0)" in encoded.notes[0]
    assert classifier.encode(["5 0 7"]).notes == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["3 4", "3 40"], ["input 2", "token id 40", "0 to 39"]),
        (["3 -1"], ["input 1", "token id -1", "0 to 39"]),
        (["3 four"], ["input 1", "'four'", "whole numbers"]),
        (["3 4.0"], ["'4.0'"]),
        ([" "], ["input 1", "no token id"]),
        (["0 0"], ["input 1", "nothing but padding"]),
        ([("3", "4")], ["input 1", "pair"]),
    ],
)
def test_what_is_no_sequence_is_refused(saved: Saved, given: list[Any], words: list[str]) -> None:
    classifier = Classifier.load(saved("bert"), tokens="ids")
    with pytest.raises(DataError) as caught:
        classifier.encode(given)
    assert all(word in str(caught.value) for word in words), caught.value


def _refusal(kind: type[AuditError], folder: Path, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        Classifier.load(folder, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_tokenizer_the_option_is_named(saved: Saved) -> None:
    message = _refusal(ModelError, saved("bert"))
    assert "no tokenizer" in message and "--tokens ids" in message


def test_an_unknown_kind_of_tokens_is_refused(saved: Saved) -> None:
    assert "choices: text, ids" in _refusal(UsageError, saved("bert"), tokens="id")


def test_a_decoder_needs_to_say_what_padding_is(saved: Saved) -> None:
    assert "pad_token_id" in _refusal(ModelError, saved("gpt2", pad_token_id=None), tokens="ids")


def test_a_head_that_reads_the_end_needs_one(saved: Saved) -> None:
    classifier = Classifier.load(saved("t5"), tokens="ids")
    for given in (["5 6"], ["5 1 6 1"]):
        with pytest.raises(DataError, match="token id 1 once"):
            classifier.encode(given)


def test_images_are_no_ids(saved: Saved) -> None:
    folder = saved("vit")
    assert "reads image" in _refusal(UsageError, folder, tokens="ids")
    assert "reads image" in _refusal(UsageError, folder, window=Window(8))


@pytest.mark.parametrize(
    ("name", "text"), [("tokenizer.json", '{"a": 1}'), ("tokenizer_config.json", "[1]")]
)
def test_a_broken_tokenizer_is_named(name: str, text: str, tmp_path: Path) -> None:
    folder = shutil.copytree(demo.bundled_model(), tmp_path / "model")
    (folder / name).write_text(text)
    with pytest.raises(ModelError, match="its tokenizer cannot be loaded"):
        Classifier.load(folder)
