"""Who is run exactly: for each cell examples of its own, denser where the stream is in doubt.

Where the pooled row alone leaves the true class far ahead of its rivals, or far behind, what the
other tokens add hardly ever changes who wins; where it stands on the edge, it often does. So every
pair of cell and example is put in a *stratum* of doubt, by the margin that the stream gave it. A
pilot says how often the two routes name different classes in each stratum, and each stratum is
then sampled as densely as that calls for (Neyman 1934): those in doubt nearly all, the rest
sparsely. Of two in equal doubt the shorter one is run more often, since it costs less (Cochran
1977, 5.5).

An example carries one random number for all cells (Poisson sampling with permanent random numbers,
Ohlsson 1995): it is run exactly where that number lies below the share of its stratum. So a ranked
set and its random controls are held against each other on much the same examples.

Three rules keep the estimate free of bias. The margins that make the strata come from the stream
alone. The rates come from a pilot on the examples with the largest numbers, which only strata that
are run nearly in full reach: were they those that are then run, a share would grow where they hold
a disagreement, which would then be scaled up less, and stay small where they hold none, which
corrects nothing. And rates are shared by a *kind* of cell
(operator, strength, site, one layer or all, size), which says nothing of why neurons were chosen.
There is no optional stopping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from synapse_audit.artifacts import ALL_LAYERS, Cell, Pooled
from synapse_audit.statistics import Z_975

FEW = 50
"""Examples with which everything is exact."""

PILOT, PILOT_SHARE = 30, 0.05
"""Examples of the pilot: so many at least, and that share of all."""

PILOT_CELLS = 4
"""Most cells of each kind that the pilot runs."""

PILOT_PART = 8
"""It runs one cell in so many of a small kind, and at least one."""

LEAST_SAMPLE, LEAST_SHARE = 30, 0.05
"""Examples that every cell is run on exactly at least, on average, wherever the stream is sure: so
many, or that share of all where it is less. What other examples leave open grows likewise."""

LEAST_FEW = 8
"""No fewer than these, even of each of several random sets whose mean is reported."""

MEANT_ON = 1000
"""Examples on which the precision is meant. On fewer the second phase may add more, as 1/√n, so
that it remains the same part of what the examples leave open."""

MOST = 0.8
"""Share of the examples beyond which a cell is run on all of them."""

PRIOR = 100.0
"""Pairs of cell and example that an operator counts for in the rate of each of its kinds."""

EDGES = (0.03, 0.06, 0.125, 0.25, 0.5, 1.0)
"""Between the strata: margins of the true class, relative to the median margin."""

STRATA = len(EDGES) + 1

BANDS = (0.5, 1.0, 2.0, 4.0)
"""Between the bands of cost: lengths relative to the mean length."""

TYPICAL_SIZES = (0.015, 0.01, 0.025, 0.045, 0.105, 0.3, 0.5)
"""Share of the pairs in each stratum, on MiniLM classifiers of http requests and of emotions."""

TYPICAL_RATES = (0.25, 0.18, 0.09, 0.075, 0.04, 0.02, 0.004)
"""How often the routes disagree there when neurons are zeroed: the mean of both."""

KEEPING, KEPT = "mean", 0.02
"""Operator that keeps the operating point, and how often they disagree then, relative to that."""

DENSITIES = np.geomspace(0.05, 2000.0, 80)
"""Tried for the factor of proportion between a stratum's share and the root of its rate."""


class Need(NamedTuple):
    """What the second phase of a cell is sized for."""

    pooled: Pooled | None = None
    """Its place among several random sets of which only the mean is reported."""
    alone: bool = False
    """Whether its exact examples are read by themselves: ``LEAST_SAMPLE`` whatever the data."""
    width: float = 1.0
    """Half width of accuracy that it may add, in units of the precision."""

    @property
    def sets(self) -> int:
        """Random sets that are looked at together."""
        return 1 if self.pooled is None else self.pooled.size


