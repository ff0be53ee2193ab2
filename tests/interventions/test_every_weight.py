"""All weights of a model, by kind of tensor and block."""

from pathlib import Path

import torch

from synapse_audit.interventions.edits import every_weight, weights_of
from synapse_audit.model import Classifier


def test_every_number_of_a_model_is_there_once(family_folder: Path) -> None:
    classifier = Classifier.load(family_folder)
    parts = every_weight(classifier.model, classifier.output_layer, classifier.blocks)
    assert sum(weights_of(parts).values()) == classifier.parameters_count
    names = [name for part in parts for name in part.weights]
    assert sorted(names) == sorted(name for name, _ in classifier.model.named_parameters())


def test_each_kind_holds_what_its_name_says(tiny_folder: Path) -> None:
    classifier = Classifier.load(tiny_folder)
    parts = every_weight(classifier.model, classifier.output_layer, classifier.blocks)
    homes = {name: (part.name, part.layer) for part in parts for name in part.weights}
    assert homes["bert.embeddings.word_embeddings.weight"] == ("embeddings", 0)
    assert homes["bert.embeddings.LayerNorm.bias"] == ("norm", 0)
    assert homes["bert.encoder.layer.1.attention.self.key.weight"] == ("attention", 2)
    assert homes["bert.encoder.layer.1.attention.self.key.bias"] == ("bias", 2)
    assert homes["bert.encoder.layer.0.output.dense.weight"] == ("mlp", 1)
    assert homes["bert.encoder.layer.2.output.LayerNorm.weight"] == ("norm", 3)
    assert homes["bert.pooler.dense.weight"] == ("other", 0)
    assert homes["classifier.bias"] == ("head", None)


def test_other_number_formats_and_shared_weights(tiny_folder: Path) -> None:
    classifier = Classifier.load(tiny_folder)
    blocks = [*classifier.blocks]
    half = blocks[0].to(torch.float16)
    parts = every_weight(classifier.model, classifier.output_layer, [half, blocks[1], blocks[1]])
    assert {part.layer for part in parts} == {None, 0, 2}  # no float32 in 1, block 3 is 2 again
