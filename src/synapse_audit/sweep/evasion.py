"""The search for the smallest typed edit that a classifier falls to.

In: texts with what their edits are made of, and a classifier as a function of texts. Out: per text
whether an edit of some size succeeded, how large it was and how many questions it took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.interventions.typed import (
    Material,
    TypedEdit,
    characters_changed,
    delete,
    words_of,
)

Ask = Callable[[Sequence[str], Int[np.ndarray, " texts"]], Float[np.ndarray, "texts classes"]]
"""(edited texts, which example each is of) → a score per class; the largest is the answer."""

SIZES = (1, 2, 4, 8, 16)
"""Words that are edited or added, tried in this order."""


GROUPS = 40
"""Questions at most that the order of a text's words may cost."""

LEAST = 1e-300
"""Probabilities below it count as this."""


class WordOrder(NamedTuple):
    """Which words of a text go first, and what it cost to know."""

    order: tuple[int, ...]
    asked: int


class Victims(NamedTuple):
    """Texts under attack and what counts as success."""

    materials: Sequence[Material]
    labels: Int[np.ndarray, " texts"]
    """What they are, and what the classifier says of them untouched."""
    wanted: Int[np.ndarray, " texts"]
    """The class that the answer must become; below 0: any other."""


class Tried(NamedTuple):
    """What became of one text under one kind of edit."""

    evaded: bool
    size: float
    """Of :data:`SIZES` the first that succeeded, a text with fewer words being edited whole; NaN
    where none did."""
    characters: float
    """Characters that it changed; NaN where none did."""
    queries: int
    """Questions asked until then, those for the order of the words included."""
    answer: int
    """The class answered in the end; below 0 where no edit of this kind could be made."""
    text: str = ""
    """The edit that succeeded, else the last one tried; held in memory only."""


def evade(victims: Victims, edit: TypedEdit, ask: Ask, sizes: Iterable[int] = SIZES) -> list[Tried]:
    """Tries sizes in ascending order until the answer is the wanted one.

    A size beyond what a text allows is cut to it; an edit that leaves the text as it was, or as
    the edit before did, is no question.
    """
    spent = [material.asked if edit.ordered else 0 for material in victims.materials]
    last = [material.text for material in victims.materials]
    pairs = zip(spent, last, strict=True)
    found = [Tried(False, np.nan, np.nan, asked, -1, text) for asked, text in pairs]
    waiting = list(range(len(found)))
    for size in sizes:
        asked = []
        for i in waiting:
            material = victims.materials[i]
            n = min(size, edit.most(material))
            text = edit.apply(material, n) if n else last[i]
            if text != last[i]:
                asked.append(i)
                last[i] = text
        if asked:
            answers = ask([last[i] for i in asked], np.array(asked)).argmax(axis=1)
            for i, answer in zip(asked, answers.tolist(), strict=True):
                found[i] = _after(victims, found[i], i, last[i], (size, answer))
        waiting = [i for i in waiting if not found[i].evaded]
    return found


def succeeds(victims: Victims, i: int, answer: int) -> bool:
    """Whether an answer is what the attacker of a text wants."""
    wanted = int(victims.wanted[i])
    return answer == wanted if wanted >= 0 else answer != int(victims.labels[i])


def _after(victims: Victims, before: Tried, i: int, text: str, asked: tuple[int, int]) -> Tried:
    size, answer = asked
    if not succeeds(victims, i, answer):
        return before._replace(queries=before.queries + 1, answer=answer, text=text)
    material = victims.materials[i]
    changed = characters_changed(material.text, text)
    return Tried(True, float(size), float(changed), before.queries + 1, answer, text)


def word_orders(
    texts: Sequence[str],
    labels: Int[np.ndarray, " texts"],
    targets: Int[np.ndarray, " texts"],
    ask: Ask,
) -> list[WordOrder]:
    """Words of each text, the one first whose absence helps the target most against the label.

    Each is left out once and the classifier asked (leave one out). Gradients would not do: at
    embeddings that are normalised next, one in the direction of the embedding is 0. Of long texts
    ``GROUPS`` runs of words are left out instead, and words of a run stay in their order.
    """
    made = [_left_out(text) for text in texts]
    of = np.repeat(np.arange(len(texts)), [len(one) for one in made])
    flat = [text for one in made for text in one]
    if not flat:
        return [WordOrder(tuple(range(len(words_of(text)))), 0) for text in texts]
    p = np.log(np.maximum(ask(flat, of), LEAST))
    every = np.arange(len(flat))
    gains = p[every, targets[of]] - p[every, labels[of]]
    found = []
    for i, text in enumerate(texts):
        n, mine = len(words_of(text)), gains[of == i]
        group = np.arange(n) * len(mine) // max(n, 1)
        scores = mine[group] if len(mine) else np.zeros(n)
        order = np.argsort(-scores, kind="stable").tolist()
        found.append(WordOrder(tuple(order), len(mine)))
    return found


def _left_out(text: str) -> list[str]:
    """The text without each word, or without each of ``GROUPS`` runs of them."""
    n = len(words_of(text))
    if n < 2:
        return []
    group = np.arange(n) * min(n, GROUPS) // n
    runs = [np.flatnonzero(group == g).tolist() for g in range(group[-1] + 1)]
    return [delete(Material(text, tuple(run), (), ()), len(run)) for run in runs]
