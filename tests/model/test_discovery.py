"""What discovery finds in models whose parts are known: the records are the oracle."""

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from synapse_audit.errors import ModelError
from synapse_audit.model import Classifier, Family
from synapse_audit.model.discovery.head_alone import StandIn, swapped
from synapse_audit.model.families.known import family_for
from synapse_audit.model.sites import find_blocks

from .families import CLASSES, _as_is, own_logits
from .kinds import EXAMPLES, KINDS

ALIKE = (
    "bert",
    "distilbert",
    "roberta",
    "deberta",
    "mpnet",
    "modernbert",
    "modernbert, mean",
    "longformer",
    "gpt2",
    "gpt_neox",
    "llama",
    "qwen3",
    "vit",
    "beit",
    "dinov2",
    "clip",
    "wav2vec2",
    "audio-spectrogram-transformer",
)
"""Families whose record names what discovery looks for."""


def _wrapped(name: str) -> tuple[Classifier, Family]:
    kind = KINDS[name]
    model, batch = kind.build().eval(), kind.batch()
    found = Classifier.wrap(
        model,
        classes=CLASSES,
        encoder=lambda inputs: _as_is(len(inputs)),
        collator=lambda rows: {n: v[[row["row"] for row in rows]] for n, v in batch.items()},
        examples=range(EXAMPLES),
    )
    record = family_for(model.config)
    assert record is not None
    return found, record


def _each(paths: str | tuple[str, ...] | None) -> tuple[str | None, ...]:
    return paths if isinstance(paths, tuple) else (paths,)


@pytest.mark.parametrize("name", ALIKE)
def test_it_finds_what_the_record_says(name: str) -> None:
    found, record = _wrapped(name)
    model = found.model
    assert found.discovered is not None
    assert found.blocks == find_blocks(model, record).blocks
    assert found.output_layer is model.get_submodule(record.output_layer)
    assert found.position == record.position
    mine = found.discovered.family
    assert mine.attention_output in _each(record.attention_output)
    assert mine.mlp_output in _each(record.mlp_output)
    assert {clue.part for clue in found.discovered.clues} >= {"blocks", "position", "head"}


@pytest.mark.parametrize("name", ["bert", "gpt2", "modernbert, mean", "dinov2"])
def test_its_head_gives_the_logits_of_the_record(name: str) -> None:
    """On other states than the traced ones, so that nothing can be remembered."""
    found, record = _wrapped(name)
    batch = KINDS[name].batch()
    pooling = found.pooling(batch)
    states: list[torch.Tensor] = []
    handle = found.blocks[-1].register_forward_hook(
        lambda _, __, output: states.append(output[0] if isinstance(output, tuple) else output)
    )
    expected = own_logits(found.model, batch)
    handle.remove()
    with torch.inference_mode():
        assert torch.allclose(found.decide(states[0], pooling), expected, atol=1e-5)
        other = states[0].roll(1, dims=-1) * 1.5
        ours = found.decide(other, pooling)
        if record.head is not None:
            theirs = record.head(found.model, pooling.gather(other))
        else:
            assert record.whole_head is not None
            theirs = record.whole_head(found.model, other, pooling)
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "words"),
    [("albert", "blocks="), ("patchtst", "blocks="), ("wav2vec2, stable norm", "head")],
)
def test_what_it_cannot_find_it_names(name: str, words: str) -> None:
    with pytest.raises(ModelError, match="to Classifier") as caught:
        _wrapped(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_nothing_is_left_in_the_model() -> None:
    untouched = KINDS["bert"].build()
    found, _ = _wrapped("bert")
    before = found.fingerprint()
    with found.unharmed():
        found.head(torch.zeros(5, found.output_layer.in_features))
    assert found.fingerprint() == before
    names = [(name, type(module)) for name, module in untouched.named_modules()]
    assert names == [(name, type(module)) for name, module in found.model.named_modules()]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in found.model.modules())


def test_swapped_modules_return_even_after_an_exception() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    first = model[0]
    other: Mapping[str, nn.Module] = {"0": StandIn(first, torch.zeros(1, 2), 0)}
    with pytest.raises(KeyError), swapped(model, other):
        assert model(torch.ones(1, 2)).tolist() == [[0.0, 0.0]]
        raise KeyError
    assert model[0] is first


def test_a_stand_in_returns_a_tuple_where_its_block_does() -> None:
    states = torch.ones(1, 2, 3)
    assert StandIn(nn.Identity(), states, 0)() is states
    assert StandIn(nn.Identity(), states, 2)() == (states, None)
    assert StandIn(nn.Linear(3, 4), states, 0).out_features == 4
