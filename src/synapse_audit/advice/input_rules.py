"""The rules about attacks on the input: what a person can type, and embeddings.

In: :class:`~synapse_audit.advice.recommendation.Saved`. Out: a recommendation, or None.

- *typed_text*: a kind of typed edit evades on at least half of the examples of a class, at the
  lower end of an interval that holds for all kinds and classes. Where a guard was measured with
  typed edits, its alarms are recommended only if what evades silently is shown to be less than
  what evades behind it, alarms or not (and than without it): the upper end of the first share
  below the lower ends of the others. Else they are said not to be shown to stop such edits. What
  its ranges and head stop is said apart, where the same holds for them;
- *embeddings*: a gradient attack of at most 0.3 of the embeddings' root mean square changes half of
  all answers, or redirects half of the other examples to a class, at the lower end of an interval
  that holds for all attacks, sizes and classes.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.advice.gains import RETRAINING, RETYPING, guarded, unmeasured
from synapse_audit.advice.recommendation import Gain, Recommendation, Saved
from synapse_audit.advice.wording import HALF, MOST, held_for_all, number, quoted
from synapse_audit.summary import Figure
from synapse_audit.tables.guard import ANY_EDIT

SMALL_CHANGE = 0.3
"""Of the embeddings' root mean square."""
GRADIENTS = ("fgsm", "pgd")
ATTACKS = ("attack", "unit", "target", "strength", "selection")
RATES = ("flip_rate", "redirect")


def typed_text(saved: Saved) -> Recommendation | None:
    """What to do to texts of the classes that typed edits evade most, by the kind of edit."""
    columns = ("attack", "class", "n", "evaded", "evaded_low", "evaded_high", "size")
    table = saved.table("typed", "attacks", columns).dropna(subset=["class"])
    table = held_for_all(table, "evaded", "evaded")
    table = table[table["evaded_low"] >= HALF]
    if table.empty:
        return None
    best = table.sort_values(["class", "evaded"], ascending=[True, False], kind="stable")
    said = [
        f"{row['attack'].replace('_', ' ')} on {quoted(row['class'])} "
        f"({number(row['evaded'])} of {int(row['n'])}, {number(row['evaded_low'])} to "
        f"{number(row['evaded_high'])}, half of them with at most {float(row['size']):g} words)"
        for row in best.groupby("class", sort=False).head(1).to_dict("records")
    ]
    rest = len(said) - MOST
    more = f"; and {rest} more {'class' if rest == 1 else 'classes'}" if rest > 0 else ""
    kinds = [kind for kind in REMEDIES if set(kind) & set(table["attack"])]
    said_of_guard, gain = _alarms(saved)
    return Recommendation(
        "typed_text",
        tuple(dict.fromkeys(map(str, best["class"]))),
        f"What a person can type evades the model on at least half of these classes' examples: "
        f"{'; '.join(said[:MOST])}{more}.",
        " ".join(REMEDIES[kind] for kind in kinds) + said_of_guard,
        gain,
    )


def _alarms(saved: Saved) -> tuple[str, Gain]:
    """What alarms of a measured guard are worth against typed edits of any kind, on all classes."""
    table = saved.table("guard", "typed", ("attack", "class", *NO_GUARD, *BEHIND, *SILENT))
    table = table[(table["attack"] == ANY_EDIT) & table["class"].isna()].dropna(subset=[*SILENT])
    if table.empty:
        return "", unmeasured("share evaded by typed edits", RETYPING)
    rows = (Figure(*table.iloc[0][[*names]]) for names in (NO_GUARD, BEHIND, SILENT))
    before, behind, silent = rows
    by_head = ""
    if behind.high < before.low:
        by_head = (
            f" Ranges and head of the guard that was measured stop some typed edits: some kind "
            f"evades on {number(behind.value)} behind them, on {number(before.value)} without."
        )
    if silent.high < min(before.low, behind.low):
        return REVIEW_TYPED + by_head, Gain(SOME_EDIT, behind, silent)
    return (
        f"{by_head} The alarms of the guard that was measured are not shown to stop such edits: "
        f"some kind evades on {number(before.value)} without the guard, on {number(behind.value)} "
        f"behind it, and on {number(silent.value)} without an alarm.",
        unmeasured("share evaded by typed edits", RETYPING),
    )


