"""Classifiers with real text and the cells of the standard plan, ready to be timed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from harness import SHARED_MODELS
from jaxtyping import Int

from synapse_audit import demo
from synapse_audit.artifacts import Cell, Plan, Splits
from synapse_audit.config import PRESETS, Grid
from synapse_audit.data import load_data
from synapse_audit.interventions.edits import HeadView
from synapse_audit.model import FAMILIES, Classifier, Encoded
from synapse_audit.model.activations import Extraction, extract
from synapse_audit.plan import STREAM, SUFFIX, PlanInputs, build_cells, make_plan
from synapse_audit.probes import layer_statistics
from synapse_audit.rankings import RankingContext, rank
from synapse_audit.sweep import Site

SHARED = ("minilm-http-params", "minilm-goemotions", "minilm-pubmed-sections")
BUNDLED, BERT_BASE = "bundled", "bert-base-shape"

FIT = 256
"""Rows that statistics come from: fewer than an audit takes, as only time is measured here."""

RANKED = ("probeless", "random")
"""Rankings of the benchmark's cells: as many as the standard plan sweeps, without its probes."""


STANDARD = PRESETS["standard"].model_copy(
    update={"compared": (), "attacks": (), "bit_formats": (), "edits": ()}
)
"""The standard plan without rankings that need gradients, shapes of edit, faults and attacks."""


@dataclass(frozen=True)
class Subject:
    """One classifier, its encoded rows, and the standard plan on it."""

    name: str
    classifier: Classifier
    encoded: Encoded
    labels: Int[np.ndarray, " examples"]
    evaluate: Int[np.ndarray, " evaluate"]
    """In the order of the file."""
    site: Site
    plan: Plan


def default_models() -> tuple[str, ...]:
    """The shared classifiers beside the checkout, or the bundled one."""
    return tuple(n for n in SHARED if (SHARED_MODELS / n).is_dir()) or (BUNDLED,)


def load_subject(name: str, *, evaluate: int, grid: Grid | None = None) -> Subject:
    """Classifier, rows and plan of a name: a shared model, ``bundled``, or ``bert-base-shape``."""
    folder = SHARED_MODELS / name if name in SHARED else demo.bundled_model()
    classifier = Classifier.load(folder)
    csv = folder / "test.csv" if name in SHARED else demo.bundled_data()
    data = load_data(str(csv), classes=classifier.classes, max_examples=evaluate + FIT)
    if name == BERT_BASE:
        classifier = bert_base(classifier)
    encoded = classifier.encode(data.inputs)
    order = np.random.default_rng(0).permutation(len(data))
    fit, rest = np.sort(order[:FIT]), np.sort(order[FIT:])
    part = Encoded(tuple(encoded.features[i] for i in fit), encoded.lengths[fit], 0)
    found = extract(classifier, part, fit=np.arange(len(fit)))
    site, sources = _sources(classifier, found, data.labels[fit], grid or STANDARD)
    plan = make_plan(build_cells(sources), classifier.n_layers, frozenset({STREAM, SUFFIX}))
    return Subject(name, classifier, encoded, data.labels, rest, site, plan)


def _sources(
    classifier: Classifier, found: Extraction, labels: Int[np.ndarray, " fit"], grid: Grid
) -> tuple[Site, PlanInputs]:
    every, none = np.arange(len(labels)), np.arange(0)
    splits = Splits(fit=every, select=none, evaluate=none)
    statistics = layer_statistics(
        found.activations, splits, labels=labels, classes=classifier.classes
    )
    weights = np.ones(len(labels))
    context = RankingContext(
        found.activations, labels, classifier.classes, splits, (), seed=0, weights=weights
    )
    sources = PlanInputs(
        grid=grid.model_copy(update={"rankings": RANKED}),
        rankings={name: rank(name, context) for name in RANKED},
        statistics=statistics,
        head=HeadView.of(classifier, found.activations.head_input, found.logits.argmax(axis=1)),
        column_scores=_column_scores(classifier),
        classes=classifier.classes,
        seed=0,
    )
    return Site(statistics, found.others), sources


def _column_scores(classifier: Classifier) -> Mapping[str, list[np.ndarray]]:
    rows = np.abs(classifier.head_weight).astype(np.float64)
    return {name: [rows[c]] for c, name in enumerate(classifier.classes)}


def bert_base(like: Classifier) -> Classifier:
    """A BERT-base with random weights that reads another classifier's tokens."""
    from transformers import BertConfig, BertForSequenceClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = BertConfig(num_labels=len(like.classes))
        model = BertForSequenceClassification(config).eval().requires_grad_(False)
    return Classifier.wrap(
        model,
        classes=like.classes,
        encoder=like.encoder,
        collator=like.collator,
        family=FAMILIES[0],
        name=BERT_BASE,
    )


def first_layer(cell: Cell) -> int:
    """The first layer that a neuron cell touches."""
    return min(cell.neurons.layers, default=-1) if cell.neurons is not None else -1


def spread(cells: Sequence[Cell], n: int) -> list[Cell]:
    """``n`` cells evenly spread over a list."""
    places = np.unique(np.linspace(0, len(cells) - 1, min(n, len(cells))).astype(int))
    return [cells[i] for i in places]


def source_folder(name: str) -> Path:
    """Where a subject's model lies."""
    return SHARED_MODELS / name if name in SHARED else demo.bundled_model()
