"""What the report calls the kinds of typed edits."""

from __future__ import annotations

from synapse_audit.report.kit import prose
from synapse_audit.tables.guard import ANY_EDIT

NAMES = {
    "append": "words appended",
    "prepend": "words prepended",
    "spacing": "spaced letters",
    "homoglyphs": "look-alike letters",
    "zero_width": "zero-width spaces",
    "case": "case swapped",
    "typos": "typos",
    "truncate": "end cut off",
    "delete": "words deleted",
    "substitute": "words replaced",
    ANY_EDIT: "any of them",
}


def edit_name(attack: object) -> str:
    """A kind of edit in words."""
    return NAMES.get(str(attack), prose.plain(attack))
