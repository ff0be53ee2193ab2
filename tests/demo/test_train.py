"""The recipe's steps on a model of a few thousand weights and a few rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from bundled_recipe import CLASSES, Recipe, Rows, per_class
from safetensors.torch import load_file
from train_bundled import build, describe, epoch_batches, predict, train_tokenizer

TINY = replace(
    Recipe(),
    vocabulary=270,
    max_tokens=16,
    layers=1,
    hidden=8,
    heads=2,
    epochs=1,
    batch_size=8,
    epoch_rows=per_class(4, 4, 2, 2, 2),
)
PAYLOADS = (";id|", "calle mayor, 3", "/../{file}", "1' or 2=2--", "<b onload=x>")
ROWS = pd.DataFrame(
    {"text": [f"{text}{i}" for text in PAYLOADS for i in range(3)], "label": np.repeat(CLASSES, 3)}
)


def test_tokenizer_keeps_every_character() -> None:
    tokenizer = train_tokenizer(list(ROWS["text"]), TINY)
    text = "%2E%2e <ScRiPt>\té"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 3, 4]) == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
    ]


def test_tokenizer_never_merges_across_words() -> None:
    tokenizer = train_tokenizer(["1' or 2=2--"] * 50, replace(TINY, vocabulary=400))
    assert tokenizer.tokenize("1' or 2=2--") == ["1", "'", "Ġor", "Ġ2", "=", "2", "--"]


def test_epoch_has_the_rows_asked_for() -> None:
    labels = np.repeat(np.arange(5), 3)
    lengths = np.arange(15)
    batches = epoch_batches(labels, lengths, TINY, np.random.default_rng(0))
    drawn = np.concatenate(batches)
    assert [len(batch) for batch in sorted(batches, key=len)] == [6, 8]
    assert np.bincount(labels[drawn]).tolist() == list(TINY.epoch_rows.values())
    # Rows are sorted by length before they are cut: no batch reaches into another's range.
    low, high = sorted(batches, key=lambda batch: int(batch.min()))
    assert low.max() <= high.min()


def test_build_saves_float16_repeats_and_leaves_the_global_generator(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    build(ROWS, TINY, tmp_path / "first")
    build(ROWS, TINY, tmp_path / "again")
    build(ROWS, replace(TINY, seed=1), tmp_path / "other")
    assert torch.equal(torch.get_rng_state(), before)
    first, again, other = (
        load_file(tmp_path / name / "model.safetensors") for name in ("first", "again", "other")
    )
    assert {tensor.dtype for tensor in first.values()} == {torch.float16}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_predictions_do_not_depend_on_order(tmp_path: Path) -> None:
    build(ROWS, TINY, tmp_path)
    texts = list(ROWS["text"])
    forward = predict(tmp_path, texts)
    assert forward.shape == (15,)
    assert predict(tmp_path, texts[::-1])[::-1].tolist() == forward.tolist()


def test_describe_scores_every_table(tmp_path: Path) -> None:
    build(ROWS, TINY, tmp_path)
    metrics = describe(tmp_path, Rows(ROWS, ROWS, ROWS, ROWS), TINY, seconds=1.25)
    predicted = np.array(CLASSES)[predict(tmp_path, list(ROWS["text"]))]
    assert metrics["test"]["accuracy"] == np.mean(predicted == ROWS["label"].to_numpy())
    assert np.array(metrics["test"]["confusion"]).sum() == 15
    assert metrics["train_counts"] == dict.fromkeys(CLASSES, 3)
    assert metrics["recipe"]["epoch_rows"] == TINY.epoch_rows
