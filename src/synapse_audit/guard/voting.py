"""A vote over disjoint sets of neurons: light linear heads, each on head inputs of its own.

In: clean head inputs over ``fit`` and what the host says there. Out: a :class:`Vote`. Since a
neuron belongs to one voter, whoever changes one neuron changes at most one vote: the idea of deep
partition aggregation (Levine and Feizi 2021), with neurons in the place of training data. Ties go
to the class with the lower index.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from sklearn.linear_model import LogisticRegression

from synapse_audit.guard.certificate import votes_needed
from synapse_audit.guard.hardening import TOLERANCE, linear_logits
from synapse_audit.guard.parts import LinearHead, Vote

VOTERS = (3, 5, 7, 9, 11, 15, 21, 31)
"""Numbers of voters tried."""
LEAST_INPUTS = 4
"""Head inputs of a voter, at least."""


def voter_logits(
    vote: Vote, inputs: Float[np.ndarray, "examples features"]
) -> Float[np.ndarray, "examples voters classes"]:
    """What each voter says of each class."""
    rows = []
    for v in range(vote.n_voters):
        mine = vote.voter == v
        rows.append(inputs[:, mine].astype(np.float64) @ vote.weight[:, mine].T + vote.bias[v])
    return np.stack(rows, axis=1)


def votes(
    vote: Vote, inputs: Float[np.ndarray, "examples features"]
) -> Int[np.ndarray, "examples voters"]:
    """The class that each voter names."""
    return np.asarray(voter_logits(vote, inputs).argmax(axis=2))


def counted(
    named: Int[np.ndarray, "examples voters"], n_classes: int
) -> Int[np.ndarray, "examples classes"]:
    """Votes of each class."""
    return np.asarray((named[:, :, None] == np.arange(n_classes)).sum(axis=1))


def elect(
    host: LinearHead,
    inputs: Float[np.ndarray, "examples features"],
    *,
    fit: Int[np.ndarray, " fit"],
    select: Int[np.ndarray, " select"],
) -> Vote:
    """The number of voters with the largest mean certified number of changes on ``select``.

    Only numbers whose vote agrees with the host there, up to a point, are candidates; where none
    does, the one that agrees most.
    """
    said = linear_logits(host, inputs).argmax(axis=1)
    n_classes, n_inputs = host.weight.shape
    found: list[tuple[bool, float, float, Vote]] = []
    for n in VOTERS:
        if n * LEAST_INPUTS > n_inputs and found:
            break
        vote = fit_vote(host, inputs[fit], said[fit], n)
        named = votes(vote, inputs[select])
        won = counted(named, n_classes).argmax(axis=1)
        agreement = float((won == said[select]).mean())
        certified = float((votes_needed(named, n_classes) - 1).mean())
        found.append((agreement >= 1 - TOLERANCE, certified, agreement, vote))
    good = [one for one in found if one[0]]
    if good:
        return max(good, key=lambda one: one[1])[3]
    return max(found, key=lambda one: one[2])[3]


def fit_vote(
    host: LinearHead,
    inputs: Float[np.ndarray, "fit features"],
    predicted: Int[np.ndarray, " fit"],
    n_voters: int,
) -> Vote:
    """Deals the inputs to ``n_voters`` and fits each on the host's predictions.

    Inputs are dealt back and forth in the order of how much they say to the host's head, so that
    no voter gets the best of every round.
    """
    voter = _dealt(host, inputs, n_voters)
    n_classes = len(host.bias)
    weight = np.zeros((n_classes, inputs.shape[1]))
    bias = np.zeros((n_voters, n_classes))
    spread = inputs.std(axis=0).astype(np.float64)
    unit = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0.0)
    mean = inputs.mean(axis=0).astype(np.float64)
    for v in range(n_voters):
        mine = np.flatnonzero(voter == v)
        rows, shift = _light(((inputs - mean) * unit)[:, mine], predicted, n_classes)
        weight[:, mine] = rows * unit[mine]
        bias[v] = shift - weight[:, mine] @ mean[mine]
    return Vote(voter.astype(np.int64), weight.astype(np.float32), bias.astype(np.float32))


def _dealt(
    host: LinearHead, inputs: Float[np.ndarray, "fit features"], n_voters: int
) -> Int[np.ndarray, " features"]:
    centred = host.weight - host.weight.mean(axis=0)
    says = np.linalg.norm(centred, axis=0) * inputs.std(axis=0)
    order = np.argsort(-says, kind="stable")
    place = np.arange(len(order))
    at = place % n_voters
    back = (place // n_voters) % 2 == 1
    voter = np.empty(len(order), np.int64)
    voter[order] = np.where(back, n_voters - 1 - at, at)
    return voter


def _light(
    inputs: Float[np.ndarray, "fit own"], predicted: Int[np.ndarray, " fit"], n_classes: int
) -> tuple[Float[np.ndarray, "classes own"], Float[np.ndarray, " classes"]]:
    present = np.unique(predicted)
    weight = np.zeros((n_classes, inputs.shape[1]))
    bias = np.full(n_classes, -1e4)  # a class that the host never names here gets no vote
    if len(present) == 1:
        bias[present] = 0.0
        return weight, bias
    fitted = LogisticRegression(C=1.0, max_iter=500).fit(inputs, predicted)
    if len(present) == 2:
        weight[present] = np.concatenate([-fitted.coef_, fitted.coef_]) / 2
        bias[present] = np.concatenate([-fitted.intercept_, fitted.intercept_]) / 2
    else:
        weight[present], bias[present] = fitted.coef_, fitted.intercept_
    return weight, bias
