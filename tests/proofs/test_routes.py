"""Every exact route gives what plain hooks give, on many random models, sets and operators.

The same property as in the default suite, on 400 drawn models instead of 20, with batches of any
composition, up to 5 blocks, and several cells stacked. Takes about two minutes on one core.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sweep.rigs import Position, random_bert, silence

from synapse_audit.artifacts import Cell, HeadEdit
from synapse_audit.interventions.operators import OPERATORS, SINGLE
from synapse_audit.plan import FULL, STREAM, SUFFIX, cheapest
from synapse_audit.sweep.runners import RUNNERS

pytestmark = pytest.mark.proof

TOLERANCE = 1e-4
WIDTH, CLASSES, EXAMPLES = 8, ("a", "b", "c"), 7

POSITIONS: tuple[Position, ...] = ("pooled", "all")


Drawn = tuple[str, dict[int, set[int]], Position]
"""Operator, sets by layer, position: built into a cell after drawing, as checked code may not run
inside a strategy."""


def neuron_draws(layers: int) -> st.SearchStrategy[Drawn]:
    """Any operator on any set, the empty one included, at either position."""
    sets = st.dictionaries(
        st.integers(0, layers), st.sets(st.integers(0, WIDTH - 1)), max_size=layers + 1
    )
    return st.tuples(st.sampled_from(sorted(OPERATORS)), sets, st.sampled_from(POSITIONS))


def neuron_cell(drawn: Drawn) -> Cell:
    """The cell that was drawn."""
    operator, sets, position = drawn
    where: Position = "pooled" if operator in SINGLE else position
    return silence(operator, {m: sorted(ids) for m, ids in sets.items()}, where)


def head_cells(target: str, strength: float, seed: int) -> list[Cell]:
    """A shift of one logit, and a random edit of the head."""
    numbers = np.random.default_rng(seed)
    weight = numbers.normal(size=(len(CLASSES), WIDTH)).astype(np.float32)
    edit = HeadEdit(weight, numbers.normal(size=len(CLASSES)).astype(np.float32))
    return [
        Cell("logit", "shift", "logits", strength=strength, target=target),
        Cell("weight", "push", "head_weight", target=target, edit=edit),
    ]


def exact_routes(cell: Cell, n_layers: int) -> set[str]:
    """Every route that the planner may pick, whatever a family offers."""
    offers = [frozenset({STREAM, SUFFIX}), frozenset({SUFFIX}), frozenset[str]()]
    return {cheapest(cell, n_layers, offer) for offer in offers}


def test_every_route_equals_plain_hooks(tell: Callable[[str], None]) -> None:
    worst: dict[str, float] = {}

    @settings(
        max_examples=400,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(data=st.data())
    def holds(data: st.DataObject) -> None:
        layers, heads = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1, 2, 4, 8]))
        seed = data.draw(st.integers(0, 10_000))
        rig = random_bert(layers=layers, width=WIDTH, heads=heads, seed=seed)
        drawn = data.draw(st.lists(neuron_draws(layers), min_size=1, max_size=6))
        target, strength = data.draw(st.sampled_from(CLASSES)), data.draw(st.floats(-9, 9))
        cells = [*map(neuron_cell, drawn), *head_cells(target, strength, seed)]
        batch = data.draw(st.sets(st.integers(0, EXAMPLES - 1), min_size=1))
        with rig.engine(seed) as engine, rig.classifier.unharmed():
            clean = rig.clean(engine, sorted(batch))
            by_route: dict[str, list[Cell]] = {}
            for cell in cells:
                for route in exact_routes(cell, layers):
                    by_route.setdefault(route, []).append(cell)
            for route, chosen in by_route.items():
                fast, slow = (RUNNERS[name](engine, clean, chosen) for name in (route, FULL))
                gap = float((fast - slow).abs().max())
                worst[route] = max(worst.get(route, 0.0), gap)
                torch.testing.assert_close(fast, slow, atol=TOLERANCE, rtol=0)

    holds()
    tell("largest logit gaps: " + ", ".join(f"{r} {g:.1e}" for r, g in sorted(worst.items())))
