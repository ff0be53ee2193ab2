"""How many random single bit flips canary inputs notice in memory, by the kind of bit.

A flip is noticed where a canary's states or answers differ from those at loading. What is not
noticed is asked for its effect: whether it moves any logit of some real inputs by more than a ten
thousandth of their largest one, and whether it changes an answer. Intervals: Wilson, 95 %.
Checksums, which run as often, find every flip of a weight by construction.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from bench_guard import subject
from harness import machine, save, show

from synapse_audit.errors import ModelError
from synapse_audit.guard import GuardedModel, GuardSettings
from synapse_audit.guard.building import make_guard
from synapse_audit.interventions.edits import FORMATS, applied, flip_edit, random_flips
from synapse_audit.statistics import wilson

BITS = {
    "sign": range(31, 32),
    "exponent, upper 4": range(27, 31),
    "exponent, lower 4": range(23, 27),
    "mantissa, upper 7": range(16, 23),
    "mantissa, lower 16": range(16),
}
MOVES = 1e-4
"""Relative to the largest logit."""
ASKED = 60


def parts_of(model: torch.nn.Module) -> dict[str, dict[str, np.ndarray]]:
    """Weights of the token embeddings, and all others, by name."""
    words = model.get_input_embeddings().weight
    found: dict[str, dict[str, np.ndarray]] = {"all but token embeddings": {}}
    for name, weight in model.named_parameters():
        where = "token embeddings" if weight is words else "all but token embeddings"
        found.setdefault(where, {})[name] = weight.detach().numpy()
    return found


def flips_of(
    guarded: GuardedModel,
    weights: Mapping[str, np.ndarray],
    bits: range,
    batch: Mapping[str, torch.Tensor],
    n: int,
) -> dict[str, Any]:
    """Counts of ``n`` random flips of such bits."""
    classifier = guarded.classifier
    clean = classifier.logits(batch)
    flips = random_flips(weights, list(bits), n, np.random.default_rng([17, bits.start]))
    noticed = moved = changed = 0
    for flip in flips:
        edit = flip_edit(weights, [flip], FORMATS["fp32"], None)
        if not edit.n_changed:  # the sign of a zero
            continue
        with applied(classifier.model, classifier.output_layer, edit):
            seen = _seen(guarded)
            noticed += seen
            if not seen:
                found = classifier.logits(batch)
                moved += not bool((found - clean).abs().max() <= MOVES * clean.abs().max())
                changed += bool((found.argmax(dim=1) != clean.argmax(dim=1)).any())
    ends = wilson(float(noticed), len(flips))
    return {
        "flips": len(flips),
        "noticed": noticed,
        "share": round(noticed / len(flips), 3),
        "low": round(float(ends.low), 3),
        "high": round(float(ends.high), 3),
        "unnoticed that move a logit": moved,
        "unnoticed that change an answer": changed,
    }


def _seen(guarded: GuardedModel) -> bool:
    try:
        guarded.ask_canaries()
    except ModelError:
        return True
    return False


def main() -> None:
    """Each kind of bit in each part of the weights."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--flips", type=int, default=200)
    options = parser.parse_args()
    at_start = machine()
    classifier, encoded, clean = subject(options.model, options.rows)
    guard = make_guard(clean, classifier, GuardSettings(false_alarm_rate=0.05))
    guarded = GuardedModel(classifier, guard)
    batch = classifier.collate(encoded, clean.evaluate[:ASKED])
    lines = [
        {"weights": part, "bit": name, **flips_of(guarded, weights, bits, batch, options.flips)}
        for part, weights in parts_of(classifier.model).items()
        for name, bits in BITS.items()
    ]
    show(f"Flips that canaries notice, {options.model}", lines)
    save("canaries", at_start=at_start, results={"model": options.model, "flips": lines})


if __name__ == "__main__":
    main()
