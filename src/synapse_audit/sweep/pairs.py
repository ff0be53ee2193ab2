"""The suffix route on chosen pairs of cell and example only, many cells in one stack.

A second phase wants each cell on examples of its own, a few of any batch. Pairs that resume at the
same layer are stacked as if they were examples of one cell, each under its own cell's rewrite, so
that a stack is as large as a batch however few pairs a cell has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from synapse_audit.artifacts import Cell
from synapse_audit.model.activations import TOKENS_PER_BATCH
from synapse_audit.sweep.clean import CleanStates
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.routes import Change, resume, start_layer


def may_pair(cell: Cell) -> bool:
    """Whether a cell rewrites neurons at the pooled position alone."""
    return cell.neurons is not None and cell.position == "pooled" and cell.edit is None


@torch.inference_mode()
def run_pairs(
    engine: Engine,
    clean: CleanStates,
    cells: Sequence[Cell],
    wanted: Bool[np.ndarray, "cells examples"],
) -> Float[Tensor, "pairs classes"]:
    """The logits of the wanted pairs, in the order of ``wanted.nonzero()``.

    Args:
        cells: of one site, all of which :func:`may_pair`.
    """
    site, last, device = cells[0].site, engine.classifier.n_layers, clean.logits.device
    rewrites = engine.rewrites(cells)
    touched = [() if cell.neurons is None else cell.neurons.layers for cell in cells]
    first = np.array([start_layer(site, layers, last) for layers in touched])
    which, example = wanted.nonzero()
    logits = clean.logits.new_empty((len(which), clean.logits.shape[1]))
    for layer in np.unique(first[which]).tolist():
        for part in _stacks(np.flatnonzero(first[which] == layer), clean):
            cell_of, rows = (torch.as_tensor(ids[part], device=device) for ids in (which, example))
            mine = {m: rewrite.of(cell_of) for m, rewrite in rewrites.items() if m >= layer}
            change = Change(site, layer, mine, {})
            logits[part] = resume(engine, clean.take(rows, layer), change)
    return logits


def _stacks(pairs: np.ndarray, clean: CleanStates) -> list[np.ndarray]:
    """Cut so that a stack holds about as many tokens as a batch."""
    size = max(1, TOKENS_PER_BATCH * len(clean.examples) // clean.tokens)
    return [pairs[start : start + size] for start in range(0, len(pairs), size)]
