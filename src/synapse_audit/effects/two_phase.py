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

An action that ran on a stratified sample alone has no stream outcome; the mean of its stratum takes
that place (:func:`stratified`), everything else is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num, Shaped

from synapse_audit.artifacts import Direct, Outcomes


class Phases(NamedTuple):
    """Predictions of several actions on both routes, or on a sample of the examples."""

    predicted: Num[np.ndarray, "rows examples"]
    """Exact where that is known, else of the stream."""
    stream: Num[np.ndarray, "rows examples"] | None = None
    """None where all is exact."""
    design_weight: Float[np.ndarray, "rows examples"] | None = None
    """How many examples each exact one stands for among those that the row met; 0 where the
    stream's prediction stands in."""
    sample: Int[np.ndarray, " rows"] | None = None
    """Number of the sample that each row met, -1 for all examples; None where no row has one."""
    strata: Int[np.ndarray, "samples examples"] | None = None
    inclusion: Float[np.ndarray, "samples examples"] | None = None
    """How many examples each member of a sample stands for; 0 for the others."""

    @property
    def estimated(self) -> Bool[np.ndarray, " rows"]:
        """Rows that rest on a second phase, whose noise no closed form of counts knows."""
        if self.design_weight is None:
            return np.zeros(len(self.predicted), dtype=bool)
        return np.asarray((self.design_weight > 1).any(axis=1))

    def take(self, rows: Int[np.ndarray, " some"]) -> Phases:
        """Some of the rows."""
        if self.stream is None or self.design_weight is None:
            return Phases(self.predicted[rows])
        sample = None if self.sample is None else self.sample[rows]
        parts = self.stream[rows], self.design_weight[rows], sample
        return Phases(self.predicted[rows], *parts, self.strata, self.inclusion)

    def size_share(self, weights: Float[np.ndarray, " examples"]) -> Float[np.ndarray, " rows"]:
        """Effective size of each row's sample, as a share of that of all examples (Kish); else 1.

        What no resample of a small sample shows is as unknown as its size says.
        """
        share = np.ones(len(self.predicted))
        if self.sample is not None and self.inclusion is not None:
            spread = ((self.inclusion * weights) ** 2).sum(axis=1)
            mine = self.sample >= 0
            share[mine] = (weights**2).sum() / spread[self.sample[mine]]
        return share

    def of(
        self, value: Callable[[Num[np.ndarray, "rows examples"]], Shaped[np.ndarray, "rows _"]]
    ) -> Float[np.ndarray, "rows examples"]:
        """The corrected value of each example, given what a prediction counts as; float32."""
        now = value(self.predicted).astype(np.float32)
        if self.stream is None or self.design_weight is None:
            return now
        found = corrected(value(self.stream).astype(np.float32), now, self.design_weight)
        if self.sample is None or self.strata is None or self.inclusion is None:
            return found
        for number in np.unique(self.sample[self.sample >= 0]):
            mine = np.flatnonzero(self.sample == number)
            found[mine] = stratified(found[mine], self.inclusion[number], self.strata[number])
        return found


def corrected(
    stream: Float[np.ndarray, "rows examples"],
    exact: Float[np.ndarray, "rows examples"],
    design_weight: Float[np.ndarray, "rows examples"],
) -> Float[np.ndarray, "rows examples"]:
    """f(x) + g (f(y) − f(x)); ``exact`` may hold anything finite where ``design_weight`` is 0."""
    return stream + design_weight * (exact - stream)


def stratified(
    exact: Float[np.ndarray, "rows examples"],
    design_weight: Float[np.ndarray, " examples"],
    strata: Int[np.ndarray, " examples"],
) -> Float[np.ndarray, "rows examples"]:
    """m + g (y − m), m the mean of the example's stratum in the sample; float32.

    These values sum to the stratified estimate. Resampled, they vary as it does: a stratum's mean
    stands for its members, and each sampled residual for those of n_h (linearisation, Särndal et
    al. 1992, 5.5). Residuals are stretched by √(n / (n − 1)), since they are taken from the
    sample's own mean, unless the whole stratum was run.
    """
    sampled = np.flatnonzero(design_weight)
    inside = strata[sampled]
    count = np.bincount(inside, minlength=int(strata.max()) + 1)
    members = np.equal.outer(inside, np.arange(len(count))).astype(np.float64)
    mean = exact[:, sampled] @ members / np.maximum(count, 1)
    part = (count < np.bincount(strata)) & (count > 1)
    stretch = np.sqrt(np.where(part, count / np.maximum(count - 1, 1), 1.0))[inside]
    found = mean[:, strata]
    residual = exact[:, sampled] - found[:, sampled]
    found[:, sampled] += design_weight[sampled] * stretch * residual
    return np.asarray(found.astype(np.float32))


