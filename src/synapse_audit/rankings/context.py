"""What every ranking method reads: activations, labels, probes, attributions, never a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Activations, Brief, LabelledData, Probe, Splits
from synapse_audit.memory import Allocate, in_memory, row_chunks
from synapse_audit.probes import Scaler
from synapse_audit.rankings.attributions import Attributions


@dataclass(frozen=True, repr=False)
class RankingContext(Brief):
    """Inputs of a ranking; methods look at ``splits.fit`` only."""

    activations: Activations
    labels: Int[np.ndarray, " examples"]
    classes: tuple[str, ...]
    splits: Splits
    probes: tuple[Probe, ...]
    seed: int
    weights: Float[np.ndarray, " examples"]
    """Weight of each example, as in :class:`~synapse_audit.artifacts.LabelledData`."""
    attributions: Attributions | None = None
    """What gradient rankings read; None where none were computed."""
    allocate: Allocate = in_memory
    """Where a copy of all blocks on ``fit`` lies, for a method that needs one."""

    @classmethod
    def of(
        cls,
        activations: Activations,
        data: LabelledData,
        splits: Splits,
        probes: tuple[Probe, ...] = (),
        *,
        seed: int = 0,
    ) -> RankingContext:
        """What rankings of these activations read; ``probes`` may be left out where none does."""
        return cls(activations, data.labels, data.classes, splits, probes, seed, data.weights)

    @property
    def fit_labels(self) -> Int[np.ndarray, " fit"]:
        """Labels of the ``fit`` examples."""
        return self.labels[self.splits.fit]

    @property
    def present(self) -> tuple[int, ...]:
        """Classes with a ``fit`` example: the only ones that can be ranked for."""
        return tuple(int(label) for label in np.unique(self.fit_labels))

    def by_neuron(
        self,
        layer: int,
        score: Callable[[Float[np.ndarray, "fit neurons"]], Float[np.ndarray, "*_ neurons"]],
    ) -> Float[np.ndarray, "*_ neurons"]:
        """Scores of a layer's neurons, each of which is looked at alone; a few at a time.

        Args:
            score: reads activations on ``fit``, standardised there (constants become 0); neurons
                are the last axis of what it returns.
        """
        values, fit = self.activations.layers[layer], self.splits.fit
        parts = (values[fit, some] for some in row_chunks(values.shape[1], len(fit)))
        return np.concatenate([score(Scaler.of(part)(part)) for part in parts], axis=-1)
