"""The guard's folder: ``guard.json`` and ``guard.safetensors``, read as a stranger's.

Sizes are looked at before anything is read; every array is held against the shapes that the rest of
the folder implies, so that nothing but numbers of the right form reaches the model.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from synapse_audit.errors import DataError, RunFolderError, first_line
from synapse_audit.guard.checks import checked, need
from synapse_audit.guard.parts import (
    DETECTORS,
    HEADS,
    OWN,
    Canaries,
    Detector,
    FittedAgain,
    Guard,
    HeadName,
    LinearHead,
    PlaceScorer,
    Ranges,
    Vote,
    known_head,
)
from synapse_audit.store.atomic import write_bytes, write_json, writing
from synapse_audit.store.checksums import sha256_of
from synapse_audit.store.reading import read_json

FACTS, ARRAYS = "guard.json", "guard.safetensors"
FORMAT = 2
"""Number of the folder's layout."""
READ = (1, 2)
"""Layouts that are read. In the first, neurons that never varied do not count."""
LARGEST = 2**31
"""Bytes of the arrays, at most."""
PACKAGES = ("synapse-audit", "torch", "transformers", "scikit-learn", "numpy")


def write_guard(folder: Path, guard: Guard, facts: Mapping[str, Any]) -> None:
    """Writes both files; ``facts``: where it comes from, for the reader.

    Raises:
        DataError: it would be larger than what is read.
        RunFolderError: the folder cannot be written.
    """
    arrays = dict(_arrays(guard))
    if (size := sum(one.nbytes for one in arrays.values())) > LARGEST - 2**20:
        raise DataError(
            f"a guard of {size:,} bytes asked for; expected at most {LARGEST - 2**20:,}: a run "
            "with fewer examples, or --detector own, takes less"
        )
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / ARRAYS, save(arrays))
    known = {
        "format": FORMAT,
        "classes": list(guard.classes),
        "head": guard.head,
        "check_every": guard.check_every,
        "detector": guard.detector_name,
        "detector_version": None if guard.other is None else guard.other.version,
        "neighbours": guard.detector.neighbours,
        "false_alarm_rate": guard.detector.false_alarm_rate,
        "tolerance": guard.canaries.tolerance,
        "canary_inputs": sorted(guard.canaries.inputs),
        "places": len(guard.ranges.low),
        "model_sha256": guard.sha256,
        "tensors": dict(guard.tensors),
        "arrays_sha256": sha256_of(folder / ARRAYS),
        "versions": {name: version(name) for name in PACKAGES},
    }
    write_json(folder / FACTS, {**known, **facts})


def read_guard(folder: str | Path) -> Guard:
    """Reads a guard, whoever wrote it.

    Raises:
        RunFolderError: there is none, or the files are damaged, of another layout, or do not fit
            together.
    """
    path = Path(folder)
    if not (path / FACTS).is_file():
        raise RunFolderError(f"guard '{path}' given; expected a folder with {FACTS}")
    facts = read_json(path / FACTS)
    if facts.get("format") not in READ:
        known = " and ".join(map(str, READ))
        raise _damaged(path, f"has format {facts.get('format')!r}; this version reads {known}")
    arrays = _read_arrays(path, facts)
    try:
        return checked(_guard(facts, arrays))
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise _damaged(path, f"does not fit together: {first_line(error)[:200]}") from error


def _damaged(path: Path, reason: str) -> RunFolderError:
    return RunFolderError(
        f"guard '{path}' {reason}; expected the files that `synapse-audit guard` wrote"
    )


