"""Whether exchanged names of classes are noticed, however rare the classes."""

import numpy as np

from synapse_audit.data import exchanged_classes

CLASSES = ("negative", "neutral", "positive", "other")


def labelled(confusion: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions with that many rows each."""
    table = np.array(confusion)
    labels, predicted = np.indices(table.shape)
    return labels.ravel().repeat(table.ravel()), predicted.ravel().repeat(table.ravel())


def test_two_rare_classes_exchanged_are_noticed() -> None:
    labels, predicted = labelled([[200, 0, 0, 0], [1, 1, 15, 0], [2, 14, 1, 0], [0, 0, 0, 50]])
    (warning,) = exchanged_classes(labels, predicted, CLASSES)
    assert "'neutral' as 'positive', 'positive' as 'neutral'" in warning
    assert "right on 2 of those 34 rows as labelled and on 29 with that undone" in warning


def test_three_classes_turned_round_are_one_warning() -> None:
    labels, predicted = labelled([[0, 9, 0, 0], [0, 0, 9, 0], [9, 0, 0, 0], [0, 0, 0, 90]])
    (warning,) = exchanged_classes(labels, predicted, CLASSES)
    assert "'positive' as 'negative'" in warning


def test_a_poor_class_and_few_rows_are_no_exchange() -> None:
    # 'neutral' is taken for 'positive' most of the time, and not the other way round.
    poor = labelled([[50, 0, 0, 0], [0, 5, 30, 0], [0, 4, 30, 0], [0, 0, 0, 9]])
    assert exchanged_classes(*poor, CLASSES) == ()
    # 3 of 3: two-sided sign test, p = 0.25.
    few = labelled([[50, 0, 0, 0], [0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 9]])
    assert exchanged_classes(*few, CLASSES) == ()
    assert exchanged_classes(*labelled([[9, 0, 0, 0]]), CLASSES) == ()
