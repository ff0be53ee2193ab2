"""Whether the labels and the model agree on what the classes are called.

In: labels, predictions, class names. Out: an error that names the exchanged classes, a warning
where only some rows speak for an exchange, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

from synapse_audit.data.tables import listing
from synapse_audit.errors import DataError

_GAIN = 0.2
_MORE_THAN_CHANCE = 0.1
_DOUBT = 0.01


def check_label_map(
    labels: Int[np.ndarray, " examples"],
    predicted: Int[np.ndarray, " examples"],
    classes: Sequence[str],
) -> None:
    """Refuses data whose labels look exchanged with respect to the model's outputs.

    The permutation of classes that best maps labels to predictions is found exactly (linear sum
    assignment on the confusion matrix; Kuhn 1955). It counts as an exchange when its accuracy
    exceeds that of the labels as they stand by 0.2 or more, and when its recall, averaged over
    the classes that occur, exceeds chance by 0.1 or more: a model that always says the same class
    can be renamed into the majority class, yet tells nothing about the label map.

    Raises:
        DataError: there are no examples, or the labels look exchanged.

    Limits: a model that is right less often than 0.2 cannot reveal an exchange; of rare classes
    see :func:`exchanged_classes`.
    """
    if not len(labels):
        raise DataError("0 labelled examples given; expected at least one to check the label map")
    confusion, image = _best_map(labels, predicted, len(classes))
    hits = confusion[np.arange(len(classes)), image]
    support = confusion.sum(axis=1)
    present = support > 0
    identity, best = np.trace(confusion) / len(labels), hits.sum() / len(labels)
    recall, chance = (hits[present] / support[present]).mean(), 1 / present.sum()
    if best - identity >= _GAIN and recall - chance >= _MORE_THAN_CHANCE:
        moved = [i for i in np.flatnonzero(present).tolist() if image[i] != i]
        pairs = [f"'{classes[i]}' as '{classes[image[i]]}'" for i in moved]
        raise DataError(
            f"labels look exchanged: the model predicts {listing(pairs, most=6)}; accuracy is "
            f"{identity:.2f} with the labels as given and {best:.2f} with that exchange undone; "
            "expected labels in the order of the model's outputs: correct id2label in the "
            "model's config.json, or the labels of the data"
        )


def exchanged_classes(
    labels: Int[np.ndarray, " examples"],
    predicted: Int[np.ndarray, " examples"],
    classes: Sequence[str],
) -> tuple[str, ...]:
    """One warning per group of classes that would fit better under each other's names.

    The best permutation of :func:`check_label_map` falls into cycles. A cycle counts where each of
    its classes has more rows predicted as its partner than as itself, and where a sign test of the
    rows that the two readings disagree on gives p < 0.01.

    Limits: the permutation was chosen on these rows, so that p only ranks the evidence; a model
    that is worse than chance on some classes looks the same as exchanged labels.
    """
    confusion, image = _best_map(labels, predicted, len(classes))
    found = []
    for cycle in _cycles(image.tolist()):
        own = confusion[cycle, cycle]
        other = confusion[cycle, image[cycle]]
        n_own, n_other = int(own.sum()), int(other.sum())
        if (other > own).all() and binomtest(n_own, n_own + n_other).pvalue < _DOUBT:
            total = int(confusion[cycle].sum())
            pairs = [f"'{classes[i]}' as '{classes[image[i]]}'" for i in cycle]
            found.append(
                f"labels may be exchanged: the model predicts {listing(pairs, most=4)}; it is "
                f"right on {n_own} of those {total} rows as labelled and on {n_other} with that "
                "undone; check the names of these classes in the data and in the model"
            )
    return tuple(found)


def _best_map(
    labels: Int[np.ndarray, " examples"], predicted: Int[np.ndarray, " examples"], n: int
) -> tuple[Int[np.ndarray, "classes classes"], Int[np.ndarray, " classes"]]:
    """Rows by label and prediction, and for each label the prediction that fits it best."""
    confusion = np.zeros((n, n), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    return confusion, linear_sum_assignment(confusion, maximize=True)[1]


def _cycles(image: Sequence[int]) -> list[list[int]]:
    """The cycles of a permutation that move something."""
    found, seen = [], set[int]()
    for start in range(len(image)):
        cycle = []
        while start not in seen:
            seen.add(start)
            cycle.append(start)
            start = image[start]
        found += [cycle] if len(cycle) > 1 else []
    return found
