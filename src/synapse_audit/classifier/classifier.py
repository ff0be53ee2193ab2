"""The host model behind one face: encode, forward, pooled states, head.

In: a loaded model and a :class:`Family`. Out: tensors. Nothing here changes the model; it is put
into evaluation mode and no gradient is ever asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from synapse_audit.artifacts import TextInput
from synapse_audit.classifier.encoded import Batch, Collator, Encoded, Encoder
from synapse_audit.classifier.family import Family, Position
from synapse_audit.classifier.loading import load_parts
from synapse_audit.errors import ModelError


@dataclass(frozen=True)
class Classifier:
    """A sequence classifier with its own trained head."""

    name: str
    """Folder or hub id, for the reader."""
    model: nn.Module
    classes: tuple[str, ...]
    """Position = output index."""
    architecture: str
    """Family name, for the reader."""
    embeddings: nn.Module
    """Its output is layer 0."""
    blocks: tuple[nn.Module, ...]
    """Block l's output is layer l."""
    output_layer: nn.Linear
    """The head's last linear layer."""
    position: Position
    encoder: Encoder
    collator: Collator
    head_function: Callable[[nn.Module, Tensor], Tensor]
    device: str = "cpu"

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Classifier:
        """Loads a sequence classifier from a local folder or a hub id.

        Raises:
            ModelError: no such model, no trained head, a pickle checkpoint, an unknown family.
        """
        parts = load_parts(str(path))
        return cls.wrap(
            parts.model,
            classes=parts.classes,
            encoder=parts.encoder,
            collator=parts.collator,
            family=parts.family,
            name=str(path),
        ).to(device)

    @classmethod
    def wrap(
        cls,
        module: nn.Module,
        *,
        classes: Sequence[str],
        encoder: Encoder,
        collator: Collator,
        family: Family,
        name: str = "custom",
    ) -> Classifier:
        """Puts any ``torch.nn.Module`` behind this face; ``family`` says where its parts are.

        The module's forward takes the collated batch as keyword arguments and returns logits, or
        an object with a ``logits`` attribute.

        Raises:
            ModelError: the family's paths do not lead to a module list and a linear layer.
        """
        try:
            blocks = module.get_submodule(family.blocks)
            embeddings = module.get_submodule(family.embeddings)
            output_layer = module.get_submodule(family.output_layer)
        except AttributeError as error:
            raise ModelError(f"{family.name} record does not fit '{name}': {error}") from error
        if not isinstance(blocks, nn.ModuleList) or not isinstance(output_layer, nn.Linear):
            raise ModelError(
                f"'{name}': {family.blocks} is {type(blocks).__name__} and {family.output_layer} "
                f"is {type(output_layer).__name__}; expected ModuleList and Linear"
            )
        return cls(
            name=name,
            model=module.eval(),
            classes=tuple(classes),
            architecture=family.name,
            embeddings=embeddings,
            blocks=tuple(blocks),
            output_layer=output_layer,
            position=family.position,
            encoder=encoder,
            collator=collator,
            head_function=family.head,
        )

    @property
    def n_layers(self) -> int:
        """Number of blocks, L."""
        return len(self.blocks)

    def layer_module(self, layer: int) -> nn.Module:
        """The module whose output is ``layer`` (0 = embeddings)."""
        return self.embeddings if layer == 0 else self.blocks[layer - 1]

    def to(self, device: str) -> Classifier:
        """The same classifier with its model moved to a device."""
        self.model.to(device)
        return replace(self, device=device)

    def encode(self, inputs: Sequence[TextInput]) -> Encoded:
        """Tokenises without padding; truncated examples are counted."""
        return self.encoder(inputs)

    def collate(self, encoded: Encoded, rows: Sequence[int] | Int[np.ndarray, " chosen"]) -> Batch:
        """Pads the chosen examples to the longest of them, on the model's device."""
        batch = self.collator([encoded.features[int(row)] for row in rows])
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    @torch.inference_mode()
    def logits(self, batch: Batch) -> Float[Tensor, "examples classes"]:
        """The untouched forward pass of the host model."""
        output = self.model(**batch)
        return output if isinstance(output, Tensor) else output.logits

    def pooled_index(self, batch: Batch) -> Int[Tensor, " examples"]:
        """Which token of each example the head reads."""
        tokens = next(iter(batch.values()))
        if self.position == "first":
            return torch.zeros(tokens.shape[0], dtype=torch.long, device=tokens.device)
        mask = batch["attention_mask"]
        places = torch.arange(mask.shape[1], device=mask.device)
        return (mask * places).argmax(dim=1)

    def head(self, pooled: Float[Tensor, "examples neurons"]) -> Float[Tensor, "examples classes"]:
        """Logits from the pooled state of the final layer."""
        return self.head_function(self.model, pooled)

    @property
    def head_weight(self) -> Float[np.ndarray, "classes features"]:
        """Weight of the head's last linear layer, a float32 copy."""
        return self.output_layer.weight.detach().float().cpu().numpy().copy()

    @property
    def head_bias(self) -> Float[np.ndarray, " classes"]:
        """Bias of the head's last linear layer (zeros where it has none), a float32 copy."""
        bias = self.output_layer.bias
        if bias is None:
            return np.zeros(len(self.classes), dtype=np.float32)
        return bias.detach().float().cpu().numpy().copy()

    @cached_property
    def parameters_count(self) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def fingerprint(self) -> str:
        """sha256 over every weight and buffer, by name: equal only if the model is unchanged."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(
                tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
            )
        return digest.hexdigest()

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Proves, however the block ends, that it left weights and hooks as they were.

        Raises:
            ModelError: the weights differ, or a hook was left.
        """
        before, hooks = self.fingerprint(), _count_hooks(self.model)
        try:
            yield
        finally:
            if self.fingerprint() != before or _count_hooks(self.model) != hooks:
                raise ModelError(
                    f"'{self.name}' was altered: expected equal weights and no new hook"
                )


def _count_hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
