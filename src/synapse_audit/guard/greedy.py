"""A real attack on the vote: silences inputs until the winner changes, an upper bound.

In: a vote, head inputs, what silencing puts in their place. Out: per example how many silenced
inputs were enough. The certificate says how many are never enough; the truth lies between.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from synapse_audit.guard.parts import Vote
from synapse_audit.guard.voting import counted, voter_logits


def silenced_enough(
    vote: Vote,
    inputs: Float[np.ndarray, "examples features"],
    replacement: Float[np.ndarray, " features"],
) -> Float[np.ndarray, " examples"]:
    """Number of silenced inputs with which the winner is another one; infinite where none did.

    Toward each rival it turns the voters in the order of how few of their inputs let the rival
    overtake, the inputs that help most first, and looks at the vote after each.
    """
    return np.array([_one(vote, row, replacement) for row in inputs])


def _one(
    vote: Vote, row: Float[np.ndarray, " features"], replacement: Float[np.ndarray, " features"]
) -> float:
    said = voter_logits(vote, row[None])[0]
    winner = _winner(said)
    rivals = [r for r in range(said.shape[1]) if r != winner]
    return min((_toward(vote, row, replacement, r) for r in rivals), default=np.inf)


def _toward(
    vote: Vote,
    row: Float[np.ndarray, " features"],
    replacement: Float[np.ndarray, " features"],
    rival: int,
) -> float:
    logits = voter_logits(vote, row[None])[0]
    winner = _winner(logits)
    turned = sorted(
        (
            (len(silenced), v, silenced)
            for v in range(vote.n_voters)
            if (silenced := _turning(vote, row, replacement, v=v, rival=rival)) is not None
        ),
        key=lambda one: one[:2],
    )
    used = 0
    changed = np.array(row, np.float64)
    for n, _, silenced in turned:
        used += n
        changed[silenced] = replacement[silenced]
        if _winner(voter_logits(vote, changed[None])[0]) != winner:
            return float(used)
    return np.inf


def _turning(
    vote: Vote,
    row: Float[np.ndarray, " features"],
    replacement: Float[np.ndarray, " features"],
    *,
    v: int,
    rival: int,
) -> np.ndarray | None:
    """Inputs of one voter whose silencing lets the rival overtake; None where it already leads."""
    mine = np.flatnonzero(vote.voter == v)
    logits = row[mine].astype(np.float64) @ vote.weight[:, mine].T + vote.bias[v]
    said = int(logits.argmax())
    if said == rival:
        return None
    gains = (vote.weight[said, mine] - vote.weight[rival, mine]).astype(np.float64) * (
        row[mine] - replacement[mine]
    )
    order = np.argsort(-gains, kind="stable")
    lost = np.cumsum(gains[order])
    # Strictly more than the margin: at a tie the lower index would win, which may be the other.
    enough = np.flatnonzero(lost > logits[said] - logits[rival])
    return mine[order[: enough[0] + 1]] if len(enough) else None


def _winner(logits: Float[np.ndarray, "voters classes"]) -> int:
    return int(counted(logits.argmax(axis=1)[None], logits.shape[1])[0].argmax())
