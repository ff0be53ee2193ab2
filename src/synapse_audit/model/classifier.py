"""The host model behind one face: encode, forward, pooled states, head.

In: a loaded model and a :class:`Family`. Out: tensors. Nothing here changes the model; it is in
evaluation mode while it runs, and its weights never get a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Unpack

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from synapse_audit.artifacts import DenseLayer
from synapse_audit.config import Loading, LoadingOptions
from synapse_audit.errors import DataError, UsageError, choices
from synapse_audit.model.decision import Decision, Threshold
from synapse_audit.model.discovery.discover import Discovered, NamedParts
from synapse_audit.model.discovery.head_alone import logits_of
from synapse_audit.model.discovery.locating import Located, locate
from synapse_audit.model.evaluation_mode import evaluating
from synapse_audit.model.families.record import TEXT, Family
from synapse_audit.model.hooks import HookPoint, Side
from synapse_audit.model.inputs.encoded import (
    Batch,
    Collator,
    Encoded,
    Encoder,
    Inputs,
    either,
    sent,
)
from synapse_audit.model.inputs.input_format import InputFormat
from synapse_audit.model.inputs.padding import settle
from synapse_audit.model.inputs.windows import Window
from synapse_audit.model.loading.opened import check_outputs, opened
from synapse_audit.model.loading.output_names import given_names
from synapse_audit.model.loading.pipelines import is_pipeline
from synapse_audit.model.loading.weights import check_numbers, count_weights, digest, unharmed
from synapse_audit.model.placement import check_movable, device_of, devices_of
from synapse_audit.model.pooling import Pooling, Position, pool_batch
from synapse_audit.model.predicting import decided, probabilities
from synapse_audit.model.sites import (
    ATTENTION_HEAD,
    BLOCK_OUTPUT,
    HEAD_INPUT,
    attention_heads,
    block_widths,
    dense_layer,
    inner_hook_points,
    layer_hook_points,
)


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
    head_function: Callable[[nn.Module, Tensor], Tensor] | None
    """(model, final representation) → logits; None where the head needs every token's state."""
    inner: Mapping[str, tuple[HookPoint, ...]] = field(default_factory=dict)
    """Site inside the blocks → where it is in blocks 1 to L."""
    dense: DenseLayer | None = field(default=None, repr=False)
    """The head's dense layer before the last one, where it is known."""
    device: str = "cpu"
    """Where batches go and logits come back; one of several where the model is on several."""
    whole_head: Callable[[nn.Module, Tensor, Pooling], Tensor] | None = None
    """(model, final states, reading) → logits, where ``head_function`` is None."""
    causal: bool = False
    """Whether no token sees the last one, which the head reads."""
    resumable: int = 0
    """Layers from this one on can be resumed from."""
    embeddings_side: Side = "output"
    notes: tuple[str, ...] = ()
    """What a reader of results should know of this model."""
    discovered: Discovered | None = field(default=None, repr=False)
    """How the parts were found, where no record named them."""
    modality: str = TEXT
    """``text``, ``image``, ``audio``, ``series`` or ``table``."""
    reads: str = ""
    """What its encoder takes, in words; empty where nobody says."""
    origin: Mapping[str, str] = field(default_factory=dict)
    """Revision, commit, adapter and the like of a saved model, for the manifest."""
    decision: Decision = field(default_factory=Decision)
    """How classes are decided from the model's outputs."""

    @classmethod
    def load(
        cls,
        path: Any,
        loading: Loading = Loading(),  # noqa: B008 (frozen)
        *,
        tokens: str = "text",
        window: Window | None = None,
        max_tokens: int | None = None,
        text_prefix: str = "",
        lower_case: bool = False,
        **options: Unpack[LoadingOptions],
    ) -> Classifier:
        """Loads a classifier from a local folder, a hub id or a pipeline of transformers.

        The folder may hold a PEFT adapter instead of a model (package peft).

        Args:
            loading: number format, device, revision and so on, whole; or
            options: fields of :class:`Loading` by name, such as ``dtype="bfloat16"``. A record is
                set aside where ``blocks``, ``position`` or ``output_layer`` is named; what is not
                named is looked for, as :meth:`wrap` does.
            tokens: ``text``, or ``ids`` where inputs are token ids (``"7 12 3"``) and no tokenizer
                is needed.
            window: inputs longer than this become several examples; see :attr:`Encoded.rows`.
            max_tokens: longer texts are cut there, as they are where the model is served.
            text_prefix: stands before every text; ``lower_case``: both in small letters.

        Raises:
            ModelError: no such model, no trained head, a pickle checkpoint, an unknown family
                whose parts cannot be found either, a named part that does not fit.
            UsageError: token ids or windows that this model cannot read; options that contradict
                each other or lack their package.
        """
        loading = replace(loading, **options)
        reads = InputFormat(tokens, window, max_tokens, text_prefix, lower_case)
        return opened(cls.wrap, path, loading, reads)

    @classmethod
    def wrap(
        cls,
        module: Any,
        *,
        classes: Sequence[str] | None = None,
        encoder: Encoder | None = None,
        collator: Collator | None = None,
        inputs: Inputs | None = None,
        family: Family | None = None,
        name: str = "custom",
        blocks: str | Sequence[str] | None = None,
        embeddings: str | None = None,
        output_layer: str | None = None,
        position: Position | None = None,
        head: Callable[[Any, Tensor], Tensor] | None = None,
        examples: Sequence[Any] | None = None,
        one_output: bool = False,
    ) -> Classifier:
        """Puts any ``torch.nn.Module``, or a whole pipeline of transformers, behind this face.

        The module's forward takes the collated batch as keyword arguments and returns logits, or
        an object with a ``logits`` attribute. Where its parts are is said by ``family``; without
        one they are looked for, those that are named here apart
        (:mod:`synapse_audit.model.discovery.discover`), and :attr:`discovered` says what was found.

        Args:
            inputs: encoder and collator together, such as ``table_inputs(30)``, in place of both.
            family: the record of its architecture; the options below are for modules without one.
            blocks: dotted path of the list of blocks, or one path per block.
            embeddings: dotted path of the module whose output the first block receives.
            output_layer: dotted path of the linear layer whose output is the logits.
            position: what the head reads; see ``POSITIONS``.
            head: (module, representation in the final layer) → logits.
            examples: a few inputs for the encoder, to trace the module on; texts where None.
            one_output: whether its one output is the logit of the second of two classes.

        Raises:
            ModelError: the family's paths do not lead to a module list and a linear layer, or a
                part was not found: the message then names the option to give.
            UsageError: both a family and a part of its own are given, or inputs twice or never.
        """
        if is_pipeline(module):
            return cls.load(module)
        check_numbers(module, name)
        names = given_names(classes)
        with evaluating(module):
            read = settle(module, either(inputs, encoder, collator, examples), family)
            found = locate(
                module,
                name=name,
                n_classes=1 if one_output else len(names),
                inputs=read,
                family=family,
                given=NamedParts(blocks, embeddings, output_layer, position, head),
            )
        check_outputs(name, found.parts.output_layer, names, one_output=one_output)
        return replace(_assembled(module, name, names, read, found), decision=Decision(one_output))

    def __repr__(self) -> str:
        parts = f"{self.n_layers} blocks, {len(self.classes)} classes, on {self.device}"
        return f"<Classifier {self.name!r}: {self.architecture}, {parts}>"

    @property
    def widths(self) -> tuple[int, ...]:
        """Neurons of each block's output; empty where that is known only once the model is run."""
        return block_widths(self.inner)

    @property
    def n_layers(self) -> int:
        """Number of blocks, L."""
        return len(self.blocks)

    def layer_module(self, layer: int) -> nn.Module:
        """The module whose output is ``layer`` (0 = embeddings)."""
        return self.embeddings if layer == 0 else self.blocks[layer - 1]

    @property
    def reads_one(self) -> bool:
        """Whether the head reads one token of each example."""
        return self.position in ("first", "last", "eos")

    @property
    def heads(self) -> int:
        """Attention heads of a block; 0 where they are no site of this model."""
        return attention_heads(self.model) if ATTENTION_HEAD in self.inner else 0

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites that this model has."""
        return (BLOCK_OUTPUT, *self.inner, HEAD_INPUT)

    def point(self, site: str, layer: int) -> HookPoint:
        """Where the states of a site pass; UsageError where the model has no such site there."""
        if site == BLOCK_OUTPUT and layer == 0:
            return HookPoint(self.embeddings, self.embeddings_side)
        if site == BLOCK_OUTPUT:
            return layer_hook_points(self.blocks, "output")[layer - 1]
        if site == HEAD_INPUT:
            return HookPoint(self.output_layer, "input")
        if site not in self.inner or not 1 <= layer <= self.n_layers:
            raise UsageError(
                f"site '{site}' of layer {layer} given; {choices(site, self.sites)} "
                f"(layers 1 to {self.n_layers})"
            )
        return self.inner[site][layer - 1]

    def to(self, device: str) -> Classifier:
        """The same classifier, moved to a device; UsageError where its model is on several."""
        check_movable(self.model, self.name, device)
        self.model.to(device)
        return replace(self, device=device)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of the devices that hold weights, the one of the first weight first."""
        return devices_of(self.model)

    def encode(self, inputs: Sequence[Any]) -> Encoded:
        """Features, not yet padded; truncated examples are counted, windows say their row."""
        return self.encoder(inputs)

    @cached_property
    def special_tokens(self) -> tuple[int, ...]:
        """Token numbers that even an empty text is given; none where inputs are no texts."""
        try:
            (features,) = self.encode([""]).features
        except (DataError, TypeError, ValueError):
            return ()
        return tuple(int(token) for token in features.get("input_ids", ()))

    @property
    def float32_matmul(self) -> str:
        """How float32 is multiplied: below ``highest`` a GPU may use TF32 (10 bits of mantissa)."""
        return torch.get_float32_matmul_precision()

    def collate(self, encoded: Encoded, rows: Sequence[int] | Int[np.ndarray, " chosen"]) -> Batch:
        """Pads the chosen examples to the longest of them, on the model's (first) device."""
        return sent(self.collator([encoded.features[int(row)] for row in rows]), self.device)

    @torch.inference_mode()
    def logits(self, batch: Batch) -> Float[Tensor, "examples classes"]:
        """The untouched forward pass of the host model, as logits that decide."""
        return self.answer(batch)

    def answer(self, batch: Batch) -> Float[Tensor, "examples classes"]:
        """The same where gradients may be wanted; either way on the device of batches."""
        with evaluating(self.model):
            return self.decision.logits(logits_of(self.model(**batch)).to(self.device))

    def predict_proba(self, inputs: Sequence[Any]) -> Float[np.ndarray, "inputs classes"]:
        """Probability of every class, float64, for raw inputs (texts), in their order."""
        return probabilities(self, inputs)

    def predict(self, inputs: Sequence[Any]) -> list[str]:
        """The class decided on for each input, the most probable one where no threshold is set."""
        return decided(self, probabilities(self, inputs))

    def pooling(self, batch: Batch) -> Pooling:
        """What the head reads of a batch."""
        return pool_batch(self.model, self.position, batch)

    def head(self, pooled: Float[Tensor, "examples neurons"]) -> Float[Tensor, "examples classes"]:
        """Logits from the representation in the final layer.

        Raises:
            UsageError: this head needs the state of every token; see :meth:`decide`.
        """
        if self.head_function is None:
            raise UsageError(
                f"the representation alone given to the head of {self.architecture}; expected the "
                "states of all tokens"
            )
        with evaluating(self.model):
            return self.decision.logits(self.head_function(self.model, pooled).to(self.device))

    def decide(self, states: Tensor, pooling: Pooling) -> Float[Tensor, "examples classes"]:
        """Logits from the states of all tokens of the final layer."""
        if self.whole_head is not None:
            with evaluating(self.model):
                outputs = self.whole_head(self.model, states, pooling)
                return self.decision.logits(outputs.to(self.device))
        return self.head(pooling.gather(states))

    @property
    def head_weight(self) -> Float[np.ndarray, "classes features"]:
        """Weight of the head's last linear layer, a float32 copy; (0, w) for one output."""
        weight = self.output_layer.weight.detach().float().cpu().numpy()
        return self.decision.rows(weight.copy())

    @property
    def head_bias(self) -> Float[np.ndarray, " classes"]:
        """Bias of the head's last linear layer (zeros where it has none), a float32 copy."""
        bias = self.output_layer.bias
        if bias is None:
            return np.zeros(len(self.classes), dtype=np.float32)
        return self.decision.rows(bias.detach().float().cpu().numpy().copy())

    def at_threshold(self, threshold: Threshold | None) -> Classifier:
        """The same classifier, deciding at a probability: of the second of two classes, or by name.

        Raises:
            UsageError: an unknown class, or a threshold that is not between 0 and 1.
        """
        return replace(self, decision=self.decision.at(threshold, self.classes))

    @cached_property
    def parameters_count(self) -> int:
        """Number of weights."""
        return sum(map(count_weights, self.model.parameters()))

    def fingerprint(self) -> str:
        """sha256 over every weight and buffer, by name: equal only if the model is unchanged."""
        return digest(self.model)

    def unharmed(self) -> AbstractContextManager[None]:
        """Proves, however the block ends, that it left weights and hooks as they were.

        Raises:
            ModelError: the weights differ, or a hook was left.
        """
        return unharmed(self.model, self.name)


def _assembled(
    module: nn.Module, name: str, classes: tuple[str, ...], read: Inputs, found: Located
) -> Classifier:
    """Parts that were found and inputs as they are read, behind one face."""
    family, (stacks, embeddings, output) = found.family, found.parts
    return Classifier(
        name=name,
        model=module,
        classes=classes,
        architecture=family.name,
        embeddings=embeddings,
        blocks=stacks.blocks,
        output_layer=output,
        position=family.position,
        encoder=read.encoder,
        collator=read.collator,
        head_function=family.head,
        inner=inner_hook_points(stacks.blocks, family, attention_heads(module)),
        dense=dense_layer(module, family),
        device=str(device_of(module)),
        whole_head=family.whole_head,
        causal=family.causal,
        resumable=stacks.resumable,
        embeddings_side=family.embeddings_side,
        notes=(*found.notes, *read.notes),
        discovered=found.discovered,
        modality=read.modality,
        reads=read.reads,
    )
