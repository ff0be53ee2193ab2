"""A classifier with everything that its engine needs, and cells to run on it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from transformers import BertConfig, BertForSequenceClassification

from synapse_audit.activations import extract
from synapse_audit.artifacts import Cell, Splits
from synapse_audit.classifier import FAMILIES, Batch, Classifier, Encoded
from synapse_audit.neurons import NeuronSet
from synapse_audit.operators import DEFAULT_STRENGTH
from synapse_audit.probes import layer_statistics
from synapse_audit.sweep import Engine, Site, tapped
from synapse_audit.sweep.clean import CleanStates, clean_pass

Position = Literal["pooled", "all"]


@dataclass(frozen=True)
class Rig:
    """A classifier, its encoded examples, and statistics over all of them."""

    classifier: Classifier
    encoded: Encoded
    site: Site
    labels: Int[np.ndarray, " examples"]

    @property
    def rows(self) -> Int[np.ndarray, " examples"]:
        return np.arange(len(self.encoded))

    @contextmanager
    def engine(self, seed: int = 0) -> Iterator[Engine]:
        with tapped(self.classifier) as tap:
            yield Engine(self.classifier, self.site, seed, tap)

    def clean(self, engine: Engine, rows: Sequence[int]) -> CleanStates:
        batch = self.classifier.collate(self.encoded, rows)
        return clean_pass(self.classifier, batch, np.array(rows), engine.tap)


def make_rig(classifier: Classifier, encoded: Encoded, labels: Sequence[int] | None = None) -> Rig:
    every, none = np.arange(len(encoded)), np.arange(0)
    found = extract(classifier, encoded, fit=every)
    splits = Splits(fit=every, select=none, evaluate=none)
    truth = found.logits.argmax(axis=1) if labels is None else np.array(labels)
    site = Site(layer_statistics(found.activations, splits), found.others)
    return Rig(classifier, encoded, site, truth)


def silence(
    operator: str, neurons: NeuronSet | Mapping[int, Sequence[int]], position: Position = "pooled"
) -> Cell:
    """A neuron cell with the operator's default strength."""
    chosen = neurons if isinstance(neurons, NeuronSet) else NeuronSet.of(neurons)
    strength = DEFAULT_STRENGTH.get(operator)
    return Cell(
        "neuron", operator, "block_output", strength=strength, position=position, neurons=chosen
    )


def random_bert(*, layers: int, width: int, heads: int, seed: int) -> Rig:
    """A BERT with random weights of ordinary size on random tokens of several lengths."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=20,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=12,
            max_position_embeddings=12,
            num_labels=3,
            initializer_range=0.3,
        )
        model = BertForSequenceClassification(config).eval()
    classifier = Classifier.wrap(
        model,
        classes=("a", "b", "c"),
        encoder=lambda inputs: _random_tokens(len(inputs), seed),
        collator=_pad,
        family=FAMILIES[0],
    )
    return make_rig(classifier, classifier.encode([""] * 7))


def _random_tokens(n: int, seed: int) -> Encoded:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 12, size=n)
    rows = [{"input_ids": generator.integers(1, 20, size=k).tolist()} for k in lengths]
    return Encoded(tuple(rows), lengths, 0)


def _pad(features: Sequence[Mapping[str, Any]]) -> Batch:
    rows = [row["input_ids"] for row in features]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}
