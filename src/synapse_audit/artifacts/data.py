"""Labelled inputs, their splits, and what the untouched model says of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

TextInput = str | tuple[str, str]
"""One text, or a pair of texts."""


@dataclass(frozen=True)
class LabelledData:
    """Inputs with one label each, in the model's own class order."""

    inputs: tuple[TextInput, ...]
    labels: Int[np.ndarray, " examples"]
    classes: tuple[str, ...]
    """Class names; position = the model's output index."""
    weights: Float[np.ndarray, " examples"]
    """Weight of each example so that class shares are those of the whole file (mean 1)."""
    origin: Int[np.ndarray, " examples"]
    """0: from ``--data``; 1: from ``--fit-data``."""
    groups: Int[np.ndarray, " examples"] | None
    """Examples with the same number never fall into different splits."""
    sha256: str
    """Hash of every input, label and group, before the cap."""
    source: str
    """Where the rows came from, for the reader of the report."""
    n_rows: int
    """Rows read, before repeats and the cap were removed."""
    n_repeats: int
    """Rows dropped because the same input had occurred before."""

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Splits:
    """Three disjoint sets of example indices, ascending."""

    fit: Int[np.ndarray, " fit"]
    """Rankings, means and spreads come from here."""
    select: Int[np.ndarray, " select"]
    """Every choice is made here."""
    evaluate: Int[np.ndarray, " evaluate"]
    """Every reported effect is measured here."""


@dataclass(frozen=True)
class Predictions:
    """What the untouched model says, for every example."""

    labels: Int[np.ndarray, " examples"]
    logits: Float[np.ndarray, "examples classes"]

    @property
    def predicted(self) -> Int[np.ndarray, " examples"]:
        """Class with the highest logit; ties go to the lower index."""
        return self.logits.argmax(axis=1)

    def take(self, rows: Int[np.ndarray, " chosen"]) -> Predictions:
        """The predictions of some examples, in the order given."""
        return Predictions(self.labels[rows], self.logits[rows])
