"""Which layers tell rows that the model was trained on from held-out ones; ``membership.parquet``.

Held out are the run's ``evaluate`` rows; the rows of ``--membership`` were trained on. As many of
each class on both sides are taken, so that classes give nothing away. Rows that occur in both files
were trained on and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from synapse_audit.artifacts import ALL_LAYERS, Cell, LabelledData
from synapse_audit.config import AuditConfig
from synapse_audit.data import load_data
from synapse_audit.errors import DataError, UsageError
from synapse_audit.model import BLOCK_OUTPUT, Classifier, vocabulary_size
from synapse_audit.model.activations import Extraction, extract
from synapse_audit.model.families.record import TEXT
from synapse_audit.neurons import NeuronSet, count, random_draw, top
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.pipeline.stages.subject import one_of
from synapse_audit.probes.membership import (
    cross_fitted,
    folds_of,
    hashed_words,
    telling_neurons,
)
from synapse_audit.sweep import Engine, intervene

FILE = "membership"

FRACTIONS = (0.2, 0.5, 0.65, 0.8)
"""Shares of every block's neurons that are silenced."""

DRAWS = 20
"""Random sets of each size."""

LEAST = 20
"""Rows of each side below which nothing is said."""


class Side(NamedTuple):
    """Training rows beside held-out ones, as many of each class."""

    held_out: Int[np.ndarray, " rows"]
    """Examples of the run's data."""
    members: Int[np.ndarray, " rows"]
    """Rows of the membership file."""


class Material(NamedTuple):
    """Rows of one comparison with all that attackers read; held-out rows first."""

    inputs: tuple[Any, ...]
    labels: Int[np.ndarray, " rows"]
    member: np.ndarray
    states: tuple[Float[np.ndarray, "rows _"], ...]
    """Per layer, of the untouched model."""
    logits: Float[np.ndarray, "rows classes"]


def check_membership(config: AuditConfig, subject: Subject) -> None:
    """Refuses a file that cannot serve, before anything is computed.

    Raises:
        UsageError: windows are asked for, of which several come from one row.
        DataError: the file cannot be read, or has too few rows that are in it alone.
    """
    if config.membership is None:
        return
    if config.window is not None:
        raise UsageError("--membership given with --window; expected whole rows: one or the other")
    _sides(config, subject, _trained_on(config, subject.classifier))


def audit_membership(
    run: Run, subject: Subject, engine: Engine, found: Extraction
) -> pd.DataFrame | None:
    """Ranks of every attacker for every row; None where nobody asked.

    Raises:
        DataError: too few rows that occur in one of the files alone.
    """
    if run.config.membership is None:
        return None
    if not run.has(f"{FILE}.parquet"):
        run.folder.write_table(FILE, _measured(run, subject, engine, found))
    return run.folder.read_table(FILE)


def _measured(run: Run, subject: Subject, engine: Engine, found: Extraction) -> pd.DataFrame:
    trained = _trained_on(run.config, subject.classifier)
    both = len({*trained.inputs} & {*subject.data.inputs})
    if both:
        run.warn([
            f"{both:,} inputs of '{run.config.membership}' are among the audited ones too; "
            "they were trained on and are left out of the membership audit"
        ])  # fmt: skip
    judged, ranking = _sides(run.config, subject, trained)
    rows = _material(subject, found, trained, judged)
    fold = folds_of(rows.member, rows.labels, run.config.seed)
    parts = [*_clean(rows, fold, subject), *_null(subject, found, judged, run.config.seed)]
    if len(ranking.members) >= LEAST:
        seen = _material(subject, found, trained, ranking)
        scores = [telling_neurons(states, seen.member) for states in seen.states]
        parts += _silenced(run, engine, rows, fold, scores)
    return pd.concat(parts, ignore_index=True)


# ---- rows ----------------------------------------------------------------------------------------


def _trained_on(config: AuditConfig, classifier: Classifier) -> LabelledData:
    return load_data(
        str(config.membership),
        config.reading,
        classes=classifier.classes,
        seed=config.seed,
        vocabulary=vocabulary_size(classifier.model) if config.tokens == "ids" else None,
        modality=classifier.modality,
        one_of=one_of(classifier),
    )


