"""Every route gives what plain hooks give, wherever it is exact, and leaves nothing behind."""

import copy
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from synapse_audit.artifacts import Cell, HeadEdit
from synapse_audit.interventions.operators import OPERATORS, SINGLE
from synapse_audit.model import HEAD_INPUT, INNER
from synapse_audit.model.hooks import hook_at_points
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX, cheapest
from synapse_audit.sweep import intervene, supports_tap, tapped
from synapse_audit.sweep.runners import RUNNERS

from .rigs import Position, Rig, random_bert, silence

TOLERANCE = 1e-4
"""Float32 in another order of summation, magnified by fitted heads with weights up to 70."""

L = 3
IDS = [0, 3, 4, 17, 31]
LAYERS = {
    "embeddings": (0,),
    "first": (1,),
    "middle": (2,),
    "last": (3,),
    "two": (2, 3),
    "all": (1, 2, 3),
    "everything": (0, 1, 2, 3),
    "none": (),
}


def _exact(cell: Cell, n_layers: int) -> set[str]:
    """The routes the planner picks when it may use any, and with fewer at hand."""
    for_all = [frozenset({STREAM, SUFFIX}), frozenset({SUFFIX}), frozenset[str]()]
    return {cheapest(cell, n_layers, available) for available in for_all} | {SUFFIX}


def _gap(rig: Rig, cells: list[Cell], seed: int = 0) -> float:
    """Largest logit difference to plain hooks over all routes that claim to be exact."""
    worst = 0.0
    with rig.engine(seed) as engine, rig.classifier.unharmed():
        clean = rig.clean(engine, rig.rows[:6].tolist())
        assert not rig.classifier.collate(rig.encoded, [0, 1])["attention_mask"].all(), "padded"
        for cell in cells:
            reference = RUNNERS[FULL](engine, clean, [cell])
            for route in _exact(cell, rig.classifier.n_layers):
                fast = RUNNERS[route](engine, clean, [cell])
                worst = max(worst, (fast - reference).abs().max().item())
    return worst


@pytest.mark.parametrize("position", ["pooled", "all"])
@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_routes_agree_with_plain_hooks(rig: Rig, operator: str, position: Position) -> None:
    """Other families: ``tests/model/test_families.py``."""
    if position == "all" and operator in SINGLE:
        pytest.skip("reads single values, which are kept of the pooled position only")
    cells = [silence(operator, dict.fromkeys(layers, IDS), position) for layers in LAYERS.values()]
    assert _gap(rig, cells) <= TOLERANCE


@pytest.mark.parametrize("position", ["pooled", "all"])
@pytest.mark.parametrize("site", INNER)
def test_routes_agree_at_the_sites_inside_blocks(rig: Rig, site: str, position: Position) -> None:
    operators = ["mean", "noise"] if position == "all" else ["mean", "noise", "resample", "negate"]
    sets = [layers for layers in LAYERS.values() if 0 not in layers]
    cells = [
        silence(name, dict.fromkeys(layers, IDS), position, site=site)
        for name in operators
        for layers in sets
    ]
    assert _gap(rig, cells) <= TOLERANCE


@pytest.mark.parametrize("operator", ["mean", "noise", "resample", "zero"])
def test_the_head_input_is_rewritten_without_any_block(family_rig: Rig, operator: str) -> None:
    cell = silence(operator, {L: IDS}, site=HEAD_INPUT)
    assert _exact(cell, L) - {SUFFIX} == {HEAD}
    with family_rig.engine() as engine:
        clean = family_rig.clean(engine, [0, 1, 2, 3])
        fast, reference = (RUNNERS[route](engine, clean, [cell]) for route in (HEAD, FULL))
        assert not torch.equal(reference[0], clean.logits)
    torch.testing.assert_close(fast, reference, atol=TOLERANCE, rtol=0)


def test_inner_sites_do_what_arithmetic_says(family_rig: Rig) -> None:
    """Without activations the MLP adds its bias alone, at the rows that were silenced."""
    classifier = family_rig.classifier
    width = len(family_rig.site.at("mlp_activation").pooled[L].mean)
    silenced = silence("zero", {L: range(width)}, site="mlp_activation")
    module = classifier.point("mlp_output", L).module
    seen: list[Tensor] = []
    with family_rig.engine() as engine:
        batch = classifier.collate(family_rig.encoded, [0, 1, 2])
        with (
            intervene(classifier, silenced, engine.site),
            hook_at_points([(classifier.point("mlp_output", L), lambda x: seen.append(x))]),
        ):
            classifier.logits(batch)
    assert isinstance(module, torch.nn.Linear)
    torch.testing.assert_close(seen[0][:, 0], module.bias.expand(3, -1))
    assert not torch.allclose(seen[0][:, 1], module.bias.expand(3, -1))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(data=st.data())
