"""The planted classifiers do what their arithmetic says, shown with nothing but plain hooks."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int
from planted import CLASSES, LAYERS, Planted

from synapse_audit.neurons import NeuronSet

Values = Float[np.ndarray, " neurons"]
Plant = Callable[[str], Planted]

TOLERANCE = 1e-4
"""Float32 against float64: LayerNorm divides by the norm of what is left, which magnifies 1e-7."""

NOTHING = NeuronSet.of({})
EVERY_BLOCK = tuple(range(1, LAYERS + 1))


@contextmanager
def _silenced(planted: Planted, neurons: NeuronSet, values: Values | None) -> Iterator[None]:
    with ExitStack() as stack:
        for layer, ids in neurons.by_layer.items():

            def rewrite(
                _module: object,
                _inputs: object,
                output: Any,
                ids: Int[np.ndarray, " k"] = ids,
            ) -> Any:
                bare = isinstance(output, torch.Tensor)  # with transformers 4 a tuple
                states = (output if bare else output[0]).clone()
                fill = np.zeros(len(ids)) if values is None else values[ids]
                states[:, 0, torch.from_numpy(ids)] = torch.from_numpy(fill).to(states.dtype)
                return states if bare else (states, *output[1:])

            block = planted.model.bert.encoder.layer[layer - 1]
            stack.callback(block.register_forward_hook(rewrite).remove)
        yield


def _batch(planted: Planted, step: int = 1) -> dict[str, torch.Tensor]:
    return dict(planted.tokenizer(list(planted.texts[::step]), return_tensors="pt"))


@torch.no_grad()
def _logits(
    planted: Planted, neurons: NeuronSet = NOTHING, values: Values | None = None
) -> Float[np.ndarray, "examples classes"]:
    with _silenced(planted, neurons, values):
        return planted.model(**_batch(planted)).logits.numpy()


def _means(planted: Planted) -> Values:
    return planted.states.mean(axis=0)


def _recalls(planted: Planted, predicted: Int[np.ndarray, " examples"]) -> dict[str, float]:
    return {
        name: float((predicted[planted.labels == c] == c).mean()) for c, name in enumerate(CLASSES)
    }


def _only_lost(*lost: str) -> dict[str, float]:
    return {name: 0.0 if name in lost else 1.0 for name in CLASSES}


def _in_layers(neurons: NeuronSet, *layers: int) -> NeuronSet:
    return NeuronSet.of({m: ids for m, ids in neurons.members if m in layers})


def _both_operators(planted: Planted) -> list[Values | None]:
    return [None, _means(planted)]


def test_clean_states_are_the_integers_that_were_planted(planted: Planted) -> None:
    with torch.no_grad():
        states = planted.model(**_batch(planted), output_hidden_states=True).hidden_states
    assert np.ptp(states[0][:, 0].numpy(), axis=0).max() < 1e-5, "layer 0 must know nothing"
    for layer in EVERY_BLOCK:
        np.testing.assert_allclose(states[layer][:, 0].numpy(), planted.states, atol=1e-6)
    assert set(np.unique(planted.states)) == {-2.0, -1.0, 0.0, 1.0, 2.0}


def test_clean_predictions_are_all_right_and_logits_those_of_the_arithmetic(
    planted: Planted,
) -> None:
    logits = _logits(planted)
    np.testing.assert_allclose(logits, planted.logits(NOTHING), atol=1e-6)
    assert (logits.argmax(axis=1) == planted.labels).all()


def test_texts_are_distinct_and_other_neurons_say_nothing_linear(planted: Planted) -> None:
    assert len(set(planted.texts)) == len(planted.texts)
    assert np.bincount(planted.labels).tolist() == [60] * len(CLASSES)
    for j in (*planted.layout.noise, *planted.layout.pairs["plain"]):
        for c in range(len(CLASSES)):
            assert planted.states[planted.labels == c, j].mean() == pytest.approx(0.0)


@pytest.mark.parametrize("name", ["single", "leaning", "decoy"])
@pytest.mark.parametrize("layers", [(1,), (2,), (LAYERS,), EVERY_BLOCK])
def test_silencing_a_class_kills_that_class_alone(
    plant: Plant, name: str, layers: tuple[int, ...]
) -> None:
    planted = plant(name)
    for victim, sets in planted.sets.items():
        for values in _both_operators(planted):
            chosen = _in_layers(sets[0], *layers)
            predicted = _logits(planted, chosen, values).argmax(axis=1)
            assert _recalls(planted, predicted) == _only_lost(victim)
            assert set(predicted[planted.labels == CLASSES.index(victim)]) == {0}


@pytest.mark.parametrize("layers", [(1,), (LAYERS,), EVERY_BLOCK])
def test_a_redundant_class_survives_either_set_but_not_both(
    plant: Plant, layers: tuple[int, ...]
) -> None:
    planted = plant("redundant")
    for victim, sets in planted.sets.items():
        for values in _both_operators(planted):
            for one in sets:
                predicted = _logits(planted, _in_layers(one, *layers), values).argmax(axis=1)
                assert _recalls(planted, predicted) == _only_lost()
            both = _in_layers(sets[0] | sets[1], *layers)
            predicted = _logits(planted, both, values).argmax(axis=1)
            assert _recalls(planted, predicted) == _only_lost(victim)


@pytest.mark.parametrize("name", ["single", "redundant", "decoy"])
@pytest.mark.parametrize("layers", [(1,), (2,), EVERY_BLOCK])
def test_silencing_what_the_head_does_not_read_changes_no_prediction(
    plant: Plant, name: str, layers: tuple[int, ...]
) -> None:
    planted = plant(name)
    for values in _both_operators(planted):
        logits = _logits(planted, _in_layers(planted.unread, *layers), values)
        assert (logits.argmax(axis=1) == planted.labels).all()


def test_at_the_head_it_changes_not_even_a_logit(planted: Planted) -> None:
    for values in _both_operators(planted):
        logits = _logits(planted, _in_layers(planted.unread, LAYERS), values)
        np.testing.assert_array_equal(logits, _logits(planted))


def test_a_decoy_separates_the_classes_as_well_as_the_neurons_in_use(plant: Plant) -> None:
    planted = plant("decoy")
    for c, name in enumerate(CLASSES[1:], start=1):
        used, decoy = planted.layout.pairs[name]
        np.testing.assert_array_equal(planted.states[:, used], planted.states[:, decoy])
        assert ((planted.states[:, decoy] == 1.0) == (planted.labels == c)).all()
        assert not set(planted.sets[name][0].by_layer[1]) & {decoy}


@pytest.mark.parametrize("layers", [(1,), (2,), (LAYERS,), EVERY_BLOCK])
def test_a_load_bearing_constant_harms_when_zeroed_and_not_at_its_mean(
    plant: Plant, layers: tuple[int, ...]
) -> None:
    planted = plant("leaning")
    chosen = _in_layers(planted.load_bearing, *layers)
    zeroed = _logits(planted, chosen, None).argmax(axis=1)
    assert _recalls(planted, zeroed) == _only_lost("alpha", "beta", "gamma")
    kept = _logits(planted, chosen, _means(planted))
    np.testing.assert_allclose(kept, _logits(planted), atol=1e-6)


def test_other_constants_bear_no_load(plant: Plant) -> None:
    for name in ("single", "redundant", "decoy"):
        planted = plant(name)
        constant = NeuronSet.of({m: [planted.layout.constant] for m in EVERY_BLOCK})
        assert len(planted.load_bearing) == 0
        assert (_logits(planted, constant).argmax(axis=1) == planted.labels).all()


def test_silencing_every_carrier_leaves_only_plain(planted: Planted) -> None:
    for values in _both_operators(planted):
        predicted = _logits(planted, planted.carriers, values).argmax(axis=1)
        assert _recalls(planted, predicted) == _only_lost("alpha", "beta", "gamma")


@pytest.mark.parametrize("seed", range(8))
def test_arithmetic_predicts_any_set_in_any_layers(planted: Planted, seed: int) -> None:
    generator = np.random.default_rng(seed)
    width = planted.layout.width
    layers = generator.permutation(EVERY_BLOCK)[: generator.integers(1, LAYERS + 1)].tolist()
    counts = generator.integers(1, width // 2, size=len(layers)).tolist()
    chosen = NeuronSet.of(
        {m: generator.permutation(width)[:k].tolist() for m, k in zip(layers, counts, strict=True)}
    )
    for values in _both_operators(planted):
        given = _logits(planted, chosen, values)
        np.testing.assert_allclose(given, planted.logits(chosen, values), atol=TOLERANCE)


@pytest.mark.proof
def test_arithmetic_predicts_every_single_neuron_and_pair_of_the_last_block(
    planted: Planted,
) -> None:
    width, step = planted.layout.width, 8
    sets = [{i, j} for i in range(width) for j in range(i, width)]
    batch = _batch(planted, step)
    for values in _both_operators(planted):
        for ids in sets:
            chosen = NeuronSet.of({LAYERS: ids})
            with torch.no_grad(), _silenced(planted, chosen, values):
                given = planted.model(**batch).logits.numpy()
            expected = planted.logits(chosen, values)[::step]
            np.testing.assert_allclose(given, expected, atol=TOLERANCE)


def _hooks(planted: Planted) -> int:
    return sum(len(module._forward_hooks) for module in planted.model.modules())


def test_the_model_is_as_before_and_holds_no_new_hook(planted: Planted) -> None:
    hooks = _hooks(planted)  # transformers leaves hooks of its own after output_hidden_states
    before = {name: p.clone() for name, p in planted.model.state_dict().items()}
    logits = _logits(planted)
    _logits(planted, planted.carriers)
    np.testing.assert_array_equal(_logits(planted), logits)
    assert all(torch.equal(p, before[name]) for name, p in planted.model.state_dict().items())
    assert _hooks(planted) == hooks
