"""The two-phase estimate of any count, so that every metric serves it unchanged.

With x the stream outcome of an example, y the exact one, and g how many examples an exactly run one
stands for (1 over its chance to be run exactly), the difference estimate of the sum of any function
f over examples is

    Σ_all w f(x) + Σ_exact g w (f(y) − f(x)).

It is unbiased however often the routes disagree, as long as who is run exactly depends on nothing
that the exact route says of the same example (Cochran 1977, 7.4 and 12.9; Horvitz & Thompson 1952).
A coefficient of x, chosen on the sample, would be a little more precise where x says little of y;
but where disagreements are rare it moves exactly when the sample holds one, which biases the
estimate. So each example counts as f(x) + g (f(y) − f(x)), its *corrected* value, and everything
else stays as it is for exact outcomes. Totals of classes are not touched.

Resampling these values gives the variance of both phases: that of f(y) over examples and
Σ (g − 1) (f(y) − f(x))² of the subsample. A subsample that holds no disagreement shows no
second-phase variance. What was missed then moves the estimate by the rate of disagreement among
examples of which the stream was sure, which is small beside the first phase (docs/proofs.md gives
the coverage).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from synapse_audit.artifacts import Outcomes


class Phases(NamedTuple):
    """Predictions of several actions on both routes."""

    predicted: Num[np.ndarray, "rows examples"]
    """Exact where that is known, else of the stream."""
    stream: Num[np.ndarray, "rows examples"] | None = None
    """None where all is exact."""
    design_weight: Float[np.ndarray, "rows examples"] | None = None
    """How many examples each exact one stands for; 0 where the stream's prediction stands in."""

    def take(self, rows: Int[np.ndarray, " some"]) -> Phases:
        """Some of the rows."""
        if self.stream is None or self.design_weight is None:
            return Phases(self.predicted[rows])
        return Phases(self.predicted[rows], self.stream[rows], self.design_weight[rows])

    def of(
        self, value: Callable[[Num[np.ndarray, "rows examples"]], Shaped[np.ndarray, "rows _"]]
    ) -> Float[np.ndarray, "rows examples"]:
        """The corrected value of each example, given what a prediction counts as; float32."""
        now = value(self.predicted).astype(np.float32)
        if self.stream is None or self.design_weight is None:
            return now
        return corrected(value(self.stream).astype(np.float32), now, self.design_weight)


def corrected(
    stream: Float[np.ndarray, "rows examples"],
    exact: Float[np.ndarray, "rows examples"],
    design_weight: Float[np.ndarray, "rows examples"],
) -> Float[np.ndarray, "rows examples"]:
    """f(x) + g (f(y) − f(x)); ``exact`` may hold anything finite where ``design_weight`` is 0."""
    return stream + design_weight * (exact - stream)


def phases(outcomes: Outcomes, rows: Int[np.ndarray, " rows"]) -> Phases:
    """Both routes' predictions under some actions."""
    direct = outcomes.direct
    if direct is None or not direct.estimated[rows].any():
        return Phases(outcomes.predicted[rows])
    return Phases(outcomes.predicted[rows], direct.predicted[rows], direct.design_weight[rows])


def phase_error(
    outcomes: Outcomes,
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, " examples"],
) -> Float[np.ndarray, " actions"]:
    """Standard error that the second phase adds to each action's accuracy; NaN where all is exact.

    √ Σ_exact g (g − 1) w² (y − x)² / Σ w, x and y being whether each route is right. 0 where the
    subsample shows no disagreement.
    """
    direct = outcomes.direct
    if direct is None:
        return np.full(len(outcomes.actions), np.nan)
    found = np.full(len(outcomes.actions), np.nan)
    for row in np.flatnonzero(direct.estimated):
        design_weight = direct.design_weight[row]
        differs = (outcomes.predicted[row] == labels) != (direct.predicted[row] == labels)
        found[row] = np.sqrt(np.sum((design_weight * (design_weight - 1) * weights**2)[differs]))
    return found / weights.sum()
