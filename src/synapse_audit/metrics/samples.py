"""The sample that all actions share, and its doubled form for two-phase estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from synapse_audit.artifacts import Cell, Outcomes
from synapse_audit.metrics.scored import NOBODY, Scored
from synapse_audit.metrics.two_phase import reweight
from synapse_audit.statistics import Z_975


@dataclass(frozen=True)
class Base:
    """The part of a :class:`Scored` that all actions share."""

    labels: Int[np.ndarray, " examples"]
    clean: Int[np.ndarray, " examples"]
    weights: Float[np.ndarray, "examples 1"]
    resampled: Float[np.ndarray, "examples resamples"]
    classes: tuple[str, ...]
    counted: Float[np.ndarray, "examples 1"] | None = None
    """Set for a doubled sample: its outcomes are those of the stream route, then the exact ones."""

    def doubled(self, outcomes: Outcomes, row: int) -> Base:
        """The sample of a two-phase estimate with the subsample of action ``row``."""
        if outcomes.direct is None:
            return self
        known = outcomes.direct.exact[row]
        again = reweight(self.labels, self.weights, self.resampled, known)
        return replace(
            self,
            labels=np.tile(self.labels, 2),
            clean=np.tile(self.clean, 2),
            weights=again.weights,
            resampled=again.resampled,
            counted=np.concatenate([self.weights, np.zeros_like(self.weights)]),
        )

    def score(self, cells: Sequence[Cell], outcomes: Outcomes) -> Scored:
        """What metrics read of some actions."""
        index: dict[str | None, int] = {name: i for i, name in enumerate(self.classes)}
        index[None] = NOBODY
        rows = outcomes.rows([cell.action for cell in cells])
        predicted, kl = outcomes.predicted[rows], outcomes.kl[rows]
        if self.counted is not None and outcomes.direct is not None:
            predicted = np.concatenate([outcomes.direct.predicted[rows], predicted], axis=1)
            kl = np.concatenate([outcomes.direct.kl[rows], kl], axis=1)
        return Scored(
            labels=self.labels,
            clean=self.clean,
            predicted=predicted,
            kl=kl,
            target=np.array([index[cell.target] for cell in cells], dtype=np.int64),
            source=np.array([index[cell.source] for cell in cells], dtype=np.int64),
            n_classes=len(self.classes),
            weights=self.weights,
            resampled=self.resampled,
            counted=self.counted,
        )


def retested(
    values: dict[str, Float[np.ndarray, "*classes rows"]],
) -> dict[str, Float[np.ndarray, "*classes rows"]]:
    """Two-phase values with a Wald test of the accuracy drop, its error read off the interval.

    McNemar's test needs the exact outcomes of all examples.
    """
    drop = values["accuracy_drop"]
    sd = (values["accuracy_drop_high"] - values["accuracy_drop_low"]) / (2 * Z_975)
    return values | {"p_value": 2 * norm.sf(np.abs(drop) / np.maximum(sd, 1e-12))}