def phases(outcomes: Outcomes, rows: Int[np.ndarray, " rows"]) -> Phases:
    """Both routes' predictions under some actions."""
    direct = outcomes.direct
    if direct is None or not direct.estimated[rows].any():
        return Phases(outcomes.predicted[rows])
    sample = direct.sampled[rows]
    parts = outcomes.predicted[rows], direct.predicted[rows], relative_weight(direct, rows)
    if direct.strata is None or (sample < 0).all():
        return Phases(*parts)
    return Phases(*parts, sample, direct.strata, direct.inclusion)


def direct_phases(outcomes: Outcomes, direct: Direct, rows: Int[np.ndarray, " rows"]) -> Phases:
    """What the pooled row alone gives, on the examples that it met."""
    said, both = direct.predicted[rows], phases(outcomes, rows)
    return Phases(said) if both.sample is None else both._replace(predicted=said, stream=said)


def relative_weight(
    direct: Direct, rows: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, "rows examples"]:
    """How many examples each exact one stands for among those that its action met."""
    weight, sample = direct.design_weight[rows], direct.sampled[rows]
    if direct.inclusion is None or (sample < 0).all():
        return weight
    met = np.where((sample < 0)[:, None], 1, direct.inclusion[sample])
    return np.divide(weight, met, out=np.zeros_like(weight), where=met > 0)


def phase_error(
    outcomes: Outcomes,
    labels: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, " examples"],
) -> Float[np.ndarray, " actions"]:
    """Standard error that the second phase adds to each action's accuracy; NaN where there is none.

    √ Σ_exact g (g − 1) w² (y − x)² / Σ w, x and y being whether each route is right. 0 where the
    subsample shows no disagreement. A random set that met a part of the examples, or of a sample,
    has the error of that part as well. NaN too where cells ran exactly on one sample: no noise is
    between them.
    """
    direct = outcomes.direct
    if direct is None:
        return np.full(len(outcomes.actions), np.nan)
    variance = np.full(len(outcomes.actions), np.nan)
    partly = (direct.sampled >= 0) & _parts(direct)[direct.sampled]
    for row in np.flatnonzero(direct.estimated & (partly | ~np.isnan(direct.disagreement))):
        weight = relative_weight(direct, np.array([row]))[0]
        x, y = (said[row] == labels for said in (direct.predicted, outcomes.predicted))
        met, part = np.ones(len(labels)), 0.0
        number = direct.sampled[row]
        if direct.inclusion is not None and direct.strata is not None and number >= 0:
            met = direct.inclusion[number].astype(np.float64)
            value = (x + weight * (y.astype(np.float64) - x))[None]
            residual = stratified(value, met, direct.strata[number])[0]
            whole = np.ones(len(labels)) if direct.whole is None else direct.whole[number]
            part = _part_variance(residual, met, whole, direct.strata[number], weights)
        variance[row] = np.sum((met * weight * (weight - 1) * weights**2)[x != y]) + part
    return np.asarray(np.sqrt(variance) / weights.sum())


def _parts(direct: Direct) -> Bool[np.ndarray, " samples"]:
    """Samples that were dealt from another one, or from all examples."""
    if direct.inclusion is None or direct.whole is None:
        return np.zeros(1, dtype=bool)
    return np.asarray(((direct.inclusion > 0) != (direct.whole > 0)).any(axis=1))


def _part_variance(
    values: Float[np.ndarray, " examples"],
    met: Float[np.ndarray, " examples"],
    whole: Float[np.ndarray, " examples"],
    strata: Int[np.ndarray, " examples"],
    weights: Float[np.ndarray, " examples"],
) -> float:
    """Variance of a sum that is read off a part of some examples, given those.

    ``values`` are linearised: m + g r, r a residual, so that Σ g² r² w² over the part is the
    variance over new examples. It goes with 1 over the size, so that the share 1 − g₀/g of it is
    that of the part, g₀ what its members stand for (``whole``) where all those examples are met.
    """
    mean = np.bincount(strata, values) / np.maximum(np.bincount(strata), 1)
    spread = ((values - mean[strata]) * weights) ** 2
    share = np.divide(met - whole, met, out=np.zeros_like(met), where=met > 0)
    return float((spread * share).sum())
