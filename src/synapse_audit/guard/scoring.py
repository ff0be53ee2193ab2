"""Anomaly scores of pooled states, in torch, so that they cost little beside the model.

In: states per place, of clean or unclean inputs. Out: three scores per place, one combined score
and a conformal p-value per input.

- *mahalanobis*: smallest squared distance to a class's mean under the shrunk covariance within
  classes (Lee et al. 2018, with a hundredth of the Ledoit-Wolf shrinkage).
- *knn*: distance to the k-th nearest clean state, neurons in units of their spread (Sun et al.
  2022, without the normalisation to length 1). A place where no neuron varied over clean
  inputs has no spread and counts in units of its own (:mod:`synapse_audit.guard.detecting`), in all
  three; elsewhere neurons that never varied do not count.
- *range*: how far neurons lie outside their calibrated ranges, summed, in the same units.

Each is centred and scaled by clean examples that the scorers were not fitted on, and counts by its
largest place, so that a change at one layer shows whatever the other layers say. Tails differ: most
clean inputs leave no range, and a few leave one far. So each score is divided by what 1 clean input
in 20 exceeds before the largest of the three is taken; neighbours and ranges count half.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.linalg import vector_norm as norm

from synapse_audit.guard.parts import Detector, PlaceScorer, Ranges


class PlaceScores(nn.Module):
    """The three scores of places of one width, all at once: few large steps cost least.

    With u the state in each neuron's unit, about the middle of the clean states, every
    distance that is needed is |u|² or |A u|² plus a linear function of u, so that one product with
    one matrix per place gives them all. A: what whitens, in the same units.
    """

    per_unit: Tensor
    minus_middle: Tensor
    low: Tensor
    high: Tensor
    matrix: Tensor
    constant: Tensor

    def __init__(
        self,
        scorers: Sequence[PlaceScorer],
        low: Sequence[Float[np.ndarray, " neurons"]],
        high: Sequence[Float[np.ndarray, " neurons"]],
        neighbours: int,
    ) -> None:
        super().__init__()
        self.neighbours = min(neighbours, len(scorers[0].bank))
        self.width, self.classes = scorers[0].centres.shape[1], len(scorers[0].centres)
        ends = zip(low, high, strict=True)
        each = [_prepared(one, *end) for one, end in zip(scorers, ends, strict=True)]
        for name in _Prepared._fields:
            stacked = np.stack([getattr(one, name) for one in each])
            self.register_buffer(name, torch.from_numpy(stacked.astype(np.float32)))

    def forward(
        self, states: Float[Tensor, "places examples neurons"]
    ) -> Float[Tensor, "places examples 3"]:
        """Scores in the order of ``SCORES``; a state that is no number scores infinite."""
        units = torch.addcmul(self.minus_middle, states, self.per_unit)
        # A matrix with its neurons side by side is read faster for a single input.
        found = torch.baddbmm(self.constant, self.matrix, units.transpose(1, 2)).transpose(1, 2)
        whitened, centres, bank = found.tensor_split(self._parts, dim=2)
        size, own = norm(whitened, 2, 2), norm(units, 2, 2)
        mahalanobis = torch.addcmul(centres.amin(dim=2), size, size)
        nearest = torch.addcmul(bank.kthvalue(self.neighbours, dim=2).values, own, own)
        outside = norm(units - units.clamp(self.low, self.high), 1, 2)
        scores = torch.stack([mahalanobis, nearest.clamp_min(0).sqrt(), outside], dim=2)
        return scores.nan_to_num(nan=torch.inf)

    @property
    def _parts(self) -> tuple[int, int]:
        return self.width, self.width + self.classes


class _Prepared(NamedTuple):
    """What the scores of one place multiply and add, float64."""

    per_unit: Float[np.ndarray, "1 neurons"]
    minus_middle: Float[np.ndarray, "1 neurons"]
    """− middle / unit, added to state / unit."""
    low: Float[np.ndarray, "1 neurons"]
    high: Float[np.ndarray, "1 neurons"]
    """The ranges in the same units."""
    matrix: Float[np.ndarray, "rows neurons"]
    """Rows: the whitening A; −2 A Aᵀ μ per centre μ; −2 b per clean state b."""
    constant: Float[np.ndarray, "rows 1"]
    """0; |Aᵀ μ|²; |b|²."""


def _prepared(
    scorer: PlaceScorer, low: Float[np.ndarray, " neurons"], high: Float[np.ndarray, " neurons"]
) -> _Prepared:
    unit = scorer.unit.astype(np.float64)
    per_unit = 1.0 / unit  # 0 where a neuron does not count
    middle = scorer.centres.mean(axis=0, dtype=np.float64)
    shift = -middle * per_unit
    whitening = np.where(np.isfinite(unit), unit, 0.0)[:, None] * scorer.whitening
    centres = scorer.centres * per_unit + shift
    bank = scorer.bank + shift
    white = centres @ whitening
    matrix = np.concatenate([whitening, -2 * (white @ whitening.T).T, -2 * bank.T], axis=1)
    squares = (np.zeros(len(unit)), (white**2).sum(axis=1), (bank**2).sum(axis=1))
    return _Prepared(
        per_unit=per_unit[None],
        minus_middle=shift[None],
        low=(low * per_unit + shift)[None],
        high=(high * per_unit + shift)[None],
        matrix=np.ascontiguousarray(matrix.T),
        constant=np.concatenate(squares)[:, None],
    )


class Calibrated(nn.Module):
    """Combined scores of clean inputs, and what a score means beside them."""

    calibration: Tensor
    p_value: Tensor
    """Of an input above so many of the calibration's."""

    def __init__(self, calibration: Float[np.ndarray, " calibration"]) -> None:
        super().__init__()
        n = len(calibration)
        self.register_buffer("calibration", torch.from_numpy(np.array(calibration, np.float32)))
        self.register_buffer("p_value", (1 + n - torch.arange(n + 1)) / (n + 1))

    def scaled(self, states: Sequence[Tensor]) -> Float[Tensor, "examples scores"]:
        """One or more scores, from the pooled states per place."""
        raise NotImplementedError

    def forward(self, states: Sequence[Tensor]) -> Float[Tensor, " examples"]:
        """The combined score: the largest."""
        return self.scaled(states).amax(dim=1)

    def p_values(self, scores: Float[Tensor, " examples"]) -> Float[Tensor, " examples"]:
        """Conformal p-value: (1 + calibration examples that score at least as much) / (n + 1).

        On inputs like those of the calibration it is at most α in at most a share α of them
        (Vovk, Gammerman and Shafer 2005), on average over calibration sets.
        """
        below = torch.searchsorted(self.calibration, scores.contiguous())
        return self.p_value.take(below)

    def threshold(self, rate: float) -> float:
        """The combined score above which an input has a p-value of at most ``rate``."""
        n = len(self.calibration)
        # p ≤ rate where at least (1 − rate)(n + 1) calibration scores lie below.
        below = int(np.ceil((1 - rate) * (n + 1) - 1e-9))
        return float(self.calibration[below - 1]) if below <= n else np.inf


