"""The clean states that a guard is made from.

In: nothing. Out: :class:`CleanStates`, as a run stores them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class CleanStates(NamedTuple):
    """What a run keeps of its clean pass."""

    places: tuple[Float[np.ndarray, "examples _"], ...]
    """Layers 0 to L, then the head's input."""
    logits: Float[np.ndarray, "examples classes"]
    fit: Int[np.ndarray, " fit"]
    select: Int[np.ndarray, " select"]
    evaluate: Int[np.ndarray, " evaluate"]
    labels: Int[np.ndarray, " examples"]
