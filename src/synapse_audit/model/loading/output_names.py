"""How many outputs a configuration describes, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from synapse_audit.errors import UsageError


def outputs(config: Any) -> int:
    """How many logits a configuration describes."""
    return int(getattr(config, "num_targets", None) or config.num_labels)


def class_names(named: Mapping[int, Any], n: int) -> tuple[str, ...]:
    """Names by output index; those that several outputs share are distinguished by their numbers.

    >>> class_names({0: "crane", 1: "crane", 2: "heron"}, 3)
    ('crane (0)', 'crane (1)', 'heron')
    """
    names = [str(named[i]) for i in range(n)]
    while len({*names}) < n:
        names = [f"{x} ({i})" if names.count(x) > 1 else x for i, x in enumerate(names)]
    return tuple(names)


def output_names(config: Any) -> tuple[str, ...]:
    """The names that a configuration gives its outputs; an empty one where its one has none."""
    names = class_names(config.id2label, outputs(config))
    return ("",) if len(names) == 1 and PLACEHOLDER.fullmatch(names[0]) else names


PLACEHOLDER = re.compile(r"LABEL_\d+", re.IGNORECASE)
"""What transformers calls outputs that nobody named."""


def given_names(classes: Sequence[str] | None) -> tuple[str, ...]:
    """Names that the caller gives, distinguished as :func:`class_names` does.

    Raises:
        UsageError: none are given.
    """
    if classes is None:
        raise UsageError("no classes given; expected classes=(a name per output)")
    return class_names(dict(enumerate(classes)), len(classes))
