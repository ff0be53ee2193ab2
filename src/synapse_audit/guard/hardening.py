"""A linear head that edits redirect less, from clean head inputs alone; the host is not touched.

In: what the head's last layer reads over ``fit``, and what the host says there. Out: a
:class:`LinearHead`. Three things are tried, and only what helps on ``select`` is kept:

- another *centre*: the head reads h − c. About the mean h̄ an edit of one row moves the logit of
  inputs on both sides in opposite directions; on plain inputs one direction moves all of them. But
  the class with the highest logit at c is where inputs fall once an edit outweighs the head: about
  the mean that is one class. Where all logits are equal at c no class is; the points between trade
  one for the other;
- *larger margins*: the multi-class support vector machine of Crammer and Singer (2001), which for a
  given smallest margin has the least weight norm, fitted to the host's own predictions;
- *equal row norms*: no class is reached by a smaller edit because its row is short.

A candidate is judged by what edits as large relative to its own weights redirect on ``select``: a
push of one row and the best edit of all rows that is found, up to the norm of the whole head. It
must do no harm: toward no class, by no edit, may it be redirected more than the host's own head by
over ``REDIRECT_SLACK``, and no class may have less recall than there by over ``RECALL_SLACK`` where
random shares of the head's inputs are held at their mean, since large margins may rest on few
inputs. (What silencing below the head's input does is not judged: that takes passes of the host.)
Of the candidates that do no harm, the one that is redirected least is taken; where there is none,
the host's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from synapse_audit.artifacts import HeadEdit
from synapse_audit.guard.parts import LinearHead
from synapse_audit.interventions.edits import HeadView, push, universal_path

STRENGTHS = (0.01, 1.0)
"""C of the support vector machine, on inputs of RMS 1."""
TOLERANCE = 0.01
"""Agreement with the host on ``select`` that may be lost."""
BUDGETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)
"""L2 norms of the pushes that candidates are tried with, relative to their own weights' norm: those
of an audit, since harm at a size between two that are tried would not be seen."""
SEARCHED = (0.3, 0.5, 0.7, 1.0)
"""The same of the searched edits of all rows."""
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Centres: how far from the mean to the nearest point at which all logits are equal."""
MOST_SEARCHED = 8
"""Candidates that searched edits are tried on: those that pushes redirect least."""
REDIRECT_SLACK = 0.05
"""Share redirected by which a candidate may exceed the host toward one class: 6 of 120 examples,
less than which ``select`` does not show."""
RECALL_SLACK = 0.05
"""Recall of a class by which a candidate may fall behind the host, mean over draws. Of a class with
fewer than 20 examples in ``select`` one example is more. It is no wider there: so few examples rule
no harm out, and then the host's head stays."""
SILENCED = (0.1, 0.25, 0.5, 0.8)
"""Shares of the head's inputs that are held at their mean: those of an audit."""
SILENCED_DRAWS = 8
"""Random sets of each share, the same for every head."""


class HeadInputs(NamedTuple):
    """What the head's last layer reads, clean, and which examples are for what."""

    inputs: Float[np.ndarray, "examples features"]
    labels: Int[np.ndarray, " examples"]
    fit: Int[np.ndarray, " fit"]
    select: Int[np.ndarray, " select"]


def linear_logits(
    head: LinearHead, inputs: Float[np.ndarray, "examples features"]
) -> Float[np.ndarray, "examples classes"]:
    """W (h − centre) + b."""
    moved = inputs.astype(np.float64) - head.centre
    found: np.ndarray = moved @ head.weight.T.astype(np.float64) + head.bias
    return found


def harden(host: LinearHead, read: HeadInputs, *, largest_edit: float = 1.0) -> LinearHead:
    """The candidate that edits redirect least, that does no harm and says what the host says.

    Args:
        host: the model's own head, centre 0.
        largest_edit: norm of the edits that are looked at, relative to the head's. Where larger
            ones are left out, more is gained against small ones, and harm by large ones is not
            seen.
    """
    pushed, searched = edits_up_to(largest_edit)
    known, asked = read.inputs[read.fit], read.inputs[read.select]
    said = linear_logits(host, read.inputs)
    middle = recentred(host, known.mean(axis=0))
    before = recalls_silenced(host, read)
    agreeing = [
        head
        for head in _candidates(middle, known, said[read.fit])
        if (_named(head, asked) == said[read.select].argmax(axis=1)).mean() >= 1 - TOLERANCE
        and not loses_recall(recalls_silenced(head, read), before)
    ]
    by_push = _harmless(host, agreeing, known, asked, pushed)
    few = [head for _, head in sorted(by_push, key=lambda one: one[0])[:MOST_SEARCHED]]
    push_rate = {id(head): rate for rate, head in by_push}
    totals = [
        (rate + push_rate[id(head)], head)
        for rate, head in _harmless(host, few, known, asked, searched)
    ]
    least = sum(redirected(host, known, asked, edits).mean() for edits in (pushed, searched))
    total, chosen = min(totals, key=lambda one: one[0], default=(least, host))
    return chosen if total < least else host


