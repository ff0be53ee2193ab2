"""Sets of labels as whole numbers: bit i of a set is 1 where label i is in it.

So a set is compared, counted and stored as one class number is: two sets are equal where their
numbers are, and whatever asks only whether a prediction is right or has changed needs no other code
for sets.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int, Num

MOST_LABELS = 63
"""Labels whose sets fit into a whole number of 64 bits with its sign."""


def encoded(present: Bool[np.ndarray, "*shape labels"]) -> Int[np.ndarray, "*shape"]:
    """Sets from which label is in them.

    >>> encoded(np.array([[True, False, True], [False, False, False]])).tolist()
    [5, 0]
    """
    places = np.left_shift(np.int64(1), np.arange(present.shape[-1], dtype=np.int64))
    return np.asarray(np.where(present, places, 0).sum(axis=-1, dtype=np.int64))


def decoded(sets: Num[np.ndarray, "*shape"], labels: int) -> Bool[np.ndarray, "*shape labels"]:
    """Which label is in each set.

    >>> decoded(np.array([5, 0]), 3).tolist()
    [[True, False, True], [False, False, False]]
    """
    return np.stack([holds(sets, label) for label in range(labels)], axis=-1)


def decided(
    logits: Float[np.ndarray, "examples classes"], *, several: bool
) -> Int[np.ndarray, " examples"]:
    """The class with the highest logit (ties: the lower index), or the labels with one above 0.

    >>> decided(np.array([[3.0, -1.0, 2.0]]), several=True).tolist()
    [5]
    """
    return encoded(logits > 0) if several else logits.argmax(axis=1)


def holds(
    sets: Num[np.ndarray, "*#shape"], label: int | Int[np.ndarray, "*#shape"]
) -> Bool[np.ndarray, "*shape"]:
    """Whether a label is in each set.

    >>> holds(np.array([5, 2]), 1).tolist()
    [False, True]
    """
    return np.asarray((sets.astype(np.int64) >> label) & 1, dtype=bool)


def size(sets: Num[np.ndarray, "*shape"]) -> Int[np.ndarray, "*shape"]:
    """How many labels each set holds.

    >>> size(np.array([5, 0])).tolist()
    [2, 0]
    """
    return np.bitwise_count(sets.astype(np.int64)).astype(np.int64)
