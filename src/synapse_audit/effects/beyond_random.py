"""What one cell costs beyond random cells that were run beside it.

In: evidence and actions. Out: the difference with an interval over draws and examples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from synapse_audit.artifacts import Evidence
from synapse_audit.effects.breaking import effective_examples
from synapse_audit.effects.random_controls import Excess, excess
from synapse_audit.effects.resampled import accuracy, clean_accuracy
from synapse_audit.statistics import Z_975

COLUMNS = ["excess", "excess_low", "excess_high"]


def beyond_random(evidence: Evidence, action: str, drawn: pd.Series) -> Excess:
    """Accuracy lost to an action minus the mean over drawn ones; NaN where none was drawn.

    ``drawn`` holds actions. The interval is that of ``random_controls.excess``, with one
    example lost and one won added as for every paired loss: where all sets did the same, another
    sample may still have shown a difference.
    """
    if not len(drawn):
        return Excess(np.nan, np.nan, np.nan)
    own, random = accuracy(evidence, [action]), accuracy(evidence, list(drawn))
    clean = clean_accuracy(evidence).value[0]
    samples = random.samples.mean(axis=0) - own.samples[0]
    found = excess(float(clean - own.value[0]), clean - random.value, samples)
    unseen = Z_975 * np.sqrt(2.0) / (effective_examples(evidence) + 2.0)
    low = found.value - float(np.hypot(found.value - found.low, unseen))
    return Excess(found.value, low, found.value + float(np.hypot(found.high - found.value, unseen)))


def with_excess(table: pd.DataFrame, found: Sequence[Excess]) -> pd.DataFrame:
    """The table with one excess per row, as columns."""
    ends = pd.DataFrame(found, columns=COLUMNS, index=table.index).astype("float64")
    return pd.concat([table, ends], axis=1)
