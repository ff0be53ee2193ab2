"""Makes a guard from a finished run and the model it audited; nothing is trained but its own parts.

In: the run folder's stored states of ``fit`` and ``select``, and the model. Out: a :class:`Guard`.
Ranges, the detector's fit and the heads come from ``fit``, every choice and the detector's
threshold from ``select``; ``evaluate`` stays for measuring what the guard does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synapse_audit.errors import ModelError, RunFolderError, UsageError
from synapse_audit.guard.clean import CleanStates
from synapse_audit.guard.detecting import check_rate, fit_detector, highest_rate
from synapse_audit.guard.folder import write_guard
from synapse_audit.guard.hardening import HeadInputs, harden, linear_logits
from synapse_audit.guard.integrity import make_canaries, tensor_hashes
from synapse_audit.guard.opening import named_as
from synapse_audit.guard.other_detectors import stored_states
from synapse_audit.guard.parts import OWN, Guard, LinearHead, known_detector, known_head
from synapse_audit.guard.ranges import calibrated_ranges
from synapse_audit.guard.voting import elect
from synapse_audit.model import Classifier
from synapse_audit.store import AuditResult, RunFolder, finished
from synapse_audit.store.reading import using

SAME = 1e-3
"""Largest difference of a logit, relative to the largest, at which the head's last layer is taken
to be what gives the logits."""


@dataclass(frozen=True)
class GuardSettings:
    """What is asked of a guard."""

    head: str = "hardened"
    """Which head answers: host, hardened or vote."""
    quantile: float = 0.0
    """Of the ranges: 0 = smallest and largest value seen in ``fit``."""
    per_class: bool = False
    """Also clamp to the ranges of the class predicted in a first pass: twice the cost."""
    false_alarm_rate: float = 0.01
    """Share of clean inputs that may raise an alarm."""
    check_every: int = 1000
    """Calls after which checksums and canaries are looked at again; 0: at load only."""
    largest_edit: float = 1.0
    """Of the edits that the head is hardened against, relative to its norm."""
    detector: str = OWN
    """Whose alarms are raised: own, or pytorch-ood's Mahalanobis or KNN (extra ``ood``)."""

    def __post_init__(self) -> None:
        """Refuses what makes no sense.

        Raises:
            UsageError: the message names the choices.
        """
        known_head(self.head)
        known_detector(self.detector)
        if not 0 <= self.quantile < 0.5:
            raise UsageError(f"quantile {self.quantile:g} given; expected 0 up to less than 0.5")
        if self.check_every < 0:
            raise UsageError(f"check every {self.check_every} given; expected 0 or more calls")
        if not self.largest_edit > 0:
            raise UsageError(
                f"largest edit {self.largest_edit:g} given; expected a share of the head's norm "
                "above 0"
            )


def build_guard(
    run: str | Path | AuditResult,
    classifier: Classifier,
    out: str | Path,
    settings: GuardSettings = GuardSettings(),
) -> Guard:
    """Makes a guard and writes it to a folder.

    Raises:
        ModelError: the model is not the one that was audited, or reads no tokens.
        RunFolderError: the run is not finished or damaged, or ``out`` cannot be written.
        DataError: too few examples for the false-alarm rate, or for the detector.
        UsageError: the detector's package is not installed.
    """
    result = finished(run.folder if isinstance(run, AuditResult) else run)
    with using(result.folder):
        classifier = audited_names(result.manifest, classifier)
        check_audited(result.manifest, classifier)
        clean = clean_states(result)
    check_rate(settings.false_alarm_rate, len(clean.select))
    guard = make_guard(clean, classifier, settings, int(result.manifest.get("seed") or 0))
    write_guard(Path(out), guard, _facts(result, clean, settings))
    return guard


def audited_names(manifest: Mapping[str, Any], classifier: Classifier) -> Classifier:
    """The classifier with its classes called as in the run, where the data named them."""
    labels = manifest.get("label_map") or {}
    return named_as(classifier, tuple(str(labels[key]) for key in sorted(labels, key=int)))


