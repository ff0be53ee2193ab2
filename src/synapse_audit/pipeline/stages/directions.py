"""Which directions are removed from each layer, and the random ones that stand beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from synapse_audit.artifacts import Activations, Erasure, Probe
from synapse_audit.memory import release_memory
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.plan import Direction
from synapse_audit.probes.directions import (
    Concept,
    Spread,
    concept,
    directions_of_variance,
    leace,
    mean_difference,
    probe_directions,
    random_directions,
    removed_variance,
)
from synapse_audit.tables.run import DIRECTIONS

DRAWS = 5
"""Random sets of directions per set, at most."""

METHODS = ("mean_difference", "probe", "leace")
"""What the grid may name; see :mod:`synapse_audit.probes.directions`."""

EQUAL_RANK, EQUAL_VARIANCE = "random", "equal_variance"
"""Selections of the random directions."""


class Layer(NamedTuple):
    """One layer's states on ``fit``, and its probe."""

    number: int
    given: Concept
    rows: Float[np.ndarray, "present neurons"]
    """The probe's weights in the space of the states, classes that occur."""


def direction_inputs(
    run: Run, subject: Subject, activations: Activations, probes: tuple[Probe, ...]
) -> tuple[Direction, ...]:
    """Every set of directions of the grid, with its file ``directions.parquet``.

    None where the grid names no method. Layers that do not vary are passed over.
    """
    grid, seed = run.config.grid, run.config.seed
    if not grid.directions:
        return ()
    found: list[Direction] = []
    table = []
    names = _present(subject)
    draws = min(DRAWS, grid.draws)
    for layer in _layers(subject, activations, probes):
        last = layer.number == len(activations.layers) - 1
        mine = list(directions_of(layer, names if last else (), grid.directions, draws, seed))
        held_out = np.asarray(activations.layers[layer.number][subject.splits.evaluate])
        table += [_row(one, layer.given.spread, held_out) for one in mine]
        found += mine
        release_memory()
    if not run.has("directions.parquet"):
        rows = pd.DataFrame(table, columns=DIRECTIONS.names).astype(DIRECTIONS.types)
        run.folder.write_table("directions", rows)
    return tuple(found)


def _present(subject: Subject) -> tuple[str, ...]:
    labels = np.unique(subject.data.labels[subject.splits.fit])
    return tuple(subject.data.classes[label] for label in labels)


def _layers(
    subject: Subject, activations: Activations, probes: tuple[Probe, ...]
) -> Iterator[Layer]:
    fit, data = subject.splits.fit, subject.data
    labels = data.labels[fit]
    by_scope: Mapping[str, Probe] = {probe.scope: probe for probe in probes}
    for number in activations.blocks:
        states = np.asarray(activations.layers[number][fit])
        given = concept(states, labels, data.weights[fit])
        if given is not None:
            probe = by_scope[str(number)]
            yield Layer(number, given, (probe.weights / probe.scale)[np.unique(labels)])


def directions_of(
    layer: Layer, names: tuple[str, ...], methods: tuple[str, ...], draws: int, seed: int
) -> Iterator[Direction]:
    """All sets of one layer: of all classes together, and of each class named.

    Of two classes one direction is that of both, so neither has its own.
    """
    wanted: list[tuple[str | None, Concept, Int[np.ndarray, " rows"]]]
    wanted = [(None, layer.given, np.arange(len(layer.rows)))]
    if len(names) > 2:
        wanted += [(name, layer.given.of(c), np.array([c])) for c, name in enumerate(names)]
    ranks: dict[int, None] = {}
    for place, (ranked_for, given, rows) in enumerate(wanted):
        for method in methods:
            erasure = _erasure(method, given, layer.rows[rows])
            ranks[erasure.rank] = None
            yield Direction(layer.number, method, ranked_for, "direction", None, erasure)
            variance = removed_variance(erasure, given.spread)
            for draw in range(draws):
                key = [seed, layer.number, place, METHODS.index(method), draw, 1]
                one = directions_of_variance(given.spread, erasure.rank, variance, _drawn(key))
                yield Direction(layer.number, method, ranked_for, EQUAL_VARIANCE, draw, one)
    for rank in ranks:
        for draw in range(draws):
            one = random_directions(layer.given.spread, rank, _drawn([seed, layer.number, draw, 0]))
            yield Direction(layer.number, None, None, EQUAL_RANK, draw, one)


def _drawn(key: list[int]) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(key))


def _erasure(method: str, given: Concept, rows: Float[np.ndarray, "rows neurons"]) -> Erasure:
    if method == "probe":
        return probe_directions(given.spread, rows)
    return leace(given) if method == "leace" else mean_difference(given)


def _row(
    one: Direction, spread: Spread, held_out: Float[np.ndarray, "evaluate neurons"]
) -> tuple[object, ...]:
    away = held_out.astype(np.float64) - held_out.mean(axis=0, dtype=np.float64)
    taken = away @ one.erasure.read.T @ one.erasure.write.T
    total = float((away**2).sum())
    return (
        one.layer,
        one.method,
        one.ranked_for,
        one.selection,
        one.draw,
        one.erasure.rank,
        removed_variance(one.erasure, spread) / spread.total,
        float((taken**2).sum()) / total if total > 0 else np.nan,
    )
