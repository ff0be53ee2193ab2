"""Text encoders, read at their first token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from synapse_audit.model.families.record import Family
from synapse_audit.model.pooling import Pooling


def _bert_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(model.dropout(model.base_model.pooler(pooled[:, None])))


def _albert_head(model: Any, pooled: Tensor) -> Tensor:
    base = model.albert
    return model.classifier(model.dropout(base.pooler_activation(base.pooler(pooled))))


def _deberta_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(model.dropout(model.pooler(pooled[:, None])))


def _distilbert_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(model.dropout(torch.relu(model.pre_classifier(pooled))))


def _modernbert_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(model.drop(model.head(model.model.final_norm(pooled))))


def _modernbert_mean_head(model: Any, states: Tensor, pooling: Pooling) -> Tensor:
    mean = pooling.gather(model.model.final_norm(states))
    return model.classifier(model.drop(model.head(mean)))


def _token_head(model: Any, pooled: Tensor) -> Tensor:
    """Heads that take all tokens and read the first one themselves."""
    return model.classifier(pooled[:, None])


def _albert_schedule(config: Any) -> tuple[int, ...]:
    layers = config.num_hidden_layers
    return tuple(int(i / (layers / config.num_hidden_groups)) for i in range(layers))


def _reads_first(config: Any) -> bool:
    return config.classifier_pooling == "cls"


def _reads_mean(config: Any) -> bool:
    return config.classifier_pooling == "mean"


ENCODERS: tuple[Family, ...] = (
    Family(
        name="BERT",
        model_types=("bert",),
        embeddings="bert.embeddings",
        blocks="bert.encoder.layer",
        output_layer="classifier",
        head=_bert_head,
        attention_output="attention.output.dense",
        mlp_output="output.dense",
        dense="bert.pooler.dense",
        activation="tanh",
    ),
    Family(
        name="DistilBERT",
        model_types=("distilbert",),
        embeddings="distilbert.embeddings",
        blocks="distilbert.transformer.layer",
        output_layer="classifier",
        head=_distilbert_head,
        attention_output="attention.out_lin",
        mlp_output="ffn.lin2",
        dense="pre_classifier",
        activation="relu",
    ),
    Family(
        name="RoBERTa",
        model_types=("roberta", "xlm-roberta", "camembert"),
        embeddings="roberta.embeddings",
        blocks="roberta.encoder.layer",
        output_layer="classifier.out_proj",
        head=_token_head,
        attention_output="attention.output.dense",
        mlp_output="output.dense",
        dense="classifier.dense",
        activation="tanh",
    ),
    Family(
        name="ELECTRA",
        model_types=("electra",),
        embeddings="electra.embeddings",
        blocks="electra.encoder.layer",
        output_layer="classifier.out_proj",
        head=_token_head,
        attention_output="attention.output.dense",
        mlp_output="output.dense",
        dense="classifier.dense",
        activation="gelu",
    ),
    Family(
        name="ALBERT",
        model_types=("albert",),
        embeddings="albert.encoder.embedding_hidden_mapping_in",
        blocks="albert.encoder.albert_layer_groups",
        schedule=_albert_schedule,
        output_layer="classifier",
        head=_albert_head,
        attention_output="albert_layers.0.attention.dense",
        mlp_output="albert_layers.0.ffn_output",
        dense="albert.pooler",
        activation="tanh",
        when=lambda config: config.inner_group_num == 1,
        note="layers share their weights: layer l is the l-th call of the block",
    ),
    Family(
        name="DeBERTa",
        model_types=("deberta", "deberta-v2"),
        embeddings="deberta.embeddings",
        blocks="deberta.encoder.layer",
        output_layer="classifier",
        head=_deberta_head,
        attention_output="attention.output.dense",
        mlp_output="output.dense",
    ),
    Family(
        name="MPNet",
        model_types=("mpnet",),
        embeddings="mpnet.embeddings",
        blocks="mpnet.encoder.layer",
        output_layer="classifier.out_proj",
        head=_token_head,
        attention_output="attention.attn.o",
        mlp_output="output.dense",
        dense="classifier.dense",
        activation="tanh",
    ),
    Family(
        name="ModernBERT",
        model_types=("modernbert",),
        embeddings="model.embeddings",
        blocks="model.layers",
        output_layer="classifier",
        head=_modernbert_head,
        attention_output="attn.Wo",
        mlp_output="mlp.Wo",
        when=_reads_first,
    ),
    Family(
        name="ModernBERT (mean)",
        model_types=("modernbert",),
        embeddings="model.embeddings",
        blocks="model.layers",
        output_layer="classifier",
        whole_head=_modernbert_mean_head,
        position="mean",
        attention_output="attn.Wo",
        mlp_output="mlp.Wo",
        when=_reads_mean,
    ),
    Family(
        name="BigBird",
        model_types=("big_bird",),
        embeddings="bert.embeddings",
        blocks="bert.encoder.layer",
        output_layer="classifier.out_proj",
        head=_token_head,
        attention_output="attention.output.dense",
        mlp_output="output.dense",
        settings={"attention_type": "original_full"},
        when=lambda config: config.attention_type == "original_full",
        note="full attention at every length: transformers leaves the sparse one for good at the "
        "first short text, so that results would depend on the order of the batches",
    ),
    Family(
        name="Longformer",
        model_types=("longformer",),
        embeddings="longformer.embeddings",
        blocks="longformer.encoder.layer",
        output_layer="classifier.out_proj",
        head=_token_head,
        attention_output="attention.output.dense",
        mlp_output="output.dense",
        dense="classifier.dense",
        activation="tanh",
        note="its attention is its own: no stream",
    ),
)