def _sides(config: AuditConfig, subject: Subject, trained: LabelledData) -> tuple[Side, Side]:
    """What attackers are judged on (``evaluate``), and other rows that rank neurons (``fit``)."""
    both = {*trained.inputs} & {*subject.data.inputs}
    free = np.array([text not in both for text in trained.inputs], dtype=bool)
    kept = np.array([text not in both for text in subject.data.inputs], dtype=bool)
    generator = np.random.default_rng([config.seed, 9])
    members, most = np.flatnonzero(free), config.grid.membership_rows
    splits = subject.splits
    held = [rows[kept[rows]] for rows in (splits.evaluate, splits.fit)]
    judged = _matched(held[0], members, (subject.data, trained), most, generator)
    if len(judged.members) < LEAST:
        raise DataError(
            f"{len(judged.members)} rows of '{config.membership}' given that are not among the "
            f"audited ones and have as many beside them of their class; expected at least {LEAST}"
        )
    rest = np.setdiff1d(members, judged.members)
    return judged, _matched(held[1], rest, (subject.data, trained), most, generator)


def _matched(
    held_out: Int[np.ndarray, " rows"],
    members: Int[np.ndarray, " members"],
    data: tuple[LabelledData, LabelledData],
    most: int,
    generator: np.random.Generator,
) -> Side:
    """As many rows of each class on both sides, at most ``most`` a side, classes as held out."""
    share = min(1.0, most / max(1, len(held_out)))
    chosen: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for label in np.unique(data[0].labels[held_out]):
        mine = generator.permutation(held_out[data[0].labels[held_out] == label])
        theirs = generator.permutation(members[data[1].labels[members] == label])
        n = min(int(np.ceil(share * len(mine))), len(theirs))
        chosen[0].append(mine[:n])
        chosen[1].append(theirs[:n])
    none = np.zeros(0, dtype=np.int64)
    return Side(*(np.concatenate([none, *some]).astype(np.int64) for some in chosen))


def _material(subject: Subject, found: Extraction, trained: LabelledData, side: Side) -> Material:
    inputs = [trained.inputs[i] for i in side.members]
    encoded = subject.classifier.encode(inputs)
    theirs = extract(subject.classifier, encoded, fit=np.zeros(0, dtype=np.int64))
    mine = side.held_out
    return Material(
        (*(subject.data.inputs[i] for i in mine), *inputs),
        np.concatenate([subject.data.labels[mine], trained.labels[side.members]]),
        np.repeat([False, True], [len(mine), len(inputs)]),
        tuple(
            np.concatenate([np.asarray(held[mine]), np.asarray(new)])
            for held, new in zip(found.activations.layers, theirs.activations.layers, strict=True)
        ),
        np.concatenate([found.logits[mine], theirs.logits]),
    )


# ---- attackers -----------------------------------------------------------------------------------


def _clean(
    rows: Material, fold: Int[np.ndarray, " rows"], subject: Subject
) -> Iterator[pd.DataFrame]:
    """Every layer of the untouched model, its loss, and the texts without any model."""
    right = rows.logits.argmax(axis=1) == rows.labels
    for layer, states in enumerate(rows.states):
        ranks = cross_fitted(states, rows.member, fold)
        yield _table(rows, ranks, right, scope=str(layer), selection="clean")
    likely = _log_likelihood(rows, subject.classifier.decision.shift)
    yield _table(rows, likely, right, scope="loss", selection="clean")
    if subject.classifier.modality == TEXT and isinstance(rows.inputs[0], str | tuple):
        ranks = cross_fitted(hashed_words(rows.inputs), rows.member, fold)
        yield _table(rows, ranks, right, scope="inputs", selection="clean")


