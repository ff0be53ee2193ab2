"""The rules: what a finding must show before anything is recommended.

In: :class:`~synapse_audit.advice.recommendation.Saved`. Out: a recommendation, or None. A rule
fires where the sample shows its finding, not where a point estimate is large:

- *fragile_class*: the gap between the most and the least fragile class has an interval, over all
  pairs at once, that excludes 0, and not all classes tie for the most;
- *costly_layer*: silencing one layer's top neurons costs more than 2 points at the lower end of an
  interval that holds over all layers;
- *head_edit*: an edit of at most half of the head's norm redirects at least half of the examples
  to a class, at the lower end of an interval that holds over all edits tried;
- *constants*: a neuron is load-bearing, zeroing it harms (at the lower end of an interval that
  holds over all neurons tried alone) and its mean does not, and no guard is there already;
- *bits*: a search found bits of a tensor that halve the accuracy above chance;
- *embeddings*, *typed_text*: :mod:`synapse_audit.advice.input_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.advice.gains import RETRAINING, guarded, unmeasured
from synapse_audit.advice.input_rules import embeddings, typed_text
from synapse_audit.advice.recommendation import Gain, Recommendation, Saved
from synapse_audit.advice.wording import HALF, MOST, held_for_all, number, quoted

TOLERANCE = 0.02
"""Accuracy that a single layer may cost without advice."""
SMALL = 0.5
"""L2 norm of a head edit, relative to the head's, that counts as small."""

CONSTANTS = ("address", "zero_drop", "zero_low", "zero_high", "load_bearing")
BUDGETS = ("space", "target", "budget", "redirect_rate", "redirect_low", "redirect_high")


def fragile_class(saved: Saved) -> Recommendation | None:
    """More data, or a larger margin in training, for the classes that lose most recall."""
    gap = saved.figure("asymmetry", "gap")
    most = saved.node("asymmetry", "most_fragile")
    names = [most["value"]] if most.get("value") else list(most.get("tied") or ())
    everyone = saved.summary.get("classes") or ()
    if not names or len(names) >= len(everyone) or not gap.low > 0:
        return None
    table = saved.table("asymmetry", "fragility", ("class", "support", "mean_drop"))
    mine = table[table["class"].isin(names)].sort_values("mean_drop", ascending=False)
    lost = "; ".join(
        f"{quoted(row['class'])} {number(row['mean_drop'])} on {int(row['support'])} examples"
        for row in mine.head(MOST).to_dict("records")
    )
    least = saved.node("asymmetry", "gap").get("between")
    beside = f", where {quoted(least[1])} lost least in this sample" if least else ""
    return Recommendation(
        "fragile_class",
        tuple(names),
        f"Silencing neurons costs these classes most recall, on average over the shares tried: "
        f"{lost}{beside}; the gap is {number(gap.value)} ({number(gap.low)} to "
        f"{number(gap.high)}).",
        "Add training examples of these classes, or train them with a larger margin; both are "
        "unproven here until the retrained model is audited.",
        unmeasured("recall lost by silencing", RETRAINING),
    )


def costly_layer(saved: Saved) -> Recommendation | None:
    """Targeted dropout where a single layer carries what nothing else does."""
    found = saved.figure("redundancy", "costliest_layer")
    beside = found.beside
    layers = [int(layer) for layer in beside.get("tied") or [beside.get("layer")] if layer]
    if not layers or not found.low > TOLERANCE:
        return None
    where = ", ".join(f"layer {layer}" for layer in layers)
    share = float(beside.get("fraction") or np.nan)
    return Recommendation(
        "costly_layer",
        tuple(f"layer {layer}" for layer in layers),
        f"Silencing the top {100 * share:g}% of the neurons of {where} alone costs "
        f"{number(found.value)} of accuracy ({number(found.low)} to {number(found.high)}).",
        f"Train with dropout on the top-ranked neurons and noise at the output of {where} "
        "(examples/harden.py), so that others learn to carry the same.",
        unmeasured("accuracy lost with that layer's top neurons silenced", RETRAINING),
    )


def head_edit(saved: Saved) -> Recommendation | None:
    """A hardened head where a small edit of it redirects most inputs."""
    table = saved.table("vulnerability", "budgets", BUDGETS)
    table = table[table["space"].isin(["weight", "universal"])]
    table = held_for_all(table, "redirect_rate", "redirect")
    table = table[(table["budget"] <= SMALL) & (table["redirect_low"] >= HALF)]
    if table.empty:
        return None
    first = table.sort_values(["budget", "redirect_rate"]).groupby("target", sort=False).head(1)
    first = first.sort_values("budget", kind="stable")
    said = [_edit_in_words(row, saved) for row in first.head(MOST).to_dict("records")]
    rest = len(first) - len(said)
    more = f"; and {rest} more {'class' if rest == 1 else 'classes'}" if rest > 0 else ""
    return Recommendation(
        "head_edit",
        tuple(map(str, first["target"])),
        f"Small edits of the head redirect at least half of the other examples: "
        f"{'; '.join(said)}{more}.",
        *_head_remedy(saved),
    )


def _head_remedy(saved: Saved) -> tuple[str, Gain]:
    measure = (
        "share of examples redirected by an edit of 0.3 of the head's norm, searched for on fit, "
        "mean over all target classes"
    )
    if saved.guarded:
        text = "The head is guarded already: check the checksum of its rows, and train with a "
        return text + "margin loss at the head where you can retrain.", unmeasured(
            measure, RETRAINING
        )
    row = ("head edit", "universal, 0.3 of the norm")
    harm = _harm(saved)
    if harm:
        return f"Check the checksum of the head's rows. {harm}", guarded(
            saved, row, after="hardened", measure=measure
        )
    return (
        "Serve the head hardened (`synapse-audit guard RUN`: inputs centred, larger margins where "
        "they help), and check the checksum of its rows; train with a margin loss at the head "
        "where you can retrain.",
        guarded(saved, row, after="hardened", measure=measure),
    )


