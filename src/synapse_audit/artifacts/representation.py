"""What the layers hold and what was learned from them: activations, probes, rankings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts.brief import Brief
from synapse_audit.neurons import Scores

GLOBAL: Final = None
"""The ``ranked_for`` of scores over all classes at once. No class, and no name: any string may be
the name of a class. Cells that no ranking chose have no ``ranking`` either."""


ScoresFor = dict[str | None, Scores]
"""Class name, or ``GLOBAL`` → one array of scores per layer, layer 0 first."""


@dataclass(frozen=True, repr=False)
class Activations(Brief):
    """Pooled-position representation per layer; arrays may be memory-mapped."""

    layers: tuple[Float[np.ndarray, "examples _"], ...]
    """Layer 0 (embeddings) to L; (examples, neurons) each; widths may differ."""
    head_input: Float[np.ndarray, "examples features"]
    """What the head's last linear layer reads (after any pooler), float32."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of neurons of each layer, layer 0 first."""
        return tuple(layer.shape[1] for layer in self.layers)

    @property
    def blocks(self) -> tuple[int, ...]:
        """The layers that ``all`` means: 1 to L."""
        return tuple(range(1, len(self.layers)))


@dataclass(frozen=True, repr=False)
class LayerStatistics(Brief):
    """Per-neuron statistics of one layer over ``fit``, float32."""

    mean: Float[np.ndarray, " neurons"]
    spread: Float[np.ndarray, " neurons"]
    """Standard deviation."""
    norm: Float[np.ndarray, " neurons"]
    """Root mean square."""
    low: Float[np.ndarray, " neurons"] | None = None
    """5th percentile; None where single values are not kept (other tokens)."""
    high: Float[np.ndarray, " neurons"] | None = None
    """95th percentile."""
    class_means: Mapping[str, Float[np.ndarray, " neurons"]] | None = None
    """Class name → mean over its ``fit`` examples; classes without one are absent."""
    bank: Float[np.ndarray, "fit neurons"] | None = None
    """The values themselves, in the order of ``Splits.fit``: what resampling and patching read."""


@dataclass(frozen=True, repr=False)
class Probe(Brief):
    """Multinomial logistic regression on standardised features of one scope."""

    scope: str
    """Layer number, ``joint`` (all blocks side by side) or ``head_input``."""
    weights: Float[np.ndarray, "classes features"]
    """Centred over classes, in units of the standardised features."""
    bias: Float[np.ndarray, " classes"]
    mean: Float[np.ndarray, " features"]
    scale: Float[np.ndarray, " features"]
    strength: float
    """scikit-learn's C, chosen on ``select``."""
    accuracy: float
    """On ``evaluate``, weighted."""
    macro_f1: float
    """On ``evaluate``."""
    majority_accuracy: float
    fit_accuracy: float
    control_accuracy: float
    """Accuracy on ``fit`` of the same probe fitted on labels permuted over inputs."""
    null_accuracy: float
    """That probe's accuracy on ``evaluate``: chance, or something leaks."""

    @property
    def selectivity(self) -> float:
        """Accuracy on ``fit`` minus control accuracy (Hewitt & Liang 2019, adapted)."""
        return self.fit_accuracy - self.control_accuracy


@dataclass(frozen=True, repr=False)
class Erasure(Brief):
    """Directions that are removed from a layer's states: x' = x − write · read · (x − centre).

    Where the rows of ``read`` are orthonormal and ``write`` is their transpose, x' is an orthogonal
    projection. float32.
    """

    read: Float[np.ndarray, "rank neurons"]
    write: Float[np.ndarray, "neurons rank"]
    centre: Float[np.ndarray, " neurons"]

    @property
    def rank(self) -> int:
        """How many directions are removed."""
        return len(self.read)

    @cached_property
    def content(self) -> str:
        """What distinguishes it from others: a hash."""
        parts = (self.read, self.write, self.centre)
        joined = b"|".join(np.ascontiguousarray(part).tobytes() for part in parts)
        return hashlib.sha256(joined).hexdigest()

    def removed(
        self, states: Float[np.ndarray, "examples neurons"]
    ) -> Float[np.ndarray, "examples neurons"]:
        """What is taken away from each state, float64."""
        away = states.astype(np.float64) - self.centre
        taken: Float[np.ndarray, "examples neurons"] = away @ self.read.T @ self.write.T
        return taken


@dataclass(frozen=True, repr=False)
class Ranking(Brief):
    """One score per neuron; higher = more important. Scores of different layers do not compare."""

    method: str
    scores: Mapping[str | None, Scores]
    """Each class name, and ``GLOBAL`` (None) for all classes at once → one array per layer, layer 0
    first."""
    across: bool = False
    """Whether scores of different layers compare, so that a set may be taken over all at once."""


@dataclass(frozen=True, repr=False)
class DenseLayer(Brief):
    """A dense layer with an activation that stands between the pooled state and the last layer."""

    weight: Float[np.ndarray, "features neurons"]
    bias: Float[np.ndarray, " features"]
    activation: str
    """tanh, relu or gelu."""
