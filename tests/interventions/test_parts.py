"""Parts of real architectures are found by structure, shared and foreign weights passed over."""

from pathlib import Path

import numpy as np
import torch

from synapse_audit.interventions.edits import (
    GAIN,
    find_parts,
    noisy_share,
    scaled_gains,
    weight_noise,
)
from synapse_audit.interventions.edits.faults import MOST_ENTRIES
from synapse_audit.interventions.edits.parts import Part
from synapse_audit.model import Classifier

OUTPUTS = ("attention.output.dense", "out_lin", "out_proj", "o_proj", "c_proj", "Wo", ".o.")


def test_every_family_has_a_head_and_three_parts_per_block(family_folder: Path) -> None:
    classifier = Classifier.load(family_folder)
    layers = (1, classifier.n_layers)
    parts = find_parts(classifier.model, classifier.output_layer, classifier.blocks, layers)
    names = [(part.name, part.layer) for part in parts]
    assert names[0] == ("head", None)
    assert names[1:] == [(n, m) for m in layers for n in ("attention", "mlp", "gain")]
    state = classifier.model.state_dict()
    for part in parts:
        for name, weight in part.weights.items():
            assert np.array_equal(state[name].numpy(), weight)
        if part.name == "attention":
            assert any(mark in part.last[0] for mark in OUTPUTS), part.last[0]
        if part.name == "gain":
            assert part.last[1].ndim == 1


def test_copies_do_not_follow_the_model(tiny_folder: Path) -> None:
    classifier = Classifier.load(tiny_folder)
    head = find_parts(classifier.model, classifier.output_layer, classifier.blocks, [1])[0]
    before = head.last[1].copy()
    with torch.no_grad():
        classifier.output_layer.weight.add_(1.0)
    assert np.array_equal(head.last[1], before)


def test_a_block_shared_with_an_earlier_one_counts_there(tiny_folder: Path) -> None:
    classifier = Classifier.load(tiny_folder)
    shared = [classifier.blocks[0]] * 3
    parts = find_parts(classifier.model, classifier.output_layer, shared, [1, 3])
    assert {part.layer for part in parts} == {None, 1}
    parts = find_parts(classifier.model, classifier.output_layer, shared, [3])
    assert {part.layer for part in parts} == {None, 1}


def test_weights_in_another_format_are_left_out(tiny_folder: Path) -> None:
    classifier = Classifier.load(tiny_folder)
    classifier.blocks[0].half()
    parts = find_parts(classifier.model, classifier.output_layer, classifier.blocks, [1])
    assert [part.name for part in parts] == ["head"]


def test_noise_is_relative_to_the_weights_own_size() -> None:
    weight = np.random.default_rng(0).normal(0, 0.02, size=(200, 300)).astype(np.float32)
    part = Part("mlp", 2, {"x": np.zeros((2, 2), dtype=np.float32), "w": weight})
    edit = weight_noise(part, 0.5, np.random.default_rng(1))
    (change,) = edit.changes
    assert change.name == "w" and len(change.index) == weight.size == edit.n_changed
    assert noisy_share(part) == 1.0 and edit.layer == 2
    np.testing.assert_allclose((change.after - change.before).std(), 0.01, rtol=0.02)


def test_noise_on_a_large_weight_falls_on_a_part_of_it() -> None:
    part = Part("mlp", 2, {"w": np.ones((1, 2 * MOST_ENTRIES), dtype=np.float32)})
    edit = weight_noise(part, 0.5, np.random.default_rng(1))
    assert len(edit.changes[0].index) == MOST_ENTRIES and noisy_share(part) == 0.5


def test_gains_are_scaled_where_asked() -> None:
    part = Part(GAIN, 1, {"g": np.array([1.0, 2.0, 4.0], dtype=np.float32)})
    edit = scaled_gains(part, np.array([1, 2]), 0.5)
    assert edit.changes[0].after.tolist() == [1.0, 2.0]
    assert edit.n_changed == 2 and edit.layer == 1
