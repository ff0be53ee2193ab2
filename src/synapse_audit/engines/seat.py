"""The worker's side: a model that was shipped once, and the unit it is asked to run.

In: a :class:`Kit`, a :class:`Shard` and a chunk of cells. Out: scores. A worker keeps one kit and
the clean states of one batch, so that neighbouring units cost neither a second model nor a second
clean pass. Nothing here knows Ray except :func:`_seat_for`, which fetches the kit.
"""

from __future__ import annotations

import copy
import socket
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int

from synapse_audit.classifier import Batch, Classifier, Encoded
from synapse_audit.errors import ModelError, UsageError
from synapse_audit.sweep import (
    Chunk,
    CleanStates,
    Engine,
    Scores,
    Site,
    Unit,
    Work,
    clean_pass,
    run_chunk,
    special_of,
    tapped,
)

PACKAGES = ("synapse-audit", "torch", "transformers")
"""Must have the same version wherever a unit runs."""


@dataclass(frozen=True)
class Kit:
    """All that a worker needs besides the unit; goes to each worker once."""

    name: str
    """Unique, so that a worker knows whether it has it."""
    classifier: Classifier
    """On the CPU, without tokenizer: batches come collated."""
    site: Site
    seed: int
    taps: bool
    """Whether the fast routes' tap is put under the model."""
    device: str
    threads: int
    weights: str
    """sha256 that the model must have on arrival."""
    versions: Mapping[str, str]
    benign: int | None = None
    special: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shard:
    """One collated batch; arrays, since Ray shares them between processes without a copy."""

    name: str
    rows: Int[np.ndarray, " examples"]
    labels: Int[np.ndarray, " examples"]
    batch: Mapping[str, np.ndarray]


@dataclass
class Seat:
    """A worker's state: its model, and the batch it ran last."""

    kit: Kit
    engine: Engine
    clean: tuple[str, CleanStates] | None = None


def make_kit(engine: Engine, *, threads: int) -> Kit:
    """What travels; the host model itself is neither moved nor changed."""
    classifier = replace(engine.classifier, encoder=_no_encoder, collator=_no_collator)
    if classifier.device != "cpu":
        classifier = copy.deepcopy(classifier).to("cpu")
    return Kit(
        name=uuid.uuid4().hex,
        classifier=classifier,
        site=engine.site,
        seed=engine.seed,
        taps=engine.tap is not None,
        device=_any_of_its_kind(engine.classifier.device),
        threads=threads,
        weights=engine.classifier.fingerprint(),
        versions={name: version(name) for name in PACKAGES},
        benign=engine.benign,
        special=special_of(engine),
    )


def make_shard(work: Work, unit: Unit) -> Shard:
    """The unit's batch, collated by the driver, which alone has the tokenizer."""
    batch = work.engine.classifier.collate(work.encoded, unit.rows)
    arrays = {name: tensor.cpu().numpy() for name, tensor in batch.items()}
    return Shard(unit.batch, unit.rows, work.labels[unit.rows], arrays)


def score_unit(
    name: str,
    kits: Sequence[Any],
    shard: Shard,
    chunk: Chunk,
    wanted: Bool[np.ndarray, "cells examples"] | None,
) -> Scores:
    """Runs one unit on a worker.

    Args:
        name: the kit's.
        kits: the reference to it, in a list: Ray would fetch it for every task otherwise.
        wanted: the pairs of cell and example to run; None = all.

    Raises:
        ModelError: the model did not arrive as it was sent.
        UsageError: this worker has other package versions than the driver.
    """
    with warnings.catch_warnings():
        # Ray's arrays are read-only and stay so: no operator writes into what it reads.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return run_unit(_seat_for(name, kits[0]), shard, chunk, wanted)


def run_unit(
    seat: Seat,
    shard: Shard,
    chunk: Chunk,
    wanted: Bool[np.ndarray, "cells examples"] | None = None,
) -> Scores:
    """One unit on a worker's own copy of the model."""
    classifier = seat.engine.classifier
    with tapped(classifier) if seat.kit.taps else nullcontext() as tap:
        engine = replace(seat.engine, tap=tap)
        if seat.clean is None or seat.clean[0] != shard.name:
            seat.clean = None  # frees the last batch before the next one needs the memory
            batch = {n: torch.tensor(a, device=classifier.device) for n, a in shard.batch.items()}
            seat.clean = (shard.name, clean_pass(classifier, batch, shard.rows, tap))
        return run_chunk(engine, seat.clean[1], chunk, shard.labels, wanted)


_SEATS: dict[str, Seat] = {}
"""This process's seat, under its kit's name; at most one."""


def _seat_for(name: str, reference: Any) -> Seat:
    if name not in _SEATS:
        _SEATS.clear()
        _SEATS[name] = take_seat(import_module("ray").get(reference))
    return _SEATS[name]


def take_seat(kit: Kit) -> Seat:
    """Unpacks a kit in this process and sets torch's threads.

    Raises:
        ModelError: other weights than were sent.
        UsageError: other package versions than the driver's.
    """
    here = {package: version(package) for package in kit.versions}
    other = [package for package in here if here[package] != kit.versions[package]]
    if other:
        raise UsageError(
            f"worker on '{socket.gethostname()}' has {other[0]} {here[other[0]]}; expected "
            f"{kit.versions[other[0]]}, as where the audit was started"
        )
    torch.set_num_threads(kit.threads)
    classifier = kit.classifier.to(kit.device)
    if classifier.fingerprint() != kit.weights:
        raise ModelError(
            f"'{classifier.name}' reached the worker on '{socket.gethostname()}' with other "
            "weights; expected those it was sent with"
        )
    return Seat(kit, Engine(classifier, kit.site, kit.seed, benign=kit.benign, special=kit.special))


def _any_of_its_kind(device: str) -> str:
    """A worker sees only the GPU that Ray gave it, whatever its number."""
    return device.partition(":")[0]


def _no_encoder(inputs: Sequence[Any]) -> Encoded:
    raise RuntimeError("a worker has no tokenizer")


def _no_collator(features: Sequence[Any]) -> Batch:
    raise RuntimeError("a worker has no tokenizer")
