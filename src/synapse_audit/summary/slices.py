"""Entries of slices: parts of the data that get figures of their own."""

from __future__ import annotations

from synapse_audit.summary.entry import Entry

_ONE = "slices.<column>.<value>"
_WORST = "worst_slice.<column>"

SLICES: tuple[Entry, ...] = (
    Entry(f"{_ONE}.accuracy", "accuracy on the examples of the slice", "share", "higher"),
    Entry(
        f"{_ONE}.recall.<class>",
        "share of the class that is recognised, on the examples of the slice",
        "share",
        "higher",
    ),
    Entry(
        f"{_ONE}.difference",
        "accuracy on the slice minus that on all other examples; intervals hold for all slices at "
        "once",
        "difference of shares",
        "higher",
    ),
    Entry(f"{_ONE}.ece", "expected calibration error on the slice", "share", "lower"),
    Entry(
        f"{_ONE}.chance_ece",
        "calibration error that a perfectly calibrated model would show on as many examples",
        "share",
        interval="none",
    ),
    Entry(
        f"{_ONE}.overconfidence",
        "mean confidence minus accuracy on the slice: 0 is best",
        "difference of shares",
    ),
    Entry(
        f"{_ONE}.fragility",
        "accuracy lost on the slice, mean over the shares silenced of the headline curve",
        "difference of shares",
        "lower",
    ),
    Entry(
        f"{_WORST}.accuracy",
        "lowest accuracy of any slice of the column; the interval allows for all of them",
        "share",
        "higher",
    ),
    Entry(
        f"{_WORST}.fragility",
        "largest fragility of any slice of the column; the interval allows for all of them",
        "difference of shares",
        "lower",
    ),
    Entry(
        f"{_WORST}.gap",
        "highest accuracy of any slice of the column minus the lowest; the interval allows for all "
        "pairs",
        "difference of shares",
        "lower",
    ),
)
"""In the order of the summary."""
