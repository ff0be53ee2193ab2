"""Gradient attributions with their files."""

from __future__ import annotations

from typing import Any

import numpy as np

from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.rankings import ATTRIBUTED
from synapse_audit.rankings.attributions import (
    MOST_EXAMPLES,
    STEPS,
    Attributions,
    attribute,
    mean_token,
    stratified,
)
from synapse_audit.store import RunFolder

FEW_EXAMPLES, FEW_STEPS = 100, 10
"""Examples and steps, where exactness is not asked for: gradients cost as much as a sweep's phase.
On the bundled classifier rankings then agree with those of twice as many of both at Spearman .99 or
more in every layer, and their top tenths share 83 to 100 %; ``gap`` says what the path misses."""


def attribute_fit(run: Run, subject: Subject) -> Attributions | None:
    """Gradient attributions on a part of ``fit``; ``attributions.npz``.

    None where the grid sweeps no ranking of :data:`~synapse_audit.rankings.ATTRIBUTED`.
    """
    if not set(ATTRIBUTED) & {*run.config.grid.rankings, *run.config.grid.compared}:
        return None
    if not run.has("attributions.npz"):
        most, steps = (MOST_EXAMPLES, STEPS) if run.config.exact else (FEW_EXAMPLES, FEW_STEPS)
        rows = stratified(subject.data.labels, subject.splits.fit, seed=run.config.seed, most=most)
        with run.progress.stage("attributions", len(rows)) as advance:
            found = attribute(
                subject.classifier,
                subject.encoded,
                subject.data.labels,
                rows,
                baseline=mean_token(subject.classifier, subject.encoded, rows),
                steps=steps,
                progress=advance,
            )
        run.folder.write_arrays("attributions", _attribution_arrays(found))
    return _read_attributions(run.folder)


_BY_LAYER = ("gradients", "conductances")
_BY_EXAMPLE = ("rows", "gap", "span")


def _attribution_arrays(found: Attributions) -> dict[str, np.ndarray]:
    layers = {
        f"{name}_{m:02d}": values
        for name in _BY_LAYER
        for m, values in enumerate(getattr(found, name))
    }
    return layers | {name: getattr(found, name) for name in _BY_EXAMPLE}


def _read_attributions(folder: RunFolder) -> Attributions:
    arrays = folder.read_arrays("attributions")
    fields: dict[str, Any] = {name: arrays[name] for name in _BY_EXAMPLE}
    for name in _BY_LAYER:
        keys = sorted(key for key in arrays if key.startswith(f"{name}_"))
        fields[name] = tuple(arrays[key] for key in keys)
    return Attributions(**fields)
