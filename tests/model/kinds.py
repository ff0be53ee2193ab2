"""How a tiny random model of every family is built, and a batch for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel

from synapse_audit.model import Batch

EXAMPLES = 4
LENGTHS = (7, 4, 9, 6)

_TEXT: dict[str, Any] = {"vocab_size": 40, "num_labels": 3}
_SIZE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "initializer_range": 0.3,
}
_GPT: dict[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_GROUPED: dict[str, Any] = {**_TEXT, **_SIZE, **_GPT, "num_key_value_heads": 1}
_IMAGE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": 12,
    "patch_size": 4,
    "num_labels": 3,
    "initializer_range": 0.3,
}
SPEECH: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8, 8),
    "conv_stride": (4, 2),
    "conv_kernel": (4, 2),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 8,
    "num_labels": 3,
    "initializer_range": 0.3,
}
"""Of wav2vec 2 and its kin, whose convolutions shorten 8 times."""
_DISENTANGLED: dict[str, Any] = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
_V3: dict[str, Any] = {
    "share_att_key": True,
    "position_buckets": 4,  # fewer than the tokens of a text: distances are put in buckets
    "max_relative_positions": 40,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
}
_MODERN: dict[str, Any] = {
    **_GPT,
    "cls_token_id": 1,
    "sep_token_id": 2,
    "local_attention": 4,
    "initializer_cutoff_factor": 2.0,
}
_PAIR: dict[str, Any] = {"d_model": 16, "num_labels": 3, "vocab_size": 40}


@dataclass(frozen=True)
class Kind:
    """How to build one tiny model."""

    model: str
    """Class in transformers."""
    config: str
    options: Mapping[str, Any]
    batch: Callable[[], Batch]
    left: bool = False
    """Whether transformers itself allows padding on the left."""
    layers: int = 3

    def build(self) -> PreTrainedModel:
        """A seeded random model, its norms and biases random too."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            config = getattr(transformers, self.config)(**self.options)
            model: PreTrainedModel = getattr(transformers, self.model)(config).eval()
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if parameter.ndim == 1:
                        parameter += 0.2 * torch.randn_like(parameter)
                    if "out_proj.weight" in name or name.startswith(("score", "classifier")):
                        parameter += 0.3 * torch.randn_like(parameter)
        return model.requires_grad_(False)


def _ids(*, first: int = 1, last: int | None = None, pad: int = 0) -> Batch:
    generator = np.random.default_rng(0)
    rows = []
    for length in LENGTHS:
        body = generator.integers(3, 40, size=length).tolist()
        body[0] = first
        if last is not None:
            body[-1] = last
        rows.append(body)
    longest = max(LENGTHS)
    ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * n + [0] * (longest - n) for n in LENGTHS])
    return {"input_ids": ids, "attention_mask": mask}


def _roberta_ids() -> Batch:
    return _ids(first=0, last=2, pad=1)


def _t5_ids() -> Batch:
    return _ids(first=5, last=1)


def _normal(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def _pixels() -> Batch:
    return {"pixel_values": _normal(EXAMPLES, 3, 12, 12)}


def _large_pixels() -> Batch:
    return {"pixel_values": _normal(EXAMPLES, 3, 16, 16)}


def _sounds() -> Batch:
    samples = torch.tensor([96, 64, 80, 48])
    mask = (torch.arange(96) < samples[:, None]).long()
    return {"input_values": _normal(EXAMPLES, 96) * mask, "attention_mask": mask}


def _spectrograms() -> Batch:
    return {"input_values": _normal(EXAMPLES, 16, 8)}


def _series() -> Batch:
    return {"past_values": _normal(EXAMPLES, 16, 2)}


def _text(prefix: str, batch: Callable[[], Batch] = _ids, **options: Any) -> Kind:
    sized = {**_TEXT, **_SIZE, **options}
    return Kind(f"{prefix}ForSequenceClassification", f"{prefix}Config", sized, batch)


def _decoder(prefix: str, options: Mapping[str, Any]) -> Kind:
    name = f"{prefix}ForSequenceClassification"
    return Kind(name, f"{prefix}Config", options, _ids, left=True)


def _image(
    prefix: str, options: Mapping[str, Any] = _IMAGE, batch: Callable[[], Batch] = _pixels
) -> Kind:
    return Kind(f"{prefix}ForImageClassification", f"{prefix}Config", options, batch)


_ROBERTA = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}

