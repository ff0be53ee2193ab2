"""All that cells are built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from synapse_audit.artifacts import LayerStatistics, Ranking
from synapse_audit.config import Grid
from synapse_audit.edits import ChosenFlips, HeadView, Part
from synapse_audit.neurons import NeuronSet, Scores, count, random_draw


@dataclass(frozen=True)
class SiteSource:
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


@dataclass(frozen=True)
class GivenNeurons:
    """Neurons of one site that somebody named."""

    neurons: NeuronSet
    widths: tuple[int, ...]
    """Neurons of the site per layer, layer 0 first; layers without the site are 0 wide."""


@dataclass(frozen=True)
class Sources:
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
    flips: tuple[ChosenFlips, ...] = ()
    """Bits that were chosen with the model at hand."""
    sites: Mapping[str, SiteSource] = field(default_factory=dict)
    """Sites besides the block output."""
    given: Mapping[str, GivenNeurons] = field(default_factory=dict)
    """Site → the neurons there that somebody named."""

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

    @property
    def ranked_classes(self) -> tuple[str, ...]:
        """Classes that ``fit`` holds: only these are ranked for."""
        return tuple(name for name in self.classes if name in self.headline.scores)

    @property
    def draws(self) -> range:
        """Numbers of the random draws."""
        return range(self.grid.draws)

    def twin(self, counts: Mapping[int, int], draw: int) -> NeuronSet:
        """The shared random draw with the given count per layer."""
        return random_draw(self.widths, counts, draw, self.seed)

    def counts(self, fraction: float, layers: Iterable[int]) -> dict[int, int]:
        """Neurons per layer that a fraction means."""
        return {m: count(fraction, self.widths[m]) for m in layers}
