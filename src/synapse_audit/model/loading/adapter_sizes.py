"""What an adapter says of itself, before PEFT believes it: sizes, and patterns of modules' names.

PEFT takes some fields for regular expressions, of which some take for ever on an ordinary name, and
builds layers as large and as often as others say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from synapse_audit.errors import ModelError

PATTERNS = ("target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern")
"""What PEFT takes for regular expressions, as a text, a list of them or the keys of a table."""

SIZED = (
    *("r", "init_r", "target_r", "rank_pattern", "layer_replication", "layers_to_transform"),
    *("oft_block_size", "decompose_factor"),
)
"""Numbers of an adapter that say how much is built."""

MOST = 2_000
"""Rank or number of layers of an adapter whose weights are no larger than that."""

MOST_REPEATS, MOST_OPTIONAL, LONGEST_PATTERN = 3, 8, 1_000


def check_adapter_sizes(
    file: Path, config: Mapping[str, Any], saved: Mapping[str, tuple[int, ...]]
) -> None:
    """Refuses an adapter whose numbers or patterns would take for ever.

    Args:
        file: where ``config`` is from, for the message.
        saved: shapes of the weights that it brings.

    Raises:
        ModelError: the message names the field.
    """
    most = max([MOST, *(size for shape in saved.values() for size in shape)])
    for name, number in _numbers({name: config.get(name) for name in SIZED}):
        if number > most:
            raise ModelError(f"'{file}' has {name} {number:,}; expected at most {most:,}")
    for name in PATTERNS:
        for pattern in _texts(config.get(name)):
            if not is_tame(pattern):
                raise ModelError(
                    f"'{file}' has {name} {pattern[:80]!r}, a pattern that may take for ever to "
                    "match; expected a list of the names of modules"
                )


def is_tame(pattern: str) -> bool:
    """Whether a regular expression ends soon on any name of a module.

    Cautious: no repeated group, few repetitions, few optional signs.
    """
    # What is escaped or between brackets is one sign, whatever it is.
    text = re.sub(r"\[\^?\]?[^\]]*\]", "x", re.sub(r"\\.", "x", pattern))
    optional = re.findall(r"(?<![(*+?}])\?", text)
    repeats = re.findall(r"[*+]|\{[^}]*\}", text)
    return (
        len(pattern) <= LONGEST_PATTERN
        and not re.search(r"\)[*+{]", text)
        and len(repeats) <= MOST_REPEATS
        and len(optional) <= MOST_OPTIONAL
        and not re.search(r"\{[^}]*\d{3}", text)
    )


def _numbers(tree: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Whole numbers of a configuration with their dotted names; those of a list under its name."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _numbers(value, f"{name}.{key}" if name else str(key))
    elif isinstance(tree, list):
        for value in tree:
            yield from _numbers(value, name)
    elif isinstance(tree, int) and not isinstance(tree, bool):
        yield name, tree


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    found = list(value) if isinstance(value, list | Mapping) else []
    return [text for text in found if isinstance(text, str)]
