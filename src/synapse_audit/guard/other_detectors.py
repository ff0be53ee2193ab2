"""Detectors of other packages in the place of the guard's own, such as those of pytorch-ood.

In: a detector with ``fit_features`` and ``predict_features``, and the clean states of a run. Out:
scores that a :class:`~synapse_audit.guard.guarded.GuardedModel` takes (``use_scores``), on the same
``fit`` and with the same threshold from ``select``. They live in memory: a guard's folder holds
plain arrays only, and no package's objects.

The extra ``ood`` brings pytorch-ood (Kirchheim et al. 2022). Its detectors read one layer each;
here one is fitted at every place asked for, and the largest score counts, in units of how much it
varies over clean inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.errors import UsageError
from synapse_audit.guard.building import CleanStates
from synapse_audit.guard.scoring import Calibrated


@runtime_checkable
class FeatureDetector(Protocol):
    """What is asked of another detector: pytorch-ood's ``FeaturesDetector`` has both."""

    def fit_features(self, z: Tensor, y: Tensor, /) -> Any:
        """From clean states (examples, neurons) and their classes, which are numbered from 0."""

    def predict_features(self, z: Tensor, /) -> Tensor:
        """A score per example; higher = less usual."""


Make = Callable[[], FeatureDetector]


class OtherScores(Calibrated):
    """One detector at each of some places."""

    def __init__(
        self,
        detectors: Mapping[int, FeatureDetector],
        clean: Float[np.ndarray, "calibration places"],
    ) -> None:
        middle = np.median(clean, axis=0)
        scale = np.maximum(np.quantile(clean, 0.9, axis=0) - middle, 1e-6 + 1e-3 * np.abs(middle))
        super().__init__(np.sort(((clean - middle) / scale).max(axis=1)))
        self.detectors, self.middle, self.scale = dict(detectors), middle, scale

    def scaled(self, states: Sequence[Tensor]) -> Float[Tensor, "examples 1"]:
        """The largest over places."""
        raw = [
            one.predict_features(states[place].float().cpu())
            for place, one in self.detectors.items()
        ]
        scores = (torch.stack(raw, dim=1).double().numpy() - self.middle) / self.scale
        found = torch.from_numpy(scores.max(axis=1, keepdims=True).astype(np.float32))
        return found.to(self.calibration).nan_to_num(nan=torch.inf)


def fit_scores(make: Make, clean: CleanStates, places: Sequence[int] | None = None) -> OtherScores:
    """A detector per place, fitted on ``fit`` and calibrated on ``select``.

    Args:
        make: a new detector each time it is called, such as ``lambda: Mahalanobis(None)``.
        places: layers 0 to L and L + 1, the head's input; all where None.
    """
    chosen = range(len(clean.places)) if places is None else places
    predicted = clean.logits.argmax(axis=1)
    detectors, columns = {}, []
    for place in chosen:
        states = np.asarray(clean.places[place], np.float32)
        detectors[place] = _fitted(make(), states[clean.fit], predicted[clean.fit])
        asked = torch.from_numpy(states[clean.select])
        columns.append(np.asarray(detectors[place].predict_features(asked), np.float64))
    return OtherScores(detectors, np.stack(columns, axis=1))


def _fitted(
    detector: FeatureDetector,
    states: Float[np.ndarray, "fit neurons"],
    predicted: Int[np.ndarray, " fit"],
) -> FeatureDetector:
    _, numbers = np.unique(predicted, return_inverse=True)  # 0, 1, … without a gap
    detector.fit_features(torch.from_numpy(states), torch.from_numpy(numbers.astype(np.int64)))
    return detector


def pytorch_ood() -> dict[str, Make]:
    """pytorch-ood's detectors of states alone, by name.

    Raises:
        UsageError: the package is not installed, or does not load.
    """
    try:
        from pytorch_ood.detector import KNN, Mahalanobis
    except (ImportError, RuntimeError) as error:
        raise UsageError(
            f"pytorch-ood asked for, which does not load ({error}); expected it beside a "
            "torchvision that fits torch: pip install 'synapse-audit[ood]'"
        ) from error
    return {"Mahalanobis": lambda: Mahalanobis(None), "KNN": lambda: KNN(None)}
