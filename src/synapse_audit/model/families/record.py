"""What is known in advance about one architecture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from synapse_audit.model.hooks import Side
from synapse_audit.model.pooling import Pooling, Position

TEXT, IMAGE, AUDIO, SERIES, TABLE = "text", "image", "audio", "series", "table"


@dataclass(frozen=True)
class Family:
    """Where the parts of one architecture are. Paths are dotted names below the whole model."""

    name: str
    model_types: tuple[str, ...]
    """``config.model_type`` values that this record serves."""
    embeddings: str
    """Module whose output is layer 0."""
    blocks: str | tuple[str, ...]
    """``ModuleList`` of blocks, or several in the order they run.

    ``*`` stands for every number; of paths with ``|`` between them the first that there is.
    Block l's output is layer l. Between two lists the model does more than hand states on.
    """
    output_layer: str
    """The head's last ``nn.Linear``."""
    head: Callable[[Any, Tensor], Tensor] | None = None
    """(model, representation in the final layer (examples, neurons)) → logits."""
    position: Position = "first"
    causal: bool = False
    """Whether no token sees a later one, so that none sees the last one."""
    whole_head: Callable[[Any, Tensor, Pooling], Tensor] | None = None
    """(model, final states of all tokens, reading) → logits, where the representation alone does
    not decide: a norm that comes before the mean."""
    when: Callable[[Any], bool] | None = None
    """Which configurations of these model types the record serves; all where None."""
    schedule: Callable[[Any], tuple[int, ...]] | None = None
    """Configuration → which entry of ``blocks`` each layer calls, where layers share them."""
    embeddings_side: Side = "output"
    """``input``: layer 0 is what the module named above receives."""
    attention_output: str | tuple[str, ...] | None = None
    """Below a block: the linear layer whose output attention adds to the residual stream.

    Of several the first that a block has."""
    mlp_output: str | tuple[str, ...] | None = None
    """Below a block: the linear layer whose output the MLP adds; its input are the activations.

    Of several the first that a block has."""
    dense: str | None = None
    """The head's dense layer before the last one."""
    activation: str | None = None
    """What follows it: tanh, relu or gelu."""
    modality: str = TEXT
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Configuration that is set when a model is loaded."""
    note: str = ""
    """What a reader of results should know."""

    def serves(self, config: Any) -> bool:
        """Whether this record describes models of a configuration."""
        if config.model_type not in self.model_types:
            return False
        return self.when is None or self.when(config)
