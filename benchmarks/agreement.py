"""An exact run against a sampled one of the same model and rows: the table of docs/benchmarks.md.

    python benchmarks/agreement.py runs/exact runs/standard

Prints Markdown: the figures of ``summary.json`` beside each other, then the cells that both ran.
Both runs look at the same examples, so the interval of the second, which holds the noise of its
samples too, should hold the first one's value far more often than 95 times in 100. Nothing is
computed that the run folders do not hold.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from claims import figure

from synapse_audit.errors import UsageError
from synapse_audit.store import AuditResult
from synapse_audit.summary import CHOICES, Figure, Keys, dotted, walk

SHOWN = (
    *("clean.accuracy", "clean.macro_f1", "silenced.accuracy", "redundancy", "asymmetry"),
    *("load_bearing", "pathways", "sites", "weakest", "head_edit", "inputs", "faults", "steering"),
)
"""Figures whose lines are printed; all are counted, and those that disagree are always printed."""

SAME = 1e-9
"""Values that differ by less are the same number."""


class Line(NamedTuple):
    """One figure of both runs."""

    keys: Keys
    exact: Figure
    sampled: Figure

    @property
    def verdict(self) -> str:
        """Whether the sampled run's interval holds the exact value."""
        if not self.exact.known or not self.sampled.known:
            return "unknown in both" if self.exact.known == self.sampled.known else "known in one"
        if abs(self.exact.value - self.sampled.value) <= SAME:
            return "same"
        if not self.sampled.bounded:
            return "no interval"
        inside = self.sampled.low - SAME <= self.exact.value <= self.sampled.high + SAME
        return "inside" if inside else "outside"

    @property
    def overlap(self) -> bool:
        """Whether the two intervals have a point in common."""
        both = self.exact.bounded and self.sampled.bounded
        return (
            both
            and self.exact.low <= self.sampled.high + SAME
            and self.sampled.low <= self.exact.high + SAME
        )


def lines(exact: AuditResult, sampled: AuditResult) -> list[Line]:
    """Every figure that both summaries have, in the order of the first."""
    other = dict(walk(sampled.summary))
    return [Line(keys, one, other[keys]) for keys, one in walk(exact.summary) if keys in other]


def named(exact: AuditResult, sampled: AuditResult) -> Iterator[tuple[str, str, str, str]]:
    """Answers that are names: path, exact, sampled, whether they are the same."""
    for path in CHOICES:
        nodes = [_at(run.summary, path.split(".")) for run in (exact, sampled)]
        one, other = (_names(node) for node in nodes)
        verdict = "same" if one == other else "inside" if set(one) <= set(other) else "outside"
        yield path, " or ".join(one) or "none", " or ".join(other) or "none", verdict


def cells(exact: AuditResult, sampled: AuditResult) -> pd.DataFrame:
    """Cells that do the same in both runs, by what the sampled run measured them on.

    Attributions rest on fewer examples where a run samples, so a ranking by gradients may choose
    other neurons for the same cell; such a cell is another experiment and left out.

    Columns: ``tier``, ``operator``, ``cells``, ``inside`` (share of them whose exact accuracy drop
    lies in the sampled interval), ``largest`` (difference of the drops), ``exact`` and ``sampled``
    (mean half widths of the intervals).
    """
    ends = ["accuracy_drop", "accuracy_drop_low", "accuracy_drop_high", "half_width"]
    columns = ["cell", "action", "tier", "operator", *ends]
    kept = ["cell", "action"]
    both = sampled.effects[columns].merge(exact.effects[[*kept, *ends]], on=kept)
    off = both["accuracy_drop_y"] - both["accuracy_drop_x"]
    low, high = (both[f"accuracy_drop_{end}_x"] for end in ("low", "high"))
    held = (both["accuracy_drop_y"] >= low - SAME) & (both["accuracy_drop_y"] <= high + SAME)
    table = both.assign(inside=held | (off.abs() <= SAME), largest=off.abs())
    table["tier"] = table["tier"].fillna("all")
    groups = table.groupby(["tier", "operator"], sort=True)
    found = groups.agg(
        cells=("cell", "size"),
        inside=("inside", "mean"),
        largest=("largest", "max"),
        exact=("half_width_y", "mean"),
        sampled=("half_width_x", "mean"),
    )
    return found.reset_index()


def _at(tree: Any, keys: list[str]) -> Mapping[str, Any]:
    for key in keys:
        tree = tree.get(key, {}) if isinstance(tree, Mapping) else {}
    return tree if isinstance(tree, Mapping) else {}


def _names(node: Mapping[str, Any]) -> list[str]:
    """The name, or those that it is indistinguishable from."""
    return [str(node["value"])] if node.get("value") else [str(n) for n in node.get("tied") or ()]


def figures_markdown(exact: AuditResult, sampled: AuditResult) -> list[str]:
    """The table of figures, and how many agree."""
    found = lines(exact, sampled)
    rows = [
        "| figure | exact | standard | exact value in standard's interval |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {path} | {one} | {other} | {said} |" for path, one, other, said in named(exact, sampled)
    ]
    for line in found:
        path = dotted(line.keys)
        if line.verdict == "outside" or (path.startswith(SHOWN) and "unknown" not in line.verdict):
            ends = (figure(each.to_json()) for each in (line.exact, line.sampled))
            said = line.verdict
            if said == "outside":
                said += ", intervals overlap" if line.overlap else ", intervals apart"
            rows.append(f"| {path} | {' | '.join(ends)} | {said} |")
    counts = pd.Series([line.verdict for line in found], dtype=object).value_counts()
    counted = ", ".join(f"{name} {n:,}" for name, n in counts.items())
    return [*rows, "", f"{len(found):,} figures: {counted}."]


def cells_markdown(exact: AuditResult, sampled: AuditResult) -> list[str]:
    """The table of cells."""
    table = cells(exact, sampled)
    rows = [
        "| measured on | operator | cells | inside | largest difference | half width, exact | "
        "standard |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.itertuples():
        rows.append(
            f"| {row.tier} | {row.operator} | {row.cells:,} | {row.inside:.1%} | "
            f"{row.largest:.3f} | {row.exact:.3f} | {row.sampled:.3f} |"
        )
    total = int(table["cells"].sum())
    share = float(np.average(table["inside"], weights=table["cells"])) if total else np.nan
    return [*rows, "", f"{total:,} cells in both runs; inside in {share:.2%} of them."]


def check_same(exact: AuditResult, sampled: AuditResult) -> None:
    """Refuses runs of other models or rows.

    Raises:
        UsageError: what they were run on differs.
    """
    one, other = (run.manifest["identity"] for run in (exact, sampled))
    different = [name for name in ("weights", "data") if one[name] != other[name]]
    if different:
        raise UsageError(
            f"runs of different {' and '.join(different)} given; expected an exact and a sampled "
            "run of one model on the same rows"
        )


def main(folders: list[str]) -> None:
    """Prints both tables."""
    exact, sampled = (AuditResult.load(folder) for folder in folders)
    check_same(exact, sampled)
    print("\n".join(figures_markdown(exact, sampled)), end="\n\n")
    print("\n".join(cells_markdown(exact, sampled)))


if __name__ == "__main__":
    main(sys.argv[1:])
