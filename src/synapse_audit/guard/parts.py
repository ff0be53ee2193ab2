"""What a guard consists of: calibrated ranges, detector, hardened head, vote, canaries.

In: nothing. Out: frozen records of plain arrays, as they are stored. A *place* is where states are
looked at: layers 0 to L (block outputs at the pooled position), then the head's input, so that
there are L + 2 places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Brief
from synapse_audit.errors import UsageError, choices

HeadName = Literal["host", "hardened", "vote"]
"""Which head answers: the host's own, one linear head with larger margins, or the vote."""

HEADS: tuple[HeadName, ...] = ("host", "hardened", "vote")


def known_head(name: str) -> HeadName:
    """The name of a head, if it is one.

    Raises:
        UsageError: the message names the choices.
    """
    for one in HEADS:
        if one == name:
            return one
    raise UsageError(f"head '{name}' given; {choices(name, HEADS)}")


OWN = "own"
DETECTORS = (OWN, "pytorch-ood:Mahalanobis", "pytorch-ood:KNN")
"""Detectors that can raise a guard's alarms; ``PACKAGE:CLASS`` where they are another package's."""


def known_detector(name: str) -> str:
    """The name of a detector, if it is one.

    Raises:
        UsageError: the message names the choices.
    """
    if name not in DETECTORS:
        raise UsageError(f"detector '{name}' given; {choices(name, DETECTORS)}")
    return name


SCORES = ("mahalanobis", "knn", "range")
"""Anomaly scores of one place, in this order."""


@dataclass(frozen=True, repr=False)
class Ranges(Brief):
    """Calibrated ranges of every neuron, per place."""

    low: tuple[Float[np.ndarray, " _"], ...]
    high: tuple[Float[np.ndarray, " _"], ...]
    class_low: tuple[Float[np.ndarray, "classes _"], ...] = ()
    """The same per predicted class; empty where they were not asked for."""
    class_high: tuple[Float[np.ndarray, "classes _"], ...] = ()


@dataclass(frozen=True, repr=False)
class PlaceScorer(Brief):
    """What the anomaly scores of one place read."""

    centres: Float[np.ndarray, "classes neurons"]
    """Mean state of each predicted class."""
    whitening: Float[np.ndarray, "neurons neurons"]
    """A with A Aᵀ = the inverse of the shrunk covariance within classes."""
    spread: Float[np.ndarray, " neurons"]
    """Standard deviation; infinite where a neuron never varied."""
    unit: Float[np.ndarray, " neurons"]
    """What deviations are counted in: the spread, or at a place where no neuron varied a small
    share of its size; infinite where a neuron does not count."""
    bank: Float[np.ndarray, "kept neurons"]
    """Clean states for the nearest neighbours, in these units."""


@dataclass(frozen=True, repr=False)
class Detector(Brief):
    """Anomaly scores per place, put on one scale, and what clean inputs score."""

    scorers: tuple[PlaceScorer, ...]
    neighbours: int
    centre: Float[np.ndarray, "places scores"]
    """Median over clean examples that the scorers were not fitted on."""
    scale: Float[np.ndarray, "places scores"]
    """Their 90th percentile minus the median."""
    tail: Float[np.ndarray, " scores"]
    """95th percentile of each score over its places, so scaled, for two of them doubled: three
    scores on one scale."""
    calibration: Float[np.ndarray, " calibration"]
    """Scores of the calibration examples, ascending."""
    false_alarm_rate: float
    """The stated rate: an input is an alarm where its conformal p-value is at most this."""


@dataclass(frozen=True, repr=False)
class FittedAgain(Brief):
    """A detector of another package: what it is fitted on again whenever the guard is loaded.

    No object of that package is stored, only its name and the clean states.
    """

    name: str
    """One of ``DETECTORS`` other than ``OWN``."""
    version: str
    """Of the package, where the guard was made."""
    fit: tuple[Float[np.ndarray, "fit _"], ...]
    """Clean states per place."""
    predicted: Int[np.ndarray, " fit"]
    """The untouched model's class of each."""
    select: tuple[Float[np.ndarray, "calibration _"], ...]
    """Clean states whose scores give the threshold."""


@dataclass(frozen=True, repr=False)
class LinearHead(Brief):
    """A linear head on centred inputs: logits = W (h − centre) + b."""

    weight: Float[np.ndarray, "classes features"]
    bias: Float[np.ndarray, " classes"]
    centre: Float[np.ndarray, " features"]

    @property
    def one_output(self) -> bool:
        """Whether its rows are (0, w): one output, of which only w is a weight."""
        return len(self.bias) == 2 and not self.weight[0].any() and not bool(self.bias[0])


@dataclass(frozen=True, repr=False)
class Vote(Brief):
    """Light linear heads over disjoint sets of the head's inputs; the most votes win.

    Every input belongs to one voter, so all their weights fit one matrix.
    """

    voter: Int[np.ndarray, " features"]
    """Number of the voter that reads each input."""
    weight: Float[np.ndarray, "classes features"]
    bias: Float[np.ndarray, "voters classes"]

    @property
    def n_voters(self) -> int:
        """How many voters there are."""
        return len(self.bias)


@dataclass(frozen=True, repr=False)
class Canaries(Brief):
    """Inputs with known answers: random token numbers, never anybody's text."""

    inputs: Mapping[str, Int[np.ndarray, "canaries tokens"]]
    """Argument of the model → token numbers and the like, without padding."""
    logits: Float[np.ndarray, "canaries classes"]
    """What the untouched model says."""
    tolerance: float
    """Largest difference of a logit that other machines may make."""


@dataclass(frozen=True, repr=False)
class Guard(Brief):
    """All that is stored, besides the facts in ``guard.json``."""

    classes: tuple[str, ...]
    ranges: Ranges
    detector: Detector
    hardened: LinearHead
    vote: Vote
    canaries: Canaries
    head: HeadName
    """Which head answers."""
    tensors: Mapping[str, str]
    """Name of every tensor of the host model → sha256 of its type, shape and bytes."""
    sha256: str
    """Of the whole host model, as a run's manifest has it."""
    check_every: int
    """Checksums and canaries are looked at again after so many calls; 0: at load only."""
    other: FittedAgain | None = None
    """The detector that raises alarms, where it is not the guard's own."""

    @property
    def detector_name(self) -> str:
        """Whose alarms are raised: one of ``DETECTORS``."""
        return OWN if self.other is None else self.other.name
