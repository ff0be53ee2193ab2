"""How a share of wrong audits is judged, and where their random numbers come from."""

from collections.abc import Callable, Sequence

import numpy as np

AUDITS = 200
"""Audits simulated at least."""

Tell = Callable[[str], None]


def judge(sentence: str, wrong: Sequence[bool], nominal: float, tell: Tell) -> None:
    """At most nominal, up to three standard errors of a share whose true value that is."""
    share, n = float(np.mean(wrong)), len(wrong)
    tell(f"| {sentence} | {nominal:.1%} | {share:.1%} | {n} |")
    assert share <= nominal + 3 * np.sqrt(nominal * (1 - nominal) / n), sentence


def judge_clusters(
    sentence: str, wrong: Sequence[int], of: Sequence[int], nominal: float, tell: Tell
) -> None:
    """The same where one audit makes several statements, which share its examples.

    The standard error is that of a ratio over audits (clusters), which are independent.
    """
    hits, sizes = np.asarray(wrong, float), np.asarray(of, float)
    share, n = float(hits.sum() / sizes.sum()), len(hits)
    error = float(np.std(hits - share * sizes, ddof=1)) * np.sqrt(n) / sizes.sum()
    alone = np.sqrt(nominal * (1 - nominal) / sizes.sum())
    tell(f"| {sentence} | {nominal:.1%} | {share:.1%} ± {1.96 * error:.1%} | {n} |")
    assert share <= nominal + 3 * max(error, alone), sentence


def generators(audits: int = AUDITS) -> list[np.random.Generator]:
    return [np.random.default_rng([audit, 11]) for audit in range(audits)]
