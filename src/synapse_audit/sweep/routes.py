"""The four ways to get a cell's logits, cheapest first: head, stream, suffix, full.

In: a batch's :class:`CleanStates` and cells. Out: logits (cells, examples, classes). ``full`` is
the reference that the others are held against; it knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synapse_audit.artifacts import Cell, ParameterEdit
from synapse_audit.classifier import Classifier
from synapse_audit.edits import applied
from synapse_audit.hooks import forward_pre_hooks, primary
from synapse_audit.operators import LayerRewrite, compile_rewrites
from synapse_audit.sweep.attention import BlockStop, KeyValues, Tap
from synapse_audit.sweep.clean import CleanStates, pooled_rows
from synapse_audit.sweep.intervening import intervene, rewrite_tokens
from synapse_audit.sweep.site import Site

Logits = Float[Tensor, "cells examples classes"]


@dataclass(frozen=True)
class Engine:
    """What every route needs besides the batch and the cells."""

    classifier: Classifier
    site: Site
    seed: int
    tap: Tap | None = None
    benign: int | None = None
    """Output index of the class that means no alarm, where one was named."""

    def rewrites(self, cells: Sequence[Cell]) -> dict[int, LayerRewrite]:
        """Layer → rewrites of the pooled row."""
        return compile_rewrites(
            cells, self.site.pooled, seed=self.seed, device=self.classifier.device
        )

    def token_rewrites(self, cells: Sequence[Cell]) -> dict[int, LayerRewrite]:
        """Layer → rewrites of the other tokens; empty unless the cells touch all positions."""
        if any(cell.position != "all" for cell in cells):
            return {}
        return compile_rewrites(
            cells, self.site.others, seed=self.seed, device=self.classifier.device
        )


@torch.inference_mode()
def run_head(engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> Logits:
    """No block runs: only the head, on the clean final pooled state."""
    head_input, logits = _head_reading(engine.classifier, clean)
    rows = [_head_cell(engine, clean, cell, head_input, logits) for cell in cells]
    return torch.stack(rows)


def _head_reading(classifier: Classifier, clean: CleanStates) -> tuple[Tensor, Tensor]:
    seen: list[Tensor] = []
    with forward_pre_hooks([(classifier.output_layer, lambda args, _: seen.append(args[0]))]):
        logits = classifier.head(clean.pooled(classifier.n_layers))
    return seen[-1], logits


def _head_cell(
    engine: Engine, clean: CleanStates, cell: Cell, head_input: Tensor, logits: Tensor
) -> Float[Tensor, "examples classes"]:
    classifier = engine.classifier
    if isinstance(cell.edit, ParameterEdit):
        with applied(classifier.model, classifier.output_layer, cell.edit):
            return classifier.head(clean.pooled(classifier.n_layers))
    if cell.edit is not None:
        weight = torch.from_numpy(cell.edit.weight).to(logits)
        return logits + head_input @ weight.T + torch.from_numpy(cell.edit.bias).to(logits)
    if cell.space == "logit" and cell.target is not None and cell.strength is not None:
        shifted = logits.clone()
        shifted[:, classifier.classes.index(cell.target)] += cell.strength
        return shifted
    layer = classifier.n_layers
    state = clean.pooled(layer)[None]
    rewrite = engine.rewrites([cell]).get(layer)
    return classifier.head(rewrite(state, clean.examples, clean.place)[0]) if rewrite else logits


@torch.inference_mode()
def run_stream(engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> Logits:
    """Only the pooled row runs, for all cells at once, against clean keys and values."""
    classifier, rewrites = engine.classifier, engine.rewrites(cells)
    first = min(rewrites, default=classifier.n_layers)
    rows = clean.pooled(first).expand(len(cells), -1, -1)
    rows = _rewrite(rows, rewrites.get(first), clean)
    for layer in range(first + 1, classifier.n_layers + 1):
        rows = _row_block(engine, clean, layer, rows, clean.key_values[layer - 1])
        rows = _rewrite(rows, rewrites.get(layer), clean)
    return _heads(classifier, rows)


def _row_block(
    engine: Engine,
    clean: CleanStates,
    layer: int,
    rows: Float[Tensor, "cells examples neurons"],
    cached: KeyValues,
) -> Float[Tensor, "cells examples neurons"]:
    tap = _tap(engine)
    tap.row = cached
    try:
        output = _call(engine.classifier, clean, layer, rows.reshape(-1, 1, rows.shape[-1]))
    finally:
        tap.row = None
    return output.reshape(*rows.shape[:2], -1)


@torch.inference_mode()
def run_suffix(engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> Logits:
    """Resumes at the first touched layer; the last block computes the pooled row alone."""
    return torch.stack([_suffix_cell(engine, clean, cell) for cell in cells])


def _suffix_cell(
    engine: Engine, clean: CleanStates, cell: Cell
) -> Float[Tensor, "examples classes"]:
    classifier = engine.classifier
    if isinstance(cell.edit, ParameterEdit):
        with applied(classifier.model, classifier.output_layer, cell.edit):
            return _resumed(engine, clean, cell.edit.layer)
    rewrites, others = engine.rewrites([cell]), engine.token_rewrites([cell])
    first = min(rewrites, default=classifier.n_layers)
    states = _rewrite_tokens(clean.layers[first], first, rewrites, others, clean)
    for layer in range(first + 1, classifier.n_layers):
        states = _call(classifier, clean, layer, states)
        states = _rewrite_tokens(states, layer, rewrites, others, clean)
    if first == classifier.n_layers:
        row = pooled_rows(states, clean.place)[None]
    else:
        row = _last_block(engine, clean, states)
        row = _rewrite(row, rewrites.get(classifier.n_layers), clean)
    return classifier.head(row[0])


def _resumed(
    engine: Engine, clean: CleanStates, layer: int | None
) -> Float[Tensor, "examples classes"]:
    """From block ``layer`` on, on the clean states below it."""
    classifier = engine.classifier
    if not layer:  # the embeddings themselves, or nothing that is known to come before a block
        return classifier.logits(clean.batch)
    states = clean.layers[layer - 1]
    for block in range(layer, classifier.n_layers):
        states = _call(classifier, clean, block, states)
    return classifier.head(_last_block(engine, clean, states)[0])


def _last_block(
    engine: Engine, clean: CleanStates, states: Float[Tensor, "examples tokens neurons"]
) -> Float[Tensor, "1 examples neurons"]:
    """Keys and values of all tokens, then everything else for the pooled row alone."""
    tap = _tap(engine)
    captured: list[KeyValues] = []
    tap.captured, tap.stop, tap.place = captured, True, clean.place
    try:
        _call(engine.classifier, clean, engine.classifier.n_layers, states)
    except BlockStop:
        pass
    finally:
        tap.captured, tap.stop = None, False
    row = pooled_rows(states, clean.place)[None]
    return _row_block(engine, clean, engine.classifier.n_layers, row, captured[0])


@torch.inference_mode()
def run_full(engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> Logits:
    """A whole forward pass per cell, with plain hooks or an edit of the live weights."""
    return torch.stack([_full_cell(engine, clean, cell) for cell in cells])


def _full_cell(engine: Engine, clean: CleanStates, cell: Cell) -> Float[Tensor, "examples classes"]:
    classifier = engine.classifier
    with intervene(classifier, cell, engine.site, seed=engine.seed, examples=clean.examples):
        logits = classifier.logits(clean.batch)
    if cell.space == "logit" and cell.target is not None and cell.strength is not None:
        logits = logits.clone()
        logits[:, classifier.classes.index(cell.target)] += cell.strength
    return logits


def _rewrite(
    rows: Float[Tensor, "cells examples neurons"], rewrite: LayerRewrite | None, clean: CleanStates
) -> Float[Tensor, "cells examples neurons"]:
    return rows if rewrite is None else rewrite(rows, clean.examples, clean.place)


def _rewrite_tokens(
    states: Float[Tensor, "examples tokens neurons"],
    layer: int,
    rewrites: dict[int, LayerRewrite],
    others: dict[int, LayerRewrite],
    clean: CleanStates,
) -> Float[Tensor, "examples tokens neurons"]:
    """The states with the pooled row (and, where asked, all other rows) rewritten."""
    if layer not in rewrites:
        return states
    return rewrite_tokens(states, rewrites[layer], others.get(layer), clean.place, clean.examples)


def _call(
    classifier: Classifier, clean: CleanStates, layer: int, states: Tensor
) -> Float[Tensor, "rows tokens neurons"]:
    """Calls block ``layer`` as the model itself did, on other hidden states."""
    call = clean.calls[layer - 1]
    return primary(classifier.blocks[layer - 1](states, *call.arguments, **call.keywords))


def _heads(classifier: Classifier, rows: Float[Tensor, "cells examples neurons"]) -> Logits:
    logits = classifier.head(rows.reshape(-1, rows.shape[-1]))
    return logits.reshape(*rows.shape[:2], -1)


def _tap(engine: Engine) -> Tap:
    if engine.tap is None:
        raise RuntimeError("stream and suffix run only inside `tapped`")
    return engine.tap
