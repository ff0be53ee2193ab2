"""The tiny classifiers are worth testing with: of their family, better than chance, restored."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from tiny import CLASSES, FAMILIES, ROWS_PER_CLASS, tiny_classifier
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def test_rows_are_distinct_and_balanced(rows: pd.DataFrame) -> None:
    assert rows["text"].is_unique
    assert rows["label"].value_counts().to_dict() == dict.fromkeys(CLASSES, ROWS_PER_CLASS)
    lengths = rows["text"].str.split().str.len()
    assert lengths.min() < 7 and lengths.max() > 12


def test_saved_families_load_again_and_beat_chance(family_folder: Path, rows: pd.DataFrame) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(family_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(family_folder)
    batch = tokenizer(rows["text"].tolist(), padding=True, return_tensors="pt")
    with torch.no_grad():
        predicted = model(**batch).logits.argmax(dim=1).tolist()
    right = [model.config.id2label[p] == c for p, c in zip(predicted, rows["label"], strict=True)]
    assert sum(right) / len(right) > 0.6


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_same_seed_gives_the_same_weights(family: str) -> None:
    before = torch.random.get_rng_state()
    one, two = tiny_classifier(family), tiny_classifier(family)
    pairs = zip(one.model.parameters(), two.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(before, torch.random.get_rng_state())