class Scores(Calibrated):
    """All places, on one scale."""

    shift: Tensor
    factor: Tensor

    def __init__(self, detector: Detector, ranges: Ranges) -> None:
        super().__init__(detector.calibration)
        widths = [len(low) for low in ranges.low]
        self.groups = [
            [place for place, width in enumerate(widths) if width == one]
            for one in dict.fromkeys(widths)
        ]
        self.parts = nn.ModuleList(
            PlaceScores(
                [detector.scorers[place] for place in group],
                [ranges.low[place] for place in group],
                [ranges.high[place] for place in group],
                detector.neighbours,
            )
            for group in self.groups
        )
        order = [place for group in self.groups for place in group]
        # (raw − centre) / scale / tail, as one product and one sum, places in the groups' order.
        factor = 1.0 / (detector.scale.astype(np.float64) * detector.tail)
        shift = -detector.centre * factor
        self.register_buffer("factor", torch.from_numpy(factor[order, None].astype(np.float32)))
        self.register_buffer("shift", torch.from_numpy(shift[order, None].astype(np.float32)))

    def stacked(self, states: Sequence[Tensor]) -> list[Tensor]:
        """States per place as one tensor (places, examples, neurons) per width."""
        here = self.factor
        return [torch.stack([states[p].to(here) for p in group]) for group in self.groups]

    def raw(self, states: Sequence[Tensor]) -> Float[Tensor, "examples places 3"]:
        """As each place gives them."""
        found: list[Tensor] = [torch.empty(0)] * len(states)
        for group, part, together in zip(
            self.groups, self.parts, self.stacked(states), strict=True
        ):
            for place, one in zip(group, part(together), strict=True):
                found[place] = one
        return torch.stack(found, dim=1)

    def each(self, states: Sequence[Tensor]) -> Float[Tensor, "places examples 3"]:
        """Every score on the common scale; places by width."""
        parts = [part(one) for part, one in zip(self.parts, self.stacked(states), strict=True)]
        together = parts[0] if len(parts) == 1 else torch.cat(parts)
        return torch.addcmul(self.shift, together, self.factor)

    def scaled(self, states: Sequence[Tensor]) -> Float[Tensor, "examples 3"]:
        """Per score the largest over places; 1 where few clean inputs get."""
        return self.each(states).amax(dim=0)

    def forward(self, states: Sequence[Tensor]) -> Float[Tensor, " examples"]:
        """The combined score: the largest of all."""
        return self.each(states).amax(dim=(0, 2))
