"""The nouns of the system: frozen values that one stage hands to the next.

::

    LabelledData + Classifier → Activations → Probe → Ranking → Plan → Outcomes → effects → findings

| noun | what it holds | shape |
|---|---|---|
| LabelledData | inputs, integer labels, class names, weights, groups, hash | examples |
| Splits | fit, select, evaluate: disjoint | indices into examples |
| Predictions | clean logits and what follows from them | (examples, classes) |
| Activations | pooled-position state of every layer | per layer (examples, neurons) |
| Probe | weights, bias, scaler, strength, accuracies | (classes, features) |
| Ranking | scores, global and per class | per layer (neurons,) |
| Cell | one experiment | |
| Plan | the cells, and what each distinct action costs | |
| Outcomes | per action and example what the model then said | (actions, examples) |

Axes are always ``examples, layers, neurons, classes``. Nothing here computes with a model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int, UInt16

from synapse_audit.config import Grid
from synapse_audit.neurons import NeuronSet, Scores

TextInput = str | tuple[str, str]
"""One text, or a pair of texts."""

GLOBAL = "global"
"""The ``ranked_for`` of a ranking that serves all classes at once."""

ALL_LAYERS = "all"
"""The ``layers`` of a cell that touches blocks 1 to L."""


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


@dataclass(frozen=True)
class Activations:
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


@dataclass(frozen=True)
class LayerStatistics:
    """Per-neuron statistics of one layer over ``fit``, float32."""

    mean: Float[np.ndarray, " neurons"]
    spread: Float[np.ndarray, " neurons"]
    """Standard deviation."""
    norm: Float[np.ndarray, " neurons"]
    """Root mean square."""


@dataclass(frozen=True)
class Probe:
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


@dataclass(frozen=True)
class Ranking:
    """One score per neuron; higher = more important. Scores of different layers do not compare."""

    method: str
    scores: Mapping[str, Scores]
    """``global`` and each class name → one array per layer, layer 0 first."""


@dataclass(frozen=True)
class HeadEdit:
    """An additive change of the head's last linear layer."""

    weight: Float[np.ndarray, "classes features"]
    bias: Float[np.ndarray, " classes"]

    @property
    def l2(self) -> float:
        """Euclidean norm over weight and bias together."""
        return float(np.sqrt((self.weight**2).sum() + (self.bias**2).sum()))

    @property
    def linf(self) -> float:
        """Largest absolute entry of weight and bias."""
        return float(max(np.abs(self.weight).max(), np.abs(self.bias).max()))

    @property
    def n_changed(self) -> int:
        """How many numbers of the model the edit changes."""
        return int(np.count_nonzero(self.weight) + np.count_nonzero(self.bias))


@dataclass(frozen=True)
class Cell:
    """One experiment: what is done, where, and why these neurons were chosen."""

    space: Literal["neuron", "weight", "logit", "input"]
    operator: str
    site: str
    strength: float | None = None
    position: Literal["pooled", "all"] | None = None
    layers: str | None = None
    """``all`` or one layer number."""
    ranking: str | None = None
    ranked_for: str | None = None
    selection: str | None = None
    """top, bottom, random, matched, exclusive, keep_top, keep_random, constant; see plan.py."""
    fraction: float | None = None
    draw: int | None = None
    source: str | None = None
    target: str | None = None
    parameter: str | None = None
    neurons: NeuronSet | None = field(default=None, repr=False)
    edit: HeadEdit | None = field(default=None, repr=False)

    @cached_property
    def action(self) -> str:
        """Hash of what is physically done: cells with equal actions have equal outcomes."""
        parts: list[object] = [self.space, self.operator, self.strength, self.site, self.position]
        parts.append(self.neurons.digest() if self.neurons is not None else None)
        parts.append(self.target if self.space == "logit" else None)
        if self.edit is not None:
            parts += [self.edit.weight.tobytes(), self.edit.bias.tobytes()]
        return _digest(parts)

    @cached_property
    def key(self) -> str:
        """Hash of action and purpose: the ``cell`` column of the tables."""
        names = [f.name for f in fields(self) if f.name not in {"neurons", "edit"}]
        return _digest([self.action, *(getattr(self, name) for name in names)])

    @property
    def k(self) -> int | None:
        """Number of neurons touched; None where none is."""
        return None if self.neurons is None else len(self.neurons)


