"""What an audit would do and cost, without doing it: ``run --dry-run``.

In: a configuration. Out: the plan's size, seconds, memory and disk, from the shapes of the model
and the data and one small timed batch. A few short examples give the states that cells are built
from; scores of neurons are random and bits arbitrary, since how many there are does not depend on
which. Nothing is written to the run folder.

*Limits.* Where the plan depends on what only the audit computes, it may differ by a few cells
(:data:`DEPENDS`). Routes are taken to pass their check. One batch is timed, so seconds are meant
within :data:`~synapse_audit.sweep.cost.FACTOR`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Int

from synapse_audit.artifacts import GLOBAL, LayerStatistics, Plan, Ranking, Splits
from synapse_audit.artifacts.label_sets import decided
from synapse_audit.config import AuditConfig
from synapse_audit.interventions.edits import HeadView, every_weight, find_parts, placeholder_flips
from synapse_audit.memory import peak_memory
from synapse_audit.model import BLOCK_OUTPUT, Encoded
from synapse_audit.model.activations import Extraction, extract, largest_batch, length_batches
from synapse_audit.pipeline import stages
from synapse_audit.pipeline.stages.directions import DRAWS, Layer, directions_of
from synapse_audit.pipeline.stages.named_neurons import kept_sites, named_neuron_inputs
from synapse_audit.pipeline.stages.pricing import Pricing
from synapse_audit.pipeline.stages.sites import swept_sites
from synapse_audit.pipeline.stages.weights import ON_PARTS
from synapse_audit.plan import Direction, PlanInputs, SiteInputs, Trimmed, build_cells
from synapse_audit.plan.plan_inputs import support
from synapse_audit.probes import layer_statistics
from synapse_audit.probes.directions import concept
from synapse_audit.progress import Progress, Silent
from synapse_audit.rankings import ACROSS, ATTRIBUTED, RANKINGS
from synapse_audit.store import RunFolder
from synapse_audit.sweep import Cost, Engine, Site, Tap, Timing, tapped
from synapse_audit.sweep.executors import batch_memory, processes
from synapse_audit.sweep.score import fields

PER_CLASS, MOST_ROWS = 4, 64
"""Examples that give states: so many of each class, and no more in all than one per class or 64."""

TIMING = Timing(batches=1, cells=2, tokens=512)

DEPENDS = {
    "exclusive": "neurons that only one class ranks high",
    "constant": "neurons found to act as constants",
    "bit_flip": "where a search for bits has nothing left to gain",
    "edit": "which classes are confused",
}
"""Group of cells → what its number depends on that is known only in the audit."""


@dataclass(frozen=True)
class Forecast:
    """What an audit would do, and what that takes."""

    plan: Plan
    cost: Cost
    examples: int
    """Evaluated."""
    disk: int
    """Bytes of states and outcomes in the run folder, per seed."""
    memory: int | None
    """Bytes at the peak, roughly; None where the system does not say what is held."""
    trimmed: Trimmed
    """What the time budget would leave out or make coarser."""
    precision: float
    """Half width that was asked for."""
    others: tuple[str, ...] = ()
    """Classes, or labels, without experiments of their own."""
    several: bool = False
    """Whether every example has a set of labels."""
    besides: tuple[str, ...] = ()
    """What the audit does besides, which the cost leaves out."""

    @property
    def groups(self) -> dict[str, int]:
        """Group → its cells."""
        found: dict[str, int] = {}
        for cell in self.plan.cells:
            found[str(cell.group)] = found.get(str(cell.group), 0) + 1
        return found

    @property
    def uncertain(self) -> dict[str, str]:
        """The groups of the plan whose number is not known beforehand, and why."""
        return {name: why for name, why in DEPENDS.items() if name in self.groups}


def forecast(
    config: AuditConfig,
    *,
    progress: Progress | None = None,
    check: Callable[[Path], None] = lambda folder: None,
) -> Forecast:
    """The plan of a configuration and its cost.

    Args:
        check: looks at a folder that holds the manifest and splits of the run, and may refuse.

    Raises:
        AuditError: anything that the audit would refuse before its first stage.
    """
    stages.check_names(config)
    subject = stages.read_subject(config)
    if subject.several:
        config = stages.for_several(config)
    stages.check_options(config, subject)
    with TemporaryDirectory(prefix="synapse-audit-") as folder:
        run = stages.Run(RunFolder.claim(folder), config, progress or Silent())
        stages.identify(run, subject)
        check(Path(folder))
        with subject.classifier.unharmed(), tapped(subject.classifier) as tap:
            return _forecast(run, subject, tap)


def _forecast(run: stages.Run, subject: stages.Subject, tap: Tap | None) -> Forecast:
    few = _few(subject)
    short = Encoded([subject.encoded.features[i] for i in few], subject.encoded.lengths[few], 0)
    found = extract(
        subject.classifier, short, fit=np.arange(len(few)), sites=kept_sites(run, subject)
    )
    statistics = _statistics(subject, found, few)
    inner = {name: Site(statistics[name], site.others) for name, site in found.sites.items()}
    site = Site(statistics[BLOCK_OUTPUT], found.others, inner)
    engine = Engine(subject.classifier, site, run.config.seed, tap, benign=subject.benign)
    inputs = _inputs(run, subject, found, statistics)
    plan = engine.plan(build_cells(inputs))
    # Samples are drawn by what the model says; how large they are does not depend on that.
    said = np.eye(len(subject.data.strata), dtype=np.float32)[subject.data.labels]
    pricing = Pricing.of(run.config, subject, engine, plan, logits=said, timing=TIMING)
    priced, trimmed = pricing.within(plan, run.config.time_budget)
    disk = _disk(subject, priced.plan, found, two_phase=bool(priced.cost.stream))
    memory = _memory(run, subject, found)
    return Forecast(
        priced.plan,
        priced.cost,
        len(subject.evaluated),
        disk,
        memory,
        trimmed,
        run.config.precision,
        inputs.others,
        inputs.head.several,
        besides(run.config),
    )


def besides(config: AuditConfig) -> tuple[str, ...]:
    """What an audit does that no experiment of its plan is, in words.

    >>> from synapse_audit.config import make_config
    >>> besides(make_config({"model": "m", "data": "d", "membership": "train.csv"}))
    ('probes', 'rankings', 'choosing bits', 'the membership audit')
    """
    asked = {
        "probes": True,
        "rankings": True,
        "choosing bits": bool(config.grid.bit_formats),
        "typed edits": bool(config.attack),
        "the membership audit": config.membership is not None,
    }
    return tuple(name for name, wanted in asked.items() if wanted)


def _few(subject: stages.Subject) -> Int[np.ndarray, " few"]:
    """The shortest ``fit`` examples of every class: what they say does not matter."""
    fit, labels = subject.splits.fit, subject.data.labels[subject.splits.fit]
    ordered = fit[np.argsort(subject.encoded.lengths[fit], kind="stable")]
    present = np.unique(labels)
    each = int(np.clip(MOST_ROWS // len(present), 1, PER_CLASS))
    chosen = [ordered[subject.data.labels[ordered] == label][:each] for label in present]
    return np.sort(np.concatenate(chosen))


def _statistics(
    subject: stages.Subject, found: Extraction, few: Int[np.ndarray, " few"]
) -> Mapping[str, tuple[LayerStatistics, ...]]:
    nobody = np.zeros(0, dtype=np.int64)
    splits = Splits(np.arange(len(few)), nobody, nobody)
    held = {BLOCK_OUTPUT: found.activations} | {
        name: site.activations for name, site in found.sites.items()
    }
    labels, classes = subject.data.labels[few], subject.data.classes
    return {
        name: layer_statistics(states, splits, labels=labels, classes=classes)
        for name, states in held.items()
    }


def _inputs(
    run: stages.Run,
    subject: stages.Subject,
    found: Extraction,
    statistics: Mapping[str, tuple[LayerStatistics, ...]],
) -> PlanInputs:
    """What cells are built from, with random scores in the place of rankings."""
    grid, classifier, data = run.config.grid, subject.classifier, subject.data
    present = (
        np.arange(len(data.classes))
        if subject.several
        else np.unique(data.labels[subject.splits.fit])
    )
    ranked = (GLOBAL, *(data.classes[label] for label in present))
    generator = np.random.default_rng(run.config.seed)

    def made(method: str, widths: tuple[int, ...]) -> Ranking:
        scores = {name: [generator.random((width,)) for width in widths] for name in ranked}
        return Ranking(method, scores, across=method in ACROSS)

    widths = {
        name: tuple(len(layer.mean) for layer in layers) for name, layers in statistics.items()
    }
    swept = {*grid.rankings, *grid.compared}
    gradients = bool(set(ATTRIBUTED) & swept)
    methods = [name for name in RANKINGS if name not in ATTRIBUTED or gradients]
    head = np.asarray(found.activations.head_input)
    sites = {
        name: SiteInputs(statistics[name], made("probeless", widths[name]))
        for name in found.sites
        if name in grid.sites
    }
    inputs = PlanInputs(
        grid=grid,
        rankings={name: made(name, widths[BLOCK_OUTPUT]) for name in methods},
        statistics=statistics[BLOCK_OUTPUT],
        head=HeadView.of(
            classifier, head, decided(found.logits, several=classifier.decision.several)
        ),
        column_scores={name: [generator.random((head.shape[1],))] for name in data.classes},
        classes=data.classes,
        seed=run.config.seed,
        **swept_sites(sites, classifier.heads)._asdict(),
        directions=_directions(run, subject, found),
        given=named_neuron_inputs(run, found),
        support=support(data.labels, data.sets, subject.evaluated, len(data.classes)),
        benign=run.config.benign,
    )
    return replace(inputs, **_weights(run, subject, inputs))


def _directions(
    run: stages.Run, subject: stages.Subject, found: Extraction
) -> tuple[Direction, ...]:
    """As many as the audit will have, of the few examples and of arbitrary probes."""
    grid, generator = run.config.grid, np.random.default_rng(run.config.seed)
    few = _few(subject)
    labels = subject.data.labels[few]
    names = tuple(subject.data.classes[label] for label in np.unique(labels))
    made: list[Direction] = []
    for number in found.activations.blocks if grid.directions else ():
        states = np.asarray(found.activations.layers[number])
        given = concept(states, labels, np.ones(len(few)))
        if given is None:
            continue
        rows = generator.normal(size=(len(names), states.shape[1]))
        layer = Layer(number, given, rows - rows.mean(axis=0))
        own = names if number == found.activations.blocks[-1] else ()
        draws = min(DRAWS, grid.draws)
        made += directions_of(layer, own, grid.directions, draws, run.config.seed)
    return tuple(made)


def _weights(run: stages.Run, subject: stages.Subject, inputs: PlanInputs) -> dict[str, Any]:
    grid, classifier = run.config.grid, subject.classifier
    sources: dict[str, Any] = {}
    if grid.faults:
        sources["every"] = every_weight(
            classifier.model, classifier.output_layer, classifier.blocks
        )
    if not grid.bit_formats and not ON_PARTS & {*grid.edits}:
        return sources
    ends = (1, classifier.n_layers)
    parts = find_parts(classifier.model, classifier.output_layer, classifier.blocks, ends)
    if not grid.bit_formats:
        return sources | {"parts": parts}
    aims = [name for _, name in inputs.own]
    flips = [
        chosen
        for part in parts
        for chosen in placeholder_flips(part, grid.bit_formats, grid.bit_counts, aims)
    ]
    return sources | {"parts": parts, "flips": tuple(flips)}


# ---- memory and disk -----------------------------------------------------------------------------


def _width(found: Extraction) -> int:
    """Neurons kept of every example, at all sites and layers."""
    held = [found.activations, *(site.activations for site in found.sites.values())]
    held += [] if found.token_means is None else [found.token_means]
    return sum(layer.shape[1] for states in held for layer in states.layers)


def _disk(subject: stages.Subject, plan: Plan, found: Extraction, *, two_phase: bool) -> int:
    pair = sum(
        np.dtype(kind).itemsize for kind in fields(subject.benign, several=subject.several).values()
    )
    pair += 10 if two_phase else 0  # of the stream: class, divergence, design weight
    states = _width(found) + found.activations.head_input.shape[1] + found.logits.shape[1]
    pairs = len(plan.actions) * len(subject.evaluated)
    return 4 * states * len(subject.data) + pair * pairs


def _memory(run: stages.Run, subject: stages.Subject, found: Extraction) -> int | None:
    """The peak so far, resampled weights, and the clean states of one whole batch per process."""
    resampled = 4 * run.config.resamples * len(subject.evaluated)
    lengths, size = subject.encoded.lengths, run.config.batch_size
    tokens = largest_batch(lengths, length_batches(lengths, subject.evaluated, batch_size=size))
    width = sum(layer.shape[1] for layer in found.activations.layers)
    number = processes(run.config, subject.classifier, tokens=tokens)
    so_far = peak_memory()
    batches = number * batch_memory(width, tokens)
    return None if so_far is None else so_far + resampled + batches
