"""What every ranking method reads: activations, labels, probes, attributions, never a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from synapse_audit.artifacts import (
    GLOBAL,
    Activations,
    Brief,
    LabelledData,
    Probe,
    Ranking,
    ScoresFor,
    Splits,
)
from synapse_audit.artifacts.label_sets import decoded
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
    sets: Int[np.ndarray, " examples"] | None = None
    """The labels of each example, where it may have several; ``labels`` are then strata."""

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
        return cls(
            activations,
            data.labels,
            data.classes,
            splits,
            probes,
            seed,
            data.weights,
            sets=data.sets,
        )

    @property
    def fit_labels(self) -> Int[np.ndarray, " fit"]:
        """Labels of the ``fit`` examples."""
        return self.labels[self.splits.fit]

    @property
    def present(self) -> tuple[int, ...]:
        """Classes with a ``fit`` example: the only ones that can be ranked for.

        Of labels those that some ``fit`` examples have and others have not.
        """
        if self.sets is None:
            return tuple(int(label) for label in np.unique(self.fit_labels))
        rows = self.members.mean(axis=1)
        return tuple(np.flatnonzero((rows > 0) & (rows < 1)).tolist())

    @cached_property
    def members(self) -> Bool[np.ndarray, "classes fit"]:
        """Which ``fit`` examples are of each class, or have each label."""
        if self.sets is None:
            return self.fit_labels == np.arange(len(self.classes))[:, None]
        return decoded(self.sets[self.splits.fit], len(self.classes)).T

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

    def ranking(
        self,
        method: str,
        layers: Sequence[Float[np.ndarray, "present _"]],
        overall: Sequence[Float[np.ndarray, " _"]],
        present: Sequence[int] | None = None,
    ) -> Ranking:
        """Scores of every class that is present, a row each in every layer, and those for all.

        Layers may differ in width. ``present``: fewer classes than ``fit`` holds.
        """
        scores: ScoresFor = {GLOBAL: tuple(overall)}
        for row, label in enumerate(self.present if present is None else present):
            scores[self.classes[label]] = tuple(rows[row] for rows in layers)
        return Ranking(method, scores)