@dataclass(frozen=True)
class Plan:
    """Cells in a fixed order, and the distinct actions among them with their routes."""

    cells: tuple[Cell, ...]
    routes: Mapping[str, str]
    """Action → head, stream, suffix, full or two-phase."""

    @cached_property
    def actions(self) -> tuple[Cell, ...]:
        """One representative cell per distinct action, in order of first appearance."""
        found: dict[str, Cell] = {}
        for cell in self.cells:
            found.setdefault(cell.action, cell)
        return tuple(found.values())

    def rerouted(self, routes: Mapping[str, str]) -> Plan:
        """The same cells on other routes."""
        return replace(self, routes=dict(routes))


@dataclass(frozen=True)
class Direct:
    """The first phase of a two-phase sweep: along the pooled row only.

    Where ``exact`` is False the outcomes themselves hold these values, so everything built on them
    is an estimate there.
    """

    exact: Bool[np.ndarray, "actions examples"]
    """True where the outcomes are exact."""
    predicted: UInt16[np.ndarray, "actions examples"]
    """Predicted class of the stream route; equals the outcomes' where no stream was run."""
    kl: Float[np.ndarray, "actions examples"]
    disagreement: Float[np.ndarray, " actions"]
    """Smoothed share of examples on which stream and exact predict different classes."""


@dataclass(frozen=True)
class Outcomes:
    """What the model says under each action, on the ``evaluate`` examples in ascending order."""

    actions: tuple[str, ...]
    predicted: UInt16[np.ndarray, "actions examples"]
    probability: Float[np.ndarray, "actions examples"]
    """Probability of the true class, float32."""
    margin: Float[np.ndarray, "actions examples"]
    """Logit of the true class minus the largest other logit, float32."""
    kl: Float[np.ndarray, "actions examples"]
    """KL(clean ‖ intervened) in nats, float32."""
    direct: Direct | None = None
    """What the stream route alone said, where a sweep ran two phases; None = all is exact."""

    @cached_property
    def row(self) -> dict[str, int]:
        """Action → row."""
        return {action: i for i, action in enumerate(self.actions)}

    def rows(self, actions: Sequence[str]) -> Int[np.ndarray, " chosen"]:
        """Row numbers of several actions."""
        return np.array([self.row[action] for action in actions], dtype=np.int64)


@dataclass(frozen=True)
class Evidence:
    """All that a finding reads: saved artifacts, never a model.

    Everything per example is on the ``evaluate`` split, in ascending order of example.
    """

    classes: tuple[str, ...]
    grid: Grid
    predictions: Predictions
    weights: Float[np.ndarray, " examples"]
    counts: Float[np.ndarray, "resamples examples"]
    """Bootstrap multiplicities, the same for every statistic of the run (so all are paired)."""
    outcomes: Outcomes
    effects: pd.DataFrame
    """The table of the contract, with the extra column ``action`` (row of ``outcomes``)."""
    class_effects: pd.DataFrame
    probes: pd.DataFrame
    sufficiency: pd.DataFrame
    """Probe sufficiency: see :func:`synapse_audit.probes.sufficiency`."""
    statistics: tuple[LayerStatistics, ...]
    """Per layer, over ``fit``."""
    participation: tuple[float, ...]
    """Participation ratio of the ``fit`` covariance, per layer."""
    head_input: Float[np.ndarray, "examples features"]
    head_weight: Float[np.ndarray, "classes features"]
    head_bias: Float[np.ndarray, " classes"]


@dataclass(frozen=True)
class Finding:
    """One answer: the tables behind its figures, and its figures for ``summary.json``."""

    name: str
    tables: Mapping[str, pd.DataFrame]
    summary: Mapping[str, Any]
    """Figures as {"value", "low", "high"}; unknown is None, with a ``reason``."""


def _digest(parts: Sequence[object]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