NO_GUARD = ("evaded", "evaded_low", "evaded_high")
BEHIND = ("guarded", "guarded_low", "guarded_high")
SILENT = ("silent", "silent_low", "silent_high")
REVIEW_TYPED = (
    " Review texts that raise an alarm behind a guard (`synapse-audit guard RUN`); who sees the "
    "alarms may find edits that raise none."
)
SOME_EDIT = (
    "share of examples that some typed edit evades behind the guard, searched for without knowing "
    "it; those that raise no alarm"
)

REMEDIES: dict[tuple[str, ...], str] = {
    ("homoglyphs", "zero_width", "case", "spacing"): (
        "Undo before the model reads a text what changes no word: zero-width characters, "
        "look-alike letters, capitals, spaced letters."
    ),
    ("append", "prepend", "typos", "delete", "substitute", "truncate"): (
        "Train with such edits of the texts of these classes."
    ),
}
"""Kinds of edit → what stands against them."""


def embeddings(saved: Saved) -> Recommendation | None:
    """Adversarial training, and a detector, where small changes of embeddings change answers."""
    found = _gradient_attacks(saved)
    found = found[(found["strength"] <= SMALL_CHANGE) & (found["rate_low"] >= HALF)]
    if found.empty:
        return None
    found = found.sort_values(["strength", "rate"], ascending=[True, False], kind="stable")
    aimed = found[found["target"].notna()].groupby("target", sort=False).head(1)
    said = [_attack_in_words(row) for _, row in found[found["target"].isna()].head(1).iterrows()]
    said += [_attack_in_words(row) for _, row in aimed.head(MOST).iterrows()]
    rest = len(aimed) - MOST
    more = f"; and {rest} more {'class' if rest == 1 else 'classes'}" if rest > 0 else ""
    classes = "; examples that are redirected to the classes named first" if len(aimed) else ""
    guard = "" if saved.guarded else REVIEW
    return Recommendation(
        "embeddings",
        tuple(map(str, aimed["target"])),
        f"Small changes of the embeddings, found by gradient, change many answers: "
        f"{'; '.join(said)}{more}. There may be no input that leads to them.",
        f"Train with such changes of the embeddings (adversarial training){classes}.{guard}",
        unmeasured(MEASURED, RETRAINING)
        if saved.guarded
        else guarded(
            saved,
            ("adaptive gradient, embeddings, below the threshold", "0.3 of the RMS"),
            after="hardened",
            measure=MEASURED,
        ),
    )


REVIEW = (
    " Review inputs that raise an alarm (`synapse-audit guard RUN`); who knows the guard raises "
    "fewer."
)
MEASURED = (
    "accuracy under gradient attacks on embeddings of 0.3 of their RMS by an attacker who knows "
    "the guard, whose alarms stop them"
)


def _gradient_attacks(saved: Saved) -> pd.DataFrame:
    """One rate per attack: changed answers, or the redirect rate where it has a target."""
    ends = ("", "_low", "_high")
    columns = [f"{name}{end}" for name in RATES for end in ends]
    table = saved.table("inputs", "attacks", (*ATTACKS, *columns))
    gradient = table["attack"].isin(GRADIENTS) & (table["unit"] == "relative")
    table = table[gradient & (table["selection"] != "random")]
    aimed = table["target"].notna()
    rates = {f"rate{end}": table[f"redirect{end}"].where(aimed, table[f"flip_rate{end}"])
             for end in ends}  # fmt: skip
    return held_for_all(table.assign(**rates), "rate", "rate")


def _attack_in_words(row: pd.Series) -> str:
    aim = "answers changed" if pd.isna(row["target"]) else f"redirected to {quoted(row['target'])}"
    return (
        f"{row['attack']} of {float(row['strength']):g} of their RMS ({number(row['rate'])} {aim}, "
        f"{number(row['rate_low'])} to {number(row['rate_high'])})"
    )
