"""How the report names rankings, and how steadily each finds its top again.

Quoted by the sections on rankings and on seeds.
"""

from __future__ import annotations

import pandas as pd

from synapse_audit.report.kit import prose, saved
from synapse_audit.report.kit.contents import Group
from synapse_audit.report.kit.figures import SHARE_AXIS, Axes, Line, curves, legend
from synapse_audit.report.kit.lines import Columns, line, styles
from synapse_audit.report.kit.theme import RANDOM


def name_of(method: object) -> str:
    """A method as the reader sees it."""
    return prose.plain(method).replace("_", " ").replace("activation gradient", "act. × gradient")


def steadiness(steady: pd.DataFrame, title: str, axis: str) -> Group:
    """Overlap of top sets layer by layer beside chance, one curve per ranking; empty for none."""
    methods = [str(m) for m in dict.fromkeys(steady["method"])]
    looks = styles(methods, methods)
    along = Columns("layer", "overlap")
    lines = [line(name_of(m), looks[m], saved.rows(steady, method=m), along) for m in methods]
    if not lines:
        return Group("", ())
    # Layers differ in width by little; the mean chance is that of the tenth that was taken.
    chance = steady.groupby("layer")["chance"].mean()
    lines.append(Line("chance", RANDOM, chance.index.tolist(), chance.tolist()))
    said = prose.figures([one.name for one in lines], [one.y[-1] for one in lines], 2)
    axes = Axes("layer (0 = embeddings)", axis, {"dtick": 1}, SHARE_AXIS)
    figure = curves(title, lines, axes, alt=f"{title}. In the last layer: {said}.")
    return Group("", (figure,), legend([lines]), columns=1)
