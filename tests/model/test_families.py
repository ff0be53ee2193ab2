"""What every family promises: its own logits, every site, every route, and an unharmed model.

Where the expected value can be had without the package (transformers' own hidden states, hooks
written by hand, a list of which tokens are read), it is.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from synapse_audit.model import ATTENTION_HEAD, BLOCK_OUTPUT, FAMILIES, HEAD_INPUT, INNER
from synapse_audit.model.hooks import primary
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX, cheapest
from synapse_audit.sweep import intervene
from synapse_audit.sweep.runners import RUNNERS

from .families import (
    OLDER,
    TOLERANCE,
    bench,
    cell,
    flipped,
    gaps_on_the_left,
    gaps_on_the_right,
    own_logits,
    routes_of,
)
from .kinds import EXAMPLES, KINDS, LENGTHS
from .table import DOCUMENT, document

NAMES = sorted(KINDS)
LEFT = [name for name in NAMES if KINDS[name].left]

LAST = tuple((row, n - 1) for row, n in enumerate(LENGTHS))
ENDS = {
    "last": dict.fromkeys(LEFT, LAST),
    "eos": dict.fromkeys(("t5", "bart"), LAST),
}
MEANS = {
    "modernbert, mean": slice(None),
    "dinov2": slice(None),
    "swin": slice(None),
    "beit": slice(1, None),
    "clip": slice(1, None),
    "audio-spectrogram-transformer": slice(2),
    "wav2vec2": slice(None),
    "wav2vec2, stable norm": slice(None),
    "hubert": slice(None),
    "hubert, stable norm": slice(None),
    "patchtst": slice(None),
}
"""Where the head reads several tokens: which ones."""

STREAMING = {
    *("bert", "distilbert", "roberta", "xlm-roberta", "camembert", "electra", "albert"),
    *("modernbert", "gpt2", "gpt_neox", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma"),
    *("vit", "deit", "deberta", "deberta-v2", "deberta-v2, as v3", "mpnet"),
} - ({"electra"} if OLDER else set())
"""Families whose pooled row can be run alone: a loss here must be noticed."""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longformer and BigBird talk of their padding."""
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")


def _reads(name: str, states: Tensor) -> Tensor:
    """True where the head reads, (examples, tokens): the oracle's own list."""
    tokens = states.reshape(EXAMPLES, -1, states.shape[-1])
    mask = torch.zeros(tokens.shape[:2], dtype=torch.bool)
    if name in MEANS:
        mask[:, MEANS[name]] = True
        if name.startswith(("wav2vec2", "hubert")):
            # 96, 64, 80, 48 samples; a frame spans 8 of them and begins every 8th.
            mask &= torch.arange(12) < torch.tensor([12, 8, 10, 6])[:, None]
        if name == "modernbert, mean":
            mask &= bench(name).batch["attention_mask"] > 0
        return mask
    ends = next((rows[name] for rows in ENDS.values() if name in rows), None)
    for row, token in ends or [(i, 0) for i in range(EXAMPLES)]:
        mask[row, token] = True
    return mask


def test_every_record_has_a_tiny_model() -> None:
    built = {bench(name).classifier.architecture for name in NAMES}
    assert built == {family.name for family in FAMILIES}
    served = {name for family in FAMILIES for name in family.model_types}
    assert served - {name.partition(",")[0] for name in NAMES} <= {"mt5", "umt5"}


