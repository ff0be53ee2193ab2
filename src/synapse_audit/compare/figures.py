"""Figures of several runs beside each other, paired where the folders hold what it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from synapse_audit.compare.joint import Both, Sample, joint_differences, own_value
from synapse_audit.compare.per_example import Examples, contribution
from synapse_audit.compare.saved_answers import answers
from synapse_audit.compare.unpaired import difference
from synapse_audit.store import AuditResult
from synapse_audit.summary import Entry, Figure, Keys, walk

TOLERANCE = 1e-4
"""By which a figure may miss what the summary says of it: logits are stored in single precision."""


class Row(NamedTuple):
    """One figure of every run."""

    keys: Keys
    entry: Entry
    values: tuple[Figure, ...]
    differences: tuple[Figure, ...]
    """Of each later run, minus the first; intervals hold jointly over all rows."""
    paired: tuple[bool, ...]
    """Whether each difference is one of the same examples, resampled together."""

    def verdict(self, later: int) -> str:
        """Which run is better in it, if that is shown."""
        found = self.differences[later]
        if not found.bounded or found.low <= 0.0 <= found.high:
            return "not shown"
        if self.entry.better == "neither":
            return "higher" if found.low > 0 else "lower"
        return "better" if (found.low > 0) == (self.entry.better == "higher") else "worse"


def rows_of(
    runs: Sequence[AuditResult], kept: Sequence[tuple[Keys, Entry]], paired: Sequence[bool]
) -> list[Row]:
    """One row per figure.

    Args:
        paired: of each later run, whether it evaluated the examples of the first.
    """
    figures = [dict(walk(run.summary)) for run in runs]
    keys = [one for one, _ in kept]
    found = [
        paired_differences(runs[0], run, keys, among=len(keys)) if same else {}
        for run, same in zip(runs[1:], paired, strict=True)
    ]
    return [
        Row(
            one,
            entry,
            tuple(each[one] for each in figures),
            tuple(
                mine.get(one) or difference(figures[0][one], other[one], of=len(kept))
                for mine, other in zip(found, figures[1:], strict=True)
            ),
            tuple(one in mine for mine in found),
        )
        for one, entry in kept
    ]


def paired_differences(
    first: AuditResult, second: AuditResult, keys: Sequence[Keys], *, among: int = 1
) -> dict[Keys, Figure]:
    """Second minus first of those figures that both folders hold example by example.

    A figure whose value does not come out as the summary has it is left out: what is stored is
    then not what it was made from.
    """
    pairs = _pairs(first, second, keys)
    if not pairs:
        return {}
    both = answers(first, second)
    n = len(both.labels)
    units = np.arange(n) if both.groups is None else np.unique(both.groups, return_inverse=True)[1]
    sample = Sample(both.weights, both.resampled, units.reshape(-1), both.seed)
    return dict(zip(pairs, joint_differences(pairs, sample, among=among), strict=True))


def _pairs(first: AuditResult, second: AuditResult, keys: Sequence[Keys]) -> dict[Keys, Both]:
    one, other = Examples(first), Examples(second)
    summaries = [dict(walk(run.summary)) for run in (first, second)]
    found: dict[Keys, Both] = {}
    for key in keys:
        mine, theirs = contribution(one, key), contribution(other, key)
        if mine is None or theirs is None or mine.columns.shape != theirs.columns.shape:
            continue
        weights = one.table["weight"].to_numpy(dtype=np.float64)
        values = [own_value(each, weights) for each in (mine, theirs)]
        said = [figures[key].value if key in figures else np.nan for figures in summaries]
        if np.allclose(values, said, rtol=TOLERANCE, atol=TOLERANCE):
            found[key] = (mine, theirs)
    return found
