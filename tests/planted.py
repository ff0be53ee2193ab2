"""Planted classifiers: BERT weights written by hand, so that every answer is known by arithmetic.

How the weights work. Neurons come in pairs (j, j + H/2) that carry +x and -x, so every state has
mean 0. Each word owns one pair and a sign; LayerNorm turns its embedding into ±√(H/2) there.
Queries and keys are zero, so the first token attends to all n tokens alike; the values of block 1
are the identity times n, so the first token receives the plain sum of all tokens; in later blocks
the values are zero, and so is every MLP. Words are laid out so that the squares always sum to the
same number, and LayerNorm returns the same clean state in every block:

====================================  =====================
pairs of the words that occur         +1, -1 (or -1, +1)
the constant pair (H/2 - 1)           +2, -2
all other pairs                       0
====================================  =====================

At layer 0 the first token is the same for every text: nothing can be read there.

The head. The pooler computes tanh(F_c(x)/4) with F_c = Σ (x_j - x_{j+H/2}) over the pairs that it
reads for class c, clean value 2 per pair; class 0, ``plain``, has no neurons: it is said unless
some F_c exceeds a threshold. F is blind to a shift of all neurons, so LayerNorm's mean does not
matter, only its scale; :meth:`Planted.logits` does that arithmetic.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from tiny import BERT_TOKENS, Tiny, save, word_tokenizer
from transformers import BertConfig, BertForSequenceClassification
from transformers import PreTrainedTokenizerFast as Tokenizer

from synapse_audit.neurons import NeuronSet

CLASSES = ("plain", "alpha", "beta", "gamma")
"""``plain`` lives in no neuron; it is what remains when the others are silenced."""

LAYERS = 3
TEXTS_PER_CLASS = 60
GAIN = 0.25
"""Slope of the pooler before tanh: keeps tanh far from saturation."""

State = Float[np.ndarray, "examples neurons"]


@dataclass(frozen=True)
class Layout:
    """What is planted where; pairs are numbered 0 to H/2 - 1."""

    width: int
    pairs: Mapping[str, tuple[int, ...]]
    """Class → its pairs, in the order of its marker words; ``plain`` → pairs for equal norm."""
    read: Mapping[str, tuple[int, ...]]
    """Class → the pairs the head reads."""
    noise: tuple[int, ...]
    """Pairs of the words that say nothing about the class."""
    starts: int
    """How many words every text begins with that own the pair of the end token."""
    threshold: float = 1.5
    """F_c above which class c is said rather than ``plain``."""
    leaning: bool = False
    """Add neuron H/2 - 1 (always 2) to every F_c: the head then needs that constant."""

    @property
    def constant(self) -> int:
        """The neuron that holds 2 whatever the text."""
        return self.width // 2 - 1


@dataclass(frozen=True)
class Planted:
    """A planted classifier, its texts, and what is true of it."""

    name: str
    layout: Layout
    model: BertForSequenceClassification
    tokenizer: Tokenizer
    texts: tuple[str, ...]
    labels: Int[np.ndarray, " examples"]
    states: State
    """Clean state of the first token in every block, exact."""
    sets: Mapping[str, tuple[NeuronSet, ...]]
    """Class (without ``plain``) → disjoint sets that the head reads, each enough by itself."""
    unread: NeuronSet
    """Neurons of all blocks that the head does not read (the constant counted apart)."""
    load_bearing: NeuronSet
    """Neurons that hold a constant the head needs; empty unless planted."""

    @property
    def carriers(self) -> NeuronSet:
        """Every neuron of every class that the head reads."""
        everything = NeuronSet.of({})
        for sets in self.sets.values():
            for chosen in sets:
                everything = everything | chosen
        return everything

    def logits(
        self,
        silenced: NeuronSet,
        values: Float[np.ndarray, " neurons"] | None = None,
    ) -> Float[np.ndarray, "examples classes"]:
        """What the classifier must say when neurons are silenced at the first token: arithmetic.

        ``values`` replaces the silenced neurons, the same in every layer (None: zeros).
        """
        x = self.states.copy()
        for layer in range(1, LAYERS + 1):
            x = _normalise(x) if layer > 1 else x
            ids = silenced.by_layer.get(layer, np.array([], dtype=np.int64))
            x[:, ids] = 0.0 if values is None else values[ids]
        forms = np.stack([_form(self.layout, name, x) for name in CLASSES[1:]], axis=1)
        plain = np.full(len(x), self.layout.threshold)
        return np.tanh(GAIN * np.column_stack([plain, forms]))

    def said(
        self,
        silenced: NeuronSet,
        values: Float[np.ndarray, " neurons"] | None = None,
    ) -> Int[np.ndarray, " examples"]:
        """The classes of :meth:`logits`."""
        return self.logits(silenced, values).argmax(axis=1)

    def save(self, folder: Path) -> Path:
        """Writes the model to ``folder/model`` and the rows to ``folder/rows.csv``."""
        save(Tiny(self.model, self.tokenizer), folder / "model")
        names = [CLASSES[label] for label in self.labels]
        pd.DataFrame({"text": self.texts, "label": names}).to_csv(folder / "rows.csv", index=False)
        return folder


def single() -> Planted:
    """Each class lives in one pair of neurons: silencing it turns the class, alone, into plain."""
    pairs = {"plain": (3,), "alpha": (0,), "beta": (1,), "gamma": (2,)}
    return _build("single", Layout(32, pairs, _classes_only(pairs), tuple(range(4, 14)), 0))


def leaning() -> Planted:
    """As ``single``, but the head leans on one constant neuron.

    Zeroing that neuron turns everything into plain (F falls by 2 below its threshold of 3.5);
    silencing it by its mean changes nothing. Unlike the other heads this one feels LayerNorm's
    scale: silencing all unread neurons below the last block lifts the constant over the threshold.
    """
    pairs = {"plain": (3,), "alpha": (0,), "beta": (1,), "gamma": (2,)}
    read = _classes_only(pairs)
    return _build("leaning", Layout(32, pairs, read, tuple(range(4, 14)), 0, 3.5, leaning=True))


def redundant() -> Planted:
    """Each class lives twice, in two disjoint pairs: either may go, not both."""
    pairs = {"plain": (6, 7), "alpha": (0, 3), "beta": (1, 4), "gamma": (2, 5)}
    return _build("redundant", Layout(48, pairs, _classes_only(pairs), tuple(range(8, 22)), 1))


def decoy() -> Planted:
    """As ``redundant``, but the head reads only the first pair of each class.

    A probe finds both pairs equally good; silencing the second does nothing: encoded, not used.
    """
    pairs = {"plain": (6, 7), "alpha": (0, 3), "beta": (1, 4), "gamma": (2, 5)}
    read = {name: own[:1] for name, own in _classes_only(pairs).items()}
    return _build("decoy", Layout(48, pairs, read, tuple(range(8, 22)), 1))


PLANTS = {"single": single, "leaning": leaning, "redundant": redundant, "decoy": decoy}


def block_neurons(layout: Layout, pairs: tuple[int, ...]) -> NeuronSet:
    """Both neurons of each pair, in every block."""
    ids = [j + half for j in pairs for half in (0, layout.width // 2)]
    return NeuronSet.of(dict.fromkeys(range(1, LAYERS + 1), ids))


def _classes_only(pairs: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {name: pairs[name] for name in CLASSES[1:]}


def _form(layout: Layout, name: str, x: State) -> Float[np.ndarray, " examples"]:
    half = layout.width // 2
    form = sum((x[:, j] - x[:, j + half] for j in layout.read[name]), np.zeros(len(x)))
    return form + x[:, layout.constant] if layout.leaning else form


def _normalise(x: State) -> State:
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)


def _words(layout: Layout) -> dict[str, tuple[int, int]]:
    """Word → (pair, sign). Markers have one sign; noise and plain words exist in both."""
    words = {"start": (layout.constant - 1, 1)}
    for name, pairs in _classes_only(layout.pairs).items():
        words |= {f"{name}-{i}": (j, 1) for i, j in enumerate(pairs)}
    for j in (*layout.pairs["plain"], *layout.noise):
        words |= {f"up{j}": (j, 1), f"down{j}": (j, -1)}
    return words


def _texts(layout: Layout) -> list[tuple[str, list[str]]]:
    """(class, words): noise signs balanced by mirror images, so that they say nothing."""
    generator = np.random.default_rng(7)
    rows: list[tuple[str, list[str]]] = []
    for name in CLASSES:
        codes = generator.choice(2 ** (len(layout.noise) - 1), TEXTS_PER_CLASS // 2, replace=False)
        for code in [int(c) for c in codes]:
            free = [1 if code >> b & 1 else -1 for b in range(len(layout.noise) - 1)]
            signs = np.array([generator.choice((-1, 1)), 1, *free])
            for mirrored in (signs, -signs):
                rows.append((name, _sentence(layout, name, mirrored)))
    order = generator.permutation(len(rows))
    return [rows[i] for i in order]


def _sentence(layout: Layout, name: str, signs: Int[np.ndarray, " signs"]) -> list[str]:
    if name == "plain":
        own = [_signed(j, int(signs[0])) for j in layout.pairs[name]]
    else:
        own = [f"{name}-{i}" for i in range(len(layout.pairs[name]))]
    noise = [_signed(j, int(s)) for j, s in zip(layout.noise, signs[1:], strict=True)]
    return ["start"] * layout.starts + own + noise


def _signed(pair: int, sign: int) -> str:
    return f"up{pair}" if sign > 0 else f"down{pair}"


def _state(layout: Layout, sentence: list[str]) -> Float[np.ndarray, " neurons"]:
    words, half = _words(layout), layout.width // 2
    x = np.zeros(half)
    x[half - 1] = 2.0  # the first token's own pair: its residual and its share of the attention
    x[half - 2] = 1.0  # the end token
    for word in sentence:
        pair, sign = words[word]
        x[pair] += sign
    return np.concatenate([x, -x])


def _build(name: str, layout: Layout) -> Planted:
    rows = _texts(layout)
    words = list(_words(layout))
    tokenizer = word_tokenizer(words)
    read = {c: tuple(block_neurons(layout, (j,)) for j in layout.read[c]) for c in CLASSES[1:]}
    used = tuple(j for pairs in layout.read.values() for j in pairs)
    unread = block_neurons(layout, tuple(j for j in range(layout.constant) if j not in used))
    constant = {m: [layout.constant] for m in range(1, LAYERS + 1)}
    return Planted(
        name=name,
        layout=layout,
        model=_model(layout, tokenizer, tokens=len(rows[0][1]) + 2),
        tokenizer=tokenizer,
        texts=tuple(" ".join(sentence) for _, sentence in rows),
        labels=np.array([CLASSES.index(c) for c, _ in rows], dtype=np.int64),
        states=np.stack([_state(layout, sentence) for _, sentence in rows]),
        sets=read,
        unread=unread,
        load_bearing=NeuronSet.of(constant if layout.leaning else {}),
    )


@torch.no_grad()
def _model(layout: Layout, tokenizer: Tokenizer, tokens: int) -> BertForSequenceClassification:
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=layout.width,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            intermediate_size=8,
            max_position_embeddings=64,
            id2label=dict(enumerate(CLASSES)),
            label2id={name: i for i, name in enumerate(CLASSES)},
        )
    ).eval()
    for path, parameter in model.named_parameters():
        parameter.fill_(1.0 if path.endswith("LayerNorm.weight") else 0.0)
    _plant_embeddings(model, layout, tokenizer)
    first = model.bert.encoder.layer[0].attention
    first.self.value.weight.copy_(tokens * torch.eye(layout.width))
    first.output.dense.weight.copy_(torch.eye(layout.width))
    _plant_head(model, layout)
    return model


def _plant_embeddings(
    model: BertForSequenceClassification, layout: Layout, tokenizer: Tokenizer
) -> None:
    table, half = model.bert.embeddings.word_embeddings.weight, layout.width // 2
    owners = {
        BERT_TOKENS.begin: (layout.constant, 1),
        BERT_TOKENS.end: (layout.constant - 1, 1),
        **_words(layout),
    }
    for word, (pair, sign) in owners.items():
        row = table[tokenizer.convert_tokens_to_ids(word)]
        row[pair], row[pair + half] = sign, -sign


def _plant_head(model: BertForSequenceClassification, layout: Layout) -> None:
    pooler, half = model.bert.pooler.dense, layout.width // 2
    for c, name in enumerate(CLASSES[1:], start=1):
        for j in layout.read[name]:
            pooler.weight[c, j], pooler.weight[c, j + half] = GAIN, -GAIN
        if layout.leaning:
            pooler.weight[c, layout.constant] = GAIN
        model.classifier.weight[c, c] = 1.0
    model.classifier.bias[0] = float(np.tanh(GAIN * layout.threshold))


@torch.no_grad()
def one_output(planted: Planted, name: str) -> BertForSequenceClassification:
    """The same classifier with one output z = tanh(F_c/4) − tanh(threshold/4), c the class.

    Row and bias are those of class ``name`` minus those of ``plain`` in the planted head, so that
    arithmetic on :meth:`Planted.logits` holds: z = logit of the class − logit of plain.
    """
    at, head = CLASSES.index(name), planted.model.classifier
    names = {"id2label": {0: name}, "label2id": {name: 0}}
    model = BertForSequenceClassification(BertConfig(**planted.model.config.to_dict() | names))
    held = planted.model.state_dict()
    held["classifier.weight"] = head.weight[at : at + 1] - head.weight[:1]
    held["classifier.bias"] = head.bias[at : at + 1] - head.bias[:1]
    model.load_state_dict(held)
    return model.eval()
