"""The contract of every operator, its formula by hand, and noise that depends on its key alone."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from synapse_audit.artifacts import Cell, LayerStatistics
from synapse_audit.errors import UsageError
from synapse_audit.neurons import NeuronSet
from synapse_audit.operators import (
    DEFAULT_STRENGTH,
    OPERATORS,
    compile_rewrites,
    keyed_normal,
    operator,
)

WIDTH, EXAMPLES = 6, 5
CHOSEN = [1, 4]
RNG = np.random.default_rng(0)
STATISTICS = LayerStatistics(*RNG.gamma(2, size=(3, WIDTH)).astype(np.float32))
STATES = torch.from_numpy(RNG.normal(size=(EXAMPLES, WIDTH)).astype(np.float32))
EVERY = torch.arange(EXAMPLES)
FIRST = torch.zeros(EXAMPLES, dtype=torch.int64)


def _cell(name: str, ids: list[int] = CHOSEN, *, layer: int = 1) -> Cell:
    return Cell(
        space="neuron",
        operator=name,
        site="block_output",
        strength=DEFAULT_STRENGTH.get(name),
        position="pooled",
        neurons=NeuronSet.of({layer: ids}),
    )


def _apply(
    cells: list[Cell],
    states: Tensor = STATES,
    *,
    seed: int = 0,
    layer: int = 1,
    examples: Tensor = EVERY,
    token: Tensor = FIRST,
) -> Tensor:
    rewrites = compile_rewrites(cells, [STATISTICS] * 3, seed=seed, device="cpu")
    return rewrites[layer](states.expand(len(cells), -1, -1), examples, token)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_empty_set_compiles_to_nothing(name: str) -> None:
    assert compile_rewrites([_cell(name, [])], [STATISTICS] * 3, seed=0, device="cpu") == {}


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_empty_set_stacked_beside_others_is_the_identity_bit_for_bit(name: str) -> None:
    busy = [_cell(other, list(range(WIDTH))) for other in sorted(OPERATORS)]
    changed = _apply([_cell(name, []), *busy])
    assert changed[0].numpy().tobytes() == STATES.numpy().tobytes()


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_other_neurons_are_bit_untouched_and_chosen_ones_change(name: str) -> None:
    changed = _apply([_cell(name)])[0]
    rest = [i for i in range(WIDTH) if i not in CHOSEN]
    assert changed[:, rest].numpy().tobytes() == STATES[:, rest].numpy().tobytes()
    assert (changed[:, CHOSEN] != STATES[:, CHOSEN]).all()


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_the_states_given_are_not_written_to(name: str) -> None:
    before = STATES.clone()
    _apply([_cell(name)])
    assert torch.equal(before, STATES)


FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "mean": lambda x: torch.from_numpy(STATISTICS.mean[CHOSEN]).expand_as(x),
    "zero": torch.zeros_like,
    "scale": lambda x: x * 0.5,
    "flip": lambda x: -x,
}


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_formula(name: str) -> None:
    expected = FORMULAS[name](STATES[:, CHOSEN])
    assert torch.equal(_apply([_cell(name)])[0][:, CHOSEN], expected)


def test_every_operator_has_its_formula_tested() -> None:
    assert set(OPERATORS) == {*FORMULAS, "noise"}


def test_noise_adds_the_keyed_numbers_times_the_spread() -> None:
    added = (_apply([_cell("noise")])[0] - STATES)[:, CHOSEN]
    twice = Cell("neuron", "noise", "block_output", strength=2.0, neurons=NeuronSet.of({1: CHOSEN}))
    unit = added / torch.from_numpy(STATISTICS.spread[CHOSEN])
    assert unit.abs().max() < 5
    assert unit.flatten().unique().numel() == EXAMPLES * len(CHOSEN)
    assert (_apply([twice])[0] - STATES)[:, CHOSEN].abs().mean() > added.abs().mean() / 2


def test_noise_is_standard_normal() -> None:
    """400,000 numbers; each tolerance is 5 standard errors: of mean, sd, tail, correlation."""
    keys = torch.tensor([3, -(2**62), 10**18, 0])
    values = keyed_normal(keys, torch.arange(1000), torch.zeros(1000, dtype=torch.int64), 100)
    numbers = values.double().numpy()
    assert abs(numbers.mean()) < 0.008
    assert abs(numbers.std() - 1) < 0.006
    assert abs((np.abs(numbers) > 1.96).mean() - 0.05) < 0.002
    flat = numbers.reshape(4, -1)
    assert np.abs(np.corrcoef(flat) - np.eye(4)).max() < 0.016, "cells are independent"
    lagged = [np.corrcoef(numbers[..., :-1].ravel(), numbers[..., 1:].ravel())[0, 1]]
    lagged.append(np.corrcoef(numbers[:, :-1].ravel(), numbers[:, 1:].ravel())[0, 1])
    assert np.abs(lagged).max() < 0.008, "neighbouring neurons and examples are independent"


def test_noise_depends_on_the_example_not_on_its_place() -> None:
    order = torch.tensor([3, 0, 4])
    whole = _apply([_cell("noise")])[0]
    part = _apply([_cell("noise")], STATES[order], examples=order, token=FIRST[order])[0]
    assert torch.equal(part, whole[order])


def test_noise_of_a_cell_does_not_depend_on_its_neighbours() -> None:
    alone = _apply([_cell("noise")])[0]
    beside = _apply([_cell("zero"), _cell("noise", [0]), _cell("noise")])[2]
    assert torch.equal(alone, beside)


@pytest.mark.parametrize("what", ["seed", "cell", "layer", "token", "example"])
def test_noise_differs_for_another(what: str) -> None:
    ids = CHOSEN if what != "cell" else [1, 3, 4]
    cell = _cell("noise", ids, layer=2 if what == "layer" else 1)
    shift = {name: int(what == name) for name in ("token", "example")}
    other = _apply(
        [cell],
        seed=int(what == "seed"),
        layer=2 if what == "layer" else 1,
        token=FIRST + shift["token"],
        examples=EVERY + EXAMPLES * shift["example"],
    )
    assert (other[0][:, CHOSEN] != _apply([_cell("noise")])[0][:, CHOSEN]).all()


def test_stacked_cells_equal_each_alone() -> None:
    cells = [_cell(name) for name in sorted(OPERATORS)]
    stacked = _apply(cells)
    for row, cell in enumerate(cells):
        assert torch.equal(stacked[row], _apply([cell])[0])


def test_a_layer_that_some_cells_leave_alone_is_the_identity_there() -> None:
    cells = [_cell("flip", layer=1), _cell("flip", layer=2)]
    assert torch.equal(_apply(cells, layer=1)[1], STATES)
    assert torch.equal(_apply(cells, layer=2)[0], STATES)


def test_an_unknown_operator_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match="'zer0' given; did you mean 'zero'"):
        operator("zer0")


@pytest.mark.parametrize("name", ["noise", "scale"])
def test_a_missing_strength_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' given without a strength"):
        OPERATORS[name](STATISTICS, None)
