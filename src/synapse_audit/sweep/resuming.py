"""Logits of one batch from any block on, again and again, with gradients: for searches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from synapse_audit.model import Batch, Classifier
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.routes import call_block
from synapse_audit.sweep.verify import FAILURES

AnswerFrom = Callable[[int | None], Tensor]
"""Block from which weights may differ (None: anywhere) → logits (examples, classes)."""


def answers_from(classifier: Classifier, batch: Batch) -> AnswerFrom:
    """The classifier's answer to a batch, on clean states below the block that is asked for.

    Whole blocks run, as in the model itself, so that sums are taken in the same order. Where the
    blocks of a model cannot be called one by one, or do not give its logits, the whole model runs.
    """
    with torch.no_grad():  # and no inference mode: what is kept enters graphs later
        rows = np.arange(len(classifier.pooling(batch).place))
        clean = clean_pass(classifier, batch, rows, None, gradients=True)
        able = {layer: _agrees(classifier, clean, layer) for layer in _ends(classifier)}

    def answer(layer: int | None) -> Tensor:
        if layer is None or not able.get(layer, False):
            return classifier.answer(batch)
        return _resumed(classifier, clean, layer)

    return answer


def _ends(classifier: Classifier) -> tuple[int, int]:
    return 1, classifier.n_layers


def _agrees(classifier: Classifier, clean: CleanStates, layer: int) -> bool:
    if layer <= classifier.resumable:
        return False
    try:
        found = _resumed(classifier, clean, layer)
    except FAILURES:
        return False
    return torch.allclose(found, clean.logits, atol=1e-5)


def _resumed(classifier: Classifier, clean: CleanStates, layer: int) -> Tensor:
    states = clean.layers[layer - 1]
    for block in range(layer, classifier.n_layers + 1):
        states = call_block(classifier, clean.calls[block - 1], block, states)
    return classifier.decide(states, clean.pooling)
