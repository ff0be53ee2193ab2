"""Whether a model is the one that the guard was made for: checksums and canaries.

Checksums per tensor find every changed bit of the weights, when they are loaded and again every so
many calls, and say in which tensor. Canaries are inputs with known states and answers: they find
what changes in that which runs the weights, and what of a changed weight reaches them. Canaries are
random token numbers, drawn from a seed; nobody's text is stored.

Two tolerances hold for canaries. What the folder stores was computed on another machine perhaps, so
it is compared as different machines allow. From loading on, the pooled states at every place are
compared with those that the same machine gave then, as closely as repetition gives them: one
weight moves a logit by less than other machines do, and a prediction hardly ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from synapse_audit.errors import AuditError, ModelError, first_line
from synapse_audit.guard.parts import Canaries
from synapse_audit.model import Classifier, logits_of, vocabulary_size
from synapse_audit.model.loading.weights import stored_bytes

CANARIES, TOKENS = 16, 12
"""How many canaries there are, and how long they are at most."""
TOLERANCE = 1e-3
"""Relative to the largest canary logit: what another machine or batch size changes is far less."""
REPEATED = 1e-5
"""Relative to the largest value of a canary's state: some hundred roundings of float32, since the
same product may be summed in another order the next time."""
NOISE = 8.0
"""Times what two repetitions differ by, where that is more."""


class CanaryStates(NamedTuple):
    """What the canaries gave when the model was loaded."""

    states: list[Tensor]
    """Per place (canaries, neurons), then logits (canaries, classes)."""
    tolerance: float
    """Difference, relative to the largest value of a canary's state, that repetition may make."""


def repeated(first: list[Tensor], second: list[Tensor]) -> CanaryStates:
    """The states of two passes in a row, with the tolerance that they need."""
    noise = float(_difference(second, first).amax())
    return CanaryStates(first, max(REPEATED, NOISE * noise))


def check_states(found: list[Tensor], known: CanaryStates, name: str) -> None:
    """Refuses a model whose canaries have other states or answers than when it was loaded.

    Raises:
        ModelError: a state differs, or is no number.
    """
    difference = _difference(found, known.states)
    # Not "more than the tolerance": a difference that is no number is one.
    wrong = ~(difference <= known.tolerance)
    if bool(wrong.any()):
        raise _otherwise(name, int(wrong.sum()), len(wrong), "when it was loaded")


def _difference(found: Sequence[Tensor], known: Sequence[Tensor]) -> Float[Tensor, " canaries"]:
    """Largest difference over places, each relative to the canary's largest value there."""
    each = [
        (one - other).abs().amax(dim=1) / other.abs().amax(dim=1).clamp_min(1e-12)
        for one, other in zip(found, known, strict=True)
    ]
    return torch.stack(each).amax(dim=0)


def tensor_hashes(model: nn.Module) -> dict[str, str]:
    """sha256 of every weight and buffer: of its type, its shape and its bytes."""
    return {name: _hash(tensor) for name, tensor in sorted(model.state_dict().items())}


def _hash(state: Any) -> str:
    kind = f"{state.dtype} {tuple(state.shape)}" if isinstance(state, Tensor) else "packed"
    found = hashlib.sha256(kind.encode())
    for part in stored_bytes(state):
        found.update(part)
    return found.hexdigest()


def check_tensors(model: nn.Module, known: Mapping[str, str], name: str) -> None:
    """Refuses a model of which any tensor differs.

    Raises:
        ModelError: the line names the first tensor that is different, missing or new.
    """
    found = tensor_hashes(model)
    for tensor in sorted({*known, *found}):
        if known.get(tensor) != found.get(tensor):
            n = sum(known.get(t) != found.get(t) for t in {*known, *found})
            what = "is different" if tensor in known and tensor in found else "is new"
            what = "is missing" if tensor not in found else what
            raise ModelError(
                f"model '{name}' is not the one that the guard was made for: tensor '{tensor}' "
                f"{what} ({n:,} of {len(known):,} differ); expected the same weights, or a guard "
                "made anew from an audit of these"
            )


def make_canaries(classifier: Classifier, *, seed: int = 0) -> Canaries:
    """Random token numbers between the model's own special tokens, and what it says of them.

    Raises:
        ModelError: the model reads no tokens.
    """
    example = _example(classifier)
    size = vocabulary_size(classifier.model)
    generator = np.random.default_rng([seed, 13])
    special = list(classifier.special_tokens)
    ids = generator.integers(0, size, (CANARIES, len(example["input_ids"])))
    ids[:, 0] = example["input_ids"][0] if special else ids[:, 0]
    ids[:, -1] = example["input_ids"][-1] if special else ids[:, -1]
    inputs = {
        name: np.broadcast_to(np.asarray(values, np.int64), ids.shape).copy()
        for name, values in example.items()
    }
    inputs["input_ids"] = ids
    logits = _answers(classifier, inputs)
    return Canaries(inputs, logits, max(1e-6, TOLERANCE * float(np.abs(logits).max())))


def _example(classifier: Classifier) -> dict[str, list[int]]:
    """One encoded example of ``TOKENS`` tokens: which arguments there are, and their shape."""
    try:
        (features,) = classifier.encode([" ".join(["0"] * TOKENS)]).features
        ids = list(features["input_ids"])
    except (AuditError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"model '{classifier.name}' reads no token numbers; expected one that reads texts or "
            "token ids: no canaries can be made for others"
        ) from error
    kept = [*range(min(TOKENS, len(ids)) - 1), len(ids) - 1]
    return {name: [list(values)[i] for i in kept] for name, values in features.items()}


def _answers(classifier: Classifier, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    batch = {n: torch.from_numpy(v).to(classifier.device) for n, v in inputs.items()}
    found: np.ndarray = classifier.logits(batch).float().cpu().numpy()
    return found


def check_canaries(
    canaries: Canaries, answer: Callable[[Mapping[str, Tensor]], Tensor], name: str
) -> None:
    """Asks the canaries and refuses a model that answers otherwise than when it was guarded.

    Args:
        answer: batch → logits of the host model alone.

    Raises:
        ModelError: an answer differs by more than other machines make, or is no number.
    """
    try:
        with torch.inference_mode():
            batch = {n: torch.from_numpy(v) for n, v in canaries.inputs.items()}
            found = logits_of(answer(batch)).float().cpu().numpy()
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"model '{name}' cannot read the guard's canary inputs ({first_line(error)[:200]}); "
            "expected the model that the guard was made for"
        ) from error
    wrong = ~(np.abs(found - canaries.logits) <= canaries.tolerance).all(axis=1)
    if wrong.any():
        raise _otherwise(name, int(wrong.sum()), len(wrong), "when it was guarded")


def _otherwise(name: str, wrong: int, n: int, when: str) -> ModelError:
    return ModelError(
        f"model '{name}' answers {wrong} of {n} canary inputs otherwise than {when}; expected the "
        "same answers: its weights in memory, or what runs them, changed. Load it again from files "
        "that are known to be good"
    )