def check_audited(manifest: Mapping[str, Any], classifier: Classifier) -> None:
    """Refuses another model than the run's.

    Raises:
        ModelError: other weights, a run of a model that was guarded already, of one label of
            several, or with a decision threshold.
    """
    model = manifest.get("model")
    known = model if isinstance(model, Mapping) else {}
    if "guard_sha256" in known:
        raise ModelError(
            f"the run audited '{known.get('name')}' behind a guard; expected a run of the plain "
            "model"
        )
    decision = classifier.decision
    thresholds = (manifest.get("decision") or {}).get("thresholds") or {}
    if decision.label is not None or decision.shift is not None or {*thresholds.values()} - {0.5}:
        rule = (manifest.get("decision") or {}).get("rule") or decision.in_words(classifier.classes)
        raise ModelError(
            f"the run or the model is of one label of several, or has a decision threshold ({rule})"
            "; expected whole models that decide for the highest logit: a guard knows no others yet"
        )
    found = classifier.fingerprint()
    if known.get("sha256") != found:
        raise ModelError(
            f"model '{classifier.name}' has weights {found[:12]}…; expected those that were "
            f"audited, {str(known.get('sha256'))[:12]}… of '{known.get('name')}'"
        )


def clean_states(result: AuditResult) -> CleanStates:
    """The stored states of a run.

    Raises:
        RunFolderError: files are missing or damaged, or do not fit together.
    """
    folder = RunFolder(result.folder)
    names = sorted(
        file.removesuffix(".npy")
        for file in folder.written("activations")
        if file.startswith("activations/layer_")
    )
    arrays = [np.asarray(folder.read_array(n)) for n in (*names, "activations/head_input")]
    logits = np.asarray(folder.read_array("activations/logits"))
    splits = result.splits
    if any(len(array) != len(splits) or array.ndim != 2 for array in (*arrays, logits)):
        raise RunFolderError(
            f"run '{result.folder}' holds states of other examples than its splits; expected those "
            "of a finished run: repeat its command"
        )
    rows = [np.flatnonzero(splits["split"] == part) for part in ("fit", "select", "evaluate")]
    labels = splits["label"].to_numpy()
    fit, select, evaluate = rows
    return CleanStates(tuple(arrays), logits, fit, select, evaluate, labels)


def make_guard(
    clean: CleanStates, classifier: Classifier, settings: GuardSettings, seed: int = 0
) -> Guard:
    """The guard alone, from states in memory.

    Raises:
        ModelError: the model reads no tokens, or its head is not linear.
        DataError: too few examples for the false-alarm rate, or for the detector.
        UsageError: the detector's package is not installed.
    """
    other = stored_states(settings.detector, clean)
    host = host_head(classifier)
    inputs, predicted = clean.places[-1], clean.logits.argmax(axis=1)
    _check_head(host, clean, classifier)
    ranges = calibrated_ranges(
        [one[clean.fit] for one in clean.places],
        predicted[clean.fit],
        n_classes=len(classifier.classes),
        quantile=settings.quantile,
        per_class=settings.per_class,
    )
    detector = fit_detector(
        clean.places,
        predicted,
        ranges,
        fit=clean.fit,
        calibrate=clean.select,
        false_alarm_rate=settings.false_alarm_rate,
        seed=seed,
    )
    return Guard(
        classes=classifier.classes,
        ranges=ranges,
        detector=detector,
        hardened=harden(
            host,
            HeadInputs(inputs, clean.labels, clean.fit, clean.select),
            largest_edit=settings.largest_edit,
        ),
        vote=elect(host, inputs, fit=clean.fit, select=clean.select),
        canaries=make_canaries(classifier, seed=seed),
        head=known_head(settings.head),
        tensors=tensor_hashes(classifier.model),
        sha256=classifier.fingerprint(),
        check_every=settings.check_every,
        other=other,
    )


def host_head(classifier: Classifier) -> LinearHead:
    """The model's own last layer."""
    weight = classifier.head_weight
    return LinearHead(weight, classifier.head_bias, np.zeros(weight.shape[1], np.float32))


def _check_head(host: LinearHead, clean: CleanStates, classifier: Classifier) -> None:
    found = linear_logits(host, clean.places[-1])
    gap = float(np.abs(found - clean.logits).max())
    if not gap <= SAME * float(np.abs(clean.logits).max()):
        raise ModelError(
            f"model '{classifier.name}' gives logits that are not those of its last linear layer "
            f"(they differ by {gap:.2g}); expected a linear head: no other can be hardened"
        )


def _facts(result: AuditResult, clean: CleanStates, settings: GuardSettings) -> dict[str, Any]:
    manifest = result.manifest
    return {
        "model": manifest["model"].get("name"),
        "data_sha256": manifest.get("data", {}).get("sha256"),
        "quantile": settings.quantile,
        "per_class": settings.per_class,
        "largest_edit": settings.largest_edit,
        "n_fit": len(clean.fit),
        "n_calibration": len(clean.select),
        "highest_false_alarm_rate": highest_rate(settings.false_alarm_rate, len(clean.select)),
    }
