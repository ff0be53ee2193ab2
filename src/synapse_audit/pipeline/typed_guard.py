"""What a guard does about typed text: who evades behind it, and which edited texts raise an alarm.

In: a guarded model and the run's examples. Out: ``guard.typed``, a row per kind of edit and class.

**What the attacker knows.** Edits are searched for against the model alone, by its answers, as
``run --attack text`` does; the guard is then shown the text at which each search ended (the edit
that succeeded, else the last one tried). Nobody searches against the detector: who sees alarms and
tries on may find edits that raise none. Beside each edited text stands a random edit of the same
kind and of as many words; beside a cut-off end, which chooses nothing, as many random words
deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import TextInput
from synapse_audit.config import AuditConfig
from synapse_audit.effects.attacked import AttackedSample, attacked_sample, excess_of, share_of
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.interventions.typed import TYPED
from synapse_audit.model.activations import length_batches
from synapse_audit.pipeline.stages.run import Subject
from synapse_audit.pipeline.stages.typed_search import Search, edit_of, edited_input, prepare_search
from synapse_audit.progress import Progress
from synapse_audit.statistics import resampled_weights
from synapse_audit.sweep import Engine, Site
from synapse_audit.sweep.evasion import SIZES, Tried, succeeds
from synapse_audit.tables.guard import ANY_EDIT, TYPED_EDITS

Flags = Bool[np.ndarray, " examples"]


class Answers(NamedTuple):
    """What a guarded model says of texts."""

    classes: Int[np.ndarray, " texts"]
    """By the head that answers."""
    alarm: Bool[np.ndarray, " texts"]


class Seen(NamedTuple):
    """What became of every example under one kind of edit."""

    evaded: Flags
    """Without the guard."""
    guarded: Flags
    """The same text behind it, whether or not it raises an alarm."""
    alarm: Flags
    """Raised by that text."""
    random: Flags
    """Raised by a random edit of as many words, by the kind's control."""


def typed_behind_guard(
    guarded: GuardedModel,
    subject: Subject,
    logits: Float[np.ndarray, "examples classes"],
    config: AuditConfig,
    progress: Progress,
) -> pd.DataFrame:
    """``guard.typed``; empty where the model alone is right about no example.

    Args:
        logits: the model's own, clean, of all examples.
    """
    classifier = subject.classifier
    engine = Engine(classifier, Site((), ()), config.seed, benign=subject.benign)
    with classifier.unharmed():
        search = prepare_search(subject, engine, logits, config.grid.typed_examples)
        if search is None:
            return TYPED_EDITS.empty()
        found = {}
        with progress.stage("typed edits", len(TYPED)) as advance:
            for name in TYPED:
                found[name] = _seen(guarded, search, name)
                advance(1)
        untouched = answers(guarded, search.texts).alarm
    sample = _sample(subject, logits, config, search.rows)
    rows = _rows(found, untouched, sample, classifier.classes)
    return pd.DataFrame([*rows], columns=TYPED_EDITS.names).astype(TYPED_EDITS.types)


def answers(guarded: GuardedModel, texts: Sequence[TextInput]) -> Answers:
    """Class and alarm of each text, in their order."""
    encoded = guarded.classifier.encode(list(texts))
    classes, alarm = np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)
    for at in length_batches(encoded.lengths, np.arange(len(texts))):
        said = guarded(**guarded.classifier.collate(encoded, at))
        classes[at] = guarded.decided(said).argmax(dim=1).cpu().numpy()
        alarm[at] = said.alarm.cpu().numpy()
    return Answers(classes, alarm)


def _seen(guarded: GuardedModel, search: Search, name: str) -> Seen:
    tried = search.tried(name, search.chosen)
    victims = search.victims(search.chosen)
    said = answers(guarded, _inputs(search, [one.text for one in tried]))
    random = answers(guarded, _inputs(search, random_edits(search, name, tried)))
    won = [
        one.answer >= 0 and succeeds(victims, i, int(said.classes[i]))  # below 0: nothing to edit
        for i, one in enumerate(tried)
    ]
    return Seen(np.array([one.evaded for one in tried]), np.array(won), said.alarm, random.alarm)


def random_edits(search: Search, name: str, tried: Sequence[Tried]) -> list[str]:
    """Each text with a random edit by the kind's control, as many words as the chosen one had."""
    edit = edit_of(name, search.random)
    sizes = [int(one.size) if one.evaded else max(SIZES) for one in tried]
    pairs = zip(search.random.materials, sizes, strict=True)
    cut = [(material, min(size, edit.most(material))) for material, size in pairs]
    return [edit.apply(material, n) if n else material.text for material, n in cut]


def _inputs(search: Search, texts: Sequence[str]) -> list[TextInput]:
    return [edited_input(a, b) for a, b in zip(search.texts, texts, strict=True)]


def _sample(
    subject: Subject,
    logits: Float[np.ndarray, "examples classes"],
    config: AuditConfig,
    attacked: Int[np.ndarray, " attacked"],
) -> AttackedSample:
    """The attacked examples with the resamples that all figures of the run have."""
    data, rows = subject.data, subject.splits.evaluate
    labels, weights = data.labels[rows], data.weights[rows]
    resampled = resampled_weights(
        labels,
        weights,
        groups=None if data.groups is None else data.groups[rows],
        resamples=config.resamples,
        seed=config.seed,
    )
    places = np.searchsorted(rows, attacked)
    return attacked_sample(labels, logits[rows].argmax(axis=1), places, weights, resampled)


def _rows(
    found: dict[str, Seen], untouched: Flags, sample: AttackedSample, classes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Every kind, then whether any of them does; on all examples (class None) and on each class."""
    everyone = np.ones(len(sample.labels), dtype=bool)
    groups: list[tuple[str | None, Flags]] = [(None, everyone)]
    groups += [(classes[label], sample.labels == label) for label in np.unique(sample.labels)]
    for name, seen in found.items():
        hits = {
            "evaded": seen.evaded,
            "guarded": seen.guarded,
            "silent": seen.guarded & ~seen.alarm,
            "detected": seen.alarm,
            "random": seen.random,
            "untouched": untouched,
        }
        for group, among in groups:
            excess = excess_of(sample, seen.alarm, seen.random, among)
            yield _facts(name, group, among) | _shares(sample, hits, among) | excess
    some = {
        "evaded": np.any([seen.evaded for seen in found.values()], axis=0),
        "guarded": np.any([seen.guarded for seen in found.values()], axis=0),
        "silent": np.any([seen.guarded & ~seen.alarm for seen in found.values()], axis=0),
        "untouched": untouched,
    }
    for group, among in groups:
        yield _facts(ANY_EDIT, group, among) | _shares(sample, some, among)


def _facts(attack: str, group: str | None, among: Flags) -> dict[str, Any]:
    return {"attack": attack, "class": group, "n": int(among.sum())}


def _shares(sample: AttackedSample, hits: dict[str, Flags], among: Flags) -> dict[str, float]:
    parts = [share_of(sample, hit, among, name) for name, hit in hits.items()]
    return {key: value for part in parts for key, value in part.items()}
