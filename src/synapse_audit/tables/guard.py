"""Tables of a guard that was measured: attacks, and the certificate of its vote."""

from __future__ import annotations

from synapse_audit.tables.column import Column, count, ends, estimate, flag, later, number, text
from synapse_audit.tables.table import of_finding

CHANGE = text("change", "what a changed head input becomes: arbitrary, mean (over fit) or zero")
ANY_EDIT = "any"
"""In the place of a kind of typed edit: whether any of them does."""
EXAMPLE = count("example", "", "number of the example in the data")


def _answers() -> tuple[Column, ...]:
    said = {
        "host": "without the guard",
        "ranges": "behind ranges, with the model's own head",
        "hardened": "behind ranges, with the hardened head",
        "vote": "behind ranges, with the vote",
    }
    return tuple(
        column
        for name, where in said.items()
        for column in estimate(name, "share", f"the measure {where}")
    )


EVALUATION = of_finding(
    "guard",
    "evaluation",
    "an attack of one size; the first row has none",
    text("kind", "the kind of attack; none: untouched"),
    text("setting", "its size, in words"),
    text("measure", "accuracy, or redirect: the share of examples drawn to the target"),
    flag("adaptive", "whether the attack knows the guard"),
    count("draws", "draws", "draws, or targets, that the row averages"),
    later(count("starts", "", "starts of a search, the best of which counts; null: no search")),
    later(count("steps", "", "steps from each start")),
    count("n", "examples", "examples of `evaluate`"),
    *_answers(),
    *estimate("detected", "share", "examples that raise an alarm; without attack: false alarms"),
    *estimate("auc", "share", "how often an attacked input scores more than a clean one"),
    *estimate("canaries", "share", "draws that canaries notice; null: weights stay as they were"),
    number("auc_mahalanobis", "share", "the same of the own Mahalanobis scores alone"),
    number("auc_knn", "share", "the same of the own distances to clean neighbours alone"),
    number(
        "auc_range",
        "share",
        "the same of the own range violations alone; null: another package's detector",
    ),
)
CERTIFICATE = of_finding(
    "guard",
    "certificate",
    "a kind of change and a number of changed head inputs",
    CHANGE,
    count("changed", "neurons", "head inputs changed"),
    *estimate("certified", "share", "examples right whichever so many inputs are changed"),
    number("attacked", "share", "examples that the greedy attack leaves right; null: no attack"),
)
CERTIFIED = of_finding(
    "guard",
    "certified",
    "an example and a kind of change",
    EXAMPLE,
    CHANGE,
    flag("right", "whether the vote is right"),
    number("certified", "neurons", "changed inputs up to which the vote cannot change; may be ∞"),
    number("enough", "neurons", "inputs with which the greedy attack changed it; ∞: it failed"),
)
TYPED_EDITS = of_finding(
    "guard",
    "typed",
    "a kind of typed edit, searched for against the model alone by an attacker who does not know "
    "the guard, on the examples of one class or of all",
    text("attack", "kind of edit, as in `typed.attacks`; any: whether one of them does"),
    text("class", "the true class; null: all"),
    count("n", "examples", "examples attacked"),
    *estimate("evaded", "share", "share that an edit of up to 16 words evades, without the guard"),
    *estimate("guarded", "share", "share that the same texts evade behind it, alarms or not"),
    *estimate("silent", "share", "share that they evade behind it without an alarm"),
    *estimate("detected", "share", "edited texts that raise an alarm, where each search ended"),
    *estimate(
        "random",
        "share",
        "random edits of that kind (truncate: of delete), of as many words, that raise one",
    ),
    number("excess", "share", "alarms on edited texts minus those on random edits, paired"),
    *ends("excess", "share"),
    *estimate("untouched", "share", "texts that raise an alarm before they are edited"),
)

TABLES = (EVALUATION, CERTIFICATE, CERTIFIED, TYPED_EDITS)
