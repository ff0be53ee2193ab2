"""The clean pass gives transformers' own hidden states, whatever the batching."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from jaxtyping import Float

from synapse_audit.errors import ModelError
from synapse_audit.model import Classifier, Encoded
from synapse_audit.model.activations import extract, length_batches

N = 40

LOGITS = 1e-4
"""The tiny heads are fitted: their weights reach 70 and magnify the rounding of the states."""

FIT = np.arange(0, N, 3)
Array = Float[np.ndarray, "..."]


@pytest.fixture
def loaded(family_folder: Path, rows: pd.DataFrame) -> tuple[Classifier, Encoded]:
    """A classifier of each family with some encoded rows."""
    classifier = Classifier.load(family_folder)
    return classifier, classifier.encode(rows["text"].tolist()[:N])


@torch.no_grad()
def _reference(classifier: Classifier, encoded: Encoded) -> tuple[Any, list[Array], Array]:
    """Batch, hidden states and logits of transformers itself, all examples in one batch."""
    batch = classifier.collate(encoded, range(N))
    output = classifier.model(**batch, output_hidden_states=True)
    return batch, [states.numpy() for states in output.hidden_states], output.logits.numpy()


def test_layers_and_logits_are_those_of_transformers(loaded: tuple[Classifier, Encoded]) -> None:
    _, states, logits = _reference(*loaded)
    found = extract(*loaded, fit=FIT)
    assert len(found.activations.layers) == len(states) == 4
    for ours, theirs in zip(found.activations.layers, states, strict=True):
        np.testing.assert_allclose(ours, theirs[:, 0], atol=1e-5)
    np.testing.assert_allclose(found.logits, logits, atol=LOGITS)


def test_the_head_input_gives_the_logits(loaded: tuple[Classifier, Encoded]) -> None:
    classifier, encoded = loaded
    found = extract(classifier, encoded, fit=FIT)
    logits = found.activations.head_input @ classifier.head_weight.T + classifier.head_bias
    np.testing.assert_allclose(logits, found.logits, atol=LOGITS)


@pytest.mark.parametrize("batch_size", [3, N])
def test_batches_and_order_do_not_matter(
    loaded: tuple[Classifier, Encoded], batch_size: int
) -> None:
    classifier, encoded = loaded
    order = np.random.default_rng(0).permutation(N)
    shuffled = Encoded(
        tuple(encoded.features[i] for i in order), encoded.lengths[order], encoded.n_truncated
    )
    fit = np.flatnonzero(np.isin(order, FIT))
    one = extract(classifier, encoded, fit=FIT)
    two = extract(classifier, shuffled, fit=fit, batch_size=batch_size)
    for a, b in zip(one.activations.layers, two.activations.layers, strict=True):
        np.testing.assert_allclose(a[order], b, atol=1e-5)
    np.testing.assert_allclose(
        one.activations.head_input[order], two.activations.head_input, atol=1e-5
    )
    np.testing.assert_allclose(one.logits[order], two.logits, atol=LOGITS)
    for a, b in zip(one.others, two.others, strict=True):
        np.testing.assert_allclose(a.mean, b.mean, atol=1e-5)
        np.testing.assert_allclose(a.spread, b.spread, atol=1e-5)


def test_token_statistics_are_those_of_the_other_tokens_of_fit(
    loaded: tuple[Classifier, Encoded],
) -> None:
    batch, states, _ = _reference(*loaded)
    counted = batch["attention_mask"].numpy().astype(bool)
    counted[:, 0] = False
    counted[np.setdiff1d(np.arange(N), FIT)] = False
    found = extract(*loaded, fit=FIT, batch_size=7)
    for ours, theirs in zip(found.others, states, strict=True):
        tokens = theirs[counted].astype(np.float64)
        np.testing.assert_allclose(ours.mean, tokens.mean(axis=0), atol=1e-5)
        np.testing.assert_allclose(ours.spread, tokens.std(axis=0), atol=1e-5)
        np.testing.assert_allclose(ours.norm, np.sqrt((tokens**2).mean(axis=0)), atol=1e-5)


def test_a_pass_leaves_the_model_unharmed_and_reports_its_progress(
    loaded: tuple[Classifier, Encoded],
) -> None:
    done: list[int] = []
    with loaded[0].unharmed():
        extract(*loaded, fit=FIT, batch_size=16, progress=done.append)
    assert done == [16, 16, 8]


def test_arrays_are_filled_where_the_caller_wants_them(loaded: tuple[Classifier, Encoded]) -> None:
    given: dict[str, Array] = {}

    def allocate(name: str, shape: tuple[int, int]) -> Array:
        given[name] = np.full(shape, np.nan, dtype=np.float32)
        return given[name]

    found = extract(*loaded, fit=FIT, batch_size=9, allocate=allocate)
    assert set(given) == {"layer_00", "layer_01", "layer_02", "layer_03", "head_input", "logits"}
    assert all(np.isfinite(array).all() for array in given.values())
    assert found.activations.layers[2] is given["layer_02"]


def test_a_record_with_the_wrong_position_is_refused(loaded: tuple[Classifier, Encoded]) -> None:
    classifier, encoded = loaded
    with pytest.raises(ModelError, match="record does not describe this model") as caught:
        extract(replace(classifier, position="last"), encoded, fit=FIT)
    assert "\n" not in str(caught.value)


def test_a_record_with_the_wrong_blocks_is_refused(loaded: tuple[Classifier, Encoded]) -> None:
    classifier, encoded = loaded
    with pytest.raises(ModelError, match="of layer 2 differs from the model's logits"):
        extract(replace(classifier, blocks=classifier.blocks[:2]), encoded, fit=FIT)


def test_logits_that_are_no_numbers_are_refused(tiny_folder: Path) -> None:
    classifier = Classifier.load(tiny_folder)
    classifier.output_layer.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="logits that are NaN or infinite for 1 of 1 inputs"):
        extract(classifier, classifier.encode(["word1"]), fit=np.arange(1))


@pytest.mark.parametrize("batch_size", [None, 1, 3, 100])
def test_length_batches_hold_each_row_once_longest_first(batch_size: int | None) -> None:
    lengths = np.random.default_rng(0).integers(1, 600, size=50)
    rows = np.arange(5, 45)
    batches = length_batches(lengths, rows, batch_size=batch_size)
    flat = np.concatenate(batches)
    assert sorted(flat.tolist()) == rows.tolist()
    assert (np.diff(lengths[flat]) <= 0).all()
    for batch in batches:
        if batch_size is None:
            assert len(batch) == 1 or len(batch) * lengths[batch].max() <= 4096
        else:
            assert len(batch) <= batch_size


def test_a_batch_never_holds_more_than_256_however_short() -> None:
    batches = length_batches(np.ones(600, dtype=np.int64), np.arange(600))
    assert [len(batch) for batch in batches] == [256, 256, 88]
