"""All that cells are built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from synapse_audit.artifacts import Brief, Erasure, LayerStatistics, Probe, Ranking
from synapse_audit.artifacts.label_sets import decided, decoded
from synapse_audit.config import PRESETS, Grid
from synapse_audit.errors import UsageError
from synapse_audit.interventions.edits import ChosenFlips, HeadView, Part
from synapse_audit.neurons import NeuronSet, Scores, count, random_draw
from synapse_audit.neurons.heads import neurons_of_heads, score_heads
from synapse_audit.probes import layer_statistics
from synapse_audit.rankings import RankingContext, rank

if TYPE_CHECKING:
    from synapse_audit.model import Classifier
    from synapse_audit.model.activations import Extraction


@dataclass(frozen=True, repr=False)
class SiteInputs(Brief):
    """What cells at one site besides the block output are built from."""

    statistics: tuple[LayerStatistics, ...]
    """Per layer, layer 0 first; layers without the site are 0 wide."""
    ranking: Ranking

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Neurons per layer."""
        return tuple(len(layer.mean) for layer in self.statistics)

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have the site."""
        return tuple(m for m, width in enumerate(self.widths) if width)


@dataclass(frozen=True, repr=False)
class AttentionHeads(Brief):
    """What cells of attention heads are built from."""

    widths: tuple[int, ...]
    """Neurons of the site per layer, layer 0 first; layers without the site are 0 wide."""
    heads: int
    """Of every layer that has the site."""
    ranking: Ranking
    """One score per head."""

    @classmethod
    def of(cls, site: SiteInputs, heads: int) -> AttentionHeads:
        """The site's own ranking, averaged over the neurons of each head."""
        ranked = {name: score_heads(by, heads) for name, by in site.ranking.scores.items()}
        return cls(site.widths, heads, Ranking(site.ranking.method, ranked))

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have heads."""
        return tuple(m for m, width in enumerate(self.widths) if width)

    @property
    def per_layer(self) -> tuple[int, ...]:
        """Heads per layer, layer 0 first."""
        return tuple(self.heads if width else 0 for width in self.widths)

    def neurons(self, heads: NeuronSet) -> NeuronSet:
        """The neurons that some heads consist of."""
        return neurons_of_heads(heads, self.widths, self.heads)


@dataclass(frozen=True)
class NamedNeurons:
    """Neurons of one site that somebody named."""

    neurons: NeuronSet
    widths: tuple[int, ...]
    """Neurons of the site per layer, layer 0 first; layers without the site are 0 wide."""


class Direction(NamedTuple):
    """A set of directions of one layer that is removed."""

    layer: int
    method: str | None
    """How they were found; None for random ones that are as many as any method's."""
    ranked_for: str | None
    """The class whose direction it is; None: all classes together."""
    selection: str
    """direction, random or equal_variance."""
    draw: int | None
    erasure: Erasure


