"""The model that a guard is put around, whatever it is given as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from synapse_audit.config import Loading
from synapse_audit.errors import ModelError
from synapse_audit.guard.parts import Guard
from synapse_audit.model import Classifier, open_classifier
from synapse_audit.model.families.known import family_for
from synapse_audit.model.inputs.encoded import Batch, Encoded, Inputs


def opened(model: Any, guard: Guard) -> Classifier:
    """A classifier from a folder, a hub id, a model of transformers or a classifier.

    Raises:
        ModelError: it cannot be loaded, its architecture has no record, or it has other classes or
            another shape than the guard.
    """
    if isinstance(model, Classifier):
        found = model
    elif isinstance(model, nn.Module):
        found = _wrapped(model, guard)
    else:
        found = open_classifier(str(model), Loading())
    found = named_as(found, guard.classes)
    if found.classes != guard.classes:
        raise ModelError(
            f"model '{found.name}' has classes {', '.join(found.classes[:5])}; expected those of "
            f"the guard, {', '.join(guard.classes[:5])}"
        )
    places = len(guard.ranges.low)
    if places != found.n_layers + 2 or len(guard.vote.voter) != found.head_weight.shape[1]:
        raise ModelError(
            f"model '{found.name}' has {found.n_layers} layers and "
            f"{found.head_weight.shape[1]} head inputs; expected {places - 2} and "
            f"{len(guard.vote.voter)}, as the guard has"
        )
    return found


def named_as(classifier: Classifier, names: tuple[str, ...]) -> Classifier:
    """The classifier with names for those of its classes that nobody named; else as it is."""
    unnamed = classifier.decision.unnamed
    own = zip(classifier.classes, names, unnamed or (False,) * len(names), strict=False)
    if not any(unnamed) or any(one != other and not free for one, other, free in own):
        return classifier
    return replace(classifier, classes=names, decision=replace(classifier.decision, unnamed=()))


def _wrapped(module: nn.Module, guard: Guard) -> Classifier:
    config: Any = getattr(module, "config", None)
    family = None if config is None else family_for(config)
    if family is None:
        raise ModelError(
            f"a {type(module).__name__} given; expected a model of transformers that is known "
            "(docs/families.md), a folder, or a Classifier made by Classifier.wrap"
        )
    name = str(getattr(config, "_name_or_path", "") or type(module).__name__)
    labels: Any = getattr(config, "id2label", {})
    single = getattr(config, "num_labels", None) == 1 and len(guard.classes) == 2
    classes = [str(labels.get(i, guard.classes[i])) for i in range(len(guard.classes))]
    return Classifier.wrap(
        module,
        classes=guard.classes if single else classes,
        inputs=Inputs(_no_encoder, _no_collator),
        family=family,
        name=name,
        one_output=single,
    )


def _no_encoder(inputs: Sequence[Any]) -> Encoded:
    raise ModelError("a bare module has no tokenizer; expected batches of token numbers")


def _no_collator(examples: Sequence[Any]) -> Batch:
    raise ModelError("a bare module has no tokenizer; expected batches of token numbers")
