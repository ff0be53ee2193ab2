"""Attention heads as sets of neurons: slices of what the attention output matrix reads.

In: scores of the neurons of that site, or sets of heads. Out: scores of heads, or sets of neurons.
With H heads and W neurons in a layer, head h (from 0) is the neurons h W / H to (h + 1) W / H − 1.
A set of heads is a :class:`NeuronSet` that counts heads instead of neurons.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from synapse_audit.neurons.sets import NeuronSet, Scores


def score_heads(scores: Scores, heads: int) -> list[Float[np.ndarray, " heads"]]:
    """The mean score of each head's neurons, per layer; empty where a layer has no such site.

    >>> score_heads([np.zeros(0), np.array([1.0, 3.0, 0.0, 0.0])], 2)
    [array([], dtype=float64), array([2., 0.])]
    """
    return [np.asarray(layer, dtype=np.float64).reshape(-1, len(layer) // heads).mean(axis=1)
            if len(layer) else np.zeros(0) for layer in scores]  # fmt: skip


def neurons_of_heads(chosen: NeuronSet, widths: Sequence[int], heads: int) -> NeuronSet:
    """The neurons that some heads consist of; ``widths[l]`` is the number of neurons of layer l.

    >>> neurons_of_heads(NeuronSet.of({1: [1]}), [0, 4], 2)
    NeuronSet({1: [2, 3]})
    """
    return NeuronSet.of(
        {
            layer: [
                int(head) * (widths[layer] // heads) + i
                for head in ids
                for i in range(widths[layer] // heads)
            ]
            for layer, ids in chosen.by_layer.items()
        }
    )
