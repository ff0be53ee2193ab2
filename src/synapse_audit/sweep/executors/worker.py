"""The worker's side: a model that was shipped once, and the unit it is asked to run.

In: a :class:`WorkerSetup`, a :class:`BatchPayload` and a chunk of cells. Out: scores. A worker
keeps one kit and the clean states of one batch, so that neighbouring units cost neither a second
model nor a second clean pass. Nothing here knows Ray except :func:`_state_for`, which fetches the
kit.
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

from synapse_audit.errors import ModelError, UsageError
from synapse_audit.model import Batch, Classifier, Encoded
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
class WorkerSetup:
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
class BatchPayload:
    """One collated batch; arrays, since Ray shares them between processes without a copy."""

    name: str
    rows: Int[np.ndarray, " examples"]
    labels: Int[np.ndarray, " examples"]
    batch: Mapping[str, np.ndarray]


@dataclass
class WorkerState:
    """A worker's state: its model, and the batch it ran last."""

    setup: WorkerSetup
    engine: Engine
    clean: tuple[str, CleanStates] | None = None


def make_setup(engine: Engine, *, threads: int) -> WorkerSetup:
    """What travels; the host model itself is neither moved nor changed."""
    classifier = replace(engine.classifier, encoder=_no_encoder, collator=_no_collator)
    if classifier.device != "cpu":
        classifier = copy.deepcopy(classifier).to("cpu")
    return WorkerSetup(
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


def make_payload(work: Work, unit: Unit) -> BatchPayload:
    """The unit's batch, collated by the driver, which alone has the tokenizer."""
    batch = work.engine.classifier.collate(work.encoded, unit.rows)
    arrays = {name: tensor.cpu().numpy() for name, tensor in batch.items()}
    return BatchPayload(unit.batch, unit.rows, work.labels[unit.rows], arrays)


def score_unit(
    name: str,
    kits: Sequence[Any],
    payload: BatchPayload,
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
        return run_unit(_state_for(name, kits[0]), payload, chunk, wanted)


def run_unit(
    state: WorkerState,
    payload: BatchPayload,
    chunk: Chunk,
    wanted: Bool[np.ndarray, "cells examples"] | None = None,
) -> Scores:
    """One unit on a worker's own copy of the model."""
    classifier = state.engine.classifier
    with tapped(classifier) if state.setup.taps else nullcontext() as tap:
        engine = replace(state.engine, tap=tap)
        if state.clean is None or state.clean[0] != payload.name:
            state.clean = None  # frees the last batch before the next one needs the memory
            batch = {n: torch.tensor(a, device=classifier.device) for n, a in payload.batch.items()}
            state.clean = (payload.name, clean_pass(classifier, batch, payload.rows, tap))
        return run_chunk(engine, state.clean[1], chunk, payload.labels, wanted)


_STATES: dict[str, WorkerState] = {}
"""This process's state, under its setup's name; at most one."""


def _state_for(name: str, reference: Any) -> WorkerState:
    if name not in _STATES:
        _STATES.clear()
        _STATES[name] = take_state(import_module("ray").get(reference))
    return _STATES[name]


def take_state(setup: WorkerSetup) -> WorkerState:
    """Unpacks a setup in this process and sets torch's threads.

    Raises:
        ModelError: other weights than were sent.
        UsageError: other package versions than the driver's.
    """
    here = {package: version(package) for package in setup.versions}
    other = [package for package in here if here[package] != setup.versions[package]]
    if other:
        raise UsageError(
            f"worker on '{socket.gethostname()}' has {other[0]} {here[other[0]]}; expected "
            f"{setup.versions[other[0]]}, as where the audit was started"
        )
    torch.set_num_threads(setup.threads)
    classifier = setup.classifier.to(setup.device)
    if classifier.fingerprint() != setup.weights:
        raise ModelError(
            f"'{classifier.name}' reached the worker on '{socket.gethostname()}' with other "
            "weights; expected those it was sent with"
        )
    return WorkerState(
        setup,
        Engine(classifier, setup.site, setup.seed, benign=setup.benign, special=setup.special),
    )


def _any_of_its_kind(device: str) -> str:
    """A worker sees only the GPU that Ray gave it, whatever its number."""
    return device.partition(":")[0]


def _no_encoder(inputs: Sequence[Any]) -> Encoded:
    raise RuntimeError("a worker has no tokenizer")


def _no_collator(features: Sequence[Any]) -> Batch:
    raise RuntimeError("a worker has no tokenizer")