def loses_recall(
    after: Float[np.ndarray, "shares classes"], before: Float[np.ndarray, "shares classes"]
) -> bool:
    """Whether any class does at any share, by more than ``RECALL_SLACK``."""
    return bool((after < before - RECALL_SLACK).any())


def recalls_silenced(head: LinearHead, read: HeadInputs) -> Float[np.ndarray, "shares classes"]:
    """Recall on ``select`` where random inputs of the head are held at their mean over ``fit``.

    The mean over draws, per share of ``SILENCED``; NaN for a class that ``select`` lacks.
    """
    asked, labels = read.inputs[read.select], read.labels[read.select]
    mean, n = read.inputs[read.fit].mean(axis=0), asked.shape[1]
    right = np.zeros((len(SILENCED), len(asked)))
    for draw in range(SILENCED_DRAWS):
        order = np.random.default_rng([draw]).permutation(n)
        for i, share in enumerate(SILENCED):
            held = np.isin(np.arange(n), order[: round(share * n)])
            right[i] += _named(head, np.where(held, mean, asked)) == labels
    of = labels == np.arange(len(head.bias))[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray(right @ of.T / of.sum(axis=1) / SILENCED_DRAWS)


def _named(head: LinearHead, inputs: Float[np.ndarray, "examples features"]) -> np.ndarray:
    return np.asarray(linear_logits(head, inputs).argmax(axis=1))


def _harmless(
    host: LinearHead,
    heads: Sequence[LinearHead],
    known: Float[np.ndarray, "fit features"],
    asked: Float[np.ndarray, "select features"],
    edits: Edits,
) -> list[tuple[float, LinearHead]]:
    """Those that no edit redirects to any class more than the host; mean rate redirected, head."""
    before = redirected(host, known, asked, edits)
    after = [redirected(head, known, asked, edits) for head in heads]
    return [
        (float(rates.mean()), head)
        for rates, head in zip(after, heads, strict=True)
        if (rates <= before + REDIRECT_SLACK).all()
    ]


Edits = Callable[[HeadView, int], Sequence[HeadEdit]]
"""(head with its inputs, target) → an edit per budget."""


def edits_up_to(largest: float) -> tuple[Edits, Edits]:
    """Pushes of one row, and the best edits of all rows that are found, per size up to this."""
    budgets, searched = (
        [b for b in sizes if b <= largest] or [largest] for sizes in (BUDGETS, SEARCHED)
    )

    def push_of(view: HeadView, target: int) -> list[HeadEdit]:
        columns = np.arange(view.weight.shape[1])
        return [push(view, target, columns, budget) for budget in budgets]

    def search_of(view: HeadView, target: int) -> list[HeadEdit]:
        return universal_path(view, target, np.arange(view.weight.shape[1]), searched)

    return push_of, search_of


def redirected(
    head: LinearHead,
    known: Float[np.ndarray, "fit features"],
    inputs: Float[np.ndarray, "select features"],
    edits: Edits,
) -> Float[np.ndarray, "targets budgets"]:
    """Share of the examples of other classes that edits redirect to each target.

    Edits are those of somebody who knows the clean inputs ``known``, within L2 budgets relative to
    the head's own norm. 0 toward a class that is predicted for every example.
    """
    said = linear_logits(head, known).argmax(axis=1)
    shifted = (known - head.centre).astype(np.float32)
    view = HeadView(head.weight, shifted, said, head.bias, one_output=head.one_output)
    clean, moved = linear_logits(head, inputs), inputs - head.centre
    rates = []
    for target in range(len(head.bias)):
        away = clean.argmax(axis=1) != target
        after = [clean + moved @ edit.weight.T + edit.bias for edit in edits(view, target)]
        hit = [(one.argmax(axis=1) == target)[away] for one in after]
        rates.append([float(one.mean()) if away.any() else 0.0 for one in hit])
    return np.array(rates)


def recentred(head: LinearHead, centre: Float[np.ndarray, " features"]) -> LinearHead:
    """The same function about another centre, rows centred over classes, which no margin sees.

    One output stays one: its rows are (0, w).
    """
    weight = head.weight.astype(np.float64)
    bias = head.bias + weight @ (centre - head.centre)
    return _head(weight, bias, centre, one_output=head.one_output)


def undecided(head: LinearHead) -> Float[np.ndarray, " features"]:
    """The point nearest to the head's centre at which all its logits are equal."""
    weight = head.weight.astype(np.float64) - head.weight.mean(axis=0)
    step: np.ndarray = np.linalg.pinv(weight) @ (head.bias - head.bias.mean())
    return np.asarray(head.centre - step)


def _candidates(
    host: LinearHead,
    inputs: Float[np.ndarray, "fit features"],
    said: Float[np.ndarray, "fit classes"],
) -> Iterator[LinearHead]:
    """Each shape of head about each centre."""
    for head in _shapes(host, inputs, said):
        aim = undecided(head)
        for share in SHIFTS:
            yield recentred(head, head.centre + share * (aim - head.centre))


def _shapes(
    host: LinearHead,
    inputs: Float[np.ndarray, "fit features"],
    said: Float[np.ndarray, "fit classes"],
) -> Iterator[LinearHead]:
    """The host; the machine at each strength; each also with rows of equal norm."""
    yield host
    predicted = said.argmax(axis=1)
    if len(np.unique(predicted)) < said.shape[1]:
        return  # a class that the host never names here has no margin to learn
    moved = inputs.astype(np.float64) - host.centre
    size = float(np.sqrt((moved**2).mean())) or 1.0
    own = (host.weight.astype(np.float64) * size, host.bias.astype(np.float64))
    machines = [_machine(moved / size, predicted, strength) for strength in STRENGTHS]
    for weight, bias in (own, *machines):
        for rows in (weight, _equal_norms(weight)):
            if rows is own[0]:
                continue  # the host, which is there
            shift = bias if rows is weight else _offsets(moved / size @ rows.T, predicted)
            scale = _scale_like(moved / size @ rows.T + shift, said)
            yield _head(
                rows * (scale / size), shift * scale, host.centre, one_output=host.one_output
            )


def _machine(
    inputs: Float[np.ndarray, "fit features"], predicted: Int[np.ndarray, " fit"], strength: float
) -> tuple[Float[np.ndarray, "classes features"], Float[np.ndarray, " classes"]]:
    two = len(np.unique(predicted)) == 2
    machine = LinearSVC(
        C=strength,
        multi_class="ovr" if two else "crammer_singer",
        random_state=0,
        max_iter=4000,
        tol=1e-3,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what counts is measured on select
        machine.fit(inputs, predicted)
    weight, bias = machine.coef_, machine.intercept_
    if two:
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight - weight.mean(axis=0), bias - bias.mean()


def _equal_norms(weight: Float[np.ndarray, "classes features"]) -> np.ndarray:
    norms = np.linalg.norm(weight, axis=1, keepdims=True)
    found: np.ndarray = weight * (norms.mean() / np.maximum(norms, 1e-12))
    return found


def _offsets(
    logits: Float[np.ndarray, "fit classes"], predicted: Int[np.ndarray, " fit"]
) -> Float[np.ndarray, " classes"]:
    """The biases with the least log loss, weights being as they are (convex)."""
    hot = np.eye(logits.shape[1])[predicted]

    def loss(bias: np.ndarray) -> tuple[float, np.ndarray]:
        found = logits + bias
        value = -float((hot * log_softmax(found, axis=1)).sum(axis=1).mean())
        slope = (softmax(found, axis=1) - hot).mean(axis=0)
        return value + 1e-3 * float(bias @ bias), slope + 2e-3 * bias

    best = minimize(loss, np.zeros(logits.shape[1]), jac=True).x
    return np.asarray(best - best.mean())


def _scale_like(
    logits: Float[np.ndarray, "fit classes"], said: Float[np.ndarray, "fit classes"]
) -> float:
    """By what logits must be multiplied so that probabilities are most like the host's."""
    share = softmax(said, axis=1)

    def distance(exponent: float) -> float:
        return -float((share * log_softmax(np.exp(exponent) * logits, axis=1)).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(distance, bounds=(-6, 6), method="bounded").x))


def _head(
    weight: np.ndarray, bias: np.ndarray, centre: np.ndarray, *, one_output: bool
) -> LinearHead:
    """Rows less their mean, or less the first row, which is 0 where there is one output."""
    rows = slice(1 if one_output else None)
    weight, bias = weight - weight[rows].mean(axis=0), bias - bias[rows].mean()
    return LinearHead(*(np.asarray(a).astype(np.float32) for a in (weight, bias, centre)))