@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_transformers_and_of_the_parts(name: str) -> None:
    b = bench(name)
    expected = own_logits(b.classifier.model, b.batch)
    assert torch.equal(b.classifier.logits(b.batch), expected)
    assert expected.std(0).min() > 0.02, "examples must differ for the rest to mean anything"
    with b.engine() as engine:
        clean = b.clean(engine)
    assert torch.equal(clean.logits, expected)
    with torch.inference_mode():
        parts = b.classifier.decide(clean.layers[-1], clean.pooling)
    torch.testing.assert_close(parts, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_the_hidden_states_of_transformers(name: str) -> None:
    """All but the last: there transformers may have put a norm on top."""
    b = bench(name)
    with torch.no_grad():
        output: Any = b.classifier.model(**b.batch, output_hidden_states=True)
    if name in ("t5", "bart"):
        encoder, decoder = output.encoder_hidden_states, output.decoder_hidden_states
        wanted = [*encoder[:-1], None, *decoder[1:-1]]
    elif name == "swin":  # transformers gives one per stage, after merging
        wanted = [output.hidden_states[0]]
    else:
        wanted = list(output.hidden_states[:-1])
    with b.engine() as engine:
        clean = b.clean(engine)
    assert len(clean.layers) == b.kind.layers + 1 == b.classifier.n_layers + 1
    for ours, theirs in zip(clean.layers, wanted, strict=False):
        if theirs is not None:
            cut = ours[:, : theirs.shape[1]]  # Longformer: transformers cuts its padding off
            torch.testing.assert_close(cut, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_representation_is_what_the_head_reads(name: str) -> None:
    b = bench(name)
    with b.engine() as engine:
        clean = b.clean(engine)
    for layer, states in enumerate(clean.layers):
        mask, tokens = _reads(name, states), states.reshape(EXAMPLES, -1, states.shape[-1])
        expected = torch.stack([row[read].mean(0) for row, read in zip(tokens, mask, strict=True)])
        torch.testing.assert_close(clean.pooled(layer), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_zeroing_is_what_a_hook_written_by_hand_gives(name: str) -> None:
    """At the second layer of the blocks, of the last list of them."""
    b, ids = bench(name), [0, 3, 5]
    layer = b.classifier.n_layers - 1
    block, calls = b.classifier.blocks[layer - 1], 0

    def zero(_module: Any, _inputs: Any, output: Any) -> Any:
        nonlocal calls
        calls += 1
        if name == "albert" and calls != layer:
            return None
        states = primary(output)
        tokens = states.reshape(EXAMPLES, -1, states.shape[-1]).clone()
        read = _reads(name, states)
        for neuron in ids:
            tokens[..., neuron] = tokens[..., neuron].masked_fill(read, 0.0)
        changed = tokens.reshape(states.shape)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    handle = block.register_forward_hook(zero)
    expected = own_logits(b.classifier.model, b.batch)
    handle.remove()
    clean = own_logits(b.classifier.model, b.batch)
    with intervene(b.classifier, cell("zero", {layer: ids}), b.site):
        found = [b.classifier.logits(b.batch) for _ in range(2)]
    for logits in found:
        torch.testing.assert_close(logits, expected, atol=1e-6, rtol=0)
    assert (expected - clean).abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_every_site_is_there_and_can_be_rewritten(name: str) -> None:
    b = bench(name)
    inner = [site for site in INNER if site != ATTENTION_HEAD or name != "swin"]
    assert b.classifier.sites == (BLOCK_OUTPUT, *inner, HEAD_INPUT), "swin: heads differ by stage"
    last = b.classifier.n_layers
    with b.engine() as engine:
        clean = b.clean(engine)
        for site in b.classifier.sites:
            width = len(b.site.at(site).pooled[last].mean)
            one = cell("mean", {last: range(width)}, site)
            changed = RUNNERS[FULL](engine, clean, [one])[0]
            assert (changed - clean.logits).abs().max() > 1e-3, site


@pytest.mark.parametrize("name", [name for name in NAMES if name != "swin"])
def test_a_head_set_to_zero_everywhere_is_a_slice_of_the_output_matrix_set_to_zero(
    name: str,
) -> None:
    b = bench(name)
    last, heads = b.classifier.n_layers, b.classifier.heads
    points = {id(p.module): p.module for p in b.classifier.inner[ATTENTION_HEAD]}
    width = len(b.site.at(ATTENTION_HEAD).pooled[last].mean) // heads
    own = range(width, 2 * width)
    before = {key: module.weight.detach().clone() for key, module in points.items()}
    with torch.no_grad():
        for module in points.values():
            read = module.weight.T if isinstance(module, torch.nn.Linear) else module.weight
            read[list(own)] = 0.0
    expected = b.classifier.logits(b.batch)
    with torch.no_grad():
        for key, module in points.items():
            module.weight.copy_(before[key])
    one = cell("zero", dict.fromkeys(range(1, last + 1), own), ATTENTION_HEAD, "all")
    with intervene(b.classifier, one, b.site):
        found = b.classifier.logits(b.batch)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert (found - b.classifier.logits(b.batch)).abs().max() > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_set_changes_nothing_on_any_route(name: str) -> None:
    b = bench(name)
    with b.engine() as engine:
        clean = b.clean(engine)
        able = routes_of(b, engine, clean)
        for route in (HEAD, FULL, *able):
            same = RUNNERS[route](engine, clean, [cell("mean", {})])[0]
            torch.testing.assert_close(same, clean.logits, atol=TOLERANCE, rtol=0)


@pytest.mark.unchecked
@pytest.mark.parametrize("name", NAMES)
def test_every_route_gives_what_plain_hooks_give(name: str) -> None:
    gaps = gaps_on_the_right(name)
    assert max(gaps.values()) <= TOLERANCE, gaps
    taken = {route for route, _ in gaps}
    assert {HEAD, SUFFIX} <= taken
    assert (STREAM in taken) == (name in STREAMING)


@pytest.mark.parametrize("name", NAMES)
def test_one_suffix_resumes_at_every_layer_that_can_be(name: str) -> None:
    b = bench(name)
    c = b.classifier
    several = {"t5": 3, "bart": 3, "swin": 2}
    assert c.resumable == several.get(name, 0)
    able = frozenset({SUFFIX})
    for layer in range(c.n_layers):
        route = cheapest(cell("zero", {layer: [0]}), c.n_layers, able, resumable=c.resumable)
        assert route == (SUFFIX if layer >= c.resumable else FULL)


@pytest.mark.unchecked
@pytest.mark.parametrize("name", LEFT)
def test_decoders_read_the_last_token_on_either_side_of_the_padding(name: str) -> None:
    b = bench(name)
    moved = flipped(b.batch)
    assert b.classifier.pooling(b.batch).place.tolist() == [n - 1 for n in LENGTHS]
    assert b.classifier.pooling(moved).place.tolist() == [max(LENGTHS) - 1] * EXAMPLES
    gaps = gaps_on_the_left(name)
    assert max(gaps.values()) <= TOLERANCE, gaps


@pytest.mark.parametrize("name", LEFT)
def test_no_token_of_a_decoder_sees_a_later_one(name: str) -> None:
    """What makes stream exact at every layer, and padding on the right harmless."""
    b = bench(name)
    alone = {key: values[1:2, : LENGTHS[1]] for key, values in b.batch.items()}
    together = own_logits(b.classifier.model, b.batch)[1]
    torch.testing.assert_close(
        own_logits(b.classifier.model, alone)[0], together, atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_unharmed_by_an_exception_inside_a_route(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(name)
    c, touched = b.classifier, cell("zero", {b.classifier.n_layers - 1: [0]})
    before = own_logits(c.model, b.batch)

    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError

    with c.unharmed(), b.engine() as engine:
        clean = b.clean(engine)
        for route in (FULL, *routes_of(b, engine, clean)):
            with monkeypatch.context() as patch, pytest.raises(MemoryError):
                patch.setattr(c.blocks[-1], "forward", fail)
                RUNNERS[route](engine, clean, [touched])
        assert torch.equal(b.clean(engine).logits, before)
    assert torch.equal(own_logits(c.model, b.batch), before)


@pytest.mark.skipif(OLDER, reason="the page is about the pinned transformers")
def test_the_page_of_families_is_current() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run `python -m model.table`"
