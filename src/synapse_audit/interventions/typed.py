"""Edits of a text that a person can type: what each does to some of its words.

In: a text cut into words, which of them go first, words to add or to put in their place, and how
many. Out: the edited text; white space that no edit concerns stays as it was. Pure text: no model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import islice

PIECE = re.compile(r"\S+|\s+")

HOMOGLYPHS = str.maketrans("acehijopsxyABCEHIKMOPTX", "асеһіјорѕхуАВСЕНІКМОРТХ")
"""Latin letters and the Cyrillic ones that look alike."""

ZERO_WIDTH = "\u200b"
"""Zero width space: nobody sees it."""


@dataclass(frozen=True)
class Material:
    """A text, and what its edits are made of."""

    text: str
    order: tuple[int, ...]
    """Numbers of its words, the one to be edited first first."""
    added: tuple[str, ...]
    """Words to append or prepend, the first one first."""
    substitutes: tuple[str, ...]
    """For each word what takes its place; empty where nothing is known."""
    asked: int = 0
    """Questions that the order cost."""

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """Words and the white space between them, which together are the text."""
        return tuple(PIECE.findall(self.text))

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Which pieces are words."""
        return tuple(i for i, piece in enumerate(self.pieces) if not piece.isspace())


@dataclass(frozen=True)
class TypedEdit:
    """One kind of edit."""

    apply: Callable[[Material, int], str]
    """(what it is made of, how many words) → the edited text."""
    most: Callable[[Material], int]
    """How many words it can be given at most."""
    ordered: bool = True
    """Whether it takes words in their order."""


def words_of(text: str) -> list[str]:
    """The words of a text: whatever stands between white space."""
    return re.findall(r"\S+", text)


def characters_changed(before: str, after: str) -> int:
    """Characters typed or taken away to get from one text to the other, roughly the fewest.

    What stands between the common beginning and the common end is aligned as difflib does it,
    which is seldom the shortest way.

    >>> characters_changed("free money", "fr ee money"), characters_changed("a", "b")
    (1, 1)
    """
    start = _shared(before, after)
    rest = min(len(before), len(after)) - start
    end = min(rest, _shared(before[::-1], after[::-1]))
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for tag, i1, i2, j1, j2 in blocks if tag != "equal")


def _shared(one: str, other: str) -> int:
    """Length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


# ---- edits ---------------------------------------------------------------------------------------


def append(material: Material, n: int) -> str:
    """Words behind the text."""
    return " ".join([material.text, *material.added[:n]])


def prepend(material: Material, n: int) -> str:
    """Words before the text."""
    return " ".join([*material.added[:n], material.text])


def truncate(material: Material, n: int) -> str:
    """The last words left out."""
    last = material.places[len(material.places) - n]
    return "".join(material.pieces[:last]).rstrip()


def delete(material: Material, n: int) -> str:
    """Words left out, with the white space behind them."""
    gone = {material.places[word] for word in material.order[:n]}
    gone |= {place + 1 for place in gone}
    return "".join(p for i, p in enumerate(material.pieces) if i not in gone).rstrip()


def substitute(material: Material, n: int) -> str:
    """Words replaced by others."""
    return _rewritten(material, n, lambda number, _: material.substitutes[number])


def _in_place(change: Callable[[str], str]) -> Callable[[Material, int], str]:
    return lambda material, n: _rewritten(material, n, lambda _, word: change(word))


def _rewritten(material: Material, n: int, change: Callable[[int, str], str]) -> str:
    pieces = list(material.pieces)
    for number in islice(material.order, n):
        place = material.places[number]
        pieces[place] = change(number, pieces[place])
    return "".join(pieces)


def spaced(word: str) -> str:
    """A space between all characters.

    >>> spaced("free")
    'f r e e'
    """
    return " ".join(word)


def lookalikes(word: str) -> str:
    """Latin letters replaced by Cyrillic ones that look alike."""
    return word.translate(HOMOGLYPHS)


def invisibly_broken(word: str) -> str:
    """A zero width space between all characters."""
    return ZERO_WIDTH.join(word)


def other_case(word: str) -> str:
    """Small letters for capitals and the reverse."""
    return word.swapcase()


def mistyped(word: str) -> str:
    """The two characters in its middle exchanged; of one character alone, it is doubled.

    >>> mistyped("free"), mistyped("a"), mistyped("off")
    ('fere', 'aa', 'fof')
    """
    if len(word) < 2:
        return word * 2
    left = (len(word) - 1) // 2 if len(word) != 3 else 0
    return word[:left] + word[left + 1] + word[left] + word[left + 2 :]


def _words(material: Material) -> int:
    return len(material.places)


def _all_but_one(material: Material) -> int:
    return max(0, len(material.places) - 1)


def _added(material: Material) -> int:
    return len(material.added)


def _substitutes(material: Material) -> int:
    return len(material.places) if material.substitutes else 0


TYPED: dict[str, TypedEdit] = {
    "append": TypedEdit(append, _added, ordered=False),
    "prepend": TypedEdit(prepend, _added, ordered=False),
    "spacing": TypedEdit(_in_place(spaced), _words),
    "homoglyphs": TypedEdit(_in_place(lookalikes), _words),
    "zero_width": TypedEdit(_in_place(invisibly_broken), _words),
    "case": TypedEdit(_in_place(other_case), _words),
    "typos": TypedEdit(_in_place(mistyped), _words),
    "truncate": TypedEdit(truncate, _all_but_one, ordered=False),
    "delete": TypedEdit(delete, _all_but_one),
    "substitute": TypedEdit(substitute, _substitutes),
}
"""Name → edit."""

CONTROLS = {"truncate": "delete"}
"""Edits that choose nothing → the one that does as much to random words."""