def test_routes_agree_on_any_bert(data: st.DataObject) -> None:
    """Any number of blocks, any sets, any operator, any position."""
    layers, heads = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([1, 2, 4]))
    seed = data.draw(st.integers(0, 1000))
    rig = random_bert(layers=layers, width=8, heads=heads, seed=seed)
    sets = st.dictionaries(st.integers(0, layers), st.sets(st.integers(0, 7)), max_size=3)
    operators, positions = st.sampled_from(sorted(OPERATORS)), st.sampled_from(["pooled", "all"])
    drawn = data.draw(st.lists(st.tuples(operators, sets, positions), min_size=1, max_size=3))
    cells = [
        silence(name, {m: sorted(ids) for m, ids in chosen.items()}, where)  # type: ignore[arg-type]
        for name, chosen, where in drawn
        if not (where == "all" and name in SINGLE)
    ]
    with rig.engine(seed) as engine:
        clean = rig.clean(engine, rig.rows.tolist())
        for cell in cells:
            reference = RUNNERS[FULL](engine, clean, [cell])
            for route in _exact(cell, layers):
                fast = RUNNERS[route](engine, clean, [cell])
                torch.testing.assert_close(fast, reference, atol=TOLERANCE, rtol=0)


def test_stacked_cells_stream_as_each_alone(family_rig: Rig) -> None:
    cells = [
        silence(name, dict.fromkeys(layers, IDS))
        for name in sorted(OPERATORS)
        for layers in ((2,), (2, 3))
    ]
    with family_rig.engine() as engine:
        clean = family_rig.clean(engine, [0, 1, 2, 3])
        stacked = RUNNERS[STREAM](engine, clean, cells)
        for row, cell in enumerate(cells):
            alone = RUNNERS[STREAM](engine, clean, [cell])[0]
            torch.testing.assert_close(stacked[row], alone, atol=TOLERANCE, rtol=0)


def test_stream_would_be_wrong_for_earlier_layers(rig: Rig) -> None:
    """Why the planner must not pick it there: other tokens read the changed row."""
    cell = silence("zero", {1: range(32), 2: range(32), 3: range(32)})
    early = silence("zero", {1: range(32)})
    with rig.engine() as engine:
        clean = rig.clean(engine, [0, 1, 2, 3])
        gap = RUNNERS[STREAM](engine, clean, [early]) - RUNNERS[FULL](engine, clean, [early])
    assert gap.abs().max() > 0.01
    assert cheapest(cell, L, frozenset({STREAM, SUFFIX})) == SUFFIX
    assert cheapest(early, L, frozenset({STREAM, SUFFIX})) == SUFFIX


@torch.no_grad()
def test_full_is_what_hooks_written_by_hand_give(family_rig: Rig) -> None:
    """Mean of the pooled position there, mean of the other tokens elsewhere."""
    rig, neurons = family_rig, {1: [0, 5], 3: [2]}
    batch = rig.classifier.collate(rig.encoded, [0, 1, 2])

    def rewrite(layer: int) -> Any:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            states = (output[0] if isinstance(output, tuple) else output).clone()
            for neuron in neurons[layer]:
                states[:, 0, neuron] = float(rig.site.pooled[layer].mean[neuron])
                states[:, 1:, neuron] = float(rig.site.others[layer].mean[neuron])
            return (states, *output[1:]) if isinstance(output, tuple) else states

        return hook

    with ExitStack() as stack:
        for layer in neurons:
            handle = rig.classifier.blocks[layer - 1].register_forward_hook(rewrite(layer))
            stack.callback(handle.remove)
        expected = rig.classifier.model(**batch).logits
    with rig.engine() as engine:
        found = RUNNERS[FULL](
            engine, rig.clean(engine, [0, 1, 2]), [silence("mean", neurons, "all")]
        )
    assert torch.equal(found[0], expected)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
@pytest.mark.parametrize("route", [HEAD, STREAM, SUFFIX, FULL])
def test_an_empty_set_gives_the_clean_logits(rig: Rig, operator: str, route: str) -> None:
    with rig.engine() as engine:
        clean = rig.clean(engine, [0, 1, 2])
        found = RUNNERS[route](engine, clean, [silence(operator, {})])
    torch.testing.assert_close(found[0], clean.logits, atol=TOLERANCE, rtol=0)


def _edit(seed: int = 0) -> HeadEdit:
    generator = np.random.default_rng(seed)
    return HeadEdit(*(generator.normal(size=s).astype(np.float32) for s in ((4, 32), 4)))


