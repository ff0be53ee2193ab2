"""From what a checkpoint or a pipeline holds to a classifier; all its labels, or one where asked.

One label of a multi-label model is a head with one output: its row and bias are all that decide it,
so the last layer keeps that row alone, and the audit is that of a model with one output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from synapse_audit.config import Loading
from synapse_audit.errors import ModelError
from synapse_audit.model.decision import Decision, one_output_classes
from synapse_audit.model.inputs.input_format import InputFormat
from synapse_audit.model.loading.parts import Parts, load_parts, unknown_type
from synapse_audit.model.loading.pipelines import is_pipeline, name_of, pipeline_parts
from synapse_audit.model.loading.problem_type import MULTI

if TYPE_CHECKING:
    from synapse_audit.model.classifier import Classifier


def opened(
    wrap: Callable[..., Classifier], source: Any, loading: Loading, reads: InputFormat
) -> Classifier:
    """A classifier from a folder, a hub id or a pipeline, where it is to be.

    Raises:
        ModelError, UsageError: as :meth:`Classifier.load` says.
    """
    piped = is_pipeline(source)
    if piped:
        parts = pipeline_parts(source, reads, loading.label)
    else:
        parts = load_parts(str(source), loading, reads)
    classifier = _wrapped(wrap, parts, name_of(source) if piped else str(source), loading.parts)
    if loading.label is not None:
        classifier = _one_label(classifier, loading.label)
    elif parts.origin.get("problem_type") == MULTI:
        decision = replace(classifier.decision, several=True)
        classifier = replace(classifier, decision=decision)
    notes = (*classifier.notes, *parts.notes)
    read = replace(classifier, notes=notes, origin=parts.origin)
    if parts.device is not None:
        return replace(read, device=parts.device)
    return read.to(loading.device)


def _wrapped(
    wrap: Callable[..., Classifier], parts: Parts, name: str, named: Mapping[str, Any]
) -> Classifier:
    """What was loaded behind its face; ``named``: parts of the model that the user names."""
    single = len(parts.classes) == 1
    names, unnamed = parts.classes, tuple[bool, ...]()
    if single:
        names, unnamed = one_output_classes(parts.classes[0] or None)
    try:
        found = wrap(
            parts.model,
            classes=names,
            inputs=parts.inputs,
            family=parts.family,
            name=name,
            one_output=single,
            **named,
        )
    except ModelError as error:
        if parts.family is not None or named:
            raise
        config: Any = parts.model.config
        raise unknown_type(config.model_type, error) from error
    return replace(found, decision=replace(found.decision, unnamed=unnamed))


def _one_label(classifier: Classifier, label: str) -> Classifier:
    """The classifier of one label: present or not; the model keeps its row of the head alone."""
    names = classifier.classes
    row, layer = names.index(label), classifier.output_layer
    with torch.no_grad():
        layer.weight = nn.Parameter(layer.weight[row : row + 1].clone(), requires_grad=False)
        if layer.bias is not None:
            layer.bias = nn.Parameter(layer.bias[row : row + 1].clone(), requires_grad=False)
    layer.out_features = 1
    classes, _ = one_output_classes(label)
    decision = Decision(one_output=True, label=label, labels=names)
    return replace(classifier, classes=classes, decision=decision)


def check_outputs(name: str, layer: nn.Linear, names: Sequence[str], *, one_output: bool) -> None:
    """Refuses a last layer whose outputs are not what the names stand for.

    Raises:
        ModelError: one output with several names, or several outputs where one is said to be.
    """
    if one_output and len(names) != 2:
        raise ModelError(f"{len(names)} classes given for one output of '{name}'; expected 2")
    if one_output != (layer.out_features == 1):
        expected = "one_output=True" if layer.out_features == 1 else "one_output=False"
        raise ModelError(
            f"'{name}' has a last layer with {layer.out_features} outputs and the classes "
            f"{', '.join(names[:3])}; expected {expected}"
        )
