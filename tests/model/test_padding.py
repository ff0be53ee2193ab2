"""What a model says of a text does not depend on the others in its batch, however they are padded.

The oracle is transformers itself, one text at a time, so that nothing is padded.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from tiny import CLASSES, save, tiny_classifier
from torch import Tensor, nn

from synapse_audit.model import Batch, Classifier
from synapse_audit.model.families.known import family_of
from synapse_audit.model.inputs.padding import padded_on
from synapse_audit.model.inputs.text import text_collator, text_encoder


def one_by_one(model: Any, tokenizer: Any, texts: list[str]) -> Tensor:
    with torch.no_grad():
        return torch.cat([model(**tokenizer([t], return_tensors="pt")).logits for t in texts])


def padded_left(folder: Path) -> Path:
    """A saved tokenizer that says so; setting the attribute alone would not be saved."""
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"padding_side": "left"}))
    return folder


def check(classifier: Classifier, wanted: Tensor, texts: list[str]) -> None:
    encoded = classifier.encode(texts)
    for size in (1, 3, len(texts)):
        rows = [range(i, min(i + size, len(texts))) for i in range(0, len(texts), size)]
        found = torch.cat([classifier.logits(classifier.collate(encoded, part)) for part in rows])
        # float32 sums over rows of other lengths are done in another order.
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.fixture
def texts(rows: pd.DataFrame) -> list[str]:
    return rows["text"].tolist()[:12]


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_recorded_encoders_are_padded_on_the_right(
    tmp_path: Path, texts: list[str], family: str
) -> None:
    tiny = tiny_classifier(family)
    wanted = one_by_one(tiny.model, tiny.tokenizer, texts)
    classifier = Classifier.load(padded_left(save(tiny, tmp_path)))
    check(classifier, wanted, texts)
    assert [note for note in classifier.notes if "its tokenizer says left" in note]


@pytest.mark.parametrize("recorded", [True, False])
def test_wrapped_encoders_are_padded_on_the_right(
    tmp_path: Path, texts: list[str], recorded: bool
) -> None:
    tiny = tiny_classifier("bert")
    wanted = one_by_one(tiny.model, tiny.tokenizer, texts)
    tiny.tokenizer.padding_side = "left"
    classifier = Classifier.wrap(
        tiny.model,
        classes=CLASSES,
        encoder=text_encoder(tiny.tokenizer, 64),
        collator=text_collator(tiny.tokenizer),
        family=family_of("bert") if recorded else None,
    )
    check(classifier, wanted, texts)
    assert classifier.position == "first"
    assert [note for note in classifier.notes if "came padded on the left" in note]


def test_discovered_encoders_are_padded_on_the_right(tmp_path: Path, texts: list[str]) -> None:
    tiny = tiny_classifier("bert")
    wanted = one_by_one(tiny.model, tiny.tokenizer, texts)
    # Parts that are named set the record aside, so that the others are looked for.
    classifier = Classifier.load(padded_left(save(tiny, tmp_path)), blocks="bert.encoder.layer")
    assert classifier.discovered is not None
    check(classifier, wanted, texts)


class _Row(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, states: Tensor) -> Tensor:
        return states + torch.tanh(self.linear(states))


class _LastColumn(nn.Module):
    """Reads its last column whatever is there, as XLNet does: padding belongs on the left."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(200, 8)
        self.layers = nn.ModuleList([_Row(), _Row()])
        self.head = nn.Linear(8, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.table(input_ids)
        for layer in self.layers:
            states = layer(states)
        return self.head(states[:, -1])


@pytest.mark.parametrize("given", ["left", "right"])
def test_without_a_record_the_side_is_the_one_that_works(texts: list[str], given: str) -> None:
    torch.manual_seed(0)
    tokenizer = tiny_classifier("bert").tokenizer
    module = _LastColumn().eval()
    with torch.no_grad():
        wanted = torch.cat(
            [
                module(b["input_ids"], b["attention_mask"])
                for b in (tokenizer([t], return_tensors="pt") for t in texts)
            ]
        )
    tokenizer.padding_side = given
    classifier = Classifier.wrap(
        module,
        classes=("a", "b", "c"),
        encoder=text_encoder(tokenizer, 64),
        collator=text_collator(tokenizer),
    )
    assert classifier.position == "last"
    check(classifier, wanted, texts)
    moved = [note for note in classifier.notes if "padded on the left, where" in note]
    assert len(moved) == (given == "right")


def test_rows_keep_the_order_of_their_tokens_and_gaps_stay() -> None:
    batch = {
        "input_ids": torch.tensor([[0, 0, 5, 6], [7, 8, 9, 4]]),
        "attention_mask": torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]]),
        "other": torch.tensor([1, 2]),
    }

    def given(features: Any) -> Batch:
        return batch

    right = padded_on(given, "right")([])
    assert right["input_ids"].tolist() == [[5, 6, 0, 0], [7, 8, 9, 4]]
    assert right["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert right["other"].tolist() == [1, 2]
    batch["attention_mask"] = torch.tensor([[1, 0, 1, 1], [1, 1, 1, 1]])
    assert padded_on(given, "right")([])["input_ids"].tolist() == [[0, 0, 5, 6], [7, 8, 9, 4]]
