"""A real attack on the vote: silences inputs until the winner changes, an upper bound.

In: a vote, head inputs, what silencing puts in their place. Out: per example how many silenced
inputs were enough. The certificate says how many are never enough; the truth lies between.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.guard.parts import Vote
from synapse_audit.memory import row_chunks


def silenced_enough(
    vote: Vote,
    inputs: Float[np.ndarray, "examples features"],
    replacement: Float[np.ndarray, " features"],
) -> Float[np.ndarray, " examples"]:
    """Number of silenced inputs with which the winner is another one; infinite where none did.

    Toward each rival it turns the voters in the order of how few of their inputs let the rival
    overtake, the inputs that help most first, and looks at the vote after each.
    """
    n_classes = vote.weight.shape[0]
    parts = row_chunks(len(inputs), vote.n_voters * n_classes**2)
    return np.concatenate([_enough(vote, inputs[at], replacement) for at in parts])


def _enough(
    vote: Vote,
    inputs: Float[np.ndarray, "examples features"],
    replacement: Float[np.ndarray, " features"],
) -> Float[np.ndarray, " examples"]:
    n_classes = vote.weight.shape[0]
    turned = [_turned(vote, inputs, replacement, v) for v in range(vote.n_voters)]
    said = np.stack([one.said for one in turned], axis=1)  # examples, voters
    price = np.stack([one.price for one in turned], axis=1)  # examples, voters, rivals
    after = np.stack([one.after for one in turned], axis=1)
    counts = (said[:, :, None] == np.arange(n_classes)).sum(axis=1)
    winner = counts.argmax(axis=1)
    # The voter that takes the fewest inputs first; those that nothing turns come last and are none.
    order = np.argsort(price, axis=1, kind="stable")
    price, after = (np.take_along_axis(one, order, axis=1) for one in (price, after))
    before = np.take_along_axis(np.broadcast_to(said[:, :, None], price.shape), order, axis=1)
    classes = np.arange(n_classes)
    votes = (after[..., None] == classes).astype(np.int64) - (before[..., None] == classes)
    votes = np.where(np.isfinite(price)[..., None], votes, 0).cumsum(axis=1) + counts[:, None, None]
    won = (votes.argmax(axis=3) != winner[:, None, None]) & (classes != winner[:, None])[:, None]
    first = won.argmax(axis=1)[:, None]
    spent = np.take_along_axis(np.cumsum(price, axis=1), first, axis=1)[:, 0]
    return np.asarray(np.where(won.any(axis=1), spent, np.inf).min(axis=1))


class _Turned(NamedTuple):
    """One voter: what it says, what turning it toward each rival takes, what it then says."""

    said: Int[np.ndarray, " examples"]
    price: Float[np.ndarray, "examples rivals"]
    """Silenced inputs; infinite where nothing lets the rival overtake, or it leads already."""
    after: Int[np.ndarray, "examples rivals"]


def _turned(
    vote: Vote,
    inputs: Float[np.ndarray, "examples features"],
    replacement: Float[np.ndarray, " features"],
    v: int,
) -> _Turned:
    mine = vote.voter == v
    weight = vote.weight[:, mine].astype(np.float64)
    logits = inputs[:, mine].astype(np.float64) @ weight.T + vote.bias[v]
    said = logits.argmax(axis=1)
    lost = (inputs[:, mine] - replacement[mine])[:, None] * weight  # examples, classes, inputs
    rows = np.arange(len(said))
    gains = lost[rows, said][:, None] - lost  # examples, rivals, inputs
    order = np.argsort(-gains, axis=2, kind="stable")
    sums = np.take_along_axis(gains, order, axis=2).cumsum(axis=2)
    # Strictly more than the margin: at a tie the lower index would win, which may be the other.
    enough = sums > (logits[rows, said][:, None] - logits)[..., None]
    n = np.where(enough.any(axis=2), enough.argmax(axis=2) + 1.0, np.inf)
    price = np.where(said[:, None] == np.arange(len(weight)), np.inf, n)
    silenced = np.argsort(order, axis=2) < price[..., None]  # the rank of each input
    silenced &= np.isfinite(price)[..., None]
    then = logits[:, None] - np.einsum("erf,ecf->erc", silenced, lost)
    return _Turned(said, price, then.argmax(axis=2))
