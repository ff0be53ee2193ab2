"""The search for typed edits: who is attacked, what counts as success, what edits are made of.

In: a classifier with its data, its clean logits. Out: a :class:`Search`, which tries every kind of
edit with words that the attacker chose or with random ones. Texts are held in memory only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from synapse_audit.artifacts import TextInput
from synapse_audit.interventions.typed import CONTROLS, TYPED, Material, TypedEdit, words_of
from synapse_audit.model import Classifier
from synapse_audit.pipeline.stages.run import Subject
from synapse_audit.sweep import Engine
from synapse_audit.sweep.evasion import SIZES, Tried, Victims, evade, word_orders
from synapse_audit.sweep.saliency import substitutes, vocabulary

PURPOSE = 7
"""What keys the random numbers besides seed and example."""

MOST_WORDS = 2000
"""Words of ``fit``, the most frequent ones, that may be typed in place of others."""

LEAST_TEXTS = 2
"""Texts of ``fit`` that a word must be in."""

TRIED_WORDS = 40
"""Words, those most typical of a class, that are tried on ``select`` before some are added."""

TRIED_ON = 12
"""Texts of ``select`` that each of them is tried on."""


class Choice(NamedTuple):
    """What the edits of every text are made of, chosen by the attacker or at random."""

    selection: str
    materials: Sequence[Material]
    otherwise: Sequence[Material] = ()
    """Tried where those did not do: another random draw than the control's; nothing where empty."""


class Search(NamedTuple):
    """Some examples under attack."""

    rows: Int[np.ndarray, " rows"]
    """Their numbers in the data, ascending."""
    texts: Sequence[TextInput]
    labels: Int[np.ndarray, " rows"]
    wanted: Int[np.ndarray, " rows"]
    """The class that counts as success; below 0: any other than the label."""
    ask: Asked
    chosen: Choice
    random: Choice

    def victims(self, choice: Choice) -> Victims:
        """The examples with what a choice edits them with."""
        return Victims(choice.materials, self.labels, self.wanted)

    def tried(self, name: str, choice: Choice) -> list[Tried]:
        """What became of every example under one kind of edit, or under its control."""
        edit, victims = edit_of(name, choice), self.victims(choice)
        found = evade(victims, edit, self.ask, SIZES)
        if not choice.otherwise or name in CONTROLS:
            return found
        return _tried_again(found, victims._replace(materials=choice.otherwise), edit, self.ask)


def edit_of(name: str, choice: Choice) -> TypedEdit:
    """A kind of edit; of random choices the one that stands beside it."""
    return TYPED[CONTROLS.get(name, name) if choice.selection == "random" else name]


def prepare_search(
    subject: Subject,
    engine: Engine,
    logits: Float[np.ndarray, "examples classes"],
    most: int,
) -> Search | None:
    """So many examples of every class, and what edits them; None where none is predicted right."""
    rows = attacked_rows(subject, logits, most, engine.seed)
    if not len(rows):
        return None
    texts = [subject.data.inputs[row] for row in rows]
    labels = subject.data.labels[rows]
    targets = _targets(subject, logits[rows], labels)
    ask = Asked(subject.classifier, texts)
    choices = _choices(subject, engine, (rows, targets), ask)
    return Search(rows, texts, labels, _wanted(subject, labels, targets), ask, *choices)


def _tried_again(
    tried: Sequence[Tried], victims: Victims, edit: TypedEdit, ask: Asked
) -> list[Tried]:
    """Random edits of the texts that no chosen one evaded with, all questions counted.

    What moves a text most word by word need not do so together, and a search that ends there would
    lose to no search at all.
    """
    left = np.array([i for i, one in enumerate(tried) if not one.evaded], dtype=np.int64)
    found = list(tried)
    if not len(left):
        return found
    materials = [victims.materials[i] for i in left.tolist()]
    some = Victims(materials, victims.labels[left], victims.wanted[left])
    again = evade(some, edit, lambda texts, of: ask(texts, left[of]), SIZES)
    for i, second in zip(left.tolist(), again, strict=True):
        asked = found[i].queries + second.queries
        found[i] = (second if second.evaded else found[i])._replace(queries=asked)
    return found


def attacked_rows(
    subject: Subject, logits: Float[np.ndarray, "examples classes"], most: int, seed: int
) -> Int[np.ndarray, " rows"]:
    """So many examples of every class that ``evaluate`` holds and that are predicted right."""
    rows = subject.splits.evaluate
    right = rows[logits[rows].argmax(axis=1) == subject.data.labels[rows]]
    mixed = np.random.default_rng([seed, PURPOSE]).permutation(right)
    labels = subject.data.labels[mixed]
    kept = [mixed[labels == label][:most] for label in np.unique(labels)]
    return np.sort(np.concatenate([*kept, np.zeros(0, dtype=np.int64)])).astype(np.int64)


# ---- what the attacker wants ---------------------------------------------------------------------


def _targets(
    subject: Subject, logits: Float[np.ndarray, "rows classes"], labels: Int[np.ndarray, " rows"]
) -> Int[np.ndarray, " rows"]:
    """The class to aim at: the benign one where one was named, else the runner-up."""
    others = logits.astype(np.float64).copy()
    others[np.arange(len(labels)), labels] = -np.inf
    runner_up = others.argmax(axis=1)
    if subject.benign is None:
        return runner_up
    return np.where(labels == subject.benign, runner_up, subject.benign)


