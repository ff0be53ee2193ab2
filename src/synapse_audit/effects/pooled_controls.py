"""Random sets read as one control: their mean, over examples and draws.

Single sets of a comparator may each be known little, when each met a part of the examples and few
of those ran exactly. Their mean is known well, since errors of different sets rest on different
examples; and how far sets lie apart is what is left of their spread without that error.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.breaking import effective_examples
from synapse_audit.effects.exact_subsample import DRAWN
from synapse_audit.effects.random_controls import combined
from synapse_audit.effects.resampled import accuracy, clean_accuracy
from synapse_audit.statistics import Z_975
from synapse_audit.tables.redundancy import CONTROLS

KEYS = CONTROLS.names[: CONTROLS.names.index("draws")]
"""What draws of one control share."""


def pooled_controls(evidence: Evidence) -> pd.DataFrame:
    """One row per control of neurons: ``CONTROLS``.

    ``drop``: mean over the draws, with its 95 % interval over examples and draws, those of which
    it is the mean being a few of all there are. ``between``: standard deviation between draws,
    ``noise``: that of the error of a single one, taken off; NaN with fewer than two draws.
    """
    effects = evidence.effects
    drawn = effects[effects["selection"].isin(DRAWN) & (effects["space"] == "neuron")]
    clean = clean_accuracy(evidence)
    unseen = Z_975 * np.sqrt(2.0) / (effective_examples(evidence) + 2.0)
    # All at once: what takes long is reading the resampled weights.
    every = accuracy(evidence, list(drawn["action"]))
    rows = []
    for key, draws in drawn.groupby(KEYS, dropna=False, sort=False):
        mine = drawn.index.get_indexer(draws.index)
        drops = clean.value[0] - every.value[mine]
        samples = clean.samples[0] - every.samples[mine].mean(axis=0)
        noise = float(np.sqrt(np.mean(draws["phase_se"].fillna(0.0) ** 2)))
        count = len(draws)
        between = spread(drops, noise)
        known = combined(
            np.asarray(np.nanstd(samples)), np.asarray(between / np.sqrt(count)), count
        )
        # One loss and one gain that no example showed (Bonett & Price 2012), as of single drops.
        mean, half = float(drops.mean()), float(np.hypot(known.half, unseen))
        rows.append((*key, count, mean, mean - half, mean + half, between, noise))
    return pd.DataFrame(rows, columns=CONTROLS.names).astype(CONTROLS.types)


def spread(values: np.ndarray, noise: float) -> float:
    """Standard deviation between draws without the noise of each, at least 0; NaN for one draw."""
    if len(values) < 2:
        return float("nan")
    return float(np.sqrt(max(0.0, values.var(ddof=1) - noise**2)))