KINDS: Mapping[str, Kind] = {
    "bert": _text("Bert"),
    "distilbert": Kind(
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        {
            **_TEXT,
            "dim": 16,
            "n_layers": 3,
            "n_heads": 2,
            "hidden_dim": 24,
            "max_position_embeddings": 40,
            "initializer_range": 0.3,
        },
        _ids,
    ),
    "roberta": _text("Roberta", _roberta_ids, **_ROBERTA),
    "xlm-roberta": _text("XLMRoberta", _roberta_ids, **_ROBERTA),
    "camembert": _text("Camembert", _roberta_ids, **_ROBERTA),
    "electra": _text("Electra", embedding_size=16),
    "albert": _text("Albert", embedding_size=8),
    "deberta": _text("Deberta", **_DISENTANGLED),
    "deberta-v2": _text("DebertaV2", **_DISENTANGLED),
    "deberta-v2, as v3": _text("DebertaV2", **_DISENTANGLED, **_V3),
    "mpnet": _text("MPNet", _roberta_ids),
    "modernbert": _text("ModernBert", **_MODERN),
    "modernbert, mean": _text("ModernBert", classifier_pooling="mean", **_MODERN),
    "big_bird": _text("BigBird", attention_type="original_full", sep_token_id=2),
    "longformer": _text("Longformer", _roberta_ids, attention_window=4, **_ROBERTA),
    "gpt2": _decoder(
        "GPT2",
        {
            **_TEXT,
            **_GPT,
            "n_embd": 16,
            "n_layer": 3,
            "n_head": 2,
            "n_positions": 40,
            "initializer_range": 0.3,
        },
    ),
    "gpt_neox": _decoder("GPTNeoX", {**_TEXT, **_SIZE, **_GPT}),
    "opt": _decoder(
        "OPT",
        {
            **_TEXT,
            **_GPT,
            "hidden_size": 16,
            "num_hidden_layers": 3,
            "ffn_dim": 24,
            "num_attention_heads": 2,
            "max_position_embeddings": 40,
            "word_embed_proj_dim": 8,
            "init_std": 0.3,
        },
    ),
    "llama": _decoder("Llama", _GROUPED),
    "mistral": _decoder("Mistral", {**_GROUPED, "sliding_window": 4}),
    "qwen2": _decoder("Qwen2", _GROUPED),
    "qwen3": _decoder("Qwen3", {**_GROUPED, "head_dim": 8}),
    "gemma": _decoder("Gemma", {**_GROUPED, "head_dim": 8}),
    "t5": Kind(
        "T5ForSequenceClassification",
        "T5Config",
        {
            **_PAIR,
            "d_kv": 8,
            "d_ff": 24,
            "num_layers": 2,
            "num_heads": 2,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "decoder_start_token_id": 0,
            "initializer_factor": 3.0,
        },
        _t5_ids,
        layers=4,
    ),
    "bart": Kind(
        "BartForSequenceClassification",
        "BartConfig",
        {
            **_PAIR,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 24,
            "decoder_ffn_dim": 24,
            "max_position_embeddings": 40,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "decoder_start_token_id": 2,
            "init_std": 0.3,
        },
        _roberta_ids,
        layers=4,
    ),
    "vit": _image("ViT"),
    "deit": _image("DeiT"),
    "beit": _image("Beit", {**_IMAGE, "use_relative_position_bias": True}),
    "dinov2": _image("Dinov2"),
    "swin": replace(
        _image(
            "Swin",
            {
                "image_size": 16,
                "patch_size": 2,
                "embed_dim": 8,
                "depths": [1, 2],
                "num_heads": [1, 2],
                "window_size": 2,
                "num_labels": 3,
                "initializer_range": 0.3,
            },
            _large_pixels,
        ),
        layers=3,
    ),
    "clip": _image(
        "CLIP",
        {"vision_config": {k: v for k, v in _IMAGE.items() if k != "num_labels"}, "num_labels": 3},
    ),
    "wav2vec2": Kind("Wav2Vec2ForSequenceClassification", "Wav2Vec2Config", SPEECH, _sounds),
    "wav2vec2, stable norm": Kind(
        "Wav2Vec2ForSequenceClassification",
        "Wav2Vec2Config",
        {**SPEECH, "do_stable_layer_norm": True, "feat_extract_norm": "layer"},
        _sounds,
    ),
    "hubert": Kind("HubertForSequenceClassification", "HubertConfig", SPEECH, _sounds),
    "hubert, stable norm": Kind(
        "HubertForSequenceClassification",
        "HubertConfig",
        {**SPEECH, "do_stable_layer_norm": True, "feat_extract_norm": "layer"},
        _sounds,
    ),
    "audio-spectrogram-transformer": Kind(
        "ASTForAudioClassification",
        "ASTConfig",
        {
            **{k: v for k, v in _IMAGE.items() if k not in ("image_size",)},
            "frequency_stride": 4,
            "time_stride": 4,
            "max_length": 16,
            "num_mel_bins": 8,
        },
        _spectrograms,
    ),
    "patchtst": Kind(
        "PatchTSTForClassification",
        "PatchTSTConfig",
        {
            "num_input_channels": 2,
            "context_length": 16,
            "patch_length": 4,
            "patch_stride": 4,
            "d_model": 16,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "ffn_dim": 24,
            "num_targets": 3,
            "use_cls_token": False,
            "init_std": 0.3,
        },
        _series,
    ),
}
"""Name → how to build it; the name begins with ``config.model_type``."""
