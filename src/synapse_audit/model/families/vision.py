"""Image classifiers: read at [CLS], at the mean over patches, or at both."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from synapse_audit.model.families.record import IMAGE, Family
from synapse_audit.model.pooling import Pooling


def _vit_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(model.base_model.layernorm(pooled))


def _beit_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(model.beit.pooler.layernorm(pooled))


def _dinov2_head(model: Any, states: Tensor, pooling: Pooling) -> Tensor:
    normed = model.dinov2.layernorm(states)
    return model.classifier(torch.cat([normed[:, 0], normed[:, 1:].mean(1)], dim=1))


def _swin_head(model: Any, states: Tensor, pooling: Pooling) -> Tensor:
    return model.classifier(pooling.gather(model.swin.layernorm(states)))


def _linear_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classifier(pooled)


ATTENTION = ("attention.o_proj", "attention.output.dense")
MLP = ("mlp.fc2", "output.dense")
"""Today's name, then that of transformers 4."""

VISION_FAMILIES: tuple[Family, ...] = (
    Family(
        name="ViT",
        model_types=("vit",),
        embeddings="vit.embeddings",
        blocks="vit.layers|vit.encoder.layer",
        output_layer="classifier",
        head=_vit_head,
        attention_output=ATTENTION,
        mlp_output=MLP,
        modality=IMAGE,
    ),
    Family(
        name="DeiT",
        model_types=("deit",),
        embeddings="deit.embeddings",
        blocks="deit.layers|deit.encoder.layer",
        output_layer="classifier",
        head=_vit_head,
        attention_output=ATTENTION,
        mlp_output=MLP,
        modality=IMAGE,
    ),
    Family(
        name="BEiT",
        model_types=("beit",),
        embeddings="beit.embeddings",
        blocks="beit.layers|beit.encoder.layer",
        output_layer="classifier",
        head=_beit_head,
        position="patches",
        attention_output=ATTENTION,
        mlp_output=MLP,
        modality=IMAGE,
        when=lambda config: config.use_mean_pooling,
    ),
    Family(
        name="DINOv2",
        model_types=("dinov2",),
        embeddings="dinov2.embeddings",
        blocks="dinov2.encoder.layer",
        output_layer="classifier",
        whole_head=_dinov2_head,
        position="mean",
        attention_output=ATTENTION,
        mlp_output=("mlp.fc2", "mlp.weights_out"),
        modality=IMAGE,
        note="its head reads [CLS] beside the mean over patches: the representation is the mean "
        "over all of them",
    ),
    Family(
        name="Swin",
        model_types=("swin",),
        embeddings="swin.embeddings",
        blocks="swin.encoder.layers.*.blocks",
        output_layer="classifier",
        whole_head=_swin_head,
        position="mean",
        attention_output=ATTENTION,
        mlp_output=MLP,
        modality=IMAGE,
        note="patches are merged between stages: only the last stage can be resumed",
    ),
    Family(
        name="CLIP vision",
        model_types=("clip",),
        embeddings="vision_model.pre_layrnorm",
        blocks="vision_model.encoder.layers",
        output_layer="classifier",
        head=_linear_head,
        position="patches",
        attention_output="self_attn.out_proj",
        mlp_output="mlp.fc2",
        modality=IMAGE,
    ),
)
