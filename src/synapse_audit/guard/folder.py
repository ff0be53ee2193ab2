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

from synapse_audit.errors import RunFolderError, first_line
from synapse_audit.guard.parts import (
    HEADS,
    SCORES,
    Canaries,
    Detector,
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
        RunFolderError: the folder cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / ARRAYS, save(dict(_arrays(guard))))
    known = {
        "format": FORMAT,
        "classes": list(guard.classes),
        "head": guard.head,
        "check_every": guard.check_every,
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
        return _checked(_guard(facts, arrays))
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
    )


def _head(name: str) -> HeadName:
    _need(name in HEADS, "the head is none of " + ", ".join(HEADS))
    return known_head(name)


def _checked(guard: Guard) -> Guard:
    """Raises ValueError where shapes, types or numbers do not fit each other."""
    _check_vote(guard)
    _check_ranges(guard)
    _check_detector(guard)
    _check_canaries(guard)
    _need(guard.check_every >= 0, "a negative count")
    return guard


def _check_vote(guard: Guard) -> None:
    """The heads: also how many inputs they read."""
    classes, voter = len(guard.classes), guard.vote.voter
    _need(voter.ndim == 1 and voter.dtype.kind == "i", "voters that are no numbers")
    _need(bool(((voter >= 0) & (voter < guard.vote.n_voters)).all()), "voter")
    for head in (guard.hardened.weight, guard.vote.weight):
        _shape(head, (classes, len(voter)))
    _shape(guard.hardened.bias, (classes,))
    _shape(guard.hardened.centre, (len(voter),))
    _shape(guard.vote.bias, (guard.vote.n_voters, classes))


def _check_ranges(guard: Guard) -> None:
    classes, ranges = len(guard.classes), guard.ranges
    widths = [len(low) for low in ranges.low]
    _need(len(widths) >= 2 and widths[-1] == len(guard.vote.voter), "places")
    for i, width in enumerate(widths):
        _check_range(ranges.low[i], ranges.high[i], (width,))
        if ranges.class_low:
            _check_range(ranges.class_low[i], ranges.class_high[i], (classes, width))


def _check_range(low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> None:
    _shape(low, shape)
    _shape(high, shape)
    _need(bool((low <= high).all()), "a range that ends before it begins")


def _check_detector(guard: Guard) -> None:
    detector, widths = guard.detector, [len(low) for low in guard.ranges.low]
    for scorer, width in zip(detector.scorers, widths, strict=True):
        _shape(scorer.whitening, (width, width))
        _shape(scorer.spread, (width,), finite=False)
        _need(bool((scorer.spread > 0).all()), "a spread that is not positive")
        _shape(scorer.unit, (width,), finite=False)
        _need(bool((scorer.unit > 0).all()), "a unit that is not positive")
        _need(bool((scorer.unit <= scorer.spread).all()), "a unit larger than the spread")
        _shape(scorer.centres, (len(scorer.centres), width))
        _shape(scorer.bank, (len(scorer.bank), width))
        _need(len(scorer.bank) > 0 and len(scorer.centres) > 0, "a detector without states")
    sizes = {(len(scorer.bank), len(scorer.centres)) for scorer in detector.scorers}
    _need(len(sizes) == 1, "detectors of several sizes")
    for array in (detector.centre, detector.scale):
        _shape(array, (len(widths), len(SCORES)))
    _shape(detector.tail, (len(SCORES),))
    _need(bool((detector.scale > 0).all()), "a scale that is not positive")
    _need(bool((detector.tail > 0).all()), "a tail that is not positive")
    _shape(detector.calibration, (len(detector.calibration),))
    _need(len(detector.calibration) > 0, "no calibration, so that nothing would ever alarm")
    _need(bool((np.diff(detector.calibration) >= 0).all()), "calibration out of order")
    _need(0 < detector.false_alarm_rate < 1, "a false-alarm rate outside 0 to 1")
    _need(detector.neighbours > 0, "a negative count")


def _check_canaries(guard: Guard) -> None:
    canaries = guard.canaries
    _need(0 < canaries.tolerance < np.inf, "a tolerance that is no positive number")
    _need(len(canaries.logits) > 0, "no canaries")
    _shape(canaries.logits, (len(canaries.logits), len(guard.classes)))
    for ids in canaries.inputs.values():
        _need(ids.ndim == 2 and ids.dtype.kind == "i", "canaries that are no token numbers")
        _need(len(ids) == len(canaries.logits) and bool((ids >= 0).all()), "canaries")


def _shape(array: np.ndarray, wanted: tuple[int, ...], *, finite: bool = True) -> None:
    _need(array.dtype == np.float32, f"type {array.dtype} where float32 is stored")
    _need(array.shape == wanted, f"shape {array.shape} where {wanted} fits")
    _need(not finite or bool(np.isfinite(array).all()), "a value that is no finite number")


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
