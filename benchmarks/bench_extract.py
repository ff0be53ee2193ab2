"""Pooled states of every layer: a plain ``output_hidden_states`` loop against ``extract``.

The plain loop takes rows as the file gives them, 32 at a time, padded to the longest of the
batch, and keeps the pooled row of every layer. Ours is timed twice: as an audit calls it (it then
also sums up the other tokens of the ``fit`` rows, which the plain loop does not), and for the same
work alone.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from harness import Spent, machine, save, show, timed
from subjects import BERT_BASE, bert_base, default_models, source_folder

from synapse_audit import demo
from synapse_audit.data import load_data
from synapse_audit.model import Classifier, Encoded
from synapse_audit.model.activations import extract

BATCH = 32


@torch.inference_mode()
def plain_loop(classifier: Classifier, encoded: Encoded) -> tuple[np.ndarray, ...]:
    """The usual loop: (layers, examples, neurons)."""
    parts: list[list[np.ndarray]] = []
    for start in range(0, len(encoded), BATCH):
        batch = classifier.collate(encoded, np.arange(start, min(start + BATCH, len(encoded))))
        states = classifier.model(**batch, output_hidden_states=True).hidden_states
        parts.append([state[:, 0].numpy() for state in states])
    return tuple(np.concatenate(layer) for layer in zip(*parts, strict=True))


def neurox() -> str:
    """Why NeuroX's own extraction is not timed here."""
    if find_spec("neurox") is None:
        return "NeuroX is not installed"
    return "NeuroX reads transformers' old interface and one sentence at a time; not timed"


LARGEST_GAP = 1e-4
"""Between the states of the two loops, in float32."""


def bench(name: str, rows: int, repeats: int) -> dict[str, Any]:
    """Both loops in turn, ``repeats`` times; the fastest of each counts."""
    folder = source_folder(name)
    classifier = Classifier.load(folder)
    csv = demo.bundled_data() if folder == demo.bundled_model() else folder / "test.csv"
    data = load_data(str(csv), classes=classifier.classes, max_examples=rows)
    if name == BERT_BASE:
        classifier = bert_base(classifier)
    encoded = classifier.encode(data.inputs)
    share = np.sort(np.random.default_rng(0).permutation(len(encoded))[: int(0.4 * len(encoded))])
    best = {
        name: Spent(np.inf, np.inf) for name in ("plain loop", "ours", "ours with other tokens")
    }
    for _ in range(repeats):
        found = {}
        for way, run in (
            ("plain loop", lambda: plain_loop(classifier, encoded)),
            ("ours", lambda: extract(classifier, encoded, fit=np.arange(0)).activations.layers),
            (
                "ours with other tokens",
                lambda: extract(classifier, encoded, fit=share).activations.layers,
            ),
        ):
            found[way], spent = timed(run)
            best[way] = min(best[way], spent, key=lambda s: s.cpu)
    gap = max(
        float(np.abs(a - b).max()) for a, b in zip(found["plain loop"], found["ours"], strict=True)
    )
    if gap > LARGEST_GAP:
        raise RuntimeError(f"{name}: states differ by {gap:.2g}; nothing is compared")
    lines = [
        {
            "way": way,
            "ms per example, CPU": 1000 * spent.cpu / len(encoded),
            "plain loop / it, wall": best["plain loop"].over(spent)[0],
            "plain loop / it, CPU": best["plain loop"].over(spent)[1],
        }
        for way, spent in best.items()
    ]
    show(f"{name}: extraction of {len(encoded)} examples (largest difference {gap:.1g})", lines)
    return {"examples": len(encoded), "largest difference": gap, "ways": lines, "NeuroX": neurox()}


def main() -> None:
    """Runs every model asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=[*default_models(), BERT_BASE])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--base-rows", type=int, default=128, help="likewise, BERT-base shape")
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    at_start = machine()
    results = {
        name: bench(name, options.base_rows if name == BERT_BASE else options.rows, options.repeats)
        for name in options.models
    }
    print(f"\nNeuroX: {neurox()}")
    save("extract", at_start=at_start, results={"options": vars(options), "models": results})


if __name__ == "__main__":
    main()
