"""Figures in which a task's own difficulty cancels, for models of different tasks.

A guaranteed accuracy begins at the model's accuracy, and an accuracy under silencing ends at
chance; both differ between tasks. So guarantees are taken among right answers, and accuracies as
what is left of the way from chance. They are made from what run folders hold example by example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from synapse_audit.compare.per_example import Contribution, Examples, NotPaired, quotient
from synapse_audit.statistics import Z_975, interval, resampled_weights
from synapse_audit.store import AuditResult
from synapse_audit.summary import Entry, Figure, Keys, walk

LEFT = Entry(
    "task_free.above_chance_left.<share>",
    "share of the accuracy above chance that is left with so many neurons silenced",
    "share",
    "higher",
)
HELD = Entry(
    "task_free.right_answers_guaranteed.<budget>",
    "share of the right answers that no edit of the head of this size can change",
    "share",
    "higher",
)
RESAMPLES = 1000


class _Made(NamedTuple):
    """A figure as a function of sums over examples."""

    contribution: Contribution
    one: float
    """What it moves by if every example does, so that one moves it by this over n."""
    ends: tuple[float, float]
    """Smallest and largest value possible."""


def task_free(run: AuditResult) -> Mapping[Keys, tuple[Figure, Entry]]:
    """Those figures that the run's folder allows."""
    examples = Examples(run)
    weights = examples.table["weight"].to_numpy(dtype=np.float64)
    groups = examples.table["group"].to_numpy(np.int64) if "group" in examples.table else None
    drawn = resampled_weights(
        examples.labels,
        weights,
        groups=groups,
        resamples=RESAMPLES,
        seed=int(run.manifest.get("seed") or 0),
    ).astype(np.float64)
    return {
        keys: (_figure(made, weights, drawn), entry)
        for entry, part in ((LEFT, _left), (HELD, _held))
        for keys, made in _tried(part(examples, dict(walk(run.summary))))
    }


def _tried(parts: Iterator[tuple[Keys, _Made]]) -> Iterator[tuple[Keys, _Made]]:
    """As far as the folder holds what it takes."""
    try:
        yield from parts
    except NotPaired:
        return


def _left(examples: Examples, figures: Mapping[Keys, Figure]) -> Iterator[tuple[Keys, _Made]]:
    chance = figures.get(("redundancy", "chance"), Figure.unknown("")).value
    clean = figures.get(("clean", "accuracy"), Figure.unknown("")).value
    if not clean > chance:
        return

    def value(sums: Float[np.ndarray, "columns draws"]) -> Float[np.ndarray, " draws"]:
        return quotient(sums[[0, 1]] - chance * sums[2])

    for share, right in zip(examples.curve["fraction"], examples.silenced, strict=True):
        columns = np.stack([right, examples.right, np.ones(len(right))], axis=1)
        keys = ("task_free", "above_chance_left", f"{share:g}")
        yield keys, _Made(Contribution(columns, value), 1.0 / (clean - chance), (-np.inf, np.inf))


def _held(examples: Examples, figures: Mapping[Keys, Figure]) -> Iterator[tuple[Keys, _Made]]:
    budgets = [keys[2] for keys in figures if keys[:2] == ("certificates", "l2") and len(keys) == 3]
    right = examples.right.astype(np.float64)
    for budget in budgets:
        columns = np.stack([right * (examples.edit_norms > float(budget)), right], axis=1)
        keys = ("task_free", "right_answers_guaranteed", budget)
        yield (
            keys,
            _Made(Contribution(columns, quotient), 1.0 / max(right.mean(), 1e-9), (0.0, 1.0)),
        )


def _figure(made: _Made, weights: Float[np.ndarray, " examples"], drawn: np.ndarray) -> Figure:
    """Percentile interval, as wide at least as one more example that differs would make it."""
    given = made.contribution
    value = float(given.value((weights @ given.columns)[:, None])[0])
    ends = interval(given.value(given.columns.T @ drawn)[None, :])
    n = float(weights.sum() ** 2 / (weights**2).sum())
    unseen = Z_975 * made.one / (n + 2.0)
    below = np.hypot(max(value - float(ends.low[0]), 0.0), unseen)
    above = np.hypot(max(float(ends.high[0]) - value, 0.0), unseen)
    least, most = made.ends
    return Figure(
        value, float(max(value - below, least)), float(min(value + above, most)), n=int(n)
    )
