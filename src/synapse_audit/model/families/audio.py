"""Audio and time series classifiers, read at the mean over frames or patches."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from synapse_audit.model.families.record import AUDIO, SERIES, Family
from synapse_audit.model.pooling import Pooling


def _speech_head(model: Any, pooled: Tensor) -> Tensor:
    """The projection is linear, so that it may follow the mean."""
    return model.classifier(model.projector(pooled))


def _stable_speech_head(model: Any, states: Tensor, pooling: Pooling) -> Tensor:
    normed = model.base_model.encoder.layer_norm(states)
    return model.classifier(model.projector(pooling.gather(normed)))


def _ast_head(model: Any, states: Tensor, pooling: Pooling) -> Tensor:
    normed = model.audio_spectrogram_transformer.layernorm(states)
    return model.classifier(pooling.gather(normed))


def _patchtst_head(model: Any, states: Tensor, pooling: Pooling) -> Tensor:
    return model.head(states)


def _last_layer(config: Any) -> bool:
    return not config.use_weighted_layer_sum and not config.do_stable_layer_norm


def _last_layer_normed(config: Any) -> bool:
    return not config.use_weighted_layer_sum and config.do_stable_layer_norm


def _speech(name: str, base: str) -> tuple[Family, Family]:
    """Both forms: with the norm after each sublayer, and before it (large models)."""
    common: dict[str, Any] = {
        "model_types": (base,),
        "embeddings": f"{base}.encoder.dropout",
        "blocks": f"{base}.encoder.layers",
        "output_layer": "classifier",
        "position": "mean",
        "attention_output": "attention.out_proj",
        "mlp_output": "feed_forward.output_dense",
        "modality": AUDIO,
    }
    return (
        Family(name=name, head=_speech_head, when=_last_layer, **common),
        Family(
            name=f"{name} (stable norm)",
            whole_head=_stable_speech_head,
            when=_last_layer_normed,
            **common,
        ),
    )


AUDIO_FAMILIES: tuple[Family, ...] = (
    *_speech("wav2vec2", "wav2vec2"),
    *_speech("HuBERT", "hubert"),
    Family(
        name="AST",
        model_types=("audio-spectrogram-transformer",),
        embeddings="audio_spectrogram_transformer.embeddings",
        blocks="audio_spectrogram_transformer.layers|audio_spectrogram_transformer.encoder.layer",
        output_layer="classifier.dense",
        whole_head=_ast_head,
        position="pair",
        attention_output=("attention.o_proj", "attention.output.dense"),
        mlp_output=("mlp.fc2", "output.dense"),
        modality=AUDIO,
    ),
    Family(
        name="PatchTST",
        model_types=("patchtst",),
        embeddings="model.encoder.positional_encoder",
        blocks="model.encoder.layers",
        output_layer="head.linear",
        whole_head=_patchtst_head,
        position="mean",
        attention_output="self_attn.out_proj",
        mlp_output="ff.3",
        modality=SERIES,
        when=lambda config: not config.use_cls_token and not config.channel_attention,
        note="the representation is the mean over channels and patches; the head reads every "
        "channel by itself",
    ),
)
