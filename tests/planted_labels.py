"""A planted classifier of three labels, any of which a text may have: known by arithmetic.

The weights are those of :mod:`planted`, with one output per label: label c is said where
F_c = x_j − x_{j+H/2} over its pair j exceeds 1, clean 2 where its word occurs and 0 where it does
not. A word of another pair stands in for each label that a text lacks, so that all have one norm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from planted import (
    GAIN,
    LAYERS,
    Layout,
    _form,
    _model,
    _normalise,
    _signed,
    _state,
    _words,
    block_neurons,
)
from tiny import Tiny, save, word_tokenizer
from transformers import BertConfig, BertForSequenceClassification
from transformers import PreTrainedTokenizerFast as Tokenizer

from synapse_audit.neurons import NeuronSet

LABELS = ("alpha", "beta", "gamma")
PAIRS = {"plain": (3, 4, 5), "alpha": (0,), "beta": (1,), "gamma": (2,)}
LAYOUT = Layout(32, PAIRS, {name: PAIRS[name] for name in LABELS}, tuple(range(6, 14)), 0, 1.0)
TEXTS = 240
SHARES = (0.5, 0.3, 0.15)
"""How often a text has each label."""

WRONG_EVERY = 6
"""Every so many-th text has one label more, or one less, than its words say."""


@dataclass(frozen=True)
class PlantedLabels:
    """A planted classifier of several labels, its texts, and what is true of it."""

    model: BertForSequenceClassification
    tokenizer: Tokenizer
    texts: tuple[str, ...]
    written: Bool[np.ndarray, "examples labels"]
    """Labels as the file has them: now and then one is wrong."""
    states: Float[np.ndarray, "examples neurons"]
    """Clean state of the first token in every block, exact."""
    sets: dict[str, NeuronSet]
    """Label → the neurons of all blocks that the head reads for it."""

    def logits(self, silenced: NeuronSet) -> Float[np.ndarray, "examples labels"]:
        """What the classifier must say when neurons are zeroed at the first token: arithmetic."""
        x = self.states.copy()
        for layer in range(1, LAYERS + 1):
            x = _normalise(x) if layer > 1 else x
            x[:, silenced.by_layer.get(layer, np.array([], dtype=np.int64))] = 0.0
        forms = np.stack([_form(LAYOUT, name, x) for name in LABELS], axis=1)
        return np.tanh(GAIN * forms) - np.tanh(GAIN * LAYOUT.threshold)

    def said(self, silenced: NeuronSet | None = None) -> Bool[np.ndarray, "examples labels"]:
        """The labels that it must say."""
        return self.logits(NeuronSet.of({}) if silenced is None else silenced) > 0

    def save(self, folder: Path) -> Path:
        """Writes the model to ``folder/model`` and the rows to ``folder/rows.csv``."""
        save(Tiny(self.model, self.tokenizer), folder / "model")
        self.frame().to_csv(folder / "rows.csv", index=False)
        return folder

    def frame(self) -> pd.DataFrame:
        """The rows, with labels as ``a|b``."""
        joined = ["|".join(np.array(LABELS)[row]) for row in self.written]
        return pd.DataFrame({"text": self.texts, "labels": joined})


def planted_labels() -> PlantedLabels:
    """Three labels, each in one pair of neurons of every block."""
    generator = np.random.default_rng(11)
    there = generator.random((TEXTS, len(LABELS))) < SHARES
    signs = generator.choice((-1, 1), (TEXTS, len(LABELS) + len(LAYOUT.noise)))
    sentences = [_sentence(*row) for row in zip(there, signs, strict=True)]
    written = there.copy()
    for place, row in enumerate(range(0, TEXTS, WRONG_EVERY)):
        written[row, place % len(LABELS)] ^= True
    tokenizer = word_tokenizer(list(_words(LAYOUT)))
    return PlantedLabels(
        model=_with_labels(_model(LAYOUT, tokenizer, tokens=len(sentences[0]) + 2)),
        tokenizer=tokenizer,
        texts=tuple(map(" ".join, sentences)),
        written=written,
        states=np.stack([_state(LAYOUT, sentence) for sentence in sentences]),
        sets={name: block_neurons(LAYOUT, PAIRS[name]) for name in LABELS},
    )


def _sentence(there: np.ndarray, signs: np.ndarray) -> list[str]:
    own = [
        f"{name}-0" if yes else _signed(PAIRS["plain"][c], int(signs[c]))
        for c, (name, yes) in enumerate(zip(LABELS, there, strict=True))
    ]
    rest = signs[len(LABELS) :]
    return own + [_signed(j, int(s)) for j, s in zip(LAYOUT.noise, rest, strict=True)]


@torch.no_grad()
def _with_labels(model: BertForSequenceClassification) -> BertForSequenceClassification:
    """The head with one output per label: its row, and minus that of its threshold as bias."""
    names = {
        "id2label": dict(enumerate(LABELS)),
        "label2id": {name: i for i, name in enumerate(LABELS)},
        "problem_type": "multi_label_classification",
    }
    made = BertForSequenceClassification(BertConfig(**model.config.to_dict() | names))
    held = model.state_dict()
    held["classifier.weight"] = model.classifier.weight[1:].clone()
    held["classifier.bias"] = (model.classifier.bias[1:] - model.classifier.bias[0]).clone()
    made.load_state_dict(held)
    return made.eval()
