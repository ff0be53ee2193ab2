"""Classes that were exchanged are named."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from synapse_audit.data import check_label_map

from .files import CLASSES, error_of


def test_exchanged_classes_are_named() -> None:
    labels = np.repeat([0, 1, 2], 20)
    swapped = np.array([0, 2, 1])[labels]
    swapped[:4] = 1
    message = error_of(check_label_map, labels, swapped, CLASSES)
    assert "'sqli' as 'path-traversal', 'path-traversal' as 'sqli'" in message
    assert "accuracy is 0.27 with the labels as given and 0.93 with" in message
    assert "id2label" in message
    assert "'norm'" not in message


@given(st.permutations(range(4)), st.integers(0, 100))
def test_permutations_are_found_and_the_identity_passes(order: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), 25)
    predicted = np.where(generator.random(100) < 0.1, generator.integers(0, 4, 100), labels)
    check_label_map(labels, predicted, "abcd")
    renamed = np.array(order)[predicted]
    if order == sorted(order):
        check_label_map(labels, renamed, "abcd")
    else:
        assert "look exchanged" in error_of(check_label_map, labels, renamed, "abcd")


def test_poor_models_are_not_taken_for_exchanged_ones() -> None:
    labels = np.repeat([0, 1], [90, 10])
    check_label_map(labels, np.ones(100, dtype=np.int64), CLASSES)  # always the rare class
    check_label_map(labels, np.random.default_rng(0).integers(0, 2, 100), CLASSES)
    check_label_map(np.repeat([0, 1], 50), np.array([0, 1] * 50), CLASSES)
    empty = np.array([], dtype=np.int64)
    assert "0 labelled examples given" in error_of(check_label_map, empty, empty, CLASSES)


def test_an_absent_class_can_be_the_exchanged_one() -> None:
    labels = np.repeat([0, 1], 20)
    message = error_of(check_label_map, labels, np.where(labels == 1, 2, 0), CLASSES)
    assert "predicts 'sqli' as 'path-traversal';" in message
