"""What each label's own probe reads from every layer; ``label_probes.parquet``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32

from synapse_audit.artifacts import Activations, Probe
from synapse_audit.artifacts.label_sets import decoded
from synapse_audit.effects.label_auc import aucs
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.tables.label_sets import LABEL_PROBES


def write_label_probes(
    run: Run,
    subject: Subject,
    activations: Activations,
    probes: Sequence[Probe],
    resampled: Float32[np.ndarray, "evaluate resamples"],
) -> pd.DataFrame:
    """Area under the ROC curve and F1 of every label and scope, on ``evaluate``."""
    if not run.has(LABEL_PROBES.file):
        parts = [_of_probe(subject, activations, probe, resampled) for probe in probes]
        run.folder.write_table(LABEL_PROBES.path, LABEL_PROBES.joined(parts))
    return run.folder.read_table(LABEL_PROBES.path)


def _of_probe(
    subject: Subject,
    activations: Activations,
    probe: Probe,
    resampled: Float32[np.ndarray, "evaluate resamples"],
) -> pd.DataFrame:
    data, rows = subject.data, subject.evaluated
    there = decoded(data.truth[rows], len(data.classes))
    weights, logits = data.weights[rows], probe_logits(activations, probe, rows)
    area, said = aucs(logits, there, weights, resampled), logits > 0
    hits, both = weights @ (there & said), weights @ there + weights @ said
    known = there.any(axis=0)
    f1 = np.divide(2 * hits, both, out=np.full(len(both), np.nan), where=known & (both > 0))
    return pd.DataFrame(
        {
            "scope": probe.scope,
            "label": list(data.classes),
            "support": there.sum(axis=0),
            "auc": area.value,
            "auc_low": area.low,
            "auc_high": area.high,
            "f1": f1,
        }
    )


def probe_logits(
    activations: Activations, probe: Probe, rows: np.ndarray
) -> Float[np.ndarray, "chosen labels"]:
    """What a probe says of some examples."""
    if probe.scope == "head_input":
        features = np.asarray(activations.head_input[rows])
    elif probe.scope == "joint":
        features = np.concatenate([activations.layers[m][rows] for m in activations.blocks], axis=1)
    else:
        features = np.asarray(activations.layers[int(probe.scope)][rows])
    return np.asarray((features - probe.mean) / probe.scale @ probe.weights.T + probe.bias)
