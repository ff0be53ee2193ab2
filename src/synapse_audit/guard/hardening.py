"""A linear head with larger margins, from clean head inputs alone; the host is not touched.

In: what the head's last layer reads over ``fit``, and what the host says there. Out: a
:class:`LinearHead`. Three things are tried, and only what helps on ``select`` is kept:

- inputs are *centred*: the head reads h − h̄. An edit of one row then moves the logit of inputs
  on both sides of the mean in opposite directions; on plain inputs one direction moves all of them;
- *larger margins*: the multi-class support vector machine of Crammer and Singer (2001), which for a
  given smallest margin has the least weight norm, fitted to the host's own predictions;
- *equal row norms*: no class is reached by a smaller edit because its row is short.

A candidate is judged by what an edit of one row, as large relative to its own weights, redirects on
``select``; the host's own head is among them, and stays where none is better.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from synapse_audit.guard.parts import LinearHead
from synapse_audit.interventions.edits import HeadView, push

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""C of the support vector machine, on inputs of RMS 1."""
TOLERANCE = 0.01
"""Agreement with the host on ``select`` that may be lost."""
BUDGETS = (0.05, 0.1, 0.2, 0.3, 0.5)
"""L2 norms of the edits that candidates are tried with, relative to their own weights' norm."""


def linear_logits(
    head: LinearHead, inputs: Float[np.ndarray, "examples features"]
) -> Float[np.ndarray, "examples classes"]:
    """W (h − centre) + b."""
    moved = inputs.astype(np.float64) - head.centre
    found: np.ndarray = moved @ head.weight.T.astype(np.float64) + head.bias
    return found


def harden(
    host: LinearHead,
    inputs: Float[np.ndarray, "examples features"],
    *,
    fit: Int[np.ndarray, " fit"],
    select: Int[np.ndarray, " select"],
) -> LinearHead:
    """The candidate that edits of one row redirect least and that still says what the host says.

    Args:
        host: the model's own head, centre 0.
        inputs: of the head's last layer, clean, of all examples.
    """
    said = linear_logits(host, inputs)
    chosen, best = host, redirected(host, inputs[fit], inputs[select])
    for head in _candidates(recentred(host, inputs[fit].mean(axis=0)), inputs[fit], said[fit]):
        logits = linear_logits(head, inputs[select])
        agreement = (logits.argmax(axis=1) == said[select].argmax(axis=1)).mean()
        rate = redirected(head, inputs[fit], inputs[select])
        if agreement >= 1 - TOLERANCE and rate < best:
            chosen, best = head, rate
    return chosen


def redirected(
    head: LinearHead,
    known: Float[np.ndarray, "fit features"],
    inputs: Float[np.ndarray, "select features"],
) -> float:
    """Share of examples that a push of the target's row redirects: mean over targets and budgets.

    The push is that of :func:`synapse_audit.interventions.edits.push`, by somebody who knows the
    clean inputs ``known``, within an L2 budget relative to the head's own norm.
    """
    said = linear_logits(head, known).argmax(axis=1)
    view = HeadView(head.weight, (known - head.centre).astype(np.float32), said, head.bias)
    clean, moved = linear_logits(head, inputs), inputs - head.centre
    columns, rates = np.arange(head.weight.shape[1]), []
    for target in range(len(head.bias)):
        away = clean.argmax(axis=1) != target
        for budget in BUDGETS:
            edit = push(view, target, columns, budget)
            after = clean + moved @ edit.weight.T
            rates.append(float((after.argmax(axis=1) == target)[away].mean()) if away.any() else 0)
    return float(np.mean(rates))


def recentred(head: LinearHead, centre: Float[np.ndarray, " features"]) -> LinearHead:
    """The same function about another centre, rows centred over classes, which no margin sees."""
    weight = head.weight.astype(np.float64)
    bias = head.bias + weight @ (centre - head.centre)
    weight, bias = weight - weight.mean(axis=0), bias - bias.mean()
    return _head(weight, bias, centre)


def _candidates(
    host: LinearHead,
    inputs: Float[np.ndarray, "fit features"],
    said: Float[np.ndarray, "fit classes"],
) -> Iterator[LinearHead]:
    """The host recentred; the machine at each strength, also with rows of equal norm."""
    yield host
    predicted = said.argmax(axis=1)
    if len(np.unique(predicted)) < said.shape[1]:
        return  # a class that the host never names here has no margin to learn
    moved = inputs.astype(np.float64) - host.centre
    size = float(np.sqrt((moved**2).mean())) or 1.0
    for strength in STRENGTHS:
        weight, bias = _machine(moved / size, predicted, strength)
        for rows in (weight, _equal_norms(weight)):
            shift = bias if rows is weight else _offsets(moved / size @ rows.T, predicted)
            logits = moved / size @ rows.T + shift
            scale = _scale_like(logits, said)
            yield _head(rows * scale / size, shift * scale, host.centre)


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


def _head(weight: np.ndarray, bias: np.ndarray, centre: np.ndarray) -> LinearHead:
    return LinearHead(*(np.asarray(a).astype(np.float32) for a in (weight, bias, centre)))
