"""Text decoders, read at their last token, and encoder-decoders, read at the end of the sequence.

Encoder blocks come first: layer 0 are the encoder's embeddings, layers 1 to E its blocks, E + 1 to
L those of the decoder, which is given the same text shifted by one.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from synapse_audit.model.families.record import Family


def _gpt2_head(model: Any, pooled: Tensor) -> Tensor:
    return model.score(model.transformer.ln_f(pooled))


def _neox_head(model: Any, pooled: Tensor) -> Tensor:
    return model.score(model.gpt_neox.final_layer_norm(pooled))


def _opt_head(model: Any, pooled: Tensor) -> Tensor:
    decoder = model.model.decoder
    for part in (decoder.final_layer_norm, decoder.project_out):
        pooled = pooled if part is None else part(pooled)
    return model.score(pooled)


def _llama_head(model: Any, pooled: Tensor) -> Tensor:
    return model.score(model.model.norm(pooled))


def _t5_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classification_head(model.transformer.decoder.final_layer_norm(pooled))


def _bart_head(model: Any, pooled: Tensor) -> Tensor:
    return model.classification_head(pooled)


CHAIN = "layers are the encoder's blocks, then the decoder's; only the latter can be resumed"

DECODERS: tuple[Family, ...] = (
    Family(
        name="GPT-2",
        model_types=("gpt2",),
        embeddings="transformer.drop",
        blocks="transformer.h",
        output_layer="score",
        head=_gpt2_head,
        position="last",
        causal=True,
        attention_output="attn.c_proj",
        mlp_output="mlp.c_proj",
    ),
    Family(
        name="GPT-NeoX",
        model_types=("gpt_neox",),
        embeddings="gpt_neox.emb_dropout",
        blocks="gpt_neox.layers",
        output_layer="score",
        head=_neox_head,
        position="last",
        causal=True,
        attention_output="attention.dense",
        mlp_output="mlp.dense_4h_to_h",
    ),
    Family(
        name="OPT",
        model_types=("opt",),
        embeddings="model.decoder.layers.0",
        embeddings_side="input",
        blocks="model.decoder.layers",
        output_layer="score",
        head=_opt_head,
        position="last",
        causal=True,
        attention_output="self_attn.out_proj",
        mlp_output="fc2",
    ),
    Family(
        name="Llama",
        model_types=("llama", "mistral", "qwen2", "qwen3", "gemma"),
        embeddings="model.layers.0",
        embeddings_side="input",
        blocks="model.layers",
        output_layer="score",
        head=_llama_head,
        position="last",
        causal=True,
        attention_output="self_attn.o_proj",
        mlp_output="mlp.down_proj",
    ),
    Family(
        name="T5",
        model_types=("t5", "mt5", "umt5"),
        # Its table of embeddings may be the decoder's too, and called twice.
        embeddings="transformer.encoder.block.0",
        embeddings_side="input",
        blocks=("transformer.encoder.block", "transformer.decoder.block"),
        output_layer="classification_head.out_proj",
        head=_t5_head,
        position="eos",
        attention_output="layer.0.SelfAttention.o",
        mlp_output=("layer.2.DenseReluDense.wo", "layer.1.DenseReluDense.wo"),
        dense="classification_head.dense",
        activation="tanh",
        note=CHAIN,
    ),
    Family(
        name="BART",
        model_types=("bart",),
        embeddings="model.encoder.layernorm_embedding",
        blocks=("model.encoder.layers", "model.decoder.layers"),
        output_layer="classification_head.out_proj",
        head=_bart_head,
        position="eos",
        attention_output="self_attn.out_proj",
        mlp_output="fc2",
        dense="classification_head.dense",
        activation="tanh",
        note=CHAIN,
    ),
)
