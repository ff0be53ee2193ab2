"""Rankings and operators of one's own, for as long as a ``with`` lasts.

The tables ``RANKINGS`` and ``OPERATORS`` are literal: what the package offers stands there, and
nothing registers itself. A notebook may add to them inside a block, and every run inside it records
the source of what was added, so that its manifest says what was run.
"""

from __future__ import annotations

import hashlib
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from synapse_audit.artifacts import Ranking
from synapse_audit.errors import UsageError, first_line
from synapse_audit.interventions.operators import OPERATORS
from synapse_audit.interventions.operators.formulas import Operator
from synapse_audit.rankings import RANKINGS, RankingContext

TABLES: dict[str, dict[str, Any]] = {"ranking": RANKINGS, "operator": OPERATORS}

SHIPPED = {kind: frozenset(table) for kind, table in TABLES.items()}
"""The names that the package itself offers."""


@contextmanager
def extended(
    *,
    rankings: Mapping[str, Callable[[RankingContext], Ranking]] | None = None,
    operators: Mapping[str, Operator] | None = None,
) -> Iterator[None]:
    """Adds rankings and operators by name until the block ends.

    Inside it a grid may name them like any other: in ``rankings``, ``compared``, ``operators``.
    The manifest of a run has the sha256 of each function's source under ``extensions``, and a run
    folder belongs to that source: it is resumed only with the same.

    Args:
        rankings: name → (context) → :class:`Ranking`: one array of scores per layer, layer 0
            first, under ``GLOBAL`` and, for what is done per class, each class name.
        operators: name → (statistics of a layer over ``fit``, cell) → rewrite of its neurons.

    Raises:
        UsageError: a name is taken, or a function's source cannot be found.

    Limits: the hash covers the function's own source, not what it calls or the values it reads;
    workers of another process (engine ray) do not have what was added here.

    >>> def spread(context):
    ...     fit, layers = context.splits.fit, context.activations.layers
    ...     return Ranking("spread", {GLOBAL: [layer[fit].std(axis=0) for layer in layers]})
    >>> with extended(rankings={"spread": spread}):
    ...     "spread" in RANKINGS
    True
    >>> "spread" in RANKINGS
    False
    """
    added: dict[str, dict[str, Any]] = {
        "ranking": dict(rankings or {}),
        "operator": dict(operators or {}),
    }
    for kind, functions in added.items():
        for name, function in functions.items():
            if name in TABLES[kind]:
                raise UsageError(f"{kind} '{name}' given, which is taken; expected a new name")
            source_hash(kind, name, function)
    for kind, functions in added.items():
        TABLES[kind].update(functions)
    try:
        yield
    finally:
        for kind, functions in added.items():
            for name in functions:
                del TABLES[kind][name]


def extensions() -> dict[str, str]:
    """What is added right now: ``ranking NAME`` or ``operator NAME`` → sha256 of its source."""
    return {
        f"{kind} {name}": source_hash(kind, name, function)
        for kind, table in TABLES.items()
        for name, function in table.items()
        if name not in SHIPPED[kind]
    }


def source_hash(kind: str, name: str, function: Callable[..., Any]) -> str:
    """sha256 of a function's source, its indentation aside.

    Raises:
        UsageError: it has none that can be found (a partial, a callable object, typed at a prompt).
    """
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise UsageError(
            f"{kind} '{name}' given, whose source cannot be found ({first_line(error)}); expected "
            "a function defined in a file or a notebook cell"
        ) from error
    return hashlib.sha256(source.encode()).hexdigest()
