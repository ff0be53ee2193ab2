"""Tables of typed edits: the stage's own, and those of the finding ``typed``."""

from __future__ import annotations

from synapse_audit.tables.column import Column, Values, count, ends, estimate, flag, number, text
from synapse_audit.tables.run import EXAMPLE
from synapse_audit.tables.shared import ACCURACY_LOST, LABEL
from synapse_audit.tables.table import Table, of_finding

ATTACK = text("attack", "kind of edit: append, prepend, spacing, homoglyphs, typos, delete …")
CLASS_NAME = text("class", "the true class; null: all")
CLASS_OR_NONE = Values("integer", -1, 10**6)
N = count("n", "examples", "examples attacked")
RANDOM = estimate(
    "random", "share", "share evaded by random edits of that kind (truncate: of delete), as large"
)


EDITS = Table(
    "typed",
    "an example under one kind of typed edit, chosen by the attacker or random; no text",
    (
        EXAMPLE,
        LABEL,
        Column("wanted", CLASS_OR_NONE, "", "class that counts as success; -1: any other"),
        ATTACK,
        text("selection", "chosen or random"),
        flag("evaded", "whether an edit of some size succeeded"),
        number("size", "words", "words allowed in the first that did (1, 2, 4, 8, 16); null: none"),
        number("characters", "characters", "characters that it changed"),
        count("queries", "queries", "edited texts given to the model until then"),
        Column("answer", CLASS_OR_NONE, "", "class answered in the end; -1: no edit possible"),
    ),
)
ATTACKS = of_finding(
    "typed",
    "attacks",
    "a kind of typed edit, on the examples of one class or of all",
    ATTACK,
    CLASS_NAME,
    N,
    *estimate("evaded", "share", "share that an edit of up to 16 words evades"),
    *RANDOM,
    number("excess", ACCURACY_LOST, "share evaded minus that of random edits, paired"),
    *ends("excess", ACCURACY_LOST),
    number("size", "words", "median of the words allowed in the first that succeeded"),
    number("characters", "characters", "median of those that it changed"),
    number("queries", "queries", "median until success"),
)
SIZES = of_finding(
    "typed",
    "sizes",
    "a kind of typed edit of at most so many words, on all classes",
    ATTACK,
    number("size", "words", "words edited or added at most"),
    *estimate("evaded", "share", "share evaded so"),
    *RANDOM,
)
CHEAPEST = of_finding(
    "typed",
    "cheapest",
    "the successful edit of each example that changes fewest characters, by class",
    CLASS_NAME,
    N,
    *estimate("evaded", "share", "share that some kind evades, chosen or random"),
    number("characters", "characters", "median of those that the cheapest edit changes"),
    number("queries", "queries", "median over examples, of all kinds together"),
    text("attack", "the kind that is cheapest most often"),
    number("share", "share", "how often it is"),
)

TABLES = (EDITS, ATTACKS, SIZES, CHEAPEST)
