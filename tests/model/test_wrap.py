"""Hand-written modules of several shapes: found, read, and audited route by route."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sweep.rigs import make_rig, silence
from torch import Tensor, nn

from synapse_audit.artifacts import Cell
from synapse_audit.errors import ModelError, UsageError
from synapse_audit.model import FAMILIES, Batch, Classifier, Encoded
from synapse_audit.sweep import Engine
from synapse_audit.sweep.clean import clean_pass
from synapse_audit.sweep.inputs import input_logits
from synapse_audit.sweep.runners import RUNNERS

WIDTH, TOKENS, CLASSES = 12, 5, ("a", "b", "c")


class Mixer(nn.Module):
    """A block: attention by hand, then an MLP; returns a tuple where asked."""

    def __init__(self, tuple_of: int = 0) -> None:
        super().__init__()
        self.tuple_of = tuple_of
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.gate, self.down = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, states: Tensor, mask: Tensor | None = None) -> Any:
        scores = self.query(states) @ self.key(states).transpose(1, 2) / WIDTH**0.5
        if mask is not None:
            scores = scores.masked_fill(mask[:, None] == 0, float("-inf"))
        states = states + self.out(scores.softmax(-1) @ self.value(states))
        states = states + self.down(torch.tanh(self.gate(states)))
        return (states, *[scores] * (self.tuple_of - 1)) if self.tuple_of else states


class Net(nn.Module):
    """Numbers (examples, tokens) in, logits out; ``read`` makes one row of the final states."""

    def __init__(
        self, read: Callable[[Tensor], Tensor], blocks: nn.Module, *, norm: bool = False
    ) -> None:
        super().__init__()
        self.read = read
        self.lift = nn.Linear(1, WIDTH)
        self.places = nn.Parameter(torch.randn(TOKENS, WIDTH))
        self.stack = blocks
        self.norm = nn.LayerNorm(WIDTH) if norm else nn.Identity()
        self.hidden, self.score = nn.Linear(WIDTH, 7), nn.Linear(7, len(CLASSES))

    def forward(self, values: Tensor) -> Tensor:
        states = self.lift(values[..., None]) + self.places
        for block in self.stack.children():
            states = block(states)
            states = states[0] if isinstance(states, tuple) else states
        logits: Tensor = self.score(torch.relu(self.hidden(self.read(self.norm(states)))))
        return logits


def _first(states: Tensor) -> Tensor:
    return states[:, 0]


def _last(states: Tensor) -> Tensor:
    return states[:, -1]


def _mean(states: Tensor) -> Tensor:
    return states.mean(1)


def _patches(states: Tensor) -> Tensor:
    return states[:, 1:].mean(1)


def _third(states: Tensor) -> Tensor:
    return states[:, 2]


def _listed(n: int = 3, tuple_of: int = 0) -> nn.ModuleList:
    return nn.ModuleList(Mixer(tuple_of) for _ in range(n))


def _net(read: Callable[[Tensor], Tensor], blocks: nn.Module | None = None, **options: Any) -> Net:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net(read, _listed() if blocks is None else blocks, **options).eval()


def _encode(inputs: Sequence[Any]) -> Encoded:
    random = np.random.default_rng(0)
    rows = tuple({"values": random.standard_normal(TOKENS).astype(np.float32)} for _ in inputs)
    return Encoded(rows, np.full(len(rows), TOKENS), 0)


def _collate(features: Sequence[Mapping[str, Any]]) -> Batch:
    return {"values": torch.from_numpy(np.stack([row["values"] for row in features]))}


def _wrap(module: nn.Module, **options: Any) -> Classifier:
    return Classifier.wrap(module, classes=CLASSES, encoder=_encode, collator=_collate, **options)


@pytest.mark.parametrize(
    ("read", "norm", "position", "whole"),
    [
        (_first, True, "first", False),
        (_mean, False, "mean", False),
        (_mean, True, "mean", True),
        (_patches, False, "patches", False),
    ],
)
def test_the_reading_is_found_and_every_route_agrees(
    read: Callable[[Tensor], Tensor], norm: bool, position: str, whole: bool
) -> None:
    classifier = _wrap(_net(read, norm=norm))
    assert classifier.position == position
    assert (classifier.head_function is None) == whole
    assert classifier.n_layers == 3
    rig = make_rig(classifier, classifier.encode([""] * 6))
    engine = Engine(classifier, rig.site, 0, None)
    clean = clean_pass(classifier, classifier.collate(rig.encoded, range(6)), rig.rows, None)
    cells = [
        silence("mean", {2: [1, 4], 3: [0, 5]}),
        silence("zero", {0: [1], 1: [2]}, "all"),
        silence("negate", {2: [1, 4]}, site="mlp_output"),
        silence("zero", {1: [0, 3]}, site="attention_output"),
    ]
    full = RUNNERS["full"](engine, clean, cells)
    assert torch.allclose(RUNNERS["suffix"](engine, clean, cells), full, atol=1e-5)
    assert all((full - clean.logits).abs().amax((1, 2)) > 1e-4)
    final = [silence("mean", {3: [0, 5]}), silence("noise", {3: [1, 2, 3]})]
    head = RUNNERS["head"](engine, clean, final)
    assert torch.allclose(head, RUNNERS["full"](engine, clean, final), atol=1e-5)


def test_sites_are_found_by_what_they_do_and_not_by_name() -> None:
    classifier = _wrap(_net(_first))
    assert classifier.discovered is not None
    family = classifier.discovered.family
    # query, key, value, gate and down have the same shape as out: only it mixes tokens first.
    assert (family.attention_output, family.mlp_output) == ("out", "down")
    assert classifier.output_layer is classifier.model.score


@pytest.mark.parametrize("blocks", [nn.Sequential(Mixer(), Mixer()), _listed(2, 1), _listed(1, 3)])
def test_blocks_may_be_in_a_sequence_or_return_tuples(blocks: nn.Module) -> None:
    classifier = _wrap(_net(_first, blocks))
    assert classifier.blocks == tuple(blocks.children())
    batch = classifier.collate(classifier.encode([""] * 4), range(4))
    rig = make_rig(classifier, classifier.encode([""] * 4))  # holds parts against logits
    assert torch.equal(
        classifier.logits(batch), clean_pass(classifier, batch, rig.rows, None).logits
    )


def test_embeddings_are_a_module_where_one_hands_them_on() -> None:
    net = _net(_first)
    assert _wrap(net).embeddings_side == "input"  # the places are added outside any module
    inner = nn.Sequential(nn.Linear(1, WIDTH), nn.LayerNorm(WIDTH))

    class Plain(Net):
        def forward(self, values: Tensor) -> Tensor:
            states = self.lift(values[..., None])
            for block in self.stack.children():
                states = block(states)
            logits: Tensor = self.score(torch.relu(self.hidden(states[:, 0])))
            return logits

    plain = Plain(_first, _listed()).eval()
    plain.lift = inner
    found = _wrap(plain)
    assert found.embeddings is inner and found.embeddings_side == "output"


@pytest.mark.parametrize("attack", ["fgsm", "noise"])
def test_an_attack_falls_on_layer_0_where_it_is_an_input(attack: str) -> None:
    """Of no size it changes nothing; of some size it changes the logits."""
    classifier = _wrap(_net(_first))
    rig = make_rig(classifier, classifier.encode([""] * 4))
    engine = Engine(classifier, rig.site, 0, None)
    clean = clean_pass(classifier, classifier.collate(rig.encoded, range(4)), rig.rows, None)
    nothing, some = (Cell("input", attack, "embeddings", strength=size) for size in (0.0, 0.5))
    assert torch.allclose(input_logits(engine, clean, nothing), clean.logits, atol=1e-6)
    assert not torch.allclose(input_logits(engine, clean, some), clean.logits, atol=1e-3)


class Padded(nn.Module):
    """PyTorch's own encoder on padded numbers, read at the masked mean or the last token."""

    def __init__(self, *, last: bool = False) -> None:
        super().__init__()
        self.last = last
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True, dropout=0.0)
        self.lift, self.encoder = nn.Linear(1, WIDTH), nn.TransformerEncoder(layer, 2)
        self.score = nn.Linear(WIDTH, len(CLASSES))

    def forward(self, values: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.encoder(
            self.lift(values[..., None]), src_key_padding_mask=attention_mask == 0
        )
        if self.last:
            rows = states[torch.arange(len(states)), attention_mask.sum(1) - 1]
        else:
            share = attention_mask / attention_mask.sum(1, keepdim=True)
            rows = (states * share[..., None]).sum(1)
        logits: Tensor = self.score(rows)
        return logits


def _pad(features: Sequence[Mapping[str, Any]]) -> Batch:
    rows = [torch.from_numpy(row["values"]) for row in features]
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
    return {"values": padded, "attention_mask": mask}


def _ragged(inputs: Sequence[Any]) -> Encoded:
    random = np.random.default_rng(0)
    lengths = np.array([2 + i % 4 for i in range(len(inputs))])
    rows = tuple({"values": random.standard_normal(n).astype(np.float32)} for n in lengths)
    return Encoded(rows, lengths, 0)


@pytest.mark.filterwarnings("ignore:.*nested tensors.*:UserWarning")
@pytest.mark.parametrize("last", [False, True])
def test_padding_is_heeded_in_pytorchs_own_encoder(last: bool) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Padded(last=last).eval()
    batch = _pad(_ragged([""] * 5).features)
    with torch.no_grad():
        expected = model(**batch)
    classifier = Classifier.wrap(
        model, classes=CLASSES, encoder=_ragged, collator=_pad, examples=[""] * 5
    )
    assert classifier.position == ("last" if last else "mean")
    assert classifier.discovered is not None
    assert classifier.discovered.family.attention_output == "self_attn"
    assert classifier.discovered.family.mlp_output == "linear2"
    assert any("nested" in note for note in classifier.notes)
    assert torch.allclose(classifier.logits(batch), expected, atol=1e-6)
    make_rig(classifier, classifier.encode([""] * 6))  # every batch passes the fidelity check


def test_what_is_named_is_taken_and_held_against_the_logits() -> None:
    net = _net(_first)
    named = _wrap(net, blocks="stack", output_layer="score", position="first", embeddings=None)
    assert named.discovered is not None
    assert [c.sure for c in named.discovered.clues[:3]] == ["given", "tested", "given"]
    each = _wrap(net, blocks=["stack.0", "stack.1", "stack.2"])
    assert each.blocks == named.blocks == tuple(net.stack.children())

    def head(model: Net, pooled: Tensor) -> Tensor:
        logits: Tensor = model.score(torch.relu(model.hidden(pooled)))
        return logits

    assert _wrap(net, head=head).head_function is head


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"blocks": "stak"}, "blocks='stak'"),
        ({"blocks": "stack.0"}, "blocks='stack.0'"),
        ({"blocks": ["stack.1", "stack.0", "stack.2"]}, "blocks="),
        ({"embeddings": "lift"}, "embeddings="),
        ({"output_layer": "hidden"}, "output_layer="),
        ({"output_layer": "norm"}, "expected nn.Linear"),
        ({"position": "last"}, "position="),
        ({"head": lambda model, pooled: pooled[:, :3]}, "head="),
    ],
)
def test_what_is_named_wrongly_is_refused_by_name(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        _wrap(_net(_first), **options)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: _net(_third), "position="),
        (lambda: _net(_last), "attention_mask"),
        (lambda: nn.Sequential(nn.Linear(TOKENS, 3)), "examples="),
        (lambda: _net(_first, nn.ModuleList([nn.Linear(WIDTH, 3)])), "examples="),
    ],
)
def test_a_module_that_does_not_fit_is_refused(change: Callable[[], nn.Module], words: str) -> None:
    with pytest.raises(ModelError) as caught:
        _wrap(change())
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_family_and_parts_of_ones_own_are_refused() -> None:
    with pytest.raises(UsageError, match="expected one of the two"):
        _wrap(_net(_first), family=FAMILIES[0], position="first")


def test_logits_of_other_classes_are_refused() -> None:
    with pytest.raises(ModelError, match="one column per name"):
        Classifier.wrap(_net(_first), classes=("a", "b"), encoder=_encode, collator=_collate)


def test_a_model_type_without_a_record_is_loaded(tmp_path: Path) -> None:
    """ERNIE is no family of ours; its folder is audited all the same."""
    from tiny import Tiny, save, tiny_classifier
    from transformers import ErnieConfig, ErnieForSequenceClassification

    known = tiny_classifier("bert")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = ErnieConfig(
            vocab_size=len(known.tokenizer),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=24,
            num_labels=3,
        )
        model = ErnieForSequenceClassification(config).eval()
    save(Tiny(model, known.tokenizer), tmp_path / "m")
    found = Classifier.load(tmp_path / "m")
    assert found.position == "first" and found.n_layers == 2
    assert "discovered" in found.architecture
    batch = found.collate(found.encode(["word1", "word2 word3"]), [0, 1])
    with torch.no_grad():
        assert torch.equal(found.logits(batch), model(**batch).logits)
