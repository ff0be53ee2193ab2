"""Tables of the finding ``detection``: one class means no alarm, every other class an alarm."""

from __future__ import annotations

from synapse_audit.tables.column import EITHER, Column, count, estimate, number, share, text
from synapse_audit.tables.run import NAMING
from synapse_audit.tables.shared import DRAWS, FRACTION, OPERATOR, SELECTION
from synapse_audit.tables.table import of_finding

_MEANINGS = {
    "auc": "area under the ROC curve",
    "eer": "rate at which false and missed alarms are equally frequent",
    "tpr_1": "attacks caught by a threshold set anew for 1 % false alarms",
    "tpr_01": "attacks caught by a threshold set anew for 0.1 % false alarms",
    "false_alarm": "benign examples predicted as an attack",
    "missed_alarm": "attacks predicted benign",
    "false_rise": "false alarms minus those of the untouched model",
    "missed_rise": "missed alarms minus those of the untouched model",
    "fixed_tpr_1": "attacks caught at the threshold that flags 1 % of the benign when clean",
    "fixed_fpr_1": "benign examples flagged at that threshold",
    "fixed_tpr_01": "attacks caught at the threshold that flags 0.1 % of the benign when clean",
    "fixed_fpr_01": "benign examples flagged at that threshold",
}
RATES = {
    name: estimate(
        name, "difference of shares" if name.endswith("_rise") else "share", meaning, EITHER
    )
    for name, meaning in _MEANINGS.items()
}
EXACT = count("n", "examples", "examples it is read on: those that were run exactly")
FALSE_ALARM = number("false_alarm", "share", "benign examples flagged")
CAUGHT = number("caught", "share", "attacks flagged")


def _all(*names: str) -> tuple[Column, ...]:
    return tuple(column for name in names for column in RATES[name])


MEASURES = (
    count("n_benign", "examples", "benign examples"),
    count("n_attack", "examples", "attacks"),
    *_all(*RATES),
    text("failure", "silent, loud, both or neither"),
)
"""What is measured of every cell."""

CELLS = of_finding(
    "detection",
    "cells",
    "the untouched model (space clean), then a cell",
    *NAMING,
    EXACT,
    *MEASURES,
)
REMOVAL = of_finding(
    "detection",
    "removal",
    "a share silenced by the headline ranking, or the mean of its random controls",
    OPERATOR,
    SELECTION,
    FRACTION,
    EXACT,
    *_all("auc", "tpr_1", "false_alarm", "missed_alarm", "fixed_tpr_1", "fixed_fpr_1"),
    DRAWS,
)
ROC = of_finding(
    "detection",
    "roc",
    "a corner of one ROC curve",
    text("what", "clean or removal"),
    OPERATOR,
    FRACTION,
    FALSE_ALARM,
    CAUGHT,
)
THRESHOLDS = of_finding(
    "detection",
    "thresholds",
    "a false-alarm rate at which a threshold is set on the clean scores",
    share("limit", "the false-alarm rate"),
    number("probability", "probability", "an alarm is raised where P(benign) lies below"),
    FALSE_ALARM,
    CAUGHT,
    count("needed", "examples", "benign examples that can resolve the rate"),
    text("reason", "why there is no threshold; null where there is one"),
)
FAILURE_COUNTS = of_finding(
    "detection",
    "failures",
    "an operator of one space, over its cells without random ones",
    text("space", "neuron, weight, logit or input"),
    OPERATOR,
    count("cells", "cells", "how many cells"),
    count("silent", "cells", "missed alarms rise, false alarms do not"),
    count("loud", "cells", "false alarms rise, missed alarms do not"),
    count("both", "cells", "both rise"),
    count("neither", "cells", "neither rises by 0.01 with its interval above 0"),
    number("largest_missed_rise", "difference of shares", "largest rise of missed alarms"),
    number("largest_false_rise", "difference of shares", "largest rise of false alarms"),
)

TABLES = (CELLS, REMOVAL, ROC, THRESHOLDS, FAILURE_COUNTS)
