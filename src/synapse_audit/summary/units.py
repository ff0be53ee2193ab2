"""Figures of units besides neurons: attention heads, directions, and the mean over tokens."""

from __future__ import annotations

from synapse_audit.summary.entry import Entry

UNITS: tuple[Entry, ...] = (
    Entry(
        "attention.costliest.drop",
        "accuracy lost with the costliest single attention head silenced",
        "difference of shares",
        "lower",
        "picked",
    ),
    Entry(
        "attention.sets.<operator>.drop",
        "accuracy lost with the top share of attention heads silenced in every layer",
        "difference of shares",
        "lower",
    ),
    Entry(
        "attention.sets.<operator>.random",
        "the same with as many random heads: mean of the draws, band of one more",
        "difference of shares",
        interval="none",
    ),
    Entry(
        "attention.sets.<operator>.excess",
        "accuracy that the top heads cost beyond random ones",
        "difference of shares",
    ),
    Entry(
        "directions.<method>.drop",
        "accuracy lost with the directions of the classes removed from the last layer",
        "difference of shares",
        "lower",
    ),
    Entry(
        "directions.<method>.random",
        "the same with as many random directions: mean of the draws, band of one more",
        "difference of shares",
        interval="none",
    ),
    Entry(
        "directions.<method>.matched",
        "the same with as many random directions of the same variance: mean of the draws, band of "
        "one more",
        "difference of shares",
        interval="none",
    ),
    Entry(
        "directions.<method>.excess",
        "accuracy that the directions cost beyond random ones of the same number and variance",
        "difference of shares",
    ),
    Entry(
        "token_means.gain",
        "accuracy of probes on means over tokens minus that of probes on the head's token, mean "
        "over blocks",
        "difference of shares",
    ),
    Entry(
        "token_means.overlap.<ranking>",
        "share of the top tenth of neurons that the ranking names both for the head's token and "
        "for the mean over tokens, mean over blocks",
        "share",
        interval="none",
    ),
)
"""In the order of the summary."""
