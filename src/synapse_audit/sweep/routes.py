"""The four ways to get a cell's logits, cheapest first: head, stream, suffix, full.

In: a batch's :class:`CleanStates` and cells. Out: logits (cells, examples, classes). ``full`` is
the reference that the others are held against; it knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from synapse_audit.artifacts import Cell, HeadEdit, ParameterEdit
from synapse_audit.interventions.edits import applied
from synapse_audit.interventions.operators import AnyRewrite
from synapse_audit.model import BLOCK_OUTPUT, Classifier
from synapse_audit.model.evaluation_mode import evaluating
from synapse_audit.model.hooks import forward_pre_hooks, primary
from synapse_audit.sweep.clean import BlockCall, CleanStates, pooled_rows
from synapse_audit.sweep.engine import Engine, rows_rewritten, tokens_rewritten
from synapse_audit.sweep.inputs import attacked
from synapse_audit.sweep.intervening import intervene, rewrite_tokens
from synapse_audit.sweep.logits import logit_cell
from synapse_audit.sweep.tap import BlockStop, KeyValues, Tap

Logits = Float[Tensor, "cells examples classes"]


@torch.inference_mode()
def run_head(engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> Logits:
    """No block runs: only the head, on the clean final pooled state."""
    head_input, logits = _head_reading(engine.classifier, clean)
    rows = [_head_cell(engine, clean, cell, head_input, logits) for cell in cells]
    return torch.stack(rows)


def _head_reading(classifier: Classifier, clean: CleanStates) -> tuple[Tensor, Tensor]:
    seen: list[Tensor] = []
    with forward_pre_hooks([(classifier.output_layer, lambda args, _: seen.append(args[0]))]):
        logits = classifier.decide(clean.layers[-1], clean.pooling)
    return seen[-1], logits


def _head_cell(
    engine: Engine, clean: CleanStates, cell: Cell, head_input: Tensor, logits: Tensor
) -> Float[Tensor, "examples classes"]:
    classifier = engine.classifier
    # In a coarser format an edit is rounded to what the weights can hold, so it is put in.
    put_in = isinstance(cell.edit, ParameterEdit) or logits.dtype != torch.float32
    if cell.edit is not None and put_in:
        with applied(classifier.model, classifier.output_layer, cell.edit):
            return classifier.decide(clean.layers[-1], clean.pooling)
    if isinstance(cell.edit, HeadEdit):
        weight = torch.from_numpy(cell.edit.weight).to(head_input)
        bias = torch.from_numpy(cell.edit.bias).to(logits)
        return logits + (head_input @ weight.T).to(logits) + bias
    if cell.space == "logit":
        return _logit_cell(engine, clean, cell, logits)
    rewrites, states = engine.rewrites([cell]), clean.layers[-1]
    if cell.site == BLOCK_OUTPUT and rewrites:
        rewrite = rewrites[classifier.n_layers]
        if clean.pooling.single:
            state = clean.pooled(classifier.n_layers)[None]
            return classifier.head(rewrite(state, clean.examples, clean.place)[0])
        changed = rewrite_tokens(states, rewrite, None, clean.pooling, clean.examples)
        return classifier.decide(changed, clean.pooling)
    with rows_rewritten(engine, clean, cell.site, rewrites):
        return classifier.decide(states, clean.pooling)


@torch.inference_mode()
def run_stream(engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> Logits:
    """Only the pooled row runs, for all cells at once, against clean keys and values.

    Returns:
        Logits (cells, examples, classes).

    Raises:
        RuntimeError: one row cannot be asked for alone; no plan takes this route then.
    """
    if not clean.rows_alone:
        raise RuntimeError("the attention of this family cannot be asked for one row alone")
    classifier, site, rewrites = engine.classifier, cells[0].site, engine.rewrites(cells)
    first = start_layer(site, rewrites, classifier.n_layers)
    rows = clean.pooled(first).expand(len(cells), -1, -1)
    if first in rewrites:
        rows = rewrites[first](rows, clean.examples, clean.place)
    with rows_rewritten(engine, clean, site, _after(first, rewrites), after=first):
        for layer in range(first + 1, classifier.n_layers + 1):
            rows = _row_block(engine, clean, layer, rows, clean.key_values[layer - 1])
    return _heads(classifier, rows)


def start_layer(site: str, touched: Collection[int], n_layers: int) -> int:
    """The layer whose clean states a cell resumes from, given those it touches."""
    first = min(touched, default=n_layers)
    return first if site == BLOCK_OUTPUT or not touched else first - 1


def _after(layer: int, rewrites: Mapping[int, AnyRewrite]) -> dict[int, AnyRewrite]:
    return {m: rewrite for m, rewrite in rewrites.items() if m > layer}


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
        call = clean.calls[layer - 1].of_rows(clean.place, len(rows))
        output = call_block(engine.classifier, call, layer, rows.reshape(-1, 1, rows.shape[-1]))
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
    first = start_layer(cell.site, rewrites, classifier.n_layers)
    return resume(engine, clean, Change(cell.site, first, rewrites, others))


@dataclass(frozen=True)
class Change:
    """What is rewritten from a layer on."""

    site: str
    first: int
    """The layer whose clean states are resumed from."""
    rewrites: Mapping[int, AnyRewrite]
    """Layer → rewrite of the rows that the head reads."""
    others: Mapping[int, AnyRewrite]
    """Layer → rewrite of the other tokens."""


def resume(engine: Engine, clean: CleanStates, change: Change) -> Float[Tensor, "examples classes"]:
    """Runs the blocks above ``change.first``, the last one for the pooled row alone."""
    classifier, first, last = engine.classifier, change.first, engine.classifier.n_layers
    site, rewrites, others = change.site, change.rewrites, change.others
    states = clean.layers[first]
    if first in rewrites and site == BLOCK_OUTPUT:
        states = rewrite_tokens(
            states, rewrites[first], others.get(first), clean.pooling, clean.examples
        )
    if first == last:
        return classifier.decide(states, clean.pooling)
    inside = _after(first, rewrites)
    final = {last: inside.pop(last)} if last in inside else {}
    with tokens_rewritten(engine, clean, site, inside, others, after=first):
        for layer in range(first + 1, last):
            states = call_block(classifier, clean.calls[layer - 1], layer, states)
    if clean.rows_alone:
        with rows_rewritten(engine, clean, site, final, after=last - 1):
            return classifier.head(_last_block(engine, clean, states)[0])
    with tokens_rewritten(engine, clean, site, final, others, after=last - 1):
        states = call_block(classifier, clean.calls[last - 1], last, states)
    return classifier.decide(states, clean.pooling)


def _resumed(
    engine: Engine, clean: CleanStates, layer: int | None
) -> Float[Tensor, "examples classes"]:
    """From block ``layer`` on, on the clean states below it."""
    classifier = engine.classifier
    if not layer:  # the embeddings themselves, or nothing that is known to come before a block
        return classifier.logits(clean.batch)
    states = clean.layers[layer - 1]
    last = classifier.n_layers
    for block in range(layer, last):
        states = call_block(classifier, clean.calls[block - 1], block, states)
    if clean.rows_alone:
        return classifier.head(_last_block(engine, clean, states)[0])
    final = call_block(classifier, clean.calls[last - 1], last, states)
    return classifier.decide(final, clean.pooling)


def _last_block(
    engine: Engine, clean: CleanStates, states: Float[Tensor, "examples tokens neurons"]
) -> Float[Tensor, "1 examples neurons"]:
    """Keys and values of all tokens, then everything else for the pooled row alone."""
    tap = _tap(engine)
    captured: list[KeyValues] = []
    tap.captured, tap.stop, tap.place = captured, True, clean.place
    try:
        call_block(engine.classifier, clean.calls[-1], engine.classifier.n_layers, states)
    except BlockStop:
        pass
    finally:
        tap.captured, tap.stop = None, False
    row = pooled_rows(states, clean.place)[None]
    return _row_block(engine, clean, engine.classifier.n_layers, row, captured[0])


@torch.inference_mode()
def run_full(engine: Engine, clean: CleanStates, cells: Sequence[Cell]) -> Logits:
    """A whole forward pass per cell, with plain hooks or an edit of the live weights."""
    attacks = iter(attacked(engine, clean, [cell for cell in cells if cell.space == "input"]))
    return torch.stack(
        [
            next(attacks) if cell.space == "input" else _full_cell(engine, clean, cell)
            for cell in cells
        ]
    )


def _full_cell(engine: Engine, clean: CleanStates, cell: Cell) -> Float[Tensor, "examples classes"]:
    classifier = engine.classifier
    with intervene(classifier, cell, engine.site, seed=engine.seed, examples=clean.examples):
        logits = classifier.logits(clean.batch)
    return _logit_cell(engine, clean, cell, logits) if cell.space == "logit" else logits


def _logit_cell(
    engine: Engine, clean: CleanStates, cell: Cell, logits: Tensor
) -> Float[Tensor, "examples classes"]:
    return logit_cell(
        cell,
        logits,
        classes=engine.classifier.classes,
        examples=clean.examples,
        seed=engine.seed,
        decision=engine.classifier.decision,
    )


def call_block(
    classifier: Classifier, call: BlockCall, layer: int, states: Tensor
) -> Float[Tensor, "rows ... neurons"]:
    """Calls block ``layer`` as the model itself did, on other hidden states.

    The model may have moved the states there from another device, which a block alone does not do.
    """
    block = classifier.blocks[layer - 1]
    with evaluating(block):
        return primary(block(states.to(call.device), *call.arguments, **call.keywords))


def _heads(classifier: Classifier, rows: Float[Tensor, "cells examples neurons"]) -> Logits:
    logits = classifier.head(rows.reshape(-1, rows.shape[-1]))
    return logits.reshape(*rows.shape[:2], -1)


def _tap(engine: Engine) -> Tap:
    if engine.tap is None:
        raise RuntimeError("stream and suffix run only inside `tapped`")
    return engine.tap
