"""Figures that compare a run with a baseline, and how much worse each figure became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from synapse_audit.check.policy import BASELINE
from synapse_audit.compare import Comparable, answers, changes, comparable, difference, flips
from synapse_audit.compare.figures import paired_differences
from synapse_audit.compare.paired import Change
from synapse_audit.errors import UsageError
from synapse_audit.store import AuditResult
from synapse_audit.summary import Figure, Keys, dotted, entry_of, walk

UNPAIRED = "not_paired"
"""Key beside a figure: why its interval takes the two runs as independent."""


@dataclass(frozen=True)
class Against:
    """A run and its baseline."""

    run: AuditResult
    baseline: AuditResult

    @cached_property
    def common(self) -> Comparable:
        """What they have in common."""
        return comparable(self.baseline, self.run)

    @cached_property
    def figures(self) -> Mapping[Keys, Figure]:
        """``baseline.flip_rate``, ``baseline.recall_drop.<class>`` and so on; empty if not paired.

        A drop is what the run lost against its baseline.
        """
        if not self.common.paired:
            return {}
        both = answers(self.baseline, self.run)
        found: dict[Keys, Figure] = {}
        for flip in flips(both):
            keys = (
                (BASELINE, "flip_rate")
                if flip.name is None
                else (BASELINE, "flip_rate_of", flip.name)
            )
            found[keys] = flip.rate
        for change in self.changes:
            of = () if change.name is None else (change.name,)
            found[(BASELINE, f"{change.figure}_drop", *of)] = -change.difference
        return found

    @cached_property
    def changes(self) -> list[Change]:
        """Paired changes of accuracy, macro F1, recall and precision."""
        return changes(answers(self.baseline, self.run))

    def loss(self, keys: Keys) -> Figure:
        """How much worse a figure of the run is than the baseline's; positive is worse.

        In the figure's own unit, paired where both runs answered the same examples.

        Raises:
            UsageError: the figure has no better direction, or is not in the catalogue.
        """
        refused = self.why_refused(keys)
        if refused:
            return Figure.unknown(refused)
        entry = entry_of(keys)
        if entry is None or entry.better == "neither":
            raise UsageError(
                f"max_regression given for '{dotted(keys)}'; expected a figure for which higher or "
                "lower is better"
            )
        paired = self._paired(keys)
        if paired is not None:
            return paired
        mine, theirs = (dict(walk(each.summary)).get(keys) for each in (self.run, self.baseline))
        if mine is None or theirs is None:
            return Figure.unknown("the baseline has no such figure")
        both = paired_differences(self.baseline, self.run, [keys])
        change = both.paired.get(keys) or unpaired(theirs, mine, both.why_not[keys])
        return -change if entry.better == "higher" else change

    def why_refused(self, keys: Keys) -> str:
        """Why the comparison would mislead; empty where it does not."""
        settings = "" if keys[0] == BASELINE else self.common.other_settings(keys)
        why = self.common.why_not_paired() or settings
        return f"the baseline does not compare: {why}" if why else ""

    def _paired(self, keys: Keys) -> Figure | None:
        """The paired drop of a figure that is paired."""
        if keys in (("clean", "accuracy"), ("clean", "macro_f1")):
            return self.figures[(BASELINE, f"{keys[1]}_drop")]
        if keys[:1] == ("clean",) and keys[1] in ("recall", "precision"):
            return self.figures.get((BASELINE, f"{keys[1]}_drop", keys[2]))
        return None


def unpaired(first: Figure, second: Figure, why: str) -> Figure:
    """The difference of two figures as if runs were independent; ``beside`` says why."""
    return replace(difference(first, second), beside={UNPAIRED: why})
