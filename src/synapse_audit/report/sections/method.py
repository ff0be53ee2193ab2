"""How it was measured: definitions, what the run was made of, and what it cannot say.

Reads the manifest, the summary and the routes in ``effects``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Result, Section, Table
from synapse_audit.report.kit.input_words import kind_of
from synapse_audit.report.kit.tables import facts_table
from synapse_audit.tables.asymmetry import FRAGILITY
from synapse_audit.tables.run import EFFECTS
from synapse_audit.tables.table import ABSENT

READING = (
    "Splits: neurons are ranked and averages taken on fit, every choice is made on select, and "
    "every effect reported is measured on evaluate. No input occurs in two of them.",
    "Layers: 0 is the embeddings, l the output of block l. A share of neurons is always a share of "
    "each layer, because scores of different layers do not compare.",
    "Silencing: mean puts a neuron's average over fit in its place (headline), zero puts 0. The "
    "pooled position is the token that the head reads, or the mean of those it reads.",
    "Random controls: sets of the same size in each layer, from one permutation per draw, so that "
    "they are nested over shares. Norm-matched controls also share the profile of activation size.",
    "Plateau: the largest share up to which accuracy was measured to stay within 0.02 at every "
    "share tried; shown up to where the upper 97.5% bound of the loss does. Half point: half of "
    "the distance from clean accuracy to the best constant answer is lost between two of the "
    "shares tried; its interval holds the gap between them. A single number there is a straight "
    "line between the two, by convention.",
    "Redirect rate: share of examples not predicted as the target when clean that are afterwards. "
    "Collateral: share of examples outside the classes aimed at that were right and become wrong.",
    "Intervals: 95% percentile bootstrap over examples (or groups), paired with clean; where the "
    "bootstrap degenerates Wilson's for a share, Bonett and Price's for a drop. Tests of curves: t "
    "over the random draws. Curves of one question (rankings, layers, classes) are tested in an "
    "order set beforehand, each at 5% as long as all before it were significant, so one false "
    "finding in a question has a chance of at most 5%; adjusted is the largest p up to there "
    "(Maurer, Hothorn and Lehmacher 1995). With 20 draws no p is below 0.048.",
    "Two-phase: a cell at the pooled position may be run along the pooled row alone on every "
    "example, and exactly on a random part of them, denser where the answer is in doubt (a pilot "
    "says how dense, per kind of cell); the effect is then a difference estimate from both. "
    "Accuracies, drops, recalls "
    "and whatever is resampled from them (plateau, half point, fragility, matrix) carry the "
    "uncertainty of both phases.",
)
LIMITS = (
    "One model, one data set, one seed: intervals cover other examples from the same source, "
    "not of other training runs or other data.",
    "Interventions at single neurons depend on the basis; knowledge spread over directions can be "
    "missed.",
    "Effects are causal for this intervention; they do not show how the model computes its answer.",
    "Averages are taken over fit: where fit is small or differs from what the model meets in use, "
    "so does the value at which a silenced neuron is held. The average of neurons that vary "
    "together may be a state that never occurs.",
    "Probes are linear: what only a non-linear reader could find counts as absent, for them and "
    "for the rankings and sufficient sets built on them.",
    "Two-phase estimates rest on the pilot: a cell whose routes differ on rare examples only may "
    "be estimated from fewer exact ones than it needed, so that its interval, or that of a rare "
    "class's recall, covers less than 95%. Running with --exact avoids them.",
    "Metrics are weighted back to the class shares of the data; other shares give other figures.",
)
FEW = 30
"""Classes with fewer evaluate examples are named as such."""
EMPTY = "The run holds no manifest, so hashes, versions and times are unknown."
OTHER = "Notes"
REPEATED = ("identity.", "data.n_used")
"""What of the manifest says again what other entries say."""
HOMES = {
    "model": "What was audited",
    "data": "What was audited",
    "splits": "What was audited",
    "label_map": "What was audited",
    "decision": "What was audited",
    "config": "Configuration",
    "seed": "Configuration",
    "routes": "Fast routes against plain hooks",
    "status": "Versions, device and time",
    "schema": "Versions, device and time",
    "truncated": "What was audited",
    "warnings": "What was audited",
    "not_covered": "What was audited",
    "versions": "Versions, device and time",
    "finished": "Versions, device and time",
    "device": "Versions, device and time",
    "float32_matmul": "Versions, device and time",
    "times": "Versions, device and time",
    "cost": "Versions, device and time",
}
"""Block of the manifest → table that shows it."""


def method(result: Result) -> Section:
    """Definitions, provenance, cost and the list of limitations."""
    tokens = kind_of(result).token
    return Section(
        label="Method and provenance",
        heading="How was this measured?",
        answer=_answer(result),
        tables=_tables(result),
        reading=(*READING, tokens) if tokens else READING,
        limits=(*LIMITS, _small(result)),
    )


def _small(result: Result) -> str:
    """Which classes are too small for a firm word about them alone."""
    table = saved.frame(result, FRAGILITY)
    few = table[table["support"] < FEW].sort_values("support", kind="stable")
    names = [
        f"{prose.quoted(name)} {prose.whole(n)}"
        for name, n in zip(few["class"], few["support"], strict=True)
    ]
    general = "Classes with few examples have wide intervals, and rankings for them are unsteady"
    if not names:
        return f"{general}."
    return f"{general}; fewer than {FEW} evaluate examples: {prose.some(names)}."


def _answer(result: Result) -> tuple[str, ...]:
    facts = saved.facts(result)
    if not result.manifest:
        return (EMPTY,)
    preset = prose.plain(facts.preset) if facts.preset else "own"
    tests = "tests reported" if facts.tests else "no tests reported (too few draws)"
    made = (
        f"Preset {preset}: {prose.whole(len(result.effects))} cells on "
        f"{prose.whole(saved.dig(result.summary, 'n_evaluate'))} evaluate examples, "
        f"{prose.whole(facts.draws)} random draws per curve, {prose.whole(facts.resamples)} "
        f"bootstrap resamples, {tests}."
    )
    read = (*_rows(result), *_cut(result), *_indistinguishable(result), *_warnings(result))
    read = (*read, *_absent(result))
    run = (*_estimated(result), *_pooled(result), *_sampled(result), *_grouped(result))
    return made, *read, _routes(result), *run


def _warnings(result: Result) -> tuple[str, ...]:
    """What was shown while the run went on."""
    given = result.manifest.get("warnings")
    return tuple(f"Warning: {prose.plain(text)}." for text in given) if given else ()


def _absent(result: Result) -> tuple[str, ...]:
    """Columns that the run was written without, so that nobody looks for them."""
    tables = {"effects": result.effects}
    for finding, some in result.findings.items():
        tables |= {f"{finding}.{name}": table for name, table in some.items()}
    names = [f"{name}.{c}" for name, table in tables.items() for c in table.attrs.get(ABSENT, ())]
    if not names:
        return ()
    listed = prose.listing([prose.plain(name) for name in sorted(names)])
    return (f"The run was written before these columns were added, so they are unknown: {listed}.",)


def _rows(result: Result) -> tuple[str, ...]:
    """How many rows were read, and what became of them."""
    names = ("n_rows", "n_repeats", "n_rows_used")
    counts = [prose.as_float(saved.dig(result.manifest, "data", name)) for name in names]
    read, repeats, used = counts
    if math.isnan(sum(counts)):
        return ()
    kind, beyond = kind_of(result), read - repeats - used
    windows = saved.dig(result.manifest, "data", "windows")
    become = "were used" if windows else "were used, each as one example"
    left = [f"{prose.whole(repeats)} were repeats"] if repeats > 0 else []
    left += [f"{prose.whole(beyond)} were beyond the cap on rows"] if beyond > 0 else []
    if not left:
        return (f"All {prose.whole(read)} {kind.many} that were read {become}.",)
    said = f"Of {prose.whole(read)} {kind.many} that were read, {prose.listing(left)}; "
    return (f"{said}{prose.whole(used)} {become}.",)


def _cut(result: Result) -> tuple[str, ...]:
    """What was done to inputs that are longer than the model, or a window, can hold."""
    windows = saved.dig(result.manifest, "data", "windows")
    truncated = prose.as_float(saved.dig(result.manifest, "truncated"))
    if windows:
        return (_windows(result),)
    if not truncated > 0:
        return ()
    used = prose.whole(saved.dig(result.manifest, "data", "n_used"))
    asked = saved.dig(result.manifest, "model", "max_tokens")
    return (
        f"{prose.whole(truncated)} of {used} {kind_of(result).many} were longer than "
        f"{prose.plain(asked) if asked else 'the model can read'} and were cut to fit; "
        "nothing here covers what was cut off.",
    )


def _indistinguishable(result: Result) -> tuple[str, ...]:
    """How many inputs are the same to the model, because it reads the same of them."""
    same, used = (
        prose.as_float(saved.dig(result.manifest, "data", name))
        for name in ("n_indistinguishable", "n_rows_used")
    )
    if not same > 0:
        return ()
    much = " The tokenizer may not be the one that the model was trained with."
    return (
        f"{prose.whole(same)} of {prose.whole(used)} {kind_of(result).many} become the same token "
        f"ids as another one, so that the model cannot distinguish them."
        f"{much if 2 * same > used else ''}",
    )


def _windows(result: Result) -> str:
    size, stride = (saved.dig(result.manifest, "config", name) for name in ("window", "stride"))
    names = ("n_rows", "n_windows", "n_repeats")
    cut = saved.dig(result.manifest, "data", "windows")
    counts = [prose.as_float(saved.dig(cut, name)) for name in names]
    rows, windows, repeats = map(prose.whole, counts)
    left = prose.whole(counts[1] - counts[2])
    apart = "without overlap" if stride is None else f"one every {prose.whole(stride)} tokens"
    return (
        f"{rows} rows became {windows} windows of at most {prose.whole(size)} tokens, {apart}, of "
        f"which {repeats} repeated another one and were dropped. Each of the {left} left counts as "
        "an example with the label of its row, so that every figure is one per window and long "
        "rows count more; windows of one row never fall into different splits and are resampled "
        "together. McNemar's p values and Wilson's intervals ignore rows: they take windows as "
        "independent."
    )


def _routes(result: Result) -> str:
    route = saved.frame(result, EFFECTS)["route"].dropna()
    if not len(route):
        return "The routes that the engine took are not recorded."
    counts = route.value_counts()
    parts = [f"{prose.whole(n)} by {prose.plain(name)}" for name, n in counts.items()]
    return f"Routes of the engine: {prose.listing(parts)}; each is exact unless named two-phase."


def _estimated(result: Result) -> tuple[str, ...]:
    """How many cells are estimates, and from how many exact examples."""
    cells = saved.frame(result, EFFECTS)
    cells = cells[cells["route"] == "two-phase"]
    if not len(cells):
        return ()
    precision = prose.as_float(saved.dig(result.manifest, "second_phase_half_width"))
    width = prose.as_float(saved.dig(result.manifest, "config", "grid", "comparator_width"))
    others = (
        f" ({prose.number(width * precision)} for all but mean over all layers)"
        if width == width and width != 1
        else ""
    )
    target = (
        f", drawn so as to add at most {prose.number(precision)} to the half width of the "
        f"interval of accuracy{others}"
        if precision == precision
        else ""
    )
    first_phase = saved.dig(result.manifest, "first_phase")
    coarse = f" in {first_phase}" if first_phase in ("bfloat16", "int8") else ""
    return (
        f"{prose.whole(len(cells))} of {prose.whole(len(result.effects))} cells are two-phase "
        f"estimates: the pooled row alone was run{coarse} on all {_median(cells['n'])} "
        f"examples, the exact route on a median of {_median(cells['n_exact'])} of them{target}.",
    )


def _grouped(result: Result) -> tuple[str, ...]:
    """That of many classes some have no experiments of their own."""
    others = saved.dig(result.manifest, "other_classes") or ()
    if not others:
        return ()
    several = saved.several(result)
    noun = "labels" if several else "classes"
    own = "neurons ranked for them" if several else "neurons ranked for them, edits toward them"
    left = "" if several else "; targets are the others only"
    return (
        f"Of {prose.whole(len(saved.classes(result)))} {noun}, {prose.whole(len(others))} "
        f"{'has' if len(others) == 1 else 'have'} no experiments of their own ({own}): "
        f"{prose.some([prose.plain(name) for name in others])}. What the other experiments do to "
        f"them is measured all the same{left}.",
    )


def _pooled(result: Result) -> tuple[str, ...]:
    """That single random sets may be known little, where their mean is what is reported."""
    config = saved.dig(result.manifest, "config") or {}
    if not saved.dig(config, "grid", "pooled_controls") or config.get("exact"):
        return ()
    return (
        "Random sets beside anything but mean silencing of all layers at the pooled position are "
        "read as one control each: their mean is as precise as the rest (table "
        "redundancy.controls), a single set's row rests on fewer examples, and bands in "
        "which one more set would lie are rather too wide.",
    )


def _sampled(result: Result) -> tuple[str, ...]:
    """How many cells ran on a sample, of how many examples, and how precisely."""
    cells = saved.frame(result, EFFECTS)
    cells = cells[cells["tier"] == "exact-only"]
    cells = cells[cells["n_exact"] < cells["n"]]
    if not len(cells):
        return ()
    return (
        f"{prose.whole(len(cells))} cells that only exact passes can answer (every token, weights "
        f"of blocks, attacks) ran on a sample of the {_median(cells['n'])} examples, drawn by "
        f"class and by how sure the untouched model is: {_median(cells['n_exact'])} of them "
        "(median). Each stands for its share of all, and intervals hold for the sample's size: "
        f"the median half width of a drop is {prose.number(cells['half_width'].median())}.",
    )


def _median(values: pd.Series) -> str:
    known = values.dropna().astype(float)
    return prose.whole(known.median()) if len(known) else prose.UNKNOWN


def _tables(result: Result) -> tuple[Table, ...]:
    facts: dict[str, dict[str, str]] = {}
    tree = {**result.manifest, "cost": saved.dig(result.summary, "cost") or {}}
    # An option that only texts and token ids have; its default says "text" of every run.
    left_out = REPEATED if kind_of(result).unit == "token" else (*REPEATED, "config.tokens")
    for name, value in _flat(tree):
        if name.startswith(left_out):
            continue
        facts.setdefault(HOMES.get(name.partition(".")[0], OTHER), {})[name] = value
    order = saved.in_order(list(facts), tuple(dict.fromkeys(HOMES.values())))
    return tuple(facts_table(title, facts[title]) for title in order)


def _flat(tree: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested names joined by dots; lists as one comma-separated value."""
    for name, value in tree.items():
        key = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        elif isinstance(value, list | tuple):
            yield key, ", ".join(_value(v) for v in value) or prose.UNKNOWN
        else:
            yield key, _value(value)


def _value(value: Any) -> str:
    if value is None:
        return prose.UNKNOWN
    if isinstance(value, float):
        return f"{value:.6g}"
    return prose.plain(value)