@dataclass(frozen=True)
class Subsampling:
    """What decides who is run exactly, before anything is known of any cell."""

    rows: Int[np.ndarray, " evaluate"]
    """The examples, ascending."""
    numbers: Float[np.ndarray, " evaluate"]
    """Each one's random number, uniform from 0 to 1, evenly spread within every class."""
    pilot: int
    """Examples of the pilot."""
    precision: float
    """Half width of accuracy that the second phase may add."""
    band: Int[np.ndarray, " evaluate"]
    """Band of cost of each example."""
    costs: Float[np.ndarray, " bands"]
    """What running an example of each band costs, relative to the mean."""
    pools: Mapping[str, Pooled] = field(default_factory=dict)
    """Actions of random sets of which only a mean is reported."""
    alone: frozenset[str] = frozenset()
    """Actions whose exact examples are read by themselves."""
    widths: Mapping[str, float] = field(default_factory=dict)
    """Actions whose half width may be other than the precision, in units of it."""

    def need(self, action: str) -> Need:
        """What the second phase of an action is sized for."""
        width = self.widths.get(action, 1.0)
        return Need(self.pools.get(action), action in self.alone, width)

    def take(self, at: Int[np.ndarray, " some"]) -> Subsampling:
        """The same for some of the examples, the pilot's among them."""
        return replace(self, rows=self.rows[at], numbers=self.numbers[at], band=self.band[at])

    @property
    def tail(self) -> Int[np.ndarray, " pilot"]:
        """The pilot's examples: the largest numbers, which hardly any stratum's share reaches."""
        return np.sort(self.rows[np.argsort(self.numbers)[len(self.rows) - self.pilot :]])

    @property
    def all_exact(self) -> bool:
        """Whether the pilot is everybody, so that nothing is estimated."""
        return self.pilot >= len(self.rows)

    @property
    def floor(self) -> float:
        """Smallest share of an example of mean cost, where nothing is read alone or as a mean."""
        total = max(1, len(self.rows))
        return float(np.clip(LEAST_SHARE, min(1.0, LEAST_FEW / total), LEAST_SAMPLE / total))

    def floors(self, needs: Sequence[Need]) -> Float[np.ndarray, " cells"]:
        """Smallest share of an example of mean cost, of each cell.

        √B times smaller for each of B sets that are looked at together, ``LEAST_FEW`` examples at
        least; ``LEAST_SAMPLE`` examples where a cell's are read alone.
        """
        total = max(1, len(self.rows))
        sets = np.array([need.sets for need in needs], dtype=np.float64)
        found = np.maximum(self.floor / np.sqrt(sets), min(self.floor, LEAST_FEW / total))
        alone = np.array([need.alone for need in needs], dtype=bool)
        return np.where(alone, min(1.0, LEAST_SAMPLE / total), found)

    def places(
        self, strata: Int[np.ndarray, "cells evaluate"]
    ) -> Int[np.ndarray, "cells evaluate"]:
        """Stratum of doubt and band of cost in one number, the band fastest."""
        return strata * len(self.costs) + self.band

    def shares(
        self,
        sizes: Num[np.ndarray, "cells places"],
        rates: Float[np.ndarray, "cells places"],
        needs: Sequence[Need] | None = None,
    ) -> Float[np.ndarray, "cells places"]:
        """How densely each place is sampled, up to 1.

        In proportion to √(rate / cost), but to the cell's floor / √cost at least, and no denser
        than it takes for a second-phase half width of z √(Σ size · rate · (1/share − 1)) / N below
        the precision.

        Args:
            sizes: examples of each place, as :meth:`places` counts them; N in all.
            rates: share of them on which the routes are expected to disagree.
            needs: of each cell. Where the mean of B sets is to be that precise instead, each may
                have B times the variance, since the mean has 1/B of it.
        """
        # Variance of the second phase, N² times: Σ_places n · rate · (1/share − 1), since a pair in
        # which the routes disagree counts 1/share times with chance share. It is minimal for a
        # given cost where share ∝ √(rate / cost) (Neyman; Cochran 1977, 5.5), so only the factor of
        # proportion is left to be found: the smallest of DENSITIES that is precise enough.
        total = max(1, len(self.rows))
        wanted = needs or [Need()] * len(rates)
        times = np.array([need.sets * need.width**2 for need in wanted])
        allowed = times * (self.precision * total / Z_975) ** 2
        costs = np.tile(self.costs, rates.shape[1] // len(self.costs))
        least = np.minimum(1.0, self.floors(wanted)[:, None] / np.sqrt(costs))
        found, open_ = np.ones(rates.shape), np.ones(len(rates), dtype=bool)
        for density in DENSITIES:
            tried = np.clip(density * np.sqrt(rates[open_] / costs), least[open_], 1.0)
            error = (sizes[open_] * rates[open_] * (1 / tried - 1)).sum(axis=1)
            enough = error <= allowed[open_]
            rows = np.flatnonzero(open_)[enough]
            found[rows], open_[rows] = tried[enough], False
        # A cell that would cost nearly as much as in full is run in full: then it is exact.
        found[(sizes * found) @ costs >= MOST * (sizes @ costs)] = 1.0
        return found

    def design_weight(
        self,
        shares: Float[np.ndarray, "cells places"],
        places: Int[np.ndarray, "cells evaluate"],
        needs: Sequence[Need] | None = None,
    ) -> Float[np.ndarray, "cells evaluate"]:
        """How many examples each one stands for that is run exactly, 0 for the others; float32.

        Sets of a pool have the numbers turned by 1/B each, so that they rest on different examples
        and their errors do not add up in the mean. The pilot's numbers stay the largest.
        """
        share = np.take_along_axis(shares.astype(np.float32), places, axis=1)
        numbers = np.broadcast_to(self.numbers, share.shape)
        pooled = [need.pooled for need in needs or ()]
        turns = [0.0 if p is None else p.place / p.size for p in pooled]
        if any(turns):
            end = np.sort(self.numbers)[len(self.rows) - self.pilot]
            turned = (self.numbers + end * np.array(turns)[:, None]) % end
            numbers = np.where(self.numbers < end, turned, self.numbers)
        return np.divide(1, share, out=np.zeros_like(share), where=numbers < share)


def subsampling(
    rows: Int[np.ndarray, " evaluate"],
    labels: Int[np.ndarray, " evaluate"],
    *,
    lengths: Int[np.ndarray, " evaluate"] | None = None,
    precision: float,
    seed: int,
) -> Subsampling:
    """Draws the random numbers: within each class of n, one in every n-th part of 0 to 1.

    Args:
        rows: ascending.
        labels: of these rows.
        precision: half width that the second phase may add to accuracy on ``MEANT_ON`` examples or
            more.
        lengths: of these rows, to which their cost is in proportion; all cost the same where None.
    """
    generator = np.random.default_rng(np.random.SeedSequence([seed, 2]))
    numbers = np.zeros(len(rows))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        # (π(i) + u) / n: uniform for each example, and one in every n-th part of 0 to 1 (systematic
        # sampling), so that a share of a class is that share of its members to within one.
        place = generator.permutation(len(members)) + generator.random()
        numbers[members] = place / len(members)
    pilot = max(PILOT, round(PILOT_SHARE * len(rows))) if len(rows) > FEW else len(rows)
    relative = np.ones(len(rows)) if lengths is None else lengths / max(1.0, lengths.mean())
    filled, band = np.unique(np.searchsorted(BANDS, relative), return_inverse=True)
    costs = np.array([relative[band == i].mean() for i in range(len(filled))])
    allowed = precision * max(1.0, float(np.sqrt(MEANT_ON / max(1, len(rows)))))
    return Subsampling(rows, numbers, pilot, allowed, band.astype(np.int8), costs)


def edges_of(margins: Float[np.ndarray, "cells examples"]) -> Float[np.ndarray, " edges"]:
    """Margins between the strata.

    Args:
        margins: of the true class over its best rival, by the stream; some examples' will do.
    """
    typical = float(np.median(np.abs(margins))) if margins.size else 1.0
    return np.array(EDGES, dtype=margins.dtype) * max(typical, 1e-12)


def strata_of(
    margins: Float[np.ndarray, "cells examples"], edges: Float[np.ndarray, " edges"]
) -> Int[np.ndarray, "cells examples"]:
    """Stratum of doubt of every pair: 0 where it stands on the edge."""
    return np.searchsorted(edges, np.abs(margins), side="right").astype(np.int8)


def kind(cell: Cell) -> tuple[object, ...]:
    """What cells share whose routes are taken to disagree about as often.

    Set sizes count as equal within a factor of about √2.
    """
    size = round(2 * float(np.log2(cell.k))) if cell.k else -1
    return (*_operator(cell), cell.site, cell.layers == ALL_LAYERS, size)


def _operator(cell: Cell) -> tuple[object, ...]:
    return (cell.operator, cell.strength)


def pilot_cells(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Some of every kind, evenly spread over the list."""
    kinds: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        kinds.setdefault(kind(cell), []).append(cell)
    found: list[Cell] = []
    for members in kinds.values():
        some = min(PILOT_CELLS, -(-len(members) // PILOT_PART))
        places = np.linspace(0, len(members) - 1, some + 2)[1:-1]
        found += [members[i] for i in np.unique(places.astype(int))]
    return tuple(found)


def likely(
    chosen: Subsampling, cells: Sequence[Cell], met: Mapping[str, float]
) -> dict[str, float]:
    """Action → share of its work that the second phase will run, as far as can be said beforehand.

    By the real rule, with strata and rates as on three real classifiers; cells of an operator that
    keeps the operating point (mean) disagree hardly ever.

    Args:
        met: action → share of the examples that it meets, where that is not all.
    """
    known: dict[tuple[object, ...], float] = {}
    found = {}
    for cell in cells:
        need = chosen.need(cell.action)
        n = max(1, round(met.get(cell.action, 1.0) * len(chosen.rows)))
        key = (cell.operator == KEEPING, need.sets, need.alone, need.width, n)
        if key not in known:
            rates = np.array(TYPICAL_RATES) * (KEPT if cell.operator == KEEPING else 1.0)
            known[key] = _likely(replace(chosen, rows=chosen.rows[:n]), rates, need)
        found[cell.action] = known[key]
    return found


def _likely(chosen: Subsampling, rates: Float[np.ndarray, " strata"], need: Need) -> float:
    """Expected cost of the second phase over that of running everything."""
    bands = len(chosen.costs)
    sizes = np.repeat(np.array(TYPICAL_SIZES), bands)[None] * len(chosen.rows) / bands
    shares = chosen.shares(sizes, np.repeat(rates, bands)[None], [need])
    each = np.tile(chosen.costs, len(rates))
    return float((sizes * shares)[0] @ each / (sizes[0] @ each))


def stratum_rates(
    cells: Sequence[Cell],
    tried: Sequence[Cell],
    strata: Int[np.ndarray, "tried pilot"],
    differing: Bool[np.ndarray, "tried pilot"],
) -> Float[np.ndarray, "cells strata"]:
    """Share of each stratum on which the routes are expected to disagree, one rate per kind.

    A kind's own rate is drawn toward its operator's as if that had been seen on ``PRIOR`` pairs
    of cell and example, and an operator counts half a disagreement more than was seen: none in a
    pilot is not none at all (empirical Bayes).

    Args:
        strata: of the pilot's pairs.
        differing: where the routes name different classes.
    """
    nothing = np.zeros((2, STRATA))
    counts: dict[tuple[object, ...], np.ndarray] = {}
    for cell, stratum, differs in zip(tried, strata, differing, strict=True):
        seen = np.stack(
            [np.bincount(stratum, w, minlength=STRATA) for w in (differs, np.ones(len(differs)))]
        )
        for group in (kind(cell), _operator(cell)):
            counts[group] = counts.get(group, nothing) + seen

    def rates(cell: Cell) -> Float[np.ndarray, " strata"]:
        own, common = counts.get(kind(cell), nothing), counts.get(_operator(cell), nothing)
        # Posterior means: Beta(½, ½) for the operator, and that rate as a prior worth PRIOR pairs.
        expected = (common[0] + 0.5) / (common[1] + 1)
        return np.asarray((own[0] + PRIOR * expected) / (own[1] + PRIOR))

    known = {kind(cell): rates(cell) for cell in cells}
    return np.array([known[kind(cell)] for cell in cells]).reshape(len(cells), STRATA)
