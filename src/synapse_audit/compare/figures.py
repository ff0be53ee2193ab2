"""Figures of several runs beside each other, paired where the folders hold what it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from synapse_audit.compare.comparable import Comparable
from synapse_audit.compare.joint import Both, Sample, joint_differences, own_value
from synapse_audit.compare.per_example import Examples, NotPaired, contribution
from synapse_audit.compare.saved_answers import answers
from synapse_audit.compare.unpaired import difference
from synapse_audit.store import AuditResult
from synapse_audit.summary import Entry, Figure, Keys, walk

TOLERANCE = 1e-4
"""By which a figure may miss what the summary says of it: logits are stored in single precision.
Relative to the figure where that is above 1."""


class Row(NamedTuple):
    """One figure of every run."""

    keys: Keys
    entry: Entry
    values: tuple[Figure, ...]
    differences: tuple[Figure, ...]
    """Of each later run, minus the first; intervals hold jointly over all rows."""
    unpaired: tuple[str, ...]
    """Why each difference takes the two runs as independent; empty where it is one of the same
    examples, resampled together."""
    settings: tuple[str, ...]
    """What differs in the settings of the experiments behind each later run's figure."""

    def verdict(self, later: int) -> str:
        """Which run is better in it, if that is shown; never by less than figures are known to."""
        found = self.differences[later]
        least = TOLERANCE * max(1.0, abs(self.values[0].value))
        if not found.bounded or (found.low <= least and found.high >= -least):
            return "not shown"
        if self.entry.better == "neither":
            return "higher" if found.low > 0 else "lower"
        return "better" if (found.low > 0) == (self.entry.better == "higher") else "worse"


class Differences(NamedTuple):
    """What can be paired example by example, and why the rest cannot."""

    paired: Mapping[Keys, Figure]
    why_not: Mapping[Keys, str]


def rows_of(
    runs: Sequence[AuditResult],
    figures: Sequence[Mapping[Keys, Figure]],
    kept: Sequence[tuple[Keys, Entry]],
    common: Sequence[Comparable],
) -> list[Row]:
    """One row per figure that is kept.

    Args:
        figures: of each run.
        common: what each later run has in common with the first.
    """
    keys = [one for one, _ in kept]
    found = [
        paired_differences(runs[0], run, keys, among=len(keys))
        if both.paired
        else Differences({}, dict.fromkeys(keys, both.why_not_paired().partition(":")[0]))
        for run, both in zip(runs[1:], common, strict=True)
    ]
    return [
        Row(
            one,
            entry,
            tuple(each[one] for each in figures),
            tuple(
                mine.paired.get(one) or difference(figures[0][one], other[one], of=len(kept))
                for mine, other in zip(found, figures[1:], strict=True)
            ),
            tuple(mine.why_not.get(one, "") for mine in found),
            tuple(both.other_settings(one) for both in common),
        )
        for one, entry in kept
    ]


def paired_differences(
    first: AuditResult, second: AuditResult, keys: Sequence[Keys], *, among: int = 1
) -> Differences:
    """Second minus first of those figures that both folders hold example by example.

    A figure whose value does not come out as the summary has it is left out: what is stored is
    then not what it was made from.
    """
    pairs, why_not = _pairs(first, second, keys)
    if not pairs:
        return Differences({}, why_not)
    both = answers(first, second)
    n = len(both.labels)
    units = np.arange(n) if both.groups is None else np.unique(both.groups, return_inverse=True)[1]
    sample = Sample(both.weights, both.resampled, units.reshape(-1), both.seed)
    found = joint_differences(pairs, sample, among=among)
    return Differences(dict(zip(pairs, found, strict=True)), why_not)


def _pairs(
    first: AuditResult, second: AuditResult, keys: Iterable[Keys]
) -> tuple[dict[Keys, Both], dict[Keys, str]]:
    runs = Examples(first), Examples(second)
    summaries = [dict(walk(run.summary)) for run in (first, second)]
    weights = runs[0].table["weight"].to_numpy(dtype=np.float64)
    found: dict[Keys, Both] = {}
    why_not: dict[Keys, str] = {}
    for key in keys:
        try:
            both = contribution(runs[0], key), contribution(runs[1], key)
            _check(both, [figures.get(key) for figures in summaries], weights)
        except NotPaired as why:
            why_not[key] = str(why)
        else:
            found[key] = both
    return found, why_not


def _check(both: Both, figures: Sequence[Figure | None], weights: np.ndarray) -> None:
    """That both say the same of the same thing, and what the summaries say."""
    if both[0].columns.shape != both[1].columns.shape:
        raise NotPaired("the runs tried other shares")
    for one, figure in zip(both, figures, strict=True):
        value, said = own_value(one, weights), figure.value if figure else np.nan
        if not np.isclose(value, said, rtol=TOLERANCE, atol=TOLERANCE):
            raise NotPaired(f"a run's tables give {value:.4g} where its summary says {said:.4g}")
