"""Labelled inputs, their splits, and what the untouched model says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Shaped

from synapse_audit.artifacts.brief import Brief, brief
from synapse_audit.artifacts.label_sets import decided

MOST_CLASSES = 5_000
"""A table of class by class must fit in memory (200 MB)."""

SLICE = "slice:"
"""Begins the names of columns of ``splits.parquet`` that hold slices."""

TextInput = str | tuple[str, str]
"""One text, or a pair of texts. Token ids are a text too: numbers with single spaces between."""


@dataclass(frozen=True)
class Signal:
    """An image, a sound, a series or a row of numbers as found, decoded when a model asks for it.

    Two signals are equal where their contents are; names do not count.
    """

    name: str = field(compare=False)
    """Its file, or its row in a table: for messages."""
    sha256: str
    """Of the file's bytes, or of an array's type, shape and numbers."""
    content: Path | bytes | np.ndarray = field(compare=False, repr=False)
    """Where the file is, what it holds, or the numbers themselves."""
    rate: int | None = None
    """Samples per second of a sound that is an array; None where its file says, or nobody does."""


Input = TextInput | Signal
"""What one example is, before a model's encoder turns it into features."""


@dataclass(frozen=True, repr=False)
class Windows(Brief):
    """How rows were cut into windows that overlap or follow each other."""

    rows: Int[np.ndarray, " examples"]
    """The row that each example was cut from, counting those that the cap kept."""
    n_rows: int
    n_windows: int
    """Of all rows."""
    n_repeats: int
    """Windows dropped because an equal one had occurred before."""


@dataclass(frozen=True, repr=False)
class LabelledData(Brief):
    """Inputs with one label each, or with a set of labels, in the model's own class order."""

    inputs: tuple[Input, ...]
    labels: Int[np.ndarray, " examples"]
    """Class of each example; of sets the stratum that it is drawn and weighted by, see ``strata``.
    """
    classes: tuple[str, ...]
    """Class names; position = the model's output index."""
    weights: Float[np.ndarray, " examples"]
    """Weight of each example so that class shares are those of the whole file (mean 1)."""
    origin: Int[np.ndarray, " examples"]
    """0: from ``--data``; 1: from ``--fit-data``."""
    groups: Int[np.ndarray, " examples"] | None
    """Examples with the same number never fall into different splits."""
    sha256: str
    """Hash of every input, label and group, before the cap; slices change no example."""
    source: str
    """Where the rows came from, for the reader of the report."""
    n_rows: int
    """Rows read, before repeats and the cap were removed."""
    n_repeats: int
    """Rows dropped because the same input had occurred before."""
    windows: Windows | None = None
    """None where every row is one example."""
    columns: tuple[str, ...] = ()
    """What the numbers of an input are, in order, where inputs are rows of a table."""
    notes: tuple[str, ...] = ()
    """How labels were read, where a reader of results should know it."""
    slices: Mapping[str, Shaped[np.ndarray, " examples"]] = field(default_factory=dict)
    """Slice column → each example's value there as text, None where it has none."""
    sets: Int[np.ndarray, " examples"] | None = None
    """The labels of each example as a set (:mod:`artifacts.label_sets`); None where each has one
    class."""

    @property
    def truth(self) -> Int[np.ndarray, " examples"]:
        """What a prediction is compared with: the class, or the set of labels."""
        return self.labels if self.sets is None else self.sets

    @property
    def strata(self) -> tuple[str, ...]:
        """What ``labels`` counts: the classes; of sets their rarest labels, and the other rows."""
        return self.classes if self.sets is None else (*self.classes, "any other labels")

    def __len__(self) -> int:
        return len(self.inputs)

    def __repr__(self) -> str:
        """What they are and how many; never an input."""
        names = ", ".join(self.classes[:8]) + ", …" * (len(self.classes) > 8)
        return f"<LabelledData: {len(self)} examples of {names}; from {brief(self.source)}>"


@dataclass(frozen=True, repr=False)
class Splits(Brief):
    """Three disjoint sets of example indices, ascending."""

    fit: Int[np.ndarray, " fit"]
    """Rankings, means and spreads come from here."""
    select: Int[np.ndarray, " select"]
    """Every choice is made here."""
    evaluate: Int[np.ndarray, " evaluate"]
    """Every reported effect is measured here."""


@dataclass(frozen=True, repr=False)
class Predictions(Brief):
    """What the untouched model says, for every example."""

    labels: Int[np.ndarray, " examples"]
    """Class of each example, or its set of labels."""
    logits: Float[np.ndarray, "examples classes"]
    """Thresholds included: what the decision is made by."""
    shift: Float[np.ndarray, " classes"] | None = None
    """What the thresholds added to the model's own logits; None where there are none."""
    several: bool = False
    """Whether every label is decided by itself, so that a set of labels is predicted."""

    @property
    def model_logits(self) -> Float[np.ndarray, "examples classes"]:
        """The model's own logits: their softmax has its probabilities."""
        return self.logits if self.shift is None else self.logits - self.shift

    @property
    def predicted(self) -> Int[np.ndarray, " examples"]:
        """Class with the highest logit (ties: the lower index), or the labels with one above 0."""
        return decided(self.logits, several=self.several)

    def take(self, rows: Int[np.ndarray, " chosen"]) -> Predictions:
        """The predictions of some examples, in the order given."""
        return replace(self, labels=self.labels[rows], logits=self.logits[rows])


def threshold_shift(
    thresholds: Sequence[float],
) -> Float[np.ndarray, " classes"] | None:
    """What decision thresholds τ add to the logits, −log(τ/(1 − τ)), float32; None where none is.

    >>> threshold_shift([0.5, 0.8]), threshold_shift([])
    (array([-0.       , -1.3862944], dtype=float32), None)
    """
    if not len(thresholds):
        return None
    share = np.array(thresholds, dtype=np.float64)
    return np.asarray(-np.log(share / (1.0 - share)), dtype=np.float32)
