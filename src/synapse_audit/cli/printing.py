"""The one way to the terminal: lines without control characters.

Class names, file names and messages of libraries come from strangers. A control character among
them could move the cursor, recolour, retitle or fake a line, so whatever is printed goes through
:func:`printable`.
"""

from __future__ import annotations

import unicodedata

import typer

CONTROL = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories that are shown as escapes: control, format (bidirectional overrides), lone
surrogates, line and paragraph separators."""

JOINERS = "\u200c\u200d"
"""Format characters that words of some scripts need, and that move nothing."""


def printable(text: str) -> str:
    """The text on one line, with escapes for all that a terminal would act on.

    >>> printable(f"a{chr(27)}[2Jb") == "a" + chr(92) + "x1b[2Jb"
    True
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in CONTROL and character not in JOINERS
        else character
        for character in text
    )


def show(text: str, *, error: bool = False) -> None:
    """One line on stdout, or on stderr."""
    typer.echo(printable(text), err=error)
