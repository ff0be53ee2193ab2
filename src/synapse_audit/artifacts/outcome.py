"""What experiments gave: outcomes, the evidence that findings read, and findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32, Int, Int64, UInt16

from synapse_audit.artifacts.brief import Brief
from synapse_audit.artifacts.data import Predictions
from synapse_audit.artifacts.experiment import Group
from synapse_audit.artifacts.representation import DenseLayer, LayerStatistics, Ranking
from synapse_audit.config import Grid


@dataclass(frozen=True, repr=False)
class Direct(Brief):
    """What stands in for exact outcomes: the first phase of a sweep, along the pooled row only.

    Where ``design_weight`` is 0 the outcomes themselves hold these values, so everything built on
    them is an estimate there. An action that ran on a sample of the examples has no first phase:
    the untouched model's prediction stands where it did not run (divergence 0, other numbers NaN).
    """

    design_weight: Float[np.ndarray, "actions examples"]
    """How many examples each exact one stands for: 1 over its chance to be run exactly, 0 where
    it was not, 1 throughout where all were; float32."""
    predicted: UInt16[np.ndarray, "actions examples"] | Int64[np.ndarray, "actions examples"]
    """Predicted class or set of the stream route; equals the outcomes' where no stream was run."""
    kl: Float[np.ndarray, "actions examples"]
    disagreement: Float[np.ndarray, " actions"]
    """Share of examples on which the pilot lets expect that the routes name different classes; NaN
    where exact outcomes of a sample are all there is."""
    error: Float[np.ndarray, " actions"]
    """Standard error of accuracy that it lets expect of the second phase; 0 where all is exact."""
    sample: Int[np.ndarray, " actions"] | None = None
    """Number of the sample that an action ran on, -1 for none; None where no action has one."""
    strata: Int[np.ndarray, "samples examples"] | None = None
    """Stratum of every example in each sample: their members' outcomes stand for each other's."""
    inclusion: Float[np.ndarray, "samples examples"] | None = None
    """How many examples each member of a sample stands for, 0 for the others; the design weight is
    this times what an exact outcome stands for among those that were met."""
    whole: Float[np.ndarray, "samples examples"] | None = None
    """The same in what a sample was dealt from: 1 where that is all examples, the sample's own
    where it was not dealt. None: all that are not exact on their sample were dealt from all."""

    @cached_property
    def n_exact(self) -> Int[np.ndarray, " actions"]:
        """Number of examples whose outcome is exact."""
        return np.array([np.count_nonzero(row) for row in self.design_weight], dtype=np.int64)

    @property
    def estimated(self) -> Bool[np.ndarray, " actions"]:
        """True where some outcomes are not exact."""
        return self.n_exact < self.design_weight.shape[1]

    @cached_property
    def sampled(self) -> Int[np.ndarray, " actions"]:
        """Number of each action's sample, -1 for none."""
        return np.full(len(self.design_weight), -1) if self.sample is None else self.sample

    @cached_property
    def exact_on_sample(self) -> Bool[np.ndarray, " actions"]:
        """Actions of a sample that ran exactly on all of it."""
        sizes = np.zeros(1) if self.inclusion is None else (self.inclusion > 0).sum(axis=1)
        return (self.sampled >= 0) & (self.n_exact == sizes[self.sampled])


@dataclass(frozen=True, repr=False)
class Outcomes(Brief):
    """What the model says under each action, on the ``evaluate`` examples in ascending order."""

    actions: tuple[str, ...]
    predicted: UInt16[np.ndarray, "actions examples"] | Int64[np.ndarray, "actions examples"]
    """Class, or set of labels (:mod:`artifacts.label_sets`)."""
    probability: Float[np.ndarray, "actions examples"]
    """Probability of the true class, float32."""
    margin: Float[np.ndarray, "actions examples"]
    """Logit of the true class minus the largest other logit, float32."""
    kl: Float[np.ndarray, "actions examples"]
    """KL(clean ‖ intervened) in nats, float32."""
    confidence: Float[np.ndarray, "actions examples"]
    """Probability of the predicted class, float32."""
    benign: Float[np.ndarray, "actions examples"] | None = None
    """Probability of the benign class, float32; None where none was named."""
    direct: Direct | None = None
    """What the stream route alone said, where a sweep ran two phases; None = all is exact."""

    @cached_property
    def row(self) -> dict[str, int]:
        """Action → row."""
        return {action: i for i, action in enumerate(self.actions)}

    def rows(self, actions: Sequence[str]) -> Int[np.ndarray, " chosen"]:
        """Row numbers of several actions."""
        return np.array([self.row[action] for action in actions], dtype=np.int64)


@dataclass(frozen=True, repr=False)
class Evidence(Brief):
    """All that a finding reads: saved artifacts, never a model.

    Everything per example is on the ``evaluate`` split, in ascending order of example.
    """

    classes: tuple[str, ...]
    grid: Grid
    predictions: Predictions
    weights: Float[np.ndarray, " examples"]
    resampled: Float32[np.ndarray, "examples resamples"]
    """What each example weighs in each bootstrap resample, the same for every statistic of the run
    (so all are paired)."""
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
    """With what the decision thresholds add."""
    head_mean: Float[np.ndarray, " features"] | None = None
    """Mean of the head's input over ``fit``."""
    dense: DenseLayer | None = None
    """What stands between the final pooled state and the head's last layer, where known."""
    pooled: Float[np.ndarray, "examples neurons"] | None = None
    """Final layer's pooled state."""
    rankings: Mapping[str, Ranking] = field(default_factory=dict)
    stability: pd.DataFrame | None = None
    """Overlap of each ranking with itself over resamples of ``fit``."""
    strata: pd.DataFrame | None = None
    """Random faults: ``part``, ``bit_kind``, ``bits`` (how many there are), ``faults`` (how many
    were drawn) and ``places`` (of the bit in a number); None where none were asked for."""
    directions: pd.DataFrame | None = None
    """How much variance each set of directions removes; None where none was asked for."""
    token_means: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Probes and rankings on means over tokens, ``read`` and ``shared``; empty where not made."""
    typed: pd.DataFrame | None = None
    """Typed edits, one row per example, kind and choice: the columns of the stage, and ``place``,
    the example's among those here; None where none were asked for."""
    membership: pd.DataFrame | None = None
    """Ranks that membership attackers gave: one row per attacker and row; None where no training
    rows were given."""
    benign: str | None = None
    """The class that means no alarm, where one was named."""
    one_output: bool = False
    """Whether of the two rows of the head only the second is one of weights, the first being 0."""
    temperature: float | None = None
    """By which all logits must be divided for the least log loss on ``select``; NaN: none is."""
    slices: Mapping[str, pd.Categorical] = field(default_factory=dict)
    """Slice column → each example's value, of all that the data have; missing where it has none."""
    groups: Int[np.ndarray, " examples"] | None = None
    """Examples with the same number were resampled together."""
    label_strata: Int[np.ndarray, " examples"] | None = None
    """By what examples with sets of labels were resampled; None where each has one class."""

    def cells(self, *groups: Group) -> pd.DataFrame:
        """The rows of ``effects`` that were run for any of these purposes."""
        return self.effects[self.effects["group"].isin(groups)]


@dataclass(frozen=True, repr=False)
class Finding(Brief):
    """One answer: the tables behind its figures, and its figures for ``summary.json``."""

    name: str
    tables: Mapping[str, pd.DataFrame]
    summary: Mapping[str, Any]
    """A tree of :class:`~synapse_audit.summary.Figure`, names and lists."""
