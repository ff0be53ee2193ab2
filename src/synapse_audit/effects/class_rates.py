"""Recall and precision of every class, with intervals."""

from __future__ import annotations

import numpy as np

from synapse_audit.effects.estimates import Estimates, bounded, effective_size
from synapse_audit.effects.measures import class_sizes
from synapse_audit.effects.scored import Scored


def class_rates(scored: Scored) -> dict[str, Estimates]:
    """``recall`` and ``precision`` of the first row: arrays over classes; NaN where undefined."""
    called = scored.phases.predicted[0] == np.arange(scored.n_classes)[:, None]
    sizes = {"recall": class_sizes(scored), "precision": effective_size(scored, called)}
    found = {}
    for name, size in sizes.items():
        value = np.clip(getattr(scored.counts, name)[:, 0, 0], 0.0, 1.0)
        samples = getattr(scored.resampled_counts, name)[:, 0]
        found[name] = bounded(value, samples, size)
    return found
