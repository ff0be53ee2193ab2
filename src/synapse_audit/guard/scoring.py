"""Anomaly scores of pooled states, in torch, so that they cost little beside the model.

In: states per place, of clean or unclean inputs. Out: three scores per place, one combined score
and a conformal p-value per input.

- *mahalanobis*: smallest squared distance to a class's mean under the shrunk covariance within
  classes (Lee et al. 2018, with the Ledoit-Wolf estimate of the covariance).
- *knn*: distance to the k-th nearest clean state, neurons in units of their spread (Sun et al.
  2022, without the normalisation to length 1).
- *range*: how far neurons lie outside their calibrated ranges, summed, in the same units.

Each is centred and scaled by clean examples that the scorers were not fitted on, and counts by its
largest place, so that a change at one layer shows whatever the other layers say. Tails differ: most
clean inputs leave no range, and a few leave one far. So each score is divided by what 1 clean input
in 20 exceeds before the largest of the three is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from synapse_audit.guard.parts import Detector, PlaceScorer, Ranges


class PlaceScores(nn.Module):
    """The three scores of places of one width, all at once: few large steps cost least."""

    low: Tensor
    high: Tensor
    whitening: Tensor
    whitened_centres: Tensor
    per_spread: Tensor
    bank: Tensor
    bank_square: Tensor

    def __init__(
        self,
        scorers: Sequence[PlaceScorer],
        low: Sequence[Float[np.ndarray, " neurons"]],
        high: Sequence[Float[np.ndarray, " neurons"]],
        neighbours: int,
    ) -> None:
        super().__init__()
        self.neighbours = min(neighbours, len(scorers[0].bank))
        arrays = {
            "low": [one[None] for one in low],
            "high": [one[None] for one in high],
            "whitening": [one.whitening for one in scorers],
            "whitened_centres": [one.centres @ one.whitening for one in scorers],
            "per_spread": [1.0 / one.spread[None] for one in scorers],
            "bank": [one.bank.T for one in scorers],
            "bank_square": [(one.bank**2).sum(axis=1)[None] for one in scorers],
        }
        for name, parts in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.stack(parts).astype(np.float32)))

    def forward(
        self, states: Float[Tensor, "places examples neurons"]
    ) -> Float[Tensor, "places examples 3"]:
        """Scores in the order of ``SCORES``; a state that is no number scores infinite."""
        whitened = states @ self.whitening
        mahalanobis = torch.cdist(whitened, self.whitened_centres).square().amin(dim=2)
        scaled = states * self.per_spread
        # |x − b|² without a difference per pair of states.
        square = torch.baddbmm(self.bank_square, scaled, self.bank, alpha=-2.0)
        nearest = square.kthvalue(self.neighbours, dim=2).values + scaled.square().sum(dim=2)
        outside = (states - states.clamp(self.low, self.high)).abs()
        found = torch.stack(
            [mahalanobis, nearest.clamp_min(0).sqrt(), (outside * self.per_spread).sum(2)], dim=2
        )
        return found.nan_to_num(nan=torch.inf)


class Scores(nn.Module):
    """All places, on one scale."""

    centre: Tensor
    scale: Tensor
    tail: Tensor
    calibration: Tensor

    def __init__(self, detector: Detector, ranges: Ranges) -> None:
        super().__init__()
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
        for name in ("centre", "scale", "tail", "calibration"):
            values = torch.from_numpy(np.array(getattr(detector, name), np.float32))
            self.register_buffer(name, values)

    def raw(self, states: Sequence[Tensor]) -> Float[Tensor, "examples places 3"]:
        """As each place gives them."""
        found: list[Tensor] = [torch.empty(0)] * len(states)
        for group, part in zip(self.groups, self.parts, strict=True):
            together = torch.stack([states[place].float() for place in group])
            for place, one in zip(group, part(together), strict=True):
                found[place] = one
        return torch.stack(found, dim=1)

    def scaled(self, states: Sequence[Tensor]) -> Float[Tensor, "examples 3"]:
        """Per score the largest over places; 1 where few clean inputs get."""
        return ((self.raw(states) - self.centre) / self.scale).amax(dim=1) / self.tail

    def forward(self, states: Sequence[Tensor]) -> Float[Tensor, " examples"]:
        """The combined score: the largest of the three."""
        return self.scaled(states).amax(dim=1)

    def p_values(self, scores: Float[Tensor, " examples"]) -> Float[Tensor, " examples"]:
        """Conformal p-value: (1 + calibration examples that score at least as much) / (n + 1).

        On inputs like those of the calibration it is at most α in at most a share α of them
        (Vovk, Gammerman and Shafer 2005), on average over calibration sets.
        """
        n = len(self.calibration)
        below = torch.searchsorted(self.calibration, scores.contiguous())
        return (1 + n - below) / (n + 1)