def _harm(saved: Saved) -> str:
    """Where the guard's evaluation shows that edits redirect the hardened head more than before."""
    columns = ["kind", "setting", "host", "host_high", "hardened", "hardened_low"]
    if saved.guard is None or not {*columns} <= {*saved.guard.columns}:
        return ""
    rows = saved.guard[saved.guard["kind"] == "head edit"]
    worse = rows[rows["hardened_low"] > rows["host_high"]]
    if worse.empty:
        return ""
    row = worse.iloc[0]
    return (
        f"The hardened head is not recommended: an edit ({row['setting']}) redirects "
        f"{number(row['hardened'])} behind it and {number(row['host'])} without it."
    )


def _edit_in_words(row: Mapping[Hashable, Any], saved: Saved) -> str:
    """Which rows, how far, and how much margin is missing."""
    target = str(row["target"])
    rows = "its row" if row["space"] == "weight" else "all rows"
    text = (
        f"to {quoted(target)} by {100 * row['budget']:g}% of the norm in {rows} "
        f"({number(row['redirect_rate'])} redirected, {number(row['redirect_low'])} to "
        f"{number(row['redirect_high'])})"
    )
    missing = _missing_margin(target, float(row["redirect_rate"]), saved)
    return text if missing is None else f"{text}, as a constant of {missing} does"


def _missing_margin(target: str, rate: float, saved: Saved) -> str | None:
    """The smallest constant on the target's logit that redirects as much, beside the margins."""
    margins = saved.table("vulnerability", "margins", ("target", "constant", "redirect_rate"))
    mine = margins[(margins["target"] == target) & (margins["redirect_rate"] >= rate)]
    medians = saved.table("vulnerability", "constants", ("target", "median_margin"))
    median = medians.loc[medians["target"] == target, "median_margin"]
    if mine.empty or median.empty or pd.isna(median.iloc[0]):
        return None
    constant = float(mine["constant"].min())
    return f"{constant:.1f} logits where the median margin is {float(median.iloc[0]):.1f}"


def constants(saved: Saved) -> Recommendation | None:
    """Ranges for neurons that act as constants."""
    table = saved.table("redundancy", "constants", CONSTANTS)
    table = held_for_all(table, "zero_drop", "zero", least=-1.0)
    found = table[table["load_bearing"].fillna(False).astype(bool) & (table["zero_low"] > 0)]
    if found.empty or saved.guarded:
        return None
    found = found.sort_values("zero_drop", ascending=False, kind="stable")
    names, worst = [str(name) for name in found["address"]], found.iloc[0]
    act = "acts as a constant" if len(names) == 1 else "act as constants"
    return Recommendation(
        "constants",
        tuple(names),
        f"{len(names)} of the neurons tried alone {act} ({', '.join(names[:MOST])}): "
        f"setting the worst to 0 costs {number(worst['zero_drop'])} of accuracy "
        f"({number(worst['zero_low'])} to {number(worst['zero_high'])}, an interval that holds for "
        "all of them), holding it at its mean does not.",
        "Clamp neurons to the ranges that clean inputs give them (`synapse-audit guard RUN`).",
        guarded(
            saved,
            ("neurons to zero", "50%"),
            after="ranges",
            measure="accuracy with a random half of all neurons set to 0",
        ),
    )


def bits(saved: Saved) -> Recommendation | None:
    """Checksums of the tensors in which a search found bits that break the model."""
    halving = saved.table(
        "faults", "halving", ("format", "kind", "part", "layer", "selection", "bits")
    )
    found = halving[(halving["selection"] == "searched") & halving["bits"].notna()]
    if found.empty:
        return None
    worst = found.sort_values("bits", kind="stable").iloc[0]
    tensors = _tensors(found, saved)
    one = float(worst["bits"]) == 1
    flips = f"{float(worst['bits']):g} searched bit {'flip' if one else 'flips'}"
    return Recommendation(
        "bits",
        tensors,
        f"{flips} ({worst['format']}, {_part(worst)}) {'halves' if one else 'halve'} the accuracy "
        f"above chance; tensors with such bits: {', '.join(tensors[:MOST])}.",
        "Check the sha256 of these tensors whenever the model is loaded, and ask canaries while it "
        "runs (`synapse-audit guard` does both).",
        guarded(
            saved,
            ("one bit flip", "exponent"),
            before=None,
            after="canaries",
            measure="share of random flips of one exponent bit that canaries notice in memory",
        ),
    )


def _tensors(found: pd.DataFrame, saved: Saved) -> tuple[str, ...]:
    if saved.flips is None:
        return tuple(dict.fromkeys(_part(row) for _, row in found.iterrows()))
    keys = ["format", "kind", "part", "layer", "selection"]
    flips = saved.flips.assign(layer=pd.to_numeric(saved.flips["layer"]).astype("float64"))
    both = found.assign(layer=found["layer"].astype("float64")).merge(flips, on=keys)
    both = both[(both["step"] <= both["bits"]) & both["target"].isna()]
    return tuple(dict.fromkeys(both["weight"].astype(str)))


def _part(row: pd.Series) -> str:
    layer = "" if pd.isna(row["layer"]) else f" of block {int(row['layer'])}"
    return f"{row['part']}{layer}"


RULES: dict[str, Callable[[Saved], Recommendation | None]] = {
    "head_edit": head_edit,
    "bits": bits,
    "constants": constants,
    "fragile_class": fragile_class,
    "typed_text": typed_text,
    "embeddings": embeddings,
    "costly_layer": costly_layer,
}
"""Name → rule; first what needs no training."""
