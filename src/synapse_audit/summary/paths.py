"""Figures of a summary by their dotted path.

A key with a dot, a space or anything else beyond letters, digits, ``_`` and ``-`` is quoted, as
TOML quotes keys: ``vulnerability."path traversal".redirect."0.1"``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from synapse_audit.errors import UsageError
from synapse_audit.summary.figure import Figure

BARE = re.compile(r"[A-Za-z0-9_-]+")
QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'")

Keys = tuple[str, ...]
"""A path as its keys, outermost first."""

APART = {"cost"}
"""Top-level keys that describe the run, not the model."""


def dotted(keys: Sequence[str]) -> str:
    """Keys as one path.

    >>> dotted(("vulnerability", "path traversal", "redirect", "0.1"))
    'vulnerability."path traversal".redirect."0.1"'
    """
    return ".".join(key if BARE.fullmatch(key) else _quoted(key) for key in keys)


def keys_of(path: str) -> Keys:
    """A path as its keys.

    Raises:
        UsageError: it is no dotted path.

    >>> keys_of('clean."a.b".recall')
    ('clean', 'a.b', 'recall')
    """
    is_key = path.isprintable() and not set("=#") & set(QUOTED.sub("", path))
    try:
        node: Any = tomllib.loads(f"{path} = 0") if is_key else None
    except tomllib.TOMLDecodeError:
        node = None
    keys: list[str] = []
    while isinstance(node, dict) and len(node) == 1:
        ((key, node),) = node.items()
        keys.append(key)
    if node != 0 or not keys:
        raise UsageError(
            f"figure '{path}' given; expected a dotted path, with keys that hold dots or spaces "
            'in quotes: vulnerability."a b".redirect."0.1"'
        )
    return tuple(keys)


def walk(tree: Mapping[str, Any]) -> Iterator[tuple[Keys, Figure]]:
    """Every figure of a summary with its keys, known or not, those beside a figure included."""
    for name, node in tree.items():
        if name not in APART:
            yield from _walk((name,), node)


def _walk(keys: Keys, node: Any) -> Iterator[tuple[Keys, Figure]]:
    if not isinstance(node, Mapping):
        return
    inner: Mapping[str, Any] = node
    if {"value", "low", "high"} <= set(node) and not isinstance(node["value"], str | Mapping):
        figure = Figure.read(node)
        inner = figure.beside
        yield keys, figure
    for name, part in inner.items():
        yield from _walk((*keys, name), part)


def _quoted(key: str) -> str:
    escaped = "".join(_escape(character) for character in key)
    return f'"{escaped}"'


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08x}"
