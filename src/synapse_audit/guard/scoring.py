"""Anomaly scores of pooled states, in torch, so that they cost little beside the model.

In: states per place, of clean or unclean inputs. Out: three scores per place, one combined score
and a conformal p-value per input.

- *mahalanobis*: smallest squared distance to a class's mean under the shrunk covariance within
  classes (Lee et al. 2018, with the Ledoit-Wolf estimate of the covariance).
- *knn*: distance to the k-th nearest clean state, neurons in units of their spread (Sun et al.
  2022, without the normalisation to length 1).
- *range*: how far neurons lie outside their calibrated ranges, summed, in the same units.

Each is centred and scaled by clean examples that the scorers were not fitted on; the combined score
is the largest, so that a change at one layer shows whatever the other layers say.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from synapse_audit.guard.parts import Detector, PlaceScorer, Ranges


class PlaceScores(nn.Module):
    """The three scores of one place."""

    low: Tensor
    high: Tensor
    whitening: Tensor
    per_spread: Tensor
    bank: Tensor
    bank_square: Tensor
    whitened_centres: Tensor

    def __init__(
        self,
        scorer: PlaceScorer,
        low: Float[np.ndarray, " neurons"],
        high: Float[np.ndarray, " neurons"],
        neighbours: int,
    ) -> None:
        super().__init__()
        self.neighbours = min(neighbours, len(scorer.bank))
        arrays = {
            "low": low,
            "high": high,
            "whitening": scorer.whitening,
            "per_spread": 1.0 / scorer.spread,
            "bank": scorer.bank,
            "bank_square": (scorer.bank**2).sum(axis=1),
            "whitened_centres": scorer.centres @ scorer.whitening,
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array, np.float32)))

    def forward(self, states: Float[Tensor, "examples neurons"]) -> Float[Tensor, "examples 3"]:
        """Scores in the order of ``SCORES``; a state that is no number scores infinite."""
        whitened = states @ self.whitening
        mahalanobis = torch.cdist(whitened, self.whitened_centres).square().amin(dim=1)
        scaled = states * self.per_spread
        square = scaled.square().sum(1)[:, None] - 2 * scaled @ self.bank.T + self.bank_square
        nearest = square.topk(self.neighbours, dim=1, largest=False).values[:, -1]
        outside = (self.low - states).clamp_min(0) + (states - self.high).clamp_min(0)
        found = torch.stack(
            [mahalanobis, nearest.clamp_min(0).sqrt(), (outside * self.per_spread).sum(1)], dim=1
        )
        return found.nan_to_num(nan=torch.inf)


class Scores(nn.Module):
    """All places, on one scale."""

    centre: Tensor
    scale: Tensor
    calibration: Tensor

    def __init__(self, detector: Detector, ranges: Ranges) -> None:
        super().__init__()
        k = detector.neighbours
        places = zip(detector.scorers, ranges.low, ranges.high, strict=True)
        self.places = nn.ModuleList(PlaceScores(s, low, high, k) for s, low, high in places)
        for name in ("centre", "scale", "calibration"):
            values = torch.from_numpy(np.array(getattr(detector, name), np.float32))
            self.register_buffer(name, values)

    def raw(self, states: Sequence[Tensor]) -> Float[Tensor, "examples places 3"]:
        """As each place gives them."""
        found = [place(one.float()) for place, one in zip(self.places, states, strict=True)]
        return torch.stack(found, dim=1)

    def scaled(self, states: Sequence[Tensor]) -> Float[Tensor, "examples 3"]:
        """Per score the largest over places, each centred and scaled by clean examples."""
        return ((self.raw(states) - self.centre) / self.scale).amax(dim=1)

    def forward(self, states: Sequence[Tensor]) -> Float[Tensor, " examples"]:
        """The combined score: the largest of all."""
        return self.scaled(states).amax(dim=1)

    def p_values(self, scores: Float[Tensor, " examples"]) -> Float[Tensor, " examples"]:
        """Conformal p-value: (1 + calibration examples that score at least as much) / (n + 1).

        On inputs like those of the calibration it is at most α in at most a share α of them
        (Vovk, Gammerman and Shafer 2005), on average over calibration sets.
        """
        n = len(self.calibration)
        below = torch.searchsorted(self.calibration, scores.contiguous())
        return (1 + n - below) / (n + 1)
