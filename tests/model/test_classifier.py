"""The face of a classifier: it proves that it was left unharmed, and wraps any fitting module."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from synapse_audit.errors import ModelError
from synapse_audit.model import FAMILIES, Classifier
from synapse_audit.model.families.known import family_of
from synapse_audit.model.inputs import text


@pytest.fixture
def classifier(tiny_folder: Path) -> Iterator[Classifier]:
    """A tiny BERT of one's own, to be harmed."""
    yield Classifier.load(tiny_folder)


def test_the_fingerprint_changes_with_any_weight(classifier: Classifier) -> None:
    before = classifier.fingerprint()
    assert before == classifier.fingerprint()
    for parameter in classifier.model.parameters():
        flat = parameter.data.view(-1)
        old = flat[-1].clone()
        flat[-1] = torch.nextafter(old, old + 1)
        assert classifier.fingerprint() != before
        flat[-1] = old
    assert classifier.fingerprint() == before


def test_two_loads_have_one_fingerprint(classifier: Classifier, tiny_folder: Path) -> None:
    assert Classifier.load(tiny_folder).fingerprint() == classifier.fingerprint()


def test_unharmed_passes_what_left_no_trace(classifier: Classifier) -> None:
    with classifier.unharmed():
        classifier.logits(classifier.collate(classifier.encode(["word1"]), [0]))
        handle = classifier.blocks[0].register_forward_hook(lambda *_: None)
        handle.remove()


def test_unharmed_detects_a_changed_weight(classifier: Classifier) -> None:
    with pytest.raises(ModelError, match="was altered"), classifier.unharmed():
        classifier.output_layer.weight.data[0, 0] += 1e-6


@pytest.mark.parametrize("register", ["register_forward_hook", "register_forward_pre_hook"])
def test_unharmed_detects_a_left_hook(classifier: Classifier, register: str) -> None:
    with pytest.raises(ModelError, match="was altered"), classifier.unharmed():
        getattr(classifier.blocks[1], register)(lambda *_: None)


def test_unharmed_tells_of_harm_even_after_an_exception(classifier: Classifier) -> None:
    with pytest.raises(ModelError) as caught, classifier.unharmed():
        classifier.output_layer.weight.data.zero_()
        raise KeyError("cause")
    assert isinstance(caught.value.__context__, KeyError)


def test_unharmed_passes_an_exception_on(classifier: Classifier) -> None:
    with pytest.raises(KeyError, match="cause"), classifier.unharmed():
        raise KeyError("cause")


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("blocks", "bert.encoder.layers"),
        ("embeddings", "bert.embedding"),
        ("output_layer", "score"),
        ("blocks", "bert.encoder"),
        ("output_layer", "bert.pooler"),
    ],
)
def test_a_record_that_does_not_fit_is_refused(
    classifier: Classifier, field: str, path: str
) -> None:
    family = replace(FAMILIES[0], **{field: path})
    with pytest.raises(ModelError, match=r"BERT record|expected torch's Linear"):
        Classifier.wrap(
            classifier.model,
            classes=classifier.classes,
            encoder=classifier.encoder,
            collator=classifier.collator,
            family=family,
        )


def test_the_last_position_is_the_last_token_that_is_no_padding(classifier: Classifier) -> None:
    batch = classifier.collate(classifier.encode(["word1", "word1 word2 word3"]), [0, 1])
    assert classifier.pooling(batch).place.tolist() == [0, 0]
    assert replace(classifier, position="last").pooling(batch).place.tolist() == [2, 4]


def test_records_of_one_model_type_tell_configurations_apart() -> None:
    names = [name for family in FAMILIES for name in family.model_types]
    shared = {name for name in names if names.count(name) > 1}
    assert all(f.when is not None for f in FAMILIES if shared & set(f.model_types))
    assert all(family_of(name) is not None for name in names)
    assert family_of("xlnet") is None


def test_head_weights_are_copies(classifier: Classifier) -> None:
    classifier.head_weight[:] = 0
    classifier.head_bias[:] = 0
    assert isinstance(classifier.output_layer, nn.Linear)
    assert classifier.output_layer.weight.abs().sum() > 0
    assert classifier.output_layer.bias.abs().sum() > 0


def test_texts_encoded_a_few_at_a_time_read_the_same(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{word} " * n for n in (1, 900, 3, 2, 700) for word in ("select", "img")]
    whole = classifier.encode(texts)
    monkeypatch.setattr(text, "TEXTS", 3)
    found = classifier.encode(texts)
    assert found.n_truncated == whole.n_truncated == 4, "in two of four parts"
    assert list(found.features) == list(whole.features)
    assert found.lengths.tolist() == whole.lengths.tolist()
