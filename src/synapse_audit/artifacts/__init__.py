"""The nouns of the system: frozen values that one stage hands to the next.

::

    LabelledData + Classifier → Activations → Probe → Ranking → Plan → Outcomes → effects → findings

| noun | what it holds | shape |
|---|---|---|
| LabelledData | inputs, integer labels, class names, weights, groups, hash | examples |
| Splits | fit, select, evaluate: disjoint | indices into examples |
| Predictions | clean logits and what follows from them | (examples, classes) |
| Activations | pooled-position state of every layer | per layer (examples, neurons) |
| Probe | weights, bias, scaler, strength, accuracies | (classes, features) |
| Ranking | scores, global and per class | per layer (neurons,) |
| Cell | one experiment | |
| Plan | the cells, and what each distinct action costs | |
| Outcomes | per action and example what the model then said | (actions, examples) |

Axes are always ``examples, layers, neurons, classes``. Nothing here computes with a model.
"""

from __future__ import annotations

from synapse_audit.artifacts.brief import Brief, brief
from synapse_audit.artifacts.data import (
    MOST_CLASSES,
    SLICE,
    Input,
    LabelledData,
    Predictions,
    Signal,
    Splits,
    TextInput,
    Windows,
    threshold_shift,
)
from synapse_audit.artifacts.experiment import (
    ALL_LAYERS,
    CLASS_FRACTION,
    DETAILS,
    REMOVAL_GROUPS,
    SILENCING,
    Cell,
    Group,
    HeadEdit,
    ParameterChange,
    ParameterEdit,
    Plan,
    Pooled,
)
from synapse_audit.artifacts.outcome import Direct, Evidence, Finding, Outcomes
from synapse_audit.artifacts.representation import (
    GLOBAL,
    Activations,
    DenseLayer,
    Erasure,
    LayerStatistics,
    Probe,
    Ranking,
    ScoresFor,
)

__all__ = [
    "ALL_LAYERS",
    "CLASS_FRACTION",
    "DETAILS",
    "GLOBAL",
    "MOST_CLASSES",
    "REMOVAL_GROUPS",
    "SILENCING",
    "SLICE",
    "Activations",
    "Brief",
    "Cell",
    "DenseLayer",
    "Direct",
    "Erasure",
    "Evidence",
    "Finding",
    "Group",
    "HeadEdit",
    "Input",
    "LabelledData",
    "LayerStatistics",
    "Outcomes",
    "ParameterChange",
    "ParameterEdit",
    "Plan",
    "Pooled",
    "Predictions",
    "Probe",
    "Ranking",
    "ScoresFor",
    "Signal",
    "Splits",
    "TextInput",
    "Windows",
    "brief",
    "threshold_shift",
]
