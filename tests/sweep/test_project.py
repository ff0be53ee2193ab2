"""Directions removed from one layer: the same on every route, and what arithmetic says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from synapse_audit.artifacts import Cell, Erasure
from synapse_audit.interventions.operators import compile_rewrites
from synapse_audit.model import Classifier
from synapse_audit.neurons import NeuronSet
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX
from synapse_audit.sweep.runners import RUNNERS

from .rigs import Rig, random_bert, silence

WIDTH, LAYERS, ROWS = 8, 3, [0, 3, 5]


@pytest.fixture(scope="module")
def rig() -> Rig:
    return random_bert(layers=LAYERS, width=WIDTH, heads=2, seed=3)


def erasure(rank: int, seed: int) -> Erasure:
    """Oblique: what is read and what is taken away differ."""
    generator = np.random.default_rng(seed)
    read, write = generator.normal(size=(2, rank, WIDTH))
    read = np.linalg.solve(read @ write.T, read)
    centre = generator.normal(size=WIDTH)
    return Erasure(*(np.asarray(part, np.float32) for part in (read, write.T, centre)))


def project(layer: int, one: Erasure) -> Cell:
    everything = NeuronSet.of({layer: range(WIDTH)})
    return replace(
        silence("project", everything), strength=float(one.rank), erasure=one, layers=str(layer)
    )


CELLS = [project(layer, erasure(rank, 7 * layer + rank)) for layer in (1, 2, 3) for rank in (1, 2)]


def test_cells_of_different_ranks_share_a_stack_and_others_stay_bit_for_bit() -> None:
    states = torch.randn(5, WIDTH, generator=torch.Generator().manual_seed(0))
    cells = [CELLS[0], silence("mean", {2: [1]}), CELLS[1]]
    zeros = np.zeros(WIDTH, np.float32)
    from synapse_audit.artifacts import LayerStatistics

    layers = [LayerStatistics(zeros, zeros, zeros)] * (LAYERS + 1)
    rewrite = compile_rewrites(cells, layers, seed=0, device="cpu")[1]
    examples = torch.arange(5)
    found = rewrite(states.expand(3, -1, -1), examples, torch.zeros_like(examples)).numpy()
    assert found[1].tobytes() == states.numpy().tobytes()
    for row, cell in ((0, CELLS[0]), (2, CELLS[1])):
        assert cell.erasure is not None
        expected = states.numpy() - cell.erasure.removed(states.numpy())
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
    pairs = rewrite.of(torch.tensor([2, 0, 1, 2, 0]))
    mixed = pairs(states[None], examples, torch.zeros_like(examples))[0].numpy()
    np.testing.assert_allclose(mixed, found[[2, 0, 1, 2, 0], range(5)], atol=1e-6)


def test_every_route_gives_what_plain_hooks_give(rig: Rig) -> None:
    with rig.engine() as engine:
        clean = rig.clean(engine, ROWS)
        reference = RUNNERS[FULL](engine, clean, CELLS)
        assert (reference - clean.logits).abs().amax(dim=(1, 2)).min() > 1e-3
        for cell, expected in zip(CELLS, reference, strict=True):
            routes = {"1": [SUFFIX], "2": [SUFFIX, STREAM], "3": [SUFFIX, STREAM, HEAD]}
            for route in routes[str(cell.layers)]:
                found = RUNNERS[route](engine, clean, [cell])[0]
                torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_in_the_last_layer_the_head_reads_what_is_left(rig: Rig) -> None:
    classifier: Classifier = rig.classifier
    with rig.engine() as engine:
        clean = rig.clean(engine, ROWS)
        states = clean.pooled(LAYERS).numpy()
        for cell in CELLS[-2:]:
            assert cell.erasure is not None
            left = states - cell.erasure.removed(states)
            expected = classifier.head(torch.from_numpy(left.astype(np.float32)))
            found = RUNNERS[HEAD](engine, clean, [cell])[0]
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_actions_differ_by_what_is_removed_and_keys_by_why() -> None:
    one, other = project(1, erasure(1, 0)), project(1, erasure(1, 1))
    assert one.action != other.action and one.key == other.key
    assert replace(one, ranking="leace").key != one.key
    plain = replace(one, erasure=None)
    assert plain.action != one.action
