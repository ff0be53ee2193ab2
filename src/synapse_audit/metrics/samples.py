"""The sample that all actions share, and its doubled form for two-phase estimates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from synapse_audit.artifacts import Cell, Outcomes
from synapse_audit.metrics.scored import NOBODY, Scored
from synapse_audit.metrics.two_phase import reweight, unseen_variance
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

    def doubled(self, outcomes: Outcomes, row: int, beta: float) -> Base:
        """The sample of a two-phase estimate with the subsample of action ``row``."""
        if outcomes.direct is None:
            return self
        known = outcomes.direct.exact[row]
        again = reweight(self.labels, self.weights, self.resampled, known, beta)
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


def widened(
    values: dict[str, Float[np.ndarray, "*classes rows"]],
    outcomes: Outcomes,
    rows: Int[np.ndarray, " rows"],
    labels: Int[np.ndarray, " examples"],
) -> dict[str, Float[np.ndarray, "*classes rows"]]:
    """Two-phase values with the disagreements that the subsample may have missed.

    Adds that variance to every interval, and replaces McNemar's test, which needs exact outcomes
    of all examples, by a Wald test of the accuracy drop.
    """
    variance, found = unseen_variance(outcomes, rows), dict(values)
    for name in [n for n in values if f"{n}_low" in values]:
        extra = variance
        if name == "recall":
            extra = variance * _class_factor(outcomes, rows, labels, len(values[name]))
        low, high = values[f"{name}_low"], values[f"{name}_high"]
        floor = -1.0 if name == "accuracy_drop" else 0.0
        down = np.hypot(values[name] - low, Z_975 * np.sqrt(extra))
        up = np.hypot(high - values[name], Z_975 * np.sqrt(extra))
        found[f"{name}_low"] = np.maximum(floor, values[name] - down)
        found[f"{name}_high"] = np.minimum(1.0, values[name] + up)
    drop = values["accuracy_drop"]
    sd = (found["accuracy_drop_high"] - found["accuracy_drop_low"]) / (2 * Z_975)
    found["p_value"] = 2 * norm.sf(np.abs(drop) / np.maximum(sd, 1e-12))
    return found


def _class_factor(
    outcomes: Outcomes,
    rows: Int[np.ndarray, " rows"],
    labels: Int[np.ndarray, " examples"],
    n_classes: int,
) -> Float[np.ndarray, "classes rows"]:
    """How much larger (1/n − 1/N) is within each class than over all examples."""
    if outcomes.direct is None:
        return np.ones((n_classes, len(rows)))
    known = outcomes.direct.exact[rows].astype(np.float64)
    members = (labels == np.arange(n_classes)[:, None]).astype(np.float64)
    part, whole = members @ known.T, members.sum(axis=1, keepdims=True)
    inside = 1 / np.maximum(part, 1) - 1 / np.maximum(whole, 1)
    overall = 1 / known.sum(axis=1) - 1 / known.shape[1]
    return inside / np.maximum(overall, 1e-12)
