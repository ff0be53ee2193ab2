"""Whole tiny audits of two kinds of model, held against hooks written by hand.

A decoder whose tokenizer pads on the left, and one whose blocks are an encoder's and a decoder's.
Every family: ``tests/proofs/test_audits.py``.
"""

from pathlib import Path

import pytest
import torch

from synapse_audit.data import load_data
from synapse_audit.model import Classifier

from .audited import audited, check_effects, check_routes
from .families import OLDER, own_logits
from .saved import modality, save

pytestmark = pytest.mark.skipif(OLDER, reason="names of blocks are those of the pinned version")


@pytest.mark.parametrize(
    ("name", "routes"),
    [
        ("llama", {"head", "stream", "suffix"}),
        ("t5", {"head", "suffix", "full"}),
    ],
)
def test_a_finished_audit_says_what_hooks_by_hand_give(
    name: str, routes: set[str], tmp_path: Path
) -> None:
    found = audited(name, tmp_path)
    assert check_routes(found) == routes
    assert found.result.summary["clean"]["accuracy"]["value"] == pytest.approx(1.0)
    assert check_effects(found) >= 8


@pytest.mark.parametrize("name", ["audio-spectrogram-transformer", "swin"])
def test_files_become_the_logits_of_transformers(name: str, tmp_path: Path) -> None:
    saved = save(name, tmp_path)
    classifier = Classifier.load(saved.model)
    data = load_data(str(saved.data), classes=classifier.classes, modality=modality(name))
    encoded = classifier.encode(data.inputs[:12])
    found = classifier.logits(classifier.collate(encoded, range(12)))
    expected = torch.cat([own_logits(classifier.model, saved.alone(x)) for x in data.inputs[:12]])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert found.argmax(1).tolist() == data.labels[:12].tolist()
    assert expected.std(0).min() > 0.02
