"""What the report calls the inputs: texts, images, sounds, series, sequences of ids, table rows.

In: the manifest's ``data.kind``. Out: the nouns of every sentence about inputs. A new kind is one
line of :data:`KINDS`. Runs whose kind nobody recorded (a wrapped module, an older run) have
*inputs*.
"""

from __future__ import annotations

from typing import NamedTuple

from synapse_audit.report.kit import saved
from synapse_audit.report.kit.contents import Result


class Kind(NamedTuple):
    """The nouns of one kind of input."""

    noun: str
    many: str
    unit: str
    """What one position of the sequence holds that the blocks work on."""
    units: str
    own: str
    """The positions that an input contributes itself, in the genitive."""
    embeddings: str = "embeddings"
    spared: str = (
        "Padding is never touched; a position that alone is read by the head is not deleted."
    )
    """What no attack touches."""
    token: str = "A token is one position of the sequence that the blocks work on."
    """What this report means by a token; empty where it needs no word."""


TEXT = Kind(
    *("text", "texts", "token", "tokens", "a text's own tokens", "word embeddings"),
    spared="Start, separator and padding tokens are never touched.",
    token="",
)
PATCH = (
    "A token is one position of the sequence that the blocks work on: a patch of the {}, or one "
)
ADDED = "that the model adds, such as [CLS]."
KINDS: dict[str, Kind] = {
    "text": TEXT,
    "ids": Kind(
        *("sequence", "sequences", "token", "tokens", "a sequence's own tokens"),
        "token embeddings",
        token="",
    ),
    "image": Kind(
        *("image", "images", "patch", "patches", "an image's own patches", "patch embeddings"),
        token=PATCH.format("image") + ADDED,
    ),
    "audio": Kind("sound", "sounds", "position", "positions", "a sound's own positions"),
    "series": Kind(
        *("series", "series", "patch", "patches", "a series' own patches", "patch embeddings"),
        token=PATCH.format("series") + ADDED,
    ),
    "table": Kind("row", "rows", "position", "positions", "a row's own positions"),
}
"""``data.kind`` of the manifest → its words."""

UNKNOWN = Kind("input", "inputs", "position", "positions", "an input's own positions")


def kind_of(result: Result) -> Kind:
    """The words for the inputs of a run."""
    return KINDS.get(str(saved.dig(result.manifest, "data", "kind")), UNKNOWN)