def _wanted(
    subject: Subject, labels: Int[np.ndarray, " rows"], targets: Int[np.ndarray, " rows"]
) -> Int[np.ndarray, " rows"]:
    """What counts as success: of attacks the benign class, of all else any other class."""
    if subject.benign is None:
        return np.full(len(labels), -1)
    return np.where(labels == subject.benign, -1, targets)


class Asked:
    """The classifier, asked about edited texts; of a pair the first text is edited.

    What it answers are probabilities, each times what the decision threshold of its class makes of
    it: the largest is the class decided on.
    """

    def __init__(self, classifier: Classifier, texts: Sequence[Any]) -> None:
        self.classifier, self.texts = classifier, texts

    def __call__(
        self, edited: Sequence[str], of: Int[np.ndarray, " texts"]
    ) -> Float[np.ndarray, "texts classes"]:
        """A score per class of each edited text; ``of``: the place of its original."""
        whole = [edited_input(self.texts[i], text) for text, i in zip(edited, of, strict=True)]
        shares, shift = self.classifier.predict_proba(whole), self.classifier.decision.shift
        return shares if shift is None else shares * np.exp(shift)


def edited_input(original: TextInput, edited: str) -> TextInput:
    """The input with another text, of a pair with another first one."""
    return edited if isinstance(original, str) else (edited, original[1])


def _first(text: Any) -> str:
    """The text that is edited."""
    return text if isinstance(text, str) else str(text[0])


# ---- what edits are made of ----------------------------------------------------------------------


def _choices(
    subject: Subject,
    engine: Engine,
    aimed: tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " rows"]],
    ask: Asked,
) -> tuple[Choice, Choice]:
    rows, targets = aimed
    inputs, classes = subject.data.inputs, subject.classifier.classes
    texts = [_first(inputs[row]) for row in rows]
    counts = _word_counts(subject)
    often = np.argsort(-counts.to_numpy().sum(axis=1), kind="stable")[:MOST_WORDS]
    frequent = [str(word) for word in counts.index[often]]
    wanted = [classes[target] for target in targets]
    best = substitutes(engine, [inputs[row] for row in rows], wanted, vocabulary(engine, frequent))
    orders = word_orders(texts, subject.data.labels[rows], targets, ask)
    added = {int(t): _typical(subject, counts, int(t)) for t in np.unique(targets)}
    chosen = [
        Material(text, found.order, added[int(target)], words, found.asked)
        for text, found, target, words in zip(texts, orders, targets, best, strict=True)
    ]
    random, other = (
        [
            _random(text, frequent, np.random.default_rng([engine.seed, PURPOSE, int(row), *d]))
            for text, row in zip(texts, rows, strict=True)
        ]
        for d in ((), (1,))
    )
    return Choice("chosen", chosen, otherwise=other), Choice("random", random)


def _random(text: str, words: Sequence[str], generator: np.random.Generator) -> Material:
    n = len(words_of(text))
    order = tuple(generator.permutation(n).tolist())
    if not words:
        return Material(text, order, (), ())
    drawn = [words[i] for i in generator.integers(len(words), size=max(SIZES) + n)]
    return Material(text, order, tuple(drawn[: max(SIZES)]), tuple(drawn[max(SIZES) :]))


def _word_counts(subject: Subject) -> pd.DataFrame:
    """Texts of ``fit`` that hold each word, by class: (words, classes)."""
    fit = subject.splits.fit
    pairs = {
        (word, int(subject.data.labels[row]), int(row))
        for row in fit
        for word in words_of(_first(subject.data.inputs[row]))
    }
    table = pd.DataFrame(sorted(pairs), columns=["word", "label", "row"])
    counts = table.groupby(["word", "label"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=range(len(subject.classifier.classes)), fill_value=0)
    return counts[counts.sum(axis=1) >= LEAST_TEXTS]


def _typical(subject: Subject, counts: pd.DataFrame, target: int) -> tuple[str, ...]:
    """Words to add: of those typical of a class the ones that move other texts most to it.

    Typical: largest log odds of occurring in a text of ``fit`` of the class (Monroe et al. 2008,
    with half a text added). Each is then appended to a few texts of ``select`` of other classes.
    """
    fit = subject.data.labels[subject.splits.fit]
    mine, every = int((fit == target).sum()), len(fit)
    inside = counts[target].to_numpy(dtype=np.float64) + 0.5
    outside = counts.to_numpy(dtype=np.float64).sum(axis=1) + 1.0 - inside
    odds = np.log(inside / (mine + 1 - inside)) - np.log(outside / (every - mine + 1 - outside))
    best = np.argsort(-odds, kind="stable")[:TRIED_WORDS]
    words = [str(word) for word in counts.index[best]]
    select = subject.splits.select
    texts = [subject.data.inputs[r] for r in select[subject.data.labels[select] != target]]
    if not words or not texts:
        return tuple(words[: max(SIZES)])
    return _most_moving(subject, words, texts[:TRIED_ON], target)


def _most_moving(
    subject: Subject, words: Sequence[str], texts: Sequence[Any], target: int
) -> tuple[str, ...]:
    asked = [edited_input(text, f"{_first(text)} {word}") for word in words for text in texts]
    p = subject.classifier.predict_proba(asked)[:, target].reshape(len(words), len(texts))
    moved = np.log(np.maximum(p, 1e-300)).mean(axis=1)
    order = np.argsort(-moved, kind="stable")[: max(SIZES)]
    return tuple(words[i] for i in order)
