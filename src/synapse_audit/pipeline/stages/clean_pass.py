"""The clean pass with its files: predictions and pooled states of every layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit

from synapse_audit.artifacts import LabelledData, LayerStatistics, Predictions, Splits
from synapse_audit.artifacts.label_sets import decoded
from synapse_audit.data import check_label_map, exchanged_classes
from synapse_audit.errors import ModelError
from synapse_audit.model import BLOCK_OUTPUT
from synapse_audit.model.activations import (
    TOKEN_MEAN,
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
    if absent:
        run.folder.update_manifest(sites_absent=absent)
        run.progress.note(f"not swept, since this model has no such site: {', '.join(absent)}")
    where = places(classifier, sites)
    names = [*map(array_name, where), "head_input", "logits"]
    files = [f"activations/{name}.npy" for name in names]
    if not run.has(*files, "activations/others.npz", f"{_predictions_file(subject)}.parquet"):
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
        clean = predictions_of(subject, found.logits)
        table = set_predictions_table if subject.several else _predictions_table
        run.folder.write_table(_predictions_file(subject), table(data, clean, splits))
    arrays = {name: run.folder.read_array(f"activations/{name}") for name in names}
    arrays["logits"] = np.asarray(arrays["logits"])
    others = run.folder.read_arrays("activations/others")
    statistics = {
        place: LayerStatistics(*others[array_name(place)])
        for place in where
        if place.site != TOKEN_MEAN
    }
    _check_logits(classifier.name, arrays["logits"])
    if not subject.several:
        _check_classes(run, subject, arrays["logits"])
    return assemble(classifier, sites, arrays, statistics)


def predictions_of(subject: Subject, logits: np.ndarray) -> Predictions:
    """What the untouched model says of every example, beside the class or labels that it has."""
    decision = subject.classifier.decision
    return Predictions(subject.data.truth, logits, decision.shift, decision.several)


def _predictions_file(subject: Subject) -> str:
    return "set_predictions" if subject.several else "predictions"


def _check_classes(run: Run, subject: Subject, logits: np.ndarray) -> None:
    """Holds labels and predictions against each other."""
    data, predicted = subject.data, logits.argmax(axis=1)
    check_label_map(data.labels, predicted, data.classes)
    run.warn(exchanged_classes(data.labels, predicted, data.classes))
    if subject.classifier.origin.get("problem_type") != SINGLE:
        run.warn(doubts_of_softmax(predictions_of(subject, logits).model_logits))


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


def set_predictions_table(data: LabelledData, clean: Predictions, splits: Splits) -> pd.DataFrame:
    """``set_predictions.parquet``: one row per example and label."""
    present, said = (decoded(sets, len(data.classes)) for sets in (clean.labels, clean.predicted))
    each = len(data.classes)
    split = splits_table(data, splits)["split"].to_numpy()
    return pd.DataFrame(
        {
            "example": np.repeat(np.arange(len(data)), each),
            "split": np.repeat(split, each),
            "label": np.tile(data.classes, len(data)),
            "present": present.ravel(),
            "predicted": said.ravel(),
            "probability": expit(clean.model_logits.astype(np.float64)).ravel(),
            "margin": clean.logits.ravel(),
            "weight": np.repeat(data.weights, each),
            **({} if data.groups is None else {"group": np.repeat(data.groups, each).astype(str)}),
        }
    )
