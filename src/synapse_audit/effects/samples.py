"""The sample that all actions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import norm

from synapse_audit.artifacts import Cell, Direct, Outcomes
from synapse_audit.effects.poststratified import sample_weights
from synapse_audit.effects.scored import NO_CLASS, Scored, ScoredSets
from synapse_audit.effects.two_phase import Phases, corrected, phases, relative_weight
from synapse_audit.statistics import Z_975

LEAST_OF_CLASS = 8
"""Examples of a class from which it counts in a mean over classes."""


@dataclass(frozen=True)
class CellBasis:
    """The part of a :class:`Scored` that all actions share."""

    labels: Int[np.ndarray, " examples"]
    clean: Int[np.ndarray, " examples"]
    weights: Float[np.ndarray, "examples 1"]
    resampled: Float[np.ndarray, "examples resamples"]
    classes: tuple[str, ...]
    known: Int[np.ndarray, " sampled"] | None = None
    """Which of the outcomes' examples these are; all where None."""
    strata: Int[np.ndarray, " examples"] | None = None
    """By what examples with sets of labels were resampled; None where each has one class."""

    def sampled(self, direct: Direct, number: int) -> CellBasis:
        """The part that the actions of one sample share."""
        part = sample_weights(direct, number, self.weights, self.resampled)
        return replace(
            self,
            labels=self.labels[part.known],
            clean=self.clean[part.known],
            weights=part.weights,
            resampled=part.resampled.astype(np.float32, copy=False),
            known=part.known,
            strata=None if self.strata is None else self.strata[part.known],
        )

    def thin(self, labels: Int[np.ndarray, " all"]) -> bool:
        """Whether a sample leaves some class with fewer than ``LEAST_OF_CLASS`` of its examples.

        F1 bends where a class has few: of a mean over many small classes it is then biased.
        """
        if self.strata is not None:
            return False  # sets run on all examples
        every, here = (np.bincount(x, minlength=len(self.classes)) for x in (labels, self.labels))
        return bool((here < np.minimum(every, LEAST_OF_CLASS)).any())

    def score(self, cells: Sequence[Cell], outcomes: Outcomes) -> Scored:
        """What metrics read of some actions."""
        index: dict[str | None, int] = {name: i for i, name in enumerate(self.classes)}
        index[None] = NO_CLASS
        rows = outcomes.rows([cell.action for cell in cells])
        both, kl = self._phases(outcomes, rows), outcomes.kl[rows]
        if self.known is not None:
            kl = kl[:, self.known]
        if outcomes.direct is not None and both.design_weight is not None:
            direct_kl = outcomes.direct.kl[rows]
            direct_kl = direct_kl if self.known is None else direct_kl[:, self.known]
            kl = corrected(direct_kl, kl, both.design_weight)
        kind = Scored if self.strata is None else ScoredSets
        return kind(
            labels=self.labels,
            clean=self.clean,
            phases=both,
            kl=kl,
            target=np.array([index[cell.target] for cell in cells], dtype=np.int64),
            source=np.array([index[cell.source] for cell in cells], dtype=np.int64),
            n_classes=len(self.classes),
            weights=self.weights,
            resampled=self.resampled,
            strata=self.strata,
        )

    def _phases(self, outcomes: Outcomes, rows: Int[np.ndarray, " rows"]) -> Phases:
        if self.known is None:
            return phases(outcomes, rows)
        mine = np.ix_(rows, self.known)
        direct = outcomes.direct
        if direct is None or direct.exact_on_sample[rows].all():
            return Phases(outcomes.predicted[mine])
        weight = relative_weight(direct, rows)[:, self.known]
        return Phases(outcomes.predicted[mine], direct.predicted[mine], weight)


def retested(
    values: dict[str, Float[np.ndarray, "*classes rows"]], estimated: Bool[np.ndarray, " rows"]
) -> dict[str, Float[np.ndarray, "*classes rows"]]:
    """The values with a Wald test of the accuracy drop of those rows that are estimated.

    Its error is read off the interval: McNemar's test needs the exact outcomes of all examples.
    """
    drop = values["accuracy_drop"]
    sd = (values["accuracy_drop_high"] - values["accuracy_drop_low"]) / (2 * Z_975)
    wald = 2 * norm.sf(np.abs(drop) / np.maximum(sd, 1e-12))
    return values | {"p_value": np.where(estimated, wald, values["p_value"])}
