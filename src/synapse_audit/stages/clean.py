"""The clean pass with its files: predictions and pooled states of every layer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.activations import Extraction, extract, layer_name
from synapse_audit.artifacts import Activations, LabelledData, LayerStatistics, Splits
from synapse_audit.classifier import Classifier, Encoded
from synapse_audit.stages.run import Run, splits_table
from synapse_audit.store import RunFolder


def represent(
    run: Run, classifier: Classifier, encoded: Encoded, data: LabelledData, splits: Splits
) -> Extraction:
    """Clean predictions and pooled states, streamed to ``activations/``."""
    names = [*(layer_name(m) for m in range(classifier.n_layers + 1)), "head_input", "logits"]
    files = [f"activations/{name}.npy" for name in names]
    if not run.folder.has(*files, "activations/others.npz", "predictions.parquet"):
        with run.progress.stage("clean pass", len(encoded)) as advance:
            found = extract(
                classifier,
                encoded,
                fit=splits.fit,
                batch_size=run.config.batch_size,
                allocate=lambda name, shape: run.folder.allocate("activations", name, shape),
                progress=advance,
            )
        run.folder.publish("activations")
        others = {layer_name(m): _rows(statistics) for m, statistics in enumerate(found.others)}
        run.folder.write_arrays("activations/others", others)
        run.folder.write_table("predictions", _predictions_table(data, found.logits, splits))
    return _read_extraction(run.folder, classifier)


def _read_extraction(folder: RunFolder, classifier: Classifier) -> Extraction:
    layers = [
        folder.read_array(f"activations/{layer_name(m)}") for m in range(classifier.n_layers + 1)
    ]
    others = folder.read_arrays("activations/others")
    return Extraction(
        activations=Activations(tuple(layers), folder.read_array("activations/head_input")),
        logits=np.asarray(folder.read_array("activations/logits")),
        others=tuple(LayerStatistics(*others[layer_name(m)]) for m in range(len(layers))),
    )


def _rows(statistics: LayerStatistics) -> np.ndarray:
    """Mean, spread and norm as rows: layers may differ in width."""
    return np.stack([statistics.mean, statistics.spread, statistics.norm])


def _predictions_table(data: LabelledData, logits: np.ndarray, splits: Splits) -> pd.DataFrame:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    share = shifted / shifted.sum(axis=1, keepdims=True)
    rows = np.arange(len(data))
    own = logits[rows, data.labels]
    rivals = logits.copy()
    rivals[rows, data.labels] = -np.inf
    split = splits_table(data, splits)["split"]
    return pd.DataFrame(
        {
            "example": rows,
            "label": data.labels,
            "predicted": logits.argmax(axis=1),
            "probability": share[rows, data.labels],
            "margin": own - rivals.max(axis=1),
            "split": split,
            "weight": data.weights,
            **{f"logit_{i}": logits[:, i] for i in range(logits.shape[1])},
        }
    )
