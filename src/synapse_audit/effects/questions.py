"""Which curve tests are corrected together, and how: one fixed order of tests per question.

With B random draws no p lies below 1 / (B + 1), .048 for 20. Any correction that multiplies p (such
as Bonferroni's, Holm's, or Benjamini and Yekutieli's, whose least adjusted p of m curves that are
all beyond every draw is H_m / (B + 1), H_m the m-th harmonic number) leaves nothing below .05 from
two curves on: to find one among 8 would take 434 draws. Curves are therefore tested in an order
that is set beforehand, each at the full level as long as all before it were significant: the
adjusted p is the largest p up to there. So the chance of any false finding within a question is at
most the level, whatever the dependence between curves, at the price that a curve behind one that is
not significant cannot be.

Source: Maurer, Hothorn & Lehmacher 1995; Westfall & Krishen 2001, J. Stat. Plan. Inference 99:25.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float

from synapse_audit.artifacts import ALL_LAYERS


def in_order(tests: pd.DataFrame) -> Float[np.ndarray, " curves"]:
    """Adjusted p of each curve: see the module.

    Questions: which rankings name neurons that matter (over all layers, for all classes; in the
    order of the grid, the headline first), the same at every token, in which layers a ranking
    does (from the last to the first, as the head reads the last), for which classes (in the model's
    order), and for which classes in which layers. A curve that could not be tested keeps NaN and is
    passed over.

    Args:
        tests: in the order of the plan, with the columns of
            :data:`~synapse_audit.effects.controls.CURVE` and ``p_value``.
    """
    adjusted = np.full(len(tests), np.nan)
    if not len(tests):
        return adjusted
    single = (tests["layers"] != ALL_LAYERS).to_numpy(dtype=bool)
    by_class = tests["ranked_for"].notna().to_numpy(dtype=bool)
    # All rankings are one question over all layers; in single layers and classes each is its own.
    ranking = tests["ranking"].where(single | by_class)
    question = pd.DataFrame(
        {"single": single, "class": by_class, "ranking": ranking, "position": tests["position"]}
    ).reset_index(drop=True)
    depth = pd.to_numeric(tests["layers"], errors="coerce").to_numpy(dtype=np.float64)
    order = np.lexsort((np.arange(len(tests)), -np.nan_to_num(depth)))
    p = tests["p_value"].to_numpy(dtype=np.float64)
    for places in question.groupby([*question], dropna=False, sort=False).indices.values():
        known = order[np.isin(order, places) & ~np.isnan(p[order])]
        adjusted[known] = np.maximum.accumulate(p[known])
    return adjusted
