"""Rows of numbers as inputs of a wrapped module."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synapse_audit.artifacts import Signal
from synapse_audit.errors import DataError, UsageError
from synapse_audit.model import Classifier, Inputs, table_inputs

CLASSES = ("a", "b")


class Net(nn.Module):
    """Each of three numbers is a token; two blocks; the first token decides."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Linear(1, 8)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0) for _ in range(2)
        )
        self.head = nn.Linear(8, 2)

    def forward(self, numbers: Tensor) -> Tensor:
        states = self.lift(numbers[..., None])
        for block in self.blocks:
            states = block(states)
        logits: Tensor = self.head(states[:, 0])
        return logits


@pytest.fixture(scope="module")
def net() -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net().eval()


def test_the_logits_are_the_modules_own(net: Net) -> None:
    classifier = Classifier.wrap(net, classes=CLASSES, inputs=table_inputs(3, argument="numbers"))
    assert (classifier.modality, classifier.reads) == ("table", "rows of 3 numbers")
    numbers = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    signals = [Signal(f"row {i}", str(i), row) for i, row in enumerate(numbers)]
    with torch.no_grad():
        expected = net(torch.from_numpy(numbers))
    for inputs in (signals, list(numbers)):
        encoded = classifier.encode(inputs)
        assert encoded.lengths.tolist() == [3] * 5 and encoded.n_truncated == 0
        assert torch.equal(classifier.logits(classifier.collate(encoded, range(5))), expected)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("1 2 3", "a text given .* rows of numbers"),
        (np.zeros(4), "holds 4 numbers; expected 3"),
        (Signal("row 2 of 'x.csv'", "", np.zeros(2)), "row 2 of 'x.csv' holds 2 numbers"),
        (np.zeros((3, 1)), r"an array of shape \(3, 1\); expected 3"),
        (np.array([0.0, np.nan, 0.0]), "are no numbers"),
    ],
)
def test_what_is_no_such_row_is_refused(given: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        table_inputs(3).encoder([given])


def test_inputs_are_given_once(net: Net) -> None:
    rows = table_inputs(3, argument="numbers")
    for options in ({}, {"encoder": rows.encoder}, {"inputs": rows, "collator": rows.collator}):
        with pytest.raises(UsageError, match="given twice or not at all"):
            Classifier.wrap(net, classes=CLASSES, **options)


def test_examples_given_win_and_notes_are_kept(net: Net) -> None:
    seen: list[int] = []
    rows = table_inputs(3, argument="numbers")

    def encoder(inputs):
        seen.append(len(inputs))
        return rows.encoder(inputs)

    inputs = Inputs(encoder, rows.collator, notes=("scaled before",), examples=rows.examples)
    Classifier.wrap(net, classes=CLASSES, inputs=inputs)
    found = Classifier.wrap(net, classes=CLASSES, inputs=inputs, examples=[np.ones(3), np.ones(3)])
    assert [*dict.fromkeys(seen)] == [3, 2] and found.notes[-1] == "scaled before"
