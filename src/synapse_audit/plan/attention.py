"""Cells that silence attention heads: each alone, and ranked sets beside as many random heads.

A head is silenced by holding its slice of what the attention output matrix reads at its average
over ``fit``, so that it adds the same to the residual stream whatever the input. Michel et al. 2019
(arXiv 1905.10650) set heads to zero at every token; here that is the operator ``zero``, position
``all``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from synapse_audit.artifacts import ALL_LAYERS, GLOBAL, SILENCING, Cell
from synapse_audit.neurons import NeuronSet, bottom, count, random_draw, top
from synapse_audit.neurons.addresses import format_addresses
from synapse_audit.plan.plan_inputs import AttentionHeads, PlanInputs

SITE = "attention_head"

HEAD_DRAWS = 5
"""Random controls per set, at most."""


def head_cells(s: PlanInputs) -> Iterator[Cell]:
    """Every head alone (mean); together they are the random control of any one of them."""
    if s.attention is None:
        return
    for layer in s.attention.layers:
        for head in range(s.attention.heads):
            chosen = s.attention.neurons(NeuronSet.of({layer: [head]}))
            yield replace(
                _at("mean", layers=str(layer)),
                selection="each",
                addresses=format_addresses(chosen, SITE),
                neurons=chosen,
            )


def head_set_cells(s: PlanInputs) -> Iterator[Cell]:
    """Top, bottom and random heads over all layers (mean and zero), and each class's own top."""
    for fraction in s.grid.site_fractions:
        if s.attention is None or not count(fraction, s.attention.heads):
            continue
        for operator in SILENCING:
            yield from _sets(s, s.attention, replace(_at(operator), fraction=fraction))
        for name in s.ranked_classes:
            base = replace(_at("mean"), fraction=fraction)
            yield _ranked(s.attention, base, "top", name)
        if s.grid.position_fractions:
            base = replace(_at("mean", position="all"), fraction=fraction)
            yield from _sets(s, s.attention, base)


def _at(operator: str, *, layers: str = ALL_LAYERS, position: str = "pooled") -> Cell:
    return Cell(
        space="neuron",
        operator=operator,
        site=SITE,
        position="all" if position == "all" else "pooled",
        layers=layers,
    )


def _sets(s: PlanInputs, attention: AttentionHeads, base: Cell) -> Iterator[Cell]:
    for selection in ("top", "bottom"):
        yield _ranked(attention, base, selection, GLOBAL)
    each = count(base.fraction or 0.0, attention.heads)
    counts = dict.fromkeys(attention.layers, each)
    for draw in s.draws[:HEAD_DRAWS]:
        heads = random_draw(attention.per_layer, counts, draw, s.seed)
        yield replace(base, selection="random", draw=draw, neurons=attention.neurons(heads))


def _ranked(attention: AttentionHeads, base: Cell, selection: str, ranked_for: str | None) -> Cell:
    """The heads at one end of the ranking, the same number in each layer."""
    end = top if selection == "top" else bottom
    scores = attention.ranking.scores[ranked_for]
    heads = end(scores, base.fraction or 0.0, attention.layers)
    return replace(
        base,
        selection=selection,
        ranking=attention.ranking.method,
        ranked_for=ranked_for,
        neurons=attention.neurons(heads),
    )
