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


def generators(audits: int = AUDITS) -> list[np.random.Generator]:
    return [np.random.default_rng([audit, 11]) for audit in range(audits)]