@dataclass(frozen=True, repr=False)
class PlanInputs(Brief):
    """All that cells are built from."""

    grid: Grid
    rankings: Mapping[str, Ranking]
    statistics: tuple[LayerStatistics, ...]
    """Per layer, layer 0 first."""
    head: HeadView
    column_scores: Mapping[str, Scores]
    """Class name → one array of scores of the head's inputs."""
    classes: tuple[str, ...]
    seed: int
    parts: tuple[Part, ...] = ()
    """Named weights that faults fall on: the head, and parts of the first and last block."""
    every: tuple[Part, ...] = ()
    """All weights of the model, for random faults; empty where none are asked for."""
    flips: tuple[ChosenFlips, ...] = ()
    """Bits that were chosen with the model at hand."""
    sites: Mapping[str, SiteInputs] = field(default_factory=dict)
    """Sites besides the block output, whose neurons are swept."""
    attention: AttentionHeads | None = None
    """Attention heads; None where they are not swept, or the model has none that can be."""
    directions: tuple[Direction, ...] = ()
    """Directions that are removed from single layers; none where the grid names no method."""
    given: Mapping[str, NamedNeurons] = field(default_factory=dict)
    """Site → the neurons there that somebody named."""
    support: tuple[int, ...] = ()
    """Evaluated examples of each class; empty where nobody counted."""
    benign: str | None = None
    """The class that means no alarm, where one was named."""

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        found: Extraction,
        context: RankingContext,
        *,
        grid: Grid = PRESETS["quick"],
        rankings: Mapping[str, Ranking] | None = None,
        statistics: tuple[LayerStatistics, ...] | None = None,
    ) -> PlanInputs:
        """What the cells of a grid are built from, of the block outputs and the head.

        Args:
            found: the clean pass.
            context: the same activations with labels, splits, the probes of ``fit_probes``, seed.
            grid: which cells there are to be.
            rankings: by name; None: those that the grid names are computed here.
            statistics: per layer over ``fit``; None: computed here.

        Raises:
            UsageError: an unknown ranking, no probe of the head's input among the context's, or
                data whose classes are not the classifier's.
        """
        check_classes(classifier, context.classes)
        fit = context.splits.fit
        if rankings is None:
            rankings = {name: rank(name, context) for name in (*grid.rankings, *grid.compared)}
        if statistics is None:
            statistics = layer_statistics(
                context.activations,
                context.splits,
                labels=context.labels if context.sets is None else None,
                classes=context.classes,
            )
        inputs = np.asarray(found.activations.head_input[fit])
        return cls(
            grid=grid,
            rankings=rankings,
            statistics=statistics,
            head=HeadView.of(
                classifier,
                inputs,
                decided(found.logits[fit], several=classifier.decision.several),
            ),
            column_scores=column_scores(context.probes, context.classes),
            classes=context.classes,
            seed=context.seed,
            support=support(
                context.labels, context.sets, context.splits.evaluate, len(context.classes)
            ),
        )

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Neurons per layer."""
        return tuple(len(layer.mean) for layer in self.statistics)

    @property
    def blocks(self) -> tuple[int, ...]:
        """The layers that ``all`` means."""
        return tuple(range(1, len(self.widths)))

    @property
    def headline(self) -> Ranking:
        """The ranking that per-class and per-layer cells use."""
        return self.rankings[self.grid.rankings[0]]

    @cached_property
    def own(self) -> tuple[tuple[int, str], ...]:
        """Output and name of the classes that have experiments of their own, in output order."""
        most = self.grid.most_classes
        if most is None or len(self.classes) <= most:
            return tuple(enumerate(self.classes))
        counts = np.array(self.support or (0,) * len(self.classes), dtype=np.float64)
        if self.benign in self.classes:
            counts[self.classes.index(self.benign)] = np.inf
        return tuple((c, self.classes[c]) for c in sorted(best_first(counts)[:most]))

    @property
    def others(self) -> tuple[str, ...]:
        """The classes that have none."""
        own = {name for _, name in self.own}
        return tuple(name for name in self.classes if name not in own)

    @property
    def ranked_classes(self) -> tuple[str, ...]:
        """Those with experiments of their own that ``fit`` holds: only these are ranked for."""
        return tuple(name for _, name in self.own if name in self.headline.scores)

    @property
    def class_fractions(self) -> tuple[float, ...]:
        """Shares of neurons of per-class sets over all layers."""
        of_classes = self.grid.class_fractions
        return self.grid.fractions if of_classes is None else of_classes

    @property
    def draws(self) -> range:
        """Numbers of the random draws."""
        return range(self.grid.draws)

    @property
    def other_draws(self) -> range:
        """The same where no test rests on them."""
        return self.draws[: self.grid.other_draws]

    def random_control(self, counts: Mapping[int, int], draw: int) -> NeuronSet:
        """The shared random draw with the given count per layer."""
        return random_draw(self.widths, counts, draw, self.seed)

    def counts(self, fraction: float, layers: Iterable[int]) -> dict[int, int]:
        """Neurons per layer that a fraction means."""
        return {m: count(fraction, self.widths[m]) for m in layers}


def support(
    labels: Int[np.ndarray, " examples"],
    sets: Int[np.ndarray, " examples"] | None,
    among: Int[np.ndarray, " some"],
    classes: int,
) -> tuple[int, ...]:
    """How many of some examples are of each class, or have each label.

    Args:
        sets: the labels of each example, where it may have several.
    """
    if sets is not None:
        return tuple(decoded(sets[among], classes).sum(axis=0).tolist())
    return tuple(np.bincount(labels[among], minlength=classes).tolist())


def best_first(counts: Float[np.ndarray, " classes"]) -> list[int]:
    """Classes with most examples first; of equally many the first one first."""
    return [int(c) for c in np.argsort(-counts, kind="stable")]


def column_scores(probes: Sequence[Probe], classes: Sequence[str]) -> dict[str, Scores]:
    """Class name → importance of the head's own inputs, |W| of the probe fitted there.

    Raises:
        UsageError: there is no such probe.
    """
    probe = next((p for p in probes if p.scope == "head_input"), None)
    if probe is None:
        scopes = ", ".join(p.scope for p in probes) or "none"
        raise UsageError(f"probes of scopes {scopes} given; expected one of 'head_input' as well")
    return {name: [np.abs(probe.weights[c]).astype(np.float64)] for c, name in enumerate(classes)}


def check_classes(classifier: Classifier, classes: Sequence[str]) -> None:
    """Refuses labels that count the classes in another order than the model's outputs do.

    Raises:
        UsageError: the message names both.
    """
    if tuple(classes) != classifier.classes:
        raise UsageError(
            f"data of the classes {', '.join(classes)} given; '{classifier.name}' has "
            f"{', '.join(classifier.classes)}; expected load_data(…, classes=classifier.classes)"
        )
