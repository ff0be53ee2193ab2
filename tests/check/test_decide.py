"""Answers by the bounds, never by the point."""

import pytest

from synapse_audit.check.decide import decide, examples_needed
from synapse_audit.summary import Figure, entry_of

WIDE = Figure(0.9, 0.8, 0.95, n=100)


def answered(figure: Figure, kind: str, bound: float, path: str = "clean.accuracy") -> str:
    entry = entry_of(tuple(path.split(".")))
    return decide(figure, entry, kind=kind, bound=bound, n=50, of="").verdict


@pytest.mark.parametrize(
    ("kind", "bound", "verdict"),
    [
        ("at_least", 0.8, "supported"),
        ("at_least", 0.85, "not shown"),
        ("at_least", 0.95, "not shown"),
        ("at_least", 0.951, "contradicted"),
        ("at_most", 0.95, "supported"),
        ("at_most", 0.9, "not shown"),
        ("at_most", 0.79, "contradicted"),
    ],
)
def test_the_bound_decides(kind: str, bound: float, verdict: str) -> None:
    assert answered(WIDE, kind, bound) == verdict


def test_what_would_show_it_is_a_number_of_examples() -> None:
    # The lower half width is 0.1; a distance of 0.05 asks for 2² times 100 examples.
    assert examples_needed(WIDE, 0.85, 100) == 400
    found = decide(WIDE, None, kind="at_least", bound=0.85, n=50, of=" of cmdi")
    assert "about 400 examples of cmdi would show it supported (100 now)" in found.why
    # The upper half width is 0.05; so is the distance to 0.95: as many as there are.
    below = decide(WIDE, None, kind="at_least", bound=0.925, n=50, of="")
    assert "would show it contradicted" in below.why
    assert "about 400 examples" in below.why


def test_at_most_is_at_least_turned() -> None:
    found = decide(WIDE, None, kind="at_most", bound=0.93, n=50, of="")
    # Upper half width 0.05, distance 0.03: (5/3)² × 100 = 278, rounded up.
    assert "about 280 examples would show it supported" in found.why


def test_on_the_bound_nothing_would() -> None:
    assert examples_needed(WIDE, 0.9, 100) is None
    assert (
        "measured on the bound itself"
        in decide(WIDE, None, kind="at_least", bound=0.9, n=1, of="").why
    )


@pytest.mark.parametrize(
    ("path", "figure", "verdict"),
    [
        ("calibration.n_wrong", Figure(3.0), "supported"),
        ("calibration.brier", Figure(3.0), "not shown"),
        ("asymmetry.gap", Figure(3.0, 2.9, 3.1), "not shown"),
        ("clean.accuracy", Figure.unknown("why"), "not shown"),
        ("clean.accuracy", Figure(3.0, 2.5), "supported"),
        ("clean.accuracy", Figure(3.0, high=3.5), "not shown"),
    ],
)
def test_intervals_of_every_kind(path: str, figure: Figure, verdict: str) -> None:
    assert answered(figure, "at_least", 2.0, path) == verdict
