"""How a model is loaded: one frozen value, handed on whole from the configuration to the loader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from pydantic import ConfigDict

from synapse_audit.config.describing import explained

AttentionName = Literal[
    "eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3", "flash_attention_4"
]
"""Attention implementations of transformers; any other name would be code from the hub."""

DtypeName = Literal["float32", "bfloat16", "float16"]
QuantizationName = Literal["8bit", "4bit"]
DeviceMapName = Literal["auto", "balanced", "sequential"]


class LoadingOptions(TypedDict, total=False):
    """The fields of :class:`Loading` as keywords, for ``Classifier.load``."""

    device: str
    dtype: DtypeName
    revision: str | None
    attn_implementation: AttentionName | None
    device_map: DeviceMapName | None
    quantization: QuantizationName | None
    base_model: str | None
    merge_adapter: bool
    blocks: str | None
    position: str | None
    output_layer: str | None
    label: str | None


@explained
@dataclass(frozen=True)
class Loading:
    """Options of the loader besides where the checkpoint is."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    device: str = "cpu"
    """Where the model is to be: cpu, cuda, cuda:1, mps; a quantised one cannot be moved there
    afterwards."""
    dtype: DtypeName = "float32"
    """Number format of the model's weights and activations: float32, bfloat16, float16."""
    revision: str | None = None
    """Branch, tag or commit of a hub model; the manifest says which commit it was."""
    attn_implementation: AttentionName | None = None
    """Which attention the model computes with: eager, sdpa, flex_attention, flash_attention_2 to
    _4; left out: transformers' choice."""
    device_map: DeviceMapName | None = None
    """auto, balanced or sequential: accelerate chooses devices that hold it all; left out: the
    model goes to ``device``."""
    quantization: QuantizationName | None = None
    """8bit or 4bit: weights inside the blocks as bitsandbytes rounds them; all else stays in
    float."""
    base_model: str | None = None
    """Where an adapter's base model is; left out: where its configuration says."""
    merge_adapter: bool = True
    """Whether an adapter is added into the weights of its base model (equal to rounding) or stays
    beside them (equal bit for bit; a quantised base model is never merged)."""
    blocks: str | None = None
    """Dotted path of the model's list of blocks, or the paths of all blocks with commas between."""
    position: str | None = None
    """What the model's head reads: first, last, eos, mean, patches, pair."""
    output_layer: str | None = None
    """Dotted path of the head's last linear layer. What these three leave open is known by the
    model's record or, where one of them is given, looked for."""
    label: str | None = None
    """Of a multi-label model: the label that is audited, as present or absent."""

    @property
    def parts(self) -> dict[str, Any]:
        """Parts of the model that are named here, as :meth:`Classifier.wrap` takes them."""
        paths = [path.strip() for path in (self.blocks or "").split(",")]
        named = {
            "blocks": self.blocks and (paths if len(paths) > 1 else paths[0]),
            "position": self.position,
            "output_layer": self.output_layer,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def merges(self) -> bool:
        """Whether an adapter is merged: into quantised weights it would be rounded away."""
        return self.merge_adapter and self.quantization is None
