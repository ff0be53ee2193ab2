"""Detectors of other packages in the place of the guard's own, such as those of pytorch-ood.

In: a detector with ``fit_features`` and ``predict_features``, and the clean states of a run. Out:
scores that a :class:`~synapse_audit.guard.guarded.GuardedModel` takes, from the same ``fit`` and
with the same threshold from ``select``: by name in the guard's folder
(``synapse-audit guard --detector``), or any other one in memory (``use_scores``). A folder holds
plain arrays and no package's objects, so that the detector is fitted again when it is loaded.

The extra ``ood`` brings pytorch-ood (Kirchheim et al. 2022). Its detectors read one layer each;
here one is fitted at every place asked for, and the largest score counts, in units of how much it
varies over clean inputs. They give no gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.errors import DataError, UsageError, first_line
from synapse_audit.guard.clean import CleanStates
from synapse_audit.guard.parts import OWN, FittedAgain, known_detector
from synapse_audit.guard.scoring import Calibrated

PACKAGE = "pytorch-ood"


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
            one.predict_features(states[place].detach().float().cpu())
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

    Raises:
        DataError: it cannot be fitted on so few states, or its scores are no numbers.
    """
    stored = _stored("a detector", "", clean)
    return _scores(make, stored, range(len(clean.places)) if places is None else places)


def stored_states(name: str, clean: CleanStates) -> FittedAgain | None:
    """What a guard keeps of a detector, which is fitted once to see that it can be.

    Args:
        name: one of ``DETECTORS``; None comes back for the guard's own.

    Raises:
        UsageError: an unknown name, or its package is not installed.
        DataError: it cannot be fitted on so few states.
    """
    if known_detector(name) == OWN:
        return None
    make = _named(name)
    stored = _stored(name, _installed_version(), clean)
    _scores(make, stored, range(len(stored.fit)))
    return stored


def _installed_version() -> str:
    """That of a package put on the path by hand is not known."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "unknown"


def fitted_again(stored: FittedAgain) -> OtherScores:
    """The scores of a guard that was loaded, at every place.

    Raises:
        UsageError: the package is not installed.
        DataError: it cannot be fitted on the states.
    """
    return _scores(_named(stored.name), stored, range(len(stored.fit)))


def _stored(name: str, version: str, clean: CleanStates) -> FittedAgain:
    states = [np.asarray(one, np.float32) for one in clean.places]
    return FittedAgain(
        name,
        version,
        fit=tuple(one[clean.fit] for one in states),
        predicted=clean.logits[clean.fit].argmax(axis=1).astype(np.int64),
        select=tuple(one[clean.select] for one in states),
    )


def _scores(make: Make, stored: FittedAgain, places: Sequence[int]) -> OtherScores:
    detectors, columns = {}, []
    try:
        for place in places:
            detectors[place] = _fitted(make(), stored.fit[place], stored.predicted)
            asked = torch.from_numpy(stored.select[place])
            columns.append(np.asarray(detectors[place].predict_features(asked), np.float64))
    except (ValueError, RuntimeError, AssertionError, IndexError) as error:
        raise DataError(
            f"{stored.name} cannot be fitted on {len(stored.predicted):,} clean states "
            f"({first_line(error)[:200]}); expected more: a run with more examples, or "
            "--detector own"
        ) from error
    scores = np.stack(columns, axis=1)
    if not np.isfinite(scores).all():
        raise DataError(
            f"{stored.name} gives clean states scores that are no finite numbers; expected others: "
            "a run with more examples, or --detector own"
        )
    return OtherScores(detectors, scores)


def _fitted(
    detector: FeatureDetector,
    states: Float[np.ndarray, "fit neurons"],
    predicted: Int[np.ndarray, " fit"],
) -> FeatureDetector:
    _, numbers = np.unique(predicted, return_inverse=True)  # 0, 1, … without a gap
    detector.fit_features(torch.from_numpy(states), torch.from_numpy(numbers.astype(np.int64)))
    return detector


def _named(name: str) -> Make:
    return pytorch_ood()[name.removeprefix(f"{PACKAGE}:")]


def pytorch_ood() -> dict[str, Make]:
    """pytorch-ood's detectors of states alone, by name.

    Raises:
        UsageError: the package is not installed, or does not load.
    """
    try:
        from pytorch_ood.detector import KNN, Mahalanobis
    except (ImportError, RuntimeError) as error:
        raise UsageError(
            f"pytorch-ood asked for, which does not load ({first_line(error)}); expected it "
            "beside a torchvision that fits torch: pip install 'synapse-audit[ood]'"
        ) from error
    return {"Mahalanobis": lambda: Mahalanobis(None), "KNN": lambda: KNN(None)}
