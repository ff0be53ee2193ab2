"""Inputs on their way into a model: tokenised, then padded into a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int
from torch import Tensor

from synapse_audit.artifacts import TextInput

Batch = Mapping[str, Tensor]
"""Keyword arguments of the model's forward, examples first."""


@dataclass(frozen=True)
class Encoded:
    """Inputs as the model's own features, not yet padded."""

    features: tuple[Mapping[str, Any], ...]
    """One mapping per example."""
    lengths: Int[np.ndarray, " examples"]
    """Tokens per example, after truncation."""
    n_truncated: int
    """Examples that did not fit the model's maximum length."""

    def __len__(self) -> int:
        return len(self.features)


Encoder = Callable[[Sequence[TextInput]], Encoded]
"""Tokenises without padding."""

Collator = Callable[[Sequence[Mapping[str, Any]]], Batch]
"""Pads the features of some examples to the longest among them."""
