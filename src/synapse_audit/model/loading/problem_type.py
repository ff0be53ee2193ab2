"""What a classifier was trained for, as far as its configuration or its logits tell.

One label per input is audited, a softmax over the classes; or one output, a sigmoid; or several
labels, a sigmoid each, all of them or one. A head with one sigmoid per class has the shape of a
softmax head, so that only what is written, or how its logits lie, gives it away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from synapse_audit.errors import ModelError, UsageError, choices
from synapse_audit.model.loading.output_names import class_names, outputs

SINGLE = "single_label_classification"
MULTI = "multi_label_classification"
NOT_STATED = "not stated, taken for one label per input"
ONE_OUTPUT = "one output, taken for the logit of a sigmoid"
ONE_LABEL = "multi_label_classification, one label of several"

_MULTI = re.compile(r"multi[\s_-]?label|bce[\s_-]?with[\s_-]?logits", re.IGNORECASE)
_SIGMOID = re.compile(r"(.*\.)?sigmoid(\(\))?", re.IGNORECASE)
_APPLIED = ("activation_fn", "function_to_apply", "sbert_ce_default_activation_function")
"""Keys that say what comes after the logits: pipelines, sentence-transformers' CrossEncoder."""

_NAMES = ("id2label", "label2id", "_name_or_path", "name_or_path", "problem_type")
"""Keys whose values are names, or judged elsewhere."""

SHIFTED = -0.25
"""Mean logit over its spread within an example, below which outputs look like sigmoids."""


def problem_type(source: str, config: Any, label: str | None = None) -> str:
    """What a configuration says it was trained for, in words.

    Args:
        label: the one to be audited, of a model with several per input.

    Raises:
        ModelError: for something else than labels, or likely for several where nothing says so.
        UsageError: a label that the model does not have, or of a model with one per input.
    """
    stated = getattr(config, "problem_type", None)
    names = class_names(config.id2label, outputs(config))
    if stated not in (None, SINGLE, MULTI):
        raise ModelError(
            f"model '{source}' is trained for {stated} (problem_type in config.json); expected "
            f"{SINGLE} (one label per example) or {MULTI}"
        )
    if label is not None:
        return _one_label(source, stated, label, names)
    if len(names) == 1:
        return ONE_OUTPUT
    if stated == MULTI:
        return MULTI
    hint = None if stated else next(_hints(config.to_dict()), None)
    if hint is not None:
        raise ModelError(
            f"model '{source}' looks trained for several labels per input: its config.json has "
            f"{hint} and no problem_type; expected --label NAME, or one of them in config.json: "
            f'"problem_type": "{MULTI}", or "{SINGLE}" where each input has one label'
        )
    return SINGLE if stated else NOT_STATED


def _one_label(source: str, stated: str | None, label: str, names: Sequence[str]) -> str:
    if stated == SINGLE or len(names) == 1:
        kind = SINGLE if stated == SINGLE else "a model with one output"
        raise UsageError(
            f"label '{label}' given; '{source}' is {kind}; expected --label with a multi-label "
            "model only"
        )
    if label not in names:
        raise UsageError(f"label '{label}' given; {choices(label, names)}")
    return ONE_LABEL


def doubts_of_softmax(logits: Float[np.ndarray, "examples classes"]) -> tuple[str, ...]:
    """A warning where logits lie as one sigmoid per class leaves them.

    The gradient of a softmax cross-entropy sums to zero over the classes, so that training leaves
    the mean of the logits near 0, where the head began. With one sigmoid per class all but the
    right ones are pushed below 0: for one label of C, mean over spread goes to
    −(C − 2) / (2 √(C − 1)).

    Limits: with two classes that is 0 as well, and the highest logit wins either way; training may
    have begun elsewhere.
    """
    if logits.shape[1] < 3 or not len(logits):
        return ()
    means, spreads = logits.mean(axis=1), logits.std(axis=1)
    known = spreads > 0
    shift = float(np.median(means[known] / spreads[known])) if known.any() else 0.0
    if shift > SHIFTED:
        return ()
    return (
        f"outputs look like one sigmoid per class: the mean of an example's logits is {shift:.2f} "
        "of their spread (median), where training with a softmax leaves it near 0, and nothing "
        "says which it was; predictions here are the highest logit, probabilities and calibration "
        "those of a softmax, which such a model does not mean",
    )


def _hints(facts: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """What in a configuration speaks of several labels per input, as ``key = value``."""
    for name, value in facts.items():
        if name in _NAMES:
            continue
        where = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _hints(value, f"{where}.")
        said = _MULTI.search(str(name)) and value not in (None, False, "", "false", "False")
        written = isinstance(value, str) and _MULTI.search(value)
        applied = name in _APPLIED and isinstance(value, str) and _SIGMOID.fullmatch(value)
        if said or written or applied:
            yield f"{where} = {value!r:.60}"
