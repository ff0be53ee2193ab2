"""A comparison as one self-contained HTML page, in the report's style."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from synapse_audit.compare.comparison import Comparison
from synapse_audit.compare.sentences import HIDES, sentences
from synapse_audit.compare.tables import changes_table, figures_table, flips_table
from synapse_audit.report.kit import prose
from synapse_audit.report.kit.contents import Chapter, Contents, Cover, Group, Plot, Section
from synapse_audit.report.kit.figures import RATE_AXIS, SHARE_AXIS, Axes, Line, curves, dots, legend
from synapse_audit.report.kit.page import as_html
from synapse_audit.report.kit.tables import COUNT, Column, table_of, text, with_intervals
from synapse_audit.report.kit.theme import SERIES, Style
from synapse_audit.store import AuditResult
from synapse_audit.summary import Figure, Keys, walk


def _yes(value: Any) -> str:
    """A truth value in words; a dash for the first run, which is compared with nothing."""
    return prose.UNKNOWN if value is None else ("yes" if value else "no")


CHANGES = (
    *(Column("run", "run", text), Column("figure", "figure", text), Column("class", "class", text)),
    *(Column("first", "first"), Column("second", "second"), Column("change", "change")),
    *(Column("95% interval", "change_interval", text), Column("p, corrected", "p", prose.p_value)),
)
FLIPS = (
    *(Column("run", "run", text), Column("class", "class", text), Column("examples", "n", COUNT)),
    *(Column("changed", "flips", COUNT), Column("share", "rate")),
    *(Column("95% interval", "rate_interval", text), Column("right → wrong", "lost", COUNT)),
    *(Column("wrong → right", "won", COUNT), Column("p, corrected", "p", prose.p_value)),
)
FIGURES = (
    *(Column("figure", "figure", text), Column("meaning", "meaning", text)),
    *(Column("run", "run", text), Column("value", "value")),
    *(Column("95% interval", "interval", text), Column("difference", "difference")),
    *(Column("joint interval", "difference_interval", text), Column("paired", "paired", _yes)),
    *(Column("shown", "verdict", text), Column("not paired, as", "why_not_paired", text)),
    Column("other settings", "other_settings", text),
)
READING = (
    "Changes are the later run's figure minus the first run's. Paired: both models answered the "
    "same examples, and the interval is that of the difference itself.",
    "Intervals of classes hold for all classes at once; tests swap the two models' answers at "
    "random and are corrected over classes (Holm).",
)
LIMITS = (
    "Differences of figures that the run folders do not hold example by example (paired: no) take "
    "the two runs as independent. On the same examples their intervals are usually wider than "
    "necessary. “Not shown” does not mean “equal”.",
    "A comparison says what differs between these two models on these examples, not why.",
)


def page(found: Comparison) -> str:
    """The HTML."""
    chapters = {"found": Chapter("The comparison", {"differs": _found(found)}, ())}
    if any(pair.flips for pair in found.pairs):
        chapters["changed"] = Chapter("Same examples", {"classes": _answers(found)}, ())
    chapters["sides"] = Chapter("Other figures", {"figures": _beside(found)}, ())
    names = [prose.plain(name) for name in found.names]
    return as_html(Contents(" · ".join(names), _cover(found), chapters))


def _cover(found: Comparison) -> Cover:
    said = sentences(found)
    facts = [f"{len(found.runs)} runs"]
    facts += [
        f"{prose.plain(pair.name)}: {'same examples' if pair.flips else 'not paired'}"
        for pair in found.pairs
    ]
    return Cover(tuple(facts), next((s for s in said if s.startswith(HIDES)), said[0]), (), ())


def _found(found: Comparison) -> Section:
    return Section(
        label="The answer",
        heading="What differs?",
        answer=sentences(found),
        reading=READING,
        limits=LIMITS,
    )


def _answers(found: Comparison) -> Section:
    flips, changes = flips_table(found), changes_table(found)
    styles = {name: SERIES[i % len(SERIES)] for i, name in enumerate(found.names)}
    panels = list(_class_panels(changes, styles))
    return Section(
        label="Answers",
        heading="Which answers changed, and in which direction?",
        answer=("Every class of the same examples, before and after.",),
        groups=(Group("", tuple(p for p, _ in panels), legend([x for _, x in panels])),),
        tables=(
            table_of("Changed answers", with_intervals(flips, "rate"), FLIPS),
            table_of("Paired changes", with_intervals(changes, "change"), CHANGES),
        ),
    )


def _class_panels(
    changes: pd.DataFrame, styles: Mapping[str, Style]
) -> Iterator[tuple[Plot, list[Line]]]:
    for measure in ("recall", "precision"):
        rows = changes[(changes["figure"] == measure) & changes["class"].notna()]
        names = list(dict.fromkeys(rows["class"]))
        series = [
            Line(
                str(run),
                styles[str(run)],
                list(range(len(part))),
                part["change"].tolist(),
                part["change_low"].tolist(),
                part["change_high"].tolist(),
            )
            for run, part in rows.groupby("run", sort=False)
        ]
        alt = f"Change of {measure}: {prose.figures(rows['class'], rows['change'])}"
        title = f"Change of {measure} per class"
        yield dots(title, names, series, x_title="later minus first", alt=alt), series


def _beside(found: Comparison) -> Section:
    table = figures_table(found)
    shown = with_intervals(table, "difference")
    shown["paired"] = shown["paired"].astype(object)
    shown["interval"] = prose.spans(table["low"], table["high"])
    panels = [panel for make in PANELS for panel in make(found)]
    return Section(
        label="Side by side",
        heading="More robust in which sense, and how surely?",
        answer=(
            "Shares of neurons, of the accuracy above chance and of the head's norm, so that "
            "models of other sizes and tasks stand on the same axes. The table says which "
            "differences are paired example by example; lines are each run's own.",
        ),
        groups=(Group("", tuple(p for p, _ in panels), legend([x for _, x in panels])),),
        tables=(table_of("Figures", shown, FIGURES),),
    )


Panel = tuple[Plot, list[Line]]


def _lines(
    found: Comparison, points: Callable[[AuditResult], dict[float, float]], *, read: Keys = ()
) -> list[Line]:
    """One line per run, marked where the figure with the keys ``read`` has other settings."""
    lines = []
    other = [bool(read) and bool(pair.common.other_settings(read)) for pair in found.pairs]
    marks = [" (other settings)" * differs for differs in (False, *other)]
    names = [name + mark for name, mark in zip(found.names, marks, strict=True)]
    for i, (name, run) in enumerate(zip(names, found.runs, strict=True)):
        at = dict(sorted(points(run).items()))
        if at:
            lines.append(Line(name, SERIES[i % len(SERIES)], list(at), list(at.values())))
    return lines


def _left(run: AuditResult) -> dict[float, float]:
    """Share silenced → share of the accuracy above chance that is left."""
    figures = dict(walk(run.summary))
    clean, chance = (
        figures.get(keys, Figure.unknown("")).value
        for keys in (("clean", "accuracy"), ("redundancy", "chance"))
    )
    if not clean > chance:
        return {}
    found = {
        float(keys[2]): (figure.value - chance) / (clean - chance)
        for keys, figure in figures.items()
        if keys[:2] == ("silenced", "accuracy") and len(keys) == 3 and figure.known
    }
    return {0.0: 1.0} | found if found else {}


def _certified(run: AuditResult) -> dict[float, float]:
    """Size of the edit → guaranteed accuracy."""
    return {
        float(keys[2]): figure.value
        for keys, figure in walk(run.summary)
        if keys[:2] == ("certificates", "l2") and len(keys) == 3 and figure.known
    }


def _certified_of_right(run: AuditResult) -> dict[float, float]:
    """Size of the edit → share of the right answers that it cannot change."""
    clean = dict(walk(run.summary)).get(("clean", "accuracy"), Figure.unknown("")).value
    return {size: share / clean for size, share in _certified(run).items()} if clean > 0 else {}


def _by_depth(run: AuditResult) -> dict[float, float]:
    """Depth as a share of the blocks → probe accuracy."""
    layers: Any = run.manifest.get("model", {}).get("layers")
    if not layers or not (run.folder / "probes.parquet").is_file():
        return {}
    rows = run.probes[run.probes["scope"].astype(str).str.isdigit()]
    return {
        int(r["scope"]) / int(layers): float(r["accuracy"])
        for r in rows.astype({"scope": str}).to_dict("records")
    }


def _panel(title: str, lines: list[Line], axes: Axes) -> Iterator[Panel]:
    if lines:
        ends = prose.figures([line.name for line in lines], [line.y[-1] for line in lines])
        yield curves(title, lines, axes, alt=f"{title}; at the right end: {ends}"), lines


def _removal_panel(found: Comparison) -> Iterator[Panel]:
    axes = Axes("share of neurons silenced", "left of the accuracy above chance", SHARE_AXIS)
    return _panel("Removal", _lines(found, _left, read=("silenced", "accuracy", "0.5")), axes)


def _certified_panel(found: Comparison) -> Iterator[Panel]:
    x = "edit, share of the head's norm"
    if found.same_task:
        axes = Axes(x, "guaranteed accuracy", SHARE_AXIS, RATE_AXIS)
        return _panel("Guaranteed accuracy", _lines(found, _certified), axes)
    axes = Axes(x, "share of the right answers", SHARE_AXIS, RATE_AXIS)
    return _panel(
        "Right answers that no such edit changes", _lines(found, _certified_of_right), axes
    )


def _depth_panel(found: Comparison) -> Iterator[Panel]:
    axes = Axes("depth, share of the blocks", "accuracy of the probe", SHARE_AXIS, RATE_AXIS)
    return _panel("Where the label can be read", _lines(found, _by_depth), axes)


PANELS = (_removal_panel, _certified_panel, _depth_panel)
