"""The tiny model of a family with its engine, and what the contract asks of it.

The contract tests and ``docs/families.md`` are made from the same functions.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from synapse_audit.artifacts import Activations, Cell, LayerStatistics, Splits
from synapse_audit.interventions.operators import DEFAULT_STRENGTH
from synapse_audit.model import BLOCK_OUTPUT, HEAD_INPUT, Batch, Classifier, Encoded
from synapse_audit.model.activations import extract
from synapse_audit.model.families.known import family_for
from synapse_audit.neurons import NeuronSet
from synapse_audit.plan import FULL, STREAM, SUFFIX, cheapest
from synapse_audit.probes import layer_statistics
from synapse_audit.sweep import (
    CleanStates,
    Engine,
    Site,
    available_routes,
    clean_pass,
    tapped,
)
from synapse_audit.sweep.runners import RUNNERS

from .kinds import EXAMPLES, KINDS, Kind

CLASSES = ("a", "b", "c")
TOLERANCE = 1e-4
OLDER = int(transformers.__version__.partition(".")[0]) < 5
"""transformers 4: ELECTRA's attention is its own there, see docs/versions.md."""


def flipped(batch: Batch) -> Batch:
    """The same texts padded on the left."""
    ids, mask = batch["input_ids"], batch["attention_mask"]
    lengths = mask.sum(1).tolist()
    moved = [torch.roll(row, len(row) - n) for row, n in zip(ids, lengths, strict=True)]
    masks = [torch.roll(row, len(row) - n) for row, n in zip(mask, lengths, strict=True)]
    return {"input_ids": torch.stack(moved), "attention_mask": torch.stack(masks)}


@dataclass(frozen=True)
class Bench:
    """A tiny classifier with everything that its engine needs."""

    name: str
    kind: Kind
    classifier: Classifier
    batch: Batch
    site: Site

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """With the tap in place where the family allows it."""
        with tapped(self.classifier) as tap:
            yield Engine(self.classifier, self.site, 0, tap)

    def clean(self, engine: Engine, batch: Batch | None = None) -> CleanStates:
        """The clean pass over a batch."""
        given = self.batch if batch is None else batch
        return clean_pass(self.classifier, given, np.arange(EXAMPLES), engine.tap)


@cache
def bench(name: str) -> Bench:
    """A bench by name, built once; leave it as you found it."""
    kind = KINDS[name]
    model, batch = kind.build(), kind.batch()
    family = family_for(model.config)
    assert family is not None, name
    classifier = Classifier.wrap(
        model,
        classes=CLASSES,
        encoder=lambda inputs: _as_is(len(inputs)),
        collator=lambda rows: {n: v[[row["row"] for row in rows]] for n, v in batch.items()},
        family=family,
        name=name,
    )
    every, none = np.arange(EXAMPLES), np.arange(0)
    sites = classifier.sites[1:]
    found = extract(classifier, _as_is(EXAMPLES), fit=every, sites=sites, batch_size=EXAMPLES)
    splits = Splits(fit=every, select=none, evaluate=none)

    def statistics(held: Activations) -> tuple[LayerStatistics, ...]:
        return layer_statistics(held, splits, labels=every % 2, classes=("even", "odd"))

    inner = {n: Site(statistics(s.activations), s.others) for n, s in found.sites.items()}
    site = Site(statistics(found.activations), found.others, inner)
    return Bench(name, kind, classifier, batch, site)


def _as_is(n: int) -> Encoded:
    rows = tuple({"row": i} for i in range(n))
    return Encoded(rows, np.ones(n, dtype=np.int64), 0)


def cell(
    operator: str,
    neurons: Mapping[int, Sequence[int]],
    site: str = BLOCK_OUTPUT,
    position: Any = "pooled",
) -> Cell:
    """A neuron cell with the operator's default strength."""
    return Cell(
        "neuron",
        operator,
        site,
        strength=DEFAULT_STRENGTH.get(operator),
        position=position,
        neurons=NeuronSet.of(neurons),
    )


def own_logits(model: Any, batch: Batch) -> Tensor:
    """What transformers itself says."""
    with torch.no_grad():
        output = model(**batch)
    found: Tensor = output.logits if hasattr(output, "logits") else output.prediction_logits
    return found


def routes_of(b: Bench, engine: Engine, clean: CleanStates) -> tuple[str, ...]:
    """The fast routes of a family, cheapest first."""
    able = available_routes(b.classifier, engine.tap)
    rows = STREAM in able and clean.rows_alone
    return (STREAM, SUFFIX) if rows else (SUFFIX,)


def route_gaps(b: Bench, batch: Batch | None = None) -> dict[tuple[str, str], float]:
    """(route, site) → largest logit difference to plain hooks, over operators, layers, positions.

    A family that cannot run a route where it would be exact has no entry for it.
    """
    worst: dict[tuple[str, str], float] = {}
    with b.engine() as engine:
        clean = b.clean(engine, batch)
        able = frozenset(routes_of(b, engine, clean))
        for one in _probes(b):
            reference = RUNNERS[FULL](engine, clean, [one])
            for route in {_route(b, one, able), _route(b, one, able - {STREAM})} - {FULL}:
                gap = (RUNNERS[route](engine, clean, [one]) - reference).abs().max().item()
                key = (route, one.site)
                worst[key] = max(worst.get(key, 0.0), gap)
    return worst


@cache
def gaps_on_the_right(name: str) -> Mapping[tuple[str, str], float]:
    """Of a family's own batch."""
    return route_gaps(bench(name))


@cache
def gaps_on_the_left(name: str) -> Mapping[tuple[str, str], float]:
    """Of the same texts padded on the left."""
    b = bench(name)
    return route_gaps(b, flipped(b.batch))


def _route(b: Bench, one: Cell, able: frozenset[str]) -> str:
    c = b.classifier
    return cheapest(one, c.n_layers, able, causal=c.causal, resumable=c.resumable)


def _probes(b: Bench) -> Iterator[Cell]:
    """Every site: the last layer, the last two, all of them, at both positions."""
    last = b.classifier.n_layers
    for site in b.classifier.sites:
        statistics = b.site.at(site).pooled
        layers = range(last, last + 1) if site == HEAD_INPUT else range(1, last + 1)
        chosen = [("noise", [last], "pooled"), ("zero", [last - 1, last], "pooled")]
        chosen += [("mean", list(layers), "pooled"), ("mean", list(layers), "all")]
        if site == BLOCK_OUTPUT:
            chosen += [("noise", [0], "pooled"), ("zero", [1], "all")]
        for operator, touched, position in chosen[:1] if site == HEAD_INPUT else chosen:
            neurons = {m: range(0, len(statistics[m].mean), 3) for m in touched}
            yield cell(operator, neurons, site, position)
