"""The contract of every operator, its formula by hand, and noise that depends on its key alone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from synapse_audit.artifacts import Cell, LayerStatistics
from synapse_audit.errors import UsageError
from synapse_audit.interventions.operators import (
    DEFAULT_STRENGTH,
    OPERATORS,
    compile_rewrites,
    keyed_integer,
    keyed_normal,
    operator,
)
from synapse_audit.neurons import NeuronSet

WIDTH, EXAMPLES = 6, 5
CHOSEN = [1, 4]
RNG = np.random.default_rng(0)
FIT = RNG.normal(size=(7, WIDTH)).astype(np.float32)
MEAN, SPREAD, NORM, UP = RNG.gamma(2, size=(4, WIDTH)).astype(np.float32)
STATISTICS = LayerStatistics(
    MEAN,
    SPREAD,
    NORM,
    low=np.full(WIDTH, 3.0, np.float32),
    high=3.0 + UP,
    class_means={"a": FIT[0], "b": FIT[1]},
    bank=FIT,
)
OTHERS = LayerStatistics(MEAN, SPREAD, NORM)
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
        target="a",
        donor=4,
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
    "negate": lambda x: -x,
    "clamp": lambda x: x.clamp(
        torch.from_numpy(STATISTICS.low[CHOSEN]), torch.from_numpy(STATISTICS.high[CHOSEN])
    ),
    "class_mean": lambda x: torch.from_numpy(FIT[0, CHOSEN]).expand_as(x),
    "patch": lambda x: torch.from_numpy(FIT[4, CHOSEN]).expand_as(x),
    "translate": lambda x: x + torch.from_numpy(FIT[0, CHOSEN] - MEAN[CHOSEN]),
}


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_formula(name: str) -> None:
    expected = FORMULAS[name](STATES[:, CHOSEN])
    assert torch.equal(_apply([_cell(name)])[0][:, CHOSEN], expected)


def test_every_operator_has_its_formula_tested() -> None:
    assert set(OPERATORS) == {*FORMULAS, "noise", "gaussian", "resample"}


def test_translation_from_a_class_goes_from_its_mean() -> None:
    cell = replace(_cell("translate"), source="b", strength=2.0)
    expected = STATES[:, CHOSEN] + torch.from_numpy(2 * (FIT[0] - FIT[1])[CHOSEN])
    assert torch.allclose(_apply([cell])[0][:, CHOSEN], expected, atol=1e-6)


def test_resampling_puts_in_one_other_example_at_all_layers() -> None:
    cell = replace(_cell("resample"), neurons=NeuronSet.of({1: CHOSEN, 2: CHOSEN}))
    put_in = [_apply([cell], layer=layer)[0][:, CHOSEN] for layer in (1, 2)]
    assert torch.equal(*put_in), "one donor per example, whatever the layer"
    rows = [np.flatnonzero((FIT[:, CHOSEN] == row.numpy()).all(axis=1)) for row in put_in[0]]
    assert all(len(found) == 1 for found in rows)
    assert len({int(found[0]) for found in rows}) > 1
    some = _apply([cell], STATES[1:3], examples=EVERY[1:3], token=FIRST[1:3])[0][:, CHOSEN]
    assert torch.equal(some, put_in[0][1:3]), "the donor depends on the example, not on its place"


def test_resampling_draws_uniformly() -> None:
    """Chi-square with 9 degrees of freedom: 27.9 is its 99.9 % point."""
    drawn = keyed_integer(torch.tensor([5 * 10**17, -3 * 10**18]), torch.arange(5000), 10).numpy()
    counts = np.bincount(drawn.ravel(), minlength=10)
    assert ((counts - 1000) ** 2 / 1000).sum() < 27.9


def test_gaussian_noise_has_one_sigma_for_all() -> None:
    own = (_apply([_cell("gaussian")])[0] - STATES)[:, CHOSEN]
    twice = (_apply([replace(_cell("gaussian"), strength=1.8)])[0] - STATES)[:, CHOSEN]
    assert own.abs().max() < 5 * 0.9
    assert not torch.allclose(2 * own, twice), "another cell draws other numbers"


@pytest.mark.parametrize("name", ["clamp", "class_mean", "patch", "resample", "translate"])
def test_what_needs_single_values_is_refused_at_other_tokens(name: str) -> None:
    with pytest.raises(UsageError, match="expected 'pooled'"):
        compile_rewrites([_cell(name)], [OTHERS] * 3, seed=0, device="cpu")


def test_unknown_classes_and_donors_are_refused() -> None:
    with pytest.raises(UsageError, match="class 'z' given"):
        _apply([replace(_cell("class_mean"), target="z")])
    with pytest.raises(UsageError, match="donor 7 given; expected 0 to 6"):
        _apply([replace(_cell("patch"), donor=7)])


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
    cells = [_cell("negate", layer=1), _cell("negate", layer=2)]
    assert torch.equal(_apply(cells, layer=1)[1], STATES)
    assert torch.equal(_apply(cells, layer=2)[0], STATES)


def test_an_unknown_operator_is_refused_with_the_closest_name() -> None:
    with pytest.raises(UsageError, match="'zer0' given; did you mean 'zero'"):
        operator("zer0")


@pytest.mark.parametrize("name", ["noise", "gaussian", "scale", "translate"])
def test_a_missing_strength_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"'{name}' given without a strength"):
        OPERATORS[name](STATISTICS, replace(_cell(name), strength=None))
