"""The clean pass with its files: predictions and pooled states of every layer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synapse_audit.artifacts import LabelledData, LayerStatistics, Predictions, Splits
from synapse_audit.data import check_label_map, exchanged_classes
from synapse_audit.errors import ModelError
from synapse_audit.model import BLOCK_OUTPUT
from synapse_audit.model.activations import (
    Extraction,
    SiteLayer,
    array_name,
    assemble,
    extract,
    places,
)
from synapse_audit.model.loading.problem_type import SINGLE, doubts_of_softmax
from synapse_audit.pipeline.stages.named_neurons import kept_sites
from synapse_audit.pipeline.stages.run import Run, Subject, splits_table


def represent(run: Run, subject: Subject) -> Extraction:
    """Clean predictions and pooled states, streamed to ``activations/``.

    Raises:
        DataError: labels and predictions fit far better under another order of the classes.
    """
    classifier, encoded, data = subject.classifier, subject.encoded, subject.data
    splits = subject.splits
    sites = kept_sites(run, subject)
    absent = sorted({*run.config.grid.sites} - {*sites})
    run.folder.update_manifest(**({"sites_absent": absent} if absent else {}))
    where = places(classifier, sites)
    names = [*map(array_name, where), "head_input", "logits"]
    files = [f"activations/{name}.npy" for name in names]
    if not run.has(*files, "activations/others.npz", "predictions.parquet"):
        with run.progress.stage("clean pass", len(encoded)) as advance:
            found = extract(
                classifier,
                encoded,
                fit=splits.fit,
                sites=sites,
                batch_size=run.config.batch_size,
                allocate=run.folder.allocate("activations"),
                progress=advance,
            )
        run.folder.publish("activations")
        run.folder.write_arrays("activations/others", _statistics_arrays(found))
        clean = Predictions(data.labels, found.logits, classifier.decision.shift)
        run.folder.write_table("predictions", _predictions_table(data, clean, splits))
    arrays = {name: run.folder.read_array(f"activations/{name}") for name in names}
    arrays["logits"] = np.asarray(arrays["logits"])
    others = run.folder.read_arrays("activations/others")
    statistics = {place: LayerStatistics(*others[array_name(place)]) for place in where}
    _check_logits(classifier.name, arrays["logits"])
    predicted = arrays["logits"].argmax(axis=1)
    check_label_map(data.labels, predicted, data.classes)
    run.warn(exchanged_classes(data.labels, predicted, data.classes))
    if classifier.origin.get("problem_type") != SINGLE:
        clean = Predictions(data.labels, arrays["logits"], classifier.decision.shift)
        run.warn(doubts_of_softmax(clean.model_logits))
    return assemble(classifier, sites, arrays, statistics)


def _check_logits(name: str, logits: np.ndarray) -> None:
    """Refuses a model that says nothing of its inputs.

    Raises:
        ModelError: its logits are the same for every input.
    """
    if len(logits) > 1 and (logits == logits[0]).all():
        raise ModelError(
            f"model '{name}' gives exactly the same logits for all {len(logits):,} inputs; "
            "expected a trained classifier with the tokenizer that it was trained with"
        )


def _statistics_arrays(found: Extraction) -> dict[str, np.ndarray]:
    """Mean, spread and norm as rows, by array name: places differ in width."""
    by_site = {BLOCK_OUTPUT: found.others} | {n: site.others for n, site in found.sites.items()}
    return {
        array_name(SiteLayer(site, layer)): np.stack([one.mean, one.spread, one.norm])
        for site, layers in by_site.items()
        for layer, one in enumerate(layers)
    }


def _predictions_table(data: LabelledData, clean: Predictions, splits: Splits) -> pd.DataFrame:
    """Class and margin are those of the decision, probability and logits the model's own."""
    logits, given = clean.logits, clean.model_logits
    shifted = np.exp(given - given.max(axis=1, keepdims=True))
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
            **({} if data.groups is None else {"group": data.groups}),
            **{f"logit_{i}": given[:, i] for i in range(given.shape[1])},
        }
    )
