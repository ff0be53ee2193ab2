"""Class names and probabilities for raw inputs, as any classifier gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from synapse_audit.model.classifier import Classifier

BATCH = 32


def probabilities(
    classifier: Classifier, inputs: Sequence[Any], *, batch_size: int = BATCH
) -> Float[np.ndarray, "inputs classes"]:
    """Softmax of the logits, float64, in the order of the inputs; each row adds up to 1.

    Of a multi-label model the sigmoid of each.

    Inputs of similar length are run together. Where long inputs become windows, an input has the
    mean over its windows.
    """
    if not len(inputs):
        return np.zeros((0, len(classifier.classes)))
    encoded = classifier.encode(inputs)
    found = np.zeros((len(encoded), len(classifier.classes)))
    order = np.argsort(-encoded.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        logits = classifier.logits(classifier.collate(encoded, rows))
        found[rows] = classifier.decision.shares(logits).cpu().numpy()
    if encoded.rows is None:
        return found
    total = np.zeros((len(inputs), found.shape[1]))
    np.add.at(total, encoded.rows, found)
    return total / np.bincount(encoded.rows, minlength=len(inputs))[:, None]


def decided(classifier: Classifier, shares: Float[np.ndarray, "inputs classes"]) -> list[str]:
    """The class decided on from probabilities; ties go to the lower index.

    Of a multi-label model the names of all labels that are present, with ``|`` between.
    """
    shift = classifier.decision.shift
    if classifier.decision.several:
        least = np.array(classifier.decision.thresholds or (0.5,) * shares.shape[1])
        names = np.array(classifier.classes, dtype=object)
        return ["|".join(names[row]) for row in shares > least]
    if shift is not None:
        with np.errstate(divide="ignore"):  # a probability of 0 has the logit −∞, and loses
            shares = np.log(shares) + shift
    return [classifier.classes[i] for i in shares.argmax(axis=1).tolist()]
