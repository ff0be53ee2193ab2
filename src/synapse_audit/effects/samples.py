"""The sample that all actions share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import norm

from synapse_audit.artifacts import Cell, Outcomes
from synapse_audit.effects.scored import NO_CLASS, Scored
from synapse_audit.effects.two_phase import corrected, phases
from synapse_audit.statistics import Z_975


@dataclass(frozen=True)
class CellBasis:
    """The part of a :class:`Scored` that all actions share."""

    labels: Int[np.ndarray, " examples"]
    clean: Int[np.ndarray, " examples"]
    weights: Float[np.ndarray, "examples 1"]
    resampled: Float[np.ndarray, "examples resamples"]
    classes: tuple[str, ...]

    def score(self, cells: Sequence[Cell], outcomes: Outcomes) -> Scored:
        """What metrics read of some actions."""
        index: dict[str | None, int] = {name: i for i, name in enumerate(self.classes)}
        index[None] = NO_CLASS
        rows = outcomes.rows([cell.action for cell in cells])
        both, kl = phases(outcomes, rows), outcomes.kl[rows]
        if outcomes.direct is not None and both.design_weight is not None:
            kl = corrected(outcomes.direct.kl[rows], kl, both.design_weight)
        return Scored(
            labels=self.labels,
            clean=self.clean,
            phases=both,
            kl=kl,
            target=np.array([index[cell.target] for cell in cells], dtype=np.int64),
            source=np.array([index[cell.source] for cell in cells], dtype=np.int64),
            n_classes=len(self.classes),
            weights=self.weights,
            resampled=self.resampled,
        )


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
