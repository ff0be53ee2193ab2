"""Faults in named weights: Gaussian noise, and gains that are scaled.

In: a :class:`Part`. Out: a :class:`ParameterEdit`.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from synapse_audit.artifacts import ParameterChange, ParameterEdit
from synapse_audit.interventions.edits.parts import Part

MOST_ENTRIES = 2**18
"""Entries of one weight that noise falls on, at most: a cell holds every new value."""


def weight_noise(part: Part, sigma: float, generator: np.random.Generator) -> ParameterEdit:
    """Adds N(0, (``sigma`` · RMS)²) to the part's last weight, RMS its own root mean square.

    Falls on all entries, or on ``MOST_ENTRIES`` of them drawn at random: see ``noisy_share``.
    """
    name, weight = part.last
    flat = weight.reshape(-1)
    index = np.sort(generator.permutation(flat.size)[:MOST_ENTRIES])
    size = sigma * float(np.sqrt((flat.astype(np.float64) ** 2).mean()))
    noise = generator.normal(0.0, size, size=len(index)).astype(np.float32)
    change = ParameterChange(name, index, flat[index], flat[index] + noise)
    return ParameterEdit((change,), part.layer)


def noisy_share(part: Part) -> float:
    """Share of the last weight's entries that noise falls on."""
    return min(1.0, MOST_ENTRIES / part.last[1].size)


def scaled_gains(
    part: Part, dimensions: Int[np.ndarray, " chosen"], factor: float
) -> ParameterEdit:
    """Multiplies the norm's gain in some dimensions by ``factor`` (0 leaves its bias alone).

    Where the norm ends the block this scales what the layer says there about its mean; where it
    stands before the MLP (GPT-2, Llama) it scales what the MLP reads.
    """
    name, gain = part.last
    before = gain[dimensions]
    change = ParameterChange(name, dimensions, before, (before * np.float32(factor)))
    return ParameterEdit((change,), part.layer)
