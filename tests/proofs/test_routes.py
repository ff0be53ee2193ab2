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
from synapse_audit.operators import OPERATORS
from synapse_audit.plan import FULL, STREAM, SUFFIX, cheapest
from synapse_audit.sweep.runners import RUNNERS

pytestmark = pytest.mark.proof

TOLERANCE = 1e-4
WIDTH, CLASSES, EXAMPLES = 8, ("a", "b", "c"), 7

POSITIONS: tuple[Position, ...] = ("pooled", "all")


@st.composite
def neuron_cells(draw: st.DrawFn, layers: int) -> Cell:
    """Any operator on any set, the empty one included, at either position."""
    sets = st.dictionaries(
        st.integers(0, layers), st.sets(st.integers(0, WIDTH - 1)), max_size=layers + 1
    )
    chosen = {m: sorted(ids) for m, ids in draw(sets).items()}
    return silence(draw(st.sampled_from(sorted(OPERATORS))), chosen, draw(st.sampled_from(POSITIONS)))


@st.composite
def head_cells(draw: st.DrawFn) -> Cell:
    """An edit of the head, or a shift of one logit."""
    target = draw(st.sampled_from(CLASSES))
    if draw(st.booleans()):
        return Cell("logit", "shift", "logits", strength=draw(st.floats(-9, 9)), target=target)
    numbers = np.random.default_rng(draw(st.integers(0, 99)))
    weight = numbers.normal(size=(len(CLASSES), WIDTH)).astype(np.float32)
    edit = HeadEdit(weight, numbers.normal(size=len(CLASSES)).astype(np.float32))
    return Cell("weight", "push", "head_weight", target=target, edit=edit)


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
        kinds = st.one_of(neuron_cells(layers), neuron_cells(layers), head_cells())
        cells = data.draw(st.lists(kinds, min_size=1, max_size=6))
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
