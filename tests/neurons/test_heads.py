"""Attention heads as slices of neurons, by hand."""

import numpy as np

from synapse_audit.neurons import NeuronSet
from synapse_audit.neurons.heads import neurons_of_heads, score_heads


def test_a_head_is_scored_by_the_mean_of_its_slice() -> None:
    scores = [np.zeros(0), np.array([1.0, 3.0, 0.0, 0.0, 5.0, 4.0])]
    found = score_heads(scores, 3)
    assert [len(layer) for layer in found] == [0, 3]
    np.testing.assert_allclose(found[1], [2.0, 0.0, 4.5])


def test_heads_become_their_neurons_layer_by_layer() -> None:
    chosen = NeuronSet.of({1: [0, 2], 2: [1]})
    found = neurons_of_heads(chosen, [0, 6, 12], 3)
    assert found == NeuronSet.of({1: [0, 1, 4, 5], 2: [4, 5, 6, 7]})
    assert not len(neurons_of_heads(NeuronSet.of({}), [0, 6, 12], 3))
