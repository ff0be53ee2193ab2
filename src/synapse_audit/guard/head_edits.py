"""Edits of the head that answers: the states stay clean, so no detector of states can see them.

In: a guarded model, clean head inputs of ``fit`` (what the attacker knows) and of ``evaluate``.
Out: rows of the evaluation. Whichever head answers, its own weights are edited with an L2 budget
relative to their own norm; for the vote that is the norm over all voters together. The bias counts
as one more weight: a shift of every voter's bias shares its budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import HeadEdit
from synapse_audit.errors import ModelError
from synapse_audit.guard.building import host_head
from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.guard.hardening import linear_logits
from synapse_audit.guard.heads import CentredHead
from synapse_audit.guard.measuring import UNKNOWN, Sample, named_rates, of_draws
from synapse_audit.guard.parts import LinearHead, Vote
from synapse_audit.guard.voting import counted, votes
from synapse_audit.interventions.edits import EDITS, HeadView, applied

SETTINGS = (
    *(("push", 0.1), ("push", 0.3), ("push", 1.0)),
    *(("universal", 0.3), ("universal", 1.0), ("bias", 0.1)),
)
"""Edit and size; see ``EDITS``."""


class EditedHead(NamedTuple):
    """One head as an attacker sees it."""

    view: HeadView
    predicted: Callable[[HeadEdit | None], Int[np.ndarray, " examples"]]
    """Edit → class of each ``evaluate`` example."""


def head_edits(
    guarded: GuardedModel,
    evaluate: Float[np.ndarray, "examples features"],
    fit: Float[np.ndarray, "fit features"],
    sample: Sample,
) -> Iterator[dict[str, Any]]:
    """A row per edit and size, the mean over all classes as the target."""
    heads = _heads(guarded, evaluate, fit)
    classes = range(len(guarded.guard.classes))
    for name, size in SETTINGS:
        hits: dict[str, list[np.ndarray]] = {head: [] for head in heads}
        away: dict[str, list[np.ndarray]] = {head: [] for head in heads}
        caught = []
        for target in classes:
            edits = {h: _edit(one.view, name, target, size) for h, one in heads.items()}
            for head, one in heads.items():
                hits[head].append(one.predicted(edits[head]) == target)
                away[head].append(one.predicted(None) != target)
            caught.append(_noticed(guarded, edits))
        rates = {h: sample.rate(np.stack(hits[h]), np.stack(away[h])) for h in heads}
        known = [one for one in caught if one is not None]
        canaries = of_draws(np.array(known, float))
        base = {"measure": "redirect", "draws": len(classes), "n": len(evaluate)}
        setting = f"{name}, {size:g} of the norm"
        facts = base | {"kind": "head edit", "setting": setting, "adaptive": False}
        yield facts | named_rates({**rates, "ranges": rates["host"], "canaries": canaries})
        both = np.stack(hits["hardened"]) & np.stack(hits["vote"])
        at_once = sample.rate(both, np.stack(away["hardened"]) & np.stack(away["vote"]))
        kind = {"kind": "adaptive, head and vote at once", "setting": setting, "adaptive": True}
        yield base | kind | named_rates({"hardened": at_once, "vote": at_once, "host": UNKNOWN})


def _edit(view: HeadView, name: str, target: int, size: float) -> HeadEdit:
    return EDITS[name](view, target, np.arange(view.weight.shape[1]), size)


def _heads(
    guarded: GuardedModel,
    evaluate: Float[np.ndarray, "examples features"],
    fit: Float[np.ndarray, "fit features"],
) -> dict[str, EditedHead]:
    guard = guarded.guard
    inside = np.clip(evaluate, guard.ranges.low[-1], guard.ranges.high[-1])
    return {
        "host": _linear(host_head(guarded.classifier), evaluate, fit),
        "hardened": _linear(guard.hardened, inside, fit),
        "vote": _voting(guard.vote, inside, fit),
    }


def _linear(head: LinearHead, evaluate: np.ndarray, fit: np.ndarray) -> EditedHead:
    said = linear_logits(head, fit).argmax(axis=1)
    moved = (fit - head.centre).astype(np.float32)
    view = HeadView(head.weight, moved, said, head.bias, one_output=head.one_output)

    def predicted(edit: HeadEdit | None) -> np.ndarray:
        changed = head
        if edit is not None:
            changed = LinearHead(head.weight + edit.weight, head.bias + edit.bias, head.centre)
        return np.asarray(linear_logits(changed, evaluate).argmax(axis=1))

    return EditedHead(view, predicted)


def _voting(vote: Vote, evaluate: np.ndarray, fit: np.ndarray) -> EditedHead:
    n_classes = vote.weight.shape[0]
    said = counted(votes(vote, fit), n_classes).argmax(axis=1)
    bias = vote.bias.mean(axis=0)
    view = HeadView(vote.weight, fit.astype(np.float32), said, bias)

    def predicted(edit: HeadEdit | None) -> np.ndarray:
        changed = vote
        if edit is not None:
            shift = edit.bias / np.sqrt(vote.n_voters)
            changed = Vote(vote.voter, vote.weight + edit.weight, vote.bias + shift)
        return np.asarray(counted(votes(changed, evaluate), n_classes).argmax(axis=1))

    return EditedHead(view, predicted)


def _noticed(guarded: GuardedModel, edits: Mapping[str, HeadEdit]) -> bool | None:
    """Whether the canaries notice the edit of the head that answers; None for a vote."""
    if isinstance(guarded.head, CentredHead):
        inside = applied(guarded.head, guarded.head.linear, edits["hardened"])
    elif guarded.head is None:
        classifier = guarded.classifier
        inside = applied(classifier.model, classifier.output_layer, edits["host"])
    else:
        return None
    with inside:
        try:
            guarded.ask_canaries()
        except ModelError:
            return True
    return False
