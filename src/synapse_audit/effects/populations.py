"""Shares and drops of many rows, each over weighted examples of its own.

:func:`~synapse_audit.effects.estimates.proportion` and ``paired_drop`` take rows that share their
examples. Cells that were run exactly on examples of their own come one by one; what a cell's
examples give is summed here, and the intervals of many cells are read off together. The examples of
a row count as one class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Shaped

from synapse_audit.effects.estimates import (
    Estimates,
    UnobservedVariance,
    bounded,
    bounded_drop,
    unobserved,
)
from synapse_audit.effects.scored import ratio


class Shares(NamedTuple):
    """Sums of weights of some rows, and their shares in every resample."""

    hits: Float[np.ndarray, " rows"]
    others: Float[np.ndarray, " rows"]
    squares: Float[np.ndarray, " rows"]
    """Of the weights of both."""
    samples: Float[np.ndarray, "rows resamples"]

    @classmethod
    def of(
        cls,
        hits: Bool[np.ndarray, "rows examples"],
        weights: Float[np.ndarray, "examples 1"],
        resampled: Float[np.ndarray, "examples resamples"],
        among: Bool[np.ndarray, "rows examples"] | None = None,
    ) -> Shares:
        """Of rows that share their examples: share of ``among`` (None: of all) that are hits."""
        among = np.ones((1, len(weights)), dtype=bool) if among is None else among
        hits, others = hits & among, ~hits & among
        counted = (part.astype(resampled.dtype) @ resampled for part in (hits, among))
        return cls(
            hits=_sums(hits, weights),
            others=_sums(others, weights),
            squares=np.broadcast_to(_sums(among, weights**2), len(hits)),
            samples=ratio(*counted),
        )

    def estimates(self) -> Estimates:
        """The shares with their intervals; NaN where there is no example."""
        total = self.hits + self.others
        value = np.clip(ratio(self.hits, total), 0.0, 1.0)
        beyond = _unobserved({0: self.others, 1: self.hits}, total, self.squares)
        return bounded(value, self.samples, ratio(total**2, self.squares), beyond)


class Drops(NamedTuple):
    """The same of shares before minus after, paired by example."""

    lost: Float[np.ndarray, " rows"]
    won: Float[np.ndarray, " rows"]
    same: Float[np.ndarray, " rows"]
    squares: Float[np.ndarray, " rows"]
    samples: Float[np.ndarray, "rows resamples"]

    @classmethod
    def of(
        cls,
        before: Bool[np.ndarray, " examples"],
        after: Bool[np.ndarray, "rows examples"],
        weights: Float[np.ndarray, "examples 1"],
        resampled: Float[np.ndarray, "examples resamples"],
    ) -> Drops:
        """Of rows that share their examples."""
        change = before.astype(resampled.dtype) - after.astype(resampled.dtype)
        everyone = np.ones((1, len(before)), dtype=resampled.dtype)
        return cls(
            lost=_sums(before & ~after, weights),
            won=_sums(~before & after, weights),
            same=_sums(before == after, weights),
            squares=np.broadcast_to((weights**2).sum(axis=0), len(after)),
            samples=ratio(change @ resampled, everyone @ resampled),
        )

    def estimates(self) -> Estimates:
        """The drops with their intervals."""
        total = self.lost + self.won + self.same
        beyond = _unobserved({-1: self.won, 0: self.same, 1: self.lost}, total, self.squares)
        lost, won = ratio(self.lost, total), ratio(self.won, total)
        return bounded_drop(lost, won, self.samples, ratio(total**2, self.squares), beyond)


Sums = TypeVar("Sums", Shares, Drops)


def joined(parts: Sequence[Sums]) -> Sums:
    """The rows of all parts."""
    return type(parts[0])(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _sums(
    marked: Bool[np.ndarray, "rows examples"], weights: Float[np.ndarray, "examples 1"]
) -> Float[np.ndarray, " rows"]:
    return np.asarray((marked @ weights)[:, 0])


def _unobserved(
    kinds: dict[int, Float[np.ndarray, " rows"]],
    total: Float[np.ndarray, " rows"],
    squares: Float[np.ndarray, " rows"],
) -> UnobservedVariance:
    """With one class, whose sums are columns of one number."""
    columns: dict[int, Shaped[np.ndarray, "rows 1"]] = {k: v[:, None] for k, v in kinds.items()}
    return unobserved(columns, total=total[:, None], squares=squares[:, None])
