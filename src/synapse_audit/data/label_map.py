"""Whether the labels and the model agree on what the classes are called.

In: labels, predictions, class names. Out: nothing, or an error that names the exchanged classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from scipy.optimize import linear_sum_assignment

from synapse_audit.data.tables import listing
from synapse_audit.errors import DataError

_GAIN = 0.2
_MORE_THAN_CHANCE = 0.1


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

    Limits: a model that is right less often than 0.2 cannot reveal an exchange, and neither can
    one of two rare classes.
    """
    if not len(labels):
        raise DataError("0 labelled examples given; expected at least one to check the label map")
    confusion = np.zeros((len(classes), len(classes)))
    np.add.at(confusion, (labels, predicted), 1)
    image = linear_sum_assignment(confusion, maximize=True)[1]
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
