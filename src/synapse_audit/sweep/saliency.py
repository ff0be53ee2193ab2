"""Which words in place of a text's own would move the answer, by one gradient.

In: texts, the class that an attacker wants of each, and words that may be typed. Out: per word of
each text the one whose embedding helps most in its place, to first order (HotFlip, Ebrahimi et al.
2018, arXiv 1712.06751, by whole words).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from synapse_audit.interventions.typed import words_of
from synapse_audit.sweep.clean import clean_pass
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.text import read_text, special_of

BATCH = 16


class Vocabulary(NamedTuple):
    """Words that are one token each."""

    words: tuple[str, ...]
    vectors: Float[Tensor, "words width"]


def vocabulary(engine: Engine, words: Sequence[str]) -> Vocabulary:
    """Those of the words that are one token of the model's own table of embeddings."""
    table = _table(engine.classifier.model)
    if table is None or not words:
        return Vocabulary((), torch.zeros(0, 0))
    special = set(special_of(engine))
    found = [
        [token for token in features.get("input_ids", ()) if token not in special]
        for features in engine.classifier.encode(list(words)).features
    ]
    single = [(word, ids[0]) for word, ids in zip(words, found, strict=True) if len(ids) == 1]
    places = torch.tensor([token for _, token in single], dtype=torch.long, device=table.device)
    return Vocabulary(tuple(word for word, _ in single), table[places].detach())


def substitutes(
    engine: Engine, inputs: Sequence[Any], wanted: Sequence[str], known: Vocabulary
) -> list[tuple[str, ...]]:
    """For every word of every text the one to put in its place; of a pair for its first text.

    Tokens belong to the word that they came of where the words encode one by one as they do
    together, else in proportion; what is cut off gets the vocabulary's first word. Empty where the
    vocabulary is.
    """
    found: list[tuple[str, ...]] = [()] * len(inputs)
    for target in dict.fromkeys(wanted if known.words else ()):
        rows = [i for i, name in enumerate(wanted) if name == target]
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            best = _batch(engine, [inputs[i] for i in some], target, known)
            for i, words in zip(some, best, strict=True):
                found[i] = words
    return found


def _batch(
    engine: Engine, inputs: Sequence[Any], target: str, known: Vocabulary
) -> list[tuple[str, ...]]:
    classifier = engine.classifier
    encoded, places = classifier.encode(list(inputs)), np.arange(len(inputs))
    clean = clean_pass(classifier, classifier.collate(encoded, places), places, None)
    with torch.inference_mode(False), torch.enable_grad():
        text = read_text(engine, clean)
        slope = text.ascent(text.states, target)
    found = []
    for place, one in enumerate(inputs):
        slopes = slope[place][text.editable[place]]
        words = words_of(one if isinstance(one, str) else one[0])
        owner = _owners(engine, words, len(slopes), alone=isinstance(one, str))
        found.append(_best(slopes, owner, words, known))
    return found


def _best(
    slopes: Float[Tensor, "tokens width"],
    owner: Int[np.ndarray, " tokens"],
    words: Sequence[str],
    known: Vocabulary,
) -> tuple[str, ...]:
    """Per word the largest rise at its first token; never the word itself."""
    if known.vectors.shape[1] != slopes.shape[1]:
        return ()
    rises = (slopes @ known.vectors.to(slopes).T).double().cpu().numpy()
    names = np.array(known.words, dtype=object)
    best = []
    for number, word in enumerate(words):
        tokens = np.flatnonzero(owner == number)
        row = rises[tokens[0]] if len(tokens) else np.zeros(len(names))
        best.append(str(names[int(np.where(names == word, -np.inf, row).argmax())]))
    return tuple(best)


def _owners(
    engine: Engine, words: Sequence[str], tokens: int, *, alone: bool
) -> Int[np.ndarray, " tokens"]:
    """The word that each editable token belongs to; below 0: none (the second text of a pair)."""
    special = set(special_of(engine))
    encoded = engine.classifier.encode(list(words)).features if words else ()
    counts = [sum(token not in special for token in row.get("input_ids", ())) for row in encoded]
    owner = np.repeat(np.arange(len(words)), counts)
    if alone and len(owner) < tokens and len(words):  # encoded otherwise together: in proportion
        owner = owner[np.arange(tokens) * len(owner) // tokens] if len(owner) else owner
    kept = np.full(tokens, -1, dtype=np.int64)
    kept[: min(tokens, len(owner))] = owner[:tokens]
    return kept


def _table(model: nn.Module) -> Tensor | None:
    """The model's table of word embeddings."""
    get = getattr(model, "get_input_embeddings", None)
    try:
        module = get() if callable(get) else None
    except NotImplementedError:
        return None
    return module.weight if isinstance(module, nn.Embedding) else None
