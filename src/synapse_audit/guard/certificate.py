"""How many of the head's inputs must be changed before a vote can change.

In: the votes of disjoint voters, or what each voter's change costs. Out: per example the fewest
changes, exact or a lower bound; one less is certified.

For the class r to win over the winner c it needs n_r ≥ n_c, or one vote more where c has the lower
index. That is a number of steps D, and every voter offers some: one that named c gives two steps by
naming r and one by naming anything else, one that named another class gives one step by naming r.
Where a voter's price is the number of its inputs that must change, the cheapest way to D steps is a
small knapsack, since voters share no input. Some r must win for the prediction to change, so the
least over r is a lower bound of the number of changes, whatever they are changed to.

*Arbitrary changes*: a voter with one changed input may say anything, so that every price is 1, and
the bound is attained by somebody who also changes what each voter says at will. *Silencing*: an
input can only become its replacement, and the price is the fewest silenced inputs with which the
other class overtakes in that voter, in closed form
(:mod:`synapse_audit.findings.certificates.fewest_silenced`).

The certificate is about the inputs of the head: a neuron of an earlier layer feeds all of them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.findings.certificates.fewest_silenced import fewest_silenced
from synapse_audit.guard.parts import Vote


def votes_needed(
    named: Int[np.ndarray, "examples voters"], n_classes: int
) -> Float[np.ndarray, " examples"]:
    """Fewest inputs whose arbitrary change can change the winner; infinite with one class."""
    prices = np.ones((*named.shape, n_classes))
    return fewest_changes(named, prices)


def silenced_needed(
    vote: Vote,
    inputs: Float[np.ndarray, "examples features"],
    replacement: Float[np.ndarray, " features"],
) -> Float[np.ndarray, " examples"]:
    """Lower bound of the fewest inputs that must be silenced to change the winner.

    Args:
        replacement: what a silenced input becomes: zeros, or the mean.
    """
    prices, named = [], []
    for v in range(vote.n_voters):
        mine = vote.voter == v
        logits = inputs[:, mine].astype(np.float64) @ vote.weight[:, mine].T + vote.bias[v]
        found = fewest_silenced(logits, vote.weight[:, mine], inputs[:, mine], replacement[mine])
        prices.append(found.toward)
        named.append(logits.argmax(axis=1))
    return fewest_changes(np.stack(named, axis=1), np.stack(prices, axis=1))


def fewest_changes(
    named: Int[np.ndarray, "examples voters"],
    prices: Float[np.ndarray, "examples voters classes"],
) -> Float[np.ndarray, " examples"]:
    """The least total price at which some other class wins.

    Args:
        named: the class that each voter names.
        prices: of making each voter name each class; infinite where nothing does. The price of
            the class that it names already is not read.
    """
    n_classes = prices.shape[2]
    if n_classes < 2:
        return np.full(len(named), np.inf)
    counts = (named[:, :, None] == np.arange(n_classes)).sum(axis=1)
    winner = counts.argmax(axis=1)
    return np.array(
        [_fewest(named[i], prices[i], counts[i], int(winner[i])) for i in range(len(named))]
    )


def _fewest(
    named: Int[np.ndarray, " voters"],
    prices: Float[np.ndarray, "voters classes"],
    counts: Int[np.ndarray, " classes"],
    winner: int,
) -> float:
    rivals = [r for r in range(len(counts)) if r != winner]
    return min(_toward(named, prices, counts, (winner, r)) for r in rivals)


def _toward(
    named: Int[np.ndarray, " voters"],
    prices: Float[np.ndarray, "voters classes"],
    counts: Int[np.ndarray, " classes"],
    pair: tuple[int, int],
) -> float:
    """The cheapest way to as many steps as the rival needs; a knapsack over voters."""
    winner, rival = pair
    steps = int(counts[winner] - counts[rival]) + (rival > winner)
    best = np.full(steps + 1, np.inf)
    best[0] = 0.0
    for said, price in zip(named, prices, strict=True):
        if said == rival:
            continue
        offers = [(2 if said == winner else 1, float(price[rival]))]
        if said == winner:
            others = np.delete(price, winner)
            offers.append((1, float(others.min())))
        best = np.minimum.reduce([best, *(_after(best, gain, cost) for gain, cost in offers)])
    return float(best[steps])


def _after(best: Float[np.ndarray, " steps"], gain: int, cost: float) -> np.ndarray:
    """Prices of each number of steps with one more offer taken; more than enough counts too."""
    found = np.full_like(best, np.inf)
    for done, price in enumerate(best):
        reached = min(done + gain, len(best) - 1)
        found[reached] = min(found[reached], price + cost)
    return found
