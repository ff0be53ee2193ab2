"""What is known in advance about an architecture: one :class:`Family` record each.

Adding an architecture = one record in ``FAMILIES``. Paths are dotted attribute names below the
sequence-classification model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

Position = Literal["first", "last"]
"""Which token the head reads: [CLS], or the last one that is no padding."""


@dataclass(frozen=True)
class Family:
    """Where the parts of one architecture are."""

    name: str
    model_types: tuple[str, ...]
    """``config.model_type`` values that this record serves."""
    embeddings: str
    """Module whose output is layer 0."""
    blocks: str
    """``ModuleList`` of blocks; block l's output is layer l."""
    output_layer: str
    """The head's last ``nn.Linear``."""
    head: Callable[[Any, Tensor], Tensor]
    """(model, final pooled state (examples, neurons)) → logits (examples, classes)."""
    position: Position = "first"


def _bert_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(model.dropout(model.base_model.pooler(pooled[:, None])))


def _distilbert_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(model.dropout(torch.relu(model.pre_classifier(pooled))))


def _token_head(model: Any, pooled: Tensor) -> Tensor:
    """Heads that take all tokens and read the first one themselves."""
    return model.classifier(pooled[:, None])


FAMILIES: tuple[Family, ...] = (
    Family(
        name="BERT",
        model_types=("bert",),
        embeddings="bert.embeddings",
        blocks="bert.encoder.layer",
        output_layer="classifier",
        head=_bert_head,
    ),
    Family(
        name="DistilBERT",
        model_types=("distilbert",),
        embeddings="distilbert.embeddings",
        blocks="distilbert.transformer.layer",
        output_layer="classifier",
        head=_distilbert_head,
    ),
    Family(
        name="RoBERTa",
        model_types=("roberta", "xlm-roberta", "camembert"),
        embeddings="roberta.embeddings",
        blocks="roberta.encoder.layer",
        output_layer="classifier.out_proj",
        head=_token_head,
    ),
    Family(
        name="ELECTRA",
        model_types=("electra",),
        embeddings="electra.embeddings",
        blocks="electra.encoder.layer",
        output_layer="classifier.out_proj",
        head=_token_head,
    ),
)


def family_of(model_type: str) -> Family | None:
    """The record that serves a ``model_type``; None where there is none."""
    return next((family for family in FAMILIES if model_type in family.model_types), None)