@torch.no_grad()
def test_head_edits_are_those_of_an_edited_copy_of_the_model(family_rig: Rig) -> None:
    edit, rig = _edit(), family_rig
    cell = Cell("weight", "push", "head_weight", target="calm", edit=edit)
    batch = rig.classifier.collate(rig.encoded, [0, 1, 2, 3])
    random_control: Any = copy.deepcopy(rig.classifier.model)
    layers = dict(rig.classifier.model.named_modules())
    path = next(name for name, m in layers.items() if m is rig.classifier.output_layer)
    random_control.get_submodule(path).weight += torch.from_numpy(edit.weight)
    random_control.get_submodule(path).bias += torch.from_numpy(edit.bias)
    expected: Tensor = random_control(**batch).logits
    with rig.engine() as engine, rig.classifier.unharmed():
        clean = rig.clean(engine, [0, 1, 2, 3])
        for route in (HEAD, FULL):
            found = RUNNERS[route](engine, clean, [cell])[0]
            torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


def test_shifts_add_a_constant_to_one_logit(rig: Rig) -> None:
    cell = Cell("logit", "shift", "logits", strength=2.5, target="rage")
    with rig.engine() as engine:
        clean = rig.clean(engine, [0, 1, 2])
        expected = clean.logits + torch.tensor([0.0, 0.0, 2.5, 0.0])
        for route in (HEAD, FULL):
            found = RUNNERS[route](engine, clean, [cell])[0]
            torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


def test_the_tap_changes_nothing_by_itself_and_is_gone_afterwards(family_rig: Rig) -> None:
    classifier = family_rig.classifier
    assert supports_tap(classifier)
    name = classifier.model.config._attn_implementation  # type: ignore[union-attr]
    original = ALL_ATTENTION_FUNCTIONS[name]
    batch = classifier.collate(family_rig.encoded, [0, 1, 2])
    plain = classifier.logits(batch)
    asks = classifier.model._supports_attention_backend  # with transformers 4 it calls PyTorch's
    with tapped(classifier) as tap:
        assert (ALL_ATTENTION_FUNCTIONS[name] is not original) == asks
        assert torch.equal(classifier.logits(batch), plain)
        assert tap.calls == classifier.n_layers
    assert ALL_ATTENTION_FUNCTIONS[name] is original
    classifier.logits(batch)
    assert tap.calls == classifier.n_layers


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_tap_is_gone_after_an_exception(rig: Rig, error: type[BaseException]) -> None:
    original = ALL_ATTENTION_FUNCTIONS["sdpa"]
    with pytest.raises(error), tapped(rig.classifier):
        raise error
    assert ALL_ATTENTION_FUNCTIONS["sdpa"] is original


@pytest.mark.parametrize("route", [STREAM, SUFFIX])
def test_an_exception_inside_a_block_leaves_the_tap_ready(
    rig: Rig, route: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = silence("zero", {2: IDS})

    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError

    with rig.engine() as engine:
        clean = rig.clean(engine, [0, 1, 2])
        before = RUNNERS[route](engine, clean, [cell])
        with monkeypatch.context() as patch, pytest.raises(MemoryError):
            patch.setattr(rig.classifier.blocks[-1], "forward", fail)
            RUNNERS[route](engine, clean, [cell])
        assert torch.equal(RUNNERS[route](engine, clean, [cell]), before)
        assert torch.equal(rig.classifier.logits(clean.batch), clean.logits)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("what", ["neurons", "edit"])
def test_intervene_leaves_no_trace_after_an_exception(
    rig: Rig, error: type[BaseException], what: str
) -> None:
    weight = Cell("weight", "push", "head_weight", edit=_edit())
    cell = silence("negate", {0: IDS, 2: IDS}, "all") if what == "neurons" else weight
    batch = rig.classifier.collate(rig.encoded, [0, 1])
    plain = rig.classifier.logits(batch)
    harmless = rig.classifier.unharmed()
    with harmless, pytest.raises(error), intervene(rig.classifier, cell, rig.site):
        assert not torch.equal(rig.classifier.logits(batch), plain)
        raise error
    assert torch.equal(rig.classifier.logits(batch), plain)


def test_noise_at_every_position_is_that_of_the_pooled_one_there(rig: Rig) -> None:
    """At the final layer only the pooled row is read: both positions must then agree."""
    cells = [silence("noise", {L: IDS}, "pooled"), silence("noise", {L: IDS}, "all")]
    assert cells[0].action != cells[1].action
    assert _gap(rig, cells) <= TOLERANCE


def test_neurons_that_a_cell_names_are_the_only_ones_changed(rig: Rig) -> None:
    """Seen from outside: what the next block receives."""
    batch = rig.classifier.collate(rig.encoded, [0, 1, 2])
    seen: list[Tensor] = []
    look = rig.classifier.blocks[2].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    rig.classifier.logits(batch)
    with intervene(rig.classifier, silence("negate", {2: IDS}), rig.site):
        rig.classifier.logits(batch)
    look.remove()
    expected = seen[0].clone()
    expected[:, 0, IDS] *= -1
    assert torch.equal(seen[1], expected)
