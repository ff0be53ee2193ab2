"""Which columns hold the input (a text, or a signal), its partner, the label and the group.

In: tables and the names the user gave. Out: :class:`Columns`. Names not given are guessed, and
only where exactly one column qualifies.
"""

from __future__ import annotations

from collections.abc import Sequence

from synapse_audit.data.media import Medium
from synapse_audit.data.tables import Columns, Table, listing
from synapse_audit.errors import DataError, choices

TEXT_NAMES = (
    "text",
    "texts",
    "sentence",
    "content",
    "input",
    "payload",
    "message",
    "prompt",
    "query",
    "document",
    "comment",
    "review",
    "tweet",
    "utterance",
)
"""Columns taken for the text when none is named; case does not matter."""

LABEL_NAMES = ("label", "labels", "class", "category", "target", "intent", "sentiment")
"""Columns taken for the label when none is named; case does not matter."""


def the_input_column(
    text: str | None, other: str | None, pair: str | None, medium: Medium | None
) -> str | None:
    """The column of the inputs as named by ``--text-column`` or ``--input-column``.

    Raises:
        DataError: both are given, or columns of texts for a model that reads none.
    """
    if medium is not None and (named := text or pair) is not None:
        raise DataError(
            f"column '{named}' given as one of texts; the model reads one {medium.one} per "
            "example; expected --input-column NAME"
        )
    if text is not None and other is not None:
        raise DataError(
            f"text column '{text}' and input column '{other}' given; expected one of the two"
        )
    return text or other


def choose_columns(
    table: Table,
    *,
    text: str | None,
    pair: str | None,
    label: str | None,
    group: str | None,
    medium: Medium | None = None,
) -> Columns:
    """The columns as named, the columns of inputs and labels guessed where they are not.

    Args:
        text: the column of the inputs, whatever ``medium`` they are; None there: texts.

    Raises:
        DataError: a named column is missing, two roles share one column, or a guess finds no
            column or several.
    """
    role = medium.one if medium else "text"
    given = {role: text, "text pair": pair, "label": label, "group": group}
    named = {role: name for role, name in given.items() if name is not None}
    for role, name in named.items():
        require_column(table, role, name)
    _require_different(table, named)
    taken = set(named.values())
    return Columns(
        text=text or _guess_input(table, medium, taken),
        label=label or _guess(table, "label", (LABEL_NAMES,), taken),
        pair=pair,
        group=group,
    )


def require_columns(table: Table, columns: Columns) -> None:
    """Checks that a second table has the columns chosen in the first.

    Raises:
        DataError: a column is missing.
    """
    roles = {"text": columns.text, "label": columns.label}
    optional = {"text pair": columns.pair, "group": columns.group}
    for role, name in (roles | optional).items():
        if name is not None:
            require_column(table, role, name)


def require_column(table: Table, role: str, name: str) -> None:
    """Checks that a table has a column.

    Raises:
        DataError: it has none of that name; the message names those that it has.
    """
    names = [str(column) for column in table.frame.columns]
    if name not in names:
        raise DataError(
            f"{role} column '{name}' given; '{table.source}' has no such column; "
            f"{choices(name, names)}"
        )


def _require_different(table: Table, named: dict[str, str]) -> None:
    roles: dict[str, str] = {}
    for role, name in named.items():
        if name in roles:
            names = listing([str(column) for column in table.frame.columns])
            raise DataError(
                f"column '{name}' given both as {roles[name]} column and as {role} column; "
                f"expected different columns; columns of '{table.source}': {names}"
            )
        roles[name] = role


def _guess_input(table: Table, medium: Medium | None, taken: set[str]) -> str:
    if medium is None:
        return _guess(table, "text", (TEXT_NAMES,), taken)
    return _guess(table, medium.one, medium.columns, taken, option="input")


def _guess(
    table: Table,
    role: str,
    known: Sequence[tuple[str, ...]],
    taken: set[str],
    *,
    option: str | None = None,
) -> str:
    """The one column of a known name; later names count where no earlier one is there."""
    names = [str(column) for column in table.frame.columns]
    fitting = (
        [name for name in names if name.strip().casefold() in some and name not in taken]
        for some in known
    )
    found = next((some for some in fitting if some), [])
    if len(found) == 1:
        return found[0]
    problem = f"{len(found)} columns could be the {role}" if found else f"no column is the {role}"
    raise DataError(
        f"no {role} column given, and in '{table.source}' {problem}; expected "
        f"--{option or role}-column NAME; columns: {listing(names)}"
    )