def _log_likelihood(
    rows: Material, shift: Float[np.ndarray, " classes"] | None
) -> Float[np.ndarray, " rows"]:
    """Of the row's own class: higher for rows that the model has fitted.

    ``shift``: what decision thresholds added to the logits.
    """
    z = rows.logits.astype(np.float64) - (0.0 if shift is None else shift)
    z = z - z.max(axis=1, keepdims=True)
    own = z[np.arange(len(z)), rows.labels]
    return np.asarray(own - np.log(np.exp(z).sum(axis=1)))


def _null(subject: Subject, found: Extraction, judged: Side, seed: int) -> Iterator[pd.DataFrame]:
    """The same attackers on rows that were held out on both sides: what chance alone gives."""
    other = _matched(
        judged.held_out,
        subject.splits.fit,
        (subject.data, subject.data),
        len(judged.held_out),
        np.random.default_rng([seed, 10]),
    )
    if len(other.members) < LEAST:
        return
    both = np.concatenate(other)
    member = np.repeat([False, True], [len(side) for side in other])
    labels, logits = subject.data.labels[both], found.logits[both]
    layers = tuple(np.asarray(layer[both]) for layer in found.activations.layers)
    rows = Material(tuple(subject.data.inputs[i] for i in both), labels, member, layers, logits)
    fold = folds_of(member, labels, seed)
    right = logits.argmax(axis=1) == labels
    for layer, states in enumerate(layers):
        ranks = cross_fitted(states, member, fold)
        yield _table(rows, ranks, right, scope=str(layer), selection="null")


def _silenced(
    run: Run,
    engine: Engine,
    rows: Material,
    fold: Int[np.ndarray, " rows"],
    scores: Sequence[Float[np.ndarray, " neurons"]],
) -> Iterator[pd.DataFrame]:
    """The last layer of the model with its most telling neurons silenced, or random ones.

    What is silenced in a block reaches those above it. Attackers are fitted again on what the
    silenced model says; the stale ones were fitted on the untouched model.
    """
    encoded = engine.classifier.encode(list(rows.inputs))
    total = len(FRACTIONS) * (1 + DRAWS)
    with run.progress.stage("membership", total * len(rows.inputs)) as advance:
        for fraction in FRACTIONS:
            for selection, draw, chosen in _sets(scores, fraction, run.config.seed):
                with intervene(engine.classifier, _cell(chosen), engine.site, seed=engine.seed):
                    none = np.zeros(0, dtype=np.int64)
                    found = extract(engine.classifier, encoded, fit=none)
                states = np.asarray(found.activations.layers[-1])
                right = found.logits.argmax(axis=1) == rows.labels
                scope = str(len(rows.states) - 1)
                for attacker, seen in (("refitted", None), ("stale", rows.states[-1])):
                    ranks = cross_fitted(states, rows.member, fold, fitted_on=seen)
                    table = _table(rows, ranks, right, scope=scope, selection=selection)
                    yield table.assign(attacker=attacker, fraction=fraction, draw=draw)
                advance(len(rows.inputs))


def _sets(
    scores: Sequence[Float[np.ndarray, " neurons"]], fraction: float, seed: int
) -> Iterator[tuple[str, int, NeuronSet]]:
    blocks, widths = range(1, len(scores)), [len(layer) for layer in scores]
    yield "top", 0, top(scores, fraction, blocks)
    counts = {layer: count(fraction, widths[layer]) for layer in blocks}
    for draw in range(DRAWS):
        yield "random", draw, random_draw(widths, counts, draw, seed)


def _cell(chosen: NeuronSet) -> Cell:
    return Cell(
        "neuron", "mean", BLOCK_OUTPUT, position="pooled", layers=ALL_LAYERS, neurons=chosen
    )


def _table(
    rows: Material,
    score: Float[np.ndarray, " rows"],
    right: np.ndarray,
    *,
    scope: str,
    selection: str,
) -> pd.DataFrame:
    """What one attacker said of every row; nothing silenced."""
    return pd.DataFrame({
        "scope": scope, "selection": selection, "attacker": "refitted", "fraction": np.nan,
        "draw": 0, "row": np.arange(len(score)), "member": rows.member, "label": rows.labels,
        "score": score, "right": right,
    })  # fmt: skip
