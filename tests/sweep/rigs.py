"""A classifier with everything that its engine needs, and cells to run on it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from transformers import BertConfig, BertForSequenceClassification

from synapse_audit.artifacts import Activations, Cell, LayerStatistics, Splits
from synapse_audit.interventions.operators import AIMED, DEFAULT_STRENGTH
from synapse_audit.model import BLOCK_OUTPUT, FAMILIES, Batch, Classifier, Encoded
from synapse_audit.model.activations import extract
from synapse_audit.neurons import NeuronSet
from synapse_audit.probes import layer_statistics
from synapse_audit.sweep import Engine, Site, tapped
from synapse_audit.sweep.clean import CleanStates, clean_pass

Position = Literal["pooled", "all"]

CLASSES = ("even", "odd")
"""Whose means aimed operators read here: those of even and odd examples."""


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
    found = extract(classifier, encoded, fit=every, sites=classifier.sites[1:])
    splits = Splits(fit=every, select=none, evaluate=none)
    truth = found.logits.argmax(axis=1) if labels is None else np.array(labels)

    def statistics(held: Activations) -> tuple[LayerStatistics, ...]:
        return layer_statistics(held, splits, labels=every % 2, classes=CLASSES)

    inner = {
        name: Site(statistics(there.activations), there.others)
        for name, there in found.sites.items()
    }
    site = Site(statistics(found.activations), found.others, inner)
    return Rig(classifier, encoded, site, truth)


def silence(
    operator: str,
    neurons: NeuronSet | Mapping[int, Sequence[int]],
    position: Position = "pooled",
    *,
    site: str = BLOCK_OUTPUT,
) -> Cell:
    """A neuron cell with the operator's default strength; aimed ones aim at odd examples."""
    return Cell(
        "neuron",
        operator,
        site,
        strength=DEFAULT_STRENGTH.get(operator),
        position=position,
        neurons=neurons if isinstance(neurons, NeuronSet) else NeuronSet.of(neurons),
        target="odd" if operator in AIMED else None,
        donor=1 if operator == "patch" else None,
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
        encoder=lambda inputs: random_tokens(len(inputs), seed),
        collator=pad,
        family=FAMILIES[0],
    )
    return make_rig(classifier, classifier.encode([""] * 7))


def random_tokens(n: int, seed: int) -> Encoded:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(2, 12, size=n)
    rows = [{"input_ids": generator.integers(1, 20, size=k).tolist()} for k in lengths]
    return Encoded(tuple(rows), lengths, 0)


def pad(features: Sequence[Mapping[str, Any]]) -> Batch:
    rows = [row["input_ids"] for row in features]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}