def _read_arrays(path: Path, facts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    file = path / ARRAYS
    if not file.is_file():
        raise _damaged(path, f"has no {ARRAYS}")
    if file.stat().st_size > LARGEST:
        raise _damaged(path, f"has {ARRAYS} of more than {LARGEST:,} bytes")
    if sha256_of(file) != facts.get("arrays_sha256"):
        raise _damaged(path, f"has {ARRAYS} that {FACTS} does not belong to")
    try:
        return load(file.read_bytes())
    except (SafetensorError, ValueError, KeyError, struct.error, json.JSONDecodeError) as error:
        raise _damaged(path, f"has {ARRAYS} that cannot be read: {first_line(error)}") from error


def _arrays(guard: Guard) -> Iterator[tuple[str, np.ndarray]]:
    """Name → contiguous array."""
    for name in ("low", "high", "class_low", "class_high"):
        for place, array in enumerate(getattr(guard.ranges, name)):
            yield f"range.{name}.{place}", np.ascontiguousarray(array)
    for place, scorer in enumerate(guard.detector.scorers):
        for name in SCORER:
            yield f"scorer.{name}.{place}", np.ascontiguousarray(getattr(scorer, name))
    for name in ("centre", "scale", "tail", "calibration"):
        yield f"detector.{name}", np.ascontiguousarray(getattr(guard.detector, name))
    for name in ("weight", "bias", "centre"):
        yield f"hardened.{name}", np.ascontiguousarray(getattr(guard.hardened, name))
    for name in ("voter", "weight", "bias"):
        yield f"vote.{name}", np.ascontiguousarray(getattr(guard.vote, name))
    if guard.other is not None:
        for part in ("fit", "select"):
            for place, array in enumerate(getattr(guard.other, part)):
                yield f"other.{part}.{place}", np.ascontiguousarray(array)
        yield "other.predicted", np.ascontiguousarray(guard.other.predicted)
    yield "canaries.logits", np.ascontiguousarray(guard.canaries.logits)
    for name, array in guard.canaries.inputs.items():
        yield f"canaries.inputs.{name}", np.ascontiguousarray(array)


SCORER = ("centres", "whitening", "spread", "unit", "bank")


def _guard(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Guard:
    places = range(int(facts["places"]))

    def each(prefix: str) -> tuple[np.ndarray, ...]:
        return tuple(arrays[f"{prefix}.{place}"] for place in places)

    classwise = "range.class_low.0" in arrays
    ranges = Ranges(
        each("range.low"),
        each("range.high"),
        each("range.class_low") if classwise else (),
        each("range.class_high") if classwise else (),
    )
    names = [name.replace("unit", "spread") if facts["format"] == 1 else name for name in SCORER]
    scorers = tuple(PlaceScorer(*(arrays[f"scorer.{n}.{p}"] for n in names)) for p in places)
    detector = Detector(
        scorers,
        int(facts["neighbours"]),
        centre=arrays["detector.centre"],
        scale=arrays["detector.scale"],
        tail=arrays["detector.tail"],
        calibration=arrays["detector.calibration"],
        false_alarm_rate=float(facts["false_alarm_rate"]),
    )
    inputs = {str(n): arrays[f"canaries.inputs.{n}"] for n in facts["canary_inputs"]}
    return Guard(
        classes=tuple(map(str, facts["classes"])),
        ranges=ranges,
        detector=detector,
        hardened=LinearHead(*(arrays[f"hardened.{n}"] for n in ("weight", "bias", "centre"))),
        vote=Vote(*(arrays[f"vote.{n}"] for n in ("voter", "weight", "bias"))),
        canaries=Canaries(inputs, arrays["canaries.logits"], float(facts["tolerance"])),
        head=_head(str(facts["head"])),
        tensors={str(k): str(v) for k, v in dict(facts["tensors"]).items()},
        sha256=str(facts["model_sha256"]),
        check_every=int(facts["check_every"]),
        other=_other(facts, arrays, len(scorers)),
    )


def _other(
    facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray], places: int
) -> FittedAgain | None:
    name = str(facts.get("detector", OWN))
    need(name in DETECTORS, "the detector is none of " + ", ".join(DETECTORS))
    if name == OWN:
        return None
    fit, select = (
        tuple(arrays[f"other.{part}.{place}"] for place in range(places))
        for part in ("fit", "select")
    )
    return FittedAgain(name, str(facts["detector_version"]), fit, arrays["other.predicted"], select)


def _head(name: str) -> HeadName:
    need(name in HEADS, "the head is none of " + ", ".join(HEADS))
    return known_head(name)
