"""Shares and drops of many rows, each over weighted examples of its own.

:func:`~synapse_audit.effects.estimates.proportion` and ``paired_drop`` take rows that share their
examples. Cells that were run exactly on examples of their own come one by one; what a cell's
examples give is summed here, and the intervals of many cells are read off together. The examples of
a row count as one class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from synapse_audit.effects.estimates import (
    Estimates,
    bounded,
    bounded_drop,
    unobserved,
)
from synapse_audit.effects.scored import ratio


class OutcomeSums(NamedTuple):
    """Sums of weights by what became of the examples of each row: all that an estimate needs."""

    kinds: Mapping[int, Float[np.ndarray, " rows"]]
    """Weight of each outcome: 0 and 1 of a share; -1, 0 and 1 of a change (won, same, lost)."""
    squares: Float[np.ndarray, " rows"]
    """Sums of the squared weights of all that count."""
    samples: Float[np.ndarray, "rows resamples"]
    """The share, or change, in every resample."""

    @classmethod
    def of_shares(
        cls,
        hits: Bool[np.ndarray, "rows examples"],
        weights: Float[np.ndarray, "examples 1"],
        resampled: Float[np.ndarray, "examples resamples"],
        among: Bool[np.ndarray, "rows examples"] | None = None,
    ) -> OutcomeSums:
        """Of rows that share their examples: share of ``among`` (None: of all) that are hits."""
        among = np.ones((1, len(weights)), dtype=bool) if among is None else among
        hits, others = hits & among, ~hits & among
        counted = (part.astype(resampled.dtype) @ resampled for part in (hits, among))
        return cls(
            {0: _sums(others, weights), 1: _sums(hits, weights)},
            squares=np.broadcast_to(_sums(among, weights**2), len(hits)),
            samples=ratio(*counted),
        )

    @classmethod
    def of_drops(
        cls,
        before: Bool[np.ndarray, " examples"],
        after: Bool[np.ndarray, "rows examples"],
        weights: Float[np.ndarray, "examples 1"],
        resampled: Float[np.ndarray, "examples resamples"],
    ) -> OutcomeSums:
        """The share before minus the share after, paired by example."""
        change = before.astype(resampled.dtype) - after.astype(resampled.dtype)
        everyone = np.ones((1, len(before)), dtype=resampled.dtype)
        marked = {-1: ~before & after, 0: before == after, 1: before & ~after}
        return cls(
            {kind: _sums(some, weights) for kind, some in marked.items()},
            squares=np.broadcast_to((weights**2).sum(axis=0), len(after)),
            samples=ratio(change @ resampled, everyone @ resampled),
        )

    def estimates(self) -> Estimates:
        """The shares, or drops, with their intervals; NaN where there is no example."""
        total: Float[np.ndarray, " rows"] = np.sum([*self.kinds.values()], axis=0)
        size = ratio(total**2, self.squares)
        # With one class, whose sums are columns of one number.
        beyond = unobserved(
            {kind: part[:, None] for kind, part in self.kinds.items()},
            total=total[:, None],
            squares=self.squares[:, None],
        )
        up = ratio(self.kinds[1], total)
        if -1 not in self.kinds:
            return bounded(np.clip(up, 0.0, 1.0), self.samples, size, beyond)
        return bounded_drop(up, ratio(self.kinds[-1], total), self.samples, size, beyond)


def joined(parts: Sequence[OutcomeSums]) -> OutcomeSums:
    """The rows of all parts."""
    return OutcomeSums(
        {kind: np.concatenate([part.kinds[kind] for part in parts]) for kind in parts[0].kinds},
        squares=np.concatenate([part.squares for part in parts]),
        samples=np.concatenate([part.samples for part in parts]),
    )


def _sums(
    marked: Bool[np.ndarray, "rows examples"], weights: Float[np.ndarray, "examples 1"]
) -> Float[np.ndarray, " rows"]:
    return np.asarray((marked @ weights)[:, 0])
