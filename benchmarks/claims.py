"""The paper's claims on several runs of `--preset paper`: the table of docs/findings.md.

    python benchmarks/claims.py runs/one runs/two ...

Prints one Markdown column per run folder; nothing is computed that the run folders do not hold.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from synapse_audit.findings.faults import paper_push
from synapse_audit.report.kit import prose
from synapse_audit.store import AuditResult


def figure(node: Mapping[str, Any] | None, decimals: int = 3) -> str:
    """A figure with its interval, or why there is none."""
    if not node or node.get("value") is None:
        return (node or {}).get("reason", "unknown")
    value = prose.number(node["value"], decimals)
    if node.get("low") is None or node.get("high") is None:
        return value
    return (
        f"{value} ({prose.number(node['low'], decimals)} to {prose.number(node['high'], decimals)})"
    )


def of_paper(operator: str, name: str) -> Callable[[AuditResult], str]:
    """A figure of the paper's own removal curve."""
    return lambda run: figure(run.summary["paper"][operator].get(name))


def scores(operator: str) -> Callable[[AuditResult], str]:
    """z of the ranked half beside random sets with its counts per layer, and beside the paper's."""

    def line(run: AuditResult) -> str:
        found = (run.summary["paper"][operator][name] for name in ("z_matched", "z_published"))
        return "; ".join(
            "no spread" if one["value"] is None else prose.number(one["value"], 1) for one in found
        )

    return line


def adjusted_p(run: AuditResult) -> str:
    """The paper ranking's mean-silencing curve against its random controls."""
    tests = run.findings["redundancy"]["tests"]
    mine = tests[(tests["ranking"] == "paper") & (tests["ranked_for"].isna())]
    mine = mine[(mine["layers"] == "all") & (mine["position"] == "pooled")]
    return prose.p_value(mine["p_adjusted"].iloc[0]) if len(mine) else "not tested"


def fragile(run: AuditResult) -> str:
    """Which class breaks first and which last, and the gap in recall lost."""
    found = run.summary["asymmetry"]
    names = ", ".join(class_or_tied(found[end]) for end in ("most_fragile", "least_fragile"))
    return f"{names}; {figure(found['gap'])}"


def class_or_tied(found: Mapping[str, Any]) -> str:
    """The class, or those it is indistinguishable from."""
    return str(found["value"] or " or ".join(found.get("tied") or ()) or found.get("reason"))


def best_push(run: AuditResult) -> str:
    """The published setting of the head push that redirects most, of all settings and targets."""
    found = paper_push(run.findings["faults"]["pushes"])
    if not found.known:
        return found.reason
    return f"{figure(found.to_json())} to {found.beside['target']}"


def head_edit(run: AuditResult) -> str:
    """The smallest edit of the head found that redirects half, and below which size none can."""
    found = run.summary["head_edit"]
    proved = f"none below {prose.percent(found['low'])} can"
    if found.get("value") is None:
        return f"none found; {proved}"
    return f"{prose.percent(found['value'])}, to {prose.listing(found['targets'])}; {proved}"


def half_constant(run: AuditResult) -> str:
    """Smallest constant on one logit that redirects half, and to which class."""
    rows = run.findings["vulnerability"]["constants"].sort_values("redirect_50", kind="stable")
    return f"{prose.number(rows['redirect_50'].iloc[0], 2)}, to {rows['target'].iloc[0]}"


ROWS: dict[str, Callable[[AuditResult], str]] = {
    "evaluated examples": lambda run: str(run.summary["n_evaluate"]),
    "clean weighted F1": lambda run: figure(run.summary["paper"]["clean"]),
    "**A** zero: F1, top half silenced": of_paper("zero", "f1_at_half"),
    "zero: F1, random half (range)": of_paper("zero", "random_f1_at_half"),
    "zero: z of that half; by the paper's control": scores("zero"),
    "zero: plateau": of_paper("zero", "plateau"),
    "zero: half point": of_paper("zero", "half_point"),
    "mean: F1, top half silenced": of_paper("mean", "f1_at_half"),
    "mean: F1, random half (range)": of_paper("mean", "random_f1_at_half"),
    "mean: plateau": of_paper("mean", "plateau"),
    "mean: half point": of_paper("mean", "half_point"),
    "mean: top against random, adjusted p": adjusted_p,
    "neurons enough for a probe": lambda run: figure(run.summary["redundancy"]["sufficient_k"], 0),
    "disjoint sufficient sets, at least": lambda run: figure(
        run.summary["redundancy"]["disjoint_sets"], 0
    ),
    "top 2.5 % in the last three blocks": lambda run: figure(run.summary["paper"]["last_blocks"]),
    "**B** breaks first, last; gap in recall": fragile,
    "**C** best published push redirects": best_push,
    "head edit that redirects half (L2)": head_edit,
    "logit constant that redirects half": half_constant,
}
"""Line of the table → what stands in it."""


def main(folders: list[str]) -> None:
    """Prints the table."""
    runs = [AuditResult.load(folder) for folder in folders]
    names = [Path(run.summary["model"]).name for run in runs]
    print("| | " + " | ".join(names) + " |")
    print("|---" * (len(runs) + 1) + "|")
    for name, cell in ROWS.items():
        print(f"| {name} | " + " | ".join(cell(run) for run in runs) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
