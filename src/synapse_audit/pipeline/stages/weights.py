"""Weights that faults fall on, and the bits chosen with the model at hand; ``flips.parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from synapse_audit.interventions.edits import (
    Attacked,
    ChosenFlips,
    Flip,
    Part,
    choose_flips,
    every_weight,
    find_parts,
)
from synapse_audit.model.activations import Extraction
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.plan import PlanInputs
from synapse_audit.sweep import answers_from
from synapse_audit.tables.run import FLIPS

HEAD_EXAMPLES, BLOCK_EXAMPLES = 512, 32
"""Examples of ``fit`` that a search looks at: the head reads stored states, a block needs
itself and all blocks above it."""

PURPOSE = ["selection", "format", "kind", "part", "layer", "target"]

ON_PARTS = {"gaussian_fault", "gain"}
"""Edits that fall on parts of the model."""


def with_weights(run: Run, subject: Subject, found: Extraction, source: PlanInputs) -> PlanInputs:
    """The sources with what edits of weights need; the model is left as it was."""
    classifier, grid = subject.classifier, run.config.grid
    if grid.faults:
        every = every_weight(classifier.model, classifier.output_layer, classifier.blocks)
        source = replace(source, every=every)
    if not grid.bit_formats and not ON_PARTS & {*grid.edits}:
        return source
    ends = (1, classifier.n_layers)
    parts = find_parts(classifier.model, classifier.output_layer, classifier.blocks, ends)
    if not grid.bit_formats:
        return replace(source, parts=parts)
    # Kept, because gradients may differ in the last digit when an interrupted run goes on.
    if not run.has("flips.parquet"):
        attacked = replace(_attacked(run, subject, found), targets=source.own)
        run.folder.write_table("flips", _table(_choose(run, attacked, parts)))
    return replace(source, parts=parts, flips=_read(run.folder.read_table("flips")))


def _choose(run: Run, attacked: Attacked, parts: Sequence[Part]) -> list[ChosenFlips]:
    grid, chosen = run.config.grid, list[ChosenFlips]()
    with run.progress.stage("choosing bits", len(parts)) as advance:
        for part in parts:
            chosen += choose_flips(attacked, part, grid.bit_formats, grid.bit_counts)
            advance(1)
    return chosen


def _attacked(run: Run, subject: Subject, found: Extraction) -> Attacked:
    rows = np.random.default_rng([run.config.seed, 5]).permutation(subject.splits.fit)
    few, many = rows[:BLOCK_EXAMPLES], np.sort(rows[:HEAD_EXAMPLES])
    batch = subject.classifier.collate(subject.encoded, few)
    return Attacked(
        subject.classifier,
        batch,
        found.logits[few].argmax(axis=1),
        np.asarray(found.activations.head_input[many]),
        found.logits[many].argmax(axis=1),
        answers_from(subject.classifier, batch),
    )


def _table(chosen: Sequence[ChosenFlips]) -> pd.DataFrame:
    """One row per flip; ``step`` counts from 1."""
    rows = [
        (*(getattr(choice, name) for name in PURPOSE), step, *flip)
        for choice in chosen
        for step, flip in enumerate(choice.flips, start=1)
    ]
    table = pd.DataFrame(rows, columns=FLIPS.names)
    texts = dict.fromkeys(["selection", "format", "kind", "part", "target", "weight"], "str")
    return table.astype(
        texts | {"layer": "Int64", "step": "int64", "entry": "int64", "bit": "int64"}
    )


def _read(table: pd.DataFrame) -> tuple[ChosenFlips, ...]:
    rows = table.astype(object).where(table.notna(), None).sort_values("step", kind="stable")
    found: dict[ChosenFlips, list[Flip]] = {}
    for row in rows.to_dict("records"):
        purpose: dict[str, Any] = {name: row[name] for name in PURPOSE}
        flips = found.setdefault(ChosenFlips(**purpose, flips=()), [])
        flips.append(Flip(str(row["weight"]), int(row["entry"]), int(row["bit"])))
    return tuple(replace(choice, flips=tuple(flips)) for choice, flips in found.items())
