"""What a guard costs: processor time of the guarded model over that of the host alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from jaxtyping import Int

from synapse_audit.guard.guarded import GuardedModel
from synapse_audit.model import Encoded
from synapse_audit.model.evaluation_mode import evaluating

BATCHES = (1, 16)
ROUNDS = 40


def overhead(
    guarded: GuardedModel, encoded: Encoded, rows: Int[np.ndarray, " examples"]
) -> dict[str, dict[str, float]]:
    """Per batch size: milliseconds per input of host and guarded model, and their ratio − 1.

    Both run the same batch in turn, so that a busy machine slows both; medians over rounds of the
    processor time of this thread. Canaries, which run once in so many calls, are apart.
    """
    found = {}
    for size in BATCHES:
        some = rows[np.linspace(0, len(rows) - 1, min(size, len(rows))).round().astype(int)]
        batch = guarded.classifier.collate(encoded, some)

        def host() -> None:
            with torch.inference_mode():
                guarded.host(**batch)  # noqa: B023 (called at once)

        def behind() -> None:
            guarded(**batch)  # noqa: B023

        with evaluating(guarded.host):  # once: a host that is served is in that mode
            times = _in_turn(host, behind)
        per = [1000 * t / len(some) for t in times]
        found[str(size)] = {
            "host_ms": round(per[0], 4),
            "guarded_ms": round(per[1], 4),
            "overhead": round(per[1] / per[0] - 1, 4),
        }
    return found


def _in_turn(*calls: Callable[[], None]) -> list[float]:
    for call in calls:
        call()
    rounds = [[_seconds(call) for call in calls] for _ in range(ROUNDS)]
    return [median(column) for column in zip(*rounds, strict=True)]


def _seconds(call: Callable[[], None]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start
